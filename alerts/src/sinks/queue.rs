//! The queue in front of one sink, and its counters, under one lock that nobody holds while writing.
//!
//! Invariants: `push` never waits for the sink; bytes that wait never exceed the bound; every line that was pushed is
//! delivered, lost with a cause, or still counted in `queued_bytes`.
//!
//! Not here: threads (`set.rs`) and writing (the sinks).

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::status::{Lost, SinkState, SinkStatus};

/// One sink's queue, shared by those who send and the one thread that writes.
pub(super) struct Queue {
    limit: usize,
    state: Mutex<State>,
    /// Rung when there is something for the writer to do.
    work: Condvar,
    /// Rung when nothing waits and nothing is being written.
    idle: Condvar,
}

#[derive(Default)]
struct State {
    lines: VecDeque<Arc<str>>,
    queued_bytes: usize,
    /// Bytes of the line that the writer has taken, until it says what became of it.
    writing: Option<usize>,
    reopen: bool,
    closed: bool,
    delivered: u64,
    lost: Lost,
    last_error: Option<String>,
    failing: bool,
    overflowing: bool,
}

/// What the writer should do next.
pub(super) enum Job {
    /// Write this line, then call `delivered` or `lost`.
    Line(Arc<str>),
    /// Open the target anew.
    Reopen,
    /// Stop.
    Close,
}

impl Queue {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, state: Mutex::default(), work: Condvar::new(), idle: Condvar::new() }
    }

    /// Puts a line at the end, or counts it as lost when there is no room or the sink is closed.
    pub(super) fn push(&self, line: Arc<str>) {
        let mut state = self.lock();
        if state.closed {
            state.lost.sink_error += 1;
        } else if state.queued_bytes.saturating_add(line.len()) > self.limit {
            state.lost.queue_full += 1;
            state.overflowing = true;
        } else {
            state.queued_bytes += line.len();
            state.lines.push_back(line);
            self.work.notify_one();
        }
    }

    pub(super) fn ask_reopen(&self) {
        self.lock().reopen = true;
        self.work.notify_one();
    }

    /// Waits for something to do.
    pub(super) fn next(&self) -> Job {
        let mut state = self.lock();
        loop {
            if state.closed {
                return Job::Close;
            }
            if std::mem::take(&mut state.reopen) {
                return Job::Reopen;
            }
            if let Some(line) = state.lines.pop_front() {
                state.writing = Some(line.len());
                return Job::Line(line);
            }
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The line taken last is with the system.
    pub(super) fn delivered(&self) {
        self.finish(|state| {
            state.delivered += 1;
            state.failing = false;
        });
    }

    /// The line taken last is gone.
    pub(super) fn lost(&self, error: &str) {
        self.finish(|state| {
            state.lost.sink_error += 1;
            state.fail(error);
        });
    }

    /// Something went wrong that lost no line.
    pub(super) fn failed(&self, error: &str) {
        self.lock().fail(error);
    }

    /// What had failed works again.
    pub(super) fn recovered(&self) {
        self.lock().failing = false;
    }

    /// Ends the line taken last. After `close` it is counted already.
    fn finish(&self, count: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        let Some(bytes) = state.writing.take() else { return };
        state.queued_bytes -= bytes;
        count(&mut state);
        if state.lines.is_empty() {
            state.overflowing = false;
            self.idle.notify_all();
        }
    }

    /// Waits before another attempt; returns early, with true, when the queue is closed.
    pub(super) fn closed_within(&self, pause: Duration) -> bool {
        let state = self.lock();
        let waited = self.work.wait_timeout_while(state, pause, |state| !state.closed);
        waited.unwrap_or_else(PoisonError::into_inner).0.closed
    }

    /// Waits until nothing is queued or being written. False: the time was up first.
    pub(super) fn drained_by(&self, deadline: Instant) -> bool {
        let left = deadline.saturating_duration_since(Instant::now());
        let waited = self.idle.wait_timeout_while(self.lock(), left, |state| state.is_busy());
        !waited.unwrap_or_else(PoisonError::into_inner).0.is_busy()
    }

    /// Takes no more lines; what was not written is lost. Does not wait for a write that hangs.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        let left = state.lines.len() as u64 + u64::from(state.writing.take().is_some());
        state.lost.sink_error += left;
        // An error that is known already says more.
        if left > 0 && !state.failing {
            state.fail("stopped before all alerts were written");
        }
        state.lines.clear();
        state.queued_bytes = 0;
        state.closed = true;
        self.work.notify_all();
        self.idle.notify_all();
    }

    pub(super) fn status(&self, name: &str) -> SinkStatus {
        let state = self.lock();
        let degraded = state.failing || state.overflowing;
        SinkStatus {
            name: name.to_owned(),
            delivered: state.delivered,
            lost: state.lost,
            queued_bytes: state.queued_bytes,
            last_error: state.last_error.clone(),
            state: if degraded { SinkState::Degraded } else { SinkState::Ok },
        }
    }

    /// No code that can panic runs under this lock, so a poisoned state is still a whole one.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_busy(&self) -> bool {
        !self.lines.is_empty() || self.writing.is_some()
    }

    fn fail(&mut self, error: &str) {
        self.failing = true;
        self.last_error = Some(error.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(limit: usize, lines: &[&str]) -> Queue {
        let queue = Queue::new(limit);
        lines.iter().for_each(|line| queue.push(Arc::from(*line)));
        queue
    }

    #[test]
    fn the_bound_is_in_bytes_and_holds_for_the_line_being_written() {
        let queue = filled(10, &["12345"]);
        assert!(matches!(queue.next(), Job::Line(_)));
        queue.push(Arc::from("67890"));
        queue.push(Arc::from("x"));
        let status = queue.status("s");
        assert_eq!((status.queued_bytes, status.lost.queue_full, status.state), (10, 1, SinkState::Degraded));
    }

    #[test]
    fn an_overflow_is_over_when_the_queue_is_empty() {
        let queue = filled(4, &["1234", "lost"]);
        assert_eq!(queue.status("s").state, SinkState::Degraded);
        assert!(matches!(queue.next(), Job::Line(_)));
        queue.delivered();
        let status = queue.status("s");
        assert_eq!((status.delivered, status.queued_bytes, status.state), (1, 0, SinkState::Ok));
    }

    #[test]
    fn closing_counts_what_was_left_once() {
        let queue = filled(100, &["a", "b", "c"]);
        assert!(matches!(queue.next(), Job::Line(_)));
        queue.close();
        queue.delivered();
        queue.push(Arc::from("d"));
        let status = queue.status("s");
        assert_eq!((status.delivered, status.lost.sink_error, status.queued_bytes), (0, 4, 0));
        assert!(matches!(queue.next(), Job::Close));
    }

    #[test]
    fn draining_waits_no_longer_than_told() {
        let queue = filled(100, &["a"]);
        assert!(!queue.drained_by(Instant::now() + Duration::from_millis(20)));
        assert!(Queue::new(1).drained_by(Instant::now()));
    }
}
