//! The operations of `act`: each performs exactly the system calls it is named after and gives back errno.
//!
//! Invariant: an `Err` means the operation was written wrongly; a refusal by the kernel is `Ok(errno)`.

use std::{
    ffi::CString,
    io,
    net::{IpAddr, SocketAddr},
    os::{
        fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
        unix::process::CommandExt as _,
    },
    process::Command,
};

use anyhow::{Context, Result, bail};

use super::{
    act_exec,
    sys::{self, Address, check, check_size},
};

/// A socket kept from one operation to the next.
#[derive(Default)]
pub struct Kept {
    socket: Option<OwnedFd>,
}

/// Performs one operation; 0 or the errno.
pub fn perform(words: &[&str], kept: &mut Kept) -> Result<i32> {
    let done = match words {
        ["connect", to] => tcp_connect(address(to)?).map(drop),
        ["keep", to] => tcp_connect(address(to)?).map(|socket| kept.socket = Some(socket)),
        ["udp-connect", to] => udp_connect(address(to)?).map(|socket| kept.socket = Some(socket)),
        ["raw-connect", to] => raw_connect(ip(to)?).map(|socket| kept.socket = Some(socket)),
        ["sendto", to] => send_to(address(to)?, libc::SOCK_DGRAM, 0),
        ["fastopen", to] => send_to(address(to)?, libc::SOCK_STREAM, libc::MSG_FASTOPEN),
        ["unspec", to] => send_unspec(address(to)?),
        ["sendmsg", to] => send_message(address(to)?, false),
        ["sendmmsg", to] => send_message(address(to)?, true),
        ["ping", to] => ping(ip(to)?),
        ["packet-socket"] => {
            sys::socket(libc::AF_PACKET, libc::SOCK_RAW, i32::from(u16::to_be(libc::ETH_P_ALL as u16))).map(drop)
        }
        ["send"] => send(kept.socket.as_ref().context("no socket was kept")?),
        ["open", path, how] => open(path, how)?,
        ["open-unlinked", path] => act_exec::open_unlinked(path),
        ["exec", path, args @ ..] => return act_exec::exec(path, args),
        ["become", path, args @ ..] => Err(Command::new(path).args(args).exec()),
        ["become-unlinked", path, args @ ..] => Err(act_exec::become_unlinked(path, args)),
        ["become-memfd", name, path, args @ ..] => Err(act_exec::become_memfd(name, path, args)),
        ["burst", times, path] => return act_exec::burst(times.parse()?, path),
        ["unlink" | "truncate" | "mkdir", path] => on_path(words[0], path),
        ["rename" | "link" | "symlink", from, to] => on_two_paths(words[0], from, to),
        other => bail!("unknown operation `{}`; see `act help`", other.join(" ")),
    };
    Ok(errno_of(done))
}

pub(super) fn errno_of(done: io::Result<()>) -> i32 {
    match done {
        Ok(()) => 0,
        Err(error) => error.raw_os_error().unwrap_or(libc::EINVAL),
    }
}

fn address(text: &str) -> Result<SocketAddr> {
    text.parse().with_context(|| format!("`{text}` is not ADDRESS:PORT"))
}

fn ip(text: &str) -> Result<IpAddr> {
    text.parse().with_context(|| format!("`{text}` is no address"))
}

fn connect(socket: &OwnedFd, to: &Address) -> io::Result<()> {
    // SAFETY: `to` gives a pointer and its length, both valid while it lives.
    check(unsafe { libc::connect(socket.as_raw_fd(), to.as_ptr(), to.size()) })?;
    Ok(())
}

fn tcp_connect(to: SocketAddr) -> io::Result<OwnedFd> {
    let to = Address::new(to);
    let socket = sys::socket(to.family(), libc::SOCK_STREAM, 0)?;
    // A connect that nobody answers ends with EINPROGRESS after this long instead of minutes.
    let patience = libc::timeval { tv_sec: 5, tv_usec: 0 };
    sys::set_option(&socket, libc::SOL_SOCKET, libc::SO_SNDTIMEO, patience)?;
    connect(&socket, &to)?;
    Ok(socket)
}

fn udp_connect(to: SocketAddr) -> io::Result<OwnedFd> {
    let to = Address::new(to);
    let socket = sys::socket(to.family(), libc::SOCK_DGRAM, 0)?;
    connect(&socket, &to)?;
    Ok(socket)
}

fn raw_connect(to: IpAddr) -> io::Result<OwnedFd> {
    let to = Address::new(SocketAddr::new(to, 0));
    // A byte of UDP is no datagram: whoever gets it drops it without an answer.
    let socket = sys::socket(to.family(), libc::SOCK_RAW, libc::IPPROTO_UDP)?;
    connect(&socket, &to)?;
    Ok(socket)
}

fn send(socket: &OwnedFd) -> io::Result<()> {
    // SAFETY: the buffer is a static string of at least one byte.
    check_size(unsafe { libc::send(socket.as_raw_fd(), c"x".as_ptr().cast(), 1, libc::MSG_NOSIGNAL) })?;
    Ok(())
}

fn send_bytes(socket: &OwnedFd, bytes: &[u8], flags: libc::c_int, to: &Address) -> io::Result<()> {
    // SAFETY: buffer and address pointers come with their lengths and outlive the call.
    let sent =
        unsafe { libc::sendto(socket.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), flags, to.as_ptr(), to.size()) };
    check_size(sent)?;
    Ok(())
}

fn send_to(to: SocketAddr, kind: libc::c_int, flags: libc::c_int) -> io::Result<()> {
    let to = Address::new(to);
    let socket = sys::socket(to.family(), kind, 0)?;
    let patience = libc::timeval { tv_sec: 5, tv_usec: 0 };
    sys::set_option(&socket, libc::SOL_SOCKET, libc::SO_SNDTIMEO, patience)?;
    send_bytes(&socket, b"x", flags | libc::MSG_NOSIGNAL, &to)
}

fn send_unspec(to: SocketAddr) -> io::Result<()> {
    let to = Address::new(to);
    let socket = sys::socket(to.family(), libc::SOCK_DGRAM, 0)?;
    send_bytes(&socket, b"x", 0, &to.with_family(libc::AF_UNSPEC as libc::sa_family_t))
}

fn send_message(to: SocketAddr, many: bool) -> io::Result<()> {
    let to = Address::new(to);
    let socket = sys::socket(to.family(), libc::SOCK_DGRAM, 0)?;
    let mut part = libc::iovec { iov_base: c"x".as_ptr().cast_mut().cast(), iov_len: 1 };
    // SAFETY: mmsghdr is plain old data for which all zeroes is valid.
    let mut message: libc::mmsghdr = unsafe { std::mem::zeroed() };
    message.msg_hdr.msg_name = to.as_ptr().cast_mut().cast();
    message.msg_hdr.msg_namelen = to.size();
    message.msg_hdr.msg_iov = &raw mut part;
    message.msg_hdr.msg_iovlen = 1;
    if many {
        // SAFETY: one message, whose pointers are to locals that outlive the call; the kernel only reads them.
        check(unsafe { libc::sendmmsg(socket.as_raw_fd(), &raw mut message, 1, 0) })?;
    } else {
        // SAFETY: as above.
        check_size(unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const message.msg_hdr, 0) })?;
    }
    Ok(())
}

/// An ICMP echo request, checksum filled in (for ICMPv6 the kernel does that).
fn ping(to: IpAddr) -> io::Result<()> {
    let (family, protocol, packet) = match to {
        // type 8, code 0, checksum 0xf7fe, id 0, sequence 1
        IpAddr::V4(_) => (libc::AF_INET, libc::IPPROTO_ICMP, [8, 0, 0xf7, 0xfe, 0, 0, 0, 1]),
        IpAddr::V6(_) => (libc::AF_INET6, libc::IPPROTO_ICMPV6, [128, 0, 0, 0, 0, 0, 0, 1]),
    };
    let socket = sys::socket(family, libc::SOCK_RAW, protocol)?;
    send_bytes(&socket, &packet, 0, &Address::new(SocketAddr::new(to, 0)))
}

/// A path as the kernel takes it: the text itself, or after `hex:` its bytes in hexadecimal, for names that are not UTF-8.
fn bytes_of(text: &str) -> io::Result<CString> {
    let bytes = match text.strip_prefix("hex:") {
        None => Some(text.as_bytes().to_vec()),
        Some(digits) => digits
            .as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
            .collect::<Option<Vec<u8>>>(),
    };
    let path = bytes.and_then(|bytes| CString::new(bytes).ok());
    path.ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))
}

fn open(path: &str, how: &str) -> Result<io::Result<()>> {
    let flags = match how {
        "read" => libc::O_RDONLY,
        "write" => libc::O_WRONLY,
        "create" => libc::O_WRONLY | libc::O_CREAT,
        "truncate" => libc::O_WRONLY | libc::O_TRUNC,
        "path" => libc::O_PATH,
        other => bail!("`{other}` is no way to open; use read, write, create, truncate or path"),
    };
    let path = bytes_of(path)?;
    // SAFETY: `path` is a NUL-terminated string that lives until the call returns.
    let opened = check(unsafe { libc::open(path.as_ptr(), flags | libc::O_CLOEXEC, 0o644) });
    // SAFETY: the kernel just returned this descriptor; nothing else owns it.
    Ok(opened.map(|fd| drop(unsafe { OwnedFd::from_raw_fd(fd) })))
}

fn on_path(call: &str, path: &str) -> io::Result<()> {
    let path: CString = bytes_of(path)?;
    // SAFETY: `path` is a NUL-terminated string that lives until the calls return.
    check(unsafe {
        match call {
            "unlink" => libc::unlink(path.as_ptr()),
            "truncate" => libc::truncate(path.as_ptr(), 0),
            _ => libc::mkdir(path.as_ptr(), 0o755),
        }
    })?;
    Ok(())
}

fn on_two_paths(call: &str, from: &str, to: &str) -> io::Result<()> {
    let (from, to) = (bytes_of(from)?, bytes_of(to)?);
    // SAFETY: both are NUL-terminated strings that live until the calls return.
    check(unsafe {
        match call {
            "rename" => libc::rename(from.as_ptr(), to.as_ptr()),
            "link" => libc::link(from.as_ptr(), to.as_ptr()),
            _ => libc::symlink(from.as_ptr(), to.as_ptr()),
        }
    })?;
    Ok(())
}
