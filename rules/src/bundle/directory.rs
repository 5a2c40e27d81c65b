//! Reads a bundle that is a directory.
//!
//! Links are followed, since configuration is often mounted as a tree of links; a directory is entered once. Names
//! with a dot in front are left out, but for the manifest and the signature: they are never loaded.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::{Files, MANIFEST, MAX_BYTES, MAX_FILES, SIGNATURES};

/// Deepest nesting of directories.
const MAX_DEPTH: usize = 32;

/// Every file below the directory; the error says what is wrong with it.
pub(super) fn read(root: &Path) -> Result<Files, String> {
    let mut reader = Reader { files: Files::new(), entered: BTreeSet::new(), left: MAX_BYTES };
    reader.directory(root, "", 0)?;
    Ok(reader.files)
}

struct Reader {
    files: Files,
    entered: BTreeSet<PathBuf>,
    left: usize,
}

impl Reader {
    fn directory(&mut self, directory: &Path, name: &str, depth: usize) -> Result<(), String> {
        let unreadable = |error| format!("{} cannot be read: {error}", directory.display());
        let real = fs::canonicalize(directory).map_err(unreadable)?;
        if depth > MAX_DEPTH || !self.entered.insert(real) {
            return Ok(());
        }
        for entry in fs::read_dir(directory).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let own = entry.file_name();
            let own = own.to_str().ok_or_else(|| format!("{} has a name that is not UTF-8", entry.path().display()))?;
            let at_root = name.is_empty() && [MANIFEST, SIGNATURES].contains(&own);
            if own.starts_with('.') && !at_root {
                continue;
            }
            let full = if name.is_empty() { own.to_owned() } else { format!("{name}/{own}") };
            self.entry(&entry.path(), &full, depth)?;
        }
        Ok(())
    }

    fn entry(&mut self, path: &Path, name: &str, depth: usize) -> Result<(), String> {
        let unreadable = |error| format!("{name} cannot be read: {error}");
        let metadata = fs::metadata(path).map_err(unreadable)?;
        if metadata.is_dir() {
            return self.directory(path, name, depth + 1);
        }
        if !metadata.is_file() {
            return Err(format!("{name} is no regular file"));
        }
        let too_much = || format!("holds more than {} MiB", MAX_BYTES >> 20);
        let fits = |size: usize| size <= self.left;
        usize::try_from(metadata.len()).ok().filter(|size| fits(*size)).ok_or_else(too_much)?;
        let bytes = fs::read(path).map_err(unreadable)?;
        self.left = self.left.checked_sub(bytes.len()).ok_or_else(too_much)?;
        self.files.insert(name.to_owned(), bytes);
        if self.files.len() > MAX_FILES {
            return Err(format!("holds more than {MAX_FILES} files"));
        }
        Ok(())
    }
}
