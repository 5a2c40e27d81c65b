//! Rotation of a file sink by size and age: the file gets a name with the time, is compressed if that is wanted, and the
//! oldest such files go.
//!
//! Invariants: nothing is removed but files that carry the sink's name and a time of ours; a compressed file takes the
//! place of the other only when it is whole.
//!
//! Not here: opening the new file (`file.rs`).

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use flate2::{Compression, write::GzEncoder};
use jiff::Timestamp;

use crate::sinks::{SinkError, SinkSettings};

/// How many old files stay when nothing is said.
const KEEP: usize = 10;
/// How a time looks in a name: sorts as it passes, to the microsecond.
const TIME: &str = "%Y%m%dT%H%M%S.%6fZ";

/// When to rotate, and what to keep.
pub(super) struct Rotation {
    bytes: u64,
    age: Duration,
    keep: usize,
    compress: bool,
    size: u64,
    since: SystemTime,
}

impl Rotation {
    pub(super) fn new(path: &Path, settings: &SinkSettings) -> Result<Self, SinkError> {
        let keys = &settings.keys;
        let rotates = keys.rotate_bytes.is_some() || keys.rotate_hours.is_some();
        let problem = if keys.rotate_bytes == Some(0) || keys.rotate_hours == Some(0) {
            Some("rotate_bytes and rotate_hours have to be above 0; leave them out for no rotation")
        } else if !rotates && (keys.keep.is_some() || keys.compress.is_some()) {
            Some("keep and compress are for rotation; set rotate_bytes or rotate_hours")
        } else {
            None
        };
        if let Some(problem) = problem {
            return Err(SinkError::Setting { sink: format!("file:{}", path.display()), problem: problem.to_owned() });
        }
        Ok(Self {
            bytes: keys.rotate_bytes.unwrap_or(u64::MAX),
            age: keys.rotate_hours.map_or(Duration::MAX, |hours| Duration::from_secs(hours.saturating_mul(3600))),
            keep: keys.keep.unwrap_or(KEEP),
            compress: keys.compress.unwrap_or(false),
            size: 0,
            since: SystemTime::now(),
        })
    }

    /// A file was opened; it may be an old one.
    pub(super) fn begin(&mut self, path: &Path) {
        let metadata = fs::metadata(path).ok();
        self.size = metadata.as_ref().map_or(0, fs::Metadata::len);
        // Where the filesystem does not tell when a file was made, its age counts from now.
        self.since = metadata.and_then(|metadata| metadata.created().ok()).unwrap_or_else(SystemTime::now);
    }

    /// Whether the file is full or old; an empty one never is.
    pub(super) fn is_due(&self, written: u64) -> bool {
        let size = self.size.saturating_add(written);
        let age = SystemTime::now().duration_since(self.since).unwrap_or_default();
        size > 0 && (size >= self.bytes || age >= self.age)
    }

    /// Puts the file aside.
    pub(super) fn rotate(&self, path: &Path) -> io::Result<()> {
        let aside = with_ending(path, &Timestamp::now().strftime(TIME).to_string());
        fs::rename(path, &aside)?;
        if self.compress {
            compress(&aside)?;
        }
        for old in old_files(path)?.iter().rev().skip(self.keep) {
            fs::remove_file(old)?;
        }
        Ok(())
    }
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

fn compress(path: &Path) -> io::Result<()> {
    let (half, whole) = (with_ending(path, "gz.part"), with_ending(path, "gz"));
    let target = OpenOptions::new().write(true).create(true).truncate(true).mode(super::MODE).open(&half)?;
    let mut encoder = GzEncoder::new(target, Compression::default());
    io::copy(&mut File::open(path)?, &mut encoder)?;
    encoder.finish()?.sync_all()?;
    fs::rename(&half, &whole)?;
    fs::remove_file(path)
}

/// Files that were put aside, oldest first.
fn old_files(path: &Path) -> io::Result<Vec<PathBuf>> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_name().to_str().and_then(|other| time_of(name, other)).is_some() {
            found.push(entry.path());
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// The time in the name of a file that was put aside.
fn time_of<'a>(name: &str, other: &'a str) -> Option<&'a str> {
    let time = other.strip_prefix(name)?.strip_prefix('.')?;
    let time = time.strip_suffix(".gz").unwrap_or(time);
    let shape = time.bytes().map(|byte| if byte.is_ascii_digit() { b'0' } else { byte });
    shape.eq(*b"00000000T000000.000000Z").then_some(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_that_were_put_aside_are_old_files() {
        let time = Timestamp::now().strftime(TIME).to_string();
        assert_eq!(time_of("a.json", &format!("a.json.{time}")), Some(time.as_str()));
        assert_eq!(time_of("a.json", &format!("a.json.{time}.gz")), Some(time.as_str()));
        for other in [
            "a.json",
            "a.json.1",
            "a.json.gz",
            "b.json.20261122T101530.123456Z",
            "a.json.20261122T101530.123456Z.gz.part",
        ] {
            assert_eq!(time_of("a.json", other), None, "{other}");
        }
    }
}
