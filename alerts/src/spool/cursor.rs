//! How far a sink is, on disk: a file of 16 bytes for each sink, position and checksum.
//!
//! Invariants: a cursor that cannot be read is unknown, and its sink starts at the oldest line there is; files of sinks that are no longer
//! configured are removed, so that a sink that comes back later starts at the end and not with a false loss.
//!
//! Not here: when a cursor is saved (`reader.rs`).

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};

/// The position of a cursor whose file is damaged. No line has it.
pub(super) const UNKNOWN: u64 = 0;

/// The place of one sink.
#[derive(Debug, Clone)]
pub(super) struct Cursor {
    file: Option<Arc<File>>,
    position: Option<u64>,
}

impl Cursor {
    /// One that is not kept.
    pub(super) const fn forgetful() -> Self {
        Self { file: None, position: None }
    }

    /// The next position to read, where an earlier run has left one.
    pub(super) const fn position(&self) -> Option<u64> {
        self.position
    }

    /// Writes the position. One write of 16 bytes: a crash leaves the old or the new ones.
    pub(super) fn save(&mut self, position: u64) -> io::Result<()> {
        if self.position == Some(position) {
            return Ok(());
        }
        if let Some(file) = &self.file {
            file.write_all_at(&encode(position), 0)?;
        }
        self.position = Some(position);
        Ok(())
    }
}

/// Finds the cursors of these sinks, and removes those of others.
pub(super) fn of_sinks(directory: &Path, sinks: &[String]) -> io::Result<Vec<Cursor>> {
    let directory = directory.join("cursors");
    DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
    let names: Vec<String> = sinks.iter().map(|sink| name(sink)).collect();
    for entry in fs::read_dir(&directory)? {
        let entry = entry?;
        if !names.iter().any(|name| *name.as_str() == *entry.file_name()) {
            fs::remove_file(entry.path())?;
        }
    }
    names.iter().map(|name| open(&directory.join(name))).collect()
}

/// Names of sinks hold addresses and paths; the file's is their digest.
fn name(sink: &str) -> String {
    Sha256::digest(sink.as_bytes()).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

fn open(path: &Path) -> io::Result<Cursor> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    let mut bytes = [0; 16];
    let position = match file.read_exact_at(&mut bytes, 0) {
        Ok(()) => Some(decode(bytes)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => None,
        Err(error) => return Err(error),
    };
    Ok(Cursor { file: Some(Arc::new(file)), position })
}

fn encode(position: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&position.to_le_bytes());
    let sum = crc32fast::hash(&bytes[..8]);
    bytes[8..12].copy_from_slice(&sum.to_le_bytes());
    bytes
}

fn decode(bytes: [u8; 16]) -> u64 {
    let mut position = [0; 8];
    position.copy_from_slice(&bytes[..8]);
    let position = u64::from_le_bytes(position);
    if encode(position) == bytes { position } else { UNKNOWN }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_cursor_is_unknown() {
        assert_eq!(decode(encode(7)), 7);
        for bit in 0..128 {
            let mut bytes = encode(7);
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(bytes), UNKNOWN, "bit {bit}");
        }
        assert_eq!(decode([0; 16]), UNKNOWN);
    }
}
