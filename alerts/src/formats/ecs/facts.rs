//! What a policy can read of an event and ECS has no field for: in the alert it is `sentinel.facts`, in the same shape.
//!
//! Invariant: nothing is lost: the two halves put together are the event.

use serde_json::{Map, Value};

/// Fields of events that are neither in ECS nor one of the extensions.
const FACTS: [&[&str]; 10] = [
    &["process", "setuid"],
    &["process", "setgid"],
    &["process", "setcap"],
    &["process", "previous", "name"],
    &["process", "target"],
    &["file", "unlinked"],
    &["file", "in_memory"],
    &["orchestrator", "resource", "qos"],
    &["user", "audit", "id"],
    &["user", "audit"],
];

/// Takes them out of an event; they come back as an object of their own.
pub(super) fn split(event: &mut Map<String, Value>) -> Map<String, Value> {
    let mut facts = Map::new();
    for path in FACTS {
        if let Some(value) = take(event, path) {
            put(&mut facts, path, value);
        }
    }
    facts
}

/// Puts the facts of an alert back where the event has them, as `replay` and `explain` read it.
pub fn join(alert: &mut Value) {
    let facts = alert.get_mut("sentinel").and_then(|own| own.as_object_mut()?.remove("facts"));
    if let (Some(Value::Object(facts)), Some(event)) = (facts, alert.as_object_mut()) {
        merge(event, facts);
    }
}

fn take(object: &mut Map<String, Value>, path: &[&str]) -> Option<Value> {
    let (first, rest) = path.split_first()?;
    if rest.is_empty() {
        // An object that others have been taken out of says nothing any more.
        return object.remove(*first).filter(|value| value.as_object().is_none_or(|left| !left.is_empty()));
    }
    take(object.get_mut(*first)?.as_object_mut()?, rest)
}

fn put(object: &mut Map<String, Value>, path: &[&str], value: Value) {
    match path {
        [] => (),
        [name] => drop(object.insert((*name).to_owned(), value)),
        [name, rest @ ..] => {
            let inner = object.entry(*name).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

fn merge(into: &mut Map<String, Value>, from: Map<String, Value>) {
    for (name, value) in from {
        match (into.get_mut(&name), value) {
            (Some(Value::Object(inner)), Value::Object(value)) => merge(inner, value),
            (_, value) => drop(into.insert(name, value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_two_halves_are_the_event() {
        let event = json!({
            "process": {"pid": 1, "setuid": true, "previous": {"executable": "/bin/sh", "name": "sh"}, "target": {"pid": 2}},
            "file": {"path": "/x", "in_memory": false},
            "user": {"id": "0", "audit": {"id": "1000"}},
        });
        let Value::Object(mut rest) = event.clone() else { panic!("an object") };
        let facts = split(&mut rest);
        assert_eq!(
            Value::Object(rest.clone()),
            json!({"process": {"pid": 1, "previous": {"executable": "/bin/sh"}}, "file": {"path": "/x"}, "user": {"id": "0"}})
        );
        let mut alert = Value::Object(rest);
        alert["sentinel"] = json!({"facts": facts});
        join(&mut alert);
        assert_eq!(alert["sentinel"].take(), json!({}));
        alert.as_object_mut().unwrap().remove("sentinel");
        assert_eq!(alert, event);
    }
}
