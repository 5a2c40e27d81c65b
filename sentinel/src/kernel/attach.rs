//! The one place where programs are attached to cgroups, and the guard that decides whether they may.
//!
//! Invariant: an enforcing program never reaches the root cgroup or an ancestor of Sentinel's own
//! cgroup, unless the whole host was asked for in so many words.

use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use aya::programs::{
    CgroupAttachMode, CgroupSkb, CgroupSkbAttachType, CgroupSockAddr, Program, ProgramError,
    links::{FdLink, LinkError},
};
use thiserror::Error;

use super::{KernelError, pins::Pins};

/// What reporting and enforcing are limited to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// The whole host.
    Host,
    /// One cgroup and what is below it.
    Cgroup(PathBuf),
}

/// A scope that was checked: the directory to attach to, and the cgroup that programs compare with.
#[derive(Debug)]
pub struct Checked {
    directory: PathBuf,
    /// Id of the scope cgroup; 0 for the whole host.
    pub id: u64,
    /// Its depth below the root of the hierarchy.
    pub level: u32,
}

impl Checked {
    /// The cgroup directory that programs are attached to.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

/// Why a scope is refused.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ScopeError {
    /// Not a directory of the cgroup v2 hierarchy.
    #[error("--scope-cgroup {0}: not a cgroup v2 directory below {1}; create one there: mkdir {1}/NAME")]
    NotACgroup(PathBuf, PathBuf),
    /// The root.
    #[error("--scope-cgroup {0}: this is the root cgroup, which is the whole host; say --whole-host if that is meant")]
    Root(PathBuf),
    /// Sentinel would enforce on itself.
    #[error("--scope-cgroup {0}: Sentinel itself runs inside this cgroup; start it in another one")]
    OwnAncestor(PathBuf),
}

/// Checks a scope against the cgroup hierarchy mounted at `root`.
///
/// # Errors
///
/// See [`ScopeError`].
pub fn check(scope: &Scope, root: &Path) -> Result<Checked, ScopeError> {
    match scope {
        Scope::Host => Ok(Checked { directory: root.to_owned(), id: 0, level: 0 }),
        Scope::Cgroup(asked) => check_cgroup(asked, root, &own_cgroup(root)),
    }
}

fn check_cgroup(asked: &Path, root: &Path, own: &Path) -> Result<Checked, ScopeError> {
    let not_a_cgroup = || ScopeError::NotACgroup(asked.to_owned(), root.to_owned());
    let directory = fs::canonicalize(asked).map_err(|_| not_a_cgroup())?;
    let root = fs::canonicalize(root).map_err(|_| not_a_cgroup())?;
    let below = directory.strip_prefix(&root).map_err(|_| not_a_cgroup())?;
    let level = below.components().count();
    if level == 0 {
        return Err(ScopeError::Root(asked.to_owned()));
    }
    if own.starts_with(&directory) {
        return Err(ScopeError::OwnAncestor(asked.to_owned()));
    }
    // The id of a cgroup is the inode number of its directory (cgroup v2, since 5.5 always).
    let id = fs::metadata(&directory).map_err(|_| not_a_cgroup())?.ino();
    Ok(Checked { directory, id, level: level as u32 })
}

/// Directory of the cgroup that this process is in, below the mount point `root`.
#[must_use]
pub fn own_cgroup(root: &Path) -> PathBuf {
    let text = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let path = text.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
    let directory = root.join(path);
    fs::canonicalize(&directory).unwrap_or(directory)
}

/// Attaches a cgroup program to a checked scope. The link is kept by the program, or pinned.
///
/// # Errors
///
/// What the kernel said, with the program and the cgroup.
pub(super) fn attach(
    program: &mut Program,
    name: &str,
    scope: &Checked,
    pins: Option<&mut Pins>,
) -> Result<(), KernelError> {
    let failed = |what: &dyn std::fmt::Display| KernelError::Attach {
        hook: name.to_owned(),
        place: scope.directory.display().to_string(),
        reason: what.to_string(),
    };
    let cgroup = File::open(&scope.directory).map_err(|error| failed(&error))?;
    // With links, flags 0 lets other programs attach beside ours.
    let mode = CgroupAttachMode::Single;
    let link = match program {
        Program::CgroupSockAddr(program) => attach_address(program, &cgroup, mode, pins.is_some()),
        Program::CgroupSkb(program) => attach_packet(program, &cgroup, mode, pins.is_some()),
        other => return Err(failed(&format!("{:?} is no cgroup program", other.prog_type()))),
    }
    .map_err(|error| failed(&super::chain(&error)))?;
    pins.zip(link).map_or(Ok(()), |(pins, link)| pins.add(name, link))
}

/// A link that is a descriptor: before Linux 5.7 it is none, and cannot outlive its process.
fn descriptor(link: Result<FdLink, LinkError>) -> Result<FdLink, ProgramError> {
    link.map_err(|error| ProgramError::IOError(std::io::Error::other(error)))
}

fn attach_address(
    p: &mut CgroupSockAddr,
    cgroup: &File,
    mode: CgroupAttachMode,
    take: bool,
) -> Result<Option<FdLink>, ProgramError> {
    p.load()?;
    let id = p.attach(cgroup, mode)?;
    if take { p.take_link(id).and_then(|link| Ok(Some(descriptor(link.try_into())?))) } else { Ok(None) }
}

fn attach_packet(
    p: &mut CgroupSkb,
    cgroup: &File,
    mode: CgroupAttachMode,
    take: bool,
) -> Result<Option<FdLink>, ProgramError> {
    p.load()?;
    // What a program does not say itself is on the way out.
    let direction = p.expected_attach_type().unwrap_or(CgroupSkbAttachType::Egress);
    let id = p.attach(cgroup, direction, mode)?;
    if take { p.take_link(id).and_then(|link| Ok(Some(descriptor(link.try_into())?))) } else { Ok(None) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> (PathBuf, PathBuf) {
        let root = std::env::temp_dir().join(format!(
            "sentinel-attach-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
        let leaf = root.join("a/b");
        fs::create_dir_all(&leaf).unwrap();
        (fs::canonicalize(&root).unwrap(), fs::canonicalize(leaf).unwrap())
    }

    #[test]
    fn root_outside_and_own_ancestors_are_refused() {
        let (root, leaf) = tree();
        let own = root.join("a/b/own");
        assert!(matches!(check_cgroup(&root, &root, &own), Err(ScopeError::Root(_))));
        assert!(matches!(check_cgroup(&root.join("a/b/.."), &root, &own), Err(ScopeError::OwnAncestor(_))));
        assert!(matches!(check_cgroup(&leaf, &root, &own), Err(ScopeError::OwnAncestor(_))));
        assert!(matches!(check_cgroup(Path::new("/tmp"), &root, &own), Err(ScopeError::NotACgroup(..))));
        assert!(matches!(check_cgroup(&root.join("none"), &root, &own), Err(ScopeError::NotACgroup(..))));
        let checked = check_cgroup(&leaf, &root, &root.join("other")).unwrap();
        assert_eq!(checked.level, 2);
        fs::remove_dir_all(root).unwrap();
    }
}
