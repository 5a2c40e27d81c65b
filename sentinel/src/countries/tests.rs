//! What rules say of classes and of single addresses, with one database and with several.

use std::{fs, net::IpAddr};

use geoip::{CountrySet, Saying, VoteRule};

use super::*;

fn facts(country: Option<&str>, special: bool) -> ClassFacts {
    let country = country.map(|code| code.parse().unwrap());
    ClassFacts { special, sayings: vec![Saying { country, covered: true, ..Saying::default() }], lists: 0 }
}

fn set(codes: &[&str]) -> CountrySet {
    codes.iter().map(|code| code.parse::<geoip::Country>().unwrap()).collect()
}

fn of(codes: &[&str]) -> Selection {
    Selection::countries(set(codes))
}

fn unknown() -> Selection {
    Selection { include_unknown: true, ..Selection::default() }
}

fn entry(rule: u32, flags: u8, limits: u16, expires: u64) -> Entry {
    Entry { rule, flags, limits, expires, ..Entry::NONE }
}

fn embedded() -> Votes {
    Votes::new(vec![Arc::new(Database::embedded().unwrap())], VoteRule::Primary).unwrap()
}

fn csv(name: &str, text: &str) -> Arc<Database> {
    let path = std::env::temp_dir().join(format!("sentinel-countries-{}-{name}.csv", std::process::id()));
    fs::write(&path, text).unwrap();
    let database = Database::open(&path).unwrap();
    fs::remove_file(path).unwrap();
    Arc::new(database)
}

fn address(text: &str) -> Address {
    match text.parse::<IpAddr>().unwrap() {
        IpAddr::V4(v4) => Address::from_v4(v4.into()),
        IpAddr::V6(v6) => Address::from_octets(v6.octets()),
    }
}

fn blocks(rules: &[(Selection, Entry)], facts: &ClassFacts) -> Vec<u32> {
    let rules = CountryRules { exempt: Vec::new(), block: rules.to_vec() };
    let found = rules.of_classes(&embedded(), std::slice::from_ref(facts)).unwrap();
    found[0].block.iter().map(|entry| entry.rule).filter(|rule| *rule != 0).collect()
}

#[test]
fn selections() {
    let (iran, france) = (facts(Some("IR"), false), facts(Some("FR"), false));
    let (nowhere, special) = (facts(None, false), facts(None, true));
    let everything = [
        (of(&["IR"]), entry(1, 0, 0, 0)),
        (Selection::countries(set(&["IR"]).complement()), entry(2, 0, 0, 0)),
        (unknown(), entry(3, 0, 0, 0)),
    ];
    for (facts, expected) in [(iran, vec![1]), (france, vec![2]), (nowhere, vec![3]), (special, vec![])] {
        assert_eq!(blocks(&everything, &facts), expected, "{facts:?}");
    }
}

#[test]
fn the_strongest_comes_first_and_hides_what_it_makes_needless() {
    let iran = facts(Some("IR"), false);
    let rule = |number, flags, limits, expires| (of(&["IR"]), entry(number, flags, limits, expires));
    let rules = [rule(1, flag::MONITOR, 0, 0), rule(2, 0, 1, 0), rule(3, 0, 2, 50)];
    assert_eq!(blocks(&rules, &iran), [2, 3, 1]);
    assert_eq!(blocks(&[&rules[..], &[rule(4, 0, 0, 0)]].concat(), &iran), [4]);
}

#[test]
fn too_many_rules_on_one_country_are_an_error() {
    let block = (1..=4).map(|rule| (of(&["IR"]), entry(rule, 0, 1, 0))).collect();
    let rules = CountryRules { exempt: Vec::new(), block };
    assert_eq!(rules.of_classes(&embedded(), &[facts(Some("IR"), false)]), Err(vec![1, 2, 3, 4]));
    assert!(rules.of_classes(&embedded(), &[facts(Some("FR"), false)]).is_ok());
}

#[test]
fn addresses_that_have_no_country_by_nature_meet_no_rule() {
    let everything =
        [Selection::countries(CountrySet::all()), unknown()].map(|selection| (selection, entry(1, 0, 0, 0)));
    let rules = CountryRules { exempt: Vec::new(), block: everything.to_vec() };
    let verdicts = CountryVerdicts { rules, geo: Arc::new(embedded()) };
    for (text, rule) in [
        ("10.0.0.1", 0),
        ("127.0.0.1", 0),
        ("169.254.169.254", 0),
        ("fd00::1", 0),
        ("fe80::1", 0),
        ("8.8.8.8", 1),
        ("203.0.113.1", 1),
        ("2001:db8::1", 1),
    ] {
        assert_eq!(verdicts.rules_on(address(text)).block[0].rule, rule, "{text}");
    }
}

/// The kernel goes by classes, user space by look-ups; both by the vote rule.
#[test]
fn several_databases_block_by_the_rule_and_both_sides_agree() {
    let one = csv("one", "203.0.113.0,203.0.113.63,IR\n203.0.113.64,203.0.113.127,FR,UA-43\n");
    let two = csv("two", "203.0.113.32,203.0.113.95,IR\n203.0.113.96,203.0.113.127,FR\n");
    let crimea: geoip::Region = "UA-43".parse().unwrap();
    let block = vec![(of(&["IR"]), entry(1, 0, 1, 0)), (Selection::regions([crimea]), entry(2, 0, 1, 0))];
    let rules = CountryRules { exempt: Vec::new(), block };
    let expected = [
        (VoteRule::Primary, [[1, 0], [1, 0], [2, 0], [2, 0]]),
        (VoteRule::Any, [[1, 0], [1, 0], [1, 2], [2, 0]]),
        (VoteRule::Majority, [[0, 0], [1, 0], [2, 0], [2, 0]]),
    ];
    for (rule, expected) in expected {
        let votes = Arc::new(Votes::new(vec![one.clone(), two.clone()], rule).unwrap());
        let (table, _) = ClassTable::build(&votes).unwrap();
        let classes = Classes::new(&[&one, &two], &[]).unwrap();
        assert_eq!(classes.facts, table.facts);
        let by_class = rules.of_classes(&votes, &table.facts).unwrap();
        let verdicts = CountryVerdicts { rules: rules.clone(), geo: votes.clone() };
        for last in 0..=255_u32 {
            let ip = std::net::Ipv4Addr::from_bits(0xcb00_7100 | last);
            let class = classes.v4[classes.v4.partition_point(|(start, _)| *start <= ip.to_bits()) - 1].1;
            let of_class = by_class[usize::from(class)];
            assert_eq!(of_class, verdicts.rules_on(address(&ip.to_string())), "{ip} {rule}");
            let numbers = [of_class.block[0].rule, of_class.block[1].rule];
            assert_eq!(numbers, *expected.get(last as usize / 32).unwrap_or(&[0, 0]), "{ip} {rule}");
        }
    }
}
