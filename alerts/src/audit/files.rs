//! The files of a trail on disk: which, in what order, read through their compression.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
};

use flate2::read::MultiGzDecoder;

use super::verify::Source;

/// Bytes read at a time.
const CHUNK: usize = 1 << 18;

/// The files that paths stand for: a directory for its segments in order, a file for itself.
///
/// # Errors
///
/// A path that is not there, a directory without segments.
pub fn find(paths: &[PathBuf]) -> io::Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for path in paths {
        if path.is_dir() { all.extend(segments(path)?) } else { all.push(path.clone()) }
    }
    Ok(all)
}

fn segments(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found: Vec<(u64, PathBuf)> = Vec::new();
    for entry in directory.read_dir()? {
        let path = entry?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let number = name.strip_suffix(".jsonl").or(name.strip_suffix(".jsonl.gz"));
        if let Some(index) = number.and_then(|number| number.parse().ok()) {
            found.push((index, path));
        }
    }
    // Where a compression was interrupted there are both; the plain one, which sorts first, is as good.
    found.sort();
    found.dedup_by_key(|(index, _)| *index);
    if found.is_empty() {
        let message = format!("{} holds no audit trail (files like 000001.jsonl)", directory.display());
        return Err(io::Error::new(io::ErrorKind::NotFound, message));
    }
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// Opens one.
///
/// # Errors
///
/// What the system says, with the file's name.
pub fn open(path: &Path) -> io::Result<Source> {
    let name = path.display().to_string();
    let file =
        File::open(path).map_err(|error| io::Error::new(error.kind(), format!("cannot read {name}: {error}")))?;
    let reader: Box<dyn BufRead> = if path.extension().is_some_and(|extension| extension == "gz") {
        Box::new(BufReader::with_capacity(CHUNK, MultiGzDecoder::new(BufReader::with_capacity(CHUNK, file))))
    } else {
        Box::new(BufReader::with_capacity(CHUNK, file))
    };
    Ok(Source { name, reader })
}
