//! The syslog envelope of RFC 5424 around a line of any format.
//!
//! Invariants: the header holds printable ASCII only, each part within its length, `-` where nothing is known; the
//! message is the line as it is.
//!
//! Not here: framing on a stream (`sinks/syslog`).

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde_json::Value;

use super::fields::{severity, text};
use crate::terms::{Severity, UnknownTerm};

/// A syslog facility, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Facility(u8);

/// Names as syslog daemons spell them; the place in the list is the number.
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp",
    "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];

impl Default for Facility {
    /// `authpriv`: alerts name users and arguments.
    fn default() -> Self {
        Self(10)
    }
}

impl fmt::Display for Facility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(FACILITIES[usize::from(self.0)])
    }
}

impl FromStr for Facility {
    type Err = UnknownTerm;

    fn from_str(word: &str) -> Result<Self, UnknownTerm> {
        let place = FACILITIES.iter().position(|name| *name == word).and_then(|place| u8::try_from(place).ok());
        place.map(Self).ok_or_else(|| UnknownTerm {
            what: "syslog facility",
            found: word.to_owned(),
            expected: FACILITIES.join(", "),
        })
    }
}

/// Puts the header in front of a line that was made of the alert with this ECS object.
#[must_use]
pub fn to_rfc5424(facility: Facility, alert: &Value, line: &str) -> String {
    let priority = u32::from(facility.0) * 8 + level(severity(alert));
    let time = text(alert, "@timestamp").and_then(|time| time.parse::<Timestamp>().ok());
    let time = time.map_or_else(|| "-".to_owned(), |time| format!("{time:.6}"));
    let host = word(text(alert, "host.name"), 255);
    let rule = word(text(alert, "rule.id"), 32);
    format!("<{priority}>1 {time} {host} sentinel - {rule} - {line}")
}

const fn level(severity: Severity) -> u32 {
    match severity {
        Severity::Info => 6,
        Severity::Low => 5,
        Severity::Medium => 4,
        Severity::High => 3,
        Severity::Critical => 2,
    }
}

/// Printable ASCII without spaces, cut to the length that the RFC allows.
fn word(text: Option<&str>, longest: usize) -> String {
    let clean: String = text.unwrap_or_default().chars().filter(char::is_ascii_graphic).take(longest).collect();
    if clean.is_empty() { "-".to_owned() } else { clean }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_header_is_that_of_the_rfc() {
        let alert = json!({
            "@timestamp": "2026-11-22T10:15:30.123Z", "host": {"name": "web 3\u{e9}"}, "event": {"severity": 99},
            "rule": {"id": "x".repeat(40)},
        });
        let expected = format!("<82>1 2026-11-22T10:15:30.123000Z web3 sentinel - {} - {{}}", "x".repeat(32));
        assert_eq!(to_rfc5424(Facility::default(), &alert, "{}"), expected);
        assert_eq!(to_rfc5424("local7".parse().unwrap(), &json!({}), "m"), "<190>1 - - sentinel - - - m");
    }

    #[test]
    fn an_unknown_facility_lists_the_known_ones() {
        let error = "local8".parse::<Facility>().unwrap_err().to_string();
        assert!(error.contains("local8") && error.contains("local7"), "{error}");
        assert_eq!(Facility::default().to_string(), "authpriv");
    }
}
