//! Processes as /proc shows them.
//!
//! Invariant: what was read belongs to the process that was meant; where its start says otherwise, nothing was read.
//! What a process is after that is the table's business.

use std::{
    fs,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
};

use super::{Image, Key, Process, TICK, file_id, split_args};

/// The process, if it is the one meant, and its parent (without start time).
pub(super) fn read_process(pid: u32, expected: Option<Key>) -> Option<(Process, Key)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let after_name = &stat[stat.rfind(')')? + 2..];
    let mut fields = after_name.split(' ');
    let parent = fields.nth(1)?.parse().ok()?;
    let tty: u32 = fields.nth(2)?.parse().ok()?;
    let ticks: u64 = fields.nth(14)?.parse().ok()?;
    let key = Key { pid, ticks };
    if expected.is_some_and(|expected| expected != key) {
        return None;
    }
    let link = format!("/proc/{pid}/exe");
    let path =
        fs::read_link(&link).map(|p| String::from_utf8_lossy(p.as_os_str().as_bytes()).into()).unwrap_or_default();
    let file = fs::metadata(&link).map(|meta| file_id(&meta)).unwrap_or_default();
    let args = split_args(&fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default());
    let image = Image { path, file, hash: None };
    let interactive = tty != 0 && [0, 2].iter().all(|number| device(pid, *number) == Some(tty));
    let process = Process { key, start: ticks * TICK, image, args, interactive, ..Process::default() };
    Some((process, Key { pid: parent, ticks: u64::MAX }))
}

/// The number of the device that a descriptor is open on, as `stat` in /proc writes a terminal's.
fn device(pid: u32, descriptor: u32) -> Option<u32> {
    let device = fs::metadata(format!("/proc/{pid}/fd/{descriptor}")).ok()?.rdev();
    let (major, minor) = (libc::major(device), libc::minor(device));
    Some(minor & 0xff | major << 8 | (minor & !0xff) << 12)
}
