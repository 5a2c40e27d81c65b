//! The thread that brings lines to disk, and removes segments that nobody wants or that are over a bound.
//!
//! Invariant: a disk that fails is tried again each second with everything still in memory; nobody waits for it.
//!
//! Not here: the files themselves (`log.rs`).

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use super::log::{Log, Segment};
use super::record::Record;
use super::state::Shared;
use crate::sinks::SinkError;

/// How long lines may be on their way to the medium, how often bounds are looked at, and when a failing disk is tried
/// again.
const SECOND: Duration = Duration::from_secs(1);

pub(super) fn start(log: Log, shared: Arc<Shared>) -> Result<JoinHandle<()>, SinkError> {
    let thread = thread::Builder::new().name("alert-spool".to_owned());
    thread
        .spawn(move || Writer { log, shared, synced: Instant::now() }.run())
        .map_err(|source| SinkError::Thread { sink: "spool".to_owned(), source })
}

struct Writer {
    log: Log,
    shared: Arc<Shared>,
    synced: Instant,
}

impl Writer {
    fn run(mut self) {
        loop {
            let (records, closed) = self.shared.to_write(SECOND);
            let written = self.write(&records);
            self.trim();
            if closed && (records.is_empty() || !written) {
                self.sync();
                return;
            }
            if self.synced.elapsed() >= SECOND {
                self.sync();
            }
            if !written {
                self.shared.pause(SECOND);
            }
        }
    }

    fn write(&mut self, records: &[Record]) -> bool {
        let Some(last) = records.last() else { return true };
        match self.log.append(records) {
            Ok(()) => self.shared.wrote(last.position + 1, self.log.segments()),
            Err(error) => {
                self.shared.disk_failed(&error.to_string());
                return false;
            }
        }
        true
    }

    fn sync(&mut self) {
        self.synced = Instant::now();
        if let Err(error) = self.log.sync() {
            self.shared.disk_failed(&error.to_string());
        }
    }

    fn trim(&mut self) {
        let before = self.log.segments().len();
        while self.oldest_may_go() {
            if let Err(error) = self.log.remove_oldest() {
                self.shared.disk_failed(&error.to_string());
            }
        }
        if self.log.segments().len() != before {
            self.shared.trimmed(self.log.segments());
        }
    }

    /// Whether the oldest segment is over a bound or read by all. The one that is written to stays.
    fn oldest_may_go(&self) -> bool {
        let [oldest, second, ..] = self.log.segments() else { return false };
        let options = &self.shared.options;
        let bytes: u64 = self.log.segments().iter().map(|segment| segment.bytes).sum();
        bytes > options.bytes || is_older(oldest, options.age) || second.first <= self.shared.wanted()
    }
}

fn is_older(segment: &Segment, age: Duration) -> bool {
    SystemTime::now().duration_since(segment.time).is_ok_and(|elapsed| elapsed > age)
}
