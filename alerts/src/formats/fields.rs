//! Reading an alert's ECS object by the names of fields, and building objects without empty parts.
//!
//! Invariant: a field that is missing or of another type reads as absent, so that a formatter cannot fail.
//!
//! Not here: names of any other format.

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::terms::Severity;

/// The value of a field by its name with dots; null when it is not there.
pub(super) fn at<'a>(alert: &'a Value, name: &str) -> &'a Value {
    name.split('.').fold(alert, |value, part| &value[part])
}

/// A text field; none when it is empty.
pub(super) fn text<'a>(alert: &'a Value, name: &str) -> Option<&'a str> {
    at(alert, name).as_str().filter(|text| !text.is_empty())
}

/// A number that is not negative.
pub(super) fn number(alert: &Value, name: &str) -> Option<u64> {
    at(alert, name).as_u64()
}

/// Whether a field is there and true.
pub(super) fn is(alert: &Value, name: &str) -> bool {
    at(alert, name).as_bool().unwrap_or(false)
}

/// The texts of a list.
pub(super) fn texts<'a>(alert: &'a Value, name: &str) -> Vec<&'a str> {
    at(alert, name).as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// A time in milliseconds since 1970.
pub(super) fn milliseconds(alert: &Value, name: &str) -> Option<i64> {
    text(alert, name)?.parse::<Timestamp>().ok().map(Timestamp::as_millisecond)
}

/// How serious the alert is, from ECS `event.severity`.
pub(super) fn severity(alert: &Value) -> Severity {
    match number(alert, "event.severity").unwrap_or_default() {
        0..=20 => Severity::Info,
        21..=46 => Severity::Low,
        47..=72 => Severity::Medium,
        73..=98 => Severity::High,
        99.. => Severity::Critical,
    }
}

/// How many events the alert stands for.
pub(super) fn count(alert: &Value) -> u64 {
    number(alert, "sentinel.suppressed").unwrap_or_default().saturating_add(1)
}

/// What became of the event: one word for formats that have one field for it.
pub(super) fn outcome(alert: &Value) -> &'static str {
    if is(alert, "sentinel.blocked") {
        "blocked"
    } else if is(alert, "sentinel.would_block") {
        "would-block"
    } else if at(alert, "sentinel.exemption").is_object() {
        "exempt"
    } else {
        "allowed"
    }
}

/// The command line as one text, for formats that have no list.
pub(super) fn command_line(process: &Value) -> Option<String> {
    let args = texts(process, "args");
    (!args.is_empty()).then(|| args.join(" "))
}

/// The last part of a path.
pub(super) fn base_name(path: &str) -> &str {
    path.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or(path)
}

/// Takes out nulls, and the objects and lists that are empty or become so.
pub(super) fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.into_iter().map(|(name, value)| (name, without_nulls(value)));
            Value::Object(kept.filter(|(_, value)| !is_empty(value)).collect::<Map<_, _>>())
        }
        Value::Array(list) => {
            Value::Array(list.into_iter().map(without_nulls).filter(|value| !is_empty(value)).collect())
        }
        other => other,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_missing_or_of_another_type_reads_as_absent() {
        let alert = json!({"a": {"b": 3, "c": "x", "e": ""}, "d": [1, "y"]});
        assert_eq!((number(&alert, "a.b"), text(&alert, "a.c")), (Some(3), Some("x")));
        assert_eq!((text(&alert, "a.b"), text(&alert, "a.e"), text(&alert, "a.c.z")), (None, None, None));
        assert_eq!((texts(&alert, "d"), milliseconds(&alert, "a.c")), (vec!["y"], None));
    }

    #[test]
    fn nothing_empty_stays() {
        let value = json!({"a": null, "b": {"c": null}, "d": [null, {}], "e": false, "f": "", "g": [0]});
        assert_eq!(without_nulls(value), json!({"e": false, "f": "", "g": [0]}));
    }

    #[test]
    fn severities_come_back_from_their_numbers() {
        let of = |number: u64| severity(&json!({"event": {"severity": number}}));
        let all: Vec<Severity> = [1, 21, 47, 73, 99].into_iter().map(of).collect();
        assert_eq!(all, Severity::ALL);
    }
}
