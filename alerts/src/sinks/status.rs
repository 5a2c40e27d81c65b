//! What a sink says about itself: the entry of `sinks[]` in `sentinel status`.
//!
//! Invariant: field names and causes are the project's vocabulary and part of the contract with readers of status.
//!
//! Not here: the counting (`spool/`).

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
    /// Lines that wait, including those being written.
    pub queued: u64,
    /// Their bytes; for those on disk the size of their files.
    pub queued_bytes: u64,
    /// The last thing that went wrong, even when all is well again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Whether the sink takes lines now.
    pub state: SinkState,
}

/// Lost lines by cause.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Lost {
    /// The spool hit its bound of size or age while the sink was behind.
    pub queue_full: u64,
    /// The sink refused the line for good.
    pub sink_error: u64,
    /// The disk of the spool failed while the sink was behind.
    pub spool_error: u64,
}

impl Lost {
    /// All causes together.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.queue_full + self.sink_error + self.spool_error
    }
}

/// The log that the sinks read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SpoolStatus {
    /// Where it is; nowhere: lines are in memory only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// Bytes on disk.
    pub bytes: u64,
    /// Files on disk.
    pub segments: usize,
    /// Bytes in memory.
    pub memory_bytes: usize,
    /// Lines that never were on disk, because it failed for longer than memory lasts.
    pub unspooled: u64,
    /// What is wrong with the disk now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Whether a sink works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SinkState {
    /// The last line went through and none was dropped since the sink had caught up.
    Ok,
    /// The last attempt failed, or lines are being lost.
    Degraded,
}
