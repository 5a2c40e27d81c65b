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
    config::{Config, Flags, Mode},
    policy,
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
}

/// Replays, prints; exit code 1 when a line could not be read.
pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let mut policies = vec![standing(args, &args.policy).context("the policy (--policy)")?];
    if !args.baseline.is_empty() {
        policies.push(standing(args, &args.baseline).context("the baseline (--baseline)")?);
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

fn standing(args: &Args, paths: &[PathBuf]) -> Result<Arc<Standing>> {
    load(args.config.clone(), paths.to_vec(), args.data.clone(), args.geoip.clone())
}

/// Loads a policy set to be tried as if it were enforced.
pub(super) fn load(
    config: Option<PathBuf>,
    policy: Vec<PathBuf>,
    data: Vec<PathBuf>,
    geoip: Vec<PathBuf>,
) -> Result<Arc<Standing>> {
    // Nothing is enforced here, so the settings need no scope.
    let flags = Flags { config, policy, data, geoip, mode: Some(Mode::Monitor), ..Flags::default() };
    let config = Config::load(&flags)?;
    let loaded = policy::load(&config, None)?;
    Ok(Arc::new(Standing::new(loaded.policies, loaded.geo.votes, Mode::Enforce, config.unknown)))
}
