//! The operations of `act` that make processes of whom the test knows everything: families of short lives, a login, a
//! terminal.
//!
//! Invariant: what is printed was written down by the processes themselves, in memory that they share, not looked up.

use std::{
    ffi::CString,
    fs,
    io::{self, Write as _},
    mem::MaybeUninit,
    os::{
        fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
        unix::process::CommandExt as _,
    },
    process::{Command, Stdio},
    ptr,
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
};

use anyhow::{Context as _, Result};

use super::{
    act_ops::{Done, Kept},
    sys::{self, c_path, check},
};

/// Processes of one round: a child; a child and its orphan; a program; four generations of orphans, the last a program.
pub const ROUND: u32 = 8;
/// The slot of the process that starts them all.
pub const ROOT: u32 = u32::MAX;

/// Performs the operation if it is one of this module's.
pub(super) fn perform(words: &[&str], _kept: &mut Kept) -> Done {
    Ok(Some(match words {
        ["family", rounds, data, program] => family(rounds.parse()?, data, program)?,
        ["login", uid] => login(uid),
        ["call-self", name] => call_self(name),
        ["terminal", how @ ("whole" | "error-only"), program, args @ ..] => {
            terminal(*how == "whole", program, args).map_err(io::Error::other)
        }
        _ => return Ok(None),
    }))
}

/// Gives the thread another name.
fn call_self(name: &str) -> io::Result<()> {
    let name = CString::new(name)?;
    // SAFETY: a NUL-terminated string that lives until the call returns.
    check(unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) }).map(drop)
}

/// What a process writes down about itself.
#[derive(Default)]
struct Life {
    pid: AtomicU32,
    /// Slot of the process that forked it.
    parent: AtomicU32,
    program: AtomicU32,
    began: AtomicU64,
    ended: AtomicU64,
}

/// The family: what all of it shares.
struct Family {
    lives: &'static [Life],
    data: CString,
    program: CString,
}

/// Starts `ROUND` processes a round, each of which opens a file or becomes a program and ends, and prints of each
/// `life SLOT PARENT-SLOT PID PROGRAM NANOSECONDS`.
fn family(rounds: u32, data: &str, program: &str) -> Result<io::Result<()>> {
    let count = (rounds * ROUND) as usize;
    let family = Family { lives: shared(count)?, data: c_path(data)?, program: c_path(program)? };
    // Orphans come back to this process, so that it knows when all have ended.
    // SAFETY: prctl with integers alone.
    check(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) })?;
    for round in 0..rounds {
        let first = round * ROUND;
        family.generations(ROOT, first, 1, false)?;
        family.generations(ROOT, first + 1, 2, false)?;
        family.spawn(first + 3)?;
        family.generations(ROOT, first + 4, 4, true)?;
        // SAFETY: waits for any child, without a place for its status.
        while unsafe { libc::waitpid(-1, ptr::null_mut(), 0) } > 0 {}
    }
    let mut out = io::stdout().lock();
    for (slot, life) in family.lives.iter().enumerate() {
        let word = |number: &AtomicU32| number.load(Ordering::Relaxed);
        let lived = life.ended.load(Ordering::Relaxed).saturating_sub(life.began.load(Ordering::Relaxed));
        writeln!(out, "life {slot} {} {} {} {lived}", word(&life.parent), word(&life.pid), word(&life.program))?;
    }
    Ok(Ok(()))
}

impl Family {
    /// A child that opens the file, forks the next generation and ends without waiting; the last may become the program.
    fn generations(&self, parent: u32, slot: u32, count: u32, becomes: bool) -> io::Result<()> {
        // SAFETY: this process has one thread, and the child calls nothing that a parent's lock could hold up.
        if check(unsafe { libc::fork() })? != 0 {
            return Ok(());
        }
        self.begin(parent, slot);
        if count > 1 && self.generations(slot, slot + 1, count - 1, becomes).is_err() {
            // SAFETY: ends this process alone.
            unsafe { libc::_exit(1) };
        }
        let life = &self.lives[slot as usize];
        if count == 1 && becomes {
            life.program.store(1, Ordering::Relaxed);
            let argv = [self.program.as_ptr(), ptr::null()];
            // SAFETY: NUL-terminated strings in arrays that a null pointer ends.
            unsafe { libc::execv(self.program.as_ptr(), argv.as_ptr()) };
        }
        life.ended.store(now(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { libc::_exit(0) };
    }

    fn begin(&self, parent: u32, slot: u32) {
        let life = &self.lives[slot as usize];
        life.began.store(now(), Ordering::Relaxed);
        life.parent.store(parent, Ordering::Relaxed);
        life.pid.store(std::process::id(), Ordering::Relaxed);
        // SAFETY: a NUL-terminated string; the descriptor goes with the process.
        unsafe { libc::open(self.data.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) };
    }

    /// vfork and execve, as the C library starts programs.
    fn spawn(&self, slot: u32) -> io::Result<()> {
        let (mut pid, argv) = (0, [self.program.as_ptr().cast_mut(), ptr::null_mut()]);
        let (actions, attributes) = (ptr::null(), ptr::null());
        // SAFETY: NUL-terminated strings in an array that a null pointer ends; no attributes, actions or environment.
        let errno = unsafe {
            libc::posix_spawn(
                &raw mut pid,
                self.program.as_ptr(),
                actions,
                attributes,
                argv.as_ptr(),
                argv[1..].as_ptr(),
            )
        };
        if errno != 0 {
            return Err(io::Error::from_raw_os_error(errno));
        }
        let life = &self.lives[slot as usize];
        life.pid.store(pid.unsigned_abs(), Ordering::Relaxed);
        life.parent.store(ROOT, Ordering::Relaxed);
        life.program.store(1, Ordering::Relaxed);
        Ok(())
    }
}

/// Memory that children share, all zero.
fn shared(count: usize) -> io::Result<&'static [Life]> {
    let (length, protection) = (count * size_of::<Life>(), libc::PROT_READ | libc::PROT_WRITE);
    // SAFETY: a new mapping, of no file.
    let place =
        unsafe { libc::mmap(ptr::null_mut(), length, protection, libc::MAP_SHARED | libc::MAP_ANONYMOUS, -1, 0) };
    if place == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the mapping has room for so many, is zero, which is valid for atomics, and is never unmapped.
    Ok(unsafe { std::slice::from_raw_parts(place.cast(), count) })
}

fn now() -> u64 {
    let mut time = MaybeUninit::<libc::timespec>::zeroed();
    // SAFETY: the place is a timespec, for which all zeroes is valid if the call should fail.
    let time = unsafe {
        libc::clock_gettime(libc::CLOCK_BOOTTIME, time.as_mut_ptr());
        time.assume_init()
    };
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}

/// Logs in as PAM does, and prints `login=` what it is then, nothing where this kernel knows no logins.
fn login(uid: &str) -> io::Result<()> {
    // Some systems let a login be set only once; what it is then is what counts.
    let _ = fs::write("/proc/self/loginuid", uid);
    if let Ok(login) = fs::read_to_string("/proc/self/loginuid") {
        println!("login={}", login.trim());
    }
    io::stdout().flush()
}

/// Starts a program in a session with a terminal of its own, as all of its standard descriptors or as error output alone,
/// and waits for it. Prints `child=PID` and `terminal=MAJOR:MINOR`.
fn terminal(whole: bool, program: &str, args: &[&str]) -> Result<()> {
    let (mut ours, mut theirs) = (0, 0);
    // SAFETY: the kernel writes two descriptors; the other pointers may be null.
    check(unsafe { libc::openpty(&raw mut ours, &raw mut theirs, ptr::null_mut(), ptr::null_mut(), ptr::null_mut()) })?;
    // SAFETY: both were just opened; nothing else owns them.
    let (_ours, theirs) = unsafe { (OwnedFd::from_raw_fd(ours), OwnedFd::from_raw_fd(theirs)) };
    let name = fs::read_link(format!("/proc/self/fd/{}", theirs.as_raw_fd()))?;
    let device = std::os::unix::fs::MetadataExt::rdev(&fs::metadata(name)?);
    let number = theirs.as_raw_fd();
    let mut command = Command::new(program);
    command.args(args).stderr(theirs.try_clone()?);
    if whole {
        command.stdin(theirs.try_clone()?).stdout(Stdio::inherit());
    } else {
        command.stdin(Stdio::null());
    }
    // SAFETY: two system calls on integers, both async-signal-safe.
    unsafe {
        command.pre_exec(move || {
            sys::check(libc::setsid())?;
            sys::check(libc::ioctl(number, libc::TIOCSCTTY, 0)).map(drop)
        });
    }
    let mut child = command.spawn().context("starting a program on a terminal")?;
    println!("child={}", child.id());
    println!("terminal={}:{}", libc::major(device), libc::minor(device));
    child.wait()?;
    Ok(())
}
