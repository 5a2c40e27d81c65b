use std::sync::LazyLock;

use super::*;
use crate::countries::CountryRules;
use geoip::{CountrySet, Database, Selection, VoteRule, Votes};
use sentinel_common::{
    address::Address,
    hook,
    verdict::{Entry, limit},
};

/// Loaded once: that is what takes time here.
static DATABASE: LazyLock<Arc<Votes>> = LazyLock::new(|| {
    let database = Arc::new(Database::embedded().unwrap());
    Arc::new(Votes::new(vec![database], VoteRule::default()).unwrap())
});

const BLOCK: u32 = 7;
const EXEMPT: u32 = 8;

fn set(codes: &[&str]) -> CountrySet {
    codes.iter().map(|code| code.parse::<geoip::Country>().unwrap()).collect()
}

fn entry(rule: u32, limits: u16) -> Entry {
    let origin = if rule == EXEMPT { origin::EXEMPTION } else { origin::GEO };
    Entry { rule, limits, origin, hook: hook::ANY, ..Entry::NONE }
}

fn countries(exempt: &[(Selection, Entry)], block: &[(Selection, Entry)]) -> Arc<CountryVerdicts> {
    let rules = CountryRules { exempt: exempt.to_vec(), block: block.to_vec() };
    Arc::new(CountryVerdicts { rules, geo: DATABASE.clone() })
}

fn embargo() -> Arc<CountryVerdicts> {
    countries(&[], &[(Selection::countries(set(&["IR", "CU"])), entry(BLOCK, 0))])
}

/// A kernel that answers as user space does, but for what `broken` changes; told which questions were asked.
struct Fake<'a> {
    countries: Arc<CountryVerdicts>,
    limits: BTreeSet<(u32, u32, u64, u32)>,
    enforce: bool,
    broken: &'a dyn Fn(&str, &mut Answer),
    asked: Vec<(Subject, Address)>,
}

impl<'a> Fake<'a> {
    fn new(countries: Arc<CountryVerdicts>, broken: &'a dyn Fn(&str, &mut Answer)) -> Self {
        Self { countries, limits: BTreeSet::new(), enforce: true, broken, asked: Vec::new() }
    }

    fn rules(&self) -> Rules {
        Rules::new(std::iter::empty(), &self.limits, self.countries.clone(), 1)
    }

    fn answer(&mut self, subject: &Subject, given: Address) -> Answer {
        self.asked.push((*subject, given));
        let question = Question { place: String::new(), country: None, given, subject: *subject };
        let mut answer = Answer::default();
        if let Judgement::Meets(entry) = self.rules().judge(&facts(&question)) {
            let refuses = u8::from(self.enforce && entry.flags & flag::MONITOR == 0);
            answer = Answer { rule: entry.rule, flags: entry.flags, origin: entry.origin, refuses, ..answer };
        }
        let found = self.countries.geo.lookup(ip(normalise(given).0));
        (self.broken)(found.countries.first().map_or("", |country| country.as_str()), &mut answer);
        answer
    }

    fn round(&mut self, all: &mut Jurisdictions) -> Vec<Failure> {
        let (countries, limits, rules) = (self.countries.clone(), self.limits.clone(), self.rules());
        let live = Live {
            rules: &|| rules.clone(),
            limits: &limits,
            countries: &countries,
            enforce: self.enforce,
            name: &|rule| format!("rule-{rule}"),
        };
        all.round(&live, &mut |subject, addresses| {
            Ok(addresses.iter().map(|address| self.answer(subject, *address)).collect())
        })
    }
}

fn places(failures: &[Failure]) -> Vec<&str> {
    failures.iter().map(|failure| failure.place.as_str()).collect()
}

#[test]
fn a_kernel_that_is_right_fails_nothing_and_every_spelling_is_asked() {
    let mut all = Jurisdictions::new(1);
    let mut fake = Fake::new(embargo(), &|_, _| ());
    assert_eq!(fake.round(&mut all), []);
    assert_eq!((all.tally.listed, all.tally.failed, all.reasons().len()), (2, 0, 0));
    assert_eq!(all.tally.checked, fake.asked.len() as u64);
    assert!(all.tally.last.is_some());
    let of = |code: &str, fake: &Fake<'_>| {
        let here = |(_, given): &&(Subject, Address)| {
            fake.countries.geo.lookup(ip(normalise(*given).0)).countries.first().copied() == code.parse().ok()
        };
        fake.asked.iter().filter(here).map(|(_, given)| *given).collect::<Vec<_>>()
    };
    // IPv4 in five spellings, and IPv6; of a country that is not listed one of each family.
    assert_eq!((of("IR", &fake).len(), of("FR", &fake).len()), (6, 2));
    let first = of("IR", &fake);
    fake.asked.clear();
    fake.round(&mut all);
    assert_ne!(first, of("IR", &fake), "another address each time");
}

#[test]
fn a_country_that_passes_is_named_until_the_same_address_is_refused_again() {
    let mut all = Jurisdictions::new(1);
    let passes = |country: &str, answer: &mut Answer| {
        if country == "IR" {
            *answer = Answer::default();
        }
    };
    let mut broken = Fake::new(embargo(), &passes);
    let found = broken.round(&mut all);
    assert_eq!(
        places(&found),
        ["IR (6to4)", "IR (IPv4)", "IR (IPv4-mapped)", "IR (IPv6)", "IR (NAT64)", "IR (Teredo)"]
    );
    assert!(found[0].why.contains("lets pass what rule rule-7 is about"), "{found:?}");
    assert_eq!((found[1].country.as_deref(), all.tally.failed), (Some("IR"), 6));
    assert!(all.reasons().iter().all(|reason| reason.starts_with("jurisdiction: IR (")), "{:?}", all.reasons());
    let wrong: Vec<Address> = all.failing.values().map(|(question, _)| question.given).collect();
    // It is told once, and counted each time.
    assert_eq!(broken.round(&mut all), []);
    assert!(all.tally.failed >= 12);
    let mut right = Fake::new(embargo(), &|_, _| ());
    assert_eq!(right.round(&mut all), []);
    assert!(wrong.iter().all(|given| right.asked.iter().any(|(_, asked)| asked == given)));
    assert!(all.reasons().is_empty() && all.tally.failing.is_empty());
}

#[test]
fn a_table_that_refuses_too_much_or_goes_by_another_rule_is_wrong_too() {
    let refuses = |country: &str, answer: &mut Answer| {
        if country == "FR" {
            *answer = Answer { rule: BLOCK, refuses: 1, origin: origin::GEO, ..*answer };
        }
    };
    let found = Fake::new(embargo(), &refuses).round(&mut Jurisdictions::new(1));
    assert_eq!(places(&found), ["FR (IPv4)", "FR (IPv6)"]);
    let other = |country: &str, answer: &mut Answer| {
        if country == "CU" {
            answer.rule = 9;
        }
    };
    let found = Fake::new(embargo(), &other).round(&mut Jurisdictions::new(1));
    assert!(found.iter().all(|failure| failure.why.contains("goes by rule rule-9, not rule-7")), "{found:?}");
    let hollow = |country: &str, answer: &mut Answer| {
        if country == "CU" {
            answer.class = BROKEN;
        }
    };
    let found = Fake::new(embargo(), &hollow).round(&mut Jurisdictions::new(1));
    assert!(!found.is_empty() && found.iter().all(|failure| failure.why.contains("not whole")), "{found:?}");
}

#[test]
fn in_monitor_mode_the_verdict_has_to_be_there_and_not_to_refuse() {
    let mut all = Jurisdictions::new(1);
    let mut fake = Fake { enforce: false, ..Fake::new(embargo(), &|_, _| ()) };
    assert_eq!(fake.round(&mut all), []);
    let refuses = |_: &str, answer: &mut Answer| answer.refuses = u8::from(answer.rule != 0);
    let mut fake = Fake { enforce: false, ..Fake::new(embargo(), &refuses) };
    assert!(!fake.round(&mut all).is_empty());
}

#[test]
fn who_is_exempt_is_not_listed_and_a_limited_rule_is_asked_about_whom_it_names() {
    let iran = Selection::countries(set(&["IR"]));
    let exempt = countries(&[(iran.clone(), entry(EXEMPT, 0))], &[(iran.clone(), entry(BLOCK, 0))]);
    let mut all = Jurisdictions::new(1);
    assert_eq!(Fake::new(exempt, &|_, _| ()).round(&mut all), []);
    assert_eq!(all.tally.listed, 0);

    let limited = countries(&[], &[(iran, entry(BLOCK, limit::ONLY_UID | limit::ONLY_PORT))]);
    let names = [(limit::ONLY_UID, 1000), (limit::ONLY_PORT, 25)];
    let limits = names.iter().map(|(bit, value)| (BLOCK, u32::from(*bit), *value, 0)).collect();
    let passes = |_: &str, answer: &mut Answer| *answer = Answer::default();
    let mut fake = Fake { limits, ..Fake::new(limited, &passes) };
    assert_eq!(fake.round(&mut all).len(), 6);
    assert!(fake.asked.iter().any(|(subject, _)| (subject.uid, subject.port) == (1000, 25)));
}

#[test]
fn allow_lists_unknown_countries_and_countries_without_addresses() {
    let all_but = Selection::countries(set(&["DE"]).complement());
    let block = [
        (all_but, entry(BLOCK, 0)),
        (Selection { include_unknown: true, ..Selection::default() }, entry(9, 0)),
        (Selection::countries(set(&["QQ"])), entry(10, 0)),
    ];
    let mut all = Jurisdictions::new(1);
    let passes = |country: &str, answer: &mut Answer| {
        if country.is_empty() {
            *answer = Answer::default();
        }
    };
    let found = Fake::new(countries(&[], &block), &passes).round(&mut all);
    assert!(places(&found).iter().all(|place| place.starts_with("unknown (")) && found.len() == 6, "{found:?}");
    assert!(all.tally.listed > 200);
    assert!(all.tally.no_addresses.iter().any(|name| name == "QQ"), "{:?}", all.tally.no_addresses);
}

#[test]
fn nothing_is_asked_without_rules_and_a_kernel_that_does_not_answer_is_a_failure() {
    let mut all = Jurisdictions::new(1);
    let mut fake = Fake::new(countries(&[], &[]), &|_, _| ());
    assert_eq!(fake.round(&mut all), []);
    assert!(fake.asked.is_empty() && all.tally.last.is_none());

    let (countries, limits) = (embargo(), BTreeSet::new());
    let rules = || Rules::new(std::iter::empty(), &BTreeSet::new(), embargo(), 1);
    let name = |_| String::new();
    let live = Live { rules: &rules, limits: &limits, countries: &countries, enforce: true, name: &name };
    let mut silent = |_: &Subject, _: &[Address]| Err(KernelError::Probe("no".to_owned()));
    assert_eq!(places(&all.round(&live, &mut silent)), ["all"]);
    assert_eq!(all.round(&live, &mut silent), []);
    assert_eq!(all.reasons(), ["jurisdiction: all: the probe program did not answer: no"]);
    let mut fake = Fake::new(embargo(), &|_, _| ());
    fake.round(&mut all);
    assert!(all.reasons().is_empty());
}
