//! What is in force: the policies, the country database, and the numbers by which the kernel names rules.
//!
//! Invariant: a number, once given, always means the same rule text, so an entry written under an older
//! generation is still attributed rightly.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use geoip::Votes;
use rules::{Policies, RuleInfo, Severity, StandingEntry, Technique};
use sentinel_common::content::Digest;

use crate::{
    config::Mode,
    countries::{ClassTable, CountryVerdicts},
    embargo::Programmes,
    labels::Labels,
    operator::Blocks,
    standing::Unknowns,
};

/// The number of canary entries; never given to a rule.
pub const CANARY: u32 = u32::MAX;

/// A rule as alerts and status show it.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Stable id.
    pub id: String,
    /// What kind of rule.
    pub verb: alerts::Verb,
    /// How bad a match is.
    pub severity: Severity,
    /// Title of its annotations, or what it says in short.
    pub title: String,
    /// Package that it is in.
    pub package: String,
    /// MITRE ATT&CK techniques.
    pub techniques: Vec<Technique>,
    /// Whether it refuses: the weaker of the global mode and its own.
    pub mode: Mode,
    /// Set for exemptions.
    pub exemption: Option<rules::Exemption>,
    /// The embargo programme that names what it refuses.
    pub list: Option<alerts::ListRef>,
}

/// Bits of a number that name the rule; the bits above name one of its members that have an id of their own.
const RULE_BITS: u32 = 24;
/// Most such members of a rule; the entries of further ones go by the rule's own id.
const MEMBERS: u32 = 254;

/// The number of the rule that a member's number belongs to; that of a rule is its own.
#[must_use]
pub const fn rule_of(number: u32) -> u32 {
    number & ((1 << RULE_BITS) - 1)
}

/// Numbers of rules, given once for the life of the daemon.
#[derive(Debug, Default)]
pub struct Numbers {
    by_text: HashMap<String, u32>,
    rules: HashMap<u32, Arc<Rule>>,
    members: HashMap<u32, Vec<(String, Severity)>>,
    /// When each was given last.
    given: HashMap<u32, u64>,
    last: u32,
    round: u64,
}

/// So many changes after a rule is gone its number still names it: events that it refused may be on their way.
const KEPT: u64 = 16;

impl Numbers {
    /// The number of a rule with this text; `rule` is what it looks like now.
    pub fn give(&mut self, text: String, rule: Rule) -> u32 {
        let number = match self.by_text.get(&text) {
            Some(number) => *number,
            None => {
                let number = self.free();
                self.by_text.insert(text, number);
                number
            }
        };
        self.given.insert(number, self.round);
        self.rules.insert(number, Arc::new(rule));
        number
    }

    /// A number that no rule has. They come round after millions; by then the first are long free.
    fn free(&mut self) -> u32 {
        loop {
            self.last = rule_of(self.last + 1).max(1);
            if !self.given.contains_key(&self.last) {
                return self.last;
            }
        }
    }

    /// To be called after each change of what is in force: forgets rules that have been gone for long.
    pub fn forget(&mut self) {
        let oldest = self.round.saturating_sub(KEPT);
        self.round += 1;
        let Self { by_text, rules, members, given, .. } = self;
        given.retain(|_, round| *round >= oldest);
        by_text.retain(|_, number| given.contains_key(number));
        rules.retain(|number, _| given.contains_key(&rule_of(*number)));
        members.retain(|number, _| given.contains_key(number));
    }

    /// The number under which an entry of this rule's member is written: members may say their own id and severity.
    pub fn give_member(&mut self, rule: u32, id: &str, severity: Severity) -> u32 {
        let Some(whole) = self.rules.get(&rule).filter(|whole| whole.id != id || whole.severity != severity) else {
            return rule;
        };
        let members = self.members.entry(rule).or_default();
        let known = members.iter().position(|(other, level)| other == id && *level == severity);
        let index = known.unwrap_or(members.len()) as u32;
        if index >= MEMBERS {
            return rule;
        }
        let number = (index + 1) << RULE_BITS | rule;
        let member = Rule { id: id.to_owned(), severity, ..Rule::clone(whole) };
        if known.is_none() {
            members.push((id.to_owned(), severity));
        }
        self.rules.insert(number, Arc::new(member));
        number
    }

    /// The number of the rule with this text.
    #[must_use]
    pub fn number(&self, text: &str) -> Option<u32> {
        self.by_text.get(text).copied()
    }

    /// The text of the rule with this number.
    #[must_use]
    pub fn text(&self, number: u32) -> Option<&str> {
        self.by_text.iter().find(|(_, known)| **known == number).map(|(text, _)| text.as_str())
    }

    /// The rule behind a number.
    #[must_use]
    pub fn rule(&self, number: u32) -> Option<Arc<Rule>> {
        self.rules.get(&number).cloned()
    }
}

/// What is in force.
#[derive(Debug, Clone)]
pub struct World {
    /// Compiled policies.
    pub policies: Arc<Policies>,
    /// Country data.
    pub geo: Arc<Votes>,
    /// The classes of that data, once a rule has been about countries.
    pub table: Option<Arc<ClassTable>>,
    /// The embargo programmes that the policies have.
    pub programmes: Arc<Programmes>,
    /// Rules about countries.
    pub countries: Arc<CountryVerdicts>,
    /// Members of standing rules, and what an operator has ordered, in the modes that the settings give them.
    pub standing: Vec<StandingEntry>,
    /// What an operator has ordered.
    pub operator: Arc<Blocks>,
    /// What the paths of standing rules stood for.
    pub labels: Labels,
    /// What would harm the host and is in force because that was forced.
    pub forced: Vec<String>,
    /// Generation of verdict entries.
    pub generation: u32,
    /// Numbers of the event rules, by their index.
    pub event_rules: Vec<u32>,
    /// What it means that the hash or the path of a file cannot be had.
    pub unknowns: Unknowns,
    /// Hashes that rules are about.
    pub hash_rules: Arc<HashSet<Digest>>,
    /// The rule that unknown countries alert under.
    pub unknown_alerts: bool,
}

/// The weaker of two modes.
#[must_use]
pub fn weaker(global: Mode, own: Option<rules::Mode>) -> Mode {
    match (global, own) {
        (Mode::Enforce, None | Some(rules::Mode::Enforce)) => Mode::Enforce,
        (Mode::Monitor, _) | (Mode::Enforce, Some(rules::Mode::Monitor)) => Mode::Monitor,
    }
}

/// An event rule in its own mode, as alerts show it.
#[must_use]
pub fn event_rule(info: &RuleInfo, own: Option<rules::Mode>, global: Mode) -> Rule {
    Rule {
        id: info.id.clone(),
        verb: match info.verb {
            rules::Verb::Deny => alerts::Verb::Deny,
            rules::Verb::Alert => alerts::Verb::Alert,
            rules::Verb::Allow => alerts::Verb::Allow,
        },
        severity: info.severity,
        title: info.title.clone(),
        package: info.package.clone(),
        techniques: info.techniques.clone(),
        mode: weaker(global, own),
        exemption: None,
        list: None,
    }
}

/// The mode of a standing entry. What comes from an embargo programme that asks only to report it is on trial, unless it says
/// otherwise itself.
#[must_use]
pub fn mode_of(entry: &StandingEntry, global: Mode, programmes: &Programmes) -> Mode {
    let own = entry.mode.or_else(|| only_reported(entry, programmes).map(|_| rules::Mode::Monitor));
    weaker(global, own)
}

/// The programme that asks only to report what an entry refuses, if the entry has it from there and says no mode.
#[must_use]
pub fn only_reported<'a>(entry: &StandingEntry, programmes: &'a Programmes) -> Option<&'a str> {
    if entry.written || entry.mode.is_some() { None } else { programmes.only_reporting(&entry.value) }
}

/// A standing entry, as alerts show it.
#[must_use]
pub fn standing_rule(entry: &StandingEntry, global: Mode, programmes: &Programmes) -> Rule {
    let verb = match entry.rule_name {
        rules::StandingRule::BlockCountries => alerts::Verb::BlockCountries,
        rules::StandingRule::AllowCountries => alerts::Verb::AllowCountries,
        rules::StandingRule::BlockRegions => alerts::Verb::BlockRegions,
        rules::StandingRule::BlockCidrs => alerts::Verb::BlockCidrs,
        rules::StandingRule::BlockPaths => alerts::Verb::BlockPaths,
        rules::StandingRule::BlockExecutables => alerts::Verb::BlockExecutables,
        rules::StandingRule::BlockHashes => alerts::Verb::BlockHashes,
        rules::StandingRule::AllowExecutables => alerts::Verb::AllowExecutables,
        rules::StandingRule::Exemptions => alerts::Verb::Exemptions,
    };
    let exemption = entry.value.exemption().cloned();
    Rule {
        id: entry.id.clone(),
        verb,
        severity: entry.severity,
        title: entry.title.clone(),
        package: entry.package.clone(),
        techniques: entry.techniques.clone(),
        mode: mode_of(entry, global, programmes),
        exemption,
        list: programmes.list_of(&entry.value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(id: &str) -> Rule {
        let entry = rules::Severity::Low;
        Rule {
            id: id.to_owned(),
            verb: alerts::Verb::Deny,
            severity: entry,
            title: String::new(),
            package: "sentinel.lab".to_owned(),
            techniques: Vec::new(),
            mode: Mode::Enforce,
            exemption: None,
            list: None,
        }
    }

    #[test]
    fn members_with_an_id_of_their_own_are_told_apart() {
        let mut numbers = Numbers::default();
        let whole = numbers.give("text".to_owned(), rule("lab.deny"));
        assert_eq!(numbers.give_member(whole, "lab.deny", Severity::Low), whole);
        let one = numbers.give_member(whole, "one", Severity::Low);
        let two = numbers.give_member(whole, "two", Severity::Low);
        assert_eq!(one, numbers.give_member(whole, "one", Severity::Low));
        assert_eq!((rule_of(one), rule_of(two), rule_of(whole)), (whole, whole, whole));
        assert_eq!([one, two].map(|number| numbers.rule(number).unwrap().id.clone()), ["one", "two"]);
        let severe = numbers.give_member(whole, "one", Severity::High);
        assert_eq!(numbers.rule(severe).unwrap().severity, Severity::High);
        assert_eq!(numbers.rule(one).unwrap().severity, Severity::Low);
    }

    #[test]
    fn rules_that_are_gone_are_forgotten_and_the_others_keep_their_numbers() {
        let mut numbers = Numbers::default();
        let kept = numbers.give("kept".to_owned(), rule("kept"));
        for round in 0..1000 {
            assert_eq!(numbers.give("kept".to_owned(), rule("kept")), kept);
            let new = numbers.give(format!("text {round}"), rule("new"));
            assert_ne!(numbers.give_member(new, "member", Severity::High), kept);
            numbers.forget();
            assert!(numbers.rule(new).is_some(), "its events may still come");
        }
        assert!(numbers.rules.len() < 64 && numbers.by_text.len() < 64 && numbers.members.len() < 64);
        numbers.last = (1 << RULE_BITS) - 2;
        let around: Vec<u32> = (0..3).map(|i| numbers.give(format!("more {i}"), rule("more"))).collect();
        assert!(around.iter().all(|number| *number != 0 && *number != kept && rule_of(*number) == *number));
    }

    #[test]
    fn ids_without_end_do_not_fill_the_memory() {
        let mut numbers = Numbers::default();
        let whole = numbers.give("text".to_owned(), rule("lab.deny"));
        let all: Vec<u32> = (0..1000).map(|i| numbers.give_member(whole, &format!("id-{i}"), Severity::Low)).collect();
        assert_eq!(all.iter().filter(|number| **number == whole).count(), 1000 - MEMBERS as usize);
        assert!(all.iter().all(|number| *number != CANARY && rule_of(*number) == whole));
    }
}
