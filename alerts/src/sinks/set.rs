//! All sinks of a daemon: opening them, sending to each, the thread that writes, shutting down.
//!
//! Invariants: each sink has exactly one writer; a writer that hangs in the system keeps nobody from stopping; when
//! opening one sink fails, none stays behind.
//!
//! Not here: keeping and counting lines (`spool/`), and the kinds of sinks.

use std::collections::HashSet;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::{Line, Output, SinkError, SinkSettings, SinkStatus, SpoolStatus, Written};
use crate::formats::Format;
use crate::spool::{Read, Reader, Record, Spool, SpoolOptions};

/// Pauses between attempts at a sink whose other side is away: doubling from the first to the longest, each with jitter.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The sinks that alerts go to, each with its thread. Dropping it stops them without waiting.
pub struct SinkSet {
    spool: Spool,
}

impl SinkSet {
    /// Opens the spool and all sinks. `format` is for those that name none.
    ///
    /// # Errors
    /// When a sink is named twice or cannot be opened, or the spool cannot. Another side that is away is no error.
    pub fn open(sinks: &[SinkSettings], format: Format, spool: &SpoolOptions) -> Result<Self, SinkError> {
        let mut seen = HashSet::new();
        if let Some(twice) = sinks.iter().find(|settings| !seen.insert(&settings.sink)) {
            return Err(SinkError::Twice { sink: twice.sink.to_string() });
        }
        let outputs = sinks.iter().map(SinkSettings::open).collect::<Result<Vec<_>, _>>()?;
        let names: Vec<String> = sinks.iter().map(|settings| settings.sink.to_string()).collect();
        let (spool, readers) = Spool::open(spool, &names)?;
        for ((settings, output), reader) in sinks.iter().zip(outputs).zip(readers) {
            let format = settings.format.unwrap_or(format);
            thread::Builder::new()
                .name("alert-sink".to_owned())
                .spawn(move || Worker { reader, output, format }.run())
                .map_err(|source| SinkError::Thread { sink: settings.sink.to_string(), source })?;
        }
        Ok(Self { spool })
    }

    /// Hands an alert's ECS line, without newline, to every sink. Never waits for one.
    pub fn send(&self, line: &Arc<str>) {
        self.spool.push(Arc::clone(line));
    }

    /// Opens files anew, after they were moved. Happens on the writers' threads; a failure shows in the status.
    pub fn reopen(&self) {
        self.spool.ask_reopen();
    }

    /// State and counters of every sink, in the order they were given.
    #[must_use]
    pub fn status(&self) -> Vec<SinkStatus> {
        self.spool.status()
    }

    /// State of the log that they read.
    #[must_use]
    pub fn spool(&self) -> SpoolStatus {
        self.spool.spool_status()
    }

    /// Waits until everything sent so far is written. False: some sink was not done in time.
    #[must_use]
    pub fn flush(&self, timeout: Duration) -> bool {
        self.spool.drained_by(Instant::now() + timeout)
    }

    /// Flushes, stops, and returns the final counters. What could not be written in time is for the next run, or counted as
    /// lost where nothing is kept on disk.
    #[must_use]
    pub fn shutdown(mut self, timeout: Duration) -> Vec<SinkStatus> {
        // Whether all was written shows in the counters.
        let _ = self.flush(timeout);
        self.spool.close();
        self.status()
    }
}

/// The whole life of a sink. Nobody joins it: it may hang in a write for as long as the other side likes.
struct Worker {
    reader: Reader,
    output: Box<dyn Output>,
    format: Format,
}

impl Worker {
    fn run(mut self) {
        // Opening anew failed, so every batch is a new attempt at it.
        let mut moved = false;
        loop {
            let (records, bytes) = self.output.batch();
            match self.reader.next(records, bytes) {
                Read::Close => return,
                Read::Reopen => moved = !self.reopened(),
                Read::Records(records) => {
                    self.deliver(&records);
                    if moved {
                        moved = !self.reopened();
                    }
                }
            }
        }
    }

    /// True when the target is open anew. Otherwise the old one goes on, degraded.
    fn reopened(&mut self) -> bool {
        match self.output.reopen() {
            Ok(()) => {
                self.reader.recovered();
                true
            }
            Err(error) => {
                self.reader.failed(&error.to_string());
                false
            }
        }
    }

    /// Writes lines, as often as it takes; ends early when the spool is closed.
    fn deliver(&mut self, records: &[Record]) {
        let lines: Vec<Line<'_>> =
            records.iter().map(|record| Line { ecs: &record.line, text: self.format.line(&record.line) }).collect();
        let (mut from, mut pause) = (0, FIRST_PAUSE);
        while from < lines.len() {
            let Written { taken, refused, error } = self.output.write(&lines[from..]);
            if taken > 0 {
                from += taken;
                let position = records[from - 1].position + 1;
                let why = error.as_deref().unwrap_or("refused");
                let refusal = (refused > 0).then_some((refused, why));
                self.reader.done((taken as u64).saturating_sub(refused), refusal, position);
                pause = FIRST_PAUSE;
            }
            let Some(error) = error.filter(|_| refused == 0) else { continue };
            self.reader.failed(&error);
            if self.reader.closed_within(jittered(pause)) {
                return;
            }
            if self.reader.take_reopen() {
                self.reopened();
            }
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }
}

/// Between half and the whole of it, so that many hosts do not come back in step.
fn jittered(pause: Duration) -> Duration {
    let random = Uuid::now_v7().as_bytes()[15];
    pause / 2 + pause / 2 * u32::from(random) / 255
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_differ_and_stay_in_bounds() {
        let pauses: HashSet<Duration> = (0..100).map(|_| jittered(Duration::from_secs(1))).collect();
        assert!(pauses.len() > 10);
        assert!(pauses.iter().all(|pause| (Duration::from_millis(500)..=Duration::from_secs(1)).contains(pause)));
    }
}
