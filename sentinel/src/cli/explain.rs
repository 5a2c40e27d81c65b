//! `sentinel explain`: why an alert came, or why none came of an event, for a person on call.
//!
//! Invariants: what an alert says of the kernel is shown as it was; what is worked out here is by the policies given now, and it
//! is said when these are others than the alert's. What cannot be told is said to be so.

mod find;
mod json;
mod words;

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use anyhow::{Result, anyhow, bail};
use rules::{
    Evaluator, Limits, Outcome, RuleInfo, StandingEntry, StandingValue,
    explain::{DefinitionTrace, Explainer, Truth},
};

use super::replay::{
    event::Event,
    standing::{Match, Place, Standing},
};
use crate::{
    bundle::BundleFlags,
    config::{Config, Flags, Mode, UsageError},
    geo::GeoData,
    policy,
};
use find::Subject;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// `event.id` of an alert, or its beginning.
    #[arg(value_name = "ALERT_ID", required_unless_present = "event", conflicts_with = "event")]
    alert: Option<String>,
    /// An event or alert in a file, one JSON object; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    event: Option<PathBuf>,
    /// Where to look for the alert, instead of the file sinks of the settings. May be repeated.
    #[arg(long, value_name = "FILE")]
    alerts: Vec<PathBuf>,
    /// Policy files or directories; none: the shipped policies, or those of the settings file.
    #[arg(long, value_name = "PATH", num_args = 1..)]
    policy: Vec<PathBuf>,
    /// JSON or YAML file merged into `data`. May be repeated.
    #[arg(long, value_name = "FILE")]
    data: Vec<PathBuf>,
    /// Country database. May be repeated; the first is the primary one.
    #[arg(long, value_name = "FILE")]
    geoip: Vec<PathBuf>,
    /// Settings file (TOML).
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Only this rule, by its id.
    #[arg(long, value_name = "ID")]
    rule: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Verification of policy bundles.
    #[command(flatten)]
    bundle: BundleFlags,
}

/// An event rule on the event.
struct Explained<'a> {
    rule: &'a RuleInfo,
    /// Ids of its decisions: its own, or those of its members.
    ids: Vec<String>,
    /// Messages of its decisions.
    messages: Vec<String>,
    /// Scope and ttl of the entry that a decision asks for.
    entries: Vec<(String, u64)>,
    /// Whether it fired.
    fired: bool,
    /// Whether an `allow` of its package kept it silent.
    silenced: bool,
    /// Why it failed on the event, if it did.
    error: Option<String>,
    /// Expression by expression; none when the rule is about other kinds of event.
    trace: Option<DefinitionTrace>,
}

impl Explained<'_> {
    /// What alerts call it.
    fn id(&self) -> String {
        if self.ids.is_empty() { self.rule.id.clone() } else { self.ids.join(", ") }
    }

    /// Expressions that held, for sorting: what came closest first.
    fn reached(&self) -> usize {
        let bodies = self.trace.iter().flat_map(|trace| &trace.bodies);
        bodies.map(|body| body.steps.iter().filter(|step| step.truth == Truth::Held).count()).max().unwrap_or(0)
    }
}

/// Everything that is said.
struct Explanation<'a> {
    subject: &'a Subject,
    standing: &'a Standing,
    /// Standing rules that are about the event, in the order of the kernel.
    matches: Vec<Match>,
    rules: Vec<Explained<'a>>,
}

/// Explains, prints.
pub(super) fn run(args: &Args) -> Result<ExitCode> {
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
    let subject = match (&args.event, &args.alert) {
        (Some(file), _) => find::event(file)?,
        (None, Some(id)) => find::alert(id, &args.alerts, &config.alerts)?,
        (None, None) => bail!(UsageError("give the id of an alert, or --event FILE")),
    };
    let options = policy::options(&config)?;
    let explainer = Explainer::load(&options).map_err(|errors| anyhow!("the policies are not usable:\n{errors}"))?;
    let now = u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or_default();
    let (geo, _) = GeoData::load(&config.geo, None, now)?;
    let standing = Standing::new(explainer.policies().clone(), geo.votes, Mode::Enforce, config.unknown);
    let matches = standing.judge().matches(&subject.event);
    let rules = event_rules(&explainer, &subject.event, args.rule.as_deref());
    let explanation = Explanation { subject: &subject, standing: &standing, matches, rules };
    let explanation = explanation.only(args.rule.as_deref())?;
    if args.json {
        println!("{:#}", explanation.json());
    } else {
        print!("{}", explanation.text());
    }
    Ok(ExitCode::SUCCESS)
}

/// Every event rule that can match, or the one that is asked for.
fn event_rules<'a>(explainer: &'a Explainer, event: &Event, only: Option<&str>) -> Vec<Explained<'a>> {
    let policies = explainer.policies();
    // Nobody waits behind this event.
    let limits = Limits { time: std::time::Duration::from_secs(10), ..Limits::default() };
    let outcome = Evaluator::new(Arc::clone(policies), limits).evaluate(event.kind, &event.input);
    let asked = |rule: &&RuleInfo| match only {
        Some(id) => rule.id == id || outcome.decisions.iter().any(|d| d.rule == rule.index && d.id == id),
        None => rule.kinds.contains(event.kind),
    };
    let chosen: Vec<&RuleInfo> = policies.rules().iter().filter(asked).collect();
    let mut all: Vec<Explained> = chosen.into_iter().map(|rule| explained(explainer, event, rule, &outcome)).collect();
    all.sort_by_key(|rule| (!rule.fired, std::cmp::Reverse(rule.reached()), rule.rule.index));
    all
}

fn explained<'a>(explainer: &'a Explainer, event: &Event, rule: &'a RuleInfo, outcome: &Outcome) -> Explained<'a> {
    let decisions = || outcome.decisions.iter().filter(|decision| decision.rule == rule.index);
    let trace = rule.kinds.contains(event.kind).then(|| explainer.explain(rule, &event.input)).flatten();
    let allowed = outcome.allowed_by.contains(&rule.index);
    let fired = decisions().next().is_some() || allowed;
    let held = trace.as_ref().is_some_and(|trace| trace.truth == Truth::Held);
    let entries = decisions().filter(|decision| decision.verb == rules::Verb::Deny);
    let ids: std::collections::BTreeSet<String> = decisions().map(|decision| decision.id.clone()).collect();
    Explained {
        rule,
        ids: ids.into_iter().collect(),
        messages: decisions().map(|decision| decision.message.clone()).collect(),
        entries: entries.map(|decision| (decision.scope.to_string(), decision.ttl)).collect(),
        fired,
        silenced: held && !fired && !outcome.allowed_by.is_empty(),
        error: outcome.errors.iter().find(|error| error.rule == rule.index).map(|error| error.cause.to_string()),
        trace,
    }
}

impl<'a> Explanation<'a> {
    /// What one rule does, or everything. A rule that does not exist is an error.
    fn only(mut self, id: Option<&str>) -> Result<Self> {
        let Some(id) = id else { return Ok(self) };
        let known = self.standing.policies().standing().iter().any(|entry| entry.id == id);
        if self.rules.is_empty() && !known {
            let mut ids: Vec<&str> = self.standing.policies().rules().iter().map(|rule| rule.id.as_str()).collect();
            ids.extend(self.standing.policies().standing().iter().map(|entry| entry.id.as_str()));
            let near: Vec<&str> = ids.into_iter().filter(|other| other.contains(id)).take(5).collect();
            let near = if near.is_empty() { String::new() } else { format!("; there is {}", near.join(", ")) };
            bail!("no rule has the id {id:?}{near}; sentinel check lists all rules");
        }
        let policies = self.standing.policies().clone();
        self.matches.retain(|one| match one.place {
            Place::Entry(index) => policies.standing()[index].id == id,
            Place::Unknown => false,
        });
        Ok(self)
    }

    /// The standing rule behind a match.
    fn entry(&self, one: &Match) -> Option<&'a StandingEntry> {
        match one.place {
            Place::Entry(index) => self.standing.policies().standing().get(index),
            Place::Unknown => None,
        }
    }

    /// How many exemptions there are, whether or not they are about the event.
    fn exemptions(&self) -> usize {
        let all = self.standing.policies().standing().iter();
        all.filter(|entry| matches!(entry.value, StandingValue::Exemption(_))).count()
    }

    /// Whether the policies are those that the alert was made under; `None` if it does not say.
    fn same_policy(&self) -> Option<bool> {
        let then = self.subject.alert.as_ref()?.pointer("/sentinel/policy/sha256")?.as_str()?;
        Some(then == self.standing.policies().sha256())
    }
}
