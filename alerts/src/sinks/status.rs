//! What a sink says about itself: the entry of `sinks[]` in `sentinel status`.
//!
//! Invariant: field names and causes are the project's vocabulary and part of the contract with readers of status.
//!
//! Not here: the counting (`queue.rs`).

use serde::Serialize;

/// State and counters of one sink at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SinkStatus {
    /// The sink as it was named in the configuration.
    pub name: String,
    /// Lines the system has taken over.
    pub delivered: u64,
    /// Lines that never will arrive, by cause.
    pub lost: Lost,
    /// Bytes that wait, including the line being written.
    pub queued_bytes: usize,
    /// The last thing that went wrong, even when all is well again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Whether the sink takes lines now.
    pub state: SinkState,
}

/// Lost lines by cause.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Lost {
    /// The queue was full: the sink is slower than the alerts.
    pub queue_full: u64,
    /// Writing failed, or the daemon stopped before the line could be written.
    pub sink_error: u64,
}

/// Whether a sink works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SinkState {
    /// The last line went through and the queue is not overflowing.
    Ok,
    /// The last attempt failed, or lines are being lost.
    Degraded,
}
