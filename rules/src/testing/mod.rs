//! Runs the `test_*` rules of policies, in the manner of `opa test`.
//!
//! A test passes when its rule is defined and not false. Tests run in regorus's interpreter, which knows all of
//! Rego (`with` above all), each under a time limit. What a test prints is kept with its result. How results are
//! shown is not decided here.

mod coverage;
pub mod events;
mod failure;
mod names;

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use regex::Regex;
use regorus::utils::limits::ExecutionTimerConfig;
use regorus::{Engine, Value};

use crate::Verification;
use crate::analysis::corpus::Corpus;
use crate::analysis::graph::{Definition, rule_path};
use crate::diagnostic::{Findings, LoadErrors};
use crate::load;
use crate::load::compile;
use crate::load::parse::{Text, message};
use crate::load::sources::{self, Request, Sources};

pub use coverage::FileCoverage;
pub use failure::Failure;

/// What to test.
#[derive(Debug, Clone, Default)]
pub struct TestOptions {
    /// Rego files, and directories searched for `*.rego`, tests and policies alike. The word `shipped` adds the shipped
    /// policies, not their tests.
    pub paths: Vec<PathBuf>,
    /// JSON and YAML files and directories, merged into `data`.
    pub data: Vec<PathBuf>,
    /// How bundles are verified.
    pub verification: Verification,
    /// Whether to add the shipped policies and their tests.
    pub shipped: bool,
    /// Documents that are there without a file, as in [`crate::LoadOptions`].
    pub defaults: Vec<(String, String)>,
    /// Only tests whose `package.name` matches run.
    pub filter: Option<Regex>,
    /// Whether to find out which lines were evaluated.
    pub coverage: bool,
}

/// How a test ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TestOutcome {
    /// It held.
    Pass,
    /// It did not. The statement that failed, where known.
    Fail(Option<Failure>),
    /// It could not be evaluated.
    Error(String),
    /// Its name starts with `todo_`.
    Skip,
}

/// One test and its result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestCase {
    /// The file, as it was named.
    pub file: String,
    /// The line of its head.
    pub line: u32,
    /// Its package, without `data.`.
    pub package: String,
    /// Its name.
    pub name: String,
    /// How it ended.
    pub outcome: TestOutcome,
    /// How long it took.
    pub duration: Duration,
    /// What it printed.
    pub output: Vec<String>,
}

/// The results of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TestReport {
    /// Every test that matched the filter, by file and line.
    pub cases: Vec<TestCase>,
    /// For each policy file, the lines that were evaluated; empty unless asked for.
    pub coverage: Vec<FileCoverage>,
}

impl TestReport {
    /// Whether a test failed or could not be evaluated.
    pub fn failed(&self) -> bool {
        self.cases.iter().any(|case| matches!(case.outcome, TestOutcome::Fail(_) | TestOutcome::Error(_)))
    }

    /// Percent of the policies' lines that were evaluated; `None` when there are none or nobody asked.
    pub fn covered_percent(&self) -> Option<f64> {
        let sum = |count: fn(&FileCoverage) -> usize| self.coverage.iter().map(count).sum::<usize>();
        coverage::percent(sum(|file| file.covered.len()), sum(|file| file.not_covered.len()))
    }
}

/// Longest one test may take.
const TIME: ExecutionTimerConfig =
    ExecutionTimerConfig { limit: Duration::from_secs(10), check_interval: NonZeroU32::new(256).unwrap() };

/// Loads policies and tests, and runs the tests. Errors of loading are those `Policies::load` would give.
pub fn run(options: &TestOptions) -> Result<TestReport, LoadErrors> {
    run_with(options, &|_, _| {})
}

/// Whether there can be any test: looked for in the texts alone, so that nothing is compiled where nobody has written one.
#[must_use]
pub fn any(options: &TestOptions) -> bool {
    let mut findings = Findings::default();
    let texts = sources::read(&request(options), &mut findings).texts;
    let has_tests = |text: &Text| text.file.ends_with("_test.rego") || text.text.contains("test_");
    options.shipped || findings.into_failure().is_err() || texts.iter().any(has_tests)
}

fn request(options: &TestOptions) -> Request<'_> {
    Request {
        paths: &options.paths,
        data: &options.data,
        tests: true,
        verification: &options.verification,
        defaults: &options.defaults,
    }
}

/// Like [`run`]; `progress` is told before each test how many are done and how many there are.
pub fn run_with(options: &TestOptions, progress: &(dyn Fn(usize, usize) + Sync)) -> Result<TestReport, LoadErrors> {
    let mut findings = Findings::default();
    let Sources { mut texts, data, .. } = sources::read(&request(options), &mut findings);
    if options.shipped && !load::names_shipped(&options.paths) {
        texts.extend(load::shipped_policies());
    }
    if options.shipped {
        texts.extend(load::shipped_tests());
    }
    texts.sort_by(|a, b| a.file.cmp(&b.file));
    load::on_large_stack(move || {
        let mut data = load::data::merge(&data, &mut findings);
        events::add(&mut data, &mut findings);
        let corpus = load::check_all(&texts, &data, &mut findings);
        names::check_events(&corpus, &data, &mut findings);
        let engine = load::whole_engine(&corpus, &data, &mut findings);
        findings.into_failure()?;
        let runner = |engine| Runner { engine, corpus: &corpus };
        Ok(engine.map(|engine| runner(engine).run(options, progress)).unwrap_or_default())
    })
}

struct Runner<'c> {
    engine: Engine,
    corpus: &'c Corpus,
}

impl Runner<'_> {
    fn run(mut self, options: &TestOptions, progress: &dyn Fn(usize, usize)) -> TestReport {
        self.engine.set_execution_timer_config(TIME);
        self.engine.set_enable_coverage(options.coverage);
        let tests = self.tests(options.filter.as_ref());
        let mut cases = Vec::new();
        for (definition, name) in &tests {
            progress(cases.len(), tests.len());
            cases.push(self.case(*definition, name));
        }
        let mut coverage = if options.coverage { self.coverage() } else { Vec::new() };
        // Without its tests, nobody asked about the shipped set.
        coverage.retain(|file| options.shipped || !load::is_shipped(&file.file));
        self.explain_failures(&mut cases);
        TestReport { cases, coverage }
    }

    /// The tests to run.
    fn tests(&self, filter: Option<&Regex>) -> Vec<(Definition, String)> {
        let mut tests = Vec::new();
        for (module, source) in self.corpus.modules.iter().enumerate() {
            for definition in (0..source.module.policy.len()).map(|place| (module, place)) {
                let Some(name) = self.test_name(definition) else { continue };
                if filter.is_none_or(|filter| filter.is_match(&format!("{}.{name}", source.package()))) {
                    tests.push((definition, name));
                }
            }
        }
        tests
    }

    /// The name of a test rule.
    fn test_name(&self, definition: Definition) -> Option<String> {
        let source = &self.corpus.modules[definition.0];
        let path = rule_path(&source.names, self.corpus.rule(definition));
        let name = path.last().filter(|_| path.len() == source.names.package.len() + 1)?;
        (name.starts_with("test_") || name.starts_with("todo_test_")).then(|| name.clone())
    }

    fn case(&mut self, definition: Definition, name: &str) -> TestCase {
        let source = &self.corpus.modules[definition.0];
        let start = Instant::now();
        let outcome = if name.starts_with("todo_") {
            TestOutcome::Skip
        } else if let Some(other) = self.first_of_name(definition) {
            // The rules would be one, and pass when either does.
            TestOutcome::Error(format!("a test of this name is already in {other}"))
        } else {
            self.outcome(&compile::rule_path(&source.names.package, name))
        };
        TestCase {
            file: source.file.clone(),
            line: self.corpus.rule(definition).span().line,
            package: source.package(),
            name: name.to_owned(),
            outcome,
            duration: start.elapsed(),
            output: self.engine.take_prints().unwrap_or_default(),
        }
    }

    fn outcome(&mut self, path: &str) -> TestOutcome {
        match self.engine.eval_rule(path.to_owned()) {
            Ok(Value::Undefined | Value::Bool(false)) => TestOutcome::Fail(None),
            Ok(_) => TestOutcome::Pass,
            Err(error) => TestOutcome::Error(message(&error.to_string())),
        }
    }

    /// File and line of an earlier definition with the same path.
    fn first_of_name(&self, definition: Definition) -> Option<String> {
        let source = &self.corpus.modules[definition.0];
        let node = self.corpus.graph.find(&rule_path(&source.names, self.corpus.rule(definition)))?;
        let first = self.corpus.graph.nodes[node].definitions.first().filter(|first| **first != definition)?;
        let span = self.corpus.rule(*first).span();
        Some(format!("{}:{}", self.corpus.modules[first.0].file, span.line))
    }
}
