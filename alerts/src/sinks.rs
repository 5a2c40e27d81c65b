//! Where alert lines go. A sink is one file here, one variant of [`Sink`] and one test.
//!
//! Invariants: [`SinkSet::send`] never waits for a sink; each sink has a thread and a bounded queue of its own, so a
//! slow one delays nobody else; for each sink, sent = delivered + lost + still queued; a sink that fails is degraded,
//! never a reason to stop.
//!
//! Not here: what a line says (`ecs.rs`), and keeping lines over a restart.

mod file;
mod lines;
mod queue;
mod set;
mod spec;
mod status;
mod stdout;
mod unix;

use std::io;

pub use set::{DEFAULT_QUEUE_BYTES, SinkSet};
pub use spec::{Sink, SinkError};
pub use status::{Lost, SinkState, SinkStatus};

/// The writing end of a sink. It lives on the sink's own thread, so it may block.
trait Output: Send {
    /// Writes one line and its newline.
    fn write(&mut self, line: &str) -> Result<(), WriteError>;

    /// Opens the target anew where it has a name that may have moved.
    fn reopen(&mut self) -> io::Result<()>;
}

/// What became of a line that could not be written.
#[derive(Debug)]
enum WriteError {
    /// The line is gone: trying it again would not help, or would write half of it twice.
    Lost(io::Error),
    /// The other side is away: keep the line and try again.
    Retry(io::Error),
}

impl Sink {
    fn open(&self) -> Result<Box<dyn Output>, SinkError> {
        Ok(match self {
            Sink::Stdout => Box::new(stdout::StdoutOutput::open()?),
            Sink::File(path) => Box::new(file::FileOutput::open(path)?),
            Sink::Unix(path) => Box::new(unix::UnixOutput::new(path)),
        })
    }
}
