//! A protected file is the file and not its number: recycled inode numbers, replacement, hard links, caches that are
//! dropped, layers that are copied up (F2, F3, F4).
//!
//! Invariant: what is protected by identity alone is opened by another name (`outside/alias`, a hard link from before), so
//! that no rule on a path or a name can stand in for it.

use std::{fs, os::unix::fs::MetadataExt as _};

use anyhow::{Context as _, Result, ensure};

use super::{
    enforce_lab::{EPERM, PATIENCE, reload, stop},
    files_ground::{Ground, On},
};
use crate::harness::{
    scenario::{Ctx, Scenario, World, eventually},
    sys,
};

/// The scenarios of this file.
pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario { name: "files-recycled-ext4", world: World::Vm, run: |ctx| recycled(ctx, On::Ext4) },
        Scenario { name: "files-recycled-btrfs", world: World::Vm, run: |ctx| recycled(ctx, On::Btrfs) },
        Scenario { name: "files-recycled-tmpfs", world: World::Vm, run: |ctx| recycled(ctx, On::Tmpfs) },
        Scenario { name: "files-replaced-ext4", world: World::Vm, run: |ctx| replaced(ctx, On::Ext4) },
        Scenario { name: "files-replaced-tmpfs", world: World::Vm, run: |ctx| replaced(ctx, On::Tmpfs) },
        Scenario { name: "files-replaced-btrfs", world: World::Vm, run: |ctx| replaced(ctx, On::Btrfs) },
        Scenario { name: "files-replaced-overlay", world: World::Vm, run: |ctx| replaced(ctx, On::Overlay) },
        Scenario { name: "files-caches-ext4", world: World::Vm, run: |ctx| caches(ctx, On::Ext4) },
        Scenario { name: "files-caches-tmpfs", world: World::Vm, run: |ctx| caches(ctx, On::Tmpfs) },
        Scenario { name: "files-caches-btrfs", world: World::Vm, run: |ctx| caches(ctx, On::Btrfs) },
        Scenario { name: "files-caches-overlay", world: World::Vm, run: |ctx| caches(ctx, On::Overlay) },
        Scenario { name: "files-copied-up", world: World::Vm, run: copied_up },
    ]
}

/// Files that are opened between a label and its use.
const OTHERS: usize = 100_000;
/// Files that may be made until one gets a number again.
const TRIES: usize = 2_000;

/// Nobody may read `etc/free`; everything else with it is allowed.
fn unreadable(ground: &Ground) -> String {
    let path = ground.path("etc/free");
    format!(
        "package sentinel.lab\nblock_paths contains {{\"id\": \"free\", \"value\": \"{path}\", \"access\": [\"read\"]}}\n"
    )
}

fn open(ctx: &Ctx, path: &str, how: &str) -> Result<i32> {
    ctx.act(&["open", path, how]).errno()
}

/// The number of a deleted file comes to another one: that is free, and can be protected as itself.
fn recycled(ctx: &Ctx, on: On) -> Result<()> {
    let ground = Ground::new(ctx, on)?;
    let (path, alias) = (ground.path("etc/free"), ground.path("outside/alias"));
    fs::hard_link(&path, &alias)?;
    let policy = ctx.policy("lab", &unreadable(&ground))?;
    let sentinel = ctx.sentinel().enforce_whole_host().policy(&policy).start()?;
    ensure!(open(ctx, &alias, "read")? == EPERM, "the label does not hold");
    let number = fs::metadata(&path)?.ino();
    fs::remove_file(&path)?;
    fs::remove_file(&alias)?;
    let again = with_number(&ground, number)?;
    // Btrfs and tmpfs count on and on; ext4 gives the lowest free number.
    ensure!(again.is_some() || on != On::Ext4, "no file got the number {number} again");
    if let Some(again) = again {
        ensure!(open(ctx, &again, "read")? == 0, "another file with the number {number} is refused");
        let rules = unreadable(&ground).replace(&path, &again);
        let link = ground.path("outside/again");
        fs::hard_link(&again, &link)?;
        reload(&sentinel, &policy, &rules)?;
        ensure!(open(ctx, &link, "read")? == EPERM, "the file that has the number now cannot be protected");
    }
    stop(sentinel)
}

/// Makes files until one has this number.
fn with_number(ground: &Ground, number: u64) -> Result<Option<String>> {
    for index in 0..TRIES {
        let path = ground.path(&format!("outside/try-{index}"));
        fs::write(&path, "x").with_context(|| path.clone())?;
        if fs::metadata(&path)?.ino() == number {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// Atomic replacement, as every editor and package manager does it: old and new file are both refused, by every name.
fn replaced(ctx: &Ctx, on: On) -> Result<()> {
    let ground = Ground::new(ctx, on)?;
    let (path, alias) = (ground.path("etc/free"), ground.path("outside/alias"));
    fs::hard_link(&path, &alias)?;
    let policy = ctx.policy("lab", &unreadable(&ground))?;
    let sentinel = ctx.sentinel().enforce_whole_host().policy(&policy).start()?;
    fs::write(ground.path("outside/new"), "new")?;
    fs::rename(ground.path("outside/new"), &path)?;
    ensure!(open(ctx, &path, "read")? == EPERM, "the new file by its name, at once");
    ensure!(open(ctx, &alias, "read")? == EPERM, "the old file by its other name");
    let second = ground.path("outside/second");
    fs::hard_link(&path, &second)?;
    eventually("the new file by another name is refused", PATIENCE, || {
        Ok((open(ctx, &second, "read")? == EPERM).then_some(()))
    })?;
    ensure!(open(ctx, &ground.path("outside/mine"), "read")? == 0, "a file that no rule is about");
    stop(sentinel)
}

/// A label is no property of an inode in memory: it outlives the caches, a remount, and a flood of other files.
fn caches(ctx: &Ctx, on: On) -> Result<()> {
    let ground = Ground::new(ctx, on)?;
    let (path, alias) = (ground.path("etc/free"), ground.path("outside/alias"));
    fs::hard_link(&path, &alias)?;
    let policy = ctx.policy("lab", &unreadable(&ground))?;
    let others = Others::make(ctx)?;
    let sentinel = ctx.sentinel().enforce_whole_host().policy(&policy).start()?;
    let refused = |when: &str| -> Result<()> {
        let errno = open(ctx, &path, "read")?;
        ensure!(errno == EPERM, "{when}: {path}: errno {errno}");
        if on == On::Overlay {
            // Its inode has another number when it comes back; by another name it is refused when that is noticed.
            let by_other_name = || Ok((open(ctx, &alias, "read")? == EPERM).then_some(()));
            return eventually(&format!("{when}: {alias} is refused"), PATIENCE, by_other_name);
        }
        let errno = open(ctx, &alias, "read")?;
        ensure!(errno == EPERM, "{when}: {alias}: errno {errno}");
        Ok(())
    };
    refused("at first")?;
    drop_caches()?;
    refused("after the caches were dropped")?;
    ground.remount()?;
    drop_caches()?;
    refused("after a remount")?;
    others.open_all()?;
    drop_caches()?;
    refused("after 100,000 other files")?;
    stop(sentinel)
}

fn drop_caches() -> Result<()> {
    // SAFETY: sync has no arguments and cannot fail.
    unsafe { libc::sync() };
    fs::write("/proc/sys/vm/drop_caches", "3").context("dropping the caches")
}

/// A hundred thousand files in memory.
struct Others {
    dir: std::path::PathBuf,
}

impl Others {
    fn make(ctx: &Ctx) -> Result<Self> {
        let dir = ctx.path("others");
        fs::create_dir_all(&dir)?;
        for index in 0..OTHERS {
            if index % 1000 == 0 {
                fs::create_dir(dir.join((index / 1000).to_string()))?;
            }
            fs::File::create(Self::name(&dir, index))?;
        }
        Ok(Self { dir })
    }

    fn name(dir: &std::path::Path, index: usize) -> std::path::PathBuf {
        dir.join((index / 1000).to_string()).join(index.to_string())
    }

    fn open_all(&self) -> Result<()> {
        for index in 0..OTHERS {
            let name = Self::name(&self.dir, index);
            fs::File::open(&name).with_context(|| format!("opening {}", name.display()))?;
        }
        Ok(())
    }
}

/// On overlayfs a file that is written to becomes another file below, and gets another number in the kernel when the old one
/// has left the memory: it is refused at once by its name, and soon through any mount.
fn copied_up(ctx: &Ctx) -> Result<()> {
    let ground = Ground::new(ctx, On::Overlay)?;
    let path = ground.path("etc/free");
    let policy = ctx.policy("lab", &unreadable(&ground))?;
    let sentinel = ctx.sentinel().enforce_whole_host().policy(&policy).start()?;
    ensure!(open(ctx, &path, "read")? == EPERM, "before it is copied up");
    ensure!(open(ctx, &path, "write")? == 0, "a rule on reading refuses to write");
    ensure!(open(ctx, &path, "read")? == EPERM, "after it is copied up");
    drop_caches()?;
    ensure!(open(ctx, &path, "read")? == EPERM, "after it is copied up and its inode is gone");
    let acts = format!("own-mounts -- bind @/etc @/outside -- open {} read", ground.path("outside/free"));
    let acts = acts.replace('@', &ground.dir.display().to_string());
    eventually("the copied file is refused through another mount", PATIENCE, || {
        let outcome = ctx.act(&super::enforce_lab::words(&acts)).outcome()?;
        Ok((outcome.errnos().last() == Some(&EPERM)).then_some(()))
    })?;
    stop(sentinel)
}

impl Ground {
    /// Mounts the file system once more over its options; what can be evicted has to go.
    fn remount(&self) -> Result<()> {
        let at = self.dir.parent().context("the ground has no mount")?.display().to_string();
        for flags in [libc::MS_REMOUNT | libc::MS_RDONLY, libc::MS_REMOUNT] {
            sys::mount("none", &at, "", flags, "").with_context(|| format!("remounting {at}"))?;
        }
        Ok(())
    }
}
