//! The processes below this one, read from /proc.
//!
//! Invariant: signals go only to descendants of the calling process.

use std::{collections::BTreeSet, fs};

use super::sys;

/// Makes orphaned descendants children of this process instead of init's, so that they can be found and reaped.
pub fn adopt_orphans() -> std::io::Result<()> {
    // SAFETY: this prctl takes integers only.
    sys::check(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) })?;
    Ok(())
}

/// Every living descendant of this process.
pub fn descendants() -> BTreeSet<u32> {
    let mut found = BTreeSet::new();
    let mut open = vec![std::process::id()];
    while let Some(pid) = open.pop() {
        for child in children(pid) {
            if found.insert(child) {
                open.push(child);
            }
        }
    }
    found
}

fn children(pid: u32) -> Vec<u32> {
    // Every thread has a list of its own.
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    tasks
        .filter_map(|task| fs::read_to_string(task.path().join("children")).ok())
        .flat_map(|text| text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>())
        .collect()
}

/// `1234 sentinel run ...`, for messages.
pub fn describe(pid: u32) -> String {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<String> =
        line.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    format!("process {pid} {}", words.join(" ")).trim_end().to_owned()
}

/// Reaps children that have ended, without waiting.
pub fn reap() {
    loop {
        // SAFETY: a null status pointer is allowed; WNOHANG makes the call return at once.
        if unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) } <= 0 {
            return;
        }
    }
}

/// Kills every descendant and reaps those that have become children.
pub fn kill_descendants() {
    for pid in descendants() {
        // It may have ended meanwhile.
        let _ = sys::kill(pid, libc::SIGKILL);
    }
    std::thread::sleep(std::time::Duration::from_millis(20));
    reap();
}
