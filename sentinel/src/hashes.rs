//! Hashes of executables: what is known of them, and the thread that reads files for it.
//!
//! Invariants: a hash is known under the version of the file that it was taken of, and that version is looked at before and
//! after reading; the thread never keeps an event waiting; what is known is bounded, and of what a rule is about nothing is
//! dropped. What the kernel hashed itself is kept only where a change of the file always changes its version.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    fs,
    io::Read as _,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result};
use sentinel_common::{
    FileId,
    content::{Content, Digest, FileVersion, Hashed, state},
};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

/// Contents that are remembered; the kernel's map has a little more room.
const MOST: usize = 60_000;
/// Files that may wait for the thread; of more the hash is asked again at their next exec.
const QUEUE: usize = 4096;
/// A file that was changed so shortly ago may change once more without that its times tell.
const SETTLED: Duration = Duration::from_millis(1500);
/// File systems on which every change of a file changes its times.
const HONEST: &[&str] = &["ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "erofs", "squashfs", "iso9660"];

/// A SHA-256 as `sha256sum` writes it.
#[must_use]
pub fn hex(digest: &Digest) -> String {
    use std::fmt::Write as _;
    digest.iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A file to be hashed, and by which paths it may be had.
struct Job {
    version: FileVersion,
    places: Vec<PathBuf>,
}

/// What the thread found; `None`: it could not be looked at.
pub type Found = (FileVersion, Option<Hashed>);

/// Everything that is known.
pub struct Hashes {
    known: HashMap<FileVersion, Hashed>,
    order: VecDeque<FileVersion>,
    asked: HashSet<FileVersion>,
    jobs: SyncSender<Job>,
    found: mpsc::UnboundedReceiver<Found>,
    enabled: bool,
    /// Hashes of files on other file systems than [`HONEST`] ones are used as well: the kernel has no other.
    trusting: bool,
    honest: HashMap<u32, bool>,
}

impl Hashes {
    /// Starts the thread. Larger files than `max_bytes` have no hash. `by_kernel`: the kernel hashes what it executes.
    ///
    /// # Errors
    ///
    /// If there is no thread to be had.
    pub fn start(enabled: bool, max_bytes: u64, by_kernel: bool) -> Result<Self> {
        let (jobs, incoming) = sync_channel(QUEUE);
        let (results, found) = mpsc::unbounded_channel();
        std::thread::Builder::new()
            .name("hash".to_owned())
            .spawn(move || work(&incoming, &results, max_bytes))
            .context("cannot start the thread that hashes executables")?;
        let (known, order, asked) = (HashMap::new(), VecDeque::new(), HashSet::new());
        Ok(Self { known, order, asked, jobs, found, enabled, trusting: !by_kernel, honest: HashMap::new() })
    }

    /// The hash of a content, if it is known.
    #[must_use]
    pub fn of(&self, version: &FileVersion) -> Option<Digest> {
        let hashed = self.known.get(version)?;
        (hashed.state == state::KNOWN).then_some(hashed.digest)
    }

    /// What a record says of a content, in the words of this side: the kernel's hash, else what is known.
    #[must_use]
    pub fn resolve(&self, content: &Content) -> Option<Digest> {
        if content.hashed.state == state::KNOWN { Some(content.hashed.digest) } else { self.of(&content.version) }
    }

    /// What is known of a content.
    #[must_use]
    pub fn held(&self, version: &FileVersion) -> Option<Hashed> {
        self.known.get(version).copied()
    }

    /// Asks the thread for a hash, unless it is known or asked for.
    pub fn ask(&mut self, version: FileVersion, places: impl FnOnce() -> Vec<PathBuf>) {
        if !self.enabled || version.file.is_none() || self.known.contains_key(&version) || !self.asked.insert(version) {
            return;
        }
        if self.jobs.try_send(Job { version, places: places() }).is_err() {
            self.asked.remove(&version);
        }
    }

    /// What the thread found next.
    pub async fn next(&mut self) -> Found {
        match self.found.recv().await {
            Some(found) => found,
            None => std::future::pending().await,
        }
    }

    /// Whether the kernel may use a hash without taking it anew: a file on such a file system that has not changed for a while.
    pub fn lasting(&mut self, version: &FileVersion, now: SystemTime) -> bool {
        let honest = *self.honest.entry(version.file.dev).or_insert_with(|| is_honest(version.file.dev));
        (honest || self.trusting) && age(version, now) >= SETTLED
    }

    /// Remembers a content; those that are to be forgotten for it. `keep` says of which hash there is a rule.
    pub fn remember(
        &mut self,
        version: FileVersion,
        hashed: Hashed,
        keep: impl Fn(&Digest) -> bool,
    ) -> Vec<FileVersion> {
        if self.known.insert(version, hashed).is_none() {
            self.order.push_back(version);
        }
        let mut gone = Vec::new();
        let mut looked_at = 0;
        while self.known.len() > MOST && looked_at < MOST {
            let Some(oldest) = self.order.pop_front() else { break };
            looked_at += 1;
            if self.known.get(&oldest).is_some_and(|hashed| keep(&hashed.digest)) {
                self.order.push_back(oldest);
            } else {
                self.known.remove(&oldest);
                gone.push(oldest);
            }
        }
        gone
    }

    /// The thread has answered about this one.
    pub fn answered(&mut self, version: &FileVersion) {
        self.asked.remove(version);
    }
}

/// How long ago a content changed, by its own times.
fn age(version: &FileVersion, now: SystemTime) -> Duration {
    let seconds = u64::try_from(version.ctime).unwrap_or_default();
    now.duration_since(UNIX_EPOCH + Duration::new(seconds, version.ctime_nsec)).unwrap_or_default()
}

/// Whether the file system with this device is one of [`HONEST`].
fn is_honest(dev: u32) -> bool {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let device = format!("{}:{}", dev >> 20, dev & 0xf_ffff);
    mounts.lines().any(|line| {
        let kind = line.split_once(" - ").and_then(|(_, rest)| rest.split(' ').next());
        line.split(' ').nth(2) == Some(&device) && kind.is_some_and(|kind| HONEST.contains(&kind))
    })
}

fn work(jobs: &Receiver<Job>, results: &mpsc::UnboundedSender<Found>, max_bytes: u64) {
    while let Ok(job) = jobs.recv() {
        let wait = SETTLED.saturating_sub(age(&job.version, SystemTime::now()));
        std::thread::sleep(wait);
        let hashed = job.places.iter().find_map(|place| hash(place, &job.version, max_bytes));
        if results.send((job.version, hashed)).is_err() {
            return;
        }
    }
}

/// Hashes the file at a path, if it has this version before and after.
fn hash(path: &Path, version: &FileVersion, max_bytes: u64) -> Option<Hashed> {
    let undefined = Hashed { state: state::UNDEFINED, ..Hashed::default() };
    let mut file = fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path).ok()?;
    let meta = file.metadata().ok()?;
    if !meta.is_file() || !is_version(&meta, version) {
        return None;
    }
    if meta.len() > max_bytes {
        return Some(undefined);
    }
    let mut sha = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    let mut left = meta.len() + 1;
    loop {
        let read = file.read(&mut buffer).ok()?;
        left = left.checked_sub(read as u64)?;
        if read == 0 {
            break;
        }
        sha.update(&buffer[..read]);
    }
    let digest: Digest = sha.finalize().into();
    is_version(&file.metadata().ok()?, version).then_some(Hashed { digest, state: state::KNOWN, pad: 0 })
}

/// Whether a file is at this version. Inode numbers are not compared: on overlayfs those that are shown are others than the
/// kernel's.
fn is_version(meta: &fs::Metadata, version: &FileVersion) -> bool {
    meta.len() == version.size
        && meta.ctime() == version.ctime
        && u32::try_from(meta.ctime_nsec()) == Ok(version.ctime_nsec)
}

/// The version of a file as the kernel programs see it: its times tell a number that was used before, not its generation.
#[must_use]
pub fn version_of(meta: &fs::Metadata, file: FileId) -> FileVersion {
    let ctime_nsec = u32::try_from(meta.ctime_nsec()).unwrap_or_default();
    let file = FileId { generation: 0, ..file };
    FileVersion { file, ctime: meta.ctime(), size: meta.len(), ctime_nsec, pad: 0 }
}

/// Where the executable of a process can be had: by the process itself, else by its path, as the process sees it and as we do.
#[must_use]
pub fn places(pid: u32, path: &[u8], runs_it: bool) -> Vec<PathBuf> {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};
    let path = Path::new(OsStr::from_bytes(path));
    let mut places = Vec::new();
    if runs_it {
        places.push(PathBuf::from(format!("/proc/{pid}/exe")));
    }
    if path.is_absolute() {
        let mut inside = std::ffi::OsString::from(format!("/proc/{pid}/root"));
        inside.push(path.as_os_str());
        places.extend([PathBuf::from(inside), path.to_owned()]);
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, text: &[u8]) -> (PathBuf, FileVersion) {
        let path = std::env::temp_dir().join(format!("sentinel-hashes-{name}-{}", std::process::id()));
        fs::write(&path, text).unwrap();
        let version = version_of(&fs::metadata(&path).unwrap(), FileId { ino: 1, dev: 1, generation: 0 });
        (path, version)
    }

    #[test]
    fn a_file_is_hashed_as_it_was_asked_for_and_no_other() {
        let (path, version) = file("one", b"abc");
        let known = hash(&path, &version, 100).unwrap();
        assert_eq!(hex(&known.digest), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(hash(&path, &version, 2).unwrap().state, state::UNDEFINED);
        assert_eq!(hash(&path, &FileVersion { size: 4, ..version }, 100), None);
        assert_eq!(hash(&path, &FileVersion { ctime_nsec: version.ctime_nsec ^ 1, ..version }, 100), None);
        assert_eq!(hash(Path::new("/dev/null"), &version, 100), None);
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn the_thread_answers_once() {
        let (path, version) = file("two", b"abc");
        let mut hashes = Hashes::start(true, 1 << 20, true).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for _ in 0..3 {
            hashes.ask(version, || vec![PathBuf::from("/nonexistent"), path.clone()]);
        }
        let (answered, hashed) = runtime.block_on(hashes.next());
        assert_eq!((answered, hashed.unwrap().state), (version, state::KNOWN));
        assert!(hashes.found.try_recv().is_err());
        assert!(hashes.remember(version, hashed.unwrap(), |_| false).is_empty());
        assert_eq!(hashes.of(&version), Some(hashed.unwrap().digest));
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn what_a_rule_is_about_is_never_forgotten() {
        let mut hashes = Hashes::start(false, 1, true).unwrap();
        let version = |ino| FileVersion { file: FileId { ino, dev: 1, generation: 0 }, ..FileVersion::default() };
        let hashed = |byte| Hashed { digest: [byte; 32], state: state::KNOWN, pad: 0 };
        let keep = |digest: &Digest| digest[0] == 1;
        assert!(hashes.remember(version(0), hashed(1), keep).is_empty());
        let gone: usize = (1..MOST as u64 + 10).map(|ino| hashes.remember(version(ino), hashed(2), keep).len()).sum();
        assert_eq!((gone, hashes.known.len()), (10, MOST));
        assert_eq!(hashes.of(&version(0)), Some([1; 32]));
        assert_eq!(hashes.of(&version(1)), None);
    }

    #[test]
    fn a_hash_lasts_once_the_file_has_settled() {
        let mut hashes = Hashes::start(false, 1, true).unwrap();
        let now = UNIX_EPOCH + Duration::from_secs(1000);
        let at = |ctime| FileVersion { ctime, ..FileVersion::default() };
        hashes.honest.insert(0, true);
        assert!(hashes.lasting(&at(990), now) && !hashes.lasting(&at(999), now) && !hashes.lasting(&at(1001), now));
        hashes.honest.insert(0, false);
        assert!(!hashes.lasting(&at(990), now));
        hashes.trusting = true;
        assert!(hashes.lasting(&at(990), now));
    }

    #[test]
    fn places_of_an_executable() {
        let all = places(7, b"/usr/bin/x", true);
        let all: Vec<&str> = all.iter().filter_map(|path| path.to_str()).collect();
        assert_eq!(all, ["/proc/7/exe", "/proc/7/root/usr/bin/x", "/usr/bin/x"]);
        assert!(places(7, b".../x", false).is_empty());
    }
}
