//! From records to a report.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{
    coverage::{self, Timeline},
    decisions::{Row, tally, text},
    document,
    exemptions::Register,
    in_force::InForce,
    model::{HostCoverage, Interval, Period, Report, TrailFacts},
    sample,
};
use crate::audit::{Kind, Record};

/// Reads records of one trail after another.
pub struct Builder {
    period: Period,
    seed: u64,
    trail: TrailReader,
    hosts: Vec<HostCoverage>,
    in_force: Vec<Interval>,
    listed: BTreeSet<String>,
    register: Register,
    trails: Vec<TrailFacts>,
    seen_ids: HashSet<String>,
    sums: Sums,
}

/// What does not belong to one host.
#[derive(Debug, Default)]
struct Sums {
    rows: Vec<Row>,
    examined: BTreeMap<String, u64>,
    canary_rounds: u64,
    canary_failures: Vec<(Timestamp, String)>,
    database_age_days: u64,
    losses: BTreeMap<String, u64>,
    clock_jumps: Vec<(Timestamp, i64)>,
    operator: Vec<(Timestamp, String, String)>,
    recoveries: Vec<(Timestamp, String)>,
    flows: BTreeMap<String, (u64, u64, u64)>,
}

/// The trail that is being read.
#[derive(Debug, Default)]
struct TrailReader {
    facts: TrailFacts,
    timeline: Timeline,
    in_force: InForce,
    register: Register,
    scope: String,
    versions: BTreeSet<String>,
    starts: u64,
    stops: u64,
    unclean: u64,
    seen: BTreeMap<String, u64>,
}

impl Builder {
    /// A report on a period; `seed` chooses the sample.
    #[must_use]
    pub fn new(period: Period, seed: u64) -> Self {
        Self {
            period,
            seed,
            trail: TrailReader::default(),
            hosts: Vec::new(),
            in_force: Vec::new(),
            listed: BTreeSet::new(),
            register: Register::default(),
            trails: Vec::new(),
            seen_ids: HashSet::new(),
            sums: Sums::default(),
        }
    }

    /// Reads the next record of a trail, from its first one on: what was in force at the beginning of the period is in the
    /// records before it.
    pub fn record(&mut self, record: &Record) {
        let Ok(at) = record.at.parse::<Timestamp>() else { return };
        self.trail.facts.records += 1;
        self.trail.facts.head = Some((record.seq, record.sha256.clone()));
        let Some(kind) = Kind::of(&record.kind) else { return };
        if at < self.period.to {
            self.take(kind, at, record);
        }
    }

    fn take(&mut self, kind: Kind, at: Timestamp, record: &Record) {
        let (data, inside) = (&record.data, self.period.contains(at));
        let trail = &mut self.trail;
        match kind {
            Kind::Segment => {
                trail.facts.trail = word(data, "trail");
                trail.facts.host = word(data, "host");
            }
            Kind::Start => {
                let unclean = trail.timeline.start(at, data);
                trail.in_force.start(at);
                trail.seen.clear();
                trail.starts += u64::from(inside);
                trail.unclean += u64::from(inside && unclean);
                trail.versions.insert(word(data, "version"));
            }
            Kind::Coverage | Kind::Stop => self.coverage(kind, at, data),
            Kind::Mode | Kind::Policy | Kind::List | Kind::Database => trail.in_force.change(at, kind.as_str(), data),
            Kind::Exemption => trail.register.change(data),
            Kind::Decision if inside => self.decision(at, record),
            Kind::Canary if inside => self.sums.canary(at, data),
            Kind::Loss if inside => self.sums.loss(data),
            Kind::Clock if inside => {
                let jump = data.get("jump_seconds").and_then(Value::as_i64).unwrap_or_default();
                self.sums.clock_jumps.push((at, jump));
            }
            Kind::Operator if inside => {
                let command = data.get("command").map(ToString::to_string).unwrap_or_default();
                self.sums.operator.push((at, word(data, "by"), command));
            }
            Kind::Recovery if inside => {
                let findings = data.get("findings").and_then(Value::as_array).into_iter().flatten();
                let findings = findings.filter_map(Value::as_str).map(|text| (at, text.to_owned()));
                self.sums.recoveries.extend(findings);
            }
            Kind::Flow if inside => self.sums.flow(data),
            Kind::Decision
            | Kind::Canary
            | Kind::Loss
            | Kind::Clock
            | Kind::Operator
            | Kind::Recovery
            | Kind::Flow
            | Kind::Checkpoint
            | Kind::Rekey
            | Kind::Retention => {}
        }
    }

    fn coverage(&mut self, kind: Kind, at: Timestamp, data: &Map<String, Value>) {
        let trail = &mut self.trail;
        trail.in_force.settle();
        trail.timeline.coverage(at, data);
        if kind == Kind::Stop {
            trail.timeline.stop(at);
            trail.stops += u64::from(self.period.contains(at));
        }
        trail.scope = word(data, "scope");
        for (name, count) in data.get("seen").and_then(Value::as_object).into_iter().flatten() {
            let count = count.as_u64().unwrap_or_default();
            let before = trail.seen.insert(name.clone(), count).unwrap_or_default();
            if self.period.contains(at) {
                *self.sums.examined.entry(name.clone()).or_default() += count.saturating_sub(before);
            }
        }
        if self.period.contains(at) {
            let databases = data.get("databases").and_then(Value::as_array).into_iter().flatten();
            let oldest = databases.filter_map(|database| database["age_days"].as_u64()).max().unwrap_or_default();
            self.sums.database_age_days = self.sums.database_age_days.max(oldest);
        }
    }

    fn decision(&mut self, at: Timestamp, record: &Record) {
        let facts = &self.trail.facts;
        let row = Row::of(at, &facts.host, &facts.trail, (record.seq, &record.sha256), &record.data);
        // After an error of the disk a record may have been written twice.
        if row.id.is_empty() || self.seen_ids.insert(row.id.clone()) {
            self.sums.rows.push(row);
        }
    }

    /// Ends a trail; the next record is of another one. `integrity` is what verifying it said.
    pub fn end_trail(&mut self, integrity: Value) {
        let TrailReader { mut facts, timeline, in_force, register, scope, versions, starts, stops, unclean, .. } =
            std::mem::take(&mut self.trail);
        facts.integrity = integrity;
        let timeline = timeline.finish(&self.period);
        let milliseconds = coverage::milliseconds(&timeline);
        let whole = self.period.to.as_millisecond() - self.period.from.as_millisecond();
        let (intervals, listed) = in_force.finish(&facts.host, &self.period);
        self.in_force.extend(intervals);
        self.listed.extend(listed);
        self.register.extend(register);
        self.hosts.push(HostCoverage {
            host: facts.host.clone(),
            trail: facts.trail.clone(),
            scope,
            versions: versions.into_iter().collect(),
            percent: milliseconds.iter().map(|(state, part)| (*state, coverage::percent(*part, whole))).collect(),
            timeline,
            milliseconds,
            starts,
            stops,
            unclean_starts: unclean,
        });
        self.trails.push(facts);
    }

    /// The report.
    #[must_use]
    pub fn finish(self) -> Report {
        let Sums { mut rows, .. } = self.sums;
        rows.sort_by(|one, other| (one.at, &one.trail, one.record).cmp(&(other.at, &other.trail, other.record)));
        let (totals, by) = tally(&rows);
        let mut report = Report {
            format: 1,
            period: self.period,
            trails: self.trails,
            hosts: self.hosts,
            in_force: self.in_force,
            listed: self.listed,
            totals,
            by,
            statement: String::new(),
            examined: self.sums.examined,
            exemptions: self.register.finish(&rows, &self.period),
            canary_rounds: self.sums.canary_rounds,
            canary_failures: self.sums.canary_failures,
            database_age_days: self.sums.database_age_days,
            unknown_destinations: totals.unknown_country,
            disagreements: rows.iter().filter(|row| row.disagrees).count() as u64,
            losses: self.sums.losses,
            clock_jumps: self.sums.clock_jumps,
            operator: self.sums.operator,
            recoveries: self.sums.recoveries,
            flows: self.sums.flows,
            limits: document::LIMITS.to_vec(),
            seed: self.seed,
            sample: sample::sample(&rows, self.seed),
            decisions: rows,
        };
        report.statement = document::statement(&report);
        report
    }
}

fn word(data: &Map<String, Value>, name: &str) -> String {
    data.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

impl Sums {
    fn canary(&mut self, at: Timestamp, data: &Map<String, Value>) {
        self.canary_rounds += 1;
        let failing = data.get("failing").and_then(Value::as_array).into_iter().flatten();
        self.canary_failures.extend(failing.filter_map(Value::as_str).map(|text| (at, text.to_owned())));
        let hooks = data.get("hooks").and_then(Value::as_object).into_iter().flatten();
        let failed = hooks.filter_map(|(name, said)| Some((name, said.as_str()?.strip_prefix("failed: ")?)));
        self.canary_failures.extend(failed.map(|(name, why)| (at, format!("{name}: {why}"))));
    }

    fn loss(&mut self, data: &Map<String, Value>) {
        let mut add = |cause: &str, count: Option<u64>| {
            *self.losses.entry(cause.to_owned()).or_default() += count.unwrap_or_default();
        };
        match data.get("by").and_then(Value::as_object) {
            Some(by) => by.iter().for_each(|(cause, count)| add(cause, count.as_u64())),
            None => add(&word(data, "cause"), data.get("records").and_then(Value::as_u64)),
        }
    }

    fn flow(&mut self, data: &Map<String, Value>) {
        let value = Value::Object(data.clone());
        let country = text(&value, "/country");
        let country = if country.is_empty() { "-".to_owned() } else { country };
        let number = |name: &str| data.get(name).and_then(Value::as_u64).unwrap_or_default();
        let sum = self.flows.entry(country).or_default();
        *sum = (sum.0 + number("bytes"), sum.1 + number("packets"), sum.2 + 1);
    }
}
