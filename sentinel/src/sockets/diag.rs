//! The kernel's socket table, over NETLINK_SOCK_DIAG: which connections a network namespace has, and the end of one.
//!
//! Invariants: a [`Diag`] belongs to the namespace it was opened in for good, so only the thread that opens it ever enters
//! that namespace; answers count only if the kernel sent them. What the bytes mean is in `wire.rs`.

use std::{
    os::fd::{BorrowedFd, OwnedFd},
    time::Duration,
};

use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType,
        netlink::{self, SocketAddrNetlink},
        recvfrom, send, socket_with,
        sockopt::{Timeout, set_socket_timeout},
    },
    thread::{LinkNameSpaceType, move_into_link_name_space},
};
use thiserror::Error;

use super::wire::{self, CONNECTED, Connection, FAMILIES, Malformed, Messages, NOBODY, TCP, UDP, kind};

/// What the kernel takes for one datagram of a dump at most, with room to spare.
const BUFFER: usize = 64 * 1024;
/// The kernel answers at once; a wait this long means that it never will.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why the socket table could not be used.
#[derive(Debug, Error)]
pub enum DiagError {
    /// A system call, or the answer to a request.
    #[error("the kernel's socket table: {0}")]
    System(#[from] Errno),
    /// No thread.
    #[error("a thread for another network namespace: {0}")]
    Thread(#[from] std::io::Error),
    /// An answer that does not add up.
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

/// What became of a socket that was to be destroyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The kernel says that it is destroyed.
    Destroyed,
    /// It was gone already.
    Gone,
}

/// A way to ask about the sockets of one network namespace.
#[derive(Debug)]
pub struct Diag {
    socket: OwnedFd,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Diag {
    /// For the network namespace of this thread.
    ///
    /// # Errors
    ///
    /// [`DiagError::System`] on a kernel without such a table.
    pub fn open() -> Result<Self, DiagError> {
        let family = AddressFamily::NETLINK;
        let socket = socket_with(family, SocketType::DGRAM, SocketFlags::CLOEXEC, Some(netlink::SOCK_DIAG))?;
        set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE))?;
        Ok(Self { socket, sequence: 0, buffer: vec![0; BUFFER] })
    }

    /// For another namespace: a thread of its own enters it, opens the socket there, and ends.
    ///
    /// # Errors
    ///
    /// As for [`Diag::open`], or if the namespace cannot be entered.
    pub fn open_in(namespace: BorrowedFd<'_>) -> Result<Self, DiagError> {
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("netns".to_owned()).spawn_scoped(scope, || {
                move_into_link_name_space(namespace, Some(LinkNameSpaceType::Network))?;
                Self::open()
            })?;
            thread.join().unwrap_or_else(|_| Err(std::io::Error::other("it panicked").into()))
        })
    }

    /// Hands over every TCP and UDP connection of the namespace.
    ///
    /// # Errors
    ///
    /// [`DiagError`]; what was handed over until then is good.
    pub fn connections(&mut self, mut each: impl FnMut(Connection)) -> Result<(), DiagError> {
        for protocol in [TCP, UDP] {
            for family in FAMILIES {
                self.dump((family, protocol), CONNECTED, &mut each)?;
            }
        }
        Ok(())
    }

    fn dump(&mut self, of: (u8, u8), states: u32, each: &mut impl FnMut(Connection)) -> Result<(), DiagError> {
        let request =
            |sequence| wire::request(kind::BY_FAMILY, wire::REQUEST | wire::DUMP, sequence, of, states, &NOBODY);
        let sequence = self.ask(request)?;
        loop {
            let size = receive(&self.socket, &mut self.buffer)?;
            for message in Messages(&self.buffer[..size]) {
                let message = message?;
                if message.sequence != sequence {
                    continue;
                }
                match message.kind {
                    kind::BY_FAMILY => wire::connection(message.body, of.1)?.into_iter().for_each(&mut *each),
                    kind::DONE | kind::ERROR => return Ok(succeeded(wire::errno(&message)?)?),
                    _ => {}
                }
            }
        }
    }

    /// Ends a connection: its owner gets ECONNABORTED, a TCP peer gets a reset, if the packet hook lets it pass.
    ///
    /// # Errors
    ///
    /// What the kernel answers: EOPNOTSUPP if it was built without INET_DIAG_DESTROY.
    pub fn destroy(&mut self, connection: &Connection) -> Result<Outcome, DiagError> {
        let (of, identity) = ((connection.family, connection.protocol), &connection.identity);
        let request =
            |sequence| wire::request(kind::DESTROY, wire::REQUEST | wire::ACK, sequence, of, CONNECTED, identity);
        let sequence = self.ask(request)?;
        loop {
            let size = receive(&self.socket, &mut self.buffer)?;
            for message in Messages(&self.buffer[..size]) {
                let message = message?;
                if message.sequence == sequence && message.kind == kind::ERROR {
                    return match succeeded(wire::errno(&message)?) {
                        Ok(()) => Ok(Outcome::Destroyed),
                        Err(Errno::NOENT) => Ok(Outcome::Gone),
                        Err(errno) => Err(errno.into()),
                    };
                }
            }
        }
    }

    /// Whether the kernel can destroy sockets of both protocols, found out with sockets that do not exist.
    ///
    /// # Errors
    ///
    /// Why not.
    pub fn probe(&mut self) -> Result<(), DiagError> {
        for protocol in [TCP, UDP] {
            // Whether there is a table at all; destroying would answer like for a socket that is gone. In no state: none.
            self.dump((FAMILIES[0], protocol), 0, &mut |_| ())?;
            let nobody = Connection {
                family: FAMILIES[0],
                protocol,
                identity: NOBODY,
                remote: sentinel_common::address::Address::default(),
                port: 0,
                uid: 0,
                inode: 0,
                cgroup: None,
            };
            self.destroy(&nobody)?;
        }
        Ok(())
    }

    /// Sends a request; gives the number that its answers carry.
    fn ask(&mut self, request: impl FnOnce(u32) -> Vec<u8>) -> Result<u32, DiagError> {
        self.sequence = self.sequence.wrapping_add(1);
        send(&self.socket, &request(self.sequence), SendFlags::empty())?;
        Ok(self.sequence)
    }
}

/// The length of the next datagram from the kernel. Whoever administers the namespace could send some too: those do not count.
///
/// # Errors
///
/// What the system call says; EMSGSIZE if the datagram does not fit into the buffer.
pub fn receive(socket: &OwnedFd, buffer: &mut [u8]) -> Result<usize, Errno> {
    loop {
        let (size, whole, from) = match recvfrom(socket, &mut buffer[..], RecvFlags::TRUNC) {
            Err(Errno::INTR) => continue,
            other => other?,
        };
        let port = from.and_then(|from| SocketAddrNetlink::try_from(from).ok()).map(|from| from.pid());
        if port == Some(0) {
            return if whole > size { Err(Errno::MSGSIZE) } else { Ok(size) };
        }
    }
}

fn succeeded(errno: i32) -> Result<(), Errno> {
    if errno == 0 { Ok(()) } else { Err(Errno::from_raw_os_error(errno)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream, UdpSocket};

    #[test]
    fn the_connections_of_this_process_are_found() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let port = stream.peer_addr().unwrap().port();
        let datagrams = UdpSocket::bind("[::1]:0").unwrap();
        let peer = UdpSocket::bind("[::1]:0").unwrap();
        datagrams.connect(peer.local_addr().unwrap()).unwrap();
        let mut found = Vec::new();
        Diag::open().unwrap().connections(|connection| found.push(connection)).unwrap();
        assert!(found.iter().any(|c| c.protocol == TCP && c.port == port && c.remote.v4() == 0x7f00_0001));
        let udp = peer.local_addr().unwrap().port();
        assert!(found.iter().any(|c| c.protocol == UDP && c.port == udp && c.inode != 0));
        let unconnected = datagrams.local_addr().unwrap().port();
        assert!(!found.iter().any(|c| c.protocol == UDP && c.port == unconnected));
    }
}
