//! The frame counter: one packet socket for all destinations of a device.
//!
//! Invariant: it says when it lost a frame. A count is only worth something together with [`Meter::settled`], which fails
//! then, and which waits until what had arrived is counted.

use std::{
    collections::HashMap,
    io,
    net::IpAddr,
    os::fd::{AsRawFd as _, OwnedFd},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use super::{frames::destinations, listen::Worker, sys};

/// Room for what arrives while the counting thread does not run: some 80,000 small frames.
const BUFFER: libc::c_int = 64 << 20;
/// Not in libc: frames that this host sends do not count.
const PACKET_IGNORE_OUTGOING: libc::c_int = 23;

/// Counts the frames that reach a device, by destination.
#[derive(Debug)]
pub struct Meter {
    shared: Arc<Shared>,
    _worker: Worker,
}

#[derive(Debug)]
struct Shared {
    socket: OwnedFd,
    counts: Mutex<HashMap<IpAddr, u64>>,
    /// How often the socket was found empty.
    idle: AtomicU64,
    /// The kernel forgets its count of dropped frames when it is read.
    dropped: AtomicU64,
}

impl Meter {
    /// Opens a packet socket on `device` in the calling thread's network namespace.
    pub fn start(device: &str) -> Result<Self> {
        let socket = packet_socket(device).with_context(|| format!("opening a packet socket on {device}"))?;
        let shared =
            Arc::new(Shared { socket, counts: Mutex::default(), idle: AtomicU64::new(0), dropped: AtomicU64::new(0) });
        let seen = Arc::clone(&shared);
        let worker = Worker::start(move || seen.receive());
        Ok(Self { shared, _worker: worker })
    }

    /// Frames so far whose own or inner destination is `destination`.
    pub fn frames(&self, destination: IpAddr) -> u64 {
        self.shared.counts().get(&destination).copied().unwrap_or(0)
    }

    /// Destinations so far that `which` accepts, with their frames.
    pub fn matching(&self, which: impl Fn(&IpAddr) -> bool) -> Vec<(IpAddr, u64)> {
        self.shared.counts().iter().filter(|(address, _)| which(address)).map(|(a, n)| (*a, *n)).collect()
    }

    /// Waits `quiet` for late frames and then until everything that arrived is counted; fails if any frame was lost.
    pub fn settled(&self, quiet: Duration) -> Result<()> {
        std::thread::sleep(quiet);
        let before = self.shared.idle.load(Ordering::Acquire);
        super::scenario::eventually("the frame counter to be done", Duration::from_secs(60), || {
            Ok((self.shared.idle.load(Ordering::Acquire) > before + 1).then_some(()))
        })?;
        let dropped = self.shared.dropped()?;
        ensure!(dropped == 0, "the frame counter lost {dropped} frames: its counts are worth nothing");
        Ok(())
    }
}

impl Shared {
    fn counts(&self) -> std::sync::MutexGuard<'_, HashMap<IpAddr, u64>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one frame, or notes that there is none.
    fn receive(&self) {
        let mut frame = [0_u8; 256];
        // SAFETY: the pointer and the length describe `frame`.
        let size = unsafe { libc::recv(self.socket.as_raw_fd(), frame.as_mut_ptr().cast(), frame.len(), 0) };
        let Ok(size) = usize::try_from(size) else {
            self.idle.fetch_add(1, Ordering::Release);
            return;
        };
        let mut found = destinations(&frame[..size.min(frame.len())]);
        found.sort_unstable();
        found.dedup();
        let mut counts = self.counts();
        for address in found {
            *counts.entry(address).or_default() += 1;
        }
    }

    fn dropped(&self) -> Result<u64> {
        let mut stats = libc::tpacket_stats { tp_packets: 0, tp_drops: 0 };
        let mut length = sys::len_of::<libc::tpacket_stats>();
        // SAFETY: the pointer and the length describe `stats`, which outlives the call.
        let got = unsafe {
            libc::getsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                (&raw mut stats).cast(),
                &raw mut length,
            )
        };
        sys::check(got).context("reading the statistics of a packet socket")?;
        let more = u64::from(stats.tp_drops);
        Ok(self.dropped.fetch_add(more, Ordering::Relaxed) + more)
    }
}

/// The index of a device of the calling thread's network namespace.
pub fn device_index(device: &str) -> io::Result<u32> {
    let name = sys::c_path(device)?;
    // SAFETY: `name` is a NUL-terminated string that lives until the call returns.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    if index == 0 { Err(io::Error::last_os_error()) } else { Ok(index) }
}

/// The address of a device for packet sockets, for frames of this type (host order).
pub fn link_address(device: &str, kind: u16) -> io::Result<libc::sockaddr_ll> {
    // SAFETY: sockaddr_ll is plain old data for which all zeroes is valid.
    let mut addr: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    addr.sll_family = libc::AF_PACKET as u16;
    addr.sll_protocol = kind.to_be();
    addr.sll_ifindex = i32::try_from(device_index(device)?).map_err(io::Error::other)?;
    Ok(addr)
}

/// A packet socket that receives every frame that reaches `device`, with a time-out so that its thread can end.
fn packet_socket(device: &str) -> io::Result<OwnedFd> {
    let addr = link_address(device, libc::ETH_P_ALL as u16)?;
    // No protocol until it is bound: nothing of other devices comes in.
    let socket = sys::socket(libc::AF_PACKET, libc::SOCK_RAW, 0)?;
    sys::set_option(&socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, BUFFER)?;
    sys::set_option(&socket, libc::SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)?;
    let timeout = libc::timeval { tv_sec: 0, tv_usec: 20_000 };
    sys::set_option(&socket, libc::SOL_SOCKET, libc::SO_RCVTIMEO, timeout)?;
    let length = sys::len_of::<libc::sockaddr_ll>();
    // SAFETY: the pointer and the length describe `addr`.
    sys::check(unsafe { libc::bind(socket.as_raw_fd(), (&raw const addr).cast(), length) })?;
    Ok(socket)
}
