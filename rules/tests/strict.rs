//! What a load of policies refuses that an engine would take: unknown fields, unused and hiding names, unsafe variables.

use rules::{Diagnostic, LoadErrors, Policies};

fn findings(policy: &str) -> (Vec<Diagnostic>, Vec<Diagnostic>) {
    match Policies::from_texts_strict(&[("p.rego", policy)], "") {
        Ok(policies) => (Vec::new(), policies.notices().to_vec()),
        Err(LoadErrors { errors, notices }) => (errors, notices),
    }
}

/// Asserts that there is one error, its code and place, and a part of it.
fn refused(policy: &str, code: &str, place: (u32, u32), part: &str) {
    let (errors, _) = findings(policy);
    assert_eq!(errors.len(), 1, "{policy}\n{errors:#?}");
    let error = &errors[0];
    assert_eq!((error.code, (error.line, error.column)), (code, place), "{error}");
    assert!(error.to_string().contains(part), "wanted {part:?} in\n{error}");
}

fn body(statements: &str) -> String {
    format!("package sentinel.a\n\ndeny contains \"x\" if {{\n\t{statements}\n}}\n")
}

fn accepted(policy: &str) {
    let (errors, _) = findings(policy);
    assert!(errors.is_empty(), "{policy}\n{errors:#?}");
}

#[test]
fn a_field_that_no_event_has_is_an_error_with_a_suggestion() {
    let code = "unknown-input-field";
    refused(&body("input.proces.name == \"sh\""), code, (4, 8), "did you mean `input.process`?");
    refused(&body("p := input.process\n\tp.nmae == \"sh\""), code, (5, 4), "did you mean `input.process.name`?");
    refused(&body("input.destination.prot == 22"), code, (4, 20), "did you mean `input.destination.port`?");
    // The lenient load takes it: such programs run on other inputs.
    assert!(Policies::from_texts(&[("p.rego", &body("input.proces.name == \"sh\""))], "").is_ok());
}

#[test]
fn unused_variables_are_errors() {
    let code = "unused-variable";
    refused(
        &body("name := input.process.name\n\tinput.process.pid == 1"),
        code,
        (4, 2),
        "`name` is assigned and not used",
    );
    refused(&body("some i\n\tinput.process.pid == 1"), code, (4, 7), "`i` is declared and not used");
    refused(&body("[a, b] := [1, 2]\n\ta == input.process.pid"), code, (4, 6), "`b` is assigned");
    refused(&body("every a in input.process.args { input.process.pid == 1 }"), code, (4, 8), "`a` is declared");
    refused(&body("count([a | a := 1; b := 2]) == 1"), code, (4, 21), "`b` is assigned");
    refused(
        "package sentinel.a\n\nf(x) := 1\n\ndeny contains \"x\" if f(1) == 1\n",
        code,
        (3, 3),
        "the argument `x` is not used",
    );
    for statements in [
        "name := input.process.name\n\tname == \"sh\"",
        "some i\n\tinput.process.args[i] == \"x\"",
        "some _ in input.process.args",
        "some a in input.process.args",
        "[a, _] := [1, 2]\n\ta == input.process.pid",
        "x := 1\n\tcount([y | y := x]) == 1",
        "name := input.process.name\n\tnot name == \"sh\"",
    ] {
        accepted(&body(statements));
    }
    accepted(
        "package sentinel.a\n\nf(_) := 1\n\nf(x) := 2 if x == 1 else := 3 if x == 2\n\ndeny contains msg if msg := sprintf(\"%v\", [f(1)])\n",
    );
}

#[test]
fn imports_are_used_and_made_once() {
    let rule = "deny contains \"x\" if input.process.name in shells\n";
    let policy = |imports: &str| format!("package sentinel.a\n\n{imports}\n\nshells := {{\"sh\"}}\n\n{rule}");
    refused(&policy("import data.sentinel.b"), "unused-import", (3, 8), "the import `b` is not used");
    refused(&policy("import input.process as p"), "unused-import", (3, 8), "the import `p` is not used");
    let twice = "package sentinel.a\n\nimport data.b.shells\nimport data.c.shells\n\ndeny contains \"x\" if input.process.name in shells\n";
    refused(twice, "duplicate-import", (4, 8), "`shells` is imported twice");
    accepted(&policy("import rego.v1"));
    accepted("package sentinel.a\n\nimport input.process as p\n\ndeny contains \"x\" if p.name == \"sh\"\n");
}

#[test]
fn nothing_hides_input_or_data() {
    let code = "shadowed-name";
    refused(&body("data := 1\n\tdata == 1"), "syntax", (4, 7), "data cannot be shadowed");
    refused(&body("some input in [1]\n\tinput == 1"), code, (4, 7), "the variable hides `input`");
    refused(
        "package sentinel.a\n\ndata := 1\n\ndeny contains \"x\" if input.process.pid == 1\n",
        "syntax",
        (3, 1),
        "data cannot be shadowed",
    );
    let import = "package sentinel.a\n\nimport data.b as input\n\ndeny contains \"x\" if input.process.pid == 1\n";
    refused(import, code, (3, 8), "the import hides `input`");
}

#[test]
fn unsafe_variables_are_errors() {
    let code = "unsafe-variable";
    refused(&body("not input.process.args[i] == \"x\""), code, (4, 25), "`i`");
    refused(&body("not input.process.args[i] == \"x\"\n\ti > 1"), code, (4, 25), "`i`");
    refused(&body("count([y | y = input.process.args[_]]) > 0\n\ty == \"x\""), code, (5, 2), "`y`");
    refused(&body("x > 3"), code, (4, 2), "`x`");
    accepted(&body("some i\n\tinput.process.args[i] == \"x\"\n\tnot input.process.args[i] == \"y\""));
    accepted(&body("input.process.args[i] == \"x\"\n\tnot input.process.args[i] == \"y\""));
    accepted(&body("not input.process.args[_] == \"x\""));
    accepted(&body("x = input.process.name\n\tcount([1 | x == \"sh\"]) > 0"));
}

#[test]
fn deprecated_functions_are_refused_by_name() {
    for call in ["any([true])", "all([true])", "re_match(\"a\", \"a\")", "cast_array([1])", "set_diff({1}, {2})"] {
        let name = call.split('(').next().unwrap();
        refused(
            &body(call),
            "refused-function",
            (4, 2),
            &format!("`{name}` cannot be used in a policy: it is deprecated"),
        );
    }
}

#[test]
fn a_field_of_other_kinds_is_said() {
    let (errors, notices) = findings(&body("input.event.action == \"exec\"\n\tinput.destination.port == 22"));
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(notices.len(), 1, "{notices:?}");
    assert_eq!((notices[0].code, notices[0].line), ("field-not-in-kind", 5));
    let (_, notices) = findings(&body("input.event.action == \"exec\"\n\tnot input.destination.port"));
    assert!(notices.is_empty(), "{notices:?}");
}
