//! The `act` verb: a child that performs system calls one after the other and prints the errno of each.
//!
//! Invariant: one line `errno=N op=...` for each operation, 0 for success, flushed before the next one starts; nothing
//! else in this process talks to the network or opens the files named. Exit status 0 says only that all were tried.

use std::{
    io::{BufRead as _, Write as _},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};

use super::act_ops::{Kept, perform};

const HELP: &str = "\
Operations, separated by `--`. Each prints `errno=N op=...`.
  connect ADDR:PORT            TCP connect, closed again; waits at most 5 s (errno 115 then)
  keep ADDR:PORT               the same, kept open for `send`
  mptcp, mptcp-keep ADDR:PORT  the same with Multipath TCP
  syn ADDR:PORT MS [FROM:PORT] TCP connect that is given MS milliseconds
  udp-connect ADDR:PORT        UDP connect, kept open for `send`
  raw-connect ADDR             connect of a raw UDP socket, kept open for `send`
  udp-connect-send ADDR:PORT   UDP connect and send
  sendto ADDR:PORT [FROM:PORT] UDP sendto without connect
  sendmsg, sendmmsg ADDR:PORT  the same through the other calls
  sendto-through ADDR:PORT ADDR        UDP sendto with a route by way of the second address
  sendto-by-v6-socket, udp-connect-by-v6-socket ADDR:PORT      UDP to an AF_INET address on an AF_INET6 socket
  unspec ADDR:PORT             UDP sendto whose address says AF_UNSPEC (v4)
  fastopen ADDR:PORT           TCP sendto with MSG_FASTOPEN
  deferred-connect ADDR:PORT   TCP connect with TCP_FASTOPEN_CONNECT, and a byte
  uring-connect, uring-udp, uring-sendto, uring-sendmsg ADDR:PORT [async|sqpoll]       the same through io_uring
  sctp, sctp-connectx, sctp-sendto ADDR:PORT   asks for an association and does not wait for the answer
  ping ADDR [FROM]             ICMP echo request on a raw socket
  ping-socket ADDR             the same on a ping socket
  raw-ip, raw-udp ADDR         UDP on a raw socket, with and without an IP header of our own
  packet-dgram, packet-raw, packet-bypass, packet-ring, xdp ADDR N     N packets on a packet socket of near0: with and
                               without a frame header of ours, past the queue, by PACKET_TX_RING; on an AF_XDP socket
  packet-socket                socket(AF_PACKET, SOCK_RAW)
  socket FAMILY TYPE PROTOCOL  socket(2) with these numbers, kept
  tun ADDR N, tun-open         N packets out of a new tun device; opening /dev/net/tun
  udp-open, ping-open 4|6      an unconnected socket, kept for `kept-sendto ADDR:PORT` and `kept-ping ADDR`
  send                         one byte on the kept socket
  pass, receive PATH           sends the kept socket to who receives at PATH; receives one and keeps it
  listen, drain ADDR:PORT      serve in the background: a byte to each; take all that comes
  mptcp-listen ADDR:PORT       listens for Multipath TCP, kept
  proxy ADDR:PORT ADDR:PORT    connects on to the second for each connection, prints `proxied=ERRNO`
  blast ADDR:PORT MS           sends as much as it can; prints `blasted=BYTES microseconds=N cpu=N`
  unshare net|user+net         new namespaces for this process
  child-cgroup NAME            a new cgroup below its own one for this process
  storm N FIRST FILE           N operations, the lines of FILE in turn; prints `came errno=N times=N op=...`
  storm-for MS FIRST FILE      the same for so many milliseconds
  latch MS OP...               an operation until MS after its first EPERM, or until a line comes in; prints `passed=N refused=N passed_after=N`
  open PATH read|write|create|truncate|path
  unlink, truncate, mkdir PATH
  rename, link, symlink, exchange FROM TO
  rmdir, mknod, chmod, chown, setxattr PATH
  hold-file PATH, cut-held     opens a file for writing and keeps it; ftruncate of it
  own-mounts, bind FROM TO, tmpfs PATH, chroot PATH    a mount namespace of its own; mounts; another root
  reopen, by-handle PATH       opens for reading through a descriptor that was opened with O_PATH; by the file's handle
  ring-open, ring-unlink PATH, ring-rename FROM TO     through io_uring, by its worker
  jit N                        N times, code made in memory is run: private, shared, writable, of a memfd
  map-exec, protect-exec PATH  maps a page to be executed: at once; by changing its protection
  open-unlinked PATH           opens a file once more after its name is gone
  exec PATH [ARG]...           in a forked child; errno is execve's, the child's exit status follows
  become PATH [ARG]...         execve in this very process; prints only when that fails
  become-unlinked PATH [ARG]...        the same with a program whose name is removed first
  become-memfd NAME PATH [ARG]...      the same with a copy of a program in memory
  burst N PATH                 starts a program N times with its number as argument, prints `spawned I PID`, then waits
  family N DATA PROGRAM        N rounds of eight short lives; prints `life SLOT PARENT PID PROGRAM NANOSECONDS`
  seize, write-into, open-memory, take-descriptor PID  enters another process: ptrace, process_vm_writev (what it reads it
                               writes back), /proc/PID/mem, pidfd_getfd
  traced PATH [ARG]...         starts a program that this process traces, and ends it before it has run
  call-self NAME               gives the thread this name
  login UID                    logs in, prints `login=UID`
  terminal whole|error-only PROGRAM [ARG]...   starts it on a terminal of its own, prints `child=` and `terminal=`
  thread OP..., fork OP...     the operation in another thread (`thread=TID`), or in a child made by fork alone
                               (`child=PID`)
  repeat N OP...               the operation N times, one line: 0 or the first errno
  every MS N OP...             the same with a pause after each
  PATH is text, or `hex:` and its bytes in hexadecimal (not for exec and become)
  say TEXT, sleep MS, wait     print; pause; read a line from standard input (no errno line)
";

/// Runs the operations given on the command line.
pub fn main(args: &[String]) -> Result<ExitCode> {
    if args.first().map(String::as_str) == Some("help") {
        print!("{HELP}");
        return Ok(ExitCode::SUCCESS);
    }
    ensure!(!args.is_empty(), "no operation given\n{HELP}");
    let mut kept = Kept::default();
    for op in args.split(|arg| arg == "--") {
        step(op, &mut kept).with_context(|| format!("in `{}`", op.join(" ")))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn step(op: &[String], kept: &mut Kept) -> Result<()> {
    let words: Vec<&str> = op.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["say", text] => println!("{text}"),
        ["sleep", milliseconds] => std::thread::sleep(Duration::from_millis(milliseconds.parse()?)),
        ["wait"] => {
            let mut line = String::new();
            if std::io::stdin().lock().read_line(&mut line)? == 0 {
                bail!("the input ended before a line came");
            }
        }
        ["repeat", times, inner @ ..] => report(repeated(times, Duration::ZERO, inner, kept)?, &words)?,
        ["every", milliseconds, times, inner @ ..] => {
            let pause = Duration::from_millis(milliseconds.parse()?);
            report(repeated(times, pause, inner, kept)?, &words)?;
        }
        _ => report(somewhere(&words, kept)?, &words)?,
    }
    std::io::stdout().flush()?;
    Ok(())
}

/// Performs an operation so often, with a pause after each; 0 or the first errno.
fn repeated(times: &str, pause: Duration, words: &[&str], kept: &mut Kept) -> Result<i32> {
    let mut first = 0;
    for _ in 0..times.parse::<u32>()? {
        let errno = somewhere(words, kept)?;
        first = if first == 0 { errno } else { first };
        if !pause.is_zero() {
            std::thread::sleep(pause);
        }
    }
    Ok(first)
}

/// Performs an operation in this thread, another one or a child.
fn somewhere(words: &[&str], kept: &mut Kept) -> Result<i32> {
    match words {
        ["thread", inner @ ..] => std::thread::scope(|scope| scope.spawn(|| threaded(inner, kept)).join())
            .map_err(|_| anyhow::anyhow!("the acting thread panicked"))?,
        ["fork", inner @ ..] => forked(inner, kept),
        _ => perform(words, kept),
    }
}

fn threaded(words: &[&str], kept: &mut Kept) -> Result<i32> {
    // SAFETY: gettid has no arguments and cannot fail.
    println!("thread={}", unsafe { libc::gettid() });
    std::io::stdout().flush()?;
    perform(words, kept)
}

fn report(errno: i32, words: &[&str]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "errno={errno} op={}", words.join(" "))?;
    out.flush().context("writing the errno")
}

/// Performs an operation in a child made by fork(2) without exec, whose exit status is the errno.
fn forked(words: &[&str], kept: &mut Kept) -> Result<i32> {
    // SAFETY: this program has one thread (operations in threads have been joined), so the child may do anything.
    let pid = unsafe { libc::fork() };
    if pid < 0 {
        return Err(std::io::Error::last_os_error()).context("fork");
    }
    if pid == 0 {
        let code = match perform(words, kept) {
            Ok(errno) => errno,
            Err(error) => {
                eprintln!("act: {error:#}");
                255
            }
        };
        // SAFETY: _exit ends the child without running the parent's exit handlers.
        unsafe { libc::_exit(code) };
    }
    println!("child={pid}");
    let status = wait_for(pid)?;
    ensure!(libc::WIFEXITED(status), "the forked child was ended by a signal");
    let errno = libc::WEXITSTATUS(status);
    ensure!(errno != 255, "the forked child could not perform the operation");
    Ok(errno)
}

/// waitpid(2) for one child; gives its wait status.
pub fn wait_for(pid: libc::pid_t) -> Result<libc::c_int> {
    let mut status = 0;
    // SAFETY: the pointer is to a local that outlives the call.
    super::sys::check(unsafe { libc::waitpid(pid, &raw mut status, 0) }).context("waitpid")?;
    Ok(status)
}
