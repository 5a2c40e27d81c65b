//! `sentinel stop`.

use std::{
    path::PathBuf,
    process::ExitCode,
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

use crate::{
    config::RUN_DIR,
    control::{Request, ask, socket},
    emergency,
};

/// How long the daemon may take to end.
const LIMIT: Duration = Duration::from_secs(30);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Also end enforcement that outlives the daemon. This version has none: stopping always ends it.
    #[arg(long)]
    disable: bool,
    /// Ask nothing: kill the daemon and remove what it left in the kernel. Needs no daemon that answers.
    #[arg(long)]
    emergency: bool,
    /// Run directory of the daemon.
    #[arg(long, value_name = "DIR", default_value = RUN_DIR)]
    run_dir: PathBuf,
}

/// Asks the daemon to end and waits until it has, or ends it without asking.
pub(super) fn run(args: &Args) -> Result<ExitCode> {
    if args.emergency {
        let done = emergency::stop(&args.run_dir)?;
        done.iter().for_each(|line| println!("{line}"));
        println!("Nothing of Sentinel is left in the kernel.");
        return Ok(ExitCode::SUCCESS);
    }
    ask(&args.run_dir, &Request::Stop)?;
    let deadline = Instant::now() + LIMIT;
    while socket(&args.run_dir).exists() {
        if Instant::now() > deadline {
            bail!("Sentinel did not end within {} seconds", LIMIT.as_secs());
        }
        sleep(Duration::from_millis(50));
    }
    let what = if args.disable { "stopped and disabled" } else { "stopped" };
    println!("Sentinel has {what}; nothing of it is left in the kernel.");
    Ok(ExitCode::SUCCESS)
}
