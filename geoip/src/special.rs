//! Addresses that have no country by nature.
//!
//! Invariant: both lists are sorted and disjoint, and every table is overlaid with them, so that whatever a database says
//! of these blocks neither look-ups nor compiled prefixes show it. Documentation prefixes (192.0.2.0/24, 198.51.100.0/24,
//! 203.0.113.0/24, 2001:db8::/32) are *not* special: they are ordinary addresses, which tests and laboratories use.

use crate::address::{Prefix4, Prefix6};

/// IPv4 blocks that have no country: "this network" (RFC 1122), private, shared (RFC 6598), loopback, link-local, multicast, broadcast.
pub const SPECIAL_V4: [Prefix4; 9] = [
    v4([0, 0, 0, 0], 8),
    v4([10, 0, 0, 0], 8),
    v4([100, 64, 0, 0], 10),
    v4([127, 0, 0, 0], 8),
    v4([169, 254, 0, 0], 16),
    v4([172, 16, 0, 0], 12),
    v4([192, 168, 0, 0], 16),
    v4([224, 0, 0, 0], 4),
    v4([255, 255, 255, 255], 32),
];

/// IPv6 blocks that have no country. Two kinds: unspecified, loopback, unique-local, link-local and multicast addresses;
/// and blocks whose addresses carry an IPv4 address (v4-compatible `::/96`, v4-mapped, NAT64, Teredo, 6to4). The caller
/// turns the second kind into IPv4 *before* asking, as the kernel does; in an IPv6 table they would hide the answer.
pub const SPECIAL_V6: [Prefix6; 8] = [
    v6([0, 0, 0, 0, 0, 0], 96),
    v6([0, 0, 0, 0, 0, 0xffff], 96),
    v6([0x64, 0xff9b, 0, 0, 0, 0], 96),
    v6([0x2001, 0, 0, 0, 0, 0], 32),
    v6([0x2002, 0, 0, 0, 0, 0], 16),
    v6([0xfc00, 0, 0, 0, 0, 0], 7),
    v6([0xfe80, 0, 0, 0, 0, 0], 10),
    v6([0xff00, 0, 0, 0, 0, 0], 8),
];

const fn v4(octets: [u8; 4], len: u8) -> Prefix4 {
    Prefix4 { addr: u32::from_be_bytes(octets), len }
}

const fn v6(first: [u16; 6], len: u8) -> Prefix6 {
    let [a, b, c, d, e, f] = first;
    Prefix6 { addr: std::net::Ipv6Addr::new(a, b, c, d, e, f, 0, 0).to_bits(), len }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_lists_are_sorted_and_disjoint() {
        assert!(SPECIAL_V4.windows(2).all(|pair| pair[0].bounds().1 < pair[1].addr));
        assert!(SPECIAL_V6.windows(2).all(|pair| pair[0].bounds().1 < pair[1].addr));
    }

    #[test]
    fn no_block_has_host_bits() {
        assert!(SPECIAL_V4.iter().all(|block| block.addr.trailing_zeros() >= u32::from(32 - block.len)));
        assert!(SPECIAL_V6.iter().all(|block| block.addr.trailing_zeros() >= u32::from(128 - block.len)));
    }

    #[test]
    fn the_blocks_are_the_ones_meant() {
        let v4: Vec<String> = SPECIAL_V4.iter().map(ToString::to_string).collect();
        let v6: Vec<String> = SPECIAL_V6.iter().map(ToString::to_string).collect();
        assert_eq!(v4[2], "100.64.0.0/10");
        assert_eq!(
            v6,
            [
                "::/96",
                "::ffff:0.0.0.0/96",
                "64:ff9b::/96",
                "2001::/32",
                "2002::/16",
                "fc00::/7",
                "fe80::/10",
                "ff00::/8"
            ]
        );
    }
}
