//! Decisions as rows, and how they are counted.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

/// A decision, in the words of an auditor. What is not known is empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the names are the columns, and docs/audit.md explains them")]
pub struct Row {
    pub at: Timestamp,
    pub host: String,
    pub trail: String,
    pub record: u64,
    pub record_sha256: String,
    pub id: String,
    pub effect: String,
    pub action: String,
    pub hook: String,
    pub mode: String,
    pub decided_in: String,
    pub programme: String,
    pub list_version: String,
    pub country: String,
    pub region: String,
    pub destination: String,
    pub destination_given: String,
    pub port: String,
    pub prefix: String,
    pub domain: String,
    pub process: String,
    pub process_sha256: String,
    pub pid: String,
    pub user: String,
    pub login_user: String,
    pub container: String,
    pub object: String,
    pub rule: String,
    pub exemption: String,
    pub database: String,
    pub database_build: String,
    pub database_sha256: String,
    pub policy_sha256: String,
    #[serde(skip)]
    pub disagrees: bool,
}

/// A value below a path, as text; empty if there is none.
pub(super) fn text(value: &Value, path: &str) -> String {
    match value.pointer(path) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    }
}

impl Row {
    pub(super) fn of(at: Timestamp, host: &str, trail: &str, record: (u64, &str), data: &Map<String, Value>) -> Self {
        let alert = data.get("alert").cloned().unwrap_or_default();
        let own = |name: &str| data.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let get = |path: &str| text(&alert, path);
        let first = |paths: [&str; 2]| paths.into_iter().map(get).find(|text| !text.is_empty()).unwrap_or_default();
        let votes = alert.pointer("/sentinel/geo/votes").and_then(Value::as_array);
        let disagrees = votes.is_some_and(|votes| votes.windows(2).any(|two| two[0]["country"] != two[1]["country"]));
        Self {
            at,
            host: host.to_owned(),
            trail: trail.to_owned(),
            record: record.0,
            record_sha256: record.1.to_owned(),
            id: own("id"),
            effect: own("effect"),
            action: get("/event/action"),
            hook: get("/sentinel/hook"),
            mode: get("/sentinel/mode"),
            decided_in: get("/sentinel/decided_in"),
            programme: get("/sentinel/list/id"),
            list_version: get("/sentinel/list/version"),
            country: first(["/sentinel/geo/country", "/destination/geo/country_iso_code"]),
            region: get("/destination/geo/region_iso_code"),
            destination: get("/destination/ip"),
            destination_given: get("/destination/address"),
            port: get("/destination/port"),
            prefix: get("/sentinel/geo/prefix"),
            domain: get("/destination/domain"),
            process: first(["/process/executable", "/process/name"]),
            process_sha256: get("/process/hash/sha256"),
            pid: get("/process/pid"),
            user: first(["/user/id", "/process/user/id"]),
            login_user: first(["/process/login/user/id", "/process/real_user/id"]),
            container: first(["/container/name", "/container/id"]),
            object: get("/file/path"),
            rule: get("/sentinel/rules/0/id"),
            exemption: get("/sentinel/exemption/id"),
            database: get("/sentinel/geo/database/type"),
            database_build: get("/sentinel/geo/database/build"),
            database_sha256: get("/sentinel/geo/database/sha256"),
            policy_sha256: get("/sentinel/policy/sha256"),
            disagrees,
        }
    }

    /// What it is counted under.
    pub(super) fn groups(&self) -> [(&'static str, &str); 7] {
        [
            ("programme", &self.programme),
            ("country", &self.country),
            ("process", &self.process),
            ("container", &self.container),
            ("user", &self.user),
            ("rule", &self.rule),
            ("host", &self.host),
        ]
    }
}

/// How many of each effect.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// By the kernel.
    pub refused: u64,
    /// In monitor mode.
    pub would_refuse: u64,
    /// By an exemption.
    pub exempt: u64,
    /// Before the block entry was there.
    pub let_through: u64,
    /// To nobody knows where.
    pub unknown_country: u64,
}

impl Counts {
    pub(super) fn add(&mut self, effect: &str) {
        match effect {
            "refused" => self.refused += 1,
            "would_refuse" => self.would_refuse += 1,
            "exempt" => self.exempt += 1,
            "let_through" => self.let_through += 1,
            "unknown_country" => self.unknown_country += 1,
            _ => {}
        }
    }

    /// What the control acted on.
    #[must_use]
    pub fn acted(&self) -> u64 {
        self.refused + self.would_refuse + self.exempt + self.let_through
    }
}

/// Counts by everything that rows are counted under; what a row does not say is `-`.
pub(super) fn tally(rows: &[Row]) -> (Counts, BTreeMap<&'static str, BTreeMap<String, Counts>>) {
    let mut totals = Counts::default();
    let mut by: BTreeMap<&'static str, BTreeMap<String, Counts>> = BTreeMap::new();
    for row in rows {
        totals.add(&row.effect);
        for (group, key) in row.groups() {
            let key = if key.is_empty() { "-" } else { key };
            by.entry(group).or_default().entry(key.to_owned()).or_default().add(&row.effect);
        }
    }
    (totals, by)
}
