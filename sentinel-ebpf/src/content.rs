//! What is in an executable: its version and its hash.
//!
//! Invariant: a hash is used for the version that it was taken of and for no other. Nothing here refuses.

use aya_ebpf::helpers::generated::{bpf_get_current_pid_tgid, bpf_probe_read_kernel};
use sentinel_common::{
    content::{Content, FileVersion, Hashed, state},
    verdict::active,
};

use crate::{
    maps::{FALLBACKS, HASHES, PENDING, config},
    path,
    scratch::Builder,
};

/// What is a number in `inode.i_ctime_nsec`: kernels since 6.13 keep a flag above it.
const NANOSECONDS: u32 = 0x3fff_ffff;

/// The content that an inode has now.
#[inline(always)]
pub(crate) fn version(inode: u64) -> FileVersion {
    let at = |offset: u32| inode + u64::from(offset);
    FileVersion {
        file: path::inode_id(inode),
        ctime: path::read(at(config!(offsets.inode_ctime))),
        size: path::read(at(config!(offsets.inode_i_size))),
        ctime_nsec: path::read::<u32>(at(config!(offsets.inode_ctime_nsec))) & NANOSECONDS,
        pad: 0,
    }
}

/// The thread, as key of what the program that hashes leaves.
#[inline(always)]
pub(crate) fn thread() -> u64 {
    // SAFETY: the helper has no preconditions.
    unsafe { bpf_get_current_pid_tgid() }
}

/// Largest file that is hashed.
#[inline(always)]
pub(crate) fn max_bytes() -> u64 {
    // SAFETY: a map value.
    FALLBACKS.get_ptr(0).map_or(0, |fallbacks| unsafe { (*fallbacks).max_bytes })
}

/// Writes down what is known of an inode's content; true if that is news to user space. `executed`: the program that
/// hashes has been here.
#[inline(always)]
pub(crate) fn look(builder: &Builder, inode: u64, classes: u32, executed: bool) -> bool {
    look_into(builder.slot, inode, classes, u32::from(executed)) != 0
}

/// A global function: the verifier looks at it once, and the stack of the programs has no room for it. It writes into the
/// scratch buffer of this number, which is the caller's.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn look_into(slot: u32, inode: u64, classes: u32, executed: u32) -> u32 {
    let Some(builder) = Builder::lent(slot, 0) else { return 0 };
    // SAFETY: the buffer is the caller's.
    let content = unsafe { &mut (*builder.scratch()).content };
    u32::from(looked(content, inode, classes, executed != 0))
}

#[inline(always)]
fn looked(content: &mut Content, inode: u64, classes: u32, executed: bool) -> bool {
    content.version = version(inode);
    content.hashed = Hashed::default();
    let sb: u64 = path::read(inode + u64::from(config!(offsets.inode_i_sb)));
    content.file_system = path::read(sb + u64::from(config!(offsets.super_block_s_magic)));
    if classes & active::HASH == 0 {
        return false;
    }
    let left = if executed { taken(content) } else { false };
    if let Some(known) = HASHES.get_ptr(content.version) {
        // SAFETY: a map value.
        content.hashed = unsafe { *known };
        return false;
    }
    if !left {
        content.hashed.state = state::UNKNOWN;
    }
    true
}

/// Takes the hash that was left for this thread, if it is of this content.
#[inline(always)]
fn taken(content: &mut Content) -> bool {
    let thread = thread();
    let Some(pending) = PENDING.get_ptr(thread) else { return false };
    // SAFETY: a map value that only this thread writes and takes.
    let same = unsafe { (*pending).version == content.version };
    if same {
        // SAFETY: copies a map value into our buffer.
        unsafe {
            let into = (&raw mut content.hashed.digest).cast();
            bpf_probe_read_kernel(into, 32, (&raw const (*pending).digest).cast());
        }
        content.hashed.state = state::KNOWN;
    }
    let _ = PENDING.remove(thread);
    same
}
