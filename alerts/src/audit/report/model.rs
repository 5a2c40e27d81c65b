//! The report as a value.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::decisions::{Counts, Row};

/// From when, inclusive, to when, exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Period {
    /// First moment.
    pub from: Timestamp,
    /// First moment that is not in it.
    pub to: Timestamp,
}

impl Period {
    /// Whether a moment is in it.
    #[must_use]
    pub fn contains(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.to
    }

    /// The part of a span that is in it.
    #[must_use]
    pub fn clamp(&self, from: Timestamp, to: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let (from, to) = (from.max(self.from), to.min(self.to));
        (from < to).then_some((from, to))
    }
}

/// What the control did at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Everything was enforced.
    Enforcing,
    /// Something was missing.
    Partial,
    /// Nothing was refused, and what would have been was recorded.
    Monitoring,
    /// Sentinel was stopped, or enforced nothing.
    Off,
    /// No record speaks of this time.
    Unknown,
}

impl State {
    /// All, the best first.
    pub const ALL: [Self; 5] = [Self::Enforcing, Self::Partial, Self::Monitoring, Self::Off, Self::Unknown];

    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enforcing => "enforcing",
            Self::Partial => "partial",
            Self::Monitoring => "monitoring",
            Self::Off => "off",
            Self::Unknown => "unknown",
        }
    }
}

/// A time in one state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Span {
    /// Begin.
    pub from: Timestamp,
    /// End.
    pub to: Timestamp,
    /// What the control did.
    pub state: State,
    /// Why it was not everything.
    pub reasons: Vec<String>,
}

/// How a host was covered.
#[derive(Debug, Clone, Serialize)]
pub struct HostCoverage {
    /// Host.
    pub host: String,
    /// Id of its trail.
    pub trail: String,
    /// `host`, or a control group.
    pub scope: String,
    /// Versions of Sentinel that ran.
    pub versions: Vec<String>,
    /// The period, without holes.
    pub timeline: Vec<Span>,
    /// Milliseconds in each state.
    pub milliseconds: BTreeMap<&'static str, i64>,
    /// Percent of the period in each state, with two digits.
    pub percent: BTreeMap<&'static str, String>,
    /// Starts of the daemon.
    pub starts: u64,
    /// Ends that were recorded.
    pub stops: u64,
    /// Starts after an end that was not recorded.
    pub unclean_starts: u64,
}

/// Something that was in force for a time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Interval {
    /// Host.
    pub host: String,
    /// `policy`, `list`, `database` or `mode`.
    pub kind: String,
    /// Which one.
    pub name: String,
    /// Begin, within the period.
    pub from: Timestamp,
    /// End, within the period.
    pub to: Timestamp,
    /// Its SHA-256, or what stands for it.
    pub hash: Value,
    /// Version or build, where it has one.
    pub version: String,
    /// What is new against the one before it.
    pub added: Vec<String>,
    /// What is gone.
    pub removed: Vec<String>,
}

/// An exemption and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exemption {
    /// Its id.
    pub id: String,
    /// Kind, as `license`.
    pub kind: String,
    /// Who granted it.
    pub authority: String,
    /// Number of the grant.
    pub reference: String,
    /// Who approved it here.
    pub approver: String,
    /// When it ends.
    pub expires: String,
    /// `active`, `expiring` (30 days or less after the period) or `expired`, at the end of the period.
    pub state: &'static str,
    /// Times that it let something through.
    pub uses: u64,
    /// The first of these.
    pub first_use: Option<Timestamp>,
    /// The last.
    pub last_use: Option<Timestamp>,
    /// Attempts that it would have let through, had it not ended.
    pub tried_after_end: u64,
}

/// A trail that the report is made of.
#[derive(Debug, Clone, Default, Serialize)]
pub struct TrailFacts {
    /// Its id.
    pub trail: String,
    /// Host.
    pub host: String,
    /// Records read.
    pub records: u64,
    /// The last one's number and hash.
    pub head: Option<(u64, String)>,
    /// What verifying it said.
    pub integrity: Value,
}

/// Everything.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Version of this form.
    pub format: u32,
    /// The period.
    pub period: Period,
    /// What it is made of.
    pub trails: Vec<TrailFacts>,
    /// Coverage of each host.
    pub hosts: Vec<HostCoverage>,
    /// What was in force, and when.
    pub in_force: Vec<Interval>,
    /// Countries and regions that lists in force in the period name.
    pub listed: BTreeSet<String>,
    /// How often each thing was refused.
    pub totals: Counts,
    /// By programme, country, process, container, user, rule, host.
    pub by: BTreeMap<&'static str, BTreeMap<String, Counts>>,
    /// What can be said in one sentence.
    pub statement: String,
    /// Events that hooks looked at, by kind.
    pub examined: BTreeMap<String, u64>,
    /// The register.
    pub exemptions: Vec<Exemption>,
    /// Rounds of canaries that were recorded.
    pub canary_rounds: u64,
    /// What canaries found wrong: when, what.
    pub canary_failures: Vec<(Timestamp, String)>,
    /// Greatest age of a database in use, days.
    pub database_age_days: u64,
    /// Destinations without a known country.
    pub unknown_destinations: u64,
    /// Decisions on which the databases did not agree.
    pub disagreements: u64,
    /// What was lost, by cause.
    pub losses: BTreeMap<String, u64>,
    /// The wall clock was set: when, by how many seconds.
    pub clock_jumps: Vec<(Timestamp, i64)>,
    /// What operators ordered: when, who, what.
    pub operator: Vec<(Timestamp, String, String)>,
    /// What was found damaged at a start.
    pub recoveries: Vec<(Timestamp, String)>,
    /// Bytes, packets and flows by country.
    pub flows: BTreeMap<String, (u64, u64, u64)>,
    /// What the control cannot do.
    pub limits: Vec<&'static str>,
    /// Seed of the sample.
    pub seed: u64,
    /// Decisions to look at by hand.
    pub sample: Vec<Row>,
    /// All decisions.
    pub decisions: Vec<Row>,
}
