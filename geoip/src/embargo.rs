//! Embargo programmes as data: which countries and regions, by whose authority, since when, and when to look again.
//!
//! No authority publishes a list of country codes; each file below `data/embargo/` is a reading of one authority's measures,
//! with a citation for every entry. They are templates: whoever uses one checks it, and sets the review date. Invariant: a
//! programme is taken whole or not at all; an unknown key, a date that does not exist or two entries for one place at one time
//! are errors. Not here: what a policy does with a programme.

mod document;

use std::fmt;
use std::path::Path;

use jiff::civil::Date;
use serde_json::{Map, Value, json};
use thiserror::Error;

use crate::compare::Place;
use crate::country::{Country, CountrySet};
use crate::list::List;
use crate::open::{hex_sha256, read};
use crate::prefixes::PrefixSet;
use crate::region::Region;
use crate::selection::Selection;
use crate::votes::Votes;

/// The programmes that are built in.
const SHIPPED: [(&str, &str); 4] = [
    ("bis-e.json", include_str!("../data/embargo/bis-e.json")),
    ("eu-territorial.json", include_str!("../data/embargo/eu-territorial.json")),
    ("ofac-comprehensive.json", include_str!("../data/embargo/ofac-comprehensive.json")),
    ("un.json", include_str!("../data/embargo/un.json")),
];

/// What a rule should do with an entry, as far as the facts go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Refuse: databases can tell the place.
    Block,
    /// Only alert: the measure is about a part of the place that databases cannot tell from the rest.
    Alert,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Block => "block",
            Self::Alert => "alert",
        })
    }
}

/// One country or region under a programme.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Which one.
    pub place: Place,
    /// Its name, for people.
    pub name: String,
    /// The instrument that puts it here.
    pub citation: String,
    /// The first day: the date of that instrument.
    pub from: Date,
    /// The last day; none while it is in force.
    pub until: Option<Date>,
    /// When someone must look whether this still holds.
    pub review_by: Date,
    /// What a rule should do.
    pub action: Action,
    /// What else there is to know.
    pub note: Option<String>,
}

impl Entry {
    /// Whether the entry is in effect on a day.
    #[must_use]
    pub fn in_effect(&self, day: Date) -> bool {
        self.from <= day && self.until.is_none_or(|until| day <= until)
    }
}

/// A programme: the measures of one authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Programme {
    /// Stable id, such as `ofac-comprehensive`.
    pub id: String,
    /// Who imposes it.
    pub authority: String,
    /// What it is, in one line.
    pub title: String,
    /// Where it is written.
    pub citation: String,
    /// The edition of this file.
    pub version: String,
    /// SHA-256 of the file's bytes, in lower-case hexadecimal.
    pub sha256: String,
    /// When someone last compared it with the sources.
    pub reviewed: Date,
    /// Countries and regions, in the order of the file.
    pub entries: Vec<Entry>,
    /// Lists of one's own; a file has none.
    pub added: Vec<Added>,
}

/// A list of one's own that belongs to a programme.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Added {
    /// What alerts call the list.
    pub id: String,
    /// SHA-256 of the list, in lower-case hexadecimal.
    pub version: String,
    /// The networks.
    pub prefixes: PrefixSet,
}

/// What is wrong with a programme.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("The embargo programme {origin} is refused: {what}. Correct the file; data/embargo/ has examples of the form.")]
pub struct EmbargoError {
    /// The file.
    pub origin: String,
    /// What is wrong, with its line where that is known.
    pub what: String,
}

impl Programme {
    /// Reads a programme from JSON; `origin` names it in errors.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn parse(origin: &str, json: &[u8]) -> Result<Self, EmbargoError> {
        let refused = |what| EmbargoError { origin: origin.to_owned(), what };
        let document: document::Document = serde_json::from_slice(json).map_err(|error| refused(error.to_string()))?;
        document.programme(hex_sha256(json)).map_err(refused)
    }

    /// Reads a programme from a file.
    ///
    /// # Errors
    /// A file that cannot be read, and as [`parse`](Self::parse).
    pub fn open(path: &Path) -> Result<Self, EmbargoError> {
        let origin = path.display().to_string();
        match read(path) {
            Ok((bytes, _)) => Self::parse(&origin, &bytes),
            Err(error) => Err(EmbargoError { origin, what: error.to_string().trim_end_matches('.').to_owned() }),
        }
    }

    /// The entries in effect on a day.
    pub fn in_effect(&self, day: Date) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| entry.in_effect(day))
    }

    /// The entries in effect on a day on which their review is overdue.
    pub fn overdue(&self, day: Date) -> impl Iterator<Item = &Entry> {
        self.in_effect(day).filter(move |entry| entry.review_by < day)
    }

    /// The addresses of the entries in effect that ask for an action.
    #[must_use]
    pub fn selection(&self, day: Date, action: Action) -> Selection {
        let mut selection = Selection::default();
        for entry in self.in_effect(day).filter(|entry| entry.action == action) {
            match entry.place {
                Place::Country(country) => {
                    selection.countries.insert(country);
                }
                Place::Region(region) => {
                    selection.regions.insert(region);
                }
            }
        }
        selection
    }

    /// Adds a list of one's own, to be blocked as the programme's places are.
    pub fn add(&mut self, id: String, list: &List, prefixes: PrefixSet) {
        self.added.push(Added { id, version: list.sha256.clone(), prefixes });
    }

    /// Every address of the programme for which an action is asked: its places by these databases, and its own lists.
    #[must_use]
    pub fn prefixes(&self, votes: &Votes, day: Date, action: Action) -> PrefixSet {
        let places = votes.select(&self.selection(day, action));
        match action {
            Action::Block => self.added.iter().fold(places, |set, added| set.union(&added.prefixes)),
            Action::Alert => places,
        }
    }

    /// The entries in effect that name one of these places.
    pub fn naming(&self, day: Date, countries: &[Country], regions: &[Region]) -> impl Iterator<Item = &Entry> {
        self.in_effect(day).filter(move |entry| match entry.place {
            Place::Country(country) => countries.contains(&country),
            Place::Region(region) => regions.contains(&region),
        })
    }
}

/// The programmes that are built in, in alphabetical order.
///
/// # Errors
/// When the program file was damaged.
pub fn shipped() -> Result<Vec<Programme>, EmbargoError> {
    SHIPPED.iter().map(|(name, json)| Programme::parse(&format!("{name} (built in)"), json.as_bytes())).collect()
}

/// What policies read as `data.embargo` on a day: an object by programme id.
///
/// `countries`, `regions` and `cidrs` (of lists of one's own) are to be blocked, `alert_countries` and `alert_regions` to be
/// reported; `version` and `sha256` are those of the programme, as alerts name it, `lists` has those of one's own.
#[must_use]
pub fn data(programmes: &[Programme], day: Date) -> Value {
    let entries = programmes.iter().map(|programme| (programme.id.clone(), programme_data(programme, day)));
    Value::Object(entries.collect::<Map<_, _>>())
}

fn programme_data(programme: &Programme, day: Date) -> Value {
    let (block, alert) = (programme.selection(day, Action::Block), programme.selection(day, Action::Alert));
    let countries = |set: &CountrySet| set.iter().map(|country| country.to_string()).collect::<Vec<_>>();
    let regions = |selection: &Selection| selection.regions.iter().map(ToString::to_string).collect::<Vec<_>>();
    let own = programme.added.iter().fold(PrefixSet::default(), |set, added| set.union(&added.prefixes));
    let cidrs: Vec<String> = own.networks().map(|network| network.to_string()).collect();
    json!({
        "authority": programme.authority,
        "title": programme.title,
        "citation": programme.citation,
        "version": programme.version,
        "sha256": programme.sha256,
        "countries": countries(&block.countries),
        "regions": regions(&block),
        "cidrs": cidrs,
        "alert_countries": countries(&alert.countries),
        "alert_regions": regions(&alert),
        "lists": programme.added.iter().map(|list| json!({ "id": list.id, "version": list.version })).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests;
