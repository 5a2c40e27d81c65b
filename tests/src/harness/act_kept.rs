//! The operations of `act` on a socket that is kept: sends on it, unconnected sockets with many peers, passing it on.
//!
//! Invariant: the socket that sends is the one an earlier operation made, in whichever process that was.

use std::{
    io,
    mem::MaybeUninit,
    net::{IpAddr, SocketAddr},
    os::{
        fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd},
        unix::net::{UnixListener, UnixStream},
    },
    path::Path,
    time::Duration,
};

use anyhow::{Context, Result};

use super::{
    act_net::{address, connect, ip, send, send_bytes},
    act_ops::{Done, Kept},
    act_raw::echo_request,
    sys::{self, Address, check_size},
};

/// Performs the operation if it is one of this module's.
pub(super) fn perform(words: &[&str], kept: &mut Kept) -> Done {
    let mut keep = |made: io::Result<OwnedFd>| made.map(|socket| kept.socket = Some(socket));
    Ok(Some(match words {
        ["udp-open", "4"] => keep(sys::socket(libc::AF_INET, libc::SOCK_DGRAM, 0)),
        ["udp-open", "6"] => keep(sys::socket(libc::AF_INET6, libc::SOCK_DGRAM, 0)),
        ["ping-open", "4"] => keep(sys::socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP)),
        ["ping-open", "6"] => keep(sys::socket(libc::AF_INET6, libc::SOCK_RAW, libc::IPPROTO_ICMPV6)),
        ["raw-connect", to] => keep(raw_connect(ip(to)?)),
        ["receive", path] => keep(receive(Path::new(path))),
        ["send"] => send(the(kept)?),
        ["kept-sendto", to] => send_bytes(the(kept)?, b"x", 0, &Address::new(address(to)?)),
        ["kept-ping", to] => {
            let to = ip(to)?;
            send_bytes(the(kept)?, &echo_request(to), 0, &Address::new(SocketAddr::new(to, 0)))
        }
        ["pass", path] => pass(the(kept)?, Path::new(path)),
        _ => return Ok(None),
    }))
}

fn the(kept: &Kept) -> Result<&OwnedFd> {
    kept.socket.as_ref().context("no socket was kept")
}

/// A connected raw socket. A byte of UDP is no datagram: whoever gets it drops it without an answer.
fn raw_connect(to: IpAddr) -> io::Result<OwnedFd> {
    let to = Address::new(SocketAddr::new(to, 0));
    let socket = sys::socket(to.family(), libc::SOCK_RAW, libc::IPPROTO_UDP)?;
    connect(&socket, &to)?;
    Ok(socket)
}

/// Space for one descriptor, aligned as a control message must be.
#[repr(C, align(8))]
struct Control([u8; 32]);

/// Waits for somebody to connect to `path`, and for the descriptor sent there.
fn receive(path: &Path) -> io::Result<OwnedFd> {
    let (stream, _) = UnixListener::bind(path)?.accept()?;
    let (mut byte, mut control) = ([0_u8; 1], Control([0; 32]));
    let mut part = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
    let mut message = message(&mut part, &mut control);
    // SAFETY: all pointers in the message are to locals that outlive the call, with their lengths.
    check_size(unsafe { libc::recvmsg(stream.as_raw_fd(), &raw mut message, libc::MSG_CMSG_CLOEXEC) })?;
    // SAFETY: the kernel has written the message's control part, which CMSG_FIRSTHDR checks the length of.
    let header = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
    if header.is_null() {
        return Err(io::Error::from_raw_os_error(libc::EBADMSG));
    }
    // SAFETY: the header is not null and is followed by one descriptor, which is new here and owned by nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(libc::CMSG_DATA(header).cast::<RawFd>().read_unaligned()) })
}

/// Sends the descriptor to whoever listens, or will listen soon, on `path`.
fn pass(socket: &OwnedFd, path: &Path) -> io::Result<()> {
    let mut tries = 0;
    let stream = loop {
        match UnixStream::connect(path) {
            Err(_) if tries < 500 => std::thread::sleep(Duration::from_millis(10)),
            done => break done?,
        }
        tries += 1;
    };
    let (mut byte, mut control) = ([0_u8; 1], Control([0; 32]));
    let mut part = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
    let message = message(&mut part, &mut control);
    // SAFETY: CMSG_FIRSTHDR gives a place inside `control`, which is large enough for a header and one descriptor.
    unsafe {
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = libc::CMSG_LEN(DESCRIPTOR) as usize;
        libc::CMSG_DATA(header).cast::<RawFd>().write_unaligned(socket.as_raw_fd());
    }
    // SAFETY: all pointers in the message are to locals that outlive the call, with their lengths.
    check_size(unsafe { libc::sendmsg(stream.as_raw_fd(), &raw const message, 0) })?;
    Ok(())
}

const DESCRIPTOR: u32 = size_of::<RawFd>() as u32;

fn message(part: &mut libc::iovec, control: &mut Control) -> libc::msghdr {
    // SAFETY: msghdr is plain old data for which all zeroes is valid.
    let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    message.msg_iov = part;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    // SAFETY: CMSG_SPACE computes a length.
    message.msg_controllen = unsafe { libc::CMSG_SPACE(DESCRIPTOR) } as usize;
    message
}
