//! The operations of `act` on files that take more than one plain call: by mounts, handles, rings and mappings.
//!
//! Invariant: as in `act_ops`: an `Err` means the operation was written wrongly, a refusal by the kernel is an errno.

use std::{
    ffi::CString,
    fs::{self, File, OpenOptions},
    io,
    os::{
        fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
        unix::fs as unix,
    },
    ptr,
};

use io_uring::{opcode, types::Fd};

use super::{
    act_ops::{Done, Kept},
    act_uring,
    sys::{self, c_path, check},
};

/// Performs the operation if it is one of this module's.
pub(super) fn perform(words: &[&str], kept: &mut Kept) -> Done {
    Ok(Some(match words {
        ["rmdir", path] => fs::remove_dir(path),
        ["mknod", path] => make_node(path),
        ["exchange", one, other] => exchange(one, other),
        ["chmod", path] => fs::metadata(path).and_then(|meta| fs::set_permissions(path, meta.permissions())),
        ["chown", path] => unix::chown(path, None, None),
        ["setxattr", path] => set_attribute(path),
        ["hold-file", path] => hold(path, kept),
        ["cut-held"] => cut_held(kept),
        ["own-mounts"] => own_mounts(),
        ["bind", from, to] => sys::mount(from, to, "none", libc::MS_BIND, ""),
        ["tmpfs", at] => sys::mount("tmpfs", at, "tmpfs", 0, ""),
        ["chroot", directory] => unix::chroot(directory).and_then(|()| std::env::set_current_dir("/")),
        ["reopen", path] => reopen(path),
        ["by-handle", path] => by_handle(path),
        ["ring-open", path] => ring_open(path),
        ["ring-rename", from, to] => ring_rename(from, to),
        ["ring-unlink", path] => ring_unlink(path),
        ["map-exec", path] => map_executable(path, false),
        ["protect-exec", path] => map_executable(path, true),
        ["jit", times] => times.parse().map_err(io::Error::other).and_then(just_in_time),
        _ => return Ok(None),
    }))
}

/// What a compiler at run time does: memory without a file is written and then executed, in each of the usual ways.
fn just_in_time(times: u32) -> io::Result<()> {
    let both = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a NUL-terminated static string; the kernel just returned this descriptor, nothing else owns it.
    let memory = unsafe {
        let fd = check(libc::memfd_create(c"jit".as_ptr(), libc::MFD_CLOEXEC))?;
        OwnedFd::from_raw_fd(fd)
    };
    // SAFETY: the descriptor is open.
    check(unsafe { libc::ftruncate(memory.as_raw_fd(), 4096) })?;
    for _ in 0..times {
        run_code(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, both, true)?;
        run_code(libc::MAP_SHARED | libc::MAP_ANONYMOUS, -1, both, true)?;
        run_code(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, both | libc::PROT_EXEC, false)?;
        run_code(libc::MAP_SHARED, memory.as_raw_fd(), both, true)?;
    }
    Ok(())
}

/// Maps a page, writes a function into it, makes it executable if it is not, and calls it.
fn run_code(flags: libc::c_int, file: libc::c_int, protection: libc::c_int, later: bool) -> io::Result<()> {
    #[cfg(target_arch = "x86_64")]
    const CODE: [u8; 6] = [0xb8, 42, 0, 0, 0, 0xc3];
    #[cfg(target_arch = "aarch64")]
    const CODE: [u8; 8] = [0x40, 0x05, 0x80, 0x52, 0xc0, 0x03, 0x5f, 0xd6];
    // SAFETY: a new mapping at a place the kernel chooses, which nothing else knows of; what is called is the function just
    // written there, which returns 42 and touches nothing.
    unsafe {
        let at = libc::mmap(ptr::null_mut(), 4096, protection, flags, file, 0);
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        ptr::copy_nonoverlapping(CODE.as_ptr(), at.cast::<u8>(), CODE.len());
        let ready = if later { check(libc::mprotect(at, 4096, libc::PROT_READ | libc::PROT_EXEC)) } else { Ok(0) };
        let answer = ready.map(|_| {
            let function: extern "C" fn() -> i32 = std::mem::transmute(at);
            function()
        });
        libc::munmap(at, 4096);
        match answer {
            Ok(42) => Ok(()),
            Ok(_) => Err(io::Error::from_raw_os_error(libc::EINVAL)),
            Err(error) => Err(error),
        }
    }
}

fn make_node(path: &str) -> io::Result<()> {
    let path = c_path(path)?;
    // SAFETY: a NUL-terminated string that lives until the call returns.
    check(unsafe { libc::mknod(path.as_ptr(), libc::S_IFIFO | 0o600, 0) }).map(drop)
}

fn exchange(one: &str, other: &str) -> io::Result<()> {
    let (one, other) = (c_path(one)?, c_path(other)?);
    let here = libc::AT_FDCWD;
    // SAFETY: NUL-terminated strings that live until the call returns.
    check(unsafe { libc::renameat2(here, one.as_ptr(), here, other.as_ptr(), libc::RENAME_EXCHANGE) }).map(drop)
}

fn set_attribute(path: &str) -> io::Result<()> {
    let path = c_path(path)?;
    // SAFETY: NUL-terminated strings that live until the call returns; the value has no bytes.
    check(unsafe { libc::setxattr(path.as_ptr(), c"trusted.lab".as_ptr(), ptr::null(), 0, 0) }).map(drop)
}

fn hold(path: &str, kept: &mut Kept) -> io::Result<()> {
    kept.socket = Some(OpenOptions::new().write(true).open(path)?.into());
    Ok(())
}

fn cut_held(kept: &Kept) -> io::Result<()> {
    let Some(file) = &kept.socket else { return Err(io::Error::from_raw_os_error(libc::EBADF)) };
    // SAFETY: the descriptor is open.
    check(unsafe { libc::ftruncate(file.as_raw_fd(), 0) }).map(drop)
}

fn own_mounts() -> io::Result<()> {
    sys::unshare(libc::CLONE_NEWNS)?;
    sys::mount("none", "/", "none", libc::MS_REC | libc::MS_PRIVATE, "")
}

/// A descriptor that opens nothing, and an open through it.
fn reopen(path: &str) -> io::Result<()> {
    let path = c_path(path)?;
    // SAFETY: a NUL-terminated string that lives until the call returns.
    let fd = check(unsafe { libc::open(path.as_ptr(), libc::O_PATH | libc::O_CLOEXEC) })?;
    // SAFETY: the kernel just returned this descriptor; nothing else owns it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    File::open(format!("/proc/self/fd/{}", fd.as_raw_fd())).map(drop)
}

/// As the kernel has `struct file_handle`, with room for every file system's.
#[repr(C)]
struct Handle {
    bytes: libc::c_uint,
    kind: libc::c_int,
    data: [u8; 128],
}

fn by_handle(path: &str) -> io::Result<()> {
    let (path, mut mount) = (c_path(path)?, 0);
    let mut handle = Handle { bytes: 128, kind: 0, data: [0; 128] };
    let handle = (&raw mut handle).cast::<libc::file_handle>();
    let root =
        File::open(std::path::Path::new(path.to_str().map_err(io::Error::other)?).parent().unwrap_or("/".as_ref()))?;
    // SAFETY: a NUL-terminated string, and a handle with as much room as it says; both outlive the calls.
    let fd = unsafe {
        check(libc::name_to_handle_at(libc::AT_FDCWD, path.as_ptr(), handle, &raw mut mount, 0))?;
        check(libc::open_by_handle_at(root.as_raw_fd(), handle, libc::O_RDONLY | libc::O_CLOEXEC))?
    };
    // SAFETY: the kernel just returned this descriptor; nothing else owns it.
    drop(unsafe { OwnedFd::from_raw_fd(fd) });
    Ok(())
}

fn ring_open(path: &str) -> io::Result<()> {
    let path: CString = c_path(path)?;
    let request = opcode::OpenAt::new(Fd(libc::AT_FDCWD), path.as_ptr()).flags(libc::O_RDONLY).build();
    act_uring::complete_by_worker(request)
}

fn ring_rename(from: &str, to: &str) -> io::Result<()> {
    let (from, to) = (c_path(from)?, c_path(to)?);
    let here = Fd(libc::AT_FDCWD);
    act_uring::complete_by_worker(opcode::RenameAt::new(here, from.as_ptr(), here, to.as_ptr()).build())
}

fn ring_unlink(path: &str) -> io::Result<()> {
    let path = c_path(path)?;
    act_uring::complete_by_worker(opcode::UnlinkAt::new(Fd(libc::AT_FDCWD), path.as_ptr()).build())
}

/// Maps a page to be executed, at once or by changing its protection.
fn map_executable(path: &str, later: bool) -> io::Result<()> {
    let file = File::open(path)?;
    let executable = libc::PROT_READ | libc::PROT_EXEC;
    let first = if later { libc::PROT_READ } else { executable };
    // SAFETY: a new mapping at a place the kernel chooses touches no memory of ours; nothing else knows of it.
    unsafe {
        let at = libc::mmap(ptr::null_mut(), 4096, first, libc::MAP_PRIVATE, file.as_raw_fd(), 0);
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let changed = if later { check(libc::mprotect(at, 4096, executable)).map(drop) } else { Ok(()) };
        libc::munmap(at, 4096);
        changed
    }
}
