//! Enforcing that ends unless somebody says that the host still works; and rules in force that harm it on purpose.
//!
//! Invariant: the time is kept by the daemon itself, so it runs out although nobody can log in any more. Monitor mode is
//! another set of programs, so returning to it is an end and a start.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::Daemon;
use crate::{config::Mode, notices::Notice};

impl Daemon {
    /// Begins to count, if the settings ask for it.
    pub(super) fn wait_for_confirmation(&mut self) {
        let Some(seconds) = self.config.confirm.filter(|_| self.config.mode == Mode::Enforce) else { return };
        self.confirm_by = Some(Instant::now() + Duration::from_secs(seconds.get().into()));
        eprintln!("Enforcing ends in {seconds} seconds unless it is confirmed: sentinel confirm");
    }

    /// Whether the time is over; told when it is.
    pub(super) fn is_unconfirmed(&mut self) -> bool {
        let over = self.confirm_by.is_some_and(|end| Instant::now() >= end);
        if over {
            let seconds = self.config.confirm.map_or(0, std::num::NonZeroU32::get);
            self.pipeline.notice(&Notice::unconfirmed(seconds));
        }
        over
    }

    /// Takes the confirmation.
    pub(super) fn confirm(&mut self) -> Result<Value> {
        if self.config.mode != Mode::Enforce {
            bail!("Sentinel runs in monitor mode; there is nothing to confirm");
        }
        let left = self.confirm_by.take().map(|end| end.saturating_duration_since(Instant::now()).as_secs());
        Ok(json!({ "confirmed": true, "seconds_left": left }))
    }

    /// Tells of rules that would harm the host and are in force, except those told before.
    pub(super) fn tell_forced(&mut self, before: &[String]) {
        let forced = self.pipeline.world.forced.clone();
        for what in forced.iter().filter(|what| !before.contains(what)) {
            self.pipeline.notice(&Notice::forced(what));
        }
    }
}
