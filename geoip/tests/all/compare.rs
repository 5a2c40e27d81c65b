//! What a new database changes, and what is refused.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use crate::support::{country, csv, write};
use geoip::{Accept, Amount, Database, GeoError, Place, Refusal, compare};
use proptest::prelude::*;

const OLD: &str = "1.0.0.0,1.0.0.99,CU\n2.0.0.0,2.0.3.255,IR\n2001:db8::,2001:db8:9:ffff:ffff:ffff:ffff:ffff,IR\n";
/// Later than every file was written.
const NOW: u64 = 1_700_001_000;

/// A file that says it was built so many seconds after 1,700,000,000.
fn dated(name: &str, lines: &str, seconds: u64) -> PathBuf {
    let path = write(name, lines);
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds);
    std::fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
    path
}

fn open(name: &str, lines: &str, seconds: u64) -> Database {
    Database::open_at(&dated(name, lines, seconds), NOW).unwrap()
}

#[test]
fn addresses_and_prefixes_are_counted_by_country() {
    let old = open("count-old.csv", OLD, 0);
    let lines = "1.0.0.10,1.0.0.109,CU\n2.0.0.0,2.0.2.255,IR\n2.0.3.0,2.0.3.255,TR\n2001:db8::,2001:db8:9:ffff:ffff:ffff:ffff:ffff,IR\n";
    let comparison = compare(&old, &open("count-new.csv", lines, 1));
    let of = |code| *comparison.changes.iter().find(|change| change.place == Place::Country(country(code))).unwrap();
    let cuba = of("CU").v4;
    assert_eq!((cuba.old, cuba.new, cuba.gained, cuba.lost), (100, 100, 10, 10));
    // 1.0.0.0/29 and 1.0.0.8/31; 1.0.0.100/30, 1.0.0.104/30 (as /29 it would start before) and 1.0.0.108/31.
    assert_eq!((cuba.lost_prefixes, cuba.gained_prefixes), (2, 3));
    assert_eq!((of("TR").v4.gained, of("IR").v4.lost, comparison.moved_v4), (256, 256, 256));
    assert_eq!((of("IR").v6.old, of("IR").v6.gained, of("IR").v6.lost), (10 << 80, 0, 0));
    let total = comparison.total_v4;
    assert_eq!((total.old, total.new, total.gained, total.lost), (1124, 1124, 10, 10));
    assert!(!of("IR").v6.eq(&of("IR").v4) && of("CU").is_any());
    // A quarter of Iran's IPv4 went to Turkey.
    assert!(comparison.refusal().is_some());
}

#[test]
fn a_country_that_shrinks_by_a_fifth_refuses_the_file() {
    let old = open("shrink-old.csv", OLD, 0);
    let kept = |last: &str| OLD.replace("1.0.0.99", last);
    assert_eq!(compare(&old, &open("shrink-19.csv", &kept("1.0.0.80"), 1)).refusal(), None);
    let refusal = compare(&old, &open("shrink-20.csv", &kept("1.0.0.79"), 1)).refusal().unwrap();
    assert!(matches!(refusal, Refusal::Shrunk { place: Place::Country(_), others: 0, .. }));
    let text = refusal.to_string();
    assert!(text.starts_with("CU shrinks from 100 IPv4 addresses to 80 IPv4 addresses."), "{text}");
    assert!(text.contains("fetch it again") && text.contains("accept it explicitly"), "{text}");
    // Growing is never refused.
    assert_eq!(compare(&open("shrink-rev.csv", &kept("1.0.0.9"), 0), &old).refusal(), None);
}

#[test]
fn a_family_that_is_lost_refuses_the_file() {
    let old = open("family-old.csv", OLD, 0);
    let v4: String = OLD.lines().take(2).map(|line| format!("{line}\n")).collect();
    let text = compare(&old, &open("family-new.csv", &v4, 1)).refusal().unwrap().to_string();
    assert!(text.starts_with("IR shrinks from 10 IPv6 /48 networks to 0 IPv6 /64 networks."), "{text}");
}

#[test]
fn a_region_under_embargo_that_is_lost_refuses_the_file_and_others_do_not() {
    let lines = "1.0.0.0,1.0.0.255,UA,UA-40\n1.0.1.0,1.0.1.255,UA,UA-30\n";
    let old = open("region-old.csv", lines, 0);
    let text = compare(&old, &open("no-sevastopol.csv", &lines.replace("UA-40", ""), 1)).refusal().unwrap().to_string();
    assert!(text.starts_with("UA-40 shrinks from 256 IPv4 addresses to 0"), "{text}");
    assert_eq!(compare(&old, &open("no-kyiv.csv", &lines.replace("UA-30", ""), 1)).refusal(), None);
}

#[test]
fn a_successor_is_opened_compared_and_accepted_by_name() {
    let old = open("successor-old.csv", OLD, 100);
    let shrunken = dated("successor-shrunken.csv", &OLD.replace("1.0.0.99", "1.0.0.9"), 200);
    let older = dated("successor-older.csv", OLD, 0);
    let future = dated("successor-future.csv", OLD, 1_000_000);
    let refused = |path: &PathBuf| old.successor(path, NOW, &Accept::default()).unwrap_err();
    let error = refused(&shrunken);
    assert!(
        matches!(&error, GeoError::Refused { refusal, .. } if matches!(**refusal, Refusal::Shrunk { .. })),
        "{error}"
    );
    assert!(
        error.to_string().contains("successor-shrunken.csv") && error.to_string().contains("to 10 IPv4"),
        "{error}"
    );
    let error = refused(&older);
    assert!(
        matches!(&error, GeoError::Refused { refusal, .. } if matches!(**refusal, Refusal::Older { .. })),
        "{error}"
    );
    assert!(error.to_string().contains("built on 2023-11-14"), "{error}");
    assert!(matches!(refused(&future), GeoError::FutureBuild { .. }));

    let accept = Accept { shrunken: true, ..Accept::default() };
    assert!(old.successor(&shrunken, NOW, &accept).is_ok());
    assert!(old.successor(&older, NOW, &accept).is_err());
    assert!(old.successor(&older, NOW, &Accept { older: true, ..Accept::default() }).is_ok());
    assert!(old.successor(&future, NOW, &Accept { future: true, ..Accept::default() }).is_ok());
    assert!(old.successor(&dated("successor-same.csv", OLD, 100), NOW, &Accept::default()).is_ok());
}

#[test]
fn the_embedded_data_compared_with_itself_changes_nothing() {
    let database = Database::embedded().unwrap();
    let comparison = compare(&database, &database);
    assert_eq!(comparison.refusal(), None);
    assert!(comparison.changes.iter().all(|change| !change.is_any()));
    assert_eq!(comparison.changes.iter().map(|change| change.v4.old).sum::<u128>(), comparison.total_v4.old);
    assert!(comparison.total_v4.old > 3_000_000_000 && comparison.total_v6.old > 1 << 105);
    let empty = csv("tiny.csv", "1.0.0.0,1.0.0.255,US\n");
    let gone = compare(&database, &empty);
    assert_eq!(gone.shrunken().filter(|(place, ..)| *place == Place::Country(country("KP"))).count(), 2);
}

/// A database of random 1/16 parts of 203.0.113.0/24 and 2001:db8::/32.
fn parts(name: &str, parts: &[usize]) -> Database {
    let mut lines = "9.0.0.0,9.0.0.255,US\n".to_owned();
    for (part, code) in
        parts.iter().enumerate().filter_map(|(part, said)| Some((part, ["IR", "CU", "UA,UA-43"].get(*said)?)))
    {
        lines += &format!("203.0.113.{},203.0.113.{},{code}\n", part * 16, part * 16 + 15);
        lines += &format!("2001:db8:{part:x}000::,2001:db8:{part:x}fff:ffff:ffff:ffff:ffff:ffff,{code}\n");
    }
    csv(name, &lines)
}

fn mirrored(amount: Amount) -> Amount {
    Amount {
        old: amount.new,
        new: amount.old,
        gained: amount.lost,
        lost: amount.gained,
        gained_prefixes: amount.lost_prefixes,
        lost_prefixes: amount.gained_prefixes,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_counted_adds_up_and_is_the_same_backwards(
        old in prop::collection::vec(0_usize..4, 16), new in prop::collection::vec(0_usize..4, 16),
    ) {
        let (old_base, new_base) = (parts("sum-old.csv", &old), parts("sum-new.csv", &new));
        let (forth, back) = (compare(&old_base, &new_base), compare(&new_base, &old_base));
        for (change, other) in forth.changes.iter().zip(&back.changes) {
            for (amount, other) in [(change.v4, other.v4), (change.v6, other.v6)] {
                prop_assert_eq!(amount.old + amount.gained - amount.lost, amount.new);
                prop_assert_eq!(mirrored(amount), other);
            }
        }
        let moved = old.iter().zip(&new).filter(|(old, new)| old != new && **old < 3 && **new < 3).count() as u128;
        prop_assert_eq!((forth.moved_v4, forth.moved_v6), (moved * 16, moved << 92));
        let iran = |said: &[usize]| said.iter().filter(|code| **code == 0).count() as u128;
        let change = forth.changes.iter().find(|change| change.place == Place::Country(country("IR")));
        let change = change.map_or((0, 0), |change| (change.v4.old, change.v4.new));
        prop_assert_eq!(change, (iran(&old) * 16, iran(&new) * 16));
    }
}
