//! One file for each family of hooks. A hook reads facts, asks for the verdict, reports, returns.
//!
//! Above each hook: its prototype in the kernel, the first kernel that has it, and what an internal
//! error does (fail open, counted, unless it says otherwise).

mod change;
mod dns;
mod exec;
mod file;
mod forward;
mod hash;
mod mmap;
mod net;
mod packet;
mod probe;
mod process;
mod trace;

/// What an LSM hook returns: -EPERM or 0.
///
/// The verifier (6.12) wants to see the range of the result. The assembly keeps the compiler from turning the
/// branch into a negation, after which the verifier knows nothing of the value any more.
#[inline(always)]
pub(crate) fn lsm_answer(refuse: bool) -> i32 {
    if !refuse {
        return 0;
    }
    let answer: i64;
    // SAFETY: sets a register and nothing else.
    unsafe { core::arch::asm!("{0} = -1", out(reg) answer) };
    answer as i32
}
/// EACCES, which other LSM programs may return.
const EACCES: i32 = -13;

/// What to return when a program that ran before refused: its refusal, as one of two constants.
#[inline(always)]
pub(crate) fn refused_before(verdict: i32) -> i32 {
    if verdict == EACCES { EACCES } else { lsm_answer(true) }
}

/// What a cgroup hook returns to refuse; the kernel makes it EPERM.
pub(crate) const CGROUP_REFUSE: i32 = 0;
/// What a cgroup hook returns to let pass.
pub(crate) const CGROUP_PASS: i32 = 1;

/// What a cgroup hook returns; the assembly for the same reason as in [`lsm_answer`].
#[inline(always)]
pub(crate) fn cgroup_answer(refuse: bool) -> i32 {
    if refuse {
        return CGROUP_REFUSE;
    }
    let answer: i64;
    // SAFETY: sets a register and nothing else.
    unsafe { core::arch::asm!("{0} = 1", out(reg) answer) };
    answer as i32
}
