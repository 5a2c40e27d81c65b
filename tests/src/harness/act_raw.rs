//! The operations of `act` on raw and ping sockets, and the packets that they and the packet sockets send.
//!
//! Invariant: every packet made here is complete and correct, so that whoever receives it would take it.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use super::{
    act_net::{self, ip, send_bytes},
    act_ops::{Done, Kept},
    net::{NEAR_V4, NEAR_V6},
    sys::{self, Address},
};

/// Where the packets made here are addressed to and come from.
const UDP_PORT: u16 = 53;

/// Performs the operation if it is one of this module's.
pub(super) fn perform(words: &[&str], _: &mut Kept) -> Done {
    Ok(Some(match words {
        ["ping", to] => ping(ip(to)?, libc::SOCK_RAW, None),
        ["ping", to, from] => ping(ip(to)?, libc::SOCK_RAW, Some(ip(from)?)),
        ["ping-socket", to] => ping(ip(to)?, libc::SOCK_DGRAM, None),
        ["raw-ip", to] => raw_ip(ip(to)?)?,
        ["raw-udp", to] => raw_udp(ip(to)?),
        _ => return Ok(None),
    }))
}

/// An ICMP echo request, checksum filled in (for ICMPv6 the kernel does that).
pub(super) fn echo_request(to: IpAddr) -> [u8; 8] {
    match to {
        // type 8, code 0, checksum 0xf7fe, id 0, sequence 1
        IpAddr::V4(_) => [8, 0, 0xf7, 0xfe, 0, 0, 0, 1],
        IpAddr::V6(_) => [128, 0, 0, 0, 0, 0, 0, 1],
    }
}

fn ping(to: IpAddr, kind: libc::c_int, from: Option<IpAddr>) -> io::Result<()> {
    let (family, protocol) = match to {
        IpAddr::V4(_) => (libc::AF_INET, libc::IPPROTO_ICMP),
        IpAddr::V6(_) => (libc::AF_INET6, libc::IPPROTO_ICMPV6),
    };
    let socket = sys::socket(family, kind, protocol)?;
    if let Some(from) = from {
        act_net::bind(&socket, &Address::new(SocketAddr::new(from, 0)))?;
    }
    send_bytes(&socket, &echo_request(to), 0, &Address::new(SocketAddr::new(to, 0)))
}

/// A whole packet, IP header included, on a raw socket.
fn raw_ip(to: IpAddr) -> anyhow::Result<io::Result<()>> {
    let packet = udp_packet(to, near(to)?);
    let family = if to.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    let socket = sys::socket(family, libc::SOCK_RAW, libc::IPPROTO_RAW);
    Ok(socket.and_then(|socket| send_bytes(&socket, &packet, 0, &Address::new(SocketAddr::new(to, 0)))))
}

/// UDP by a raw socket of that protocol: the kernel makes the IP header.
fn raw_udp(to: IpAddr) -> io::Result<()> {
    let family = if to.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    let socket = sys::socket(family, libc::SOCK_RAW, libc::IPPROTO_UDP)?;
    let mut datagram = [0; 9];
    datagram[..6].copy_from_slice(&[0, 53, 0, 53, 0, 9]);
    send_bytes(&socket, &datagram, 0, &Address::new(SocketAddr::new(to, 0)))
}

/// The near end's address of the same family.
pub(super) fn near(to: IpAddr) -> anyhow::Result<IpAddr> {
    Ok(if to.is_ipv4() { NEAR_V4.parse()? } else { NEAR_V6.parse()? })
}

/// An IP packet with one byte of UDP, all checksums filled in.
pub(super) fn udp_packet(to: IpAddr, from: IpAddr) -> Vec<u8> {
    match (to, from) {
        (IpAddr::V4(to), IpAddr::V4(from)) => v4_packet(to, from),
        (IpAddr::V6(to), IpAddr::V6(from)) => v6_packet(to, from),
        // A caller's mistake that the far end would show as a missing frame.
        (IpAddr::V4(_) | IpAddr::V6(_), _) => Vec::new(),
    }
}

fn v4_packet(to: Ipv4Addr, from: Ipv4Addr) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 29, 0, 1, 0, 0, 64, 17, 0, 0];
    packet.extend([from.octets(), to.octets()].concat());
    let sum = checksum(&packet);
    packet[10..12].copy_from_slice(&sum);
    packet.extend(udp(&[&from.octets()[..], &to.octets()].concat()));
    packet
}

fn v6_packet(to: Ipv6Addr, from: Ipv6Addr) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0, 0, 9, 17, 64];
    packet.extend([from.octets(), to.octets()].concat());
    packet.extend(udp(&[&from.octets()[..], &to.octets()].concat()));
    packet
}

/// A UDP datagram of one byte between these addresses.
fn udp(addresses: &[u8]) -> Vec<u8> {
    let [high, low] = UDP_PORT.to_be_bytes();
    let mut datagram = vec![high, low, high, low, 0, 9, 0, 0, b'x'];
    let sum = checksum(&[addresses, &[0, 17, 0, 9], &datagram].concat());
    datagram[6..8].copy_from_slice(&sum);
    datagram
}

/// The Internet checksum.
fn checksum(bytes: &[u8]) -> [u8; 2] {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0));
    let mut sum: u32 = bytes.chunks(2).map(word).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!(sum as u16)).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_come_out_as_zero() {
        let packet = udp_packet("203.0.113.5".parse().unwrap(), "10.200.0.1".parse().unwrap());
        assert_eq!(packet.len(), 29);
        assert_eq!(checksum(&packet[..20]), [0, 0]);
        let pseudo = [&packet[12..20], &[0, 17, 0, 9], &packet[20..]].concat();
        assert_eq!(checksum(&pseudo), [0, 0]);
    }
}
