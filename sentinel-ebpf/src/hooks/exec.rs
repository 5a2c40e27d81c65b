//! Exec: the verdict before the image is replaced.
//!
//! A successful exec is reported by `sched_process_exec` (see [`super::process`]), once. Here refusals
//! are reported, and, as an addition to the exec that follows, what is gone by then: the path of a
//! script, and a verdict that did not refuse.

use aya_ebpf::{macros::lsm, programs::LsmContext};
use sentinel_common::{
    FileId,
    content::state,
    event::{Exec, flag, kind},
    hook,
    verdict::access,
};

use super::{lsm_answer, refused_before};
use crate::{
    content, emit,
    maps::config,
    path::{self, Place},
    scratch::Builder,
    task::{self, Object, field},
    verdict::{self, Ask, EXECUTED, NOT_WANTED, Question, Wanted},
};

/// The access that is asked for.
pub(super) const EXEC: Wanted = [access::EXEC as u32, NOT_WANTED, NOT_WANTED];

/// `int bprm_check_security(struct linux_binprm *bprm)`, since 2.6; BPF since 5.7.
///
/// Runs once for the file that execve names and once more for each interpreter.
#[lsm(hook = "bprm_check_security")]
fn bprm_check_security(ctx: LsmContext) -> i32 {
    let previous: i32 = ctx.arg(1);
    if previous != 0 {
        return refused_before(previous);
    }
    if !task::in_scope() {
        return 0;
    }
    check(ctx.arg(0))
}

#[inline(always)]
fn check(bprm: Object) -> i32 {
    let file = field!(bprm, binprm_file, Object);
    let mut event = Exec {
        header: emit::header(kind::EXEC, hook::BPRM_CHECK, 0),
        file: task::file_identity(file),
        ..Exec::default()
    };
    task::current(&mut event.header.task);
    let refused = match Builder::take() {
        Some(mut builder) => {
            let refused = judge(&mut builder, &mut event, file, bprm);
            builder.release();
            refused
        }
        None => judge_without_path(&event),
    };
    lsm_answer(refused)
}

#[inline(always)]
fn judge(builder: &mut Builder, event: &mut Exec, file: Object, bprm: Object) -> bool {
    let place = Place::of_file(file as u64);
    let (length, whole) = path::prepend(builder, place);
    let inode = field!(file, file_f_inode, Object);
    let news = content::look(builder, path::inode_of_file(file as u64), verdict::active_classes(), true);
    let ask = Ask {
        file: event.file,
        stays_in: FileId::default(),
        dentry: place.dentry,
        vfsmount: place.vfsmount,
        from: place.dentry,
        start: builder.start as u64,
        path: if whole { length as u64 } else { 0 },
        hook: hook::BPRM_CHECK,
        wanted: EXEC,
        image: EXECUTED,
        cut: u32::from(!whole),
    };
    // SAFETY: in the buffer, which is ours.
    let entry = unsafe { &*verdict::file_in_place(builder, &event.header.task, ask) };
    let refused = verdict::refuses(entry);
    if emit::settle(hook::BPRM_CHECK, entry) || task::is_own(&event.header.task) {
        return refused;
    }
    event.path = length as u16;
    let interpreter = is_interpreter(bprm);
    // SAFETY: the buffer is ours.
    let unhashed = unsafe { (*builder.scratch()).content.hashed.state } == state::UNDEFINED;
    event.header.flags |= if whole { 0 } else { flag::PATH_TRUNCATED | flag::PATH_UNKNOWN };
    // Without it a note is the first of its execve: notes of an attempt that failed before are void.
    event.header.flags |= if interpreter { flag::INTERPRETED } else { 0 };
    event.header.verdict = verdict::record(entry);
    if refused {
        event.mode = u32::from(field!(inode, inode_i_mode, u16));
        event.links = field!(inode, inode_i_nlink, u32);
        builder.append_content();
        emit::send_built_acting(kind::EXEC, entry.rule, builder, event, |e| &mut e.header);
    } else if entry.rule != 0 || news || unhashed || (!interpreter && is_script(bprm)) {
        event.header.kind = kind::BEFORE_EXEC;
        builder.append_content();
        emit::send_built_acting(kind::BEFORE_EXEC, 0, builder, event, |e| &mut e.header);
    }
    refused
}

/// No buffer for the path: identity alone decides, the event is lost and counted.
#[inline(always)]
fn judge_without_path(event: &Exec) -> bool {
    let question = Question { hook: hook::BPRM_CHECK, task: &event.header.task, port: 0, protocol: 0 };
    let entry = verdict::file_by_identity(&question, event.file, EXEC);
    if !emit::settle(hook::BPRM_CHECK, &entry) {
        emit::count_hook(hook::BPRM_CHECK, |s| &mut s.errors);
        if verdict::refuses(&entry) {
            emit::no_scratch(kind::EXEC);
        }
    }
    verdict::refuses(&entry)
}

/// Whether this file was not named by execve but by a script, or by another handler of formats.
#[inline(always)]
fn is_interpreter(bprm: Object) -> bool {
    field!(bprm, binprm_filename, u64) != field!(bprm, binprm_interp, u64)
}

/// Whether the file will need an interpreter.
#[inline(always)]
fn is_script(bprm: Object) -> bool {
    let mark: [u8; 2] = path::read(bprm as u64 + u64::from(config!(offsets.binprm_buf)));
    mark == *b"#!"
}
