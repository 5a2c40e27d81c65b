//! The operation of `act` on AF_XDP sockets: frames from shared memory to the device, in copy mode.
//!
//! Invariant: as in `act_link`: the frame arrives unless something refuses it.

use std::{
    io,
    net::IpAddr,
    os::fd::{AsRawFd as _, OwnedFd},
    sync::atomic::Ordering,
    time::Duration,
};

use anyhow::Result;

use super::{
    act_link::{DEVICE, frame},
    act_net::ip,
    act_ops::{Done, Kept},
    meter::device_index,
    sys::{self, Mapping, check},
};

const CHUNK: usize = 2048;
const CHUNKS: u32 = 64;
/// Entries of each ring.
const ENTRIES: u32 = 64;

/// Performs the operation if it is one of this module's.
pub(super) fn perform(words: &[&str], _: &mut Kept) -> Done {
    Ok(Some(match words {
        ["xdp", to, count] => send(ip(to)?, count.parse()?)?,
        _ => return Ok(None),
    }))
}

fn send(to: IpAddr, count: u32) -> Result<io::Result<()>> {
    let frame = frame(to)?;
    Ok((|| {
        let mut port = Port::open(&frame)?;
        (0..count).try_for_each(|_| port.send(frame.len()))
    })())
}

/// A ring as the kernel lays it out: two indexes and the entries.
struct Ring {
    memory: Mapping,
    at: libc::xdp_ring_offset,
}

impl Ring {
    fn map(socket: &OwnedFd, at: libc::xdp_ring_offset, entry: usize, page: libc::off_t) -> io::Result<Self> {
        let length = at.desc as usize + ENTRIES as usize * entry;
        Ok(Self { memory: Mapping::of(socket, length, page)?, at })
    }

    fn producer(&self) -> &std::sync::atomic::AtomicU32 {
        self.memory.atomic(self.at.producer as usize)
    }

    fn consumer(&self) -> &std::sync::atomic::AtomicU32 {
        self.memory.atomic(self.at.consumer as usize)
    }
}

/// A socket bound to queue 0 of the device, and its memory, whose first chunk holds the frame.
struct Port {
    socket: OwnedFd,
    sending: Ring,
    done: Ring,
    _chunks: Mapping,
}

impl Port {
    fn open(frame: &[u8]) -> io::Result<Self> {
        let socket = sys::socket(libc::AF_XDP, libc::SOCK_RAW, 0)?;
        let chunks = Mapping::private(CHUNK * CHUNKS as usize)?;
        chunks.write(0, frame);
        // The registration as it was when AF_XDP was new: kernels take every length from that one on.
        let region = [chunks.address() as u64, (CHUNK * CHUNKS as usize) as u64, CHUNK as u64];
        sys::set_option(&socket, libc::SOL_XDP, libc::XDP_UMEM_REG, region)?;
        for ring in [libc::XDP_UMEM_FILL_RING, libc::XDP_UMEM_COMPLETION_RING, libc::XDP_TX_RING] {
            sys::set_option(&socket, libc::SOL_XDP, ring, ENTRIES)?;
        }
        let at = offsets(&socket)?;
        let sending = Ring::map(&socket, at.tx, size_of::<libc::xdp_desc>(), libc::XDP_PGOFF_TX_RING)?;
        let done = Ring::map(&socket, at.cr, size_of::<u64>(), libc::XDP_UMEM_PGOFF_COMPLETION_RING as libc::off_t)?;
        bind(&socket)?;
        Ok(Self { socket, sending, done, _chunks: chunks })
    }

    /// Puts the frame into the ring, wakes the kernel, and waits until it says that the frame is gone.
    fn send(&mut self, length: usize) -> io::Result<()> {
        let next = self.sending.producer().load(Ordering::Relaxed);
        let slot = self.sending.at.desc as usize + (next % ENTRIES) as usize * size_of::<libc::xdp_desc>();
        self.sending.memory.write(slot, &0_u64.to_ne_bytes());
        self.sending.memory.write(slot + 8, &(length as u64).to_ne_bytes());
        self.sending.producer().store(next.wrapping_add(1), Ordering::Release);
        for _ in 0..1000 {
            // SAFETY: no data and no address are given, which wakes the kernel up.
            let woken = unsafe {
                libc::sendto(self.socket.as_raw_fd(), std::ptr::null(), 0, libc::MSG_DONTWAIT, std::ptr::null(), 0)
            };
            if let Err(error) = sys::check_size(woken)
                && ![libc::EAGAIN, libc::EBUSY].contains(&error.raw_os_error().unwrap_or(0))
            {
                return Err(error);
            }
            let taken = self.done.consumer().load(Ordering::Relaxed);
            if self.done.producer().load(Ordering::Acquire) != taken {
                self.done.consumer().store(taken.wrapping_add(1), Ordering::Release);
                return Ok(());
            }
            std::thread::sleep(Duration::from_micros(50));
        }
        Err(io::Error::from_raw_os_error(libc::ETIMEDOUT))
    }
}

fn offsets(socket: &OwnedFd) -> io::Result<libc::xdp_mmap_offsets> {
    // SAFETY: xdp_mmap_offsets is plain old data for which all zeroes is valid.
    let mut at: libc::xdp_mmap_offsets = unsafe { std::mem::zeroed() };
    let mut length = sys::len_of::<libc::xdp_mmap_offsets>();
    let (fd, into) = (socket.as_raw_fd(), (&raw mut at).cast());
    // SAFETY: the pointer and the length describe `at`, which outlives the call.
    check(unsafe { libc::getsockopt(fd, libc::SOL_XDP, libc::XDP_MMAP_OFFSETS, into, &raw mut length) })?;
    Ok(at)
}

fn bind(socket: &OwnedFd) -> io::Result<()> {
    // SAFETY: sockaddr_xdp is plain old data for which all zeroes is valid.
    let mut at: libc::sockaddr_xdp = unsafe { std::mem::zeroed() };
    at.sxdp_family = libc::AF_XDP as u16;
    at.sxdp_flags = libc::XDP_COPY;
    at.sxdp_ifindex = device_index(DEVICE)?;
    let length = sys::len_of::<libc::sockaddr_xdp>();
    let mut tries = 0;
    loop {
        // SAFETY: the pointer and the length describe `at`.
        match check(unsafe { libc::bind(socket.as_raw_fd(), (&raw const at).cast(), length) }) {
            // The kernel lets go of a queue a little after the socket before was closed.
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) && tries < 200 => tries += 1,
            done => return done.map(drop),
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
