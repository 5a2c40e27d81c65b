//! Checks a written alert against the facts in `testdata/ecs-fields.json`: known names, types, arrays, allowed values.
//!
//! Invariant: what is not in the list of fields, not one of our four extensions and not below `sentinel` is an error.
//!
//! Not here: the whole of ECS; a field that an alert should newly carry is added to the list first.

use std::net::IpAddr;

use serde_json::{Map, Value};

const FACTS: &str = include_str!("../../testdata/ecs-fields.json");

/// Everything that is wrong with the alert; empty when it is valid.
pub(crate) fn problems(alert: &Value) -> Vec<String> {
    let facts: Value = serde_json::from_str(FACTS).unwrap();
    let mut check = Check { facts: &facts, found: Vec::new() };
    check.object("", alert.as_object().expect("an alert is an object"));
    check.types_fit_categories(alert);
    for name in ["@timestamp", "ecs.version", "event.kind", "event.category", "event.type", "event.outcome"] {
        let pointer = format!("/{}", name.replace('.', "/"));
        if alert.pointer(&pointer).is_none() {
            check.found.push(format!("{name} is missing"));
        }
    }
    check.found
}

struct Check<'a> {
    facts: &'a Value,
    found: Vec<String>,
}

impl Check<'_> {
    fn object(&mut self, parent: &str, object: &Map<String, Value>) {
        for (key, value) in object {
            let name = if parent.is_empty() { key.clone() } else { format!("{parent}.{key}") };
            self.field(&name, value);
        }
    }

    fn field(&mut self, name: &str, value: &Value) {
        if value.is_null() {
            return self.found.push(format!("{name} is null"));
        }
        match (name, value) {
            ("sentinel", Value::Object(_)) => {}
            ("process.ancestors", Value::Array(ancestors)) => self.ancestors(ancestors),
            ("process.args_truncated" | "file.write" | "file.create", Value::Bool(_)) => {}
            (_, Value::Object(object)) => self.object(name, object),
            (_, value) => self.leaf(name, value),
        }
    }

    /// Our extension: each ancestor is described in the words of `process`.
    fn ancestors(&mut self, ancestors: &[Value]) {
        for ancestor in ancestors {
            match ancestor.as_object() {
                Some(object) => self.object("process", object),
                None => self.found.push("process.ancestors holds something that is no process".to_owned()),
            }
        }
    }

    fn leaf(&mut self, name: &str, value: &Value) {
        let Some(fact) = self.facts["fields"].get(name) else {
            return self.found.push(format!("{name} is no field"));
        };
        let is_array = fact["array"].as_bool().unwrap_or(false);
        match (is_array, value) {
            (true, Value::Array(values)) => values.iter().for_each(|value| self.scalar(name, fact, value)),
            (true, _) => self.found.push(format!("{name} must be an array")),
            (false, Value::Array(_)) => self.found.push(format!("{name} must not be an array")),
            (false, value) => self.scalar(name, fact, value),
        }
    }

    fn scalar(&mut self, name: &str, fact: &Value, value: &Value) {
        let fits = match fact["type"].as_str().unwrap() {
            "keyword" | "match_only_text" | "wildcard" => value.is_string(),
            "long" => value.is_i64(),
            "boolean" => value.is_boolean(),
            "ip" => value.as_str().is_some_and(|text| text.parse::<IpAddr>().is_ok()),
            "date" => value.as_str().is_some_and(|text| text.parse::<jiff::Timestamp>().is_ok()),
            other => panic!("the list of fields has the unknown type {other}"),
        };
        if !fits {
            self.found.push(format!("{name} has a value of the wrong type: {value}"));
        }
        if fact["allowed"].as_array().is_some_and(|allowed| !allowed.contains(value)) {
            self.found.push(format!("{name} has a value that ECS does not know: {value}"));
        }
    }

    /// Each type must be one that ECS expects with at least one of the categories.
    fn types_fit_categories(&mut self, alert: &Value) {
        let listed = |name: &str| alert["event"][name].as_array();
        let (Some(categories), Some(types)) = (listed("category"), listed("type")) else { return };
        for kind in types {
            let expected = categories.iter().any(|category| {
                let known = self.facts["types_of_category"].get(category.as_str().unwrap_or_default());
                known.and_then(Value::as_array).is_some_and(|types| types.contains(kind))
            });
            if !expected {
                self.found.push(format!("event.type {kind} does not go with the categories"));
            }
        }
    }
}
