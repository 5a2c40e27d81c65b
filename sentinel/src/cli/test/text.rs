//! Test results for people, in the words of `opa test`.

use std::fmt::{self, Write as _};

use rules::testing::{FileCoverage, TestCase, TestOutcome, TestReport};

/// The word for an outcome.
const fn word(outcome: &TestOutcome) -> &'static str {
    match outcome {
        TestOutcome::Pass => "PASS",
        TestOutcome::Fail(_) => "FAIL",
        TestOutcome::Error(_) => "ERROR",
        TestOutcome::Skip => "SKIPPED",
    }
}

/// Tests that did not pass (`verbose`: all), coverage, and the sums.
pub(super) fn report(report: &TestReport, verbose: bool) -> String {
    let mut text = String::new();
    let written = write_report(&mut text, report, verbose);
    // Writing to a string cannot fail.
    written.map_or_else(|error| error.to_string(), |()| text)
}

fn write_report(out: &mut String, report: &TestReport, verbose: bool) -> fmt::Result {
    let mut file = "";
    for case in report.cases.iter().filter(|case| verbose || case.outcome != TestOutcome::Pass) {
        if case.file != file {
            file = &case.file;
            writeln!(out, "{file}:")?;
        }
        write_case(out, case, verbose)?;
    }
    report.coverage.iter().try_for_each(|file| write_coverage(out, file))?;
    if let Some(percent) = report.covered_percent() {
        writeln!(out, "{percent:>5.1} %  of all policy lines")?;
    }
    for outcome in ["PASS", "FAIL", "ERROR", "SKIPPED"] {
        let count = report.cases.iter().filter(|case| word(&case.outcome) == outcome).count();
        if count > 0 {
            writeln!(out, "{outcome}: {count}/{}", report.cases.len())?;
        }
    }
    Ok(())
}

fn write_case(out: &mut String, case: &TestCase, verbose: bool) -> fmt::Result {
    write!(out, "data.{}.{}: {}", case.package, case.name, word(&case.outcome))?;
    match &case.outcome {
        TestOutcome::Skip => writeln!(out)?,
        _ => writeln!(out, " ({:.1}ms)", case.duration.as_secs_f64() * 1000.0)?,
    }
    match &case.outcome {
        TestOutcome::Fail(Some(failure)) => {
            writeln!(out, "  {}:{}: this does not hold: {}", case.file, failure.line, failure.statement)?;
            for (expression, value) in &failure.values {
                writeln!(out, "    {expression} is {value}")?;
            }
        }
        TestOutcome::Fail(None) => writeln!(out, "  {}:{}", case.file, case.line)?,
        TestOutcome::Error(why) => writeln!(out, "  {}:{}: {why}", case.file, case.line)?,
        TestOutcome::Pass | TestOutcome::Skip => {}
    }
    let shown = verbose || case.outcome != TestOutcome::Pass;
    case.output.iter().filter(|_| shown).try_for_each(|line| writeln!(out, "  printed {line}"))
}

fn write_coverage(out: &mut String, file: &FileCoverage) -> fmt::Result {
    write!(out, "{:>5.1} %  {}", file.percent(), file.file)?;
    for (index, (first, last)) in file.not_covered_ranges().into_iter().enumerate() {
        out.push_str(if index == 0 { "  not evaluated: " } else { ", " });
        if first == last { write!(out, "{first}")? } else { write!(out, "{first}-{last}")? }
    }
    writeln!(out)
}

#[cfg(test)]
mod tests {
    use super::super::junit::samples;
    use super::*;

    #[test]
    fn only_what_needs_a_look_is_shown() {
        let text = report(&samples(), false);
        let expected = "a_test.rego:\n\
            data.sentinel.a_test.test_wrong: FAIL (2.0ms)\n  a_test.rego:9: this does not hold: count(deny) < 1\n    \
            deny is [\"<x>\"]\n  printed note \u{1b}[31m\n\
            data.sentinel.a_test.test_broken: ERROR (0.0ms)\n  a_test.rego:20: it failed & stopped\n\
            data.sentinel.a_test.todo_test_later: SKIPPED\n \
            75.0 %  a.rego  not evaluated: 4-5\n \
            75.0 %  of all policy lines\n\
            PASS: 1/4\nFAIL: 1/4\nERROR: 1/4\nSKIPPED: 1/4\n";
        assert_eq!(text, expected);
        assert!(report(&samples(), true).contains("data.sentinel.a_test.test_right: PASS (1.5ms)\n"));
    }
}
