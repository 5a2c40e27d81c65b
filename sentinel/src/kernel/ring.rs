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
    /// A refusal is handed on after the earlier events in the other ring, so that the fork and exec that made
    /// its process come first, and before the later ones.
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
        while let Some(refusal) = self.refusals.next() {
            any = true;
            let time = time_of(&refusal);
            let mut told = false;
            while let Some(event) = self.events.next() {
                told = time_of(&event) > time;
                if told {
                    take(&refusal);
                }
                take(&event);
                if told {
                    break;
                }
            }
            if !told {
                take(&refusal);
            }
        }
        any
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
