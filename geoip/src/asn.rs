//! Which AS announces an address, and which prefixes an AS announces.
//!
//! Invariant: a database of AS numbers is read by the same rules as one of countries, and tells nothing about countries. Not
//! here: reading (`open`, `mmdb::asn`) and lists that name AS numbers (`list`).

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use crate::database::Database;
use crate::info::DatabaseInfo;
use crate::prefixes::PrefixSet;
use crate::table::{RecordId, SPECIAL};

/// A database of AS numbers in memory.
#[derive(Clone)]
pub struct AsnDatabase(pub(crate) Database);

impl AsnDatabase {
    /// The database as a whole; its entries are not counted, since they are no countries.
    #[must_use]
    pub fn info(&self) -> &DatabaseInfo {
        self.0.info()
    }

    /// The AS that announces an address.
    #[must_use]
    pub fn lookup(&self, address: IpAddr) -> Option<u32> {
        let record = match address {
            IpAddr::V4(ip) => self.0.v4.find(ip.to_bits()).record,
            IpAddr::V6(ip) => self.0.v6.find(ip.to_bits()).record,
        };
        self.0.records.get(record).asn
    }

    /// The fewest prefixes that hold what some AS announce.
    #[must_use]
    pub fn prefixes(&self, numbers: &BTreeSet<u32>) -> PrefixSet {
        let announced = |record: &crate::record::Record| record.asn.is_some_and(|asn| numbers.contains(&asn));
        let wanted: Vec<bool> = self.0.records.all().iter().map(announced).collect();
        let select = |id: RecordId| id != SPECIAL && wanted.get(id as usize).copied().unwrap_or(false);
        let mut set = PrefixSet::default();
        self.0.v4.prefixes(select, |prefix| set.v4.push(prefix));
        self.0.v6.prefixes(select, |prefix| set.v6.push(prefix));
        set
    }

    /// Whether the database has an AS at all.
    #[must_use]
    pub fn tells(&self, number: u32) -> bool {
        self.0.records.all().iter().any(|record| record.asn == Some(number))
    }

    /// How many AS the database has.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.records.all().iter().filter_map(|record| record.asn).collect::<BTreeSet<_>>().len()
    }
}

impl fmt::Debug for AsnDatabase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsnDatabase").field("info", &self.0.info).finish_non_exhaustive()
    }
}
