//! The other formats: golden files, our own JSON Schema, sizes.
//!
//! `UPDATE_GOLDEN=1 cargo test -p alerts --test formats` writes the golden files anew; read the difference before
//! keeping it. That they are valid by the schemas of others is the stage `formats` of `cargo xtask test`.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/samples.rs"]
mod samples;

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use alerts::{
    ALERT_SCHEMA, Action, Effect, Facility, Format, Redactor, RuleHit, Severity, Verb, to_ecs_line, to_rfc5424,
};
use serde_json::{Value, json};

fn read(line: &str) -> Value {
    serde_json::from_str(line).unwrap()
}

/// Every kind of alert, those with a fold too.
fn all() -> Vec<(&'static str, String)> {
    samples::all().into_iter().map(|(name, alert)| (name, to_ecs_line(&alert))).collect()
}

/// The same for every action and effect, without the names.
fn variants() -> Vec<String> {
    let mut lines: Vec<String> = all().into_iter().map(|(_, line)| line).collect();
    for action in Action::ALL {
        for effect in [Effect::Refused, Effect::WouldBlock, Effect::Passed] {
            for decided_in in [alerts::DecidedIn::Kernel, alerts::DecidedIn::User] {
                let special = json!({
                    "file": {"path": "/srv/a", "write": true, "create": true, "unlinked": false, "in_memory": true},
                    "user": {"id": "33", "audit": {"id": "1000"}},
                    "orchestrator": {"type": "kubernetes", "resource": {"type": "pod", "qos": "burstable"}},
                    "process": {
                        "pid": 7, "setuid": true, "setgid": false, "setcap": false, "target": {"pid": 3, "user": {"id": "0"}},
                        "previous": {"executable": "/bin/sh", "name": "sh"},
                    },
                    "destination": {"ip": "2001:db8::1", "port": 53},
                    "network": {"transport": "udp", "type": "ipv6"},
                });
                let rule = RuleHit::new("some-rule", Verb::Deny, Severity::Low, "something happened");
                let parts =
                    alerts::AlertParts { effect, decided_in, ..samples::parts(*action, samples::event(special), rule) };
                lines.push(to_ecs_line(&samples::alert(9, parts)));
            }
        }
    }
    lines
}

#[test]
fn lines_are_those_of_the_golden_files() {
    for format in [Format::Ocsf, Format::Falco, Format::Cef] {
        for (name, ecs) in all() {
            let line = format.line(&ecs).into_owned();
            golden(&format!("{format}/{name}"), &line, format.is_json());
        }
    }
    let (_, ecs) = all().remove(0);
    golden("rfc5424/refused-connect", &to_rfc5424(Facility::default(), &read(&ecs), &Format::Cef.line(&ecs)), false);
}

fn golden(name: &str, line: &str, json: bool) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let file = folder.join(format!("{name}.{}", if json { "json" } else { "txt" }));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        let text = if json { serde_json::to_string_pretty(&read(line)).unwrap() } else { line.to_owned() };
        fs::write(&file, text + "\n").unwrap();
    }
    let text = fs::read_to_string(&file).unwrap();
    let expected = if json { read(&text).to_string() } else { text.trim_end().to_owned() };
    assert_eq!(line, expected, "{}", file.display());
}

/// For the stage `formats`, which hands the file to the validators of others.
#[test]
fn variants_are_written_where_validators_find_them() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("formats");
    fs::create_dir_all(&folder).unwrap();
    for format in Format::ALL {
        let lines: Vec<String> = variants().iter().map(|ecs| format.line(ecs).into_owned()).collect();
        assert!(lines.len() > 100 && lines.iter().all(|line| !line.contains('\n')), "one alert, one line");
        fs::write(folder.join(format!("{format}.jsonl")), lines.join("\n") + "\n").unwrap();
    }
}

/// Readers accept what they do not know; the test does not.
fn closed(schema: &Value) -> Value {
    match schema {
        Value::Object(map) => {
            let mut map: serde_json::Map<String, Value> =
                map.iter().map(|(name, value)| (name.clone(), closed(value))).collect();
            if map.contains_key("properties") && !map.contains_key("$id") {
                map.insert("additionalProperties".to_owned(), json!(false));
            }
            Value::Object(map)
        }
        Value::Array(list) => Value::Array(list.iter().map(closed).collect()),
        other => other.clone(),
    }
}

#[test]
fn our_own_object_follows_its_schema_and_a_changed_one_does_not() {
    let schema = read(ALERT_SCHEMA);
    let (open, strict) =
        (jsonschema::validator_for(&schema).unwrap(), jsonschema::validator_for(&closed(&schema)).unwrap());
    for line in variants() {
        let errors: Vec<String> = strict.iter_errors(&read(&line)).map(|error| error.to_string()).collect();
        assert_eq!(errors, Vec::<String>::new(), "{line}");
    }
    let (_, good) = all().remove(0);
    for (pointer, value) in [
        ("/sentinel/blocked", json!("true")),
        ("/sentinel/sequence", json!(0)),
        ("/sentinel/mode", json!("learn")),
        ("/sentinel/rules", json!({"id": "x"})),
        ("/sentinel/rules/0/severity", json!("urgent")),
        ("/sentinel/geo/country", json!("North Korea")),
        ("/sentinel/suppressed", json!(-1)),
        ("/sentinel", json!({})),
    ] {
        let mut alert = read(&good);
        *alert.pointer_mut(pointer).unwrap() = value;
        assert!(!open.is_valid(&alert), "{pointer}");
    }
}

/// Names and types of version 1 as they were published: they may be added to, never changed or taken away.
#[test]
fn the_schema_is_only_added_to() {
    let schema = read(ALERT_SCHEMA);
    let mut found = Vec::new();
    describe("", &schema, &mut found);
    let frozen = include_str!("../testdata/sentinel-1-properties.txt");
    for line in frozen.lines().filter(|line| !line.is_empty()) {
        assert!(found.iter().any(|property| property == line), "{line} is gone or changed; found {found:#?}");
    }
}

fn describe(path: &str, schema: &Value, found: &mut Vec<String>) {
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}/{name}");
        let kind = inner["type"].as_str().or(inner.get("enum").map(|_| "word")).unwrap_or("constant");
        found.push(format!("{path} {kind}"));
        describe(&path, inner, found);
        describe(&format!("{path}[]"), &inner["items"], found);
    }
}

#[test]
fn kernel_decisions_are_activities_and_the_rest_are_findings() {
    let class = |name: &str| {
        let (_, ecs) = all().into_iter().find(|(known, _)| *known == name).unwrap();
        let event = read(&Format::Ocsf.line(&ecs));
        (event["class_uid"].clone(), event["action_id"].clone(), event["disposition_id"].clone())
    };
    assert_eq!(class("refused-connect"), (json!(4001), json!(2), json!(2)));
    assert_eq!(class("would-block-exec"), (json!(1007), json!(3), json!(17)));
    assert_eq!(class("exempt-connect"), (json!(4001), json!(1), json!(1)));
    assert_eq!(class("plain-alert"), (json!(2004), json!(3), json!(19)));
}

#[test]
fn an_object_of_nothing_is_written_in_every_format() {
    for ecs in ["{}", "{\"process\":3,\"event\":[],\"sentinel\":null}", "not json"] {
        for format in Format::ALL {
            assert!(!format.line(ecs).is_empty());
        }
    }
}

#[test]
fn a_secret_is_in_no_format() {
    let event = samples::event(json!({"process": {
        "pid": 7, "args": ["mysql", "--password", "hunter2"], "command_line": "mysql --password=hunter2",
    }}));
    let rule = RuleHit::new("r", Verb::Alert, Severity::Low, "ran mysql --password=hunter2");
    let mut parts = samples::parts(Action::Exec, event, rule);
    Redactor::default().apply(&mut parts);
    let ecs = to_ecs_line(&samples::alert(1, parts));
    for format in Format::ALL {
        assert!(!format.line(&ecs).contains("hunter2"), "{format}");
    }
    assert!(ecs.contains("[redacted]"));
}

#[test]
fn sizes_and_speed_by_format() {
    let lines = variants();
    for format in Format::ALL {
        let start = Instant::now();
        let mut sizes: Vec<usize> = lines.iter().map(|ecs| format.line(ecs).len()).collect();
        let each = start.elapsed() / u32::try_from(lines.len()).unwrap();
        sizes.sort_unstable();
        let (median, last) = (sizes[sizes.len() / 2], sizes[sizes.len() * 99 / 100]);
        println!("{format}: median {median} bytes, 99th percentile {last} bytes, {each:?} each (test build)");
        if *format == Format::Ecs {
            assert!(median <= 1_800 && last <= 4_000, "{format}: {median}, {last}");
        }
    }
}
