//! Where alert lines go. A sink is one file here, one variant of [`Sink`] and one test.
//!
//! Invariants: [`SinkSet::send`] never waits for a sink; each sink has a thread and a place in the spool of its own, so a
//! slow one delays nobody else; a sink that fails is degraded, never a reason to stop; a line is given up only when the
//! other side has refused it for good, or the spool has.
//!
//! Not here: what a line says (`formats/`), and keeping lines (`spool/`).

mod file;
mod lines;
mod set;
mod settings;
mod spec;
mod status;
mod stdout;
mod unix;
mod window;

use std::borrow::Cow;
use std::io;

pub use set::SinkSet;
pub use settings::SinkSettings;
pub use spec::{Sink, SinkError};
pub use status::{Lost, SinkState, SinkStatus, SpoolStatus};

/// One alert on its way out.
pub(crate) struct Line<'a> {
    /// As the spool has it.
    pub(crate) ecs: &'a str,
    /// In the sink's format.
    pub(crate) text: Cow<'a, str>,
}

/// The writing end of a sink. It lives on the sink's own thread, so it may block.
trait Output: Send {
    /// How many lines, and bytes of them, it wants at once.
    fn batch(&self) -> (usize, usize) {
        (512, 256 << 10)
    }

    /// Writes lines, in order.
    fn write(&mut self, lines: &[Line<'_>]) -> Written;

    /// Opens the target anew where it has a name that may have moved.
    fn reopen(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What became of lines.
#[derive(Debug, Default)]
struct Written {
    /// So many from the first on are done with: with the other side, or refused.
    taken: usize,
    /// So many of those the other side refused for good.
    refused: u64,
    /// What went wrong. Lines that are not taken are to be tried again.
    error: Option<String>,
}

impl Written {
    /// All of them are with the other side.
    fn all(lines: &[Line<'_>]) -> Self {
        Self { taken: lines.len(), ..Self::default() }
    }

    /// So many are with the other side; the rest is to be tried again.
    fn some(taken: usize, error: impl ToString) -> Self {
        Self { taken, refused: 0, error: Some(error.to_string()) }
    }
}

impl SinkSettings {
    fn open(&self) -> Result<Box<dyn Output>, SinkError> {
        Ok(match &self.sink {
            Sink::Stdout => Box::new(stdout::StdoutOutput::open()?),
            Sink::File(path) => Box::new(file::FileOutput::open(path, self)?),
            Sink::Unix(path) => Box::new(unix::UnixOutput::new(path)),
        })
    }
}
