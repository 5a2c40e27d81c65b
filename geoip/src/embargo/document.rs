//! The JSON form of a programme, and the checks that it has to pass.

use jiff::civil::Date;
use serde::{Deserialize, Deserializer, de::Error};

use super::{Action, Entry, Programme};
use crate::compare::Place;

/// A file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    id: String,
    authority: String,
    title: String,
    citation: String,
    version: String,
    #[serde(deserialize_with = "date")]
    reviewed: Date,
    #[serde(deserialize_with = "date")]
    review_by: Date,
    countries: Vec<Row>,
    regions: Vec<Row>,
}

/// An entry of `countries` or `regions`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    code: String,
    name: String,
    citation: String,
    #[serde(deserialize_with = "date")]
    from: Date,
    #[serde(default, deserialize_with = "optional_date")]
    until: Option<Date>,
    #[serde(default, deserialize_with = "optional_date")]
    review_by: Option<Date>,
    action: Action,
    note: Option<String>,
}

impl Document {
    /// The programme, if everything in the file can be right.
    pub(super) fn programme(self, sha256: String) -> Result<Programme, String> {
        let Self { id, authority, title, citation, version, reviewed, review_by, countries, regions } = self;
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-') {
            return Err(format!("its id {id:?} is not made of small letters, digits and hyphens"));
        }
        for (key, text) in
            [("authority", &authority), ("title", &title), ("citation", &citation), ("version", &version)]
        {
            present(key, text)?;
        }
        if review_by <= reviewed {
            return Err(format!("review_by {review_by} does not come after reviewed {reviewed}"));
        }
        let mut entries = Vec::new();
        for row in countries {
            let place = row.code.parse().map(Place::Country).map_err(|error| format!("{error}"))?;
            entries.push(row.entry(place, review_by)?);
        }
        for row in regions {
            let place = row.code.parse().map(Place::Region).map_err(|error| format!("{error}"))?;
            entries.push(row.entry(place, review_by)?);
        }
        if entries.is_empty() {
            return Err("it names neither countries nor regions".to_owned());
        }
        refuse_overlap(&entries)?;
        Ok(Programme { id, authority, title, citation, version, sha256, reviewed, entries, added: Vec::new() })
    }
}

impl Row {
    fn entry(self, place: Place, review_by: Date) -> Result<Entry, String> {
        let Self { code, name, citation, from, until, review_by: own, action, note } = self;
        for (key, text) in [("name", &name), ("citation", &citation)] {
            present(key, text).map_err(|what| format!("{code}: {what}"))?;
        }
        if let Some(until) = until.filter(|until| *until < from) {
            return Err(format!("{code}: until {until} comes before from {from}"));
        }
        Ok(Entry { place, name, citation, from, until, review_by: own.unwrap_or(review_by), action, note })
    }
}

fn present(key: &str, text: &str) -> Result<(), String> {
    if text.trim().is_empty() { Err(format!("{key} is empty")) } else { Ok(()) }
}

/// One place may come and go, but not be there twice at once.
fn refuse_overlap(entries: &[Entry]) -> Result<(), String> {
    for (index, one) in entries.iter().enumerate() {
        let same = entries[..index].iter().filter(|other| other.place == one.place);
        for other in same {
            if one.in_effect(other.from) || other.in_effect(one.from) {
                return Err(format!("{} has two entries for the same time", one.place));
            }
        }
    }
    Ok(())
}

fn parse<E: Error>(text: &str) -> Result<Date, E> {
    // The parser of the library also takes times and other forms; these files have one.
    let shape = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let date = text.parse().ok().filter(|_| shape);
    date.ok_or_else(|| E::custom(format!("{text:?} is no date; write 2026-11-22")))
}

fn date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Date, D::Error> {
    parse(&String::deserialize(deserializer)?)
}

fn optional_date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Date>, D::Error> {
    Option::<String>::deserialize(deserializer)?.map(|text| parse(&text)).transpose()
}
