//! The operations of `act` that enter other processes.
//!
//! Invariant: a process that was entered goes on as it was.

use std::{
    ffi::CString,
    fs, io,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
    ptr,
};

use anyhow::Context as _;

use super::{
    act_ops::{Done, Kept},
    sys::{c_path, check},
};

/// Performs the operation if it is one of this module's.
pub(super) fn perform(words: &[&str], _kept: &mut Kept) -> Done {
    Ok(Some(match words {
        ["seize", pid] => seize(pid.parse()?),
        ["write-into", pid] => write_into(pid.parse()?, stack_of(pid)?),
        ["open-memory", pid] => {
            fs::OpenOptions::new().read(true).write(true).open(format!("/proc/{pid}/mem")).map(drop)
        }
        ["take-descriptor", pid] => take_descriptor(pid.parse()?),
        ["traced", program, args @ ..] => traced(program, args).map_err(io::Error::other)?,
        _ => return Ok(None),
    }))
}

/// Attaches as a debugger does, stops the process and lets it go.
fn seize(pid: i32) -> io::Result<()> {
    let nothing = ptr::null_mut::<libc::c_void>();
    let ask = |request| {
        // SAFETY: these requests read and write no memory of ours.
        check(unsafe { libc::ptrace(request, pid, nothing, nothing) } as i32)
    };
    ask(libc::PTRACE_SEIZE)?;
    ask(libc::PTRACE_INTERRUPT)?;
    // SAFETY: no place for the status is given.
    check(unsafe { libc::waitpid(pid, ptr::null_mut(), 0) })?;
    ask(libc::PTRACE_DETACH).map(drop)
}

/// An address in the stack of a process.
fn stack_of(pid: &str) -> anyhow::Result<u64> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let stack = maps.lines().find(|line| line.ends_with("[stack]")).context("the process has no stack")?;
    let (_, end) = stack.split(' ').next().and_then(|range| range.split_once('-')).context("malformed maps")?;
    Ok(u64::from_str_radix(end, 16)? - 8)
}

/// Reads eight bytes of a process and writes them back.
fn write_into(pid: i32, address: u64) -> io::Result<()> {
    let mut bytes = [0_u8; 8];
    let ours = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    let theirs = libc::iovec { iov_base: address as *mut libc::c_void, iov_len: bytes.len() };
    // SAFETY: `ours` describes `bytes`, which outlives both calls; `theirs` is checked by the kernel.
    unsafe {
        check(libc::process_vm_readv(pid, &raw const ours, 1, &raw const theirs, 1, 0) as i32)?;
        check(libc::process_vm_writev(pid, &raw const ours, 1, &raw const theirs, 1, 0) as i32)?;
    }
    Ok(())
}

/// Takes a copy of the standard input of a process.
fn take_descriptor(pid: i32) -> io::Result<()> {
    // SAFETY: system calls with numbers alone; the descriptors that they give are ours.
    unsafe {
        let process = OwnedFd::from_raw_fd(check(libc::syscall(libc::SYS_pidfd_open, pid, 0) as i32)?);
        let taken = check(libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), 0, 0) as i32)?;
        drop(OwnedFd::from_raw_fd(taken));
    }
    Ok(())
}

/// Starts a program that this process traces, and ends it before it has run.
fn traced(program: &str, args: &[&str]) -> anyhow::Result<io::Result<()>> {
    let path = c_path(program)?;
    let words = [&[program], args].concat().into_iter().map(CString::new).collect::<Result<Vec<_>, _>>()?;
    let pointers: Vec<_> = words.iter().map(|word| word.as_ptr()).chain([ptr::null()]).collect();
    let nothing = ptr::null_mut::<libc::c_void>();
    let mut status = 0;
    // SAFETY: this process has one thread here; the child only makes system calls, with strings that it has a copy of.
    unsafe {
        let child = check(libc::fork())?;
        if child == 0 {
            libc::ptrace(libc::PTRACE_TRACEME, 0, nothing, nothing);
            libc::execv(path.as_ptr(), pointers.as_ptr());
            libc::_exit(*libc::__errno_location());
        }
        check(libc::waitpid(child, &raw mut status, 0))?;
        if libc::WIFEXITED(status) {
            return Ok(Err(io::Error::from_raw_os_error(libc::WEXITSTATUS(status))));
        }
        libc::kill(child, libc::SIGKILL);
        check(libc::waitpid(child, ptr::null_mut(), 0))?;
    }
    Ok(Ok(()))
}
