//! The trails of a command line: each directory is one, files without a directory are one together.

use std::{
    io::BufRead as _,
    path::{Path, PathBuf},
};

use alerts::audit::{self, Record};
use anyhow::{Context as _, Result};

/// Sorts paths into trails.
pub(super) fn trails(paths: &[PathBuf], state_dir: Option<&PathBuf>) -> Vec<Vec<PathBuf>> {
    if paths.is_empty() {
        return vec![vec![super::trail_in(state_dir)]];
    }
    let (directories, files): (Vec<&PathBuf>, Vec<&PathBuf>) = paths.iter().partition(|path| path.is_dir());
    let mut all: Vec<Vec<PathBuf>> = directories.into_iter().map(|path| vec![path.clone()]).collect();
    if !files.is_empty() {
        all.push(files.into_iter().cloned().collect());
    }
    all
}

/// Hands every record of a trail on. Lines that are no records are left to `verify`, which names them.
pub(super) fn each(paths: &[PathBuf], take: &mut dyn FnMut(&Record) -> Result<()>) -> Result<()> {
    for file in audit::find(paths).context("cannot find the audit trail")? {
        records(&file, take)?;
    }
    Ok(())
}

fn records(file: &Path, take: &mut dyn FnMut(&Record) -> Result<()>) -> Result<()> {
    let mut reader = audit::open(file)?.reader;
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line).with_context(|| format!("cannot read {}", file.display()))? == 0 {
            return Ok(());
        }
        if let Ok(record) = serde_json::from_slice(&line) {
            take(&record)?;
        }
    }
}
