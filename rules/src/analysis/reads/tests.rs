//! Typing errors in input fields are found wherever the value has gone, and nothing else is.

use super::{Report, find};
use crate::analysis::corpus::Corpus;
use crate::load::parse::{Text, parse};

fn report(modules: &[&str]) -> Report {
    let parse = |(index, text): (usize, &&str)| {
        parse(&Text::new(format!("{index}.rego"), *text)).unwrap_or_else(|e| panic!("{e}")).0
    };
    find(&Corpus::new(modules.iter().enumerate().map(parse).collect()))
}

const LIBRARY: &str = "package lib\n\nshell(process) if process.nmae == \"sh\"\n\nname(thing) := thing.name\n\nends(thing) := thing.executable\n\nends(thing) := thing.path\n\nactor := input.process\n\nall contains p if some p in input.process.ancestors\n\nfirst([a, _]) := a\n";

fn of_body(body: &str) -> Report {
    let policy = format!(
        "package sentinel.a\n\nimport data.lib\nimport input.process as proc\n\ndeny contains \"x\" if {{\n{body}\n}}\n"
    );
    report(&[&policy, LIBRARY])
}

fn messages(body: &str) -> Vec<String> {
    of_body(body).errors.into_iter().map(|(_, _, _, fault)| format!("{} {}", fault.message, fault.hint)).collect()
}

#[test]
fn typing_errors_are_found_wherever_the_value_goes() {
    for body in [
        "input.process.nmae == \"sh\"",
        "input[\"process\"][\"nmae\"] == \"sh\"",
        "proc.nmae == \"sh\"",
        "p := input.process; p.nmae == \"sh\"",
        "p = input.process; p.nmae == \"sh\"",
        "input.process = p; q := p; q.nmae == \"sh\"",
        "{\"process\": {\"nmae\": name}} = input; name == \"sh\"",
        "{\"process\": p} = input; p.nmae == \"sh\"",
        "[p, f] := [input.process, input.file]; p.nmae == f.name",
        "some p in input.process.ancestors; p.nmae == \"sh\"",
        "some {\"nmae\": n} in input.process.ancestors; n == \"sh\"",
        "some i; input.process.ancestors[i].nmae == \"sh\"",
        "input.process.ancestors[_].nmae == \"sh\"",
        "some p in [input.process, input.process.parent]; p.nmae == \"sh\"",
        "every p in input.process.ancestors { p.nmae != \"sh\" }",
        "count([n | n := input.process.nmae]) > 0",
        "count({p.nmae | some p in input.process.ancestors}) > 0",
        "not input.process.nmae",
        "startswith(input.process.nmae, \"s\")",
        "object.get(input, [\"process\", \"nmae\"], \"\") == \"sh\"",
        "object.get(object.get(input, \"process\", {}), \"nmae\", \"\") == \"sh\"",
        "lib.shell(input.process)",
        "p := input.process; lib.shell(p)",
        "lib.actor.nmae == \"sh\"",
        "some p in lib.all; p.nmae == \"sh\"",
        "lib.first([input.process, 1]).nmae == \"sh\"",
        "data.lib.actor.nmae == \"sh\"",
        "{\"p\": input.process}.p.nmae == \"sh\"",
        "x := {\"p\": input.process}; x.p.nmae == \"sh\"",
    ] {
        let found = messages(body);
        assert_eq!(found.len(), 1, "{body}: {found:#?}");
        assert!(found[0].contains("nmae`") && found[0].contains("name`?"), "{body}: {found:?}");
    }
}

#[test]
fn what_is_right_or_not_known_is_left_alone() {
    for body in [
        "input.process.name == \"sh\"",
        "input.process.args[0] == \"sh\"",
        "some i, a in input.process.args; i > 0; a == \"x\"",
        "lib.ends(input.process) == \"x\"; lib.ends(input.file) == \"y\"",
        "lib.name({\"name\": 1}) == 1",
        "data.unknown.nmae == \"x\"",
        "x := json.unmarshal(input.process.args[0]); x.nmae == \"sh\"",
        "lib.actor.nmae with input as {\"process\": {\"nmae\": 1}}",
        "input.nothing == 1 with input as {\"nothing\": 1}",
        "input.process.pid == 1",
        "input.destination.port in {80, 443}",
        "input.process.name in {\"a\", \"b\"}",
        "to_number(input.user.id) > 1000",
        "object.get(input.process, \"name\", \"\") == \"sh\"",
        "\"x\" in input.process.args",
        "count(input.process.args) > 3",
    ] {
        assert_eq!(messages(body), [] as [String; 0], "{body}");
    }
}

#[test]
fn a_fault_needs_every_caller_to_have_it() {
    let errors = messages("lib.ends(input.process) == \"x\"");
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].contains("`input.process.path`"), "{errors:?}");
}

#[test]
fn values_of_different_types_are_not_compared() {
    for (body, part) in [
        ("input.process.pid == \"1\"", "write 1 without quotes"),
        ("\"1\" == input.process.pid", "write 1 without quotes"),
        ("input.user.id == 0", "write \"0\""),
        ("input.user.id != 0", "always differ"),
        ("input.user.id >= 1000", "to_number(input.user.id)"),
        ("p := input.process.pid; p == \"1\"", "`input.process.pid` is a number"),
        ("input.destination.port in {\"80\", \"443\"}", "never among them"),
        ("input.process.args == \"-x\"", "is an array and is compared with a string"),
        ("input.file.write == \"true\"", "is a boolean"),
        ("\"x\" in input.process.name", "has no items"),
        ("startswith(input.process.args, \"x\")", "test each item"),
        ("input.process.name.first == \"x\"", "is a string"),
        ("input.process.args.name == \"x\"", "is an array"),
    ] {
        let found = messages(body);
        assert_eq!(found.len(), 1, "{body}: {found:#?}");
        assert!(found[0].contains(part), "{body}: {found:?}");
    }
}

#[test]
fn looking_at_everything_is_said() {
    for body in [
        "walk(input, [path, value]); value == \"x\"",
        "some key; input[key] == \"x\"",
        "contains(json.marshal(input), \"x\")",
        "some key, value in input.process",
        "some part in [\"name\"]; input.process[part] == \"x\"",
    ] {
        let report = of_body(body);
        assert!(report.errors.is_empty(), "{body}: {:?}", report.errors);
        let codes: Vec<&str> = report.notices.iter().map(|(_, _, _, fault)| fault.code).collect();
        assert_eq!(codes, ["whole-input"], "{body}");
    }
    for body in ["count(input.process) > 3", "sprintf(\"%v\", [input.process]) != \"x\""] {
        assert!(of_body(body).notices.is_empty(), "{body}");
    }
}

#[test]
fn fields_that_nothing_fills_are_said() {
    for body in
        ["input.user.name == \"root\"", "input.orchestrator.cluster.name == \"x\"", "not input.orchestrator.cluster"]
    {
        let notices = of_body(body).notices;
        assert_eq!(notices.len(), 1, "{body}: {notices:?}");
        assert_eq!(notices[0].3.code, "unfilled-input-field");
    }
}

#[test]
fn imports_of_input_are_checked() {
    let found =
        report(&["package sentinel.a\n\nimport input.proces as p\n\ndeny contains \"x\" if p.name == \"sh\"\n"]);
    assert_eq!(found.errors.len(), 1);
    assert_eq!((found.errors[0].1, found.errors[0].2), (3, 14));
}

#[test]
fn functions_that_grow_their_arguments_end() {
    let mut text = String::from("package lib\n\nf0(x, _) := x\n\n");
    for n in 1..30 {
        let before = n - 1;
        text.push_str(&format!("f{n}(x, y) := [f{before}([x, x, y], y), f{before}(y, {{\"a\": [x, y]}})]\n\n"));
    }
    text.push_str("g if f29(input.process, input.file)\n");
    let start = std::time::Instant::now();
    let found = report(&[&text]);
    assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
    assert!(found.errors.is_empty(), "{:?}", found.errors);
}

#[test]
fn functions_nobody_calls_are_looked_at_too() {
    let found = report(&["package lib\n\nf(x) if x.nmae == input.process.nmae\n"]);
    assert_eq!(found.errors.len(), 1, "{:?}", found.errors);
}

#[test]
fn a_function_with_many_callers_is_at_fault_for_none() {
    let mut text = String::from("package lib\n\nf(x, _) := x.extra\n\n");
    for n in 0..100 {
        let path = if n == 99 { "{\"extra\": 1}" } else { "input.process" };
        text.push_str(&format!("g{n} := f({path}, {{\"k{n}\": 1}})\n\n"));
    }
    assert!(report(&[&text]).errors.is_empty());
}
