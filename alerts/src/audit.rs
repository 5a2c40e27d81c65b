//! The audit trail: evidence that an auditor can check without trusting the host's administrator, as far as that is possible.
//!
//! Records are lines of canonical JSON chained by SHA-256 ([`Record`]); [`Trail`] writes them to segment files and signs
//! checkpoints with keys that sign once; [`Writer`] is the thread that does so for a daemon; [`verify()`] says which record is
//! wrong. Invariants: what was committed is never changed; a decision is durable before its alert leaves for a sink; who takes
//! the host over cannot sign anew what an earlier checkpoint covers. Not here: what the daemon knows, and when.

mod closed;
mod decision;
mod disk;
mod files;
mod jcs;
pub mod keys;
mod kind;
mod record;
mod recovery;
pub mod report;
mod trail;
mod verify;
mod writer;

#[cfg(test)]
mod tests;

pub use decision::{decision, effect};
pub use disk::{Directory, Disk};
pub use files::{find, open};
pub use jcs::canonical;
pub use kind::Kind;
pub use record::{Hash, NoHash, Position, Record, hex};
pub use recovery::Opened;
pub use trail::{CHECKPOINT, Settings, Trail, VERSION};
pub use verify::{Expect, Fault, Problem, Source, Verdict, verify};
pub use writer::{Entry, Failed, Health, Open, Release, Writer};
