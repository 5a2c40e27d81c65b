//! The countries and regions in one MMDB record, in any of the schemas in use.
//!
//! Invariant: a field that should be a country code and is none is an error, never "unknown". The first of
//! `country.iso_code`, `country_code` and a two-letter `country` that is present decides; `registered_country` and
//! `represented_country` are recorded and never stand in for it.

use super::region;
use super::value::Value;
use crate::country::Country;
use crate::info::Schema;
use crate::record::Record;

/// The record, and the schema if it told a country.
pub(super) fn read(value: &Value<'_>) -> Result<(Record, Option<Schema>), String> {
    let (country, schema) = match find_country(value) {
        Some((field, schema)) => (code(field, schema)?, Some(schema)),
        None => (None, None),
    };
    let registered = secondary(value, "registered_country")?;
    let represented = secondary(value, "represented_country")?;
    let (region, subregion) = region::read(value, country);
    Ok((Record { country, region, subregion, registered, represented, asn: None }, country.and(schema)))
}

fn find_country<'v, 'de>(value: &'v Value<'de>) -> Option<(&'v Value<'de>, Schema)> {
    let country = value.get("country");
    let nested = country.and_then(|country| country.get("iso_code")).map(|code| (code, Schema::CountryIsoCode));
    let flat = || value.get("country_code").map(|code| (code, Schema::CountryCode));
    // A map without iso_code is a place without a country of its own.
    let plain =
        || country.filter(|country| !matches!(country, Value::Map(_))).map(|code| (code, Schema::CountryString));
    nested.or_else(flat).or_else(plain)
}

fn code(field: &Value<'_>, schema: Schema) -> Result<Option<Country>, String> {
    match field {
        Value::Text(text) => Country::from_database(text).map_err(|error| format!("in its field {schema}, {error}")),
        Value::Map(_) | Value::List(_) | Value::Number(_) | Value::Other => {
            Err(format!("its field {schema} is no text"))
        }
    }
}

fn secondary(value: &Value<'_>, name: &str) -> Result<Option<Country>, String> {
    match value.get(name).and_then(|place| place.get("iso_code")) {
        None => Ok(None),
        Some(Value::Text(text)) => {
            Country::from_database(text).map_err(|error| format!("in its field {name}.iso_code, {error}"))
        }
        Some(Value::Map(_) | Value::List(_) | Value::Number(_) | Value::Other) => {
            Err(format!("its field {name}.iso_code is no text"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested<'a>(name: &'a str, code: &'a str) -> (&'a str, Value<'a>) {
        (name, Value::Map(vec![("iso_code", Value::Text(code))]))
    }

    fn country(entries: Vec<(&'static str, Value<'static>)>) -> (Option<String>, Option<Schema>) {
        let (record, schema) = read(&Value::Map(entries)).unwrap();
        (record.country.map(|country| country.to_string()), schema)
    }

    #[test]
    fn every_schema_is_recognised() {
        let iran = Some("IR".to_owned());
        assert_eq!(country(vec![nested("country", "IR")]), (iran.clone(), Some(Schema::CountryIsoCode)));
        assert_eq!(country(vec![("country_code", Value::Text("ir"))]), (iran.clone(), Some(Schema::CountryCode)));
        assert_eq!(country(vec![("country", Value::Text("IR"))]), (iran.clone(), Some(Schema::CountryString)));
        // A name beside a code is a name.
        let both = vec![("country", Value::Text("Iran")), ("country_code", Value::Text("IR"))];
        assert_eq!(country(both), (iran, Some(Schema::CountryCode)));
        assert_eq!(country(vec![("country", Value::Map(vec![("geoname_id", Value::Other)]))]), (None, None));
        assert_eq!(country(vec![("autonomous_system_number", Value::Other)]), (None, None));
    }

    #[test]
    fn registered_and_represented_countries_are_recorded_and_never_matched() {
        let value = Value::Map(vec![nested("registered_country", "FR"), nested("represented_country", "IR")]);
        let (record, schema) = read(&value).unwrap();
        assert_eq!((record.country, schema), (None, None));
        assert_eq!(record.registered, "FR".parse().ok());
        assert_eq!(record.represented, "IR".parse().ok());
    }

    #[test]
    fn a_field_that_is_no_country_code_is_an_error() {
        for entry in [
            nested("country", "IRN"),
            nested("represented_country", "France"),
            ("country_code", Value::Other),
            ("country", Value::Text("Iran")),
            ("registered_country", Value::Map(vec![("iso_code", Value::Other)])),
        ] {
            let message = read(&Value::Map(vec![entry])).unwrap_err();
            assert!(message.contains("its field"), "{message}");
        }
    }
}
