//! An explanation for programs. The shape is a contract (docs/replay.md): names and types are only added to.

use rules::explain::{BodyTrace, DefinitionTrace, Seen, Step, Truth};
use serde_json::{Value, json};

use super::{Explained, Explanation};
use crate::cli::replay::standing::Match;

/// Version of the shape.
const SCHEMA_VERSION: u32 = 1;

impl Explanation<'_> {
    /// Everything.
    pub(super) fn json(&self) -> Value {
        let event = &self.subject.event;
        json!({
            "schema_version": SCHEMA_VERSION,
            "found": self.subject.found,
            "event": {
                "action": event.kind.as_str(),
                "object": event.object(),
                "executable": event.process(),
                "input": event.input,
            },
            "alert": self.subject.alert.as_ref().map(alert),
            "policy": { "sha256": self.standing.policies().sha256(), "same_as_alert": self.same_policy() },
            "verdict": self.verdict(),
            "standing": self.matches.iter().map(|one| self.standing(one)).collect::<Vec<_>>(),
            "exemptions_considered": self.exemptions(),
            "rules": self.rules.iter().map(rule).collect::<Vec<_>>(),
        })
    }

    fn standing(&self, one: &Match) -> Value {
        let entry = self.entry(one);
        let list = entry.and_then(|entry| self.standing.programmes().list_of(&entry.value));
        json!({
            "id": entry.map_or(crate::standing::UNKNOWN_RULE, |entry| entry.id.as_str()),
            "verb": entry.map(|entry| entry.rule_name.as_str()),
            "location": entry.map(|entry| format!("{}:{}", entry.file, entry.line)),
            "effect": one.effect.word(),
            "because": &*one.because,
            "limits_hold": one.within,
            "list": list.map(|list| json!({ "id": list.id, "version": list.version })),
        })
    }
}

/// What the alert itself says.
fn alert(alert: &Value) -> Value {
    json!({ "id": alert.pointer("/event/id"), "message": alert["message"], "rule": alert["rule"], "sentinel": alert["sentinel"] })
}

fn rule(explained: &Explained) -> Value {
    let rule = explained.rule;
    let entries = explained.entries.iter().map(|(scope, ttl)| json!({ "scope": scope, "ttl": ttl }));
    json!({
        "id": rule.id,
        "verb": rule.verb.as_str(),
        "severity": rule.severity.as_str(),
        "title": rule.title,
        "location": { "file": rule.file, "line": rule.line },
        "fired": explained.fired,
        "silenced_by_allow": explained.silenced,
        "can_match": explained.trace.is_some(),
        "decision_ids": explained.ids,
        "messages": explained.messages,
        "entries": entries.collect::<Vec<_>>(),
        "error": explained.error,
        "failing": explained.trace.as_ref().and_then(DefinitionTrace::failing).map(step),
        "trace": explained.trace.as_ref().map(definition),
    })
}

fn truth(truth: &Truth) -> Value {
    match truth {
        Truth::Held => json!("held"),
        Truth::Failed => json!("failed"),
        Truth::NotReached => json!("not_reached"),
        Truth::Unclear(_) => json!("unclear"),
    }
}

fn definition(trace: &DefinitionTrace) -> Value {
    json!({
        "name": trace.name,
        "location": { "file": trace.file, "line": trace.line },
        "head": trace.head,
        "arguments": trace.arguments,
        "outcome": truth(&trace.truth),
        "bodies": trace.bodies.iter().map(body).collect::<Vec<_>>(),
    })
}

fn body(body: &BodyTrace) -> Value {
    json!({
        "else": body.is_else,
        "outcome": truth(&body.truth),
        "expressions": body.steps.iter().map(step).collect::<Vec<_>>(),
    })
}

fn step(step: &Step) -> Value {
    let why = match &step.truth {
        Truth::Unclear(why) => Some(why),
        Truth::Held | Truth::Failed | Truth::NotReached => None,
    };
    let seen = |seen: &Seen| json!({ "expression": seen.expression, "values": seen.values, "more": seen.more });
    json!({
        "line": step.line,
        "column": step.column,
        "text": step.text,
        "outcome": truth(&step.truth),
        "unclear": why,
        "values": step.values.iter().map(seen).collect::<Vec<_>>(),
        "helpers": step.below.iter().map(definition).collect::<Vec<_>>(),
    })
}
