//! The format of Tor's `geoip` and `geoip6` files: lines `start,end,CC`, both ends included. A fourth field may be a region by
//! its ISO 3166-2 code, which Tor's files do not have.
//!
//! IPv4 addresses are decimal numbers or dotted, IPv6 addresses textual; one file may hold both, in any order. Blank lines
//! and lines that start with `#` are skipped. Invariant: a wrong line refuses the file, and the error gives its number.

use std::net::{IpAddr, Ipv4Addr};

use crate::address::Address;
use crate::country::Country;
use crate::info::Schema;
use crate::open::Parsed;
use crate::record::Record;
use crate::region::{Region, RegionError};
use crate::table::{RecordId, TableBuilder};

/// A line number, counted from 1, and what is wrong there.
type LineError = (usize, String);

/// A range as one line gives it.
struct Row<A> {
    first: A,
    last: A,
    record: RecordId,
    line: usize,
}

/// One line, read but not yet placed.
struct Line {
    first: IpAddr,
    last: IpAddr,
    country: Option<Country>,
    region: Option<Region>,
}

/// Reads the whole file; `modified` becomes the build date, since the format has none.
pub(crate) fn parse(bytes: &[u8], modified: u64) -> Result<Parsed, LineError> {
    let mut parsed = Parsed::new("csv".to_owned(), Schema::Csv, modified);
    let (mut v4, mut v6) = (Vec::new(), Vec::new());
    for (index, bytes) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let line = index + 1;
        let Some(Line { first, last, country, region }) = read_line(bytes).map_err(|what| (line, what))? else {
            continue;
        };
        let record = parsed.records.intern(Record { country, region, ..Record::default() });
        let record = record.map_err(|_| (line, "there are more countries than exist".to_owned()))?;
        match (first, last) {
            (IpAddr::V4(first), IpAddr::V4(last)) => {
                v4.push(Row { first: first.to_bits(), last: last.to_bits(), record, line });
            }
            (IpAddr::V6(first), IpAddr::V6(last)) => {
                v6.push(Row { first: first.to_bits(), last: last.to_bits(), record, line });
            }
            _ => return Err((line, format!("the range {first} to {last} mixes IPv4 and IPv6"))),
        }
        parsed.networks += 1;
    }
    place(v4, &mut parsed.v4)?;
    place(v6, &mut parsed.v6)?;
    Ok(parsed)
}

/// `None` for a line that says nothing.
fn read_line(bytes: &[u8]) -> Result<Option<Line>, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not text in UTF-8".to_owned())?;
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() || text.starts_with('#') {
        return Ok(None);
    }
    let fields: Vec<&str> = text.split(',').map(str::trim).collect();
    let (first, last, country, region) = match fields[..] {
        [first, last, country] => (first, last, country, ""),
        [first, last, country, region] => (first, last, country, region),
        _ => return Err(format!("{} comma-separated fields instead of 3 or 4", fields.len())),
    };
    let (first, last) = (address(first)?, address(last)?);
    if last < first {
        return Err(format!("the range ends at {last}, before it starts at {first}"));
    }
    let country = Country::from_database(country).map_err(|error| error.to_string())?;
    let region = if region.is_empty() { None } else { Some(region.parse().map_err(|e: RegionError| e.to_string())?) };
    Ok(Some(Line { first, last, country, region }))
}

fn address(text: &str) -> Result<IpAddr, String> {
    let number = || text.parse::<u32>().ok().map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits)));
    let address = text.parse().ok().or_else(number);
    address.ok_or_else(|| {
        let shown: String = text.chars().take(64).collect();
        format!("{shown:?} is no address; write IPv4 as a number or dotted, IPv6 as text")
    })
}

fn place<A: Address>(mut rows: Vec<Row<A>>, table: &mut TableBuilder<A>) -> Result<(), LineError> {
    rows.sort_by_key(|row| (row.first, row.line));
    let mut previous = 0;
    for Row { first, last, record, line } in rows {
        table.push(first, last, record).map_err(|_| overlap(previous, line))?;
        previous = line;
    }
    Ok(())
}

/// The later of the two lines is the one to look at.
fn overlap(one: usize, other: usize) -> LineError {
    (one.max(other), format!("the range overlaps the one of line {}", one.min(other)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn error(text: &str) -> LineError {
        parse(text.as_bytes(), 0).err().unwrap()
    }

    #[test]
    fn both_families_comments_and_blank_lines_mix_in_any_order() {
        let text =
            "\u{feff}# a comment\r\n\n2001:db8::,2001:db8::ffff,kp\r\n3405803776,3405804031,IR\n1.0.0.0,1.0.0.255,??\n";
        let parsed = parse(text.as_bytes(), 7).unwrap();
        assert_eq!((parsed.networks, parsed.build), (3, 7));
        let (v4, v6) = (parsed.v4.finish(), parsed.v6.finish());
        let iran = v4.find(3_405_803_776);
        assert_eq!((iran.first, iran.last), (3_405_803_776, 3_405_804_031));
        assert_eq!(parsed.records.get(iran.record).country, "IR".parse().ok());
        let korea = v6.find(0x2001_0db8_u128 << 96);
        assert_eq!(parsed.records.get(korea.record).country, "KP".parse().ok());
    }

    #[test]
    fn each_mistake_is_told_with_its_line() {
        let cases = [
            ("1,2", 1, "2 comma-separated fields"),
            ("\n1,2,IR,UA-43,x", 2, "5 comma-separated fields"),
            ("1,2,UA,Crimea", 1, "\"Crimea\" is not a region code"),
            ("1,2,IR\nhost,2,IR", 2, "\"host\" is no address"),
            ("1,4294967296,IR", 1, "\"4294967296\" is no address"),
            ("-1,2,IR", 1, "\"-1\" is no address"),
            ("2,1,IR", 1, "before it starts"),
            ("1.2.3.4,2001:db8::,IR", 1, "mixes IPv4 and IPv6"),
            ("1,2,Iran", 1, "\"Iran\" is not a country code"),
            ("10,20,IR\n30,40,IR\n20,25,CU", 3, "overlaps the one of line 1"),
            ("15,20,IR\n30,40,IR\n10,15,CU", 3, "overlaps the one of line 1"),
            ("10,20,IR\n10,20,IR", 2, "overlaps the one of line 1"),
        ];
        for (text, line, what) in cases {
            let (at, message) = error(text);
            assert_eq!(at, line, "{text:?}: {message}");
            assert!(message.contains(what), "{text:?}: {message}");
        }
        assert_eq!(parse(b"1,2,IR\n\xff\xfe", 0).err().unwrap().0, 2);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
            let _ = parse(&bytes, 0);
        }

        #[test]
        fn arbitrary_lines_never_panic(text in "([0-9.:a-f]{0,12},[0-9.:a-f]{0,12},[A-Za-z?-]{0,3}\n){0,8}") {
            let _ = parse(text.as_bytes(), 0);
        }
    }
}
