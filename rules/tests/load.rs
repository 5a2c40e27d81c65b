//! What a load refuses, where it says the fault is, and what it advises.

use rules::{Diagnostic, Engine, KindSet, LoadErrors, Policies};

fn errors(policy: &str) -> Vec<Diagnostic> {
    match Policies::from_texts(&[("p.rego", policy)], "") {
        Ok(_) => panic!("loaded:\n{policy}"),
        Err(LoadErrors { errors, .. }) => errors,
    }
}

fn error(policy: &str) -> Diagnostic {
    let mut errors = errors(policy);
    assert_eq!(errors.len(), 1, "{errors:#?}");
    errors.remove(0)
}

fn load(policy: &str) -> Policies {
    Policies::from_texts(&[("p.rego", policy)], "").unwrap_or_else(|errors| panic!("{errors}"))
}

/// Asserts the place and a part of message or hint.
fn refused(policy: &str, line: u32, part: &str) {
    let error = error(policy);
    assert_eq!(error.line, line, "{error}");
    assert!(error.to_string().contains(part), "wanted {part:?} in\n{error}");
}

#[test]
fn every_file_reports_its_own_errors() {
    let modules = [("a.rego", "package sentinel.a\nx := {\n"), ("b.rego", "package sentinel.b\n\ndeny if true\n")];
    let failure = Policies::from_texts(&modules, "").unwrap_err();
    let places: Vec<_> = failure.errors.iter().map(|error| (error.file.as_str(), error.line)).collect();
    assert_eq!(places, [("a.rego", 3), ("b.rego", 3)], "{failure}");
    assert!(failure.to_string().contains("hint: write `deny contains msg if { ... }`"), "{failure}");
}

#[test]
fn event_rules_are_partial_sets() {
    for form in [
        "deny if true",
        "deny := true",
        "deny(x) if x",
        "deny[x] if x := 1",
        "deny.x contains 1",
        "default deny := false",
    ] {
        refused(&format!("package sentinel.a\n\n{form}\n"), 3, "partial set");
    }
    for name in ["alert", "allow"] {
        refused(&format!("package sentinel.a\n{name} := {{1}}\n"), 2, "partial set");
    }
    assert_eq!(load("# rego: v0\npackage sentinel.a\n\ndeny[msg] { msg := \"x\" }\n").rules().len(), 1);
}

#[test]
fn recursion_is_found_before_it_can_abort() {
    refused(
        "package sentinel.a\np if q\nq if p\ndeny contains \"x\" if p\n",
        2,
        "data.sentinel.a.p -> data.sentinel.a.q",
    );
    refused("package sentinel.a\nf(x) := f(x - 1)\ndeny contains \"x\" if f(3)\n", 2, "recursion");
    refused("package sentinel.a\ndeny contains x if some x in data.sentinel.a.deny\n", 2, "recursion");
    refused("package sentinel.a\ndeny contains \"x\" if count(data.sentinel) > 0\n", 2, "recursion");
    refused("package sentinel.a\ndeny contains x if { some n; x := data.sentinel[n].deny }\n", 2, "recursion");
    // A name that is local is no reference to the rule of that name.
    load("package sentinel.a\np := 1\nf(p) := p + 1\nq := f(p)\ndeny contains \"x\" if count([q | q := 1]) == 1\n");
}

#[test]
fn recursion_across_modules_names_the_circle() {
    let modules = [
        ("a.rego", "package sentinel.a\nimport data.sentinel.b\np if b.q\n"),
        ("b.rego", "package sentinel.b\nimport data.sentinel.a.p as other\nq if other\n"),
    ];
    let failure = Policies::from_texts(&modules, "").unwrap_err().to_string();
    assert!(failure.contains("data.sentinel.a.p -> data.sentinel.b.q -> data.sentinel.a.p"), "{failure}");
}

#[test]
fn chains_of_rules_and_deep_expressions_are_bounded() {
    let mut chain = String::from("package sentinel.a\nr0 := 1\n");
    (1..2000).for_each(|i| chain.push_str(&format!("r{i} := r{}\n", i - 1)));
    let errors = errors(&chain);
    assert!(errors.iter().all(|error| error.message.contains("too deep")), "{errors:#?}");
    let sum = format!("package sentinel.a\nx := 1{}\n", " + 1".repeat(150));
    refused(&sum, 2, "limit is 100");
}

#[test]
fn what_could_silently_never_fire_is_refused_by_name() {
    for call in [
        "http.send({})",
        "net.lookup_ip_addr(\"x\")",
        "rand.intn(\"x\", 3)",
        "opa.runtime()",
        "trace(\"x\")",
        "uuid.rfc4122(\"x\")",
        "crypto.sha256(\"x\")",
    ] {
        let name = call.split('(').next().unwrap();
        refused(
            &format!("package sentinel.a\ndeny contains \"x\" if {call}\n"),
            2,
            &format!("`{name}` cannot be used"),
        );
    }
    refused("package sentinel.a\ndeny contains \"x\" if startwith(input.a, \"b\")\n", 2, "did you mean `startswith`?");
    refused("package sentinel.a\ndeny contains \"x\" if data.lib.f(1)\n", 2, "neither a built-in function nor a rule");
}

#[test]
fn literal_arguments_of_functions_are_checked() {
    let body = |call: &str| format!("package sentinel.a\ndeny contains msg if {{\n\tmsg := {call}\n}}\n");
    refused(&body("sprintf(\"%s %s\", [input.a])"), 3, "asks for 2 values and is given 1");
    refused(&body("sprintf(input.a, [])"), 3, "not written out");
    refused(&body("sprintf(\"%999999999d\", [1])"), 3, "does not know");
    refused(&body("regex.replace(input.a, `(`, \"\")"), 3, "not valid");
    refused(&body("count(numbers.range(1, input.a))"), 3, "any size");
    refused(&body("count(net.cidr_expand(input.a))"), 3, "any size");
    refused(&body("bits.lsh(1, 4000000000)"), 3, "any size");
    refused(&body("net.cidr_contains(\"10.0.0.0/33\", input.a)"), 3, "0 to 32");
    load(&body("sprintf(\"%d%% of %v\", [1, numbers.range(1, 3)])"));
}

#[test]
fn unknown_event_actions_are_errors() {
    refused("package sentinel.a\ndeny contains \"x\" if input.event.action == \"execve\"\n", 2, "is no event.action");
    refused(
        "package sentinel.a\nkinds := {\"exec\", \"conect\"}\ndeny contains \"x\" if input.event.action in kinds\n",
        3,
        "did you mean \"connect\"?",
    );
}

#[test]
fn a_rule_that_can_never_fire_is_noticed() {
    let policy = "package sentinel.a\ndeny contains \"x\" if {\n\tinput.event.action == \"exec\"\n\tinput.event.action == \"open\"\n}\n";
    let policies = load(policy);
    assert_eq!(policies.rules()[0].kinds, KindSet::EMPTY);
    assert!(policies.notices()[0].message.contains("can never fire"), "{:?}", policies.notices());
}

#[test]
fn only_alert_may_depend_on_the_name_of_a_destination() {
    let policy = |verb: &str| {
        format!(
            "package sentinel.a\n\nnamed if input.destination.domain == \"a.example\"\n\n{verb} contains \"x\" if named\n"
        )
    };
    for verb in ["deny", "allow"] {
        let policies = load(&policy(verb));
        let [notice] = policies.notices() else { panic!("{:?}", policies.notices()) };
        assert!(notice.line == 5 && notice.message.contains("input.destination.domain"), "{notice:?}");
    }
    assert!(load(&policy("alert")).notices().is_empty());
    let other = load("package sentinel.a\ndeny contains \"x\" if input.destination.ip == \"192.0.2.1\"\n");
    assert!(other.notices().is_empty(), "{:?}", other.notices());
}

#[test]
fn literal_members_are_checked_at_load() {
    let member = |text: &str| format!("package sentinel.a\n\ndeny contains {text} if true\n");
    refused(&member(r#"{"msg": "x", "scope": "host"}"#), 3, "not something to block");
    refused(&member(r#"{"msg": "x", "severity": "urgent"}"#), 3, "info, low, medium, high, critical");
    refused(&member(r#"{"msg": "x", "ttl": "60"}"#), 3, "a number is needed");
    refused(&member(r#"{"msg": "x", "acton": "kill"}"#), 3, "did you mean \"action\"?");
    refused(&member(r#"{"msg": sprintf("%s", ["x"]), "acton": input.a}"#), 3, "did you mean \"action\"?");
    refused(&member(r#"{"id": "x"}"#), 3, "has no \"msg\"");
    refused(&member("[1]"), 3, "a member of `deny` is an array");
    refused("package sentinel.a\nalert contains {\"msg\": \"x\", \"ttl\": 5}\n", 2, "`alert` writes none");
    let variable = "package sentinel.a\ndeny contains m if {\n\tm := {\"msg\": \"x\", \"scope\": \"host\"}\n}\n";
    refused(variable, 3, "not something to block");
    let scope = "package sentinel.a\ndeny contains {\"msg\": \"x\", \"scope\": \"destination\"} if input.event.action == \"exec\"\n";
    refused(scope, 2, "no event this rule matches");
}

#[test]
fn sets_that_do_nothing_are_noticed() {
    let notice = |policy: &str| {
        let policies = load(policy);
        assert_eq!(policies.notices().len(), 1, "{:?}", policies.notices());
        policies.notices()[0].to_string()
    };
    assert!(notice("package sentinel.a\nblock_country contains \"IR\"\n").contains("did you mean `block_countries`?"));
    assert!(notice("package sentinel.a\nviolation contains \"x\" if true\n").contains("evaluated are: deny"));
    assert!(notice("package other\ndeny contains \"x\" if true\n").contains("package sentinel.<name>"));
    let used = "package sentinel.a\nnames contains \"x\"\ndeny contains n if some n in names\n";
    assert!(load(used).notices().is_empty());
}

#[test]
fn what_the_machine_does_not_take_runs_in_the_interpreter_and_says_so() {
    let policy = "package sentinel.a\n\ndeny contains \"slow\" if {\n\tf with input as {\"a\": 1}\n}\n\nf if input.a == 1\n\ndeny contains \"fast\" if true\n";
    let policies = load(policy);
    let Engine::Interpreter { reason } = &policies.rules()[0].engine else { panic!("{:?}", policies.rules()[0]) };
    assert!(reason.contains("with"), "{reason}");
    assert_eq!(policies.rules()[1].engine, Engine::Rvm);
    assert!(policies.notices()[0].to_string().starts_with("p.rego:3:1"), "{}", policies.notices()[0]);
}

#[test]
fn names_without_a_value_are_errors() {
    let rule = |text: &str| format!("package sentinel.a\n\n{text}\n");
    refused(&rule("deny contains msg if input.a == 1"), 3, "`msg` has no value");
    refused(&rule("deny contains \"x\" if from_tpm\nfrom_tmp if input.a == 1"), 3, "did you mean `from_tmp`?");
    refused(&rule("deny contains \"x\" if {\n\tstartswith(path, \"/tmp\")\n}"), 4, "`path` has no value");
    refused(&rule("deny contains \"x\" if x in input.list"), 3, "`x` has no value");
    refused(&rule("deny contains \"x\" if helper.shell == 1"), 3, "`helper` has no value");
    for bound in [
        "deny contains x if input.list[_] = x",
        "deny contains x if { [x, _] = input.pair }",
        "deny contains sprintf(\"%v\", [i]) if input.list[i] == 3",
        "deny contains x if { split(input.a, \"/\", parts); x := parts[0] }",
        "deny contains \"x\" if { every x in input.list { x > 1 } }",
        "deny contains \"x\" if { count([y | some y in input.list]) > 1 }",
        "f(a, b) := a + b\ndeny contains \"x\" if { f(1, 2, c); c == 3 }",
    ] {
        load(&rule(bound));
    }
}

#[test]
fn data_that_is_not_there_is_noticed() {
    let policy = "package sentinel.a\nimport data.lib.shells\ndeny contains \"x\" if input.a in data.lists.bad\ndeny contains \"y\" if input.a in shells\n";
    let policies = Policies::from_texts(&[("p.rego", policy)], r#"{"lists": {"bad": []}}"#).unwrap();
    assert_eq!(policies.notices().len(), 1, "{:?}", policies.notices());
    assert!(policies.notices()[0].message.starts_with("data.lib.shells is neither"), "{:?}", policies.notices());
}

#[test]
fn data_that_collides_with_rules_is_an_error() {
    let policy = "package sentinel.a\ndeny contains \"x\" if data.sentinel.a.list\nlist := [1]\n";
    let failure = Policies::from_texts(&[("p.rego", policy)], r#"{"sentinel": {"a": {"list": [2]}}}"#).unwrap_err();
    assert!(failure.to_string().contains("same document"), "{failure}");
}

#[test]
fn reserved_names_are_refused() {
    refused("package sentinel.a\n__sentinel_deny_0 := 1\ndeny contains \"x\" if true\n", 2, "reserved");
}
