//! Sets of prefixes: what the kernel's table is made of.
//!
//! Invariant: both lists are sorted, disjoint, without host bits, and as few as possible.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::address::{Address, Prefix4, Prefix6};
use crate::table::Joined;

/// Prefixes of both families: sorted, disjoint, and as few as possible.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PrefixSet {
    /// IPv4 prefixes.
    pub v4: Vec<Prefix4>,
    /// IPv6 prefixes.
    pub v6: Vec<Prefix6>,
}

impl PrefixSet {
    /// The set of some networks, which may overlap and come in any order.
    pub fn from_networks(networks: impl IntoIterator<Item = IpNet>) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for network in networks {
            match network {
                IpNet::V4(net) => v4.push((net.network().to_bits(), net.broadcast().to_bits())),
                IpNet::V6(net) => v6.push((net.network().to_bits(), net.broadcast().to_bits())),
            }
        }
        Self { v4: join(v4), v6: join(v6) }
    }

    /// The addresses of both sets.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let v4 = self.v4.iter().chain(&other.v4).map(|prefix| prefix.bounds()).collect();
        let v6 = self.v6.iter().chain(&other.v6).map(|prefix| prefix.bounds()).collect();
        Self { v4: join(v4), v6: join(v6) }
    }

    /// The prefixes as networks, IPv4 first.
    pub fn networks(&self) -> impl Iterator<Item = IpNet> + '_ {
        let v4 = self.v4.iter().map(|prefix| prefix.addr.network(prefix.len));
        v4.chain(self.v6.iter().map(|prefix| prefix.addr.network(prefix.len)))
    }

    /// How many prefixes of both families.
    #[must_use]
    pub fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    /// Whether there is no prefix at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// Whether one of the prefixes holds the address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.find(address).is_some()
    }

    /// The prefix that holds the address.
    #[must_use]
    pub fn find(&self, address: IpAddr) -> Option<IpNet> {
        match address {
            IpAddr::V4(ip) => {
                let index = self.v4.partition_point(|prefix| prefix.addr <= ip.to_bits()).checked_sub(1)?;
                let prefix = self.v4[index];
                (ip.to_bits() <= prefix.bounds().1).then(|| prefix.addr.network(prefix.len))
            }
            IpAddr::V6(ip) => {
                let index = self.v6.partition_point(|prefix| prefix.addr <= ip.to_bits()).checked_sub(1)?;
                let prefix = self.v6[index];
                (ip.to_bits() <= prefix.bounds().1).then(|| prefix.addr.network(prefix.len))
            }
        }
    }
}

/// The fewest prefixes of ranges that may overlap and come in any order.
fn join<A: Address>(mut ranges: Vec<(A, A)>) -> Vec<A::Prefix> {
    ranges.sort_unstable();
    let (mut joined, mut prefixes) = (Joined::default(), Vec::new());
    for (first, last) in ranges {
        joined.add(first, last, |prefix| prefixes.push(prefix));
    }
    joined.finish(|prefix| prefixes.push(prefix));
    prefixes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set(networks: &[&str]) -> PrefixSet {
        PrefixSet::from_networks(networks.iter().map(|text| text.parse::<IpNet>().unwrap()))
    }

    fn shown(set: &PrefixSet) -> Vec<String> {
        set.networks().map(|net| net.to_string()).collect()
    }

    #[test]
    fn networks_are_joined_and_swallowed() {
        let joined = set(&["203.0.113.128/25", "203.0.113.0/25", "203.0.113.7/32", "2001:db8::/48", "2001:db8:1::/48"]);
        assert_eq!(shown(&joined), ["203.0.113.0/24", "2001:db8::/47"]);
        assert_eq!(shown(&joined.union(&set(&["203.0.112.0/24"]))), ["203.0.112.0/23", "2001:db8::/47"]);
        assert_eq!(shown(&set(&["0.0.0.0/0", "255.255.255.255/32"])), ["0.0.0.0/0"]);
        assert_eq!(joined.find("203.0.113.9".parse().unwrap()).unwrap().to_string(), "203.0.113.0/24");
        assert_eq!(joined.find("203.0.114.0".parse().unwrap()), None);
    }

    proptest! {
        #[test]
        fn a_union_holds_what_one_of_both_holds(
            one in prop::collection::vec((any::<u8>(), 26_u8..=32), 0..8),
            other in prop::collection::vec((any::<u8>(), 26_u8..=32), 0..8),
        ) {
            let build = |list: &[(u8, u8)]| {
                let networks = list.iter().map(|(last, len)| (0xcb00_7100 | u32::from(*last)).network(*len));
                PrefixSet::from_networks(networks)
            };
            let (one, other) = (build(&one), build(&other));
            let both = one.union(&other);
            for last in 0..=u8::MAX {
                let address = IpAddr::V4((0xcb00_7100 | u32::from(last)).into());
                prop_assert_eq!(both.contains(address), one.contains(address) || other.contains(address));
            }
            prop_assert_eq!(both.union(&one), both);
        }
    }
}
