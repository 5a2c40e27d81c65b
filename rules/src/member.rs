//! Reads the members of event rules: a message, or an object that says more.
//!
//! The same checks serve the load (for what is written literally) and the evaluation. A malformed member is an
//! error wherever it is found; it is never ignored and never half used.

use regorus::Value;

use crate::decision::{Action, DEFAULT_TTL, Decision};
use crate::fields::{Fields, Problem, text, type_name, whole_number, word};
use crate::kind::Kind;
use crate::policies::RuleInfo;
use crate::scope::{Object, Scope};
use crate::vocabulary::{Severity, Verb};

/// Ten years in seconds: a longer ttl is a mistake for 0, while the rule exists.
const MAX_TTL: u64 = 315_360_000;

/// The keys a member may have.
pub(crate) fn keys(verb: Verb) -> &'static [&'static str] {
    match verb {
        Verb::Deny => &["msg", "id", "severity", "ttl", "scope", "action"],
        Verb::Alert | Verb::Allow => &["msg", "id", "severity"],
    }
}

/// Checks one field of a member whose value is known; an unknown key is a problem.
pub(crate) fn check_field(verb: Verb, key: &str, value: &Value) -> Result<(), Problem> {
    match key {
        "msg" => text(key, value).map(drop),
        "id" => read_id(value).map(drop),
        "severity" => word::<Severity>(key, text(key, value)?).map(drop),
        "ttl" => read_ttl(value).map(drop),
        "scope" => read_scope(value).map(drop),
        "action" => word::<Action>(key, text(key, value)?).map(drop),
        _ => Ok(()),
    }?;
    check_key(verb, key)
}

/// Checks that a member may have a key.
pub(crate) fn check_key(verb: Verb, key: &str) -> Result<(), Problem> {
    let mut one = regorus::value::Object::new();
    one.insert(Value::from(key), Value::Null);
    Fields::new(&one, keys(verb)).map(drop).map_err(|problem| explain_block_keys(verb, key, problem))
}

/// `ttl`, `scope` and `action` describe a block entry; only `deny` writes one.
fn explain_block_keys(verb: Verb, key: &str, problem: Problem) -> Problem {
    if keys(Verb::Deny).contains(&key) {
        Problem::new(format!("\"{key}\" describes a block entry, and `{verb}` writes none"))
            .hint(format!("use `deny`, or leave \"{key}\" out"))
    } else {
        problem
    }
}

pub(crate) fn read_ttl(value: &Value) -> Result<u64, Problem> {
    whole_number("ttl", value, MAX_TTL).map_err(|p| p.hint("0 keeps the entry while the rule exists"))
}

pub(crate) fn read_scope(value: &Value) -> Result<Scope, Problem> {
    text("scope", value)?.parse().map_err(|error| Problem::new(format!("\"scope\": {error}")))
}

/// An id is shown in alerts and typed on command lines: letters, digits and `-_.:/`.
pub(crate) fn read_id(value: &Value) -> Result<&str, Problem> {
    let id = text("id", value)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:/".contains(c);
    if id.is_empty() || id.len() > 128 || !id.chars().all(plain) {
        return Err(Problem::new(format!("\"{}\" is not an id", id.escape_debug()))
            .hint("use up to 128 letters, digits and -_.:/"));
    }
    Ok(id)
}

/// Whether the event has what the scope blocks.
fn check_scope(scope: Scope, kind: Kind) -> Result<(), Problem> {
    let fits = match scope.object {
        Object::Destination | Object::DestinationPort => kind.is_network(),
        Object::File | Object::Path => !kind.is_network(),
        Object::Cidr(_) => true,
    };
    if fits {
        Ok(())
    } else {
        Err(Problem::new(format!("\"scope\": an event \"{kind}\" has nothing that \"{scope}\" could block")))
    }
}

/// Reads a member of `deny` or `alert` into a decision.
pub(crate) fn read(rule: &RuleInfo, kind: Kind, member: &Value) -> Result<Decision, Problem> {
    let mut decision = Decision {
        rule: rule.index,
        id: rule.id.clone(),
        verb: rule.verb,
        message: String::new(),
        severity: rule.severity,
        ttl: rule.ttl.unwrap_or(DEFAULT_TTL),
        scope: Scope::default_for(kind),
        action: Action::Refuse,
    };
    match member {
        Value::String(message) => decision.message = message.to_string(),
        Value::Object(object) => read_object(&mut decision, object)?,
        other => return Err(wrong_type(rule.verb, other)),
    }
    check_scope(decision.scope, kind)?;
    Ok(decision)
}

/// A member that is neither a message nor an object.
pub(crate) fn wrong_type(verb: Verb, value: &Value) -> Problem {
    Problem::new(format!("a member of `{verb}` is {}", type_name(value)))
        .hint(format!("write a message, or an object with {}", keys(verb).join(", ")))
}

fn read_object(decision: &mut Decision, object: &regorus::value::Object) -> Result<(), Problem> {
    let fields = Fields::new(object, keys(Verb::Deny))?;
    for (key, value) in object.iter() {
        if let Value::String(key) = key {
            check_field(decision.verb, key, value)?;
        }
    }
    decision.message = fields.required_text("msg")?.to_owned();
    if let Some(id) = fields.get("id") {
        decision.id = read_id(id)?.to_owned();
    }
    decision.severity = fields.word("severity")?.unwrap_or(decision.severity);
    if let Some(ttl) = fields.get("ttl") {
        decision.ttl = read_ttl(ttl)?;
    }
    if let Some(scope) = fields.get("scope") {
        decision.scope = read_scope(scope)?;
    }
    decision.action = fields.word("action")?.unwrap_or(decision.action);
    Ok(())
}

/// Checks a member of `allow`, which decides nothing itself.
pub(crate) fn check_allow(member: &Value) -> Result<(), Problem> {
    match member {
        Value::String(_) => Ok(()),
        Value::Object(object) => Fields::new(object, keys(Verb::Allow)).map(drop),
        other => Err(wrong_type(Verb::Allow, other)),
    }
}
