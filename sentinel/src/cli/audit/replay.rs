//! `sentinel audit replay`: what another list would have been about, in a period that is over (retro-screening).
//!
//! Invariants: only what the trail has can be found, decisions and accounted flows, and the output says how many of each there
//! were; a country is the recorded one, unless --geoip says by which database to look again. Nothing is changed.

use std::{collections::BTreeMap, net::IpAddr, path::PathBuf, process::ExitCode};

use alerts::audit::{Kind, Record};
use anyhow::Result;
use geoip::{Database, List, PrefixSet, embargo};
use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Value, json};

use super::{
    period::Span,
    trails::{each, trails},
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Embargo programme (.json) or list of networks (.list, .txt).
    #[arg(long, value_name = "FILE")]
    list: PathBuf,
    #[command(flatten)]
    span: Span,
    /// Country database to look every destination up in, instead of the recorded country.
    #[arg(long, value_name = "FILE")]
    geoip: Option<PathBuf>,
    /// Directories of trails, or files; default: the trail of this host.
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// State directory, when no path is given.
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// A list, whatever it is made of.
enum Screen {
    Programme(embargo::Programme),
    Networks(PrefixSet),
}

/// A destination of the trail.
#[derive(Debug, Default)]
struct Place {
    /// An address, or a network of an accounted flow.
    destination: String,
    country: String,
    region: String,
}

/// What was found of one destination.
#[derive(Debug, Default)]
struct Found {
    decisions: u64,
    /// Of these, what had passed then.
    passed: u64,
    flows: u64,
    bytes: u64,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
}

/// Screens a period; exit code 1 when something had passed that the list is about.
pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let period = args.span.period()?;
    let screen = Screen::open(args)?;
    let database = args.geoip.as_deref().map(Database::open).transpose()?;
    let (mut found, mut looked) = (BTreeMap::<(String, String, String), Found>::new(), (0_u64, 0_u64));
    for trail in trails(&args.paths, args.state_dir.as_ref()) {
        each(&trail, &mut |record| {
            let Some((at, place, process)) = seen(record, database.as_ref()) else { return Ok(()) };
            if !period.contains(at) {
                return Ok(());
            }
            let flow = record.kind == Kind::Flow.as_str();
            *(if flow { &mut looked.1 } else { &mut looked.0 }) += 1;
            if screen.names(&place, at) {
                found.entry((place.destination, place.country, process)).or_default().add(record, at, flow);
            }
            Ok(())
        })?;
    }
    if args.json {
        println!("{:#}", as_json(&found, looked))
    } else {
        print!("{}", text(&found, looked))
    }
    let passed = found.values().any(|found| found.passed > 0 || found.flows > 0);
    Ok(if passed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

impl Screen {
    fn open(args: &Args) -> Result<Self> {
        let file = &args.list;
        if file.extension().is_some_and(|extension| extension == "json") {
            return Ok(Self::Programme(embargo::Programme::open(file)?));
        }
        let list = List::open(file)?;
        let found =
            list.prefixes(None).map_err(|errors| anyhow::anyhow!("{errors}\nUse networks instead of AS numbers."))?;
        Ok(Self::Networks(found.prefixes))
    }

    /// Whether the list is about the destination, on that day.
    fn names(&self, place: &Place, at: Timestamp) -> bool {
        match self {
            Self::Programme(programme) => {
                let day = at.to_zoned(TimeZone::UTC).date();
                let named = |named: &geoip::Place| match named {
                    geoip::Place::Country(country) => country.as_str() == place.country,
                    geoip::Place::Region(region) => region.to_string() == place.region,
                };
                programme.in_effect(day).any(|entry| named(&entry.place))
            }
            Self::Networks(prefixes) => address(&place.destination).is_some_and(|ip| prefixes.contains(ip)),
        }
    }
}

/// The address, or the first one of a network.
fn address(destination: &str) -> Option<IpAddr> {
    destination.split('/').next()?.parse().ok()
}

/// When a record speaks of which destination, and who went there.
fn seen(record: &Record, database: Option<&Database>) -> Option<(Timestamp, Place, String)> {
    let value = Value::Object(record.data.clone());
    let text = |paths: &[&str]| {
        let found = paths.iter().find_map(|path| value.pointer(path)?.as_str());
        found.unwrap_or_default().to_owned()
    };
    let mut place = Place::default();
    let process = match Kind::of(&record.kind)? {
        Kind::Decision => {
            place.destination = text(&["/alert/destination/ip"]);
            place.country = text(&["/alert/sentinel/geo/country", "/alert/destination/geo/country_iso_code"]);
            place.region = text(&["/alert/destination/geo/region_iso_code"]);
            text(&["/alert/process/executable", "/alert/process/name"])
        }
        Kind::Flow => {
            place.destination = text(&["/destination", "/prefix"]);
            (place.country, place.region) = (text(&["/country"]), text(&["/region"]));
            text(&["/process"])
        }
        _ => return None,
    };
    if let (Some(database), Some(ip)) = (database, address(&place.destination)) {
        let found = database.lookup(ip);
        place.country = found.country.map(|country| country.to_string()).unwrap_or_default();
        place.region = found.region.map(|region| region.to_string()).unwrap_or_default();
    }
    let known = !place.destination.is_empty() || !place.country.is_empty();
    known.then_some(())?;
    Some((record.at.parse().ok()?, place, process))
}

impl Found {
    fn add(&mut self, record: &Record, at: Timestamp, flow: bool) {
        let refused = record.data.get("effect").and_then(Value::as_str) == Some("refused");
        if flow {
            self.flows += 1;
            self.bytes += record.data.get("bytes").and_then(Value::as_u64).unwrap_or_default();
        } else {
            self.decisions += 1;
            self.passed += u64::from(!refused);
        }
        self.first = Some(self.first.map_or(at, |first| first.min(at)));
        self.last = Some(self.last.map_or(at, |last| last.max(at)));
    }
}

fn text(found: &BTreeMap<(String, String, String), Found>, (decisions, flows): (u64, u64)) -> String {
    let mut text = String::new();
    for ((destination, country, process), one) in found {
        let time = |at: Option<Timestamp>| at.map(|at| at.to_string()).unwrap_or_default();
        text += &format!(
            "{} {country} by {process}: {} decisions ({} had passed), {} flows with {} bytes, {} to {}\n",
            if destination.is_empty() { "-" } else { destination },
            one.decisions,
            one.passed,
            one.flows,
            one.bytes,
            time(one.first),
            time(one.last)
        );
    }
    text +=
        &format!("{} destinations of {decisions} decisions and {flows} accounted flows are on the list\n", found.len());
    if flows == 0 {
        text += "no flow was accounted in the period: connections that no rule was about are not in the trail\n";
    }
    text
}

fn as_json(found: &BTreeMap<(String, String, String), Found>, (decisions, flows): (u64, u64)) -> Value {
    let one = |((destination, country, process), found): (&(String, String, String), &Found)| {
        json!({ "destination": destination, "country": country, "process": process, "decisions": found.decisions,
            "passed": found.passed, "flows": found.flows, "bytes": found.bytes,
            "first": found.first.map(|at| at.to_string()), "last": found.last.map(|at| at.to_string()) })
    };
    json!({ "found": found.iter().map(one).collect::<Vec<_>>(), "looked_at": { "decisions": decisions, "flows": flows } })
}
