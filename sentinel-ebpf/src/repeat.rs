//! Repeats: an open, connect or send that was reported is counted when it happens again, and not sent.
//!
//! The same process, image, user and cgroup does the same to the same object, under the same policy, not long after. Looked up
//! before anything dear is done: paths are not walked for a repeat. Not here: verdicts, which are asked for each time.

use sentinel_common::repeat::{PLACES, Repeats, Said, WORDS};

use crate::{
    atomic, emit,
    maps::{REPEATS, SAID},
    task,
};

/// Odd, with bits all over: the golden ratio.
const MIX: u64 = 0x9e37_79b9_7f4a_7c15;

/// The key of an event.
pub(crate) struct Key {
    words: [u64; WORDS],
    hash: u64,
}

impl Key {
    /// Of the running process; `object` is what tells one object, access and hook from another.
    #[inline(always)]
    pub(crate) fn new(object: [u64; 6]) -> Self {
        let who = task::who();
        let mut words = [0; WORDS];
        words[..5].copy_from_slice(&who);
        words[5..].copy_from_slice(&object);
        let mut hash = 0_u64;
        for word in words {
            hash = (hash ^ word).wrapping_mul(MIX);
            hash ^= hash >> 29;
        }
        Self { words, hash }
    }

    /// Where it would be.
    #[inline(always)]
    fn place(&self) -> Option<*mut Said> {
        SAID.get_ptr_mut(self.hash as u32 & (PLACES - 1))
    }
}

/// What is told and what is not, of one kind of event; `None` if everything is.
#[inline(always)]
fn settings(kind: u16) -> Option<Repeats> {
    // SAFETY: a map value that lives as long as the program.
    let repeats = REPEATS.get_ptr(0).map(|repeats| unsafe { *repeats })?;
    if repeats.refresh == 0 || repeats.every >> kind & 1 != 0 { None } else { Some(repeats) }
}

/// Whether this was sent not long ago, under the same state.
#[inline(always)]
pub(crate) fn is_one(kind: u16, key: &Key, epoch: u64) -> bool {
    let Some(repeats) = settings(kind) else { return false };
    let Some(said) = key.place() else { return false };
    // SAFETY: a map value. Another CPU may be writing it: then the check does not fit, or the words do not.
    let said = unsafe { &*said };
    if said.check != key.hash || said.epoch != epoch || said.names != repeats.names {
        return false;
    }
    let mut other = 0;
    for index in 0..WORDS {
        other |= said.key[index] ^ key.words[index];
    }
    other == 0 && emit::now().wrapping_sub(said.time) < repeats.refresh
}

/// Takes down that this was sent.
#[inline(always)]
pub(crate) fn told(kind: u16, key: &Key, epoch: u64) {
    let (Some(repeats), Some(said)) = (settings(kind), key.place()) else { return };
    // SAFETY: a map value; the check is void while the rest is written.
    unsafe {
        (&raw mut (*said).check).write_volatile(0);
        (*said).key = key.words;
        (*said).epoch = epoch;
        (*said).names = repeats.names;
        (*said).time = emit::now();
        (&raw mut (*said).check).write_volatile(key.hash);
    }
}

/// Says that paths mean other files from now on.
#[inline(always)]
pub(crate) fn names_change() {
    if let Some(repeats) = REPEATS.get_ptr_mut(0) {
        // SAFETY: a map value; a count that is lost to another CPU's still makes it differ.
        unsafe { atomic::increment(&mut (*repeats).names) };
    }
}
