//! Canaries of the hooks on changes of files: each does one thing in a directory that nobody else uses.
//!
//! Invariant: what is mounted is mounted in a mount namespace of the child's own.

use std::{fs, io, os::unix::fs as unix, path::Path};

use anyhow::{Context as _, Result};
use sentinel_common::hook;

use crate::{identity::Identities, kernel::acts, kernel::verdicts::Target};

/// What is done, for each hook: its name in requests, and what the entry is about: a name in the directory that is not
/// there yet, or something that is.
const ACTS: [(u32, &str, Object); 17] = [
    (hook::PATH_MKNOD, "mknod", Object::Missing),
    (hook::PATH_MKDIR, "mkdir", Object::Missing),
    (hook::PATH_SYMLINK, "symlink", Object::Missing),
    (hook::PATH_LINK, "link", Object::Missing),
    (hook::PATH_RENAME, "rename", Object::Missing),
    (hook::PATH_UNLINK, "unlink", Object::File),
    (hook::PATH_RMDIR, "rmdir", Object::Directory),
    (hook::PATH_TRUNCATE, "truncate", Object::File),
    (hook::FILE_TRUNCATE, "ftruncate", Object::File),
    (hook::PATH_CHMOD, "chmod", Object::File),
    (hook::PATH_CHOWN, "chown", Object::File),
    (hook::INODE_SETXATTR, "setxattr", Object::File),
    (hook::INODE_REMOVEXATTR, "removexattr", Object::File),
    (hook::SB_MOUNT, "mount", Object::Directory),
    (hook::MOVE_MOUNT, "move-mount", Object::Directory),
    (hook::MMAP_FILE, "mmap", Object::Image),
    (hook::FILE_MPROTECT, "mprotect", Object::Image),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Object {
    Missing,
    File,
    Directory,
    Image,
}

/// What the hook is to refuse, and the request; `None` if it is no hook of these.
pub(super) fn object(id: u32, directory: &Path, image: &Path) -> Result<Option<(Target, String)>> {
    let Some((_, name, object)) = ACTS.iter().find(|(hook, ..)| *hook == id) else { return Ok(None) };
    let path = directory.join(name);
    let target = match object {
        Object::Missing => {
            let id = Identities::read().of(directory).context("the canary's directory")?;
            fs::write(directory.join(format!("{name}-from")), b"canary")?;
            Target::Name { dev: id.dev, ino: id.ino, name: name.as_bytes().to_vec() }
        }
        Object::File => {
            fs::write(&path, b"canary").with_context(|| format!("cannot write {}", path.display()))?;
            super::file_target(&path)?
        }
        Object::Directory => {
            fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
            super::file_target(&path)?
        }
        Object::Image => super::file_target(image)?,
    };
    Ok(Some((target, format!("change-{name} {}", path.display()))))
}

/// The child's side.
pub(super) fn attempt(name: &str, path: &Path, image: &str) -> io::Result<()> {
    use rustix::fs::{XattrFlags, removexattr, setxattr};
    /// Nothing has it.
    const ATTRIBUTE: &str = "user.sentinel-canary";
    let from = || path.with_file_name(format!("{name}-from"));
    let image = || fs::File::open(format!("/proc/self/fd/{image}"));
    match name {
        "mknod" => fs::write(path, b""),
        "mkdir" => fs::create_dir(path),
        "symlink" => unix::symlink("canary", path),
        "link" => fs::hard_link(from(), path),
        "rename" => fs::rename(from(), path),
        "unlink" => fs::remove_file(path),
        "rmdir" => fs::remove_dir(path),
        "truncate" => acts::truncate(path),
        "ftruncate" => fs::OpenOptions::new().write(true).open(path)?.set_len(0),
        "chmod" => fs::set_permissions(path, fs::metadata(path)?.permissions()),
        "chown" => unix::chown(path, None, None),
        "setxattr" => Ok(setxattr(path, ATTRIBUTE, b"", XattrFlags::empty())?),
        "removexattr" => Ok(removexattr(path, ATTRIBUTE)?),
        "mount" => {
            acts::own_mounts()?;
            Ok(rustix::mount::mount_bind(path, path)?)
        }
        "move-mount" => move_mount(path),
        "mmap" => acts::map_executable(&image()?, false),
        "mprotect" => acts::map_executable(&image()?, true),
        other => Err(io::Error::other(format!("no canary is called {other}"))),
    }
}

/// Mounts a copy of the directory's tree over it, the new way.
fn move_mount(path: &Path) -> io::Result<()> {
    use rustix::{
        fs::CWD,
        mount::{MoveMountFlags, OpenTreeFlags, move_mount, open_tree},
    };
    acts::own_mounts()?;
    let tree = open_tree(CWD, path, OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC)?;
    Ok(move_mount(&tree, "", CWD, path, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
}
