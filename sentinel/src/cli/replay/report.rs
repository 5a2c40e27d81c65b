//! The result of a replay as JSON. The shape is a contract (docs/replay.md): names and types are only added to.
//!
//! Invariant: the same events and policies give the same text: nothing here depends on time, threads or the machine.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    compare::{Change, Changed},
    standing::Place,
    tally::{Example, Names, Outcome, PolicyTally, Row, Tally},
    worker::Rule,
};
use crate::standing::UNKNOWN_RULE;

/// Version of the shape.
const SCHEMA_VERSION: u32 = 1;
/// Names shown for each rule.
const TOP: usize = 5;
/// Names shown for all events.
const TOP_ALL: usize = 10;

/// A rule and what it did.
#[derive(Debug, Clone, Serialize)]
pub(super) struct RuleReport {
    pub(super) id: String,
    pub(super) verb: String,
    pub(super) severity: String,
    pub(super) package: String,
    pub(super) location: String,
    pub(super) fired: u64,
    pub(super) fired_after_entry: u64,
    pub(super) refused: u64,
    pub(super) entries_written: u64,
    pub(super) undecided: u64,
    pub(super) distinct_objects: usize,
    pub(super) objects: Vec<Value>,
    pub(super) processes: Vec<Value>,
    pub(super) first: Value,
}

/// Everything.
pub(super) fn json(tally: &Tally) -> Value {
    let time = |at: Option<i64>| at.and_then(|at| Timestamp::from_microsecond(at).ok()).map(|at| at.to_string());
    let policy = &tally.policies[0];
    let bad: Vec<Value> =
        tally.bad.iter().map(|(line, error)| json!({ "file": &*tally.file, "line": line, "error": error })).collect();
    let mut report = json!({
        "schema_version": SCHEMA_VERSION,
        "file": &*tally.file,
        "events": tally.events,
        "bytes": tally.bytes,
        "skipped_lines": tally.skipped,
        "bad_lines": { "count": tally.bad_lines, "first": bad },
        "from": time(tally.first),
        "to": time(tally.last),
        "kinds": tally.kinds,
        "recorded": {
            "blocked": tally.recorded_blocked,
            "would_block": tally.recorded_would_block,
            "rules": tally.recorded_rules,
        },
    });
    let whole = policy_json(policy);
    if let (Value::Object(report), Value::Object(whole)) = (&mut report, whole) {
        report.extend(whole);
    }
    if let Some(baseline) = tally.policies.get(1) {
        report["baseline"] = policy_json(baseline);
        let changed = |change: Change| {
            let policy = if change.is_new() { policy } else { baseline };
            (change.word().to_owned(), changed_json(tally.comparison.changes.get(&change), policy))
        };
        report["difference"] = Value::Object(Change::ALL.into_iter().map(changed).collect());
        report["difference"]["rules"] = both(policy, baseline);
    }
    report
}

fn policy_json(policy: &PolicyTally) -> Value {
    let policies = policy.standing.policies();
    let outcomes = Outcome::ALL.map(|outcome| (outcome.word().to_owned(), json!(count(policy, outcome))));
    let errors: Vec<Value> = policy
        .errors
        .iter()
        .map(|((rule, error), events)| {
            let id = policies.rules().get(*rule as usize).map_or("?", |rule| rule.id.as_str());
            json!({ "rule": id, "error": error, "events": events })
        })
        .collect();
    json!({
        "policy": {
            "sha256": policies.sha256(),
            "event_rules": policies.rules().len(),
            "standing_rules": policies.standing().len(),
            "packages": policies.packages().len(),
        },
        "outcomes": serde_json::Map::from_iter(outcomes),
        "rules": rules(policy),
        "processes": names(&policy.processes, "executable", TOP_ALL),
        "rule_errors": errors,
        "notes": policy.standing.notes(),
    })
}

pub(super) fn count(policy: &PolicyTally, outcome: Outcome) -> u64 {
    policy.outcomes.get(&outcome).copied().unwrap_or(0)
}

/// Rules that fired, refused or could not be told, the most frequent first.
pub(super) fn rules(policy: &PolicyTally) -> Vec<RuleReport> {
    let mut all: Vec<RuleReport> = (0..policy.rows.len()).map(|row| rule(policy, row)).collect();
    all.sort_by(|a, b| (b.refused, b.fired).cmp(&(a.refused, a.fired)).then_with(|| a.id.cmp(&b.id)));
    all
}

/// The rule of one row.
pub(super) fn rule(policy: &PolicyTally, row: usize) -> RuleReport {
    let ((rule, member), row) = &policy.rows[row];
    let policies = policy.standing.policies();
    let (id, verb, severity, package, location) = match rule {
        Rule::Event(index) => policies.rules().get(*index as usize).map(|rule| {
            let place = format!("{}:{}", rule.file, rule.line);
            (rule.id.clone(), rule.verb.to_string(), rule.severity.to_string(), rule.package.clone(), place)
        }),
        Rule::Standing(Place::Entry(index)) => policies.standing().get(*index).map(|rule| {
            let place = format!("{}:{}", rule.file, rule.line);
            (rule.id.clone(), rule.rule_name.to_string(), rule.severity.to_string(), rule.package.clone(), place)
        }),
        Rule::Standing(Place::Unknown) => None,
    }
    .unwrap_or_else(|| {
        let text = |text: &str| text.to_owned();
        (text(UNKNOWN_RULE), text("alert"), text("medium"), text("sentinel.geo"), text("[geo] unknown"))
    });
    let id = member.as_ref().map_or(id, |member| member.to_string());
    let Row { fired, refused, fired_refused, entries, undecided, objects, processes, first } = row;
    RuleReport {
        id,
        verb,
        severity,
        package,
        location,
        fired: *fired,
        fired_after_entry: *fired_refused,
        refused: *refused,
        entries_written: *entries,
        undecided: *undecided,
        distinct_objects: objects.distinct(),
        objects: names(objects, "object", TOP),
        processes: names(processes, "executable", TOP),
        first: first.as_ref().map_or(Value::Null, example),
    }
}

fn names(names: &Names, word: &str, count: usize) -> Vec<Value> {
    names.top(count).into_iter().map(|(name, events)| json!({ word: name, "events": events })).collect()
}

fn example(example: &Example) -> Value {
    let Example { file, line, kind, object, process } = example;
    json!({ "file": &**file, "line": line, "action": kind, "object": object, "executable": process })
}

/// The rows behind a change, the most frequent first.
pub(super) fn behind(changed: &Changed) -> Vec<(usize, u64, Option<&Example>)> {
    let mut all: Vec<_> = changed.rules.iter().map(|(row, (events, first))| (*row, *events, first.as_ref())).collect();
    all.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    all
}

fn changed_json(changed: Option<&Changed>, policy: &PolicyTally) -> Value {
    let nothing = Changed::default();
    let changed = changed.unwrap_or(&nothing);
    let rules: Vec<Value> = behind(changed)
        .into_iter()
        .map(|(row, events, first)| {
            let rule = rule(policy, row);
            let first = first.map_or(Value::Null, example);
            json!({ "id": rule.id, "verb": rule.verb, "location": rule.location, "events": events, "first": first })
        })
        .collect();
    json!({
        "events": changed.events,
        "rules": rules,
        "objects": names(&changed.objects, "object", TOP_ALL),
        "processes": names(&changed.processes, "executable", TOP_ALL),
        "examples": changed.examples.iter().map(example).collect::<Vec<_>>(),
    })
}

/// Rules whose counts differ, by id.
fn both(new: &PolicyTally, old: &PolicyTally) -> Value {
    let mut all = std::collections::BTreeMap::<String, [u64; 4]>::new();
    for (policy, place) in [(new, 0), (old, 2)] {
        for rule in rules(policy) {
            let counts = all.entry(rule.id).or_default();
            counts[place] += rule.fired;
            counts[place + 1] += rule.refused;
        }
    }
    let differ = all
        .into_iter()
        .filter(|(_, [fired, refused, before, refused_before])| (fired, refused) != (before, refused_before));
    let rows = differ.map(|(id, [fired, refused, before, refused_before])| {
        json!({ "id": id, "fired": fired, "refused": refused, "fired_before": before, "refused_before": refused_before })
    });
    Value::Array(rows.collect())
}
