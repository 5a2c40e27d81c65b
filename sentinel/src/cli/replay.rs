//! `sentinel replay`: recorded events through a policy.
//!
//! Invariants: nothing on the host is touched; the result depends on the events and the policies alone. A line that cannot be
//! read is named, counted and makes the exit code 1; the others are still counted.

pub(super) mod event;

mod compare;
mod entries;
mod reader;
mod report;
pub(super) mod standing;
mod table;
mod tally;
mod worker;

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use anyhow::{Context as _, Result, bail};

use crate::{
    bundle::BundleFlags,
    config::{Config, Flags, Mode},
    geo::GeoData,
    policy::{self, Loaded},
};
use standing::Standing;
use tally::Tally;

/// Bad lines that are named on standard error.
const NAMED: usize = 20;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Events as `sentinel run --record` writes them, or alerts: a JSON object a line.
    #[arg(value_name = "EVENTS.jsonl")]
    events: PathBuf,
    /// Policy files or directories; none: the shipped policies, or those of the settings file.
    #[arg(long, value_name = "PATH", num_args = 1..)]
    policy: Vec<PathBuf>,
    /// Policies to compare with: what would newly be blocked or alerted, and what no longer.
    #[arg(long, value_name = "PATH", num_args = 1..)]
    baseline: Vec<PathBuf>,
    /// JSON or YAML file merged into `data`. May be repeated.
    #[arg(long, value_name = "FILE")]
    data: Vec<PathBuf>,
    /// Country database. May be repeated; the first is the primary one.
    #[arg(long, value_name = "FILE")]
    geoip: Vec<PathBuf>,
    /// Settings file (TOML): `policy`, `data`, `geoip` and `[geo]`.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Verification of policy bundles.
    #[command(flatten)]
    bundle: BundleFlags,
}

/// Replays, prints; exit code 1 when a line could not be read.
pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let (policy, geo) = standing(args, &args.policy, None).context("the policy (--policy)")?;
    let mut policies = vec![policy];
    if !args.baseline.is_empty() {
        policies.push(standing(args, &args.baseline, Some(&geo)).context("the baseline (--baseline)")?.0);
    }
    let mut tally = Tally::new(&args.events.display().to_string(), &policies);
    reader::read(&args.events, &policies, |batch| tally.add(batch))?;
    for (line, why) in tally.bad.iter().take(NAMED) {
        eprintln!("{}:{line}: error: {why}", tally.file);
    }
    if tally.bad_lines > NAMED as u64 {
        eprintln!("{}: error: {} more lines like these", tally.file, tally.bad_lines - NAMED as u64);
    }
    if tally.events == 0 {
        bail!("{} holds no events; record some with sentinel run --record FILE", tally.file);
    }
    if args.json {
        println!("{:#}", report::json(&tally));
    } else {
        print!("{}", table::text(&tally));
    }
    Ok(if tally.bad_lines == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Loads a policy set to be tried as if it were enforced.
fn standing(args: &Args, paths: &[PathBuf], known: Option<&GeoData>) -> Result<(Arc<Standing>, GeoData)> {
    let flags = Flags {
        config: args.config.clone(),
        policy: paths.to_vec(),
        data: args.data.clone(),
        geoip: args.geoip.clone(),
        // Nothing is enforced here, so the settings need no scope.
        mode: Some(Mode::Monitor),
        bundle: args.bundle.clone(),
        ..Flags::default()
    };
    let config = Config::load(&flags)?;
    let loaded = Loaded::with_geo(policy::read(&config)?, &config, known, Arc::default())?;
    let votes = loaded.geo.votes.clone();
    Ok((Arc::new(Standing::new(loaded.policies, votes, Mode::Enforce, config.unknown)), loaded.geo))
}
