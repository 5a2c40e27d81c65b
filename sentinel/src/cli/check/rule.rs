//! What is known of each rule: what it can match, from when it is held, what it costs.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use rules::{Engine, Evaluator, Kind, Limits, Mode, Policies, RuleInfo, StandingEntry, StandingRule, Verb, schema};

/// From when the kernel refuses what a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Held {
    /// Before the hooks are attached.
    FirstEvent,
    /// By the entry that the first event makes.
    SecondEvent,
    /// Never: the rule reports, or is in monitor mode, or nothing that an entry could hold.
    Never,
}

impl Held {
    /// The word in JSON.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::FirstEvent => "first-event",
            Self::SecondEvent => "second-event",
            Self::Never => "never",
        }
    }

    fn of(rule: &RuleInfo) -> Self {
        let entry = rule.kinds.iter().any(can_be_held) && rule.mode != Some(Mode::Monitor);
        match rule.verb {
            Verb::Deny if entry => Self::SecondEvent,
            Verb::Deny | Verb::Alert | Verb::Allow => Self::Never,
        }
    }
}

/// Whether an event of this kind has something that an entry can be about.
const fn can_be_held(kind: Kind) -> bool {
    match kind {
        Kind::Exec
        | Kind::Open
        | Kind::Create
        | Kind::Rename
        | Kind::Link
        | Kind::Unlink
        | Kind::Truncate
        | Kind::Setattr
        | Kind::Mount
        | Kind::Mmap
        | Kind::Connect
        | Kind::Send
        | Kind::Packet => true,
        Kind::Accept | Kind::Socket | Kind::Ptrace | Kind::Bpf | Kind::Kill => false,
    }
}

/// An event rule.
#[derive(Debug)]
pub(super) struct RuleReport {
    pub(super) info: RuleInfo,
    pub(super) held: Held,
    /// The most it took on a sample event of any of its kinds.
    pub(super) instructions: Option<usize>,
    pub(super) time: Duration,
}

impl RuleReport {
    /// `rvm` or `interpreter`.
    pub(super) const fn engine(&self) -> &'static str {
        match self.info.engine {
            Engine::Rvm => "rvm",
            Engine::Interpreter { .. } => "interpreter",
        }
    }
}

/// The members of one definition of a standing rule that share an id.
#[derive(Debug)]
pub(super) struct StandingReport {
    pub(super) first: StandingEntry,
    pub(super) held: Held,
    pub(super) members: usize,
}

/// Describes the event rules, and runs each on a sample event of every kind that it can match.
pub(super) fn describe(policies: &Arc<Policies>) -> Vec<RuleReport> {
    let mut evaluator = Evaluator::new(policies.clone(), Limits::default());
    let of = |info: &RuleInfo| RuleReport {
        info: info.clone(),
        held: Held::of(info),
        instructions: None,
        time: Duration::ZERO,
    };
    let mut reports: Vec<RuleReport> = policies.rules().iter().map(of).collect();
    for kind in Kind::ALL {
        for cost in evaluator.cost_each(kind, &schema::sample(kind)) {
            let Some(report) = reports.get_mut(cost.rule as usize) else { continue };
            report.instructions = report.instructions.max(cost.instructions);
            report.time = report.time.max(cost.time);
        }
    }
    reports
}

/// Describes the standing rules.
pub(super) fn describe_standing(policies: &Policies) -> Vec<StandingReport> {
    let mut reports = BTreeMap::<(&str, u32, &str), StandingReport>::new();
    for entry in policies.standing() {
        let inert = entry.rule_name == StandingRule::Exemptions || entry.mode == Some(Mode::Monitor);
        let held = if inert { Held::Never } else { Held::FirstEvent };
        let report = reports.entry((&entry.file, entry.line, &entry.id)).or_insert_with(|| StandingReport {
            first: entry.clone(),
            held,
            members: 0,
        });
        report.members += 1;
    }
    reports.into_values().collect()
}
