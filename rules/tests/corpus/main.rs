//! Two hundred small programs that walk through the language, with the results the language definition asks for.
//!
//! A program starts at `# ---`. Its comments say what it gives: `# input JSON => [messages]`, sorted; `# engine
//! interpreter` for what the register machine cannot compile; `# refused TEXT` for what a load refuses, with a part
//! of the message; `# deviates JSON => [messages], since REASON` where the engine gives something else than OPA.
//! Sentinel's evaluator, the machine without shortcuts and the interpreter all have to agree with it.

#![expect(clippy::unwrap_used, reason = "helpers of tests; a failure is the test's")]

use std::path::Path;
use std::time::Duration;

use rules::{Engine, Evaluator, Kind, Limits, Policies, Value};

const DATA: &str = r#"{"lists": {"words": ["a", "b"], "numbers": {"one": 1, "two": 2}}}"#;

/// One program and what is said about it.
#[derive(Debug, Default)]
struct Program {
    name: String,
    text: String,
    cases: Vec<(String, Vec<String>)>,
    interpreter: bool,
    refused: Option<String>,
}

fn programs() -> Vec<Program> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/programs");
    let mut files: Vec<_> = std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let texts = files.iter().map(|file| std::fs::read_to_string(file).unwrap());
    texts.flat_map(|text| text.split("# --- ").skip(1).map(program).collect::<Vec<_>>()).collect()
}

fn program(text: &str) -> Program {
    let mut program = Program::default();
    for (number, line) in text.lines().enumerate() {
        if number == 0 {
            program.name = line.to_owned();
        } else if let Some(case) = line.strip_prefix("# input ") {
            let (input, messages) = case.rsplit_once(" => ").unwrap_or_else(|| panic!("{line}"));
            program.cases.push((input.to_owned(), strings(messages)));
        } else if let Some(case) = line.strip_prefix("# deviates ") {
            let (case, _reason) = case.split_once(", since ").unwrap_or_else(|| panic!("{line}"));
            let (input, messages) = case.rsplit_once(" => ").unwrap_or_else(|| panic!("{line}"));
            program.cases.push((input.to_owned(), strings(messages)));
        } else if let Some(refused) = line.strip_prefix("# refused ") {
            program.refused = Some(refused.to_owned());
        } else if line == "# engine interpreter" {
            program.interpreter = true;
        } else {
            program.text.push_str(line);
            program.text.push('\n');
        }
    }
    program
}

fn strings(json: &str) -> Vec<String> {
    let value = Value::from_json_str(json).unwrap_or_else(|error| panic!("{json}: {error}"));
    value.as_array().unwrap().iter().map(|text| text.as_string().unwrap().to_string()).collect()
}

/// Messages of all decisions, sorted; errors as well, so that one is never taken for nothing.
fn messages(evaluator: &mut Evaluator, input: &Value) -> Vec<String> {
    let outcome = evaluator.evaluate(Kind::Exec, input);
    let errors = outcome.errors.iter().map(|error| format!("error: {error}"));
    let mut messages: Vec<String> = outcome.decisions.into_iter().map(|d| d.message).chain(errors).collect();
    messages.sort();
    messages
}

/// What differs from what the program says.
fn differences(program: &Program) -> Vec<String> {
    let loaded = Policies::from_texts(&[(&program.name, &program.text)], DATA);
    let policies = match (loaded, &program.refused) {
        (Err(errors), Some(refused)) if errors.to_string().contains(refused) => return Vec::new(),
        (Err(errors), _) => return vec![format!("{}: refused: {errors}", program.name)],
        (Ok(_), Some(_)) => return vec![format!("{}: not refused", program.name)],
        (Ok(policies), None) => policies.shared(),
    };
    let mut found = Vec::new();
    let by_interpreter = policies.rules().iter().any(|rule| rule.engine != Engine::Rvm);
    if by_interpreter != program.interpreter {
        found.push(format!(
            "{}: engines {:?}",
            program.name,
            policies.rules().iter().map(|r| &r.engine).collect::<Vec<_>>()
        ));
    }
    let limits = Limits { time: Duration::from_secs(10), ..Limits::default() };
    let mut evaluators = [
        ("sentinel", Evaluator::new(policies.clone(), limits)),
        ("machine", Evaluator::plain(policies.clone(), limits)),
        ("interpreter", Evaluator::interpreted(policies, limits)),
    ];
    // Twice, so that what is kept is asked for.
    for (input, expected) in program.cases.iter().chain(&program.cases) {
        let value = Value::from_json_str(input).unwrap();
        for (engine, evaluator) in &mut evaluators {
            let got = messages(evaluator, &value);
            if got != *expected {
                found.push(format!("{}: {engine} on {input}: {got:?}, not {expected:?}", program.name));
            }
        }
    }
    found
}

#[test]
fn programs_give_what_the_language_says() {
    let programs = programs();
    assert_eq!(programs.len(), 200);
    let names: std::collections::BTreeSet<&str> = programs.iter().map(|program| &program.name[..4]).collect();
    assert_eq!(names.len(), 200, "every program has a number of its own");
    assert!(programs.iter().all(|program| program.refused.is_some() || !program.cases.is_empty()));
    let found: Vec<String> = programs.iter().flat_map(differences).collect();
    assert!(found.is_empty(), "{} differences:\n{}", found.len(), found.join("\n"));
}
