//! Sentinel's own compact format for country ranges: what the embedded data is stored in.
//!
//! Numbers are little-endian base-128 varints (`varint`). A file is, in this order:
//!
//! | part | content |
//! |---|---|
//! | magic | the 8 bytes of [`MAGIC`] |
//! | version | varint, 1 |
//! | build | varint, seconds since 1970 |
//! | type | varint length, then that many bytes of UTF-8 |
//! | countries | varint count, then two letters each, the most frequent first |
//! | counts | varint number of IPv4 ranges, varint number of IPv6 ranges, each at least 1 |
//! | IPv4, IPv6 | the ranges of each family |
//! | digest | SHA-256 of everything before it, 32 bytes |
//!
//! Ranges are contiguous. The first starts at address 0 and is only a country. Every other one is its distance from the start
//! before it, then its country. A distance is an odd number shifted left: one byte holds the shift, and its top bit says that
//! the odd number is not 1 and that half of it, rounded down, follows as a varint. Most ranges are powers of two, so one byte
//! is all they take. A country is a varint: 0 for unknown, else its place in the list, counted from 1.
//!
//! Invariant: decoding never panics, and accepts only files whose digest is right and that end where they should.

mod varint;

use std::cmp::Reverse;
use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::address::Address;
use crate::country::Country;
use crate::info::Schema;
use crate::open::Parsed;
use crate::record::{Record, Records};
use crate::table::{RecordId, TableBuilder, UNKNOWN};
use varint::{Cursor, put};

/// The first bytes of every file of this format.
pub const MAGIC: [u8; 8] = *b"SNTLGEO\n";

const VERSION: u128 = 1;
const DIGEST_LEN: usize = 32;
/// In a distance's first byte: the odd number is not 1.
const ODD_FOLLOWS: u8 = 0x80;

/// What is to be encoded: starts of ranges in ascending order, each with its country.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unencoded {
    /// What the database is called.
    pub database_type: String,
    /// When it was built, in seconds since 1970.
    pub build: u64,
    /// IPv4 ranges by their start.
    pub v4: Vec<(u32, Option<Country>)>,
    /// IPv6 ranges by their start.
    pub v6: Vec<(u128, Option<Country>)>,
}

/// Why a file was not decoded.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum Damage {
    #[error("it does not begin as a Sentinel geo database")]
    Magic,
    #[error("its format version is {0}, and this program reads version 1")]
    Version(u128),
    #[error("its contents do not match its SHA-256 digest")]
    Digest,
    #[error("it ends early, in {0}")]
    Short(&'static str),
    #[error("the number for {0} is out of range")]
    Number(&'static str),
    #[error("{0:?} is not a country code")]
    Country([u8; 2]),
    #[error("its {family} ranges go beyond the last address")]
    Beyond { family: &'static str },
    #[error("{0} bytes are left over behind the last range")]
    LeftOver(usize),
}

/// Encodes ranges; neighbours of the same country become one, and where two ranges start together the later one counts.
#[must_use]
pub fn encode(data: &Unencoded) -> Vec<u8> {
    let (v4, v6) = (normalise(&data.v4), normalise(&data.v6));
    let countries = by_frequency(v4.iter().filter_map(|range| range.1).chain(v6.iter().filter_map(|range| range.1)));
    let mut out = MAGIC.to_vec();
    put(&mut out, VERSION);
    put(&mut out, data.build.into());
    put(&mut out, data.database_type.len() as u128);
    out.extend(data.database_type.bytes());
    put(&mut out, countries.len() as u128);
    out.extend(countries.iter().flat_map(|country| country.bytes()));
    put(&mut out, v4.len() as u128);
    put(&mut out, v6.len() as u128);
    let numbers: BTreeMap<Country, u128> = countries.into_iter().zip(1..).collect();
    put_ranges(&mut out, &v4, &numbers);
    put_ranges(&mut out, &v6, &numbers);
    let digest = Sha256::digest(&out);
    out.extend(digest);
    out
}

/// Decodes a whole file.
pub(crate) fn decode(bytes: &[u8]) -> Result<Parsed, Damage> {
    let body = bytes.strip_prefix(&MAGIC).ok_or(Damage::Magic)?;
    let body_len = body.len().checked_sub(DIGEST_LEN).ok_or(Damage::Short("the digest"))?;
    let (content, digest) = bytes.split_at(MAGIC.len() + body_len);
    if Sha256::digest(content).as_slice() != digest {
        return Err(Damage::Digest);
    }
    decode_body(&body[..body_len])
}

/// Decodes what lies between magic and digest.
fn decode_body(body: &[u8]) -> Result<Parsed, Damage> {
    let mut cursor = Cursor::new(body);
    match cursor.varint("the version")? {
        VERSION => {}
        other => return Err(Damage::Version(other)),
    }
    let build = cursor.number("the build date")?;
    let name_len = cursor.number("the type")?;
    let name = String::from_utf8_lossy(cursor.take(name_len, "the type")?).into_owned();
    let mut parsed = Parsed::new(name, Schema::Binary, build);
    let ids = read_countries(&mut cursor, &mut parsed.records)?;
    let (v4, v6) = (cursor.number("the IPv4 count")?, cursor.number("the IPv6 count")?);
    parsed.networks = read_ranges(&mut cursor, v4, &ids, &mut parsed.v4, "IPv4")?;
    parsed.networks += read_ranges(&mut cursor, v6, &ids, &mut parsed.v6, "IPv6")?;
    match cursor.left() {
        0 => Ok(parsed),
        left => Err(Damage::LeftOver(left)),
    }
}

/// The record of every country number; number 0 is unknown.
fn read_countries(cursor: &mut Cursor<'_>, records: &mut Records) -> Result<Vec<RecordId>, Damage> {
    let count: usize = cursor.number("the country count")?;
    let letters = cursor.take(count.saturating_mul(2), "the countries")?;
    let mut ids = vec![UNKNOWN];
    for pair in letters.as_chunks::<2>().0 {
        let country = Country::from_bytes(*pair).ok_or(Damage::Country(*pair))?;
        let id = records.intern(Record { country: Some(country), ..Record::default() });
        ids.push(id.map_err(|_| Damage::Number("the country count"))?);
    }
    Ok(ids)
}

/// Reads one family; tells how many ranges have a country.
fn read_ranges<A: Address>(
    cursor: &mut Cursor<'_>,
    count: u64,
    ids: &[RecordId],
    table: &mut TableBuilder<A>,
    family: &'static str,
) -> Result<u64, Damage> {
    let beyond = Damage::Beyond { family };
    let mut known = 0;
    let mut start = A::MIN;
    let mut record = read_country(cursor, ids)?;
    for _ in 1..count {
        known += u64::from(record != UNKNOWN);
        let distance = read_distance(cursor)?;
        let next = start.advance(distance).ok_or_else(|| beyond.clone())?;
        let last = next.previous().ok_or_else(|| beyond.clone())?;
        table.push(start, last, record).map_err(|_| beyond.clone())?;
        start = next;
        record = read_country(cursor, ids)?;
    }
    table.push(start, A::MAX, record).map_err(|_| beyond)?;
    Ok(known + u64::from(record != UNKNOWN))
}

fn read_country(cursor: &mut Cursor<'_>, ids: &[RecordId]) -> Result<RecordId, Damage> {
    let number: usize = cursor.number("a country")?;
    ids.get(number).copied().ok_or(Damage::Number("a country"))
}

fn read_distance(cursor: &mut Cursor<'_>) -> Result<u128, Damage> {
    let wrong = Damage::Number("a distance");
    let head = cursor.byte("a distance")?;
    let shift = u32::from(head & !ODD_FOLLOWS);
    let half = if head & ODD_FOLLOWS == 0 { 0 } else { cursor.varint("a distance")? };
    let odd = half.checked_mul(2).and_then(|even| even.checked_add(1)).ok_or_else(|| wrong.clone())?;
    if odd.leading_zeros() < shift {
        return Err(wrong);
    }
    Ok(odd << shift)
}

fn put_ranges<A: Address>(out: &mut Vec<u8>, ranges: &[(A, Option<Country>)], numbers: &BTreeMap<Country, u128>) {
    let mut previous = A::MIN;
    for (start, country) in ranges {
        // Only the first range starts at address 0, and it needs no distance.
        if *start > A::MIN {
            put_distance(out, previous.distance(*start));
        }
        put(out, country.and_then(|country| numbers.get(&country).copied()).unwrap_or(0));
        previous = *start;
    }
}

fn put_distance(out: &mut Vec<u8>, distance: u128) {
    let shift = distance.trailing_zeros() as u8;
    let half = distance >> shift >> 1;
    out.push(if half == 0 { shift } else { shift | ODD_FOLLOWS });
    if half != 0 {
        put(out, half);
    }
}

/// Sorted, starting at address 0, and without neighbours of the same country.
fn normalise<A: Address>(ranges: &[(A, Option<Country>)]) -> Vec<(A, Option<Country>)> {
    let mut by_start = BTreeMap::from([(A::MIN, None)]);
    by_start.extend(ranges.iter().copied());
    let mut merged: Vec<(A, Option<Country>)> = by_start.into_iter().collect();
    merged.dedup_by_key(|range| range.1);
    merged
}

/// The countries, most frequent first: the first 127 then take one byte a range.
fn by_frequency(countries: impl Iterator<Item = Country>) -> Vec<Country> {
    let mut counts = BTreeMap::<Country, usize>::new();
    for country in countries {
        *counts.entry(country).or_default() += 1;
    }
    let mut sorted: Vec<(Country, usize)> = counts.into_iter().collect();
    sorted.sort_by_key(|(country, count)| (Reverse(*count), *country));
    sorted.into_iter().map(|(country, _)| country).collect()
}

#[cfg(test)]
mod tests;
