//! Receivers at the far end: TCP and UDP sinks, and a packet socket that counts frames.
//!
//! Invariant: a sink reports only what has arrived; waiting is the caller's (`eventually`). Its thread ends when the
//! sink is dropped.

use std::{
    io::{self, Read as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket},
    os::fd::{AsRawFd as _, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use anyhow::{Context, Result};

use super::sys;

const POLL: Duration = Duration::from_millis(20);

/// A thread that runs `step` until dropped.
#[derive(Debug)]
struct Worker {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    fn start(mut step: impl FnMut() + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !seen.load(Ordering::Relaxed) {
                step();
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed; dropping must not panic again.
            let _ = thread.join();
        }
    }
}

/// Accepts TCP connections and reads them to their end, in turn.
#[derive(Debug)]
pub struct TcpSink {
    accepted: Arc<AtomicU64>,
    bytes: Arc<AtomicU64>,
    addr: SocketAddr,
    _worker: Worker,
}

impl TcpSink {
    /// Listens on `addr` in the calling thread's network namespace.
    pub fn bind(addr: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(addr).with_context(|| format!("listening on {addr}"))?;
        listener.set_nonblocking(true)?;
        let addr = listener.local_addr()?;
        let (accepted, bytes) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (accepted_count, byte_count) = (Arc::clone(&accepted), Arc::clone(&bytes));
        let mut open = Vec::new();
        let worker = Worker::start(move || {
            let mut idle = true;
            if let Ok((stream, _)) = listener.accept()
                && stream.set_nonblocking(true).is_ok()
            {
                accepted_count.fetch_add(1, Ordering::Relaxed);
                open.push(stream);
                idle = false;
            }
            open.retain_mut(|stream| match stream.read(&mut [0; 4096]) {
                Ok(0) => false,
                Ok(size) => {
                    byte_count.fetch_add(size as u64, Ordering::Relaxed);
                    true
                }
                Err(error) => error.kind() == io::ErrorKind::WouldBlock,
            });
            if idle {
                std::thread::sleep(POLL);
            }
        });
        Ok(Self { accepted, bytes, addr, _worker: worker })
    }

    /// Where it listens (with the port the kernel chose when 0 was asked for).
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Connections accepted so far.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Bytes read so far from all of them.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// Receives datagrams.
#[derive(Debug)]
pub struct UdpSink {
    datagrams: Arc<AtomicU64>,
    addr: SocketAddr,
    _worker: Worker,
}

impl UdpSink {
    /// Binds `addr` in the calling thread's network namespace.
    pub fn bind(addr: SocketAddr) -> Result<Self> {
        let socket = UdpSocket::bind(addr).with_context(|| format!("binding {addr}"))?;
        socket.set_read_timeout(Some(POLL))?;
        let addr = socket.local_addr()?;
        let datagrams = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&datagrams);
        let worker = Worker::start(move || {
            if socket.recv(&mut [0; 2048]).is_ok() {
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        Ok(Self { datagrams, addr, _worker: worker })
    }

    /// Where it is bound.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Datagrams received so far.
    pub fn datagrams(&self) -> u64 {
        self.datagrams.load(Ordering::Relaxed)
    }
}

/// Counts the frames that reach a device for one destination address, whatever protocol they carry.
#[derive(Debug)]
pub struct Sniffer {
    frames: Arc<AtomicU64>,
    _worker: Worker,
}

impl Sniffer {
    /// Opens a packet socket on `device` in the calling thread's network namespace.
    pub fn start(device: &str, destination: IpAddr) -> Result<Self> {
        let socket = packet_socket(device).with_context(|| format!("opening a packet socket on {device}"))?;
        let frames = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&frames);
        let worker = Worker::start(move || {
            let mut frame = [0_u8; 128];
            // SAFETY: the pointer and the length describe `frame`.
            let size = unsafe { libc::recv(socket.as_raw_fd(), frame.as_mut_ptr().cast(), frame.len(), 0) };
            if let Ok(size) = usize::try_from(size)
                && destination_of(&frame[..size.min(frame.len())]) == Some(destination)
            {
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        Ok(Self { frames, _worker: worker })
    }

    /// Frames for the destination so far.
    pub fn frames(&self) -> u64 {
        self.frames.load(Ordering::Relaxed)
    }
}

/// A packet socket that receives every frame of `device`, with a receive time-out so that its thread can end.
fn packet_socket(device: &str) -> io::Result<OwnedFd> {
    let name = sys::c_path(device)?;
    // SAFETY: `name` is a NUL-terminated string that lives until the call returns.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    if index == 0 {
        return Err(io::Error::last_os_error());
    }
    let all = u16::to_be(libc::ETH_P_ALL as u16);
    let socket = sys::socket(libc::AF_PACKET, libc::SOCK_RAW, i32::from(all))?;
    // SAFETY: sockaddr_ll is plain old data for which all zeroes is valid.
    let mut addr: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    addr.sll_family = libc::AF_PACKET as u16;
    addr.sll_protocol = all;
    addr.sll_ifindex = i32::try_from(index).map_err(io::Error::other)?;
    let length = sys::len_of::<libc::sockaddr_ll>();
    // SAFETY: the pointer and the length describe `addr`.
    sys::check(unsafe { libc::bind(socket.as_raw_fd(), (&raw const addr).cast(), length) })?;
    let timeout = libc::timeval { tv_sec: 0, tv_usec: 20_000 };
    sys::set_option(&socket, libc::SOL_SOCKET, libc::SO_RCVTIMEO, timeout)?;
    Ok(socket)
}

/// The destination address of an Ethernet frame that carries IPv4 or IPv6.
fn destination_of(frame: &[u8]) -> Option<IpAddr> {
    match frame.get(12..14)? {
        [0x08, 0x00] => {
            let octets: [u8; 4] = frame.get(30..34)?.try_into().ok()?;
            Some(IpAddr::V4(Ipv4Addr::from(octets)))
        }
        [0x86, 0xdd] => {
            let octets: [u8; 16] = frame.get(38..54)?.try_into().ok()?;
            Some(IpAddr::V6(Ipv6Addr::from(octets)))
        }
        _ => None,
    }
}
