//! The sink `unix:PATH`: a stream socket, one alert a line.
//!
//! Invariant: a line is kept until a listener's socket took it whole. When the listener goes away in the middle, the
//! line is sent again to the next one: at least once, and `event.id` tells the copies apart. What sat unread in the
//! socket of a listener that died is counted as delivered, because nobody can know.
//!
//! Not here: when to try again (`set.rs`).

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use super::{Output, WriteError};

pub(super) struct UnixOutput {
    path: PathBuf,
    stream: Option<UnixStream>,
    text: Vec<u8>,
}

impl UnixOutput {
    /// Does not connect yet: a collector that starts after us is no error.
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), stream: None, text: Vec::new() }
    }

    fn connect_and_send(&mut self) -> io::Result<()> {
        let mut stream = UnixStream::connect(&self.path)?;
        stream.write_all(&self.text)?;
        self.stream = Some(stream);
        Ok(())
    }
}

impl Output for UnixOutput {
    fn write(&mut self, line: &str) -> Result<(), WriteError> {
        self.text.clear();
        self.text.extend_from_slice(line.as_bytes());
        self.text.push(b'\n');
        if let Some(stream) = &mut self.stream {
            if stream.write_all(&self.text).is_ok() {
                return Ok(());
            }
            // Half a line may be on its way; the end of the connection ends it.
            self.stream = None;
        }
        self.connect_and_send().map_err(WriteError::Retry)
    }

    fn reopen(&mut self) -> io::Result<()> {
        Ok(())
    }
}
