//! Repeats: what was reported is counted when it happens again, and not sent.
//!
//! Invariant: nothing here has a part in a verdict. A table that is full or wrong makes more events, never fewer: a place is
//! taken by whoever comes last, and something is a repeat only if all of its key is there.

/// Words of a key.
pub const WORDS: usize = 11;

/// Places in the table; a power of two.
pub const PLACES: u32 = 16 * 1024;

/// What was reported: process with image, user and cgroup; object; access. Which words are which is the hook's business.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// The whole key.
    pub key: [u64; WORDS],
    /// Its hash: what two writers leave behind together is no key of either.
    pub check: u64,
    /// [`crate::verdict::State::epoch`] that it was decided under.
    pub epoch: u64,
    /// [`Repeats::names`] at that time.
    pub names: u64,
    /// When it was sent, boot clock, nanoseconds.
    pub time: u64,
    /// Always zero.
    pub pad: u64,
}

/// What is told and what is not; one map value. User space writes it whole.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repeats {
    /// A repeat is told again after so long, nanoseconds; 0: everything is told.
    pub refresh: u64,
    /// Kinds of event of which every one is told, a bit for each number in [`crate::event::kind`].
    pub every: u64,
    /// Goes up when a directory gets another name or a mount changes: paths mean other files then.
    pub names: u64,
}

const _: () = {
    assert!(size_of::<Said>() == 128);
    assert!(size_of::<Repeats>() == 24);
    assert!(PLACES.is_power_of_two());
    assert!(crate::event::kind::COUNT <= u64::BITS);
};
