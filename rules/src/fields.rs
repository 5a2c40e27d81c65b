//! Reads objects that policy authors wrote: members of rules and annotations.
//!
//! Nothing is ignored: an unknown key, a wrong type or a word that is not allowed is a problem with advice.

use std::str::FromStr;

use regorus::Value;
use regorus::value::Object;

use crate::vocabulary::UnknownWord;

/// What is wrong with a value, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) message: String,
    pub(crate) hint: String,
}

impl Problem {
    pub(crate) fn new(message: impl Into<String>) -> Problem {
        Problem { message: message.into(), hint: String::new() }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Problem {
        self.hint = hint.into();
        self
    }

    /// Message and advice on one line.
    pub(crate) fn one_line(&self) -> String {
        if self.hint.is_empty() { self.message.clone() } else { format!("{}; {}", self.message, self.hint) }
    }
}

/// The word for the type of a value.
pub(crate) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Set(_) => "a set",
        Value::Object(_) => "an object",
        Value::Undefined => "undefined",
    }
}

/// An object whose keys are known.
pub(crate) struct Fields<'a> {
    object: &'a Object,
}

impl<'a> Fields<'a> {
    /// Takes an object apart; every key must be one of `known`.
    pub(crate) fn new(object: &'a Object, known: &[&str]) -> Result<Fields<'a>, Problem> {
        for (key, _) in object.iter() {
            match key {
                Value::String(key) if known.contains(&key.as_ref()) => {}
                Value::String(key) => return Err(unknown_key(key, known)),
                other => return Err(Problem::new(format!("a key is {} where a string is needed", type_name(other)))),
            }
        }
        Ok(Fields { object })
    }

    /// The value of a key; null counts as not there.
    pub(crate) fn get(&self, key: &str) -> Option<&'a Value> {
        self.object.get(&Value::from(key)).filter(|value| !matches!(value, Value::Null | Value::Undefined))
    }

    pub(crate) fn text(&self, key: &str) -> Result<Option<&'a str>, Problem> {
        self.get(key).map(|value| text(key, value)).transpose()
    }

    pub(crate) fn required_text(&self, key: &str) -> Result<&'a str, Problem> {
        match self.text(key)? {
            Some(text) if !text.trim().is_empty() => Ok(text),
            Some(_) => Err(Problem::new(format!("\"{key}\" is empty"))),
            None => Err(Problem::new(format!("\"{key}\" is missing"))),
        }
    }

    /// A value that is one word of a vocabulary.
    pub(crate) fn word<T: FromStr<Err = UnknownWord>>(&self, key: &str) -> Result<Option<T>, Problem> {
        self.text(key)?.map(|text| word(key, text)).transpose()
    }

    /// Every item of a list; a single value counts as a list of one.
    pub(crate) fn list(&self, key: &str) -> Vec<&'a Value> {
        match self.get(key) {
            None => Vec::new(),
            Some(value) => items(value).unwrap_or_else(|| vec![value]),
        }
    }

    /// Every item of a list of texts.
    pub(crate) fn texts(&self, key: &str) -> Result<Vec<&'a str>, Problem> {
        self.list(key).into_iter().map(|item| text(key, item)).collect()
    }
}

/// The items of an array or set.
pub(crate) fn items(value: &Value) -> Option<Vec<&Value>> {
    match value {
        Value::Array(array) => Some(array.iter().collect()),
        Value::Set(set) => Some(set.iter_sorted().collect()),
        _ => None,
    }
}

/// Reads a text.
pub(crate) fn text<'a>(key: &str, value: &'a Value) -> Result<&'a str, Problem> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(Problem::new(format!("\"{key}\" is {}; a string is needed", type_name(other)))),
    }
}

/// Reads a word of a vocabulary.
pub(crate) fn word<T: FromStr<Err = UnknownWord>>(key: &str, text: &str) -> Result<T, Problem> {
    text.parse().map_err(|error: UnknownWord| Problem::new(format!("\"{key}\": {error}")))
}

/// Reads a number that is whole and not negative. A number in quotes is a string, and is refused.
pub(crate) fn whole_number(key: &str, value: &Value, max: u64) -> Result<u64, Problem> {
    let number = match value {
        Value::Number(_) => value.as_u64().ok(),
        other => return Err(Problem::new(format!("\"{key}\" is {}; a number is needed", type_name(other)))),
    };
    let range = || Problem::new(format!("\"{key}\" is {value}; a whole number from 0 to {max} is needed"));
    number.filter(|number| *number <= max).ok_or_else(range)
}

fn unknown_key(key: &str, known: &[&str]) -> Problem {
    let problem = Problem::new(format!("\"{key}\" is not a known key"));
    match nearest(key, known) {
        Some(meant) => problem.hint(format!("did you mean \"{meant}\"?")),
        None => problem.hint(format!("known keys: {}", known.join(", "))),
    }
}

/// The known word that is few edits away: one for short words, up to three for long ones.
pub(crate) fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let limit = match word.chars().count() {
        0..=4 => 1,
        5..=9 => 2,
        _ => 3,
    };
    known.iter().map(|k| (distance(word, k), *k)).filter(|(d, _)| *d <= limit).min().map(|(_, k)| k)
}

/// Edit distance of two short words; two letters in the wrong order are one edit.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut row = vec![i + 1];
        for j in 0..b.len() {
            let replaced = above[j] + usize::from(a[i] != b[j]);
            let mut least = replaced.min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::Severity;

    fn object(json: &str) -> Value {
        Value::from_json_str(json).unwrap()
    }

    #[test]
    fn unknown_keys_are_refused_with_the_nearest() {
        let value = object(r#"{"severty": "high"}"#);
        let problem = Fields::new(value.as_object().unwrap(), &["msg", "severity"]).err().unwrap();
        assert_eq!(problem.one_line(), "\"severty\" is not a known key; did you mean \"severity\"?");
    }

    #[test]
    fn types_are_checked() {
        let value = object(r#"{"msg": 1, "severity": "bad", "ttl": -1, "list": "one", "none": null}"#);
        let fields = Fields::new(value.as_object().unwrap(), &["msg", "severity", "ttl", "list", "none"]).unwrap();
        assert!(fields.text("msg").unwrap_err().message.contains("a number; a string is needed"));
        assert!(fields.word::<Severity>("severity").unwrap_err().message.contains("info, low"));
        assert_eq!(fields.texts("list"), Ok(vec!["one"]));
        assert!(fields.get("none").is_none());
        for wrong in ["-1", "1.5", "\"1\"", "99"] {
            assert!(whole_number("ttl", &object(wrong), 60).is_err(), "{wrong}");
        }
        assert_eq!(whole_number("ttl", &object("60"), 60), Ok(60));
    }

    #[test]
    fn distances() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!((distance("nmae", "name"), distance("ab", "")), (1, 2));
        assert_eq!(nearest("scop", &["scope", "action"]), Some("scope"));
        assert_eq!(nearest("x", &["id"]), None);
    }
}
