//! Open: by `lsm/file_open`, or where LSM programs are refused by the exit of the system call.

use aya_ebpf::{
    macros::{lsm, tracepoint},
    programs::{LsmContext, TracePointContext},
};
use sentinel_common::{
    FileId,
    event::{Open, Task, flag, kind},
    hook,
    repeat::every,
    verdict::{BypassKey, Entry, access, bypass, flag as entry_flag},
};

use super::{lsm_answer, refused_before};
use crate::{
    emit,
    maps::config,
    path::{self, Place},
    repeat::{self, Asked, Seen, pair},
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
    let Some(was) = first_look(Opened::of(file)) else {
        repeat::count(kind::OPEN, hook::FILE_OPEN);
        return 0;
    };
    let entry = judge(file, was);
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

/// An open as the table of repeats knows it.
struct Opened {
    asked: Asked,
    /// Whether it can be a repeat.
    keep: bool,
}

/// What an open that is no repeat goes on with.
struct Was {
    /// A buffer, in which what is asked of the table lies.
    builder: Option<Builder>,
    /// It was sent before, and paths may mean other files since.
    renamed: bool,
    /// Whether it is to be remembered.
    keep: bool,
}

impl Opened {
    /// An open that the LSM hook sees. The kernel's own address, name and place of the file stand for its path: renames and
    /// mounts are counted, and an address that is used again is that of another file, name or directory.
    #[inline(always)]
    fn of(file: Object) -> Self {
        let inode = field!(file, file_f_inode, Object);
        let opened_by = path::offset(file, config!(offsets.file_f_path));
        let dentry = field!(opened_by, path_dentry, Object);
        let mount = field!(opened_by, path_mnt, Object);
        let parent = field!(dentry, dentry_d_parent, Object);
        let directory = field!(parent, dentry_d_inode, Object);
        let called = path::offset(dentry, config!(offsets.dentry_d_name));
        let name = pair(field!(called, qstr_hash, u32), field!(called, qstr_len, u32));
        let access = pair(field!(file, file_f_flags, u32), field!(inode, inode_i_generation, u32));
        let place = (task::number_of(dentry), task::number_of(mount));
        let directory = field!(directory, inode_i_ino, u64);
        let object = [place.0, place.1, directory, name, field!(inode, inode_i_ino, u64), access];
        let sb = field!(inode, inode_i_sb, Object);
        Self::new(hook::FILE_OPEN, field!(sb, super_block_s_dev, u32), object, field!(file, file_f_mode, u32))
    }

    /// The same of one that is seen from outside.
    #[inline(always)]
    fn of_address(file: u64) -> Self {
        let at = |base: u64, offset: u32| base + u64::from(offset);
        let id = path::inode_identity(path::inode_of_file(file));
        let place = Place::of_file(file);
        let directory = path::inode_of(path::parent_of(place.dentry));
        let directory: u64 = path::read(at(directory, config!(offsets.inode_i_ino)));
        let access = pair(path::read(at(file, config!(offsets.file_f_flags))), id.generation);
        let object = [place.dentry, place.vfsmount, directory, path::mark_of(place.dentry), id.ino, access];
        Self::new(hook::SYS_EXIT_OPEN, id.dev, object, path::read(at(file, config!(offsets.file_f_mode))))
    }

    #[inline(always)]
    fn new(hook: u32, device: u32, object: [u64; 6], fmode: u32) -> Self {
        let state = verdict::state();
        let keep = fmode & FMODE_CREATED == 0 && config!(names)[0] != 0 && repeat::asked(&state, every::OPEN);
        Self { asked: Asked::of_file(hook, device, object, &state), keep }
    }
}

/// Asks the table; none for a repeat. By value: what is asked goes from the stack into the buffer.
#[inline(always)]
fn first_look(opened: Opened) -> Option<Was> {
    let seen = if opened.keep { opened.asked.seen() } else { Seen::New };
    if seen == Seen::Repeat {
        return None;
    }
    let builder = Builder::take();
    if let Some(builder) = &builder {
        // SAFETY: the buffer is ours.
        unsafe { (*builder.scratch()).asked = opened.asked };
    }
    Some(Was { builder, renamed: seen == Seen::Renamed, keep: opened.keep })
}

/// What is opened, and how; as in [`Open`].
struct About {
    file: FileId,
    flags: u32,
    fmode: u32,
    mode: u32,
    links: u32,
    device: u32,
}

impl About {
    /// What the open may do: to empty the file is to write.
    #[inline(always)]
    fn may(&self) -> u32 {
        if self.flags & O_TRUNC != 0 { self.fmode | FMODE_WRITE } else { self.fmode }
    }

    /// The event, without path and verdict, in the buffer: the stack has no room for it.
    #[inline(always)]
    fn event(&self, builder: &Builder, hook: u32) -> &'static mut Open {
        // SAFETY: the buffer is ours, and the caller lets go of the event before it gives the buffer back.
        let event = unsafe { &mut (*builder.scratch()).open };
        event.header = emit::header(kind::OPEN, hook, 0);
        task::current(&mut event.header.task);
        event.file = self.file;
        event.flags = self.flags;
        event.fmode = self.may();
        event.mode = self.mode;
        event.links = self.links;
        event.path = 0;
        event.pad = 0;
        event.device = self.device;
        event
    }
}

/// Verdict and event of an open that the LSM hook sees.
#[inline(always)]
fn judge(file: Object, was: Was) -> Entry {
    let inode = field!(file, file_f_inode, Object);
    let mode = u32::from(field!(inode, inode_i_mode, u16));
    let about = About {
        file: task::file_identity(file),
        flags: field!(file, file_f_flags, u32),
        fmode: field!(file, file_f_mode, u32),
        mode,
        links: field!(inode, inode_i_nlink, u32),
        device: if mode & FILE_TYPE == CHARACTER_DEVICE { field!(inode, inode_i_rdev, u32) } else { 0 },
    };
    open(&about, file as u64, hook::FILE_OPEN, was)
}

/// Event of an open that was seen from outside: nothing to decide any more.
#[inline(always)]
fn observe(file: u64) {
    let Some(was) = first_look(Opened::of_address(file)) else {
        repeat::count(kind::OPEN, hook::SYS_EXIT_OPEN);
        return;
    };
    let at = |base: u64, offset: u32| base + u64::from(offset);
    let inode: u64 = path::read(at(file, config!(offsets.file_f_inode)));
    let about = About {
        file: path::inode_identity(inode),
        flags: path::read(at(file, config!(offsets.file_f_flags))),
        fmode: path::read(at(file, config!(offsets.file_f_mode))),
        mode: u32::from(path::read::<u16>(at(inode, config!(offsets.inode_i_mode)))),
        links: path::read(at(inode, config!(offsets.inode_i_nlink))),
        device: 0,
    };
    open(&about, file, hook::SYS_EXIT_OPEN, was);
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
fn open(about: &About, file: u64, hook: u32, was: Was) -> Entry {
    let Some(mut builder) = was.builder else {
        return open_without_path(about, hook);
    };
    let event = about.event(&builder, hook);
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
    let passed = entry.rule == 0 && whole;
    if !emit::settle(hook, &entry) {
        // SAFETY: the buffer is ours.
        let (asked, sign) = unsafe { (&(*builder.scratch()).asked, (*builder.scratch()).walk.sign) };
        if passed && was.renamed && asked.same_path(sign) {
            emit::suppressed(kind::OPEN);
        } else if report(event, &entry, &mut builder, (length, whole)) && passed && was.keep {
            asked.told(sign);
        }
    }
    builder.release();
    entry
}

/// Sends the event, unless it is Sentinel's own; whether nobody has to be told of it any more.
#[inline(always)]
fn report(event: &mut Open, entry: &Entry, builder: &mut Builder, (length, whole): (usize, bool)) -> bool {
    if emit::suppress_own(kind::OPEN, &event.header.task) {
        return true;
    }
    event.header.verdict = verdict::record(entry);
    if !whole {
        event.header.flags |= flag::PATH_TRUNCATED | flag::PATH_UNKNOWN;
        emit::count_hook(u32::from(event.header.hook), |s| &mut s.errors);
    }
    event.path = length as u16;
    emit::send_built_acting(kind::OPEN, entry.rule, builder, event, |e| &mut e.header)
}

/// No buffer for the path: identity alone decides, the event is lost and counted.
#[inline(always)]
fn open_without_path(about: &About, hook: u32) -> Entry {
    let mut task = Task::default();
    task::current(&mut task);
    let question = Question { hook, task: &task, port: 0, protocol: 0 };
    let mut entry = verdict::file_by_identity(&question, about.file, wanted(about.may()));
    if entry.rule == 0 && about.device != 0 {
        entry = verdict::bypass(&question, BypassKey { kind: bypass::DEVICE, number: about.device });
    }
    if !emit::settle(hook, &entry) {
        emit::count_hook(hook, |s| &mut s.errors);
        emit::no_scratch(kind::OPEN);
    }
    entry
}
