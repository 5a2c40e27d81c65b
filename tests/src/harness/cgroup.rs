//! Cgroups of the test's own, in the cgroup v2 hierarchy wherever it is mounted.
//!
//! Invariant: only directories that this module made are written to or removed. On drop every process inside is killed
//! first, so that removal cannot fail for a forgotten child.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

/// A cgroup that is removed, with everything in it, when dropped.
#[derive(Debug)]
pub struct Cgroup {
    path: PathBuf,
}

impl Cgroup {
    /// Makes the directory; its parent must be in a cgroup v2 hierarchy.
    pub fn create(path: PathBuf) -> Result<Self> {
        fs::create_dir(&path).with_context(|| format!("making the cgroup {}", path.display()))?;
        Ok(Self { path })
    }

    /// The directory, as `--scope-cgroup` takes it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The id the kernel gives in events: the inode number of the directory.
    pub fn id(&self) -> Result<u64> {
        use std::os::unix::fs::MetadataExt as _;
        Ok(fs::metadata(&self.path).with_context(|| format!("reading {}", self.path.display()))?.ino())
    }

    /// A cgroup below this one.
    pub fn child(&self, name: &str) -> Result<Cgroup> {
        Self::create(self.path.join(name))
    }

    /// Moves a process into the cgroup.
    pub fn add(&self, pid: u32) -> Result<()> {
        let file = self.path.join("cgroup.procs");
        fs::write(&file, pid.to_string()).with_context(|| format!("moving process {pid} into {}", self.path.display()))
    }

    /// The processes in the cgroup.
    pub fn pids(&self) -> Result<Vec<u32>> {
        pids(&self.path)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.path) {
            eprintln!("sentinel-tests: {error:#}");
        }
    }
}

/// The processes listed in the cgroup directory `path`.
pub fn pids(path: &Path) -> Result<Vec<u32>> {
    let file = path.join("cgroup.procs");
    let text = fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
    Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
}

/// Kills everything below `path` and removes the directories, deepest first.
pub fn remove(path: &Path) -> Result<()> {
    if !path.exists() {
        return Ok(());
    }
    // cgroup.kill exists from Linux 5.14 and covers the subtree; v1 directories have none and hold nothing else.
    let kill = path.join("cgroup.kill");
    if kill.exists() {
        fs::write(&kill, "1").with_context(|| format!("killing the processes in {}", path.display()))?;
    }
    for below in subdirectories(path) {
        remove(&below)?;
    }
    let end = Instant::now() + Duration::from_secs(5);
    loop {
        match fs::remove_dir(path) {
            Ok(()) => return Ok(()),
            // Killed processes leave the cgroup a moment later.
            Err(error) if Instant::now() >= end => bail!("removing the cgroup {}: {error}", path.display()),
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

/// The cgroups directly below `path`.
pub fn subdirectories(path: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(path) else { return Vec::new() };
    entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

/// Where cgroup v2 is mounted: `/sys/fs/cgroup`, or `/sys/fs/cgroup/unified` on hybrid machines.
pub fn v2_mount() -> Result<PathBuf> {
    mount_of("cgroup2", None)?
        .context("no cgroup v2 hierarchy is mounted; mount one with: mount -t cgroup2 none /sys/fs/cgroup/unified")
}

/// Where a mount of type `kind` (with `option` among its super-block options) is, from the mount table.
pub fn mount_of(kind: &str, option: Option<&str>) -> Result<Option<PathBuf>> {
    let table = fs::read_to_string("/proc/self/mounts").context("reading /proc/self/mounts")?;
    Ok(table.lines().find_map(|line| {
        let mut fields = line.split(' ');
        let (target, fs_type, options) = (fields.nth(1)?, fields.next()?, fields.next()?);
        let matches = fs_type == kind && option.is_none_or(|option| options.split(',').any(|have| have == option));
        matches.then(|| PathBuf::from(target))
    }))
}
