//! The object `sentinel`: what no schema of others has a field for, above all the evidence of a refusal.
//!
//! Invariants: names and types are stable and only added to, [`SCHEMA_VERSION`] rises when a meaning changes;
//! `blocked`, `would_block`, `suppressed` and `lost_before` are always there, so that absence never reads as zero;
//! what does not apply is left out, never null.
//!
//! Not here: anything that ECS has a name for.

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use crate::alert::{Alert, EntryWritten, Exemption, Geo, GeoVote, ListRef, RuleHit, Technique};
use crate::terms::{DecidedIn, Decision, Mode, Severity, Verb};

/// Version of the object `sentinel`.
pub const SCHEMA_VERSION: u32 = 1;

#[derive(Serialize)]
pub(super) struct SentinelFields<'a> {
    schema_version: u32,
    sequence: u64,
    boot_id: &'a str,
    mode: Mode,
    blocked: bool,
    would_block: bool,
    decided_in: DecidedIn,
    hook: &'a str,
    decision: Decision,
    rules: Vec<RuleEntry<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entry_written: Option<EntryFields<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exemption: Option<ExemptionFields<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    geo: Option<GeoFields<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    list: Option<ListFields<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<PolicyFields<'a>>,
    /// What of the event is no field of ECS.
    #[serde(skip_serializing_if = "Map::is_empty")]
    facts: &'a Map<String, Value>,
    suppressed: u64,
    lost_before: u64,
}

impl<'a> SentinelFields<'a> {
    pub(super) fn of(alert: &'a Alert, facts: &'a Map<String, Value>) -> Self {
        let parts = alert.parts();
        Self {
            schema_version: SCHEMA_VERSION,
            sequence: alert.sequence(),
            boot_id: alert.boot_id(),
            mode: parts.mode,
            blocked: parts.effect.blocked(),
            would_block: parts.effect.would_block(),
            decided_in: parts.decided_in,
            hook: &parts.hook,
            decision: parts.decision,
            rules: parts.rules.iter().map(RuleEntry::of).collect(),
            entry_written: parts.entry_written.as_ref().map(EntryFields::of),
            exemption: parts.exemption.as_ref().map(ExemptionFields::of),
            geo: parts.geo.as_ref().map(GeoFields::of),
            list: parts.list.as_ref().map(ListFields::of),
            policy: parts.policy_sha256.as_deref().map(|sha256| PolicyFields { sha256 }),
            facts,
            suppressed: parts.suppressed,
            lost_before: parts.lost_before,
        }
    }
}

#[derive(Serialize)]
struct RuleEntry<'a> {
    id: &'a str,
    verb: Verb,
    severity: Severity,
    message: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    techniques: Vec<&'a str>,
}

impl<'a> RuleEntry<'a> {
    fn of(rule: &'a RuleHit) -> Self {
        let id_of = |technique: &'a Technique| technique.id.as_str();
        Self {
            id: &rule.id,
            verb: rule.verb,
            severity: rule.severity,
            message: &rule.message,
            techniques: rule.techniques.iter().map(id_of).collect(),
        }
    }
}

#[derive(Serialize)]
struct EntryFields<'a> {
    scope: &'a str,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "milliseconds")]
    expires: Option<Timestamp>,
}

impl<'a> EntryFields<'a> {
    fn of(entry: &'a EntryWritten) -> Self {
        Self { scope: &entry.scope, expires: entry.expires }
    }
}

/// RFC 3339 in UTC; three digits are what a date field of a SIEM keeps.
fn milliseconds<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serializer.collect_str(&format_args!("{time:.3}")),
        None => serializer.serialize_none(),
    }
}

#[derive(Serialize)]
struct ExemptionFields<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    authority: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    approver: Option<&'a str>,
    expires: &'a str,
}

impl<'a> ExemptionFields<'a> {
    fn of(exemption: &'a Exemption) -> Self {
        Self {
            id: &exemption.id,
            kind: &exemption.kind,
            authority: exemption.authority.as_deref(),
            reference: exemption.reference.as_deref(),
            approver: exemption.approver.as_deref(),
            expires: &exemption.expires,
        }
    }
}

#[derive(Serialize)]
struct GeoFields<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    country: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prefix: Option<&'a str>,
    database: DatabaseFields<'a>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    votes: Vec<VoteFields<'a>>,
}

#[derive(Serialize)]
struct DatabaseFields<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    build: &'a str,
    sha256: &'a str,
}

#[derive(Serialize)]
struct VoteFields<'a> {
    database: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    country: Option<&'a str>,
}

impl<'a> GeoFields<'a> {
    fn of(geo: &'a Geo) -> Self {
        let database = &geo.database;
        let vote = |vote: &'a GeoVote| VoteFields { database: &vote.database, country: vote.country.as_deref() };
        Self {
            country: geo.country.as_deref(),
            prefix: geo.prefix.as_deref(),
            database: DatabaseFields { kind: &database.kind, build: &database.build, sha256: &database.sha256 },
            votes: geo.votes.iter().map(vote).collect(),
        }
    }
}

#[derive(Serialize)]
struct ListFields<'a> {
    id: &'a str,
    version: &'a str,
}

impl<'a> ListFields<'a> {
    fn of(list: &'a ListRef) -> Self {
        Self { id: &list.id, version: &list.version }
    }
}

#[derive(Serialize)]
struct PolicyFields<'a> {
    sha256: &'a str,
}
