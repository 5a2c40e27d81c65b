//! What an evaluator ran and what it did not have to.

/// Counts since the evaluator was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Events decided.
    pub events: u64,
    /// Rules whose condition held, over all events; the others were not looked at further.
    pub candidates: u64,
    /// Groups of rules whose result was known from an earlier event.
    pub hits: u64,
    /// Groups of rules that were run, and their result kept.
    pub misses: u64,
    /// Runs of rules whose result is never kept.
    pub uncached: u64,
    /// Bytes in use for results.
    pub cache_bytes: u64,
}
