//! Limits: one explosive rule costs itself and nobody else.

#![expect(clippy::unwrap_used, reason = "helpers of tests; a failure is the test's")]

use std::time::{Duration, Instant};

use rules::{Cause, Evaluator, Kind, Limits, Policies, Value};

/// `deny` of package `b` runs through a hundred million combinations; the others are ordinary.
const POLICIES: &[(&str, &str)] = &[
    ("a.rego", "package sentinel.a\n\ndeny contains \"a\" if input.event.action == \"exec\"\n"),
    (
        "b.rego",
        "package sentinel.b\n\nlist := numbers.range(1, 1000)\n\ndeny contains \"b\" if {\n\tsome x in list\n\tsome y in list\n\tsome z in list\n\tx + y + z == -1\n}\n\ndeny contains \"b2\" if true\n",
    ),
    ("c.rego", "package sentinel.c\n\nalert contains \"c\" if true\n"),
    // `with` is beyond the machine, so this one explodes in the interpreter.
    (
        "d.rego",
        "package sentinel.d\n\nlist := numbers.range(1, 1000)\n\nslow if {\n\tsome x in list\n\tsome y in list\n\tsome z in list\n\tx + y + z == input.never\n}\n\nalert contains \"d\" if slow with input as {\"never\": -1}\n",
    ),
];

fn event() -> Value {
    Value::from_json_str(r#"{"event":{"action":"exec"}}"#).unwrap()
}

fn evaluator(limits: Limits) -> Evaluator {
    let policies = Policies::from_texts(POLICIES, "").unwrap_or_else(|errors| panic!("{errors}"));
    Evaluator::new(policies.shared(), limits)
}

#[test]
fn an_explosive_rule_fails_alone() {
    let mut evaluator = evaluator(Limits { instructions: usize::MAX, ..Limits::default() });
    // More often than a group may fail: the answer stays the same when its rules run one by one.
    for _ in 0..5 {
        let start = Instant::now();
        let outcome = evaluator.evaluate(Kind::Exec, &event());
        let messages: Vec<&str> = outcome.decisions.iter().map(|d| d.message.as_str()).collect();
        assert_eq!(messages, ["a", "b2", "c"]);
        let errors: Vec<(&str, &Cause)> = outcome
            .errors
            .iter()
            .map(|e| (evaluator.policies().rules()[e.rule as usize].id.as_str(), &e.cause))
            .collect();
        assert_eq!(errors, [("sentinel.b.deny", &Cause::TimeLimit), ("sentinel.d.alert", &Cause::TimeLimit)]);
        // Three limits of 50 ms: the group, the rule itself, the interpreter; and a busy machine.
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    }
}

#[test]
fn instructions_are_bounded_whatever_the_clock_says() {
    let mut evaluator = evaluator(Limits { time: Duration::from_secs(1), instructions: 10_000, ..Limits::default() });
    let outcome = evaluator.evaluate(Kind::Exec, &event());
    assert_eq!(outcome.errors[0].cause, Cause::InstructionLimit);
    assert_eq!(outcome.decisions.len(), 3);
}

#[test]
fn what_a_rule_gives_back_is_bounded() {
    let policy = "package sentinel.a\n\ndeny contains sprintf(\"%s %d\", [input.text, i]) if some i in numbers.range(1, 50)\n\ndeny contains \"small\" if true\n";
    let policies = Policies::from_texts(&[("p.rego", policy)], "").unwrap().shared();
    let mut evaluator = Evaluator::new(policies, Limits { memory: 10_000, ..Limits::default() });
    let input = |length: usize| Value::from_json_str(&format!(r#"{{"text":"{}"}}"#, "x".repeat(length))).unwrap();
    assert_eq!(evaluator.evaluate(Kind::Exec, &input(10)).decisions.len(), 51);
    let outcome = evaluator.evaluate(Kind::Exec, &input(1000));
    assert_eq!(outcome.errors[0].cause, Cause::MemoryLimit);
    assert_eq!(outcome.decisions.len(), 1);
}

/// The deepest policy of a shape that loads: `rule(n)` defines level n by level n - 1, `top(n)` uses level n.
fn deepest(base: &str, rule: impl Fn(usize) -> String, top: impl Fn(usize) -> String) -> Policies {
    let mut policy = format!("package sentinel.a\n\n{base}\n");
    let mut last = None;
    for level in 1.. {
        policy.push_str(&format!("{}\n", rule(level)));
        match Policies::from_texts(&[("p.rego", &format!("{policy}\ndeny contains \"deep\" if {}\n", top(level)))], "")
        {
            Ok(policies) => last = Some(policies),
            Err(_) => break,
        }
    }
    last.unwrap()
}

#[test]
fn the_deepest_policies_that_load_run_on_an_ordinary_thread() {
    let sum = " + 0".repeat(60);
    let shapes = [
        deepest("f0(x) := x", |n| format!("f{n}(x) := f{}(x)", n - 1), |n| format!("f{n}(1) == 1")),
        deepest("r0 := 1", |n| format!("r{n} := r{}", n - 1), |n| format!("r{n} == 1")),
        deepest("r0 := [1]", |n| format!("r{n} := [x | some x in r{}]", n - 1), |n| format!("count(r{n}) == 1")),
        deepest("r0 := 1", |n| format!("r{n} := r{}{sum}", n - 1), |n| format!("r{n} == 1")),
        deepest(
            "r0 := 1",
            |n| format!("r{n} if {{ every x in [[r{}]] {{ count(x) > 0 }} }}", n - 1),
            |n| format!("r{n}"),
        ),
    ];
    for policies in shapes.map(Policies::shared) {
        for evaluator in [Evaluator::new, Evaluator::interpreted] {
            let policies = policies.clone();
            let run = std::thread::Builder::new().stack_size(2 << 20).spawn(move || {
                evaluator(policies, Limits { time: Duration::from_secs(5), ..Limits::default() })
                    .evaluate(Kind::Exec, &event())
            });
            let outcome = run.unwrap().join().unwrap();
            assert_eq!((outcome.decisions.len(), outcome.errors), (1, vec![]));
        }
    }
}

#[test]
fn a_rule_that_fails_means_what_it_says_it_means() {
    let explosive = "deny contains \"no\" if {\n\tsome x in numbers.range(1, 1000)\n\tsome y in numbers.range(1, 1000)\n\tx + y == -1\n}\n";
    let module = |package: &str, on_error: &str| {
        format!(
            "# METADATA\n# scope: package\n# custom:\n#   on_error: {on_error}\npackage sentinel.{package}\n\n{explosive}"
        )
    };
    let (deny, alert) = (module("a", "deny"), module("b", "alert"));
    let policies = Policies::from_texts(&[("a.rego", &deny), ("b.rego", &alert)], "");
    let policies = policies.unwrap_or_else(|errors| panic!("{errors}"));
    let limits = Limits { instructions: 10_000, ..Limits::default() };
    let outcome = Evaluator::new(policies.shared(), limits).evaluate(Kind::Exec, &event());
    assert_eq!(outcome.errors.len(), 2);
    let [decision] = outcome.decisions.as_slice() else { panic!("{outcome:?}") };
    assert_eq!(decision.id, "sentinel.a.deny");
    assert!(decision.message.contains("could not judge"), "{}", decision.message);
    let wrong = Policies::from_texts(&[("a.rego", &module("a", "refuse"))], "").unwrap_err();
    assert!(wrong.to_string().contains("allow, alert, deny"), "{wrong}");
}
