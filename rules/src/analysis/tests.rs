//! Tests of the analysis: kinds and fields of small policies.

use crate::kind::{Kind, KindSet};
use crate::policies::Policies;

/// Kinds and fields of the first `deny` of a package, with a library beside it.
fn analyse(body: &str) -> (KindSet, String) {
    let library = "package lib\n\nis_exec if input.event.action == \"exec\"\n\nis(kind) if input.event.action == kind\n\nshell(process) if process.name == \"sh\"\n\nkinds := {\"open\", \"create\"}\n";
    let policy = format!("package sentinel.a\n\nimport data.lib\nimport input.event as occurrence\n\n{body}\n");
    let modules = [("lib.rego", library), ("p.rego", policy.as_str())];
    let policies = Policies::from_texts(&modules, "").unwrap_or_else(|errors| panic!("{errors}"));
    (policies.rules()[0].kinds, policies.rules()[0].fields.to_string())
}

fn kinds(condition: &str) -> Vec<Kind> {
    analyse(&format!("deny contains \"x\" if {{\n{condition}\n}}")).0.iter().collect()
}

#[test]
fn tests_on_the_action_are_understood() {
    use Kind::{Connect, Create, Exec, Open, Send};
    for (condition, expected) in [
        ("input.event.action == \"exec\"", vec![Exec]),
        ("\"exec\" == input.event.action", vec![Exec]),
        ("input.event.action = \"exec\"", vec![Exec]),
        ("input[\"event\"].action == \"exec\"", vec![Exec]),
        ("occurrence.action == \"exec\"", vec![Exec]),
        ("input.event.action in {\"open\", \"exec\"}", vec![Exec, Open]),
        ("input.event.action in [\"open\", \"exec\"]", vec![Exec, Open]),
        ("{\"open\", \"exec\"}[input.event.action]", vec![Exec, Open]),
        ("input.event.action in lib.kinds", vec![Open, Create]),
        ("lib.kinds[input.event.action]", vec![Open, Create]),
        ("some kind in {\"connect\", \"send\"}; input.event.action == kind", vec![Connect, Send]),
        ("action := input.event.action; action == \"exec\"", vec![Exec]),
        ("event := input.event; event.action == \"exec\"", vec![Exec]),
        ("lib.is_exec", vec![Exec]),
        ("lib.is(\"open\")", vec![Open]),
        ("input.event.action in {\"open\", \"exec\"}; input.event.action != \"open\"", vec![Exec]),
        ("input.event.action in {\"open\", \"exec\"}; not lib.is_exec", vec![Open]),
        ("input.event.action in {\"open\", \"exec\"}; not input.event.action == \"exec\"", vec![Open]),
        ("input.event.action == \"exec\"; input.event.action == \"open\"", vec![]),
        ("input.event.action == \"exec\"; count([a | a := input.event.action; a == \"open\"]) == 0", vec![Exec]),
    ] {
        assert_eq!(kinds(condition), expected, "{condition}");
    }
}

#[test]
fn what_is_not_understood_is_any_kind() {
    for condition in [
        "startswith(input.event.action, \"e\")",
        "input.event.action == input.wanted",
        "input.wanted in {\"exec\"}",
        "not lib.shell(input.process)",
        "not input.wanted",
        "lib.is_exec with input as {\"event\": {\"action\": \"exec\"}}",
        "lib.is(input.wanted)",
        "some x in input.list; x == \"exec\"",
        "[\"exec\", \"open\"][input.event.action]",
        "every x in [1] { input.event.action == \"exec\" }",
        "[input.event.action == \"exec\"] == [false]",
    ] {
        assert_eq!(kinds(condition), Kind::ALL, "{condition}");
    }
}

#[test]
fn helpers_join_what_their_definitions_say() {
    let body = "deny contains \"x\" if both\n\nboth if input.event.action == \"exec\"\n\nboth if input.event.action == \"open\"\n";
    assert_eq!(analyse(body).0.iter().collect::<Vec<_>>(), [Kind::Exec, Kind::Open]);
    let otherwise = "deny contains \"x\" if both\n\nboth if input.event.action == \"exec\" else := input.wanted\n";
    assert!(analyse(otherwise).0.is_all());
    let value = "deny contains \"x\" if network\n\nnetwork := input.event.action in {\"connect\", \"send\"}\n";
    assert_eq!(analyse(value).0.iter().collect::<Vec<_>>(), [Kind::Connect, Kind::Send]);
    let default =
        "deny contains \"x\" if not quiet\n\ndefault quiet := false\n\nquiet if input.event.action == \"exec\"\n";
    assert!(!analyse(default).0.contains(Kind::Exec));
    let set = "deny contains \"x\" if hits\n\nhits contains 1 if input.event.action == \"exec\"\n";
    assert!(analyse(set).0.is_all(), "a partial set is defined even when it is empty");
}

#[test]
fn fields_are_followed_through_helpers() {
    let fields = |condition: &str| analyse(&format!("deny contains \"x\" if {{\n{condition}\n}}")).1;
    assert_eq!(fields("input.process.args[_] == \"x\""), "process.args.*");
    assert_eq!(fields("some a in input.process.ancestors; a.name == \"sh\""), "process.ancestors");
    assert_eq!(fields("lib.is_exec; input[\"file\"].path == occurrence.x"), "event.action, event.x, file.path");
    assert_eq!(fields("lib.shell(input.process)"), "process");
    assert_eq!(fields("count(input) > 1"), "");
}

#[test]
fn a_set_of_fields_knows_what_it_covers() {
    let (_, text) = analyse("deny contains \"x\" if { input.process.name == input.file }");
    assert_eq!(text, "file, process.name");
    let set: super::FieldSet = ["process.name".to_owned(), "file".to_owned()].into_iter().collect();
    assert!(set.reads("process") && set.reads("process.name") && set.reads("file.path"));
    assert!(!set.reads("process.names") && !set.reads("destination.ip"));
}
