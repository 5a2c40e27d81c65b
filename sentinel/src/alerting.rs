//! Makes alerts out of findings and hands them to the sinks.

use std::sync::Arc;

use alerts::{
    Action, AlertParts, DecidedIn, Effect, EntryWritten, Format, Geo, GeoDatabase, Redactor, RuleHit, Sequencer,
    SinkSet, to_ecs_line,
};
use rules::{Decision, Value};
use sentinel_common::{event::Verdict, verdict::origin};

use crate::{
    audit::Audit,
    clock,
    config::Mode,
    event::Common,
    input::Input,
    notices::Notice,
    standing::UNKNOWN_RULE,
    world::{Rule, World},
};

/// What the country data says of a destination.
#[derive(Debug, Clone)]
pub struct GeoFact {
    /// ISO 3166-1 code.
    pub country: Option<String>,
    /// ISO 3166-2 code.
    pub region: Option<String>,
    /// Matched prefix.
    pub prefix: String,
    /// Whether the databases know nothing of it.
    pub unknown: bool,
    /// What each database says, where there are several.
    pub votes: Vec<alerts::GeoVote>,
}

/// A reason for an alert that no policy has to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Note {
    /// Nobody knows the destination's country, while countries are what is enforced.
    UnknownCountry,
    /// The hooks of one flow did not agree.
    Disagreement,
    /// The packet goes elsewhere than its socket was asked to.
    Rewritten,
    /// A rule is about hashes, and the file has none yet.
    HashUnknown,
    /// Rules are about paths, and the file's is too long to be whole.
    PathUnknown,
}

impl Note {
    /// Id, severity, text.
    const fn says(self) -> (&'static str, alerts::Severity, &'static str) {
        match self {
            Self::UnknownCountry => (UNKNOWN_RULE, alerts::Severity::Medium, "Destination without a known country"),
            Self::Disagreement => (
                "hooks-disagree",
                alerts::Severity::Critical,
                "A packet was refused that the hooks before it had let pass under the same policy",
            ),
            Self::HashUnknown => (
                "hash-unknown",
                alerts::Severity::Medium,
                "The hash of an executable could not be had when it was to run, and a rule is about hashes",
            ),
            Self::PathUnknown => {
                ("path-unknown", alerts::Severity::Medium, "A path was too long to be told, and rules are about paths")
            }
            Self::Rewritten => (
                "destination-rewritten",
                alerts::Severity::Medium,
                "The destination was rewritten after connect: destination.address is what was asked for",
            ),
        }
    }
}

/// Everything about one event that an alert needs.
#[derive(Debug)]
pub struct Finding {
    /// What the rules saw.
    pub input: Input,
    /// The kernel's verdict.
    pub verdict: Verdict,
    /// The rule behind it.
    pub kernel_rule: Option<Arc<Rule>>,
    /// Decisions of event rules.
    pub decisions: Vec<(Decision, Arc<Rule>)>,
    /// A `deny` that is not carried out, because of the mode.
    pub would_block: bool,
    /// Scope and expiry (boot clock) of the entry written.
    pub entry_written: Option<(String, u64)>,
    /// Country of the destination.
    pub geo: Option<GeoFact>,
    /// A built-in reason for an alert.
    pub note: Option<Note>,
    hook: &'static str,
    decided_in: DecidedIn,
    mode: Mode,
}

impl Finding {
    /// A finding without decisions.
    #[must_use]
    pub fn new(common: &Common, verdict: Verdict, input: Input, enforcing: bool) -> Self {
        Self {
            input,
            verdict,
            kernel_rule: None,
            decisions: Vec::new(),
            would_block: false,
            entry_written: None,
            geo: None,
            note: None,
            hook: common.hook.name,
            decided_in: if verdict.rule != 0 { DecidedIn::Kernel } else { DecidedIn::User },
            mode: if enforcing { Mode::Enforce } else { Mode::Monitor },
        }
    }

    /// The same, for what user space decided by the kernel's rules; `hook` says how it was carried out.
    #[must_use]
    pub fn decided_in_user(self, hook: &'static str) -> Self {
        Self { hook, decided_in: DecidedIn::User, ..self }
    }

    /// Whether it is worth an alert.
    #[must_use]
    pub fn matters(&self) -> bool {
        self.kernel_rule.is_some() || !self.decisions.is_empty() || self.note.is_some()
    }

    /// Whether an exemption let the event through.
    #[must_use]
    pub fn is_exempt(&self) -> bool {
        self.verdict.rule != 0 && self.verdict.origin == origin::EXEMPTION
    }

    fn effect(&self) -> Effect {
        if self.verdict.refused == 1 {
            Effect::Refused
        } else if self.is_exempt() {
            Effect::Passed
        } else if self.kernel_rule.is_some() || self.would_block {
            Effect::WouldBlock
        } else {
            Effect::Passed
        }
    }

    fn decision(&self) -> alerts::Decision {
        if self.is_exempt() {
            alerts::Decision::Exempt
        } else if self.kernel_rule.is_some() || self.decisions.iter().any(|(d, _)| d.verb == rules::Verb::Deny) {
            alerts::Decision::Deny
        } else {
            alerts::Decision::Alert
        }
    }
}

/// The hook of what no hook has reported.
const NO_HOOK: &str = "none";

/// Something that is no event and still wants an alert: a canary of Sentinel's own failed.
#[derive(Debug)]
pub struct CanaryAlert {
    /// Stable id, where alerts about events have their rule's.
    pub id: &'static str,
    /// What happened.
    pub message: String,
    /// What it is about, in ECS names.
    pub value: rules::Value,
    /// Country and matched prefix, where it is about an address.
    pub geo: Option<GeoFact>,
    /// Which part of Sentinel found it.
    pub found_by: &'static str,
    /// Whether refusal is in force.
    pub enforcing: bool,
}

/// Makes and sends alerts.
pub struct Alerting {
    sequencer: Sequencer,
    /// Where they go.
    pub sinks: Arc<SinkSet>,
    /// The audit trail, which they pass first.
    pub audit: Option<Audit>,
    format: Format,
    redactor: Redactor,
    /// Alerts made so far.
    pub sent: u64,
    /// Events lost so far, as of the last look at the kernel's counters.
    pub lost: u64,
    lost_told: u64,
}

impl Alerting {
    /// Sends to these sinks, in this format, without what the redactor takes out.
    #[must_use]
    pub fn new(sinks: SinkSet, format: Format, redactor: Redactor) -> Self {
        let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let sequencer = Sequencer::new(boot_id.trim());
        Self { sequencer, sinks: Arc::new(sinks), audit: None, format, redactor, sent: 0, lost: 0, lost_told: 0 }
    }

    /// Makes the alert and queues it.
    pub fn send(&mut self, world: &World, finding: Finding) {
        self.make(|lost_before| parts(world, finding, lost_before));
    }

    /// The same for what is no event; always critical.
    pub fn canary(&mut self, world: &World, failed: CanaryAlert) {
        self.make(|lost_before| canary_parts(world, failed, lost_before));
    }

    fn make(&mut self, parts: impl FnOnce(u64) -> AlertParts) {
        let lost_before = self.lost - self.lost_told;
        self.lost_told = self.lost;
        self.hand_over(parts(lost_before));
    }

    /// Makes an alert about Sentinel itself and queues it.
    pub fn notice(&mut self, world: &World, notice: &Notice, around: Value, enforcing: bool) {
        let lost_before = self.lost - self.lost_told;
        self.lost_told = self.lost;
        let hit = RuleHit::new(notice.id, alerts::Verb::Alert, notice.severity, notice.message.clone());
        self.hand_over(AlertParts {
            action: Action::Notice,
            event: fields(&around),
            message: None,
            mode: if enforcing { alerts::Mode::Enforce } else { alerts::Mode::Monitor },
            effect: Effect::Passed,
            decided_in: DecidedIn::User,
            hook: NO_HOOK.to_owned(),
            decision: alerts::Decision::Alert,
            rules: vec![hit],
            entry_written: None,
            exemption: notice.exemption.as_ref().map(exemption),
            geo: None,
            list: None,
            policy_sha256: Some(world.policies.sha256().to_owned()),
            suppressed: 0,
            lost_before,
        });
    }

    fn hand_over(&mut self, mut parts: AlertParts) {
        self.redactor.apply(&mut parts);
        let alert = self.sequencer.alert(parts);
        let line = Arc::from(self.format.line(&to_ecs_line(&alert)));
        match &self.audit {
            Some(audit) => audit.alert(&alert, line, &self.sinks),
            None => self.sinks.send(&line),
        }
        self.sent += 1;
    }
}

fn canary_parts(world: &World, notice: CanaryAlert, lost_before: u64) -> AlertParts {
    let severity = alerts::Severity::Critical;
    AlertParts {
        action: Action::Canary,
        event: fields(&notice.value),
        message: None,
        mode: if notice.enforcing { alerts::Mode::Enforce } else { alerts::Mode::Monitor },
        effect: Effect::Passed,
        decided_in: DecidedIn::User,
        hook: notice.found_by.to_owned(),
        decision: alerts::Decision::Alert,
        rules: vec![RuleHit::new(notice.id, alerts::Verb::Alert, severity, notice.message)],
        entry_written: None,
        exemption: None,
        geo: notice.geo.map(|fact| geo(world, fact)),
        list: None,
        policy_sha256: Some(world.policies.sha256().to_owned()),
        suppressed: 0,
        lost_before,
    }
}

/// An event as a JSON object.
fn fields(value: &Value) -> serde_json::Map<String, serde_json::Value> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::Object(map)) => map,
        Ok(_) | Err(_) => serde_json::Map::new(),
    }
}

/// The most capabilities of a set in an alert: that root has all of them needs no forty words.
const CAPABILITIES: usize = 16;

fn without_large_sets(
    mut event: serde_json::Map<String, serde_json::Value>,
) -> serde_json::Map<String, serde_json::Value> {
    let sets = event
        .get_mut("process")
        .and_then(|process| process.get_mut("thread")?.get_mut("capabilities")?.as_object_mut());
    if let Some(sets) = sets {
        sets.retain(|_, set| set.as_array().is_none_or(|set| set.len() <= CAPABILITIES));
    }
    event
}

fn parts(world: &World, finding: Finding, lost_before: u64) -> AlertParts {
    let (effect, decision) = (finding.effect(), finding.decision());
    // One that is not lent to somebody else has let nothing pass.
    let rule = finding.kernel_rule.as_ref().filter(|_| finding.is_exempt());
    let exemption = rule.and_then(|rule| rule.exemption.as_ref()).map(exemption);
    let list = finding.kernel_rule.as_ref().and_then(|rule| rule.list.clone());
    let rules = hits(&finding);
    AlertParts {
        action: action(finding.input.kind),
        event: without_large_sets(fields(&finding.input.value)),
        message: None,
        mode: if finding.mode == Mode::Enforce { alerts::Mode::Enforce } else { alerts::Mode::Monitor },
        effect,
        decided_in: finding.decided_in,
        hook: finding.hook.to_owned(),
        decision,
        rules,
        entry_written: finding
            .entry_written
            .map(|(scope, expires)| EntryWritten { scope, expires: (expires != 0).then(|| clock::wall(expires)) }),
        exemption,
        geo: finding.geo.map(|fact| geo(world, fact)),
        list,
        policy_sha256: Some(world.policies.sha256().to_owned()),
        suppressed: 0,
        lost_before,
    }
}

/// The rules that matched, the deciding one first.
fn hits(finding: &Finding) -> Vec<RuleHit> {
    let mut hits = Vec::new();
    if let Some(rule) = &finding.kernel_rule {
        hits.push(hit(rule, rule.id.clone(), rule.severity, title_or_id(rule)));
    }
    let denies_first = |verb| finding.decisions.iter().filter(move |(d, _)| (d.verb == rules::Verb::Deny) == verb);
    for (decision, rule) in denies_first(true).chain(denies_first(false)) {
        if finding.kernel_rule.as_ref().is_none_or(|kernel| kernel.id != decision.id) {
            hits.push(hit(rule, decision.id.clone(), decision.severity, decision.message.clone()));
        }
    }
    if let Some(note) = finding.note {
        let (id, severity, text) = note.says();
        hits.push(RuleHit::new(id, alerts::Verb::Alert, severity, text));
    }
    hits
}

fn title_or_id(rule: &Rule) -> String {
    if rule.title.is_empty() { rule.id.clone() } else { rule.title.clone() }
}

fn hit(rule: &Rule, id: String, severity: rules::Severity, message: String) -> RuleHit {
    let mut hit = RuleHit::new(id, rule.verb, self::severity(severity), message);
    hit.name = (!rule.title.is_empty()).then(|| rule.title.clone());
    hit.ruleset = Some(rule.package.clone());
    hit.techniques = rule
        .techniques
        .iter()
        .map(|t| alerts::Technique {
            id: t.id.clone(),
            name: (!t.name.is_empty()).then(|| t.name.clone()),
            tactic: (!t.tactic.is_empty()).then(|| t.tactic.clone()),
        })
        .collect();
    hit
}

const fn severity(severity: rules::Severity) -> alerts::Severity {
    match severity {
        rules::Severity::Info => alerts::Severity::Info,
        rules::Severity::Low => alerts::Severity::Low,
        rules::Severity::Medium => alerts::Severity::Medium,
        rules::Severity::High => alerts::Severity::High,
        rules::Severity::Critical => alerts::Severity::Critical,
    }
}

fn exemption(exemption: &rules::Exemption) -> alerts::Exemption {
    let expires = jiff::Timestamp::from_second(exemption.expires).unwrap_or(jiff::Timestamp::MAX);
    alerts::Exemption {
        id: exemption.id.clone(),
        kind: exemption.kind.clone(),
        authority: Some(exemption.authority.clone()),
        reference: Some(exemption.reference.clone()),
        approver: Some(exemption.approver.clone()),
        expires: expires.to_string(),
    }
}

fn geo(world: &World, fact: GeoFact) -> Geo {
    let info = world.geo.databases()[0].info();
    let build = jiff::Timestamp::from_second(info.build as i64).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    Geo {
        country: fact.country,
        prefix: Some(fact.prefix),
        database: GeoDatabase {
            kind: info.database_type.clone(),
            build: build.to_string(),
            sha256: info.sha256.clone(),
        },
        votes: fact.votes,
    }
}

const fn action(kind: rules::Kind) -> Action {
    match kind {
        rules::Kind::Exec => Action::Exec,
        rules::Kind::Open => Action::Open,
        rules::Kind::Create => Action::Create,
        rules::Kind::Rename => Action::Rename,
        rules::Kind::Link => Action::Link,
        rules::Kind::Unlink => Action::Unlink,
        rules::Kind::Truncate => Action::Truncate,
        rules::Kind::Setattr => Action::Setattr,
        rules::Kind::Mount => Action::Mount,
        rules::Kind::Mmap => Action::Mmap,
        rules::Kind::Connect => Action::Connect,
        rules::Kind::Send => Action::Send,
        rules::Kind::Accept => Action::Accept,
        rules::Kind::Packet => Action::Packet,
        rules::Kind::Socket => Action::Socket,
        rules::Kind::Ptrace => Action::Ptrace,
        rules::Kind::Bpf => Action::Bpf,
        rules::Kind::Kill => Action::Kill,
    }
}
