//! The one way out for events: a ring buffer, or a counted loss.
//!
//! Invariant: for every kind, seen = submitted + suppressed + ring_full + no_scratch.

use core::ffi::c_void;

use aya_ebpf::helpers::{
    bpf_ktime_get_boot_ns,
    generated::{bpf_probe_read_kernel, bpf_ringbuf_output, bpf_ringbuf_reserve, bpf_ringbuf_submit},
};
use sentinel_common::{
    event::{Credentials, Header, Task, flag, kind as kinds},
    stats::{HookStats, KindStats},
    verdict::{Entry, flag as entry_flag, origin},
};

use crate::{
    atomic,
    maps::{ANSWERS, EVENTS, HOOK_STATS, KIND_STATS, REFUSALS},
    scratch::Builder,
    task, verdict,
};

/// The counters of a kind on this CPU.
#[inline(always)]
fn kind_stats(kind: u16) -> Option<&'static mut KindStats> {
    // SAFETY: per-CPU values are only counted up; a preempted count may be lost to another task of
    // this CPU only between load and store, which the atomic add below avoids.
    KIND_STATS.get_ptr_mut(u32::from(kind)).map(|stats| unsafe { &mut *stats })
}

/// Adds one, atomically: LSM programs can be preempted by another task on the same CPU.
#[inline(always)]
pub(crate) fn count(counter: &mut u64) {
    // SAFETY: a reference is valid and aligned; kernel programs change counters only here.
    unsafe { atomic::increment(counter) };
}

/// Counts on the hook's counters.
#[inline(always)]
pub(crate) fn count_hook(hook: u32, which: impl Fn(&mut HookStats) -> &mut u64) {
    if let Some(stats) = HOOK_STATS.get_ptr_mut(hook) {
        // SAFETY: as in `kind_stats`.
        count(which(unsafe { &mut *stats }));
    }
}

/// Counts the outcome at the hook; true when it was a canary, which is to be neither reported nor
/// counted anywhere else.
#[inline(always)]
pub(crate) fn settle(hook: u32, entry: &Entry) -> bool {
    if entry.flags & entry_flag::CANARY != 0 {
        // That of hashes is met where exec is decided.
        count_hook(entry.hook, |s| &mut s.canary);
        return true;
    }
    count_hook(hook, |s| &mut s.runs);
    if entry.rule == 0 {
        return false;
    }
    if entry.origin == origin::EXEMPTION {
        count_hook(hook, |s| &mut s.exempted);
    } else if verdict::refuses(entry) {
        count_hook(hook, |s| &mut s.refused);
    } else {
        count_hook(hook, |s| &mut s.would_refuse);
    }
    false
}

/// The common part of an event, before its task and its verdict are known.
#[inline(always)]
pub(crate) fn header(kind: u16, hook: u32, length: usize) -> Header {
    Header {
        // SAFETY: the helper has no preconditions.
        time: unsafe { bpf_ktime_get_boot_ns() },
        length: length as u32,
        kind,
        hook: hook as u16,
        flags: flag::IN_SCOPE,
        ..Header::default()
    }
}

/// Whether the event is one of Sentinel's own; it is then counted as suppressed.
#[inline(always)]
pub(crate) fn suppress_own(kind: u16, task: &Task) -> bool {
    let own = task::is_own(task);
    if own {
        suppressed(kind);
    }
    own
}

/// Counts an event that is not sent.
#[inline(always)]
pub(crate) fn suppressed(kind: u16) {
    if let Some(stats) = kind_stats(kind) {
        count(&mut stats.seen);
        count(&mut stats.suppressed);
    }
}

/// Counts an event that no scratch buffer was free for.
#[inline(always)]
pub(crate) fn no_scratch(kind: u16) {
    if let Some(stats) = kind_stats(kind) {
        count(&mut stats.seen);
        count(&mut stats.no_scratch);
    }
}

/// Sends a record, and whether there was room for it; those that met a verdict have a ring of their own, and so have DNS answers.
#[inline(always)]
pub(crate) fn send(kind: u16, rule: u32, record: *const u8, length: usize) -> bool {
    let Some(stats) = kind_stats(kind) else { return false };
    count(&mut stats.seen);
    // SAFETY: the record is `length` bytes inside a stack value or our scratch buffer.
    let result = unsafe { bpf_ringbuf_output(ring(kind, rule), record.cast_mut().cast(), length as u64, 0) };
    if result == 0 {
        count(&mut stats.submitted)
    } else {
        count(&mut stats.ring_full)
    }
    result == 0
}

/// The ring for a record.
#[inline(always)]
fn ring(kind: u16, rule: u32) -> *mut c_void {
    if kind == kinds::ANSWER {
        (&raw const ANSWERS).cast_mut().cast()
    } else if rule == 0 {
        (&raw const EVENTS).cast_mut().cast()
    } else {
        (&raw const REFUSALS).cast_mut().cast()
    }
}

/// Sends a record without variable part, with the credentials of the running task, which is the acting one. It is put
/// together in the ring.
#[inline(always)]
pub(crate) fn send_acting<T>(kind: u16, rule: u32, record: &T) -> bool {
    let Some(stats) = kind_stats(kind) else { return false };
    count(&mut stats.seen);
    let length = size_of::<T>() + size_of::<Credentials>();
    // SAFETY: a ring of ours, and a size that is known when this is compiled.
    let place = unsafe { bpf_ringbuf_reserve(ring(kind, rule), length as u64, 0) };
    if place.is_null() {
        count(&mut stats.ring_full);
        return false;
    }
    const { assert!(size_of::<T>().is_multiple_of(8)) };
    // SAFETY: the ring has given us `length` bytes, aligned to 8; every record starts with a header.
    unsafe {
        bpf_probe_read_kernel(place, size_of::<T>() as u32, core::ptr::from_ref(record).cast());
        let header = place.cast::<Header>();
        (*header).length = length as u32;
        (*header).flags |= flag::CREDENTIALS;
        task::credentials(place.byte_add(size_of::<T>()).cast());
        bpf_ringbuf_submit(place, 0);
    }
    count(&mut stats.submitted);
    true
}

/// Sends a record without variable part.
#[inline(always)]
pub(crate) fn send_fixed<T>(kind: u16, rule: u32, record: &T) {
    send(kind, rule, core::ptr::from_ref(record).cast(), size_of::<T>());
}

/// The same, with the credentials of the running task, which is the acting one, at the end.
#[inline(always)]
pub(crate) fn send_built_acting<T>(
    kind: u16,
    rule: u32,
    builder: &mut Builder,
    fixed: &mut T,
    header: fn(&mut T) -> &mut Header,
) -> bool {
    builder.append_credentials();
    header(fixed).flags |= flag::CREDENTIALS;
    let length = builder.end.wrapping_sub(builder.start).wrapping_add(size_of::<T>());
    header(fixed).length = length as u32;
    let (record, length) = builder.finish(fixed);
    send(kind, rule, record, length)
}

/// Puts the fixed part in front of what the builder holds, and sends it.
#[inline(always)]
pub(crate) fn send_built<T>(kind: u16, rule: u32, builder: &mut Builder, fixed: &mut T, set_length: fn(&mut T, u32)) {
    let length = builder.end.wrapping_sub(builder.start).wrapping_add(size_of::<T>());
    set_length(fixed, length as u32);
    let (record, length) = builder.finish(fixed);
    send(kind, rule, record, length);
}
