//! One file for each family of hooks. A hook reads facts, asks for the verdict, reports, returns.
//!
//! Above each hook: its prototype in the kernel, the first kernel that has it, and what an internal
//! error does (fail open, counted, unless it says otherwise).

mod exec;
mod file;
mod net;
mod packet;
mod process;

/// What an LSM hook returns to refuse.
pub(crate) const EPERM: i32 = -1;
/// What a cgroup hook returns to refuse; the kernel makes it EPERM.
pub(crate) const CGROUP_REFUSE: i32 = 0;
/// What a cgroup hook returns to let pass.
pub(crate) const CGROUP_PASS: i32 = 1;
