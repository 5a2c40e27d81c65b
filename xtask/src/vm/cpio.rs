//! Writes a cpio archive in the `newc` form, which the kernel unpacks as its first file system.
//!
//! Invariant: the same entries give the same bytes: no times, no owners but root, inode numbers by position.

use std::{collections::BTreeSet, io::Write};

use anyhow::{Context, Result};

const DIRECTORY: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;
const LINK: u32 = 0o120_000;
const CHARACTER_DEVICE: u32 = 0o020_000;

/// An archive being written. Paths have no leading slash; directories above an entry are made as needed.
pub(crate) struct Archive<W> {
    out: W,
    written: u64,
    inode: u32,
    names: BTreeSet<String>,
}

impl<W: Write> Archive<W> {
    /// An empty archive.
    pub(crate) fn new(out: W) -> Self {
        Self { out, written: 0, inode: 0, names: BTreeSet::new() }
    }

    /// Whether the archive has an entry of this name.
    pub(crate) fn contains(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// Adds a directory, and those above it.
    pub(crate) fn directory(&mut self, name: &str) -> Result<()> {
        if name.is_empty() || self.contains(name) {
            return Ok(());
        }
        self.entry(name, DIRECTORY | 0o755, (0, 0), b"")
    }

    /// Adds a file with these permissions.
    pub(crate) fn file(&mut self, name: &str, permissions: u32, content: &[u8]) -> Result<()> {
        self.entry(name, REGULAR | permissions, (0, 0), content)
    }

    /// Adds a symbolic link.
    pub(crate) fn link(&mut self, name: &str, target: &str) -> Result<()> {
        self.entry(name, LINK | 0o777, (0, 0), target.as_bytes())
    }

    /// Adds a character device.
    pub(crate) fn device(&mut self, name: &str, major: u32, minor: u32) -> Result<()> {
        self.entry(name, CHARACTER_DEVICE | 0o600, (major, minor), b"")
    }

    /// Writes the end mark.
    pub(crate) fn finish(mut self) -> Result<()> {
        self.record("TRAILER!!!", 0, (0, 0), b"")?;
        self.out.flush().context("writing the boot image")
    }

    fn entry(&mut self, name: &str, mode: u32, device: (u32, u32), content: &[u8]) -> Result<()> {
        if let Some((above, _)) = name.rsplit_once('/') {
            self.directory(above)?;
        }
        self.names.insert(name.to_owned());
        self.inode += 1;
        self.record(name, mode, device, content)
    }

    fn record(&mut self, name: &str, mode: u32, device: (u32, u32), content: &[u8]) -> Result<()> {
        let links = if mode & DIRECTORY != 0 { 2 } else { 1 };
        let size = u32::try_from(content.len()).with_context(|| format!("{name} is too large for the boot image"))?;
        let name_size = u32::try_from(name.len() + 1)?;
        let fields = [self.inode, mode, 0, 0, links, 0, size, 0, 0, device.0, device.1, name_size, 0];
        let header = fields.iter().fold(String::from("070701"), |text, field| format!("{text}{field:08x}"));
        self.put(header.as_bytes())?;
        self.put(name.as_bytes())?;
        self.put(b"\0")?;
        self.pad()?;
        self.put(content)?;
        self.pad()
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes).context("writing the boot image")?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    fn pad(&mut self) -> Result<()> {
        let missing = (4 - self.written % 4) % 4;
        self.put(&[0; 3][..usize::try_from(missing)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_aligned_and_directories_come_first() {
        let mut bytes = Vec::new();
        let mut archive = Archive::new(&mut bytes);
        archive.file("etc/vm/argv", 0o644, b"hello").unwrap();
        archive.link("bin", "usr/bin").unwrap();
        archive.finish().unwrap();
        assert_eq!(bytes.len() % 4, 0);
        let names: Vec<usize> = ["etc\0", "etc/vm\0", "etc/vm/argv\0", "bin\0", "TRAILER!!!\0"]
            .iter()
            .map(|name| bytes.windows(name.len()).position(|part| part == name.as_bytes()).unwrap())
            .collect();
        assert!(names.is_sorted(), "{names:?}");
        // A header has 110 bytes and its name follows at once.
        assert!(names.iter().all(|at| (at - 110) % 4 == 0 && bytes[at - 110..].starts_with(b"070701")));
    }
}
