//! Whom and what to ask about: the countries, their addresses, and a subject that each rule is about.
//!
//! Invariant: a country is listed exactly when its rules block somebody and do not exempt everybody.

use std::collections::BTreeSet;

use geoip::{ClassFacts, Country, Saying, Selection};
use sentinel_common::{
    FileId,
    address::Address,
    geo::ClassRules,
    verdict::{Entry, limit},
};

use crate::{
    countries::{CountryVerdicts, Selector},
    kernel::probe::Subject,
    spellings,
};

/// Rule, limit bit, value, device.
type Limits = BTreeSet<(u32, u32, u64, u32)>;

/// One question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Question {
    /// Country and family, as shown: `IR (NAT64)`.
    pub(super) place: String,
    /// Country; `None`: unknown.
    pub(super) country: Option<String>,
    /// As a hook would get it.
    pub(super) given: Address,
    /// Who asks.
    pub(super) subject: Subject,
}

/// The questions of one round.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) questions: Vec<Question>,
    /// Countries that are listed.
    pub(super) listed: usize,
    /// Those among them that have no address.
    pub(super) no_addresses: Vec<String>,
}

/// Nobody that a rule could be about, unless it is about everybody.
const NOBODY: Subject = Subject {
    executable: FileId { ino: u64::MAX, dev: u32::MAX, pad: 0 },
    cgroup: u64::MAX,
    uid: u32::MAX,
    port: 443,
    protocol: 6,
};

impl Plan {
    /// Nothing is asked while no rule is about countries.
    pub(super) fn new(countries: &CountryVerdicts, limits: &Limits, now: u64, seed: u64) -> Self {
        let mut plan = Self::default();
        if countries.rules.is_empty() {
            return plan;
        }
        let places = places(countries);
        let selections: Vec<Selection> = places.iter().map(|country| selection(*country)).collect();
        for (country, sample) in places.iter().zip(countries.geo.sample(&selections, seed)) {
            let name = country.map_or_else(|| "unknown".to_owned(), |country| country.to_string());
            let listed = listed(countries, *country, now);
            let subject = listed.map_or(NOBODY, |entry| subject_of(&entry, limits));
            let mut ask = |family: &str, given: Address| {
                let (place, country) = (format!("{name} ({family})"), country.map(|country| country.to_string()));
                plan.questions.push(Question { place, country, given, subject });
            };
            // Those that have to pass need no more than one spelling.
            let spelled = if listed.is_some() { usize::MAX } else { 1 };
            let v4 = sample.v4.map(spellings::of_v4);
            v4.iter().flatten().take(spelled).for_each(|(family, given)| ask(family, *given));
            sample.v6.into_iter().for_each(|v6| ask("IPv6", spellings::plain(v6.into())));
            plan.listed += usize::from(listed.is_some());
            if listed.is_some() && sample.v4.is_none() && sample.v6.is_none() {
                plan.no_addresses.push(name);
            }
        }
        plan
    }
}

/// Every country that the data or a rule knows, and "unknown".
fn places(countries: &CountryVerdicts) -> Vec<Option<Country>> {
    let mut all = countries.geo.places().0;
    for (selector, _) in &countries.rules.block {
        match selector {
            Selector::In(set) => all.extend(set.iter()),
            Selector::NotIn(_) | Selector::Unknown => {}
        }
    }
    all.iter().map(Some).chain([None]).collect()
}

fn selection(country: Option<Country>) -> Selection {
    match country {
        Some(country) => Selection::countries([country].into_iter().collect()),
        None => Selection { include_unknown: true, ..Selection::default() },
    }
}

/// The strongest entry that blocks a country, unless everybody is exempt.
fn listed(countries: &CountryVerdicts, country: Option<Country>, now: u64) -> Option<Entry> {
    let facts = ClassFacts { special: false, sayings: vec![Saying { country, region: None }], lists: 0 };
    // What is too much for a class is refused when the policy is loaded.
    let rules: ClassRules = countries.rules.of_classes(&[facts]).ok()?.pop()?;
    let live = |entry: &&Entry| entry.rule != 0 && (entry.expires == 0 || entry.expires > now);
    if rules.exempt.iter().filter(live).any(|entry| entry.limits == 0) {
        return None;
    }
    rules.block.iter().find(live).copied()
}

/// A subject that every `only` list of the rule names.
fn subject_of(entry: &Entry, limits: &Limits) -> Subject {
    let first = |bit: u16| {
        let (from, to) = ((entry.rule, u32::from(bit), 0, 0), (entry.rule, u32::from(bit), u64::MAX, u32::MAX));
        let wanted = entry.limits & bit != 0;
        limits.range(from..=to).next().filter(|_| wanted).map(|(_, _, value, dev)| (*value, *dev))
    };
    let mut subject = NOBODY;
    if let Some((ino, dev)) = first(limit::ONLY_EXECUTABLE) {
        subject.executable = FileId { ino, dev, pad: 0 };
    }
    if let Some((uid, _)) = first(limit::ONLY_UID) {
        subject.uid = uid as u32;
    }
    if let Some((cgroup, _)) = first(limit::ONLY_CGROUP) {
        subject.cgroup = cgroup;
    }
    if let Some((port, _)) = first(limit::ONLY_PORT) {
        subject.port = port as u16;
    }
    if let Some((protocol, _)) = first(limit::ONLY_PROTOCOL) {
        subject.protocol = protocol as u8;
    }
    subject
}
