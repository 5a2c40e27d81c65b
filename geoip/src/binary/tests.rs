//! Round trips, damage, and arbitrary bytes.

use proptest::prelude::*;

use super::*;
use crate::table::Table;

fn country(text: &str) -> Option<Country> {
    Some(text.parse().unwrap())
}

fn sample() -> Unencoded {
    Unencoded {
        database_type: "sample".into(),
        build: 1_790_138_131,
        v4: vec![(0x0100_0000, country("AU")), (0x0100_0100, None), (0xcb00_7100, country("IR")), (0xcb00_71ff, None)],
        v6: vec![(0x2001_0db8 << 96, country("KP")), (u128::MAX, country("AU"))],
    }
}

fn named<A: Address>(table: &Table<A>, records: &Records) -> Vec<(A, Option<Country>)> {
    table.ranges().map(|range| (range.first, records.get(range.record).country)).collect()
}

/// Puts a right digest behind a body, so that the decoder sees the body.
fn seal(body: &[u8]) -> Vec<u8> {
    let mut bytes = [&MAGIC[..], body].concat();
    let digest = Sha256::digest(&bytes);
    bytes.extend(digest);
    bytes
}

#[test]
fn what_is_encoded_is_decoded() {
    let parsed = decode(&encode(&sample())).unwrap();
    assert_eq!((parsed.database_type.as_str(), parsed.build, parsed.networks), ("sample", 1_790_138_131, 4));
    let v4 = named(&parsed.v4.finish(), &parsed.records);
    assert!(sample().v4.iter().all(|range| v4.contains(range)), "{v4:?}");
    let v6 = parsed.v6.finish();
    assert_eq!(parsed.records.get(v6.find(0x2001_0db8 << 96).record).country, country("KP"));
}

#[test]
fn every_single_damaged_byte_and_every_truncation_is_refused() {
    let whole = encode(&sample());
    for position in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[position] ^= 0x10;
        assert!(decode(&damaged).is_err(), "byte {position}");
        assert!(decode(&whole[..position]).is_err(), "{position} bytes");
    }
}

#[test]
fn each_kind_of_damage_is_told() {
    let header = |countries: &[u8], v4: u8, v6: u8, ranges: &[u8]| {
        let mut body = vec![1, 0, 0, (countries.len() / 2) as u8];
        body.extend(countries);
        body.extend([v4, v6]);
        body.extend(ranges);
        decode(&seal(&body)).err()
    };
    assert_eq!(decode(b"not a database").err(), Some(Damage::Magic));
    assert_eq!(decode(&seal(&[2])).err(), Some(Damage::Version(2)));
    assert_eq!(header(b"IR", 1, 1, &[1, 0]), None);
    assert_eq!(header(b"I1", 1, 1, &[0, 0]), Some(Damage::Country(*b"I1")));
    assert_eq!(header(b"IR", 1, 1, &[2, 0]), Some(Damage::Number("a country")));
    assert_eq!(header(b"IR", 1, 1, &[1]), Some(Damage::Short("a country")));
    assert_eq!(header(b"IR", 1, 1, &[1, 0, 0]), Some(Damage::LeftOver(1)));
    assert_eq!(header(b"IR", 2, 1, &[0, 32, 1, 0]), Some(Damage::Beyond { family: "IPv4" }));
    assert_eq!(header(b"IR", 1, 2, &[0, 0, 0xff, 1, 1]), Some(Damage::Number("a distance")));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        let _ = decode(&bytes);
        let _ = decode(&seal(&bytes));
        let _ = decode(&seal(&[&[1, 0, 0, 1, b'I', b'R', 3, 3], &bytes[..]].concat()));
    }

    #[test]
    fn arbitrary_ranges_survive_a_round_trip(
        v4 in prop::collection::btree_map(any::<u32>(), 0_u8..4, 0..40),
        v6 in prop::collection::btree_map(any::<u128>(), 0_u8..4, 0..40),
    ) {
        let code = |n: u8| ["IR", "CU", "KP"].get(usize::from(n)).and_then(|code| code.parse().ok());
        let data = Unencoded {
            database_type: "random".into(),
            build: 0,
            v4: v4.into_iter().map(|(start, n)| (start, code(n))).collect(),
            v6: v6.into_iter().map(|(start, n)| (start, code(n))).collect(),
        };
        let parsed = decode(&encode(&data)).unwrap();
        let (v4, v6) = (parsed.v4.finish(), parsed.v6.finish());
        for (start, country) in data.v4 {
            let record = v4.find(start).record;
            prop_assert!(record == crate::table::SPECIAL || parsed.records.get(record).country == country);
        }
        for (start, country) in data.v6 {
            let record = v6.find(start).record;
            prop_assert!(record == crate::table::SPECIAL || parsed.records.get(record).country == country);
        }
    }
}
