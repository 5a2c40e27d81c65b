//! The sink `stdout`.
//!
//! Invariant: writes go to the descriptor itself, past the buffer of the standard library, which would hold back half
//! a line after an error. A reader that went away makes the sink degraded; the program goes on.
//!
//! Not here: other output of the program; while alerts go to stdout, everything else goes to stderr.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use super::lines::Lines;
use super::{Output, SinkError, WriteError};

pub(super) struct StdoutOutput(Lines);

impl StdoutOutput {
    pub(super) fn open() -> Result<Self, SinkError> {
        let own = io::stdout()
            .as_fd()
            .try_clone_to_owned()
            .map_err(|source| SinkError::Open { sink: "stdout".to_owned(), source })?;
        Ok(Self(Lines::new(File::from(own), false)))
    }
}

impl Output for StdoutOutput {
    fn write(&mut self, line: &str) -> Result<(), WriteError> {
        self.0.write(line).map_err(WriteError::Lost)
    }

    fn reopen(&mut self) -> io::Result<()> {
        Ok(())
    }
}
