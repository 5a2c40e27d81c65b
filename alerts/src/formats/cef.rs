//! Common Event Format: one line of text, `CEF:0|vendor|product|version|rule|name|severity|extension`.
//!
//! Invariants: keys are those of ArcSight's dictionary; no value can end its field or begin another, because separators
//! and line ends in it are escaped.
//!
//! Not here: the syslog header in front of it (`rfc5424.rs`).

use std::fmt::Write as _;

use serde_json::Value;

use super::fields::{at, base_name, command_line, count, milliseconds, number, outcome, severity, text};
use super::{PRODUCT, VERSION};
use crate::terms::Severity;

/// Writes an alert, given as its ECS object.
#[must_use]
pub fn to_cef(alert: &Value) -> String {
    let rule = text(alert, "rule.id").unwrap_or("sentinel");
    let name = text(alert, "rule.name").or_else(|| text(alert, "message")).unwrap_or(rule);
    let level = level(severity(alert));
    let (rule, name) = (header(rule), header(name));
    let mut line = format!("CEF:0|{PRODUCT}|{PRODUCT}|{VERSION}|{rule}|{name}|{level}|");
    let mut first = true;
    for (key, value) in extension(alert) {
        if let Some(value) = value {
            let space = if std::mem::take(&mut first) { "" } else { " " };
            // Writing into a string cannot fail.
            let _ = write!(line, "{space}{key}={}", escaped(&value));
        }
    }
    line
}

/// 0-3 low, 4-6 medium, 7-8 high, 9-10 very high.
const fn level(severity: Severity) -> u8 {
    match severity {
        Severity::Info => 1,
        Severity::Low => 3,
        Severity::Medium => 5,
        Severity::High => 8,
        Severity::Critical => 10,
    }
}

fn extension(alert: &Value) -> Vec<(&'static str, Option<String>)> {
    let owned = |name: &str| text(alert, name).map(str::to_owned);
    let digits = |name: &str| number(alert, name).map(|number| number.to_string());
    let time = |name: &str| milliseconds(alert, name).map(|time| time.to_string());
    let mut all = vec![
        ("rt", time("@timestamp")),
        ("start", time("event.start")),
        ("end", time("event.end")),
        ("externalId", owned("event.id")),
        ("dvchost", owned("host.name")),
        ("act", Some(outcome(alert).to_owned())),
        ("deviceAction", owned("event.action")),
        ("cnt", Some(count(alert).to_string())),
        ("msg", owned("message")),
        ("spid", digits("process.pid")),
        ("sproc", owned("process.executable")),
        ("suid", owned("user.id")),
        ("suser", owned("user.name")),
        ("dst", owned("destination.ip")),
        ("dpt", digits("destination.port")),
        ("dhost", owned("destination.domain")),
        ("proto", owned("network.transport")),
        ("fname", text(alert, "file.path").map(|path| base_name(path).to_owned())),
        ("filePath", owned("file.path")),
        ("fileId", owned("file.inode")),
        ("fileHash", owned("process.hash.sha256")),
    ];
    let labelled = [
        ("cs1", "cs1Label", "commandLine", command_line(at(alert, "process"))),
        ("cs2", "cs2Label", "rules", rules(alert)),
        (
            "cs3",
            "cs3Label",
            "country",
            owned("sentinel.geo.country").or_else(|| owned("destination.geo.country_iso_code")),
        ),
        ("cs4", "cs4Label", "container", owned("container.id")),
        ("cs5", "cs5Label", "policySha256", owned("sentinel.policy.sha256")),
        ("cs6", "cs6Label", "exemption", owned("sentinel.exemption.id")),
    ];
    for (key, label, name, value) in labelled {
        if value.is_some() {
            all.extend([(key, value), (label, Some(name.to_owned()))]);
        }
    }
    all
}

fn rules(alert: &Value) -> Option<String> {
    let rules = at(alert, "sentinel.rules").as_array()?;
    let ids: Vec<&str> = rules.iter().filter_map(|rule| text(rule, "id")).collect();
    (!ids.is_empty()).then(|| ids.join(","))
}

/// A value of the header: one line, no bare `|`.
fn header(value: &str) -> String {
    let mut clean = String::with_capacity(value.len());
    for letter in value.chars() {
        match letter {
            '\\' | '|' => clean.extend(['\\', letter]),
            letter if letter.is_control() => clean.push(' '),
            letter => clean.push(letter),
        }
    }
    clean
}

/// A value of the extension: no bare `=`, line ends as `\n` and `\r`.
fn escaped(value: &str) -> String {
    let mut clean = String::with_capacity(value.len());
    for letter in value.chars() {
        match letter {
            '\\' | '=' => clean.extend(['\\', letter]),
            '\n' => clean.push_str("\\n"),
            '\r' => clean.push_str("\\r"),
            letter if letter.is_control() => clean.push(' '),
            letter => clean.push(letter),
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn no_value_ends_its_field() {
        let alert = json!({
            "rule": {"id": "a|b", "name": "back\\slash\nnew|line"},
            "message": "x=1 act=allowed\r\nCEF:0|forged", "event": {"severity": 73},
        });
        let line = to_cef(&alert);
        let head = format!("CEF:0|Sentinel|Sentinel|{VERSION}|a\\|b|back\\\\slash new\\|line|8|");
        assert_eq!(line, format!("{head}act=allowed cnt=1 msg=x\\=1 act\\=allowed\\r\\nCEF:0|forged"));
    }
}
