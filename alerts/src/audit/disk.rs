//! The few things the trail asks of a disk, so that a test can take its place and fail at each of them.
//!
//! Invariant: every change of a file or of the directory goes through here. Not here: what is written, and when it has to be
//! durable.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Seek as _, SeekFrom, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

/// One directory. Names have no slash.
pub trait Disk: Send {
    /// Names of all files.
    ///
    /// # Errors
    ///
    /// As all of these: what the system says.
    fn list(&self) -> io::Result<Vec<String>>;
    /// A whole file.
    ///
    /// # Errors
    ///
    /// If it is not there, or cannot be read.
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;
    /// Puts bytes behind the end; makes the file if there is none.
    ///
    /// # Errors
    ///
    /// What the system says; some of the bytes may be written.
    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()>;
    /// Makes a file with this content, in the place of an old one.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn write(&mut self, name: &str, bytes: &[u8]) -> io::Result<()>;
    /// Puts bytes over the beginning of a file that is there.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn overwrite(&mut self, name: &str, bytes: &[u8]) -> io::Result<()>;
    /// Cuts a file.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn truncate(&mut self, name: &str, length: u64) -> io::Result<()>;
    /// Waits until a file's content is durable.
    ///
    /// # Errors
    ///
    /// If it may not be.
    fn sync(&mut self, name: &str) -> io::Result<()>;
    /// Waits until the names are durable.
    ///
    /// # Errors
    ///
    /// If they may not be.
    fn sync_directory(&mut self) -> io::Result<()>;
    /// Gives a file another name.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn remove(&mut self, name: &str) -> io::Result<()>;
}

/// A directory of a file system; all files have mode 0600 except the public key.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    /// The file that was appended to last.
    open: Option<(String, File)>,
}

impl Directory {
    /// Opens it; makes it, with mode 0700, if there is none.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn open(path: &Path) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        Ok(Self { path: path.to_owned(), open: None })
    }

    fn mode(name: &str) -> u32 {
        if name == super::keys::PUBLIC { 0o644 } else { 0o600 }
    }

    fn forget(&mut self, name: &str) {
        self.open.take_if(|(open, _)| open == name);
    }
}

impl Disk for Directory {
    fn list(&self) -> io::Result<Vec<String>> {
        fs::read_dir(&self.path)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        fs::read(self.path.join(name))
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        if self.open.as_ref().is_none_or(|(open, _)| open != name) {
            let path = self.path.join(name);
            let file = OpenOptions::new().append(true).create(true).mode(Self::mode(name)).open(path)?;
            self.open = Some((name.to_owned(), file));
        }
        match &mut self.open {
            Some((_, file)) => file.write_all(bytes),
            None => Ok(()),
        }
    }

    fn write(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.forget(name);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(Self::mode(name));
        options.open(self.path.join(name))?.write_all(bytes)
    }

    fn overwrite(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).open(self.path.join(name))?;
        file.seek(SeekFrom::Start(0))?;
        file.write_all(bytes)
    }

    fn truncate(&mut self, name: &str, length: u64) -> io::Result<()> {
        self.forget(name);
        OpenOptions::new().write(true).open(self.path.join(name))?.set_len(length)
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        match &self.open {
            Some((open, file)) if open == name => file.sync_data(),
            Some(_) | None => File::open(self.path.join(name))?.sync_all(),
        }
    }

    fn sync_directory(&mut self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.forget(from);
        self.forget(to);
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.forget(name);
        fs::remove_file(self.path.join(name))
    }
}
