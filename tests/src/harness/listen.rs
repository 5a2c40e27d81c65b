//! Receivers at the far end: TCP and UDP sinks, and a count of frames for one address.
//!
//! Invariant: a sink reports only what has arrived; waiting is the caller's (`eventually`). Its thread ends when the
//! sink is dropped.

use std::{
    io::{self, Read as _},
    net::{IpAddr, SocketAddr, TcpListener, UdpSocket},
    os::fd::AsRawFd as _,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use anyhow::{Context, Result};

use super::{meter::Meter, sys};

const POLL: Duration = Duration::from_millis(20);

/// A thread that runs `step` until dropped.
#[derive(Debug)]
pub(super) struct Worker {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    pub(super) fn start(mut step: impl FnMut() + Send + 'static) -> Self {
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
        // The standard library's queue of 128 is too short for a burst between two looks.
        // SAFETY: listen takes two integers; the descriptor is open.
        sys::check(unsafe { libc::listen(listener.as_raw_fd(), 4096) })?;
        let addr = listener.local_addr()?;
        let (accepted, bytes) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (accepted_count, byte_count) = (Arc::clone(&accepted), Arc::clone(&bytes));
        let mut open = Vec::new();
        let worker = Worker::start(move || {
            let mut idle = true;
            while let Ok((stream, _)) = listener.accept() {
                accepted_count.fetch_add(1, Ordering::Relaxed);
                open.extend(stream.set_nonblocking(true).map(|()| stream));
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

/// Counts the frames that reach a device for one destination address, whatever protocol they carry and however it is
/// wrapped; see [`Meter`] for many addresses and for the proof that none was lost.
#[derive(Debug)]
pub struct Sniffer {
    meter: Meter,
    destination: IpAddr,
}

impl Sniffer {
    /// Starts counting on `device` in the calling thread's network namespace.
    pub fn start(device: &str, destination: IpAddr) -> Result<Self> {
        Ok(Self { meter: Meter::start(device)?, destination })
    }

    /// Frames for the destination so far.
    pub fn frames(&self) -> u64 {
        self.meter.frames(self.destination)
    }
}
