//! The verdict that a destination would get from standing rules, worked out here and not in the kernel.
//!
//! Invariant: the same precedence as in the kernel: exemption, networks, countries and regions, else allow. A rule for some
//! programs or ports only is told with its limits and never decides alone. Not here: event rules, which need an event.

use std::net::IpAddr;

use geoip::{Country, CountrySet, Opinion, Region, Selection, Votes};
use ipnet::IpNet;
use rules::{Exemption, StandingEntry, StandingValue, Subjects};
use serde_json::{Value, json};

use crate::{
    config::{Mode, Unknown},
    embargo::Programmes,
    standing::{UNKNOWN_RULE, has_geo},
    world::mode_of,
};

/// What a rule would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::cli) enum Effect {
    /// An exemption lets it through.
    Exempt,
    /// It is refused.
    Refuse,
    /// It would be, were the mode not monitor.
    WouldRefuse,
    /// An alert is raised.
    Alert,
    /// Nothing is in its way.
    Allow,
}

impl Effect {
    /// For people.
    pub(in crate::cli) const fn text(self) -> &'static str {
        match self {
            Self::Exempt => "allowed by exemption",
            Self::Refuse => "refused",
            Self::WouldRefuse => "would be refused (monitor mode)",
            Self::Alert => "allowed, with an alert",
            Self::Allow => "allowed",
        }
    }

    /// For programs.
    pub(in crate::cli) const fn word(self) -> &'static str {
        match self {
            Self::Exempt => "exempt",
            Self::Refuse => "refuse",
            Self::WouldRefuse => "would_refuse",
            Self::Alert => "alert",
            Self::Allow => "allow",
        }
    }
}

/// A rule that holds for the address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Hit {
    /// Its id.
    pub(in crate::cli) id: String,
    /// Where it is written.
    pub(in crate::cli) place: String,
    /// What it would do.
    pub(in crate::cli) effect: Effect,
    /// What in the address makes it hold.
    pub(in crate::cli) because: String,
    /// `only` and `except`; empty when it holds for everyone.
    pub(in crate::cli) limits: String,
    /// Its place among the standing rules; none for what no policy says.
    pub(in crate::cli) entry: Option<usize>,
    /// 0 exemption, 1 networks, 2 countries and regions, 3 unknown country.
    rank: u8,
}

/// Everything that the standing rules say of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Judgement {
    /// What happens to whoever is under no `only` or `except`.
    pub(in crate::cli) effect: Effect,
    /// All rules that hold, in the order in which they are looked at.
    pub(in crate::cli) hits: Vec<Hit>,
    /// Rules that cannot be enforced with these databases.
    pub(in crate::cli) notes: Vec<String>,
}

impl Judgement {
    /// The rule that decides.
    pub(in crate::cli) fn deciding(&self) -> Option<&Hit> {
        self.hits.iter().find(|hit| hit.limits.is_empty())
    }

    pub(in crate::cli) fn json(&self) -> Value {
        let hit = |hit: &Hit| json!({ "id": hit.id, "location": hit.place, "effect": hit.effect.word(), "because": hit.because, "limits": hit.limits });
        json!({
            "effect": self.effect.word(),
            "rule": self.deciding().map(|hit| &hit.id),
            "rules": self.hits.iter().map(hit).collect::<Vec<_>>(),
            "notes": self.notes,
        })
    }
}

/// What is asked.
pub(in crate::cli) struct Question<'a> {
    /// The destination, normalised.
    pub(in crate::cli) address: IpAddr,
    /// What the databases say of it.
    pub(in crate::cli) opinion: &'a Opinion,
    /// The databases.
    pub(in crate::cli) votes: &'a Votes,
    /// The standing rules.
    pub(in crate::cli) standing: &'a [StandingEntry],
    /// The embargo programmes that the policies have.
    pub(in crate::cli) programmes: &'a Programmes,
    /// Global mode.
    pub(in crate::cli) mode: Mode,
    /// What happens to unknown countries.
    pub(in crate::cli) unknown: Unknown,
    /// Seconds since 1970.
    pub(in crate::cli) now: i64,
}

impl Question<'_> {
    /// The answer.
    pub(in crate::cli) fn judge(&self) -> Judgement {
        let mut hits: Vec<Hit> =
            self.standing.iter().enumerate().filter_map(|(index, entry)| self.hit(index, entry)).collect();
        hits.extend(self.outside_allow_list());
        hits.extend(self.unknown_country());
        // An enforcing rule is looked at before a monitoring one, as in the kernel's tables.
        hits.sort_by_key(|hit| (hit.rank, hit.effect));
        let effect = hits.iter().find(|hit| hit.limits.is_empty()).map_or(Effect::Allow, |hit| hit.effect);
        Judgement { effect, hits, notes: self.notes() }
    }

    fn hit(&self, index: usize, entry: &StandingEntry) -> Option<Hit> {
        let made = |effect, rank, because| self.made((index, entry), effect, rank, because);
        let blocked = |rank, because| Some(made(self.block(entry), rank, because));
        match &entry.value {
            StandingValue::BlockCidr(net) if self.within(net) => blocked(1, format!("network {net}")),
            StandingValue::BlockCountry(country) => {
                let country = Country::from_bytes(country.0)?;
                let wanted = Selection::countries([country].into_iter().collect());
                self.opinion.is_in(&wanted).then(|| made(self.block(entry), 2, format!("country {country}")))
            }
            StandingValue::BlockRegion(code) => {
                let wanted = Selection::regions([code.parse().ok()?]);
                self.opinion.is_in(&wanted).then(|| made(self.block(entry), 2, format!("region {code}")))
            }
            StandingValue::Exemption(exemption) if exemption.expires > self.now => {
                Some(made(Effect::Exempt, 0, self.exempt(exemption)?))
            }
            StandingValue::BlockCidr(_)
            | StandingValue::Exemption(_)
            | StandingValue::AllowCountry(_)
            | StandingValue::BlockPath(_)
            | StandingValue::BlockExecutable(_)
            | StandingValue::BlockHash(_)
            | StandingValue::AllowExecutable(_) => None,
        }
    }

    fn made(&self, (index, entry): (usize, &StandingEntry), effect: Effect, rank: u8, because: String) -> Hit {
        let place = format!("{}:{}", entry.file, entry.line);
        Hit { id: entry.id.clone(), place, effect, because, limits: limits(entry), entry: Some(index), rank }
    }

    fn block(&self, entry: &StandingEntry) -> Effect {
        match mode_of(entry, self.mode, self.programmes) {
            Mode::Enforce => Effect::Refuse,
            Mode::Monitor => Effect::WouldRefuse,
        }
    }

    fn within(&self, net: &IpNet) -> bool {
        let mapped = match self.address {
            IpAddr::V4(v4) => IpAddr::V6(v4.to_ipv6_mapped()),
            IpAddr::V6(_) => self.address,
        };
        net.contains(&self.address) || net.contains(&mapped)
    }

    /// What of the exemption covers the address.
    fn exempt(&self, exemption: &Exemption) -> Option<String> {
        let network = exemption.cidrs.iter().find(|net| self.within(net)).map(|net| format!("network {net}"));
        let countries: CountrySet = exemption.countries.iter().filter_map(|code| Country::from_bytes(code.0)).collect();
        let regions: Vec<Region> = exemption.regions.iter().filter_map(|code| code.parse().ok()).collect();
        let covered = network
            .or_else(|| self.opinion.is_in(&Selection::countries(countries)).then(|| "its country".to_owned()))
            .or_else(|| self.opinion.is_in(&Selection::regions(regions)).then(|| "its region".to_owned()))?;
        let Exemption { kind, authority, reference, approver, expires, .. } = exemption;
        let until = jiff::Timestamp::from_second(*expires).map_or_else(|_| expires.to_string(), |at| at.to_string());
        Some(format!("{covered}; {kind} {reference} of {authority}, approved by {approver}, until {until}"))
    }

    /// The allow list, if there is one and it does not name the country.
    fn outside_allow_list(&self) -> Option<Hit> {
        let named = self.standing.iter().enumerate().filter_map(|entry| match &entry.1.value {
            StandingValue::AllowCountry(country) => Some((entry, Country::from_bytes(country.0)?)),
            _ => None,
        });
        let named: Vec<((usize, &StandingEntry), Country)> = named.collect();
        let (first, _) = named.first()?;
        let allowed: CountrySet = named.iter().map(|(_, country)| *country).collect();
        let because = format!("country {}, which no allow_countries names", super::joined(&self.opinion.countries, ""));
        let outside = self.opinion.is_in(&Selection::countries(allowed.complement()));
        outside.then(|| self.made(*first, self.block(first.1), 2, because))
    }

    /// What `unknown` says, while a rule on countries is in force.
    fn unknown_country(&self) -> Option<Hit> {
        let wanted = Selection { include_unknown: true, ..Selection::default() };
        let effect = match (self.unknown, self.mode) {
            (Unknown::Allow, _) => return None,
            (Unknown::Alert, _) => Effect::Alert,
            (Unknown::Deny, Mode::Enforce) => Effect::Refuse,
            (Unknown::Deny, Mode::Monitor) => Effect::WouldRefuse,
        };
        (has_geo(self.standing) && self.opinion.is_in(&wanted)).then(|| Hit {
            id: UNKNOWN_RULE.to_owned(),
            place: "[geo] unknown".to_owned(),
            effect,
            because: "no known country".to_owned(),
            limits: String::new(),
            entry: None,
            rank: 3,
        })
    }

    fn notes(&self) -> Vec<String> {
        let blind = |entry: &StandingEntry| match &entry.value {
            StandingValue::BlockRegion(code) => {
                let told = code.parse().is_ok_and(|region| self.votes.tells(region));
                (!told)
                    .then(|| format!("rule {} has no effect on {code}: no database given tells that region", entry.id))
            }
            _ => None,
        };
        self.standing.iter().filter_map(blind).collect()
    }
}

/// `only` and `except` in words.
fn limits(entry: &StandingEntry) -> String {
    let parts = [("only", subjects(&entry.only)), ("except", subjects(&entry.except))];
    let said = parts.into_iter().filter(|(_, text)| !text.is_empty()).map(|(word, text)| format!("{word} {text}"));
    said.collect::<Vec<_>>().join("; ")
}

fn subjects(list: &Subjects) -> String {
    let executables = super::joined(list.executables.iter().map(|pattern| &pattern.path), "");
    let protocols = super::joined(list.protocols.iter().map(|protocol| protocol.as_str()), "");
    let parts = [
        ("executables", executables),
        ("uids", super::joined(&list.uids, "")),
        ("cgroups", super::joined(&list.cgroups, "")),
        ("containers", super::joined(&list.containers, "")),
        ("ports", super::joined(&list.ports, "")),
        ("protocols", protocols),
    ];
    let said = parts.into_iter().filter(|(_, text)| !text.is_empty()).map(|(word, text)| format!("{word} {text}"));
    said.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
