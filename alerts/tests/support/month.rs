//! A month of a made-up host, March 2026, with everything in it that a report has to tell: outages, a list that changes, a licence
//! that ends and is tried again, a database two months old, three jurisdictions. What is true of it is counted here, while it is
//! made, and not by the code under test.

use std::{collections::BTreeMap, io, path::Path};

use alerts::audit::{Directory, Kind, Settings, Trail};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// Seconds from one record of the coverage to the next.
pub(crate) const HEARTBEAT: i64 = 600;
const DAY: i64 = 86_400;

/// A moment in UTC.
pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().expect("the script has good times")
}

/// What is true of a made-up month.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    /// By effect.
    pub(crate) effects: BTreeMap<&'static str, u64>,
    /// By group and key, all effects together.
    pub(crate) by: BTreeMap<(&'static str, String), u64>,
    /// By kind of event.
    pub(crate) examined: BTreeMap<&'static str, u64>,
}

/// Records to be, in no order.
pub(crate) struct Script {
    records: Vec<(Timestamp, Kind, Value)>,
    pub(crate) truth: Truth,
    from: Timestamp,
    to: Timestamp,
    ids: u64,
}

fn plus(at: Timestamp, seconds: i64) -> Timestamp {
    Timestamp::from_second(at.as_second() + seconds).expect("the script stays in our time")
}

impl Script {
    pub(crate) fn new(from: Timestamp, to: Timestamp) -> Self {
        Self { records: Vec::new(), truth: Truth::default(), from, to, ids: 0 }
    }

    pub(crate) fn note(&mut self, at: Timestamp, kind: Kind, data: Value) {
        self.records.push((at, kind, data));
    }

    fn inside(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.to
    }

    /// A run of the daemon: a start, coverage each period up to `until`; it may end with a stop. Nobody is told what `word` says
    /// but the records.
    pub(crate) fn run(
        &mut self,
        start: Timestamp,
        until: Timestamp,
        stop: bool,
        mode: &str,
        word: impl Fn(Timestamp) -> &'static str,
    ) {
        let begin = json!({ "heartbeat_seconds": HEARTBEAT, "host": "alpha", "mode": mode, "version": "0.1.0" });
        self.note(start, Kind::Start, begin);
        let (mut now, mut beats) = (start, 0);
        while now <= until {
            beats += 1;
            let seen = json!({ "connect": 7 * beats, "send": 3 * beats, "packet": 20 * beats });
            let age = if now < at("2026-03-28T00:00:00Z") {
                (now.as_second() - at("2026-01-25T00:00:00Z").as_second()) / DAY
            } else {
                (now.as_second() - at("2026-03-27T00:00:00Z").as_second()) / DAY
            };
            let word = word(now);
            let reasons = if word == "full" { json!([]) } else { json!([format!("scripted: {word}")]) };
            let data = json!({ "mode": mode, "enforcement": word, "reasons": reasons, "scope": "host", "seen": seen,
                "databases": [{ "age_days": age }] });
            // A stop takes the place of the last one.
            let last = plus(now, HEARTBEAT) > until;
            self.note(now, if last && stop { Kind::Stop } else { Kind::Coverage }, data);
            if self.inside(now) {
                for (kind, number) in [("connect", 7), ("send", 3), ("packet", 20)] {
                    *self.truth.examined.entry(kind).or_default() += number;
                }
            }
            now = plus(now, HEARTBEAT);
        }
    }

    /// What a start announces.
    pub(crate) fn announce(&mut self, at: Timestamp, kind: Kind, name: &str, now: &Value) {
        self.note(
            at,
            kind,
            json!({ "name": name, "cause": "start", "before": null, "after": now["sha256"], "now": now }),
        );
    }

    /// A decision, and the truth about it.
    pub(crate) fn decide(&mut self, at: Timestamp, effect: &'static str, place: (&str, &str), ip: &str, more: &Value) {
        self.ids += 1;
        let (programme, country) = place;
        let mut alert = json!({
            "@timestamp": at.to_string(), "event": { "action": "connect" },
            "destination": { "ip": ip, "address": ip, "port": 443 },
            "process": { "executable": "/usr/bin/curl", "pid": 4711 }, "user": { "id": "1000" }, "container": { "id": "c1" },
            "sentinel": { "hook": "connect4", "mode": "enforce", "rules": [{ "id": format!("block-{programme}") }],
                "geo": { "prefix": format!("{ip}/32"), "votes": [] } },
        });
        if !country.is_empty() {
            alert["sentinel"]["geo"]["country"] = country.into();
        }
        if !programme.is_empty() {
            alert["sentinel"]["list"] = json!({ "id": programme, "version": "1" });
        }
        merge(&mut alert, more);
        if self.inside(at) {
            *self.truth.effects.entry(effect).or_default() += 1;
            let dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
            let process = alert["process"]["executable"].as_str().unwrap_or_default().to_owned();
            for (group, key) in [("programme", dash(programme)), ("country", dash(country)), ("process", process)] {
                *self.truth.by.entry((group, key)).or_default() += 1;
            }
        }
        let id = format!("00000000-0000-7000-8000-{:012}", self.ids);
        self.note(at, Kind::Decision, json!({ "alert": alert, "effect": effect, "id": id }));
    }

    /// Writes it as a trail into a directory.
    pub(crate) fn write(mut self, directory: &Path, host: &str) -> io::Result<Truth> {
        self.records.sort_by_key(|(at, kind, _)| (*at, order(*kind)));
        let settings = Settings { segment_seconds: 10 * DAY, checkpoint_seconds: DAY, ..Settings::default() };
        let first = self.records[0].0;
        let (mut trail, _) = Trail::open(Box::new(Directory::open(directory)?), settings, host, first)?;
        let mut committed = first;
        for (at, kind, data) in self.records {
            trail.append(kind, at, object(data));
            if at.as_second() - committed.as_second() > DAY {
                trail.commit(at)?;
                committed = at;
            }
        }
        trail.commit(plus(self.to, DAY))?;
        trail.checkpoint(plus(self.to, DAY))?;
        Ok(self.truth)
    }
}

/// Which of several records of the same moment comes first.
fn order(kind: Kind) -> u8 {
    match kind {
        Kind::Stop => 0,
        Kind::Start => 1,
        Kind::Coverage => 3,
        _ => 2,
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("{other} is no object"),
    }
}

fn merge(value: &mut Value, more: &Value) {
    for (name, new) in more.as_object().into_iter().flatten() {
        match &mut value[name.as_str()] {
            old @ Value::Object(_) if new.is_object() => merge(old, new),
            old => *old = new.clone(),
        }
    }
}

fn list(version: &str, countries: &[&str], regions: &[&str]) -> Value {
    json!({ "version": version, "sha256": format!("{version:0>64}"), "content": { "countries": countries, "regions": regions } })
}

fn exemption(id: &str, expires: &str, covers: &Value) -> Value {
    json!({ "id": id, "type": "specific-licence", "authority": "OFAC", "reference": format!("{id}-2026"), "approver": "legal",
        "expires": expires, "covers": covers })
}

/// Everything that a start announces; `second` after the list has changed.
fn announce_all(script: &mut Script, at_start: Timestamp, second: bool) {
    let ofac =
        if second { list("2", &["CU", "IR", "KP", "MM"], &[]) } else { list("1", &["CU", "IR", "KP", "SY"], &[]) };
    script.announce(at_start, Kind::List, "ofac", &ofac);
    script.announce(at_start, Kind::List, "eu", &list("1", &[], &["UA-43"]));
    script.announce(at_start, Kind::List, "un", &list("1", &["KP"], &[]));
    let policy = json!({ "sha256": if second { "bb" } else { "aa" }, "packages": ["sentinel.embargo"] });
    script.announce(at_start, Kind::Policy, "policies", &policy);
    script.announce(at_start, Kind::Database, "embedded", &json!({ "sha256": "d1", "build": "2026-01-25T00:00:00Z" }));
    for (id, expires, covers) in [
        ("LIC-1", "2026-03-15T00:00:00Z", json!({ "countries": ["CU"] })),
        ("LIC-2", "2026-04-20T00:00:00Z", json!({ "cidrs": ["198.51.100.0/24"] })),
        ("LIC-3", "2027-01-01T00:00:00Z", json!({ "countries": ["SY"] })),
    ] {
        script.announce(at_start, Kind::Exemption, id, &exemption(id, expires, &covers));
    }
}

/// The month of the host alpha.
pub(crate) fn alpha() -> Script {
    let mut script = Script::new(at("2026-03-01T00:00:00Z"), at("2026-04-01T00:00:00Z"));
    let partial = |now: Timestamp| {
        let short = at("2026-03-12T00:00:00Z") <= now && now < at("2026-03-12T06:00:00Z");
        if short { "partial" } else { "full" }
    };
    // Before the month; a crash on the 5th; a stop on the 10th; a day of monitoring on the 20th.
    for (start, until, stop, mode) in [
        ("2026-02-20T00:00:00Z", "2026-03-05T10:00:00Z", false, "enforce"),
        ("2026-03-05T14:00:00Z", "2026-03-10T02:00:00Z", true, "enforce"),
        ("2026-03-10T03:30:00Z", "2026-03-20T00:00:00Z", true, "enforce"),
        ("2026-03-20T00:00:00Z", "2026-03-21T00:00:00Z", true, "monitor"),
        ("2026-03-21T00:00:00Z", "2026-04-02T00:00:00Z", false, "enforce"),
    ] {
        let monitor = mode == "monitor";
        script.run(at(start), at(until), stop, mode, |now| if monitor { "none" } else { partial(now) });
        announce_all(&mut script, at(start), at(start) > at("2026-03-18T09:00:00Z"));
    }
    let change = at("2026-03-18T09:00:00Z");
    for (kind, name, now) in [
        (Kind::List, "ofac", list("2", &["CU", "IR", "KP", "MM"], &[])),
        (Kind::Policy, "policies", json!({ "sha256": "bb", "packages": ["sentinel.embargo"] })),
    ] {
        script.announce(change, kind, name, &now);
    }
    let new = json!({ "sha256": "d2", "build": "2026-03-27T00:00:00Z" });
    script.announce(at("2026-03-28T00:00:00Z"), Kind::Database, "embedded", &new);
    decisions(&mut script);
    others(&mut script);
    script
}

fn decisions(script: &mut Script) {
    let none = json!({});
    // The last one before the month, and the first one after it, are not in it.
    script.decide(at("2026-02-28T23:59:59Z"), "refused", ("ofac", "IR"), "192.0.2.1", &none);
    script.decide(at("2026-04-01T00:00:00Z"), "refused", ("ofac", "IR"), "192.0.2.1", &none);
    script.decide(at("2026-03-01T00:00:00Z"), "refused", ("ofac", "IR"), "192.0.2.1", &none);
    for day in 1..=31_i64 {
        let noon = plus(at("2026-03-01T12:00:00Z"), (day - 1) * DAY);
        let effect = if day == 20 { "would_refuse" } else { "refused" };
        for number in 0..=day % 5 {
            script.decide(plus(noon, number), effect, ("ofac", "IR"), "192.0.2.1", &none);
        }
        if day % 7 == 2 {
            let wget = json!({ "process": { "executable": "/usr/bin/wget" } });
            script.decide(plus(noon, 60), effect, ("un", "KP"), "192.0.2.77", &wget);
        }
        if day % 10 == 3 {
            let region = json!({ "destination": { "geo": { "region_iso_code": "UA-43" } } });
            script.decide(plus(noon, 90), effect, ("eu", "UA"), "203.0.113.9", &region);
        }
        // The licence ends on the 15th, and nobody told those who use it.
        if day < 15 {
            let used = json!({ "sentinel": { "exemption": { "id": "LIC-1" } } });
            script.decide(plus(noon, 3600), "exempt", ("ofac", "CU"), "192.0.2.50", &used);
        } else {
            script.decide(plus(noon, 3600), effect, ("ofac", "CU"), "192.0.2.50", &none);
        }
        if day > 18 {
            script.decide(plus(noon, 7200), effect, ("ofac", "MM"), "192.0.2.60", &none);
        }
    }
    let split = json!({ "sentinel": { "geo": { "votes": [{ "country": "IR" }, { "country": "TR" }] } } });
    script.decide(at("2026-03-25T08:00:00Z"), "refused", ("ofac", "IR"), "192.0.2.2", &split);
    for day in ["06", "07"] {
        script.decide(at(&format!("2026-03-{day}T20:00:00Z")), "unknown_country", ("", ""), "198.51.100.200", &none);
    }
    let second = json!({ "sentinel": { "exemption": { "id": "LIC-2" } } });
    script.decide(at("2026-03-30T09:00:00Z"), "exempt", ("ofac", "IR"), "198.51.100.7", &second);
}

fn others(script: &mut Script) {
    let loss = json!({ "cause": "events", "events": 12, "by": { "open.ring_full": 9, "connect.ring_full": 3 } });
    script.note(at("2026-03-08T04:05:06Z"), Kind::Loss, loss);
    script.note(at("2026-03-09T04:05:06Z"), Kind::Loss, json!({ "cause": "audit_queue_full", "records": 2 }));
    script.note(at("2026-02-25T04:05:06Z"), Kind::Loss, json!({ "cause": "audit_queue_full", "records": 100 }));
    script.note(at("2026-03-29T01:00:00Z"), Kind::Clock, json!({ "jump_seconds": -3600 }));
    let order = json!({ "by": "user 0 (login user 1000)", "command": { "verb": "block-add", "kind": "country", "value": "VE" } });
    script.note(at("2026-03-11T15:00:00Z"), Kind::Operator, order);
    let wrong = json!({ "of": "jurisdictions", "checked": 500, "failed": 1, "failing": ["IR IPv6: let through"] });
    script.note(at("2026-03-14T07:00:00Z"), Kind::Canary, wrong);
    let right = json!({ "of": "jurisdictions", "checked": 600, "failed": 1, "failing": [] });
    script.note(at("2026-03-14T08:00:00Z"), Kind::Canary, right);
    for (country, bytes) in [("DE", 1000), ("DE", 500), ("MM", 77)] {
        let flow = json!({ "country": country, "bytes": bytes, "packets": 2 });
        script.note(at("2026-03-17T00:00:00Z"), Kind::Flow, flow);
    }
}

/// A month in which nothing happens.
pub(crate) fn quiet() -> Script {
    let mut script = Script::new(at("2026-03-01T00:00:00Z"), at("2026-04-01T00:00:00Z"));
    script.run(at("2026-03-01T00:00:00Z"), at("2026-04-01T00:10:00Z"), false, "enforce", |_| "full");
    script
}
