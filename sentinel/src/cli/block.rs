//! `sentinel block`: what an operator orders the running Sentinel to refuse, at once and for a time.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, Result};
use jiff::{SpanRelativeTo, Timestamp, fmt::friendly::SpanParser};
use serde_json::Value;

use crate::{
    config::RUN_DIR,
    control::{Request, ask},
    operator::{Block, Kind, Order},
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
    /// Run directory of the daemon.
    #[arg(long, value_name = "DIR", default_value = RUN_DIR, global = true)]
    run_dir: PathBuf,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Refuse something at once, beside the policies.
    Add(Add),
    /// Show what was ordered and holds.
    List(List),
    /// Take a block back.
    Remove(Remove),
}

#[derive(Debug, clap::Args)]
struct Add {
    /// What is refused: a country (IR), a region (UA-43), a cidr (192.0.2.0/24 or one address), a path or an executable.
    kind: Kind,
    /// The country, region, network or path.
    value: String,
    /// Why; it is in the alert, and the list shows it.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// How long it holds: 30s, 15m, 8h, 2d; 0: until it is removed.
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = seconds)]
    ttl: u64,
    /// Only for this executable. May be repeated.
    #[arg(long, value_name = "PATH")]
    executable: Vec<String>,
    /// Only to this port. May be repeated.
    #[arg(long, value_name = "PORT")]
    port: Vec<u16>,
}

#[derive(Debug, clap::Args)]
struct List {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct Remove {
    /// Its id, as `list` shows it.
    id: String,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// Asks the daemon.
pub(super) fn run(args: Args) -> Result<ExitCode> {
    let run_dir = &args.run_dir;
    match args.verb {
        Verb::Add(add) => self::add(run_dir, add)?,
        Verb::List(list) => self::list(run_dir, &list)?,
        Verb::Remove(remove) => self::remove(run_dir, remove)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn add(run_dir: &Path, add: Add) -> Result<()> {
    let Add { kind, value, reason, ttl, executable, port } = add;
    let order = Order { kind, value, executables: executable, ports: port, reason, ttl };
    let answer = ask(run_dir, &Request::BlockAdd { order })?;
    let block: Block = read(&answer["block"])?;
    let how = if answer["mode"] == "enforce" { "is in force" } else { "is only reported (monitor mode)" };
    println!("{} {how} {}", block.id, until(&block));
    Ok(())
}

fn list(run_dir: &Path, list: &List) -> Result<()> {
    let answer = ask(run_dir, &Request::BlockList)?;
    if list.json {
        println!("{answer}");
        return Ok(());
    }
    let blocks: Vec<Block> = read(&answer["blocks"])?;
    if blocks.is_empty() {
        println!("no blocks are ordered");
    }
    for block in blocks {
        let Order { kind, value, executables, ports, reason, .. } = &block.order;
        let only = executables.iter().cloned().chain(ports.iter().map(|port| format!("port {port}")));
        let only: Vec<String> = only.collect();
        let only = if only.is_empty() { String::new() } else { format!(" only {}", only.join(", ")) };
        println!("{:<12} {:<10} {value}{only}", block.id, kind.as_str());
        println!("             {}, by {}, because: {reason}", until(&block), block.by);
    }
    Ok(())
}

fn remove(run_dir: &Path, remove: Remove) -> Result<()> {
    let Remove { id, reason } = remove;
    ask(run_dir, &Request::BlockRemove { id: id.clone(), reason })?;
    println!("{id} is removed");
    Ok(())
}

fn read<T: serde::de::DeserializeOwned>(value: &Value) -> Result<T> {
    serde_json::from_value(value.clone()).context("the daemon's answer is not understood")
}

fn until(block: &Block) -> String {
    match block.expires {
        None => "until it is removed".to_owned(),
        Some(end) => format!("until {}", Timestamp::from_second(end).unwrap_or(Timestamp::MAX)),
    }
}

/// Reads a duration: a number of seconds, or numbers with units.
fn seconds(text: &str) -> Result<u64, String> {
    if let Ok(seconds) = text.parse() {
        return Ok(seconds);
    }
    let wrong = |error: jiff::Error| format!("{error}; give for example 90s, 15m, 8h or 2d");
    let span = SpanParser::new().parse_span(text).map_err(wrong)?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(wrong)?;
    u64::try_from(duration.as_secs()).map_err(|_| "a block cannot have ended before it begins".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, expected) in
            [("0", 0), ("90", 90), ("90s", 90), ("15m", 900), ("8h", 28_800), ("1h30m", 5400), ("2d", 172_800)]
        {
            assert_eq!(seconds(text), Ok(expected), "{text}");
        }
        for wrong in ["", "soon", "-1h", "1y"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
