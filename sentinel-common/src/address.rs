//! The one normaliser: every destination becomes a 128-bit address in which an IPv4 destination,
//! however it was written, has the form `::ffff:a.b.c.d`.
//!
//! Invariant: kernel programs and user space call this same code, so no two hooks can disagree on
//! what an address means. Country data and policy look-ups are not here.

/// An address: 16 bytes in network order; IPv4 is v4-mapped.
///
/// Two words and not an array of bytes, so that the kernel programs keep it in two registers.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Address {
    /// First eight bytes as they are in memory (network order).
    pub high: u64,
    /// Last eight bytes as they are in memory (network order).
    pub low: u64,
}

/// `::ffff:0:0` of a v4-mapped address, in host order.
const MAPPED: u64 = 0xffff_0000_0000;

impl Address {
    /// From 16 bytes in network order.
    #[inline(always)]
    #[must_use]
    pub const fn from_octets(o: [u8; 16]) -> Self {
        Self {
            high: u64::from_ne_bytes([o[0], o[1], o[2], o[3], o[4], o[5], o[6], o[7]]),
            low: u64::from_ne_bytes([o[8], o[9], o[10], o[11], o[12], o[13], o[14], o[15]]),
        }
    }

    /// The 16 bytes in network order.
    #[must_use]
    pub const fn octets(self) -> [u8; 16] {
        let (h, l) = (self.high.to_ne_bytes(), self.low.to_ne_bytes());
        [h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7], l[0], l[1], l[2], l[3], l[4], l[5], l[6], l[7]]
    }

    /// From two words in host order.
    #[inline(always)]
    #[must_use]
    pub const fn from_words(high: u64, low: u64) -> Self {
        Self { high: high.to_be(), low: low.to_be() }
    }

    /// The v4-mapped form of an IPv4 address given in host order.
    #[inline(always)]
    #[must_use]
    pub const fn from_v4(v4: u32) -> Self {
        Self::from_words(0, MAPPED | v4 as u64)
    }

    /// Both words in host order.
    #[inline(always)]
    #[must_use]
    pub const fn words(self) -> (u64, u64) {
        (u64::from_be(self.high), u64::from_be(self.low))
    }

    /// Whether this is an IPv4 address.
    #[inline(always)]
    #[must_use]
    pub const fn is_v4(self) -> bool {
        let (high, low) = self.words();
        high == 0 && low >> 32 == 0xffff
    }

    /// The last four bytes in host order: the IPv4 address, if it is one.
    #[inline(always)]
    #[must_use]
    pub const fn v4(self) -> u32 {
        u64::from_be(self.low) as u32
    }
}

/// How an IPv4 destination was wrapped.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrapping {
    /// Not wrapped: the address stands for itself.
    None = 0,
    /// `::ffff:0:0/96`, RFC 4291.
    Mapped = 1,
    /// `::/96`, RFC 4291, deprecated.
    Compatible = 2,
    /// `64:ff9b::/96`, RFC 6052.
    Nat64 = 3,
    /// `2002::/16`, RFC 3056.
    SixToFour = 4,
    /// `2001::/32`, RFC 4380: the client's address, stored inverted in the last four bytes.
    Teredo = 5,
}

/// What an address is for, as far as geography is concerned.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// An ordinary address, which may have a country. Documentation prefixes are ordinary.
    Public = 0,
    /// Loopback or unspecified.
    Loopback = 1,
    /// Link-local.
    LinkLocal = 2,
    /// Multicast or broadcast.
    Multicast = 3,
    /// RFC 1918, 100.64.0.0/10, or unique local.
    Private = 4,
}

/// Turns a destination as given into the destination that is meant.
#[inline(always)]
#[must_use]
pub const fn normalise(given: Address) -> (Address, Wrapping) {
    let (high, low) = given.words();
    if high == 0 {
        return low_range(given, low);
    }
    if high >> 48 == 0x2002 {
        return (Address::from_v4((high >> 16) as u32), Wrapping::SixToFour);
    }
    if high >> 32 == 0x2001_0000 {
        return (Address::from_v4(!(low as u32)), Wrapping::Teredo);
    }
    if high == 0x0064_ff9b_0000_0000 && low >> 32 == 0 {
        return (Address::from_v4(low as u32), Wrapping::Nat64);
    }
    (given, Wrapping::None)
}

/// Addresses whose first eight bytes are zero: mapped, compatible, loopback and unspecified.
#[inline(always)]
const fn low_range(given: Address, low: u64) -> (Address, Wrapping) {
    if low >> 32 == 0xffff {
        return (given, Wrapping::Mapped);
    }
    if low >> 32 == 0 && low > 1 {
        return (Address::from_v4(low as u32), Wrapping::Compatible);
    }
    (given, Wrapping::None)
}

/// The class of a normalised address.
#[inline(always)]
#[must_use]
pub const fn class(address: Address) -> Class {
    if address.is_v4() {
        return class4(address.v4());
    }
    let (high, low) = address.words();
    if high == 0 && low <= 1 {
        return Class::Loopback;
    }
    if high >> 54 == 0xfe80 >> 6 {
        return Class::LinkLocal;
    }
    if high >> 56 == 0xff {
        return Class::Multicast;
    }
    if high >> 57 == 0xfc >> 1 { Class::Private } else { Class::Public }
}

#[inline(always)]
const fn class4(v4: u32) -> Class {
    let first = v4 >> 24;
    if first == 127 || first == 0 {
        return Class::Loopback;
    }
    if v4 >> 16 == 0xa9fe {
        return Class::LinkLocal;
    }
    if v4 >> 28 == 0xe || v4 == u32::MAX {
        return Class::Multicast;
    }
    let shared = v4 >> 22 == 0x6440 >> 6;
    let rfc1918 = first == 10 || v4 >> 20 == 0xac1 || v4 >> 16 == 0xc0a8;
    if shared || rfc1918 { Class::Private } else { Class::Public }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::net::{IpAddr, Ipv6Addr};

    fn address(text: &str) -> Address {
        match text.parse::<IpAddr>().unwrap() {
            IpAddr::V4(v4) => Address::from_v4(v4.into()),
            IpAddr::V6(v6) => Address::from_octets(v6.octets()),
        }
    }

    #[test]
    fn every_wrapping_of_an_ipv4_address_is_undone() {
        let plain = address("203.0.113.7");
        for (given, wrapping) in [
            ("::ffff:203.0.113.7", Wrapping::Mapped),
            ("::203.0.113.7", Wrapping::Compatible),
            ("64:ff9b::203.0.113.7", Wrapping::Nat64),
            ("2002:cb00:7107:1::1", Wrapping::SixToFour),
            ("2001:0:5ef5:79fb:0:59d:34ff:8ef8", Wrapping::Teredo),
        ] {
            assert_eq!(normalise(address(given)), (plain, wrapping), "{given}");
        }
    }

    #[test]
    fn other_addresses_stay_as_they_are() {
        for given in ["2001:db8::1", "::", "::1", "64:ff9b:1::cb00:7107", "2001:1::1", "fe80::1", "::1:0:0:0"] {
            assert_eq!(normalise(address(given)), (address(given), Wrapping::None), "{given}");
        }
    }

    #[test]
    fn normalising_twice_changes_nothing_more() {
        for seed in 0..20_000_u128 {
            let given = Ipv6Addr::from(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)).octets();
            let (once, _) = normalise(Address::from_octets(given));
            assert_eq!(normalise(once).0, once);
            assert_eq!(once, Address::from_octets(once.octets()));
        }
    }

    #[test]
    fn classes() {
        for (text, expected) in [
            ("127.1.2.3", Class::Loopback),
            ("0.0.0.0", Class::Loopback),
            ("::1", Class::Loopback),
            ("::", Class::Loopback),
            ("169.254.169.254", Class::LinkLocal),
            ("fe80::1", Class::LinkLocal),
            ("224.0.0.1", Class::Multicast),
            ("255.255.255.255", Class::Multicast),
            ("ff02::1", Class::Multicast),
            ("10.0.0.1", Class::Private),
            ("172.31.255.255", Class::Private),
            ("192.168.0.1", Class::Private),
            ("100.64.0.1", Class::Private),
            ("fd00::1", Class::Private),
            ("172.32.0.1", Class::Public),
            ("203.0.113.1", Class::Public),
            ("2001:db8::1", Class::Public),
            ("100.128.0.1", Class::Public),
        ] {
            assert_eq!(class(address(text)), expected, "{text}");
        }
    }
}
