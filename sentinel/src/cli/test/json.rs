//! Test results as JSON: stable, documented in docs/policies.md. New keys may come, none change.

use rules::testing::{FileCoverage, TestCase, TestOutcome, TestReport};
use serde_json::{Value, json};

/// The report; `threshold` is what was asked for.
pub(super) fn value(report: &TestReport, threshold: Option<f64>) -> Value {
    let tests: Vec<Value> = report.cases.iter().map(case).collect();
    let count = |result: &str| tests.iter().filter(|test| test["result"] == result).count();
    let mut value = json!({
        "passed": count("pass"), "failed": count("fail"), "errors": count("error"), "skipped": count("skip"),
        "tests": tests,
        "coverage_percent": report.covered_percent(),
    });
    if report.covered_percent().is_some() {
        value["coverage"] = report.coverage.iter().map(file).collect();
        value["threshold_percent"] = json!(threshold);
    }
    value
}

fn case(case: &TestCase) -> Value {
    let mut value = json!({
        "package": case.package,
        "name": case.name,
        "location": { "file": case.file, "row": case.line },
        "result": result(&case.outcome),
        "duration_us": u64::try_from(case.duration.as_micros()).unwrap_or(u64::MAX),
        "output": case.output,
    });
    match &case.outcome {
        TestOutcome::Fail(Some(failure)) => {
            let values = failure.values.iter().map(|(name, value)| json!({ "expression": name, "value": value }));
            value["failure"] =
                json!({ "row": failure.line, "statement": failure.statement, "values": values.collect::<Vec<_>>() });
        }
        TestOutcome::Error(why) => value["error"] = json!(why),
        TestOutcome::Pass | TestOutcome::Fail(None) | TestOutcome::Skip => {}
    }
    value
}

const fn result(outcome: &TestOutcome) -> &'static str {
    match outcome {
        TestOutcome::Pass => "pass",
        TestOutcome::Fail(_) => "fail",
        TestOutcome::Error(_) => "error",
        TestOutcome::Skip => "skip",
    }
}

fn file(file: &FileCoverage) -> Value {
    let ranges = file.not_covered_ranges().into_iter().map(|(start, end)| json!({ "start": start, "end": end }));
    json!({
        "file": file.file,
        "percent": file.percent(),
        "covered_lines": file.covered.len(),
        "not_covered": ranges.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::junit::samples;
    use super::*;

    #[test]
    fn every_outcome_has_its_keys() {
        let value = value(&samples(), Some(80.0));
        assert_eq!([&value["passed"], &value["failed"], &value["errors"], &value["skipped"]], [1, 1, 1, 1]);
        assert_eq!(value["tests"][1]["failure"]["row"], 9);
        assert_eq!(value["tests"][1]["failure"]["values"][0]["expression"], "deny");
        assert_eq!(value["tests"][1]["location"], json!({ "file": "a_test.rego", "row": 7 }));
        assert_eq!(value["tests"][2]["error"], "it failed & stopped");
        assert_eq!(value["coverage"][0]["not_covered"], json!([{ "start": 4, "end": 5 }]));
        assert_eq!((&value["coverage_percent"], &value["threshold_percent"]), (&json!(75.0), &json!(80.0)));
    }
}
