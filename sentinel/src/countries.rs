//! Rules about countries: what the policy says of each class of addresses.
//!
//! Invariant: a class has every entry whose selector matches it, the strongest first; what does not fit is an error that
//! names the rules, never a rule left out. Not here: how classes come about (`geoip::Classes`) and the kernel's table.

use std::sync::Arc;

use geoip::{ClassFacts, Classes, Database, Selection, TableImage, Votes};
use sentinel_common::{
    address::Address,
    geo::{BLOCKS, ClassRules, EXEMPTIONS},
    verdict::{Entry, flag},
};

use crate::{input::ip, sockets::verdict::Countries};

/// All rules of a policy set that are about countries and regions, with the addresses that each is about.
#[derive(Debug, Default, Clone)]
pub struct CountryRules {
    /// Exemptions.
    pub exempt: Vec<(Selection, Entry)>,
    /// Blocks.
    pub block: Vec<(Selection, Entry)>,
}

impl CountryRules {
    /// Whether there is no such rule.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.exempt.is_empty() && self.block.is_empty()
    }

    /// What they say of each class.
    ///
    /// # Errors
    ///
    /// The numbers of the rules that meet on one class and are too many for it.
    pub fn of_classes(&self, votes: &Votes, facts: &[ClassFacts]) -> Result<Vec<ClassRules>, Vec<u32>> {
        let of_class = |facts: &ClassFacts| {
            let counted = votes.count(&facts.sayings);
            self.matching(|selection| !facts.special && counted.is_in(selection))
        };
        facts.iter().map(of_class).collect()
    }

    fn matching(&self, matches: impl Fn(&Selection) -> bool) -> Result<ClassRules, Vec<u32>> {
        Ok(ClassRules { exempt: pick(&self.exempt, &matches)?, block: pick(&self.block, &matches)? })
    }
}

const _: () = assert!(EXEMPTIONS > 0 && BLOCKS > 0);

/// The entries that match, the strongest first, up to one that holds for everybody for ever.
fn pick<const N: usize>(
    rules: &[(Selection, Entry)],
    matches: impl Fn(&Selection) -> bool,
) -> Result<[Entry; N], Vec<u32>> {
    let mut found: Vec<Entry> =
        rules.iter().filter(|(selection, _)| matches(selection)).map(|(_, entry)| *entry).collect();
    found.sort_by_key(weakness);
    found.dedup_by_key(|entry| entry.rule);
    let certain = |entry: &Entry| entry.flags & flag::MONITOR == 0 && entry.limits == 0 && entry.expires == 0;
    if let Some(last) = found.iter().position(certain) {
        found.truncate(last + 1);
    }
    if found.len() > N {
        return Err(found.iter().map(|entry| entry.rule).collect());
    }
    let mut entries = [Entry::NONE; N];
    entries[..found.len()].copy_from_slice(&found);
    Ok(entries)
}

/// Sorts what refuses before what is on trial, what is for everybody before what is limited, what lasts before what ends.
fn weakness(entry: &Entry) -> (bool, bool, u64, u32) {
    let left = if entry.expires == 0 { 0 } else { u64::MAX - entry.expires };
    (entry.flags & flag::MONITOR != 0, entry.limits != 0, left, entry.rule)
}

/// Rules about countries with the databases that say where an address is: for what is decided in user space.
#[derive(Debug)]
pub struct CountryVerdicts {
    /// The rules.
    pub rules: CountryRules,
    /// The databases.
    pub geo: Arc<Votes>,
}

impl Countries for CountryVerdicts {
    fn rules_on(&self, address: Address) -> ClassRules {
        if self.rules.is_empty() {
            return ClassRules::default();
        }
        let opinion = self.geo.lookup(ip(address));
        // What is too much for a class is refused when the policy is loaded.
        self.rules.matching(|selection| opinion.is_in(selection)).unwrap_or_default()
    }

    fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}

/// The classes of some databases, without the addresses: those are in the kernel.
#[derive(Debug)]
pub struct ClassTable {
    /// Facts by class.
    pub facts: Vec<ClassFacts>,
    /// Ranges of addresses by class, both families together.
    pub ranges: Vec<usize>,
    /// Digests of the databases that they were made of, in order.
    sha256: Vec<String>,
}

impl ClassTable {
    /// Divides all addresses into classes, and builds the table for the kernel.
    ///
    /// # Errors
    ///
    /// If the databases say too many different things.
    pub fn build(votes: &Votes) -> Result<(Self, TableImage), geoip::TooManyClasses> {
        let databases: Vec<&Database> = votes.databases().iter().map(AsRef::as_ref).collect();
        let classes = Classes::new(&databases, &[])?;
        let image = TableImage::new(&classes);
        let mut ranges = vec![0; classes.facts.len()];
        let all = classes.v4.iter().map(|(_, class)| *class).chain(classes.v6.iter().map(|(_, class)| *class));
        all.for_each(|class| ranges[usize::from(class)] += 1);
        Ok((Self { facts: classes.facts, ranges, sha256: digests(votes) }, image))
    }

    /// Whether it was made of these databases. The rule for what counts is no part of it.
    #[must_use]
    pub fn is_of(&self, votes: &Votes) -> bool {
        self.sha256 == digests(votes)
    }

    /// How many ranges of addresses rules block.
    #[must_use]
    pub fn blocked_ranges(&self, rules: &[ClassRules]) -> usize {
        let blocked = |(rules, ranges): (&ClassRules, &usize)| (rules.block[0].rule != 0).then_some(*ranges);
        rules.iter().zip(&self.ranges).filter_map(blocked).sum()
    }
}

fn digests(votes: &Votes) -> Vec<String> {
    votes.databases().iter().map(|database| database.info().sha256.clone()).collect()
}

#[cfg(test)]
mod tests;
