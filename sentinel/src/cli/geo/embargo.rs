//! `sentinel geo embargo`: the embargo programmes as data that policies read.
//!
//! What it prints is meant for a file given by `--data`; policies then read `data.embargo`.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, Result};
use geoip::{
    AsnDatabase,
    embargo::{self, Programme},
};
use jiff::civil::Date;
use serde_json::json;

use super::{joined, open_list, today};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Programmes besides the built-in ones (JSON); one with the id of a built-in programme takes its place.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// List of networks and AS numbers of your own that belongs to a programme. May be repeated.
    #[arg(long, value_name = "PROGRAMME=FILE")]
    list: Vec<String>,
    /// Database of AS numbers, for lists that name some.
    #[arg(long, value_name = "FILE")]
    asn: Option<PathBuf>,
    /// What was or will be in effect on this day instead of today.
    #[arg(long, value_name = "DATE")]
    at: Option<Date>,
}

/// Prints the programmes; entries whose review is overdue are told on stderr.
pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let day = args.at.unwrap_or_else(today);
    let mut programmes = embargo::shipped()?;
    for file in &args.files {
        let own = Programme::open(file)?;
        programmes.retain(|programme| programme.id != own.id);
        programmes.push(own);
    }
    let asn = args.asn.as_deref().map(AsnDatabase::open).transpose()?;
    for list in &args.list {
        let (id, file) = list.split_once('=').with_context(|| format!("--list {list}: write PROGRAMME=FILE"))?;
        let known = joined(programmes.iter().map(|programme| &programme.id), "");
        let programme = programmes.iter_mut().find(|programme| programme.id == id);
        let programme = programme.with_context(|| format!("--list {list}: no programme {id}; there are {known}"))?;
        let (list, prefixes) = open_list(Path::new(file), asn.as_ref())?;
        programme.add(file.to_owned(), &list, prefixes);
    }
    for programme in &programmes {
        for entry in programme.overdue(day) {
            let (id, place, by) = (&programme.id, entry.place, entry.review_by);
            eprintln!(
                "warning: {id}: the entry {place} was to be reviewed by {by}; compare it with {}",
                entry.citation
            );
        }
    }
    println!("{:#}", json!({ "embargo": embargo::data(&programmes, day) }));
    Ok(ExitCode::SUCCESS)
}
