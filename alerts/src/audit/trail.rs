//! The writer of the trail: records into segment files, checkpoints with a key each, rotation.
//!
//! Invariants: nothing is said to be durable before [`Trail::commit`] has returned; what was committed is never changed, only
//! followed. After an error of the disk the trail is no longer written to: it has to be opened again, which looks at what is
//! there. Not here: what an interrupted trail needs (`recovery`), compression and removal (`closed`), who waits (`writer`).

use std::io;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{
    disk::Disk,
    jcs,
    keys::{self, Key},
    kind::Kind,
    record::{self, Position, hex},
};

/// Version of the format.
pub const VERSION: u64 = 1;
/// What a checkpoint's signature is for.
pub const CHECKPOINT: &str = "sentinel-audit-checkpoint-v1";

/// When files and signatures end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// A file ends at so many bytes.
    pub segment_bytes: u64,
    /// A file ends after so many seconds.
    pub segment_seconds: i64,
    /// A checkpoint comes after so many records.
    pub checkpoint_records: u64,
    /// A checkpoint comes after so many seconds, if there was a record.
    pub checkpoint_seconds: i64,
    /// Files are removed when their last record is older; `None`: never.
    pub keep_seconds: Option<i64>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            segment_bytes: 16 << 20,
            segment_seconds: 86_400,
            checkpoint_records: 4096,
            checkpoint_seconds: 300,
            // Ten years, as 31 CFR 501.601 asks.
            keep_seconds: Some(3653 * 86_400),
        }
    }
}

/// A trail that is written to.
pub struct Trail {
    pub(super) disk: Box<dyn Disk>,
    pub(super) settings: Settings,
    /// Its id, made at the first start.
    pub(super) id: String,
    /// What the host is called in it.
    pub(super) host: String,
    /// The file that is written to.
    pub(super) segment: u64,
    pub(super) segment_bytes: u64,
    pub(super) segment_since: i64,
    pub(super) head: Position,
    pub(super) key: Key,
    /// Records since the last checkpoint.
    pub(super) unsigned: u64,
    pub(super) signed_at: i64,
    /// The last checkpoint.
    pub(super) signed: Option<Position>,
    /// Lines that are not written yet.
    pub(super) buffer: String,
}

/// Name of a segment file.
pub(super) fn segment_name(index: u64) -> String {
    format!("{index:06}.jsonl")
}

/// Name of a compressed one.
pub(super) fn packed_name(index: u64) -> String {
    format!("{index:06}.jsonl.gz")
}

/// An object.
pub(super) fn fields(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => Map::from_iter([("value".to_owned(), other)]),
    }
}

impl Trail {
    /// Adds a record; it is durable after the next commit.
    pub fn append(&mut self, kind: Kind, at: Timestamp, data: Map<String, Value>) -> Position {
        let mut value = Value::Object(data);
        jcs::exact(&mut value);
        let (line, position) = record::line(self.head, &at.to_string(), kind.as_str(), &fields(value));
        self.buffer.push_str(&line);
        self.buffer.push('\n');
        self.head = position;
        self.unsigned += 1;
        position
    }

    /// Makes what was added durable; then signs, and begins a new file, where that is due.
    ///
    /// # Errors
    ///
    /// What the disk says; then the trail must be opened again.
    pub fn commit(&mut self, now: Timestamp) -> io::Result<()> {
        self.flush()?;
        let second = now.as_second();
        let by_time = self.unsigned > 0 && second - self.signed_at >= self.settings.checkpoint_seconds;
        let full = self.segment_bytes >= self.settings.segment_bytes;
        if full || second - self.segment_since >= self.settings.segment_seconds {
            self.checkpoint(now)?;
            return self.begin_segment(now);
        }
        if by_time || self.unsigned >= self.settings.checkpoint_records {
            self.checkpoint(now)?;
        }
        Ok(())
    }

    /// Signs everything so far and erases the key, in favour of its successor.
    ///
    /// # Errors
    ///
    /// What the disk says; then the trail must be opened again.
    pub fn checkpoint(&mut self, now: Timestamp) -> io::Result<()> {
        let next = Key::new(self.key.generation + 1)?;
        next.save(self.disk.as_mut(), keys::NEXT)?;
        let at = now.to_string();
        let mut data = fields(json!({
            "generation": self.key.generation,
            "head": self.head.hash.to_string(),
            "key": hex(&self.key.public()),
            "next": hex(&next.public()),
            "records": self.unsigned,
            "trail": self.id,
        }));
        let signed = record::body(self.head, &at, Kind::Checkpoint.as_str(), &data);
        data.insert("signature".to_owned(), self.key.sign(CHECKPOINT, signed.as_bytes()).into());
        let position = self.append(Kind::Checkpoint, now, data);
        self.flush()?;
        self.signed = Some(position);
        keys::succeed(self.disk.as_mut())?;
        (self.key, self.unsigned, self.signed_at) = (next, 0, now.as_second());
        Ok(())
    }

    /// Begins the next file.
    pub(super) fn begin_segment(&mut self, now: Timestamp) -> io::Result<()> {
        self.segment += 1;
        (self.segment_bytes, self.segment_since) = (0, now.as_second());
        let data = fields(json!({
            "generation": self.key.generation,
            "host": self.host,
            "index": self.segment,
            "key": hex(&self.key.public()),
            "trail": self.id,
            "version": VERSION,
        }));
        self.append(Kind::Segment, now, data);
        self.flush()?;
        self.disk.sync_directory()
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let name = segment_name(self.segment);
        self.disk.append(&name, self.buffer.as_bytes())?;
        self.disk.sync(&name)?;
        self.segment_bytes += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// The last record that was added.
    #[must_use]
    pub fn head(&self) -> Position {
        self.head
    }

    /// The public key in force and its generation.
    #[must_use]
    pub fn key(&self) -> (u64, keys::PublicKey) {
        (self.key.generation, self.key.public())
    }

    /// The last checkpoint that this trail has written since it was opened.
    #[must_use]
    pub fn signed(&self) -> Option<Position> {
        self.signed
    }

    /// The trail's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}
