//! What Sentinel decides with its shortcuts is what the interpreter decides without them: ten thousand events for
//! every shipped policy, made of the texts in the policy and its tests, so that its rules fire.
//!
//! Events come in runs that differ in one field, which is what a cache gets wrong if it gets anything wrong. The
//! seed is fixed: a failure comes back.

#![expect(clippy::unwrap_used, reason = "helpers of tests; a failure is the test's")]

mod events;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use events::{Event, Pools, Random};
use rules::{Cause, Evaluator, Limits, Outcome, Policies};

/// Events for each policy.
const EVENTS: usize = 10_000;

const LIMITS: Limits = Limits { time: Duration::from_secs(20), instructions: 1_000_000, memory: 1 << 20 };

struct Policy {
    name: String,
    text: String,
    tests: String,
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn below(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.into_iter().flat_map(|path| if path.is_dir() { below(&path) } else { vec![path] }).collect()
}

/// The shipped policies, and the libraries they use.
fn shipped() -> (Vec<Policy>, Vec<(String, String)>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("policy");
    let (mut policies, mut libraries) = (Vec::new(), Vec::new());
    for path in below(&root) {
        let name = path.display().to_string();
        if name.ends_with("_test.rego") || !name.ends_with(".rego") {
            continue;
        }
        let text = read(&path);
        let tests = name.replace(".rego", "_test.rego");
        match Path::new(&tests).exists() {
            true => policies.push(Policy { name, text, tests: read(Path::new(&tests)) }),
            false => libraries.push((name, text)),
        }
    }
    (policies, libraries)
}

#[test]
fn shortcuts_change_no_decision_of_a_shipped_policy() {
    let (policies, libraries) = shipped();
    assert!(policies.len() > 20, "{} policies", policies.len());
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let results: Vec<(usize, Vec<String>)> = std::thread::scope(|scope| {
        let parts: Vec<Vec<&Policy>> =
            (0..workers).map(|worker| policies.iter().skip(worker).step_by(workers).collect()).collect();
        let libraries = &libraries;
        let run = |part: Vec<&Policy>| part.into_iter().map(|policy| compare(policy, libraries)).collect::<Vec<_>>();
        let threads: Vec<_> = parts.into_iter().map(|part| scope.spawn(move || run(part))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let rules: usize = results.iter().map(|(rules, _)| rules).sum();
    let silent: Vec<&String> = results.iter().flat_map(|(_, silent)| silent).collect();
    // Events that fire nothing would show nothing.
    assert!(silent.len() * 10 <= rules, "of {rules} rules, these never fired: {silent:?}");
}

/// Decides on events of one policy in three ways. Gives the number of rules, and those that never fired.
fn compare(policy: &Policy, libraries: &[(String, String)]) -> (usize, Vec<String>) {
    let modules: Vec<(&str, &str)> = libraries.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let modules = [modules.as_slice(), &[(policy.name.as_str(), policy.text.as_str())]].concat();
    let policies = Policies::from_texts(&modules, "").unwrap_or_else(|errors| panic!("{errors}")).shared();
    if policies.rules().is_empty() {
        return (0, Vec::new());
    }
    let mut evaluator = Evaluator::new(policies.clone(), LIMITS);
    let mut machine = Evaluator::plain(policies.clone(), LIMITS);
    let mut interpreter = Evaluator::interpreted(policies.clone(), LIMITS);
    let kinds = policies.rules().iter().flat_map(|rule| rule.kinds.iter()).collect::<BTreeSet<_>>();
    let pools = Pools::new(&policy.text, &policy.tests, kinds.into_iter().collect());
    let (mut random, mut recent, mut fired) = (Random::new(&policy.name), Vec::<Event>::new(), BTreeSet::new());
    for number in 0..EVENTS {
        let event = pools.event(&mut random, &recent, number);
        let (kind, input) = (event.kind(), event.build());
        let outcome = evaluator.evaluate(kind, &input);
        let what = || format!("{}, event {number}: {kind} {input}", policy.name);
        same(&outcome, &machine.evaluate(kind, &input), &what);
        same(&outcome, &interpreter.evaluate(kind, &input), &what);
        fired.extend(outcome.decisions.iter().map(|decision| decision.rule).chain(outcome.allowed_by));
        recent.push(event);
        if recent.len() > 40 {
            recent.remove(random.below(40));
        }
    }
    let counters = evaluator.counters();
    assert_eq!(counters.events, EVENTS as u64);
    let candidates = counters.candidates * 2 < EVENTS as u64 * policies.rules().len() as u64;
    assert!(candidates, "{}: the conditions keep too little away: {counters:?}", policy.name);
    let kept = policies.rules().iter().any(|rule| policies.shortcuts(rule).cached);
    assert!(
        !kept || counters.hits * 50 > counters.candidates,
        "{}: the cache was not tried: {counters:?}",
        policy.name
    );
    let silent = policies.rules().iter().filter(|rule| !fired.contains(&rule.index)).map(|rule| rule.id.clone());
    (policies.rules().len(), silent.collect())
}

/// The same decisions. A rule that failed without shortcuts need not have been run with them; where an operand has the
/// wrong type, the interpreter fails and the machine takes it as undefined, as OPA does.
fn same(outcome: &Outcome, other: &Outcome, what: &dyn Fn() -> String) {
    let failed: BTreeSet<u32> = other.errors.iter().map(|error| error.rule).collect();
    for error in &outcome.errors {
        assert!(failed.contains(&error.rule), "{}: {error:?}", what());
    }
    let time = other.errors.iter().any(|error| !matches!(error.cause, Cause::Runtime(_)));
    assert!(!time, "{}: {:?}", what(), other.errors);
    let sound = |outcome: &Outcome| {
        let decisions = outcome.decisions.iter().filter(|decision| !failed.contains(&decision.rule));
        decisions.cloned().collect::<Vec<_>>()
    };
    assert_eq!(sound(outcome), sound(other), "{}", what());
    let allowed = |outcome: &Outcome| {
        outcome.allowed_by.iter().filter(|rule| !failed.contains(rule)).copied().collect::<Vec<_>>()
    };
    assert_eq!(allowed(outcome), allowed(other), "{}", what());
}
