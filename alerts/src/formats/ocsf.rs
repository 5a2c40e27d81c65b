//! Open Cybersecurity Schema Framework 1.8.
//!
//! What the kernel decided is the act of a security control: Network (4001), Process (1007) or File System Activity
//! (1001). What a rule found, and what Sentinel says of itself, is a Detection Finding (2004) with the event as
//! evidence. All four carry the profile `security_control`.
//!
//! Invariants: an event that lacks what its class requires is a finding; the object `sentinel` is kept whole below
//! `unmapped`.
//!
//! Not here: the objects that classes share (`ocsf/objects.rs`).

mod objects;

use serde_json::{Value, json};

use super::fields::{at, count, is, milliseconds, number, severity, text, without_nulls};
use super::{PRODUCT, VERSION};
use crate::terms::Severity;
use objects::{attacks, destination, device, exec_actor, file, firewall_rule, policy, process};

/// The version of the schema.
pub const OCSF_VERSION: &str = "1.8.0";

/// A class of events and what happened in it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Network(u16),
    Process(u16),
    File(u16),
    Finding,
}

/// Writes an alert, given as its ECS object.
#[must_use]
pub fn to_ocsf(alert: &Value) -> String {
    let class = class(alert);
    let mut event = base(alert, class);
    let special = match class {
        Class::Network(_) => network_activity(alert),
        Class::Process(_) => process_activity(alert),
        Class::File(_) => file_activity(alert),
        Class::Finding => finding(alert),
    };
    if let (Value::Object(event), Value::Object(special)) = (&mut event, special) {
        event.extend(special);
    }
    without_nulls(event).to_string()
}

impl Class {
    /// Class, category, activity.
    const fn numbers(self) -> (u32, u32, u32) {
        match self {
            Self::Network(activity) => (4001, 4, activity as u32),
            Self::Process(activity) => (1007, 1, activity as u32),
            Self::File(activity) => (1001, 1, activity as u32),
            Self::Finding => (2004, 2, 1),
        }
    }
}

/// The class of what the kernel decided, where the event has what that class requires; else a finding.
fn class(alert: &Value) -> Class {
    if text(alert, "sentinel.decided_in") != Some("kernel") || number(alert, "process.pid").is_none() {
        return Class::Finding;
    }
    let class = match text(alert, "event.action").unwrap_or_default() {
        "connect" | "accept" => Class::Network(1),
        "send" | "packet" => Class::Network(6),
        "exec" => Class::Process(1),
        "kill" => Class::Process(2),
        "ptrace" => Class::Process(3),
        "open" if is(alert, "file.create") => Class::File(1),
        "open" => Class::File(14),
        "create" | "link" => Class::File(1),
        "mmap" => Class::File(2),
        "truncate" => Class::File(3),
        "unlink" => Class::File(4),
        "rename" => Class::File(5),
        "setattr" => Class::File(6),
        "mount" => Class::File(12),
        _ => Class::Finding,
    };
    let has = match class {
        Class::Network(_) => text(alert, "destination.ip").is_some(),
        Class::File(_) => text(alert, "file.path").is_some(),
        Class::Process(_) | Class::Finding => true,
    };
    if has { class } else { Class::Finding }
}

fn base(alert: &Value, class: Class) -> Value {
    let (class_uid, category_uid, activity_id) = class.numbers();
    let (action_id, disposition_id) = control(alert);
    let container = at(alert, "container").is_object().then_some("container");
    json!({
        "class_uid": class_uid,
        "category_uid": category_uid,
        "activity_id": activity_id,
        "type_uid": class_uid * 100 + activity_id,
        "severity_id": severity_id(severity(alert)),
        "time": milliseconds(alert, "@timestamp").unwrap_or_default(),
        "start_time": milliseconds(alert, "event.start"),
        "end_time": milliseconds(alert, "event.end"),
        "count": count(alert),
        "message": text(alert, "message"),
        "is_alert": true,
        "action_id": action_id,
        "disposition_id": disposition_id,
        "metadata": {
            "version": OCSF_VERSION,
            "product": {"name": PRODUCT, "vendor_name": PRODUCT, "version": VERSION},
            "profiles": ["security_control", "host", container],
            "uid": text(alert, "event.id"),
            "event_code": text(alert, "rule.id"),
            "sequence": number(alert, "sentinel.sequence"),
        },
        "device": device(alert),
        "attacks": attacks(alert),
        "policy": policy(alert),
        "firewall_rule": firewall_rule(alert),
        "unmapped": {"sentinel": at(alert, "sentinel")},
    })
}

/// What the control did: `action_id`, `disposition_id`.
fn control(alert: &Value) -> (u8, u8) {
    if is(alert, "sentinel.blocked") {
        (2, 2) // denied, blocked
    } else if is(alert, "sentinel.would_block") {
        (3, 17) // observed, logged
    } else if at(alert, "sentinel.exemption").is_object() {
        (1, 1) // allowed, allowed
    } else {
        (3, 19) // observed, alert
    }
}

const fn severity_id(severity: Severity) -> u8 {
    match severity {
        Severity::Info => 1,
        Severity::Low => 2,
        Severity::Medium => 3,
        Severity::High => 4,
        Severity::Critical => 5,
    }
}

fn network_activity(alert: &Value) -> Value {
    json!({
        "actor": {"process": process(alert)},
        "dst_endpoint": destination(alert),
        "connection_info": objects::connection(alert),
    })
}

fn process_activity(alert: &Value) -> Value {
    json!({"process": process(alert), "actor": exec_actor(alert)})
}

fn file_activity(alert: &Value) -> Value {
    json!({"actor": {"process": process(alert)}, "file": file(alert)})
}

/// A finding, with the event as its evidence.
fn finding(alert: &Value) -> Value {
    let rule = text(alert, "rule.id").unwrap_or("sentinel");
    let title = text(alert, "rule.name").unwrap_or(rule);
    let network = text(alert, "destination.ip").is_some();
    json!({
        "finding_info": {
            "uid": text(alert, "event.id").unwrap_or(rule),
            "title": title,
            "desc": text(alert, "rule.description").or_else(|| text(alert, "message")),
            "analytic": {"type_id": 1, "uid": rule, "name": title, "category": text(alert, "rule.ruleset")},
            "first_seen_time": milliseconds(alert, "event.start"),
            "last_seen_time": milliseconds(alert, "event.end"),
            "src_url": text(alert, "rule.reference"),
            "attacks": attacks(alert),
        },
        "evidences": [{
            "process": process(alert),
            "file": file(alert),
            "dst_endpoint": destination(alert),
            "connection_info": if network { objects::connection(alert) } else { Value::Null },
        }],
    })
}
