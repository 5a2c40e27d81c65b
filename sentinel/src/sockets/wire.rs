//! Messages of NETLINK_SOCK_DIAG, as bytes; what all of netlink has in common is used by `kernel::tc` too.
//!
//! Layouts: include/uapi/linux/{netlink,sock_diag,inet_diag}.h. Invariant: bytes that come in are hostile: every length is
//! checked, nothing is cast, and what does not add up is an error, never half a connection. No system calls here.

use sentinel_common::address::Address;
use thiserror::Error;

/// A message that does not add up.
#[derive(Debug, Clone, Copy, Error, PartialEq, Eq)]
#[error("a malformed answer of the kernel over netlink: {0}")]
pub struct Malformed(&'static str);

/// Message types.
pub mod kind {
    /// `NLMSG_ERROR`: an answer with an errno, 0 for success.
    pub const ERROR: u16 = 2;
    /// `NLMSG_DONE`: the end of a dump.
    pub const DONE: u16 = 3;
    /// `SOCK_DIAG_BY_FAMILY`: asks for sockets, or is one.
    pub const BY_FAMILY: u16 = 20;
    /// `SOCK_DESTROY`, since 4.5.
    pub const DESTROY: u16 = 21;
}

/// `NLM_F_REQUEST`.
pub const REQUEST: u16 = 1;
/// `NLM_F_ACK`.
pub const ACK: u16 = 4;
/// `NLM_F_DUMP`.
pub const DUMP: u16 = 0x300;

/// Address families.
pub const FAMILIES: [u8; 2] = [2, 10];
/// AF_INET.
const INET: u8 = 2;
/// AF_INET6.
const INET6: u8 = 10;
/// IANA number of TCP.
pub const TCP: u8 = 6;
/// IANA number of UDP.
pub const UDP: u8 = 17;

/// The states in which a socket has a peer and can send, a bit each: ESTABLISHED, SYN_SENT, SYN_RECV, FIN_WAIT1, FIN_WAIT2,
/// CLOSE_WAIT, LAST_ACK, CLOSING. Not among them: LISTEN, TIME_WAIT, and CLOSE, which is what an unconnected UDP socket is in.
pub const CONNECTED: u32 = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 8 | 1 << 9 | 1 << 11;

/// `struct nlmsghdr`.
const HEADER: usize = 16;
/// `struct inet_diag_sockid`.
const IDENTITY: usize = 48;
/// `struct inet_diag_req_v2` behind its header.
const MESSAGE: usize = HEADER + 8 + IDENTITY;
/// `INET_DIAG_CGROUP_ID`, since 5.9.
const CGROUP_ID: u16 = 21;
/// The bits of an attribute's type that are its type (`NLA_TYPE_MASK`).
const TYPE_MASK: u16 = 0x3fff;

/// A socket with a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// Address family of the socket.
    pub family: u8,
    /// IANA number.
    pub protocol: u8,
    /// The kernel's name for it: addresses, ports, device and cookie, handed back as they came.
    pub identity: [u8; IDENTITY],
    /// The peer, as the socket has it; IPv4 is v4-mapped.
    pub remote: Address,
    /// The peer's port, host order.
    pub port: u16,
    /// Owner of the socket.
    pub uid: u32,
    /// Inode number on sockfs; 0: no process has it open.
    pub inode: u32,
    /// Id of its cgroup (v2), where the kernel says it.
    pub cgroup: Option<u64>,
}

/// A request about sockets of one family and protocol: those in `states`, or the one with this identity.
#[must_use]
pub fn request(kind: u16, flags: u16, sequence: u32, of: (u8, u8), states: u32, identity: &[u8; IDENTITY]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(MESSAGE);
    bytes.extend((MESSAGE as u32).to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend(sequence.to_ne_bytes());
    bytes.extend(0_u32.to_ne_bytes());
    bytes.extend([of.0, of.1, 0, 0]);
    bytes.extend(states.to_ne_bytes());
    bytes.extend(identity);
    bytes
}

/// An identity that no socket has.
pub const NOBODY: [u8; IDENTITY] = [0; IDENTITY];

/// One message of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// [`kind`].
    pub kind: u16,
    /// That of the request.
    pub sequence: u32,
    /// What follows the header.
    pub body: &'a [u8],
}

/// The messages of a datagram; ends after the first that does not add up.
#[derive(Debug)]
pub struct Messages<'a>(pub &'a [u8]);

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Message<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let (message, rest) =
            split(self.0).map_or_else(|bad| (Err(bad), &[][..]), |(message, rest)| (Ok(message), rest));
        self.0 = rest;
        Some(message)
    }
}

fn split(bytes: &[u8]) -> Result<(Message<'_>, &[u8]), Malformed> {
    let length = u32_at(bytes, 0)? as usize;
    let body = bytes.get(HEADER..length).ok_or(Malformed("a message longer than its datagram"))?;
    let message = Message { kind: u16_at(bytes, 4)?, sequence: u32_at(bytes, 8)?, body };
    Ok((message, bytes.get(length.next_multiple_of(4)..).unwrap_or_default()))
}

/// The errno that a message of kind [`kind::ERROR`] or [`kind::DONE`] carries; 0: none.
///
/// # Errors
///
/// [`Malformed`] if it is too short for one.
pub fn errno(message: &Message) -> Result<i32, Malformed> {
    // The end of a dump has carried a number since 2.6 or so; one without is no failure.
    if message.kind == kind::DONE && message.body.is_empty() {
        return Ok(0);
    }
    let number = u32_at(message.body, 0)?.cast_signed();
    number.checked_neg().filter(|errno| *errno >= 0).ok_or(Malformed("an errno above zero"))
}

/// The socket that a message of kind [`kind::BY_FAMILY`] describes (`struct inet_diag_msg`, then attributes); `None` if it
/// has no peer.
///
/// # Errors
///
/// [`Malformed`] if it does not add up.
pub fn connection(body: &[u8], protocol: u8) -> Result<Option<Connection>, Malformed> {
    let [family, state, ..] = array_at::<4>(body, 0)?;
    let identity: [u8; IDENTITY] = array_at(body, 4)?;
    let port = u16::from_be_bytes(array_at(&identity, 2)?);
    let remote = match family {
        INET => Address::from_v4(u32::from_be_bytes(array_at(&identity, 20)?)),
        INET6 => Address::from_octets(array_at(&identity, 20)?),
        _ => return Err(Malformed("neither IPv4 nor IPv6")),
    };
    let (uid, inode) = (u32_at(body, 64)?, u32_at(body, 68)?);
    let cgroup = cgroup(body.get(72..).unwrap_or_default())?;
    let connected = 1_u32.checked_shl(u32::from(state)).is_some_and(|bit| bit & CONNECTED != 0) && port != 0;
    Ok(connected.then_some(Connection { family, protocol, identity, remote, port, uid, inode, cgroup }))
}

/// The cgroup among the attributes behind a socket.
fn cgroup(bytes: &[u8]) -> Result<Option<u64>, Malformed> {
    let mut found = None;
    for attribute in attributes(bytes) {
        let (kind, value) = attribute?;
        if kind == CGROUP_ID {
            found = Some(u64::from_ne_bytes(array_at(value, 0)?));
        }
    }
    Ok(found)
}

/// Type and value of an attribute.
pub type Attribute<'a> = (u16, &'a [u8]);

/// Type and value of each attribute; ends after the first that does not add up.
pub fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = Result<Attribute<'_>, Malformed>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let (one, rest) = attribute(bytes).map_or_else(|bad| (Err(bad), &[][..]), |(one, rest)| (Ok(one), rest));
        bytes = rest;
        Some(one)
    })
}

/// The first attribute, and what follows it.
fn attribute(bytes: &[u8]) -> Result<(Attribute<'_>, &[u8]), Malformed> {
    let (length, kind) = (usize::from(u16_at(bytes, 0)?), u16_at(bytes, 2)? & TYPE_MASK);
    let value = bytes.get(4..length).ok_or(Malformed("an attribute longer than its message"))?;
    Ok(((kind, value), bytes.get(length.next_multiple_of(4)..).unwrap_or_default()))
}

/// The bytes at an offset.
///
/// # Errors
///
/// [`Malformed`] if there are fewer.
pub fn array_at<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], Malformed> {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().ok_or(Malformed("too short"))
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16, Malformed> {
    array_at(bytes, at).map(u16::from_ne_bytes)
}

/// The number at an offset.
///
/// # Errors
///
/// [`Malformed`] if the bytes end before it.
pub fn u32_at(bytes: &[u8], at: usize) -> Result<u32, Malformed> {
    array_at(bytes, at).map(u32::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer as the kernel gives it: one socket to this peer in this state, and these attributes.
    fn answer(family: u8, state: u8, remote: [u8; 16], attributes: &[u8]) -> Vec<u8> {
        let mut body = vec![family, state, 0, 0];
        body.extend([0x1f, 0x90, 0, 80]);
        body.extend([1; 16]);
        body.extend(remote);
        body.extend([7; 12]);
        body.extend([0; 12]);
        body.extend(1000_u32.to_ne_bytes());
        body.extend(4242_u32.to_ne_bytes());
        body.extend(attributes);
        let mut bytes = ((HEADER + body.len()) as u32).to_ne_bytes().to_vec();
        bytes.extend(kind::BY_FAMILY.to_ne_bytes());
        bytes.extend([0, 0]);
        bytes.extend(9_u32.to_ne_bytes());
        bytes.extend([0; 4]);
        bytes.extend(body);
        bytes
    }

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = ((4 + value.len()) as u16).to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn v4(octets: [u8; 4]) -> [u8; 16] {
        let mut all = [0; 16];
        all[..4].copy_from_slice(&octets);
        all
    }

    fn only(bytes: &[u8]) -> Result<Option<Connection>, Malformed> {
        let mut all = Messages(bytes);
        let message = all.next().unwrap()?;
        assert!(all.next().is_none());
        connection(message.body, TCP)
    }

    #[test]
    fn fields_come_from_where_the_kernel_puts_them() {
        let attributes = [attribute(8, &[0]), attribute(CGROUP_ID, &77_u64.to_ne_bytes())].concat();
        let one = only(&answer(INET, 1, v4([203, 0, 113, 7]), &attributes)).unwrap().unwrap();
        assert_eq!((one.remote, one.port), (Address::from_v4(0xcb00_7107), 80));
        assert_eq!((one.uid, one.inode, one.cgroup, one.protocol), (1000, 4242, Some(77), TCP));
        assert_eq!(one.identity[..4], [0x1f, 0x90, 0, 80]);
        assert_eq!(one.identity[36..], [7; 12]);
        let six = std::net::Ipv6Addr::LOCALHOST.octets();
        assert_eq!(only(&answer(INET6, 1, six, &[])).unwrap().unwrap().remote, Address::from_octets(six));
    }

    #[test]
    fn what_has_no_peer_is_no_connection() {
        for (state, connected) in
            [(1, true), (2, true), (3, true), (6, false), (7, false), (8, true), (10, false), (12, false)]
        {
            let found = only(&answer(INET, state, v4([203, 0, 113, 7]), &[])).unwrap();
            assert_eq!(found.is_some(), connected, "state {state}");
        }
        assert_eq!(only(&answer(INET, 200, v4([203, 0, 113, 7]), &[])).unwrap(), None);
        let mut portless = answer(INET, 1, v4([203, 0, 113, 7]), &[]);
        portless[HEADER + 6..HEADER + 8].fill(0);
        assert_eq!(only(&portless).unwrap(), None);
    }

    #[test]
    fn every_truncation_is_an_error() {
        let bytes = answer(INET, 1, v4([203, 0, 113, 7]), &attribute(CGROUP_ID, &77_u64.to_ne_bytes()));
        for end in 1..bytes.len() {
            assert!(Messages(&bytes[..end]).next().unwrap().is_err(), "datagram of {end}");
        }
        // The same with a length in the header that agrees with the truncation: the whole of the socket must be there.
        for end in HEADER..HEADER + 72 {
            let mut short = bytes[..end].to_vec();
            short[..4].copy_from_slice(&(end as u32).to_ne_bytes());
            assert!(only(&short).is_err(), "message of {end}");
        }
        for end in HEADER + 73..bytes.len() {
            let mut short = bytes[..end].to_vec();
            short[..4].copy_from_slice(&(end as u32).to_ne_bytes());
            assert!(only(&short).is_err(), "attributes of {end}");
        }
    }

    #[test]
    fn lying_lengths_are_errors() {
        for length in [0_u32, 1, 15, 17_000, u32::MAX] {
            let mut bytes = answer(INET, 1, v4([1, 2, 3, 4]), &[]);
            bytes[..4].copy_from_slice(&length.to_ne_bytes());
            let all: Vec<_> = Messages(&bytes).collect();
            assert!(matches!(all.as_slice(), [Err(_)]), "{length}");
        }
        for length in [0_u16, 3, 13, 500, u16::MAX] {
            let mut attributes = attribute(CGROUP_ID, &77_u64.to_ne_bytes());
            attributes[..2].copy_from_slice(&length.to_ne_bytes());
            assert!(only(&answer(INET, 1, v4([1, 2, 3, 4]), &attributes)).is_err(), "{length}");
        }
        assert!(only(&answer(INET, 1, v4([1, 2, 3, 4]), &attribute(CGROUP_ID, &[1, 2, 3, 4]))).is_err());
        assert!(only(&answer(1, 1, v4([1, 2, 3, 4]), &[])).is_err());
    }

    #[test]
    fn errnos() {
        let of = |kind, body: &[u8]| errno(&Message { kind, sequence: 0, body });
        assert_eq!(of(kind::ERROR, &0_i32.to_ne_bytes()), Ok(0));
        assert_eq!(of(kind::ERROR, &(-2_i32).to_ne_bytes()), Ok(2));
        assert_eq!(of(kind::DONE, &[]), Ok(0));
        for body in [&[][..], &[1, 2], &5_i32.to_ne_bytes(), &i32::MIN.to_ne_bytes()] {
            assert!(of(kind::ERROR, body).is_err(), "{body:?}");
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic() {
        let mut state = 1_u64;
        for round in 0..4000_usize {
            let mut bytes: Vec<u8> = (0..round % 300)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    (state >> 56) as u8
                })
                .collect();
            // Half of them get as far as the body.
            if round % 2 == 0 && bytes.len() >= 21 {
                let length = bytes.len() as u32;
                bytes[..4].copy_from_slice(&length.to_ne_bytes());
                bytes[16] = INET6;
            }
            for message in Messages(&bytes).flatten() {
                let _ = (errno(&message), connection(message.body, UDP));
            }
        }
    }

    #[test]
    fn requests_have_the_kernels_size() {
        assert_eq!(request(kind::BY_FAMILY, REQUEST | DUMP, 1, (INET, TCP), CONNECTED, &NOBODY).len(), 72);
    }
}
