//! The alert as the program knows it, before any format: what the daemon hands in, plus identity and order.
//!
//! Invariants: the event part has the names of the Elastic Common Schema already, because it is the object that the
//! rules saw; `blocked` follows from [`Effect`] alone; there are at most [`MAX_ANCESTORS`] ancestors.
//!
//! Not here: names and shapes of an output format (`formats/`), and how an id is made (`sequence.rs`).

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::terms::{Action, DecidedIn, Decision, Effect, Mode, Severity, Verb};

/// How many entries of `process.ancestors` an alert carries, nearest first: it keeps alerts small.
pub const MAX_ANCESTORS: usize = 5;

/// One alert. Made by [`crate::Sequencer::alert`]; never changed afterwards.
#[derive(Debug, Clone)]
pub struct Alert {
    id: Uuid,
    sequence: u64,
    boot_id: Arc<str>,
    parts: AlertParts,
}

/// What the daemon knows about an event that deserves an alert.
#[derive(Debug, Clone)]
pub struct AlertParts {
    /// What happened; written as `event.action`.
    pub action: Action,
    /// The event in ECS names, nested, exactly as the rules saw it. Text in it is valid UTF-8.
    pub event: Map<String, Value>,
    /// The line a person reads. `None` takes the message of the first rule.
    pub message: Option<String>,
    /// The mode that applies to the deciding rule.
    pub mode: Mode,
    /// The kernel's own verdict.
    pub effect: Effect,
    /// Which side decided.
    pub decided_in: DecidedIn,
    /// The hook that reported the event, by its program's name.
    pub hook: String,
    /// What the rules together say.
    pub decision: Decision,
    /// The rules that matched. The first is the one that decided; it fills ECS `rule.*`.
    pub rules: Vec<RuleHit>,
    /// The block entry that this event led to.
    pub entry_written: Option<EntryWritten>,
    /// The exemption that let the event through.
    pub exemption: Option<Exemption>,
    /// How the destination was located, where a country mattered.
    pub geo: Option<Geo>,
    /// The list (for example of embargoed countries) that the deciding rule came from.
    pub list: Option<ListRef>,
    /// SHA-256 of the policies in force, in hexadecimal.
    pub policy_sha256: Option<String>,
    /// How many repeats of this alert were folded into it.
    pub suppressed: u64,
    /// How many events were lost in the pipeline since the alert before this one.
    pub lost_before: u64,
}

/// A rule that matched, with what its author said about it.
#[derive(Debug, Clone)]
pub struct RuleHit {
    /// Stable id in kebab-case, or `<package>.<rule>[.n]`.
    pub id: String,
    /// The set that the rule adds to.
    pub verb: Verb,
    /// How serious the rule calls it.
    pub severity: Severity,
    /// The rule's message for this event.
    pub message: String,
    /// Title for people.
    pub name: Option<String>,
    /// What the rule looks for and why.
    pub description: Option<String>,
    /// Category, for example the tactic the policy is filed under.
    pub category: Option<String>,
    /// The package or policy set that the rule belongs to.
    pub ruleset: Option<String>,
    /// Address of a page about the rule.
    pub reference: Option<String>,
    /// An id that is unique over all rules everywhere, where the author gave one.
    pub uuid: Option<String>,
    /// MITRE ATT&CK techniques and sub-techniques.
    pub techniques: Vec<Technique>,
}

impl RuleHit {
    /// A rule with nothing but what every rule has.
    #[must_use]
    pub fn new(id: impl Into<String>, verb: Verb, severity: Severity, message: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            verb,
            severity,
            message: message.into(),
            name: None,
            description: None,
            category: None,
            ruleset: None,
            reference: None,
            uuid: None,
            techniques: Vec::new(),
        }
    }
}

/// A technique or sub-technique of MITRE ATT&CK. An empty name counts as unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Technique {
    /// For example `T1105` or `T1059.004`.
    pub id: String,
    /// For example `Ingress Tool Transfer`; for a sub-technique with its technique's name in front, as in
    /// `Command and Scripting Interpreter: Unix Shell`.
    pub name: Option<String>,
    /// The name of the tactic it serves here, for example `Command and Control`.
    pub tactic: Option<String>,
}

/// A block entry that was put into the kernel's verdict maps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryWritten {
    /// What it covers, in the words of policies: `destination+process`, `file`, ...
    pub scope: String,
    /// When it ends. `None`: it stays while its rule exists.
    pub expires: Option<Timestamp>,
}

/// The exemption that let an event through, as evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exemption {
    /// Its id in the policy.
    pub id: String,
    /// For example `general-licence`.
    pub kind: String,
    /// Who granted it.
    pub authority: Option<String>,
    /// Number or citation of the grant.
    pub reference: Option<String>,
    /// Who approved its use here.
    pub approver: Option<String>,
    /// When it ends, as the policy says it.
    pub expires: String,
}

/// How a destination was located.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Geo {
    /// ISO 3166-1 code. `None`: the address is in no database.
    pub country: Option<String>,
    /// The prefix that matched, in CIDR notation.
    pub prefix: Option<String>,
    /// The database that answered.
    pub database: GeoDatabase,
    /// What each database said, where several were asked.
    pub votes: Vec<GeoVote>,
}

/// Which data a country came from: enough to find the very same bytes again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeoDatabase {
    /// Type, as the database names itself.
    pub kind: String,
    /// Date of its build.
    pub build: String,
    /// SHA-256 of the file in hexadecimal.
    pub sha256: String,
}

/// The answer of one database among several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeoVote {
    /// Type of the database.
    pub database: String,
    /// The country it says; `None` when it does not know the address.
    pub country: Option<String>,
}

/// A versioned list that a rule came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListRef {
    /// Its id.
    pub id: String,
    /// Its version.
    pub version: String,
}

impl Alert {
    /// Makes an alert with a given identity. In the daemon this is the [`crate::Sequencer`]'s job; replaying recorded
    /// events needs it with the recorded ids.
    #[must_use]
    pub fn new(id: Uuid, sequence: u64, boot_id: Arc<str>, mut parts: AlertParts) -> Self {
        bound_ancestors(&mut parts.event);
        Self { id, sequence, boot_id, parts }
    }

    /// Unique id; version 7, so ids sort by time.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Position in the order of alerts since the daemon started.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The boot that the alert belongs to.
    #[must_use]
    pub fn boot_id(&self) -> &str {
        &self.boot_id
    }

    /// What the daemon handed in.
    #[must_use]
    pub fn parts(&self) -> &AlertParts {
        &self.parts
    }

    /// The highest severity among the rules; `Info` when there is none.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.parts.rules.iter().map(|rule| rule.severity).max().unwrap_or(Severity::Info)
    }

    /// The line a person reads.
    #[must_use]
    pub fn message(&self) -> &str {
        let first_rule = || self.parts.rules.first().map(|rule| rule.message.as_str());
        self.parts.message.as_deref().or_else(first_rule).unwrap_or_default()
    }
}

/// Cuts the list of ancestors to what an alert may carry.
fn bound_ancestors(event: &mut Map<String, Value>) {
    let ancestors = event.get_mut("process").and_then(|process| process.get_mut("ancestors"));
    if let Some(Value::Array(list)) = ancestors {
        list.truncate(MAX_ANCESTORS);
    }
}
