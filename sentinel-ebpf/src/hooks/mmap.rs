//! Files that are mapped to be executed: what the dynamic loader runs as data, and libraries loaded while running.
//!
//! The executable of the process itself is left to `bprm_check_security`, which has seen it with the process that asked for
//! it as the subject. Reported only if a rule is about the file.

use aya_ebpf::{macros::lsm, programs::LsmContext};
use sentinel_common::{event::kind, hook, verdict::Entry};

use super::{
    change::{Object, arguments, change},
    exec::EXEC,
    refused_before,
};
use crate::{
    emit,
    maps::config,
    path::{self, Place},
    task, verdict,
};

/// Pages may be executed.
const PROT_EXEC: u64 = 4;

/// `int mmap_file(struct file *file, unsigned long reqprot, unsigned long prot, unsigned long flags)`, since 3.5; BPF since
/// 5.7.
///
/// `file` is null for memory without a file, and some kernels take out a test for that: it is a number here, never tested,
/// and what is read from it is zero then.
#[lsm(hook = "mmap_file")]
fn mmap_file(ctx: LsmContext) -> i32 {
    let args: [u64; 4] = arguments(&ctx);
    mapped(hook::MMAP_FILE, Place::of_file(args[0]), args[2], ctx.arg(4))
}

/// `int file_mprotect(struct vm_area_struct *vma, unsigned long reqprot, unsigned long prot)`, since 2.6; BPF since 5.7.
#[lsm(hook = "file_mprotect")]
fn file_mprotect(ctx: LsmContext) -> i32 {
    let args: [u64; 3] = arguments(&ctx);
    let file = path::read(args[0] + u64::from(config!(offsets.vma_vm_file)));
    mapped(hook::FILE_MPROTECT, Place::of_mapped(file), args[2], ctx.arg(3))
}

#[inline(always)]
fn mapped(hook: u32, place: Place, protection: u64, previous: i32) -> i32 {
    if previous != 0 {
        return refused_before(previous);
    }
    if protection & PROT_EXEC == 0 || !task::in_scope() {
        return 0;
    }
    let id = path::inode_id(path::inode_of(place.dentry));
    if id.is_none() || (!verdict::any_about_images() && config!(learn) == 0) || id == task::current_executable() {
        emit::settle(hook, &Entry::NONE);
        return 0;
    }
    change(kind::MMAP, hook, Object::image(place, EXEC), None)
}
