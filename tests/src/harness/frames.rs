//! The destinations of an Ethernet frame, its own and those of the packets inside it.
//!
//! Invariant: an IPv4 destination is found below every spelling and wrapping that a scenario sends: VLAN tags, IPIP, 6in4,
//! GRE, VXLAN, Teredo, and IPv6 addresses that carry it. Written without Sentinel's normaliser, so that the two can disagree.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How many packets inside one another are looked into.
const DEPTH: usize = 6;

const VXLAN: [u16; 2] = [4789, 8472];
const TEREDO: u16 = 3544;
const IPIP: u8 = 4;
const UDP: u8 = 17;
const IPV6: u8 = 41;
const GRE: u8 = 47;

/// Every IP destination that the frame carries, outermost first; an IPv6 address that stands for an IPv4 one is followed
/// by that.
pub fn destinations(frame: &[u8]) -> Vec<IpAddr> {
    let mut found = Vec::new();
    // What is cut off or malformed ends the search, not what was found before.
    let _ = ethernet(frame, &mut found, DEPTH);
    found
}

fn ethernet(frame: &[u8], found: &mut Vec<IpAddr>, depth: usize) -> Option<()> {
    let mut at = 12;
    while matches!(frame.get(at..at + 2)?, [0x81, 0x00] | [0x88, 0xa8]) {
        at += 4;
    }
    by_type(frame.get(at..at + 2)?, frame.get(at + 2..)?, found, depth)
}

fn by_type(kind: &[u8], payload: &[u8], found: &mut Vec<IpAddr>, depth: usize) -> Option<()> {
    match kind {
        [0x08, 0x00] | [0x86, 0xdd] => ip(payload, found, depth),
        [0x65, 0x58] => ethernet(payload, found, depth),
        _ => None,
    }
}

fn ip(packet: &[u8], found: &mut Vec<IpAddr>, depth: usize) -> Option<()> {
    let depth = depth.checked_sub(1)?;
    let (protocol, payload) = match packet.first()? >> 4 {
        4 => v4(packet, found)?,
        6 => v6(packet, found)?,
        _ => return None,
    };
    match protocol {
        IPIP | IPV6 => ip(payload, found, depth),
        GRE => gre(payload, found, depth),
        UDP => udp(payload, found, depth),
        _ => None,
    }
}

fn v4<'a>(packet: &'a [u8], found: &mut Vec<IpAddr>) -> Option<(u8, &'a [u8])> {
    let octets: [u8; 4] = packet.get(16..20)?.try_into().ok()?;
    found.push(IpAddr::from(octets));
    let later_fragment = u16::from_be_bytes([packet[6], packet[7]]) & 0x1fff != 0;
    let header = usize::from(packet[0] & 15) * 4;
    if later_fragment { None } else { Some((packet[9], packet.get(header..)?)) }
}

fn v6<'a>(packet: &'a [u8], found: &mut Vec<IpAddr>) -> Option<(u8, &'a [u8])> {
    let octets: [u8; 16] = packet.get(24..40)?.try_into().ok()?;
    let address = Ipv6Addr::from(octets);
    found.push(IpAddr::V6(address));
    found.extend(carried(address).map(IpAddr::V4));
    let (mut next, mut at) = (packet[6], 40);
    loop {
        match next {
            // hop-by-hop, routing and destination options; fragment
            0 | 43 | 60 => {
                (next, at) = (*packet.get(at)?, at + (usize::from(*packet.get(at + 1)?) + 1) * 8);
            }
            44 => (next, at) = (*packet.get(at)?, at + 8),
            _ => return Some((next, packet.get(at..)?)),
        }
    }
}

fn gre(packet: &[u8], found: &mut Vec<IpAddr>, depth: usize) -> Option<()> {
    let flags = *packet.first()?;
    // checksum, key and sequence number: four bytes each
    let optional = [0x80, 0x20, 0x10].iter().filter(|bit| flags & **bit != 0).count() * 4;
    by_type(packet.get(2..4)?, packet.get(4 + optional..)?, found, depth)
}

fn udp(packet: &[u8], found: &mut Vec<IpAddr>, depth: usize) -> Option<()> {
    let port = u16::from_be_bytes(packet.get(2..4)?.try_into().ok()?);
    if VXLAN.contains(&port) {
        return ethernet(packet.get(16..)?, found, depth);
    }
    if port == TEREDO {
        return ip(packet.get(8..)?, found, depth);
    }
    None
}

/// The IPv4 address that an IPv6 address carries: mapped, compatible, NAT64, 6to4, Teredo.
fn carried(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let s = address.segments();
    let two = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match s {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(two(high, low)),
        [0x2002, high, low, ..] => Some(two(high, low)),
        [0x2001, 0, _, _, _, _, high, low] => Some(two(!high, !low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4_packet(protocol: u8, to: [u8; 4], payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0, 10, 200, 0, 1];
        packet.extend(to);
        packet.extend(payload);
        packet
    }

    fn v6_packet(next: u8, to: &str, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x60, 0, 0, 0, 0, 0, next, 64];
        packet.extend([0; 16]);
        packet.extend(to.parse::<Ipv6Addr>().unwrap().octets());
        packet.extend(payload);
        packet
    }

    fn frame(kind: &[u8], payload: &[u8]) -> Vec<u8> {
        [&[0; 12], kind, payload].concat()
    }

    fn texts(frame: &[u8]) -> Vec<String> {
        destinations(frame).iter().map(ToString::to_string).collect()
    }

    const V4: &[u8] = &[8, 0];
    const V6: &[u8] = &[0x86, 0xdd];
    const OUTER: [u8; 4] = [198, 51, 100, 1];

    #[test]
    fn inner_destinations_of_every_wrapping() {
        let inner = v4_packet(UDP, [203, 0, 113, 5], &[0; 8]);
        let expected = ["198.51.100.1", "203.0.113.5"];
        assert_eq!(texts(&frame(V4, &v4_packet(IPIP, OUTER, &inner))), expected);
        let gre = [&[0x20, 0, 8, 0, 0, 0, 0, 1], &inner[..]].concat();
        assert_eq!(texts(&frame(V4, &v4_packet(GRE, OUTER, &gre))), expected);
        let vxlan = [&[0, 0, 0x12, 0xb5, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 7, 0], &frame(V4, &inner)[..]].concat();
        assert_eq!(texts(&frame(V4, &v4_packet(UDP, OUTER, &vxlan))), expected);
        assert_eq!(texts(&frame(&[0x81, 0, 0, 7, 8, 0], &inner)), ["203.0.113.5"]);
        let six = v6_packet(UDP, "2001:db8:bad::5", &[]);
        assert_eq!(texts(&frame(V4, &v4_packet(IPV6, OUTER, &six))), ["198.51.100.1", "2001:db8:bad::5"]);
        let teredo = [&[0, 0, 0x0d, 0xd8, 0, 0, 0, 0], &six[..]].concat();
        assert_eq!(texts(&frame(V4, &v4_packet(UDP, OUTER, &teredo))), ["198.51.100.1", "2001:db8:bad::5"]);
        let options = [&[4, 0, 0, 0, 0, 0, 0, 0], &inner[..]].concat();
        assert_eq!(texts(&frame(V6, &v6_packet(60, "2001:db8::1", &options))), ["2001:db8::1", "203.0.113.5"]);
    }

    #[test]
    fn addresses_that_carry_another() {
        for to in ["64:ff9b::203.0.113.5", "2002:cb00:7105::1", "2001:0:1:2:3:4:34ff:8efa", "::203.0.113.5"] {
            assert_eq!(texts(&frame(V6, &v6_packet(UDP, to, &[])))[1], "203.0.113.5", "{to}");
        }
        assert_eq!(texts(&frame(V6, &v6_packet(UDP, "2001:db8::1", &[]))).len(), 1);
    }

    #[test]
    fn short_and_endless_frames_end() {
        let whole = frame(V4, &v4_packet(IPIP, OUTER, &v4_packet(UDP, [203, 0, 113, 5], &[0; 8])));
        (0..whole.len()).for_each(|length| drop(destinations(&whole[..length])));
        let deep = (0..40).fold(Vec::new(), |inner, _| v4_packet(IPIP, OUTER, &inner));
        assert_eq!(destinations(&frame(V4, &deep)).len(), DEPTH);
    }
}
