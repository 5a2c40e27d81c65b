//! Every network namespace that a process or thread is in, or that has a name in the file system.
//!
//! Invariant: each is visited once, through a descriptor that is open only during the visit. Not found: namespaces held by
//! nothing but an open descriptor or a socket.

use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;

/// Visits each network namespace of the host once, until `visit` says that it is enough. Gives how many there were.
pub fn each(mut visit: impl FnMut(&File) -> bool) -> usize {
    let mut seen = BTreeSet::new();
    for path in links().chain(mounts()) {
        // Those that ended meanwhile need no visit; a link that names a known namespace is not even opened.
        if named_inode(&path).is_some_and(|inode| seen.contains(&inode)) {
            continue;
        }
        // Without waiting: a mount point in the table may be something else by now.
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        let Ok(namespace) = OpenOptions::new().read(true).custom_flags(flags).open(&path) else { continue };
        let Ok(inode) = namespace.metadata().map(|meta| meta.ino()) else { continue };
        if seen.insert(inode) && !visit(&namespace) {
            break;
        }
    }
    seen.len()
}

/// `ns/net` of every thread.
fn links() -> impl Iterator<Item = PathBuf> {
    numbered(Path::new("/proc")).flat_map(|process| numbered(&process.join("task"))).map(|thread| thread.join("ns/net"))
}

/// The numbered directories in a directory of /proc; none if it is gone.
pub fn numbered(directory: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit))
        .map(|entry| entry.path())
}

/// Where `ip netns` and container runtimes keep namespaces that may have no process: mounts of nsfs.
fn mounts() -> impl Iterator<Item = PathBuf> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let paths: Vec<PathBuf> = table.lines().filter_map(mounted_namespace).collect();
    paths.into_iter()
}

/// The mount point in a line of mountinfo, if a network namespace is mounted there.
fn mounted_namespace(line: &str) -> Option<PathBuf> {
    let mut fields = line.split(' ').skip(3);
    let (root, point) = (fields.next()?, fields.next()?);
    root.starts_with("net:[").then(|| PathBuf::from(point))
}

/// The number in `net:[4026531840]`, which is what the link says.
fn named_inode(link: &Path) -> Option<u64> {
    let target = fs::read_link(link).ok()?;
    target.to_str()?.strip_prefix("net:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_namespace_is_visited_once() {
        let own = named_inode(Path::new("/proc/self/ns/net")).unwrap();
        let mut visits = 0;
        let all = each(|namespace| {
            visits += usize::from(namespace.metadata().unwrap().ino() == own);
            true
        });
        assert_eq!(visits, 1);
        assert!(all >= 1);
    }

    #[test]
    fn a_visit_can_be_the_last() {
        let mut visits = 0;
        each(|_| {
            visits += 1;
            false
        });
        assert_eq!(visits, 1);
    }

    #[test]
    fn mounts_of_network_namespaces() {
        let line = "400 27 0:4 net:[4026532249] /run/netns/one rw shared:200 - nsfs nsfs rw";
        assert_eq!(mounted_namespace(line), Some(PathBuf::from("/run/netns/one")));
        assert_eq!(mounted_namespace("400 27 0:4 mnt:[4026532249] /run/x rw - nsfs nsfs rw"), None);
        assert_eq!(mounted_namespace("22 1 254:0 / / rw,relatime - ext4 /dev/root rw"), None);
        assert_eq!(mounted_namespace("22 1"), None);
    }
}
