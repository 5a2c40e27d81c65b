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

/// Whom a process becomes that is entered, or that is traced: nobody.
pub const NOBODY: u32 = 65534;

/// Enters a child that runs as [`NOBODY`], as a debugger does.
///
/// # Errors
///
/// The kernel's.
pub fn enter_another() -> io::Result<()> {
    let child = forked(|| {
        // SAFETY: waits for a signal and touches nothing.
        unsafe { libc::pause() };
        0
    })?;
    let nothing = ptr::null_mut::<libc::c_void>();
    // SAFETY: a child of ours; the call reads and writes no memory of ours.
    let seized = unsafe { libc::ptrace(libc::PTRACE_SEIZE, child, nothing, nothing) };
    let result = if seized == 0 { Ok(()) } else { Err(io::Error::last_os_error()) };
    // SAFETY: a child of ours that nobody has waited for.
    unsafe { libc::kill(child, libc::SIGKILL) };
    ended(child);
    result
}

/// Lets a child that runs as [`NOBODY`] and is traced by this process execute the program that a descriptor is of.
///
/// # Errors
///
/// The kernel's.
pub fn trace_another(program: i32) -> io::Result<()> {
    let child = forked(|| {
        let nothing = ptr::null_mut::<libc::c_void>();
        let empty: [*const libc::c_char; 1] = [ptr::null()];
        // SAFETY: the child's own calls; strings and lists end with NUL and null, and outlive them.
        unsafe {
            if libc::ptrace(libc::PTRACE_TRACEME, 0, nothing, nothing) == 0 {
                let (arguments, environment) = (empty.as_ptr(), empty.as_ptr());
                libc::syscall(libc::SYS_execveat, program, c"".as_ptr(), arguments, environment, libc::AT_EMPTY_PATH);
            }
            *libc::__errno_location()
        }
    })?;
    match ended(child) {
        Some(0) | None => Ok(()),
        Some(errno) => Err(io::Error::from_raw_os_error(errno)),
    }
}

/// A child that runs as [`NOBODY`] and ends with what `act` returns.
fn forked(act: impl FnOnce() -> i32) -> io::Result<i32> {
    // SAFETY: the canary's child has one thread, so its copy finds no lock held; it makes system calls only.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            // SAFETY: system calls with plain numbers. The child dies with its parent, and ends without running what others
            // have registered for the end.
            unsafe {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                if libc::syscall(libc::SYS_setresuid, NOBODY, NOBODY, NOBODY) != 0 {
                    libc::_exit(libc::EINVAL);
                }
                libc::_exit(act())
            }
        }
        child => Ok(child),
    }
}

/// Waits for a child to stop or to end, and ends it; its status if it ended by itself.
fn ended(child: i32) -> Option<i32> {
    let (mut status, mut rest) = (0, 0);
    // SAFETY: a child of ours that nobody has waited for, and places of ours for the answers.
    unsafe {
        libc::waitpid(child, &raw mut status, libc::WUNTRACED);
        if !libc::WIFEXITED(status) {
            libc::kill(child, libc::SIGKILL);
            libc::waitpid(child, &raw mut rest, 0);
        }
    }
    libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status))
}
