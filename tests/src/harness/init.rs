//! Process 1 in the VM: prepares the machine, runs the command it was given, reports its status, powers off.
//!
//! Contract with xtask: `/etc/vm/argv` holds the command, its words separated by NUL; `/etc/vm/modules` the kernel modules
//! in load order; output goes to the second serial port, the console (the first) is the kernel's alone; the last line
//! is `@@vm-exit N`. Whatever goes wrong here is reported with status 125.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::Write as _,
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::process::ExitStatusExt as _,
    },
    path::Path,
    process::{Command, ExitCode, Stdio},
};

use anyhow::{Context, Result, ensure};

use super::sys;

/// Set for everything that runs in the VM.
pub const VM_MARK: &str = "SENTINEL_TESTS_VM";

pub(crate) const MOUNTS: [(&str, &str, &str); 11] = [
    ("proc", "/proc", "proc"),
    ("sysfs", "/sys", "sysfs"),
    ("devtmpfs", "/dev", "devtmpfs"),
    ("devpts", "/dev/pts", "devpts"),
    ("tmpfs", "/dev/shm", "tmpfs"),
    ("tmpfs", "/tmp", "tmpfs"),
    ("tmpfs", "/run", "tmpfs"),
    ("securityfs", "/sys/kernel/security", "securityfs"),
    ("bpf", "/sys/fs/bpf", "bpf"),
    ("tracefs", "/sys/kernel/tracing", "tracefs"),
    ("cgroup2", "/sys/fs/cgroup", "cgroup2"),
];

/// Never returns to a caller that matters: the machine is off afterwards.
pub fn main() -> ExitCode {
    let status = match work() {
        Ok(status) => status,
        Err(error) => {
            // Without the serial port nobody hears this, and xtask reports the missing status.
            let _ = port().map(|mut port| writeln!(port, "init: {error:#}"));
            125
        }
    };
    finish(status);
    ExitCode::FAILURE
}

fn work() -> Result<i32> {
    for (source, target, kind) in MOUNTS {
        fs::create_dir_all(target).with_context(|| format!("making {target}"))?;
        sys::mount(source, target, kind, 0, "").with_context(|| format!("mounting {kind} on {target}"))?;
    }
    device_links()?;
    delegate_controllers();
    load_modules()?;
    loopback_up().context("bringing the loopback device up")?;
    run_command()
}

/// The links that every Unix program expects and devtmpfs does not make, and the node at whose opening the kernel asks for
/// the module of tun devices.
fn device_links() -> Result<()> {
    fs::create_dir_all("/dev/net").context("making /dev/net")?;
    if !Path::new("/dev/net/tun").exists() {
        let (kind, number) = (libc::S_IFCHR | 0o666, libc::makedev(10, 200));
        // SAFETY: the path is a NUL-terminated static string; the other two are integers.
        sys::check(unsafe { libc::mknod(c"/dev/net/tun".as_ptr(), kind, number) }).context("making /dev/net/tun")?;
    }
    for (target, link) in [
        ("/proc/self/fd", "/dev/fd"),
        ("/proc/self/fd/0", "/dev/stdin"),
        ("/proc/self/fd/1", "/dev/stdout"),
        ("/proc/self/fd/2", "/dev/stderr"),
    ] {
        std::os::unix::fs::symlink(target, link).with_context(|| format!("linking {link}"))?;
    }
    Ok(())
}

/// Lets cgroups below the root have limits; a controller that this kernel lacks is no reason to stop.
fn delegate_controllers() {
    for controller in ["+cpu", "+memory", "+pids"] {
        let _ = fs::write("/sys/fs/cgroup/cgroup.subtree_control", controller);
    }
}

fn load_modules() -> Result<()> {
    let list = fs::read_to_string("/etc/vm/modules").context("reading /etc/vm/modules")?;
    for path in list.lines() {
        let file = File::open(path).with_context(|| format!("opening the module {path}"))?;
        // SAFETY: the descriptor is open and the parameter string is NUL-terminated.
        let loaded = unsafe { libc::syscall(libc::SYS_finit_module, file.as_raw_fd(), c"".as_ptr(), 0) };
        let error = std::io::Error::last_os_error();
        ensure!(loaded == 0 || error.raw_os_error() == Some(libc::EEXIST), "loading the module {path}: {error}");
    }
    Ok(())
}

fn loopback_up() -> std::io::Result<()> {
    let socket: OwnedFd = sys::socket(libc::AF_INET, libc::SOCK_DGRAM, 0)?;
    // SAFETY: ifreq is plain old data for which all zeroes is valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l' as libc::c_char;
    request.ifr_name[1] = b'o' as libc::c_char;
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: SIOCSIFFLAGS reads an ifreq, which outlives the call.
    sys::check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) })?;
    Ok(())
}

fn run_command() -> Result<i32> {
    let words = fs::read_to_string("/etc/vm/argv").context("reading /etc/vm/argv")?;
    let words: Vec<&str> = words.split_terminator('\0').collect();
    let (program, args) = words.split_first().context("/etc/vm/argv is empty")?;
    let port = port()?;
    let environment: BTreeMap<&str, &str> = BTreeMap::from([
        ("PATH", "/bin:/sbin:/usr/bin:/usr/sbin"),
        ("HOME", "/root"),
        ("TERM", "dumb"),
        ("TMPDIR", "/tmp"),
        ("RUST_BACKTRACE", "1"),
        (VM_MARK, "1"),
    ]);
    let child = Command::new(program)
        .args(args)
        .env_clear()
        .envs(environment)
        .current_dir("/root")
        .stdin(Stdio::null())
        .stdout(port.try_clone()?)
        .stderr(port)
        .spawn()
        .with_context(|| format!("starting `{program}`"))?;
    wait_for(child.id())
}

/// Waits for the command and reaps every orphan meanwhile.
fn wait_for(command: u32) -> Result<i32> {
    loop {
        let mut status = 0;
        // SAFETY: the pointer is to a local that outlives the call.
        let pid = sys::check(unsafe { libc::waitpid(-1, &raw mut status, 0) }).context("waiting for the command")?;
        if u32::try_from(pid) == Ok(command) {
            let status = std::process::ExitStatus::from_raw(status);
            return Ok(status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(125));
        }
    }
}

/// The second serial port, raw: what is written arrives byte for byte.
fn port() -> Result<File> {
    let port = OpenOptions::new().read(true).write(true).open("/dev/ttyS1").context("opening /dev/ttyS1")?;
    // SAFETY: termios is plain old data for which all zeroes is valid.
    let mut settings: libc::termios = unsafe { std::mem::zeroed() };
    // SAFETY: the descriptor is open and the pointer is to a local that outlives each call.
    unsafe {
        sys::check(libc::tcgetattr(port.as_raw_fd(), &raw mut settings))?;
        libc::cfmakeraw(&raw mut settings);
        sys::check(libc::tcsetattr(port.as_raw_fd(), libc::TCSANOW, &raw const settings))?;
    }
    Ok(port)
}

/// Ends everything else, writes the status, powers off.
fn finish(status: i32) {
    // SAFETY: kill with -1 signals every process but this one; after it only init writes to the port.
    unsafe { libc::kill(-1, libc::SIGKILL) };
    if let Ok(mut port) = port() {
        // If this cannot be written, xtask reports that the status is missing.
        let _ = writeln!(port, "\n@@vm-exit {status}");
        // SAFETY: the descriptor is open.
        unsafe { libc::tcdrain(port.as_raw_fd()) };
    }
    // SAFETY: sync and reboot take no memory of ours; init may power the machine off.
    unsafe {
        libc::sync();
        libc::reboot(libc::RB_POWER_OFF);
    }
}
