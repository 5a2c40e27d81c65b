//! Writes the parts of an event that rules read as bytes: the key of a cached decision.
//!
//! For one set of parts, two events give the same bytes exactly when they agree on all of them: every value starts
//! with its type, and everything of varying length with its length. So keys are compared as they are, and nobody
//! who chooses what is in an event can make two different ones look alike.

use std::io::Write as _;

use regorus::Value;

use crate::analysis::needs::Reads;

const UNDEFINED: u8 = 0;
const NULL: u8 = 1;
const FALSE: u8 = 2;
const TRUE: u8 = 3;
const NUMBER: u8 = 4;
const STRING: u8 = 5;
const ARRAY: u8 = 6;
const SET: u8 = 7;
const OBJECT: u8 = 8;

/// Appends what `reads` says of `value`.
pub(super) fn write(reads: &Reads, value: &Value, key: &mut Vec<u8>) {
    match value {
        Value::Object(object) if !reads.whole => {
            key.push(OBJECT);
            for (name, below) in &reads.fields {
                write(below, object.get(name).unwrap_or(&Value::Undefined), key);
            }
            if let Some(each) = &reads.each {
                length(object.len(), key);
                for (name, value) in object.iter_sorted() {
                    whole(name, key);
                    write(each, value, key);
                }
            }
        }
        Value::Array(array) if !reads.whole => {
            key.push(ARRAY);
            for (index, below) in &reads.fields {
                let index = index.as_u64().ok().and_then(|index| usize::try_from(index).ok());
                write(below, index.and_then(|index| array.get(index)).unwrap_or(&Value::Undefined), key);
            }
            if let Some(each) = &reads.each {
                length(array.len(), key);
                array.iter().for_each(|value| write(each, value, key));
            }
        }
        value => whole(value, key),
    }
}

fn whole(value: &Value, key: &mut Vec<u8>) {
    match value {
        Value::Undefined => key.push(UNDEFINED),
        Value::Null => key.push(NULL),
        Value::Bool(false) => key.push(FALSE),
        Value::Bool(true) => key.push(TRUE),
        Value::Number(number) => {
            key.push(NUMBER);
            // 1 and 1.0 are two numbers here. No number prints a NUL, so one ends it.
            let written = write!(key, "{number:?}\0");
            debug_assert!(written.is_ok(), "a vector takes every byte");
        }
        Value::String(text) => {
            key.push(STRING);
            length(text.len(), key);
            key.extend_from_slice(text.as_bytes());
        }
        Value::Array(array) => {
            key.push(ARRAY);
            length(array.len(), key);
            array.iter().for_each(|value| whole(value, key));
        }
        Value::Set(set) => {
            key.push(SET);
            length(set.len(), key);
            set.iter_sorted().for_each(|value| whole(value, key));
        }
        Value::Object(object) => {
            key.push(OBJECT);
            length(object.len(), key);
            for (name, value) in object.iter_sorted() {
                whole(name, key);
                whole(value, key);
            }
        }
    }
}

/// Seven bits a byte, the last without its top bit.
fn length(mut length: usize, key: &mut Vec<u8>) {
    while length > 0x7f {
        key.push(0x80 | u8::try_from(length & 0x7f).unwrap_or(0x7f));
        length >>= 7;
    }
    key.push(u8::try_from(length).unwrap_or(0x7f));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(reads: &Reads, json: &str) -> Vec<u8> {
        let mut key = Vec::new();
        write(reads, &Value::from_json_str(json).unwrap(), &mut key);
        key
    }

    fn field(name: &str, below: Reads) -> Reads {
        Reads { fields: [(Value::from(name), below)].into(), ..Reads::default() }
    }

    fn whole_value() -> Reads {
        Reads { whole: true, ..Reads::default() }
    }

    #[test]
    fn different_values_have_different_keys() {
        let values = [
            "{}",
            "[]",
            "null",
            "true",
            "false",
            "0",
            "1",
            "-1",
            "1.5",
            "11",
            "1e30",
            "12345678901234567890123",
            "\"\"",
            "\"1\"",
            "\"null\"",
            "[\"ab\"]",
            "[\"a\",\"b\"]",
            "[[\"a\"],\"b\"]",
            "[[\"a\",\"b\"]]",
            "{\"a\":\"b\"}",
            "{\"a\":{}}",
            "{\"a\":null}",
            "[null]",
            "[0]",
            "[[]]",
            "{\"a\":1,\"b\":2}",
            "{\"b\":1,\"a\":2}",
            "[1,12]",
            "[11,2]",
            "[1,1,2]",
        ];
        let keys: std::collections::BTreeSet<Vec<u8>> = values.iter().map(|value| key(&whole_value(), value)).collect();
        assert_eq!(keys.len(), values.len());
        let long = |n: usize| key(&whole_value(), &format!("[\"{}\"]", "x".repeat(n)));
        assert!((0..300).map(long).collect::<std::collections::BTreeSet<_>>().len() == 300);
    }

    #[test]
    fn only_what_is_read_counts() {
        let name = field("process", field("name", whole_value()));
        let same = [r#"{"process":{"name":"sh","pid":1}}"#, r#"{"process":{"name":"sh","pid":2},"x":1}"#];
        assert_eq!(key(&name, same[0]), key(&name, same[1]));
        let other = [
            r#"{"process":{"name":"zsh"}}"#,
            r#"{"process":{}}"#,
            "{}",
            r#"{"process":"sh"}"#,
            r#"{"process":{"name":["sh"]}}"#,
        ];
        let keys: std::collections::BTreeSet<_> =
            other.iter().chain([&same[0]]).map(|event| key(&name, event)).collect();
        assert_eq!(keys.len(), 6, "what is missing is told apart, level by level");

        let each = Reads { each: Some(Box::new(field("name", whole_value()))), ..Reads::default() };
        let list = field("list", each);
        assert_eq!(key(&list, r#"{"list":[{"name":1,"pid":7}]}"#), key(&list, r#"{"list":[{"name":1,"pid":8}]}"#));
        assert_ne!(key(&list, r#"{"list":[{"name":1}]}"#), key(&list, r#"{"list":[{"name":1},{}]}"#));
        assert_ne!(key(&list, r#"{"list":{"a":{"name":1}}}"#), key(&list, r#"{"list":{"b":{"name":1}}}"#));
    }

    #[test]
    fn an_index_is_an_element() {
        let first = Reads { fields: [(Value::from(0u64), whole_value())].into(), ..Reads::default() };
        assert_eq!(key(&first, "[\"a\",\"b\"]"), key(&first, "[\"a\",\"c\",\"d\"]"));
        assert_ne!(key(&first, "[\"a\"]"), key(&first, "[\"b\"]"));
        assert_ne!(key(&first, "[]"), key(&first, "[null]"));
    }
}
