//! Which lines of policies the tests evaluated, and at which line a failing test stopped.

use std::collections::BTreeSet;

use regorus::unstable::Rule;

use super::{Runner, TestCase, TestOutcome};
use crate::analysis::corpus::Source;
use crate::load::compile;

/// The lines of one policy file that hold something to evaluate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileCoverage {
    /// The file, as it was named.
    pub file: String,
    /// Lines that were evaluated.
    pub covered: BTreeSet<u32>,
    /// Lines that were not.
    pub not_covered: BTreeSet<u32>,
}

impl Runner<'_> {
    /// Coverage of every file that is no test.
    pub(super) fn coverage(&self) -> Vec<FileCoverage> {
        let mut reports = self.engine.get_coverage_report().map(|report| report.files).unwrap_or_default();
        let sources = self.corpus.modules.iter().filter(|source| !source.file.ends_with("_test.rego"));
        sources
            .map(|source| {
                let place = reports.iter().position(|report| report.path == source.file);
                // A file nothing was evaluated in is not in the report.
                place.map(|place| reports.swap_remove(place)).map_or_else(
                    || FileCoverage {
                        file: source.file.clone(),
                        covered: BTreeSet::new(),
                        not_covered: statement_lines(source),
                    },
                    |report| FileCoverage {
                        file: source.file.clone(),
                        not_covered: report.not_covered.difference(&report.covered).copied().collect(),
                        covered: report.covered,
                    },
                )
            })
            .collect()
    }

    /// Runs failing tests again, alone, to see how far each came.
    pub(super) fn explain_failures(&mut self, cases: &mut [TestCase]) {
        self.engine.set_enable_coverage(true);
        for case in cases.iter_mut().filter(|case| case.outcome == TestOutcome::Fail(None)) {
            self.engine.clear_coverage_data();
            let package: Vec<String> = case.package.split('.').map(str::to_owned).collect();
            self.outcome(&compile::rule_path(&package, &case.name));
            case.outcome = TestOutcome::Fail(self.last_line(case));
        }
    }

    /// The last line of a test's rule that was evaluated.
    fn last_line(&self, case: &TestCase) -> Option<u32> {
        let source = self.corpus.modules.iter().find(|source| source.file == case.file)?;
        let starts = source.module.policy.iter().map(|rule| rule.span().line);
        let end = starts.filter(|line| *line > case.line).min().unwrap_or(u32::MAX);
        let report = self.engine.get_coverage_report().ok()?;
        let file = report.files.into_iter().find(|file| file.path == case.file)?;
        file.covered.range(case.line..end).next_back().copied()
    }
}

/// The lines on which statements and values of rules start.
fn statement_lines(source: &Source) -> BTreeSet<u32> {
    let mut lines = BTreeSet::new();
    for rule in &source.module.policy {
        lines.insert(rule.span().line);
        if let Rule::Spec { bodies, .. } = rule.as_ref() {
            let statements = bodies.iter().flat_map(|body| &body.query.stmts);
            lines.extend(statements.map(|statement| statement.span.line));
        }
    }
    lines
}
