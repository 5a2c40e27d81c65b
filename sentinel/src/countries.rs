//! Rules about countries: what the policy says of each class of addresses.
//!
//! Invariant: a class has every entry whose selector matches it, the strongest first; what does not fit is an error that
//! names the rules, never a rule left out. Not here: how classes come about (`geoip::Classes`) and the kernel's table.

use std::sync::Arc;

use geoip::{ClassFacts, Classes, CountrySet, Coverage, Database, Saying, TableImage};
use sentinel_common::{
    address::Address,
    geo::{BLOCKS, ClassRules, EXEMPTIONS},
    verdict::{Entry, flag},
};

use crate::{input::ip, sockets::verdict::Countries};

/// Which addresses a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selector {
    /// Those of these countries.
    In(CountrySet),
    /// Those of every known country but these.
    NotIn(CountrySet),
    /// Those without a known country.
    Unknown,
}

impl Selector {
    fn matches(&self, facts: &ClassFacts) -> bool {
        if facts.special {
            return false;
        }
        let country = facts.sayings.first().and_then(|saying| saying.country);
        match self {
            Self::In(set) => country.is_some_and(|country| set.contains(country)),
            Self::NotIn(set) => country.is_some_and(|country| !set.contains(country)),
            Self::Unknown => country.is_none(),
        }
    }
}

/// All rules of a policy set that are about countries.
#[derive(Debug, Default, Clone)]
pub struct CountryRules {
    /// Exemptions.
    pub exempt: Vec<(Selector, Entry)>,
    /// Blocks.
    pub block: Vec<(Selector, Entry)>,
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
    pub fn of_classes(&self, facts: &[ClassFacts]) -> Result<Vec<ClassRules>, Vec<u32>> {
        facts.iter().map(|facts| self.of_class(facts)).collect()
    }

    fn of_class(&self, facts: &ClassFacts) -> Result<ClassRules, Vec<u32>> {
        Ok(ClassRules { exempt: pick(&self.exempt, facts)?, block: pick(&self.block, facts)? })
    }
}

const _: () = assert!(EXEMPTIONS > 0 && BLOCKS > 0);

/// The entries that match, the strongest first, up to one that holds for everybody for ever.
fn pick<const N: usize>(rules: &[(Selector, Entry)], facts: &ClassFacts) -> Result<[Entry; N], Vec<u32>> {
    let mut found: Vec<Entry> =
        rules.iter().filter(|(selector, _)| selector.matches(facts)).map(|(_, entry)| *entry).collect();
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

/// Rules about countries with the database that says where an address is: for what is decided in user space.
#[derive(Debug)]
pub struct CountryVerdicts {
    /// The rules.
    pub rules: CountryRules,
    /// The database.
    pub geo: Arc<Database>,
}

impl Countries for CountryVerdicts {
    fn rules_on(&self, address: Address) -> ClassRules {
        if self.rules.is_empty() {
            return ClassRules::default();
        }
        let found = self.geo.lookup(ip(address));
        let saying = Saying { country: found.country, region: found.region };
        let special = found.coverage == Coverage::Special;
        let facts = ClassFacts { special, sayings: vec![saying], lists: 0 };
        // What is too much for a class is refused when the policy is loaded.
        self.rules.of_class(&facts).unwrap_or_default()
    }

    fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}

/// The classes of a database, without the addresses: those are in the kernel.
#[derive(Debug)]
pub struct ClassTable {
    /// Facts by class.
    pub facts: Vec<ClassFacts>,
    /// Ranges of addresses by class, both families together.
    pub ranges: Vec<usize>,
    /// Digest of the database that they were made of.
    pub sha256: String,
}

impl ClassTable {
    /// Divides a database into classes, and builds the table for the kernel.
    ///
    /// # Errors
    ///
    /// If it says too many different things.
    pub fn build(database: &Database) -> Result<(Self, TableImage), geoip::TooManyClasses> {
        let classes = Classes::new(&[database], &[])?;
        let image = TableImage::new(&classes);
        let mut ranges = vec![0; classes.facts.len()];
        let all = classes.v4.iter().map(|(_, class)| *class).chain(classes.v6.iter().map(|(_, class)| *class));
        all.for_each(|class| ranges[usize::from(class)] += 1);
        let sha256 = database.info().sha256.clone();
        Ok((Self { facts: classes.facts, ranges, sha256 }, image))
    }

    /// How many ranges of addresses rules block.
    #[must_use]
    pub fn blocked_ranges(&self, rules: &[ClassRules]) -> usize {
        let blocked = |(rules, ranges): (&ClassRules, &usize)| (rules.block[0].rule != 0).then_some(*ranges);
        rules.iter().zip(&self.ranges).filter_map(blocked).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(country: Option<&str>, special: bool) -> ClassFacts {
        let country = country.map(|code| code.parse().unwrap());
        ClassFacts { special, sayings: vec![Saying { country, region: None }], lists: 0 }
    }

    fn set(codes: &[&str]) -> CountrySet {
        codes.iter().map(|code| code.parse::<geoip::Country>().unwrap()).collect()
    }

    fn entry(rule: u32, flags: u8, limits: u16, expires: u64) -> Entry {
        Entry { rule, flags, limits, expires, ..Entry::NONE }
    }

    fn blocks(rules: &[(Selector, Entry)], facts: &ClassFacts) -> Vec<u32> {
        let rules = CountryRules { exempt: Vec::new(), block: rules.to_vec() };
        let found = rules.of_classes(std::slice::from_ref(facts)).unwrap();
        found[0].block.iter().map(|entry| entry.rule).filter(|rule| *rule != 0).collect()
    }

    #[test]
    fn selectors() {
        let (iran, france) = (facts(Some("IR"), false), facts(Some("FR"), false));
        let (unknown, special) = (facts(None, false), facts(None, true));
        let everything = [
            (Selector::In(set(&["IR"])), entry(1, 0, 0, 0)),
            (Selector::NotIn(set(&["IR"])), entry(2, 0, 0, 0)),
            (Selector::Unknown, entry(3, 0, 0, 0)),
        ];
        for (facts, expected) in [(iran, vec![1]), (france, vec![2]), (unknown, vec![3]), (special, vec![])] {
            assert_eq!(blocks(&everything, &facts), expected, "{facts:?}");
        }
    }

    #[test]
    fn the_strongest_comes_first_and_hides_what_it_makes_needless() {
        let iran = facts(Some("IR"), false);
        let all = Selector::In(set(&["IR"]));
        let rules = [(all, entry(1, flag::MONITOR, 0, 0)), (all, entry(2, 0, 1, 0)), (all, entry(3, 0, 2, 50))];
        assert_eq!(blocks(&rules, &iran), [2, 3, 1]);
        assert_eq!(blocks(&[&rules[..], &[(all, entry(4, 0, 0, 0))]].concat(), &iran), [4]);
    }

    #[test]
    fn too_many_rules_on_one_country_are_an_error() {
        let all = Selector::In(set(&["IR"]));
        let block = (1..=4).map(|rule| (all, entry(rule, 0, 1, 0))).collect();
        let rules = CountryRules { exempt: Vec::new(), block };
        assert_eq!(rules.of_classes(&[facts(Some("IR"), false)]), Err(vec![1, 2, 3, 4]));
        assert!(rules.of_classes(&[facts(Some("FR"), false)]).is_ok());
    }

    #[test]
    fn addresses_that_have_no_country_by_nature_meet_no_rule() {
        let everything =
            [Selector::In(CountrySet::all()), Selector::Unknown].map(|selector| (selector, entry(1, 0, 0, 0)));
        let rules = CountryRules { exempt: Vec::new(), block: everything.to_vec() };
        let verdicts = CountryVerdicts { rules, geo: Arc::new(Database::embedded().unwrap()) };
        let v4 = |text: &str| Address::from_v4(text.parse::<std::net::Ipv4Addr>().unwrap().into());
        let v6 = |text: &str| Address::from_octets(text.parse::<std::net::Ipv6Addr>().unwrap().octets());
        for (address, rule) in [
            (v4("10.0.0.1"), 0),
            (v4("127.0.0.1"), 0),
            (v4("169.254.169.254"), 0),
            (v6("fd00::1"), 0),
            (v6("fe80::1"), 0),
            (v4("8.8.8.8"), 1),
            (v4("203.0.113.1"), 1),
            (v6("2001:db8::1"), 1),
        ] {
            assert_eq!(verdicts.rules_on(address).block[0].rule, rule, "{address:?}");
        }
    }
}
