//! Open: by `lsm/file_open`, or where LSM programs are refused by the exit of the system call.

use aya_ebpf::{
    macros::{lsm, tracepoint},
    programs::{LsmContext, TracePointContext},
};
use sentinel_common::{
    FileId,
    event::{Open, flag, kind},
    hook,
    verdict::{BypassKey, Entry, access, bypass, flag as entry_flag},
};

use super::{lsm_answer, refused_before};
use crate::{
    emit,
    maps::config,
    path::{self, Place},
    scratch::Builder,
    task::{self, Object, field},
    verdict::{self, Ask, NO_IMAGE, NOT_WANTED, Question, Wanted},
};

/// `file.f_flags`: the open empties the file, which is a write however it is opened.
const O_TRUNC: u32 = 0x200;
/// `file.f_flags`: the kernel opens the file to execute it; that is an exec, not an open.
const FMODE_EXEC: u32 = 0x20;
/// `file.f_mode`.
const FMODE_READ: u32 = 1;
/// `file.f_mode`.
const FMODE_WRITE: u32 = 2;
/// `inode.i_mode`: what tells the type of a file, and a character device.
const FILE_TYPE: u32 = 0o170_000;
const CHARACTER_DEVICE: u32 = 0o020_000;
/// `file.f_mode`: this open created the file.
const FMODE_CREATED: u32 = 0x10_0000;

/// `int file_open(struct file *file)`, since 3.3 (as `dentry_open` before); BPF since 5.7.
///
/// On O_CREAT the file exists already when this runs.
#[lsm(hook = "file_open")]
fn file_open(ctx: LsmContext) -> i32 {
    let previous: i32 = ctx.arg(1);
    if previous != 0 {
        return refused_before(previous);
    }
    if !task::in_scope() {
        return 0;
    }
    let file: Object = ctx.arg(0);
    if field!(file, file_f_flags, u32) & FMODE_EXEC != 0 {
        return 0;
    }
    let entry = judge(file, hook::FILE_OPEN);
    lsm_answer(verdict::refuses(&entry))
}

/// `syscalls:sys_exit_{open,openat,openat2,creat,open_by_handle_at}`, since 2.6 (5.6 for openat2).
///
/// Reports only. The file is taken from the descriptor table, not from the caller's memory. Opens
/// by io_uring do not come this way.
#[tracepoint]
fn sys_exit_open(ctx: TracePointContext) -> u32 {
    /// Offset of the return value: common fields (8 bytes), system call number (8 bytes).
    const RETURN_VALUE: usize = 16;
    // SAFETY: every sys_exit record has the return value there.
    let result: i64 = unsafe { ctx.read_at(RETURN_VALUE) }.unwrap_or(-1);
    if result >= 0 && task::in_scope() {
        match descriptor(result as u64) {
            0 => emit::count_hook(hook::SYS_EXIT_OPEN, |s| &mut s.errors),
            file => observe(file),
        }
    }
    0
}

/// The open file behind a descriptor of the running task; 0 if there is none.
#[inline(always)]
fn descriptor(number: u64) -> u64 {
    let files = field!(task::current_object(), task_files, Object) as u64;
    let table: u64 = path::read(files + u64::from(config!(offsets.files_fdt)));
    let size: u32 = path::read(table + u64::from(config!(offsets.fdtable_max_fds)));
    if number >= u64::from(size) {
        return 0;
    }
    let array: u64 = path::read(table + u64::from(config!(offsets.fdtable_fd)));
    path::read(array + number * 8)
}

/// Verdict and event of an open that the LSM hook sees.
#[inline(always)]
fn judge(file: Object, hook: u32) -> Entry {
    let inode = field!(file, file_f_inode, Object);
    let mut event = Open {
        header: emit::header(kind::OPEN, hook, 0),
        file: task::file_identity(file),
        flags: field!(file, file_f_flags, u32),
        fmode: field!(file, file_f_mode, u32),
        mode: u32::from(field!(inode, inode_i_mode, u16)),
        links: field!(inode, inode_i_nlink, u32),
        ..Open::default()
    };
    if event.mode & FILE_TYPE == CHARACTER_DEVICE {
        event.device = field!(inode, inode_i_rdev, u32);
    }
    open(&mut event, file as u64, hook)
}

/// Event of an open that was seen from outside: nothing to decide any more.
#[inline(always)]
fn observe(file: u64) {
    let at = |base: u64, offset: u32| base + u64::from(offset);
    let inode: u64 = path::read(at(file, config!(offsets.file_f_inode)));
    let mut event = Open {
        header: emit::header(kind::OPEN, hook::SYS_EXIT_OPEN, 0),
        file: path::inode_identity(inode),
        flags: path::read(at(file, config!(offsets.file_f_flags))),
        fmode: path::read(at(file, config!(offsets.file_f_mode))),
        mode: u32::from(path::read::<u16>(at(inode, config!(offsets.inode_i_mode)))),
        links: path::read(at(inode, config!(offsets.inode_i_nlink))),
        ..Open::default()
    };
    open(&mut event, file, hook::SYS_EXIT_OPEN);
}

/// The accesses that an open asks for. To create is to write: user space writes what refuses writing under creating
/// as well.
#[inline(always)]
fn wanted(fmode: u32) -> Wanted {
    let write = if fmode & FMODE_CREATED != 0 { access::CREATE } else { access::WRITE };
    [
        if fmode & FMODE_READ != 0 { access::READ as u32 } else { NOT_WANTED },
        if fmode & (FMODE_WRITE | FMODE_CREATED) != 0 { write as u32 } else { NOT_WANTED },
        NOT_WANTED,
    ]
}

/// Path, verdict, event.
#[inline(always)]
fn open(event: &mut Open, file: u64, hook: u32) -> Entry {
    task::current(&mut event.header.task);
    if event.flags & O_TRUNC != 0 {
        event.fmode |= FMODE_WRITE;
    }
    let Some(mut builder) = Builder::take() else {
        return open_without_path(event, hook);
    };
    let place = Place::of_file(file);
    let (length, whole) = path::prepend(&mut builder, place);
    let ask = Ask {
        file: event.file,
        stays_in: FileId::default(),
        dentry: place.dentry,
        vfsmount: place.vfsmount,
        from: place.dentry,
        start: builder.start as u64,
        path: if whole { length as u64 } else { 0 },
        hook,
        wanted: wanted(event.fmode),
        image: NO_IMAGE,
        cut: u32::from(!whole),
    };
    let mut entry = verdict::file(&builder, &event.header.task, ask);
    let question = Question { hook, task: &event.header.task, port: 0, protocol: 0 };
    if entry.rule == 0 && event.device != 0 {
        entry = verdict::bypass(&question, BypassKey { kind: bypass::DEVICE, number: event.device });
    }
    if hook == hook::SYS_EXIT_OPEN {
        entry.flags |= entry_flag::MONITOR; // the open is done: nothing can be refused here
    }
    if !emit::settle(hook, &entry) && !emit::suppress_own(kind::OPEN, &event.header.task) {
        event.header.verdict = verdict::record(&entry);
        if !whole {
            event.header.flags |= flag::PATH_TRUNCATED | flag::PATH_UNKNOWN;
            emit::count_hook(hook, |s| &mut s.errors);
        }
        event.path = length as u16;
        emit::send_built_acting(kind::OPEN, entry.rule, &mut builder, event, |e| &mut e.header);
    }
    builder.release();
    entry
}

/// No buffer for the path: identity alone decides, the event is lost and counted.
#[inline(always)]
fn open_without_path(event: &Open, hook: u32) -> Entry {
    let question = Question { hook, task: &event.header.task, port: 0, protocol: 0 };
    let mut entry = verdict::file_by_identity(&question, event.file, wanted(event.fmode));
    if entry.rule == 0 && event.device != 0 {
        entry = verdict::bypass(&question, BypassKey { kind: bypass::DEVICE, number: event.device });
    }
    if !emit::settle(hook, &entry) {
        emit::count_hook(hook, |s| &mut s.errors);
        emit::no_scratch(kind::OPEN);
    }
    entry
}
