//! Sentinel: a runtime security monitor for Linux that enforces.
//!
//! This crate is the daemon and its command line. Only [`kernel`] names the BPF library; the engine, the country data
//! and the alerts are crates of their own that do not know this one.
#![deny(unsafe_code)]
#![expect(unreachable_pub, reason = "a binary: modules say `pub` for what other modules use")]

use std::process::ExitCode;

mod alerting;
mod attendance;
mod audit;
mod bundle;
mod bypass;
mod canary;
mod cli;
mod clock;
mod config;
mod container;
mod control;
mod countries;
mod daemon;
mod doctor;
mod dry_run;
mod embargo;
mod emergency;
mod entry;
mod event;
mod geo;
mod guard;
mod hashes;
mod identity;
mod input;
mod journal;
mod jurisdiction;
#[expect(unsafe_code, reason = "map keys as plain memory, ring descriptors, handles of cgroups")]
mod kernel;
mod labels;
mod learn;
mod names;
mod notices;
mod operator;
mod pipeline;
mod policy;
mod problem;
mod process;
mod reach;
mod record;
mod reload;
mod report;
mod sockets;
mod spellings;
mod standing;
mod status;
mod unattended;
mod watcher;
mod world;

fn main() -> ExitCode {
    cli::main()
}
