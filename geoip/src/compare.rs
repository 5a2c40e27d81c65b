//! What a new database would change against the one in force, and whether that is refused.
//!
//! A file that was cut short, or built from a source that lost a registry, is valid and blocks less than the one before it.
//! So a country or a contested region that shrinks by a fifth, in either family, refuses the new file, as does a build date
//! that goes back. Invariant: every address counts once for each side, and special addresses count for none.
//!
//! Compare releases of one source. Two vendors differ by more than a fifth somewhere; changing the vendor is a decision of the
//! operator, who accepts the difference ([`Accept`]) or starts anew.

mod refusal;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use crate::address::Address;
use crate::country::Country;
use crate::database::Database;
use crate::error::GeoError;
use crate::info::DatabaseInfo;
use crate::record::{Record, Records};
use crate::region::Region;
use crate::table::{Joined, Table, sweep};
pub use refusal::{Accept, Refusal};

/// A country or a region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// A country.
    Country(Country),
    /// A region.
    Region(Region),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Country(country) => f.pad(country.as_str()),
            Self::Region(region) => f.pad(&region.to_string()),
        }
    }
}

/// How many addresses of one family, before and after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amount {
    /// Addresses before.
    pub old: u128,
    /// Addresses after.
    pub new: u128,
    /// Addresses that came.
    pub gained: u128,
    /// Addresses that went.
    pub lost: u128,
    /// The fewest prefixes that hold what came.
    pub gained_prefixes: usize,
    /// The fewest prefixes that hold what went.
    pub lost_prefixes: usize,
}

/// What changes for one country or region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Which one.
    pub place: Place,
    /// IPv4 addresses.
    pub v4: Amount,
    /// IPv6 addresses.
    pub v6: Amount,
}

impl Change {
    /// Whether any address came or went.
    #[must_use]
    pub fn is_any(&self) -> bool {
        [self.v4, self.v6].iter().any(|amount| amount.gained > 0 || amount.lost > 0)
    }
}

/// Two databases compared address by address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// The database before.
    pub old: DatabaseInfo,
    /// The database after.
    pub new: DatabaseInfo,
    /// Every country and region that either has, in alphabetical order, countries first; also those without any change.
    pub changes: Vec<Change>,
    /// IPv4 addresses that have any country; what moved between countries is neither gained nor lost here.
    pub total_v4: Amount,
    /// The same for IPv6.
    pub total_v6: Amount,
    /// IPv4 addresses that have a country in both, and not the same.
    pub moved_v4: u128,
    /// The same for IPv6.
    pub moved_v6: u128,
}

/// Compares two databases.
#[must_use]
pub fn compare(old: &Database, new: &Database) -> Comparison {
    let v4 = Tally::of((&old.v4, &old.records), (&new.v4, &new.records));
    let v6 = Tally::of((&old.v6, &old.records), (&new.v6, &new.records));
    let places: BTreeSet<Place> = v4.places.keys().chain(v6.places.keys()).copied().collect();
    let amount = |places: &BTreeMap<Place, Amount>, place: &Place| places.get(place).copied().unwrap_or_default();
    let change = |place: &Place| Change { place: *place, v4: amount(&v4.places, place), v6: amount(&v6.places, place) };
    Comparison {
        old: old.info.clone(),
        new: new.info.clone(),
        changes: places.iter().map(change).collect(),
        total_v4: v4.total,
        total_v6: v6.total,
        moved_v4: v4.moved,
        moved_v6: v6.moved,
    }
}

impl Database {
    /// Opens the file that is to take this database's place; `now` in seconds since 1970.
    ///
    /// # Errors
    /// As [`open`](Self::open), and [`GeoError::Refused`] for what [`Comparison::refusal`] says; less what is accepted.
    pub fn successor(&self, path: &Path, now: u64, accept: &Accept) -> Result<(Self, Comparison), GeoError> {
        let new = Self::open_accepting(path, now, accept)?;
        let comparison = compare(self, &new);
        match comparison.refusal_unless(accept) {
            Some(refusal) => Err(GeoError::Refused { path: path.to_owned(), refusal: Box::new(refusal) }),
            None => Ok((new, comparison)),
        }
    }
}

/// Amounts of one family.
#[derive(Default)]
struct Tally {
    places: BTreeMap<Place, Amount>,
    total: Amount,
    moved: u128,
}

impl Tally {
    fn of<A: Address>(old: (&Table<A>, &Records), new: (&Table<A>, &Records)) -> Self {
        let mut places: BTreeMap<Place, Running<A>> = BTreeMap::new();
        let (mut total, mut moved) = (Running::default(), 0);
        sweep(&[old.0, new.0], |first, last, records| {
            let (before, after) = (old.1.get(records[0]), new.1.get(records[1]));
            if before.country != after.country && before.country.is_some() && after.country.is_some() {
                moved += size(first, last);
            }
            total.add(first, last, before.country.is_some(), after.country.is_some());
            for place in places_of(&before) {
                places.entry(place).or_default().add(first, last, true, places_of(&after).any(|other| other == place));
            }
            for place in places_of(&after).filter(|place| places_of(&before).all(|other| other != *place)) {
                places.entry(place).or_default().add(first, last, false, true);
            }
        });
        let places = places.into_iter().map(|(place, running)| (place, running.finish())).collect();
        Self { places, total: total.finish(), moved }
    }
}

/// An amount being counted.
struct Running<A> {
    amount: Amount,
    gained: Joined<A>,
    lost: Joined<A>,
}

impl<A> Default for Running<A> {
    fn default() -> Self {
        Self { amount: Amount::default(), gained: Joined::default(), lost: Joined::default() }
    }
}

impl<A: Address> Running<A> {
    fn add(&mut self, first: A, last: A, before: bool, after: bool) {
        let (size, amount) = (size(first, last), &mut self.amount);
        amount.old += if before { size } else { 0 };
        amount.new += if after { size } else { 0 };
        if before && !after {
            amount.lost += size;
            self.lost.add(first, last, |_| amount.lost_prefixes += 1);
        } else if after && !before {
            amount.gained += size;
            self.gained.add(first, last, |_| amount.gained_prefixes += 1);
        }
    }

    fn finish(self) -> Amount {
        let mut amount = self.amount;
        self.lost.finish(|_| amount.lost_prefixes += 1);
        self.gained.finish(|_| amount.gained_prefixes += 1);
        amount
    }
}

/// Only special addresses lie in ranges without end, so that this cannot overflow where it counts.
fn size<A: Address>(first: A, last: A) -> u128 {
    first.distance(last).saturating_add(1)
}

fn places_of(record: &Record) -> impl Iterator<Item = Place> + use<> {
    record.country.map(Place::Country).into_iter().chain(record.regions().map(Place::Region))
}
