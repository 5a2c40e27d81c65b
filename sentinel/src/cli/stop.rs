//! `sentinel stop`.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

use crate::{
    config::RUN_DIR,
    control::{Request, ask, socket},
    emergency, unattended,
};

/// How long the daemon may take to end.
const LIMIT: Duration = Duration::from_secs(30);
/// What is then to be done.
const HINT: &str = "enforcement is in the kernel without a daemon; sentinel stop --disable ends it";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// End enforcement that outlives the daemon too, whether the daemon lives or not.
    #[arg(long)]
    disable: bool,
    /// Ask nothing: kill the daemon and remove what it left in the kernel. Needs no daemon that answers.
    #[arg(long)]
    emergency: bool,
    /// Run directory of the daemon.
    #[arg(long, value_name = "DIR", default_value = RUN_DIR)]
    run_dir: PathBuf,
}

/// Asks the daemon to end and waits until it has, or ends it without asking; with `--disable` removes what is pinned, with or
/// without it.
pub(super) fn run(args: &Args) -> Result<ExitCode> {
    if args.emergency {
        let done = emergency::stop(&args.run_dir)?;
        done.iter().for_each(|line| println!("{line}"));
        println!("Nothing of Sentinel is left in the kernel.");
        return Ok(ExitCode::SUCCESS);
    }
    let request = if args.disable { Request::Disable } else { Request::Stop };
    match ask(&args.run_dir, &request) {
        Ok(_) => wait(&args.run_dir)?,
        Err(_) if args.disable => {}
        Err(error) if !unattended::pinned(&args.run_dir)?.is_empty() => return Err(error.context(HINT)),
        Err(error) => return Err(error),
    }
    if args.disable {
        return disable(&args.run_dir);
    }
    if unattended::pinned(&args.run_dir)?.is_empty() {
        println!("Sentinel has stopped; nothing of it is left in the kernel.");
    } else {
        println!("Sentinel has stopped; enforcement stays in the kernel until `sentinel stop --disable`.");
    }
    Ok(ExitCode::SUCCESS)
}

fn wait(run_dir: &Path) -> Result<()> {
    let deadline = Instant::now() + LIMIT;
    while socket(run_dir).exists() {
        if Instant::now() > deadline {
            bail!("Sentinel did not end within {} seconds", LIMIT.as_secs());
        }
        sleep(Duration::from_millis(50));
    }
    Ok(())
}

fn disable(run_dir: &Path) -> Result<ExitCode> {
    unattended::remove(run_dir)?;
    println!("Sentinel has stopped and disabled; nothing of it is left in the kernel.");
    for other in unattended::others(run_dir) {
        println!("Another Sentinel is in the kernel, see: sentinel status --run-dir {}", other.display());
    }
    Ok(ExitCode::SUCCESS)
}
