//! The operations of `act` on sockets of the Internet families: connect and send, by each of their system calls.
//!
//! Invariant: each uses a socket of its own and performs the calls it is named after, nothing else.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    os::fd::{AsRawFd as _, OwnedFd},
    time::Duration,
};

use anyhow::{Context, Result};

use super::{
    act_ops::{Done, Kept},
    sys::{self, Address, check, check_size},
};

/// Not in libc for all targets: connect, but send the SYN with the first data.
const TCP_FASTOPEN_CONNECT: libc::c_int = 30;
const SOL_SCTP: libc::c_int = 132;
const SCTP_SOCKOPT_CONNECTX: libc::c_int = 110;

/// Performs the operation if it is one of this module's.
pub(super) fn perform(words: &[&str], kept: &mut Kept) -> Done {
    Ok(Some(match words {
        ["connect", to] => tcp_connect(address(to)?, 0).map(drop),
        ["keep", to] => tcp_connect(address(to)?, 0).map(|socket| kept.socket = Some(socket)),
        ["mptcp", to] => tcp_connect(address(to)?, libc::IPPROTO_MPTCP).map(drop),
        ["mptcp-keep", to] => tcp_connect(address(to)?, libc::IPPROTO_MPTCP).map(|socket| kept.socket = Some(socket)),
        ["syn", to, milliseconds] => syn(address(to)?, milliseconds.parse()?, None),
        ["syn", to, milliseconds, from] => syn(address(to)?, milliseconds.parse()?, Some(address(from)?)),
        ["udp-connect", to] => udp_connect(address(to)?).map(|socket| kept.socket = Some(socket)),
        ["udp-connect-send", to] => udp_connect(address(to)?).and_then(|socket| send(&socket)),
        ["sendto", to] => send_to(address(to)?, libc::SOCK_DGRAM, 0),
        ["sendto", to, from] => send_from(address(to)?, address(from)?),
        ["fastopen", to] => send_to(address(to)?, libc::SOCK_STREAM, libc::MSG_FASTOPEN),
        ["deferred-connect", to] => deferred_connect(address(to)?),
        ["unspec", to] => send_unspec(address(to)?),
        ["sendto-by-v6-socket", to] => by_v6_socket(address(to)?, false),
        ["udp-connect-by-v6-socket", to] => by_v6_socket(address(to)?, true),
        ["sendmsg", to] => send_message(address(to)?, false),
        ["sendmmsg", to] => send_message(address(to)?, true),
        ["sendto-through", to, first] => source_routed(address(to)?, ip(first)?),
        ["sctp", to] => sctp_connect(address(to)?, false),
        ["sctp-connectx", to] => sctp_connect(address(to)?, true),
        ["sctp-sendto", to] => sctp_send(address(to)?),
        ["socket", family, kind, protocol] => {
            sys::socket(family.parse()?, kind.parse()?, protocol.parse()?).map(|socket| kept.socket = Some(socket))
        }
        _ => return Ok(None),
    }))
}

/// Parses `ADDRESS:PORT`.
pub(super) fn address(text: &str) -> Result<SocketAddr> {
    text.parse().with_context(|| format!("`{text}` is not ADDRESS:PORT"))
}

/// Parses an address without a port.
pub(super) fn ip(text: &str) -> Result<IpAddr> {
    text.parse().with_context(|| format!("`{text}` is no address"))
}

pub(super) fn connect(socket: &OwnedFd, to: &Address) -> io::Result<()> {
    // SAFETY: `to` gives a pointer and its length, both valid while it lives.
    check(unsafe { libc::connect(socket.as_raw_fd(), to.as_ptr(), to.size()) })?;
    Ok(())
}

pub(super) fn bind(socket: &OwnedFd, at: &Address) -> io::Result<()> {
    // SAFETY: `at` gives a pointer and its length, both valid while it lives.
    check(unsafe { libc::bind(socket.as_raw_fd(), at.as_ptr(), at.size()) })?;
    Ok(())
}

/// A connect or send that nobody answers ends with EINPROGRESS or EAGAIN after this long instead of minutes.
fn patience(socket: &OwnedFd) -> io::Result<()> {
    sys::set_option(socket, libc::SOL_SOCKET, libc::SO_SNDTIMEO, libc::timeval { tv_sec: 5, tv_usec: 0 })
}

pub(super) fn tcp_connect(to: SocketAddr, protocol: libc::c_int) -> io::Result<OwnedFd> {
    let to = Address::new(to);
    let socket = sys::socket(to.family(), libc::SOCK_STREAM, protocol)?;
    patience(&socket)?;
    connect(&socket, &to)?;
    Ok(socket)
}

/// A TCP connect that is given this long; EINPROGRESS if it is not answered in time.
fn syn(to: SocketAddr, milliseconds: u64, from: Option<SocketAddr>) -> io::Result<()> {
    let to = Address::new(to);
    let socket = sys::socket(to.family(), libc::SOCK_STREAM | libc::SOCK_NONBLOCK, 0)?;
    from.map_or(Ok(()), |from| bind(&socket, &Address::new(from)))?;
    match connect(&socket, &to) {
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
        other => return other,
    }
    std::thread::sleep(Duration::from_millis(milliseconds));
    // Once more: EISCONN when it came about, EALREADY while it is open, else the error.
    match connect(&socket, &to).map_err(|error| error.raw_os_error()) {
        Ok(()) | Err(Some(libc::EISCONN)) => Ok(()),
        Err(Some(libc::EALREADY)) => Err(io::Error::from_raw_os_error(libc::EINPROGRESS)),
        Err(errno) => Err(io::Error::from_raw_os_error(errno.unwrap_or(libc::EINVAL))),
    }
}

/// A connect that sends nothing, and the first byte, with which the SYN goes. Needs `tcp_fastopen` 5 (a cookie is not asked
/// for) to be deferred.
fn deferred_connect(to: SocketAddr) -> io::Result<()> {
    let to = Address::new(to);
    let socket = sys::socket(to.family(), libc::SOCK_STREAM, 0)?;
    patience(&socket)?;
    sys::set_option(&socket, libc::IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1)?;
    connect(&socket, &to)?;
    send(&socket)
}

fn udp_connect(to: SocketAddr) -> io::Result<OwnedFd> {
    let to = Address::new(to);
    let socket = sys::socket(to.family(), libc::SOCK_DGRAM, 0)?;
    connect(&socket, &to)?;
    Ok(socket)
}

pub(super) fn send(socket: &OwnedFd) -> io::Result<()> {
    // SAFETY: the buffer is a static string of at least one byte.
    check_size(unsafe { libc::send(socket.as_raw_fd(), c"x".as_ptr().cast(), 1, libc::MSG_NOSIGNAL) })?;
    Ok(())
}

pub(super) fn send_bytes(socket: &OwnedFd, bytes: &[u8], flags: libc::c_int, to: &Address) -> io::Result<()> {
    // SAFETY: buffer and address pointers come with their lengths and outlive the call.
    let sent =
        unsafe { libc::sendto(socket.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), flags, to.as_ptr(), to.size()) };
    check_size(sent)?;
    Ok(())
}

fn send_to(to: SocketAddr, kind: libc::c_int, flags: libc::c_int) -> io::Result<()> {
    let to = Address::new(to);
    let socket = sys::socket(to.family(), kind, 0)?;
    patience(&socket)?;
    send_bytes(&socket, b"x", flags | libc::MSG_NOSIGNAL, &to)
}

fn send_from(to: SocketAddr, from: SocketAddr) -> io::Result<()> {
    let to = Address::new(to);
    let socket = sys::socket(to.family(), libc::SOCK_DGRAM, 0)?;
    bind(&socket, &Address::new(from))?;
    send_bytes(&socket, b"x", 0, &to)
}

fn send_unspec(to: SocketAddr) -> io::Result<()> {
    let to = Address::new(to);
    let socket = sys::socket(to.family(), libc::SOCK_DGRAM, 0)?;
    send_bytes(&socket, b"x", 0, &to.with_family(libc::AF_UNSPEC as libc::sa_family_t))
}

/// An AF_INET address given to an AF_INET6 socket, which UDP accepts.
fn by_v6_socket(to: SocketAddr, connected: bool) -> io::Result<()> {
    let to = Address::new(to);
    let socket = sys::socket(libc::AF_INET6, libc::SOCK_DGRAM, 0)?;
    if connected {
        connect(&socket, &to)?;
        return send(&socket);
    }
    send_bytes(&socket, b"x", 0, &to)
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

/// UDP by way of `first`: a source route (v4), a routing header of type 4 (v6). The packet's destination is `first`, the
/// call's is `to`.
fn source_routed(to: SocketAddr, first: IpAddr) -> io::Result<()> {
    let to = Address::new(to);
    let socket = sys::socket(to.family(), libc::SOCK_DGRAM, 0)?;
    match first {
        IpAddr::V4(first) => {
            let mut option = [131, 7, 4, 0, 0, 0, 0, 0];
            option[3..7].copy_from_slice(&first.octets());
            sys::set_option(&socket, libc::IPPROTO_IP, libc::IP_OPTIONS, option)?;
        }
        IpAddr::V6(first) => {
            // next header, length in 8 bytes, type, segments left, last entry, flags, tag, then the segments backwards;
            // the kernel fills in the last one from the call's destination.
            let mut header = [0_u8; 40];
            header[..8].copy_from_slice(&[0, 4, 4, 1, 1, 0, 0, 0]);
            header[24..40].copy_from_slice(&first.octets());
            sys::set_option(&socket, libc::IPPROTO_IPV6, libc::IPV6_RTHDR, header)?;
        }
    }
    send_bytes(&socket, b"x", 0, &to)
}

/// The beginning of an association: it is asked for, nobody waits for the answer.
fn sctp_connect(to: SocketAddr, by_option: bool) -> io::Result<()> {
    let to = Address::new(to);
    let socket = sys::socket(to.family(), libc::SOCK_STREAM | libc::SOCK_NONBLOCK, libc::IPPROTO_SCTP)?;
    let done = if by_option {
        let (fd, list) = (socket.as_raw_fd(), to.as_ptr().cast());
        // SAFETY: the pointer and the length describe one address, which outlives the call.
        check(unsafe { libc::setsockopt(fd, SOL_SCTP, SCTP_SOCKOPT_CONNECTX, list, to.size()) }).map(drop)
    } else {
        connect(&socket, &to)
    };
    match done {
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => Ok(()),
        done => done,
    }
}

/// A message whose association is made on the way.
fn sctp_send(to: SocketAddr) -> io::Result<()> {
    let to = Address::new(to);
    let socket = sys::socket(to.family(), libc::SOCK_SEQPACKET | libc::SOCK_NONBLOCK, libc::IPPROTO_SCTP)?;
    send_bytes(&socket, b"x", 0, &to)
}
