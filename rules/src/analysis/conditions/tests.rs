//! Conditions of small policies, written as text.

use super::{Formula, Op, Term, Test};
use crate::policies::Policies;

/// The condition of the first `deny` of a package.
fn condition(body: &str) -> String {
    let library = "package lib\n\nbase(path) := parts[count(parts) - 1] if parts := split(trim_suffix(path, \" (deleted)\"), \"/\")\n\n\
        name(process) := own if {\n\town := base(process.executable)\n\town != \"busybox\"\n} else := base(process.args[0])\n\n\
        shells := {\"sh\", \"bash\"} | {\"zsh\"}\n\nis_shell(process) if name(process) in shells\n\n\
        temporary(path) if startswith(path, \"/tmp/\")\n\ntemporary(path) if startswith(path, \"/var/tmp/\")\n\n\
        images contains input.file.path\n\nimages contains input.process.executable\n\n\
        text := concat(\" \", input.process.args)\n\nports := [22, 23]\n";
    let policy = format!("package sentinel.a\n\nimport data.lib\n\n{body}\n");
    let modules = [("lib.rego", library), ("p.rego", policy.as_str())];
    let data = r#"{"lists": {"words": ["a", "b"]}}"#;
    let policies = Policies::from_texts(&modules, data).unwrap_or_else(|errors| panic!("{errors}"));
    show(&policies.code.plans[0].condition)
}

fn of(statements: &str) -> String {
    condition(&format!("deny contains \"x\" if {{\n{statements}\n}}"))
}

fn show(formula: &Formula) -> String {
    let join = |parts: &[Formula], by: &str| format!("({})", parts.iter().map(show).collect::<Vec<_>>().join(by));
    match formula {
        Formula::Always => "always".to_owned(),
        Formula::Never => "never".to_owned(),
        Formula::All(parts) => join(parts, " & "),
        Formula::Any(parts) => join(parts, " | "),
        Formula::Test { term, test, holds } => {
            let test = match test {
                Test::Defined => "defined".to_owned(),
                Test::True => "true".to_owned(),
                Test::OneOf(values) => {
                    format!("in {}", values.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))
                }
                Test::StartsWith(texts) => format!("starts {texts:?}"),
                Test::EndsWith(texts) => format!("ends {texts:?}"),
                Test::Contains(texts) => format!("has {texts:?}"),
            };
            format!("{}{} {test}", if *holds { "" } else { "not " }, name(term)).replace('"', "")
        }
    }
}

fn name(term: &Term) -> String {
    match term {
        Term::Field(path) => path.iter().map(ToString::to_string).collect::<Vec<_>>().join("."),
        Term::Apply(op, term) => match op {
            Op::Lower => format!("lower({})", name(term)),
            Op::Upper => format!("upper({})", name(term)),
            Op::TrimPrefix(text) => format!("{}-{text}", name(term)),
            Op::TrimSuffix(_) => name(term),
            Op::Last(_) => format!("last({})", name(term)),
            Op::Join(_) => format!("join({})", name(term)),
        },
    }
}

#[test]
fn single_fields() {
    for (statements, expected) in [
        ("input.a.b == \"x\"", "a.b in x"),
        ("\"x\" == input.a[\"b\"]", "a.b in x"),
        ("input.a = 7", "a in 7"),
        ("input.a in {\"x\", \"y\"}", "a in x,y"),
        ("input.a in [\"x\", 1, null]", "a in null,1,x"),
        ("input.a in data.lists.words", "a in a,b"),
        ("input.a in lib.shells", "a in bash,sh,zsh"),
        ("{\"x\": 1, \"y\": 2}[input.a] == 2", "a in x,y"),
        ("startswith(input.a, \"x\")", "a starts {x}"),
        ("endswith(lower(input.a), \"x\")", "lower(a) ends {x}"),
        ("contains(input.a, \"x\"); contains(input.a, \"y\")", "(a has {x} & a has {y})"),
        ("some x in [\"p\", \"q\"]; startswith(input.a, x)", "a starts {p, q}"),
        ("x := input.a; startswith(x, \"p\")", "a starts {p}"),
        ("x := input.a.b; x.c == 1", "a.b.c in 1"),
        ("input.a != \"x\"", "(a defined & not a in x)"),
        ("not input.a == \"x\"", "not a in x"),
        ("input.a", "a true"),
        ("not input.a", "not a true"),
        ("input.args[0] == \"x\"", "args.0 in x"),
        ("count(input.args) > 3", "args defined"),
        ("some arg in input.args; arg == \"x\"", "args defined"),
        ("input.port in lib.ports", "port in 22,23"),
        ("input.a == input.b", "(a defined & b defined)"),
        ("contains(lib.text, \"x\")", "join(process.args) has {x}"),
    ] {
        assert_eq!(of(statements), expected, "{statements}");
    }
}

#[test]
fn helpers_are_followed() {
    for (statements, expected) in [
        (
            "lib.temporary(input.file.path)",
            "(file.path defined & (file.path starts {/tmp/} | file.path starts {/var/tmp/}))",
        ),
        (
            "some path in lib.images; path == \"x\"",
            "((file.path defined | process.executable defined) & (file.path in x | process.executable in x))",
        ),
        ("lib.base(input.p) == \"x\"", "last(p) in x"),
        ("not lib.temporary(input.p)", "(not p defined | (not p starts {/tmp/} & not p starts {/var/tmp/}))"),
    ] {
        assert_eq!(of(statements), expected, "{statements}");
    }
    let shell = of("lib.is_shell(input.process)");
    assert!(
        shell.contains("(last(process.args.0) in bash,sh,zsh | last(process.executable) in bash,sh,zsh)"),
        "{shell}"
    );
}

#[test]
fn several_definitions_and_bodies_are_joined() {
    let helper = |definitions: &str| condition(&format!("deny contains \"x\" if h\n\n{definitions}\n"));
    assert_eq!(helper("h if input.a == 1\n\nh if input.b == 1"), "(a in 1 | b in 1)");
    assert_eq!(helper("h if { input.a == 1 } else if { input.b == 1 }"), "(a in 1 | b in 1)");
    assert_eq!(helper("h := input.a == 1"), "a defined");
    assert_eq!(helper("h := false if input.a == 1 else := input.b"), "b true");
    assert_eq!(helper("default h := true\n\nh := false if input.a == 1"), "always");
    assert_eq!(condition("deny contains msg if { input.a == 1; msg := input.b }"), "(a in 1 & b defined)");
}

#[test]
fn what_is_not_understood_says_nothing() {
    for statements in [
        "every x in input.a { x == 1 }",
        "input.a == \"x\" with input as {\"a\": \"x\"}",
        "count([x | some x in input.a; x == 1]) > 0",
        "count({1 | input.a == 1}) == 0",
        "not lib.base(input.a) == lib.base(input.b)",
        "not count(input.a) == 3",
        "[input.a, 1] = [x, 1]",
        "not lib.shells[input.a.b] == input.c",
    ] {
        assert_eq!(of(statements), "always", "{statements}");
    }
    for (statements, expected) in [
        // Which of the two it is, is another statement's business.
        ("not { x | some x in [\"a\"]; input.a == x } == set()", "always"),
        ("x := [input.a, input.b][input.c]; x == 1", "(a defined & b defined & c defined)"),
        ("some x, y in [1, 2]; input.a == y", "a in 1,2"),
    ] {
        assert_eq!(of(statements), expected, "{statements}");
    }
}
