//! The in-memory form that every source becomes: sorted ranges of addresses, each with the number of its record.
//!
//! Invariant: ranges are contiguous from the first address to the last, ascending, never empty, and no two neighbours carry
//! the same record; special addresses (`special`) carry [`SPECIAL`] and nothing else does. Not here: what a record says.

use crate::address::{self, Address};

/// Number of a record in a database's list.
pub(crate) type RecordId = u32;
/// The record of addresses that the source says nothing about.
pub(crate) const UNKNOWN: RecordId = 0;
/// The record of addresses that have no country by nature.
pub(crate) const SPECIAL: RecordId = 1;

/// Ranges of one address family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table<A> {
    starts: Vec<A>,
    records: Vec<RecordId>,
}

/// A range and its record; both ends are inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range<A> {
    pub(crate) first: A,
    pub(crate) last: A,
    pub(crate) record: RecordId,
}

impl<A: Address> Table<A> {
    /// The range that holds the address.
    pub(crate) fn find(&self, address: A) -> Range<A> {
        // The first start is the lowest address, so the subtraction has something to take from.
        let index = self.starts.partition_point(|start| *start <= address).saturating_sub(1);
        self.range(index)
    }

    /// First addresses of all ranges in order, and their records.
    pub(crate) fn starts(&self) -> (&[A], &[RecordId]) {
        (&self.starts, &self.records)
    }

    /// All ranges in order.
    pub(crate) fn ranges(&self) -> impl Iterator<Item = Range<A>> + '_ {
        (0..self.starts.len()).map(|index| self.range(index))
    }

    /// Calls `each` with the fewest prefixes that hold exactly the addresses whose record is wanted, in order.
    pub(crate) fn prefixes(&self, wanted: impl Fn(RecordId) -> bool, mut each: impl FnMut(A::Prefix)) {
        let mut joined = Joined::default();
        for range in self.ranges().filter(|range| wanted(range.record)) {
            joined.add(range.first, range.last, &mut each);
        }
        joined.finish(each);
    }

    /// How many ranges, neighbours of the same record counted once.
    pub(crate) fn len(&self) -> usize {
        self.starts.len()
    }

    fn range(&self, index: usize) -> Range<A> {
        let last = self.starts.get(index + 1).and_then(|next| next.previous()).unwrap_or(A::MAX);
        Range { first: self.starts[index], last, record: self.records[index] }
    }
}

/// Calls `each` with the longest ranges in which no table changes its record: first, last, and the record of every table.
pub(crate) fn sweep<A: Address>(tables: &[&Table<A>], mut each: impl FnMut(A, A, &[RecordId])) {
    let mut places = vec![0; tables.len()];
    let mut records = vec![UNKNOWN; tables.len()];
    let mut first = A::MIN;
    loop {
        let mut last = A::MAX;
        for ((table, place), record) in tables.iter().zip(&places).zip(&mut records) {
            let range = table.range(*place);
            *record = range.record;
            last = last.min(range.last);
        }
        each(first, last, &records);
        let Some(next) = last.next() else { return };
        for (table, place) in tables.iter().zip(&mut places) {
            if table.range(*place).last == last && *place + 1 < table.len() {
                *place += 1;
            }
        }
        first = next;
    }
}

/// Ranges given in ascending order, neighbours joined, each cut into the fewest prefixes.
#[derive(Debug, Clone)]
pub(crate) struct Joined<A> {
    pending: Option<(A, A)>,
}

impl<A> Default for Joined<A> {
    fn default() -> Self {
        Self { pending: None }
    }
}

impl<A: Address> Joined<A> {
    /// Adds a range that starts behind the start of every one before it; one that overlaps is joined as well.
    pub(crate) fn add(&mut self, first: A, last: A, each: impl FnMut(A::Prefix)) {
        self.pending = Some(match self.pending {
            Some((start, end)) if end.next().is_none_or(|next| first <= next) => (start, end.max(last)),
            Some((start, end)) => {
                address::cover(start, end, each);
                (first, last)
            }
            None => (first, last),
        });
    }

    /// Cuts what is left.
    pub(crate) fn finish(self, each: impl FnMut(A::Prefix)) {
        if let Some((start, end)) = self.pending {
            address::cover(start, end, each);
        }
    }
}

/// Builds a table from ascending, disjoint ranges; fills gaps and lays the special blocks over it.
pub(crate) struct TableBuilder<A> {
    special: Vec<(A, A)>,
    /// The first special block that has not been passed yet.
    cursor: usize,
    /// The next address to be given; `None` when the last one has been.
    next: Option<A>,
    starts: Vec<A>,
    records: Vec<RecordId>,
}

/// A range that starts before the end of the one before it, or ends before it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OutOfOrder;

impl<A: Address> TableBuilder<A> {
    /// `special` must be sorted and disjoint.
    pub(crate) fn new(special: impl IntoIterator<Item = (A, A)>) -> Self {
        let special = special.into_iter().collect();
        Self { special, cursor: 0, next: Some(A::MIN), starts: Vec::new(), records: Vec::new() }
    }

    /// Adds a range behind all that were added before.
    pub(crate) fn push(&mut self, first: A, last: A, record: RecordId) -> Result<(), OutOfOrder> {
        let expected = self.next.ok_or(OutOfOrder)?;
        if first < expected || last < first {
            return Err(OutOfOrder);
        }
        if let Some(gap) = first.previous().filter(|gap| *gap >= expected) {
            self.cut(expected, gap, UNKNOWN);
        }
        self.cut(first, last, record);
        self.next = last.next();
        Ok(())
    }

    /// Closes the table: whatever was not given is unknown.
    pub(crate) fn finish(mut self) -> Table<A> {
        if let Some(rest) = self.next {
            self.cut(rest, A::MAX, UNKNOWN);
        }
        Table { starts: self.starts, records: self.records }
    }

    /// Appends a range with the special blocks cut out of it.
    fn cut(&mut self, first: A, last: A, record: RecordId) {
        let mut first = first;
        while let Some((block_first, block_last)) =
            self.special.get(self.cursor).copied().filter(|block| block.0 <= last)
        {
            if first < block_first {
                self.append(first, record);
            }
            self.append(first.max(block_first), SPECIAL);
            if block_last >= last {
                // The block may go on in the next range; if not, meeting it again adds nothing.
                return;
            }
            self.cursor += 1;
            let Some(next) = block_last.next() else { return };
            first = next;
        }
        self.append(first, record);
    }

    fn append(&mut self, first: A, record: RecordId) {
        if self.records.last() != Some(&record) {
            self.starts.push(first);
            self.records.push(record);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Prefix4;

    fn build(special: &[(u32, u32)], ranges: &[(u32, u32, RecordId)]) -> Table<u32> {
        let mut builder = TableBuilder::new(special.iter().copied());
        for (first, last, record) in ranges {
            builder.push(*first, *last, *record).unwrap();
        }
        builder.finish()
    }

    fn shape(table: &Table<u32>) -> Vec<(u32, RecordId)> {
        table.starts.iter().copied().zip(table.records.iter().copied()).collect()
    }

    #[test]
    fn gaps_become_unknown_and_equal_neighbours_one_range() {
        let table = build(&[], &[(10, 19, 2), (20, 29, 2), (40, 49, 3)]);
        assert_eq!(shape(&table), [(0, 0), (10, 2), (30, 0), (40, 3), (50, 0)]);
        assert_eq!(table.find(29), Range { first: 10, last: 29, record: 2 });
        assert_eq!(table.find(u32::MAX), Range { first: 50, last: u32::MAX, record: 0 });
    }

    #[test]
    fn special_blocks_win_wherever_they_fall() {
        // Before, inside, across two ranges, and at the very end.
        let special = [(0, 0), (12, 13), (18, 21), (u32::MAX, u32::MAX)];
        let table = build(&special, &[(0, 9, 2), (10, 19, 3), (20, 29, 4), (u32::MAX, u32::MAX, 5)]);
        let expected = [
            (0, SPECIAL),
            (1, 2),
            (10, 3),
            (12, SPECIAL),
            (14, 3),
            (18, SPECIAL),
            (22, 4),
            (30, 0),
            (u32::MAX, SPECIAL),
        ];
        assert_eq!(shape(&table), expected);
    }

    #[test]
    fn the_same_record_on_both_sides_of_a_block_stays_two_ranges() {
        let table = build(&[(5, 6)], &[(0, u32::MAX, 2)]);
        assert_eq!(shape(&table), [(0, 2), (5, SPECIAL), (7, 2)]);
    }

    #[test]
    fn an_empty_source_is_one_unknown_range() {
        assert_eq!(shape(&build(&[], &[])), [(0, UNKNOWN)]);
    }

    #[test]
    fn disorder_and_overlap_are_refused() {
        let mut builder = TableBuilder::new([]);
        builder.push(10_u32, 19, 2).unwrap();
        assert_eq!(builder.push(19, 30, 2), Err(OutOfOrder));
        assert_eq!(builder.push(30, 29, 2), Err(OutOfOrder));
        builder.push(20, u32::MAX, 3).unwrap();
        assert_eq!(builder.push(u32::MAX, u32::MAX, 3), Err(OutOfOrder));
    }

    #[test]
    fn a_sweep_stops_wherever_one_of_the_tables_changes() {
        let one = build(&[], &[(10, 19, 2)]);
        let other = build(&[], &[(15, 24, 3), (u32::MAX, u32::MAX, 4)]);
        let mut seen = Vec::new();
        sweep(&[&one, &other], |first, last, records| seen.push((first, last, records.to_vec())));
        let expected = [
            (0, 9, vec![0, 0]),
            (10, 14, vec![2, 0]),
            (15, 19, vec![2, 3]),
            (20, 24, vec![0, 3]),
            (25, u32::MAX - 1, vec![0, 0]),
            (u32::MAX, u32::MAX, vec![0, 4]),
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn adjacent_wanted_ranges_are_compiled_together() {
        let table = build(&[], &[(0, 3, 2), (4, 7, 3), (8, 15, 4)]);
        let mut found: Vec<Prefix4> = Vec::new();
        table.prefixes(|record| record == 2 || record == 3, |prefix| found.push(prefix));
        assert_eq!(found, [Prefix4 { addr: 0, len: 29 }]);
    }
}
