//! Hand-made DNS messages, byte by byte.

use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;
use sentinel_common::address::Address;

use super::{ADDRESSES, LIFE, Malformed, Names};

const SECOND: u64 = 1_000_000_000;
const A: u16 = 1;
const CNAME: u16 = 5;
const AAAA: u16 = 28;
/// A compression pointer to the name of the question.
const ASKED: &[u8] = &[0xc0, 12];

fn name(text: &str) -> Vec<u8> {
    let labels = text
        .split('.')
        .filter(|label| !label.is_empty())
        .flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat());
    labels.chain([0]).collect()
}

fn header(questions: u16, answers: u16) -> Vec<u8> {
    let mut bytes = vec![0x12, 0x34, 0x81, 0x80];
    [questions, answers, 0, 0].iter().for_each(|count| bytes.extend(count.to_be_bytes()));
    bytes
}

fn question(text: &str) -> Vec<u8> {
    [name(text), vec![0, 1, 0, 1]].concat()
}

fn record(owner: &[u8], kind: u16, seconds: u32, data: &[u8]) -> Vec<u8> {
    let mut bytes = owner.to_vec();
    bytes.extend(kind.to_be_bytes());
    bytes.extend(1_u16.to_be_bytes());
    bytes.extend(seconds.to_be_bytes());
    bytes.extend((data.len() as u16).to_be_bytes());
    bytes.extend(data);
    bytes
}

fn message(asked: &str, records: &[Vec<u8>]) -> Vec<u8> {
    [header(1, records.len() as u16), question(asked), records.concat()].concat()
}

fn v4(last: u8) -> Address {
    Address::from_v4(Ipv4Addr::new(203, 0, 113, last).into())
}

fn a(owner: &[u8], seconds: u32, last: u8) -> Vec<u8> {
    record(owner, A, seconds, &[203, 0, 113, last])
}

fn known(names: &mut Names, address: Address, now: u64) -> Option<String> {
    names.of(address, now).map(|name| name.to_string())
}

#[test]
fn addresses_of_both_families_are_named() {
    let mut names = Names::default();
    let v6 = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7).octets();
    let bytes = message("WWW.Example.com", &[a(ASKED, 300, 1), record(ASKED, AAAA, 300, &v6)]);
    names.learn(&bytes, false, 0).unwrap();
    for address in [v4(1), Address::from_octets(v6)] {
        assert_eq!(known(&mut names, address, SECOND).as_deref(), Some("www.example.com"));
    }
    assert_eq!(known(&mut names, v4(2), SECOND), None);
}

#[test]
fn a_translated_ipv4_address_is_the_ipv4_address() {
    let mut names = Names::default();
    let nat64 = [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, 203, 0, 113, 9];
    names.learn(&message("six.example", &[record(ASKED, AAAA, 300, &nat64)]), false, 0).unwrap();
    assert_eq!(known(&mut names, v4(9), 0).as_deref(), Some("six.example"));
}

#[test]
fn aliases_lead_to_the_name_that_was_asked_for_in_whatever_order() {
    let mut names = Names::default();
    let alias = |from: &[u8], to: &str| record(from, CNAME, 200, &name(to));
    let records = [
        a(&name("EDGE.cdn.example"), 300, 1),
        alias(&name("mid.example"), "edge.cdn.example"),
        alias(ASKED, "mid.example"),
        a(&name("unrelated.example"), 300, 2),
    ];
    names.learn(&message("shop.example", &records), false, 0).unwrap();
    assert_eq!(known(&mut names, v4(1), 0).as_deref(), Some("shop.example"));
    assert_eq!(known(&mut names, v4(1), 201 * SECOND), None, "the alias held for 200 seconds");
    assert_eq!(known(&mut names, v4(2), 0), None);
}

#[test]
fn aliases_in_a_circle_end() {
    let mut names = Names::default();
    let circle = [record(ASKED, CNAME, 60, &name("b.example")), record(&name("b.example"), CNAME, 60, ASKED)];
    names.learn(&message("a.example", &circle), false, 0).unwrap();
}

#[test]
fn life_is_clamped() {
    let mut names = Names::default();
    names.learn(&message("a.example", &[a(ASKED, 0, 1), a(ASKED, u32::MAX, 2)]), false, 0).unwrap();
    let (least, most) = (u64::from(LIFE.0) * SECOND, u64::from(LIFE.1) * SECOND);
    assert!(known(&mut names, v4(1), least).is_some() && known(&mut names, v4(1), least + 1).is_none());
    assert!(known(&mut names, v4(2), most).is_some() && known(&mut names, v4(2), most + 1).is_none());
}

#[test]
fn the_last_answer_names_an_address() {
    let mut names = Names::default();
    for asked in ["first.example", "second.example"] {
        names.learn(&message(asked, &[a(ASKED, 60, 1)]), false, 0).unwrap();
    }
    assert_eq!(known(&mut names, v4(1), 0).as_deref(), Some("second.example"));
}

#[test]
fn what_is_not_asked_for_goes_first() {
    let mut names = Names::default();
    let one = |number: u32| message("a.example", &[record(ASKED, A, 60, &number.to_be_bytes())]);
    for number in 0..ADDRESSES.get() as u32 {
        names.learn(&one(number), false, 0).unwrap();
    }
    assert!(names.of(Address::from_v4(0), 0).is_some());
    names.learn(&one(u32::MAX), false, 0).unwrap();
    assert!(names.of(Address::from_v4(0), 0).is_some() && names.of(Address::from_v4(1), 0).is_none());
    assert_eq!(names.addresses.len(), ADDRESSES.get());
}

#[test]
fn odd_names_are_escaped() {
    let mut names = Names::default();
    names.learn(&message("a\"\\ \n\u{e9}.b-_1", &[a(ASKED, 60, 1)]), false, 0).unwrap();
    assert_eq!(known(&mut names, v4(1), 0).as_deref(), Some("a\\034\\092\\032\\010\\195\\169.b-_1"));
    let long = message(&"\u{1}".repeat(63), &[a(ASKED, 60, 2)]);
    names.learn(&long, false, 0).unwrap();
    let longer = message(&format!("{0}.{0}", "\u{1}".repeat(40)), &[a(ASKED, 60, 3)]);
    assert_eq!(names.learn(&longer, false, 0), Err(Malformed::Name));
    names.learn(&message("", &[a(ASKED, 60, 4)]), false, 0).unwrap();
    assert_eq!(known(&mut names, v4(4), 0), None, "the root is no name");
}

#[test]
fn malformed_messages_change_nothing() {
    let good = message("a.example", &[a(ASKED, 60, 1), a(ASKED, 60, 2)]);
    let with = |change: fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        bytes
    };
    let to_itself = record(&[0xc0, 27], A, 60, &[203, 0, 113, 3]);
    assert_eq!([header(1, 1), question("a.example")].concat().len(), 27, "where the first record starts");
    let cases: [(&str, Vec<u8>); 9] = [
        ("query", with(|b| b[2] &= 0x7f)),
        ("error", with(|b| b[3] |= 3)),
        ("update", with(|b| b[2] |= 5 << 3)),
        ("more records than there are", with(|b| b[7] = 200)),
        ("two questions", with(|b| b[5] = 2)),
        ("no question", [header(0, 1), a(&name("a.example"), 60, 1)].concat()),
        ("a pointer to itself", [header(1, 1), question("a.example"), to_itself].concat()),
        ("a pointer past the end", message("a.example", &[a(&[0xff, 0xff], 60, 1)])),
        ("an address of three bytes", message("a.example", &[a(ASKED, 60, 1), record(ASKED, A, 60, &[1, 2, 3])])),
    ];
    let mut names = Names::default();
    for (what, bytes) in cases {
        assert!(names.learn(&bytes, false, 0).is_err(), "{what}");
    }
    for end in 0..good.len() {
        assert!(names.learn(&good[..end], false, 0).is_err(), "{end}");
    }
    assert_eq!(names.addresses.len(), 0);
}

#[test]
fn of_a_cut_message_what_is_whole_is_taken() {
    let mut names = Names::default();
    let bytes = message("a.example", &[a(ASKED, 60, 1), a(ASKED, 60, 2)]);
    names.learn(&bytes[..bytes.len() - 1], true, 0).unwrap();
    assert!(names.of(v4(1), 0).is_some() && names.of(v4(2), 0).is_none());
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..1500), cut: bool) {
        let _ = Names::default().learn(&bytes, cut, 0);
    }

    /// The same behind a header that is right, so that names and records are reached.
    #[test]
    fn arbitrary_records_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600), answers: u16, cut: bool) {
        let bytes = [header(1, answers), question("a.example"), bytes].concat();
        let _ = Names::default().learn(&bytes, cut, u64::MAX);
    }

    /// A good message with some bytes changed: pointers and lengths that nearly fit.
    #[test]
    fn changed_messages_never_panic(changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let v6 = Ipv6Addr::LOCALHOST.octets();
        let records = [record(ASKED, CNAME, 60, &name("b.example")), a(&name("b.example"), 60, 1), record(ASKED, AAAA, 60, &v6)];
        let mut bytes = message("a.example", &records);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = Names::default().learn(&bytes, false, 0);
    }
}
