//! The embargo programmes as policies have them in `data.embargo`: what a rule's list is called in alerts, and which places
//! a programme asks only to report.
//!
//! Invariant: what is read here is the very document that the policies read, whether it is the built-in one or a file's. Not
//! here: the programmes themselves (`geoip::embargo`).

use std::collections::{BTreeMap, BTreeSet};

use alerts::ListRef;
use anyhow::Result;
use rules::StandingValue;
use serde::Deserialize;

/// The key in `data`.
const KEY: &str = "embargo";
/// What errors call the built-in document.
const NAME: &str = "embargo programmes (built in)";
/// Where several programmes name a place, the first of these is the list of the alert.
const ORDER: [&str; 4] = ["ofac-comprehensive", "bis-e", "eu-territorial", "un"];

/// The programmes that some policies have.
#[derive(Debug, Clone, Default)]
pub struct Programmes(Vec<(String, Programme)>);

/// One of them, as far as it matters here. A document of a file may have less, or something else altogether.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Programme {
    version: String,
    countries: BTreeSet<String>,
    regions: BTreeSet<String>,
    cidrs: BTreeSet<String>,
    alert_countries: BTreeSet<String>,
    alert_regions: BTreeSet<String>,
}

/// The documents that policies have without any file: what is in effect today.
///
/// # Errors
///
/// If the program file was damaged.
pub fn defaults() -> Result<Vec<(String, String)>> {
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let programmes = geoip::embargo::data(&geoip::embargo::shipped()?, today);
    Ok(vec![(NAME.to_owned(), serde_json::json!({ KEY: programmes }).to_string())])
}

impl Programmes {
    /// Reads `data`; what does not look like a programme is none.
    #[must_use]
    pub fn of(data: &rules::Value) -> Self {
        let document = serde_json::to_value(&data[KEY]).unwrap_or_default();
        let Ok(all) = serde_json::from_value::<BTreeMap<String, serde_json::Value>>(document) else {
            return Self::default();
        };
        let read = |(id, value)| Some((id, serde_json::from_value::<Programme>(value).ok()?));
        let mut programmes: Vec<(String, Programme)> = all.into_iter().filter_map(read).collect();
        programmes.sort_by_key(|(id, _)| ORDER.iter().position(|known| known == id).unwrap_or(ORDER.len()));
        Self(programmes)
    }

    /// All of them, for the audit trail: id, version, and what they name.
    pub fn contents(&self) -> impl Iterator<Item = (&str, &str, serde_json::Value)> {
        self.0.iter().map(|(id, programme)| {
            let content = serde_json::json!({
                "countries": programme.countries,
                "regions": programme.regions,
                "cidrs": programme.cidrs,
                "alert_countries": programme.alert_countries,
                "alert_regions": programme.alert_regions,
            });
            (id.as_str(), programme.version.as_str(), content)
        })
    }

    /// The programme that names what a rule refuses.
    #[must_use]
    pub fn list_of(&self, value: &StandingValue) -> Option<ListRef> {
        let naming = |programme: &Programme| match value {
            StandingValue::BlockCountry(country) => {
                programme.countries.contains(country.as_str()) || programme.alert_countries.contains(country.as_str())
            }
            StandingValue::BlockRegion(region) => {
                programme.regions.contains(region) || programme.alert_regions.contains(region)
            }
            StandingValue::BlockCidr(net) => programme.cidrs.contains(&net.to_string()),
            StandingValue::AllowCountry(_)
            | StandingValue::BlockPath(_)
            | StandingValue::BlockExecutable(_)
            | StandingValue::BlockHash(_)
            | StandingValue::AllowExecutable(_)
            | StandingValue::Exemption(_) => false,
        };
        let (id, programme) = self.0.iter().find(|(_, programme)| naming(programme))?;
        Some(ListRef { id: id.clone(), version: programme.version.clone() })
    }

    /// The programme that asks to report this place, where none asks to refuse it.
    #[must_use]
    pub fn only_reporting(&self, value: &StandingValue) -> Option<&str> {
        let asked = |block: fn(&Programme) -> &BTreeSet<String>, report: fn(&Programme) -> &BTreeSet<String>, place| {
            let refused = self.0.iter().any(|(_, programme)| block(programme).contains(place));
            let reporting = self.0.iter().find(|(_, programme)| report(programme).contains(place));
            reporting.filter(|_| !refused).map(|(id, _)| id.as_str())
        };
        match value {
            StandingValue::BlockCountry(country) => asked(|p| &p.countries, |p| &p.alert_countries, country.as_str()),
            StandingValue::BlockRegion(region) => asked(|p| &p.regions, |p| &p.alert_regions, region.as_str()),
            StandingValue::AllowCountry(_)
            | StandingValue::BlockCidr(_)
            | StandingValue::BlockPath(_)
            | StandingValue::BlockExecutable(_)
            | StandingValue::BlockHash(_)
            | StandingValue::AllowExecutable(_)
            | StandingValue::Exemption(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built_in() -> Programmes {
        let (_, text) = &defaults().unwrap()[0];
        Programmes::of(&rules::Value::from_json_str(text).unwrap())
    }

    fn region(code: &str) -> StandingValue {
        StandingValue::BlockRegion(code.to_owned())
    }

    #[test]
    fn a_place_belongs_to_the_first_programme_that_names_it() {
        let programmes = built_in();
        let list = |code: &[u8; 2]| programmes.list_of(&StandingValue::BlockCountry(rules::Country(*code)));
        assert_eq!(list(b"IR").unwrap().id, "ofac-comprehensive");
        assert_eq!(list(b"SY").unwrap().id, "bis-e");
        assert!(!list(b"SY").unwrap().version.is_empty());
        assert_eq!(list(b"FR"), None);
        assert_eq!(programmes.list_of(&region("UA-65")).unwrap().id, "eu-territorial");
    }

    #[test]
    fn places_that_databases_cannot_tell_are_only_reported() {
        let programmes = built_in();
        assert_eq!(programmes.only_reporting(&region("UA-14")), Some("ofac-comprehensive"));
        assert_eq!(programmes.only_reporting(&region("UA-43")), None);
        assert_eq!(programmes.only_reporting(&region("FR-IDF")), None);
    }

    #[test]
    fn what_is_no_programme_is_none() {
        for data in
            ["{}", "{\"embargo\": 1}", "{\"embargo\": {\"un\": [1]}}", "{\"embargo\": {\"un\": {\"regions\": 1}}}"]
        {
            let programmes = Programmes::of(&rules::Value::from_json_str(data).unwrap());
            assert_eq!(programmes.list_of(&region("UA-43")), None, "{data}");
        }
    }
}
