//! The operations of `act` that start programs, and those on files without a name.
//!
//! Invariant: as in `act_ops`: a refusal by the kernel is an errno; the functions that replace this process return only
//! when that failed.

use std::{
    ffi::CString,
    fs::{self, File},
    io::{self, Write as _},
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
    process::Command,
};

use anyhow::Result;

use super::{act_ops::errno_of, sys};

/// Runs a program in a forked child; the standard library hands execve's errno back through a pipe.
pub(super) fn exec(path: &str, args: &[&str]) -> Result<i32> {
    match Command::new(path).args(args).status() {
        Ok(status) => {
            println!("status={}", status.code().unwrap_or(-1));
            Ok(0)
        }
        Err(error) => Ok(errno_of(Err(error))),
    }
}

/// Starts a program many times, as fast as it goes, and only then waits: most have ended before anybody can look.
pub(super) fn burst(times: u32, path: &str) -> Result<i32> {
    let mut children = Vec::new();
    for number in 0..times {
        match Command::new(path).arg(number.to_string()).spawn() {
            Ok(child) => children.push((number, child)),
            Err(error) => return Ok(errno_of(Err(error))),
        }
    }
    let mut out = io::stdout().lock();
    for (number, mut child) in children {
        writeln!(out, "spawned {number} {}", child.id())?;
        child.wait()?;
    }
    Ok(0)
}

/// Becomes a program whose name is gone, through a descriptor.
pub(super) fn become_unlinked(path: &str, args: &[&str]) -> io::Error {
    let opened = File::open(path).and_then(|file| fs::remove_file(path).map(|()| file));
    match opened {
        Ok(file) => by_descriptor(&file.into(), path, args),
        Err(error) => error,
    }
}

/// Becomes a copy of a program that lies in memory alone.
pub(super) fn become_memfd(name: &str, path: &str, args: &[&str]) -> io::Error {
    match memory_file(name, path) {
        Ok(file) => by_descriptor(&file, path, args),
        Err(error) => error,
    }
}

fn memory_file(name: &str, path: &str) -> io::Result<OwnedFd> {
    let name = CString::new(name)?;
    // SAFETY: `name` is a NUL-terminated string that lives until the call returns.
    let fd = sys::check(unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC) })?;
    // SAFETY: the kernel just returned this descriptor; nothing else owns it.
    let mut file = unsafe { File::from_raw_fd(fd) };
    file.write_all(&fs::read(path)?)?;
    // While it is open for writing it cannot be executed: the same file, through a descriptor for reading.
    Ok(File::open(format!("/proc/self/fd/{}", file.as_raw_fd()))?.into())
}

/// execveat(fd, "", AT_EMPTY_PATH): the kernel is given no name at all.
fn by_descriptor(file: &OwnedFd, name: &str, args: &[&str]) -> io::Error {
    let words: Vec<CString> = std::iter::once(&name).chain(args).filter_map(|word| CString::new(*word).ok()).collect();
    let mut argv: Vec<*const libc::c_char> = words.iter().map(|word| word.as_ptr()).collect();
    argv.push(std::ptr::null());
    let environment = [std::ptr::null::<libc::c_char>()];
    // SAFETY: both arrays end with a null pointer and their strings live until the call, which returns only on failure.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            file.as_raw_fd(),
            c"".as_ptr(),
            argv.as_ptr(),
            environment.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    io::Error::last_os_error()
}

/// Opens a file, removes its name, and opens it once more through the descriptor.
pub(super) fn open_unlinked(path: &str) -> io::Result<()> {
    let file = File::open(path)?;
    fs::remove_file(path)?;
    File::open(format!("/proc/self/fd/{}", file.as_raw_fd())).map(drop)
}
