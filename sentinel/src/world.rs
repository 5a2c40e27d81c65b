//! What is in force: the policies, the country database, and the numbers by which the kernel names rules.
//!
//! Invariant: a number, once given, always means the same rule text, so an entry written under an older
//! generation is still attributed rightly.

use std::{collections::HashMap, sync::Arc};

use geoip::Database;
use rules::{Policies, RuleInfo, Severity, StandingEntry, StandingValue, Technique};

use crate::config::Mode;

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
}

/// Numbers of rules, given once for the life of the daemon.
#[derive(Debug, Default)]
pub struct Numbers {
    by_text: HashMap<String, u32>,
    rules: HashMap<u32, Arc<Rule>>,
}

impl Numbers {
    /// The number of a rule with this text; `rule` is what it looks like now.
    pub fn give(&mut self, text: String, rule: Rule) -> u32 {
        let next = self.by_text.len() as u32 + 1;
        let number = *self.by_text.entry(text).or_insert(next);
        self.rules.insert(number, Arc::new(rule));
        number
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
    pub geo: Arc<Database>,
    /// Generation of verdict entries.
    pub generation: u32,
    /// Numbers of the event rules, by their index.
    pub event_rules: Vec<u32>,
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

/// An event rule, as alerts show it.
#[must_use]
pub fn event_rule(info: &RuleInfo, global: Mode) -> Rule {
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
        mode: weaker(global, info.mode),
        exemption: None,
    }
}

/// A standing entry, as alerts show it.
#[must_use]
pub fn standing_rule(entry: &StandingEntry, global: Mode) -> Rule {
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
    let exemption = match &entry.value {
        StandingValue::Exemption(exemption) => Some((**exemption).clone()),
        StandingValue::BlockCountry(_)
        | StandingValue::AllowCountry(_)
        | StandingValue::BlockRegion(_)
        | StandingValue::BlockCidr(_)
        | StandingValue::BlockPath(_)
        | StandingValue::BlockExecutable(_)
        | StandingValue::BlockHash(_)
        | StandingValue::AllowExecutable(_) => None,
    };
    Rule {
        id: entry.id.clone(),
        verb,
        severity: entry.severity,
        title: entry.title.clone(),
        package: entry.package.clone(),
        techniques: entry.techniques.clone(),
        mode: weaker(global, entry.mode),
        exemption,
    }
}
