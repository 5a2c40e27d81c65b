//! `sentinel status`.

use std::{
    path::PathBuf,
    process::ExitCode,
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

use crate::{
    config::RUN_DIR,
    control::{Request, ask},
    report,
    status::Status,
    unattended,
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Wait up to so many seconds until start-up is over.
    #[arg(long, value_name = "SECONDS")]
    wait: Option<u64>,
    /// Run directory of the daemon.
    #[arg(long, value_name = "DIR", default_value = RUN_DIR)]
    run_dir: PathBuf,
}

/// Prints the state; the exit code says how much is enforced.
pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let value = match fetch(args) {
        Ok(value) => value,
        // No daemon is one thing, no enforcement another.
        Err(error) => match unattended::status(&args.run_dir)? {
            Some(status) => serde_json::to_value(status)?,
            None => return Err(error),
        },
    };
    let status: Status = serde_json::from_value(value.clone()).context("the daemon's status is not understood")?;
    if args.json {
        println!("{value}");
    } else {
        print!("{}", report::text(&status));
    }
    Ok(ExitCode::from(status.enforcement.exit_code()))
}

fn fetch(args: &Args) -> Result<serde_json::Value> {
    let deadline = Instant::now() + Duration::from_secs(args.wait.unwrap_or(0));
    loop {
        match ask(&args.run_dir, &Request::Status) {
            Ok(value) => return Ok(value),
            Err(error) if Instant::now() >= deadline => return Err(error),
            Err(_) => sleep(Duration::from_millis(100)),
        }
    }
}
