//! One record of the trail: a line of canonical JSON that ends with its own hash.
//!
//! Members are `at`, `data`, `kind`, `prev`, `seq`, `sha256`, in this order because canonical JSON sorts them. `sha256` is the
//! hash of the same line without that member, `prev` the one of the record before; the names are chosen so that both stand at
//! the end, where a verifier finds them without reading the JSON in front. Not here: where lines are kept.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::jcs;

/// What the record before the first one would have.
pub(super) const ZERO: Hash = Hash([0; 32]);
/// Length of `,"sha256":"` and `"}` with the digits between them.
const TAIL: usize = 11 + 64 + 2;

/// A SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// The hash of these parts, one after the other.
    #[must_use]
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut hasher = Sha256::new();
        parts.iter().for_each(|part| hasher.update(part));
        Self(hasher.finalize().into())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no hash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no SHA-256: give 64 hexadecimal digits")]
pub struct NoHash(String);

impl FromStr for Hash {
    type Err = NoHash;

    fn from_str(text: &str) -> Result<Self, NoHash> {
        unhex(text.as_bytes()).map(Self).ok_or_else(|| NoHash(text.to_owned()))
    }
}

/// Bytes as lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS[usize::from(value)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Bytes of lower-case hexadecimal digits; `None` for anything else.
#[must_use]
pub(super) fn unhex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = value(pair[0])? << 4 | value(pair[1])?;
    }
    Some(bytes)
}

/// A record as a reader sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// When it was written, RFC 3339.
    pub at: String,
    /// What it says.
    pub data: Map<String, Value>,
    /// One of [`super::Kind`], or of a later version's.
    pub kind: String,
    /// Hash of the record before.
    pub prev: String,
    /// Its number, from 1.
    pub seq: u64,
    /// Its hash.
    pub sha256: String,
}

/// Where a record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Number of the record; 0 before the first.
    pub seq: u64,
    /// Its hash.
    pub hash: Hash,
}

impl Position {
    /// Before the first record.
    pub(super) const START: Self = Self { seq: 0, hash: ZERO };
}

/// The line of the record after `before`, without a newline, and its position.
#[must_use]
pub(super) fn line(before: Position, at: &str, kind: &str, data: &Map<String, Value>) -> (String, Position) {
    let mut text = body(before, at, kind, data);
    let hash = Hash::of(&[text.as_bytes()]);
    text.pop();
    text.push_str(&format!(",\"sha256\":\"{hash}\"}}"));
    (text, Position { seq: before.seq + 1, hash })
}

/// What is hashed: the record without its own hash.
#[must_use]
pub(super) fn body(before: Position, at: &str, kind: &str, data: &Map<String, Value>) -> String {
    let mut text = String::from("{\"at\":");
    jcs::quote(at, &mut text);
    text.push_str(",\"data\":");
    text.push_str(&jcs::canonical_object(data));
    text.push_str(&format!(",\"kind\":\"{kind}\",\"prev\":\"{}\",\"seq\":{}}}", before.hash, before.seq + 1));
    text
}

/// The end of a line, read without the JSON in front of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ends<'a> {
    /// What it says of itself.
    pub(super) position: Position,
    /// What it says of the record before.
    pub(super) prev: Hash,
    /// Its kind.
    pub(super) kind: &'a [u8],
    /// Whether its content has the hash that it says.
    pub(super) holds: bool,
}

impl<'a> Ends<'a> {
    /// Reads the end of a line, given without its newline; `None` if it is no record.
    #[must_use]
    pub(super) fn of(line: &'a [u8]) -> Option<Self> {
        let front = line.len().checked_sub(TAIL)?;
        let (body, tail) = line.split_at(front);
        let digits = tail.strip_prefix(b",\"sha256\":\"")?.strip_suffix(b"\"}")?;
        let hash = Hash(unhex(digits)?);
        let digits = body.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
        let (rest, number) = body.split_at(body.len() - digits);
        let seq = std::str::from_utf8(number).ok()?.parse().ok()?;
        let rest = rest.strip_suffix(b"\",\"seq\":")?;
        let (rest, prev) = rest.split_at(rest.len().checked_sub(64)?);
        let rest = rest.strip_suffix(b"\",\"prev\":\"")?;
        let start = rest.iter().rposition(|byte| *byte == b'"')?;
        let holds = Hash::of(&[body, b"}"]) == hash;
        Some(Self { position: Position { seq, hash }, prev: Hash(unhex(prev)?), kind: &rest[start + 1..], holds })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_canonical_and_says_its_own_hash() {
        let Value::Object(data) = serde_json::json!({ "z": 1, "a": "\u{1f600}\n" }) else { unreachable!() };
        let (text, first) = line(Position::START, "2026-01-01T00:00:00Z", "start", &data);
        let (second_text, second) = line(first, "2026-01-01T00:00:01Z", "stop", &data);
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(jcs::canonical(&value), text);
        let ends = Ends::of(second_text.as_bytes()).unwrap();
        assert_eq!((ends.position, ends.prev, ends.kind, ends.holds), (second, first.hash, &b"stop"[..], true));
        let record: Record = serde_json::from_str(&second_text).unwrap();
        assert_eq!((record.seq, record.prev, record.sha256), (2, first.hash.to_string(), second.hash.to_string()));
        let mut without = value;
        without.as_object_mut().unwrap().remove("sha256");
        assert_eq!(Hash::of(&[jcs::canonical(&without).as_bytes()]), first.hash);
    }

    #[test]
    fn what_is_no_record_is_none() {
        for text in ["", "{}", "{\"sha256\":\"00\"}", &"x".repeat(300)] {
            assert_eq!(Ends::of(text.as_bytes()), None, "{text}");
        }
        assert!("A".repeat(64).parse::<Hash>().is_err() && "ab".parse::<Hash>().is_err());
    }
}
