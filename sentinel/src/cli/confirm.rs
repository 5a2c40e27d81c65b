//! `sentinel confirm`.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;

use crate::{
    config::RUN_DIR,
    control::{Request, ask},
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Run directory of the daemon.
    #[arg(long, value_name = "DIR", default_value = RUN_DIR)]
    run_dir: PathBuf,
}

/// Tells the daemon that the host still works.
pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let answer = ask(&args.run_dir, &Request::Confirm)?;
    match answer["seconds_left"].as_u64() {
        Some(left) => println!("Confirmed with {left} seconds left; enforcing goes on."),
        None => println!("Enforcing did not wait for a confirmation."),
    }
    Ok(ExitCode::SUCCESS)
}
