//! Classes: sets of addresses that no database and no list of own prefixes tells apart.
//!
//! The kernel's table maps addresses to classes and a second one maps classes to rules, so a change of policy does not touch
//! the first. Invariant: every address has exactly one class, and equal facts are one class. Not here: the form that the
//! kernel reads (`table_image`), and which class a rule means.

use std::collections::HashMap;

use thiserror::Error;

use crate::address::Address;
use crate::country::Country;
use crate::database::Database;
use crate::prefixes::PrefixSet;
use crate::region::Region;
use crate::table::{RecordId, SPECIAL};

/// What one database says of the addresses of a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Saying {
    /// The country, if one is known.
    pub country: Option<Country>,
    /// The region, if one is known.
    pub region: Option<Region>,
}

/// Everything that is known of the addresses of a class.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct ClassFacts {
    /// These addresses have no country by nature.
    pub special: bool,
    /// What each database says, the primary one first.
    pub sayings: Vec<Saying>,
    /// The own lists that name these addresses, a bit each in the order given.
    pub lists: u64,
}

/// All addresses, divided into classes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classes {
    /// Facts by class number.
    pub facts: Vec<ClassFacts>,
    /// First addresses of IPv4 ranges in order, from 0, with the class up to the next.
    pub v4: Vec<(u32, u16)>,
    /// The same for IPv6.
    pub v6: Vec<(u128, u16)>,
}

/// More than [`MAX_CLASSES`] combinations of what databases and lists say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "the country databases together say more than {MAX_CLASSES} different things of addresses; use fewer second opinions or lists"
)]
pub struct TooManyClasses;

/// Most classes.
pub const MAX_CLASSES: usize = 1 << 16;

/// Most lists of own prefixes.
pub const MAX_LISTS: usize = 64;

impl Classes {
    /// Divides all addresses by what the databases and lists (at most [`MAX_LISTS`]; further ones are not looked at) say.
    ///
    /// # Errors
    /// [`TooManyClasses`].
    pub fn new(databases: &[&Database], lists: &[&PrefixSet]) -> Result<Self, TooManyClasses> {
        let mut pool = Pool::new(databases);
        let tables: Vec<_> = databases.iter().map(|database| database.v4.starts()).collect();
        let bounds: Vec<Vec<_>> =
            lists.iter().take(MAX_LISTS).map(|list| list.v4.iter().map(|prefix| prefix.bounds()).collect()).collect();
        let v4 = pool.divide(&tables, &bounds)?;
        let tables: Vec<_> = databases.iter().map(|database| database.v6.starts()).collect();
        let bounds: Vec<Vec<_>> =
            lists.iter().take(MAX_LISTS).map(|list| list.v6.iter().map(|prefix| prefix.bounds()).collect()).collect();
        let v6 = pool.divide(&tables, &bounds)?;
        Ok(Self { facts: pool.facts, v4, v6 })
    }
}

/// A table's range starts and records.
type Starts<'a, A> = (&'a [A], &'a [RecordId]);

/// Distinct facts, numbered as they are met.
struct Pool<'a> {
    databases: &'a [&'a Database],
    facts: Vec<ClassFacts>,
    numbers: HashMap<ClassFacts, u16>,
    /// By what the sources say in their own numbers: far quicker than hashing facts for every range.
    seen: HashMap<(Vec<RecordId>, u64), u16>,
}

impl<'a> Pool<'a> {
    fn new(databases: &'a [&'a Database]) -> Self {
        Self { databases, facts: Vec::new(), numbers: HashMap::new(), seen: HashMap::new() }
    }

    fn divide<A: Address>(
        &mut self,
        tables: &[Starts<'_, A>],
        lists: &[Vec<(A, A)>],
    ) -> Result<Vec<(A, u16)>, TooManyClasses> {
        let mut out: Vec<(A, u16)> = Vec::new();
        let mut at = vec![0; tables.len()];
        let mut passed = vec![0; lists.len()];
        for start in boundaries(tables, lists) {
            for ((starts, _), at) in tables.iter().zip(&mut at) {
                while starts.get(*at + 1).is_some_and(|next| *next <= start) {
                    *at += 1;
                }
            }
            for (list, passed) in lists.iter().zip(&mut passed) {
                while list.get(*passed).is_some_and(|(_, last)| *last < start) {
                    *passed += 1;
                }
            }
            let records = tables.iter().zip(&at).map(|((_, records), at)| records[*at]).collect();
            let named =
                |(list, passed): (&Vec<(A, A)>, &usize)| list.get(*passed).is_some_and(|(first, _)| *first <= start);
            let bits = lists.iter().zip(&passed).rev().fold(0, |bits, list| bits << 1 | u64::from(named(list)));
            let class = self.class(records, bits)?;
            if out.last().is_none_or(|(_, last)| *last != class) {
                out.push((start, class));
            }
        }
        Ok(out)
    }

    fn class(&mut self, records: Vec<RecordId>, lists: u64) -> Result<u16, TooManyClasses> {
        if let Some(class) = self.seen.get(&(records.clone(), lists)) {
            return Ok(*class);
        }
        let facts = self.facts_of(&records, lists);
        let class = match self.numbers.get(&facts) {
            Some(class) => *class,
            None => {
                if self.facts.len() == MAX_CLASSES {
                    return Err(TooManyClasses);
                }
                let class = self.facts.len() as u16;
                self.facts.push(facts.clone());
                self.numbers.insert(facts, class);
                class
            }
        };
        self.seen.insert((records, lists), class);
        Ok(class)
    }

    fn facts_of(&self, records: &[RecordId], lists: u64) -> ClassFacts {
        let special = records.first() == Some(&SPECIAL);
        let saying = |(database, id): (&&Database, &RecordId)| {
            let record = database.records.get(*id);
            Saying { country: record.country, region: record.region }
        };
        let sayings = self.databases.iter().zip(records).map(saying).collect();
        ClassFacts { special, sayings, lists: if special { 0 } else { lists } }
    }
}

/// Every address at which some source changes its mind, in order.
fn boundaries<A: Address>(tables: &[Starts<'_, A>], lists: &[Vec<(A, A)>]) -> Vec<A> {
    let mut all = vec![A::MIN];
    tables.iter().for_each(|(starts, _)| all.extend_from_slice(starts));
    for (first, last) in lists.iter().flatten() {
        all.push(*first);
        all.extend(last.next());
    }
    all.sort_unstable();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    fn class_of(classes: &Classes, address: IpAddr) -> &ClassFacts {
        let class = match address {
            IpAddr::V4(ip) => classes.v4[classes.v4.partition_point(|(start, _)| *start <= ip.to_bits()) - 1].1,
            IpAddr::V6(ip) => classes.v6[classes.v6.partition_point(|(start, _)| *start <= ip.to_bits()) - 1].1,
        };
        &classes.facts[usize::from(class)]
    }

    #[test]
    fn classes_say_what_look_ups_say() {
        let database = Database::embedded().unwrap();
        let classes = Classes::new(&[&database], &[]).unwrap();
        assert!(classes.facts.len() > 200 && classes.facts.len() < 400, "{}", classes.facts.len());
        let v4 = (0..50_000_u32).map(|i| IpAddr::V4(i.wrapping_mul(0x9e37_79b9).into()));
        let v6 = (0..50_000_u128)
            .map(|i| IpAddr::V6((0x2a00 << 112 | i.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060)).into()));
        for address in v4.chain(v6) {
            let (facts, found) = (class_of(&classes, address), database.lookup(address));
            assert_eq!(facts.sayings[0].country, found.country, "{address}");
            assert_eq!(facts.special, found.coverage == crate::Coverage::Special, "{address}");
        }
    }

    #[test]
    fn lists_divide_what_databases_do_not() {
        let database = Database::embedded().unwrap();
        let list = PrefixSet {
            v4: vec![crate::Prefix4 { addr: 0xcb00_7100, len: 25 }],
            v6: vec![crate::Prefix6 { addr: 0x2001_0db8 << 96, len: 127 }],
        };
        let classes = Classes::new(&[&database, &database], &[&PrefixSet::default(), &list]).unwrap();
        for (address, lists) in [("203.0.113.127", 2), ("203.0.113.128", 0), ("2001:db8::1", 2), ("2001:db8::2", 0)] {
            let facts = class_of(&classes, address.parse().unwrap());
            assert_eq!((facts.lists, facts.sayings.len()), (lists, 2), "{address}");
        }
    }
}
