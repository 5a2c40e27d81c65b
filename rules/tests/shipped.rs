//! The shipped policies load without errors, all on the register machine, and their own tests pass.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;

use rules::testing::{self, TestOptions, TestOutcome};
use rules::{Engine, Kind, KindSet, Maturity, Policies, Verb};

/// Loaded once; an error is a failure of every test here.
static SHIPPED: LazyLock<Policies> = LazyLock::new(|| Policies::shipped().unwrap_or_else(|errors| panic!("{errors}")));

#[test]
fn the_shipped_set_loads_and_compiles() {
    let policies = &*SHIPPED;
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
    let covered = report.covered_percent().unwrap_or(0.0);
    assert!(covered >= 95.0, "only {covered:.1} % of the policies' lines are evaluated by their tests");
    let untested = report.coverage.iter().find(|file| file.covered.is_empty() && !file.not_covered.is_empty());
    assert_eq!(untested.map(|file| &file.file), None);
    println!("{} tests, {:.1} % of lines", report.cases.len(), report.covered_percent().unwrap_or(0.0));
}

#[test]
fn every_shipped_rule_is_described_and_can_fire() {
    let policies = &*SHIPPED;
    // What the daemon reports today; a rule on anything else would sleep.
    // What no version reports yet.
    let missing = [Kind::Accept, Kind::Ptrace, Kind::Bpf, Kind::Kill];
    let reported = Kind::ALL.into_iter().filter(|kind| !missing.contains(kind)).fold(KindSet::EMPTY, KindSet::with);
    let mut ids = BTreeSet::new();
    let mut tiers = BTreeSet::new();
    for rule in policies.rules() {
        let id = &rule.id;
        assert!(ids.insert(id), "{id} is there twice");
        assert!(
            !id.contains('.') && !rule.title.is_empty() && rule.description.ends_with('.'),
            "{id} has no annotations"
        );
        assert!(!rule.techniques.is_empty(), "{id} names no technique");
        let unknown = rule.techniques.iter().find(|technique| technique.name.is_empty());
        assert_eq!(unknown, None, "{id}: is the technique in techniques.rs?");
        assert!(!rule.kinds.intersection(reported).is_empty(), "{id} matches no kind of event that is reported");
        assert!(!rule.kinds.is_all(), "{id} does not test input.event.action");
        let maturity = rule.maturity.unwrap_or_else(|| panic!("{id} has no maturity"));
        tiers.insert(maturity.as_str());
        assert!(rule.verb != Verb::Deny || maturity == Maturity::Stable, "{id} denies and is not stable");
    }
    assert_eq!(tiers.len(), 3, "{tiers:?}");
    assert!(policies.packages().len() >= 30, "{}", policies.packages().len());
}

#[test]
fn every_shipped_policy_has_its_tests_beside_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("policy");
    for file in SHIPPED.files() {
        let name = file.trim_start_matches("shipped/").trim_end_matches(".rego");
        let place = if name.starts_with("lib/") { "lib/lib" } else { name };
        assert!(root.join(format!("{place}_test.rego")).exists(), "{file} has no tests");
    }
}

#[test]
fn entries_that_refuse_more_than_their_rule_says_are_meant() {
    let policies = Policies::shipped().unwrap_or_else(|errors| panic!("{errors}"));
    let wider = policies.rules().iter().filter_map(|rule| Some((rule, rules::analysis::beyond_entry(rule)?)));
    let not_said: Vec<String> = wider
        .filter(|(rule, _)| !rule.accept.iter().any(|code| code == "entry-wider-than-rule"))
        .map(|(rule, (scope, lost))| format!("{}: {scope} does not hold {lost:?}", rule.id))
        .collect();
    assert!(not_said.is_empty(), "{not_said:#?}");
    let accepting = policies.rules().iter().filter(|rule| !rule.accept.is_empty());
    let needless: Vec<&str> =
        accepting.filter(|rule| rules::analysis::beyond_entry(rule).is_none()).map(|rule| rule.id.as_str()).collect();
    assert!(needless.is_empty(), "accepted for nothing: {needless:?}");
}
