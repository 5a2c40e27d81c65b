//! Which alerts are evidence, and what of them goes into the trail.
//!
//! Invariants: the record has the alert as it left, without arguments unless they are asked for, because arguments hold
//! secrets; what the effect was follows from the kernel's verdict. Not here: alerts that only report.

use serde_json::{Map, Value, json};

use super::trail::fields;
use crate::{
    alert::Alert,
    formats::to_ecs_line,
    terms::{Decision, Effect},
};

/// Members of the alert that say nothing about the decision.
const LEFT_OUT: [&str; 3] = ["ecs", "message", "threat"];
/// Members of a process that hold what was typed.
const TYPED: [&str; 3] = ["args", "command_line", "title"];

/// What became of the event, in one word; `None` for alerts that are no evidence.
#[must_use]
pub fn effect(alert: &Alert) -> Option<&'static str> {
    let parts = alert.parts();
    match (parts.decision, parts.effect) {
        (Decision::Exempt, _) => Some("exempt"),
        (_, Effect::Refused) => Some("refused"),
        (_, Effect::WouldBlock) => Some("would_refuse"),
        // Decided after the event: from the next one on it is refused.
        (Decision::Deny, Effect::Passed) => Some("let_through"),
        (Decision::Alert, Effect::Passed) => {
            parts.geo.as_ref().filter(|geo| geo.country.is_none()).map(|_| "unknown_country")
        }
    }
}

/// The data of a record of the kind [`super::Kind::Decision`]; `None` for alerts that are no evidence.
#[must_use]
pub fn decision(alert: &Alert, arguments: bool) -> Option<Map<String, Value>> {
    let effect = effect(alert)?;
    let mut value: Value = serde_json::from_str(&to_ecs_line(alert)).unwrap_or_default();
    if let Value::Object(object) = &mut value {
        LEFT_OUT.iter().for_each(|name| drop(object.remove(*name)));
        if let Some(process) = object.get_mut("process").filter(|_| !arguments) {
            without_arguments(process);
        }
    }
    Some(fields(json!({ "alert": value, "effect": effect, "id": alert.id().to_string() })))
}

/// Takes out what was typed, here and in every process below.
fn without_arguments(process: &mut Value) {
    match process {
        Value::Object(object) => {
            TYPED.iter().for_each(|name| drop(object.remove(*name)));
            object.values_mut().for_each(without_arguments);
        }
        Value::Array(items) => items.iter_mut().for_each(without_arguments),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Action, AlertParts, DecidedIn, Mode, RuleHit, Sequencer, Severity, Verb};

    fn alert(decision: Decision, effect: Effect) -> Alert {
        let event = json!({ "@timestamp": "2026-01-01T00:00:00Z", "process": { "pid": 1, "args": ["curl", "secret"],
            "parent": { "command_line": "sh -c secret" }, "ancestors": [{ "args": ["secret"] }] } });
        Sequencer::new("boot").alert(AlertParts {
            action: Action::Connect,
            event: fields(event),
            message: None,
            mode: Mode::Enforce,
            effect,
            decided_in: DecidedIn::Kernel,
            hook: "connect4".to_owned(),
            decision,
            rules: vec![RuleHit::new("r", Verb::BlockCountries, Severity::High, "m")],
            entry_written: None,
            exemption: None,
            geo: None,
            list: None,
            policy_sha256: None,
            suppressed: 0,
            lost_before: 0,
        })
    }

    #[test]
    fn refusals_are_evidence_and_reports_are_not() {
        for (what, how, word) in [
            (Decision::Deny, Effect::Refused, Some("refused")),
            (Decision::Deny, Effect::WouldBlock, Some("would_refuse")),
            (Decision::Deny, Effect::Passed, Some("let_through")),
            (Decision::Exempt, Effect::Passed, Some("exempt")),
            (Decision::Alert, Effect::Passed, None),
        ] {
            assert_eq!(effect(&alert(what, how)), word);
        }
    }

    #[test]
    fn arguments_stay_out_unless_they_are_asked_for() {
        let alert = alert(Decision::Deny, Effect::Refused);
        let without = serde_json::to_string(&decision(&alert, false)).unwrap();
        assert!(!without.contains("secret") && without.contains("\"pid\":1"), "{without}");
        let with = serde_json::to_string(&decision(&alert, true)).unwrap();
        assert_eq!(with.matches("secret").count(), 3, "{with}");
    }
}
