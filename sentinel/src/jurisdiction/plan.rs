//! Whom and what to ask about: the countries, their addresses, and a subject that each rule is about.
//!
//! Invariant: a country is listed exactly when its rules block somebody and do not exempt everybody.

use std::collections::BTreeSet;

use geoip::{Country, CountrySet, Region, Selection};
use sentinel_common::{
    FileId,
    address::{Address, normalise},
    geo::ClassRules,
    verdict::{Entry, limit},
};

use crate::{countries::CountryVerdicts, kernel::probe::Subject, sockets::verdict::Countries as _, spellings};

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
    executable: FileId { ino: u64::MAX, dev: u32::MAX, generation: 0 },
    cgroup: u64::MAX,
    uid: u32::MAX,
    port: 443,
    protocol: 6,
};

impl Plan {
    /// Nothing is asked while no rule is about countries.
    pub(super) fn new(countries: &CountryVerdicts, limits: &Limits, now: u64, seed: u64) -> Self {
        let mut plan = Self::default();
        let Some(primary) = countries.geo.databases().first().filter(|_| !countries.rules.is_empty()) else {
            return plan;
        };
        let places = places(countries);
        let selections: Vec<Selection> = places.iter().map(|place| place.selection.clone()).collect();
        for (place, sample) in places.iter().zip(primary.sample(&selections, seed)) {
            let v4 = sample.v4.map(spellings::of_v4);
            let v4: Vec<(&'static str, Address)> = v4.into_iter().flatten().collect();
            let v6 = sample.v6.map(|v6| ("IPv6", spellings::plain(v6.into())));
            // The spellings of one address have one rule.
            let listed = [v4.first().copied(), v6].map(|one| listed(countries, one?.1, now));
            let mut ask = |(family, given): (&str, Address), listed: Option<Entry>| {
                let subject = listed.map_or(NOBODY, |entry| subject_of(&entry, limits));
                let (place, country) = (format!("{} ({family})", place.name), place.country.clone());
                plan.questions.push(Question { place, country, given, subject });
            };
            // Those that have to pass need no more than one spelling.
            let spelled = if listed[0].is_some() { usize::MAX } else { 1 };
            v4.into_iter().take(spelled).for_each(|one| ask(one, listed[0]));
            v6.into_iter().for_each(|one| ask(one, listed[1]));
            let nowhere = sample.v4.is_none() && sample.v6.is_none();
            if nowhere && place.named {
                plan.no_addresses.push(place.name.clone());
            }
            plan.listed += usize::from(listed.iter().any(Option::is_some) || (nowhere && place.named));
        }
        plan
    }
}

/// A country, a region, or "unknown".
struct Place {
    name: String,
    country: Option<String>,
    selection: Selection,
    /// Whether a rule blocks it by name.
    named: bool,
}

/// Every country that the data or a rule knows, every region that a rule names, and "unknown".
fn places(countries: &CountryVerdicts) -> Vec<Place> {
    let blocks = || countries.rules.block.iter().map(|(selection, _)| selection);
    // An allow list blocks all others, which nobody has named.
    let by_name = |selection: &&Selection| selection.countries.len() < CountrySet::all().len() / 2;
    let named: CountrySet = blocks().filter(by_name).flat_map(|selection| selection.countries.iter()).collect();
    let regions: BTreeSet<Region> = blocks().flat_map(|selection| selection.regions.iter().copied()).collect();
    let mut all = named;
    countries.geo.databases().iter().for_each(|database| all.extend(database.places().0.iter()));
    let of_country = |country: Country| Place {
        name: country.to_string(),
        country: Some(country.to_string()),
        selection: Selection::countries([country].into_iter().collect()),
        named: named.contains(country),
    };
    let of_region = |region: Region| Place {
        name: region.to_string(),
        country: Some(region.country().to_string()),
        selection: Selection::regions([region]),
        named: true,
    };
    let unknown = Place {
        name: "unknown".to_owned(),
        country: None,
        selection: Selection { include_unknown: true, ..Selection::default() },
        named: false,
    };
    all.iter().map(of_country).chain(regions.into_iter().map(of_region)).chain([unknown]).collect()
}

/// The strongest entry that blocks an address, unless everybody is exempt.
fn listed(countries: &CountryVerdicts, given: Address, now: u64) -> Option<Entry> {
    let rules: ClassRules = countries.rules_on(normalise(given).0);
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
        subject.executable = FileId { ino, dev, generation: 0 };
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
