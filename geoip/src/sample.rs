//! Single addresses out of a database, for trying out what is made of it.
//!
//! Invariant: an address that is given for a selection is in it by [`Database::lookup`] too; every range of the selection
//! can be drawn, and one that has an address is never passed over. Not secret, hence no cryptography.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::address::Address;
use crate::database::Database;
use crate::selection::Selection;
use crate::table::{Range, SPECIAL, Table};

/// One address of a selection in each family; `None` where it has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sample {
    /// IPv4.
    pub v4: Option<Ipv4Addr>,
    /// IPv6.
    pub v6: Option<Ipv6Addr>,
}

/// Numbers without a pattern that matters here (SplitMix64); the same ones for the same seed.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Starts from a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

impl Database {
    /// An address of each selection and family, other ones for another seed: from any of its ranges, at an end or inside.
    #[must_use]
    pub fn sample(&self, selections: &[Selection], seed: u64) -> Vec<Sample> {
        let holders: Vec<Vec<usize>> = self
            .records
            .all()
            .iter()
            .map(|record| (0..selections.len()).filter(|index| selections[*index].holds_record(record)).collect())
            .collect();
        let mut random = Random::new(seed);
        let v4 = draw(&self.v4, &holders, selections.len(), &mut random);
        let v6 = draw(&self.v6, &holders, selections.len(), &mut random);
        let both = v4.into_iter().zip(v6);
        both.map(|(v4, v6)| Sample {
            v4: v4.map(|range| Ipv4Addr::from_bits(inside(range, &mut random) as u32)),
            v6: v6.map(|range| Ipv6Addr::from_bits(inside(range, &mut random))),
        })
        .collect()
    }
}

/// One range for each selection, each with the same chance, in one pass.
fn draw<A: Address>(
    table: &Table<A>,
    holders: &[Vec<usize>],
    selections: usize,
    random: &mut Random,
) -> Vec<Option<Range<A>>> {
    let mut drawn: Vec<(u64, Option<Range<A>>)> = vec![(0, None); selections];
    for range in table.ranges().filter(|range| range.record != SPECIAL) {
        for index in holders.get(range.record as usize).into_iter().flatten() {
            let (seen, kept) = &mut drawn[*index];
            *seen += 1;
            if random.next().is_multiple_of(*seen) {
                *kept = Some(range);
            }
        }
    }
    drawn.into_iter().map(|(_, range)| range).collect()
}

/// An end of the range or an address inside it.
fn inside<A: Into<u128>>(range: Range<A>, random: &mut Random) -> u128 {
    let (first, last): (u128, u128) = (range.first.into(), range.last.into());
    let bits = u128::from(random.next()) << 64 | u128::from(random.next());
    match random.next() % 3 {
        0 => first,
        1 => last,
        // The remainder by one more than the distance; all addresses together are one more than fits.
        _ => first + (last - first).checked_add(1).map_or(bits, |size| bits % size),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn selections(codes: &[&str]) -> Vec<Selection> {
        codes.iter().map(|code| Selection::countries([code.parse().unwrap()].into_iter().collect())).collect()
    }

    #[test]
    fn samples_are_in_their_selection_and_differ() {
        let database = Database::embedded().unwrap();
        let mut selections = selections(&["IR", "CU", "KP", "FR"]);
        selections.push(Selection { include_unknown: true, ..Selection::default() });
        let mut seen: Vec<BTreeSet<Ipv4Addr>> = vec![BTreeSet::new(); selections.len()];
        for seed in 0..40 {
            for (index, sample) in database.sample(&selections, seed).into_iter().enumerate() {
                let v4 = sample.v4.unwrap();
                assert!(database.lookup(v4.into()).is_in(&selections[index]), "{v4}");
                let v6 = sample.v6.map(|v6| database.lookup(v6.into()));
                assert!(v6.is_none_or(|found| found.is_in(&selections[index])), "{v6:?}");
                seen[index].insert(v4);
            }
        }
        // North Korea has few ranges.
        assert!(seen.iter().all(|seen| seen.len() > 5), "{seen:?}");
        assert!(seen[0].len() > 30 && seen[3].len() > 30, "{seen:?}");
        assert_eq!(database.sample(&selections, 7), database.sample(&selections, 7));
    }

    #[test]
    fn what_has_no_address_has_no_sample() {
        let database = Database::embedded().unwrap();
        assert_eq!(database.sample(&selections(&["ZW", "QQ"]), 1)[1], Sample::default());
        assert_eq!(database.sample(&[], 1), []);
    }
}
