//! Asks the same question of big databases in three ways and counts the differences: `Database::lookup`, the `maxminddb`
//! reader, and compiled prefixes.
//!
//! `cargo run --release -p geoip --example equivalence -- FILE...` takes MMDB files; without one, the embedded data is compared
//! with its own prefixes. For every network of a file it asks about the first and last address, one before and one after, and
//! then about as many random addresses as it is told by `SENTINEL_RANDOM` (a million otherwise). Exit code 1 when anything
//! differs. The reader's records are decoded here by themselves, so that a mistake in the crate's own reading would show.

#![forbid(unsafe_code)]

use std::collections::{BTreeSet, HashMap};
use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use geoip::{Country, CountrySet, Coverage, Database, PrefixSet, Region, Selection, VoteRule, Votes};
use maxminddb::{Reader, WithinOptions};
use serde::Deserialize;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let files: Vec<String> = std::env::args().skip(1).collect();
    let random = std::env::var("SENTINEL_RANDOM").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    let mut differences = 0;
    if files.is_empty() {
        differences += against_prefixes(Arc::new(Database::embedded()?), random);
    }
    for file in &files {
        differences += against_reader(Path::new(file), random)?;
    }
    Ok(if differences == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The fields that tell a country, as a program that knows nothing of Sentinel would read them.
#[derive(Deserialize)]
struct Told<'a> {
    country_code: Option<&'a str>,
    #[serde(borrow)]
    country: Option<CountryField<'a>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum CountryField<'a> {
    Nested { iso_code: Option<&'a str> },
    Plain(&'a str),
}

impl Told<'_> {
    fn country(&self) -> Option<Country> {
        let nested = match &self.country {
            Some(CountryField::Nested { iso_code }) => *iso_code,
            Some(CountryField::Plain(text)) if self.country_code.is_none() => Some(*text),
            Some(CountryField::Plain(_)) | None => None,
        };
        // What is no country code ("A1", "??") is unknown.
        nested.or(self.country_code)?.parse().ok()
    }
}

/// Sets of addresses with their compiled prefixes: by one database and by votes of one.
struct Compiled {
    sets: Vec<(Selection, PrefixSet)>,
}

impl Compiled {
    fn new(database: &Arc<Database>) -> Result<Self, Box<dyn Error>> {
        let votes = Votes::new(vec![database.clone()], VoteRule::Majority)?;
        let mut sets = Vec::new();
        for selection in selections(database)? {
            let start = Instant::now();
            let set = database.select(&selection);
            let time = start.elapsed();
            if votes.select(&selection) != set {
                return Err(format!("a vote of one database differs from it in {selection:?}").into());
            }
            println!(
                "  {:>9} IPv4 and {:>9} IPv6 prefixes in {:>4} ms: {} countries, {} regions{}",
                set.v4.len(),
                set.v6.len(),
                time.as_millis(),
                selection.countries.len(),
                selection.regions.len(),
                if selection.include_unknown { ", unknown" } else { "" }
            );
            sets.push((selection, set));
        }
        Ok(Self { sets })
    }

    /// How many of the sets say something else than the look-up.
    fn differences(&self, found: &geoip::Lookup, address: IpAddr) -> u64 {
        self.sets.iter().filter(|(selection, set)| found.is_in(selection) != set.contains(address)).count() as u64
    }
}

/// The shipped embargo, everything else, five allowed countries, unknown, and regions.
fn selections(database: &Database) -> Result<Vec<Selection>, Box<dyn Error>> {
    let set = |codes: &[&str]| codes.iter().map(|code| code.parse()).collect::<Result<CountrySet, _>>();
    let embargo = set(&["CU", "IR", "KP", "SY"])?;
    let half = CountrySet::all().iter().filter(|country| country.bytes()[1] % 2 == 0).collect();
    let regions: BTreeSet<Region> = database.places().1;
    Ok(vec![
        Selection::countries(embargo),
        Selection { include_unknown: true, ..Selection::countries(embargo.complement()) },
        Selection::countries(set(&["DE", "FR", "GB", "IE", "US"])?.complement()),
        Selection::countries(half),
        Selection::regions(["UA-43".parse()?, "UA-40".parse()?]),
        Selection::regions(regions.into_iter().step_by(2)),
    ])
}

/// Every boundary of the compiled prefixes against look-ups.
fn against_prefixes(database: Arc<Database>, random: u64) -> u64 {
    let start = Instant::now();
    println!("{} ({})", database.info().source, database.info().database_type);
    let compiled = match Compiled::new(&database) {
        Ok(compiled) => compiled,
        Err(error) => {
            println!("  {error}");
            return 1;
        }
    };
    let (mut asked, mut differences) = (0_u64, 0);
    for (_, set) in &compiled.sets {
        for network in set.networks() {
            for address in around(network.network(), network.broadcast()) {
                asked += 1;
                differences += compiled.differences(&database.lookup(address), address);
            }
        }
    }
    for address in random_addresses(random) {
        asked += 1;
        differences += compiled.differences(&database.lookup(address), address);
    }
    println!("  {asked} addresses asked, {differences} differences, {:.1} s", start.elapsed().as_secs_f64());
    differences
}

/// Every boundary of the file, and random addresses, against the reader.
fn against_reader(path: &Path, random: u64) -> Result<u64, Box<dyn Error>> {
    let start = Instant::now();
    let database = Arc::new(Database::open(path)?);
    println!("{} ({}), opened in {} ms", path.display(), database.info().database_type, start.elapsed().as_millis());
    let compiled = Compiled::new(&database)?;
    let reader = Reader::open_readfile(path)?;
    let mut tally = Tally::new(&database, &compiled, &reader);
    let (start, mut networks) = (Instant::now(), 0_u64);
    let options = WithinOptions::default().include_networks_without_data();
    for network in reader.networks(options)? {
        let network = network?.network()?;
        networks += 1;
        for address in around(network.network(), network.broadcast()) {
            tally.ask(address)?;
        }
    }
    for address in random_addresses(random) {
        tally.ask(address)?;
    }
    println!(
        "  {networks} networks, {} addresses asked ({} without a country by nature), {} differ from the reader, {} from \
         prefixes, {:.1} s",
        tally.asked,
        tally.special,
        tally.from_reader,
        tally.from_prefixes,
        start.elapsed().as_secs_f64()
    );
    Ok(tally.from_reader + tally.from_prefixes)
}

struct Tally<'a> {
    database: &'a Database,
    compiled: &'a Compiled,
    reader: &'a Reader<Vec<u8>>,
    /// The reader's countries by the offset of their record.
    told: HashMap<usize, Option<Country>>,
    v4_only: bool,
    asked: u64,
    special: u64,
    from_reader: u64,
    from_prefixes: u64,
}

impl<'a> Tally<'a> {
    fn new(database: &'a Database, compiled: &'a Compiled, reader: &'a Reader<Vec<u8>>) -> Self {
        let v4_only = reader.metadata().ip_version == 4;
        let told = HashMap::new();
        Self { database, compiled, reader, told, v4_only, asked: 0, special: 0, from_reader: 0, from_prefixes: 0 }
    }

    fn ask(&mut self, address: IpAddr) -> Result<(), Box<dyn Error>> {
        self.asked += 1;
        let found = self.database.lookup(address);
        self.from_prefixes += self.compiled.differences(&found, address);
        if found.coverage == Coverage::Special {
            self.special += 1;
            self.from_reader += u64::from(found.country.is_some());
        } else if found.country != self.reader_says(address)? {
            self.from_reader += 1;
        }
        Ok(())
    }

    fn reader_says(&mut self, address: IpAddr) -> Result<Option<Country>, Box<dyn Error>> {
        if self.v4_only && address.is_ipv6() {
            return Ok(None);
        }
        let result = self.reader.lookup(address)?;
        let Some(offset) = result.offset() else { return Ok(None) };
        if let Some(told) = self.told.get(&offset) {
            return Ok(*told);
        }
        let told = result.decode::<Told<'_>>()?.and_then(|told| told.country());
        self.told.insert(offset, told);
        Ok(told)
    }
}

/// First, last, one before and one after.
fn around(first: IpAddr, last: IpAddr) -> Vec<IpAddr> {
    match (first, last) {
        (IpAddr::V4(first), IpAddr::V4(last)) => {
            let (first, last) = (first.to_bits(), last.to_bits());
            let bits = [Some(first), Some(last), first.checked_sub(1), last.checked_add(1)];
            bits.into_iter().flatten().map(|bits| Ipv4Addr::from_bits(bits).into()).collect()
        }
        (first, last) => {
            let bits = |address: IpAddr| match address {
                IpAddr::V4(ip) => ip.to_ipv6_mapped().to_bits(),
                IpAddr::V6(ip) => ip.to_bits(),
            };
            let (first, last) = (bits(first), bits(last));
            let bits = [Some(first), Some(last), first.checked_sub(1), last.checked_add(1)];
            bits.into_iter().flatten().map(|bits| Ipv6Addr::from_bits(bits).into()).collect()
        }
    }
}

/// Half of IPv4, half of announced IPv6 (2000::/3), always the same ones: a generator without a dependency (SplitMix64).
fn random_addresses(count: u64) -> impl Iterator<Item = IpAddr> {
    let mut state = 0_u64;
    let mut next = move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    (0..count).map(move |index| {
        if index % 2 == 0 {
            IpAddr::V4(Ipv4Addr::from_bits((next() >> 32) as u32))
        } else {
            let bits = u128::from(next()) << 64 | u128::from(next());
            IpAddr::V6(Ipv6Addr::from_bits(bits >> 3 | 1 << 125))
        }
    })
}
