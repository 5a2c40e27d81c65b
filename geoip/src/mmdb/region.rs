//! The regions in one MMDB record: `subdivisions` (MaxMind, DB-IP), or strings beside the country (ip-location-db, IPLocate).
//!
//! Invariant: a region that is not recognised is no region, and never an error: sources name regions as they like, and only
//! those that a rule can name, by ISO 3166-2 code, count. Two levels are kept.

use super::value::Value;
use crate::country::Country;
use crate::region::{Region, names};

/// Strings beside the country that hold a code.
const CODES: [&str; 4] = ["region_code", "region_iso_code", "state_code", "subdivision_code"];
/// Strings beside the country that hold a name, or a code.
const NAMES: [&str; 7] = ["state1", "region", "region_name", "state", "stateprov", "subdivision", "subdivision_name"];

/// The region, and one within it.
pub(super) fn read(value: &Value<'_>, country: Option<Country>) -> (Option<Region>, Option<Region>) {
    let mut regions = match value.get("subdivisions") {
        Some(Value::List(levels)) => levels.iter().filter_map(|level| nested(level, country)).collect(),
        Some(_) | None => flat(value, country).into_iter().collect::<Vec<_>>(),
    };
    regions.dedup();
    let mut regions = regions.into_iter();
    (regions.next(), regions.next())
}

/// One of the `subdivisions`.
fn nested(level: &Value<'_>, country: Option<Country>) -> Option<Region> {
    let by_name = |name: &Value<'_>| names::by_name(country, name.text()?);
    let named = match level.get("names") {
        Some(Value::Map(names)) => names.iter().find_map(|(_, name)| by_name(name)),
        Some(name) => by_name(name),
        None => level.get("name").and_then(by_name),
    };
    named.or_else(|| names::by_code(country, level.get("iso_code")?.text()?))
}

fn flat(value: &Value<'_>, country: Option<Country>) -> Option<Region> {
    let texts = |keys: &'static [&str]| keys.iter().filter_map(|key| value.get(key)?.text());
    // Names come first: the names known here are certain, while codes can be of another standard.
    let named = || texts(&NAMES).find_map(|text| names::by_name(country, text));
    let coded = || texts(&CODES).find_map(|text| names::by_code(country, text));
    let unsure = || texts(&NAMES).filter(|text| looks_like_code(text)).find_map(|text| names::by_code(country, text));
    named().or_else(coded).or_else(unsure)
}

/// A field for names can hold a code: in capitals, with the country or alone.
fn looks_like_code(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(code: Option<&'static str>, name: &'static str) -> Value<'static> {
        let code = code.map(|code| ("iso_code", Value::Text(code)));
        let names = ("names", Value::Map(vec![("en", Value::Text(name))]));
        Value::Map(code.into_iter().chain([names]).collect())
    }

    fn regions(country: &str, entries: Vec<(&'static str, Value<'static>)>) -> Vec<String> {
        let (region, subregion) = read(&Value::Map(entries), country.parse().ok());
        region.into_iter().chain(subregion).map(|region| region.to_string()).collect()
    }

    #[test]
    fn subdivisions_count_by_code_and_two_levels_are_kept() {
        let levels = |levels: Vec<Value<'static>>| vec![("subdivisions", Value::List(levels))];
        assert_eq!(
            regions("GB", levels(vec![level(Some("ENG"), "England"), level(Some("WBK"), "West Berkshire")])),
            ["GB-ENG", "GB-WBK"]
        );
        assert_eq!(regions("UA", levels(vec![level(Some("43"), "Crimea")])), ["UA-43"]);
        // By name, without a code or with one that is not of ISO 3166-2.
        assert_eq!(regions("RU", levels(vec![level(None, "Republic of Crimea")])), ["UA-43"]);
        assert_eq!(regions("UA", levels(vec![level(Some("11"), "Krym")])), ["UA-43"]);
        assert!(regions("DE", levels(vec![level(None, "Bavaria")])).is_empty());
        assert!(regions("DE", vec![("subdivisions", Value::Text("BY"))]).is_empty());
    }

    #[test]
    fn strings_beside_the_country_count_by_name_and_by_code() {
        let text = |key, text| vec![(key, Value::Text(text))];
        assert_eq!(regions("UA", text("state1", "Sebastopol City")), ["UA-40"]);
        assert_eq!(regions("RU", text("region", "Crimea")), ["UA-43"]);
        assert_eq!(regions("UA", text("region_code", "43")), ["UA-43"]);
        assert_eq!(regions("US", text("region", "CA")), ["US-CA"]);
        assert_eq!(regions("US", text("region_code", "US-CA")), ["US-CA"]);
        assert!(regions("FR", text("region", "Var")).is_empty());
        assert!(regions("AU", text("state1", "Queensland")).is_empty());
        assert!(regions("AU", vec![("state1", Value::Number(3))]).is_empty());
    }
}
