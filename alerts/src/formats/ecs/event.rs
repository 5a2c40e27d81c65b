//! ECS `event.*`: what kind of thing happened, in the words of the schema.
//!
//! Invariant: every pair of category and type is one that ECS expects. ECS knows `denied` for network events and for
//! intrusion detection only, so a refused exec or open carries `intrusion_detection` as its second category.
//!
//! Not here: what the event is about (`process.*`, `file.*`, ...); the daemon has built that part.

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::Rest;
use crate::alert::Alert;
use crate::terms::{Action, Severity};

const OWN_FIELDS: &[&str] =
    &["id", "kind", "action", "category", "type", "outcome", "severity", "module", "dataset", "provider"];

#[derive(Serialize)]
pub(super) struct EventFields<'a> {
    #[serde(serialize_with = "hyphenated")]
    id: Uuid,
    kind: &'static str,
    action: Action,
    category: Vec<&'static str>,
    #[serde(rename = "type")]
    types: Vec<&'static str>,
    outcome: &'static str,
    severity: u8,
    module: &'static str,
    dataset: &'static str,
    provider: &'static str,
    #[serde(flatten)]
    rest: Rest<'a>,
}

impl<'a> EventFields<'a> {
    pub(super) fn of(alert: &'a Alert) -> Self {
        let parts = alert.parts();
        let (category, types) = classify(parts.action, &parts.event, parts.effect.blocked());
        Self {
            id: alert.id(),
            kind: "alert",
            action: parts.action,
            category,
            types,
            // Success from the point of view of who reports: refusing an event is what was meant to happen.
            outcome: "success",
            severity: severity_number(alert.severity()),
            module: "sentinel",
            dataset: "sentinel.alert",
            provider: "sentinel",
            rest: Rest { fields: parts.event.get("event").and_then(Value::as_object), except: OWN_FIELDS },
        }
    }
}

fn hyphenated<S: Serializer>(id: &Uuid, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&id.hyphenated())
}

/// The middle of each band of 0-100 that Elastic's detection rules use, so that both sort together.
const fn severity_number(severity: Severity) -> u8 {
    match severity {
        Severity::Info => 1,
        Severity::Low => 21,
        Severity::Medium => 47,
        Severity::High => 73,
        Severity::Critical => 99,
    }
}

/// Category and type of an action, and what a refusal adds to them.
fn classify(action: Action, event: &Map<String, Value>, blocked: bool) -> (Vec<&'static str>, Vec<&'static str>) {
    let (main, kind) = category_and_type(action, event);
    let (mut category, mut types) = (vec![main], vec![kind]);
    if blocked {
        types.push("denied");
        if main != "network" {
            category.push("intrusion_detection");
        }
    }
    (category, types)
}

fn category_and_type(action: Action, event: &Map<String, Value>) -> (&'static str, &'static str) {
    match action {
        Action::Exec => ("process", "start"),
        Action::Ptrace => ("process", "access"),
        Action::Kill => ("process", "change"),
        Action::Bpf => ("process", "info"),
        Action::Open => ("file", open_type(event)),
        Action::Mmap => ("file", "access"),
        Action::Create | Action::Link => ("file", "creation"),
        Action::Rename | Action::Truncate | Action::Setattr => ("file", "change"),
        Action::Unlink => ("file", "deletion"),
        Action::Mount => ("host", "change"),
        Action::Notice => ("configuration", "info"),
        Action::Canary => ("host", "info"),
        Action::Connect | Action::Send | Action::Accept | Action::Packet | Action::Socket => ("network", "connection"),
    }
}

/// An open is told apart by what it may do to the file: our extensions `file.create` and `file.write`.
fn open_type(event: &Map<String, Value>) -> &'static str {
    let flag = |name| event.get("file").and_then(|file| file.get(name)).and_then(Value::as_bool).unwrap_or(false);
    match (flag("create"), flag("write")) {
        (true, _) => "creation",
        (false, true) => "change",
        (false, false) => "access",
    }
}
