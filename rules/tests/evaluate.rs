//! Event rules: decisions, their ids, `allow`, members, kinds.

#![expect(clippy::unwrap_used, reason = "helpers of tests; a failure is the test's")]

use rules::{Cause, Engine, Evaluator, Kind, KindSet, Limits, Outcome, Policies, Severity, Value};

fn load(modules: &[(&str, &str)]) -> Evaluator {
    match Policies::from_texts(modules, "") {
        Ok(policies) => Evaluator::new(policies.shared(), Limits::default()),
        Err(errors) => panic!("{errors}"),
    }
}

fn run(evaluator: &mut Evaluator, json: &str) -> Outcome {
    let input = Value::from_json_str(json).unwrap();
    let action = input["event"]["action"].as_string().unwrap().to_string();
    evaluator.evaluate(action.parse().unwrap(), &input)
}

const SHELL: &str = r#"# METADATA
# title: Shells
# custom:
#   severity: high
#   mitre: [T1059.004]
package sentinel.shell

deny contains "shell from tmp" if {
	input.event.action == "exec"
	startswith(input.process.executable, "/tmp/")
}

# METADATA
# title: A second definition
# custom:
#   id: shell-second
#   severity: critical
#   ttl: 60
deny contains {"msg": msg, "scope": "path", "action": "kill"} if {
	input.event.action == "exec"
	input.process.name == "evil"
	msg := sprintf("%s ran", [input.process.executable])
}

alert contains {"msg": "any", "id": "any-event", "severity": "info"} if input.process.name == "evil"

allow contains "trusted" if input.process.user.id == "0"
"#;

#[test]
fn every_decision_names_its_definition() {
    let mut evaluator = load(&[("shell.rego", SHELL)]);
    let rules = evaluator.policies().rules().to_vec();
    let ids: Vec<&str> = rules.iter().map(|rule| rule.id.as_str()).collect();
    assert_eq!(ids, ["sentinel.shell.deny", "shell-second", "sentinel.shell.alert", "sentinel.shell.allow"]);
    assert_eq!(rules.iter().map(|rule| rule.line).collect::<Vec<_>>(), [8, 19, 25, 27]);
    assert!(rules.iter().all(|rule| rule.engine == Engine::Rvm), "{rules:#?}");
    assert_eq!(rules[0].severity, Severity::High);
    assert_eq!(rules[1].severity, Severity::Critical);
    assert_eq!(rules[1].techniques[0].id, "T1059.004");
    assert_eq!(rules[1].kinds, KindSet::of(Kind::Exec));
    assert_eq!(rules[2].kinds, KindSet::ALL);

    let outcome =
        run(&mut evaluator, r#"{"event":{"action":"exec"},"process":{"executable":"/tmp/evil","name":"evil"}}"#);
    assert_eq!(outcome.errors, []);
    let shown: Vec<_> = outcome.decisions.iter().map(|d| (d.rule, d.id.as_str(), d.message.as_str(), d.ttl)).collect();
    assert_eq!(
        shown,
        [
            (0, "sentinel.shell.deny", "shell from tmp", 3600),
            (1, "shell-second", "/tmp/evil ran", 60),
            (2, "any-event", "any", 3600),
        ]
    );
    assert_eq!(outcome.decisions[0].scope.to_string(), "file+process");
    assert_eq!(outcome.decisions[1].scope.to_string(), "path");
    assert_eq!(outcome.decisions[1].action, rules::Action::Kill);
    assert_eq!(outcome.decisions[2].severity, Severity::Info);
}

#[test]
fn allow_silences_its_own_package_only() {
    let other = "package sentinel.other\n\ndeny contains \"other\" if input.process.name == \"evil\"\n";
    let mut evaluator = load(&[("shell.rego", SHELL), ("other.rego", other)]);
    let event = r#"{"event":{"action":"exec"},"process":{"executable":"/tmp/evil","name":"evil","user":{"id":"0"}}}"#;
    let outcome = run(&mut evaluator, event);
    assert_eq!(outcome.decisions.iter().map(|d| d.id.as_str()).collect::<Vec<_>>(), ["sentinel.other.deny"]);
    assert_eq!(outcome.allowed_by.len(), 1);
    let rule = &evaluator.policies().rules()[outcome.allowed_by[0] as usize];
    assert_eq!(rule.id, "sentinel.shell.allow");
}

#[test]
fn malformed_members_are_errors_and_the_rest_stands() {
    let policy = r#"package sentinel.bad

deny contains {"msg": input.a, "ttl": input.ttl} if true
deny contains input.member if true
deny contains "fine" if true
"#;
    let mut evaluator = load(&[("bad.rego", policy)]);
    let outcome = run(&mut evaluator, r#"{"event":{"action":"connect"},"a":"x","ttl":-5,"member":{"message":"x"}}"#);
    assert_eq!(outcome.decisions.len(), 1);
    assert_eq!(outcome.decisions[0].scope.to_string(), "destination+process");
    assert_eq!(outcome.errors.len(), 2, "{outcome:#?}");
    assert!(matches!(&outcome.errors[0].cause, Cause::Runtime(text) if text.contains("ttl")));
    assert!(matches!(&outcome.errors[1].cause, Cause::Runtime(text) if text.contains("message")));
}
