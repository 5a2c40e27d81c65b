//! Operations that a security monitor makes dearer, measured one by one.
//!
//! Under `-icount shift=0` a guest nanosecond is an instruction, so the figures are instruction counts and the same on
//! every machine. Invariant: each operation talks to this process alone (loopback, its own files and children), is warmed
//! up by a tenth of its rounds, and is measured until the watched tool has digested it.

use std::{
    ffi::{CStr, CString},
    fs,
    io::Write as _,
    mem::MaybeUninit,
    net::{TcpListener, UdpSocket},
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::fs::PermissionsExt as _,
    },
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};

use crate::harness::sys::{Address, check, check_size, set_option, socket};

const USAGE: &str = "usage: sentinel-tests workload [--pids PID,PID] [--scale N] [--dir DIR] [NAME]...";

/// An operation: its name, how often it is done at scale 1, and the call.
struct Operation {
    name: &'static str,
    rounds: u32,
    run: fn(&mut Bench, u32) -> Result<()>,
}

const OPERATIONS: [Operation; 9] = [
    Operation { name: "getpid", rounds: 20_000, run: getpid },
    Operation { name: "read", rounds: 10_000, run: read },
    Operation { name: "open1", rounds: 10_000, run: |bench, _| open(&bench.files[0]) },
    Operation { name: "open1000", rounds: 10_000, run: |bench, i| open(&bench.files[i as usize % bench.files.len()]) },
    Operation { name: "fork", rounds: 200, run: fork },
    Operation { name: "forkexec", rounds: 500, run: fork_exec },
    Operation { name: "udpconnect", rounds: 5_000, run: udp_connect },
    Operation { name: "tcpconnect", rounds: 2_000, run: tcp_connect },
    Operation { name: "sendto", rounds: 10_000, run: send_to },
];

/// What one operation costs, in nanoseconds (instructions under icount) per round.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The operation's name.
    pub name: String,
    /// CPU time of the process that does it, kernel side included, and of its children.
    pub own: u64,
    /// CPU time of the watched processes.
    pub tool: u64,
    /// Time that passed.
    pub wall: u64,
}

impl Sample {
    fn line(&self) -> String {
        format!("sample {} own={} tool={} wall={}", self.name, self.own, self.tool, self.wall)
    }

    /// Reads back a line that [`main`] printed; none for any other line.
    pub fn parse(line: &str) -> Option<Self> {
        let mut words = line.strip_prefix("sample ")?.split(' ');
        let name = words.next()?.to_owned();
        let mut number = |key: &str| words.next()?.strip_prefix(key)?.parse().ok();
        Some(Self { name, own: number("own=")?, tool: number("tool=")?, wall: number("wall=")? })
    }
}

/// The `workload` verb: measures and prints a line for each operation.
pub fn main(args: &[String]) -> Result<ExitCode> {
    let (mut pids, mut scale, mut names) = (Vec::new(), 1, Vec::new());
    let mut dir = std::env::temp_dir().join(format!("sentinel-workload-{}", std::process::id()));
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut value = || args.next().with_context(|| format!("{arg} needs a value\n{USAGE}"));
        match arg.as_str() {
            "--pids" => pids = value()?.split(',').map(str::parse).collect::<Result<_, _>>().context(USAGE)?,
            "--scale" => scale = value()?.parse().context(USAGE)?,
            "--dir" => dir = PathBuf::from(value()?),
            name => names.push(name),
        }
    }
    for name in &names {
        ensure!(OPERATIONS.iter().any(|operation| operation.name == *name), "no operation is named `{name}`\n{USAGE}");
    }
    let mut bench = Bench::create(dir, pids)?;
    for operation in OPERATIONS.iter().filter(|operation| names.is_empty() || names.contains(&operation.name)) {
        let sample = bench.measure(operation, scale).with_context(|| format!("measuring {}", operation.name))?;
        println!("{}", sample.line());
        std::io::stdout().flush()?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes a static x86-64 executable of 132 bytes that exits with `status`: nothing but execve's own cost.
pub fn write_tiny(path: &Path, status: u8) -> Result<()> {
    let mut image = Vec::with_capacity(132);
    image.extend(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0"); // 64 bit, little endian, version 1
    image.extend([2, 0, 62, 0, 1, 0, 0, 0]); // executable, x86-64, version 1
    image.extend((0x40_0000_u64 + 120).to_le_bytes()); // entry: right behind the headers
    image.extend(64_u64.to_le_bytes()); // program headers start
    image.extend(0_u64.to_le_bytes()); // no sections
    image.extend([0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 64, 0, 0, 0, 0, 0]); // flags, header sizes and counts
    image.extend([1, 0, 0, 0, 5, 0, 0, 0]); // PT_LOAD, readable and executable
    for word in [0_u64, 0x40_0000, 0x40_0000, 132, 132, 0x1000] {
        image.extend(word.to_le_bytes()); // offset, addresses, sizes, alignment
    }
    image.extend([0xb8, 60, 0, 0, 0, 0xbf, status, 0, 0, 0, 0x0f, 0x05]); // mov eax, 60; mov edi, status; syscall
    fs::write(path, image).with_context(|| format!("writing {}", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("making {} executable", path.display()))
}

/// The files, sockets and watched processes of a run.
struct Bench {
    dir: PathBuf,
    files: Vec<CString>,
    reading: fs::File,
    tiny: CString,
    listener: TcpListener,
    receiver: UdpSocket,
    sender: OwnedFd,
    watched: Vec<libc::clockid_t>,
}

impl Drop for Bench {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.dir) {
            eprintln!("sentinel-tests: removing {}: {error}", self.dir.display());
        }
    }
}

impl Bench {
    fn create(dir: PathBuf, pids: Vec<i32>) -> Result<Self> {
        fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
        let files = (0..1000)
            .map(|i| {
                let path = dir.join(format!("file{i:03}"));
                fs::write(&path, "x\n").with_context(|| format!("writing {}", path.display()))?;
                Ok(crate::harness::sys::c_path(path)?)
            })
            .collect::<Result<Vec<_>>>()?;
        let tiny = dir.join("tiny");
        write_tiny(&tiny, 0)?;
        let receiver = UdpSocket::bind("127.0.0.1:0").context("binding a UDP socket")?;
        receiver.set_nonblocking(true)?;
        Ok(Self {
            reading: fs::File::open(dir.join("file001"))?,
            tiny: crate::harness::sys::c_path(tiny)?,
            files,
            listener: TcpListener::bind("127.0.0.1:0").context("listening on loopback")?,
            receiver,
            sender: socket(libc::AF_INET, libc::SOCK_DGRAM, 0)?,
            watched: pids.into_iter().map(cpu_clock_of).collect::<Result<_>>()?,
            dir,
        })
    }

    fn measure(&mut self, operation: &Operation, scale: u32) -> Result<Sample> {
        let rounds = operation.rounds * scale;
        for i in 0..rounds / 10 + 1 {
            (operation.run)(self, i)?;
        }
        self.settle()?;
        let (tool, own, wall) = (self.tool_time()?, own_time()?, clock(libc::CLOCK_MONOTONIC)?);
        for i in 0..rounds {
            (operation.run)(self, i)?;
        }
        let wall = clock(libc::CLOCK_MONOTONIC)? - wall;
        let own = own_time()? - own;
        self.settle()?;
        let tool = self.tool_time()? - tool;
        let each = |total: u64| total / u64::from(rounds);
        Ok(Sample { name: operation.name.to_owned(), own: each(own), tool: each(tool), wall: each(wall) })
    }

    fn tool_time(&self) -> Result<u64> {
        self.watched.iter().map(|id| clock(*id)).sum()
    }

    /// Waits until the watched processes have been idle for three tenths of a second: below 4 % of a CPU.
    fn settle(&self) -> Result<()> {
        let (mut quiet, pause) = (0, Duration::from_millis(100));
        for _ in 0..300 {
            let before = self.tool_time()?;
            std::thread::sleep(pause);
            quiet = if self.tool_time()? - before < 4_000_000 { quiet + 1 } else { 0 };
            if quiet == 3 || self.watched.is_empty() {
                return Ok(());
            }
        }
        bail!("the watched processes did not come to rest in 30 s")
    }
}

fn clock(id: libc::clockid_t) -> Result<u64> {
    let mut time = MaybeUninit::<libc::timespec>::uninit();
    // SAFETY: the pointer is to a local that outlives the call.
    check(unsafe { libc::clock_gettime(id, time.as_mut_ptr()) }).context("reading a clock (has the process ended?)")?;
    // SAFETY: the call succeeded, so it filled the struct.
    let time = unsafe { time.assume_init() };
    Ok(u64::try_from(time.tv_sec)? * 1_000_000_000 + u64::try_from(time.tv_nsec)?)
}

fn cpu_clock_of(pid: i32) -> Result<libc::clockid_t> {
    let mut id = 0;
    // SAFETY: the pointer is to a local that outlives the call.
    let error = unsafe { libc::clock_getcpuclockid(pid, &raw mut id) };
    ensure!(error == 0, "no CPU clock for process {pid}: {}", std::io::Error::from_raw_os_error(error));
    Ok(id)
}

/// CPU time of this process and of its children that were waited for.
fn own_time() -> Result<u64> {
    let mut usage = MaybeUninit::<libc::rusage>::uninit();
    // SAFETY: the pointer is to a local that outlives the call.
    check(unsafe { libc::getrusage(libc::RUSAGE_CHILDREN, usage.as_mut_ptr()) })?;
    // SAFETY: the call succeeded, so it filled the struct.
    let usage = unsafe { usage.assume_init() };
    let seconds = u64::try_from(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)?;
    let micros = u64::try_from(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec)?;
    Ok(clock(libc::CLOCK_PROCESS_CPUTIME_ID)? + seconds * 1_000_000_000 + micros * 1000)
}

fn getpid(_: &mut Bench, _: u32) -> Result<()> {
    // SAFETY: getpid has no arguments; the raw call cannot be cached by libc.
    unsafe { libc::syscall(libc::SYS_getpid) };
    Ok(())
}

fn read(bench: &mut Bench, _: u32) -> Result<()> {
    let mut two = [0_u8; 2];
    // SAFETY: the pointer and the length describe `two`.
    check_size(unsafe { libc::pread(bench.reading.as_raw_fd(), two.as_mut_ptr().cast(), 2, 0) })?;
    Ok(())
}

fn open(path: &CStr) -> Result<()> {
    // SAFETY: the path is NUL-terminated; the descriptor is closed at once and used nowhere else.
    unsafe {
        let fd = check(libc::open(path.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC))?;
        libc::close(fd);
    }
    Ok(())
}

fn wait_for(pid: libc::pid_t) -> Result<()> {
    let mut status = 0;
    // SAFETY: the pointer is to a local that outlives the call.
    check(unsafe { libc::waitpid(pid, &raw mut status, 0) })?;
    ensure!(status == 0, "the child ended with wait status {status}");
    Ok(())
}

fn fork(_: &mut Bench, _: u32) -> Result<()> {
    // SAFETY: the child does nothing but end.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        // SAFETY: _exit runs no exit handlers.
        unsafe { libc::_exit(0) };
    }
    wait_for(check(pid)?)
}

fn fork_exec(bench: &mut Bench, _: u32) -> Result<()> {
    let argv = [bench.tiny.as_ptr().cast_mut(), c"one".as_ptr().cast_mut(), std::ptr::null_mut()];
    let mut pid = 0;
    // SAFETY: path and arguments are NUL-terminated, the array ends with a null pointer; null attributes and actions
    // mean none; the environment is an empty list.
    let error = unsafe {
        libc::posix_spawn(
            &raw mut pid,
            bench.tiny.as_ptr(),
            std::ptr::null(),
            std::ptr::null(),
            argv.as_ptr(),
            argv[2..].as_ptr(),
        )
    };
    ensure!(error == 0, "posix_spawn: {}", std::io::Error::from_raw_os_error(error));
    wait_for(pid)
}

fn connect(socket: &OwnedFd, to: &Address) -> Result<()> {
    // SAFETY: `to` gives a pointer and its length, both valid while it lives.
    check(unsafe { libc::connect(socket.as_raw_fd(), to.as_ptr(), to.size()) }).context("connect")?;
    Ok(())
}

fn udp_connect(bench: &mut Bench, _: u32) -> Result<()> {
    let fresh = socket(libc::AF_INET, libc::SOCK_DGRAM, 0)?;
    connect(&fresh, &Address::new(bench.receiver.local_addr()?))
}

fn tcp_connect(bench: &mut Bench, _: u32) -> Result<()> {
    let fresh = socket(libc::AF_INET, libc::SOCK_STREAM, 0)?;
    // Closing with a reset leaves no TIME_WAIT behind that would make later rounds dearer.
    set_option(&fresh, libc::SOL_SOCKET, libc::SO_LINGER, libc::linger { l_onoff: 1, l_linger: 0 })?;
    connect(&fresh, &Address::new(bench.listener.local_addr()?))?;
    let accepted = bench.listener.accept().context("accept")?;
    drop(fresh);
    drop(accepted);
    Ok(())
}

fn send_to(bench: &mut Bench, _: u32) -> Result<()> {
    let to = Address::new(bench.receiver.local_addr()?);
    // SAFETY: buffer and address pointers come with their lengths and outlive the call.
    let sent = unsafe { libc::sendto(bench.sender.as_raw_fd(), c"x".as_ptr().cast(), 1, 0, to.as_ptr(), to.size()) };
    check_size(sent)?;
    // Empties the queue; whether this very datagram is in it already does not matter.
    let _ = bench.receiver.recv(&mut [0; 8]);
    Ok(())
}
