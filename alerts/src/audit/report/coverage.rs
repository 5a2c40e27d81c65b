//! The timeline of a host: from records of starts, coverage and ends to spans without holes.
//!
//! Invariant: a record of the coverage speaks for the time until the next one if that comes within two periods, else for one
//! period; no other record speaks for a time in which Sentinel ran.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use super::model::{Period, Span, State};

/// Reads the records of one host.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    spans: Vec<Span>,
    /// What the last record said, and since when.
    now: Option<(Timestamp, State, Vec<String>)>,
    running: bool,
    heartbeat: i64,
}

impl Timeline {
    pub(super) fn start(&mut self, at: Timestamp, data: &Map<String, Value>) -> bool {
        let unclean = self.running;
        self.until(at);
        self.heartbeat = data.get("heartbeat_seconds").and_then(Value::as_i64).unwrap_or(60);
        (self.now, self.running) = (Some((at, State::Unknown, vec!["Sentinel was starting".to_owned()])), true);
        unclean
    }

    pub(super) fn coverage(&mut self, at: Timestamp, data: &Map<String, Value>) {
        self.until(at);
        let word = |name: &str| data.get(name).and_then(Value::as_str).unwrap_or_default();
        let state = match (word("mode"), word("enforcement")) {
            ("monitor", _) => State::Monitoring,
            (_, "full") => State::Enforcing,
            (_, "partial") => State::Partial,
            (_, "none") => State::Off,
            (_, _) => State::Unknown,
        };
        let reasons = data.get("reasons").and_then(Value::as_array).into_iter().flatten();
        let reasons = reasons.filter_map(|reason| reason.as_str().map(ToOwned::to_owned)).collect();
        self.now = Some((at, state, reasons));
    }

    pub(super) fn stop(&mut self, at: Timestamp) {
        self.until(at);
        (self.now, self.running) = (Some((at, State::Off, vec!["Sentinel was stopped".to_owned()])), false);
    }

    /// Ends what the last record said.
    fn until(&mut self, at: Timestamp) {
        let Some((from, state, reasons)) = self.now.take() else { return };
        let period = SignedDuration::from_secs(self.heartbeat.max(1));
        let spoken = if self.running && at.duration_since(from) > period * 2 { from + period } else { at };
        self.push(from, spoken, state, reasons);
        self.push(spoken, at, State::Unknown, vec!["no record speaks of this time".to_owned()]);
    }

    fn push(&mut self, from: Timestamp, to: Timestamp, state: State, reasons: Vec<String>) {
        if from >= to {
            return;
        }
        match self.spans.last_mut() {
            Some(last) if last.to == from && last.state == state && last.reasons == reasons => last.to = to,
            Some(_) | None => self.spans.push(Span { from, to, state, reasons }),
        }
    }

    /// The period, without holes.
    pub(super) fn finish(mut self, period: &Period) -> Vec<Span> {
        if let Some((from, _, _)) = &self.now {
            let end = period.to.max(*from);
            self.until(end);
        }
        let mut whole = Self::default();
        let mut reached = period.from;
        let silent = || vec!["no record speaks of this time".to_owned()];
        for span in self.spans {
            let Some((from, to)) = period.clamp(span.from, span.to) else { continue };
            whole.push(reached, from, State::Unknown, silent());
            whole.push(from.max(reached), to, span.state, span.reasons);
            reached = reached.max(to);
        }
        whole.push(reached, period.to, State::Unknown, silent());
        whole.spans
    }
}

/// Milliseconds in each state.
pub(super) fn milliseconds(spans: &[Span]) -> BTreeMap<&'static str, i64> {
    let mut sums: BTreeMap<&'static str, i64> = State::ALL.iter().map(|state| (state.as_str(), 0)).collect();
    for span in spans {
        *sums.entry(span.state.as_str()).or_default() += span.to.as_millisecond() - span.from.as_millisecond();
    }
    sums
}

/// Percent with two digits, rounded down: 100.00 is said only of the whole.
pub(super) fn percent(part: i64, whole: i64) -> String {
    let hundredths = i128::from(part) * 10_000 / i128::from(whole.max(1));
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}
