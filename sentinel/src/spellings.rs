//! The ways in which an IPv6 destination can mean an IPv4 address, for asking the kernel about each.
//!
//! Invariant: the normaliser undoes every one (a test holds it to that). Not here: the normaliser itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use sentinel_common::address::Address;

/// An address as a hook gets it.
#[must_use]
pub fn plain(address: IpAddr) -> Address {
    match address {
        IpAddr::V4(v4) => Address::from_v4(v4.to_bits()),
        IpAddr::V6(v6) => Address::from_octets(v6.octets()),
    }
}

/// Spellings of an IPv4 address and what they are called, the plain one first.
#[must_use]
pub fn of_v4(v4: Ipv4Addr) -> [(&'static str, Address); 5] {
    let bits = u128::from(v4.to_bits());
    let v6 = |bits: u128| plain(Ipv6Addr::from_bits(bits).into());
    [
        ("IPv4", plain(v4.into())),
        ("IPv4-mapped", v6(0xffff << 32 | bits)),
        ("NAT64", v6(0x0064_ff9b << 96 | bits)),
        ("6to4", v6(0x2002 << 112 | bits << 80 | 1)),
        ("Teredo", v6(0x2001_0000 << 96 | 0xc000_0201 << 64 | (bits ^ 0xffff_ffff))),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use sentinel_common::address::{Wrapping, normalise};

    #[test]
    fn the_normaliser_undoes_every_spelling() {
        let v4: Ipv4Addr = "203.0.113.7".parse().unwrap();
        let all = of_v4(v4);
        let wrappings = all.map(|(_, given)| {
            let (meant, wrapping) = normalise(given);
            assert_eq!(meant, Address::from_v4(v4.to_bits()));
            wrapping
        });
        let expected = [Wrapping::Mapped, Wrapping::Mapped, Wrapping::Nat64, Wrapping::SixToFour, Wrapping::Teredo];
        assert_eq!(wrappings, expected);
        // What a plain IPv4 socket and a v4-mapped one hand over is the same already.
        assert_eq!(all[0].1, all[1].1);
    }
}
