//! The policies built into the crate, from `policy/`. The word `shipped` among the paths of a load stands for them, so
//! that a user's module can join a shipped package; a file of that name is written `./shipped`.

use std::path::{Path, PathBuf};

use crate::load::parse::Text;

/// File names and contents, policies and tests alike.
const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/shipped.rs"));

fn texts(tests: bool) -> Vec<Text> {
    let wanted = FILES.iter().filter(|(file, _)| file.ends_with("_test.rego") == tests);
    wanted.map(|(file, text)| Text::new(*file, *text)).collect()
}

/// The policies.
pub(crate) fn shipped_policies() -> Vec<Text> {
    texts(false)
}

/// Their tests.
pub(crate) fn shipped_tests() -> Vec<Text> {
    texts(true)
}

/// What stands for them among paths.
const WORD: &str = "shipped";

/// Whether paths name them.
pub(crate) fn names_shipped(paths: &[PathBuf]) -> bool {
    paths.iter().any(|path| path == Path::new(WORD))
}

/// The paths that are files and directories.
pub(crate) fn without_shipped(paths: &[PathBuf]) -> Vec<PathBuf> {
    paths.iter().filter(|path| *path != Path::new(WORD)).cloned().collect()
}

/// Whether a file of a load is one of them.
pub(crate) fn is_shipped(file: &str) -> bool {
    FILES.iter().any(|(name, _)| *name == file)
}
