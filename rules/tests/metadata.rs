//! METADATA annotations: scopes, inheritance, errors.

#![expect(clippy::unwrap_used, reason = "helpers of tests; a failure is the test's")]

use rules::{Diagnostic, Mode, Policies, RuleInfo, Severity};

fn rules(modules: &[(&str, &str)]) -> Vec<RuleInfo> {
    let policies = Policies::from_texts(modules, "").unwrap_or_else(|errors| panic!("{errors}"));
    policies.rules().to_vec()
}

fn error(policy: &str) -> Diagnostic {
    let mut failure = Policies::from_texts(&[("p.rego", policy)], "").unwrap_err();
    assert_eq!(failure.errors.len(), 1, "{failure}");
    failure.errors.remove(0)
}

#[test]
fn inner_scopes_win_and_outer_ones_fill_in() {
    let outer =
        "# METADATA\n# scope: subpackages\n# custom:\n#   maturity: stable\n#   severity: low\npackage sentinel\n";
    let policy = "# METADATA\n# title: the package\n# related_resources:\n# - ref: https://example.org/a\n# - https://example.org/b\n# custom:\n#   mode: monitor\n#   mitre: T1003\npackage sentinel.a\n\n# METADATA\n# scope: document\n# title: the document\n# custom:\n#   severity: high\n\n# METADATA\n# title: the rule\n# description: |\n#   two\n#   lines\n# custom:\n#   id: first\n#   ttl: 5\ndeny contains \"one\" if true\n\ndeny contains \"two\" if true\n\nalert contains \"three\" if true\n";
    let rules = rules(&[("outer.rego", outer), ("p.rego", policy)]);
    let of = |id: &str| rules.iter().find(|rule| rule.id == id).unwrap();
    let first = of("first");
    assert_eq!((first.title.as_str(), first.severity, first.ttl), ("the rule", Severity::High, Some(5)));
    assert_eq!(first.description, "two\nlines");
    let second = of("sentinel.a.deny.2");
    assert_eq!((second.title.as_str(), second.severity, second.ttl), ("the document", Severity::High, None));
    let alert = of("sentinel.a.alert");
    assert_eq!((alert.title.as_str(), alert.severity), ("the package", Severity::Low));
    for rule in &rules {
        assert_eq!((rule.mode, rule.techniques[0].tactic.as_str()), (Some(Mode::Monitor), "Credential Access"));
        assert_eq!(rule.related_resources, ["https://example.org/a", "https://example.org/b"]);
        assert_eq!(rule.maturity.map(|maturity| maturity.as_str()), Some("stable"));
    }
}

#[test]
fn wrong_annotations_are_errors_at_their_line() {
    let policy = |yaml: &str| format!("package sentinel.a\n\n# METADATA\n{yaml}\ndeny contains \"x\" if true\n");
    for (yaml, line, part) in [
        ("# title: [", 4, "not valid YAML"),
        ("# custom:\n#   severity: urgent", 5, "info, low"),
        ("# custom:\n#   mitre: [T12]", 5, "T1059.004"),
        ("# custom:\n#   id: a b", 5, "not an id"),
        ("# custom:\n#   ttl: -1", 5, "whole number"),
        ("# title: x\n# sope: rule", 5, "did you mean \"scope\"?"),
        ("# scope: file", 4, "document, package"),
        ("# scope: package\n# title: x", 3, "scope is for packages"),
        ("# just text", 3, "not a mapping"),
        ("#", 3, "empty"),
    ] {
        let error = error(&policy(yaml));
        assert_eq!(error.line, line, "{error}");
        assert!(error.to_string().contains(part), "wanted {part:?} in\n{error}");
    }
}

#[test]
fn blocks_must_stand_above_something() {
    let rule = "deny contains \"x\" if true\n";
    for (policy, part) in [
        (format!("package sentinel.a\n{rule}# METADATA\n# title: x\n"), "nothing below"),
        (format!("package sentinel.a\n# METADATA\n# title: x\nimport data.b\n{rule}"), "above an import"),
        (format!("# METADATA\n# scope: rule\n# title: x\npackage sentinel.a\n{rule}"), "scope is for rules"),
        (format!("package sentinel.a\n# METADATA\n# title: x\n\n# METADATA\n# title: y\n{rule}"), "twice"),
    ] {
        let error = error(&policy);
        assert!(error.to_string().contains(part), "wanted {part:?} in\n{error}");
    }
}

#[test]
fn a_raw_string_is_no_annotation() {
    let policy =
        "package sentinel.a\n\ntext := `\n# METADATA\n# custom: {severity: wrong}\n`\n\ndeny contains text if true\n";
    assert_eq!(rules(&[("p.rego", policy)])[0].severity, Severity::Medium);
}

#[test]
fn near_misses_below_custom_are_noticed() {
    let policies = Policies::from_texts(&[("a.rego", &module("a", "same"))], "").unwrap();
    assert_eq!(policies.notices().len(), 1, "{:#?}", policies.notices());
    assert!(policies.notices()[0].to_string().contains("did you mean \"severity\"?"));
}

#[test]
fn two_packages_do_not_share_an_id() {
    let load = |other: &str| {
        Policies::from_texts(&[("a.rego", &module("a", "same")), ("b.rego", &module("b", other))], "").map(drop)
    };
    let failure = load("same").unwrap_err();
    assert_eq!(failure.errors.len(), 1, "{failure}");
    assert!(failure.to_string().contains("also used by package sentinel.a"), "{failure}");
    load("other").unwrap();
}

fn module(name: &str, id: &str) -> String {
    format!(
        "package sentinel.{name}\n# METADATA\n# custom:\n#   id: {id}\n#   severty: high\n#   team: x\ndeny contains \"x\" if true\n"
    )
}
