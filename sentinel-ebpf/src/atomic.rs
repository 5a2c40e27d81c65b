//! Atomic operations on map values.
//!
//! In assembly, because the BPF target of the compiler has no atomic types. Exchange needs instruction
//! set v3, which every kernel since 5.12 has.

use core::arch::asm;

/// Adds one.
///
/// # Safety
///
/// `counter` must be valid and aligned, and all concurrent changes of it must be atomic.
#[inline(always)]
pub(crate) unsafe fn increment(counter: *mut u64) {
    // SAFETY: the caller vouches for the pointer.
    unsafe { asm!("lock *(u64 *)({0} + 0) += {1}", in(reg) counter, in(reg) 1_u64) };
}

/// Stores a value and returns the one before.
///
/// # Safety
///
/// As for [`increment`].
#[inline(always)]
pub(crate) unsafe fn exchange(place: *mut u64, value: u64) -> u64 {
    let mut value = value;
    // SAFETY: the caller vouches for the pointer.
    unsafe { asm!("{1} = xchg_64({0} + 0, {1})", in(reg) place, inout(reg) value) };
    value
}
