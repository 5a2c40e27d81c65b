//! All maps but those of the country table ([`crate::geo`]), and the frozen load-time settings.
//!
//! Invariant: nothing that decides is an LRU map. Sizes that depend on the host or the policy are
//! set by the loader.

use aya_ebpf::{
    btf_maps::{Array, HashMap, LpmTrie, PerCpuArray, RingBuf, SkStorage},
    macros::btf_map,
};
use sentinel_common::{
    FileId,
    address::Address,
    config::Config,
    content::{self, Fallbacks, FileVersion, Hashed, Pending},
    event, hook,
    meta::Meta,
    repeat::{PLACES, Said},
    stats::{HookStats, KindStats},
    verdict::{
        self, AccessEntries, BypassKey, CidrKey, DestinationKey, Entry, FileKey, LimitKey, NameKey, PathKey, State,
    },
};

use crate::scratch::{SLOTS, Scratch};

/// `BPF_F_NO_PREALLOC`: memory is taken as entries come.
const NO_PREALLOC: usize = 1;

/// Settings, filled in by the loader and frozen.
#[unsafe(no_mangle)]
static CONFIG: Config = Config::ZERO;

/// Reads a field of the settings so that the compiler cannot fold the zero that the object file has.
macro_rules! config {
    ($($field:ident).+) => {
        $crate::maps::fixed(&$crate::maps::settings().$($field).+)
    };
}
pub(crate) use config;

/// The settings; use the [`config!`] macro.
#[inline(always)]
pub(crate) fn settings() -> &'static Config {
    &CONFIG
}

/// A value as the loader wrote it.
#[inline(always)]
pub(crate) fn fixed<T: Copy>(value: &T) -> T {
    // SAFETY: a reference is valid to read from; volatile, because the loader changes the static.
    unsafe { core::ptr::read_volatile(value) }
}

/// Everything that happens.
#[btf_map]
pub(crate) static EVENTS: RingBuf<[u8; 0], { 8 << 20 }> = RingBuf::new();

/// Events that met a verdict: a flood of ordinary events cannot push them out.
#[btf_map]
pub(crate) static REFUSALS: RingBuf<[u8; 0], { 1 << 20 }> = RingBuf::new();

/// DNS answers: a flood of them cannot push events out.
#[btf_map]
pub(crate) static ANSWERS: RingBuf<[u8; 0], { 256 << 10 }> = RingBuf::new();

/// Counters by hook.
#[btf_map]
pub(crate) static HOOK_STATS: PerCpuArray<HookStats, { hook::COUNT as usize }> = PerCpuArray::new();

/// Counters by kind of event.
#[btf_map]
pub(crate) static KIND_STATS: PerCpuArray<KindStats, { event::kind::COUNT as usize }> = PerCpuArray::new();

/// Buffers in which records are put together.
#[btf_map]
pub(crate) static SCRATCH: PerCpuArray<Scratch, { SLOTS as usize }> = PerCpuArray::new();

/// What was let pass and sent, see [`crate::repeat`].
#[btf_map]
pub(crate) static SAID: Array<Said, { PLACES as usize }> = Array::new();

/// What exists and what is in force.
#[btf_map]
pub(crate) static STATE: Array<State, 1> = Array::new();

/// What the daemon says of itself, for whoever comes after it.
#[btf_map]
pub(crate) static META: Array<Meta, 1> = Array::new();

/// Blocked destinations.
#[btf_map]
pub(crate) static DESTINATIONS: HashMap<DestinationKey, Entry, 65536, NO_PREALLOC> = HashMap::new();

/// Blocked prefixes.
#[btf_map]
pub(crate) static CIDRS: LpmTrie<CidrKey, Entry, 65536> = LpmTrie::new();

/// Exempted prefixes.
#[btf_map]
pub(crate) static EXEMPT_CIDRS: LpmTrie<CidrKey, Entry, 1048576> = LpmTrie::new();

/// Protected files by identity.
#[btf_map]
pub(crate) static FILES: HashMap<FileKey, AccessEntries, 65536, NO_PREALLOC> = HashMap::new();

/// Protected names, by the directory that they are in.
#[btf_map]
pub(crate) static NAMES: HashMap<NameKey, AccessEntries, 65536, NO_PREALLOC> = HashMap::new();

/// Which names there may be entries for, see [`verdict::filter`].
#[btf_map]
pub(crate) static FILTER: Array<u64, { verdict::filter::WORDS as usize }> = Array::new();

/// Protected directories by identity: what is below them is protected.
#[btf_map]
pub(crate) static TREES: HashMap<FileId, AccessEntries, 65536, NO_PREALLOC> = HashMap::new();

/// Protected files by path, and directories.
#[btf_map]
pub(crate) static PATHS: LpmTrie<PathKey, AccessEntries, 65536> = LpmTrie::new();

/// Exempted paths.
#[btf_map]
pub(crate) static EXEMPT_PATHS: LpmTrie<PathKey, AccessEntries, 65536> = LpmTrie::new();

/// Socket families and devices that send past every hook on destinations.
#[btf_map]
pub(crate) static BYPASSES: HashMap<BypassKey, Entry, 256, NO_PREALLOC> = HashMap::new();

/// Rules that hold for some programs and not for others, which could be got rid of by entering one of those.
#[btf_map]
pub(crate) static LENT: Array<Entry, { verdict::LENT as usize }> = Array::new();

/// Subject limits of rules.
#[btf_map]
pub(crate) static LIMITS: HashMap<LimitKey, u32, 65536, NO_PREALLOC> = HashMap::new();

/// Hashes of executables.
#[btf_map]
pub(crate) static HASHES: HashMap<FileVersion, Hashed, 65536, NO_PREALLOC> = HashMap::new();

/// Hashes on their way from the program that hashes to the one that decides, by thread.
#[btf_map]
pub(crate) static PENDING: HashMap<u64, Pending, 4096, NO_PREALLOC> = HashMap::new();

/// Hashes that rules are about.
#[btf_map]
pub(crate) static HASH_RULES: HashMap<content::Digest, Entry, 65536, NO_PREALLOC> = HashMap::new();

/// Exempted hashes.
#[btf_map]
pub(crate) static EXEMPT_HASHES: HashMap<content::Digest, Entry, 65536, NO_PREALLOC> = HashMap::new();

/// Where a hash or a path cannot be had.
#[btf_map]
pub(crate) static FALLBACKS: Array<Fallbacks, 1> = Array::new();

/// What refuses whatever is not on a list of what may run.
#[btf_map]
pub(crate) static ALLOW_LISTS: Array<Entry, { content::ALLOW_LISTS as usize }> = Array::new();

/// The lists that a name in a directory is on.
#[btf_map]
pub(crate) static ALLOW_NAMES: HashMap<NameKey, u32, 65536, NO_PREALLOC> = HashMap::new();

/// The lists that everything below a directory is on.
#[btf_map]
pub(crate) static ALLOW_TREES: HashMap<FileId, u32, 65536, NO_PREALLOC> = HashMap::new();

/// What connect time left on a socket, for the packet hook, which has no current task; and what the packet hook found.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Note {
    /// Executable that set the socket up.
    pub(crate) executable: FileId,
    /// Start of its process, boot clock, nanoseconds.
    pub(crate) start: u64,
    /// Cgroup of its process.
    pub(crate) cgroup: u64,
    /// Its thread group id; 0: nothing is known of it.
    pub(crate) tgid: u32,
    /// Its effective user id.
    pub(crate) uid: u32,
    /// Rule reported last for this socket.
    pub(crate) reported: u32,
    /// Generation of that report.
    pub(crate) reported_generation: u32,
    /// Destination of that report, normalised.
    pub(crate) reported_to: Address,
    /// Destination that connect or send was asked for, and let pass under `asked_epoch`; normalised.
    pub(crate) asked: Address,
    /// State under which it passed; 0: none did.
    pub(crate) asked_epoch: u64,
    /// Destination of the last packet that no entry was about; normalised.
    pub(crate) passed: Address,
    /// State under which it passed; 0: none did.
    pub(crate) passed_epoch: u64,
    /// Port of that packet, host order.
    pub(crate) passed_port: u16,
    /// Its protocol.
    pub(crate) passed_protocol: u16,
    /// Always zero.
    pub(crate) pad: u32,
    /// 1 while one CPU writes what the packet hook found.
    pub(crate) busy: u64,
    /// How often that was written.
    pub(crate) turn: u64,
}

/// Notes on sockets.
#[btf_map]
pub(crate) static SOCKETS: SkStorage<Note> = SkStorage::new();
