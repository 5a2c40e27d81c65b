//! Counts what policies say of events, in the order of the events.
//!
//! Invariants: an event has one outcome for each policy, so that the outcomes add up to the events; the result depends on the
//! events alone, not on threads or on the machine.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::{
    compare::Comparison,
    entries::Blocklist,
    standing::Standing,
    worker::{Batch, Finding, Rule, Said, Saying, Seen},
};

/// Most distinct objects or processes that are counted one by one for a rule.
const DISTINCT: usize = 100_000;
/// Most bad lines that are kept.
const BAD: usize = 100;

/// What became, or would have become, of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Outcome {
    /// No rule says anything.
    Quiet,
    /// Let through by an exemption.
    Exempt,
    /// An alert.
    Alerted,
    /// A rule in monitor mode would refuse it, or deny.
    WouldBlock,
    /// It passed, and wrote an entry that refuses the next.
    Denied,
    /// Refused by the entry of a decision before it.
    ByEntry,
    /// Refused from the first on.
    ByStanding,
}

impl Outcome {
    /// All, the strongest first.
    pub(super) const ALL: [Self; 7] =
        [Self::ByStanding, Self::ByEntry, Self::Denied, Self::WouldBlock, Self::Alerted, Self::Exempt, Self::Quiet];

    /// For programs.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::ByStanding => "refused_by_standing_rule",
            Self::ByEntry => "refused_by_entry",
            Self::Denied => "denied",
            Self::WouldBlock => "would_block",
            Self::Alerted => "alerted",
            Self::Exempt => "exempt",
            Self::Quiet => "quiet",
        }
    }

    /// For people.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::ByStanding => "refused by a standing rule",
            Self::ByEntry => "refused by a block entry",
            Self::Denied => "denied: the next is refused",
            Self::WouldBlock => "would be blocked (monitor)",
            Self::Alerted => "alert only",
            Self::Exempt => "let through by exemption",
            Self::Quiet => "no rule fired",
        }
    }

    /// Whether enforcing the policy would be felt.
    pub(super) const fn blocks(self) -> bool {
        matches!(self, Self::ByStanding | Self::ByEntry | Self::Denied)
    }

    /// Whether there would be an alert and nothing more.
    pub(super) const fn alerts(self) -> bool {
        matches!(self, Self::Alerted | Self::WouldBlock | Self::Exempt)
    }
}

/// Where something was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Example {
    pub(super) file: Arc<str>,
    pub(super) line: u64,
    pub(super) kind: &'static str,
    pub(super) object: String,
    pub(super) process: String,
}

/// Counts of names.
#[derive(Debug, Default)]
pub(super) struct Names {
    counts: HashMap<String, u64>,
    /// Those beyond the bound.
    other: u64,
}

impl Names {
    pub(super) fn add(&mut self, name: &str) {
        if let Some(count) = self.counts.get_mut(name) {
            *count += 1;
        } else if self.counts.len() < DISTINCT {
            self.counts.insert(name.to_owned(), 1);
        } else {
            self.other += 1;
        }
    }

    /// The most frequent; what is as frequent, by name.
    pub(super) fn top(&self, count: usize) -> Vec<(&str, u64)> {
        let mut all: Vec<(&str, u64)> = self.counts.iter().map(|(name, count)| (name.as_str(), *count)).collect();
        all.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        all.truncate(count);
        all
    }

    /// Counts of names beyond the bound, together.
    pub(super) const fn other(&self) -> u64 {
        self.other
    }

    /// How many different ones there are, as far as they are told apart.
    pub(super) fn distinct(&self) -> usize {
        self.counts.len()
    }
}

/// A rule: which, and its member's id where that differs.
pub(super) type Key = (Rule, Option<Box<str>>);

/// What a rule did.
#[derive(Debug, Default)]
pub(super) struct Row {
    /// Events that it is about.
    pub(super) fired: u64,
    /// Of these, those that it refuses: a standing rule at once, an event rule by the entries that it wrote.
    pub(super) refused: u64,
    /// Events on which it fired that an entry would have refused before.
    pub(super) fired_refused: u64,
    pub(super) entries: u64,
    pub(super) undecided: u64,
    pub(super) objects: Names,
    pub(super) processes: Names,
    pub(super) first: Option<Example>,
}

/// What one policy made of the events.
pub(super) struct PolicyTally {
    pub(super) standing: Arc<Standing>,
    pub(super) outcomes: BTreeMap<Outcome, u64>,
    pub(super) rows: Vec<(Key, Row)>,
    pub(super) processes: Names,
    pub(super) errors: BTreeMap<(u32, String), u64>,
    places: HashMap<Key, usize>,
    blocklist: Blocklist,
}

/// What came of one event: its outcome, and the rules behind it.
pub(super) struct Result {
    pub(super) outcome: Outcome,
    pub(super) rows: Vec<usize>,
}

impl PolicyTally {
    fn new(standing: Arc<Standing>) -> Self {
        Self {
            standing,
            outcomes: BTreeMap::new(),
            rows: Vec::new(),
            processes: Names::default(),
            errors: BTreeMap::new(),
            places: HashMap::new(),
            blocklist: Blocklist::default(),
        }
    }

    fn place(&mut self, key: Key) -> usize {
        if let Some(place) = self.places.get(&key) {
            return *place;
        }
        self.rows.push((key.clone(), Row::default()));
        self.places.insert(key, self.rows.len() - 1);
        self.rows.len() - 1
    }

    fn add(&mut self, seen: &Seen, said: Said, file: &Arc<str>, now: i64) -> Result {
        for place in said.undecided {
            let row = self.place((Rule::Standing(place), None));
            self.rows[row].1.undecided += 1;
        }
        said.errors.into_iter().for_each(|error| *self.errors.entry(error).or_default() += 1);
        let exempt = said.findings.iter().any(|finding| finding.saying == Saying::Exempt);
        let entry = if exempt { None } else { self.blocklist.refusing(&seen.keys, now) };
        let refused = entry.is_some() || said.findings.iter().any(|finding| finding.saying == Saying::Refuse);
        let outcome = if entry.is_some() {
            Outcome::ByEntry
        } else {
            said.findings.iter().map(|finding| outcome(finding, exempt)).max().unwrap_or(Outcome::Quiet)
        };
        let mut rows = Vec::new();
        for finding in said.findings {
            let behind = entry.is_none() && self::outcome(&finding, exempt) == outcome;
            let deny = match finding.saying {
                Saying::Deny(scope, ttl) if !exempt && !refused => Some((scope, ttl)),
                _ => None,
            };
            let row = self.fired(finding, seen, file, entry.is_some());
            if let Some((scope, ttl)) = deny
                && self.blocklist.write(scope, ttl, row, &seen.keys, now)
            {
                self.rows[row].1.entries += 1;
            }
            if behind {
                rows.push(row);
            }
        }
        if let Some(row) = entry {
            self.rows[row].1.refused += 1;
            rows.push(row);
        }
        if outcome != Outcome::Quiet {
            self.processes.add(&seen.process);
        }
        *self.outcomes.entry(outcome).or_default() += 1;
        Result { outcome, rows }
    }

    /// Counts a rule on an event; its row.
    fn fired(&mut self, finding: Finding, seen: &Seen, file: &Arc<str>, by_entry: bool) -> usize {
        let refuses = finding.saying == Saying::Refuse && !by_entry;
        let place = self.place((finding.rule, finding.id));
        let row = &mut self.rows[place].1;
        row.fired += 1;
        row.refused += u64::from(refuses);
        row.fired_refused += u64::from(by_entry);
        row.objects.add(&seen.object);
        row.processes.add(&seen.process);
        row.first.get_or_insert_with(|| example(seen, file));
        place
    }
}

/// Where an event was.
pub(super) fn example(seen: &Seen, file: &Arc<str>) -> Example {
    let (object, process) = (seen.object.clone(), seen.process.clone());
    Example { file: file.clone(), line: seen.line, kind: seen.kind.as_str(), object, process }
}

/// What a rule alone makes of an event. An exemption wins over entries, so a `deny` can only alert.
const fn outcome(finding: &Finding, exempt: bool) -> Outcome {
    match finding.saying {
        Saying::Refuse => Outcome::ByStanding,
        Saying::Deny(..) if exempt => Outcome::Alerted,
        Saying::Deny(..) => Outcome::Denied,
        Saying::WouldDeny | Saying::WouldRefuse => Outcome::WouldBlock,
        Saying::Alert => Outcome::Alerted,
        Saying::Exempt => Outcome::Exempt,
    }
}

/// Everything that is counted.
pub(super) struct Tally {
    pub(super) file: Arc<str>,
    pub(super) events: u64,
    pub(super) bytes: u64,
    pub(super) skipped: u64,
    pub(super) bad: Vec<(u64, String)>,
    pub(super) bad_lines: u64,
    pub(super) kinds: BTreeMap<&'static str, u64>,
    pub(super) first: Option<i64>,
    pub(super) last: Option<i64>,
    pub(super) recorded_blocked: u64,
    pub(super) recorded_would_block: u64,
    pub(super) recorded_rules: BTreeMap<String, u64>,
    /// The policy, and then the baseline if there is one.
    pub(super) policies: Vec<PolicyTally>,
    pub(super) comparison: Comparison,
}

impl Tally {
    pub(super) fn new(file: &str, policies: &[Arc<Standing>]) -> Self {
        Self {
            file: file.into(),
            events: 0,
            bytes: 0,
            skipped: 0,
            bad: Vec::new(),
            bad_lines: 0,
            kinds: BTreeMap::new(),
            first: None,
            last: None,
            recorded_blocked: 0,
            recorded_would_block: 0,
            recorded_rules: BTreeMap::new(),
            policies: policies.iter().cloned().map(PolicyTally::new).collect(),
            comparison: Comparison::default(),
        }
    }

    /// Adds the next piece of the file.
    pub(super) fn add(&mut self, batch: Batch) {
        self.bytes += batch.bytes;
        self.skipped += batch.skipped;
        self.bad_lines += batch.bad.len() as u64;
        let room = BAD.saturating_sub(self.bad.len());
        self.bad.extend(batch.bad.into_iter().take(room));
        batch.seen.into_iter().for_each(|seen| self.event(seen));
    }

    fn event(&mut self, mut seen: Seen) {
        self.events += 1;
        *self.kinds.entry(seen.kind.as_str()).or_default() += 1;
        // What has no time of its own happened when the one before it did.
        let now = seen.time.or(self.last).unwrap_or_default();
        self.first = self.first.or(seen.time).map(|first| first.min(now));
        self.last = self.last.or(seen.time).map(|last| last.max(now));
        self.recorded_blocked += u64::from(seen.recorded.blocked);
        self.recorded_would_block += u64::from(!seen.recorded.blocked && seen.recorded.would_block);
        if let Some(rule) = seen.recorded.rule.take() {
            *self.recorded_rules.entry(rule).or_default() += 1;
        }
        let said = std::mem::take(&mut seen.said);
        let results = self.policies.iter_mut().zip(said).map(|(policy, said)| policy.add(&seen, said, &self.file, now));
        let results: Vec<Result> = results.collect();
        if let [new, old] = results.as_slice() {
            self.comparison.add(&seen, &self.file, new, old);
        }
    }
}
