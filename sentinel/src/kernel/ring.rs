//! The two rings, read without polling: the reader sleeps until the kernel wakes it.
//!
//! Invariant: bytes are handed on as they came; decoding and checking is `event`'s.

use std::os::fd::{AsRawFd, RawFd};

use aya::{
    Ebpf,
    maps::{MapData, MapError, RingBuf},
};
use tokio::io::{Interest, unix::AsyncFd};

use super::{KernelError, verdicts::take};

/// Records handed on before other work of the event loop gets its turn.
const BATCH: usize = 512;

/// A file descriptor that the ring's owner keeps open.
struct Descriptor(RawFd);

impl AsRawFd for Descriptor {
    fn as_raw_fd(&self) -> RawFd {
        self.0
    }
}

/// Both rings.
pub struct Rings {
    events: RingBuf<MapData>,
    refusals: RingBuf<MapData>,
    events_ready: AsyncFd<Descriptor>,
    refusals_ready: AsyncFd<Descriptor>,
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
        let events_ready = watch(events.as_raw_fd(), "EVENTS")?;
        let refusals_ready = watch(refusals.as_raw_fd(), "REFUSALS")?;
        Ok(Self { events, refusals, events_ready, refusals_ready })
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
        }
        Ok(())
    }

    /// Hands on what is there, at most a batch; false when nothing was left.
    ///
    /// A refusal is handed on after the events that were in the other ring when it was found, so that
    /// the fork and exec that made its process come first.
    pub fn drain(&mut self, mut take: impl FnMut(&[u8])) -> bool {
        for count in 0..BATCH {
            let Some(record) = self.events.next() else {
                return self.drain_refusals(&mut take) || count > 0;
            };
            take(&record);
        }
        true
    }

    fn drain_refusals(&mut self, take: &mut impl FnMut(&[u8])) -> bool {
        let mut any = false;
        while let Some(record) = self.refusals.next() {
            while let Some(earlier) = self.events.next() {
                take(&earlier);
            }
            take(&record);
            any = true;
        }
        any
    }
}

fn watch(fd: RawFd, map: &'static str) -> Result<AsyncFd<Descriptor>, KernelError> {
    // SAFETY: the descriptor belongs to the RingBuf beside it in `Rings`, which is dropped with the
    // AsyncFd; nothing else closes it.
    unsafe { AsyncFd::register_with_interest(Descriptor(fd), Interest::READABLE) }
        .map_err(|error| KernelError::Map { map, reason: format!("cannot wait for it: {error}") })
}
