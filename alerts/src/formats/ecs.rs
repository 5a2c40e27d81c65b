//! The native format: one JSON object a line in the names of the Elastic Common Schema, plus the object `sentinel`.
//!
//! Invariants: a pure function of the alert; no newline inside a line; what the alert says wins over what the event
//! brought; every field is one of ECS 9, one of the four extensions, or below `sentinel`, where `facts.rs` puts the rest.
//!
//! Not here: the categories of an action (`event.rs`), techniques (`threat.rs`), our own object
//! (`sentinel.rs`).

mod event;
mod facts;
mod sentinel;
mod threat;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use crate::alert::{Alert, RuleHit};
use event::EventFields;
pub use facts::join as join_facts;
pub use sentinel::SCHEMA_VERSION;
use sentinel::SentinelFields;
use threat::ThreatFields;

/// The version of the schema that field names and values follow.
pub const ECS_VERSION: &str = "9.4.0";

/// Top-level names that the alert writes itself; the event cannot set them.
const OWN_FIELDS: &[&str] = &["@timestamp", "message", "ecs", "event", "rule", "threat", "sentinel"];

/// Writes the alert as one line of JSON, without the newline at its end.
#[must_use]
pub fn to_ecs_line(alert: &Alert) -> String {
    let parts = alert.parts();
    let mut event = parts.event.clone();
    let facts = facts::split(&mut event);
    let line = EcsLine {
        timestamp: event.get("@timestamp"),
        message: alert.message(),
        ecs: EcsFields { version: ECS_VERSION },
        event: EventFields::of(alert),
        rule: parts.rules.first().map(RuleFields::of),
        threat: ThreatFields::of(&parts.rules),
        rest: Rest { fields: Some(&event), except: OWN_FIELDS },
        sentinel: SentinelFields::of(alert, &facts),
    };
    // Writing JSON into memory fails only for keys that are no strings, and the types above have none.
    serde_json::to_string(&line).expect("an alert has string keys only")
}

/// The whole line; the order here is the order in the text.
#[derive(Serialize)]
struct EcsLine<'a> {
    #[serde(rename = "@timestamp", skip_serializing_if = "Option::is_none")]
    timestamp: Option<&'a Value>,
    message: &'a str,
    ecs: EcsFields,
    event: EventFields<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<RuleFields<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    threat: Option<ThreatFields<'a>>,
    #[serde(flatten)]
    rest: Rest<'a>,
    sentinel: SentinelFields<'a>,
}

#[derive(Serialize)]
struct EcsFields {
    version: &'static str,
}

/// ECS `rule.*`: scalars, so they describe the one rule that decided. All rules are in `sentinel.rules`.
#[derive(Serialize)]
struct RuleFields<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    category: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ruleset: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uuid: Option<&'a str>,
}

impl<'a> RuleFields<'a> {
    fn of(rule: &'a RuleHit) -> Self {
        Self {
            id: &rule.id,
            name: rule.name.as_deref(),
            description: rule.description.as_deref(),
            category: rule.category.as_deref(),
            ruleset: rule.ruleset.as_deref(),
            reference: rule.reference.as_deref(),
            uuid: rule.uuid.as_deref(),
        }
    }
}

/// The fields of an object of the event, without those that the alert sets itself.
struct Rest<'a> {
    fields: Option<&'a Map<String, Value>>,
    except: &'static [&'static str],
}

impl Serialize for Rest<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let kept = self.fields.into_iter().flatten().filter(|(name, _)| !self.except.contains(&name.as_str()));
        for (name, value) in kept {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}
