//! Being told by the kernel that something below a directory has changed.
//!
//! Opening and reading are no changes. Not here: what is read then, and the polling of those who were not told.

use std::time::Duration;

use notify::{EventKind, RecommendedWatcher, event::AccessKind};

/// A watcher that calls `touched` at each change. None if the kernel has no more watches: then `what` is only looked at
/// every `poll`, which is said.
pub fn watcher(what: &str, poll: Duration, touched: impl Fn() + Send + 'static) -> Option<RecommendedWatcher> {
    let handler = move |event: notify::Result<notify::Event>| {
        let changed = match event.map(|event| event.kind) {
            Ok(EventKind::Access(AccessKind::Close(_))) => true,
            Ok(EventKind::Access(_)) => false,
            Ok(_) | Err(_) => true,
        };
        if changed {
            touched();
        }
    };
    notify::recommended_watcher(handler).map_err(|error| slow(what, poll, &error)).ok()
}

/// Says why changes will be noticed late.
pub fn slow(what: &str, poll: Duration, error: &notify::Error) {
    tracing::warn!("changes of {what} are noticed within {} s only: {error}", poll.as_secs());
}
