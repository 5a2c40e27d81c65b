//! MMDB files made here: every schema, trees of unusual shape, and hostile ones.

use crate::support::mmdb::{Builder, Target, Value, database, map, text};
use crate::support::{countries, country, ip, write};
use geoip::{Coverage, Database, GeoError, Schema};

/// 203.0.113.0, left-aligned.
const LAB: u128 = 0xcb00_7100 << 96;
/// 2001:db8::, left-aligned.
const LAB6: u128 = 0x2001_0db8 << 96;

fn open(name: &str, builder: &Builder) -> Result<Database, GeoError> {
    Database::open(&write(name, builder.finish()))
}

fn iso(code: &str) -> Value {
    map(&[("country", map(&[("iso_code", text(code))]))])
}

#[test]
fn each_schema_is_detected_and_read() {
    let cases = [
        ("iso_code.mmdb", iso("IR"), Schema::CountryIsoCode),
        ("country_code.mmdb", map(&[("country_code", text("IR"))]), Schema::CountryCode),
        ("country.mmdb", map(&[("country", text("IR"))]), Schema::CountryString),
        ("name.mmdb", map(&[("country", text("Iran")), ("country_code", text("IR"))]), Schema::CountryCode),
    ];
    for (name, record, schema) in cases {
        let database = open(name, &database(4, &[(LAB, 24, record)])).unwrap();
        assert_eq!(database.info().schema, schema, "{name}");
        let found = database.lookup(ip("203.0.113.9"));
        assert_eq!((found.country, found.prefix.to_string().as_str()), (Some(country("IR")), "203.0.113.0/24"));
        assert_eq!(database.lookup(ip("203.0.112.255")).coverage, Coverage::Unknown);
    }
}

#[test]
fn a_v4_only_file_cannot_say_anything_about_v6() {
    let v4 = open("v4-only.mmdb", &database(4, &[(LAB, 24, iso("IR"))])).unwrap();
    assert_eq!(v4.lookup(ip("2001:db8::1")).coverage, Coverage::NoIpv6);
    assert_eq!(v4.lookup(ip("fe80::1")).coverage, Coverage::Special);
    assert!(v4.prefixes(&countries(&["IR"]), false).v6.is_empty());
    assert!(v4.prefixes(&countries(&["IR"]), true).contains(ip("2001:db8::1")));

    let v6 = open("v6-only.mmdb", &database(6, &[(LAB6, 32, iso("KP"))])).unwrap();
    assert_eq!(v6.lookup(ip("203.0.113.1")).coverage, Coverage::NoIpv4);
    assert_eq!(v6.lookup(ip("2001:db8::1")).country, Some(country("KP")));
    assert_eq!(v6.lookup(ip("2001:db9::1")).coverage, Coverage::Unknown);
}

#[test]
fn the_v4_part_of_a_v6_tree_is_v4_and_its_aliases_are_not_v6() {
    let mut builder = database(6, &[(0xcb00_7100, 120, iso("IR")), (LAB6, 32, iso("KP"))]);
    // 2002::/16 leads to where ::/96 leads.
    let mut v4_root = 0;
    for _ in 0..96 {
        let Target::Node(next) = builder.nodes[v4_root][0] else { panic!("the IPv4 tree starts at depth 96") };
        v4_root = next;
    }
    builder.insert(0x2002 << 112, 16, Target::Node(v4_root));
    let database = open("aliases.mmdb", &builder).unwrap();
    assert_eq!((database.info().v4_entries, database.info().v6_entries), (1, 1));
    assert_eq!(database.lookup(ip("203.0.113.1")).country, Some(country("IR")));
    assert_eq!(database.lookup(ip("2002:cb00:7101::")).coverage, Coverage::Special);
    assert_eq!(database.lookup(ip("::203.0.113.1")).coverage, Coverage::Special);
}

#[test]
fn a_network_around_the_v4_part_is_what_v4_look_ups_find() {
    // The reader's default walk takes 3000::/4 for an alias here and leaves it out.
    let builder = database(6, &[(0, 64, iso("CU")), (0x3 << 124, 4, iso("CU")), (LAB6, 32, iso("KP"))]);
    let database = open("no-v4-tree.mmdb", &builder).unwrap();
    assert_eq!(database.lookup(ip("203.0.113.1")).country, Some(country("CU")));
    assert_eq!(database.lookup(ip("3000::1")).country, Some(country("CU")));
    assert_eq!(database.lookup(ip("10.0.0.1")).coverage, Coverage::Special);
}

#[test]
fn records_that_are_wrong_anywhere_refuse_the_file() {
    let wrong = [
        ("long-code.mmdb", iso("IRN"), "\"IRN\" is not a country code"),
        ("number.mmdb", map(&[("country_code", Value::U32(7))]), "is no text"),
        ("name-only.mmdb", map(&[("country", text("Iran"))]), "\"Iran\" is not a country code"),
    ];
    for (name, record, part) in wrong {
        let error = open(name, &database(4, &[(LAB, 24, iso("IR")), (1 << 120, 24, record)])).unwrap_err().to_string();
        assert!(error.contains(part) && error.contains(name) && error.contains("1.0.0.0/24"), "{error}");
    }

    // The record of one network is cut short by a string that runs past the end of the data.
    let mut builder = database(4, &[(LAB, 24, iso("IR"))]);
    let target = Target::Data(builder.data.len());
    builder.data.extend([7 << 5 | 1, 2 << 5 | 28]);
    builder.insert(1 << 120, 24, target);
    let error = open("short-string.mmdb", &builder).unwrap_err().to_string();
    assert!(error.contains("in the record of 1.0.0.0/24"), "{error}");
}

#[test]
fn codes_for_no_country_are_unknown_and_not_errors() {
    let records = [(LAB, 24, iso("IR")), (1 << 120, 24, iso("A1")), (2 << 120, 24, iso("ZZ")), (3 << 120, 24, iso(""))];
    let database = open("placeholders.mmdb", &database(4, &records)).unwrap();
    for address in ["1.0.0.1", "2.0.0.1", "3.0.0.1"] {
        assert_eq!(database.lookup(ip(address)).coverage, Coverage::Unknown, "{address}");
    }
}

#[test]
fn a_country_that_is_only_registered_or_represented_is_never_matched() {
    let place = |code| map(&[("iso_code", text(code))]);
    let record = map(&[("registered_country", place("FR")), ("represented_country", place("IR"))]);
    let database = open("represented.mmdb", &database(4, &[(LAB, 24, record), (1 << 120, 24, iso("DE"))])).unwrap();
    let found = database.lookup(ip("203.0.113.1"));
    assert_eq!((found.country, found.coverage), (None, Coverage::Unknown));
    assert_eq!((found.registered, found.represented), (Some(country("FR")), Some(country("IR"))));
    assert!(!database.prefixes(&countries(&["IR", "FR"]), false).contains(ip("203.0.113.1")));
    assert!(database.prefixes(&countries(&["IR"]), true).contains(ip("203.0.113.1")));
}

#[test]
fn a_build_date_in_the_future_is_refused_with_a_day_of_leeway() {
    let mut builder = database(4, &[(LAB, 24, iso("IR"))]);
    builder.build = 1_700_000_000;
    let path = write("future.mmdb", builder.finish());
    assert!(Database::open_at(&path, 1_700_000_000 - 86_400).is_ok());
    let error = Database::open_at(&path, 1_700_000_000 - 86_401).unwrap_err();
    assert!(matches!(error, GeoError::FutureBuild { days_ahead: 2, .. }), "{error}");
}

#[test]
fn a_file_without_networks_is_empty() {
    let error = open("empty.mmdb", &Builder::new(4)).unwrap_err();
    assert!(matches!(error, GeoError::Empty { .. }), "{error}");
}

#[test]
fn a_part_that_the_root_does_not_lead_to_refuses_the_file() {
    let mut builder = database(4, &[(LAB, 24, iso("IR")), (1 << 120, 24, iso("KP"))]);
    // Cuts 0.0.0.0/1 off, and with it 1.0.0.0/24.
    builder.nodes[0][0] = Target::Nothing;
    let error = open("cut-off.mmdb", &builder).unwrap_err();
    assert!(matches!(error, GeoError::CutOff { .. }), "{error}");
}

#[test]
fn a_loop_in_the_tree_is_refused() {
    let mut builder = database(4, &[(LAB, 24, iso("IR"))]);
    builder.nodes[1][0] = Target::Node(0);
    let error = open("loop.mmdb", &builder).unwrap_err().to_string();
    assert!(error.contains("walking its networks") && error.contains("cycle"), "{error}");
}
