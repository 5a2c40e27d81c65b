//! One sink's way through the log: from disk while it is behind, from memory when it has caught up.
//!
//! Invariants: positions come in order, each once; one that cannot be had is counted as lost, with the cause, and passed
//! over; the cursor on disk never runs ahead of what was delivered or lost.
//!
//! Not here: what is done with lines (`sinks/set.rs`).

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

use super::cursor::Cursor;
use super::log;
use super::record::{self, Found, MAGIC, Record};
use super::state::{Failure, Place, Shared, State};

/// How much is read from disk at once; grows for a longer line.
const CHUNK: usize = 256 << 10;

/// A sink's place in the log.
pub(crate) struct Reader {
    shared: Arc<Shared>,
    place: usize,
    /// The next position to read.
    next: u64,
    cursor: Cursor,
    open: Option<Open>,
}

/// The segment that is being read.
struct Open {
    first: u64,
    file: File,
    offset: u64,
}

/// What a sink should do next.
pub(crate) enum Read {
    /// Deliver these.
    Records(Vec<Record>),
    /// Open the target anew.
    Reopen,
    /// End.
    Close,
}

/// Where the next lines are.
enum Source {
    Memory(Vec<Record>),
    /// In the segment that begins with `first`; what comes at `until` is elsewhere.
    Disk {
        first: u64,
        until: u64,
    },
    /// Nowhere before this position.
    Gone {
        until: u64,
        why: Failure,
    },
}

impl Reader {
    pub(super) fn new(shared: Arc<Shared>, place: usize, cursor: Cursor) -> Self {
        let next = shared.lock().sinks[place].cursor;
        Self { shared, place, next, cursor, open: None }
    }

    /// Waits for something to do. There is at least one record in an answer.
    pub(crate) fn next(&mut self, records: usize, bytes: usize) -> Read {
        loop {
            let source = {
                let (next, place) = (self.next, self.place);
                let state = self.shared.lock();
                let idle = |state: &mut State| !state.closed && !state.sinks[place].reopen && state.next <= next;
                let mut state = self.shared.wait(state, Duration::from_secs(3600), idle);
                if state.closed {
                    return Read::Close;
                }
                if std::mem::take(&mut state.sinks[place].reopen) {
                    return Read::Reopen;
                }
                if state.next <= next {
                    continue;
                }
                source(&state, next, records, bytes)
            };
            match source {
                Source::Memory(found) => return self.take(found),
                Source::Gone { until, why } => self.pass_over(until, why),
                Source::Disk { first, until } => match self.from_disk(first, until, records, bytes) {
                    Ok(found) if !found.is_empty() => return self.take(found),
                    Ok(_) => self.pass_over(until, Failure::Disk),
                    // The spool has removed it a moment ago.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => self.pass_over(until, Failure::Dropped),
                    Err(error) => {
                        self.update(|sink| sink.fail(&format!("reading the spool: {error}")));
                        self.pass_over(until, Failure::Disk);
                    }
                },
            }
        }
    }

    /// `count` lines are delivered, others refused for good, and what comes before `position` is done with.
    pub(crate) fn done(&mut self, count: u64, refused: Option<(u64, &str)>, position: u64) {
        if let Err(error) = self.cursor.save(position) {
            self.shared.disk_failed(&format!("saving a cursor: {error}"));
        }
        self.shared.delivered(self.place, count, refused, position);
    }

    pub(crate) fn failed(&self, error: &str) {
        self.update(|sink| sink.fail(error));
    }

    pub(crate) fn recovered(&self) {
        self.update(Place::recover);
    }

    /// Waits before another attempt; returns early, with true, at the end.
    pub(crate) fn closed_within(&self, pause: Duration) -> bool {
        let state = self.shared.lock();
        self.shared.wait(state, pause, |state| !state.closed).closed
    }

    /// Whether the target should be opened anew; asked while a sink keeps failing.
    pub(crate) fn take_reopen(&self) -> bool {
        std::mem::take(&mut self.shared.lock().sinks[self.place].reopen)
    }

    fn update(&self, change: impl FnOnce(&mut Place)) {
        change(&mut self.shared.lock().sinks[self.place]);
    }

    fn take(&mut self, found: Vec<Record>) -> Read {
        for record in &found {
            let hole = record.position.saturating_sub(self.next);
            if hole > 0 {
                self.update(|sink| sink.lose(hole, Failure::Disk));
            }
            self.next = record.position + 1;
        }
        Read::Records(found)
    }

    fn pass_over(&mut self, until: u64, why: Failure) {
        let count = until.saturating_sub(self.next);
        if count > 0 {
            self.update(|sink| sink.lose(count, why));
            self.next = until;
            self.done(0, None, until);
        }
    }

    fn from_disk(&mut self, first: u64, until: u64, records: usize, bytes: usize) -> io::Result<Vec<Record>> {
        let open = match self.open.take() {
            Some(open) if open.first == first => open,
            Some(_) | None => {
                let directory = self.shared.options.directory.as_deref().unwrap_or_else(|| "".as_ref());
                Open { first, file: File::open(log::path(directory, first))?, offset: MAGIC.len() as u64 }
            }
        };
        self.open.insert(open).read(self.next, until, records, bytes)
    }
}

impl Open {
    /// Records from `from` up to `until`; none: there are none in this segment.
    fn read(&mut self, from: u64, until: u64, records: usize, bytes: usize) -> io::Result<Vec<Record>> {
        let mut found = Vec::new();
        let mut room = bytes;
        let mut chunk = CHUNK;
        loop {
            let buffer = self.chunk(chunk)?;
            let mut used = 0;
            let more = loop {
                match record::decode(&buffer[used..]) {
                    Found::Record(record, _) if record.position >= until => break false,
                    Found::Record(record, length) if record.position < from => {
                        drop(record);
                        used += length;
                    }
                    Found::Record(record, _) if !found.is_empty() && record.line.len() > room => break false,
                    Found::Record(record, length) => {
                        room = room.saturating_sub(record.line.len());
                        found.push(record);
                        used += length;
                        if found.len() >= records {
                            break false;
                        }
                    }
                    Found::Cut => break buffer.len() == chunk && found.is_empty(),
                    Found::Damaged => break false,
                }
            };
            self.offset += used as u64;
            if !more {
                return Ok(found);
            }
            if used == 0 {
                chunk *= 2;
            }
        }
    }

    fn chunk(&self, length: usize) -> io::Result<Vec<u8>> {
        let mut buffer = vec![0; length];
        let mut filled = 0;
        while filled < length {
            match self.file.read_at(&mut buffer[filled..], self.offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        buffer.truncate(filled);
        Ok(buffer)
    }
}

/// Where the line at `next` is.
fn source(state: &State, next: u64, records: usize, bytes: usize) -> Source {
    let tail = state.tail.front().map_or(state.next, |record| record.position);
    if next >= tail {
        return Source::Memory(state.from_tail(next, records, bytes));
    }
    if next >= state.written {
        return Source::Gone { until: tail, why: Failure::Disk };
    }
    let after = state.segments.partition_point(|segment| segment.first <= next);
    let end = state.segments.get(after).map_or(u64::MAX, |segment| segment.first);
    match after.checked_sub(1).and_then(|place| state.segments.get(place)) {
        // Behind what is written there may be half a record.
        Some(segment) => Source::Disk { first: segment.first, until: end.min(state.written) },
        None => Source::Gone { until: end.min(tail), why: Failure::Dropped },
    }
}
