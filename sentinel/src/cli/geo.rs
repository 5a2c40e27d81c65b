//! `sentinel geo`: what country databases are, what they say of an address, and what a new one would change.

mod check;
mod diff;
mod embargo;
mod kernel;
mod lookup;
pub(super) mod verdict;

use std::{path::Path, process::ExitCode};

use anyhow::{Result, anyhow};
use geoip::{AsnDatabase, DatabaseInfo, List, PrefixSet};
use jiff::{Timestamp, civil::Date, tz::TimeZone};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Check a file: a database of countries or of AS numbers, an embargo programme (.json) or a list of networks (.list, .txt).
    Check(check::Args),
    /// Show what every database says of addresses, which lists name them, and the verdict they would get.
    Lookup(lookup::Args),
    /// Show what a new database changes, by country; exit code 1 when it would be refused.
    Diff(diff::Args),
    /// Print the embargo programmes as data for policies (`data.embargo`).
    Embargo(embargo::Args),
}

/// Runs the inner verb.
pub(super) fn run(args: &Args) -> Result<ExitCode> {
    match &args.verb {
        Verb::Check(args) => check::run(args),
        Verb::Lookup(args) => lookup::run(args),
        Verb::Diff(args) => diff::run(args),
        Verb::Embargo(args) => embargo::run(args),
    }
}

/// Seconds since 1970.
fn now() -> u64 {
    u64::try_from(Timestamp::now().as_second()).unwrap_or_default()
}

/// The day by UTC, as dates of programmes are meant.
fn today() -> Date {
    Timestamp::now().to_zoned(TimeZone::UTC).date()
}

/// The build date.
fn built(info: &DatabaseInfo) -> Timestamp {
    i64::try_from(info.build).ok().and_then(|at| Timestamp::from_second(at).ok()).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// A list of networks and AS numbers, and what it stands for; AS without effect are told on stderr.
fn open_list(file: &Path, asn: Option<&AsnDatabase>) -> Result<(List, PrefixSet)> {
    let list = List::open(file)?;
    let found = list.prefixes(asn).map_err(|errors| anyhow!("{errors}\nThat is --asn FILE."))?;
    for (number, line) in found.silent {
        eprintln!("{}:{line}: warning: AS{number} announces nothing according to the ASN database", file.display());
    }
    Ok((list, found.prefixes))
}

/// Items with commas, or a word for none.
fn joined<T: ToString>(items: impl IntoIterator<Item = T>, none: &str) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    if items.is_empty() { none.to_owned() } else { items.join(", ") }
}
