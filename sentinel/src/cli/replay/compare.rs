//! The difference between a policy and its baseline: events whose outcome changes, by rule and by object.
//!
//! Invariant: an event is in at most one of the four changes: it is compared as a whole, so that a rule that only takes
//! another's place changes nothing.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::{
    tally::{Example, Names, Outcome, Result, example},
    worker::Seen,
};

/// Most examples of a change.
const EXAMPLES: usize = 5;

/// How an event's outcome changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Change {
    /// It is blocked now.
    NewlyBlocked,
    /// It was blocked before.
    NoLongerBlocked,
    /// It raises an alert now, and no rule spoke before.
    NewlyAlerted,
    /// It raised an alert before, and no rule speaks now.
    NoLongerAlerted,
}

impl Change {
    /// All of them.
    pub(super) const ALL: [Self; 4] =
        [Self::NewlyBlocked, Self::NoLongerBlocked, Self::NewlyAlerted, Self::NoLongerAlerted];

    /// For programs.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::NewlyBlocked => "newly_blocked",
            Self::NoLongerBlocked => "no_longer_blocked",
            Self::NewlyAlerted => "newly_alerted",
            Self::NoLongerAlerted => "no_longer_alerted",
        }
    }

    /// For people.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::NewlyBlocked => "newly blocked",
            Self::NoLongerBlocked => "no longer blocked",
            Self::NewlyAlerted => "newly alerted",
            Self::NoLongerAlerted => "no longer alerted",
        }
    }

    /// Whether the rules behind it are those of the new policy.
    pub(super) const fn is_new(self) -> bool {
        matches!(self, Self::NewlyBlocked | Self::NewlyAlerted)
    }

    fn of(new: Outcome, old: Outcome) -> Option<Self> {
        match (old, new) {
            (old, new) if old.blocks() && !new.blocks() => Some(Self::NoLongerBlocked),
            (old, new) if !old.blocks() && new.blocks() => Some(Self::NewlyBlocked),
            (Outcome::Quiet, new) if new.alerts() => Some(Self::NewlyAlerted),
            (old, Outcome::Quiet) if old.alerts() => Some(Self::NoLongerAlerted),
            _ => None,
        }
    }
}

/// The events of one change.
#[derive(Debug, Default)]
pub(super) struct Changed {
    pub(super) events: u64,
    /// By row of the policy that is behind it.
    pub(super) rules: HashMap<usize, (u64, Option<Example>)>,
    pub(super) objects: Names,
    pub(super) processes: Names,
    pub(super) examples: Vec<Example>,
}

/// All changes.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    pub(super) changes: BTreeMap<Change, Changed>,
}

impl Comparison {
    pub(super) fn add(&mut self, seen: &Seen, file: &Arc<str>, new: &Result, old: &Result) {
        let Some(change) = Change::of(new.outcome, old.outcome) else { return };
        let changed = self.changes.entry(change).or_default();
        changed.events += 1;
        changed.objects.add(&seen.object);
        changed.processes.add(&seen.process);
        if changed.examples.len() < EXAMPLES {
            changed.examples.push(example(seen, file));
        }
        for row in &if change.is_new() { new } else { old }.rows {
            let (events, first) = changed.rules.entry(*row).or_default();
            *events += 1;
            first.get_or_insert_with(|| example(seen, file));
        }
    }
}
