//! Lists of one's own, and databases of AS numbers.

use std::path::PathBuf;

use crate::support::{ip, scratch, testdata, write};
use std::sync::Arc;

use geoip::embargo::{self, Action};
use geoip::{AsnDatabase, Database, GeoError, List, VoteRule, Votes};

const NOW: u64 = 1_795_000_000;

fn asn() -> AsnDatabase {
    AsnDatabase::open_at(&testdata("test-data/GeoLite2-ASN-Test.mmdb"), NOW).unwrap()
}

#[test]
fn a_database_of_as_numbers_turns_them_into_prefixes() {
    let asn = asn();
    // 1.128.0.0/11 is what the test file has for AS 1221.
    assert_eq!(asn.lookup(ip("1.128.0.1")), Some(1221));
    assert_eq!(asn.lookup(ip("10.0.0.1")), None);
    let telstra = asn.prefixes(&[1221].into());
    assert!(telstra.contains(ip("1.128.0.0")) && telstra.contains(ip("1.159.255.255")));
    assert!(!telstra.contains(ip("1.127.255.255")) && !telstra.contains(ip("1.160.0.0")));
    for network in telstra.networks() {
        assert_eq!(asn.lookup(network.network()), Some(1221), "{network}");
        assert_eq!(asn.lookup(network.broadcast()), Some(1221), "{network}");
    }
    assert!(asn.tells(1221) && !asn.tells(64_500) && asn.count() > 10);
    assert_eq!(asn.info().database_type, "GeoLite2-ASN");
}

#[test]
fn what_has_no_as_numbers_is_refused_as_such() {
    let error = AsnDatabase::open_at(&testdata("test-data/GeoIP2-Country-Test.mmdb"), NOW).unwrap_err();
    assert!(
        matches!(&error, GeoError::NoAsNumber { database_type, .. } if database_type == "GeoIP2-Country"),
        "{error}"
    );
    let error = AsnDatabase::open_at(&write("no-asn.csv", "1.0.0.0,1.0.0.255,IR\n"), NOW).unwrap_err();
    assert!(matches!(error, GeoError::NoAsNumber { .. }), "{error}");
    let enterprise = AsnDatabase::open_at(&testdata("test-data/GeoIP2-Enterprise-Test.mmdb"), NOW).unwrap();
    assert_eq!(enterprise.lookup(ip("1.124.213.1")), Some(44_244));
}

#[test]
fn a_list_is_networks_addresses_and_what_as_numbers_announce() {
    let path = write("own.list", "# ours\n203.0.113.0/24\n198.51.100.7 # one host\n\n2001:db8::/32\nAS1221\nAS64500\n");
    let list = List::open(&path).unwrap();
    assert_eq!((list.networks().len(), list.names_as(), list.sha256.len()), (3, true, 64));
    let found = list.prefixes(Some(&asn())).unwrap();
    for address in ["203.0.113.255", "198.51.100.7", "2001:db8::1", "1.128.0.1"] {
        assert!(found.prefixes.contains(ip(address)), "{address}");
    }
    assert!(!found.prefixes.contains(ip("198.51.100.8")));
    assert_eq!(found.silent, [(64_500, 7)]);

    let errors = list.prefixes(None).unwrap_err();
    assert_eq!(errors.0.iter().map(|error| error.line).collect::<Vec<_>>(), [Some(6), Some(7)]);
    assert!(errors.to_string().contains("own.list:6: AS numbers need a database"), "{errors}");
}

#[test]
fn a_list_is_added_to_a_programme() {
    let list = List::open(&write("partner.list", "203.0.113.0/24\n2001:db8::/32\n")).unwrap();
    let mut un = embargo::shipped().unwrap().into_iter().find(|programme| programme.id == "un").unwrap();
    un.add("partner".to_owned(), &list, list.prefixes(None).unwrap().prefixes);
    let day = "2026-11-22".parse().unwrap();
    let votes = Votes::new(vec![Arc::new(Database::embedded().unwrap())], VoteRule::Primary).unwrap();
    let blocked = un.prefixes(&votes, day, Action::Block);
    assert!(blocked.contains(ip("203.0.113.9")) && blocked.contains(ip("175.45.176.1")));
    assert!(!blocked.contains(ip("198.51.100.1")) && un.prefixes(&votes, day, Action::Alert).is_empty());
    let data = embargo::data(&[un], day);
    assert_eq!(data["un"]["cidrs"].to_string(), r#"["203.0.113.0/24","2001:db8::/32"]"#);
    assert_eq!(data["un"]["lists"][0]["id"], "partner");
    assert_eq!(data["un"]["lists"][0]["version"], list.sha256.as_str());
}

#[test]
fn every_wrong_line_is_told_with_its_file_and_number() {
    let errors =
        List::open(&write("wrong.list", "203.0.113.0/24\n10.0.0.0/8\nexample.org\n203.0.113.1/24\n")).unwrap_err();
    let text = errors.to_string();
    assert_eq!(errors.0.len(), 3);
    for part in
        ["wrong.list:2: 10.0.0.0/8 has no country", "wrong.list:3: \"example.org\"", "wrong.list:4: 203.0.113.1/24"]
    {
        assert!(text.contains(part), "{text}");
    }
    let cases: [(PathBuf, &str); 3] = [
        (scratch("missing.list"), "cannot be read"),
        (write("empty.list", "# nothing\n"), "the list has no entry"),
        (write("binary.list", [0xff, 0xfe]), "no text in UTF-8"),
    ];
    for (path, part) in cases {
        let text = List::open(&path).unwrap_err().to_string();
        assert!(text.contains(part), "{text}");
    }
}
