//! `sentinel replay` and `sentinel explain` as programs, on a recording of a few events with documentation addresses.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Output},
};

use serde_json::{Value, json};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/replay").join(name)
}

/// Runs a verb where the fixtures are, so that their names in the result are the same everywhere.
fn sentinel(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sentinel"));
    // A small country database: the one inside the program takes seconds in a debug build.
    command.args(args).args(["--geoip", "geo.csv"]).current_dir(fixture("")).output().expect("the program starts")
}

fn json_of(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn replay(more: &[&str]) -> Value {
    let output = sentinel(&[&["replay", "events.jsonl", "--policy", "new.rego", "--json"], more].concat());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    json_of(&output)
}

/// The rule with this id.
fn rule<'v>(report: &'v Value, id: &str) -> &'v Value {
    let rules = report["rules"].as_array().expect("rules");
    rules.iter().find(|rule| rule["id"] == id).unwrap_or_else(|| panic!("no {id} in {report:#}"))
}

#[test]
fn the_whole_result_is_as_expected() {
    let mut report = replay(&["--baseline", "old.rego"]);
    // The digest covers the embargo programmes, which are those of the day.
    for pointer in ["/policy/sha256", "/baseline/policy/sha256"] {
        let digest = report.pointer_mut(pointer).expect("a digest").take();
        assert_eq!(digest.as_str().map(str::len), Some(64));
    }
    let expected = fixture("expected.json");
    if std::env::var_os("SENTINEL_WRITE_EXPECTED").is_some() {
        fs::write(&expected, format!("{report:#}\n")).expect("written");
    }
    let known: Value = serde_json::from_str(&fs::read_to_string(expected).expect("expected.json")).expect("JSON");
    assert_eq!(report, known, "{report:#}");
}

#[test]
fn entries_refuse_what_comes_after_until_they_end() {
    let report = replay(&[]);
    assert_eq!(report["events"], 22);
    // curl: the first writes an entry, two are refused by it; another address, the same after the ttl, and the alert.
    let fetch = rule(&report, "lab-fetch");
    assert_eq!((&fetch["fired"], &fetch["refused"], &fetch["entries_written"]), (&json!(6), &json!(3), &json!(3)));
    let dropped = rule(&report, "lab-dropped");
    assert_eq!(
        (&dropped["fired"], &dropped["fired_after_entry"], &dropped["refused"]),
        (&json!(2), &json!(1), &json!(1))
    );
    let outcomes = report["outcomes"].as_object().expect("outcomes");
    assert_eq!(outcomes.values().filter_map(Value::as_u64).sum::<u64>(), 22);
    assert_eq!(rule(&report, "lab-some")["undecided"], 1);
    assert_eq!(outcomes["exempt"], 1);
    assert_eq!(outcomes["refused_by_standing_rule"], 1);
    assert_eq!(report["recorded"]["rules"], json!({ "lab-net": 2 }));
    assert_eq!(report["skipped_lines"], 2);
}

#[test]
fn the_difference_is_by_event_and_names_rules_objects_and_examples() {
    let report = replay(&["--baseline", "old.rego"]);
    let change = |name: &str| &report["difference"][name];
    assert_eq!(change("newly_blocked")["events"], 8);
    assert_eq!(change("newly_blocked")["rules"][0]["id"], "lab-fetch");
    assert_eq!(change("newly_blocked")["objects"][0], json!({ "object": "192.0.2.10:80", "events": 5 }));
    assert_eq!(change("no_longer_blocked")["events"], 3);
    let gone: Vec<&Value> =
        change("no_longer_blocked")["rules"].as_array().expect("rules").iter().map(|r| &r["id"]).collect();
    assert_eq!(gone, ["lab-net", "lab-guarded"]);
    let example = &change("no_longer_blocked")["examples"][0];
    assert_eq!((&example["object"], &example["executable"]), (&json!("203.0.113.8:53"), &json!("/usr/bin/python3")));
    assert_eq!(change("no_longer_alerted")["events"], 4);
    assert_eq!(change("newly_alerted")["events"], 0);
}

#[test]
fn the_same_events_give_the_same_text() {
    let run = || sentinel(&["replay", "events.jsonl", "--policy", "new.rego", "--baseline", "old.rego"]);
    let first = run();
    let text = String::from_utf8_lossy(&first.stdout).into_owned();
    assert!(text.contains("refused by a standing rule") && text.contains("█"), "{text}");
    assert!(text.contains("lab-some: not decidable offline: 1 events"), "{text}");
    assert!(text.contains("newly blocked      8 events"), "{text}");
    assert_eq!(first.stdout, run().stdout);
}

#[test]
fn bad_lines_are_named_and_the_rest_is_counted() {
    let dir = std::env::temp_dir().join(format!("sentinel-replay-{}", std::process::id()));
    fs::create_dir_all(&dir).expect("a directory");
    let file = dir.join("bad.jsonl");
    let good = fs::read_to_string(fixture("events.jsonl")).expect("events");
    let second = good.lines().nth(1).expect("an event");
    fs::write(&file, format!("{second}\n{{\"event\": \n\n{second}\n{{}}\n{second}")).expect("written");
    let output = sentinel(&["replay", file.to_str().expect("a path"), "--policy", "new.rego", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let report = json_of(&output);
    assert_eq!((&report["events"], &report["bad_lines"]["count"]), (&json!(3), &json!(2)));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("bad.jsonl:2: error: no JSON") && said.contains("bad.jsonl:5: error: no event"), "{said}");
    fs::write(&file, "{\"sentinel_recording\": 1}\n").expect("written");
    let output = sentinel(&["replay", file.to_str().expect("a path"), "--policy", "new.rego"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("holds no events"), "{said}");
    fs::remove_dir_all(dir).expect("removed");
}

#[test]
fn an_alert_is_explained_by_its_id() {
    let id = "01a2038b-ac43-7127-9b58-025b23cac165";
    let args = ["explain", id, "--alerts", "events.jsonl", "--policy", "new.rego"];
    let output = sentinel(&args);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    for part in [
        "fired      deny lab-fetch (high)  new.rego:9",
        "10  yes  input.event.action == \"connect\"",
        "fetchers is [\"curl\",\"wget\"]",
        "input.destination.ip is \"192.0.2.10\"",
        "it passed; enforcing would have blocked it: mode monitor, deny, decided in user space at hook connect4",
        "policy     not the one of the alert",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    let report = json_of(&sentinel(&[args.as_slice(), &["--json"]].concat()));
    assert_eq!(report["rules"][0]["location"], json!({ "file": "new.rego", "line": 9 }));
    assert_eq!(report["policy"]["same_as_alert"], false);
    assert_eq!(report["rules"][0]["entries"], json!([{ "scope": "destination+process", "ttl": 3600 }]));
}

#[test]
fn why_not_names_the_first_expression_that_failed() {
    let dir = std::env::temp_dir().join(format!("sentinel-explain-{}", std::process::id()));
    fs::create_dir_all(&dir).expect("a directory");
    let events = fs::read_to_string(fixture("events.jsonl")).expect("events");
    let explain = |line: usize, more: &[&str]| {
        let file = dir.join("event.json");
        fs::write(&file, events.lines().nth(line).expect("an event")).expect("written");
        let file = file.to_str().expect("a path");
        sentinel(&[&["explain", "--event", file, "--policy", "new.rego"], more].concat())
    };
    let output = explain(5, &["--json", "--rule", "lab-fetch"]);
    let report = json_of(&output);
    let failing = &report["rules"][0]["failing"];
    assert_eq!((&failing["line"], &failing["text"]), (&json!(11), &json!("input.process.name in fetchers")));
    assert_eq!(failing["values"][0], json!({ "expression": "input.process.name", "values": ["python3"], "more": 0 }));
    let text = String::from_utf8_lossy(&explain(9, &[]).stdout).into_owned();
    assert!(text.contains("exemption lab-licence lets it through"), "{text}");
    let text = String::from_utf8_lossy(&explain(8, &[]).stdout).into_owned();
    assert!(text.contains("refuses it from the first event on, by lab-net"), "{text}");
    assert!(text.contains("standing   block_cidrs lab-net: refused, because of network 203.0.113.0/25"), "{text}");
    assert!(text.contains("exemptions 1 considered, none is about this event"), "{text}");
    let text = String::from_utf8_lossy(&explain(8, &["--rule", "lab-dropped"]).stdout).into_owned();
    assert!(text.contains("can never match connect: it is about exec"), "{text}");
    let output = explain(8, &["--rule", "lab-drop"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("there is lab-dropped"), "{output:?}");
    fs::remove_dir_all(dir).expect("removed");
}
