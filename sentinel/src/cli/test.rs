//! `sentinel test`: runs the `test_*` rules of policies, in the manner of `opa test`.
//!
//! Exit code 1 if a test failed, none ran, or less was evaluated than asked for. How results look is in the files below.

use std::{
    cell::Cell,
    io::{IsTerminal as _, Write as _},
    path::PathBuf,
    process::ExitCode,
    sync::Mutex,
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow};
use regex::Regex;
use rules::testing::{self, TestOptions, TestReport};

use crate::{
    bundle::{self, BundleFlags, BundleSection},
    embargo,
};

#[cfg(test)]
mod docs;
mod json;
mod junit;
mod text;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Policy and test files, directories or OPA bundles; `shipped`: the shipped policies; none: those and their tests.
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// JSON or YAML file merged into `data`, or directory of them. May be repeated.
    #[arg(long, value_name = "PATH")]
    data: Vec<PathBuf>,
    /// Run only tests whose `package.name` matches.
    #[arg(long, value_name = "REGEX")]
    run: Option<Regex>,
    /// Show the tests that passed too, and what tests print.
    #[arg(short, long)]
    verbose: bool,
    /// Show how much of each policy was evaluated, and the lines that were not.
    #[arg(long)]
    coverage: bool,
    /// Fail when less than this much of all policy lines was evaluated; implies --coverage.
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    threshold: Option<f64>,
    /// Print JSON.
    #[arg(long, conflicts_with = "junit")]
    json: bool,
    /// Print JUnit XML.
    #[arg(long)]
    junit: bool,
    #[command(flatten)]
    bundle: BundleFlags,
}

fn percent(text: &str) -> Result<f64, String> {
    let number = text.trim_end_matches('%').parse::<f64>().ok();
    number.filter(|number| (0.0..=100.0).contains(number)).ok_or_else(|| "give a number from 0 to 100".to_owned())
}

/// Runs the tests and prints the results.
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
    let progress = Progress::default();
    let report = testing::run_with(&options, &|done, all| progress.show(done, all));
    progress.clear();
    let report = report.map_err(|errors| anyhow!("the policies are not usable:\n{errors}"))?;
    if args.json {
        println!("{:#}", json::value(&report, args.threshold));
    } else if args.junit {
        print!("{}", junit::document(&report));
    } else {
        print!("{}", text::report(&report, args.verbose));
    }
    Ok(if good(&report, args) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether this is a success; says why not where the results do not show it.
fn good(report: &TestReport, args: &Args) -> bool {
    if report.cases.is_empty() {
        let filter = args.run.as_ref().map(|filter| format!(" matching `{filter}`")).unwrap_or_default();
        eprintln!("sentinel: no test rule{filter}: tests are rules named test_*, in files named *_test.rego");
        return false;
    }
    let covered = report.covered_percent().unwrap_or(0.0);
    let short = args.threshold.filter(|threshold| covered < *threshold);
    if let Some(threshold) = short {
        eprintln!("sentinel: coverage {covered:.1} % is below the threshold of {threshold} %: test the lines listed");
    }
    !report.failed() && short.is_none()
}

/// A line on standard error that says how far a long run is, if somebody is looking.
struct Progress {
    start: Instant,
    watched: bool,
    shown: Mutex<Cell<Option<Instant>>>,
}

impl Default for Progress {
    fn default() -> Self {
        Self { start: Instant::now(), watched: std::io::stderr().is_terminal(), shown: Mutex::default() }
    }
}

impl Progress {
    /// Before this, nobody wonders.
    const AFTER: Duration = Duration::from_secs(1);
    /// Time between two updates.
    const EVERY: Duration = Duration::from_millis(200);

    fn show(&self, done: usize, all: usize) {
        let Ok(shown) = self.shown.lock() else { return };
        let due = shown.get().is_none_or(|last| last.elapsed() >= Self::EVERY);
        if self.watched && due && self.start.elapsed() >= Self::AFTER {
            shown.set(Some(Instant::now()));
            eprint!("\r{done} of {all} tests");
            drop(std::io::stderr().flush());
        }
    }

    fn clear(&self) {
        if self.shown.lock().is_ok_and(|shown| shown.get().is_some()) {
            eprint!("\r\x1b[K");
        }
    }
}
