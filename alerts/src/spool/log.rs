//! Segments on disk: opening and repairing them, appending, beginning a new one, removing old ones.
//!
//! Invariants: a segment is named by the first position in it; only the newest is written to, and after a failed write it
//! is cut back to its last whole record; a segment that was torn by a crash is cut at the start.
//!
//! Not here: when segments go (`writer.rs`), and reading (`reader.rs`).

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::{FlockOperation, flock};

use super::record::{self, Found, MAGIC, Record};

/// A segment, as far as others need to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    /// Position of its first record.
    pub(super) first: u64,
    /// Size of the file.
    pub(super) bytes: u64,
    /// When it was last written to.
    pub(super) time: SystemTime,
}

/// All segments, and the one that is open for writing.
pub(super) struct Log {
    directory: PathBuf,
    segment_bytes: u64,
    segments: Vec<Segment>,
    newest: Option<File>,
    next: u64,
    buffer: Vec<u8>,
    /// Bytes were written since the last sync.
    dirty: bool,
    _lock: File,
}

impl Log {
    pub(super) fn open(directory: &Path, segment_bytes: u64) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        let lock = lock(directory)?;
        let mut segments = segments(directory)?;
        let mut next = 1;
        // Segments without a whole record tell nothing but where they begin.
        while let Some(last) = segments.last_mut() {
            let (bytes, after) = repair(&path(directory, last.first), last.first)?;
            next = next.max(after);
            if bytes > MAGIC.len() as u64 {
                last.bytes = bytes;
                break;
            }
            fs::remove_file(path(directory, last.first))?;
            segments.pop();
        }
        let directory = directory.to_owned();
        Ok(Self {
            directory,
            segment_bytes,
            segments,
            newest: None,
            next,
            buffer: Vec::new(),
            dirty: false,
            _lock: lock,
        })
    }

    /// The position after the last one on disk.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    pub(super) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Appends records in one write. On an error none of them is there.
    pub(super) fn append(&mut self, records: &[Record]) -> io::Result<()> {
        let (Some(first), Some(last)) = (records.first(), records.last()) else { return Ok(()) };
        let full = self.segments.last().is_none_or(|segment| segment.bytes >= self.segment_bytes);
        if self.newest.is_none() || full {
            self.begin(first.position)?;
        }
        self.buffer.clear();
        records.iter().for_each(|record| record::encode(record, &mut self.buffer));
        let (Some(file), Some(segment)) = (&mut self.newest, self.segments.last_mut()) else { return Ok(()) };
        if let Err(error) = file.write_all(&self.buffer) {
            // If even that fails, what follows goes into a new segment; readers stop at the damage.
            if file.set_len(segment.bytes).is_err() {
                self.newest = None;
            }
            return Err(error);
        }
        segment.bytes += self.buffer.len() as u64;
        segment.time = SystemTime::now();
        self.next = last.position + 1;
        self.dirty = true;
        Ok(())
    }

    /// Starts a segment at this position; its name is free, because positions rise.
    fn begin(&mut self, first: u64) -> io::Result<()> {
        self.sync()?;
        let path = path(&self.directory, first);
        let mut file = OpenOptions::new().append(true).create(true).truncate(false).mode(0o600).open(&path)?;
        file.set_len(0)?;
        if let Err(error) = file.write_all(MAGIC) {
            // An empty file would be in the way of nobody, but it is not worth keeping either.
            let _ = fs::remove_file(&path);
            return Err(error);
        }
        self.newest = Some(file);
        if self.segments.last().is_some_and(|last| last.first == first) {
            self.segments.pop();
        }
        self.segments.push(Segment { first, bytes: MAGIC.len() as u64, time: SystemTime::now() });
        Ok(())
    }

    /// Waits until what was written is on the medium.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        if let Some(file) = self.newest.as_ref().filter(|_| self.dirty) {
            file.sync_data()?;
        }
        self.dirty = false;
        Ok(())
    }

    /// Removes the oldest segment.
    pub(super) fn remove_oldest(&mut self) -> io::Result<()> {
        let Some(oldest) = self.segments.first() else { return Ok(()) };
        let result = fs::remove_file(path(&self.directory, oldest.first));
        if self.segments.len() == 1 {
            self.newest = None;
            self.dirty = false;
        }
        self.segments.remove(0);
        match result {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }
}

/// One Sentinel a spool: two would use the same positions.
fn lock(directory: &Path) -> io::Result<File> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(directory.join("lock"))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => {
            Err(io::Error::other("another Sentinel uses it; give this one another state directory"))
        }
        Err(error) => Err(error.into()),
    }
}

/// The file of the segment that begins with this position.
pub(super) fn path(directory: &Path, first: u64) -> PathBuf {
    directory.join(format!("{first:020}.log"))
}

/// What is there, oldest first.
fn segments(directory: &Path) -> io::Result<Vec<Segment>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(first) = name.to_str().and_then(|name| name.strip_suffix(".log")).and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let metadata = entry.metadata()?;
        let time = metadata.modified().unwrap_or_else(|_| SystemTime::now());
        found.push(Segment { first, bytes: metadata.len(), time });
    }
    found.sort_unstable_by_key(|segment| segment.first);
    Ok(found)
}

/// Cuts a segment behind its last whole record; its size then, and the position after that record.
fn repair(path: &Path, first: u64) -> io::Result<(u64, u64)> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let (mut good, mut next) = (0, first);
    if bytes.starts_with(MAGIC) {
        good = MAGIC.len();
        while let Found::Record(record, length) = record::decode(&bytes[good..]) {
            good += length;
            next = record.position + 1;
        }
    }
    if good < bytes.len() {
        file.set_len(good as u64)?;
        file.sync_data()?;
    }
    Ok((good as u64, next))
}

#[cfg(test)]
mod tests;
