//! What is run, what is not, and what is never kept.

#![expect(clippy::unwrap_used, reason = "helpers of tests; a failure is the test's")]

use std::sync::Arc;
use std::time::Duration;

use rules::{Cause, Evaluator, Kind, Limits, Policies, Value};

fn load(body: &str) -> Arc<Policies> {
    let text = format!("package sentinel.a\n\n{body}\n");
    Policies::from_texts(&[("a.rego", &text)], "").unwrap_or_else(|errors| panic!("{errors}")).shared()
}

fn decisions(evaluator: &mut Evaluator, input: &str) -> usize {
    evaluator.evaluate(Kind::Open, &Value::from_json_str(input).unwrap()).decisions.len()
}

#[test]
fn a_rule_whose_condition_does_not_hold_is_not_run() {
    let mut evaluator = Evaluator::new(load("deny contains \"x\" if input.file.name == \"bad\""), Limits::default());
    for n in 0..10 {
        assert_eq!(decisions(&mut evaluator, &format!("{{\"file\":{{\"name\":\"good{n}\"}}}}")), 0);
    }
    assert_eq!(decisions(&mut evaluator, r#"{"file":{"name":"bad"}}"#), 1);
    let counters = evaluator.counters();
    assert_eq!((counters.events, counters.candidates, counters.hits, counters.misses), (11, 1, 0, 1));
}

#[test]
fn a_result_is_known_again_for_what_the_rule_reads() {
    let mut evaluator = Evaluator::new(load("deny contains msg if msg := input.file.name"), Limits::default());
    for pid in 0..5 {
        assert_eq!(decisions(&mut evaluator, &format!(r#"{{"process":{{"pid":{pid}}},"file":{{"name":"a"}}}}"#)), 1);
    }
    assert_eq!(decisions(&mut evaluator, r#"{"file":{"name":"b"}}"#), 1);
    let counters = evaluator.counters();
    assert_eq!((counters.hits, counters.misses), (4, 2));
    assert!(counters.cache_bytes > 0);
    evaluator.forget();
    assert_eq!(decisions(&mut evaluator, r#"{"file":{"name":"b"}}"#), 1);
    assert_eq!(evaluator.counters().misses, 3);
}

#[test]
fn one_rule_that_is_never_kept_does_not_keep_the_others_from_it() {
    let body = "deny contains msg if msg := input.file.name\n\nalert contains \"late\" if {\n\tinput.file.name\n\ttime.now_ns() > 0\n}\n\n\
        alert contains sprintf(\"%d\", [input.process.pid])";
    let mut evaluator = Evaluator::new(load(body), Limits::default());
    for pid in 0..4 {
        assert_eq!(decisions(&mut evaluator, &format!(r#"{{"process":{{"pid":{pid}}},"file":{{"name":"a"}}}}"#)), 3);
    }
    let counters = evaluator.counters();
    assert_eq!((counters.hits, counters.misses, counters.uncached), (3, 1, 8));
}

#[test]
fn a_failure_is_not_kept() {
    let slow = "deny contains \"x\" if {\n\tlist := numbers.range(1, 1000)\n\tsome a in list\n\tsome b in list\n\tsome c in list\n\ta + b + c == input.n\n}";
    let limits = Limits { time: Duration::from_millis(5), ..Limits::default() };
    let mut evaluator = Evaluator::new(load(slow), limits);
    let input = Value::from_json_str(r#"{"n":-1}"#).unwrap();
    for _ in 0..3 {
        let outcome = evaluator.evaluate(Kind::Open, &input);
        assert!(matches!(outcome.errors.as_slice(), [error] if error.cause == Cause::TimeLimit), "{outcome:?}");
    }
    let counters = evaluator.counters();
    assert_eq!((counters.hits, counters.misses, counters.cache_bytes), (0, 3, 0));
}

#[test]
fn the_same_parts_under_another_kind_are_another_event() {
    let mut evaluator = Evaluator::new(load("deny contains msg if msg := input.file.name"), Limits::default());
    let input = Value::from_json_str(r#"{"file":{"name":"a"}}"#).unwrap();
    let scope = |evaluator: &mut Evaluator, kind| evaluator.evaluate(kind, &input).decisions[0].scope.to_string();
    let first = scope(&mut evaluator, Kind::Open);
    assert_eq!(scope(&mut evaluator, Kind::Open), first);
    assert_ne!(scope(&mut evaluator, Kind::Connect), first);
}

#[test]
fn many_events_stay_within_the_bound() {
    let mut evaluator = Evaluator::new(
        load("alert contains msg if msg := concat(\"\", [input.file.name, input.pad])"),
        Limits::default(),
    );
    let pad = "x".repeat(4_000);
    for n in 0..3_000 {
        assert_eq!(decisions(&mut evaluator, &format!(r#"{{"pad":"{pad}","file":{{"name":"{n}"}}}}"#)), 1);
        assert!(evaluator.counters().cache_bytes <= 8 << 20);
    }
    assert!(evaluator.counters().cache_bytes > 7 << 20);
}
