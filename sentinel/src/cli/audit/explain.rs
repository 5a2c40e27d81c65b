//! `sentinel audit explain`: a recorded decision, worked out again from what was recorded.
//!
//! Invariants: the same code judges that judges replays, at the time of the event; it is never called the same when policies or
//! databases are others than those of the record, and what cannot be worked out again is said to be so, with why.

mod compare;

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use alerts::audit::{Kind, Record};
use anyhow::{Context as _, Result, anyhow, bail};
use rules::{Evaluator, Limits};
use serde_json::{Map, Value, json};

use super::trails::{each, trails};
use crate::{
    bundle::BundleFlags,
    cli::replay::{
        event::{Event, Line, read},
        standing::Standing,
    },
    config::{Config, Flags, Mode, UsageError},
    operator,
    policy::{self, Loaded},
};
use compare::{Outcome, Result as Compared};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// `event.id` of the alert or its beginning, or the number of the record.
    #[arg(value_name = "ID", required_unless_present = "all")]
    id: Option<String>,
    /// Every decision of the trail, and how many come out the same.
    #[arg(long, conflicts_with = "id")]
    all: bool,
    /// Directories of trails, or files; default: the trail of this host.
    #[arg(long, value_name = "PATH", num_args = 1..)]
    trail: Vec<PathBuf>,
    /// Policy files or directories of that time; none: the shipped policies, or those of the settings file.
    #[arg(long, value_name = "PATH", num_args = 1..)]
    policy: Vec<PathBuf>,
    /// JSON or YAML file merged into `data`. May be repeated.
    #[arg(long, value_name = "FILE")]
    data: Vec<PathBuf>,
    /// Country database of that time. May be repeated; the first is the primary one.
    #[arg(long, value_name = "FILE")]
    geoip: Vec<PathBuf>,
    /// Settings file (TOML).
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// State directory, when no trail is given.
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Verification of policy bundles.
    #[command(flatten)]
    bundle: BundleFlags,
}

/// Works decisions out again; exit code 1 unless each comes out the same.
pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let records = found(args)?;
    let again = Again::load(args)?;
    let mut results = Vec::new();
    for record in &records {
        let result = again.explain(record)?;
        if !args.all {
            print(args, record, &result);
        }
        results.push((record.seq, result));
    }
    if args.all {
        summary(args, &results);
    }
    let same = results.iter().all(|(_, result)| result.is_same());
    Ok(if same { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The decisions that are meant.
fn found(args: &Args) -> Result<Vec<Record>> {
    let wanted = |record: &Record| match &args.id {
        None => true,
        Some(id) => {
            let own = record.data.get("id").and_then(Value::as_str).unwrap_or_default();
            own.starts_with(id.as_str()) || record.seq.to_string() == *id
        }
    };
    let mut records = Vec::new();
    for trail in trails(&args.trail, args.state_dir.as_ref()) {
        each(&trail, &mut |record| {
            if record.kind == Kind::Decision.as_str() && wanted(record) {
                records.push(record.clone());
            }
            Ok(())
        })?;
    }
    match (&args.id, records.len()) {
        (Some(id), 0) => {
            bail!("no decision of the trail has the id or number {id}; `sentinel audit report --format csv` lists all")
        }
        (Some(id), 2..) if id.len() < 36 => bail!(UsageError("several decisions begin with this id; give more of it")),
        (_, _) => Ok(records),
    }
}

/// Policies and databases to decide by.
struct Again {
    loaded: Loaded,
    config: Config,
}

impl Again {
    fn load(args: &Args) -> Result<Self> {
        let flags = Flags {
            config: args.config.clone(),
            policy: args.policy.clone(),
            data: args.data.clone(),
            geoip: args.geoip.clone(),
            mode: Some(Mode::Monitor),
            bundle: args.bundle.clone(),
            ..Flags::default()
        };
        let config = Config::load(&flags)?;
        let loaded = Loaded::with_geo(policy::read(&config)?, &config, None, Arc::default())?;
        Ok(Self { loaded, config })
    }

    fn explain(&self, record: &Record) -> Result<Compared> {
        let alert = record.data.get("alert").context("the record has no alert")?;
        let then = Outcome::recorded(&record.data, alert);
        if let Some(why) = self.other_inputs(alert) {
            return Ok(Compared::Unfit { then, why });
        }
        if then.rule.starts_with("operator-") {
            let why =
                format!("an operator ordered it ({}); the record of the order says who and why", operator::PACKAGE);
            return Ok(Compared::Unfit { then, why });
        }
        let event = event(alert).with_context(|| format!("record {}", record.seq))?;
        let now = self.decide(&event, alert);
        Ok(if now.agrees(&then) { Compared::Same { then } } else { Compared::Other { then, now } })
    }

    /// Why the result would say nothing about the recorded decision.
    fn other_inputs(&self, alert: &Value) -> Option<String> {
        let text = |path: &str| alert.pointer(path).and_then(Value::as_str);
        let policies = self.loaded.policies.sha256();
        if let Some(then) = text("/sentinel/policy/sha256").filter(|then| *then != policies) {
            return Some(format!(
                "it was decided by the policies {then}, and these are {policies}; give --policy and --data"
            ));
        }
        let ours = self.loaded.geo.votes.databases()[0].info().sha256.clone();
        let then = text("/sentinel/geo/database/sha256").filter(|then| *then != ours)?;
        Some(format!("the country came from the database {then}, and this is {ours}; give --geoip"))
    }

    fn decide(&self, event: &Event, alert: &Value) -> Outcome {
        let enforce = alert.pointer("/sentinel/mode").and_then(Value::as_str) == Some("enforce");
        let mode = if enforce { Mode::Enforce } else { Mode::Monitor };
        let (policies, votes) = (self.loaded.policies.clone(), self.loaded.geo.votes.clone());
        let standing = Standing::new(policies.clone(), votes.clone(), mode, self.config.unknown);
        let ruling = standing.judge().judge(event);
        let limits = Limits { time: std::time::Duration::from_secs(10), ..Limits::default() };
        let events = Evaluator::new(policies.clone(), limits).evaluate(event.kind, &event.input);
        let place = event.facts().ip.map(|ip| votes.lookup(ip));
        Outcome::of(&ruling, &events, &standing, place.as_ref(), enforce)
    }
}

/// The event of an alert.
fn event(alert: &Value) -> Result<Event> {
    let value = rules::Value::from_json_str(&alert.to_string()).map_err(|error| anyhow!("{error}"))?;
    match read(value).map_err(|why| anyhow!("{why}"))? {
        Line::Event(event) => Ok(*event),
        Line::Header | Line::Notice => bail!("it is about no event"),
    }
}

fn print(args: &Args, record: &Record, result: &Compared) {
    if args.json {
        let mut object = Map::new();
        object.insert("record".to_owned(), record.seq.into());
        object.insert("id".to_owned(), record.data.get("id").cloned().unwrap_or_default());
        object.insert("result".to_owned(), result.json());
        println!("{:#}", Value::Object(object));
    } else {
        println!("record     {} of {}, {}", record.seq, record.at, record.sha256);
        print!("{}", result.text());
    }
}

fn summary(args: &Args, results: &[(u64, Compared)]) {
    let same = results.iter().filter(|(_, result)| result.is_same()).count();
    let others: Vec<&(u64, Compared)> = results.iter().filter(|(_, result)| !result.is_same()).collect();
    if args.json {
        let others: Vec<Value> =
            others.iter().map(|(record, result)| json!({ "record": record, "result": result.json() })).collect();
        println!("{:#}", json!({ "decisions": results.len(), "same": same, "others": others }));
        return;
    }
    for (record, result) in others {
        println!("record     {record}");
        print!("{}", result.text());
    }
    println!("{same} of {} decisions come out the same", results.len());
}
