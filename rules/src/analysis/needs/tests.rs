//! What small policies read, written as text.

use super::*;
use crate::policies::Policies;

/// What the first `deny` of a package reads, or `nothing kept`.
fn reads(body: &str) -> String {
    let library = "package lib\n\nname(process) := own if {\n\town := process.executable\n} else := process.args[0]\n\n\
        under(process) if {\n\tsome ancestor in process.ancestors\n\tancestor.executable == \"x\"\n}\n\n\
        any(_) := 1\n\nactor := input.process\n";
    let policy = format!("package sentinel.a\n\nimport data.lib\nimport input.event as occurrence\n\n{body}\n");
    let modules = [("lib.rego", library), ("p.rego", policy.as_str())];
    let policies = Policies::from_texts(&modules, "").unwrap_or_else(|errors| panic!("{errors}"));
    policies.code.plans[0].reads.as_ref().map_or("nothing kept".to_owned(), show)
}

fn of(statements: &str) -> String {
    reads(&format!("deny contains \"x\" if {{\n{statements}\n}}"))
}

/// `a.b a.*`: whole where nothing follows, `a?` where only that it is there counts.
fn show(reads: &Reads) -> String {
    let mut lines = Vec::new();
    list(reads, "", &mut lines);
    lines.join(" ")
}

fn list(reads: &Reads, at: &str, lines: &mut Vec<String>) {
    if reads.whole {
        lines.push(at.to_owned());
    } else if reads.fields.is_empty() && reads.each.is_none() {
        lines.push(format!("{at}?"));
    }
    let dot = if at.is_empty() { "" } else { "." };
    for (name, below) in &reads.fields {
        list(below, &format!("{at}{dot}{name}").replace('"', ""), lines);
    }
    reads.each.iter().for_each(|below| list(below, &format!("{at}{dot}*"), lines));
}

#[test]
fn variables_and_arguments_are_followed() {
    for (statements, expected) in [
        ("input.a.b == 1", "a.b"),
        ("input[\"a\"][\"b\"] == 1", "a.b"),
        ("occurrence.action == \"exec\"", "event.action"),
        ("x := input.a; x.b == 1; x.c[0] == 2", "a.b a.c.0"),
        ("x := input.a", "a?"),
        ("x := input.a; y := x", "a?"),
        ("x := input.a; y := [x]", "a"),
        ("x = input.a; x.b == 1", "a"),
        ("some x in input.list; x.name == 1", "list.*.name"),
        ("some i, x in input.list; x.name == i", "list.*.name"),
        ("some x in input.list", "list.*?"),
        ("every x in input.list { x.name == 1 }", "list.*.name"),
        ("input.list[_].name == 1", "list.*.name"),
        ("input.list[input.i] == 1", "i list.*"),
        ("count(input.list) > 1", "list"),
        ("count([x.b | some x in input.list; x.c]) > 1", "list.*.b list.*.c"),
        ("lib.name(input.process) == 1", "process.args.0 process.executable"),
        ("p := input.process; lib.name(p) == 1", "process.args.0 process.executable"),
        ("lib.under(input.process)", "process.ancestors.*.executable"),
        ("lib.any(input.x)", "x?"),
        ("not input.a.b", "a.b"),
        ("[a, _] := input.pair; a == 1", "pair"),
        ("{1, 2}[input.n]", "n"),
        ("true", "?"),
        ("sprintf(\"%v\", [input.a]) == \"1\"", "a"),
    ] {
        assert_eq!(of(statements), expected, "{statements}");
    }
    assert_eq!(reads("deny contains msg if { input.a == 1; msg := input.b }"), "a b");
    assert_eq!(reads("deny contains m if some m in h\n\nh contains input.a if input.b\n\nh contains input.c"), "a b c");
}

#[test]
fn what_no_two_events_share_is_not_kept() {
    for statements in [
        "input.process.pid == 1",
        "input.process == 1",
        "lib.actor.name == \"x\"",
        "count(input) > 3",
        "some key, value in input; value == 1",
        "input.event.id == 1",
        "time.now_ns() > 5",
        "walk(input.process, [path, value]); value == 1",
        "lib.name(input.process) == 1 with input.process as input.process.parent",
        "some a in input.process.ancestors; a.pid == 1",
        "some a in input.process.ancestors; a == input.x",
        "input.process.ancestors[0].pid == 1",
    ] {
        assert_eq!(of(statements), "nothing kept", "{statements}");
    }
    assert_eq!(reads("deny contains \"x\" if h\n\nh if time.now_ns() > 5"), "nothing kept");
    assert_eq!(of("input.x == 1 with input.x as input.y"), "x y");
}
