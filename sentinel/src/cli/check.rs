//! `sentinel check`: everything that `run` would refuse, without running.

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use anyhow::Result;

use crate::{
    bundle::BundleFlags,
    config::{Config, Flags},
    kernel::features,
    policy::{self, Loaded},
    world::Numbers,
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Policy files, directories or OPA bundles; none: the shipped policies, or those of the settings file.
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// JSON or YAML file merged into `data`, or directory of them. May be repeated.
    #[arg(long, value_name = "PATH")]
    data: Vec<PathBuf>,
    /// Settings file (TOML).
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Country database. May be repeated; the first is the primary one.
    #[arg(long, value_name = "FILE")]
    geoip: Vec<PathBuf>,
    #[command(flatten)]
    bundle: BundleFlags,
}

/// Loads and compiles; prints the rules.
pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let flags = Flags {
        config: args.config.clone(),
        policy: args.paths.clone(),
        data: args.data.clone(),
        geoip: args.geoip.clone(),
        bundle: args.bundle.clone(),
        ..Flags::default()
    };
    let config = Config::load(&flags)?;
    let loaded = Loaded::with_geo(policy::read(&config)?, &config, None, Arc::default())?;
    let cgroups = features::cgroup2_mount().unwrap_or_else(|| "/sys/fs/cgroup".into());
    let prepared = policy::prepare(&loaded, &config, &cgroups, None, &mut Numbers::default())?;
    for notice in loaded.policies.notices() {
        eprintln!("{}:{}: warning: {}", notice.file, notice.line, notice.message);
    }
    prepared.compiled.notices.iter().for_each(|notice| eprintln!("warning: {notice}"));
    for rule in loaded.policies.rules() {
        println!("{:<9} {:<44} {:<9} {}:{}", rule.verb.as_str(), rule.id, rule.severity.as_str(), rule.file, rule.line);
    }
    for entry in loaded.policies.standing() {
        let severity = entry.severity.as_str();
        println!("{:<9} {:<44} {severity:<9} {}:{}", "standing", entry.id, entry.file, entry.line);
    }
    let (event, standing) = (loaded.policies.rules().len(), loaded.policies.standing().len());
    println!("{event} event rules and {standing} standing rules, no errors");
    Ok(ExitCode::SUCCESS)
}
