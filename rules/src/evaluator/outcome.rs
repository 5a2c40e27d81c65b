//! From what the rules gave to what the policies say.
//!
//! Members are read and checked here, and `allow` has its effect.

use std::sync::Arc;

use regorus::Value;
use regorus::value::Set;

use super::{Fired, Limits};
use crate::decision::{Cause, Decision, EvalError, Outcome};
use crate::fields::{Problem, type_name};
use crate::kind::Kind;
use crate::member;
use crate::policies::RuleInfo;
use crate::vocabulary::{OnError, Verb};

/// Keeps what a rule gave, unless that is nothing.
pub(super) fn keep(rule: usize, result: Result<Value, Cause>, limits: &Limits, fired: &mut Vec<Fired>) {
    let result = match result {
        Ok(Value::Undefined) => return,
        Ok(Value::Set(members)) if members.is_empty() => return,
        Ok(Value::Set(members)) => bounded(members, limits),
        Ok(other) => Err(Cause::Runtime(format!("the rule is {}; a set is needed", type_name(&other)))),
        Err(cause) => Err(cause),
    };
    fired.push((rule, result));
}

/// The members, if they are not larger than the limit on memory allows.
fn bounded(members: Arc<Set>, limits: &Limits) -> Result<Arc<Set>, Cause> {
    let size: usize = members.iter().map(text_size).fold(0, usize::saturating_add);
    if size > limits.memory { Err(Cause::MemoryLimit) } else { Ok(members) }
}

/// Bytes of text in a member. A member is a text or a flat object; anything deeper is refused elsewhere.
fn text_size(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Object(object) => object.iter().map(|(_, field)| field.as_string().map_or(8, |text| text.len())).sum(),
        _ => 8,
    }
}

/// Turns members into decisions. An `allow` that fired silences its package.
pub(super) fn outcome(rules: &[RuleInfo], kind: Kind, fired: Vec<Fired>) -> Outcome {
    let mut outcome = Outcome::default();
    let (allows, decides): (Vec<Fired>, Vec<Fired>) =
        fired.into_iter().partition(|(rule, _)| rules[*rule].verb == Verb::Allow);
    for (index, members) in allows {
        let rule = &rules[index];
        let checked = members_of(rule, members, &mut outcome, member::check_allow);
        if !checked.is_empty() {
            outcome.allowed_by.push(rule.index);
        }
    }
    let silent: Vec<&str> = outcome.allowed_by.iter().map(|rule| rules[*rule as usize].package.as_str()).collect();
    for (index, members) in decides {
        let rule = &rules[index];
        let before = outcome.errors.len();
        let mut decisions = members_of(rule, members, &mut outcome, |member| member::read(rule, kind, member));
        if rule.on_error == OnError::Deny && rule.verb == Verb::Deny {
            decisions.extend(outcome.errors[before..].iter().filter_map(|error| failed(rule, kind, error)));
        }
        if !silent.contains(&rule.package.as_str()) {
            outcome.decisions.extend(decisions);
        }
    }
    outcome
}

/// The decision that a rule is taken to have made, although it failed.
fn failed(rule: &RuleInfo, kind: Kind, error: &EvalError) -> Option<Decision> {
    let message = format!("The rule could not judge this event, and its on_error is deny: {}", error.cause);
    // It has the rule's own scope, which fits every kind that the rule can match.
    member::read(rule, kind, &Value::from(message)).ok()
}

/// Reads every member; those that cannot be read are errors.
fn members_of<T>(
    rule: &RuleInfo,
    members: Result<Arc<Set>, Cause>,
    outcome: &mut Outcome,
    read: impl Fn(&Value) -> Result<T, Problem>,
) -> Vec<T> {
    let fail = |cause| EvalError { rule: rule.index, cause };
    match members {
        Err(cause) => {
            outcome.errors.push(fail(cause));
            Vec::new()
        }
        Ok(members) => {
            let results = members.iter_sorted().map(read);
            let (good, bad): (Vec<_>, Vec<_>) = results.partition(Result::is_ok);
            let problems = bad.into_iter().filter_map(Result::err);
            outcome.errors.extend(problems.map(|problem| fail(Cause::Runtime(problem.one_line()))));
            good.into_iter().filter_map(Result::ok).collect()
        }
    }
}
