//! The process table: who is who, kept by fork, exec and exit, and started from /proc.
//!
//! Invariants: a process is its thread group id *and* its start time, so a reused id is another process.
//! Kernel facts in an event win over the table. Arguments are advisory. A process that has ended
//! stays for [`KEEP`], so that events that come late still find it. Ancestors are those by descent: who forked whom,
//! which stays true when a parent has ended and another process takes its children in. What a lost record leaves
//! out is mended in `lineage.rs`; reading /proc is in `proc.rs`.

use std::{
    collections::{HashMap, VecDeque},
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use sentinel_common::{FileId, content::Digest, event::Task};

use crate::container::Containers;

mod lineage;
mod proc;

use lineage::Paths;
use proc::read_process;

/// How long a process is remembered after its end.
const KEEP: Duration = Duration::from_secs(20);
/// Ancestors remembered, the nearest ones.
pub const ANCESTORS: usize = 32;
/// The unit of start times in /proc: USER_HZ is 100 on every Linux.
const TICK: u64 = 10_000_000;

/// Identity of a process. The start time is in ticks, because /proc knows it no finer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    /// Thread group id.
    pub pid: u32,
    ticks: u64,
}

impl Key {
    /// From kernel facts: thread group id and start on the boot clock in nanoseconds.
    #[must_use]
    pub const fn new(pid: u32, start: u64) -> Self {
        Self { pid, ticks: start / TICK }
    }
}

/// A program image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    /// Path of the executable; empty if it was never seen.
    pub path: Arc<str>,
    /// Its identity.
    pub file: FileId,
    /// Its SHA-256, if it is known.
    pub hash: Option<Digest>,
}

/// A process further up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ancestor {
    /// Thread group id.
    pub pid: u32,
    /// Path of its executable when it forked.
    pub executable: Arc<str>,
}

/// What is known of a process.
#[derive(Debug, Clone)]
pub struct Process {
    /// Identity.
    pub key: Key,
    /// Start on the boot clock, nanoseconds.
    pub start: u64,
    /// The image that it runs.
    pub image: Image,
    /// The image before the last exec.
    pub previous: Option<Image>,
    /// Arguments (advisory), as far as they fit.
    pub args: Arc<[String]>,
    /// Whether there were more.
    pub args_truncated: bool,
    /// Ancestors, nearest first, as they were when they forked.
    pub ancestors: Arc<[Ancestor]>,
    /// Whether it was started with its terminal as standard input and error.
    pub interactive: bool,
    ended: Option<Instant>,
}

#[cfg(test)]
impl Process {
    /// A process with an image, one before it, arguments and ancestors.
    pub fn known(image: Image, previous: Image, args: Arc<[String]>, ancestors: Arc<[Ancestor]>) -> Self {
        let (key, previous) = (Key::new(7, 0), Some(previous));
        Self { key, start: 0, image, previous, args, args_truncated: true, ancestors, ..Self::default() }
    }
}

/// All processes.
#[derive(Debug)]
pub struct Processes {
    table: HashMap<Key, Process>,
    ended: VecDeque<(Instant, Key)>,
    paths: Paths,
    /// Container of a cgroup.
    pub containers: Containers,
}

/// Name of a program: the last part of its path.
#[must_use]
pub fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

impl Processes {
    /// Reads /proc.
    #[must_use]
    pub fn from_proc(containers: Containers) -> Self {
        let mut processes = Self { table: HashMap::new(), ended: VecDeque::new(), paths: Paths::default(), containers };
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids: Vec<u32> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
        let found: Vec<(Process, Key)> = pids.into_iter().filter_map(|pid| read_process(pid, None)).collect();
        let parents: HashMap<Key, Key> = found.iter().map(|(process, parent)| (process.key, *parent)).collect();
        let keys: Vec<Key> = found.iter().map(|(process, _)| process.key).collect();
        found.iter().for_each(|(process, _)| processes.paths.learn(&process.image));
        processes.table = found.into_iter().map(|(process, _)| (process.key, process)).collect();
        for key in keys {
            let lineage = processes.lineage(parents.get(&key).copied(), &parents);
            if let Some(process) = processes.table.get_mut(&key) {
                process.ancestors = lineage;
            }
        }
        processes
    }

    /// Ancestors by the parents that /proc names.
    fn lineage(&self, mut next: Option<Key>, parents: &HashMap<Key, Key>) -> Arc<[Ancestor]> {
        let mut found = Vec::new();
        while let Some(process) = next.and_then(|key| self.find(key)).filter(|_| found.len() < ANCESTORS) {
            found.push(Ancestor { pid: process.key.pid, executable: process.image.path.clone() });
            next = parents.get(&process.key).copied();
        }
        found.into()
    }

    /// By identity, or by id alone where the start is not known (/proc names parents without it).
    fn find(&self, key: Key) -> Option<&Process> {
        if key.ticks != u64::MAX {
            return self.table.get(&key);
        }
        self.table.values().find(|process| process.key.pid == key.pid && process.ended.is_none())
    }

    /// A process forked.
    pub fn fork(&mut self, task: &Task, child: (u32, u64), parent: (u32, u64)) {
        // The image is that of who forked, also where CLONE_PARENT makes another the parent.
        let forker = self.of(task).clone();
        let ancestors = self.descent(parent.0, parent.1);
        let key = Key::new(child.0, child.1);
        self.table.insert(key, Process { key, start: child.1, ancestors, previous: None, ended: None, ..forker });
    }

    /// A process replaced its image.
    pub fn exec(&mut self, task: &Task, image: Image, args: Arc<[String]>, args_truncated: bool, interactive: bool) {
        let key = Key::new(task.tgid, task.start);
        self.paths.learn(&image);
        if !self.table.contains_key(&key) {
            let ancestors = self.descent(task.parent, task.parent_start);
            self.table.insert(key, Process { key, start: task.start, ancestors, ..Process::default() });
        }
        let process = self.table.entry(key).or_default();
        let before = std::mem::replace(&mut process.image, image);
        process.previous = (!before.file.is_none()).then_some(before);
        process.args = args;
        process.args_truncated = args_truncated;
        process.interactive = interactive;
        process.ended = None;
    }

    /// A process ended.
    pub fn exit(&mut self, task: &Task, now: Instant) {
        let key = Key::new(task.tgid, task.start);
        if let Some(process) = self.table.get_mut(&key) {
            process.ended = Some(now);
            self.ended.push_back((now, key));
        }
    }

    /// Forgets what ended long ago.
    pub fn sweep(&mut self, now: Instant) {
        while let Some((ended, key)) = self.ended.front().copied().filter(|(at, _)| now.duration_since(*at) > KEEP) {
            self.ended.pop_front();
            if self.table.get(&key).is_some_and(|process| process.ended == Some(ended)) {
                self.table.remove(&key);
            }
        }
    }

    /// The hash of a file that some run has become known.
    pub fn hashed(&mut self, file: FileId, digest: Digest) {
        let images = self.table.values_mut().map(|process| &mut process.image);
        images.filter(|image| image.file == file && image.hash.is_none()).for_each(|image| image.hash = Some(digest));
    }

    /// How many are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// The acting process of an event. One that was missed is read from /proc if it still lives; the image
    /// is left empty rather than wrong when the kernel names another executable than the table has.
    pub fn of(&mut self, task: &Task) -> &Process {
        let key = Key::new(task.tgid, task.start);
        let right = self.table.get(&key).is_some_and(|process| process.image.file == task.executable);
        if !right {
            self.mend(key, task);
        }
        self.table.entry(key).or_insert_with(|| Process { key, ..Process::default() })
    }
}

impl Default for Process {
    fn default() -> Self {
        Self {
            key: Key { pid: 0, ticks: 0 },
            start: 0,
            image: Image::default(),
            previous: None,
            args: Arc::new([]),
            args_truncated: false,
            ancestors: Arc::new([]),
            interactive: false,
            ended: None,
        }
    }
}

/// Splits NUL-ended argument strings.
#[must_use]
pub fn split_args(bytes: &[u8]) -> Arc<[String]> {
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    if bytes.is_empty() {
        return Arc::new([]);
    }
    bytes.split(|byte| *byte == 0).map(|arg| String::from_utf8_lossy(arg).into_owned()).collect()
}

/// A process that runs now, as /proc shows it; it has no ancestors here.
#[must_use]
pub fn running(pid: u32) -> Option<Process> {
    read_process(pid, None).map(|(process, _)| process)
}

/// Whether this very process still lives.
#[must_use]
pub fn is_alive(pid: u32, start: u64) -> bool {
    read_process(pid, Some(Key::new(pid, start))).is_some()
}

/// Identity of a file as the kernel programs see it.
#[must_use]
pub fn file_id(meta: &fs::Metadata) -> FileId {
    use std::os::unix::fs::MetadataExt as _;
    FileId { ino: meta.ino(), dev: kernel_device(meta.dev()), generation: 0 }
}

/// The kernel's own encoding of a device number, from the one that stat gives.
#[must_use]
pub fn kernel_device(dev: u64) -> u32 {
    libc::major(dev) << 20 | libc::minor(dev)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(tgid: u32, start: u64, ino: u64) -> Task {
        Task { tgid, tid: tgid, start, executable: FileId { ino, dev: 1, generation: 0 }, ..Task::default() }
    }

    fn table() -> Processes {
        Processes {
            table: HashMap::new(),
            ended: VecDeque::new(),
            paths: Paths::default(),
            containers: Containers::none(),
        }
    }

    fn image(path: &str, ino: u64) -> Image {
        Image { path: path.into(), file: FileId { ino, dev: 1, generation: 0 }, hash: None }
    }

    #[test]
    fn a_child_has_its_parents_image_until_it_execs() {
        let mut all = table();
        let parent = task(4_000_100, 5 * TICK, 7);
        all.exec(&parent, image("/bin/bash", 7), split_args(b"bash\0-c\0"), false, true);
        all.fork(&parent, (4_000_101, 9 * TICK), (4_000_100, 5 * TICK));
        let child = task(4_000_101, 9 * TICK, 7);
        assert_eq!(&*all.of(&child).image.path, "/bin/bash");
        all.exec(
            &Task { executable: FileId { ino: 8, dev: 1, generation: 0 }, ..child },
            image("/bin/ls", 8),
            Arc::new([]),
            false,
            true,
        );
        let child = all.of(&Task { executable: FileId { ino: 8, dev: 1, generation: 0 }, ..child });
        assert_eq!(child.previous.as_ref().map(|i| &*i.path), Some("/bin/bash"));
        assert_eq!(*child.ancestors, [Ancestor { pid: 4_000_100, executable: "/bin/bash".into() }]);
    }

    #[test]
    fn a_reused_id_is_another_process() {
        let mut all = table();
        all.exec(&task(4_000_100, TICK, 7), image("/bin/old", 7), Arc::new([]), false, false);
        assert_eq!(&*all.of(&task(4_000_100, 9 * TICK, 9)).image.path, "");
    }

    #[test]
    fn the_ended_are_kept_for_a_while() {
        let mut all = table();
        let one = task(4_000_100, TICK, 7);
        all.exec(&one, image("/bin/x", 7), Arc::new([]), false, false);
        let end = Instant::now();
        all.exit(&one, end);
        all.sweep(end + KEEP / 2);
        assert_eq!(all.len(), 1);
        all.sweep(end + KEEP * 2);
        assert_eq!(all.len(), 0);
    }

    #[test]
    fn this_process_is_found_in_proc() {
        let all = Processes::from_proc(Containers::none());
        let own = all.table.values().find(|p| p.key.pid == std::process::id()).unwrap();
        assert_eq!(&*own.image.path, std::env::current_exe().unwrap().to_str().unwrap());
        assert!(!own.ancestors.is_empty() || std::os::unix::process::parent_id() == 0);
    }

    #[test]
    fn arguments() {
        assert_eq!(*split_args(b"a\0\0c\0"), ["a".to_owned(), String::new(), "c".to_owned()]);
        assert!(split_args(b"").is_empty());
        assert_eq!(*split_args(b"\xff\0"), ["\u{fffd}".to_owned()]);
    }
}
