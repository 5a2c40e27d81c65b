//! The spool: an append-only log that every sink reads at its own pace, so that an output that is down loses nothing.
//!
//! A line gets a position and goes to the *tail* in memory at once; a thread of the spool's own appends it to the newest
//! *segment* on disk. A sink reads from the tail while it keeps up and from segments when it is behind, and says how
//! far it is; that *cursor* is on disk too. So a dead sink costs disk, never memory, and a dead disk costs only
//! those sinks something that are behind.
//!
//! Invariants: positions rise by one for each line and are never used twice; `push` waits for no disk and no sink; each
//! sink gets every position once and in order, or counts it as lost with the cause, and after a crash perhaps some again;
//! memory, bytes on disk and age are bounded, and what goes first is the oldest.
//!
//! Not here: what a line says, and what is done with it (`sinks/`).

mod cursor;
mod log;
mod reader;
mod record;
mod state;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) use reader::{Read, Reader};
pub(crate) use record::Record;
use state::{Place, Shared};

use crate::sinks::{SinkError, SinkStatus, SpoolStatus};

/// Where the spool is and how large it may become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpoolOptions {
    /// Directory of segments and cursors. `None`: lines are in memory only, and gone with the process.
    pub directory: Option<PathBuf>,
    /// Bytes on disk.
    pub bytes: u64,
    /// Age of lines.
    pub age: Duration,
    /// Bytes of a segment: what is dropped at once when a bound is hit, and what stays at least.
    pub segment_bytes: u64,
    /// Bytes in memory.
    pub memory: usize,
}

impl Default for SpoolOptions {
    fn default() -> Self {
        Self {
            directory: None,
            bytes: 1 << 30,
            age: Duration::from_secs(7 * 24 * 3600),
            segment_bytes: 8 << 20,
            memory: 8 << 20,
        }
    }
}

/// The log and its sinks' places in it. Dropping it ends its threads without waiting for sinks.
pub(crate) struct Spool {
    shared: Arc<Shared>,
    writer: Option<std::thread::JoinHandle<()>>,
}

impl Spool {
    /// Opens the log, repairs its end and finds each sink's place. A new sink starts at the end.
    pub(crate) fn open(options: &SpoolOptions, sinks: &[String]) -> Result<(Self, Vec<Reader>), SinkError> {
        let (log, mut cursors) = match &options.directory {
            None => (None, vec![cursor::Cursor::forgetful(); sinks.len()]),
            Some(directory) => {
                let wrong = |source| SinkError::Spool { path: directory.display().to_string(), source };
                // A bound below a few segments would never hold.
                let segment_bytes = options.segment_bytes.min(options.bytes / 4);
                let log = log::Log::open(directory, segment_bytes).map_err(wrong)?;
                (Some(log), cursor::of_sinks(directory, sinks).map_err(wrong)?)
            }
        };
        let known = cursors.iter().filter_map(cursor::Cursor::position).max().unwrap_or(1);
        let next = log.as_ref().map_or(1, log::Log::next).max(known);
        let oldest = log.as_ref().and_then(|log| log.segments().first()).map_or(next, |segment| segment.first);
        let mut places = Vec::new();
        for (name, cursor) in sinks.iter().zip(&mut cursors) {
            let position = match cursor.position() {
                None => next,
                Some(cursor::UNKNOWN) => oldest,
                Some(position) => position,
            };
            // Saved at once, so that a crash before the first delivery does not make the sink a new one again.
            let wrong = |source| SinkError::Spool { path: format!("cursor of {name}"), source };
            cursor.save(position).map_err(wrong)?;
            places.push(Place::at(name, position));
        }
        let shared = Arc::new(Shared::new(options.clone(), next, places, log.as_ref()));
        let readers =
            cursors.into_iter().enumerate().map(|(place, cursor)| Reader::new(Arc::clone(&shared), place, cursor));
        let readers = readers.collect();
        let writer = log.map(|log| writer::start(log, Arc::clone(&shared))).transpose()?;
        Ok((Self { shared, writer }, readers))
    }

    /// Takes a line over. Waits for nobody.
    pub(crate) fn push(&self, line: Arc<str>) {
        self.shared.push(line);
    }

    /// Asks every sink to open its target anew.
    pub(crate) fn ask_reopen(&self) {
        self.shared.ask_reopen();
    }

    /// Waits until every sink has taken everything pushed so far. False: the time was up first.
    pub(crate) fn drained_by(&self, deadline: Instant) -> bool {
        self.shared.drained_by(deadline)
    }

    pub(crate) fn status(&self) -> Vec<SinkStatus> {
        self.shared.status()
    }

    pub(crate) fn spool_status(&self) -> SpoolStatus {
        self.shared.spool_status()
    }

    /// Takes no more lines, writes to disk what waits, and ends. What is on disk is for the next run.
    pub(crate) fn close(&mut self) {
        self.shared.close();
        if let Some(writer) = self.writer.take() {
            // It writes what is in memory, once, and ends; a panic there has been told on stderr.
            let _ = writer.join();
        }
        self.shared.count_what_is_left();
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        self.shared.close();
    }
}
