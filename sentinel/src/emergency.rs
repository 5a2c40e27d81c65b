//! The stop of last resort: ends Sentinel and what it enforces without asking it anything.
//!
//! Invariant: only what is Sentinel's is touched: the process that holds the lock of its run directory, its pins, and
//! filters on devices whose program no process holds. It works without a daemon, and does what is left when it is called twice.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::unattended;

/// How long the kernel may take to end a killed process.
const LIMIT: Duration = Duration::from_secs(10);

/// Ends everything; what was done, a line each.
///
/// # Errors
///
/// If a process or a pin cannot be removed.
pub fn stop(run_dir: &Path) -> Result<Vec<String>> {
    let mut done = Vec::new();
    if let Some(pid) = holder(&run_dir.join("lock"))? {
        kill(pid)?;
        done.push(format!("process {pid} is killed"));
    }
    match unattended::remove(run_dir)? {
        0 => {}
        generations => done.push(format!("the pins of {generations} starts are removed, and what they kept in force")),
    }
    for name in ["control.sock", "lock"] {
        match fs::remove_file(run_dir.join(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                done.push(format!("{} is left: {error}", run_dir.join(name).display()));
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(done)
}

/// The process that holds the lock of a run directory.
fn holder(lock: &Path) -> Result<Option<u32>> {
    let Ok(meta) = fs::metadata(lock) else { return Ok(None) };
    let locks = fs::read_to_string("/proc/locks").context("cannot read /proc/locks")?;
    Ok(holder_in(&locks, meta.ino()).filter(|pid| holds(*pid, lock)))
}

/// A line is `1: FLOCK  ADVISORY  WRITE 4711 00:19:1234 0 EOF`; the device is another one on some file systems.
fn holder_in(locks: &str, inode: u64) -> Option<u32> {
    locks.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let found = fields.get(5)?.rsplit(':').next()?.parse::<u64>().ok()?;
        (fields.get(1) == Some(&"FLOCK") && found == inode).then(|| fields.get(4)?.parse().ok())?
    })
}

/// Whether a process has this very file open: an inode number alone says too little.
fn holds(pid: u32, lock: &Path) -> bool {
    let Ok(meta) = fs::metadata(lock) else { return false };
    let same = |entry: fs::DirEntry| {
        fs::metadata(entry.path()).is_ok_and(|open| (open.dev(), open.ino()) == (meta.dev(), meta.ino()))
    };
    fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten().any(same)
}

fn kill(pid: u32) -> Result<()> {
    let target = i32::try_from(pid).ok().and_then(Pid::from_raw).context("no process id")?;
    // The descriptor pins the process, so no other one can get its number in between.
    let pinned = pidfd_open(target, PidfdFlags::empty()).with_context(|| format!("cannot get at process {pid}"))?;
    pidfd_send_signal(&pinned, Signal::KILL).with_context(|| format!("cannot kill process {pid}"))?;
    let end = Instant::now() + LIMIT;
    while pidfd_send_signal(&pinned, Signal::KILL).is_ok() && alive(pid) {
        if Instant::now() > end {
            bail!("process {pid} does not end; the kernel may be waiting for a device");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// Whether a process still has descriptors: a zombie has none, and what they held is gone.
fn alive(pid: u32) -> bool {
    fs::read_dir(format!("/proc/{pid}/fd")).is_ok_and(|mut all| all.next().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_of_a_lock_is_found() {
        let locks = "1: FLOCK  ADVISORY  WRITE 4711 00:19:1234 0 EOF\n2: POSIX  ADVISORY  WRITE 12 00:19:99 0 EOF\n\
                     3: -> FLOCK  ADVISORY  WRITE 13 00:19:1234 0 EOF\n";
        assert_eq!(holder_in(locks, 1234), Some(4711));
        assert_eq!(holder_in(locks, 99), None);
        assert_eq!(holder_in("", 1), None);
        assert_eq!(holder_in("garbage\n1: FLOCK", 1), None);
    }

    #[test]
    fn only_who_has_the_file_open_is_its_holder() {
        let path = std::env::temp_dir().join(format!("sentinel-emergency-{}", std::process::id()));
        let file = fs::File::create(&path).unwrap();
        assert!(holds(std::process::id(), &path));
        drop(file);
        assert!(!holds(std::process::id(), &path));
        fs::remove_file(&path).unwrap();
    }
}
