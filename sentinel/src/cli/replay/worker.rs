//! From lines to what one or two policies say of each event, on one thread.
//!
//! Invariant: nothing here depends on another event, so that lines can be shared out between threads.

use std::{sync::Arc, time::Duration};

use rules::{Evaluator, Kind, Limits, Scope, Verb};

use super::{
    entries::Keys,
    event::{Event, Line, Recorded, parse},
    standing::{Judge, Place, Standing},
};
use crate::{cli::geo::verdict::Effect, config::Mode, world::weaker};

/// No rule is stopped because this machine is busy: results must not depend on it.
const PATIENT: Limits = Limits { time: Duration::from_secs(10), instructions: 10_000_000, memory: 1 << 20 };

/// A rule that says something of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Rule {
    /// An event rule.
    Event(u32),
    /// A standing rule.
    Standing(Place),
}

/// What it says.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Saying {
    /// Refuse the next one: scope, ttl.
    Deny(Scope, u64),
    /// It would say `Deny`, and its policy only monitors.
    WouldDeny,
    /// It is refused.
    Refuse,
    /// It would be, and the rule only monitors.
    WouldRefuse,
    /// An alert.
    Alert,
    /// An exemption lets it through.
    Exempt,
}

/// One rule on one event.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Finding {
    pub(super) rule: Rule,
    /// The member's id, where it has one of its own.
    pub(super) id: Option<Box<str>>,
    pub(super) saying: Saying,
}

/// What a policy says of an event.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) findings: Vec<Finding>,
    pub(super) undecided: Vec<Place>,
    pub(super) errors: Vec<(u32, String)>,
}

/// One event, reduced to what is counted.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) line: u64,
    pub(super) kind: Kind,
    pub(super) time: Option<i64>,
    pub(super) recorded: Recorded,
    pub(super) keys: Keys,
    pub(super) object: String,
    pub(super) process: String,
    /// One for each policy.
    pub(super) said: Vec<Said>,
}

/// What a piece of a file gave.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) bytes: u64,
    pub(super) seen: Vec<Seen>,
    /// Line and what is wrong with it.
    pub(super) bad: Vec<(u64, String)>,
    /// Lines that are no events: headers and Sentinel's own notices.
    pub(super) skipped: u64,
}

/// A policy on one thread.
struct Policy<'s> {
    evaluator: Evaluator,
    judge: Judge<'s>,
    /// For each event rule, its own id and whether it refuses.
    rules: Vec<(String, bool)>,
}

/// Works on lines.
pub(super) struct Worker<'s> {
    policies: Vec<Policy<'s>>,
}

impl<'s> Worker<'s> {
    pub(super) fn new(policies: &'s [Arc<Standing>]) -> Self {
        let policy = |standing: &'s Arc<Standing>| {
            let rules = standing.policies().rules().iter();
            let rules = rules.map(|rule| (rule.id.clone(), weaker(Mode::Enforce, rule.mode) == Mode::Enforce));
            Policy {
                evaluator: Evaluator::new(standing.policies().clone(), PATIENT),
                judge: standing.judge(),
                rules: rules.collect(),
            }
        };
        Self { policies: policies.iter().map(policy).collect() }
    }

    /// Works through a piece of a file that starts with this line.
    pub(super) fn work(&mut self, text: &[u8], first_line: u64) -> Batch {
        let mut batch = Batch { bytes: text.len() as u64, ..Batch::default() };
        for (number, line) in (first_line..).zip(text.split(|byte| *byte == b'\n')) {
            if line.trim_ascii().is_empty() {
                continue;
            }
            let parsed = std::str::from_utf8(line).map_err(|_| "no UTF-8 text".to_owned()).and_then(parse);
            match parsed {
                Ok(Line::Event(event)) => batch.seen.push(self.event(number, *event)),
                Ok(Line::Header | Line::Notice) => batch.skipped += 1,
                Err(why) => batch.bad.push((number, why)),
            }
        }
        batch
    }

    fn event(&mut self, line: u64, event: Event) -> Seen {
        let said = self.policies.iter_mut().map(|policy| policy.say(&event)).collect();
        let (keys, object, process) = (Keys::of(&event), event.object(), event.process());
        Seen { line, kind: event.kind, time: event.time, recorded: event.recorded, keys, object, process, said }
    }
}

impl Policy<'_> {
    fn say(&mut self, event: &Event) -> Said {
        let ruling = self.judge.judge(event);
        let mut findings = Vec::new();
        let mut standing = |place, saying| findings.push(Finding { rule: Rule::Standing(place), id: None, saying });
        if let Some(place) = ruling.exempt {
            standing(place, Saying::Exempt);
        }
        match ruling.decides {
            Some((place, Effect::Refuse)) => standing(place, Saying::Refuse),
            Some((place, Effect::WouldRefuse)) => standing(place, Saying::WouldRefuse),
            Some((place, Effect::Alert)) => standing(place, Saying::Alert),
            Some((_, Effect::Exempt | Effect::Allow)) | None => {}
        }
        let outcome = self.evaluator.evaluate(event.kind, &event.input);
        for decision in outcome.decisions {
            let (id, enforces) = &self.rules[decision.rule as usize];
            let saying = match (decision.verb, enforces) {
                (Verb::Deny, true) => Saying::Deny(decision.scope, decision.ttl),
                (Verb::Deny, false) => Saying::WouldDeny,
                (Verb::Alert | Verb::Allow, _) => Saying::Alert,
            };
            let id = (*id != decision.id).then(|| decision.id.into_boxed_str());
            findings.push(Finding { rule: Rule::Event(decision.rule), id, saying });
        }
        let errors = outcome.errors.into_iter().map(|error| (error.rule, error.cause.to_string())).collect();
        Said { findings, undecided: ruling.undecided, errors }
    }
}
