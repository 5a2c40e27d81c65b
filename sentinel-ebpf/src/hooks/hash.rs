//! Exec: the hash of what is to run, by the kernel's integrity code, before `bprm_check_security` decides.
//!
//! A program of its own, because it sleeps: it reads the file, and programs that sleep may not use the tries that the verdict
//! is made of. It decides nothing. It is attached after the one that decides, and so runs before it; a canary shows whether it
//! does. A file that it does not hash (too large, no integrity code in the kernel, another algorithm) has no hash there.

use aya_ebpf::{bindings::file as File, helpers::generated::bpf_ima_file_hash, macros::lsm, programs::LsmContext};
use sentinel_common::{content::Pending, hook, verdict::active};

use super::refused_before;
use crate::{
    content, emit,
    maps::{HASHES, PENDING},
    task::{self, Object, field},
    verdict,
};

/// The kernel's number of SHA-256 (`enum hash_algo`).
const SHA256: i64 = 4;

/// `int bprm_check_security(struct linux_binprm *bprm)`, as in [`super::exec`]; `bpf_ima_file_hash` since 5.18.
#[lsm(hook = "bprm_check_security", sleepable)]
fn bprm_hash(ctx: LsmContext) -> i32 {
    let previous: i32 = ctx.arg(1);
    if previous != 0 {
        return refused_before(previous);
    }
    if verdict::active_classes() & active::HASH != 0 && task::in_scope() {
        hash(ctx.arg(0));
    }
    0
}

#[inline(always)]
fn hash(bprm: Object) {
    let file = field!(bprm, binprm_file, Object);
    let inode = field!(file, file_f_inode, Object);
    let mut pending = Pending { version: content::version(inode as u64), ..Pending::default() };
    emit::count_hook(hook::BPRM_HASH, |s| &mut s.runs);
    if HASHES.get_ptr(pending.version).is_some() || pending.version.size > content::max_bytes() {
        return;
    }
    // SAFETY: the kernel reads the file and writes at most the given bytes.
    let algorithm = unsafe { bpf_ima_file_hash(file as *mut File, (&raw mut pending.digest).cast(), 32) };
    if algorithm as i64 != SHA256 || PENDING.insert(content::thread(), pending, 0).is_err() {
        emit::count_hook(hook::BPRM_HASH, |s| &mut s.errors);
    }
}
