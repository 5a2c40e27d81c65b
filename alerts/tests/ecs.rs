//! The ECS line: golden files, validity against ECS, the contract's combinations, size.
//!
//! `UPDATE_GOLDEN=1 cargo test -p alerts --test ecs` writes the golden files anew; read the difference before keeping it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/ecs.rs"]
mod ecs;
#[path = "support/samples.rs"]
mod samples;

use std::fs;
use std::path::PathBuf;

use alerts::{Action, AlertParts, Effect, MAX_ANCESTORS, RuleHit, Severity, Verb, to_ecs_line};
use serde_json::{Value, json};

fn read(line: &str) -> Value {
    serde_json::from_str(line).unwrap()
}

fn written(parts: AlertParts) -> Value {
    read(&to_ecs_line(&samples::alert(1, parts)))
}

fn sample(name: &str) -> Value {
    let (_, alert) = samples::all().into_iter().find(|(known, _)| *known == name).unwrap();
    read(&to_ecs_line(&alert))
}

fn rule() -> RuleHit {
    RuleHit::new("some-rule", Verb::Alert, Severity::Low, "something happened")
}

#[test]
fn lines_are_those_of_the_golden_files() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    for (name, alert) in samples::all() {
        let (file, line) = (folder.join(format!("{name}.json")), to_ecs_line(&alert));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&file, serde_json::to_string_pretty(&read(&line)).unwrap() + "\n").unwrap();
        }
        // The file is indented for people; without that it is the line, byte for byte.
        let golden = read(&fs::read_to_string(&file).unwrap());
        assert_eq!(line, golden.to_string(), "{}", file.display());
    }
}

#[test]
fn samples_are_valid_ecs() {
    for (name, alert) in samples::all() {
        assert_eq!(ecs::problems(&read(&to_ecs_line(&alert))), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn every_action_is_valid_ecs_refused_or_not() {
    for action in Action::ALL {
        for effect in [Effect::Refused, Effect::WouldBlock, Effect::Passed] {
            let parts = AlertParts { effect, ..samples::parts(*action, samples::event(json!({})), rule()) };
            let alert = written(parts);
            assert_eq!(ecs::problems(&alert), Vec::<String>::new(), "{action} {effect:?}");
            let types = alert["event"]["type"].as_array().unwrap();
            assert_eq!(types.contains(&json!("denied")), effect == Effect::Refused, "{action} {effect:?}");
        }
    }
}

#[test]
fn a_changed_alert_is_found_out() {
    let changes: &[(&str, Value, &str)] = &[
        ("/event/category", json!("network"), "event.category must be an array"),
        ("/event/kind", json!("alarm"), "event.kind has a value that ECS does not know"),
        ("/event/type", json!(["start"]), ""),
        ("/event/type", json!("start"), "event.type must be an array"),
        ("/event/type", json!(["deletion"]), "event.type \"deletion\" does not go with the categories"),
        ("/event/severity", json!("73"), "event.severity has a value of the wrong type"),
        ("/rule/name", json!(["a"]), "rule.name must not be an array"),
        ("/destination/ip", json!("203.0.113.7.1"), "destination.ip has a value of the wrong type"),
        ("/@timestamp", json!("yesterday"), "@timestamp has a value of the wrong type"),
        ("/process", json!({"pid": 1, "argv": []}), "process.argv is no field"),
        ("/process", json!({"ancestors": [{"comm": "x"}]}), "process.comm is no field"),
        ("/rule/id", Value::Null, "rule.id is null"),
    ];
    for (pointer, value, expected) in changes {
        let mut alert = sample("refused-connect");
        *alert.pointer_mut(pointer).unwrap() = value.clone();
        let problems = ecs::problems(&alert);
        match expected.is_empty() {
            true => assert_eq!(problems, Vec::<String>::new(), "{pointer}"),
            false => assert!(problems.len() == 1 && problems[0].starts_with(expected), "{pointer}: {problems:?}"),
        }
    }
}

#[test]
fn the_four_outcomes_are_told_apart() {
    let outcome = |name| {
        let alert = sample(name);
        let own = &alert["sentinel"];
        (
            own["blocked"].clone(),
            own["would_block"].clone(),
            own.get("entry_written").is_some(),
            own.get("exemption").is_some(),
        )
    };
    assert_eq!(outcome("refused-connect"), (json!(true), json!(true), false, false));
    assert_eq!(outcome("would-block-exec"), (json!(false), json!(true), false, false));
    assert_eq!(outcome("entry-written-open"), (json!(false), json!(false), true, false));
    assert_eq!(outcome("exempt-connect"), (json!(false), json!(false), false, true));
    assert_eq!(outcome("plain-alert"), (json!(false), json!(false), false, false));
}

#[test]
fn an_open_is_told_apart_by_what_it_may_do() {
    for (write, create, expected) in
        [(false, false, "access"), (true, false, "change"), (true, true, "creation"), (false, true, "creation")]
    {
        let event = samples::event(json!({"file": {"path": "/srv/a", "write": write, "create": create}}));
        assert_eq!(written(samples::parts(Action::Open, event, rule()))["event"]["type"], json!([expected]));
    }
}

#[test]
fn the_alert_wins_over_what_the_event_brought() {
    let event = samples::event(json!({
        "event": {"kind": "event", "action": "open", "reason": "kept"},
        "sentinel": {"blocked": true}, "rule": {"id": "forged"}, "message": "forged", "threat": {"x": 1},
    }));
    let line = to_ecs_line(&samples::alert(1, samples::parts(Action::Exec, event, rule())));
    let alert = read(&line);
    assert_eq!((&alert["event"]["kind"], &alert["event"]["action"]), (&json!("alert"), &json!("exec")));
    assert_eq!(alert["event"]["reason"], json!("kept"));
    assert_eq!((&alert["sentinel"]["blocked"], &alert["rule"]["id"]), (&json!(false), &json!("some-rule")));
    assert_eq!((&alert["message"], alert.get("threat")), (&json!("something happened"), None));
    for name in ["\"sentinel\":", "\"rule\":", "\"message\":\"forged\"", "\"kind\":"] {
        assert!(line.matches(name).count() <= 1, "{name} is written once");
    }
}

#[test]
fn an_event_of_the_wrong_shape_still_makes_an_alert() {
    let event = json!({"event": "x", "process": ["y"], "file": 3});
    let parts = AlertParts { rules: Vec::new(), ..samples::parts(Action::Open, event, rule()) };
    let alert = written(parts);
    assert_eq!((&alert["event"]["severity"], &alert["message"], alert.get("rule")), (&json!(1), &json!(""), None));
}

#[test]
fn severity_is_the_highest_and_the_rule_is_the_first() {
    let alert = sample("entry-written-open");
    assert_eq!((&alert["rule"]["id"], &alert["event"]["severity"]), (&json!("shadow-read"), &json!(99)));
    let low_first = vec![rule(), RuleHit::new("worse", Verb::Deny, Severity::High, "worse")];
    let alert =
        written(AlertParts { rules: low_first, ..samples::parts(Action::Open, samples::event(json!({})), rule()) });
    assert_eq!((&alert["rule"]["id"], &alert["event"]["severity"]), (&json!("some-rule"), &json!(73)));
}

#[test]
fn an_entry_without_an_end_says_none() {
    let entry_written = Some(alerts::EntryWritten { scope: "destination".to_owned(), expires: None });
    let parts = AlertParts { entry_written, ..samples::parts(Action::Send, samples::event(json!({})), rule()) };
    assert_eq!(written(parts)["sentinel"]["entry_written"], json!({"scope": "destination"}));
}

#[test]
fn ancestors_are_bounded_nearest_first() {
    let ancestors: Vec<Value> = (0..40).map(|pid| json!({"pid": pid})).collect();
    let event = json!({"process": {"ancestors": ancestors}});
    let alert = written(samples::parts(Action::Exec, event, rule()));
    let kept = alert["process"]["ancestors"].as_array().unwrap();
    assert_eq!((kept.len(), &kept[0]["pid"]), (MAX_ANCESTORS, &json!(0)));
}

#[test]
fn control_characters_stay_inside_one_line() {
    let everything: String =
        (0..=0x1f_u8).map(char::from).chain(['\u{7f}', '\u{2028}', '"', '\\', '\u{fffd}']).collect();
    let event = samples::event(json!({"file": {"path": everything}}));
    let line = to_ecs_line(&samples::alert(1, samples::parts(Action::Open, event, rule())));
    assert!(line.bytes().all(|byte| byte >= 0x20), "no control byte in the text");
    assert_eq!(read(&line)["file"]["path"], json!(everything));
}

#[test]
fn alerts_are_small() {
    for (name, alert) in samples::all() {
        let line = to_ecs_line(&alert).len();
        let event = Value::Object(alert.parts().event.clone()).to_string().len();
        println!("{name}: {line} bytes, {} of them ours", line - event);
        assert!(line < 4_000, "{name}: {line} bytes");
        if name == "plain-alert" {
            // The daemon's share is the event; ours must leave room for it in a median of 1.5 kB.
            assert!(line - event < 800, "{name}: {} bytes besides the event", line - event);
        }
    }
}
