//! The operations of `act` that serve: listeners, a proxy, bulk transfer, and a process that moves elsewhere.
//!
//! Invariant: a server that failed to bind says so by its errno; what it serves afterwards goes on in threads of the same
//! process until the process ends.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    os::fd::AsRawFd as _,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use super::{
    act_net::{self, address, tcp_connect},
    act_ops::{Done, Kept},
    cgroup,
    sys::{self, Address, check},
};

/// Performs the operation if it is one of this module's.
pub(super) fn perform(words: &[&str], kept: &mut Kept) -> Done {
    Ok(Some(match words {
        ["listen", at] => listen(address(at)?),
        ["mptcp-listen", at] => mptcp_listen(address(at)?, kept),
        ["proxy", at, to] => proxy(address(at)?, address(to)?),
        ["drain", at] => drain(address(at)?),
        ["blast", to, milliseconds] => blast(address(to)?, Duration::from_millis(milliseconds.parse()?)),
        ["unshare", "net"] => sys::unshare(libc::CLONE_NEWNET),
        ["unshare", "user+net"] => sys::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNET),
        ["child-cgroup", name] => return child_cgroup(name).map(Some),
        _ => return Ok(None),
    }))
}

/// Accepts connections and answers each with a byte.
fn listen(at: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(at)?;
    // The standard library's queue is shorter than a burst of questions.
    // SAFETY: listen takes two integers; the descriptor is open.
    check(unsafe { libc::listen(listener.as_raw_fd(), 4096) })?;
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            // Who has gone again is of no interest.
            let _ = stream.write_all(b"x");
        }
    });
    Ok(())
}

/// Listens for Multipath TCP; the kernel makes the connections, nobody takes them.
fn mptcp_listen(at: SocketAddr, kept: &mut Kept) -> io::Result<()> {
    let at = Address::new(at);
    let socket = sys::socket(at.family(), libc::SOCK_STREAM, libc::IPPROTO_MPTCP)?;
    act_net::bind(&socket, &at)?;
    // SAFETY: listen takes two integers; the descriptor is open.
    check(unsafe { libc::listen(socket.as_raw_fd(), 4096) })?;
    kept.socket = Some(socket);
    Ok(())
}

/// Accepts connections and connects on to `to`, whatever they asked for; says each time what came of that.
fn proxy(at: SocketAddr, to: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(at)?;
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for mut stream in listener.incoming().flatten() {
            let onward = tcp_connect(to, 0);
            println!("proxied={}", onward.as_ref().map_or_else(|e| e.raw_os_error().unwrap_or(libc::EINVAL), |_| 0));
            let _ = io::stdout().flush();
            if let Ok(onward) = onward {
                let (mut onward, mut bytes) = (TcpStream::from(onward), [0; 64]);
                let _ = stream.read(&mut bytes).and_then(|size| onward.write_all(&bytes[..size]));
                open.push(onward);
            }
        }
    });
    Ok(())
}

/// Accepts connections and throws away what comes, as fast as it can.
fn drain(at: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(at)?;
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut bytes = vec![0; 256 << 10];
                while matches!(stream.read(&mut bytes), Ok(size) if size > 0) {}
            });
        }
    });
    Ok(())
}

/// Sends as much as it can for this long; says how many bytes in how many microseconds, and of CPU time.
fn blast(to: SocketAddr, time: Duration) -> io::Result<()> {
    let mut stream = TcpStream::from(tcp_connect(to, 0)?);
    let (bytes, begin, mut sent) = (vec![0; 128 << 10], Instant::now(), 0_u64);
    let before = cpu_time()?;
    while begin.elapsed() < time {
        sent += stream.write(&bytes)? as u64;
    }
    let cpu = cpu_time()? - before;
    println!("blasted={sent} microseconds={} cpu={}", begin.elapsed().as_micros(), cpu.as_micros());
    Ok(())
}

/// User and system time of this process.
fn cpu_time() -> io::Result<Duration> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a local that outlives the call.
    check(unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) })?;
    Ok(Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).map_err(io::Error::other)?))
}

/// Makes a cgroup below its own one, unless it is there already, and moves there.
fn child_cgroup(name: &str) -> Result<io::Result<()>> {
    let own = fs::read_to_string("/proc/self/cgroup").context("reading /proc/self/cgroup")?;
    let own = own.lines().find_map(|line| line.strip_prefix("0::")).context("in no cgroup v2 hierarchy")?;
    let dir = cgroup::v2_mount()?.join(own.trim_start_matches('/')).join(name);
    let moved =
        fs::create_dir_all(&dir).and_then(|()| fs::write(dir.join("cgroup.procs"), std::process::id().to_string()));
    Ok(moved)
}
