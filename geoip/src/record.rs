//! What a database says about a range of addresses, each distinct statement kept once.
//!
//! Invariant: records 0 and 1 are "unknown" and "special" (`table`), and ids are dense. Not here: how a record is read.

use std::collections::HashMap;

use crate::country::Country;
use crate::region::Region;
use crate::table::RecordId;

/// One statement about addresses. Only country and regions are ever matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Record {
    pub(crate) country: Option<Country>,
    /// The largest subdivision that the source tells.
    pub(crate) region: Option<Region>,
    /// A subdivision of the region.
    pub(crate) subregion: Option<Region>,
    pub(crate) registered: Option<Country>,
    pub(crate) represented: Option<Country>,
    /// Set only when AS numbers were asked for, and then nothing else is.
    pub(crate) asn: Option<u32>,
}

impl Record {
    /// The regions that the source tells, the largest first.
    pub(crate) fn regions(&self) -> impl Iterator<Item = Region> + use<> {
        self.region.into_iter().chain(self.subregion)
    }
}

/// The list of distinct records.
#[derive(Debug, Clone)]
pub(crate) struct Records {
    list: Vec<Record>,
    ids: HashMap<Record, RecordId>,
}

/// There are more distinct records than ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooMany;

impl Records {
    /// A list with the two fixed records.
    pub(crate) fn new() -> Self {
        let unknown = Record::default();
        Self { list: vec![unknown, unknown], ids: HashMap::from([(unknown, crate::table::UNKNOWN)]) }
    }

    /// The id of a record, a new one if the record is new.
    pub(crate) fn intern(&mut self, record: Record) -> Result<RecordId, TooMany> {
        if let Some(id) = self.ids.get(&record) {
            return Ok(*id);
        }
        let id = RecordId::try_from(self.list.len()).map_err(|_| TooMany)?;
        self.list.push(record);
        self.ids.insert(record, id);
        Ok(id)
    }

    /// Every distinct record, by its id.
    pub(crate) fn all(&self) -> &[Record] {
        &self.list
    }

    /// The record of an id; nothing is known of ids that were never given out.
    pub(crate) fn get(&self, id: RecordId) -> Record {
        self.list.get(id as usize).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_records_share_an_id() {
        let mut records = Records::new();
        assert_eq!(records.intern(Record::default()), Ok(crate::table::UNKNOWN));
        let iran = Record { country: "IR".parse().ok(), ..Record::default() };
        assert_eq!(records.intern(iran), Ok(2));
        assert_eq!(records.intern(iran), Ok(2));
        assert_eq!(records.get(2), iran);
    }
}
