//! Which lines of policies the tests evaluated.
//!
//! regorus knows which lines it evaluated; a file that it never looked at is counted here. Not here: how much is enough.

use std::collections::BTreeSet;

use regorus::unstable::Rule;

use super::Runner;
use crate::analysis::corpus::Source;

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

impl FileCoverage {
    /// Percent of its lines that were evaluated; 100 for a file with nothing to evaluate.
    #[must_use]
    pub fn percent(&self) -> f64 {
        percent(self.covered.len(), self.not_covered.len()).unwrap_or(100.0)
    }

    /// The lines that were not evaluated, as ranges with both ends. Lines with nothing to evaluate between two of them
    /// do not part a range.
    #[must_use]
    pub fn not_covered_ranges(&self) -> Vec<(u32, u32)> {
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for line in &self.not_covered {
            match ranges.last_mut() {
                Some((_, end)) if self.covered.range(*end..*line).next().is_none() => *end = *line,
                _ => ranges.push((*line, *line)),
            }
        }
        ranges
    }
}

/// Percent of lines that were evaluated; `None` without any line.
pub(super) fn percent(covered: usize, not: usize) -> Option<f64> {
    let all = covered + not;
    (all > 0)
        .then(|| 100.0 * f64::from(u32::try_from(covered).unwrap_or(0)) / f64::from(u32::try_from(all).unwrap_or(1)))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_join_over_lines_without_code() {
        let file = |covered: &[u32], not: &[u32]| FileCoverage {
            file: "a.rego".to_owned(),
            covered: covered.iter().copied().collect(),
            not_covered: not.iter().copied().collect(),
        };
        let mixed = file(&[1, 6, 20], &[3, 5, 8, 9, 30]);
        assert_eq!(mixed.not_covered_ranges(), [(3, 5), (8, 9), (30, 30)]);
        assert!((mixed.percent() - 37.5).abs() < 0.01);
        assert_eq!(file(&[1], &[]).not_covered_ranges(), []);
        assert!((file(&[], &[]).percent() - 100.0).abs() < 0.01);
    }
}
