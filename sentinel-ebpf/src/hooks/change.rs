//! Changes of names and of files that are not opens: create, rename, link, unlink, truncate, attributes, mounts.
//!
//! Each is judged before it happens, so that what is refused leaves nothing behind. `bpf_d_path` is not allowed here; paths
//! are walked ([`crate::path`]). What the hooks are handed is read as numbers from their context, because kernels differ in
//! what their verifiers make of the types. Opens that create come to `path_mknod` first.
//!
//! An error (no buffer, a walk without an end) lets pass what identity alone does not refuse, and is counted.

use aya_ebpf::{EbpfContext as _, macros::lsm, programs::LsmContext};
use sentinel_common::{
    FileId,
    event::{Change, Task, flag, kind},
    hook,
    verdict::{Entry, access, active, origin},
};

use super::{lsm_answer, refused_before};
use crate::{
    content, emit,
    maps::config,
    path::{self, Place},
    scratch::Builder,
    task,
    verdict::{self, Ask, MAPPED, NO_IMAGE, NOT_WANTED, Question, Wanted},
};

const CREATE: u32 = access::CREATE as u32;
const DELETE: u32 = access::DELETE as u32;
const MOVE: u32 = access::MOVE as u32;
const WRITE: Wanted = [access::WRITE as u32, NOT_WANTED, NOT_WANTED];
/// `renameat2`: both names change places.
const RENAME_EXCHANGE: u64 = 2;

/// Something that is asked about.
#[derive(Clone, Copy)]
pub(super) struct Object {
    place: Place,
    wanted: Wanted,
    /// Whether the search for labelled directories starts at the object itself and not above it.
    itself: bool,
    /// Whether it is to run.
    image: u32,
}

impl Object {
    #[inline(always)]
    pub(super) fn new(place: Place, wanted: Wanted) -> Self {
        Self { place, wanted, itself: false, image: NO_IMAGE }
    }

    /// What is mapped to be executed.
    #[inline(always)]
    pub(super) fn image(place: Place, wanted: Wanted) -> Self {
        Self { image: MAPPED, ..Self::new(place, wanted) }
    }
}

/// The arguments of a hook, as numbers.
#[inline(always)]
pub(super) fn arguments<const N: usize>(ctx: &LsmContext) -> [u64; N]
where
    [u64; N]: Default,
{
    path::read(ctx.as_ptr() as u64)
}

/// A name in a directory that is given by its path.
#[inline(always)]
fn named(directory: u64, dentry: u64) -> Place {
    Place { dentry, vfsmount: Place::of(directory).vfsmount }
}

macro_rules! hook {
    ($(#[$doc:meta])* $name:ident, $arguments:literal, |$args:ident| $body:expr) => {
        $(#[$doc])*
        #[lsm]
        fn $name(ctx: LsmContext) -> i32 {
            let previous: i32 = ctx.arg($arguments);
            if previous != 0 {
                return refused_before(previous);
            }
            if !task::in_scope() {
                return 0;
            }
            let $args: [u64; $arguments] = arguments(&ctx);
            $body
        }
    };
}

/// What makes a name.
#[inline(always)]
fn create(kind: u16, hook: u32, directory: u64, dentry: u64) -> i32 {
    change(kind, hook, Object::new(named(directory, dentry), [CREATE, NOT_WANTED, NOT_WANTED]), None)
}

/// What takes a name away.
#[inline(always)]
fn remove(hook: u32, directory: u64, dentry: u64) -> i32 {
    change(kind::UNLINK, hook, Object::new(named(directory, dentry), [DELETE, NOT_WANTED, NOT_WANTED]), None)
}

hook!(
    /// `int path_mknod(const struct path *dir, struct dentry *dentry, umode_t mode, unsigned int dev)`, since 2.6.29; BPF
    /// since 5.7, as all of these. Also an open that creates, before anything is created.
    path_mknod, 4, |args| create(kind::CREATE, hook::PATH_MKNOD, args[0], args[1])
);
hook!(
    /// `int path_mkdir(const struct path *dir, struct dentry *dentry, umode_t mode)`.
    path_mkdir, 3, |args| create(kind::CREATE, hook::PATH_MKDIR, args[0], args[1])
);
hook!(
    /// `int path_symlink(const struct path *dir, struct dentry *dentry, const char *old_name)`.
    path_symlink, 3, |args| create(kind::LINK, hook::PATH_SYMLINK, args[0], args[1])
);
hook!(
    /// `int path_unlink(const struct path *dir, struct dentry *dentry)`.
    path_unlink, 2, |args| remove(hook::PATH_UNLINK, args[0], args[1])
);
hook!(
    /// `int path_rmdir(const struct path *dir, struct dentry *dentry)`.
    path_rmdir, 2, |args| remove(hook::PATH_RMDIR, args[0], args[1])
);
hook!(
    /// `int path_link(struct dentry *old_dentry, const struct path *new_dir, struct dentry *new_dentry)`.
    ///
    /// A link is made inside one mount, so both names have the same.
    path_link, 3, |args| {
        let new = named(args[1], args[2]);
        let old = Place { dentry: args[0], vfsmount: new.vfsmount };
        let target = Object::new(new, [CREATE, NOT_WANTED, NOT_WANTED]);
        change(kind::LINK, hook::PATH_LINK, Object::new(old, [access::WRITE as u32, MOVE, NOT_WANTED]), Some(target))
    }
);
hook!(
    /// `int path_rename(const struct path *old_dir, struct dentry *old_dentry, const struct path *new_dir, struct dentry
    /// *new_dentry, unsigned int flags)`; the flags since 5.19.
    path_rename, 5, |args| {
        let (old, new) = (named(args[0], args[1]), named(args[2], args[3]));
        let exchange = args[4] & RENAME_EXCHANGE != 0;
        let object = [DELETE, MOVE, if exchange { CREATE } else { NOT_WANTED }];
        let replaces = path::inode_of(new.dentry) != 0;
        let target = [
            CREATE,
            if exchange { MOVE } else { NOT_WANTED },
            if replaces { DELETE } else { NOT_WANTED },
        ];
        change(kind::RENAME, hook::PATH_RENAME, Object::new(old, object), Some(Object::new(new, target)))
    }
);
hook!(
    /// `int path_truncate(const struct path *path)`; before 6.2 also for files that are open.
    path_truncate, 1, |args| change(kind::TRUNCATE, hook::PATH_TRUNCATE, Object::new(Place::of(args[0]), WRITE), None)
);
hook!(
    /// `int file_truncate(struct file *file)`, since 6.2.
    file_truncate, 1,
    |args| change(kind::TRUNCATE, hook::FILE_TRUNCATE, Object::new(Place::of_file(args[0]), WRITE), None)
);
hook!(
    /// `int path_chmod(const struct path *path, umode_t mode)`.
    path_chmod, 2, |args| change(kind::SETATTR, hook::PATH_CHMOD, Object::new(Place::of(args[0]), WRITE), None)
);
hook!(
    /// `int path_chown(const struct path *path, kuid_t uid, kgid_t gid)`.
    path_chown, 3, |args| change(kind::SETATTR, hook::PATH_CHOWN, Object::new(Place::of(args[0]), WRITE), None)
);
hook!(
    /// `int inode_setxattr(struct mnt_idmap *idmap, struct dentry *dentry, const char *name, const void *value, size_t size,
    /// int flags)`, since 5.12 (before, without the first argument). The mount is not known here.
    inode_setxattr, 6, |args| attribute(hook::INODE_SETXATTR, args[1])
);
hook!(
    /// `int inode_removexattr(struct mnt_idmap *idmap, struct dentry *dentry, const char *name)`, as above.
    inode_removexattr, 3, |args| attribute(hook::INODE_REMOVEXATTR, args[1])
);
hook!(
    /// `int sb_mount(const char *dev_name, const struct path *path, const char *type, unsigned long flags, void *data)`.
    sb_mount, 5, |args| mount(hook::SB_MOUNT, args[1])
);
hook!(
    /// `int move_mount(const struct path *from_path, const struct path *to_path)`, since 5.2.
    move_mount, 2, |args| mount(hook::MOVE_MOUNT, args[1])
);

#[inline(always)]
fn attribute(hook: u32, dentry: u64) -> i32 {
    change(kind::SETATTR, hook, Object::new(Place { dentry, vfsmount: 0 }, WRITE), None)
}

/// A mount hides what it covers, and of a directory all that is in it.
#[inline(always)]
fn mount(hook: u32, path: u64) -> i32 {
    change(kind::MOUNT, hook, Object { itself: true, ..Object::new(Place::of(path), WRITE) }, None)
}

/// Verdict on the object and on its new name if there is one, event, answer.
#[inline(always)]
pub(super) fn change(kind: u16, hook: u32, object: Object, target: Option<Object>) -> i32 {
    let inode = path::inode_of(object.place.dentry);
    let file = path::inode_identity(inode);
    let Some(mut builder) = Builder::take() else {
        return lsm_answer(verdict::refuses(&without_buffer(kind, hook, file, object.wanted)));
    };
    // SAFETY: the buffer is ours until it is released.
    let event = unsafe { &mut (*builder.scratch()).change };
    event.header = emit::header(kind, hook, 0);
    event.file = file;
    event.mode = u32::from(path::read::<u16>(inode + u64::from(config!(offsets.inode_i_mode))));
    event.links = path::read(inode + u64::from(config!(offsets.inode_i_nlink)));
    event.target = FileId::default();
    event.target_links = 0;
    event.target_path = 0;
    if let Some(target) = &target {
        let inode = path::inode_of(target.place.dentry);
        event.target = path::inode_identity(inode);
        event.target_links = path::read(inode + u64::from(config!(offsets.inode_i_nlink)));
    }
    task::current(&mut event.header.task);
    if kind == kind::MMAP {
        let classes = verdict::active_classes();
        let news = content::look(&builder, inode, classes, false);
        event.header.flags |= if news && classes & active::HASH_RULE != 0 { flag::HASH_UNKNOWN } else { 0 };
    }
    let entry = judge(hook, &mut builder, event, &object, target.as_ref());
    if kind == kind::MMAP && entry.rule == 0 && event.header.flags & flag::HASH_UNKNOWN == 0 && config!(learn) == 0 {
        emit::settle(hook, &entry);
    } else {
        report((kind, hook), &mut builder, event, &entry);
    }
    builder.release();
    lsm_answer(verdict::refuses(&entry))
}

/// The new name is judged first: where that is says whether the object leaves its directory.
#[inline(always)]
fn judge(hook: u32, builder: &mut Builder, event: &mut Change, object: &Object, target: Option<&Object>) -> Entry {
    let mut of_target = Entry::NONE;
    let mut stays_in = FileId::default();
    if let Some(target) = target {
        let length = prepend(builder, event, target.place);
        of_target = ask(builder, event, target, event.target, (hook, length), stays_in);
        // SAFETY: the buffer is ours.
        stays_in = unsafe { (*builder.scratch()).walk.found };
        event.target_path = length as u16;
        builder.separate();
    }
    let length = prepend(builder, event, object.place);
    event.path = length as u16;
    let of_object = ask(builder, event, object, event.file, (hook, length), stays_in);
    stronger(of_object, of_target)
}

/// The entry to act on: one that refuses, else one that would, else an exemption.
#[inline(always)]
fn stronger(object: Entry, target: Entry) -> Entry {
    let passes = object.rule == 0 || (object.origin == origin::EXEMPTION && target.rule != 0);
    if passes || (verdict::refuses(&target) && !verdict::refuses(&object)) { target } else { object }
}

/// Puts a path in front of the record; its length.
#[inline(always)]
fn prepend(builder: &mut Builder, event: &mut Change, place: Place) -> usize {
    let (length, whole) = path::prepend(builder, place);
    if !whole {
        // Without the mount no path is whole. What rules are about is found by labels then, whatever the path.
        let missing = if place.vfsmount == 0 { 0 } else { flag::PATH_UNKNOWN };
        event.header.flags |= flag::PATH_TRUNCATED | missing;
    }
    length
}

#[inline(always)]
fn ask(
    builder: &Builder,
    event: &Change,
    object: &Object,
    file: FileId,
    (hook, length): (u32, usize),
    stays_in: FileId,
) -> Entry {
    let Place { dentry, vfsmount } = object.place;
    let whole = event.header.flags & flag::PATH_TRUNCATED == 0;
    let ask = Ask {
        file,
        stays_in,
        dentry,
        vfsmount,
        from: if object.itself { dentry } else { path::parent_of(dentry) },
        start: builder.start as u64,
        path: if whole { length as u64 } else { 0 },
        hook,
        wanted: object.wanted,
        image: object.image,
        cut: u32::from(event.header.flags & flag::PATH_UNKNOWN != 0),
    };
    verdict::file(builder, &event.header.task, ask)
}

#[inline(always)]
fn report((kind, hook): (u16, u32), builder: &mut Builder, event: &mut Change, entry: &Entry) {
    if emit::settle(hook, entry) || emit::suppress_own(kind, &event.header.task) {
        return;
    }
    event.header.verdict = verdict::record(entry);
    emit::send_built_acting(kind, entry.rule, builder, event, |e| &mut e.header);
}

/// No buffer for the path: identity alone decides, the event is lost and counted.
#[inline(always)]
fn without_buffer(kind: u16, hook: u32, file: FileId, wanted: Wanted) -> Entry {
    let mut task = Task::default();
    task::current(&mut task);
    let question = Question { hook, task: &task, port: 0, protocol: 0 };
    let entry = verdict::file_by_identity(&question, file, wanted);
    if !emit::settle(hook, &entry) {
        emit::count_hook(hook, |s| &mut s.errors);
        emit::no_scratch(kind);
    }
    entry
}
