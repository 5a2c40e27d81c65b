//! Regions: from MMDB files of cities in every schema, from CSV, and compiled to prefixes.

use crate::support::mmdb::{Value, database, map, text};
use crate::support::{countries, country, csv, ip, testdata, write};
use geoip::{Coverage, Database, Region, Selection};

/// Prefixes of 24 bits, left-aligned in 128.
fn net(third: u8) -> u128 {
    (0xcb00_0000 | u128::from(third) << 8) << 96
}

fn region(code: &str) -> Region {
    code.parse().unwrap()
}

fn subdivision(code: &str, name: &str) -> Value {
    map(&[("iso_code", text(code)), ("names", map(&[("en", text(name))]))])
}

fn nested(country: &str, subdivisions: Vec<Value>) -> Value {
    map(&[("country", map(&[("iso_code", text(country))])), ("subdivisions", Value::List(subdivisions))])
}

fn flat(country: &str, key: &str, name: &str) -> Value {
    map(&[("country_code", text(country)), (key, text(name))])
}

fn cities() -> Database {
    let records = [
        nested("UA", vec![subdivision("43", "Crimea")]),
        flat("RU", "state1", "Crimea"),
        flat("UA", "state1", "Sebastopol City"),
        flat("UA", "state1", "Kyiv City"),
        flat("UA", "region_code", "14"),
        nested("GB", vec![subdivision("ENG", "England"), subdivision("WBK", "West Berkshire")]),
        flat("UA", "region", "Luhansk"),
        map(&[("country_code", text("UA"))]),
    ];
    let networks: Vec<_> = records.into_iter().zip(0..).map(|(record, third)| (net(third), 24, record)).collect();
    Database::open(&write("cities.mmdb", database(4, &networks).finish())).unwrap()
}

#[test]
fn every_schema_of_regions_is_read() {
    let cities = cities();
    let expected =
        [Some("UA-43"), Some("UA-43"), Some("UA-40"), None, Some("UA-14"), Some("GB-ENG"), Some("UA-09"), None];
    for (third, code) in expected.into_iter().enumerate() {
        let found = cities.lookup(ip(&format!("203.0.{third}.1")));
        assert_eq!(found.region, code.map(region), "203.0.{third}.1");
    }
    let crimea = cities.lookup(ip("203.0.1.1"));
    assert_eq!((crimea.country, crimea.coverage), (Some(country("RU")), Coverage::Known));
    assert_eq!(cities.lookup(ip("203.0.5.1")).subregion, Some(region("GB-WBK")));
    assert_eq!(cities.info().regions, 6);
    assert!(cities.info().has_regions());
}

#[test]
fn regions_compile_to_prefixes_whatever_country_the_source_counts_them_to() {
    let cities = cities();
    let shown = |selection: &Selection| cities.select(selection).networks().map(|n| n.to_string()).collect::<Vec<_>>();
    assert_eq!(shown(&Selection::regions([region("UA-43")])), ["203.0.0.0/23"]);
    assert_eq!(shown(&Selection::regions([region("UA-43"), region("UA-40")])), ["203.0.0.0/23", "203.0.2.0/24"]);
    assert_eq!(shown(&Selection::regions([region("GB-WBK")])), ["203.0.5.0/24"]);
    let mixed = Selection { regions: [region("UA-40")].into(), ..Selection::countries(countries(&["GB"])) };
    assert_eq!(shown(&mixed), ["203.0.2.0/24", "203.0.5.0/24"]);
    assert!(shown(&Selection::regions([region("UA-65")])).is_empty());
}

#[test]
fn a_database_says_which_regions_it_tells() {
    let cities = cities();
    assert!(cities.tells(region("UA-43")) && cities.tells(region("GB-WBK")));
    // Kyiv is there, but by a name that is no code.
    assert!(!cities.tells(region("UA-30")));
    let plain = csv("no-regions.csv", "1.0.0.0,1.0.0.255,UA\n");
    assert!(!plain.info().has_regions() && !plain.tells(region("UA-43")));
    assert!(!Database::embedded().unwrap().info().has_regions());
}

#[test]
fn a_line_of_csv_may_name_a_region() {
    let lab = csv("lab-regions.csv", "203.0.113.0,203.0.113.255,UA,UA-43\n198.51.100.0,198.51.100.255,UA\n");
    assert_eq!(lab.lookup(ip("203.0.113.5")).region, Some(region("UA-43")));
    assert_eq!(lab.lookup(ip("198.51.100.5")).region, None);
}

#[test]
fn the_city_file_of_maxmind_has_regions_by_code() {
    let city = Database::open_at(&testdata("test-data/GeoLite2-City-Test.mmdb"), 1_795_000_000).unwrap();
    let england = city.lookup(ip("2.125.160.216"));
    assert_eq!((england.region, england.subregion), (Some(region("GB-ENG")), Some(region("GB-WBK"))));
    assert!(city.select(&Selection::regions([region("GB-WBK")])).contains(ip("2.125.160.216")));
    // The registered country is France, and nothing else of it.
    assert_eq!((england.country, england.registered), (Some(country("GB")), Some(country("FR"))));
}
