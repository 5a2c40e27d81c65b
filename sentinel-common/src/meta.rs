//! What a Sentinel says of itself beside its pins: one map value, written every second, read by a successor and by `status`.
//!
//! Invariant: the fields up to `refused` keep their places, and the value its size, in every version; the others, and the counters
//! beside it, are only read where `layout` is one's own.

/// First word of the value.
pub const MAGIC: u64 = u64::from_le_bytes(*b"SENTINEL");
/// Layout of this value and of the counters that are pinned beside it. To be raised by whoever changes one of them.
pub const LAYOUT: u32 = 1;
/// Room for kinds of event.
pub const KINDS: usize = 64;

/// What becomes of verdicts when nobody has renewed the deadline.
pub mod unattended {
    /// Nothing changes.
    pub const KEEP: u32 = 0;
    /// Nothing is refused any more; it is counted.
    pub const MONITOR: u32 = 1;
    /// What goes to a public address and is not exempted is refused as well.
    pub const DENY: u32 = 2;
}

/// How far a generation has come.
pub mod phase {
    /// Programs are being attached or proved.
    pub const STARTING: u32 = 0;
    /// It is in force.
    pub const IN_FORCE: u32 = 1;
    /// Its daemon has ended, and has left it in force.
    pub const LEFT: u32 = 2;
}

/// The value.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Meta {
    /// [`MAGIC`].
    pub magic: u64,
    /// [`LAYOUT`] of the one who wrote it.
    pub layout: u32,
    /// Process id of the daemon.
    pub pid: u32,
    /// Start of that process, in clock ticks since boot.
    pub process_start: u64,
    /// Version of the program, NUL behind.
    pub version: [u8; 32],
    /// Its run directory, NUL behind.
    pub run_dir: [u8; 128],
    /// Boot-clock time up to which the daemon counts as there, nanoseconds; 0: always. Twice, because a reader can meet half a
    /// write: the later of the two counts.
    pub deadline: [u64; 2],
    /// [`phase`] number.
    pub phase: u32,
    /// [`unattended`] number.
    pub unattended: u32,
    /// Seconds that the deadline lies ahead of each renewal.
    pub patience: u32,
    /// Policy generation.
    pub generation: u32,
    /// When it came into force, microseconds since 1970.
    pub started: i64,
    /// When this was written last, microseconds since 1970.
    pub heartbeat: i64,
    /// Refusals until then.
    pub refused: u64,
    /// Events that were delivered until then, by kind.
    pub delivered: [u64; KINDS],
    /// Events that had been lost until then.
    pub lost: u64,
    /// Room for later versions: the value has 2048 bytes in all of them.
    pub reserved: [u64; 129],
    /// What it enforces on: `host` or the directory of a cgroup, NUL behind.
    pub scope: [u8; 256],
}

impl Meta {
    /// All zero.
    pub const ZERO: Self = Self {
        magic: 0,
        layout: 0,
        pid: 0,
        process_start: 0,
        version: [0; 32],
        run_dir: [0; 128],
        deadline: [0; 2],
        phase: 0,
        unattended: 0,
        patience: 0,
        generation: 0,
        started: 0,
        heartbeat: 0,
        refused: 0,
        delivered: [0; KINDS],
        lost: 0,
        reserved: [0; 129],
        scope: [0; 256],
    };
}

const _: () = assert!(size_of::<Meta>() == 2048);
