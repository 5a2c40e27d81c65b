//! Evaluates the event rules on one event, on one thread.
//!
//! An evaluator owns its machines and shares nothing that is written to, not even reference counts: programs
//! and data are copied when it is made. Every evaluation of every definition is under limits; a definition that
//! fails is an error in the outcome, and the others still run.
//!
//! What the limits cover. `time` is wall-clock time, looked at every few hundred instructions (by both engines):
//! one built-in function, such as a regular expression on a long text, is not interrupted, and neither is a
//! thread that gets no processor. `instructions` are those of the register machine; the interpreter counts none
//! and is held by `time` alone. `memory` bounds the size of what a definition gives back; what it uses on the
//! way is bounded by the other two.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use regorus::rvm::RegoVM;
use regorus::rvm::program::Program;
use regorus::rvm::vm::VmError;
use regorus::utils::limits::{ExecutionTimerConfig, LimitError};
use regorus::value::Set;
use regorus::{Engine, Value};

use crate::decision::{Cause, EvalError, Outcome};
use crate::kind::Kind;
use crate::load::Entry;
use crate::load::parse::message;
use crate::member;
use crate::policies::{Policies, RuleInfo};
use crate::vocabulary::Verb;

/// Work units between looks at the clock.
const CHECK_EVERY: NonZeroU32 = NonZeroU32::new(256).unwrap();

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

/// Runs event rules; one for each worker thread.
#[derive(Debug)]
pub struct Evaluator {
    policies: Arc<Policies>,
    limits: Limits,
    /// For each rule.
    runners: Vec<Runner>,
    /// For each package.
    engines: Vec<Engine>,
    /// For each kind, the rules that can match it.
    by_kind: Vec<Vec<Group>>,
}

/// The rules of one package that can match one kind of event.
#[derive(Debug, Default)]
struct Group {
    allow: Vec<usize>,
    decide: Vec<usize>,
}

#[derive(Debug)]
enum Runner {
    Machine(Box<RegoVM>),
    Interpreter(usize, String),
}

impl Evaluator {
    /// Copies the code of `policies` for this thread.
    pub fn new(policies: Arc<Policies>, limits: Limits) -> Evaluator {
        let data = deep_copy(&policies.code.data);
        let timer = ExecutionTimerConfig { limit: limits.time, check_interval: CHECK_EVERY };
        let runner = |entry: &Entry| match entry {
            Entry::Program(program) => Runner::Machine(Box::new(machine(program, &data, timer, limits.instructions))),
            Entry::Interpreter(engine, path) => Runner::Interpreter(*engine, path.clone()),
        };
        let runners = policies.code.entries.iter().map(runner).collect();
        let mut engines = policies.code.engines.clone();
        engines.iter_mut().for_each(|engine| engine.set_execution_timer_config(timer));
        let by_kind = Kind::ALL.into_iter().map(|kind| groups(policies.rules(), kind)).collect();
        Evaluator { limits, runners, engines, by_kind, policies }
    }

    /// The policies it runs.
    pub fn policies(&self) -> &Arc<Policies> {
        &self.policies
    }

    /// Runs every rule that can match `kind` on `input`.
    pub fn evaluate(&mut self, kind: Kind, input: &Value) -> Outcome {
        let mut outcome = Outcome::default();
        let Evaluator { policies, limits, runners, engines, by_kind } = self;
        let Some(groups) = by_kind.get(kind as usize) else { return outcome };
        for group in groups {
            let allowed_before = outcome.allowed_by.len();
            for (rules, verbs) in [(&group.allow, true), (&group.decide, false)] {
                // What an `allow` of the package let through is not looked at any further.
                if !verbs && outcome.allowed_by.len() > allowed_before {
                    continue;
                }
                for index in rules {
                    let rule = &policies.rules()[*index];
                    let members = run(&mut runners[*index], engines, input).and_then(|value| bounded(value, limits));
                    collect(rule, kind, members, &mut outcome);
                }
            }
        }
        outcome.decisions.sort_by_key(|decision| decision.rule);
        outcome
    }
}

/// The rules for a kind, by package, in order of definition.
fn groups(rules: &[RuleInfo], kind: Kind) -> Vec<Group> {
    let mut groups: Vec<(&str, Group)> = Vec::new();
    for (index, rule) in rules.iter().enumerate().filter(|(_, rule)| rule.kinds.contains(kind)) {
        let place = groups.iter().position(|(package, _)| *package == rule.package).unwrap_or_else(|| {
            groups.push((&rule.package, Group::default()));
            groups.len() - 1
        });
        match rule.verb {
            Verb::Allow => groups[place].1.allow.push(index),
            Verb::Deny | Verb::Alert => groups[place].1.decide.push(index),
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

fn machine(program: &Program, data: &Value, timer: ExecutionTimerConfig, instructions: usize) -> RegoVM {
    let mut program = program.clone();
    program.literals.iter_mut().for_each(|literal| *literal = deep_copy(literal));
    let mut vm = RegoVM::new();
    vm.load_program(Arc::new(program));
    vm.set_max_instructions(instructions);
    vm.set_execution_timer_config(Some(timer));
    // The load has tried this; a conflict cannot come up any more.
    if let Err(error) = vm.set_data(data.clone()) {
        debug_assert!(false, "data was checked at load: {error}");
    }
    vm
}

fn run(runner: &mut Runner, engines: &mut [Engine], input: &Value) -> Result<Value, Cause> {
    match runner {
        Runner::Machine(vm) => {
            vm.set_input(input.clone());
            vm.execute_entry_point_by_index(0).map_err(machine_cause)
        }
        Runner::Interpreter(engine, path) => match engines.get_mut(*engine) {
            Some(engine) => {
                engine.set_input(input.clone());
                engine.eval_rule(path.clone()).map_err(|error| interpreter_cause(error.downcast_ref(), &error.to_string()))
            }
            None => Err(Cause::Runtime("the rule has no engine".to_owned())),
        },
    }
}

fn machine_cause(error: VmError) -> Cause {
    match error {
        VmError::TimeLimitExceeded { .. } => Cause::TimeLimit,
        VmError::InstructionLimitExceeded { .. } => Cause::InstructionLimit,
        VmError::MemoryLimitExceeded { .. } | VmError::MemoryBudgetExceeded { .. } => Cause::MemoryLimit,
        other => Cause::Runtime(other.to_string()),
    }
}

fn interpreter_cause(limit: Option<&LimitError>, text: &str) -> Cause {
    match limit {
        Some(LimitError::TimeLimitExceeded { .. }) => Cause::TimeLimit,
        Some(LimitError::MemoryLimitExceeded { .. }) => Cause::MemoryLimit,
        Some(LimitError::RegexSizeLimitExceeded { .. }) | None => {
            Cause::Runtime(message(text))
        }
    }
}

/// The members, if there are not more of them than the limit on memory allows.
fn bounded(value: Value, limits: &Limits) -> Result<Option<Arc<Set>>, Cause> {
    match value {
        Value::Undefined => Ok(None),
        Value::Set(members) => {
            let size: usize = members.iter().map(text_size).fold(0, usize::saturating_add);
            if size > limits.memory { Err(Cause::MemoryLimit) } else { Ok(Some(members)) }
        }
        other => Err(Cause::Runtime(format!("the rule is {}; a set is needed", crate::fields::type_name(&other)))),
    }
}

/// Bytes of text in a member. A member is a text or a flat object; anything deeper is refused elsewhere.
fn text_size(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Object(object) => object.iter().map(|(_, field)| field.as_string().map_or(8, |text| text.len())).sum(),
        _ => 8,
    }
}

fn collect(rule: &RuleInfo, kind: Kind, members: Result<Option<Arc<Set>>, Cause>, outcome: &mut Outcome) {
    let fail = |cause| EvalError { rule: rule.index, cause };
    let members = match members {
        Ok(None) => return,
        Ok(Some(members)) => members,
        Err(cause) => return outcome.errors.push(fail(cause)),
    };
    for member in members.iter_sorted() {
        let malformed = match rule.verb {
            Verb::Allow => match member::check_allow(member) {
                Ok(()) => {
                    if outcome.allowed_by.last() != Some(&rule.index) {
                        outcome.allowed_by.push(rule.index);
                    }
                    continue;
                }
                Err(problem) => problem,
            },
            Verb::Deny | Verb::Alert => match member::read(rule, kind, member) {
                Ok(decision) => {
                    outcome.decisions.push(decision);
                    continue;
                }
                Err(problem) => problem,
            },
        };
        outcome.errors.push(fail(Cause::Runtime(malformed.one_line())));
    }
}

/// A value that shares nothing with the original.
fn deep_copy(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::from(text.as_ref()),
        Value::Array(array) => Value::from(array.iter().map(deep_copy).collect::<Vec<_>>()),
        Value::Set(set) => {
            Value::from(set.iter_sorted().map(deep_copy).collect::<std::collections::BTreeSet<_>>())
        }
        Value::Object(object) => {
            let fields = object.iter().map(|(key, value)| (deep_copy(key), deep_copy(value)));
            Value::from(fields.collect::<std::collections::BTreeMap<_, _>>())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Undefined => value.clone(),
    }
}
