//! Which versions of files there are, told by their metadata.
//!
//! Invariant: two stamps are equal only if nobody has changed, replaced, added or removed a file in between, as far as the
//! file system's own times tell. Links are followed: a link that leads elsewhere is another version. Not here: contents.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// Deepest nesting of directories.
const DEPTH: usize = 32;
/// Most files looked at; more make a change unseen until somebody asks.
const FILES: usize = 100_000;

/// What is seen of a file: device, inode, size, and times of change of content and of the inode in nanoseconds.
type Stamp = (u64, u64, u64, i64, i64);

/// The versions of some files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stamps(BTreeMap<PathBuf, Stamp>);

impl Stamps {
    /// Those of the files that `paths` name or hold; what is not there has none.
    #[must_use]
    pub fn of(paths: &[PathBuf]) -> Self {
        let mut stamps = Self::default();
        paths.iter().for_each(|path| stamps.add(path, 0));
        stamps
    }

    fn add(&mut self, path: &Path, depth: usize) {
        if depth > DEPTH || self.0.len() >= FILES {
            return;
        }
        let Ok(meta) = fs::metadata(path) else { return };
        if meta.is_dir() {
            // The loader leaves out what is hidden; so links of config maps, which are, do not count twice.
            let hidden = |path: &Path| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
            let within = fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
            within.filter(|path| !hidden(path) || is_manifest(path)).for_each(|path| self.add(&path, depth + 1));
            return;
        }
        let nanoseconds = |seconds: i64, rest: i64| seconds.saturating_mul(1_000_000_000).saturating_add(rest);
        let stamp = (
            meta.dev(),
            meta.ino(),
            meta.size(),
            nanoseconds(meta.mtime(), meta.mtime_nsec()),
            nanoseconds(meta.ctime(), meta.ctime_nsec()),
        );
        self.0.insert(path.to_path_buf(), stamp);
    }
}

/// Hidden files that bundles have.
fn is_manifest(path: &Path) -> bool {
    path.ends_with(".manifest") || path.ends_with(".signatures.json")
}
