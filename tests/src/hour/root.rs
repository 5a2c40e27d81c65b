//! Makes the Debian disk the root directory of this process and of all that it starts, and takes the results' disk in.
//!
//! The disk is moved over the root of a mount namespace, as an initramfs does it, so that the kernel's paths are those of an
//! installed system: `/usr/bin/gcc`, not `/mnt/usr/bin/gcc`. Init stays where it is.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use super::OUT;
use crate::harness::{init, sys};

const DISK: &str = "/dev/vda";
const RESULTS: &str = "/dev/vdb";
const NEW: &str = "/mnt";
const SENTINEL: &str = "/usr/bin/sentinel";

/// Goes in. Only a process with one thread can.
pub(super) fn enter() -> Result<()> {
    wait_for(RESULTS)?;
    sys::unshare(libc::CLONE_NEWNS).context("making a mount namespace")?;
    mount("none", "/", "", libc::MS_REC | libc::MS_PRIVATE)?;
    mount(DISK, NEW, "ext4", 0)?;
    fs::copy(SENTINEL, Path::new(NEW).join("usr/bin/sentinel")).context("copying sentinel to the disk")?;
    for (source, target, kind) in init::MOUNTS {
        let target = format!("{NEW}{target}");
        fs::create_dir_all(&target).with_context(|| format!("making {target}"))?;
        mount(source, &target, kind, 0)?;
    }
    std::env::set_current_dir(NEW).context("going to the disk")?;
    mount(".", "/", "", libc::MS_MOVE)?;
    std::os::unix::fs::chroot(".").context("making the disk the root directory")?;
    std::env::set_current_dir("/").context("going to the root directory")?;
    fs::create_dir_all(OUT).context("making the results' directory")?;
    mount(RESULTS, OUT, "ext4", 0)
}

/// Unmounts the results, so that they are on their disk.
pub(super) fn leave() -> Result<()> {
    let path = sys::c_path(OUT)?;
    // SAFETY: the path is NUL-terminated; a lazy unmount would not write.
    sys::check(unsafe { libc::umount2(path.as_ptr(), 0) }).context("unmounting the results")?;
    Ok(())
}

fn mount(source: &str, target: &str, kind: &str, flags: libc::c_ulong) -> Result<()> {
    sys::mount(source, target, kind, flags, "").with_context(|| format!("mounting {source} on {target}"))
}

/// The driver looks for its disks after it was loaded.
fn wait_for(disk: &str) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(20);
    while !Path::new(disk).exists() {
        if Instant::now() > end {
            bail!("there is no {disk}: cargo xtask hour boots the VM with two disks");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
