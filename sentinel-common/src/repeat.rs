//! Repeats: what a process has done before to the same object, under the same policy, is let pass and counted, and not looked at
//! and sent again.
//!
//! Invariant: a place remembers only what was let pass without any entry being about it, with everything that this depended
//! on. A table that is full or wrong makes more work and more events, never fewer verdicts: a place is taken by whoever comes
//! last, and something is a repeat only if all of its key is there.

/// Words of a key.
pub const WORDS: usize = 12;

/// Places in the table; a power of two. A key has two of them to choose from.
pub const PLACES: u32 = 16 * 1024;

/// What was let pass and sent: process with image, user and cgroup; object; access. Which words are which is the hook's business.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// The whole key.
    pub key: [u64; WORDS],
    /// Hash of key, epoch and names: what two writers leave behind together is nobody's.
    pub check: u64,
    /// [`crate::verdict::State::epoch`] that it was decided under.
    pub epoch: u64,
    /// Renames and mounts that there had been, as the kernel counts them: paths mean other files after each.
    pub names: u64,
    /// Tells one path of the object from another, for as long as the kernel remembers its components.
    pub path: u64,
    /// When it was sent, as [`crate::verdict::State::seconds`] had it.
    pub time: u64,
}

/// Bits of [`crate::verdict::State::word`]: every event of a kind is sent, and none is a repeat.
pub mod every {
    /// Opens.
    pub const OPEN: u64 = 1 << 40;
    /// Connects.
    pub const CONNECT: u64 = 1 << 41;
    /// Sends.
    pub const SEND: u64 = 1 << 42;
    /// All of them.
    pub const ALL: u64 = OPEN | CONNECT | SEND;
}

const _: () = {
    assert!(size_of::<Said>() == 136);
    assert!(PLACES.is_power_of_two());
};
