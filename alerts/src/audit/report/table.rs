//! The decisions as CSV (RFC 4180), a row each.

use serde_json::Value;

use super::model::Report;

/// All decisions, with a heading.
pub(super) fn csv(report: &Report) -> String {
    let rows = report.decisions.iter().map(|row| match serde_json::to_value(row) {
        Ok(Value::Object(row)) => row,
        Ok(_) | Err(_) => serde_json::Map::new(),
    });
    let mut text = COLUMNS.join(",") + "\r\n";
    for row in rows {
        let cell = |name: &&str| match row.get(*name) {
            Some(Value::String(text)) => quoted(text),
            Some(Value::Null) | None => String::new(),
            Some(other) => other.to_string(),
        };
        text += &(COLUMNS.iter().map(cell).collect::<Vec<_>>().join(",") + "\r\n");
    }
    text
}

const COLUMNS: [&str; 32] = [
    "at",
    "host",
    "trail",
    "record",
    "record_sha256",
    "id",
    "effect",
    "action",
    "hook",
    "mode",
    "decided_in",
    "programme",
    "list_version",
    "country",
    "region",
    "destination",
    "destination_given",
    "port",
    "prefix",
    "domain",
    "process",
    "process_sha256",
    "pid",
    "user",
    "login_user",
    "container",
    "object",
    "rule",
    "exemption",
    "database",
    "database_build",
    "policy_sha256",
];

/// A cell. A spreadsheet must not take a name that somebody chose for a formula.
fn quoted(text: &str) -> String {
    let risky = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if risky { format!("'{text}") } else { text.to_owned() };
    if risky || text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}
