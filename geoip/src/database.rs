//! A loaded database: look-ups of one address, and prefixes of many.
//!
//! Invariant: both come from the same tables, so they cannot disagree. Not here: reading (`open` and the format modules).

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::address::{Address, Prefix4, Prefix6, enclosing_len};
use crate::country::{Country, CountrySet};
use crate::info::DatabaseInfo;
use crate::record::{Record, Records};
use crate::region::Region;
use crate::table::{RecordId, SPECIAL, Table, UNKNOWN};

/// A country database in memory.
#[derive(Clone)]
pub struct Database {
    pub(crate) info: DatabaseInfo,
    pub(crate) v4: Table<u32>,
    pub(crate) v6: Table<u128>,
    pub(crate) records: Records,
}

/// What kind of answer a look-up is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Coverage {
    /// The database knows a country for the address.
    Known,
    /// The database covers the address family and knows no country for the address.
    Unknown,
    /// The database has no IPv4 data at all: it cannot say, and this is not the same as saying "unknown".
    NoIpv4,
    /// The database has no IPv6 data at all: it cannot say, and this is not the same as saying "unknown".
    NoIpv6,
    /// The address has no country by nature ([`crate::SPECIAL_V4`], [`crate::SPECIAL_V6`]) and is never geo-blocked.
    Special,
}

/// What a database says of one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lookup {
    /// The country; `Some` exactly when `coverage` is [`Coverage::Known`].
    pub country: Option<Country>,
    /// What kind of answer this is.
    pub coverage: Coverage,
    /// The largest prefix around the address whose addresses all have this same record. Neighbouring networks with equal
    /// records count as one, so it can be shorter than the prefix written in the source.
    pub prefix: IpNet,
    /// The region, where the source tells regions; those read today do not.
    pub region: Option<Region>,
    /// The country where the address block is registered. Recorded, never matched.
    pub registered: Option<Country>,
    /// The country that the user of the block represents (an embassy, a base abroad). Recorded, never matched: it once got a
    /// French network blocked as Iran.
    pub represented: Option<Country>,
}

/// Prefixes of both families: sorted, disjoint, and as few as possible.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PrefixSet {
    /// IPv4 prefixes.
    pub v4: Vec<Prefix4>,
    /// IPv6 prefixes.
    pub v6: Vec<Prefix6>,
}

impl PrefixSet {
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
        match address {
            IpAddr::V4(ip) => {
                let ip = ip.to_bits();
                let index = self.v4.partition_point(|prefix| prefix.addr <= ip);
                index.checked_sub(1).is_some_and(|index| ip <= self.v4[index].bounds().1)
            }
            IpAddr::V6(ip) => {
                let ip = ip.to_bits();
                let index = self.v6.partition_point(|prefix| prefix.addr <= ip);
                index.checked_sub(1).is_some_and(|index| ip <= self.v6[index].bounds().1)
            }
        }
    }
}

impl Database {
    /// The database as a whole.
    #[must_use]
    pub fn info(&self) -> &DatabaseInfo {
        &self.info
    }

    /// What the database says of an address.
    ///
    /// IPv6 addresses that carry an IPv4 address (v4-mapped, v4-compatible, NAT64, 6to4, Teredo) must be turned into IPv4 by
    /// the caller first, with the one normaliser that the kernel uses too; here they are [`Coverage::Special`].
    #[must_use]
    pub fn lookup(&self, address: IpAddr) -> Lookup {
        match address {
            IpAddr::V4(ip) => self.answer(&self.v4, ip.to_bits(), self.info.covers_v4(), Coverage::NoIpv4),
            IpAddr::V6(ip) => self.answer(&self.v6, ip.to_bits(), self.info.covers_v6(), Coverage::NoIpv6),
        }
    }

    /// The fewest prefixes that hold exactly the addresses whose country is wanted: sorted, disjoint, not mergeable.
    ///
    /// With `include_unknown` also those for which [`lookup`](Self::lookup) says [`Coverage::Unknown`], `NoIpv4` or `NoIpv6`.
    /// Special addresses are never in the set. For an allow-list pass the [`CountrySet::complement`] of what is allowed.
    #[must_use]
    pub fn prefixes(&self, wanted: &CountrySet, include_unknown: bool) -> PrefixSet {
        let select = |id: RecordId| match id {
            SPECIAL => false,
            UNKNOWN => include_unknown,
            other => self.records.get(other).country.map_or(include_unknown, |country| wanted.contains(country)),
        };
        let mut set = PrefixSet::default();
        self.v4.prefixes(select, |prefix| set.v4.push(prefix));
        self.v6.prefixes(select, |prefix| set.v6.push(prefix));
        set
    }

    fn answer<A: Address>(&self, table: &Table<A>, address: A, covered: bool, missing: Coverage) -> Lookup {
        let range = table.find(address);
        let Record { country, region, registered, represented } = self.records.get(range.record);
        let coverage = match (range.record, country) {
            (SPECIAL, _) => Coverage::Special,
            (_, Some(_)) => Coverage::Known,
            (_, None) if !covered => missing,
            (_, None) => Coverage::Unknown,
        };
        let prefix = address.network(enclosing_len(address, range.first, range.last));
        Lookup { country, coverage, prefix, region, registered, represented }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The tables have hundreds of thousands of rows.
        f.debug_struct("Database").field("info", &self.info).finish_non_exhaustive()
    }
}
