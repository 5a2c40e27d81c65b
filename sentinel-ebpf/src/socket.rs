//! Facts about sockets and destinations, from kernel copies of addresses.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::bpf_probe_read_kernel;
use sentinel_common::{
    address::{Address, normalise},
    event::Network,
    verdict::Entry,
};

use crate::{
    emit,
    task::{Object, field},
    verdict::{self, Question},
};

pub(crate) const AF_UNSPEC: u16 = 0;
pub(crate) const AF_INET: u16 = 2;
pub(crate) const AF_INET6: u16 = 10;
pub(crate) const SOCK_STREAM: u16 = 1;

/// Where something is going, as the socket layer sees it.
#[derive(Clone, Copy)]
pub(crate) struct Destination {
    /// As given; IPv4 is v4-mapped.
    pub(crate) address: Address,
    /// Host order.
    pub(crate) port: u16,
    /// Family of the socket or packet.
    pub(crate) family: u16,
    /// Socket type; 0 for packets.
    pub(crate) socket_type: u16,
    /// IP protocol.
    pub(crate) protocol: u16,
}

/// The start of `sockaddr_in6`, which `sockaddr_in` is shorter than.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct RawAddress {
    family: u16,
    /// Network order.
    port: u16,
    /// IPv4 address, or flow information; network order.
    v4: u32,
    v6: Address,
}

/// Size of the kernel's `sockaddr_in`: shorter addresses are refused by the protocols.
const SOCKADDR_IN: u32 = 16;
/// Smallest length that the kernel accepts for an IPv6 address (`SIN6_LEN_RFC2133`).
const SOCKADDR_IN6: u32 = 24;

/// Family, type and protocol of a `struct sock`.
#[inline(always)]
pub(crate) fn kind_of(sk: Object) -> (u16, u16, u16) {
    (field!(sk, sock_family, u16), field!(sk, sock_type, u16), field!(sk, sock_protocol, u16))
}

/// Reads a destination out of a kernel copy of a socket address; `None` if it names none.
///
/// The socket's family decides how: an IPv4 socket takes AF_UNSPEC for IPv4 when it sends
/// (`unspec_is_inet`), an IPv6 socket also takes an IPv4 address.
#[inline(always)]
pub(crate) fn destination(sk: Object, address: u64, length: u32, unspec_is_inet: bool) -> Option<Destination> {
    let (family, socket_type, protocol) = kind_of(sk);
    if family != AF_INET && family != AF_INET6 {
        return None;
    }
    let mut raw = RawAddress::default();
    let size = if length >= SOCKADDR_IN6 { SOCKADDR_IN6 } else { SOCKADDR_IN };
    if length < SOCKADDR_IN {
        return None;
    }
    // SAFETY: the helper checks the source and writes at most the size of `raw`.
    if unsafe { bpf_probe_read_kernel((&raw mut raw).cast(), size, address as *const c_void) } != 0 {
        return None;
    }
    let inet = raw.family == AF_INET || (raw.family == AF_UNSPEC && family == AF_INET && unspec_is_inet);
    let address = if inet {
        Address::from_v4(u32::from_be(raw.v4))
    } else if raw.family == AF_INET6 && family == AF_INET6 && length >= SOCKADDR_IN6 {
        raw.v6
    } else {
        return None;
    };
    Some(Destination { address, port: u16::from_be(raw.port), family, socket_type, protocol })
}

/// The event of a destination, before the verdict.
#[inline(always)]
pub(crate) fn event(kind: u16, hook: u32, to: &Destination) -> Network {
    Network {
        header: emit::header(kind, hook, size_of::<Network>()),
        given: to.address,
        destination: Address::default(),
        port: to.port,
        family: to.family,
        socket_type: to.socket_type,
        protocol: to.protocol,
        wrapping: 0,
        pad: [0; 7],
    }
}

/// Asks for the verdict on the event's destination under a state, and writes both into the event.
#[inline(always)]
pub(crate) fn judge(event: &mut Network, word: u64) -> Entry {
    let mut answer = Entry::NONE;
    normalise_event(event);
    judge_event(event, word, &raw mut answer);
    answer
}

/// Finds the destination that is meant.
///
/// A global function: the verifier looks at it once, and at what follows once instead of once for each form of address.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn normalise_event(event: *mut Network) -> u32 {
    // SAFETY: the caller passes a reference; the verifier, which looks at this alone, wants to see the null check.
    let Some(event) = (unsafe { event.as_mut() }) else { return 0 };
    let (destination, wrapping) = normalise(event.given);
    event.destination = destination;
    event.wrapping = wrapping as u8;
    1
}

/// A global function, as above.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn judge_event(event: *mut Network, word: u64, answer: *mut Entry) -> u32 {
    // SAFETY: as above.
    let (Some(event), Some(answer)) = (unsafe { event.as_mut() }, unsafe { answer.as_mut() }) else { return 0 };
    let hook = u32::from(event.header.hook);
    let question = Question { hook, task: &event.header.task, port: event.port, protocol: event.protocol };
    *answer = verdict::destination(&question, event.destination, word);
    event.header.verdict = verdict::record(answer);
    1
}
