//! `sentinel audit`: the evidence, for somebody who has to check it.
//!
//! Invariant: nothing here talks to the daemon or changes the trail; a copy of it is as good.

mod explain;
mod period;
mod replay;
mod report;
mod trails;
mod verify;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Check hashes, order and signatures of an audit trail; exit code 1 and the exact record when something is wrong.
    Verify(verify::Args),
    /// Write what was enforced, refused and let through in a period, for an auditor.
    Report(report::Args),
    /// Work a recorded decision out again, and say whether it comes out the same.
    Explain(explain::Args),
    /// Say what another list would have been about in a period that is over.
    Replay(replay::Args),
}

/// Runs the inner verb.
pub(super) fn run(args: &Args) -> Result<ExitCode> {
    match &args.verb {
        Verb::Verify(args) => verify::run(args),
        Verb::Report(args) => report::run(args),
        Verb::Explain(args) => explain::run(args),
        Verb::Replay(args) => replay::run(args),
    }
}

/// Where the trail is in a state directory.
fn trail_in(state_dir: Option<&PathBuf>) -> PathBuf {
    state_dir.map_or_else(|| PathBuf::from(crate::config::STATE_DIR), Clone::clone).join("audit")
}
