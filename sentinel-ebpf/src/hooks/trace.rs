//! One process that enters another (ptrace and what the kernel checks like it), or that traces one which executes.
//!
//! A rule with `only` or `except` is about some programs and not about others, and an exemption may be for one program. Who
//! enters a process acts with its rights, so that is refused where the rule holds for the one and not for the other. Errors
//! (no buffer) let pass and are counted.

use aya_ebpf::{macros::lsm, programs::LsmContext};
use sentinel_common::{
    event::{Task, Trace, kind},
    hook,
    verdict::{self as common, Entry, flag},
};

use super::{lsm_answer, refused_before};
use crate::{
    emit,
    maps::LENT,
    path::{self, Place},
    scratch::Builder,
    task::{self, Object, field},
    verdict::{self, Question},
};

/// `PTRACE_MODE_ATTACH`: to change the other, not only to look at it.
const ATTACH: u32 = 2;

/// `int ptrace_access_check(struct task_struct *child, unsigned int mode)`, since 2.6.32; BPF since 5.7.
///
/// Asked by ptrace, `process_vm_readv` and `process_vm_writev`, `/proc/PID/mem`, `pidfd_getfd` and others; not inside one
/// process.
#[lsm(hook = "ptrace_access_check")]
fn ptrace_access_check(ctx: LsmContext) -> i32 {
    let previous: i32 = ctx.arg(2);
    if previous != 0 {
        return refused_before(previous);
    }
    let mode: u32 = ctx.arg(1);
    if mode & ATTACH == 0 || !task::in_scope() {
        return 0;
    }
    let Some(mut builder) = Builder::take() else { return without_buffer(hook::PTRACE_ACCESS_CHECK) };
    let child: Object = ctx.arg(0);
    let event = start(&builder, hook::PTRACE_ACCESS_CHECK);
    task::current(&mut event.header.task);
    task::other(child, &mut event.target);
    let refused = judge(&mut builder, event, task::executable_file(child), true);
    builder.release();
    lsm_answer(refused)
}

/// `int bprm_creds_from_file(struct linux_binprm *bprm, const struct file *file)`, since 5.8.
///
/// `file` is what will run, behind every script, and nothing has been given up yet. The tracer of the process would be the
/// tracer of what it runs from now on.
#[lsm(hook = "bprm_creds_from_file")]
fn bprm_traced(ctx: LsmContext) -> i32 {
    let previous: i32 = ctx.arg(2);
    if previous != 0 {
        return refused_before(previous);
    }
    let current = task::current_object();
    if field!(current, task_ptrace, u32) == 0 || !task::in_scope() {
        return 0;
    }
    let Some(mut builder) = Builder::take() else { return without_buffer(hook::BPRM_TRACED) };
    let file: Object = ctx.arg(1);
    let event = start(&builder, hook::BPRM_TRACED);
    task::other(field!(current, task_parent, Object), &mut event.header.task);
    task::current(&mut event.target);
    event.target.executable = task::file_id(file);
    let refused = judge(&mut builder, event, file as u64, false);
    builder.release();
    lsm_answer(refused)
}

/// The record, in the buffer.
#[inline(always)]
fn start(builder: &Builder, hook: u32) -> &'static mut Trace {
    // SAFETY: the buffer is ours until it is released, and nothing uses the record after that.
    let event = unsafe { &mut (*builder.scratch()).trace };
    event.header = emit::header(kind::PTRACE, hook, 0);
    event.pad = [0; 3];
    event
}

/// Verdict and report; whether it is refused. `acting`: the one that enters is the one that runs.
#[inline(always)]
fn judge(builder: &mut Builder, event: &mut Trace, executable: u64, acting: bool) -> bool {
    let hook = u32::from(event.header.hook);
    let entry = lent(hook, &event.header.task, &event.target);
    let refused = verdict::refuses(&entry);
    if emit::settle(hook, &entry) || emit::suppress_own(kind::PTRACE, &event.header.task) {
        return refused;
    }
    event.path = path::prepend(builder, Place::of_file(executable)).0 as u16;
    event.header.verdict = verdict::record(&entry);
    if acting {
        emit::send_built_acting(kind::PTRACE, entry.rule, builder, event, |e| &mut e.header);
    } else {
        emit::send_built(kind::PTRACE, entry.rule, builder, event, |e, length| e.header.length = length);
    }
    refused
}

/// The first rule that the one would be rid of as the other; one that only monitors does not end the search.
#[inline(always)]
fn lent(hook: u32, enters: &Task, entered: &Task) -> Entry {
    let mut found: *const Entry = core::ptr::null();
    for index in 0..common::LENT {
        let Some(entry) = LENT.get_ptr(index) else { break };
        // SAFETY: map values, which live as long as the program.
        let (flags, on_trial) = unsafe { ((*entry).flags, found.is_null() || (*found).flags & flag::MONITOR != 0) };
        let question = |task| Question { hook, task, port: 0, protocol: 0 };
        let grants = flags & flag::GRANT != 0;
        let (holder, other) = if grants { (entered, enters) } else { (enters, entered) };
        if on_trial && verdict::holds(&question(holder), entry, true) && !verdict::holds(&question(other), entry, true)
        {
            found = entry;
        }
    }
    // SAFETY: as above.
    if found.is_null() { Entry::NONE } else { unsafe { *found } }
}

#[inline(always)]
fn without_buffer(hook: u32) -> i32 {
    emit::count_hook(hook, |s| &mut s.errors);
    emit::no_scratch(kind::PTRACE);
    0
}
