//! The operations of `act` through io_uring: no socket system call is made for the connect or the send itself.
//!
//! Invariant: the request goes through the ring named: at once in the submitter, in a worker thread (`async`), or by the
//! kernel's polling thread (`sqpoll`). The errno is the completion's.

use std::{
    cell::RefCell,
    collections::{BTreeMap, btree_map::Entry},
    io,
    net::SocketAddr,
    os::fd::{AsRawFd as _, OwnedFd},
};

use anyhow::{Result, bail};
use io_uring::{IoUring, cqueue, opcode, squeue, types::Fd};

use super::{
    act_net::address,
    act_ops::{Done, Kept},
    sys::{self, Address},
};

/// Who carries out the request.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum By {
    Submitter,
    Worker,
    Poller,
}

/// Performs the operation if it is one of this module's: `uring-CALL ADDR:PORT [async|sqpoll]`.
pub(super) fn perform(words: &[&str], kept: &mut Kept) -> Done {
    let [call, to, by @ ..] = words else { return Ok(None) };
    let Some(call) = call.strip_prefix("uring-") else { return Ok(None) };
    let (to, by) = (address(to)?, by_whom(by)?);
    Ok(Some(match call {
        "connect" => connect(to, libc::SOCK_STREAM, by).map(drop),
        "udp" => connect(to, libc::SOCK_DGRAM, by).and_then(|socket| send(&socket, by)),
        "keep" => connect(to, libc::SOCK_DGRAM, by).map(|socket| kept.socket = Some(socket)),
        "sendto" => send_to(to, by),
        "sendmsg" => send_message(to, by),
        other => bail!("io_uring has no `{other}` here; see `act help`"),
    }))
}

fn by_whom(words: &[&str]) -> Result<By> {
    Ok(match words {
        [] => By::Submitter,
        ["async"] => By::Worker,
        ["sqpoll"] => By::Poller,
        other => bail!("`{}` is no way to submit; use async or sqpoll", other.join(" ")),
    })
}

thread_local! {
    /// The rings of this thread, each made at its first use: the kernel takes them down slowly.
    static RINGS: RefCell<BTreeMap<By, IoUring>> = const { RefCell::new(BTreeMap::new()) };
}

fn new_ring(by: By) -> io::Result<IoUring> {
    let mut builder = IoUring::builder();
    if by == By::Poller {
        builder.setup_sqpoll(100);
    }
    builder.build(8)
}

/// Submits one request and waits for its completion.
fn complete(request: squeue::Entry, by: By) -> io::Result<()> {
    RINGS.with_borrow_mut(|rings| {
        let ring = match rings.entry(by) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(new_ring(by)?),
        };
        on_ring(ring, request, by)
    })
}

fn on_ring(ring: &mut IoUring, request: squeue::Entry, by: By) -> io::Result<()> {
    let request = if by == By::Worker { request.flags(squeue::Flags::ASYNC) } else { request };
    // SAFETY: everything the request points to is owned by the caller, which waits here for its completion.
    let pushed = unsafe { ring.submission().push(&request) };
    pushed.map_err(|_| io::Error::from_raw_os_error(libc::EBUSY))?;
    loop {
        ring.submit_and_wait(1)?;
        // A send without a copy is completed twice: the second time for its buffer, which is of no interest.
        let done: Option<cqueue::Entry> = ring.completion().find(|done| !cqueue::notif(done.flags()));
        match done.map(|done| done.result()) {
            Some(errno) if errno < 0 => return Err(io::Error::from_raw_os_error(-errno)),
            Some(_) => return Ok(()),
            None => {}
        }
    }
}

/// The same by a worker thread of the kernel, for other modules.
pub(super) fn complete_by_worker(request: squeue::Entry) -> io::Result<()> {
    complete(request, By::Worker)
}

fn connect(to: SocketAddr, kind: libc::c_int, by: By) -> io::Result<OwnedFd> {
    let to = Address::new(to);
    let socket = sys::socket(to.family(), kind, 0)?;
    complete(opcode::Connect::new(Fd(socket.as_raw_fd()), to.as_ptr(), to.size()).build(), by)?;
    Ok(socket)
}

fn send(socket: &OwnedFd, by: By) -> io::Result<()> {
    complete(opcode::Send::new(Fd(socket.as_raw_fd()), c"x".as_ptr().cast(), 1).build(), by)
}

/// A send that names its destination, which IORING_OP_SEND takes since 6.17 and IORING_OP_SEND_ZC since 6.0.
fn send_to(to: SocketAddr, by: By) -> io::Result<()> {
    let to = Address::new(to);
    let socket = sys::socket(to.family(), libc::SOCK_DGRAM, 0)?;
    let request = opcode::SendZc::new(Fd(socket.as_raw_fd()), c"x".as_ptr().cast(), 1)
        .dest_addr(to.as_ptr())
        .dest_addr_len(to.size());
    complete(request.build(), by)
}

fn send_message(to: SocketAddr, by: By) -> io::Result<()> {
    let to = Address::new(to);
    let socket = sys::socket(to.family(), libc::SOCK_DGRAM, 0)?;
    let mut part = libc::iovec { iov_base: c"x".as_ptr().cast_mut().cast(), iov_len: 1 };
    // SAFETY: msghdr is plain old data for which all zeroes is valid.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_name = to.as_ptr().cast_mut().cast();
    message.msg_namelen = to.size();
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    complete(opcode::SendMsg::new(Fd(socket.as_raw_fd()), &raw const message).build(), by)
}
