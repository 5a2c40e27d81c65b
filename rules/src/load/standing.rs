//! Evaluates standing rules into entries.
//!
//! They see no input, which is checked on the text: a rule that reads `input` would always be undefined here.
//! They run in the interpreter, once, under a time limit.

use std::num::NonZeroU32;
use std::time::Duration;

use regorus::Value;
use regorus::utils::limits::ExecutionTimerConfig;

use crate::analysis::corpus::{Corpus, Source};
use crate::analysis::fields_read;
use crate::diagnostic::{Diagnostic, Findings, TAB};
use crate::fields::{Problem, items};
use crate::load::annotation::Annotation;
use crate::load::compile::{Package, entry_path};
use crate::load::definitions::{Found, Role};
use crate::standing::{AccessSet, StandingEntry, StandingRule, StandingValue, Subjects, read_member};
use crate::vocabulary::{OnError, Severity};

/// Longest a standing rule may take.
const TIME: Duration = Duration::from_secs(10);
/// Most members of one definition.
const MAX_MEMBERS: usize = 1_000_000;

/// Evaluates one definition; what is wrong with it is reported.
pub(super) fn evaluate(
    corpus: &Corpus,
    package: &mut Package,
    found: &Found,
    annotation: &Annotation,
    findings: &mut Findings,
) -> Vec<StandingEntry> {
    let Role::Standing(rule) = found.role else { return Vec::new() };
    let source = &corpus.modules[found.at.0];
    let fields = fields_read(corpus, found.at);
    if !fields.is_empty() {
        let message = format!("`{rule}` reads input ({fields}), and standing rules are evaluated without an event");
        let hint = "use `deny` for a decision on an event, or take the value from `data`";
        findings.error(at(source, found, message).hint(hint).code("standing-input"));
        return Vec::new();
    }
    package.engine.set_execution_timer_config(ExecutionTimerConfig { limit: TIME, check_interval: CHECK_EVERY });
    let value = match package.engine.eval_rule(entry_path(corpus, Some(found))) {
        Ok(value) => value,
        Err(error) => {
            let message = crate::load::parse::message(&error.to_string());
            findings
                .error(at(source, found, format!("`{rule}` cannot be evaluated: {message}")).code("standing-value"));
            return Vec::new();
        }
    };
    read_members(rule, source, found, annotation, &value, findings)
}

/// Work units between looks at the clock.
const CHECK_EVERY: NonZeroU32 = NonZeroU32::new(256).unwrap();

fn read_members(
    rule: StandingRule,
    source: &Source,
    found: &Found,
    annotation: &Annotation,
    value: &Value,
    findings: &mut Findings,
) -> Vec<StandingEntry> {
    let members = match items(value) {
        Some(members) => members,
        // A conditional definition whose condition does not hold.
        None if *value == Value::Undefined => return Vec::new(),
        None => {
            let message = format!("`{rule}` is {}; a set is needed", crate::fields::type_name(value));
            findings.error(at(source, found, message).code("standing-value"));
            return Vec::new();
        }
    };
    if members.len() > MAX_MEMBERS {
        let message = format!("`{rule}` has {} members; the limit is {MAX_MEMBERS}", members.len());
        findings.error(at(source, found, message).code("standing-value"));
        return Vec::new();
    }
    let template = template(rule, source, found, annotation);
    let mut entries = Vec::new();
    for member in members {
        match read_member(&template, member) {
            Ok((mut entry, notices)) => {
                entry.written = is_written(source, found, member);
                entries.push(entry);
                notices.into_iter().for_each(|notice| findings.notice(located(source, found, member, notice)));
            }
            Err(problem) => findings.error(located(source, found, member, problem)),
        }
    }
    entries
}

/// An entry with everything the definition says.
fn template(rule: StandingRule, source: &Source, found: &Found, annotation: &Annotation) -> StandingEntry {
    StandingEntry {
        id: annotation.id.clone().unwrap_or_else(|| found.default_id.clone()),
        package: source.package(),
        rule_name: rule,
        severity: annotation.severity.unwrap_or(Severity::Medium),
        mode: annotation.mode,
        on_error: annotation.on_error.unwrap_or(OnError::Alert),
        techniques: annotation.techniques.clone().unwrap_or_default(),
        title: annotation.title.clone().unwrap_or_default(),
        file: source.file.clone(),
        line: found.line,
        // Replaced for every member.
        value: StandingValue::BlockRegion(String::new()),
        written: true,
        access: AccessSet::ALL,
        only: Subjects::default(),
        except: Subjects::default(),
    }
}

fn at(source: &Source, found: &Found, message: impl Into<String>) -> Diagnostic {
    Diagnostic::at(&source.file, &source.text, found.line, found.column, message)
}

/// Puts a finding on the line where the member is written, if it is; else on the head.
fn located(source: &Source, found: &Found, member: &Value, problem: Problem) -> Diagnostic {
    let written = match member {
        Value::String(text) => Some(text.to_string()),
        Value::Object(object) => {
            let key = |name: &str| object.get(&Value::from(name)).and_then(|value| value.as_string().ok());
            key("id").or_else(|| key("value")).map(|text| text.to_string())
        }
        _ => None,
    };
    let rule = source.module.policy[found.at.1].span();
    let place = written.and_then(|text| find_literal(source, rule.start, rule.end, &text));
    let (line, column) = place.unwrap_or((found.line, found.column));
    let message = format!("`{}`: {}", found.role.name(), problem.message);
    Diagnostic::at(&source.file, &source.text, line, column, message).hint(problem.hint).code("standing-value")
}

/// Whether the text of the definition has the member's value as a literal.
fn is_written(source: &Source, found: &Found, member: &Value) -> bool {
    let value = match member {
        Value::Object(object) => object.get(&Value::from("value")),
        other => Some(other),
    };
    let rule = source.module.policy[found.at.1].span();
    let text = value.and_then(|value| value.as_string().ok());
    text.is_some_and(|text| find_literal(source, rule.start, rule.end, text).is_some())
}

/// Line and column of a string literal within a span.
fn find_literal(source: &Source, start: u32, end: u32, text: &str) -> Option<(u32, u32)> {
    let (start, end) = (usize::try_from(start).ok()?, usize::try_from(end).ok()?);
    // The span of a rule that ends in a string stops before the closing quote.
    let end = (end + 1).min(source.text.len());
    let offset = source.text.get(start..end)?.find(&format!("{text:?}"))? + start;
    let before = &source.text[..offset];
    let line = before.matches('\n').count() + 1;
    // As the engine counts.
    let column = before.rsplit('\n').next()?.chars().map(|c| if c == '\t' { TAB } else { 1 }).sum::<u32>() + 1;
    Some((u32::try_from(line).ok()?, column))
}
