//! Names of destinations, from DNS answers seen on the wire.
//!
//! Invariant: a name is advisory and no key of a verdict. Whoever can send a packet from port 53 can make one up, one
//! address has many names (the last one seen is kept), and encrypted DNS is not seen. Names are bounded in number and
//! time: this is telemetry, which may be evicted. Reading messages is [`answer`]'s.

use std::{num::NonZeroUsize, sync::Arc};

use lru::LruCache;
use sentinel_common::address::{Address, normalise};

mod answer;

pub use answer::Malformed;

/// Addresses that have a name at one time; the one that was not asked for the longest goes first.
const ADDRESSES: NonZeroUsize = NonZeroUsize::new(16_384).expect("not zero");
/// Shortest and longest life of a name, in seconds: programs use addresses for longer than some answers allow.
const LIFE: (u32, u32) = (60, 86_400);

/// The name of an address, and until when: boot clock, nanoseconds.
#[derive(Debug)]
struct Known {
    name: Arc<str>,
    expires: u64,
}

/// The cache.
#[derive(Debug)]
pub struct Names {
    addresses: LruCache<Address, Known>,
}

impl Default for Names {
    fn default() -> Self {
        Self { addresses: LruCache::new(ADDRESSES) }
    }
}

impl Names {
    /// Takes the names out of a DNS message that came in at `now` (boot clock, nanoseconds); of a `cut` one those that
    /// are whole.
    ///
    /// # Errors
    ///
    /// [`Malformed`], and then nothing has changed.
    pub fn learn(&mut self, message: &[u8], cut: bool, now: u64) -> Result<(), Malformed> {
        let answer = answer::read(message, cut)?;
        let name: Arc<str> = answer.name.into();
        for (address, seconds) in answer.addresses {
            let life = u64::from(seconds.clamp(LIFE.0, LIFE.1)) * 1_000_000_000;
            let known = Known { name: Arc::clone(&name), expires: now.saturating_add(life) };
            self.addresses.put(normalise(address).0, known);
        }
        Ok(())
    }

    /// The name of a normalised address at `now`.
    pub fn of(&mut self, address: Address, now: u64) -> Option<Arc<str>> {
        let known = self.addresses.get(&address)?;
        if known.expires < now {
            self.addresses.pop(&address);
            return None;
        }
        Some(Arc::clone(&known.name))
    }
}

#[cfg(test)]
mod tests;
