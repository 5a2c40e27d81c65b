//! What to watch for a load to be done again.
//!
//! The paths a load was given, and every directory below them: a new file in one of those is a change too. Files
//! below a named directory are not listed, since their directory tells of them. Nothing is watched here.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::load::files::MAX_DIRECTORIES;
use crate::load::shipped::without_shipped;
use crate::policies::LoadOptions;

/// The files and directories, sorted. What is missing is named all the same: it may come.
pub(crate) fn watched(options: &LoadOptions) -> Vec<PathBuf> {
    let mut found = BTreeSet::new();
    let mut entered = BTreeSet::new();
    for path in without_shipped(&options.paths).iter().chain(&options.data) {
        found.insert(path.clone());
        directories(path, 0, &mut entered, &mut found);
    }
    if options.verification.is_required() {
        found.extend(options.verification.keys.values().map(|key| key.file.clone()));
    }
    found.into_iter().collect()
}

/// Adds a directory and those below it. One that cannot be read is an error of the load, not of this.
fn directories(path: &Path, depth: usize, entered: &mut BTreeSet<PathBuf>, found: &mut BTreeSet<PathBuf>) {
    let Ok(entries) = fs::read_dir(path) else { return };
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    if depth > MAX_DIRECTORIES || !entered.insert(real) {
        return;
    }
    found.insert(path.to_path_buf());
    for entry in entries.flatten() {
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if !hidden && entry.path().is_dir() {
            directories(&entry.path(), depth + 1, entered, found);
        }
    }
}
