//! The few raw system calls that more than one harness module needs, each with its errno as an `io::Error`.
//!
//! Not here: the calls that scenarios perform on purpose (`act_ops`) and bpf(2) (`objects`).

use std::{
    ffi::CString,
    io,
    mem::{MaybeUninit, size_of},
    net::SocketAddr,
    os::{
        fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
    sync::atomic::AtomicU32,
};

/// The result of a call that returns -1 and errno on failure.
pub fn check(returned: libc::c_int) -> io::Result<libc::c_int> {
    if returned < 0 { Err(io::Error::last_os_error()) } else { Ok(returned) }
}

/// The same for calls that return a size.
pub fn check_size(returned: isize) -> io::Result<usize> {
    usize::try_from(returned).map_err(|_| io::Error::last_os_error())
}

/// A path as the kernel takes it.
pub fn c_path(path: impl AsRef<Path>) -> io::Result<CString> {
    CString::new(path.as_ref().as_os_str().as_bytes())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "a path cannot contain a NUL byte"))
}

/// mount(2) with an optional data string.
pub fn mount(source: &str, target: &str, kind: &str, flags: libc::c_ulong, data: &str) -> io::Result<()> {
    let (source, target, kind, data) = (c_path(source)?, c_path(target)?, c_path(kind)?, c_path(data)?);
    // SAFETY: all four pointers are NUL-terminated strings that live until the call returns.
    check(unsafe { libc::mount(source.as_ptr(), target.as_ptr(), kind.as_ptr(), flags, data.as_ptr().cast()) })?;
    Ok(())
}

/// Gives the calling thread namespaces of its own.
pub fn unshare(flags: libc::c_int) -> io::Result<()> {
    // SAFETY: unshare takes flags only and touches no memory of ours.
    check(unsafe { libc::unshare(flags) })?;
    Ok(())
}

/// Moves the calling thread into the network namespace `fd`.
pub fn enter_netns(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: setns takes a descriptor, valid while borrowed, and a flag.
    check(unsafe { libc::setns(fd.as_raw_fd(), libc::CLONE_NEWNET) })?;
    Ok(())
}

/// Sends `signal` to one process.
pub fn kill(pid: u32, signal: libc::c_int) -> io::Result<()> {
    let pid = libc::pid_t::try_from(pid).map_err(io::Error::other)?;
    if pid <= 1 {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "refusing to signal a group or init"));
    }
    // SAFETY: kill takes two integers; pid is one process, checked above.
    check(unsafe { libc::kill(pid, signal) })?;
    Ok(())
}

/// socket(2), close-on-exec.
pub fn socket(family: libc::c_int, kind: libc::c_int, protocol: libc::c_int) -> io::Result<OwnedFd> {
    // SAFETY: socket takes three integers.
    let fd = check(unsafe { libc::socket(family, kind | libc::SOCK_CLOEXEC, protocol) })?;
    // SAFETY: the kernel just returned this descriptor; nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Sets a socket option whose value is the plain C struct `value`.
pub fn set_option<T: Copy>(socket: &OwnedFd, level: libc::c_int, name: libc::c_int, value: T) -> io::Result<()> {
    // SAFETY: the pointer and the length describe `value`, which lives until the call returns.
    check(unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const value).cast(), len_of::<T>()) })?;
    Ok(())
}

/// The size of `T` as socket calls take it.
#[expect(clippy::cast_possible_truncation, reason = "sizes of C structs fit")]
pub const fn len_of<T>() -> libc::socklen_t {
    size_of::<T>() as libc::socklen_t
}

/// An address in the kernel's form.
pub struct Address {
    storage: libc::sockaddr_storage,
    length: libc::socklen_t,
}

impl Address {
    /// Converts `addr`; a v6 socket address stays v6 even when it holds a mapped v4 address.
    pub fn new(addr: SocketAddr) -> Self {
        // SAFETY: sockaddr_storage is plain old data for which all zeroes is valid.
        let mut storage: libc::sockaddr_storage = unsafe { MaybeUninit::zeroed().assume_init() };
        let length = match addr {
            SocketAddr::V4(v4) => {
                let raw = (&raw mut storage).cast::<libc::sockaddr_in>();
                // SAFETY: sockaddr_storage is large and aligned enough for every sockaddr type.
                unsafe {
                    (*raw).sin_family = libc::AF_INET as libc::sa_family_t;
                    (*raw).sin_port = v4.port().to_be();
                    (*raw).sin_addr.s_addr = u32::from_ne_bytes(v4.ip().octets());
                }
                len_of::<libc::sockaddr_in>()
            }
            SocketAddr::V6(v6) => {
                let raw = (&raw mut storage).cast::<libc::sockaddr_in6>();
                // SAFETY: as above.
                unsafe {
                    (*raw).sin6_family = libc::AF_INET6 as libc::sa_family_t;
                    (*raw).sin6_port = v6.port().to_be();
                    (*raw).sin6_addr.s6_addr = v6.ip().octets();
                    (*raw).sin6_scope_id = v6.scope_id();
                }
                len_of::<libc::sockaddr_in6>()
            }
        };
        Self { storage, length }
    }

    /// The same bytes below another family number, as a hostile caller would write them.
    pub fn with_family(mut self, family: libc::sa_family_t) -> Self {
        self.storage.ss_family = family;
        self
    }

    /// The family the socket must have.
    pub fn family(&self) -> libc::c_int {
        libc::c_int::from(self.storage.ss_family)
    }

    /// The pointer for a socket call; valid while `self` is.
    pub fn as_ptr(&self) -> *const libc::sockaddr {
        (&raw const self.storage).cast()
    }

    /// The length for a socket call.
    pub fn size(&self) -> libc::socklen_t {
        self.length
    }
}

/// Memory shared with the kernel through a descriptor.
pub struct Mapping {
    start: *mut u8,
    length: usize,
}

impl Mapping {
    /// Maps `length` bytes of `socket` from `offset`, readable and writable.
    pub fn of(socket: &OwnedFd, length: usize, offset: libc::off_t) -> io::Result<Self> {
        Self::map(socket.as_raw_fd(), libc::MAP_SHARED | libc::MAP_POPULATE, length, offset)
    }

    /// Fresh memory of this process alone, aligned to a page.
    pub fn private(length: usize) -> io::Result<Self> {
        Self::map(-1, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, length, 0)
    }

    fn map(fd: libc::c_int, flags: libc::c_int, length: usize, offset: libc::off_t) -> io::Result<Self> {
        let rights = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at a place the kernel chooses touches no memory of ours.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), length, rights, flags, fd, offset) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { start: start.cast(), length })
    }

    /// Where it begins, for calls that tell the kernel.
    pub fn address(&self) -> usize {
        self.start.addr()
    }

    /// Writes `bytes` at `offset`; panics if they do not fit.
    pub fn write(&self, offset: usize, bytes: &[u8]) {
        assert!(offset.checked_add(bytes.len()).is_some_and(|end| end <= self.length), "a write behind a mapping");
        // SAFETY: checked to be inside the mapping, which nothing holds a reference to the plain bytes of.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.start.add(offset), bytes.len()) };
    }

    /// The aligned word at `offset`, which the kernel writes too; panics if it is not inside.
    pub fn atomic(&self, offset: usize) -> &AtomicU32 {
        assert!(offset.is_multiple_of(4) && offset + 4 <= self.length, "no word of a mapping");
        // SAFETY: inside the mapping, aligned, and only ever accessed as an atomic through this reference.
        unsafe { AtomicU32::from_ptr(self.start.add(offset).cast()) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping was made with this start and length, and no reference to it outlives `self`.
        unsafe { libc::munmap(self.start.cast(), self.length) };
    }
}
