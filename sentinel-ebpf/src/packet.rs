//! Destination of an IP packet, as it goes out.
//!
//! Invariant: read from the packet itself, in place where the kernel has it in one piece, else through the helper.

use aya_ebpf::{bindings::__sk_buff, helpers::generated::bpf_skb_load_bytes};
use sentinel_common::address::Address;

use crate::socket::{AF_INET, AF_INET6, Destination};

pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
const SCTP: u8 = 132;

/// Protocols that carry IP packets.
const IP_IN_IP: u16 = 4;
const IPV6_IN_IP: u16 = 41;
const GRE: u16 = 47;

/// Where an IPv4 header has its protocol and its destination.
const V4_PROTOCOL: u32 = 9;
const V4_DESTINATION: u32 = 16;
/// Where an IPv6 header has them, and how long it is.
const V6_NEXT_HEADER: u32 = 6;
const V6_DESTINATION: u32 = 24;
const V6_LENGTH: u32 = 40;
/// Offset of the destination port, in all three protocols.
const PORT: u32 = 2;
/// First byte and length of an IPv4 header without options.
const V4_PLAIN: u8 = 0x45;
const V4_LENGTH: u32 = 20;
/// Bytes up to the end of the destination port.
const V4_IN_PLACE: usize = (V4_LENGTH + PORT) as usize + 2;
const V6_IN_PLACE: usize = (V6_LENGTH + PORT) as usize + 2;

/// Destination of a packet whose data starts at the network header. IPv6 extension headers are not followed: the port is
/// then 0.
#[inline(always)]
pub(crate) fn destination(skb: *mut __sk_buff) -> Option<Destination> {
    match in_place(skb) {
        Some(to) => Some(to),
        None => by_helper(skb),
    }
}

/// Reads the headers where they lie; `None` for IPv4 options and for headers that are not in one piece.
#[inline(always)]
fn in_place(skb: *mut __sk_buff) -> Option<Destination> {
    // SAFETY: reads of context fields; the packet is read only as far as the comparisons show that it reaches.
    unsafe {
        let (data, end) = ((*skb).data as usize, (*skb).data_end as usize);
        if data + V4_IN_PLACE > end {
            return None;
        }
        let byte = |offset: u32| *((data + offset as usize) as *const u8);
        let port = |offset: u32| *((data + (offset + PORT) as usize) as *const [u8; 2]);
        let first = byte(0);
        if first == V4_PLAIN {
            let address = *((data + V4_DESTINATION as usize) as *const [u8; 4]);
            let protocol = byte(V4_PROTOCOL);
            return Some(with_port(Address::from_v4(u32::from_be_bytes(address)), AF_INET, protocol, port(V4_LENGTH)));
        }
        if first >> 4 != 6 || data + V6_IN_PLACE > end {
            return None;
        }
        let address = ((data + V6_DESTINATION as usize) as *const Address).read_unaligned();
        Some(with_port(address, AF_INET6, byte(V6_NEXT_HEADER), port(V6_LENGTH)))
    }
}

#[inline(always)]
fn by_helper(skb: *mut __sk_buff) -> Option<Destination> {
    at(skb, 0).map(|(to, _)| to)
}

/// Destination of the IP packet at an offset, and the offset of what it carries; `None` if there is no IP packet.
#[inline(always)]
pub(crate) fn at(skb: *mut __sk_buff, offset: u32) -> Option<(Destination, u32)> {
    let first: u8 = load(skb, offset)?;
    let (address, family, protocol, transport): (Address, u16, u8, u32) = match first >> 4 {
        4 => {
            let address = Address::from_v4(u32::from_be(load(skb, offset + V4_DESTINATION)?));
            (address, AF_INET, load(skb, offset + V4_PROTOCOL)?, u32::from(first & 15) * 4)
        }
        6 => (load(skb, offset + V6_DESTINATION)?, AF_INET6, load(skb, offset + V6_NEXT_HEADER)?, V6_LENGTH),
        _ => return None,
    };
    let inside = offset + transport;
    Some((with_port(address, family, protocol, load(skb, inside + PORT).unwrap_or_default()), inside))
}

/// Offset of an IP packet that another one carries: IP in IP (RFC 2003, RFC 2473, 6in4), and GRE (RFC 2784, RFC 2890).
#[inline(always)]
pub(crate) fn carried(skb: *mut __sk_buff, protocol: u16, inside: u32) -> Option<u32> {
    match protocol {
        IP_IN_IP | IPV6_IN_IP => Some(inside),
        GRE => {
            let [flags, version, ..]: [u8; 4] = load(skb, inside)?;
            if version & 7 != 0 {
                return None;
            }
            // Checksum, key and sequence number take four bytes each.
            let options = u32::from(flags >> 7) + u32::from(flags >> 5 & 1) + u32::from(flags >> 4 & 1);
            Some(inside + 4 + 4 * options)
        }
        _ => None,
    }
}

/// Puts the parts together; the port counts only where the protocol has one.
#[inline(always)]
fn with_port(address: Address, family: u16, protocol: u8, port: [u8; 2]) -> Destination {
    let has_port = protocol == TCP || protocol == UDP || protocol == SCTP;
    let port = if has_port { u16::from_be_bytes(port) } else { 0 };
    Destination { address, port, family, socket_type: 0, protocol: u16::from(protocol) }
}

/// Bytes of a packet from an offset; `None` if there are not so many.
#[inline(always)]
pub(crate) fn load<T: Copy + Default>(skb: *mut __sk_buff, offset: u32) -> Option<T> {
    let mut value = T::default();
    // SAFETY: the helper writes the value's bytes or fails.
    let failed = unsafe { bpf_skb_load_bytes(skb.cast(), offset, (&raw mut value).cast(), size_of::<T>() as u32) };
    if failed == 0 { Some(value) } else { None }
}
