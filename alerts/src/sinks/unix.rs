//! The sink `unix:PATH`: a stream socket, one alert a line.
//!
//! Invariant: a line is kept until a listener's socket took it whole. What sat unread in the socket of a listener that
//! died is sent again to the next one: at least once, and `event.id` tells the copies apart.
//!
//! Not here: when to try again (`set.rs`).

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use super::window::{Window, is_gone};
use super::{Line, Output, Written};

pub(super) struct UnixOutput {
    path: PathBuf,
    stream: Option<UnixStream>,
    window: Window,
}

impl UnixOutput {
    /// Does not connect yet: a collector that starts after us is no error.
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), stream: None, window: Window::default() }
    }

    fn send(&mut self, text: &[u8]) -> io::Result<()> {
        if self.stream.as_ref().is_some_and(|stream| is_gone(stream)) {
            self.stream = None;
        }
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                let mut stream = UnixStream::connect(&self.path)?;
                self.window.again().try_for_each(|text| stream.write_all(text))?;
                stream
            }
        };
        // Half a line may be on its way; the end of the connection ends it.
        stream.write_all(text)?;
        self.stream = Some(stream);
        Ok(())
    }
}

impl Output for UnixOutput {
    fn write(&mut self, lines: &[Line<'_>]) -> Written {
        let mut text = Vec::new();
        for line in lines {
            text.extend_from_slice(line.text.as_bytes());
            text.push(b'\n');
        }
        match self.send(&text) {
            Ok(()) => {
                self.window.sent(text);
                Written::all(lines)
            }
            Err(error) => Written::some(0, error),
        }
    }
}
