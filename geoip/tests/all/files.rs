//! What opening each test file gives: one table, and a row for every file.

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use crate::support::{countries, country, ip, testdata};
use geoip::{AsnDatabase, CountrySet, Coverage, Database, GeoError, Schema, Selection};
use maxminddb::Reader;

/// What opening a file must give.
#[derive(Debug, PartialEq)]
enum Expected {
    /// IPv4 and IPv6 entries.
    Loaded(usize, usize),
    /// The variant of the error, and a part of its text.
    Refused(&'static str, &'static str),
}

use Expected::{Loaded, Refused};

const FILES: [(&str, Expected); 16] = [
    ("bad-data/libmaxminddb/libmaxminddb-corrupt-search-tree.mmdb", Refused("CutOff", "of the 100 nodes")),
    ("bad-data/libmaxminddb/libmaxminddb-deep-nesting.mmdb", Refused("Mmdb", "nested more than 32 deep")),
    (
        "bad-data/libmaxminddb/libmaxminddb-oversized-map.mmdb",
        Refused("Mmdb", "maximum number of data structure values"),
    ),
    ("bad-data/libmaxminddb/libmaxminddb-uint64-max-epoch.mmdb", Refused("Mmdb", "build_epoch")),
    ("bad-data/maxminddb-golang/cyclic-data-structure.mmdb", Refused("Mmdb", "metadata")),
    ("bad-data/maxminddb-golang/invalid-bytes-length.mmdb", Refused("Mmdb", "metadata")),
    ("bad-data/maxminddb-golang/unexpected-bytes.mmdb", Refused("Mmdb", "metadata")),
    ("bad-data/maxminddb-python/bad-unicode-in-map-key.mmdb", Refused("Mmdb", "invalid location")),
    ("test-data/GeoIP2-Country-Test.mmdb", Loaded(14, 228)),
    ("test-data/GeoIP2-Enterprise-Test.mmdb", Loaded(18, 4)),
    ("test-data/GeoLite2-ASN-Test.mmdb", Refused("NoCountry", "GeoLite2-ASN")),
    ("test-data/GeoLite2-City-Test.mmdb", Loaded(8, 227)),
    ("test-data/MaxMind-DB-no-ipv4-search-tree.mmdb", Refused("NoCountry", "No IPv4 Search Tree")),
    ("test-data/MaxMind-DB-test-broken-pointers-24.mmdb", Refused("Mmdb", "1.1.1.16/28")),
    ("test-data/MaxMind-DB-test-ipv4-24.mmdb", Refused("NoCountry", "type Test")),
    ("test-data/MaxMind-DB-test-mixed-28.mmdb", Refused("NoCountry", "type Test")),
];

/// Later than every test file was built.
const NOW: u64 = 1_795_000_000;

#[test]
fn every_file_has_the_outcome_it_must_have() {
    for (name, expected) in &FILES {
        match (Database::open_at(&testdata(name), NOW), expected) {
            (Ok(database), Loaded(v4, v6)) => {
                let info = database.info();
                assert_eq!(
                    (info.v4_entries, info.v6_entries, info.schema),
                    (*v4, *v6, Schema::CountryIsoCode),
                    "{name}"
                );
            }
            (Err(error), Refused(variant, part)) => check_error(name, &error, variant, part),
            (outcome, expected) => panic!("{name}: {outcome:?} instead of {expected:?}"),
        }
    }
}

fn check_error(name: &str, error: &GeoError, variant: &str, part: &str) {
    let (kind, text) = (format!("{error:?}"), error.to_string());
    assert!(kind.starts_with(variant), "{name}: {kind} instead of {variant}");
    assert!(text.contains(part) && text.contains(name) && text.ends_with('.'), "{name}: {text}");
}

/// What is refused for having no country is no AS database either, except the one that is.
#[test]
fn only_files_with_as_numbers_open_as_databases_of_them() {
    for (name, _) in &FILES {
        let with_numbers = ["test-data/GeoLite2-ASN-Test.mmdb", "test-data/GeoIP2-Enterprise-Test.mmdb"].contains(name);
        let opened = AsnDatabase::open_at(&testdata(name), NOW);
        assert_eq!(opened.is_ok(), with_numbers, "{name}: {opened:?}");
        if let Err(error) = opened {
            assert!(error.to_string().contains(name), "{error}");
        }
    }
}

#[test]
fn no_file_is_without_a_row() {
    let mut found = BTreeSet::new();
    for folder in ["bad-data", "test-data"] {
        collect(&testdata(folder), &mut found);
    }
    let listed: BTreeSet<PathBuf> = FILES.iter().map(|(name, _)| testdata(name)).collect();
    assert_eq!(found, listed);
}

fn collect(folder: &Path, found: &mut BTreeSet<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else {
            found.insert(path);
        }
    }
}

#[test]
fn countries_are_matched_and_registered_countries_are_only_recorded() {
    let database = Database::open_at(&testdata("test-data/GeoIP2-Enterprise-Test.mmdb"), NOW).unwrap();
    for (address, code) in [("1.124.213.1", "IR"), ("1.231.232.1", "UA")] {
        let found = database.lookup(ip(address));
        assert_eq!((found.country, found.coverage), (Some(country(code)), Coverage::Known), "{address}");
        assert!(found.prefix.contains(&ip(address)));
    }

    let database = Database::open_at(&testdata("test-data/GeoIP2-Country-Test.mmdb"), NOW).unwrap();
    let reader = Reader::open_readfile(testdata("test-data/GeoIP2-Country-Test.mmdb")).unwrap();
    let mut differing = 0;
    for network in reader.networks(maxminddb::WithinOptions::default()).unwrap() {
        let network = network.unwrap();
        let record: maxminddb::geoip2::Country<'_> = network.decode().unwrap().unwrap();
        let found = database.lookup(network.network().unwrap().ip());
        if found.coverage != Coverage::Special {
            assert_eq!(found.country, record.country.iso_code.map(country));
            assert_eq!(found.registered, record.registered_country.iso_code.map(country));
            assert_eq!(found.represented, record.represented_country.iso_code.map(country));
            differing += usize::from(found.country != found.registered);
        }
    }
    assert!(differing > 0, "the test file has networks that are registered elsewhere");
}

#[test]
fn every_boundary_of_every_file_gives_the_reader_s_own_answer() {
    for (name, expected) in &FILES {
        if !matches!(expected, Loaded(..)) {
            continue;
        }
        let database = Database::open_at(&testdata(name), NOW).unwrap();
        let reader = Reader::open_readfile(testdata(name)).unwrap();
        let selections = selections(&database);
        let sets: Vec<_> = selections.iter().map(|selection| database.select(selection)).collect();
        let mut compared = 0;
        for network in reader.networks(maxminddb::WithinOptions::default().include_networks_without_data()).unwrap() {
            let network = network.unwrap().network().unwrap();
            for address in neighbours(network.network(), network.broadcast()) {
                compared += usize::from(compare(&database, &reader, address));
                for (selection, set) in selections.iter().zip(&sets) {
                    assert_eq!(database.lookup(address).is_in(selection), set.contains(address), "{name}: {address}");
                }
            }
        }
        assert!(compared > 500, "{name}: only {compared} addresses compared");
    }
}

/// Sets that cut through the file in different ways: some countries, the others, unknown, and every second region.
fn selections(database: &Database) -> [Selection; 5] {
    let (all, regions) = database.places();
    let some: CountrySet = all.iter().step_by(2).collect();
    [
        Selection::countries(some),
        Selection::countries(some.complement()),
        Selection { include_unknown: true, ..Selection::default() },
        Selection::regions(regions.into_iter().step_by(2)),
        Selection { include_unknown: true, ..Selection::countries(countries(&["GB"])) },
    ]
}

/// First, last, one before and one after.
fn neighbours(first: IpAddr, last: IpAddr) -> Vec<IpAddr> {
    match (first, last) {
        (IpAddr::V4(first), IpAddr::V4(last)) => {
            let (first, last) = (first.to_bits(), last.to_bits());
            [first, last, first.wrapping_sub(1), last.wrapping_add(1)].map(|bits| IpAddr::V4(bits.into())).to_vec()
        }
        (IpAddr::V6(first), IpAddr::V6(last)) => {
            let (first, last) = (first.to_bits(), last.to_bits());
            [first, last, first.wrapping_sub(1), last.wrapping_add(1)].map(|bits| IpAddr::V6(bits.into())).to_vec()
        }
        _ => panic!("{first} and {last} are of different families"),
    }
}

/// False when the address has no country by nature, where the reader's answer does not count.
fn compare(database: &Database, reader: &Reader<Vec<u8>>, address: IpAddr) -> bool {
    let ours = database.lookup(address);
    if ours.coverage == Coverage::Special {
        assert_eq!(ours.country, None);
        return false;
    }
    let path = [maxminddb::PathElement::Key("country"), maxminddb::PathElement::Key("iso_code")];
    let theirs: Option<&str> = reader.lookup(address).unwrap().decode_path(&path).unwrap();
    assert_eq!(ours.country, theirs.map(country), "{address}");
    true
}
