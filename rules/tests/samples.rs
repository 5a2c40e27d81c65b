//! Sample events in tests: there without a file, changed with `object.union`, replaced by the user's own, never misspelt.

#![expect(clippy::unwrap_used, reason = "helpers of tests; a failure is the test's")]

use std::fs;
use std::path::PathBuf;

use rules::schema::{Type, find};
use rules::testing::events::{SAMPLES, Sample};
use rules::testing::{TestOptions, TestOutcome, TestReport, run};
use rules::{Kind, LoadErrors, LoadOptions, Policies, Value};

const POLICY: &str = "package sentinel.shadow\n\ndeny contains \"shadow\" if {\n\tinput.event.action == \"open\"\n\tinput.file.path == \"/etc/shadow\"\n}\n\nalert contains \"net\" if input.destination.port == 8443\n";

/// Runs the tests of a module beside [`POLICY`], with a data file if there is one.
fn test(name: &str, body: &str, data: &str) -> Result<TestReport, LoadErrors> {
    let root = std::env::temp_dir().join(format!("sentinel-samples-{name}-{}", std::process::id()));
    fs::create_dir_all(&root).unwrap();
    let tests = format!(
        "package sentinel.shadow_test\n\nimport data.sentinel.shadow.alert\nimport data.sentinel.shadow.deny\n\n{body}\n"
    );
    let file = |name: &str, text: &str| -> PathBuf {
        fs::write(root.join(name), text).unwrap();
        root.join(name)
    };
    let paths = vec![file("shadow.rego", POLICY), file("shadow_test.rego", &tests)];
    let data = if data.is_empty() { Vec::new() } else { vec![file("events.yaml", data)] };
    let report = run(&TestOptions { paths, data, ..TestOptions::default() });
    fs::remove_dir_all(&root).unwrap();
    report
}

fn passes(name: &str, body: &str, data: &str) {
    let report = test(name, body, data).unwrap_or_else(|errors| panic!("{errors}"));
    assert!(!report.cases.is_empty() && !report.failed(), "{:#?}", report.cases);
}

#[test]
fn a_test_is_three_lines() {
    passes(
        "three",
        "test_reads_shadow if {\n\tcount(deny) == 1 with input as data.sentinel.events.open_shadow\n}\n\ntest_other_file if {\n\tcount(deny) == 0 with input as data.sentinel.events.open\n}",
        "",
    );
}

#[test]
fn fields_are_changed_by_union() {
    let body = "test_port if {\n\talert == {\"net\"} with input as object.union(data.sentinel.events.connect, {\"destination\": {\"port\": 8443}})\n\tdata.sentinel.events.connect.destination.port == 443\n}";
    passes("union", body, "");
}

#[test]
fn every_sample_is_itself() {
    let named = |name: &str| SAMPLES.iter().find(|sample| sample.name == name).unwrap().event();
    assert_eq!(named("exec_script")["file"]["path"], Value::from("/usr/local/bin/backup.sh"));
    assert_eq!(named("exec_script")["process"]["executable"], Value::from("/usr/bin/dash"));
    for kind in [Kind::Exec, Kind::Open, Kind::Connect, Kind::Send, Kind::Packet, Kind::Socket] {
        assert!(SAMPLES.iter().any(|sample| sample.kind == kind), "{kind}");
    }
    for sample in SAMPLES {
        assert_eq!(sample.event()["event"]["action"], Value::from(sample.kind.as_str()), "{}", sample.name);
        let same = SAMPLES.iter().filter(|other| other.name == sample.name || other.event() == sample.event());
        assert_eq!(same.count(), 1, "{} is there twice", sample.name);
    }
}

#[test]
fn an_event_of_the_user_takes_the_place_of_one_and_joins_the_others() {
    let data = "sentinel:\n  events:\n    open: {event: {action: open}, file: {path: /etc/shadow}}\n    mine: {event: {action: open}, file: {path: /mine}}\n";
    let body = "test_own if {\n\tcount(deny) == 1 with input as data.sentinel.events.open\n\tdata.sentinel.events.mine.file.path == \"/mine\"\n\tdata.sentinel.events.connect.destination.port == 443\n}";
    passes("own", body, data);
}

#[test]
fn a_misspelt_event_is_an_error_and_not_a_test_that_passes() {
    let body = "test_nothing if {\n\tcount(deny) == 0 with input as data.sentinel.events.open_shadw\n}";
    let errors = test("typo", body, "").unwrap_err().to_string();
    assert!(errors.contains("no sample event data.sentinel.events.open_shadw"), "{errors}");
    assert!(errors.contains("shadow_test.rego:7:") && errors.contains("did you mean `open_shadow`?"), "{errors}");
}

#[test]
fn data_in_the_way_is_an_error() {
    let errors = test("way", "test_x if true", "sentinel: {events: [1]}\n").unwrap_err().to_string();
    assert!(errors.contains("data.sentinel.events is an array"), "{errors}");
}

#[test]
fn a_failing_test_shows_its_values() {
    let body = "name := \"/etc/shadow\"\n\ntest_fails if {\n\tevent := object.union(data.sentinel.events.open, {\"file\": {\"path\": name}})\n\tdeny == {\"other\"} with input as event\n}\n\ntest_none if count(deny) == 1 with input as data.sentinel.events.open";
    let report = test("values", body, "").unwrap();
    let failure = |name: &str| match &report.cases.iter().find(|case| case.name == name).unwrap().outcome {
        TestOutcome::Fail(Some(failure)) => failure.clone(),
        other => panic!("{name}: {other:?}"),
    };
    let fails = failure("test_fails");
    assert_eq!((fails.line, fails.statement.as_str()), (10, "deny == {\"other\"} with input as event"));
    assert_eq!(fails.values, [("deny".to_owned(), "[\"shadow\"]".to_owned())]);
    let none = failure("test_none");
    assert_eq!(none.values, [("deny".to_owned(), "[]".to_owned()), ("count(deny)".to_owned(), "0".to_owned())]);
}

#[test]
fn a_module_joins_a_shipped_package() {
    let root = std::env::temp_dir().join(format!("sentinel-samples-tuning-{}", std::process::id()));
    fs::create_dir_all(&root).unwrap();
    let (tuning, tests) = (root.join("tuning.rego"), root.join("tuning_test.rego"));
    fs::write(&tuning, "package sentinel.credential_files\n\nallow contains \"backup\" if {\n\tinput.event.action == \"open\"\n\tinput.process.name == \"restic\"\n}\n").unwrap();
    fs::write(&tests, "package sentinel.tuning_test\n\nimport data.sentinel.credential_files\n\ntest_reads_shadow if {\n\tcount(credential_files.alert) == 1 with input as data.sentinel.events.open_shadow\n}\n\ntest_backup if {\n\tcount(credential_files.allow) == 1 with input as object.union(data.sentinel.events.open_shadow, {\"process\": {\"name\": \"restic\"}})\n}\n").unwrap();
    let policies =
        Policies::load(&LoadOptions { paths: vec!["shipped".into(), tuning.clone()], ..LoadOptions::default() });
    let report =
        run(&TestOptions { paths: vec!["shipped".into(), tuning, tests], coverage: true, ..TestOptions::default() });
    fs::remove_dir_all(&root).unwrap();
    let policies = policies.unwrap_or_else(|errors| panic!("{errors}"));
    assert!(policies.rules().iter().any(|rule| rule.id == "sentinel.credential_files.allow"));
    let report = report.unwrap_or_else(|errors| panic!("{errors}"));
    assert!(report.cases.len() == 2 && !report.failed(), "{:#?}", report.cases);
    assert!(report.coverage.len() == 1 && report.coverage[0].file.ends_with("tuning.rego"), "{:?}", report.coverage);
}

/// What every event has, whatever its kind.
const ALWAYS: &[&str] =
    &["@timestamp", "event.action", "host.name", "process.pid", "process.executable", "process.parent.pid", "user.id"];

#[test]
fn samples_are_what_the_schema_says() {
    for sample in SAMPLES {
        let event = sample.event();
        let mut leaves = Vec::new();
        collect(&event, String::new(), &mut leaves);
        leaves.iter().for_each(|(path, value)| check_leaf(sample, path, value));
        let has = |path: &str| leaves.iter().any(|(leaf, _)| leaf == path);
        let missing: Vec<_> = ALWAYS.iter().filter(|path| !has(path)).collect();
        assert!(missing.is_empty(), "{}: {missing:?}", sample.name);
        let object = match sample.kind {
            Kind::Exec => "process.previous.executable",
            Kind::Open => "file.write",
            Kind::Socket => "network.type",
            _ => "destination.ip",
        };
        assert!(has(object), "{} has no {object}", sample.name);
    }
}

fn check_leaf(sample: &Sample, path: &str, value: &Value) {
    let field = find(path).unwrap_or_else(|| panic!("{}: {path} is no field of input", sample.name));
    assert!(field.filled && field.kinds.contains(sample.kind), "{}: no {} has {path}", sample.name, sample.kind);
    let fits = match field.of {
        Type::Text | Type::Texts => value.as_string().is_ok(),
        Type::Number => value.as_u64().is_ok(),
        Type::Boolean => value.as_bool().is_ok(),
    };
    assert!(fits, "{}: {path} is {value}", sample.name);
}

/// Every value that is neither object nor array, with its path in the words of the schema.
fn collect(value: &Value, path: String, leaves: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(object) => object.iter().for_each(|(key, value)| {
            let key = key.as_string().unwrap();
            collect(value, if path.is_empty() { key.to_string() } else { format!("{path}.{key}") }, leaves);
        }),
        Value::Array(items) => items.iter().for_each(|item| collect(item, format!("{path}[]"), leaves)),
        leaf => leaves.push((path, leaf.clone())),
    }
}
