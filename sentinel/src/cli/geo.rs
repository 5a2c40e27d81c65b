//! `sentinel geo`: what a country database is and says.

use std::{net::IpAddr, path::PathBuf, process::ExitCode};

use anyhow::Result;
use geoip::Database;
use sentinel_common::address::{Address, normalise};

use crate::input::ip;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Check a database file.
    Check {
        /// MMDB file, or CSV of start,end,country.
        file: PathBuf,
    },
    /// Show the country of addresses.
    Lookup {
        /// Addresses.
        #[arg(required = true, value_name = "IP")]
        addresses: Vec<IpAddr>,
        /// Database instead of the embedded one.
        #[arg(long, value_name = "FILE")]
        geoip: Option<PathBuf>,
    },
}

/// Runs the inner verb.
pub(super) fn run(args: &Args) -> Result<ExitCode> {
    match &args.verb {
        Verb::Check { file } => describe(&Database::open(file)?),
        Verb::Lookup { addresses, geoip } => {
            let database = geoip.as_ref().map_or_else(Database::embedded, |file| Database::open(file))?;
            addresses.iter().for_each(|address| lookup(&database, *address));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn describe(database: &Database) {
    let info = database.info();
    let build = jiff::Timestamp::from_second(info.build as i64).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    println!("type     {}\nschema   {}\nbuild    {build}", info.database_type, info.schema);
    println!("sha256   {}\nsource   {}", info.sha256, info.source);
    println!("ranges   {} IPv4, {} IPv6", info.v4_entries, info.v6_entries);
    if !info.covers_v6() {
        println!("warning  no IPv6: those addresses have no known country");
    }
}

/// Looks up what the address means, as the kernel does.
fn lookup(database: &Database, given: IpAddr) {
    let (address, wrapping) = normalise(match given {
        IpAddr::V4(v4) => Address::from_v4(v4.into()),
        IpAddr::V6(v6) => Address::from_octets(v6.octets()),
    });
    let meant = ip(address);
    let found = database.lookup(meant);
    let country = found.country.map_or_else(|| format!("{:?}", found.coverage).to_lowercase(), |c| c.to_string());
    let as_given = if meant == given { String::new() } else { format!("  ({given}, {wrapping:?})") };
    println!("{meant:<40} {country:<8} {}{as_given}", found.prefix);
}
