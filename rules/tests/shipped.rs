//! The shipped policies load without errors, all on the register machine, and their own tests pass.

use rules::testing::{self, TestOptions, TestOutcome};
use rules::{Engine, Policies};

#[test]
fn the_shipped_set_loads_and_compiles() {
    let policies = match Policies::shipped() {
        Ok(policies) => policies,
        Err(errors) => panic!("{errors}"),
    };
    let notices: Vec<String> = policies.notices().iter().map(ToString::to_string).collect();
    assert!(notices.is_empty(), "{}", notices.join("\n"));
    for rule in policies.rules() {
        assert_eq!(rule.engine, Engine::Rvm, "{}:{} {}", rule.file, rule.line, rule.id);
        println!("{} {} {:?} [{}]", rule.id, rule.verb, rule.kinds, rule.fields);
    }
    assert!(!policies.rules().is_empty());
}

#[test]
fn the_tests_of_the_shipped_set_pass() {
    let report = match testing::run(&TestOptions { shipped: true, coverage: true, ..TestOptions::default() }) {
        Ok(report) => report,
        Err(errors) => panic!("{errors}"),
    };
    let failures: Vec<String> = report
        .cases
        .iter()
        .filter(|case| matches!(case.outcome, TestOutcome::Fail(_) | TestOutcome::Error(_)))
        .map(|case| format!("{}:{} {}: {:?} {:?}", case.file, case.line, case.name, case.outcome, case.output))
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(report.cases.iter().any(|case| case.outcome == TestOutcome::Pass));
    // Every policy has a test that evaluates it: a file that nothing is evaluated in is not tested.
    let untested = report.coverage.iter().find(|file| file.covered.is_empty() && !file.not_covered.is_empty());
    assert_eq!(untested.map(|file| &file.file), None);
    println!("{} tests, {:.1} % of lines", report.cases.len(), report.covered_percent().unwrap_or(0.0));
}
