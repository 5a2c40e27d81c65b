//! Why rules fired and why not: the failing expression and the values that it saw.

#![expect(clippy::unwrap_used, reason = "a test")]

use rules::Value;
use rules::explain::{DefinitionTrace, Explainer, Step, Truth};

const LIB: &str = "package sentinel.lib\n\ndefault quiet := false\n\nquiet if input.host.name == \"lab\"\n\n\
    shells := {\"bash\", \"sh\"}\n\nis_shell(p) if p.name in shells\n\nis_shell(p) if {\n\tstartswith(p.executable, \"/opt/shell\")\n}\n\n\
    level(p) := \"high\" if {\n\tp.user.id == \"0\"\n} else := \"low\" if {\n\tp.user.id\n}\n";

fn explainer(rule: &str) -> Explainer {
    // An import that is not used is an error; the lines stay where they are.
    let import = if rule.contains("lib.") { "import data.sentinel.lib" } else { "# no import" };
    let policy = format!("package sentinel.lab\n\n{import}\n\n{rule}\n");
    match Explainer::from_texts(&[("lab.rego", policy.as_str()), ("lib.rego", LIB)], r#"{"ports": [22, 443]}"#) {
        Ok(explainer) => explainer,
        Err(errors) => panic!("{errors}"),
    }
}

fn explain(rule: &str, input: &str) -> DefinitionTrace {
    let explainer = explainer(rule);
    let input = Value::from_json_str(input).unwrap();
    explainer.explain(&explainer.policies().rules()[0], &input).unwrap()
}

const EVENT: &str = r#"{"event": {"action": "connect"}, "destination": {"ip": "192.0.2.1", "port": 8443},
    "process": {"name": "curl", "executable": "/usr/bin/curl", "user": {"id": "1000"}, "args": ["curl", "-k", "https://x"],
    "ancestors": [{"name": "cron"}, {"name": "bash"}]}}"#;

/// Truth of each step: `+`, `-`, `.` for not reached, `?` for unclear.
fn marks(steps: &[Step]) -> String {
    let mark = |step: &Step| match step.truth {
        Truth::Held => '+',
        Truth::Failed => '-',
        Truth::NotReached => '.',
        Truth::Unclear(_) => '?',
    };
    steps.iter().map(mark).collect()
}

/// JSON on one line; no value here has a space.
fn json(value: &Value) -> String {
    value.to_json_str().unwrap().split_whitespace().collect()
}

fn values(step: &Step) -> Vec<String> {
    let one = |seen: &rules::explain::Seen| {
        let values: Vec<String> = seen.values.iter().map(json).collect();
        format!("{}={}", seen.expression, values.join("|"))
    };
    step.values.iter().map(one).collect()
}

#[test]
fn a_rule_that_fired_shows_what_made_it_true() {
    let rule = "deny contains \"curl\" if {\n\tinput.event.action == \"connect\"\n\tinput.process.name == \"curl\"\n\
                \tcount(input.process.args) > 2\n}";
    let trace = explain(rule, EVENT);
    assert_eq!((trace.truth.clone(), trace.line, trace.file.as_str()), (Truth::Held, 5, "lab.rego"));
    assert_eq!(trace.head, "deny contains \"curl\"");
    let steps = &trace.bodies[0].steps;
    assert_eq!(marks(steps), "+++");
    assert_eq!(steps[1].text, "input.process.name == \"curl\"");
    assert_eq!((steps[1].line, steps[1].column), (7, 5));
    assert_eq!(values(&steps[1]), ["input.process.name=\"curl\""]);
    let count = ["count(input.process.args)=3", "input.process.args=[\"curl\",\"-k\",\"https://x\"]"];
    assert_eq!(values(&steps[2]), count);
    assert_eq!(trace.failing(), None);
}

#[test]
fn the_second_expression_fails_and_the_third_is_not_reached() {
    let rule = "deny contains \"x\" if {\n\tinput.event.action == \"connect\"\n\tinput.destination.port == 443\n\
                \tinput.process.name == \"curl\"\n}";
    let trace = explain(rule, EVENT);
    assert_eq!(marks(&trace.bodies[0].steps), "+-.");
    let failing = trace.failing().unwrap();
    assert_eq!((failing.line, values(failing)), (7, vec!["input.destination.port=8443".to_owned()]));
    assert_eq!(trace.bodies[0].steps[2].values, []);
}

#[test]
fn what_is_not_there_has_no_value() {
    let trace = explain("deny contains \"x\" if input.container.id == \"c\"", EVENT);
    assert_eq!(values(trace.failing().unwrap()), ["input.container.id="]);
}

#[test]
fn a_helper_is_looked_into() {
    let rule = "deny contains \"x\" if {\n\tinput.event.action == \"connect\"\n\tlib.is_shell(input.process)\n}";
    let trace = explain(rule, EVENT);
    let failing = trace.failing().unwrap();
    assert_eq!(failing.text, "lib.is_shell(input.process)");
    let below: Vec<(&str, u32, &str)> =
        failing.below.iter().map(|d| (d.file.as_str(), d.line, d.failing().unwrap().text.as_str())).collect();
    let expected = [("lib.rego", 9, "p.name in shells"), ("lib.rego", 11, "startswith(p.executable, \"/opt/shell\")")];
    assert_eq!(below, expected);
    let member = failing.below[0].failing().unwrap();
    assert_eq!(values(member), ["p.name=\"curl\"", "shells=[\"bash\",\"sh\"]"]);
    assert_eq!(failing.below[0].arguments.len(), 1);
}

#[test]
fn a_helper_that_held_is_named_alone() {
    let rule = "deny contains \"x\" if {\n\tsome p in input.process.ancestors\n\tlib.is_shell(p)\n}";
    let trace = explain(rule, EVENT);
    let steps = &trace.bodies[0].steps;
    assert_eq!(marks(steps), "++");
    assert_eq!(values(&steps[0])[0], "p={\"name\":\"bash\"}");
    assert_eq!(steps[1].below.iter().map(|d| d.line).collect::<Vec<_>>(), [9]);
    assert_eq!(steps[1].below[0].arguments[0], Value::from_json_str("{\"name\":\"bash\"}").unwrap());
}

#[test]
fn a_loop_shows_what_it_went_over() {
    let rule = "deny contains \"x\" if {\n\tsome port in data.ports\n\tinput.destination.port == port\n}";
    let trace = explain(rule, EVENT);
    assert_eq!(marks(&trace.bodies[0].steps), "+-");
    assert_eq!(values(&trace.bodies[0].steps[0]), ["port=22|443", "data.ports=[22,443]"]);
    assert_eq!(values(trace.failing().unwrap()), ["input.destination.port=8443", "port=22|443"]);
}

#[test]
fn a_default_is_a_value_like_any_other() {
    let trace = explain("deny contains \"x\" if lib.quiet", EVENT);
    let failing = trace.failing().unwrap();
    assert_eq!(values(failing), ["lib.quiet=false"]);
    assert_eq!(failing.below[0].failing().unwrap().text, "input.host.name == \"lab\"");
}

#[test]
fn membership_assignment_negation_every_and_else() {
    let rule = "deny contains \"x\" if {\n\tname := lower(input.process.name)\n\tnot name in lib.shells\n\
                \tlib.level(input.process) == \"low\"\n\tevery a in input.process.args { a != \"-k\" }\n}";
    let trace = explain(rule, EVENT);
    let steps = &trace.bodies[0].steps;
    assert_eq!(marks(steps), "+++-", "{steps:#?}");
    assert_eq!(values(&steps[0])[0], "name=\"curl\"");
    assert_eq!(values(&steps[2])[0], "lib.level(input.process)=\"low\"");
    let level = &steps[2].below[0];
    assert_eq!(
        level.bodies.iter().map(|b| (b.is_else, marks(&b.steps))).collect::<Vec<_>>(),
        [(false, "-".to_owned()), (true, "+".to_owned())]
    );
    assert_eq!(values(&steps[3])[1], "those for which it does not hold=[\"-k\"]");
}

#[test]
fn a_negation_that_failed_shows_what_held() {
    let rule =
        "deny contains \"x\" if {\n\tsome p in input.process.ancestors\n\tp.name == \"bash\"\n\tnot lib.is_shell(p)\n}";
    let trace = explain(rule, EVENT);
    let failing = trace.failing().unwrap();
    assert_eq!((failing.text.as_str(), failing.below.len()), ("not lib.is_shell(p)", 1));
    assert_eq!(failing.below[0].truth, Truth::Held);
}

#[test]
fn a_member_that_is_undefined_is_what_failed() {
    let rule = "deny contains msg if {\n\tinput.event.action == \"connect\"\n\tmsg := concat(\" \", [input.container.name])\n}";
    assert_eq!(explain(rule, EVENT).failing().unwrap().text, "msg := concat(\" \", [input.container.name])");
    let rule = "deny contains {\"msg\": input.container.name, \"id\": \"x\"} if input.event.action == \"connect\"";
    let trace = explain(rule, EVENT);
    let whole = "deny contains {\"msg\": \"m\", \"id\": \"x\", \"ttl\": 3} if input.event.action == \"connect\"";
    assert_eq!(explain(whole, EVENT).truth, Truth::Held);
    assert_eq!(trace.failing().unwrap().text, "the member {\"msg\": input.container.name, \"id\": \"x\"}");
}

#[test]
fn an_expression_that_needs_a_later_one_is_judged_with_it() {
    let rule = "deny contains \"x\" if {\n\tsome name\n\tname == \"curl\"\n\tname = input.process.name\n}";
    let trace = explain(rule, EVENT);
    assert_eq!((marks(&trace.bodies[0].steps), trace.truth.clone()), ("+++".to_owned(), Truth::Held));
    let rule = "deny contains \"x\" if {\n\tsome name\n\tname == \"wget\"\n\tname = input.process.name\n}";
    let trace = explain(rule, EVENT);
    assert_eq!(marks(&trace.bodies[0].steps), "+-.");
}

#[test]
fn the_older_language_and_with() {
    let old = "# rego: v0\npackage sentinel.old\n\ndeny[msg] {\n\tinput.event.action == \"connect\"\n\tport := data.ports[_]\n\
               \tport == input.destination.port\n\tmsg := \"x\"\n}\n";
    let explainer = Explainer::from_texts(&[("old.rego", old)], r#"{"ports": [22, 8443]}"#).unwrap();
    let input = Value::from_json_str(EVENT).unwrap();
    let trace = explainer.explain(&explainer.policies().rules()[0], &input).unwrap();
    assert_eq!(marks(&trace.bodies[0].steps), "++++");
    assert_eq!(values(&trace.bodies[0].steps[1])[0], "port=8443");
    let rule =
        "deny contains \"x\" if {\n\tlib.quiet with input.host.name as \"lab\"\n\tinput.event.action == \"open\"\n}";
    let trace = explain(rule, EVENT);
    assert_eq!(marks(&trace.bodies[0].steps), "+-");
    assert_eq!(trace.bodies[0].steps[0].values, []);
}

#[test]
fn every_definition_on_one_line_is_found() {
    let rule = "deny contains \"a\" if input.event.action == \"open\" deny contains \"b\" if input.event.action == \"connect\"";
    let explainer = explainer(rule);
    let input = Value::from_json_str(EVENT).unwrap();
    let truths: Vec<Truth> =
        explainer.policies().rules().iter().map(|rule| explainer.explain(rule, &input).unwrap().truth).collect();
    assert_eq!(truths, [Truth::Failed, Truth::Held]);
}

#[test]
fn the_shipped_rules_agree_with_the_evaluator() {
    let options = rules::LoadOptions { shipped: true, defaults: embargo(), ..Default::default() };
    let explainer = Explainer::load(&options).unwrap();
    let policies = explainer.policies();
    let mut evaluator = rules::Evaluator::new(policies.clone(), rules::Limits::default());
    for text in [EVENT, SHADOW] {
        let input = Value::from_json_str(text).unwrap();
        let kind = input["event"]["action"].as_string().unwrap().parse().unwrap();
        let fired: Vec<u32> = evaluator.evaluate(kind, &input).decisions.iter().map(|d| d.rule).collect();
        for rule in policies.rules().iter().filter(|rule| rule.kinds.contains(kind)) {
            let trace = explainer.explain(rule, &input).unwrap();
            let expected = if fired.contains(&rule.index) { Truth::Held } else { Truth::Failed };
            assert_eq!(trace.truth, expected, "{}: {trace:#?}", rule.id);
        }
    }
}

fn embargo() -> Vec<(String, String)> {
    vec![("embargo".to_owned(), r#"{"embargo": {"ofac-comprehensive": {"countries": ["IR"]}}}"#.to_owned())]
}

const SHADOW: &str = r#"{"event": {"action": "open"}, "file": {"path": "/etc/shadow", "write": false, "create": false},
    "process": {"name": "cat", "executable": "/usr/bin/cat", "user": {"id": "0"}, "args": ["cat", "/etc/shadow"],
    "parent": {"name": "bash", "executable": "/usr/bin/bash"}, "ancestors": []}}"#;
