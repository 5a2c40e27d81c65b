//! Identity and order of alerts.
//!
//! Invariant: the order of `sequence` and the order of ids are the same, whichever threads ask. A hole in `sequence`
//! means that an alert was made and never arrived; the numbers start again at 1 when the daemon does.
//!
//! Not here: losses before an alert is made; the daemon counts them and says so in `lost_before`.

use std::sync::{Arc, Mutex, PoisonError};

use uuid::Uuid;

use crate::alert::{Alert, AlertParts};

/// Numbers alerts and gives them ids.
#[derive(Debug)]
pub struct Sequencer {
    boot_id: Arc<str>,
    last: Mutex<u64>,
}

impl Sequencer {
    /// A sequence that starts at 1, for the boot named by `/proc/sys/kernel/random/boot_id`.
    #[must_use]
    pub fn new(boot_id: &str) -> Self {
        Self { boot_id: Arc::from(boot_id), last: Mutex::new(0) }
    }

    /// Makes the next alert.
    pub fn alert(&self, parts: AlertParts) -> Alert {
        let (id, sequence) = self.next();
        Alert::new(id, sequence, Arc::clone(&self.boot_id), parts)
    }

    /// Both are taken under one lock, so that they cannot be ordered differently.
    fn next(&self) -> (Uuid, u64) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last += 1;
        (Uuid::now_v7(), *last)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn ids_and_numbers_rise_together_over_threads() {
        let sequencer = Sequencer::new("boot");
        let mut stamps = thread::scope(|scope| {
            let takers: Vec<_> =
                (0..4).map(|_| scope.spawn(|| (0..500).map(|_| sequencer.next()).collect::<Vec<_>>())).collect();
            takers.into_iter().flat_map(|taker| taker.join().unwrap()).collect::<Vec<_>>()
        });
        stamps.sort_by_key(|(_, sequence)| *sequence);
        assert!(stamps.iter().zip(1..).all(|((_, sequence), expected)| *sequence == expected));
        assert!(stamps.windows(2).all(|pair| pair[0].0 < pair[1].0), "ids sort as the numbers do");
        assert!(stamps.iter().all(|(id, _)| id.get_version_num() == 7));
    }
}
