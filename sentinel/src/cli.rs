//! The command line: one file below for each verb.
//!
//! Exit codes: 0 well, 1 an error or a failing check, 2 a wrong call; `status` has its own.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{
    config::{Flags, UsageError},
    problem,
};

mod audit;
mod block;
mod check;
mod confirm;
mod doctor;
mod explain;
mod geo;
mod replay;
mod run;
mod status;
mod stop;
mod test;

/// Runtime security monitor for Linux that enforces: Rego policies, countries, and refusal in the kernel.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Watch, alert and, in enforce mode, refuse.
    Run(Flags),
    /// Show what is enforced; exit code 0 full, 3 partial or without a daemon, 4 none, 1 nothing is there.
    Status(status::Args),
    /// End the running Sentinel; with --disable also what outlives it.
    Stop(stop::Args),
    /// Say that the host still works: enforcing started with --confirm goes on.
    Confirm(confirm::Args),
    /// Check policies and data without running them.
    Check(check::Args),
    /// Run the test rules of policies.
    Test(test::Args),
    /// Refuse something at once, beside the policies; show and take back what was ordered.
    Block(block::Args),
    /// Run recorded events through policies: what would be blocked, on what, how often.
    Replay(replay::Args),
    /// Say why an alert came, or why a rule did not fire on an event.
    Explain(explain::Args),
    /// Say what this host can and cannot enforce, and what to do about it; exit codes as of `status`.
    Doctor(doctor::Args),
    /// Look into country data.
    Geo(geo::Args),
    /// Check the audit trail.
    Audit(audit::Args),
}

/// Runs the verb of the command line.
pub fn main() -> ExitCode {
    let mut args = std::env::args();
    if args.nth(1).as_deref() == Some(crate::canary::VERB) {
        return crate::canary::child(&args.next().unwrap_or_default());
    }
    let cli = Cli::parse();
    let result = match cli.verb {
        Verb::Run(flags) => run::run(flags),
        Verb::Status(args) => status::run(&args),
        Verb::Stop(args) => stop::run(&args),
        Verb::Confirm(args) => confirm::run(&args),
        Verb::Check(args) => check::run(&args),
        Verb::Test(args) => test::run(&args),
        Verb::Block(args) => block::run(args),
        Verb::Replay(args) => replay::run(&args),
        Verb::Explain(args) => explain::run(&args),
        Verb::Doctor(args) => doctor::run(&args),
        Verb::Geo(args) => geo::run(&args),
        Verb::Audit(args) => audit::run(&args),
    };
    result.unwrap_or_else(|error| {
        eprintln!("sentinel: {}", problem::text(&error));
        ExitCode::from(if error.downcast_ref::<UsageError>().is_some() { 2 } else { 1 })
    })
}
