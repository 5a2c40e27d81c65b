//! tracefs, for as long as tracepoints are being attached.

use std::path::Path;

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

/// Where the kernel provides a mount point for it.
const PLACE: &str = "/sys/kernel/tracing";

/// tracefs is there while this lives.
pub(super) struct Tracefs {
    mounted_here: bool,
}

impl Tracefs {
    /// Mounts tracefs unless it is mounted.
    pub(super) fn ensure() -> std::io::Result<Self> {
        if Path::new(PLACE).join("events").exists() {
            return Ok(Self { mounted_here: false });
        }
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        mount("tracefs", PLACE, "tracefs", flags, None::<&std::ffi::CStr>)?;
        Ok(Self { mounted_here: true })
    }
}

impl Drop for Tracefs {
    fn drop(&mut self) {
        if self.mounted_here
            && let Err(error) = unmount(PLACE, UnmountFlags::DETACH)
        {
            tracing::warn!("cannot unmount {PLACE}: {error}");
        }
    }
}
