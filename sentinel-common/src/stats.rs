//! Counters kept by the kernel programs, one copy for each CPU.
//!
//! Invariant: for every kind, `seen = submitted + suppressed + ring_full + no_scratch`.

/// Counters of a hook.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HookStats {
    /// Times the hook ran in scope, canaries not counted.
    pub runs: u64,
    /// Refusals by the kernel.
    pub refused: u64,
    /// Block verdicts that did not refuse (monitor mode).
    pub would_refuse: u64,
    /// Uses of an exemption.
    pub exempted: u64,
    /// Internal errors (a fact could not be read).
    pub errors: u64,
    /// Verdicts on canary entries; kept out of all other counters.
    pub canary: u64,
}

/// Counters of a kind of event.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KindStats {
    /// Events that happened.
    pub seen: u64,
    /// Events put into a ring.
    pub submitted: u64,
    /// Events of Sentinel's own processes, or already reported for this socket.
    pub suppressed: u64,
    /// Events lost because the ring was full.
    pub ring_full: u64,
    /// Events lost because no scratch buffer was free.
    pub no_scratch: u64,
}
