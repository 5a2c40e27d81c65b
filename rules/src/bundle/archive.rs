//! Reads a `.tar.gz` into memory.
//!
//! The archive is hostile: what it may unpack to is limited while it is read, and names and kinds of entries that
//! a bundle has no use for are refused rather than skipped. OPA writes names with a slash in front; it means the
//! root of the bundle.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use tar::{Archive, Entry, EntryType};

use super::{Files, MAX_BYTES, MAX_FILES, MAX_NAME};

/// What headers and padding may add.
const MAX_STREAM: usize = MAX_BYTES + MAX_FILES * 2048;

/// Every file of the archive; the error says what is wrong with it.
pub(super) fn read(path: &Path) -> Result<Files, String> {
    let file = File::open(path).map_err(|error| format!("cannot be read: {error}"))?;
    unpack(BufReader::new(file))
}

/// Reads the stream to its end, so that the checksum at its end counts.
fn unpack(stream: impl Read) -> Result<Files, String> {
    let limited = Limited { inner: MultiGzDecoder::new(stream), left: MAX_STREAM };
    let mut archive = Archive::new(limited);
    let mut files = Files::new();
    let (mut count, mut left) = (0, MAX_BYTES);
    for entry in archive.entries().map_err(unreadable)? {
        let mut entry = entry.map_err(unreadable)?;
        count += 1;
        if count > MAX_FILES {
            return Err(format!("holds more than {MAX_FILES} files"));
        }
        let Some(name) = file_name(&entry)? else { continue };
        let content = content(&mut entry, &name, &mut left)?;
        if files.insert(name.clone(), content).is_some() {
            return Err(format!("holds {name} twice"));
        }
    }
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(unreadable)?;
    Ok(files)
}

/// The name of a file; `None` for what is no file and holds nothing.
fn file_name(entry: &Entry<'_, impl Read>) -> Result<Option<String>, String> {
    let raw = entry.path_bytes();
    let shown = String::from_utf8_lossy(&raw).escape_debug().to_string();
    match entry.header().entry_type() {
        EntryType::Regular => {
            plain_name(&raw).map(Some).ok_or(format!("holds a file with an unsafe name: \"{shown}\""))
        }
        EntryType::Directory | EntryType::XGlobalHeader => Ok(None),
        EntryType::Link | EntryType::Symlink => Err(format!("holds a link: \"{shown}\"")),
        EntryType::Char | EntryType::Block | EntryType::Fifo => Err(format!("holds a device or pipe: \"{shown}\"")),
        _ => Err(format!("holds an entry of an unknown kind: \"{shown}\"")),
    }
}

/// A name below the root, in one spelling; none for one that leads elsewhere or that nobody gives a policy.
fn plain_name(raw: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(raw).ok()?;
    let name = name.strip_prefix('/').unwrap_or(name);
    let name = name.strip_prefix("./").unwrap_or(name);
    let plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(|c: char| c.is_control() || c == '\\');
    (name.len() <= MAX_NAME && name.split('/').all(plain)).then(|| name.to_owned())
}

fn content(entry: &mut Entry<'_, impl Read>, name: &str, left: &mut usize) -> Result<Vec<u8>, String> {
    let too_much = || format!("unpacks to more than {} MiB", MAX_BYTES >> 20);
    let size = usize::try_from(entry.size()).ok().filter(|size| size <= left).ok_or_else(too_much)?;
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() != size {
        return Err(format!("is cut short within {name}"));
    }
    *left -= size;
    Ok(bytes)
}

fn unreadable(error: io::Error) -> String {
    if error.kind() == io::ErrorKind::FileTooLarge {
        return error.to_string();
    }
    format!("is not a readable tar.gz: {error}")
}

/// Ends a stream that goes on for too long.
struct Limited<R> {
    inner: R,
    left: usize,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let message = || format!("unpacks to more than {} MiB", MAX_BYTES >> 20);
        self.left =
            self.left.checked_sub(count).ok_or_else(|| io::Error::new(io::ErrorKind::FileTooLarge, message()))?;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_below_the_root() {
        for (raw, name) in [("/data.json", "data.json"), ("./a/b.rego", "a/b.rego"), ("a/.manifest", "a/.manifest")] {
            assert_eq!(plain_name(raw.as_bytes()).as_deref(), Some(name));
        }
        let long = "a/".repeat(600) + "a";
        for raw in
            ["../a", "a/../../b", "/../a", "//a", "a//b", "a/./b", "..", "", "/", "a\\b", "a\nb", "/./../a", &long]
        {
            assert_eq!(plain_name(raw.as_bytes()), None, "{raw}");
        }
        assert_eq!(plain_name(b"a\xff"), None);
    }
}
