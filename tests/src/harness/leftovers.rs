//! The proof, after each scenario, that nothing of it is left: BPF objects, pins, cgroups, processes.
//!
//! Invariant: a difference between before and after is a failure; on a shared host an object that a process outside
//! the test holds is not ours and is passed over.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

use super::{
    cgroup, objects, process,
    scenario::{Ctx, Place},
};

/// How long freeing may take: programs and maps are freed after a grace period.
const PATIENCE: Duration = Duration::from_secs(10);
const BPFFS: &str = "/sys/fs/bpf";

/// What existed at one time.
pub struct Snapshot {
    objects: BTreeSet<objects::Id>,
    pins: BTreeSet<PathBuf>,
    cgroups: BTreeSet<PathBuf>,
    processes: BTreeSet<u32>,
}

impl Snapshot {
    /// Takes one; `cgroup_root` is where scenarios make their cgroups.
    pub fn take(cgroup_root: &Path) -> Result<Self> {
        Ok(Self {
            objects: objects::all()?,
            pins: files_below(Path::new(BPFFS)),
            cgroups: cgroup::subdirectories(cgroup_root).into_iter().collect(),
            processes: process::descendants(),
        })
    }

    /// Fails, after some patience, when something exists now that did not then.
    pub fn check(&self, ctx: &Ctx) -> Result<()> {
        self.check_within(ctx, PATIENCE)
    }

    /// The same with less patience.
    pub fn check_within(&self, ctx: &Ctx, patience: Duration) -> Result<()> {
        let end = Instant::now() + patience;
        loop {
            process::reap();
            let left = self.added(ctx)?;
            if left.is_empty() {
                return Ok(());
            }
            if Instant::now() >= end {
                bail!("left behind: {}", left.join(", "));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn added(&self, ctx: &Ctx) -> Result<Vec<String>> {
        let now = Self::take(&ctx.cgroup_root)?;
        let mut objects: BTreeSet<objects::Id> = now.objects.difference(&self.objects).copied().collect();
        if !objects.is_empty() && ctx.place == Place::Host {
            let mut ours = process::descendants();
            ours.insert(std::process::id());
            objects = objects.difference(&objects::held_by_others(&ours)).copied().collect();
        }
        let mut left: Vec<String> = objects.into_iter().map(objects::describe).collect();
        left.extend(now.pins.difference(&self.pins).map(|path| format!("pin {}", path.display())));
        left.extend(now.cgroups.difference(&self.cgroups).map(|path| format!("cgroup {}", path.display())));
        left.extend(now.processes.difference(&self.processes).map(|pid| process::describe(*pid)));
        Ok(left)
    }

    /// Removes what a failed scenario left, so that the next one starts clean: processes, pins, cgroups.
    pub fn clear(&self, cgroup_root: &Path) {
        process::kill_descendants();
        for pin in files_below(Path::new(BPFFS)).difference(&self.pins) {
            // Links and maps are freed with their last reference; a pin is a plain file here.
            let _ = fs::remove_file(pin);
        }
        // Empty directories would look like a generation that cannot be read.
        if self.pins.is_empty() {
            let _ = fs::remove_dir_all(Path::new(BPFFS).join("sentinel"));
        }
        for path in cgroup::subdirectories(cgroup_root) {
            if !self.cgroups.contains(&path)
                && let Err(error) = cgroup::remove(&path)
            {
                eprintln!("sentinel-tests: {error:#}");
            }
        }
    }
}

/// Every file below `dir`, however deep.
fn files_below(dir: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(files_below(&entry.path())),
            _ => {
                found.insert(entry.path());
            }
        }
    }
    found
}
