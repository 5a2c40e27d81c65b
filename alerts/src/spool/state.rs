//! What all threads of the spool share, under one lock that nobody holds while reading or writing a file.
//!
//! Invariants: lines in memory never exceed the bound, the newest alone excepted; what a sink has not taken is in the
//! tail, on disk, or will be counted as lost when the sink gets there.
//!
//! Not here: files (`log.rs`, `reader.rs`) and threads (`writer.rs`, `sinks/set.rs`).

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::SpoolOptions;
use super::log::{Log, Segment};
use super::record::{self, Record};
use crate::sinks::{Lost, SinkState, SinkStatus, SpoolStatus};

/// The lock and what is waited for.
pub(super) struct Shared {
    pub(super) options: SpoolOptions,
    state: Mutex<State>,
    /// Rung for new lines, for reopening and for the end.
    news: Condvar,
    /// Rung when a sink has taken lines.
    taken: Condvar,
}

pub(super) struct State {
    /// The newest lines, without a hole.
    pub(super) tail: VecDeque<Record>,
    tail_bytes: usize,
    /// The position of the line that comes next.
    pub(super) next: u64,
    /// Lines before this one are on disk or given up.
    pub(super) written: u64,
    pub(super) segments: Vec<Segment>,
    pub(super) sinks: Vec<Place>,
    on_disk: bool,
    pub(super) closed: bool,
    disk_error: Option<String>,
    unspooled: u64,
}

/// One sink's place and counters.
pub(super) struct Place {
    name: String,
    /// The next position that it has not taken.
    pub(super) cursor: u64,
    pub(super) reopen: bool,
    delivered: u64,
    lost: Lost,
    last_error: Option<String>,
    failing: bool,
    overflowing: bool,
}

/// Why lines will never reach a sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The spool was full or too old and dropped its oldest.
    Dropped,
    /// The disk did not take the line, or has damaged it.
    Disk,
    /// The sink refused it for good.
    Sink,
}

impl Place {
    pub(super) fn at(name: &str, cursor: u64) -> Self {
        Self {
            name: name.to_owned(),
            cursor,
            reopen: false,
            delivered: 0,
            lost: Lost::default(),
            last_error: None,
            failing: false,
            overflowing: false,
        }
    }

    pub(super) fn lose(&mut self, count: u64, why: Failure) {
        match why {
            Failure::Dropped => self.lost.queue_full += count,
            Failure::Disk => self.lost.spool_error += count,
            Failure::Sink => self.lost.sink_error += count,
        }
        self.overflowing |= why != Failure::Sink;
    }

    pub(super) fn fail(&mut self, error: &str) {
        self.failing = true;
        self.last_error = Some(error.to_owned());
    }

    pub(super) fn recover(&mut self) {
        self.failing = false;
    }

    /// This many lines are with the other side, and the sink goes on at this position.
    pub(super) fn deliver(&mut self, count: u64, cursor: u64, next: u64) {
        self.delivered += count;
        self.cursor = cursor;
        if count > 0 {
            self.failing = false;
        }
        if cursor == next {
            self.overflowing = false;
        }
    }
}

impl Shared {
    pub(super) fn new(options: SpoolOptions, next: u64, sinks: Vec<Place>, log: Option<&Log>) -> Self {
        let state = State {
            tail: VecDeque::new(),
            tail_bytes: 0,
            next,
            written: next,
            segments: log.map(|log| log.segments().to_vec()).unwrap_or_default(),
            sinks,
            on_disk: log.is_some(),
            closed: false,
            disk_error: None,
            unspooled: 0,
        };
        Self { options, state: Mutex::new(state), news: Condvar::new(), taken: Condvar::new() }
    }

    /// No code that can panic runs under this lock, so a poisoned state is still a whole one.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, line: Arc<str>) {
        let mut state = self.lock();
        if state.closed || !record::fits(&line) {
            return state.sinks.iter_mut().for_each(|sink| sink.lose(1, Failure::Sink));
        }
        let position = state.next;
        state.next += 1;
        state.tail_bytes += line.len();
        state.tail.push_back(Record { position, line });
        while state.tail_bytes > self.options.memory && state.tail.len() > 1 {
            state.forget_oldest();
        }
        if !state.on_disk {
            state.written = state.next;
        }
        drop(state);
        self.news.notify_all();
    }

    pub(super) fn ask_reopen(&self) {
        self.lock().sinks.iter_mut().for_each(|sink| sink.reopen = true);
        self.news.notify_all();
    }

    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.news.notify_all();
        self.taken.notify_all();
    }

    /// Without a disk, what no sink has taken at the end is gone.
    pub(super) fn count_what_is_left(&self) {
        let mut state = self.lock();
        if state.on_disk {
            return;
        }
        let next = state.next;
        for sink in &mut state.sinks {
            let left = next.saturating_sub(sink.cursor);
            sink.cursor = next;
            if left > 0 {
                sink.lose(left, Failure::Sink);
                // An error that is known already says more.
                if !sink.failing {
                    sink.fail("stopped before all alerts were written");
                }
            }
        }
    }

    /// Waits for news, as long as `idle` says there is nothing to do.
    pub(super) fn wait<'a>(
        &'a self,
        state: MutexGuard<'a, State>,
        longest: Duration,
        idle: impl FnMut(&mut State) -> bool,
    ) -> MutexGuard<'a, State> {
        self.news.wait_timeout_while(state, longest, idle).unwrap_or_else(PoisonError::into_inner).0
    }

    pub(super) fn drained_by(&self, deadline: Instant) -> bool {
        let state = self.lock();
        let target = state.next;
        let left = deadline.saturating_duration_since(Instant::now());
        let waits = |state: &mut State| state.sinks.iter().any(|sink| sink.cursor < target);
        let mut state = self.taken.wait_timeout_while(state, left, waits).unwrap_or_else(PoisonError::into_inner).0;
        !waits(&mut state)
    }

    /// A sink has taken lines; some it has perhaps refused for good, and why.
    pub(super) fn delivered(&self, place: usize, count: u64, refused: Option<(u64, &str)>, cursor: u64) {
        let mut state = self.lock();
        let next = state.next;
        let sink = &mut state.sinks[place];
        sink.deliver(count, cursor, next);
        if let Some((count, error)) = refused {
            sink.lose(count, Failure::Sink);
            sink.fail(error);
        }
        state.forget_what_all_have();
        drop(state);
        self.taken.notify_all();
    }

    /// Lines for the disk, once there are some or it is time to look around. True: it is the end.
    pub(super) fn to_write(&self, longest: Duration) -> (Vec<Record>, bool) {
        let state = self.lock();
        let mut state = self.wait(state, longest, |state| !state.closed && state.written == state.next);
        let oldest = state.tail.front().map_or(state.next, |record| record.position);
        let hole = oldest.saturating_sub(state.written);
        state.unspooled += hole;
        state.written += hole;
        let records = state.from_tail(state.written, usize::MAX, 1 << 20);
        (records, state.closed)
    }

    /// The disk has taken what comes before this position.
    pub(super) fn wrote(&self, before: u64, segments: &[Segment]) {
        let mut state = self.lock();
        state.written = before;
        state.disk_error = None;
        state.segments.clear();
        state.segments.extend_from_slice(segments);
        state.forget_what_all_have();
    }

    /// Segments were removed.
    pub(super) fn trimmed(&self, segments: &[Segment]) {
        let mut state = self.lock();
        state.segments.clear();
        state.segments.extend_from_slice(segments);
    }

    pub(super) fn disk_failed(&self, error: &str) {
        self.lock().disk_error = Some(error.to_owned());
    }

    /// Waits before the disk is tried again.
    pub(super) fn pause(&self, longest: Duration) {
        let state = self.lock();
        drop(self.wait(state, longest, |state| !state.closed));
    }

    /// The oldest position that some sink still wants.
    pub(super) fn wanted(&self) -> u64 {
        let state = self.lock();
        state.sinks.iter().map(|sink| sink.cursor).min().unwrap_or(state.next)
    }

    pub(super) fn status(&self) -> Vec<SinkStatus> {
        let state = self.lock();
        state.sinks.iter().map(|sink| state.status_of(sink)).collect()
    }

    pub(super) fn spool_status(&self) -> SpoolStatus {
        let state = self.lock();
        SpoolStatus {
            directory: self.options.directory.as_ref().map(|path| path.display().to_string()),
            bytes: state.segments.iter().map(|segment| segment.bytes).sum(),
            segments: state.segments.len(),
            memory_bytes: state.tail_bytes,
            unspooled: state.unspooled,
            error: state.disk_error.clone(),
        }
    }
}

impl State {
    /// Lines from this position on, as many as the limits allow and at least one.
    pub(super) fn from_tail(&self, from: u64, records: usize, bytes: usize) -> Vec<Record> {
        let oldest = self.tail.front().map_or(self.next, |record| record.position);
        // The tail has no hole, so a position is a place in it.
        let skip = usize::try_from(from.saturating_sub(oldest)).unwrap_or(usize::MAX);
        let mut room = bytes;
        let mut taken = Vec::new();
        for record in self.tail.iter().skip(skip).take(records) {
            if !taken.is_empty() && record.line.len() > room {
                break;
            }
            room = room.saturating_sub(record.line.len());
            taken.push(record.clone());
        }
        taken
    }

    fn forget_oldest(&mut self) {
        if let Some(record) = self.tail.pop_front() {
            self.tail_bytes -= record.line.len();
        }
    }

    /// Memory is for what somebody still waits for.
    fn forget_what_all_have(&mut self) {
        let wanted = self.sinks.iter().map(|sink| sink.cursor).min().unwrap_or(self.next).min(self.written);
        while self.tail.front().is_some_and(|record| record.position < wanted) {
            self.forget_oldest();
        }
    }

    fn status_of(&self, sink: &Place) -> SinkStatus {
        SinkStatus {
            name: sink.name.clone(),
            delivered: sink.delivered,
            lost: sink.lost,
            queued: self.next.saturating_sub(sink.cursor),
            queued_bytes: self.waiting_bytes(sink.cursor),
            last_error: sink.last_error.clone(),
            state: if sink.failing || sink.overflowing { SinkState::Degraded } else { SinkState::Ok },
        }
    }

    /// Exact in the tail; on disk by whole segments.
    fn waiting_bytes(&self, cursor: u64) -> u64 {
        let oldest = self.tail.front().map_or(self.next, |record| record.position);
        if cursor >= oldest {
            let waiting = self.tail.iter().skip(usize::try_from(cursor - oldest).unwrap_or(usize::MAX));
            return waiting.map(|record| record.line.len() as u64).sum();
        }
        let after = self.segments.iter().skip(1).map(|segment| segment.first).chain([u64::MAX]);
        let behind = self.segments.iter().zip(after).filter(|(_, end)| *end > cursor);
        behind.map(|(segment, _)| segment.bytes).sum()
    }
}
