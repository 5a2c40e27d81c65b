//! What the kernel calls a file: the device of its file system, and the inode number.
//!
//! Invariant: read from an opened descriptor, so that a name that changes meanwhile gives no mixture. The device is the
//! file system's own, as the kernel programs see it (`super_block.s_dev`): stat shows another one on Btrfs and overlayfs,
//! the list of mounts does not. The inode number is the kernel's too (`inode.i_ino`): overlayfs shows programs the number
//! that a file had before it was copied up.

use std::{
    collections::HashMap,
    fs, io,
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
    path::Path,
};

use rustix::fs::{AtFlags, Mode, OFlags, StatxFlags, open, statx};
use sentinel_common::FileId;

use crate::kernel::handle;

/// Devices of file systems, by the id of the mount.
#[derive(Debug, Default)]
pub struct Identities {
    devices: HashMap<u64, u32>,
}

impl Identities {
    /// Reads the mounts as they are now.
    #[must_use]
    pub fn read() -> Self {
        // Without them devices are as stat shows them, which most file systems have right.
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        Self { devices: mounts.lines().filter_map(device).collect() }
    }

    /// Identity of what a path stands for, links followed, as it is written in keys.
    ///
    /// # Errors
    ///
    /// If it cannot be looked at.
    pub fn of(&self, path: &Path) -> io::Result<FileId> {
        self.look(path).map(|(id, _)| id)
    }

    /// The same with the inode's generation where that can be known: for a label, which must not pass on to another file
    /// with the number.
    ///
    /// # Errors
    ///
    /// If it cannot be looked at.
    pub fn labelled(&self, path: &Path) -> io::Result<FileId> {
        let (id, file) = self.look(path)?;
        Ok(FileId { generation: handle::generation(file.as_fd(), id.ino), ..id })
    }

    fn look(&self, path: &Path) -> io::Result<(FileId, OwnedFd)> {
        let file = open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        let wanted = StatxFlags::INO | StatxFlags::MNT_ID;
        let found = statx(&file, "", AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC, wanted)?;
        let shown = found.stx_dev_major << 20 | found.stx_dev_minor;
        let dev = self.devices.get(&found.stx_mnt_id).copied().unwrap_or(shown);
        let ino = inode_number(&file).unwrap_or(found.stx_ino);
        Ok((FileId { ino, dev, generation: 0 }, file))
    }
}

/// `inode.i_ino` behind a descriptor, which the kernel shows since 5.14.
fn inode_number(file: &OwnedFd) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/self/fdinfo/{}", file.as_raw_fd())).ok()?;
    text.lines().find_map(|line| line.strip_prefix("ino:"))?.trim().parse().ok()
}

/// Id and device of a line of `/proc/self/mountinfo`: `36 35 98:0 /root /mount ...`.
fn device(line: &str) -> Option<(u64, u32)> {
    let mut fields = line.split(' ');
    let id = fields.next()?.parse().ok()?;
    let (major, minor) = fields.nth(1)?.split_once(':')?;
    Some((id, major.parse::<u32>().ok()? << 20 | minor.parse::<u32>().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_of_mounts() {
        let line = "36 35 98:1 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue";
        assert_eq!(device(line), Some((36, 98 << 20 | 1)));
        assert_eq!(device("36 35 98 /"), None);
        assert_eq!(device(""), None);
    }

    #[test]
    fn a_file_has_one_identity_by_every_name() {
        let path = std::env::temp_dir().join(format!("sentinel-identity-{}", std::process::id()));
        let link = path.with_extension("link");
        fs::write(&path, "x").unwrap();
        fs::hard_link(&path, &link).unwrap();
        let all = Identities::read();
        let (one, other) = (all.of(&path).unwrap(), all.of(&link).unwrap());
        assert_eq!(one, other);
        assert_eq!(all.labelled(&path).unwrap().key(), one);
        assert_eq!(all.labelled(&path).unwrap(), all.labelled(&link).unwrap());
        assert_ne!(one, all.of(path.parent().unwrap()).unwrap());
        fs::remove_file(&path).unwrap();
        fs::remove_file(&link).unwrap();
        assert!(all.of(&path).is_err());
    }
}
