//! Writing lines to a descriptor so that a failure in the middle of a line damages that line only.
//!
//! Invariants: lines that are handed over together are one `write` unless the system takes less; a torn line is ended
//! before the next one begins.
//!
//! Not here: opening, and what a failure means for the sink.

use std::fs::File;
use std::io::{self, Write};
use std::thread;
use std::time::Duration;

use super::Line;

/// How long to wait when somebody else made the descriptor non-blocking and its reader is behind.
const READER_BEHIND: Duration = Duration::from_millis(10);

/// A descriptor that takes lines. Not buffered: what is written is the system's.
pub(super) struct Lines {
    file: File,
    torn: bool,
    text: Vec<u8>,
    written: u64,
}

impl Lines {
    /// `torn`: what is there already ends in the middle of a line.
    pub(super) fn new(file: File, torn: bool) -> Self {
        Self { file, torn, text: Vec::new(), written: 0 }
    }

    /// Bytes written so far.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Writes lines; says how many are there whole.
    pub(super) fn write(&mut self, lines: &[Line<'_>]) -> (usize, io::Result<()>) {
        self.text.clear();
        if self.torn {
            self.text.push(b'\n');
        }
        let start = self.text.len();
        let mut ends = Vec::with_capacity(lines.len());
        for line in lines {
            self.text.extend_from_slice(line.text.as_bytes());
            self.text.push(b'\n');
            ends.push(self.text.len());
        }
        let (written, result) = write_whole(&mut self.file, &self.text);
        self.written += written as u64;
        let whole = ends.partition_point(|end| *end <= written);
        let begun = if whole == 0 { start } else { ends[whole - 1] };
        self.torn = match written {
            0 => self.torn,
            written => written != begun,
        };
        (whole, result)
    }
}

/// Like `write_all`, but says how much went out, and waits where the descriptor does not.
fn write_whole(target: &mut impl Write, text: &[u8]) -> (usize, io::Result<()>) {
    let mut written = 0;
    while written < text.len() {
        match target.write(&text[written..]) {
            Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(READER_BEHIND),
            Err(error) => return (written, Err(error)),
        }
    }
    (written, Ok(()))
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::collections::VecDeque;

    use super::*;

    /// Answers each `write` from a script: a count taken, or an error.
    struct Scripted(VecDeque<Result<usize, io::ErrorKind>>);

    impl Write for Scripted {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            match self.0.pop_front().unwrap() {
                Ok(count) => Ok(count.min(text.len())),
                Err(kind) => Err(kind.into()),
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn run(script: &[Result<usize, io::ErrorKind>]) -> (usize, Result<(), io::ErrorKind>) {
        let (written, result) = write_whole(&mut Scripted(script.iter().copied().collect()), b"0123456789");
        (written, result.map_err(|error| error.kind()))
    }

    #[test]
    fn short_writes_and_interruptions_are_carried_on() {
        let script = [Ok(3), Err(io::ErrorKind::Interrupted), Ok(4), Err(io::ErrorKind::WouldBlock), Ok(3)];
        assert_eq!(run(&script), (10, Ok(())));
    }

    #[test]
    fn a_failure_says_how_much_went_out() {
        assert_eq!(run(&[Ok(4), Err(io::ErrorKind::StorageFull)]), (4, Err(io::ErrorKind::StorageFull)));
        assert_eq!(run(&[Ok(0)]), (0, Err(io::ErrorKind::WriteZero)));
    }

    #[test]
    fn a_closed_pipe_is_an_error_and_tears_nothing() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let mut lines = Lines::new(File::from(std::os::fd::OwnedFd::from(writer)), false);
        let (whole, result) = lines.write(&[Line { ecs: "", text: Cow::Borrowed("alert") }]);
        assert_eq!((whole, result.unwrap_err().kind(), lines.torn), (0, io::ErrorKind::BrokenPipe, false));
    }
}
