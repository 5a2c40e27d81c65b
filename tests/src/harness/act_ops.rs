//! The operations of `act`: each performs exactly the system calls it is named after and gives back errno.
//!
//! Here: which module has an operation, and those on files. Invariant: an `Err` means the operation was written wrongly; a
//! refusal by the kernel is `Ok(errno)`.

use std::{
    ffi::CString,
    io,
    os::{
        fd::{FromRawFd as _, OwnedFd},
        unix::process::CommandExt as _,
    },
    process::Command,
};

use anyhow::{Result, bail};

use super::{
    act_context, act_exec, act_files, act_kept, act_link, act_net, act_peer, act_race, act_raw, act_storm, act_trace,
    act_tun, act_uring, act_xdp, sys::check,
};

/// A socket or file kept from one operation to the next.
#[derive(Default)]
pub struct Kept {
    /// The one that was kept last.
    pub socket: Option<OwnedFd>,
}

/// What a module makes of an operation: none if it is not one of its own.
pub(super) type Done = Result<Option<io::Result<()>>>;

const MODULES: [fn(&[&str], &mut Kept) -> Done; 13] = [
    act_files::perform,
    act_net::perform,
    act_kept::perform,
    act_uring::perform,
    act_raw::perform,
    act_link::perform,
    act_tun::perform,
    act_xdp::perform,
    act_peer::perform,
    act_storm::perform,
    act_context::perform,
    act_race::perform,
    act_trace::perform,
];

/// Performs one operation; 0 or the errno.
pub fn perform(words: &[&str], kept: &mut Kept) -> Result<i32> {
    for module in MODULES {
        if let Some(done) = module(words, kept)? {
            return Ok(errno_of(done));
        }
    }
    let done = match words {
        ["open", path, how] => open(path, how)?,
        ["open-unlinked", path] => act_exec::open_unlinked(path),
        ["exec", path, args @ ..] => return act_exec::exec(path, args),
        ["become", path, args @ ..] => Err(Command::new(path).args(args).exec()),
        ["become-unlinked", path, args @ ..] => Err(act_exec::become_unlinked(path, args)),
        ["become-memfd", name, path, args @ ..] => Err(act_exec::become_memfd(name, path, args)),
        ["burst", times, path] => return act_exec::burst(times.parse()?, path),
        ["unlink" | "truncate" | "mkdir", path] => on_path(words[0], path),
        ["rename" | "link" | "symlink", from, to] => on_two_paths(words[0], from, to),
        other => bail!("unknown operation `{}`; see `act help`", other.join(" ")),
    };
    Ok(errno_of(done))
}

pub(super) fn errno_of(done: io::Result<()>) -> i32 {
    match done {
        Ok(()) => 0,
        Err(error) => error.raw_os_error().unwrap_or(libc::EINVAL),
    }
}

/// A path as the kernel takes it: the text itself, or after `hex:` its bytes in hexadecimal, for names that are not UTF-8.
fn bytes_of(text: &str) -> io::Result<CString> {
    let bytes = match text.strip_prefix("hex:") {
        None => Some(text.as_bytes().to_vec()),
        Some(digits) => digits
            .as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
            .collect::<Option<Vec<u8>>>(),
    };
    let path = bytes.and_then(|bytes| CString::new(bytes).ok());
    path.ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))
}

fn open(path: &str, how: &str) -> Result<io::Result<()>> {
    let flags = match how {
        "read" => libc::O_RDONLY,
        "write" => libc::O_WRONLY,
        "create" => libc::O_WRONLY | libc::O_CREAT,
        "truncate" => libc::O_WRONLY | libc::O_TRUNC,
        "path" => libc::O_PATH,
        other => bail!("`{other}` is no way to open; use read, write, create, truncate or path"),
    };
    let path = bytes_of(path)?;
    // SAFETY: `path` is a NUL-terminated string that lives until the call returns.
    let opened = check(unsafe { libc::open(path.as_ptr(), flags | libc::O_CLOEXEC, 0o644) });
    // SAFETY: the kernel just returned this descriptor; nothing else owns it.
    Ok(opened.map(|fd| drop(unsafe { OwnedFd::from_raw_fd(fd) })))
}

fn on_path(call: &str, path: &str) -> io::Result<()> {
    let path: CString = bytes_of(path)?;
    // SAFETY: `path` is a NUL-terminated string that lives until the calls return.
    check(unsafe {
        match call {
            "unlink" => libc::unlink(path.as_ptr()),
            "truncate" => libc::truncate(path.as_ptr(), 0),
            _ => libc::mkdir(path.as_ptr(), 0o755),
        }
    })?;
    Ok(())
}

fn on_two_paths(call: &str, from: &str, to: &str) -> io::Result<()> {
    let (from, to) = (bytes_of(from)?, bytes_of(to)?);
    // SAFETY: both are NUL-terminated strings that live until the calls return.
    check(unsafe {
        match call {
            "rename" => libc::rename(from.as_ptr(), to.as_ptr()),
            "link" => libc::link(from.as_ptr(), to.as_ptr()),
            _ => libc::symlink(from.as_ptr(), to.as_ptr()),
        }
    })?;
    Ok(())
}
