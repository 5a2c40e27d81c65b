//! One line in a segment: length, checksum, position, text.
//!
//! Invariant: bytes that were cut off or changed never read as a record.
//!
//! Not here: files (`log.rs`, `reader.rs`).

use std::sync::Arc;

/// What a segment file begins with; the digit is the version of what follows.
pub(super) const MAGIC: &[u8; 8] = b"SENTSPL1";

/// Length (4), checksum (4), position (8).
pub(super) const HEADER: usize = 16;

/// Longest line: far beyond any alert, so that a length that is nonsense is known as such.
const LONGEST: usize = 4 << 20;

/// A line and its position in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) position: u64,
    pub(crate) line: Arc<str>,
}

/// What is at some place of a segment.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A record, and how many bytes it takes.
    Record(Record, usize),
    /// The beginning of one; more bytes are needed.
    Cut,
    /// No record.
    Damaged,
}

/// Appends a record.
pub(super) fn encode(record: &Record, out: &mut Vec<u8>) {
    let text = record.line.as_bytes();
    let position = record.position.to_le_bytes();
    // A longer line is refused before it gets a position.
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&checksum(position, text).to_le_bytes());
    out.extend_from_slice(&position);
    out.extend_from_slice(text);
}

/// Whether a line may become a record.
pub(super) fn fits(line: &str) -> bool {
    line.len() <= LONGEST
}

/// Reads the record that begins here.
pub(super) fn decode(bytes: &[u8]) -> Found {
    let Some((header, rest)) = bytes.split_at_checked(HEADER) else { return Found::Cut };
    let number = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let (length, expected) = (number(0) as usize, number(4));
    if length > LONGEST {
        return Found::Damaged;
    }
    let Some(text) = rest.get(..length) else { return Found::Cut };
    let mut position = [0; 8];
    position.copy_from_slice(&header[8..]);
    match std::str::from_utf8(text) {
        Ok(line) if checksum(position, text) == expected => {
            Found::Record(Record { position: u64::from_le_bytes(position), line: Arc::from(line) }, HEADER + length)
        }
        Ok(_) | Err(_) => Found::Damaged,
    }
}

fn checksum(position: [u8; 8], text: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&position);
    hasher.update(text);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cut_and_every_flipped_bit_is_found_out() {
        let record = Record { position: 77, line: Arc::from("{\"a\":\"\u{e9}\"}") };
        let mut bytes = Vec::new();
        encode(&record, &mut bytes);
        assert_eq!(decode(&bytes), Found::Record(record.clone(), bytes.len()));
        for length in 0..bytes.len() {
            assert_eq!(decode(&bytes[..length]), Found::Cut, "{length}");
        }
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(!matches!(decode(&damaged), Found::Record(..)), "bit {bit}");
        }
    }
}
