//! From a cgroup id to its path, by handle: right even when the process that named it is gone.

use std::{
    fs::{self, File},
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
    path::{Path, PathBuf},
};

/// `FILEID_KERNFS` in the kernel's include/linux/exportfs.h: the handle is the 64-bit id.
const FILEID_KERNFS: i32 = 0xfe;

/// The cgroup v2 hierarchy.
#[derive(Debug)]
pub struct Cgroups {
    root: PathBuf,
    mount: File,
}

#[repr(C)]
struct Handle {
    bytes: u32,
    kind: i32,
    id: u64,
}

impl Cgroups {
    /// Opens the hierarchy mounted at `root`.
    ///
    /// # Errors
    ///
    /// What opening the directory said.
    pub fn open(root: &Path) -> std::io::Result<Self> {
        Ok(Self { root: root.to_owned(), mount: File::open(root)? })
    }

    /// Path of a cgroup below the root, as `/system.slice/x.service`; `None` if it no longer exists.
    #[must_use]
    pub fn path(&self, id: u64) -> Option<String> {
        let mut handle = Handle { bytes: 8, kind: FILEID_KERNFS, id };
        // SAFETY: the handle has the layout of struct file_handle with 8 bytes of content.
        let fd = unsafe {
            let handle = (&raw mut handle).cast::<libc::file_handle>();
            libc::open_by_handle_at(self.mount.as_raw_fd(), handle, libc::O_PATH | libc::O_CLOEXEC)
        };
        if fd < 0 {
            return None;
        }
        // SAFETY: the call returned a new descriptor.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let full = fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).ok()?;
        let below = full.strip_prefix(&self.root).ok()?;
        Some(format!("/{}", below.display()))
    }
}
