//! Paths, walked from the dentry up through the mounts.
//!
//! One maker of paths for every hook and kernel: `bpf_d_path` is allowed in a few hooks only, and
//! shows a path relative to the caller's root, which chroot changes. The walk is bounded; past the
//! bound the path is marked truncated. A rename during the walk can show a mix of the old and the new
//! path; identity (device, inode) does not have that weakness.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::{bpf_loop, bpf_probe_read_kernel};
use sentinel_common::event::PATH;

use crate::{
    maps::config,
    scratch::{Builder, Scratch, Walk, at},
};

/// Most steps of a walk: components and mount crossings.
const STEPS: u32 = 2048;
/// Longest name of a component.
const NAME: u32 = 255;

/// A kernel pointer or number at an address; 0 when it cannot be read.
#[inline(always)]
pub(crate) fn read<T: Copy + Default>(address: u64) -> T {
    let mut value = T::default();
    // SAFETY: the helper checks the address and writes only the value's bytes.
    unsafe { bpf_probe_read_kernel((&raw mut value).cast(), size_of::<T>() as u32, address as *const c_void) };
    value
}

/// Puts the path of a `struct path` in front of the record; its length, and whether it is whole.
#[inline(always)]
pub(crate) fn prepend(builder: &mut Builder, path: u64) -> (usize, bool) {
    let end = builder.start;
    let mut scratch = builder.scratch();
    // SAFETY: the buffer is ours until it is released.
    let walk = unsafe { &mut (*scratch).walk };
    walk.dentry = read(path + u64::from(config!(offsets.path_dentry)));
    walk.vfsmount = read(path + u64::from(config!(offsets.path_mnt)));
    walk.start = end;
    walk.floor = end.wrapping_sub(PATH - 1);
    walk.done = 0;
    // SAFETY: the callback has the signature that bpf_loop asks for, the context outlives the call.
    unsafe { bpf_loop(STEPS, step as *mut c_void, (&raw mut scratch).cast(), 0) };
    let whole = walk.done == 1;
    builder.start = walk.start;
    if builder.start == end && whole {
        builder.start = end.wrapping_sub(1);
        // SAFETY: `at` stays inside the buffer.
        unsafe { builder.at(builder.start).write(b'/') };
    }
    (end.wrapping_sub(builder.start), whole)
}

/// One step up: to the parent directory, or across a mount point. 1 ends the loop.
extern "C" fn step(_index: u32, context: *mut c_void) -> i64 {
    // SAFETY: bpf_loop hands over the context of `prepend`, which holds the address of its buffer.
    let scratch = unsafe { *context.cast::<*mut Scratch>() };
    // SAFETY: as above.
    let walk = unsafe { &mut (*scratch).walk };
    let parent: u64 = read(walk.dentry + u64::from(config!(offsets.dentry_d_parent)));
    let root: u64 = read(walk.vfsmount + u64::from(config!(offsets.vfsmount_mnt_root)));
    if walk.dentry == root {
        return cross_mount(walk);
    }
    if parent == 0 || !prepend_name(scratch) {
        return 1;
    }
    if parent == walk.dentry {
        // A root that is not the mount's: a file without a place in the tree, such as a memfd.
        walk.done = 1;
        return 1;
    }
    walk.dentry = parent;
    0
}

/// From the root of a mount to the directory that it covers; 1 at the root of all.
#[inline(always)]
fn cross_mount(walk: &mut Walk) -> i64 {
    let inner = u64::from(config!(offsets.mount_mnt));
    let mount = walk.vfsmount.wrapping_sub(inner);
    let above: u64 = read(mount + u64::from(config!(offsets.mount_mnt_parent)));
    if above == mount || above == 0 {
        walk.done = u64::from(above == mount);
        return 1;
    }
    walk.dentry = read(mount + u64::from(config!(offsets.mount_mnt_mountpoint)));
    walk.vfsmount = above.wrapping_add(inner);
    0
}

/// Puts `/name` in front; false when there is no more room.
#[inline(always)]
fn prepend_name(scratch: *mut Scratch) -> bool {
    // SAFETY: as in `step`.
    let walk = unsafe { &mut (*scratch).walk };
    let name = walk.dentry + u64::from(config!(offsets.dentry_d_name));
    let length: u32 = read(name + u64::from(config!(offsets.qstr_len)));
    let bytes: u64 = read(name + u64::from(config!(offsets.qstr_name)));
    let length = if length > NAME { NAME } else { length };
    let start = walk.start.wrapping_sub(length as usize + 1);
    if start < walk.floor {
        return false;
    }
    // SAFETY: `at` keeps both writes inside the buffer; NAME is below the room behind it.
    unsafe {
        at(scratch, start).write(b'/');
        bpf_probe_read_kernel(at(scratch, start + 1).cast(), length & NAME, bytes as *const c_void);
    }
    walk.start = start;
    true
}
