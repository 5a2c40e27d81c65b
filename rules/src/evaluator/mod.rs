//! Evaluates the event rules on one event, on one thread.
//!
//! An evaluator owns its machines and shares nothing that is written to, not even reference counts: programs
//! and data are copied when it is made. Every evaluation of every definition is under limits; a definition that
//! fails is an error in the outcome, and the others still run.
//!
//! What the limits cover. `time` is wall-clock time, looked at every few instructions (by both engines): one
//! built-in function, such as a regular expression on a long text, is not interrupted, and a thread that gets no
//! processor is charged for it. `instructions` are those of the register machine; the interpreter counts none
//! and is held by `time` alone. `memory` bounds what a definition gives back; what it uses on the way is bounded
//! by the other two and by the load, which refuses built-in functions whose result has no bound. (regorus can
//! count allocations, but only by replacing the allocator of the whole process with one written in C.)

mod cache;
mod cost;
mod counters;
mod engines;
mod keys;
mod measure;
mod outcome;
mod prefilter;
mod shortcuts;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use regorus::rvm::RegoVM;
use regorus::value::Set;
use regorus::{Engine, Value};

use crate::decision::{Cause, Outcome};
use crate::kind::Kind;
use crate::load;
use crate::policies::{Policies, RuleInfo};
pub use cost::Cost;
pub use counters::Counters;
use engines::{PANICKED, deep_copy, execute, interpret, interpreter, machine};
use outcome::{keep, outcome};
use shortcuts::Shortcuts;

/// Bounds on every evaluation of every definition. The module says what each covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Wall-clock time.
    pub time: Duration,
    /// Instructions of the register machine.
    pub instructions: usize,
    /// Bytes of texts in the members of one definition.
    pub memory: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { time: Duration::from_millis(50), instructions: 1_000_000, memory: 1 << 20 }
    }
}

/// Failures in a row after which a group's rules are run one by one for good.
const MAX_FAILURES: u8 = 3;

/// Runs event rules; one for each worker thread.
#[derive(Debug)]
pub struct Evaluator {
    policies: Arc<Policies>,
    limits: Limits,
    /// Whether the register machine is used.
    machines: bool,
    groups: Vec<Group>,
    /// For each rule, made when it is first run by itself.
    singles: Vec<Option<Box<RegoVM>>>,
    /// For each package, made when the interpreter is first needed.
    engines: Vec<Option<Engine>>,
    /// For each kind, what to run.
    plans: Vec<Plan>,
    /// Without them, every rule of a kind is run on every event.
    shortcuts: Option<Shortcuts>,
    data: Value,
}

/// Many rules in one program.
#[derive(Debug)]
struct Group {
    vm: Box<RegoVM>,
    rules: Vec<usize>,
    failures: u8,
}

/// What is run for one kind of event: places in `groups`, and rules that are in none of them.
#[derive(Debug, Default, Clone)]
struct Plan {
    groups: Vec<usize>,
    singles: Vec<usize>,
}

/// What one rule gave: a set that is not empty.
type Fired = (usize, Result<Arc<Set>, Cause>);

impl Evaluator {
    /// Copies the code of `policies` for this thread.
    pub fn new(policies: Arc<Policies>, limits: Limits) -> Evaluator {
        let shortcuts = Shortcuts::new(&policies);
        Evaluator { shortcuts: Some(shortcuts), ..Evaluator::build(policies, limits, true) }
    }

    /// An evaluator that runs every rule of a kind on every event: to compare.
    pub fn plain(policies: Arc<Policies>, limits: Limits) -> Evaluator {
        Evaluator::build(policies, limits, true)
    }

    /// An evaluator that runs everything in the interpreter, several times slower: to compare the two engines.
    pub fn interpreted(policies: Arc<Policies>, limits: Limits) -> Evaluator {
        Evaluator::build(policies, limits, false)
    }

    fn build(policies: Arc<Policies>, limits: Limits, machines: bool) -> Evaluator {
        let data = deep_copy(&policies.code.data);
        let code = if machines { policies.code.groups.as_slice() } else { &[] };
        let groups = code.iter().map(|group| Group {
            vm: machine(&group.program, &data, &limits, group.rules.len()),
            rules: group.rules.clone(),
            failures: 0,
        });
        let groups = groups.collect();
        let plans = Kind::ALL.into_iter().map(|kind| plan(policies.rules(), code, kind)).collect();
        let singles = policies.rules().iter().map(|_| None).collect();
        let engines = policies.code.engines.iter().map(|_| None).collect();
        Evaluator { limits, machines, groups, singles, engines, plans, shortcuts: None, data, policies }
    }

    /// The policies it runs.
    pub fn policies(&self) -> &Arc<Policies> {
        &self.policies
    }

    /// What was run, and what was not.
    pub fn counters(&self) -> Counters {
        self.shortcuts.as_ref().map(|shortcuts| shortcuts.counters).unwrap_or_default()
    }

    /// Decides on an event: what every rule that can match `kind` says of `input`.
    pub fn evaluate(&mut self, kind: Kind, input: &Value) -> Outcome {
        let mut fired: Vec<Fired> = Vec::new();
        match self.shortcuts.take() {
            Some(mut shortcuts) => {
                self.run_candidates(&mut shortcuts, kind, input, &mut fired);
                self.shortcuts = Some(shortcuts);
            }
            None => self.run_all(kind, input, &mut fired),
        }
        if fired.is_empty() {
            return Outcome::default();
        }
        fired.sort_by_key(|(rule, _)| *rule);
        outcome(self.policies.rules(), kind, fired)
    }

    /// Runs the rules that can fire and whose result is not known.
    fn run_candidates(&mut self, shortcuts: &mut Shortcuts, kind: Kind, input: &Value, fired: &mut Vec<Fired>) {
        for batch in shortcuts.batches(kind, input) {
            if shortcuts.recall(kind, input, &batch, fired) {
                continue;
            }
            let before = fired.len();
            batch.rules.iter().for_each(|rule| self.run_single(*rule, input, fired));
            shortcuts.keep(&batch, &fired[before..]);
        }
    }

    fn run_all(&mut self, kind: Kind, input: &Value, fired: &mut Vec<Fired>) {
        let plan = std::mem::take(&mut self.plans[kind as usize]);
        for group in &plan.groups {
            if !self.run_group(*group, input, fired) {
                let rules = self.groups[*group].rules.clone();
                rules.into_iter().for_each(|rule| self.run_single(rule, input, fired));
            }
        }
        for rule in &plan.singles {
            self.run_single(*rule, input, fired);
        }
        self.plans[kind as usize] = plan;
    }

    /// Forgets what earlier events gave.
    pub fn forget(&mut self) {
        self.shortcuts.iter_mut().for_each(Shortcuts::forget);
    }

    /// Runs many rules at once. False when that failed and each has to be run by itself, to see which it was.
    fn run_group(&mut self, group: usize, input: &Value, fired: &mut Vec<Fired>) -> bool {
        let group = &mut self.groups[group];
        if group.failures >= MAX_FAILURES {
            return false;
        }
        match execute(&mut group.vm, input) {
            Ok(Value::Array(sets)) if sets.len() == group.rules.len() => {
                for (rule, set) in group.rules.iter().zip(sets.iter()) {
                    keep(*rule, Ok(set.clone()), &self.limits, fired);
                }
                group.failures = 0;
                true
            }
            Ok(_) | Err(_) => {
                group.failures = group.failures.saturating_add(1);
                false
            }
        }
    }

    fn run_single(&mut self, rule: usize, input: &Value, fired: &mut Vec<Fired>) {
        let entry = &self.policies.code.entries[rule];
        let result = match entry.program.as_ref().filter(|_| self.machines) {
            Some(program) => {
                let vm = self.singles[rule].get_or_insert_with(|| machine(program, &self.data, &self.limits, 1));
                execute(vm, input)
            }
            None => {
                let shared = &self.policies.code.engines[entry.engine];
                let engine = self.engines[entry.engine].get_or_insert_with(|| interpreter(shared, &self.limits));
                interpret(engine, &entry.path, input)
            }
        };
        // An engine that panicked is in no known state.
        if matches!(&result, Err(Cause::Runtime(text)) if text == PANICKED) {
            self.singles[rule] = None;
            self.engines[entry.engine] = None;
        }
        keep(rule, result, &self.limits, fired);
    }
}

/// What to run for a kind: groups where there are any, the rest by itself.
fn plan(rules: &[RuleInfo], groups: &[load::Group], kind: Kind) -> Plan {
    let chosen = groups.iter().enumerate().filter(|(_, group)| group.kinds.contains(&kind));
    let (chosen, grouped): (Vec<usize>, Vec<&[usize]>) =
        chosen.map(|(index, group)| (index, group.rules.as_slice())).unzip();
    let grouped: BTreeSet<usize> = grouped.into_iter().flatten().copied().collect();
    let matching = rules.iter().enumerate().filter(|(_, rule)| rule.kinds.contains(kind));
    let singles = matching.map(|(index, _)| index).filter(|index| !grouped.contains(index)).collect();
    Plan { groups: chosen, singles }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shipped_rules_run_in_groups() {
        let mut evaluator = Evaluator::plain(Policies::shipped().unwrap().shared(), Limits::default());
        for kind in Kind::ALL {
            let input = Value::from_json_str(&format!(r#"{{"event":{{"action":"{kind}"}}}}"#)).unwrap();
            assert_eq!(evaluator.evaluate(kind, &input).errors, []);
            assert!(evaluator.plans[kind as usize].singles.is_empty(), "{kind}");
        }
        assert!(evaluator.groups.iter().all(|group| group.failures == 0));
    }
}
