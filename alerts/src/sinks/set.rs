//! All sinks of a daemon: opening them, sending to each, the thread that writes, shutting down.
//!
//! Invariants: each sink has exactly one writer; a writer that hangs in the system keeps nobody from stopping; when
//! opening one sink fails, none stays behind.
//!
//! Not here: counting (`queue.rs`), and the kinds of sinks.

use std::collections::HashSet;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::queue::{Job, Queue};
use super::{Output, Sink, SinkError, SinkStatus, WriteError};

/// How many bytes may wait in front of each sink when nothing else is configured.
pub const DEFAULT_QUEUE_BYTES: usize = 8 * 1024 * 1024;

/// Pauses between attempts at a sink whose other side is away: doubling from the first to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The sinks that alerts go to, each with its thread. Dropping it stops them without waiting.
pub struct SinkSet {
    writers: Vec<Writer>,
}

struct Writer {
    name: String,
    queue: Arc<Queue>,
}

impl SinkSet {
    /// Opens all sinks. `queue_bytes` bounds the queue of each.
    ///
    /// # Errors
    /// When a sink is named twice or cannot be opened. A unix socket that nobody listens on yet is no error.
    pub fn open(sinks: &[Sink], queue_bytes: usize) -> Result<Self, SinkError> {
        let mut seen = HashSet::new();
        if let Some(twice) = sinks.iter().find(|sink| !seen.insert(*sink)) {
            return Err(SinkError::Twice { sink: twice.to_string() });
        }
        let outputs = sinks.iter().map(Sink::open).collect::<Result<Vec<_>, _>>()?;
        let mut set = Self { writers: Vec::new() };
        for (sink, output) in sinks.iter().zip(outputs) {
            set.writers.push(Writer::start(sink.to_string(), output, queue_bytes)?);
        }
        Ok(set)
    }

    /// Hands a line, without newline, to every sink. Never waits for one; what does not fit is counted as lost.
    pub fn send(&self, line: &Arc<str>) {
        for writer in &self.writers {
            writer.queue.push(Arc::clone(line));
        }
    }

    /// Opens files anew, after they were moved. Happens on the writers' threads; a failure shows in the status.
    pub fn reopen(&self) {
        self.writers.iter().for_each(|writer| writer.queue.ask_reopen());
    }

    /// State and counters of every sink, in the order they were given.
    #[must_use]
    pub fn status(&self) -> Vec<SinkStatus> {
        self.writers.iter().map(|writer| writer.queue.status(&writer.name)).collect()
    }

    /// Waits until everything sent so far is written. False: some sink was not done in time.
    #[must_use]
    pub fn flush(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        self.writers.iter().all(|writer| writer.queue.drained_by(deadline))
    }

    /// Flushes, stops, and returns the final counters; what could not be written in time is counted as lost.
    #[must_use]
    pub fn shutdown(self, timeout: Duration) -> Vec<SinkStatus> {
        // Whether all was written shows in the counters.
        let _ = self.flush(timeout);
        self.close();
        self.status()
    }

    fn close(&self) {
        self.writers.iter().for_each(|writer| writer.queue.close());
    }
}

impl Drop for SinkSet {
    fn drop(&mut self) {
        self.close();
    }
}

impl Writer {
    fn start(name: String, output: Box<dyn Output>, queue_bytes: usize) -> Result<Self, SinkError> {
        let queue = Arc::new(Queue::new(queue_bytes));
        let theirs = Arc::clone(&queue);
        thread::Builder::new()
            .name("alert-sink".to_owned())
            .spawn(move || write_lines(&theirs, output))
            .map_err(|source| SinkError::Thread { sink: name.clone(), source })?;
        Ok(Self { name, queue })
    }
}

/// The whole life of a writer. Nobody joins it: it may hang in a write for as long as the reader likes.
fn write_lines(queue: &Queue, mut output: Box<dyn Output>) {
    let mut moved = false;
    loop {
        match queue.next() {
            Job::Close => return,
            Job::Reopen => moved = !reopened(queue, &mut *output),
            Job::Line(line) => {
                write_line(queue, &mut *output, &line);
                if moved {
                    moved = !reopened(queue, &mut *output);
                }
            }
        }
    }
}

/// True when the target is open anew. Otherwise the old one goes on, degraded, and every line is a new attempt.
fn reopened(queue: &Queue, output: &mut dyn Output) -> bool {
    match output.reopen() {
        Ok(()) => {
            queue.recovered();
            true
        }
        Err(error) => {
            queue.failed(&error.to_string());
            false
        }
    }
}

/// Writes one line, as often as it takes; ends early when the queue is closed, which has counted the line.
fn write_line(queue: &Queue, output: &mut dyn Output, line: &str) {
    let mut pause = FIRST_PAUSE;
    loop {
        match output.write(line) {
            Ok(()) => return queue.delivered(),
            Err(WriteError::Lost(error)) => return queue.lost(&error.to_string()),
            Err(WriteError::Retry(error)) => queue.failed(&error.to_string()),
        }
        if queue.closed_within(pause) {
            return;
        }
        pause = LONGEST_PAUSE.min(pause * 2);
    }
}
