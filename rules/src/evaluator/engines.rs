//! The two engines behind one call each: input in, value or cause of failure out.
//!
//! Limits are set when an engine is made and hold for every call. A panic inside regorus is a failure like any
//! other. What a value means is not known here.

use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use regorus::rvm::RegoVM;
use regorus::rvm::program::Program;
use regorus::rvm::vm::VmError;
use regorus::utils::limits::{ExecutionTimerConfig, LimitError};
use regorus::{Engine, Value};

use super::Limits;
use crate::decision::Cause;
use crate::load::parse::message;

/// Work units between looks at the clock.
const CHECK_EVERY: NonZeroU32 = NonZeroU32::new(16).unwrap();

/// A machine for a program that holds `rules` definitions. The copy shares nothing with the program.
pub(super) fn machine(program: &Program, data: &Value, limits: &Limits, rules: usize) -> Box<RegoVM> {
    let mut program = program.clone();
    program.literals.iter_mut().for_each(|literal| *literal = deep_copy(literal));
    let mut vm = Box::new(RegoVM::new());
    vm.load_program(Arc::new(program));
    vm.set_max_instructions(limits.instructions.saturating_mul(rules));
    vm.set_execution_timer_config(Some(timer(limits)));
    // The load has tried this; a conflict cannot come up any more.
    if let Err(error) = vm.set_data(data.clone()) {
        debug_assert!(false, "data was checked at load: {error}");
    }
    vm
}

/// What a panic inside regorus is reported as.
pub(super) const PANICKED: &str = "the policy engine panicked";

pub(super) fn execute(vm: &mut RegoVM, input: &Value) -> Result<Value, Cause> {
    vm.set_input(input.clone());
    // A bug in the engine must cost one rule, not the thread.
    let run = catch_unwind(AssertUnwindSafe(|| vm.execute_entry_point_by_index(0)));
    run.unwrap_or_else(|_| Err(VmError::Internal { message: PANICKED.to_owned(), pc: 0 })).map_err(machine_cause)
}

pub(super) fn interpret(engine: &mut Engine, path: &str, input: &Value) -> Result<Value, Cause> {
    engine.set_input(input.clone());
    let run = catch_unwind(AssertUnwindSafe(|| {
        let value = engine.eval_rule(path.to_owned());
        // What a rule prints is of no use here, and would pile up.
        drop(engine.take_prints());
        value.map_err(|error| interpreter_cause(error.downcast_ref(), &error.to_string()))
    }));
    run.unwrap_or_else(|_| Err(Cause::Runtime(PANICKED.to_owned())))
}

pub(super) fn interpreter(engine: &Engine, limits: &Limits) -> Engine {
    let mut engine = engine.clone();
    engine.set_execution_timer_config(timer(limits));
    engine
}

fn timer(limits: &Limits) -> ExecutionTimerConfig {
    ExecutionTimerConfig { limit: limits.time, check_interval: CHECK_EVERY }
}

fn machine_cause(error: VmError) -> Cause {
    match error {
        VmError::TimeLimitExceeded { .. } => Cause::TimeLimit,
        VmError::InstructionLimitExceeded { .. } => Cause::InstructionLimit,
        VmError::MemoryLimitExceeded { .. } | VmError::MemoryBudgetExceeded { .. } => Cause::MemoryLimit,
        VmError::Internal { message, .. } => Cause::Runtime(message),
        other => Cause::Runtime(other.to_string()),
    }
}

fn interpreter_cause(limit: Option<&LimitError>, text: &str) -> Cause {
    match limit {
        Some(LimitError::TimeLimitExceeded { .. }) => Cause::TimeLimit,
        Some(LimitError::MemoryLimitExceeded { .. }) => Cause::MemoryLimit,
        Some(LimitError::RegexSizeLimitExceeded { .. }) | None => Cause::Runtime(message(text)),
    }
}

/// A value that shares nothing with the original.
pub(super) fn deep_copy(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::from(text.as_ref()),
        Value::Array(array) => Value::from(array.iter().map(deep_copy).collect::<Vec<_>>()),
        Value::Set(set) => Value::from(set.iter_sorted().map(deep_copy).collect::<std::collections::BTreeSet<_>>()),
        Value::Object(object) => {
            let fields = object.iter().map(|(key, value)| (deep_copy(key), deep_copy(value)));
            Value::from(fields.collect::<std::collections::BTreeMap<_, _>>())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Undefined => value.clone(),
    }
}
