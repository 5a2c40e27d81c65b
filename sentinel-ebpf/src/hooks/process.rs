//! The life of processes: fork, exec, exit; and the cgroups that are made for them. They keep the process table and decide nothing.
//!
//! Reported for the whole host, whatever the scope: ancestry crosses it.

use core::ffi::c_void;

use aya_ebpf::{
    helpers::generated::{bpf_probe_read_kernel_str, bpf_probe_read_user},
    macros::btf_tracepoint,
    programs::BtfTracePointContext,
};
use sentinel_common::{
    event::{ARGS, Exec, Fork, Group, Header, PATH, flag, kind},
    hook,
};

use crate::{
    content, emit,
    maps::config,
    path::{self, Place},
    scratch::{Builder, MIDDLE, masked},
    task::{self, Object, field},
    verdict,
};

/// `void sched_process_fork(struct task_struct *parent, struct task_struct *child)`, since 2.6.
#[btf_tracepoint(function = "sched_process_fork")]
fn sched_process_fork(ctx: BtfTracePointContext) -> i32 {
    let child: Object = ctx.arg(1);
    let tgid = field!(child, task_tgid, u32);
    if tgid != field!(child, task_pid, u32) {
        return 0; // a thread
    }
    let parent = field!(child, task_real_parent, Object);
    let leader = field!(parent, task_group_leader, Object);
    emit::count_hook(hook::SCHED_FORK, |s| &mut s.runs);
    let mut event = Fork {
        header: emit::header(kind::FORK, hook::SCHED_FORK, size_of::<Fork>()),
        child_start: field!(child, task_start_boottime, u64),
        child: tgid,
        child_parent: field!(parent, task_tgid, u32),
        child_parent_start: field!(leader, task_start_boottime, u64),
    };
    task::current(&mut event.header.task);
    emit::send_acting(kind::FORK, 0, &event);
    0
}

/// `void sched_process_exit(struct task_struct *p)`, since 2.6. Runs for every thread.
#[btf_tracepoint(function = "sched_process_exit")]
fn sched_process_exit(ctx: BtfTracePointContext) -> i32 {
    let signal = field!(ctx.arg::<Object>(0), task_signal, Object);
    if field!(signal, signal_live, i32) != 0 {
        return 0; // other threads live on
    }
    emit::count_hook(hook::SCHED_EXIT, |s| &mut s.runs);
    let mut header = emit::header(kind::EXIT, hook::SCHED_EXIT, size_of::<Header>());
    task::current(&mut header.task);
    emit::send_fixed(kind::EXIT, 0, &header);
    0
}

/// `void sched_process_exec(struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm)`, since 3.4.
///
/// The image is in place: `current` is the new program. One execve comes here once.
#[btf_tracepoint(function = "sched_process_exec")]
fn sched_process_exec(ctx: BtfTracePointContext) -> i32 {
    let mut event = Exec { header: emit::header(kind::EXEC, hook::SCHED_EXEC, 0), ..Exec::default() };
    task::current(&mut event.header.task);
    emit::count_hook(hook::SCHED_EXEC, |s| &mut s.runs);
    if emit::suppress_own(kind::EXEC, &event.header.task) {
        return 0;
    }
    match Builder::take() {
        Some(mut builder) => {
            exec(&mut builder, &mut event, ctx.arg(2));
            builder.release();
        }
        None => emit::no_scratch(kind::EXEC),
    }
    0
}

/// `void cgroup_mkdir(struct cgroup *cgrp, const char *path)`, since 4.18.
///
/// The path, while it can be had: a cgroup may be gone again before user space asks for it by its id.
#[btf_tracepoint(function = "cgroup_mkdir")]
fn cgroup_mkdir(ctx: BtfTracePointContext) -> i32 {
    let cgroup: Object = ctx.arg(0);
    let root = field!(cgroup, cgroup_root, Object);
    if field!(root, cgroup_root_hierarchy_id, i32) != 0 {
        return 0; // version 1: tasks are known by their cgroup of version 2
    }
    emit::count_hook(hook::CGROUP_MKDIR, |s| &mut s.runs);
    let Some(mut builder) = Builder::take() else {
        emit::no_scratch(kind::GROUP);
        return 0;
    };
    let node = field!(cgroup, cgroup_kn, Object);
    let mut event = Group { header: emit::header(kind::GROUP, hook::CGROUP_MKDIR, 0), ..Group::default() };
    task::current(&mut event.header.task);
    event.id = field!(node, kernfs_node_id, u64);
    event.path = name(&mut builder, ctx.arg(1)) as u16;
    emit::send_built(kind::GROUP, 0, &mut builder, &mut event, |e, n| e.header.length = n);
    builder.release();
    0
}

#[inline(always)]
fn exec(builder: &mut Builder, event: &mut Exec, bprm: Object) {
    let file = field!(bprm, binprm_file, Object);
    let inode = field!(file, file_f_inode, Object);
    let filename = field!(bprm, binprm_filename, u64);
    let (path, whole) = path::prepend(builder, Place::of_file(file as u64));
    let directory = directory(builder, filename);
    let (args, args_whole) = arguments(builder);
    let interpreted = filename != field!(bprm, binprm_interp, u64);
    event.file = task::file_identity(file);
    event.mode = u32::from(field!(inode, inode_i_mode, u16));
    event.links = field!(inode, inode_i_nlink, u32);
    event.path = path as u16;
    event.directory = directory as u16;
    event.args = args as u16;
    event.filename = name(builder, filename) as u16;
    content::look(builder, path::inode_of_file(file as u64), verdict::active_classes(), false);
    builder.append_content();
    event.header.flags = flags(whole, args_whole, interpreted);
    event.header.flags |= if interactive() { flag::INTERACTIVE } else { 0 };
    event.header.flags |= if field!(bprm, binprm_per_clear, u32) != 0 { flag::PRIVILEGED } else { 0 };
    emit::send_built_acting(kind::EXEC, 0, builder, event, |e| &mut e.header);
}

#[inline(always)]
fn flags(whole: bool, args_whole: bool, interpreted: bool) -> u32 {
    let mut flags = if task::in_scope() { flag::IN_SCOPE } else { 0 };
    flags |= if whole { 0 } else { flag::PATH_TRUNCATED | flag::PATH_UNKNOWN };
    flags |= if args_whole { 0 } else { flag::ARGS_TRUNCATED };
    flags | if interpreted { flag::INTERPRETED } else { 0 }
}

/// Whether a terminal is standard input and error.
#[inline(always)]
fn interactive() -> bool {
    let tty = task::terminal(task::current_object());
    if tty == 0 {
        return false;
    }
    let files = field!(task::current_object(), task_files, Object) as u64;
    if files == 0 {
        return false;
    }
    let table: u64 = path::read(files + u64::from(config!(offsets.files_fdt)));
    let size: u32 = path::read(table + u64::from(config!(offsets.fdtable_max_fds)));
    let array: u64 = path::read(table + u64::from(config!(offsets.fdtable_fd)));
    size > 2 && device(array) == tty && device(array + 16) == tty
}

/// Number of the device that the open file at a place of the table is; what is none has 0.
#[inline(always)]
fn device(place: u64) -> u32 {
    let file: u64 = path::read(place);
    if file == 0 {
        return 0;
    }
    let inode: u64 = path::read(file + u64::from(config!(offsets.file_f_inode)));
    path::read(inode + u64::from(config!(offsets.inode_i_rdev)))
}

/// The working directory, needed when the name is relative.
#[inline(always)]
fn directory(builder: &mut Builder, filename: u64) -> usize {
    if path::read::<u8>(filename) == b'/' {
        return 0;
    }
    let fs = field!(task::current_object(), task_fs, Object) as u64;
    path::prepend(builder, Place::of(fs + u64::from(config!(offsets.fs_pwd)))).0
}

/// Argument strings, from user memory: advisory, the process can change them at any time.
#[inline(always)]
fn arguments(builder: &mut Builder) -> (usize, bool) {
    let mm = field!(task::current_object(), task_mm, Object);
    if mm.is_null() {
        return (0, true);
    }
    let start = field!(mm, mm_arg_start, u64);
    let size = field!(mm, mm_arg_end, u64).wrapping_sub(start);
    let whole = size <= ARGS as u64;
    let read = masked(if whole { size } else { ARGS as u64 });
    // SAFETY: the helper checks the source; the destination has room for ARGS bytes.
    let failed = unsafe { bpf_probe_read_user(builder.at(MIDDLE).cast(), read as u32, start as *const c_void) };
    if failed != 0 {
        return (0, false);
    }
    builder.end = MIDDLE + read as usize;
    (read as usize, whole)
}

/// A string of the kernel's, behind what is there: the name as given to execve behind the arguments.
#[inline(always)]
fn name(builder: &mut Builder, filename: u64) -> usize {
    let at = builder.at(builder.end);
    // SAFETY: the helper checks the source; behind every masked offset there is room for PATH bytes.
    let length = unsafe { bpf_probe_read_kernel_str(at.cast(), PATH as u32, filename as *const c_void) };
    if length <= 1 {
        return 0;
    }
    let length = (length as usize - 1) & (PATH - 1);
    builder.end = builder.end.wrapping_add(length);
    length
}
