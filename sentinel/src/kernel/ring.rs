//! The rings, read without polling: the reader sleeps until the kernel wakes it.
//!
//! Invariant: bytes are handed on as they came; decoding and checking is `event`'s.

use std::{
    os::fd::{AsRawFd, RawFd},
    time::{Duration, Instant},
};

use aya::{
    Ebpf,
    maps::{MapData, MapError, RingBuf},
};
use tokio::io::{Interest, unix::AsyncFd};

use super::{KernelError, verdicts::take};

/// Records handed on before other work of the event loop gets its turn.
const BATCH: usize = 512;
/// How long that may take: somebody may be waiting for an answer.
const SLICE: Duration = Duration::from_millis(50);

/// A file descriptor that the ring's owner keeps open.
struct Descriptor(RawFd);

impl AsRawFd for Descriptor {
    fn as_raw_fd(&self) -> RawFd {
        self.0
    }
}

/// All rings.
pub struct Rings {
    events: RingBuf<MapData>,
    refusals: RingBuf<MapData>,
    /// A refusal that was read, and that events before it have to be handed on first.
    held: Option<Box<[u8]>>,
    answers: Answers,
    events_ready: AsyncFd<Descriptor>,
    refusals_ready: AsyncFd<Descriptor>,
    answers_ready: AsyncFd<Descriptor>,
}

impl Rings {
    /// Takes the rings out of a loaded object. Must run inside the event loop that reads them.
    ///
    /// # Errors
    ///
    /// [`KernelError::Map`] if one is missing or cannot be waited for.
    pub fn new(ebpf: &mut Ebpf) -> Result<Self, KernelError> {
        let events: RingBuf<MapData> = take!(ebpf, "EVENTS");
        let refusals: RingBuf<MapData> = take!(ebpf, "REFUSALS");
        let answers: RingBuf<MapData> = take!(ebpf, "ANSWERS");
        let events_ready = watch(events.as_raw_fd(), "EVENTS")?;
        let refusals_ready = watch(refusals.as_raw_fd(), "REFUSALS")?;
        let answers_ready = watch(answers.as_raw_fd(), "ANSWERS")?;
        let answers = Answers { ring: answers, held: None, left: 0 };
        Ok(Self { events, refusals, held: None, answers, events_ready, refusals_ready, answers_ready })
    }

    /// Sleeps until there is something to read.
    ///
    /// # Errors
    ///
    /// What waiting said; the rings are then unusable.
    pub async fn ready(&self) -> std::io::Result<()> {
        tokio::select! {
            guard = self.events_ready.readable() => guard?.clear_ready(),
            guard = self.refusals_ready.readable() => guard?.clear_ready(),
            guard = self.answers_ready.readable() => guard?.clear_ready(),
        }
        Ok(())
    }

    /// Hands on what is there, at most a batch of each ring, and not for longer than [`SLICE`]; false when there was nothing.
    ///
    /// Refusals go first, so that a flood of events cannot keep them waiting; but each after the earlier events in the
    /// other ring, so that the fork and exec that made its process come before it. DNS answers come before what happened
    /// after them; at most a batch of them, so that a flood of answers cannot keep events waiting either.
    pub fn drain(&mut self, mut take: impl FnMut(&[u8])) -> bool {
        let end = Instant::now() + SLICE;
        self.answers.left = BATCH;
        let refusals = (0..BATCH).take_while(|_| Instant::now() < end && self.next_refusal(end, &mut take)).count();
        for count in 0..BATCH {
            if Instant::now() >= end {
                return true;
            }
            let Some(event) = self.events.next() else {
                return refusals + count + self.answers.until(u64::MAX, &mut take) > 0 || self.answers.left == 0;
            };
            self.answers.until(time_of(&event), &mut take);
            take(&event);
        }
        true
    }

    /// Hands on one refusal, with the events before it. When the time is over, it is held until the next call.
    fn next_refusal(&mut self, end: Instant, take: &mut impl FnMut(&[u8])) -> bool {
        let held = self.held.take();
        let next;
        let refusal: &[u8] = match &held {
            Some(held) => held,
            None => {
                let Some(item) = self.refusals.next() else { return false };
                next = item;
                &next
            }
        };
        let time = time_of(refusal);
        self.answers.until(time, take);
        while let Some(event) = self.events.next() {
            if time_of(&event) > time {
                take(refusal);
                take(&event);
                return true;
            }
            take(&event);
            if Instant::now() >= end {
                self.held = Some(Box::from(refusal));
                return true;
            }
        }
        take(refusal);
        true
    }
}

/// The ring of DNS answers, which is read up to a time.
struct Answers {
    ring: RingBuf<MapData>,
    /// Read, and too late for the last time asked for.
    held: Option<Box<[u8]>>,
    /// How many may still be handed on.
    left: usize,
}

impl Answers {
    /// Hands on the answers until `time`; how many.
    fn until(&mut self, time: u64, take: &mut impl FnMut(&[u8])) -> usize {
        let before = self.left;
        while self.left > 0 {
            let Some(answer) = self.held.take().or_else(|| self.ring.next().map(|bytes| Box::from(&*bytes))) else {
                break;
            };
            if time_of(&answer) > time {
                self.held = Some(answer);
                break;
            }
            self.left -= 1;
            take(&answer);
        }
        before - self.left
    }
}

/// The boot-clock time that every record starts with; 0 if it is too short to have one.
fn time_of(record: &[u8]) -> u64 {
    record.first_chunk().map_or(0, |time| u64::from_ne_bytes(*time))
}

fn watch(fd: RawFd, map: &'static str) -> Result<AsyncFd<Descriptor>, KernelError> {
    // SAFETY: the descriptor belongs to the RingBuf beside it in `Rings`, which is dropped with the
    // AsyncFd; nothing else closes it.
    unsafe { AsyncFd::register_with_interest(Descriptor(fd), Interest::READABLE) }
        .map_err(|error| KernelError::Map { map, reason: format!("cannot wait for it: {error}") })
}
