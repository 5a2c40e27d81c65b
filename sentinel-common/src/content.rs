//! What is in an executable: the hash of it, under what tells one content of a file from the next, and the lists of what may
//! run at all.
//!
//! Invariant: a hash is only ever found under the version that it was taken of; what cannot be hashed has none, and is never
//! taken for something else.

use crate::{FileId, verdict::Entry};

/// A SHA-256.
pub type Digest = [u8; 32];

/// One content of a file: whoever writes to it changes `ctime`, and nobody can set that.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileVersion {
    /// The file.
    pub file: FileId,
    /// Seconds of the last change of its inode, wall clock.
    pub ctime: i64,
    /// Its size.
    pub size: u64,
    /// Nanoseconds of that change.
    pub ctime_nsec: u32,
    /// Always zero.
    pub pad: u32,
}

/// What is known of a content.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hashed {
    /// Its hash, if there is one.
    pub digest: Digest,
    /// [`state`] number.
    pub state: u32,
    /// Always zero.
    pub pad: u32,
}

/// Numbers in [`Hashed::state`].
pub mod state {
    /// Nobody asked.
    pub const NOT_ASKED: u32 = 0;
    /// The hash is there.
    pub const KNOWN: u32 = 1;
    /// Not hashed yet.
    pub const UNKNOWN: u32 = 2;
    /// It has none: too large, or it could not be read.
    pub const UNDEFINED: u32 = 3;
}

/// The last part of an exec record.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// Which content it is.
    pub version: FileVersion,
    /// What is known of it.
    pub hashed: Hashed,
    /// Magic number of the file system that it is on.
    pub file_system: u32,
    /// Always zero.
    pub pad: u32,
}

/// What the program that hashes leaves for the one that decides, on the same thread.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    /// The content.
    pub version: FileVersion,
    /// Its hash.
    pub digest: Digest,
}

/// What is done where a hash or a path cannot be had; one map value.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fallbacks {
    /// Larger files are not hashed.
    pub max_bytes: u64,
    /// Refuses what has no hash, if there is a rule that says so.
    pub hash: Entry,
    /// Refuses what has no whole path.
    pub path: Entry,
}

/// Lists of what may run: a bit of a mask for each.
pub const ALLOW_LISTS: u32 = 8;
/// The bit of directories that hold libraries: they may be mapped, whatever the lists say.
pub const LIBRARIES: u32 = 1 << 31;

const _: () = {
    assert!(size_of::<FileVersion>() == 40);
    assert!(size_of::<Hashed>() == 40);
    assert!(size_of::<Content>() == 88);
    assert!(size_of::<Pending>() == 72);
    assert!(size_of::<Fallbacks>() == 56);
};
