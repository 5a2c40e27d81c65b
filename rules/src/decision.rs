//! What Rego says about one event.
//!
//! A decision names the definition it came from and what to do; the verdict is the kernel's and is not made
//! here. How a member of a rule becomes a decision is in `member`.

use crate::scope::Scope;
use crate::vocabulary::{Severity, Verb, words};

/// Seconds a block entry lives when neither member nor annotation says.
pub const DEFAULT_TTL: u64 = 3600;

words! {
    /// What happens to an event that is denied.
    Action: "action" {
        /// The kernel refuses the next one.
        Refuse = "refuse",
        /// As well, the acting process is killed.
        Kill = "kill",
    }
}

/// One member of a `deny` or `alert` rule, read and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Index of the definition in [`Policies::rules`](crate::Policies::rules).
    pub rule: u32,
    /// Rule id: the member's own, else the definition's.
    pub id: String,
    /// `Deny` or `Alert`, never `Allow`.
    pub verb: Verb,
    /// The message for people.
    pub message: String,
    /// The member's severity, else the rule's.
    pub severity: Severity,
    /// Seconds the block entry lives; 0 is while the rule exists. Means nothing for an alert.
    pub ttl: u64,
    /// What the block entry covers.
    pub scope: Scope,
    /// Refuse, or refuse and kill.
    pub action: Action,
}

/// Why a rule gave no decision although it was asked for one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// It ran longer than [`Limits::time`](crate::Limits::time).
    #[error("ran longer than its time limit")]
    TimeLimit,
    /// It used more instructions than [`Limits::instructions`](crate::Limits::instructions).
    #[error("used more instructions than its limit")]
    InstructionLimit,
    /// It used more memory than [`Limits::memory`](crate::Limits::memory).
    #[error("used more memory than its limit")]
    MemoryLimit,
    /// Anything else: a built-in function failed, a member is malformed.
    #[error("{0}")]
    Runtime(String),
}

/// A rule that failed on an event; the other rules have run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("rule {rule}: {cause}")]
pub struct EvalError {
    /// Index of the definition in [`Policies::rules`](crate::Policies::rules).
    pub rule: u32,
    /// What went wrong.
    pub cause: Cause,
}

/// Everything the rules said about one event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// Decisions that stand, in order of their definitions.
    pub decisions: Vec<Decision>,
    /// Definitions of `allow` that fired; their packages decided nothing.
    pub allowed_by: Vec<u32>,
    /// Rules that failed.
    pub errors: Vec<EvalError>,
}
