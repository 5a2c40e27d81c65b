//! What was in force and when: policies, lists, databases, modes.
//!
//! Invariants: what a start announces again unchanged goes on; what it does not announce has ended with it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{
    decisions::text,
    model::{Interval, Period},
};

/// The members of a list's content, with what stands before each in a difference.
const MEMBERS: [(&str, &str); 5] = [
    ("countries", ""),
    ("regions", ""),
    ("cidrs", ""),
    ("alert_countries", "report only: "),
    ("alert_regions", "report only: "),
];

#[derive(Debug)]
struct Open {
    from: Timestamp,
    value: Value,
    added: Vec<String>,
    removed: Vec<String>,
    confirmed: bool,
}

/// Reads the records of one host.
#[derive(Debug, Default)]
pub(super) struct InForce {
    open: BTreeMap<(String, String), Open>,
    closed: Vec<(Timestamp, (String, String), Open)>,
    started: Option<Timestamp>,
    /// Latest content by name, to compare with across gaps.
    last: BTreeMap<(String, String), Value>,
}

impl InForce {
    pub(super) fn start(&mut self, at: Timestamp) {
        self.settle();
        self.started = Some(at);
        self.open.values_mut().for_each(|open| open.confirmed = false);
    }

    /// After a start everything has been announced: what was not is gone.
    pub(super) fn settle(&mut self) {
        let Some(started) = self.started.take() else { return };
        let gone: Vec<(String, String)> =
            self.open.iter().filter(|(_, open)| !open.confirmed).map(|(key, _)| key.clone()).collect();
        gone.iter().for_each(|key| self.close(key, started));
    }

    pub(super) fn change(&mut self, at: Timestamp, kind: &str, data: &Map<String, Value>) {
        let name = data.get("name").and_then(Value::as_str).unwrap_or_default();
        let key = (kind.to_owned(), name.to_owned());
        let Some(now) = data.get("now").filter(|now| !now.is_null()) else { return self.close(&key, at) };
        if let Some(open) = self.open.get_mut(&key)
            && open.value == *now
        {
            open.confirmed = true;
            return;
        }
        self.close(&key, at);
        let before = self.last.insert(key.clone(), now.clone());
        let (added, removed) = before.map_or_else(Default::default, |before| difference(&before, now));
        self.open.insert(key, Open { from: at, value: now.clone(), added, removed, confirmed: true });
    }

    fn close(&mut self, key: &(String, String), at: Timestamp) {
        if let Some(open) = self.open.remove(key) {
            self.closed.push((at, key.clone(), open));
        }
    }

    /// The intervals within the period, and the places that lists named in it.
    pub(super) fn finish(mut self, host: &str, period: &Period) -> (Vec<Interval>, BTreeSet<String>) {
        self.settle();
        let open = std::mem::take(&mut self.open);
        self.closed.extend(open.into_iter().map(|(key, open)| (period.to.max(open.from), key, open)));
        let mut listed = BTreeSet::new();
        let interval = |(to, (kind, name), open): (Timestamp, (String, String), Open)| {
            let (from, to) = period.clamp(open.from, to)?;
            listed.extend(places(&open.value));
            // What was new before the period is not news in it.
            let news = open.from >= period.from;
            let version = ["/version", "/build", "/mode"].into_iter().map(|path| text(&open.value, path));
            Some(Interval {
                host: host.to_owned(),
                kind,
                name,
                from,
                to,
                hash: open.value.get("sha256").cloned().unwrap_or(Value::Null),
                version: version.into_iter().find(|text| !text.is_empty()).unwrap_or_default(),
                added: if news { open.added } else { Vec::new() },
                removed: if news { open.removed } else { Vec::new() },
            })
        };
        let mut all: Vec<Interval> = self.closed.into_iter().filter_map(interval).collect();
        all.sort_by(|one, other| (&one.kind, &one.name, one.from).cmp(&(&other.kind, &other.name, other.from)));
        (all, listed)
    }
}

/// Countries and regions of a list.
fn places(value: &Value) -> impl Iterator<Item = String> {
    let all = ["countries", "regions", "alert_countries", "alert_regions"].into_iter();
    let items = all.filter_map(|member| value.pointer(&format!("/content/{member}"))?.as_array());
    items.flatten().filter_map(|item| item.as_str().map(ToOwned::to_owned))
}

fn difference(before: &Value, after: &Value) -> (Vec<String>, Vec<String>) {
    let (mut added, mut removed) = (Vec::new(), Vec::new());
    for (member, prefix) in MEMBERS {
        let set = |value: &Value| -> BTreeSet<String> {
            let items = value.pointer(&format!("/content/{member}")).and_then(Value::as_array);
            items.into_iter().flatten().filter_map(|item| item.as_str().map(ToOwned::to_owned)).collect()
        };
        let (old, new) = (set(before), set(after));
        added.extend(new.difference(&old).map(|item| format!("{prefix}{item}")));
        removed.extend(old.difference(&new).map(|item| format!("{prefix}{item}")));
    }
    (added, removed)
}
