//! What Sentinel says about its own data: country data that grows old, exemptions that are about to end.
//!
//! Invariant: each age is told at the start, on a change and once a day, each threshold of an exemption once. Not here: where
//! notices go (`alerting`), and the end of an exemption itself, which the kernel's clock brings.

use std::collections::HashMap;

use geoip::{DatabaseInfo, ERROR_DAYS, Freshness, WARN_DAYS};
use rules::{Cause, Exemption, OnError, RuleInfo, StandingEntry, Verb};

use crate::{attendance::Gap, operator::Block, reload};

/// Days before the end of an exemption at which it is told.
const THRESHOLDS: [i64; 3] = [1, 7, 30];
/// Seconds.
const DAY: i64 = 86_400;

/// Something to say.
#[derive(Debug, Clone)]
pub struct Notice {
    /// Stable id, in the place of a rule's.
    pub id: &'static str,
    /// How bad.
    pub severity: alerts::Severity,
    /// The text.
    pub message: String,
    /// The exemption that it is about.
    pub exemption: Option<Exemption>,
}

/// Id of notices about the age of country data.
pub const AGE: &str = "geo-data-age";
/// Id of notices about country databases that were not taken.
pub const REFUSED: &str = "geo-data-refused";
/// Id of notices about exemptions that end.
pub const EXPIRY: &str = "exemption-expiry";

/// Id of notices about policies that took the place of others.
pub const REPLACED: &str = "policy-replaced";
/// Id of notices about policies that were not taken.
pub const POLICY_REFUSED: &str = "policy-refused";
/// Id of notices about tests of the policies in force that do not pass.
pub const TESTS: &str = "policy-tests";
/// Id of notices about rules that give no decision.
pub const RULE_ERROR: &str = "rule-error";
/// Id of notices about the audit trail.
pub const AUDIT: &str = "audit-head";
/// Id of notices about rules that would harm the host and are in force because that was forced.
pub const FORCED: &str = "guard-forced";
/// Id of notices about enforcement that nobody confirmed.
pub const UNCONFIRMED: &str = "enforcement-unconfirmed";
/// Id of notices about blocks that an operator ordered.
pub const BLOCK: &str = "operator-block";

/// Id of notices about times without a daemon.
pub const GAP: &str = "unattended-gap";

impl Notice {
    /// A time in which enforcement went on without a daemon.
    #[must_use]
    pub fn gap(gap: &Gap) -> Self {
        let number =
            |count: Option<u64>| count.map_or_else(|| "an unknown number".to_owned(), |count| count.to_string());
        let message = format!(
            "From {} to {}: {}; {} refusals, {} of events that nobody read",
            gap.from,
            gap.until.as_deref().unwrap_or("now"),
            gap.why,
            number(gap.refused),
            number(gap.lost)
        );
        Self { id: GAP, severity: alerts::Severity::High, message, exemption: None }
    }

    /// New policies.
    #[must_use]
    pub fn replaced(before: &str, after: &str, generation: u32, cause: reload::Cause) -> Self {
        let cause = match cause {
            reload::Cause::Asked => "on request",
            reload::Cause::Changed | reload::Cause::Start => "because files have changed",
        };
        let message = format!("New policies are in force, {cause}: {after} after {before}, generation {generation}");
        Self { id: REPLACED, severity: alerts::Severity::Info, message, exemption: None }
    }

    /// Policies that do not take the place of those in force.
    #[must_use]
    pub const fn policy_refused(message: String) -> Self {
        Self { id: POLICY_REFUSED, severity: alerts::Severity::High, message, exemption: None }
    }

    /// Policies in force whose tests do not pass.
    #[must_use]
    pub fn failing_tests(why: String) -> Self {
        let message = format!("The policies in force do not pass their tests: {why}");
        Self { id: TESTS, severity: alerts::Severity::High, message, exemption: None }
    }

    /// A rule that gives no decision.
    #[must_use]
    pub fn rule_failed(rule: &RuleInfo, cause: &Cause, times: u64) -> Self {
        let RuleInfo { id, file, line, on_error, .. } = rule;
        let meaning = match on_error {
            OnError::Deny if rule.verb == Verb::Deny => "it is taken as a denial (on_error: deny)",
            OnError::Allow | OnError::Alert | OnError::Deny => "such events pass it",
        };
        let message = format!(
            "Rule {id} ({file}:{line}) could not judge {times} events, {meaning}; the last time: {cause}. `sentinel \
             check` shows what rules cost."
        );
        Self { id: RULE_ERROR, severity: alerts::Severity::Medium, message, exemption: None }
    }

    /// A rule that would harm the host.
    #[must_use]
    pub fn forced(what: &str) -> Self {
        let message = format!("In force because of --force: {what}");
        Self { id: FORCED, severity: alerts::Severity::High, message, exemption: None }
    }

    /// Enforcement that was not confirmed in time.
    #[must_use]
    pub fn unconfirmed(seconds: u32) -> Self {
        let message = format!("Nobody confirmed enforcing within {seconds} seconds: returning to monitor mode");
        Self { id: UNCONFIRMED, severity: alerts::Severity::High, message, exemption: None }
    }

    /// A block that an operator ordered.
    #[must_use]
    pub fn block_added(block: &Block, enforcing: bool) -> Self {
        let Block { id, order, by, expires, .. } = block;
        let end = expires.map_or_else(|| "until it is removed".to_owned(), |end| format!("until {}", time(end)));
        let weak = if enforcing { "" } else { " In monitor mode it is only reported." };
        let (kind, value, reason) = (order.kind.as_str(), &order.value, &order.reason);
        let message = format!("Block {id} of {kind} {value}, {end}, ordered by {by}, because: {reason}.{weak}");
        Self { id: BLOCK, severity: alerts::Severity::Medium, message, exemption: None }
    }

    /// A block of an operator that has ended.
    #[must_use]
    pub fn block_ended(block: &Block, why: &str) -> Self {
        let Block { id, order, by, .. } = block;
        let (kind, value) = (order.kind.as_str(), &order.value);
        let message = format!("Block {id} of {kind} {value}, ordered by {by}, has ended {why}");
        Self { id: BLOCK, severity: alerts::Severity::Medium, message, exemption: None }
    }

    /// Where the audit trail is, for whoever keeps alerts elsewhere.
    #[must_use]
    pub fn audit_head(trail: &str, record: u64, hash: &str) -> Self {
        let message = format!("Audit trail {trail} is signed up to record {record}, hash {hash}");
        Self { id: AUDIT, severity: alerts::Severity::Info, message, exemption: None }
    }

    /// A country database that does not take the place of the one in force.
    #[must_use]
    pub fn refused(message: String) -> Self {
        Self { id: REFUSED, severity: alerts::Severity::High, message, exemption: None }
    }
}

/// What has been told.
#[derive(Debug, Default)]
pub struct Told {
    /// By the database's digest: when.
    ages: HashMap<String, i64>,
    /// By exemption and its end: the last threshold.
    ends: HashMap<(String, i64), i64>,
}

impl Told {
    /// What is to be told at `now` (seconds since 1970).
    pub fn due<'a>(
        &mut self,
        now: i64,
        databases: impl Iterator<Item = &'a DatabaseInfo>,
        standing: &[StandingEntry],
    ) -> Vec<Notice> {
        let mut notices: Vec<Notice> = databases.filter_map(|info| self.age(now, info)).collect();
        notices.extend(exemptions(standing).filter_map(|exemption| self.end(now, exemption)));
        notices
    }

    fn age(&mut self, now: i64, info: &DatabaseInfo) -> Option<Notice> {
        let age = aged(now, info)?;
        let before = self.ages.get(&info.sha256).copied();
        if before.is_some_and(|told| now - told < DAY) {
            return None;
        }
        self.ages.insert(info.sha256.clone(), now);
        Some(age)
    }

    fn end(&mut self, now: i64, exemption: &Exemption) -> Option<Notice> {
        let left = exemption.expires - now;
        let threshold = THRESHOLDS.into_iter().find(|days| left > 0 && left <= days * DAY)?;
        let key = (exemption.id.clone(), exemption.expires);
        if self.ends.get(&key).is_some_and(|told| *told <= threshold) {
            return None;
        }
        self.ends.insert(key, threshold);
        let severity = if threshold == 1 { alerts::Severity::High } else { alerts::Severity::Medium };
        let Exemption { id, authority, reference, approver, .. } = exemption;
        let message = format!(
            "Exemption {id} ({reference} of {authority}) ends in less than {}, at {}: from then on what it covers is \
             refused. Renew it with {approver}, or take it out.",
            days_text(threshold),
            jiff::Timestamp::from_second(exemption.expires).unwrap_or(jiff::Timestamp::MAX)
        );
        Some(Notice { id: EXPIRY, severity, message, exemption: Some(exemption.clone()) })
    }
}

/// A wall-clock time, from seconds since 1970.
fn time(seconds: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX)
}

fn days_text(days: i64) -> String {
    if days == 1 { "a day".to_owned() } else { format!("{days} days") }
}

/// What there is to say of a database's age.
fn aged(now: i64, info: &DatabaseInfo) -> Option<Notice> {
    let now = u64::try_from(now).unwrap_or_default();
    let (name, source, days) = (&info.database_type, &info.source, info.age_days(now));
    let (severity, why) = match info.freshness(now) {
        Freshness::Fresh => return None,
        Freshness::Warn => (alerts::Severity::Medium, format!("from {WARN_DAYS} days on it should be renewed")),
        Freshness::Error => {
            let why = format!("from {ERROR_DAYS} days on too many addresses have moved to another country");
            (alerts::Severity::High, why)
        }
    };
    let message = format!(
        "Country data {name} ({source}) is {days} days old; {why}. Give a newer file (--geoip), see docs/geo.md."
    );
    Some(Notice { id: AGE, severity, message, exemption: None })
}

/// The exemptions of some rules.
pub fn exemptions(standing: &[StandingEntry]) -> impl Iterator<Item = &Exemption> {
    standing.iter().filter_map(|entry| entry.value.exemption())
}

/// Whole days until an end; negative when it is past.
#[must_use]
pub const fn days_left(now: i64, expires: i64) -> i64 {
    (expires - now).div_euclid(DAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: i64 = 1_900_000_000;

    fn standing() -> Vec<StandingEntry> {
        let rule = "package sentinel.lab\nexemptions contains {\"id\": \"lic-1\", \"type\": \"licence\", \"authority\": \"A\", \
                    \"reference\": \"R\", \"approver\": \"P\", \"expires\": \"2030-03-17T17:46:40Z\", \"countries\": [\"IR\"]}\n";
        rules::Policies::from_texts(&[("lab.rego", rule)], "").unwrap().standing().to_vec()
    }

    #[test]
    fn each_threshold_is_told_once() {
        let (standing, mut told) = (standing(), Told::default());
        let mut at = |days: i64, seconds: i64| {
            let notices = told.due(END - days * DAY + seconds, std::iter::empty(), &standing);
            notices.iter().map(|notice| (notice.severity, notice.message.contains("lic-1"))).collect::<Vec<_>>()
        };
        let (medium, high) = (vec![(alerts::Severity::Medium, true)], vec![(alerts::Severity::High, true)]);
        assert_eq!(at(30, -1), []);
        assert_eq!((at(30, 0), at(30, 0), at(20, 0)), (medium.clone(), vec![], vec![]));
        assert_eq!((at(7, 0), at(2, 0)), (medium, vec![]));
        assert_eq!((at(1, 0), at(0, -1), at(0, 0)), (high, vec![], vec![]));
    }

    #[test]
    fn a_late_start_tells_the_nearest_threshold_alone() {
        let (standing, mut told) = (standing(), Told::default());
        let notices = told.due(END - DAY / 2, std::iter::empty(), &standing);
        assert_eq!(notices.iter().map(|notice| notice.severity).collect::<Vec<_>>(), [alerts::Severity::High]);
        assert!(told.due(END - DAY / 3, std::iter::empty(), &standing).is_empty());
        assert_eq!((days_left(END - DAY / 2, END), days_left(END + 1, END)), (0, -1));
    }

    #[test]
    fn old_data_is_told_once_a_day() {
        let database = geoip::Database::embedded().unwrap();
        let info = database.info();
        let mut told = Told::default();
        let mut at = |days: i64, seconds: i64| {
            let now = info.build as i64 + days * DAY + seconds;
            told.due(now, std::iter::once(info), &[]).first().map(|notice| notice.severity)
        };
        assert_eq!((at(44, 0), at(45, 0)), (None, Some(alerts::Severity::Medium)));
        assert_eq!((at(45, DAY - 1), at(46, 0)), (None, Some(alerts::Severity::Medium)));
        assert_eq!((at(120, 0), at(120, 60)), (Some(alerts::Severity::High), None));
    }
}
