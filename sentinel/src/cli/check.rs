//! `sentinel check`: everything that `run` would refuse, without running, and what is known of each rule.
//!
//! Invariant: what `check` accepts, `run` starts with. How findings and rules are shown is below: text, JSON, SARIF.

mod findings;
mod json;
mod rule;
mod sarif;
mod text;

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use anyhow::Result;
use rules::{Diagnostic, LoadErrors, Policies};

use crate::{
    bundle::BundleFlags,
    config::{Config, Flags},
    kernel::features,
    policy::{self, Loaded, Read},
    problem, standing,
    world::Numbers,
};
use rule::{RuleReport, StandingReport};

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
    /// Warn of rules that would harm this host, and do not refuse them.
    #[arg(long)]
    force: bool,
    /// Print JSON.
    #[arg(long, conflicts_with = "sarif")]
    json: bool,
    /// Print SARIF 2.1.0, for code hosts.
    #[arg(long)]
    sarif: bool,
    /// Exit with 1 on warnings too.
    #[arg(long)]
    deny_warnings: bool,
}

/// What a check found.
#[derive(Debug, Default)]
struct Report {
    errors: Vec<Diagnostic>,
    warnings: Vec<Diagnostic>,
    rules: Vec<RuleReport>,
    standing: Vec<StandingReport>,
}

/// Checks, and prints what was found; exit code 1 if there is an error.
pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let flags = Flags {
        config: args.config.clone(),
        policy: args.paths.clone(),
        data: args.data.clone(),
        geoip: args.geoip.clone(),
        bundle: args.bundle.clone(),
        force: args.force,
        ..Flags::default()
    };
    let config = Config::load(&flags)?;
    let report = check(&config)?;
    if args.json {
        println!("{}", json::document(&report));
    } else if args.sarif {
        println!("{}", sarif::document(&report, &std::env::current_dir().unwrap_or_default()));
    } else {
        text::print(&report);
    }
    let good = report.errors.is_empty() && (report.warnings.is_empty() || !args.deny_warnings);
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn check(config: &Config) -> Result<Report> {
    let mut report = match Policies::load(&policy::options(config)?) {
        Err(LoadErrors { errors, notices }) => Report { errors, warnings: notices, ..Report::default() },
        Ok(policies) => of_policies(config, policies),
    };
    let place = |finding: &Diagnostic| (finding.file.clone(), finding.line, finding.column);
    report.errors.sort_by_key(place);
    report.warnings.sort_by_key(place);
    Ok(report)
}

/// What is found about policies that load: what cannot be put in force, what would harm the host, what each rule is.
fn of_policies(config: &Config, policies: Policies) -> Report {
    let mut report = Report { warnings: policies.notices().to_vec(), ..Report::default() };
    findings::of_entries(&policies, &mut report);
    match Loaded::with_geo(Read::of(policies), config, None, Arc::default()) {
        Err(error) => report.errors.push(outside(&error)),
        Ok(loaded) => {
            let cgroups = features::cgroup2_mount().unwrap_or_else(|| "/sys/fs/cgroup".into());
            match policy::prepare(&loaded, config, &cgroups, None, &mut Numbers::default()) {
                Ok(prepared) => {
                    let notice = |text: &String| Diagnostic::file("", text.as_str()).code("standing-notice");
                    report.warnings.extend(prepared.compiled.notices.iter().map(notice));
                    let remarks = prepared.compiled.remarks.iter();
                    report.warnings.extend(remarks.map(|remark| remark.diagnostic(&findings::text_of)));
                }
                Err(error) => report.errors.extend(of_prepare(&error)),
            }
            report.rules = rule::describe(&Arc::clone(&loaded.policies));
            report.standing = rule::describe_standing(&loaded.policies);
        }
    }
    report
}

fn of_prepare(error: &anyhow::Error) -> Vec<Diagnostic> {
    match error.downcast_ref::<standing::Refused>() {
        Some(standing::Refused(errors)) => errors.iter().map(|error| error.diagnostic(&findings::text_of)).collect(),
        None => vec![outside(error)],
    }
}

/// An error that is about no policy.
fn outside(error: &anyhow::Error) -> Diagnostic {
    Diagnostic::file("", problem::text(error)).code("settings")
}
