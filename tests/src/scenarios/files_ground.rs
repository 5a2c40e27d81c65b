//! What the scenarios about changes of files share: a file system to work on, a tree with protected things in it, and what
//! that tree looks like.
//!
//! Invariant: what is mounted is unmounted when the ground is dropped.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};

use crate::harness::{scenario::Ctx, sys};

/// A file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum On {
    /// In memory.
    Tmpfs,
    /// On a disk in memory.
    Ext4,
    /// On a disk in memory, with device numbers that differ from those that programs see.
    Btrfs,
    /// A writable layer over one that is read.
    Overlay,
}

/// A directory on such a file system, with the tree in it.
pub(super) struct Ground {
    /// Where the tree is.
    pub(super) dir: PathBuf,
    mounted: Vec<PathBuf>,
    /// Whether the file system is on the loop device.
    disk: bool,
}

/// Size of that disk; of its file only what is written takes memory.
const DISK: u64 = 256 << 20;

impl Ground {
    /// Mounts it and makes the tree.
    pub(super) fn new(ctx: &Ctx, on: On) -> Result<Self> {
        Self::new_at(ctx, on, "ground")
    }

    /// The same in a directory of this name: there may be two of different kinds.
    pub(super) fn new_at(ctx: &Ctx, on: On, name: &str) -> Result<Self> {
        let mut ground = Self { dir: ctx.path(name), mounted: Vec::new(), disk: false };
        fs::create_dir_all(&ground.dir)?;
        match on {
            On::Tmpfs => ground.mount("tmpfs", &ctx.path(name), "tmpfs", "")?,
            On::Ext4 => {
                ctx.command("mkfs.ext4").args(["-q", "-F", "/dev/ram0"]).success()?;
                ground.mount("/dev/ram0", &ctx.path(name), "ext4", "")?;
            }
            On::Btrfs => {
                let disk = ctx.path("disk");
                fs::File::create(&disk)?.set_len(DISK)?;
                ctx.command("losetup").arg("/dev/loop0").arg(&disk).success()?;
                ground.disk = true;
                ctx.command("mkfs.btrfs").args(["-q", "-f", "/dev/loop0"]).success()?;
                ground.mount("/dev/loop0", &ctx.path(name), "btrfs", "")?;
            }
            On::Overlay => ground.overlay(ctx, name)?,
        }
        ground.dir = ground.dir.join("lab");
        if on != On::Overlay {
            tree(&ground.dir)?;
        }
        Ok(ground)
    }

    /// The tree is in the layer below: what is changed is copied up first.
    fn overlay(&mut self, ctx: &Ctx, name: &str) -> Result<()> {
        let layers = ctx.path("layers");
        fs::create_dir_all(&layers)?;
        self.mount("tmpfs", &layers, "tmpfs", "")?;
        for name in ["lower", "upper", "work"] {
            fs::create_dir(layers.join(name))?;
        }
        tree(&layers.join("lower/lab"))?;
        let at = layers.display();
        let options = format!("lowerdir={at}/lower,upperdir={at}/upper,workdir={at}/work,redirect_dir=on");
        self.mount("overlay", &ctx.path(name), "overlay", &options)
    }

    fn mount(&mut self, source: &str, at: &Path, kind: &str, options: &str) -> Result<()> {
        let target = at.display().to_string();
        sys::mount(source, &target, kind, 0, options).with_context(|| format!("mounting {kind} on {target}"))?;
        self.mounted.push(at.to_owned());
        Ok(())
    }

    /// A path in the tree.
    pub(super) fn path(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        for at in self.mounted.iter().rev() {
            if let Ok(path) = sys::c_path(at) {
                // SAFETY: a NUL-terminated string that lives until the call returns. What is still busy goes when it can.
                unsafe { libc::umount2(path.as_ptr(), libc::MNT_DETACH) };
            }
        }
        if self.disk {
            // It goes when the file system has.
            let _ = std::process::Command::new("losetup").args(["-d", "/dev/loop0"]).status();
        }
    }
}

/// `vault/` with files at two depths, `outside/`, files beside them, and a program.
fn tree(dir: &Path) -> Result<()> {
    for name in ["vault/inner", "vault/empty", "outside", "etc", "bin"] {
        fs::create_dir_all(dir.join(name))?;
    }
    for name in
        ["vault/secret", "vault/inner/deep", "outside/mine", "outside/other", "etc/shadow", "etc/config", "etc/free"]
    {
        fs::write(dir.join(name), name)?;
    }
    let program = dir.join("bin/prog");
    fs::copy("/bin/bash", &program).context("copying /bin/bash")?;
    Ok(())
}

/// Everything in a tree: type, permissions, owner, links and content of each name.
pub(super) fn snapshot(dir: &Path) -> Result<BTreeMap<PathBuf, String>> {
    let mut all = BTreeMap::new();
    let mut left = vec![dir.to_owned()];
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(&directory).with_context(|| directory.display().to_string())? {
            let path = entry?.path();
            let meta = fs::symlink_metadata(&path)?;
            let content = if meta.is_file() { fs::read(&path)?.len() } else { 0 };
            let kind = (meta.is_dir(), meta.is_symlink(), meta.file_type().is_fifo());
            let links = if meta.is_dir() { 0 } else { meta.nlink() };
            all.insert(path.clone(), format!("{kind:?} {:o} {} {links} {content}", meta.mode(), meta.uid()));
            if meta.is_dir() {
                left.push(path);
            }
        }
    }
    ensure!(!all.is_empty(), "{} has nothing in it", dir.display());
    Ok(all)
}
