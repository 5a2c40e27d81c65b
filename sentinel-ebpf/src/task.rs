//! Facts about the acting process, from kernel objects only.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::{
    bpf_get_current_ancestor_cgroup_id, bpf_get_current_cgroup_id, bpf_get_current_comm, bpf_get_current_task_btf,
};
use sentinel_common::{
    FileId,
    event::{Credentials, Header, NO_LOGIN, Task, flag},
};

use crate::maps::{Note, config, settings};

/// A kernel object whose type the verifier knows.
pub(crate) type Object = *const c_void;

/// Loads a field of a kernel object by its offset.
///
/// The verifier checks offset and size against the kernel's BTF when the program is loaded, and a
/// load from a stale pointer gives zero instead of a fault.
macro_rules! field {
    ($object:expr, $offset:ident, $ty:ty) => {
        // SAFETY: see above; the verifier refuses the program if the access is wrong.
        unsafe { *($object.byte_add($crate::maps::config!(offsets.$offset) as usize) as *const $ty) }
    };
}
pub(crate) use field;

/// A number that stands for the address of a kernel object, with which one can calculate, as with the object's address one may not:
/// its distance from something of ours that does not move.
#[inline(always)]
pub(crate) fn number_of(object: Object) -> u64 {
    let mut number = object as u64;
    // SAFETY: calculates with registers only. In assembly: the verifier takes the difference of two addresses and nothing else.
    unsafe { core::arch::asm!("{0} -= {1}", inout(reg) number, in(reg) core::ptr::from_ref(settings())) };
    number
}

/// The running task.
#[inline(always)]
pub(crate) fn current_object() -> Object {
    // SAFETY: the helper has no preconditions.
    unsafe { bpf_get_current_task_btf() }.cast()
}

/// Writes the facts about the running task. In place: the stack has 512 bytes.
#[inline(always)]
pub(crate) fn current(into: &mut Task) {
    let task = current_object();
    let leader = field!(task, task_group_leader, Object);
    let parent = field!(task, task_real_parent, Object);
    let parent_leader = field!(parent, task_group_leader, Object);
    into.start = field!(leader, task_start_boottime, u64);
    into.parent_start = field!(parent_leader, task_start_boottime, u64);
    // SAFETY: the helper has no preconditions.
    into.cgroup = unsafe { bpf_get_current_cgroup_id() };
    into.executable = executable(task);
    into.tgid = field!(task, task_tgid, u32);
    into.tid = field!(task, task_pid, u32);
    into.parent = field!(parent, task_tgid, u32);
    let cred = field!(task, task_cred, Object);
    into.uid = field!(cred, cred_euid, u32);
    into.gid = field!(cred, cred_egid, u32);
    // SAFETY: the helper writes at most the given size; on failure it writes zeros.
    unsafe { bpf_get_current_comm((&raw mut into.comm).cast(), size_of_val(&into.comm) as u32) };
}

/// Writes the facts about another task. Its name is not among them: only the running task's is at hand.
#[inline(always)]
pub(crate) fn other(task: Object, into: &mut Task) {
    let leader = field!(task, task_group_leader, Object);
    let parent = field!(task, task_real_parent, Object);
    let parent_leader = field!(parent, task_group_leader, Object);
    let groups = field!(task, task_cgroups, Object);
    let cgroup = field!(groups, css_set_dfl_cgrp, Object);
    let node = field!(cgroup, cgroup_kn, Object);
    let cred = field!(task, task_cred, Object);
    *into = Task {
        start: field!(leader, task_start_boottime, u64),
        parent_start: field!(parent_leader, task_start_boottime, u64),
        cgroup: field!(node, kernfs_node_id, u64),
        executable: executable(task),
        tgid: field!(task, task_tgid, u32),
        tid: field!(task, task_pid, u32),
        parent: field!(parent, task_tgid, u32),
        uid: field!(cred, cred_euid, u32),
        gid: field!(cred, cred_egid, u32),
        ..Task::default()
    };
}

/// Address of the open file that a task executes, as a number; 0 for kernel threads.
#[inline(always)]
pub(crate) fn executable_file(task: Object) -> u64 {
    let mm = field!(task, task_mm, Object);
    if mm.is_null() {
        return 0;
    }
    field!(mm, mm_exe_file, Object) as u64
}

/// Writes what the running task may do, to where a record ends.
///
/// # Safety
///
/// `into` is memory of ours with room for it, aligned.
#[inline(always)]
pub(crate) unsafe fn credentials(into: *mut Credentials) {
    let task = current_object();
    let cred = field!(task, task_cred, Object);
    let (effective, permitted) = (field!(cred, cred_cap_effective, u64), field!(cred, cred_cap_permitted, u64));
    let (real_uid, saved_uid) = (field!(cred, cred_uid, u32), field!(cred, cred_suid, u32));
    // SAFETY: the caller's promise.
    unsafe {
        (*into).effective = effective;
        (*into).permitted = permitted;
        (*into).real_uid = real_uid;
        (*into).saved_uid = saved_uid;
        (*into).login_uid = login(task);
        (*into).tty = terminal(task);
    }
}

/// Identity of the executable of the running task.
#[inline(always)]
pub(crate) fn current_executable() -> FileId {
    executable(current_object())
}

/// Identity of the executable of a task; none for kernel threads.
#[inline(always)]
pub(crate) fn executable(task: Object) -> FileId {
    let mm = field!(task, task_mm, Object);
    if mm.is_null() {
        return FileId::default();
    }
    let file = field!(mm, mm_exe_file, Object);
    if file.is_null() {
        return FileId::default();
    }
    file_id(file)
}

/// Who logged in to start this, as audit keeps it through su and sudo.
#[inline(always)]
fn login(task: Object) -> u32 {
    if config!(offsets.task_loginuid) == 0 { NO_LOGIN } else { field!(task, task_loginuid, u32) }
}

/// Device number of the controlling terminal.
#[inline(always)]
pub(crate) fn terminal(task: Object) -> u32 {
    let signal = field!(task, task_signal, Object);
    let tty = field!(signal, signal_tty, Object);
    if tty.is_null() {
        return 0;
    }
    let driver = field!(tty, tty_driver, Object);
    let minor = field!(driver, tty_driver_minor_start, u32).wrapping_add(field!(tty, tty_index, u32));
    field!(driver, tty_driver_major, u32) << 20 | minor & 0xf_ffff
}

/// Identity of an open file.
#[inline(always)]
pub(crate) fn file_id(file: Object) -> FileId {
    let inode = field!(file, file_f_inode, Object);
    let sb = field!(inode, inode_i_sb, Object);
    FileId { ino: field!(inode, inode_i_ino, u64), dev: field!(sb, super_block_s_dev, u32), generation: 0 }
}

/// The same with the inode's generation: what an event is about.
#[inline(always)]
pub(crate) fn file_identity(file: Object) -> FileId {
    let inode = field!(file, file_f_inode, Object);
    FileId { generation: field!(inode, inode_i_generation, u32), ..file_id(file) }
}

/// Whether the running task is inside the scope.
#[inline(always)]
pub(crate) fn in_scope() -> bool {
    let scope = config!(scope_cgroup);
    if scope == 0 {
        return true;
    }
    // SAFETY: the helper has no preconditions.
    unsafe { bpf_get_current_ancestor_cgroup_id(config!(scope_level) as i32) == scope }
}

/// Whether the task is Sentinel or a child of it.
#[inline(always)]
pub(crate) fn is_own(task: &Task) -> bool {
    let own = config!(own_tgid);
    task.tgid == own || task.parent == own
}

/// Writes what the socket remembers of the task that set it up.
#[inline(always)]
pub(crate) fn of_owner(note: *const Note, header: &mut Header) {
    socket_owner(note, header);
}

/// A global function: the verifier looks at what follows once, and not once for sockets with an owner and once for others.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn socket_owner(note: *const Note, header: *mut Header) -> u32 {
    // SAFETY: callers pass a reference and what belongs to a socket that the packet holds; null is nothing.
    let (Some(header), note) = (unsafe { (header.as_mut(), note.as_ref()) }) else { return 0 };
    match note {
        Some(note) if note.tgid != 0 => {
            header.task.start = note.start;
            header.task.cgroup = note.cgroup;
            header.task.executable = note.executable;
            header.task.tgid = note.tgid;
            header.task.uid = note.uid;
            header.flags |= flag::SOCKET_OWNER;
        }
        Some(_) | None => header.flags |= flag::NO_TASK,
    }
    1
}
