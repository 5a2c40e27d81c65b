//! Addresses as numbers, and prefixes of them.
//!
//! Invariant: a prefix has no host bits set. All arithmetic goes through [`Address`], so that IPv4 and IPv6 share one code
//! path. Not here: which addresses are special (`special`), or what country they have (`table`).

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// An IPv4 prefix; `addr` is in host byte order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix4 {
    /// First address of the prefix.
    pub addr: u32,
    /// Prefix length, 0 to 32.
    pub len: u8,
}

/// An IPv6 prefix; `addr` is in host byte order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix6 {
    /// First address of the prefix.
    pub addr: u128,
    /// Prefix length, 0 to 128.
    pub len: u8,
}

impl fmt::Display for Prefix4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from_bits(self.addr), self.len)
    }
}

impl fmt::Display for Prefix6 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv6Addr::from_bits(self.addr), self.len)
    }
}

impl Prefix4 {
    /// First and last address.
    #[must_use]
    pub fn bounds(self) -> (u32, u32) {
        (self.addr, self.addr.last_of_block(self.len))
    }
}

impl Prefix6 {
    /// First and last address.
    #[must_use]
    pub fn bounds(self) -> (u128, u128) {
        (self.addr, self.addr.last_of_block(self.len))
    }
}

/// An address of one family as an unsigned number.
pub(crate) trait Address: Copy + Ord + fmt::Debug {
    /// How a prefix of this family is represented.
    type Prefix;
    const BITS: u8;
    const MIN: Self;
    const MAX: Self;

    /// The address after this one, `None` after the last.
    fn next(self) -> Option<Self>;
    /// The address before this one, `None` before the first.
    fn previous(self) -> Option<Self>;
    /// The distance up to `other`, which must not be smaller; widened so that one type serves both families.
    fn distance(self, other: Self) -> u128;
    /// The address `distance` further on, `None` beyond the last.
    fn advance(self, distance: u128) -> Option<Self>;
    fn trailing_zeros(self) -> u8;
    /// How many leading bits the two addresses share.
    fn common_bits(self, other: Self) -> u8;
    /// First address of the block of this prefix length around the address.
    fn first_of_block(self, len: u8) -> Self;
    /// Last address of the block of this prefix length around the address.
    fn last_of_block(self, len: u8) -> Self;
    fn prefix(self, len: u8) -> Self::Prefix;
    fn network(self, len: u8) -> IpNet;
}

/// The two implementations differ in nothing but types.
macro_rules! address {
    ($number:ty, $prefix:ident, $ip:ty, $net:ident) => {
        impl Address for $number {
            type Prefix = $prefix;
            const BITS: u8 = <$number>::BITS as u8;
            const MIN: Self = <$number>::MIN;
            const MAX: Self = <$number>::MAX;

            fn next(self) -> Option<Self> {
                self.checked_add(1)
            }
            fn previous(self) -> Option<Self> {
                self.checked_sub(1)
            }
            fn distance(self, other: Self) -> u128 {
                u128::from(other.saturating_sub(self))
            }
            fn advance(self, distance: u128) -> Option<Self> {
                self.checked_add(Self::try_from(distance).ok()?)
            }
            fn trailing_zeros(self) -> u8 {
                <$number>::trailing_zeros(self) as u8
            }
            fn common_bits(self, other: Self) -> u8 {
                (self ^ other).leading_zeros() as u8
            }
            fn first_of_block(self, len: u8) -> Self {
                self & !<$number>::MAX.checked_shr(u32::from(len)).unwrap_or(0)
            }
            fn last_of_block(self, len: u8) -> Self {
                self | <$number>::MAX.checked_shr(u32::from(len)).unwrap_or(0)
            }
            fn prefix(self, len: u8) -> $prefix {
                $prefix { addr: self.first_of_block(len), len }
            }
            fn network(self, len: u8) -> IpNet {
                let len = len.min(<Self as Address>::BITS);
                IpNet::from($net::new_assert(<$ip>::from_bits(self.first_of_block(len)), len))
            }
        }
    };
}

address!(u32, Prefix4, Ipv4Addr, Ipv4Net);
address!(u128, Prefix6, Ipv6Addr, Ipv6Net);

/// The largest block around `address` that lies within `first..=last` (which must hold the address): its prefix length.
pub(crate) fn enclosing_len<A: Address>(address: A, first: A, last: A) -> u8 {
    // A block leaves out its neighbour exactly when it is longer than what address and neighbour have in common.
    let below = first.previous().map_or(0, |neighbour| address.common_bits(neighbour) + 1);
    let above = last.next().map_or(0, |neighbour| address.common_bits(neighbour) + 1);
    below.max(above)
}

/// Cuts `first..=last` into the fewest prefixes, in order.
pub(crate) fn cover<A: Address>(first: A, last: A, mut each: impl FnMut(A::Prefix)) {
    let mut start = first;
    while start <= last {
        // Long enough to begin at `start`, and long enough not to reach past `last`.
        let aligned = A::BITS - start.trailing_zeros();
        let fits = last.next().map_or(0, |after| start.common_bits(after) + 1);
        let len = aligned.max(fits);
        each(start.prefix(len));
        let Some(next) = start.last_of_block(len).next() else { return };
        start = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covered(first: u32, last: u32) -> Vec<String> {
        let mut prefixes = Vec::new();
        cover(first, last, |prefix: Prefix4| prefixes.push(prefix.to_string()));
        prefixes
    }

    fn v4(text: &str) -> u32 {
        text.parse::<Ipv4Addr>().unwrap().to_bits()
    }

    #[test]
    fn a_range_is_cut_into_the_fewest_prefixes() {
        assert_eq!(covered(0, u32::MAX), ["0.0.0.0/0"]);
        assert_eq!(covered(v4("10.0.0.1"), v4("10.0.0.1")), ["10.0.0.1/32"]);
        assert_eq!(
            covered(v4("10.0.0.1"), v4("10.0.0.6")),
            ["10.0.0.1/32", "10.0.0.2/31", "10.0.0.4/31", "10.0.0.6/32"]
        );
        assert_eq!(covered(v4("128.0.0.0"), u32::MAX), ["128.0.0.0/1"]);
        assert_eq!(covered(1, u32::MAX).len(), 32);
    }

    #[test]
    fn the_largest_block_around_an_address_stays_inside() {
        assert_eq!(enclosing_len(5_u32, 0, u32::MAX), 0);
        assert_eq!(enclosing_len(v4("192.0.2.77"), v4("192.0.2.0"), v4("192.0.2.255")), 24);
        assert_eq!(enclosing_len(v4("192.0.2.1"), v4("192.0.2.1"), v4("192.0.2.255")), 32);
        assert_eq!(enclosing_len(u128::MAX, u128::MAX, u128::MAX), 128);
    }

    #[test]
    fn prefixes_print_as_cidr() {
        let six = 0x2001_0db8_u128 << 96;
        assert_eq!(six.prefix(32).to_string(), "2001:db8::/32");
        assert_eq!(six.network(32).to_string(), "2001:db8::/32");
        assert_eq!(six.prefix(0).bounds(), (0, u128::MAX));
    }
}
