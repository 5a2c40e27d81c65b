//! Canaries of jurisdictions: the kernel's live country table is asked about every country, again and again.
//!
//! Each round asks about an address of every country that a rule is about, in each family and every spelling, and about one of
//! every other country, which has to pass: a table that refuses everything is wrong too. What must come is what user space
//! works out by itself (`sockets::verdict`). Invariant: what was wrong once is asked about again with the same address until
//! the answer is right, and is a reason in the status until then. Not here: how the kernel is asked (`kernel::probe`).

mod plan;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use geoip::Random;
use sentinel_common::{
    address::normalise,
    verdict::{flag, origin},
};
use serde::{Deserialize, Serialize};

use crate::{
    clock,
    countries::CountryVerdicts,
    input::ip,
    kernel::{
        KernelError,
        probe::{Answer, BROKEN, Subject},
    },
    sockets::{
        owners::Owner,
        verdict::{Facts, Judgement, Rules},
    },
};
use plan::Question;

/// Reasons that the status shows one by one.
const SHOWN: usize = 8;

/// What became of it, for the status.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Countries that rules in force are about.
    pub listed: usize,
    /// Addresses asked about since the start.
    pub checked: u64,
    /// Wrong answers among them.
    pub failed: u64,
    /// When it was last asked, RFC 3339.
    pub last: Option<String>,
    /// What is wrong now.
    pub failing: Vec<String>,
    /// Listed countries of which the country data has no address: rules on them have no effect.
    pub no_addresses: Vec<String>,
}

/// Something that has become wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Country and family.
    pub place: String,
    /// Country; `None`: unknown, or all.
    pub country: Option<String>,
    /// The address.
    pub address: Option<std::net::IpAddr>,
    /// What was wrong.
    pub why: String,
}

impl Failure {
    /// As a reason.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}: {}", self.place, self.why)
    }
}

/// What is in force.
pub struct Live<'a> {
    /// The rules of user space, as they are at the time of the call.
    pub rules: &'a dyn Fn() -> Rules,
    /// Subject limits of rules: rule, limit bit, value, device.
    pub limits: &'a BTreeSet<(u32, u32, u64, u32)>,
    /// Rules about countries, and the country data.
    pub countries: &'a Arc<CountryVerdicts>,
    /// Whether refusal is compiled in.
    pub enforce: bool,
    /// Id of a rule.
    pub name: &'a dyn Fn(u32) -> String,
}

/// Asks the kernel.
pub type Ask<'a> = dyn FnMut(&Subject, &[sentinel_common::address::Address]) -> Result<Vec<Answer>, KernelError> + 'a;

/// A wrong answer and the question, to be asked again.
type Wrong = (Question, String);

/// The state of all canaries.
#[derive(Debug)]
pub struct Jurisdictions {
    /// What became of it.
    pub tally: Tally,
    failing: BTreeMap<String, Wrong>,
    unasked: Option<String>,
    random: Random,
}

impl Jurisdictions {
    /// None asked about yet; other addresses are drawn for another seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { tally: Tally::default(), failing: BTreeMap::new(), unasked: None, random: Random::new(seed) }
    }

    /// One round. Gives what was not wrong before.
    pub fn round(&mut self, live: &Live<'_>, ask: &mut Ask<'_>) -> Vec<Failure> {
        let plan = plan::Plan::new(live.countries, live.limits, clock::boot_now(), self.random.next());
        if plan.no_addresses != self.tally.no_addresses && !plan.no_addresses.is_empty() {
            let all = plan.no_addresses.join(", ");
            tracing::warn!("the country data has no address of {all}: rules on them have no effect");
        }
        self.tally.listed = plan.listed;
        self.tally.no_addresses = plan.no_addresses;
        let mut questions: Vec<Question> = self.failing.values().map(|(question, _)| question.clone()).collect();
        questions.extend(plan.questions);
        let news = match wrong(&questions, &(live.rules)(), live, ask) {
            Ok(wrong) => {
                self.tally.checked += questions.len() as u64;
                self.confirm(&wrong, live, ask)
            }
            Err(error) => Err(error),
        };
        let news = news.unwrap_or_else(|error| self.not_asked(&error));
        self.tally.last = (!questions.is_empty()).then(|| jiff::Timestamp::now().to_string());
        self.tally.failing = self.failing().collect();
        news
    }

    /// Asks once more what was wrong, with the time of now: an entry may just have expired.
    fn confirm(&mut self, first: &[Wrong], live: &Live<'_>, ask: &mut Ask<'_>) -> Result<Vec<Failure>, KernelError> {
        let again: Vec<Question> = first.iter().map(|(question, _)| question.clone()).collect();
        let wrong = if again.is_empty() { Vec::new() } else { wrong(&again, &(live.rules)(), live, ask)? };
        self.tally.failed += wrong.len() as u64;
        self.unasked = None;
        let before = std::mem::take(&mut self.failing);
        for (question, why) in wrong {
            self.failing.entry(question.place.clone()).or_insert((question, why));
        }
        for place in before.keys().filter(|place| !self.failing.contains_key(*place)) {
            tracing::info!("jurisdiction {place}: the kernel answers rightly again");
        }
        let new = self.failing.iter().filter(|(place, _)| !before.contains_key(*place));
        Ok(new.map(|(place, (question, why))| failure(place, question, why)).collect())
    }

    /// Nothing is known while the kernel cannot be asked.
    fn not_asked(&mut self, error: &KernelError) -> Vec<Failure> {
        self.tally.failed += 1;
        let why = error.to_string();
        let known = self.unasked.replace(why.clone()).is_some();
        let failure = Failure { place: "all".to_owned(), country: None, address: None, why };
        if known { Vec::new() } else { vec![failure] }
    }

    fn failing(&self) -> impl Iterator<Item = String> {
        let unasked = self.unasked.iter().map(|why| format!("all: {why}"));
        unasked.chain(self.failing.iter().map(|(place, (_, why))| format!("{place}: {why}")))
    }

    /// Reasons for the status, not more than it can show.
    #[must_use]
    pub fn reasons(&self) -> Vec<String> {
        let mut reasons: Vec<String> = self.failing().take(SHOWN).map(|text| format!("jurisdiction: {text}")).collect();
        let more = self.tally.failing.len().saturating_sub(SHOWN);
        if more > 0 {
            reasons.push(format!("jurisdiction: {more} more answers of the kernel are wrong"));
        }
        reasons
    }
}

fn failure(place: &str, question: &Question, why: &str) -> Failure {
    let address = Some(ip(normalise(question.given).0));
    Failure { place: place.to_owned(), country: question.country.clone(), address, why: why.to_owned() }
}

/// The questions that the kernel answers otherwise than user space.
fn wrong(questions: &[Question], rules: &Rules, live: &Live<'_>, ask: &mut Ask<'_>) -> Result<Vec<Wrong>, KernelError> {
    let mut found = Vec::new();
    for same in questions.chunk_by(|a, b| a.subject == b.subject) {
        let addresses: Vec<_> = same.iter().map(|question| question.given).collect();
        for (question, answer) in same.iter().zip(ask(&same[0].subject, &addresses)?) {
            if let Some(why) = difference(question, &answer, rules, live) {
                found.push((question.clone(), why));
            }
        }
    }
    Ok(found)
}

/// What is wrong with an answer. The address comes last in the text.
fn difference(question: &Question, answer: &Answer, rules: &Rules, live: &Live<'_>) -> Option<String> {
    let about = ip(question.given);
    if answer.class == BROKEN {
        return Some(format!("the country table in the kernel is not whole, asked about {about}"));
    }
    let (came, refused) = (answer.rule, answer.refuses == 1);
    let name = live.name;
    match rules.judge(&facts(question)) {
        Judgement::Undecided => None,
        Judgement::Meets(entry) => {
            let refuses = live.enforce && entry.flags & flag::MONITOR == 0;
            let wanted = name(entry.rule);
            if (came, refused) == (entry.rule, refuses) {
                None
            } else if came == 0 || answer.origin == origin::EXEMPTION {
                Some(format!("the kernel lets pass what rule {wanted} is about, asked about {about}"))
            } else if came != entry.rule {
                Some(format!("the kernel goes by rule {}, not {wanted}, asked about {about}", name(came)))
            } else {
                let verb = if refused { "refuses" } else { "does not refuse" };
                Some(format!("the kernel {verb} what rule {wanted} is about, asked about {about}"))
            }
        }
        Judgement::Pass if came == 0 || (answer.origin == origin::EXEMPTION && !refused) => None,
        Judgement::Pass => {
            Some(format!("the kernel goes by rule {}, which is not about it, asked about {about}", name(came)))
        }
    }
}

fn facts(question: &Question) -> Facts {
    let Subject { executable, cgroup, uid, port, protocol } = question.subject;
    let owner = Some(Owner { pid: 0, start: 0, executable });
    Facts { address: normalise(question.given).0, port, protocol, uid, cgroup: Some(cgroup), owner }
}

#[cfg(test)]
mod tests;
