//! What a database says about a range of addresses, each distinct statement kept once.
//!
//! Invariant: records 0 and 1 are "unknown" and "special" (`table`), and ids are dense. Not here: how a record is read.

use std::collections::HashMap;

use crate::country::Country;
use crate::region::Region;
use crate::table::RecordId;

/// One statement about addresses. Only `country` (and later `region`) is ever matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Record {
    pub(crate) country: Option<Country>,
    pub(crate) region: Option<Region>,
    pub(crate) registered: Option<Country>,
    pub(crate) represented: Option<Country>,
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

    /// The record of an id; nothing is known of ids that were never given out.
    pub(crate) fn get(&self, id: RecordId) -> Record {
        self.list.get(usize::from(id)).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_records_share_an_id_and_the_id_space_is_checked() {
        let mut records = Records::new();
        assert_eq!(records.intern(Record::default()), Ok(crate::table::UNKNOWN));
        let iran = Record { country: "IR".parse().ok(), ..Record::default() };
        assert_eq!(records.intern(iran), Ok(2));
        assert_eq!(records.intern(iran), Ok(2));
        assert_eq!(records.get(2), iran);

        let every: Vec<Country> = crate::country::CountrySet::all().iter().collect();
        let pairs = every.iter().flat_map(|a| every.iter().map(move |b| (*a, *b)));
        let outcome = pairs
            .map(|(a, b)| Record { country: Some(a), registered: Some(b), ..Record::default() })
            .try_for_each(|record| records.intern(record).map(drop));
        assert_eq!(outcome, Err(TooMany));
    }
}
