//! Finds and reads the files of a load.
//!
//! Order does not depend on the file system: files are sorted by name. Links are followed, since configuration
//! is often mounted as a tree of links; a directory is entered once.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::diagnostic::{Diagnostic, Findings};
use crate::load::parse::{MAX_BYTES, Text};

/// Deepest nesting of directories.
pub(super) const MAX_DIRECTORIES: usize = 32;
/// Largest data file.
pub(super) const MAX_DATA_BYTES: usize = 64 << 20;

/// Whether a file holds tests.
pub(crate) fn is_test(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.ends_with("_test.rego"))
}

/// The Rego files that `paths` name or hold, tests left out unless asked for.
pub(crate) fn rego_files(paths: &[PathBuf], tests: bool, findings: &mut Findings) -> Vec<PathBuf> {
    let mut found = BTreeSet::new();
    for path in paths {
        let before = found.len();
        let mut search = Search { found: &mut found, entered: BTreeSet::new(), findings, tests };
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => {
                search.directory(path, 0);
                if found.len() == before {
                    let finding = Diagnostic::file(path.display().to_string(), "the directory holds no *.rego files");
                    findings.error(finding.hint("name a directory with policies, or a policy file").code("file"));
                }
            }
            Ok(_) if is_test(path) && !tests => {
                let finding = Diagnostic::file(path.display().to_string(), "the file holds tests and is not loaded");
                findings.notice(finding.hint("run it with `sentinel test`").code("test-file"));
            }
            Ok(_) => {
                found.insert(path.clone());
            }
            Err(error) => findings.error(unreadable(path, &error)),
        }
    }
    without_doubles(found)
}

/// The same file under two names would define every rule twice.
pub(super) fn without_doubles(found: BTreeSet<PathBuf>) -> Vec<PathBuf> {
    let mut seen = BTreeSet::new();
    found.into_iter().filter(|path| seen.insert(fs::canonicalize(path).unwrap_or_else(|_| path.clone()))).collect()
}

struct Search<'a> {
    found: &'a mut BTreeSet<PathBuf>,
    entered: BTreeSet<PathBuf>,
    findings: &'a mut Findings,
    tests: bool,
}

impl Search<'_> {
    fn directory(&mut self, directory: &Path, depth: usize) {
        let real = fs::canonicalize(directory).unwrap_or_else(|_| directory.to_path_buf());
        if depth > MAX_DIRECTORIES || !self.entered.insert(real) {
            return;
        }
        let entries = match fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) => return self.findings.error(unreadable(directory, &error)),
        };
        for entry in entries {
            match entry {
                Ok(entry) => self.entry(&entry.path(), depth),
                Err(error) => self.findings.error(unreadable(directory, &error)),
            }
        }
    }

    fn entry(&mut self, path: &Path, depth: usize) {
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if hidden {
            return;
        }
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => self.directory(path, depth + 1),
            Ok(_) if path.extension().is_some_and(|extension| extension == "rego") => {
                if self.tests || !is_test(path) {
                    self.found.insert(path.to_path_buf());
                }
            }
            Ok(_) => {}
            Err(error) => self.findings.error(unreadable(path, &error)),
        }
    }
}

pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> Diagnostic {
    let finding = Diagnostic::file(path.display().to_string(), format!("cannot be read: {error}")).code("file");
    match error.kind() {
        std::io::ErrorKind::NotFound => finding.hint("check the path"),
        std::io::ErrorKind::PermissionDenied => finding.hint("check who may read it"),
        _ => finding,
    }
}

/// Reads one file as text.
pub(crate) fn read_text(path: &Path, max: usize) -> Result<Text, Diagnostic> {
    let file = path.display().to_string();
    let metadata = fs::metadata(path).map_err(|error| unreadable(path, &error))?;
    if !metadata.is_file() {
        return Err(Diagnostic::file(file, "is not a regular file").code("file"));
    }
    let limit = u64::try_from(max).unwrap_or(u64::MAX);
    if metadata.len() > limit {
        return Err(
            Diagnostic::file(file, format!("is {} bytes long; the limit is {max}", metadata.len())).code("file")
        );
    }
    let bytes = fs::read(path).map_err(|error| unreadable(path, &error))?;
    from_bytes(file, bytes, max)
}

/// Makes text of what a file holds.
pub(crate) fn from_bytes(file: String, bytes: Vec<u8>, max: usize) -> Result<Text, Diagnostic> {
    if bytes.len() > max {
        return Err(Diagnostic::file(file, format!("is {} bytes long; the limit is {max}", bytes.len())).code("file"));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Text::new(file, text.strip_prefix('\u{feff}').unwrap_or(&text))),
        Err(error) => {
            let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
            let message = format!("is not UTF-8: line {line} holds byte {:#04x}", error.as_bytes()[valid.len()]);
            Err(Diagnostic::file(file, message).hint("save it as UTF-8").code("file"))
        }
    }
}

/// Reads policies; those that cannot be read are findings.
pub(crate) fn read_policies(paths: &[PathBuf], findings: &mut Findings) -> Vec<Text> {
    let mut texts = Vec::new();
    for path in paths {
        match read_text(path, MAX_BYTES.get()) {
            Ok(text) => texts.push(text),
            Err(finding) => findings.error(finding),
        }
    }
    texts
}
