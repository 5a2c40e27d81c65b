//! `sentinel geo check --kernel`: whether the kernel's country table says what the database says.
//!
//! Maps and the probe program are loaded, nothing is attached. Every country gets a rule of its own, so that a verdict
//! tells the country that the kernel found. Invariant: what is expected comes from [`Database::lookup`] alone, not from the
//! classes that the table was made of.

use std::{
    hash::{BuildHasher as _, Hasher as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use geoip::{
    ClassFacts, Country, CountrySet, Coverage, Database, PrefixSet, SPECIAL_V4, SPECIAL_V6, Selection, VoteRule, Votes,
};
use ipnet::IpNet;
use sentinel_common::{
    FileId,
    address::{Address, normalise},
    hook,
    verdict::{Entry, origin},
};

use crate::{
    countries::{ClassTable, CountryRules},
    input::ip,
    kernel::probe::{Alone, Answer, BROKEN, Probe, Subject},
    spellings,
};

/// Addresses asked about between two looks at the clock.
const BATCH: usize = 1 << 16;
/// Random addresses.
const RANDOM: usize = 1_000_000;
/// Differences that are printed.
const SHOWN: u64 = 10;
/// How often progress is told.
const PROGRESS: Duration = Duration::from_secs(5);
/// One boundary in so many has random addresses near it.
const NEAR: usize = 16;

/// Asks about every prefix boundary and random addresses; whether there was no difference.
pub(super) fn check(database: &Arc<Database>) -> Result<bool> {
    let start = Instant::now();
    let votes = Votes::new(vec![database.clone()], VoteRule::default())?;
    let (table, image) = ClassTable::build(&votes)?;
    let countries = database.places().0;
    let rules = CountryRules { exempt: Vec::new(), block: countries.iter().map(rule_on).collect() };
    let classes = rules.of_classes(&votes, &table.facts).ok().context("two rules are about one country")?;
    let mut alone = Alone::load()?;
    alone.verdicts.set_geo(Some(&image), classes)?;
    println!(
        "table      {} classes, {} kB in the kernel, made and filled in {} ms",
        table.facts.len(),
        alone.verdicts.geo_bytes() / 1024,
        start.elapsed().as_millis()
    );
    let mut survey = Survey::new(database, &table.facts, alone.probe()?);
    survey.boundaries(&countries)?;
    let seed = std::collections::hash_map::RandomState::new().build_hasher().finish();
    survey.random(seed)?;
    println!(
        "kernel     {} IPv4 and {} IPv6 addresses asked about ({RANDOM} of them random, seed {seed}), {} differences, {:.1} s",
        survey.asked[0],
        survey.asked[1],
        survey.differences,
        start.elapsed().as_secs_f64()
    );
    Ok(survey.differences == 0)
}

/// A rule on one country, whose number is the country's letters.
fn rule_on(country: Country) -> (Selection, Entry) {
    let entry = Entry { rule: number_of(country), hook: hook::ANY, origin: origin::GEO, ..Entry::NONE };
    (Selection::countries([country].into_iter().collect()), entry)
}

fn number_of(country: Country) -> u32 {
    u32::from(u16::from_be_bytes(country.bytes()))
}

/// Addresses waiting to be asked about, and what came of the others.
struct Survey<'a> {
    database: &'a Database,
    facts: &'a [ClassFacts],
    probe: Probe<'a>,
    waiting: Vec<Address>,
    near: Vec<Address>,
    asked: [u64; 2],
    differences: u64,
    told: Instant,
}

/// Nobody in particular: the rules are for everybody.
const SUBJECT: Subject =
    Subject { executable: FileId { ino: 0, dev: 0, generation: 0 }, cgroup: 0, uid: 0, port: 443, protocol: 6 };

impl<'a> Survey<'a> {
    fn new(database: &'a Database, facts: &'a [ClassFacts], probe: Probe<'a>) -> Self {
        let waiting = Vec::with_capacity(BATCH);
        Self { database, facts, probe, waiting, near: Vec::new(), asked: [0; 2], differences: 0, told: Instant::now() }
    }

    /// First and last address of every prefix, and the ones before and after it.
    fn boundaries(&mut self, countries: &CountrySet) -> Result<()> {
        let one = |country: Country| Selection::countries([country].into_iter().collect());
        let unknown = Selection { include_unknown: true, ..Selection::default() };
        for selection in countries.iter().map(one).chain([unknown]) {
            let networks = self.database.select(&selection);
            for (index, network) in networks.networks().enumerate() {
                self.around(&network)?;
                if index % NEAR == 0 {
                    self.near.push(spellings::plain(network.network()));
                }
            }
        }
        let special = PrefixSet { v4: SPECIAL_V4.to_vec(), v6: SPECIAL_V6.to_vec() };
        special.networks().try_for_each(|network| self.around(&network))?;
        self.flush()
    }

    fn around(&mut self, network: &IpNet) -> Result<()> {
        match network {
            IpNet::V4(net) => {
                let (first, last) = (net.network().to_bits(), net.broadcast().to_bits());
                let all = [Some(first), Some(last), first.checked_sub(1), last.checked_add(1)];
                all.into_iter().flatten().try_for_each(|bits| self.ask(Address::from_v4(bits)))
            }
            IpNet::V6(net) => {
                let (first, last) = (net.network().to_bits(), net.broadcast().to_bits());
                let all = [Some(first), Some(last), first.checked_sub(1), last.checked_add(1)];
                let address = |bits: u128| spellings::plain(Ipv6Addr::from_bits(bits).into());
                all.into_iter().flatten().try_for_each(|bits| self.ask(address(bits)))
            }
        }
    }

    /// IPv4 in every spelling, announced IPv6 (2000::/3), and the neighbourhood of prefixes.
    fn random(&mut self, seed: u64) -> Result<()> {
        let mut random = geoip::Random::new(seed);
        for index in 0..RANDOM {
            let bits = u128::from(random.next()) << 64 | u128::from(random.next());
            let address = match index % 3 {
                0 => spellings::of_v4(Ipv4Addr::from_bits(bits as u32))[index % 5].1,
                1 => spellings::plain(Ipv6Addr::from_bits(bits >> 3 | 1 << 125).into()),
                _ => self.neighbour(random.next(), bits),
            };
            self.ask(address)?;
        }
        self.flush()
    }

    /// The start of some prefix with its last bits changed, of one family or the other.
    fn neighbour(&self, which: u64, bits: u128) -> Address {
        let Some(base) = self.near.get(which as usize % self.near.len().max(1)) else { return Address::default() };
        let keep = (which >> 32) as u32;
        match ip(*base) {
            IpAddr::V4(v4) => Address::from_v4(v4.to_bits() ^ (bits as u32) >> (keep % 32)),
            IpAddr::V6(v6) => spellings::plain(Ipv6Addr::from_bits(v6.to_bits() ^ bits >> (keep % 128)).into()),
        }
    }

    fn ask(&mut self, address: Address) -> Result<()> {
        self.waiting.push(address);
        if self.waiting.len() == BATCH { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        let waiting = std::mem::take(&mut self.waiting);
        let answers = self.probe.ask(&SUBJECT, &waiting)?;
        for (given, answer) in waiting.iter().zip(answers) {
            self.compare(*given, &answer);
        }
        self.waiting = waiting;
        self.waiting.clear();
        if self.told.elapsed() >= PROGRESS {
            self.told = Instant::now();
            eprintln!("{} addresses asked about, {} differences", self.asked[0] + self.asked[1], self.differences);
        }
        Ok(())
    }

    fn compare(&mut self, given: Address, answer: &Answer) {
        let (meant, _) = normalise(given);
        self.asked[usize::from(!meant.is_v4())] += 1;
        let found = self.database.lookup(ip(meant));
        let rule = found.country.map_or(0, number_of);
        let facts = self.facts.get(answer.class as usize);
        let class_fits = facts.is_some_and(|facts| {
            let special = found.coverage == Coverage::Special;
            let said = facts.sayings.first().map_or((None, None), |saying| (saying.country, saying.region));
            facts.special == special && said == (found.country, found.region)
        });
        if (answer.rule, answer.refuses) == (rule, u8::from(rule != 0)) && class_fits {
            return;
        }
        self.differences += 1;
        if self.differences <= SHOWN {
            let says = found.country.map_or_else(|| found.coverage.to_string(), |country| country.to_string());
            println!("difference {}: the database says {says}, the kernel {}", ip(given), told(answer));
        }
    }
}

fn told(answer: &Answer) -> String {
    let [_, _, a, b] = answer.rule.to_be_bytes();
    match Country::from_bytes([a, b]) {
        Some(country) => format!("{country} (class {})", answer.class),
        None if answer.class == BROKEN => "nothing: its table is not whole".to_owned(),
        None => format!("rule {} (class {})", answer.rule, answer.class),
    }
}
