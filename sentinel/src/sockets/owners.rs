//! Which processes have a socket open, by its inode number.
//!
//! Invariant: best effort, and said so: a socket on its way between processes, or in a descriptor table that only another
//! thread has, has no owner here, and what changes after the look is not seen.

use std::{
    collections::{BTreeSet, HashMap},
    fs,
    path::Path,
};

use sentinel_common::FileId;

use super::namespaces::numbered;
use crate::process;

/// A process that has a socket open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// Thread group id.
    pub pid: u32,
    /// Start on the boot clock in nanoseconds, as finely as /proc knows it.
    pub start: u64,
    /// What it runs.
    pub executable: FileId,
}

/// Owners of sockets at one moment.
#[derive(Debug, Default)]
pub struct Owners {
    all: Vec<Owner>,
    by_inode: HashMap<u64, Vec<usize>>,
}

impl Owners {
    /// Reads the descriptors of all processes.
    #[must_use]
    pub fn read() -> Self {
        let mut owners = Self::default();
        for process in numbered(Path::new("/proc")) {
            let inodes: BTreeSet<u64> = sockets(&process.join("fd")).collect();
            let Some(owner) = owner(&process).filter(|_| !inodes.is_empty()) else { continue };
            for inode in inodes {
                owners.by_inode.entry(inode).or_default().push(owners.all.len());
            }
            owners.all.push(owner);
        }
        owners
    }

    /// The processes that have this socket.
    pub fn of(&self, inode: u32) -> impl Iterator<Item = Owner> {
        let indexes = self.by_inode.get(&u64::from(inode)).map(Vec::as_slice).unwrap_or_default();
        indexes.iter().filter_map(|index| self.all.get(*index)).copied()
    }
}

/// Inode numbers of the sockets that this very process has now.
#[must_use]
pub fn own() -> BTreeSet<u64> {
    sockets(Path::new("/proc/self/fd")).collect()
}

fn owner(process: &Path) -> Option<Owner> {
    let pid = process.file_name()?.to_str()?.parse().ok()?;
    let running = process::running(pid)?;
    Some(Owner { pid, start: running.start, executable: running.image.file })
}

/// Inode numbers of the sockets in a directory of descriptors.
fn sockets(directory: &Path) -> impl Iterator<Item = u64> + use<> {
    let links = numbered(directory).filter_map(|path| fs::read_link(path).ok());
    links.filter_map(|target| target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{net::UdpSocket, os::fd::AsRawFd as _};

    #[test]
    fn this_process_owns_its_socket_until_it_is_closed() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let link = fs::read_link(format!("/proc/self/fd/{}", socket.as_raw_fd())).unwrap();
        let inode: u32 =
            link.to_str().unwrap().strip_prefix("socket:[").unwrap().trim_end_matches(']').parse().unwrap();
        let image = fs::metadata("/proc/self/exe").map(|meta| process::file_id(&meta)).unwrap();
        let is_own = |owner: Owner| owner.pid == std::process::id() && owner.executable == image && owner.start > 0;
        let owners = Owners::read();
        assert!(owners.of(inode).any(is_own));
        assert!(own().contains(&u64::from(inode)));
        assert_eq!(owners.of(0).count(), 0);
        drop(socket);
        assert!(!Owners::read().of(inode).any(is_own));
    }
}
