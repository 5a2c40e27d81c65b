//! What canaries do that the standard library has no safe call for.
//!
//! Invariant: only the canary's child calls these, a process of its own with one thread.

use std::{ffi::CString, fs::File, io, os::fd::AsRawFd as _, os::unix::ffi::OsStrExt as _, path::Path, ptr};

/// Gives this process mounts of its own, so that nothing it mounts is seen outside.
///
/// # Errors
///
/// The kernel's.
pub fn own_mounts() -> io::Result<()> {
    use rustix::{
        mount::{MountPropagationFlags, mount_change},
        thread::{UnshareFlags, unshare_unsafe},
    };
    // SAFETY: new mounts share no memory with anybody; descriptors stay what they are.
    unsafe { unshare_unsafe(UnshareFlags::NEWNS) }?;
    Ok(mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?)
}

/// Maps a page of a file to be executed: at once, or with `later` by a change of its protection.
///
/// # Errors
///
/// The kernel's.
pub fn map_executable(file: &File, later: bool) -> io::Result<()> {
    const PAGE: usize = 4096;
    let executable = libc::PROT_READ | libc::PROT_EXEC;
    let first = if later { libc::PROT_READ } else { executable };
    // SAFETY: a new mapping at a place the kernel chooses touches no memory of ours.
    let at = unsafe { libc::mmap(ptr::null_mut(), PAGE, first, libc::MAP_PRIVATE, file.as_raw_fd(), 0) };
    if at == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the mapping made above, which nothing else knows.
    let changed = if later { unsafe { libc::mprotect(at, PAGE, executable) } } else { 0 };
    let result = if changed == 0 { Ok(()) } else { Err(io::Error::last_os_error()) };
    // SAFETY: as above; it is not used any more.
    unsafe { libc::munmap(at, PAGE) };
    result
}

/// Cuts a file by its path.
///
/// # Errors
///
/// The kernel's.
pub fn truncate(path: &Path) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: a string that ends with NUL and outlives the call.
    if unsafe { libc::truncate(path.as_ptr(), 0) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
