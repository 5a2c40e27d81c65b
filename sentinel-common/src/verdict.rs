//! Keys and values of the verdict maps.
//!
//! Invariant: every entry says which rule it came from, until when it holds and which generation
//! wrote it. Rule numbers are given by user space; 0 is no rule.

use crate::{FileId, address::Address};

/// One block or exemption entry.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Boot-time clock in nanoseconds after which the entry no longer holds; 0: no end.
    pub expires: u64,
    /// Number of the rule; 0: the slot is empty.
    pub rule: u32,
    /// Policy generation that wrote the entry.
    pub generation: u32,
    /// The one [`crate::hook`] that the entry holds for, or [`crate::hook::ANY`] (only canaries hold for one).
    pub hook: u32,
    /// Where the entry came from: [`origin`].
    pub origin: u8,
    /// [`flag`] bits.
    pub flags: u8,
    /// Subject limits that the rule has: [`limit`] bits.
    pub limits: u16,
}

impl Entry {
    /// An empty slot.
    pub const NONE: Self = Self { expires: 0, rule: 0, generation: 0, hook: 0, origin: 0, flags: 0, limits: 0 };
}

/// Number of the verdict on destinations while nobody attends to the programs; never given to a rule.
pub const UNATTENDED: u32 = u32::MAX - 1;

/// Where a verdict came from.
pub mod origin {
    /// No entry matched: default allow.
    pub const NONE: u8 = 0;
    /// A standing rule.
    pub const STANDING: u8 = 1;
    /// The decision of an event rule.
    pub const EVENT_RULE: u8 = 2;
    /// A country.
    pub const GEO: u8 = 3;
    /// An exemption.
    pub const EXEMPTION: u8 = 4;
    /// The operator.
    pub const OPERATOR: u8 = 5;
}

/// Properties of an entry.
pub mod flag {
    /// The policy is in monitor mode: report, never refuse.
    pub const MONITOR: u8 = 1;
    /// A canary of Sentinel's own: not reported, not counted.
    pub const CANARY: u8 = 2;
    /// The rule lets pass and does not refuse: an exemption, among what may be lent ([`super::LENT`]).
    pub const GRANT: u8 = 4;
}

/// Subject limits of a rule; for each bit set, [`LimitKey`]s list what it is limited to.
pub mod limit {
    /// `only.executables`.
    pub const ONLY_EXECUTABLE: u16 = 1;
    /// `only.uids`.
    pub const ONLY_UID: u16 = 2;
    /// `only.cgroups` and `only.containers`, by cgroup id.
    pub const ONLY_CGROUP: u16 = 4;
    /// `only.ports`.
    pub const ONLY_PORT: u16 = 8;
    /// `only.protocols`.
    pub const ONLY_PROTOCOL: u16 = 16;
    /// `except.executables`.
    pub const EXCEPT_EXECUTABLE: u16 = 32;
    /// `except.uids`.
    pub const EXCEPT_UID: u16 = 64;
    /// `except.cgroups` and `except.containers`, by cgroup id.
    pub const EXCEPT_CGROUP: u16 = 128;
    /// `except.ports`.
    pub const EXCEPT_PORT: u16 = 256;
    /// `except.protocols`.
    pub const EXCEPT_PROTOCOL: u16 = 512;
}

/// Most different limits to subjects that a policy set may have: for each, who is outside of it may not enter a process that is
/// inside, or the other way round.
pub const LENT: u32 = 128;

/// Membership of a value in a limit of a rule.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct LimitKey {
    /// Inode number of an executable, or the plain value.
    pub value: u64,
    /// Device of an executable, else 0.
    pub dev: u32,
    /// Number of the rule.
    pub rule: u32,
    /// One [`limit`] bit.
    pub limit: u32,
    /// Always zero.
    pub pad: u32,
}

/// Whom an entry is about.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Subject {
    /// Inode number of the executable, or start time of the process (boot clock, nanoseconds).
    pub a: u64,
    /// Device of the executable, or thread group id.
    pub b: u32,
    /// [`subject`] number.
    pub kind: u32,
}

/// Kinds of subject.
pub mod subject {
    /// Everyone.
    pub const ANYONE: u32 = 0;
    /// Every process running one executable.
    pub const EXECUTABLE: u32 = 1;
    /// One process.
    pub const INSTANCE: u32 = 2;
}

impl Subject {
    /// Everyone.
    pub const ANYONE: Self = Self { a: 0, b: 0, kind: subject::ANYONE };

    /// Every process running this executable.
    #[inline(always)]
    #[must_use]
    pub const fn executable(file: FileId) -> Self {
        Self { a: file.ino, b: file.dev, kind: subject::EXECUTABLE }
    }

    /// One process: thread group id and start time in nanoseconds of the boot clock.
    #[inline(always)]
    #[must_use]
    pub const fn instance(tgid: u32, start: u64) -> Self {
        Self { a: start, b: tgid, kind: subject::INSTANCE }
    }
}

/// Key of the destination blocklist.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DestinationKey {
    /// Normalised address.
    pub address: Address,
    /// Whom the entry is about.
    pub subject: Subject,
    /// Port in host order; 0: every port.
    pub port: u16,
    /// Always zero.
    pub pad: [u16; 3],
}

/// Key data of the CIDR trie: the subject in full, then as much of the address as the prefix has.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CidrKey {
    /// Whom the entry is about.
    pub subject: Subject,
    /// Normalised address; host bits are zero.
    pub address: Address,
}

impl CidrKey {
    /// Bits of the key in front of the address.
    pub const SUBJECT_BITS: u32 = 128;
}

/// Key of the file blocklist.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileKey {
    /// The file.
    pub file: FileId,
    /// Whom the entry is about.
    pub subject: Subject,
}

/// Key of what sends past every hook on destinations.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BypassKey {
    /// [`bypass`] number.
    pub kind: u32,
    /// Socket family, protocol, or device number as the kernel has it.
    pub number: u32,
}

/// Kinds of bypass.
pub mod bypass {
    /// A socket family.
    pub const FAMILY: u32 = 1;
    /// A character device.
    pub const DEVICE: u32 = 2;
    /// A protocol, of whatever family.
    pub const PROTOCOL: u32 = 3;
}

/// What is done to a file, as index into [`AccessEntries`].
pub mod access {
    /// Read.
    pub const READ: usize = 0;
    /// Write, truncate, append.
    pub const WRITE: usize = 1;
    /// Create.
    pub const CREATE: usize = 2;
    /// Execute.
    pub const EXEC: usize = 3;
    /// Delete, rename away.
    pub const DELETE: usize = 4;
    /// Take out of a protected directory, by rename or by another name. No rule says it: user space sets it for every
    /// directory that a rule refuses anything in, or else what is in there could be freed by moving it.
    pub const MOVE: usize = 5;
    /// How many there are.
    pub const COUNT: usize = 6;
    /// Places for them: a power of two, because the verifier understands masks.
    pub const PLACES: usize = 8;
}

/// An entry for each access to one file or path.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccessEntries {
    /// Indexed by [`access`].
    pub by_access: [Entry; access::PLACES],
    /// Of a file by identity: the generation of its inode, so that another file that gets its number later is not it.
    /// 0: not known.
    pub inode_generation: u32,
    /// Always zero.
    pub pad: u32,
}

impl AccessEntries {
    /// Whether these are about an inode of this generation; what is not known is taken as the same.
    #[inline(always)]
    #[must_use]
    pub const fn are_of(&self, generation: u32) -> bool {
        self.inode_generation == 0 || generation == 0 || self.inode_generation == generation
    }
}

/// Longest path, with its final NUL for an exact path, that the path trie can hold.
pub const PATH_KEY: usize = 240;

/// Key data of the path trie: the subject in full, then the path. An exact path ends in NUL, a
/// directory prefix in `/`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PathKey {
    /// Whom the entry is about.
    pub subject: Subject,
    /// Bytes of the path.
    pub path: [u8; PATH_KEY],
}

/// Longest name that a [`NameKey`] can hold.
pub const NAME_KEY: usize = 63;

/// Key of the names: where a file would be, whether it exists or not and through whatever mount.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NameKey {
    /// The directory.
    pub directory: FileId,
    /// The name in it; NUL behind.
    pub name: [u8; NAME_KEY + 1],
}

/// The filter in front of the look-ups by name and by exact path: a bit for what the last component of a path looks like. Where it is
/// not set, there is no such entry; most files that are opened are thereby told from those that rules are about by one look.
pub mod filter {
    /// Bits of the filter, as power of two: with as many entries as there can be, one name in eight passes by chance.
    const LOG: u32 = 20;
    /// Words of 64 bits that the filter has.
    pub const WORDS: u32 = 1 << (LOG - 6);

    /// The bit of a name: `tail` is its last eight bytes, the first of them the lowest, `length` that of the name in bytes.
    #[inline(always)]
    #[must_use]
    pub const fn bit(tail: u64, length: u64) -> u32 {
        let mixed = (tail ^ length.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        (mixed >> (64 - LOG)) as u32
    }

    /// The same for a name that is at hand.
    #[must_use]
    pub fn bit_of(name: &[u8]) -> u32 {
        let last = &name[name.len().saturating_sub(8)..];
        let tail = last.iter().rev().fold(0, |tail, byte| tail << 8 | u64::from(*byte));
        bit(tail, name.len() as u64)
    }
}

/// The state that every verdict starts from; one map value.
///
/// User space writes it as a whole, which is not one step for a program that reads it meanwhile. Whatever mixture of old
/// and new bytes is seen does no harm: each bit of `word` holds for itself, and no mixture of two epochs is a third one.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// [`active`] bits, above them [`bank`] bits, above those [`crate::repeat::every`] bits.
    pub word: u64,
    /// Differs after every change of verdict maps; changed last. What was decided under another epoch is decided anew.
    pub epoch: u64,
    /// Seconds since boot, as user space wrote them last, which it does about every second.
    pub seconds: u64,
}

/// Which of two copies is in force.
pub mod bank {
    /// The second copy of the country table.
    pub const GEO: u64 = 1 << 32;
    /// The second copy of what the policy says of classes.
    pub const RULES: u64 = 1 << 33;
}

/// Which classes of entry exist at all, so that a hook skips look-ups that cannot hit.
pub mod active {
    /// Destination entries for everyone, with any port.
    pub const DESTINATION: u32 = 1;
    /// Destination entries with a port, for everyone.
    pub const DESTINATION_PORT: u32 = 1 << 1;
    /// Destination entries for an executable.
    pub const DESTINATION_EXECUTABLE: u32 = 1 << 2;
    /// Destination entries for an executable with a port.
    pub const DESTINATION_PORT_EXECUTABLE: u32 = 1 << 3;
    /// Destination entries for one process.
    pub const DESTINATION_INSTANCE: u32 = 1 << 4;
    /// Destination entries for one process with a port.
    pub const DESTINATION_PORT_INSTANCE: u32 = 1 << 5;
    /// CIDR entries for everyone.
    pub const CIDR: u32 = 1 << 6;
    /// CIDR entries for an executable.
    pub const CIDR_EXECUTABLE: u32 = 1 << 7;
    /// CIDR entries for one process.
    pub const CIDR_INSTANCE: u32 = 1 << 8;
    /// Rules about countries.
    pub const GEO: u32 = 1 << 9;
    /// Exempted destinations.
    pub const EXEMPT: u32 = 1 << 10;
    /// File entries for everyone.
    pub const FILE: u32 = 1 << 11;
    /// File entries for an executable.
    pub const FILE_EXECUTABLE: u32 = 1 << 12;
    /// File entries for one process.
    pub const FILE_INSTANCE: u32 = 1 << 13;
    /// Path entries for everyone.
    pub const PATH: u32 = 1 << 14;
    /// Path entries for an executable.
    pub const PATH_EXECUTABLE: u32 = 1 << 15;
    /// Path entries for one process.
    pub const PATH_INSTANCE: u32 = 1 << 16;
    /// Exempted paths.
    pub const EXEMPT_PATH: u32 = 1 << 17;
    /// What sends past every hook on destinations.
    pub const BYPASS: u32 = 1 << 18;
    /// Names in directories.
    pub const NAME: u32 = 1 << 19;
    /// Labelled directories.
    pub const TREE: u32 = 1 << 20;
    /// Executables are to be hashed: a rule asks for it.
    pub const HASH: u32 = 1 << 21;
    /// Hashes that a standing rule is about.
    pub const HASH_RULE: u32 = 1 << 22;
    /// Lists of what may run.
    pub const ALLOW_LIST: u32 = 1 << 23;
    /// A rule says what a path means that is not whole.
    pub const PATH_FALLBACK: u32 = 1 << 24;
    /// Among the path entries, blocked or exempted, there are directory prefixes: names say nothing of them.
    pub const PREFIX: u32 = 1 << 25;
    /// Nobody attends to the programs any more, and destinations are to be denied then. Set by the programs themselves.
    pub const CUT_OFF: u32 = 1 << 31;
}

const _: () = {
    assert!(size_of::<Entry>() == 24);
    assert!(size_of::<LimitKey>() == 24);
    assert!(size_of::<Subject>() == 16);
    assert!(size_of::<DestinationKey>() == 40);
    assert!(size_of::<CidrKey>() == 32);
    assert!(size_of::<FileKey>() == 32);
    assert!(size_of::<BypassKey>() == 8);
    assert!(size_of::<AccessEntries>() == 200);
    assert!(size_of::<PathKey>() == 256);
    assert!(size_of::<NameKey>() == 80);
    assert!(size_of::<State>() == 24);
};
