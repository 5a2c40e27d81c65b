//! Network namespaces without names, joined by veth pairs.
//!
//! Invariant: a namespace is held by a descriptor only, so that it and its devices vanish with the test process; the
//! initial namespace is never configured.

use std::{
    fs::File,
    io,
    net::{IpAddr, SocketAddr},
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
    path::Path,
    sync::Arc,
};

use anyhow::{Context, Result, anyhow};

use super::{
    command::Run,
    listen::{Sniffer, TcpSink, UdpSink},
    meter::Meter,
    sys,
};

/// The near end's address; the far end is the same network's `.2`.
pub const NEAR_V4: &str = "10.200.0.1";
/// The far end's own address.
pub const FAR_V4: &str = "10.200.0.2";
/// The near end's IPv6 address.
pub const NEAR_V6: &str = "fd00:200::1";
/// The far end's own IPv6 address.
pub const FAR_V6: &str = "fd00:200::2";
/// What the far end answers for besides: the documentation prefixes, which Sentinel treats as ordinary addresses.
const CLAIMED: [&str; 4] = ["192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32"];

/// A network namespace.
#[derive(Clone, Debug)]
pub struct NetNs {
    fd: Arc<OwnedFd>,
}

impl NetNs {
    /// Makes one, with its loopback device up.
    pub fn create() -> Result<Self> {
        let opened = std::thread::spawn(|| -> io::Result<File> {
            sys::unshare(libc::CLONE_NEWNET)?;
            File::open("/proc/thread-self/ns/net")
        });
        let file = opened.join().map_err(|_| anyhow!("the thread making a network namespace panicked"))?;
        let netns = Self { fd: Arc::new(file.context("making a network namespace")?.into()) };
        netns.ip("link set lo up")?;
        Ok(netns)
    }

    /// That of a process.
    pub fn of_process(pid: u32) -> Result<Self> {
        let path = format!("/proc/{pid}/ns/net");
        let file = File::open(&path).with_context(|| format!("opening {path}"))?;
        Ok(Self { fd: Arc::new(file.into()) })
    }

    /// Its descriptor.
    pub fn fd(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.fd)
    }

    /// A path through which other programs can open it.
    pub fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.fd.as_raw_fd())
    }

    /// Runs `ip` inside with these space-separated arguments.
    pub fn ip(&self, args: &str) -> Result<String> {
        Run::new(Path::new("ip")).args(args.split(' ')).netns(self).success()
    }

    /// Runs a closure on a thread inside. Sockets it makes stay in the namespace.
    pub fn enter<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let fd = self.fd();
        std::thread::spawn(move || {
            sys::enter_netns(fd.as_fd()).context("entering a network namespace")?;
            work()
        })
        .join()
        .map_err(|_| anyhow!("a thread in a network namespace panicked"))?
    }

    /// Sets a sysctl that every network namespace has of its own, below `net/`.
    pub fn sysctl(&self, name: &str, value: &str) -> Result<()> {
        let (path, value) = (format!("/proc/sys/net/{name}"), value.to_owned());
        self.enter(move || std::fs::write(&path, value).with_context(|| format!("writing {path}")))
    }

    /// Listens for TCP inside; see [`TcpSink`].
    pub fn tcp_sink(&self, addr: &str) -> Result<TcpSink> {
        let addr: SocketAddr = addr.parse().with_context(|| format!("`{addr}` is not ADDRESS:PORT"))?;
        self.enter(move || TcpSink::bind(addr))
    }

    /// Receives UDP inside; see [`UdpSink`].
    pub fn udp_sink(&self, addr: &str) -> Result<UdpSink> {
        let addr: SocketAddr = addr.parse().with_context(|| format!("`{addr}` is not ADDRESS:PORT"))?;
        self.enter(move || UdpSink::bind(addr))
    }
}

/// Two namespaces joined by a cable. `near` routes everything to `far`; `far` accepts packets for its own addresses, the
/// documentation prefixes and whatever [`VethPair::claim`] adds.
#[derive(Debug)]
pub struct VethPair {
    /// Where the acts run; its device is `near0`.
    pub near: NetNs,
    /// The rest of the world; its device is `far0`.
    pub far: NetNs,
}

impl VethPair {
    /// Makes both namespaces and the cable.
    pub fn create() -> Result<Self> {
        let pair = Self { near: NetNs::create()?, far: NetNs::create()? };
        pair.near.ip(&format!("link add near0 type veth peer name far0 netns {}", pair.far.path()))?;
        pair.near.ip(&format!("addr add {NEAR_V4}/24 dev near0"))?;
        pair.near.ip(&format!("addr add {NEAR_V6}/64 dev near0 nodad"))?;
        pair.far.ip(&format!("addr add {FAR_V4}/24 dev far0"))?;
        pair.far.ip(&format!("addr add {FAR_V6}/64 dev far0 nodad"))?;
        pair.near.ip("link set near0 up")?;
        pair.far.ip("link set far0 up")?;
        pair.near.ip(&format!("route add default via {FAR_V4}"))?;
        pair.near.ip(&format!("-6 route add default via {FAR_V6}"))?;
        for prefix in CLAIMED {
            pair.claim(prefix)?;
        }
        Ok(pair)
    }

    /// Makes the far end answer for every address of `prefix`.
    pub fn claim(&self, prefix: &str) -> Result<()> {
        let family = if prefix.contains(':') { "-6 " } else { "" };
        self.far.ip(&format!("{family}route add local {prefix} dev lo"))?;
        Ok(())
    }

    /// Starts counting the frames that arrive at the far end for `destination`.
    pub fn sniff(&self, destination: &str) -> Result<Sniffer> {
        let destination: IpAddr = destination.parse().with_context(|| format!("`{destination}` is no address"))?;
        self.far.enter(move || Sniffer::start("far0", destination))
    }

    /// Starts counting the frames that arrive at the far end, by destination.
    pub fn meter(&self) -> Result<Meter> {
        self.far.enter(|| Meter::start("far0"))
    }
}
