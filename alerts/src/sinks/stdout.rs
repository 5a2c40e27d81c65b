//! The sink `stdout`.
//!
//! Invariant: writes go to the descriptor itself, past the buffer of the standard library, which would hold back half
//! a line after an error. A reader that went away makes the sink degraded; the program goes on, and lines that nobody can
//! ever read are counted as lost.
//!
//! Not here: other output of the program; while alerts go to stdout, everything else goes to stderr.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use super::lines::Lines;
use super::{Line, Output, SinkError, Written};

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
    fn write(&mut self, lines: &[Line<'_>]) -> Written {
        let (done, result) = self.0.write(lines);
        match result {
            Ok(()) => Written::all(lines),
            // Nobody will open this descriptor anew: trying the line again would not help.
            Err(error) => Written { taken: done + 1, refused: 1, error: Some(error.to_string()) },
        }
    }
}
