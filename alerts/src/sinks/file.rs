//! The sink `file:PATH`.
//!
//! Invariants: lines are appended, never inserted; a file that is made gets mode 0640 (less what the umask takes); the
//! descriptor is closed on exec, as the standard library does for all it opens; after a failed reopen the old file
//! keeps taking lines; a line that a full disk did not take is tried again.
//!
//! Not here: rotation (`file/rotate.rs`), where it is not left to logrotate, which moves the file and sends SIGHUP.

mod rotate;

use std::fs::{self, File, FileType, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::lines::Lines;
use super::spec::text;
use super::{Line, Output, SinkError, SinkSettings, Written};
use rotate::Rotation;

/// Alerts name users, paths and arguments: not for everybody.
const MODE: u32 = 0o640;

pub(super) struct FileOutput {
    path: PathBuf,
    lines: Lines,
    rotation: Rotation,
    /// What went wrong with the last rotation; alerts go on into the old file.
    unrotated: Option<String>,
}

impl FileOutput {
    pub(super) fn open(path: &Path, settings: &SinkSettings) -> Result<Self, SinkError> {
        let rotation = Rotation::new(path, settings)?;
        let mut output = Self { path: path.to_owned(), lines: open_lines(path)?, rotation, unrotated: None };
        output.rotation.begin(path);
        Ok(output)
    }

    /// Puts a file that is full or old aside and begins a new one.
    fn rotate(&mut self) {
        if !self.rotation.is_due(self.lines.written()) {
            return;
        }
        let rotated = self.rotation.rotate(&self.path).and_then(|()| self.reopen());
        self.unrotated = rotated.err().map(|error| format!("rotating: {error}"));
    }
}

impl Output for FileOutput {
    fn write(&mut self, lines: &[Line<'_>]) -> Written {
        self.rotate();
        let (whole, result) = self.lines.write(lines);
        match (result, &self.unrotated) {
            (Err(error), _) => Written::some(whole, error),
            (Ok(()), Some(error)) => Written { error: Some(error.clone()), ..Written::all(lines) },
            (Ok(()), None) => Written::all(lines),
        }
    }

    fn reopen(&mut self) -> io::Result<()> {
        self.lines = open_lines(&self.path).map_err(io::Error::other)?;
        self.rotation.begin(&self.path);
        Ok(())
    }
}

fn open_lines(path: &Path) -> Result<Lines, SinkError> {
    refuse_what_is_no_file(path)?;
    let opened = OpenOptions::new().read(true).append(true).create(true).mode(MODE).open(path);
    let (file, torn) = opened
        .and_then(|mut file| ends_torn(&mut file).map(|torn| (file, torn)))
        .map_err(|source| open_error(path, source))?;
    Ok(Lines::new(file, torn))
}

/// Looked at before opening, because opening a pipe waits for its reader.
fn refuse_what_is_no_file(path: &Path) -> Result<(), SinkError> {
    let Ok(metadata) = fs::metadata(path) else { return Ok(()) };
    let Some((found, hint)) = no_file(metadata.file_type()) else { return Ok(()) };
    Err(SinkError::NotAFile { path: text(path), found, hint })
}

fn no_file(kind: FileType) -> Option<(&'static str, &'static str)> {
    if kind.is_dir() {
        Some(("a directory", " in it"))
    } else if kind.is_socket() {
        Some(("a socket", ", or use unix:PATH"))
    } else if kind.is_fifo() {
        Some(("a pipe", ", or redirect stdout into the pipe"))
    } else {
        None
    }
}

/// Whether the last line there has no end: an earlier run was cut off, or the disk was full.
fn ends_torn(file: &mut File) -> io::Result<bool> {
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.len() == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

fn open_error(path: &Path, source: io::Error) -> SinkError {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    };
    if source.kind() == io::ErrorKind::NotFound && !parent.exists() {
        SinkError::NoParent { path: text(path), parent: text(parent) }
    } else {
        SinkError::Open { sink: format!("file:{}", path.display()), source }
    }
}
