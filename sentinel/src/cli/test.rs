//! `sentinel test`: runs the `test_*` rules of policies.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Result, anyhow};
use regex::Regex;
use rules::testing::{self, TestCase, TestOptions, TestOutcome, TestReport};

use crate::{
    bundle::{self, BundleFlags, BundleSection},
    embargo,
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Policy and test files, directories or OPA bundles; none: the shipped policies and their tests.
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// JSON or YAML file merged into `data`, or directory of them. May be repeated.
    #[arg(long, value_name = "PATH")]
    data: Vec<PathBuf>,
    /// Run only tests whose package and name match.
    #[arg(long, value_name = "REGEX")]
    run: Option<Regex>,
    /// Show the tests that passed too.
    #[arg(short, long)]
    verbose: bool,
    /// Show how much of each policy was evaluated.
    #[arg(long)]
    coverage: bool,
    /// Fail when less than this much of the policies was evaluated.
    #[arg(long, value_name = "PERCENT")]
    threshold: Option<f64>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    bundle: BundleFlags,
}

/// Runs the tests; exit code 1 if one failed or there was none.
pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let options = TestOptions {
        paths: args.paths.clone(),
        data: args.data.clone(),
        verification: bundle::verification(&args.bundle, &BundleSection::default())?,
        shipped: args.paths.is_empty(),
        defaults: embargo::defaults()?,
        filter: args.run.clone(),
        coverage: args.coverage || args.threshold.is_some(),
    };
    let report = testing::run(&options).map_err(|errors| anyhow!("the policies are not usable:\n{errors}"))?;
    if args.json {
        println!("{}", json(&report));
    } else {
        text(&report, args);
    }
    let covered = report.covered_percent().unwrap_or(0.0);
    let enough = args.threshold.is_none_or(|threshold| covered >= threshold);
    let good = !report.failed() && !report.cases.is_empty() && enough;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The word for an outcome.
const fn word(outcome: &TestOutcome) -> &'static str {
    match outcome {
        TestOutcome::Pass => "PASS",
        TestOutcome::Fail(_) => "FAIL",
        TestOutcome::Error(_) => "ERROR",
        TestOutcome::Skip => "SKIP",
    }
}

fn text(report: &TestReport, args: &Args) {
    let shown = |case: &&TestCase| args.verbose || case.outcome != TestOutcome::Pass;
    for case in report.cases.iter().filter(shown) {
        println!(
            "{:<5} {}.{} ({} us)  {}:{}",
            word(&case.outcome),
            case.package,
            case.name,
            case.duration.as_micros(),
            case.file,
            case.line
        );
        match &case.outcome {
            TestOutcome::Fail(Some(line)) => println!("      the last statement evaluated is on line {line}"),
            TestOutcome::Error(why) => println!("      {why}"),
            TestOutcome::Pass | TestOutcome::Fail(None) | TestOutcome::Skip => {}
        }
        case.output.iter().for_each(|line| println!("      {line}"));
    }
    for file in &report.coverage {
        let (covered, not) = (file.covered.len(), file.not_covered.len());
        println!("{:>5.1} %  {}", 100.0 * covered as f64 / (covered + not).max(1) as f64, file.file);
    }
    if let Some(percent) = report.covered_percent() {
        println!("{percent:>5.1} %  of all policy lines");
    }
    let count = |word_: &str| report.cases.iter().filter(|case| word(&case.outcome) == word_).count();
    let failed = count("FAIL") + count("ERROR");
    println!("{} passed, {failed} failed, {} skipped", count("PASS"), count("SKIP"));
}

fn json(report: &TestReport) -> serde_json::Value {
    let cases: Vec<_> = report
        .cases
        .iter()
        .map(|case| {
            serde_json::json!({
                "package": case.package,
                "name": case.name,
                "location": { "file": case.file, "row": case.line },
                "result": word(&case.outcome).to_lowercase(),
                "duration_us": u64::try_from(case.duration.as_micros()).unwrap_or(u64::MAX),
                "output": case.output,
            })
        })
        .collect();
    serde_json::json!({ "tests": cases, "coverage_percent": report.covered_percent() })
}
