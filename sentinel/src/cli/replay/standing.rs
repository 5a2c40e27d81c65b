//! What standing rules say of a recorded event, as far as it can be said without the host.
//!
//! Invariants: the order of the kernel: exemption, then what refuses, then what only monitors; a limit that needs what no event
//! has (a control group, a container's name) makes a third answer, which is counted and never guessed. Files are told by
//! path alone: whether another name is the same file cannot be known here.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    path::Path,
    sync::Arc,
};

use geoip::Votes;
use rules::{Kind, PathPattern, Policies, StandingEntry, StandingValue, Subjects};
use sentinel_common::verdict::access;

use super::event::{Event, Facts};
use crate::{
    cli::geo::verdict::{Effect, Question},
    config::{Mode, Unknown},
    embargo::Programmes,
    hashes::hex,
    standing::LIBRARIES,
    world::mode_of,
};

/// Addresses whose rules are remembered.
const MEMORY: usize = 100_000;

/// A standing rule: its place, or the one about countries that nobody knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::cli) enum Place {
    /// Place in `Policies::standing`.
    Entry(usize),
    /// `geo-unknown`.
    Unknown,
}

/// A rule that is about an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Match {
    /// Which.
    pub(in crate::cli) place: Place,
    /// What it does.
    pub(in crate::cli) effect: Effect,
    /// What of the event makes it so.
    pub(in crate::cli) because: Arc<str>,
    /// Whether its limits hold; `None` when they cannot be told.
    pub(in crate::cli) within: Option<bool>,
}

/// What all of them say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::cli) struct Ruling {
    /// The exemption that lets it through.
    pub(in crate::cli) exempt: Option<Place>,
    /// What refuses it, or would if it were not in monitor mode; alerts for unknown countries.
    pub(in crate::cli) decides: Option<(Place, Effect)>,
    /// Rules that turn on what is not known.
    pub(in crate::cli) undecided: Vec<Place>,
}

/// The standing rules of a policy set, ready for events.
pub(in crate::cli) struct Standing {
    policies: Arc<Policies>,
    programmes: Programmes,
    votes: Arc<Votes>,
    mode: Mode,
    unknown: Unknown,
    exact: BTreeMap<String, Vec<Pathed>>,
    prefixes: Vec<(String, Pathed)>,
    hashes: BTreeMap<String, Vec<Pathed>>,
    lists: BTreeMap<String, Vec<Pathed>>,
    destinations: bool,
}

/// A rule about a path.
#[derive(Debug, Clone, Copy)]
struct Pathed {
    entry: usize,
    access: u32,
    effect: Effect,
}

impl Standing {
    /// Sorts the rules of a policy set by what they are about.
    pub(in crate::cli) fn new(policies: Arc<Policies>, votes: Arc<Votes>, mode: Mode, unknown: Unknown) -> Self {
        let programmes = Programmes::of(policies.data());
        let (exact, prefixes) = (BTreeMap::new(), Vec::new());
        let mut standing = Self {
            policies: policies.clone(),
            programmes,
            votes,
            mode,
            unknown,
            exact,
            prefixes,
            hashes: BTreeMap::new(),
            lists: BTreeMap::new(),
            destinations: false,
        };
        for (index, entry) in policies.standing().iter().enumerate() {
            standing.add(index, entry);
        }
        standing
    }

    fn add(&mut self, entry: usize, rule: &StandingEntry) {
        let exec = 1 << access::EXEC;
        let asked = rule.access.iter().fold(0, |bits, access| bits | 1 << access as u32);
        let block = match mode_of(rule, self.mode, &self.programmes) {
            Mode::Enforce => Effect::Refuse,
            Mode::Monitor => Effect::WouldRefuse,
        };
        match &rule.value {
            StandingValue::BlockPath(pattern) => self.path(pattern, Pathed { entry, access: asked, effect: block }),
            StandingValue::BlockExecutable(pattern) => {
                self.path(pattern, Pathed { entry, access: exec, effect: block })
            }
            StandingValue::Exemption(exemption) => {
                let exempt = |access| Pathed { entry, access, effect: Effect::Exempt };
                exemption
                    .hashes
                    .iter()
                    .for_each(|digest| self.hashes.entry(hex(digest)).or_default().push(exempt(exec)));
                exemption.paths.iter().for_each(|pattern| self.path(pattern, exempt(u32::MAX)));
                exemption.executables.iter().for_each(|pattern| self.path(pattern, exempt(exec)));
            }
            StandingValue::BlockCountry(_)
            | StandingValue::AllowCountry(_)
            | StandingValue::BlockRegion(_)
            | StandingValue::BlockCidr(_) => self.destinations = true,
            StandingValue::BlockHash(digest) => {
                self.hashes.entry(hex(digest)).or_default().push(Pathed { entry, access: exec, effect: block });
            }
            StandingValue::AllowExecutable(_) => {
                let subject = format!("{:?} {:?}", rule.only, rule.except);
                self.lists.entry(subject).or_default().push(Pathed { entry, access: exec, effect: block });
            }
        }
    }

    fn path(&mut self, pattern: &PathPattern, rule: Pathed) {
        if pattern.prefix {
            self.prefixes.push((pattern.path.clone(), rule));
        } else {
            self.exact.entry(pattern.path.clone()).or_default().push(rule);
        }
    }

    /// The policies.
    pub(in crate::cli) fn policies(&self) -> &Arc<Policies> {
        &self.policies
    }

    /// The embargo programmes.
    pub(in crate::cli) const fn programmes(&self) -> &Programmes {
        &self.programmes
    }

    /// What cannot be said here of any event.
    pub(in crate::cli) fn notes(&self) -> Vec<String> {
        let note = |entry: &StandingEntry| match &entry.value {
            StandingValue::BlockPath(pattern) if !pattern.prefix => Some(format!(
                "rule {}: {} is protected by identity too; other names of the same file are not told here",
                entry.id, pattern.path
            )),
            StandingValue::BlockHash(_) => Some(format!(
                "rule {}: hashes are those that were known when the events were recorded; of an exec without one nothing is said",
                entry.id
            )),
            _ => None,
        };
        self.policies.standing().iter().filter_map(note).collect()
    }

    /// A judge for one thread.
    pub(in crate::cli) fn judge(&self) -> Judge<'_> {
        Judge { rules: self, memory: HashMap::new() }
    }
}

/// Judges events, and remembers what rules are about an address.
pub(in crate::cli) struct Judge<'s> {
    rules: &'s Standing,
    memory: HashMap<IpAddr, Arc<[Match]>>,
}

impl Judge<'_> {
    /// What the rules say of an event.
    pub(in crate::cli) fn judge(&mut self, event: &Event) -> Ruling {
        let mut ruling = Ruling::default();
        let matches = self.matches(event);
        ruling.undecided.extend(matches.iter().filter(|one| one.within.is_none()).map(|one| one.place));
        let holding = || matches.iter().filter(|one| one.within == Some(true));
        ruling.exempt = holding().find(|one| one.effect == Effect::Exempt).map(|one| one.place);
        if ruling.exempt.is_some() {
            return ruling;
        }
        let strongest = |effect| holding().find(|one| one.effect == effect).map(|one| (one.place, one.effect));
        ruling.decides = [Effect::Refuse, Effect::WouldRefuse, Effect::Alert].into_iter().find_map(strongest);
        ruling
    }

    /// The rules that are about an event, in the order in which they are looked at.
    pub(in crate::cli) fn matches(&mut self, event: &Event) -> Vec<Match> {
        let facts = event.facts();
        let mut matches = match facts.ip {
            Some(ip) if self.rules.destinations => self.destination(ip).to_vec(),
            Some(_) | None => Vec::new(),
        };
        // A packet is reported with the connect or send that it belongs to.
        let alerts = matches!(event.kind, Kind::Connect | Kind::Send);
        matches.retain(|one| one.effect != Effect::Alert || alerts);
        if !event.kind.is_network() {
            self.files(event, &facts, &mut matches);
            self.images(event, &facts, &mut matches);
        }
        let standing = self.rules.policies.standing();
        for one in &mut matches {
            let Place::Entry(index) = one.place else { continue };
            let expired = matches!(&standing[index].value, StandingValue::Exemption(exemption)
                if event.time.is_some_and(|time| exemption.expires <= time / 1_000_000));
            one.within = if expired { Some(false) } else { within(&standing[index], &facts) };
        }
        matches
    }

    /// The rules about an address, whatever their limits.
    fn destination(&mut self, address: IpAddr) -> Arc<[Match]> {
        if let Some(known) = self.memory.get(&address) {
            return known.clone();
        }
        let Standing { policies, programmes, votes, mode, unknown, .. } = self.rules;
        let opinion = votes.lookup(address);
        let question = Question {
            address,
            opinion: &opinion,
            votes,
            standing: policies.standing(),
            programmes,
            mode: *mode,
            unknown: *unknown,
            // An exemption counts while it lasted: `matches` looks at the event's time.
            now: i64::MIN,
        };
        let hits = question.judge().hits.into_iter().map(|hit| Match {
            place: hit.entry.map_or(Place::Unknown, Place::Entry),
            effect: hit.effect,
            because: hit.because.into(),
            within: Some(true),
        });
        let found: Arc<[Match]> = hits.collect();
        if self.memory.len() >= MEMORY {
            self.memory.clear();
        }
        self.memory.insert(address, found.clone());
        found
    }

    /// The rules about the paths of an event.
    fn files(&self, event: &Event, facts: &Facts, matches: &mut Vec<Match>) {
        let image = facts.image.filter(|image| facts.path != Some(*image));
        for path in facts.path.into_iter().chain(image) {
            let exact = self.rules.exact.get(path).into_iter().flatten();
            let below = self.rules.prefixes.iter().filter(|(prefix, _)| path.starts_with(prefix.as_str()));
            for rule in exact.chain(below.map(|(_, rule)| rule)) {
                if rule.access & event.access == 0 {
                    continue;
                }
                let (place, because) = (Place::Entry(rule.entry), format!("path {path}").into());
                matches.push(Match { place, effect: rule.effect, because, within: Some(true) });
            }
        }
    }
}

impl Judge<'_> {
    /// The rules about what runs: its hash, and lists that it is not on.
    fn images(&self, event: &Event, facts: &Facts, matches: &mut Vec<Match>) {
        if event.access & 1 << access::EXEC == 0 {
            return;
        }
        for digest in facts.hashes.into_iter().flatten() {
            for rule in self.rules.hashes.get(digest).into_iter().flatten() {
                let because = format!("hash {digest}").into();
                matches.push(Match {
                    place: Place::Entry(rule.entry),
                    effect: rule.effect,
                    because,
                    within: Some(true),
                });
            }
        }
        let image = facts.image.filter(|image| facts.path != Some(*image));
        let library = |path: &str| LIBRARIES.iter().any(|directory| Path::new(path).starts_with(directory));
        let runs = facts.path.into_iter().chain(image).filter(|path| event.kind == Kind::Exec || !library(path));
        for path in runs {
            for list in self.rules.lists.values().filter(|list| !self.is_on(list, path)) {
                let because = format!("{path} is not on the list").into();
                let first = list[0];
                matches.push(Match {
                    place: Place::Entry(first.entry),
                    effect: first.effect,
                    because,
                    within: Some(true),
                });
            }
        }
    }

    fn is_on(&self, list: &[Pathed], path: &str) -> bool {
        let standing = self.rules.policies.standing();
        list.iter().any(|rule| {
            matches!(&standing[rule.entry].value, StandingValue::AllowExecutable(pattern) if pattern.matches(path))
        })
    }
}

/// Whether every `only` list names this subject and not every `except` list does; `None` when that cannot be told.
fn within(entry: &StandingEntry, facts: &Facts) -> Option<bool> {
    let only = named(&entry.only, facts);
    let excepted = if entry.except.is_empty() { Some(false) } else { named(&entry.except, facts) };
    match (only, excepted) {
        (Some(false), _) | (_, Some(true)) => Some(false),
        (Some(true), Some(false)) => Some(true),
        (None, _) | (_, None) => None,
    }
}

/// Whether every list that is not empty names the subject.
fn named(list: &Subjects, facts: &Facts) -> Option<bool> {
    let asked = |empty: bool, named: Option<bool>| if empty { Some(true) } else { named };
    let all = [
        asked(
            list.executables.is_empty(),
            facts.actor.map(|actor| list.executables.iter().any(|pattern| pattern.matches(actor))),
        ),
        asked(list.uids.is_empty(), facts.uid.map(|uid| list.uids.contains(&uid))),
        asked(list.ports.is_empty(), Some(facts.port.is_some_and(|port| list.ports.contains(&port)))),
        asked(
            list.protocols.is_empty(),
            facts.protocol.map(|name| list.protocols.iter().any(|protocol| name.ends_with(protocol.as_str()))),
        ),
        // Only recordings say which control group; a container's name is not what the kernel goes by.
        asked(list.cgroups.is_empty(), facts.cgroup.map(|group| list.cgroups.iter().any(|named| named == group))),
        asked(list.containers.is_empty(), None),
    ];
    if all.contains(&Some(false)) {
        return Some(false);
    }
    all.iter().all(Option::is_some).then_some(true)
}

#[cfg(test)]
mod tests;
