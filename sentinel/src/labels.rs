//! What the names that standing rules are about stood for when they were labelled, so that a change is noticed.
//!
//! Not here: what the labels mean (`standing`), and who sets them (`kernel::verdicts`).

use std::{collections::BTreeMap, ffi::OsStr, os::unix::ffi::OsStrExt as _, path::Path};

use sentinel_common::FileId;

use crate::identity::Identities;

/// Paths, and what was there.
#[derive(Debug, Clone, Default)]
pub struct Labels {
    seen: BTreeMap<Vec<u8>, Option<FileId>>,
}

impl Labels {
    /// Notes what is at a path; `None`: nothing, or nothing that can be looked at.
    pub fn note(&mut self, path: &Path, found: Option<FileId>) {
        self.seen.insert(path.as_os_str().as_bytes().to_vec(), found);
    }

    /// Whether something at this path is one of them, or leads to one.
    #[must_use]
    pub fn concerns(&self, path: &[u8]) -> bool {
        if path.is_empty() || self.seen.contains_key(path) {
            return !path.is_empty();
        }
        let below = [path, b"/"].concat();
        self.seen.range(below.clone()..).next().is_some_and(|(first, _)| first.starts_with(&below))
    }

    /// Whether any of the paths stands for something else now.
    #[must_use]
    pub fn are_stale(&self) -> bool {
        if self.seen.is_empty() {
            return false;
        }
        let now = Identities::read();
        self.seen.iter().any(|(path, seen)| {
            let found = now.labelled(Path::new(OsStr::from_bytes(path))).ok();
            found.map(sentinel_common::FileId::key) != seen.map(sentinel_common::FileId::key)
                || found.zip(*seen).is_some_and(|(a, b)| b.generation != 0 && a.generation != b.generation)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_concerns_what_is_at_it_and_below() {
        let mut labels = Labels::default();
        labels.note(Path::new("/srv/a-b/x"), None);
        labels.note(Path::new("/srv/a/secret"), None);
        for (path, concerns) in [
            ("/srv/a/secret", true),
            ("/srv/a", true),
            ("/srv", true),
            ("/srv/a/sec", false),
            ("/srv/b", false),
            ("", false),
        ] {
            assert_eq!(labels.concerns(path.as_bytes()), concerns, "{path}");
        }
    }

    #[test]
    fn another_file_in_the_place_is_noticed() {
        let path = std::env::temp_dir().join(format!("sentinel-labels-{}", std::process::id()));
        let mut labels = Labels::default();
        assert!(!labels.are_stale());
        labels.note(&path, None);
        assert!(!labels.are_stale());
        std::fs::write(&path, "x").unwrap();
        assert!(labels.are_stale());
        labels.note(&path, Identities::read().of(&path).ok());
        assert!(!labels.are_stale());
        std::fs::remove_file(&path).unwrap();
        assert!(labels.are_stale());
    }
}
