//! Several databases and the three rules, and that prefixes and single answers agree.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use crate::support::{countries, country, csv, ip};
use geoip::{Coverage, Database, Opinion, Region, Selection, VoteRule, Votes};
use proptest::prelude::*;

const RULES: [VoteRule; 3] = [VoteRule::Primary, VoteRule::Any, VoteRule::Majority];

fn votes(databases: &[Database], rule: VoteRule) -> Votes {
    Votes::new(databases.iter().cloned().map(Arc::new).collect(), rule).unwrap()
}

fn codes(opinion: &Opinion) -> Vec<String> {
    opinion.countries.iter().map(ToString::to_string).collect()
}

#[test]
fn the_rule_says_what_counts() {
    let databases = [
        csv("vote-1.csv", "1.0.0.0,1.0.0.255,IR\n1.0.1.0,1.0.1.255,IR\n1.0.3.0,1.0.3.255,DE\n"),
        csv("vote-2.csv", "1.0.0.0,1.0.0.255,IR\n1.0.1.0,1.0.1.255,FR\n1.0.3.0,1.0.3.255,FR\n"),
        csv("vote-3.csv", "1.0.0.0,1.0.0.255,IR\n1.0.1.0,1.0.1.255,FR\n1.0.2.0,1.0.2.255,IR\n"),
    ];
    let expected = [
        ("1.0.0.1", [vec!["IR"], vec!["IR"], vec!["IR"]]),
        ("1.0.1.1", [vec!["IR"], vec!["FR", "IR"], vec!["FR"]]),
        ("1.0.2.1", [vec![], vec!["IR"], vec![]]),
        ("1.0.3.1", [vec!["DE"], vec!["DE", "FR"], vec![]]),
        ("10.0.0.1", [vec![], vec![], vec![]]),
    ];
    for (address, by_rule) in expected {
        for (rule, expected) in RULES.into_iter().zip(by_rule) {
            assert_eq!(codes(&votes(&databases, rule).lookup(ip(address))), expected, "{address} {rule}");
        }
    }
    let any = votes(&databases, VoteRule::Any);
    let opinion = any.lookup(ip("1.0.1.1"));
    assert_eq!(
        opinion.votes.iter().map(|vote| vote.lookup.country).collect::<Vec<_>>(),
        [Some(country("IR")), Some(country("FR")), Some(country("FR"))]
    );
    assert!(opinion.is_split() && !any.lookup(ip("1.0.2.1")).is_split());
    assert_eq!(opinion.prefix.to_string(), "1.0.1.0/24");
    // An allow-list of France blocks what any database puts elsewhere.
    assert!(opinion.is_in(&Selection::countries(countries(&["FR"]).complement())));
    assert_eq!(any.lookup(ip("10.0.0.1")).coverage, Coverage::Special);
}

#[test]
fn a_database_is_asked_only_what_it_can_tell() {
    let v4 = csv("able-v4.csv", "1.0.0.0,1.0.0.255,UA\n");
    let v6 = csv("able-v6.csv", "2001:db8::,2001:db8::ffff,IR\n");
    let city = csv("able-city.csv", "1.0.0.0,1.0.0.255,RU,UA-43\n");
    let crimea: Region = "UA-43".parse().unwrap();
    for rule in RULES {
        let both = votes(&[v4.clone(), v6.clone()], rule);
        assert_eq!(codes(&both.lookup(ip("2001:db8::1"))), ["IR"], "{rule}");
        assert_eq!(codes(&both.lookup(ip("1.0.0.1"))), ["UA"], "{rule}");
        assert!(!both.tells(crimea));
        // The country is the first one's to say, the region is not.
        let with_city = votes(&[v4.clone(), city.clone()], rule);
        assert_eq!(with_city.lookup(ip("1.0.0.1")).regions, [crimea], "{rule}");
        assert!(with_city.tells(crimea));
        assert!(with_city.select(&Selection::regions([crimea])).contains(ip("1.0.0.9")));
        assert_eq!(with_city.lookup(ip("2001:db8::1")).coverage, Coverage::NoIpv6);
    }
    assert_eq!(codes(&votes(&[v4, city], VoteRule::Primary).lookup(ip("1.0.0.1"))), ["UA"]);
    assert!(Votes::new(Vec::new(), VoteRule::Any).is_err());
}

#[test]
fn one_database_under_any_rule_is_that_database() {
    let embedded = Database::embedded().unwrap();
    let set = countries(&["CU", "IR", "KP", "SY"]);
    for rule in RULES {
        let one = votes(std::slice::from_ref(&embedded), rule);
        assert_eq!(one.select(&Selection::countries(set)), embedded.prefixes(&set, false), "{rule}");
    }
}

#[test]
fn rules_have_names() {
    for rule in RULES {
        assert_eq!(rule.to_string().parse(), Ok(rule));
    }
    let error = "most".parse::<VoteRule>().unwrap_err().to_string();
    assert!(error.contains("\"most\"") && error.contains("majority"), "{error}");
}

/// What a database of random 1/8 parts of 203.0.113.0/24 says: a country or region for each part.
const SAID: [&str; 5] = ["IR", "CU", "DE", "UA,UA-43", "RU,UA-43"];

fn build(name: &str, parts: &[usize]) -> Database {
    // A line elsewhere, since a database without any country is refused.
    let mut lines = "9.0.0.0,9.0.0.255,US\n".to_owned();
    for (part, said) in parts.iter().enumerate().filter(|(_, said)| **said < SAID.len()) {
        let first = part * 32;
        writeln!(lines, "203.0.113.{first},203.0.113.{},{}", first + 31, SAID[*said]).unwrap();
    }
    csv(name, &lines)
}

/// The rule by its words, for one database's answer after another.
fn counts<P: PartialEq + Copy>(rule: VoteRule, votes: &[Option<P>], place: P) -> bool {
    let agreeing = votes.iter().filter(|vote| **vote == Some(place)).count();
    match rule {
        VoteRule::Primary => votes.first() == Some(&Some(place)),
        VoteRule::Any => agreeing > 0,
        VoteRule::Majority => 2 * agreeing > votes.len(),
    }
}

fn by_words(databases: &[Database], rule: VoteRule, selection: &Selection, address: IpAddr) -> bool {
    let answers: Vec<_> = databases.iter().map(|database| database.lookup(address)).collect();
    let named: Vec<_> = answers.iter().map(|answer| answer.country).collect();
    let with_regions = databases.iter().zip(&answers).filter(|(database, _)| database.info().has_regions());
    let regions: Vec<_> = with_regions.map(|(_, answer)| answer.region).collect();
    let known: Vec<_> = ["IR", "CU", "DE", "UA", "RU", "US"].map(country).to_vec();
    let counting = || known.iter().filter(|code| counts(rule, &named, **code));
    counting().any(|code| selection.countries.contains(*code))
        || selection.regions.iter().any(|region| counts(rule, &regions, *region))
        || (selection.include_unknown && counting().count() == 0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn prefixes_and_single_answers_agree_with_the_rule(
        said in prop::collection::vec(prop::collection::vec(0_usize..7, 8), 1..5),
        include_unknown: bool, with_region: bool, which in 0_usize..3,
    ) {
        let databases: Vec<Database> =
            said.iter().enumerate().map(|(index, parts)| build(&format!("random-vote-{index}.csv"), parts)).collect();
        let set = [countries(&["IR"]), countries(&["IR", "CU", "UA"]), countries(&["DE"]).complement()][which];
        let regions = with_region.then(|| "UA-43".parse().unwrap()).into_iter().collect();
        let selection = Selection { countries: set, regions, include_unknown };
        for rule in RULES {
            let votes = votes(&databases, rule);
            let prefixes = votes.select(&selection);
            // The middle of every part, its edges, and both sides of the whole.
            let inside = (0..256_u32).filter(|last| [0, 16, 31].contains(&(last % 32))).map(|last| 0xcb00_7100 + last);
            for bits in inside.chain([0xcb00_70ff, 0xcb00_7200, 0x0900_0000, 0x0a00_0000]) {
                let address = IpAddr::V4(Ipv4Addr::from_bits(bits));
                let expected = bits != 0x0a00_0000 && by_words(&databases, rule, &selection, address);
                prop_assert_eq!(prefixes.contains(address), expected, "{} {} {:?}", address, rule, selection);
                prop_assert_eq!(votes.lookup(address).is_in(&selection), expected, "{} {}", address, rule);
            }
        }
    }
}
