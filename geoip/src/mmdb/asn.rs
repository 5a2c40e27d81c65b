//! The AS number in one MMDB record, in any of the schemas in use.
//!
//! Invariant: a field that should be an AS number and is none is an error. 0 is what some sources write for "none".

use super::value::Value;
use crate::info::Schema;
use crate::list;
use crate::record::Record;

/// The record with nothing but its AS number, and the schema if it has one.
pub(super) fn read(value: &Value<'_>) -> Result<(Record, Option<Schema>), String> {
    let in_traits = || value.get("traits")?.get("autonomous_system_number");
    let field = value.get("autonomous_system_number").or_else(in_traits).or_else(|| value.get("asn"));
    let asn = match field {
        None | Some(Value::Text("")) => None,
        Some(Value::Number(number)) => {
            Some(u32::try_from(*number).map_err(|_| format!("its AS number {number} has more than 32 bits"))?)
        }
        Some(Value::Text(text)) => Some(list::as_number(text).ok_or_else(|| format!("{text:?} is no AS number"))?),
        Some(Value::Map(_) | Value::List(_) | Value::Other) => return Err("its AS number is no number".to_owned()),
    };
    let asn = asn.filter(|number| *number != 0);
    Ok((Record { asn, ..Record::default() }, asn.map(|_| Schema::AsNumber)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asn(key: &'static str, value: Value<'static>) -> Result<Option<u32>, String> {
        read(&Value::Map(vec![(key, value)])).map(|(record, _)| record.asn)
    }

    #[test]
    fn numbers_are_read_from_every_schema() {
        assert_eq!(asn("autonomous_system_number", Value::Number(64500)), Ok(Some(64500)));
        assert_eq!(asn("asn", Value::Text("AS64500")), Ok(Some(64500)));
        let traits = Value::Map(vec![("autonomous_system_number", Value::Number(1))]);
        assert_eq!(asn("traits", traits), Ok(Some(1)));
        assert_eq!(asn("asn", Value::Number(0)), Ok(None));
        assert_eq!(asn("country", Value::Text("IR")), Ok(None));
    }

    #[test]
    fn what_is_no_number_is_an_error() {
        for wrong in [Value::Text("ASx"), Value::Number(1 << 32), Value::Other, Value::Map(Vec::new())] {
            assert!(asn("autonomous_system_number", wrong).is_err());
        }
    }
}
