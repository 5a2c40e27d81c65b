//! A loaded database: look-ups of one address, and prefixes of many.
//!
//! Invariant: both come from the same tables and the same predicate, so they cannot disagree. Not here: reading (`open` and the format modules).

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::address::{Address, enclosing_len};
use crate::country::{Country, CountrySet};
use crate::info::DatabaseInfo;
use crate::prefixes::PrefixSet;
use crate::record::{Record, Records};
use crate::region::Region;
use crate::selection::Selection;
use crate::table::{RecordId, SPECIAL, Table};

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

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Known => "known",
            Self::Unknown => "unknown",
            Self::NoIpv4 => "no-ipv4",
            Self::NoIpv6 => "no-ipv6",
            Self::Special => "special",
        })
    }
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
    /// The largest region around the address, where the source tells regions. It can belong to another country than
    /// `country`: sources differ on Crimea.
    pub region: Option<Region>,
    /// A region within that one, where the source tells two levels.
    pub subregion: Option<Region>,
    /// The country where the address block is registered. Recorded, never matched.
    pub registered: Option<Country>,
    /// The country that the user of the block represents (an embassy, a base abroad). Recorded, never matched: it once got a
    /// French network blocked as Iran.
    pub represented: Option<Country>,
}

impl Lookup {
    /// The regions around the address, the largest first.
    pub fn regions(&self) -> impl Iterator<Item = Region> + use<> {
        self.region.into_iter().chain(self.subregion)
    }

    /// Whether the address belongs to a selection: what [`Database::select`] says of the same address.
    #[must_use]
    pub fn is_in(&self, selection: &Selection) -> bool {
        self.coverage != Coverage::Special && selection.holds(self.country, self.regions())
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
        self.select(&Selection { countries: *wanted, include_unknown, ..Selection::default() })
    }

    /// The fewest prefixes that hold exactly the addresses selected. A region that the database does not tell selects
    /// nothing: ask [`tells`](Self::tells) first.
    #[must_use]
    pub fn select(&self, selection: &Selection) -> PrefixSet {
        let wanted: Vec<bool> = self.records.all().iter().map(|record| selection.holds_record(record)).collect();
        let select = |id: RecordId| id != SPECIAL && wanted.get(id as usize).copied().unwrap_or(false);
        let mut set = PrefixSet::default();
        self.v4.prefixes(select, |prefix| set.v4.push(prefix));
        self.v6.prefixes(select, |prefix| set.v6.push(prefix));
        set
    }

    /// Whether the database puts any address into the region. A rule on a region that it does not tell cannot be enforced.
    #[must_use]
    pub fn tells(&self, region: Region) -> bool {
        self.records.all().iter().any(|record| record.regions().any(|told| told == region))
    }

    /// All countries and regions that the database puts addresses into.
    #[must_use]
    pub fn places(&self) -> (CountrySet, BTreeSet<Region>) {
        let records = self.records.all();
        let countries = records.iter().filter_map(|record| record.country).collect();
        (countries, records.iter().flat_map(Record::regions).collect())
    }

    fn answer<A: Address>(&self, table: &Table<A>, address: A, covered: bool, missing: Coverage) -> Lookup {
        let range = table.find(address);
        let Record { country, region, subregion, registered, represented, asn: _ } = self.records.get(range.record);
        let coverage = match (range.record, country) {
            (SPECIAL, _) => Coverage::Special,
            (_, Some(_)) => Coverage::Known,
            (_, None) if !covered => missing,
            (_, None) => Coverage::Unknown,
        };
        let prefix = address.network(enclosing_len(address, range.first, range.last));
        Lookup { country, coverage, prefix, region, subregion, registered, represented }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The tables have hundreds of thousands of rows.
        f.debug_struct("Database").field("info", &self.info).finish_non_exhaustive()
    }
}
