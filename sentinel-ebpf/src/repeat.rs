//! Repeats: an open, connect or send that was let pass and sent is counted when it happens again.
//!
//! Looked up before anything dear is done. Invariant: the key, the epoch and the names are all that the verdict depended on, and
//! it was that no entry is about this; so that a repeat has the same verdict. Expiry can only end entries, and an exemption that
//! ends is an entry too.

use aya_ebpf::helpers::generated::bpf_get_current_cgroup_id;
use sentinel_common::{
    repeat::{PLACES, Said, WORDS},
    verdict::State,
};

use crate::{
    emit,
    maps::{SAID, config},
    path,
    task::{self, Object, field},
};

/// Odd, with bits all over: the golden ratio.
const MIX: u64 = 0x9e37_79b9_7f4a_7c15;
/// The same for what is beside the key.
const MIX_BESIDE: u64 = 0xff51_afd7_ed55_8ccd;
/// The names were changing at that moment.
const CHANGING: u64 = u64::MAX;

/// What is asked of the table: one event, and under what it is decided. To be made before anything is looked at.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Asked {
    /// What tells one object and access from another.
    pub(crate) object: [u64; 6],
    /// Device of the object.
    pub(crate) device: u32,
    /// The hook.
    pub(crate) hook: u32,
    epoch: u64,
    seconds: u64,
    names: u64,
}

/// What an event is to the table.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Not known.
    New,
    /// It was let pass and sent not long ago, and nothing has changed.
    Repeat,
    /// The same, but paths may mean other files since.
    Renamed,
}

/// To look it up.
const LOOK: u32 = 0;
/// To take it down.
const TELL: u32 = 1;
/// To take down that nothing has changed, if it was sent by this path.
const SAME: u32 = 2;

impl Asked {
    /// An event of the running process that no path is part of.
    #[inline(always)]
    pub(crate) fn new(hook: u32, object: [u64; 6], state: &State) -> Self {
        Self { object, device: 0, hook, epoch: state.epoch, seconds: state.seconds, names: 0 }
    }

    /// One that is about a file.
    #[inline(always)]
    pub(crate) fn of_file(hook: u32, device: u32, object: [u64; 6], state: &State) -> Self {
        Self { device, names: names(), ..Self::new(hook, object, state) }
    }

    /// Whether this was sent not long ago, under the same state.
    #[inline(always)]
    pub(crate) fn seen(&self) -> Seen {
        match repeated(self, LOOK, 0) {
            0 => Seen::New,
            1 => Seen::Repeat,
            _ => Seen::Renamed,
        }
    }

    /// Whether it was sent by this path; it then counts under the names that there are now.
    #[inline(always)]
    pub(crate) fn same_path(&self, path: u64) -> bool {
        repeated(self, SAME, path) != 0
    }

    /// Takes down that this was let pass and sent.
    #[inline(always)]
    pub(crate) fn told(&self, path: u64) {
        repeated(self, TELL, path);
    }
}

/// A global function: the verifier looks at it once, and the stack of the programs has no room for a key.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn repeated(asked: *const Asked, what: u32, path: u64) -> u32 {
    // SAFETY: callers pass a reference; the verifier, which looks at this alone, wants to see the null check.
    let Some(asked) = (unsafe { asked.as_ref() }) else { return 0 };
    let key = Key::new(asked);
    let first = key.place();
    let (Some(first), Some(second)) = (SAID.get_ptr_mut(first), SAID.get_ptr_mut(first ^ 1)) else { return 0 };
    if what == TELL {
        key.told(asked, (first, second), path);
        return 0;
    }
    let said = if key.is_at(asked, first) {
        first
    } else if key.is_at(asked, second) {
        second
    } else {
        return 0;
    };
    // SAFETY: a map value.
    let same = unsafe { (*said).names } == asked.names && asked.names != CHANGING;
    if what == LOOK {
        return if same { 1 } else { 2 };
    }
    u32::from(key.goes_on(asked, said, path))
}

/// The key of an event.
struct Key {
    words: [u64; WORDS],
    hash: u64,
}

impl Key {
    #[inline(always)]
    fn new(asked: &Asked) -> Self {
        let task = task::current_object();
        let leader = field!(task, task_group_leader, Object);
        let start = field!(leader, task_start_boottime, u64);
        let image = task::executable(task);
        let cred = field!(task, task_cred, Object);
        let users = pair(field!(cred, cred_euid, u32), field!(cred, cred_egid, u32));
        let tgid = field!(task, task_tgid, u32) | asked.hook << HOOK;
        let process = pair(tgid, field!(task, task_self_exec_id, u32));
        // SAFETY: the helper has no preconditions.
        let cgroup = unsafe { bpf_get_current_cgroup_id() };
        let [a, b, c, d, e, f] = asked.object;
        let words = [start, process, image.ino, pair(image.dev, asked.device), users, cgroup, a, b, c, d, e, f];
        let mut hash = 0_u64;
        for word in words {
            hash = (hash ^ word).wrapping_mul(MIX);
        }
        Self { words, hash }
    }

    /// The first of its two places. The high bits depend on all of the key.
    #[inline(always)]
    fn place(&self) -> u32 {
        (self.hash >> 40) as u32 & (PLACES - 1)
    }

    #[inline(always)]
    fn check(&self, epoch: u64, names: u64) -> u64 {
        self.hash ^ epoch.wrapping_mul(MIX_BESIDE) ^ names.wrapping_add(MIX).wrapping_mul(MIX_BESIDE)
    }

    /// Whether it is remembered there, under the same state, and is not old.
    #[inline(always)]
    fn is_at(&self, asked: &Asked, said: *const Said) -> bool {
        // SAFETY: a map value. Another CPU may be writing it: then the check does not fit, or the words do not.
        let said = unsafe { &*said };
        if said.epoch != asked.epoch || said.check != self.check(said.epoch, said.names) {
            return false;
        }
        let mut other = 0;
        for index in 0..WORDS {
            other |= said.key[index] ^ self.words[index];
        }
        other == 0 && asked.seconds.wrapping_sub(said.time) < config!(repeat_seconds)
    }

    /// Whether it was remembered there, under whatever state.
    #[inline(always)]
    fn was_at(&self, said: *const Said) -> bool {
        // SAFETY: a map value.
        unsafe { (*said).check == self.check((*said).epoch, (*said).names) }
    }

    /// What two writers leave behind together fits no check.
    #[inline(always)]
    fn goes_on(&self, asked: &Asked, said: *mut Said, path: u64) -> bool {
        // SAFETY: a map value.
        unsafe {
            let same = (*said).path == path;
            if same && asked.names != CHANGING {
                (*said).names = asked.names;
                (*said).check = self.check(asked.epoch, asked.names);
            }
            same
        }
    }

    #[inline(always)]
    fn told(&self, asked: &Asked, (first, second): (*mut Said, *mut Said), path: u64) {
        if asked.names == CHANGING {
            return;
        }
        // SAFETY: map values, as above.
        unsafe {
            let older = if (*first).time > (*second).time { second } else { first };
            let said = if self.was_at(first) {
                first
            } else if self.was_at(second) {
                second
            } else {
                older
            };
            (*said).key = self.words;
            (*said).epoch = asked.epoch;
            (*said).names = asked.names;
            (*said).path = path;
            (*said).time = asked.seconds;
            (*said).check = self.check(asked.epoch, asked.names);
        }
    }
}

/// Place of the hook beside the process id, which is below it (`PID_MAX_LIMIT` is 2^22).
const HOOK: u32 = 24;

/// Two halves of a word.
#[inline(always)]
pub(crate) fn pair(low: u32, high: u32) -> u64 {
    u64::from(low) | u64::from(high) << 32
}

/// How many renames and mounts there have been: the sequence counts of the kernel's own locks, which are odd during a change.
#[inline(always)]
fn names() -> u64 {
    let [renames, mounts] = config!(names);
    let (renames, mounts): (u32, u32) = (path::read(renames), path::read(mounts));
    if (renames | mounts) & 1 == 0 { pair(renames, mounts) } else { CHANGING }
}

/// Counts a repeat.
#[inline(always)]
pub(crate) fn count(kind: u16, hook: u32) {
    emit::count_hook(hook, |s| &mut s.runs);
    emit::suppressed(kind);
}

/// Whether repeats of such events are told apart at all; `every` is the bit of the kind.
#[inline(always)]
pub(crate) fn asked(state: &State, every: u64) -> bool {
    config!(repeat_seconds) != 0 && state.word & every == 0
}
