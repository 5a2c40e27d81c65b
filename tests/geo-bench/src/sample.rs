//! Addresses to look up.
//!
//! Invariant: the same ones in every run; a sample is drawn evenly from the addresses that have a country.

use geoip::{Classes, CountrySet, Database, TableImage};
use sentinel_common::{
    address::Address,
    geo::{NODE, ROOTS, Table as _},
};

/// As many as the kernel side takes.
pub(crate) const COUNT: usize = 65_536;

/// Numbers without pattern: the same sequence every time (xorshift64*, Vigna 2016).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn wide(&mut self) -> u128 {
        u128::from(self.next()) << 64 | u128::from(self.next())
    }
}

/// IPv4 addresses.
pub(crate) fn v4(database: &Database) -> Vec<Address> {
    let known = database.prefixes(&CountrySet::all(), false);
    let ranges: Vec<(u128, u128)> = known.v4.iter().map(|p| p.bounds()).map(|(a, b)| (a.into(), b.into())).collect();
    drawn(&ranges).into_iter().map(|ip| Address::from_v4(ip as u32)).collect()
}

/// IPv6 addresses.
pub(crate) fn v6(database: &Database) -> Vec<Address> {
    let known = database.prefixes(&CountrySet::all(), false);
    let ranges: Vec<(u128, u128)> = known.v6.iter().map(|p| p.bounds()).collect();
    drawn(&ranges).into_iter().map(|ip| Address::from_octets(ip.to_be_bytes())).collect()
}

fn drawn(ranges: &[(u128, u128)]) -> Vec<u128> {
    let mut random = Random(0x5e41_1e57);
    let mut ends = Vec::with_capacity(ranges.len());
    let mut total = 0_u128;
    for (first, last) in ranges {
        total += last - first + 1;
        ends.push(total);
    }
    let pick = |at: u128| {
        let index = ends.partition_point(|end| *end <= at);
        ranges[index].1 - (ends[index] - at - 1)
    };
    (0..COUNT).map(|_| pick(random.wide() % total)).collect()
}

/// Addresses in divided /64s: all nodes and then a tail.
pub(crate) fn deepest(classes: &Classes, image: &TableImage) -> Vec<Address> {
    let divided = |ip: u128| {
        let mut key = (ip >> 64) as u64;
        let mut number = image.root(ROOTS + (key >> 48) as u32).filter(|root| root & NODE != 0)? & !NODE;
        key <<= 16;
        for _ in 0..6 {
            let node = image.node(number)?;
            let (word, bit) = ((key >> 62) as usize, key >> 56 & 63);
            if node.children[word] >> bit & 1 == 0 {
                return None;
            }
            let before = (node.children[word] & !(u64::MAX << bit)).count_ones();
            number = node.child + u32::from(node.children_before[word]) + before;
            key <<= 8;
        }
        Some(())
    };
    let found: Vec<u128> = classes.v6.iter().map(|(start, _)| *start).filter(|ip| divided(*ip).is_some()).collect();
    let mut random = Random(0xdee9);
    let address = |ip: u128| Address::from_octets(ip.to_be_bytes());
    if found.is_empty() {
        return Vec::new();
    }
    (0..COUNT).map(|_| address(found[random.next() as usize % found.len()])).collect()
}
