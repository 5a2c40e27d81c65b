//! `sentinel geo check`: whether a file can be used, and what it is.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, Result};
use geoip::{AsnDatabase, Database, DatabaseInfo, Freshness, GeoError, List, Place, Region, embargo};

use super::{built, joined, kernel, now, today};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The file; without it the embedded country database.
    file: Option<PathBuf>,
    /// Also fill the kernel's country table from the database and ask it about every prefix boundary and a million random
    /// addresses. Needs root; attaches nothing.
    #[arg(long)]
    kernel: bool,
}

/// Describes the file, and with `--kernel` compares.
pub(super) fn run(args: &Args) -> Result<ExitCode> {
    match &args.file {
        None => countries(&Database::embedded()?)?,
        Some(file) => describe(file)?,
    }
    if !args.kernel {
        return Ok(ExitCode::SUCCESS);
    }
    let database = match &args.file {
        None => Database::embedded()?,
        Some(file) => Database::open(file)
            .with_context(|| format!("--kernel is for databases of countries, and {} is none", file.display()))?,
    };
    Ok(if kernel::check(&std::sync::Arc::new(database))? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Opens the file by what it is and describes it.
fn describe(file: &Path) -> Result<()> {
    let ending = file.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_ascii_lowercase();
    match ending.as_str() {
        "json" => programme(&embargo::Programme::open(file)?),
        "list" | "txt" => list(&List::open(file)?),
        _ => match Database::open(file) {
            Ok(database) => countries(&database)?,
            // What tells no country may tell AS numbers; if not, the first error is the one to show.
            Err(error @ GeoError::NoCountry { .. }) => numbers(&AsnDatabase::open(file).map_err(|_| error)?),
            Err(error) => return Err(error.into()),
        },
    }
    Ok(())
}

fn countries(database: &Database) -> Result<()> {
    let info = database.info();
    head(info);
    let (countries, regions) = database.places();
    println!("ranges     {} IPv4, {} IPv6", info.v4_entries, info.v6_entries);
    println!("countries  {}", countries.len());
    println!("regions    {}", if info.has_regions() { regions.len().to_string() } else { "none".to_owned() });
    let (told, not): (Vec<Region>, Vec<Region>) =
        embargoed_regions()?.into_iter().partition(|region| database.tells(*region));
    println!("embargoed  {}", joined(told, "no region"));
    if !not.is_empty() {
        println!("warning    tells nothing of {}: rules on them have no effect with this database", joined(not, ""));
    }
    for (covered, family) in [(info.covers_v4(), "IPv4"), (info.covers_v6(), "IPv6")] {
        if !covered {
            println!("warning    no {family}: those addresses have no known country");
        }
    }
    Ok(())
}

fn head(info: &DatabaseInfo) {
    println!("type       {}\nschema     {}\nbuild      {}", info.database_type, info.schema, built(info));
    println!("age        {}", age(info));
    println!("sha256     {}\nsource     {}", info.sha256, info.source);
    if let Some(licence) = info.licence {
        println!("licence    {licence}");
    }
}

/// Age, and what to think of it.
pub(super) fn age(info: &DatabaseInfo) -> String {
    let days = info.age_days(now());
    match info.freshness(now()) {
        Freshness::Fresh => format!("{days} days"),
        Freshness::Warn => format!("{days} days: renew it"),
        Freshness::Error => format!("{days} days: too old to be relied on"),
    }
}

fn numbers(database: &AsnDatabase) {
    head(database.info());
    println!("AS         {}", database.count());
}

fn list(list: &List) {
    println!("list       {}\nsha256     {}", list.path.display(), list.sha256);
    println!("networks   {}\nAS         {}", list.networks().len(), if list.names_as() { "yes" } else { "none" });
}

fn programme(programme: &embargo::Programme) {
    let today = today();
    println!("programme  {}\nauthority  {}\ntitle      {}", programme.id, programme.authority, programme.title);
    println!("version    {}\nsha256     {}", programme.version, programme.sha256);
    println!("reviewed   {}", programme.reviewed);
    for entry in &programme.entries {
        let state = match (entry.in_effect(today), entry.review_by < today) {
            (false, _) => "not in effect",
            (true, true) => "review overdue",
            (true, false) => "in effect",
        };
        let until = entry.until.map_or_else(String::new, |until| format!(" until {until}"));
        println!(
            "{:<10} {:<5} {state} since {}{until}, review by {}: {}, {}",
            entry.place, entry.action, entry.from, entry.review_by, entry.name, entry.citation
        );
    }
}

/// Every region that a shipped programme names.
fn embargoed_regions() -> Result<std::collections::BTreeSet<Region>> {
    let regions = embargo::shipped()?.into_iter().flat_map(|programme| programme.entries);
    let region = |entry: embargo::Entry| match entry.place {
        Place::Region(region) => Some(region),
        Place::Country(_) => None,
    };
    Ok(regions.filter_map(region).collect())
}
