//! Paths, walked from the dentry up through the mounts.
//!
//! One maker of paths for every hook and kernel: `bpf_d_path` is allowed in a few hooks only, and
//! shows a path relative to the caller's root, which chroot changes. The walk is bounded; past the
//! bound the path is marked truncated. A rename during the walk can show a mix of the old and the new
//! path; identity (device, inode) does not have that weakness.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::{bpf_loop, bpf_probe_read_kernel};
use sentinel_common::{FileId, config::together, event::PATH, verdict::filter};

use crate::{
    maps::{TREES, config},
    scratch::{Builder, Scratch, Walk, at},
    task::Object,
};

/// Most steps of a walk: components and mount crossings.
const STEPS: u32 = 2048;
/// Most steps up to a labelled directory. More than a path has: names relative to a directory go deeper than that.
pub(crate) const CLIMB: u32 = 1 << 16;
/// File systems whose files are mapped as files of another one (`OVERLAYFS_SUPER_MAGIC`, `FUSE_SUPER_MAGIC`).
const STACKED: [u64; 2] = [0x794c_7630, 0x6573_5546];
/// Odd, with bits all over: the golden ratio.
const MIX: u64 = 0x9e37_79b9_7f4a_7c15;
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

/// Where something is: its dentry, and the mount that it was come to by (0: not known).
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) dentry: u64,
    pub(crate) vfsmount: u64,
}

impl Place {
    /// What a `struct path` says.
    #[inline(always)]
    pub(crate) fn of(path: u64) -> Self {
        Self {
            dentry: read(path + u64::from(config!(offsets.path_dentry))),
            vfsmount: read(path + u64::from(config!(offsets.path_mnt))),
        }
    }

    /// Where a mapped file is. Of a file on overlayfs it is the one below that is mapped, which remembers how it was opened;
    /// before 6.7 its path is that already.
    ///
    /// Whether a file is such a one is told by its mode, but the bit has moved between releases. What lies behind another file
    /// is no path: nothing read from there leads to a file system of these kinds.
    #[inline(always)]
    pub(crate) fn of_mapped(file: u64) -> Self {
        let user_path = u64::from(config!(offsets.backing_file_user_path));
        if user_path != 0 {
            let opened = Self::of(file + user_path);
            let sb: u64 = read(inode_of(opened.dentry) + u64::from(config!(offsets.inode_i_sb)));
            if STACKED.contains(&read(sb + u64::from(config!(offsets.super_block_s_magic)))) {
                return opened;
            }
        }
        Self::of_file(file)
    }

    /// Where an open file is.
    #[inline(always)]
    pub(crate) fn of_file(file: u64) -> Self {
        Self::of(file + u64::from(config!(offsets.file_f_path)))
    }
}

/// A structure inside a kernel object whose type the verifier knows.
#[inline(always)]
pub(crate) fn offset(object: Object, at: u32) -> Object {
    // SAFETY: only an address; whoever loads from it has the verifier check that.
    unsafe { object.byte_add(at as usize) }
}

/// Address of an open file's inode, as a number: functions of their own take no pointers to kernel objects.
#[inline(always)]
pub(crate) fn inode_of_file(file: u64) -> u64 {
    read(file + u64::from(config!(offsets.file_f_inode)))
}

/// Identity of an inode; none for the address 0.
#[inline(always)]
pub(crate) fn inode_id(inode: u64) -> FileId {
    let (sb, ino) = if config!(together) & together::INODE != 0 {
        // `i_mapping` and `i_security` lie between the two.
        let [sb, _, _, ino]: [u64; 4] = read(inode + u64::from(config!(offsets.inode_i_sb)));
        (sb, ino)
    } else {
        (read(inode + u64::from(config!(offsets.inode_i_sb))), read(inode + u64::from(config!(offsets.inode_i_ino))))
    };
    FileId { ino, dev: read(sb + u64::from(config!(offsets.super_block_s_dev))), generation: 0 }
}

/// The same with the inode's generation: what an event is about.
#[inline(always)]
pub(crate) fn inode_identity(inode: u64) -> FileId {
    FileId { generation: read(inode + u64::from(config!(offsets.inode_i_generation))), ..inode_id(inode) }
}

/// What ties a dentry to the tree.
struct Links {
    /// The directory that it is in; itself at the root of a file system.
    parent: u64,
    /// Hash and length of its name, as the kernel has them; the hash is that of the directory's address too.
    mark: u64,
    /// Length of its name.
    length: u32,
    /// Address of its name.
    name: u64,
    /// Its inode; 0 if there is no such file.
    inode: u64,
}

/// In one read where the kernel has them side by side, because each read is a call: `d_parent`, hash and length of `d_name`, its
/// address, `d_inode`.
#[inline(always)]
fn links_of(dentry: u64) -> Links {
    if config!(together) & together::DENTRY != 0 {
        let [parent, mark, name, inode]: [u64; 4] = read(dentry + u64::from(config!(offsets.dentry_d_parent)));
        return Links { parent, mark, length: (mark >> 32) as u32, name, inode };
    }
    let (length, name) = name_of(dentry);
    Links { parent: parent_of(dentry), mark: mark_of(dentry), length, name, inode: inode_of(dentry) }
}

/// The inode of a dentry; 0 if there is no such file.
#[inline(always)]
pub(crate) fn inode_of(dentry: u64) -> u64 {
    read(dentry + u64::from(config!(offsets.dentry_d_inode)))
}

/// The directory that a dentry is in; itself at the root of a file system.
#[inline(always)]
pub(crate) fn parent_of(dentry: u64) -> u64 {
    read(dentry + u64::from(config!(offsets.dentry_d_parent)))
}

/// Hash and length of a dentry's name: the first word of its `struct qstr`.
#[inline(always)]
pub(crate) fn mark_of(dentry: u64) -> u64 {
    read(dentry + u64::from(config!(offsets.dentry_d_name)))
}

/// Length and address of a dentry's name.
#[inline(always)]
pub(crate) fn name_of(dentry: u64) -> (u32, u64) {
    let name = dentry + u64::from(config!(offsets.dentry_d_name));
    (read(name + u64::from(config!(offsets.qstr_len))), read(name + u64::from(config!(offsets.qstr_name))))
}

/// Puts a path in front of the record; its length, and whether it is whole.
#[inline(always)]
pub(crate) fn prepend(builder: &mut Builder, place: Place) -> (usize, bool) {
    let end = builder.start;
    let mut scratch = builder.scratch();
    // SAFETY: the buffer is ours until it is released.
    let walk = unsafe { &mut (*scratch).walk };
    walk.dentry = place.dentry;
    walk.vfsmount = place.vfsmount;
    walk.root = root_of(place.vfsmount);
    walk.name = 0;
    walk.sign = 0;
    walk.start = end;
    walk.floor = end.wrapping_sub(PATH - 1);
    walk.done = 0;
    // SAFETY: the callback has the signature that bpf_loop asks for, the context outlives the call.
    unsafe { bpf_loop(STEPS, step as *mut c_void, (&raw mut scratch).cast(), 0) };
    let whole = walk.done == 1;
    builder.start = walk.start;
    walk.name_bit = if walk.name == 0 { 0 } else { name_bit(scratch, end, walk.name) };
    if builder.start == end && whole {
        builder.start = end.wrapping_sub(1);
        // SAFETY: `at` stays inside the buffer.
        unsafe { builder.at(builder.start).write(b'/') };
    }
    (end.wrapping_sub(builder.start), whole)
}

/// The place of a name of this length, which ends at an offset, in the filter of names, and one more.
#[inline(always)]
fn name_bit(scratch: *mut Scratch, end: usize, length: u64) -> u64 {
    // SAFETY: `at` stays inside the buffer, with more room behind it.
    let tail = unsafe { at(scratch, end.wrapping_sub(8)).cast::<u64>().read_unaligned() };
    // The first byte is the lowest one.
    let tail = if length < 8 { tail >> ((8 - length) * 8) } else { tail };
    u64::from(filter::bit(tail, length)) + 1
}

/// Root of a mount.
#[inline(always)]
fn root_of(vfsmount: u64) -> u64 {
    read(vfsmount + u64::from(config!(offsets.vfsmount_mnt_root)))
}

/// One step up: to the parent directory, or across a mount point. 1 ends the loop.
extern "C" fn step(index: u32, context: *mut c_void) -> i64 {
    // SAFETY: bpf_loop hands over the context of `prepend`, which holds the address of its buffer.
    let scratch = unsafe { *context.cast::<*mut Scratch>() };
    // SAFETY: as above.
    let walk = unsafe { &mut (*scratch).walk };
    if walk.dentry == walk.root {
        let ends = cross_mount(walk);
        walk.root = root_of(walk.vfsmount);
        return ends;
    }
    let Links { parent, mark, length, name, .. } = links_of(walk.dentry);
    walk.sign = (walk.sign ^ mark).wrapping_mul(MIX);
    if parent == 0 || (parent == walk.dentry && walk.vfsmount == 0) || !prepend_name(scratch, (length, name)) {
        return 1;
    }
    if index == 0 {
        walk.name = u64::from(length);
    }
    if parent == walk.dentry {
        // A root that is not the mount's: a file without a place in the tree, such as a memfd.
        walk.done = 1;
        return 1;
    }
    walk.dentry = parent;
    0
}

/// Finds the first labelled directory at or above a place, whatever the mounts: up to the root of the file system, then
/// from where the mount is mounted on. What is found lies in the walk. False if it did not come to an end.
#[inline(always)]
pub(crate) fn find_label(builder: &Builder, from: Place) -> bool {
    let mut scratch = builder.scratch();
    // SAFETY: the buffer is ours until it is released.
    let walk = unsafe { &mut (*scratch).walk };
    walk.dentry = from.dentry;
    walk.vfsmount = from.vfsmount;
    walk.found = FileId::default();
    walk.done = 0;
    // SAFETY: as in `prepend`.
    unsafe { bpf_loop(CLIMB, climb as *mut c_void, (&raw mut scratch).cast(), 0) };
    walk.done == 1
}

/// One step up; 1 ends the loop.
extern "C" fn climb(_index: u32, context: *mut c_void) -> i64 {
    // SAFETY: bpf_loop hands over the context of `find_label`, which holds the address of its buffer.
    let scratch = unsafe { *context.cast::<*mut Scratch>() };
    // SAFETY: as above.
    let walk = unsafe { &mut (*scratch).walk };
    let Links { parent, inode, .. } = links_of(walk.dentry);
    let here = inode_id(inode);
    if TREES.get_ptr(here).is_some() {
        walk.found = here;
        walk.done = 1;
        return 1;
    }
    if parent == walk.dentry && parent != 0 {
        // Without a mount the root of the file system is as far as one can see.
        return if walk.vfsmount == 0 { end(walk) } else { cross_mount(walk) };
    }
    walk.dentry = parent;
    i64::from(parent == 0)
}

#[inline(always)]
fn end(walk: &mut Walk) -> i64 {
    walk.done = 1;
    1
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
fn prepend_name(scratch: *mut Scratch, (length, bytes): (u32, u64)) -> bool {
    // SAFETY: as in `step`.
    let walk = unsafe { &mut (*scratch).walk };
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
