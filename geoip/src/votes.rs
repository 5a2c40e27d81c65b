//! Several databases asked about the same address, and the rule for what counts.
//!
//! A database is asked only what it can tell: one without IPv6 has no vote on IPv6 addresses, one without regions none on
//! regions. Invariant: the answer for one address and the prefixes of all are made by one function ([`Votes::counted`]), so
//! that they cannot disagree. Not here: which rule is right for a policy.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use ipnet::IpNet;
use thiserror::Error;

use crate::address::Address;
use crate::country::Country;
use crate::database::{Coverage, Database, Lookup};
use crate::prefixes::PrefixSet;
use crate::record::Record;
use crate::region::Region;
use crate::selection::Selection;
use crate::table::{Joined, RecordId, SPECIAL, Table, sweep};

/// What counts where databases differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum VoteRule {
    /// What the first database says that can tell. The others are shown and change nothing.
    #[default]
    Primary,
    /// What any of them says: an address is in every country that a database puts it into.
    Any,
    /// What more than half of those that can tell say. Where no country has that many, none is known.
    Majority,
}

/// A text that is no rule.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum VotesError {
    /// No such rule.
    #[error("{0:?} is no rule for several databases; use primary, any or majority")]
    Rule(String),
    /// Nothing to ask.
    #[error("no database is given; give at least one")]
    NoDatabase,
}

impl FromStr for VoteRule {
    type Err = VotesError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "primary" => Ok(Self::Primary),
            "any" => Ok(Self::Any),
            "majority" => Ok(Self::Majority),
            other => Err(VotesError::Rule(other.chars().take(64).collect())),
        }
    }
}

impl fmt::Display for VoteRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Primary => "primary",
            Self::Any => "any",
            Self::Majority => "majority",
        })
    }
}

/// Databases, the first of which is the primary one, and the rule.
#[derive(Debug, Clone)]
pub struct Votes {
    databases: Vec<Arc<Database>>,
    rule: VoteRule,
}

/// What one database says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vote {
    /// What the database calls itself.
    pub database_type: String,
    /// Its answer.
    pub lookup: Lookup,
}

/// What all databases say of one address, and what counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opinion {
    /// Every database's answer, in the order given.
    pub votes: Vec<Vote>,
    /// The countries that count: at most one, except under [`VoteRule::Any`].
    pub countries: Vec<Country>,
    /// The regions that count.
    pub regions: Vec<Region>,
    /// What kind of answer this is; [`Coverage::Known`] exactly when there is a country.
    pub coverage: Coverage,
    /// The largest prefix around the address for which every database says the same as here.
    pub prefix: IpNet,
}

impl Opinion {
    /// Whether the address belongs to a selection: what [`Votes::select`] says of the same address.
    #[must_use]
    pub fn is_in(&self, selection: &Selection) -> bool {
        self.coverage != Coverage::Special
            && selection.holds(self.countries.iter().copied(), self.regions.iter().copied())
    }

    /// Whether databases that know a country for the address know different ones.
    #[must_use]
    pub fn is_split(&self) -> bool {
        let mut known = self.votes.iter().filter_map(|vote| vote.lookup.country);
        let first = known.next();
        known.any(|country| Some(country) != first)
    }
}

/// What counts of some records.
struct Counted {
    countries: Vec<Country>,
    regions: Vec<Region>,
}

impl Votes {
    /// Takes the databases, the primary one first.
    ///
    /// # Errors
    /// When there is none.
    pub fn new(databases: Vec<Arc<Database>>, rule: VoteRule) -> Result<Self, VotesError> {
        if databases.is_empty() { Err(VotesError::NoDatabase) } else { Ok(Self { databases, rule }) }
    }

    /// The databases, the primary one first.
    #[must_use]
    pub fn databases(&self) -> &[Arc<Database>] {
        &self.databases
    }

    /// The rule.
    #[must_use]
    pub fn rule(&self) -> VoteRule {
        self.rule
    }

    /// Whether a rule on the region can have any effect: the databases whose word counts put addresses into it.
    #[must_use]
    pub fn tells(&self, region: Region) -> bool {
        let families: [fn(&Database) -> bool; 2] = [|one| one.info.covers_v4(), |one| one.info.covers_v6()];
        families.into_iter().any(|covers| {
            let able = self.databases.iter().filter(|one| covers(one) && one.info.has_regions());
            let votes: Vec<bool> = able.map(|one| one.tells(region)).collect();
            match self.rule {
                VoteRule::Primary => votes.first() == Some(&true),
                VoteRule::Any => votes.contains(&true),
                VoteRule::Majority => votes.iter().filter(|told| **told).count() * 2 > votes.len(),
            }
        })
    }

    /// What the databases say of an address, which the caller has normalised (see [`Database::lookup`]).
    #[must_use]
    pub fn lookup(&self, address: IpAddr) -> Opinion {
        let answers = self.databases.iter().map(|database| (database, database.lookup(address)));
        let votes: Vec<Vote> = answers
            .map(|(database, lookup)| Vote { database_type: database.info.database_type.clone(), lookup })
            .collect();
        let records: Vec<Record> = votes.iter().map(|vote| record_of(&vote.lookup)).collect();
        let counted = self.counted(&records, address.is_ipv4());
        let lookups = || votes.iter().map(|vote| &vote.lookup);
        let coverage = coverage(lookups(), &counted);
        // All are blocks around the same address, so that the longest lies in all of them.
        let longest = lookups().map(|lookup| lookup.prefix).max_by_key(IpNet::prefix_len);
        let prefix = longest.unwrap_or_else(|| IpNet::from(address));
        Opinion { countries: counted.countries, regions: counted.regions, coverage, prefix, votes }
    }

    /// The fewest prefixes that hold exactly the addresses selected, under the rule.
    #[must_use]
    pub fn select(&self, selection: &Selection) -> PrefixSet {
        let mut set = PrefixSet::default();
        self.family(|database| &database.v4, true, selection, |prefix| set.v4.push(prefix));
        self.family(|database| &database.v6, false, selection, |prefix| set.v6.push(prefix));
        set
    }

    fn family<A: Address>(
        &self,
        table: impl Fn(&Database) -> &Table<A>,
        v4: bool,
        selection: &Selection,
        mut each: impl FnMut(A::Prefix),
    ) {
        let tables: Vec<&Table<A>> = self.databases.iter().map(|database| table(database)).collect();
        let mut joined = Joined::default();
        // Millions of ranges share a few thousand combinations of records.
        let mut decided: HashMap<Box<[RecordId]>, bool> = HashMap::new();
        sweep(&tables, |first, last, ids| {
            let held = decided.get(ids).copied().unwrap_or_else(|| {
                let held = self.holds(ids, v4, selection);
                decided.insert(ids.into(), held);
                held
            });
            if held {
                joined.add(first, last, &mut each);
            }
        });
        joined.finish(each);
    }

    fn holds(&self, ids: &[RecordId], v4: bool, selection: &Selection) -> bool {
        // The special blocks are the same in every table.
        if ids.contains(&SPECIAL) {
            return false;
        }
        let records: Vec<Record> =
            self.databases.iter().zip(ids).map(|(database, id)| database.records.get(*id)).collect();
        let Counted { countries, regions } = self.counted(&records, v4);
        selection.holds(countries, regions)
    }

    /// The countries and regions that count, of one record from each database.
    fn counted(&self, records: &[Record], v4: bool) -> Counted {
        let able = || {
            let both = self.databases.iter().zip(records);
            both.filter(move |(database, _)| if v4 { database.info.covers_v4() } else { database.info.covers_v6() })
        };
        let countries: Vec<Vec<Country>> = able().map(|(_, record)| record.country.into_iter().collect()).collect();
        let with_regions = able().filter(|(database, _)| database.info.has_regions());
        let regions: Vec<Vec<Region>> = with_regions.map(|(_, record)| record.regions().collect()).collect();
        Counted { countries: self.tally(&countries), regions: self.tally(&regions) }
    }

    /// What counts of the votes, each of which may name several.
    fn tally<P: Copy + Ord>(&self, votes: &[Vec<P>]) -> Vec<P> {
        let mut named: Vec<P> = match self.rule {
            VoteRule::Primary => return votes.first().cloned().unwrap_or_default(),
            VoteRule::Any | VoteRule::Majority => votes.iter().flatten().copied().collect(),
        };
        named.sort_unstable();
        named.dedup();
        if self.rule == VoteRule::Majority {
            named.retain(|place| votes.iter().filter(|vote| vote.contains(place)).count() * 2 > votes.len());
        }
        named
    }
}

/// The part of an answer that votes.
fn record_of(lookup: &Lookup) -> Record {
    Record { country: lookup.country, region: lookup.region, subregion: lookup.subregion, ..Record::default() }
}

/// Special for all or for none; "no such family" only when no database has it.
fn coverage<'a>(lookups: impl Iterator<Item = &'a Lookup>, counted: &Counted) -> Coverage {
    if !counted.countries.is_empty() {
        return Coverage::Known;
    }
    let mut without = None;
    for lookup in lookups {
        match lookup.coverage {
            Coverage::Special => return Coverage::Special,
            Coverage::NoIpv4 | Coverage::NoIpv6 => without = without.or(Some(lookup.coverage)),
            // Known to one of them, and yet nothing counts.
            Coverage::Known | Coverage::Unknown => return Coverage::Unknown,
        }
    }
    without.unwrap_or(Coverage::Unknown)
}
