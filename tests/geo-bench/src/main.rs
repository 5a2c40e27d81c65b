//! Cost of the country table in the kernel, beside an LPM trie that holds the same sets and a plain hash look-up.
//!
//! Needs root; attaches nothing: programs are test-run (`BPF_PROG_TEST_RUN`), so the figures are those of the real JIT. Figures
//! are nanoseconds a look-up, the surroundings taken off; what counts are the ratios within one run.
//!
//! Invariant: all programs see the same addresses, drawn evenly from those that have a country.

mod programs;
mod sample;

use std::{collections::BTreeSet, time::Instant};

use anyhow::{Context as _, Result};
use geoip::{Classes, Country, CountrySet, Database, TableImage};
use sentinel_common::{
    address::Address,
    geo::{ClassRules, class_of},
    verdict::Entry,
};

use programs::Programs;

fn main() -> Result<()> {
    let database = Database::embedded()?;
    let start = Instant::now();
    let classes = Classes::new(&[&database], &[])?;
    let image = TableImage::new(&classes);
    let built = start.elapsed();
    let mut programs = Programs::load()?;
    let start = Instant::now();
    programs.install(&image)?;
    println!(
        "Country table, all of {}: {:.1} MiB in the kernel ({} nodes, {} runs, {} tails), built in {built:.0?}, installed in {:.0?}\n",
        database.info().database_type,
        mebibytes(image.bytes()),
        image.nodes.len(),
        image.runs.len(),
        image.tails.len(),
        start.elapsed(),
    );
    let (v4, v6) = (sample::v4(&database), sample::v6(&database));
    for (title, samples, is_v4) in [("IPv4", &v4, true), ("IPv6", &v6, false)] {
        family(&mut programs, &database, &classes, title, samples, is_v4)?;
    }
    worst(&mut programs, &classes, &image)
}

/// The table of one family: a row for each set.
fn family(
    programs: &mut Programs,
    database: &Database,
    classes: &Classes,
    title: &str,
    samples: &[Address],
    is_v4: bool,
) -> Result<()> {
    programs.samples(samples)?;
    let hash = programs.time("bench_hash")?;
    println!("{title}, mean over addresses drawn evenly from those with a country; hash look-up {hash:.1} ns");
    println!(
        "{:<22} {:>9} {:>8} {:>9} {:>8} {:>10} {:>10}",
        "blocked", "table ns", "of hash", "trie ns", "of hash", "prefixes", "trie MiB"
    );
    for (name, set) in sets(classes) {
        programs.rules(&rules(classes, &set))?;
        let table = programs.time("bench_geo")?;
        let prefixes = database.prefixes(&set, false);
        let count = if is_v4 { prefixes.v4.len() } else { prefixes.v6.len() };
        programs.tries(&prefixes, is_v4)?;
        let trie = programs.time(if is_v4 { "bench_lpm4" } else { "bench_lpm6" })?;
        println!(
            "{name:<22} {table:>9.1} {:>8.2} {trie:>9.1} {:>8.2} {count:>10} {:>10.1}",
            table / hash,
            trie / hash,
            mebibytes(count * TRIE_NODE),
        );
    }
    println!();
    Ok(())
}

/// Kernel memory of one prefix in an LPM trie, bytes (two nodes, as measured).
const TRIE_NODE: usize = 128;

/// The longest way through the table.
fn worst(programs: &mut Programs, classes: &Classes, image: &TableImage) -> Result<()> {
    let deepest = sample::deepest(classes, image);
    let first = deepest.first().context("the table has no divided /64")?;
    println!("Longest way, to {} addresses like {}:", deepest.len(), std::net::Ipv6Addr::from(first.octets()));
    programs.samples(&deepest)?;
    let (table, hash) = (programs.time("bench_geo")?, programs.time("bench_hash")?);
    println!("table {table:.1} ns, hash {hash:.1} ns, ratio {:.2}", table / hash);
    debug_assert!(class_of(image, *first).is_some());
    Ok(())
}

/// The sets of the table: so many countries, the largest ones first, and the same number left out.
fn sets(classes: &Classes) -> Vec<(String, CountrySet)> {
    let known: BTreeSet<Country> = classes.facts.iter().filter_map(|facts| facts.sayings[0].country).collect();
    let all: Vec<Country> = known.into_iter().collect();
    let embargoed = ["CU", "IR", "KP", "SY"];
    let (mut first, rest): (Vec<Country>, Vec<Country>) = all.iter().partition(|c| embargoed.contains(&c.as_str()));
    // Spread over the alphabet, so that large and small ones are among the first twenty.
    let step = |index: usize| (index * 97) % rest.len().max(1);
    first.extend((0..rest.len()).map(|index| rest[step(index)]));
    let mut sets = Vec::new();
    for count in [4, 20, 100, first.len()] {
        let (listed, others) = first.split_at(count);
        sets.push((format!("{count} countries"), listed.iter().copied().collect()));
        sets.push((format!("all but {count}"), others.iter().copied().collect()));
    }
    sets
}

/// What a policy that blocks the set says of each class: a rule of its own for each country.
fn rules(classes: &Classes, set: &CountrySet) -> Vec<ClassRules> {
    let rule = |(number, facts): (usize, &geoip::ClassFacts)| {
        let listed = facts.sayings[0].country.is_some_and(|country| set.contains(country));
        let mut rules = ClassRules::default();
        if listed {
            rules.block[0] = Entry { rule: number as u32 + 1, hook: sentinel_common::hook::ANY, ..Entry::NONE };
        }
        rules
    };
    classes.facts.iter().enumerate().map(rule).collect()
}

fn mebibytes(bytes: usize) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
