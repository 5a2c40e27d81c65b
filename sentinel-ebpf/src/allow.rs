//! Lists of what may run: whoever a list is about may run nothing else.
//!
//! Invariants: what is on a list is told by identity, the directory's and the name, never by a path as text, which whoever has
//! a mount namespace can choose. A directory means what is below it on the same file system: what is mounted there is
//! somebody else's. Neither PID 1 nor Sentinel is held to a list.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::bpf_loop;
use sentinel_common::{
    content::{self, LIBRARIES},
    verdict::{Entry, flag},
};

use crate::{
    maps::{ALLOW_LISTS, ALLOW_NAMES, ALLOW_TREES},
    path::{self, CLIMB},
    scratch::{Builder, Scratch},
    task,
    verdict::{MAPPED, Question, holds},
};

/// The list that a file is missing from, of those that hold for the subject; null if there is none.
#[inline(always)]
pub(crate) fn refusal(q: &Question, builder: &Builder) -> *const Entry {
    let mut found: *const Entry = core::ptr::null();
    if q.task.tgid == 1 || task::is_own(q.task) {
        return found;
    }
    // SAFETY: the buffer is ours.
    let ask = unsafe { &(*builder.scratch()).ask };
    let mask = named(builder, ask.dentry) | below(builder, path::parent_of(ask.dentry));
    if ask.image == MAPPED && mask & LIBRARIES != 0 {
        return found;
    }
    for index in 0..content::ALLOW_LISTS {
        let Some(entry) = ALLOW_LISTS.get_ptr(index) else { return found };
        // SAFETY: if not null, a map value.
        let on_trial = found.is_null() || unsafe { (*found).flags } & flag::MONITOR != 0;
        if on_trial && mask & 1 << index == 0 && holds(q, entry, true) {
            found = entry;
        }
    }
    found
}

/// The lists that the name is on, in the directory where it is.
#[inline(always)]
fn named(builder: &Builder, dentry: u64) -> u32 {
    let directory = path::inode_id(path::inode_of(path::parent_of(dentry)));
    let (length, name) = path::name_of(dentry);
    let key = builder.name_key(directory, name, length);
    // SAFETY: if not null, the key in our buffer.
    let Some(key) = (unsafe { key.as_ref() }) else { return 0 };
    // SAFETY: a map value.
    ALLOW_NAMES.get_ptr(key).map_or(0, |mask| unsafe { *mask })
}

/// The lists that a directory or one above it is on.
#[inline(always)]
fn below(builder: &Builder, directory: u64) -> u32 {
    let mut scratch = builder.scratch();
    // SAFETY: the buffer is ours until it is released.
    let walk = unsafe { &mut (*scratch).walk };
    walk.dentry = directory;
    walk.allowed = 0;
    // SAFETY: the callback has the signature that bpf_loop asks for, the context outlives the call.
    unsafe { bpf_loop(CLIMB, climb as *mut c_void, (&raw mut scratch).cast(), 0) };
    walk.allowed as u32
}

/// One directory up, to the root of the file system; 1 ends the loop.
extern "C" fn climb(_index: u32, context: *mut c_void) -> i64 {
    // SAFETY: bpf_loop hands over the context of `below`, which holds the address of its buffer.
    let scratch = unsafe { *context.cast::<*mut Scratch>() };
    // SAFETY: as above.
    let walk = unsafe { &mut (*scratch).walk };
    let here = path::inode_id(path::inode_of(walk.dentry));
    if let Some(mask) = ALLOW_TREES.get_ptr(here) {
        // SAFETY: a map value.
        walk.allowed |= u64::from(unsafe { *mask });
    }
    let parent = path::parent_of(walk.dentry);
    if parent == walk.dentry || parent == 0 {
        return 1;
    }
    walk.dentry = parent;
    0
}
