//! The text that names a sink on the command line and in the configuration, and what can be wrong with it.
//!
//! Invariant: an error names the sink, what is wrong and what to use instead; it never repeats a URL, which may hold
//! a password.
//!
//! Not here: opening the sink (the file of each kind).

use std::fmt;
use std::io;
use std::os::unix::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A place that alerts go to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Sink {
    /// `stdout`: standard output.
    Stdout,
    /// `file:PATH`: appended to a file, which is made when it is missing.
    File(PathBuf),
    /// `unix:PATH`: a stream socket that somebody listens on.
    Unix(PathBuf),
}

/// Why a sink cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The text names nothing we know.
    #[error("alert sink \"{given}\" is unknown: use stdout, file:PATH or unix:PATH")]
    Unknown {
        /// The text, up to the first colon.
        given: String,
    },
    /// A kind that is planned and does not exist in this version.
    #[error("this version has no {scheme} alert sink: use stdout, file:PATH or unix:PATH")]
    NotInThisVersion {
        /// The kind.
        scheme: &'static str,
    },
    /// A kind that needs a path came without one.
    #[error("alert sink \"{scheme}:\" has no path: write {scheme}:PATH")]
    NoPath {
        /// The kind.
        scheme: &'static str,
    },
    /// The path does not fit into a socket address.
    #[error("alert sink unix:{path}: not a usable socket path ({source}); use a shorter one")]
    SocketPath {
        /// The path.
        path: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The directory of a file is missing.
    #[error("alert sink file:{path}: directory {parent} does not exist; create it first")]
    NoParent {
        /// The path.
        path: String,
        /// Its directory.
        parent: String,
    },
    /// The path is a directory, a pipe or a socket.
    #[error("alert sink file:{path}: this is {found}, not a file; give the path of a file{hint}")]
    NotAFile {
        /// The path.
        path: String,
        /// What is there.
        found: &'static str,
        /// What may have been meant.
        hint: &'static str,
    },
    /// The system refused to open the sink.
    #[error("alert sink {sink}: cannot open it for writing: {source}")]
    Open {
        /// The sink.
        sink: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The spool cannot be used.
    #[error(
        "the spool of alerts {path}: {source}; give it a directory that Sentinel can write to (state-dir), and space"
    )]
    Spool {
        /// Its directory.
        path: String,
        /// The system's reason.
        source: io::Error,
    },
    /// A setting of a sink that cannot be right.
    #[error("alert sink {sink}: {problem}")]
    Setting {
        /// The sink.
        sink: String,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// The same sink twice: every alert would arrive there twice.
    #[error("alert sink {sink} is given twice; name it once")]
    Twice {
        /// The sink.
        sink: String,
    },
    /// No thread for the sink.
    #[error("alert sink {sink}: cannot start its thread: {source}")]
    Thread {
        /// The sink.
        sink: String,
        /// The system's reason.
        source: io::Error,
    },
}

/// Kinds of the contract that this version does not have, by how their text begins.
const NOT_IN_THIS_VERSION: &[(&str, &str)] =
    &[("syslog:", "syslog"), ("http://", "http"), ("https://", "https"), ("nats://", "nats")];

impl FromStr for Sink {
    type Err = SinkError;

    fn from_str(text: &str) -> Result<Self, SinkError> {
        if text == "stdout" {
            return Ok(Self::Stdout);
        }
        if let Some(path) = text.strip_prefix("file:") {
            return Ok(Self::File(path_of("file", path)?));
        }
        if let Some(path) = text.strip_prefix("unix:") {
            return unix(path_of("unix", path)?);
        }
        if let Some((_, scheme)) = NOT_IN_THIS_VERSION.iter().find(|(start, _)| text.starts_with(start)) {
            return Err(SinkError::NotInThisVersion { scheme });
        }
        let given = text.split_inclusive(':').next().unwrap_or_default();
        Err(SinkError::Unknown { given: given.to_owned() })
    }
}

fn path_of(scheme: &'static str, path: &str) -> Result<PathBuf, SinkError> {
    if path.is_empty() { Err(SinkError::NoPath { scheme }) } else { Ok(PathBuf::from(path)) }
}

fn unix(path: PathBuf) -> Result<Sink, SinkError> {
    match SocketAddr::from_pathname(&path) {
        Ok(_) => Ok(Sink::Unix(path)),
        Err(source) => Err(SinkError::SocketPath { path: text(&path), source }),
    }
}

impl Sink {
    /// Which keys mean something: those of syslog, of TLS, of HTTP, of NATS.
    pub(super) const fn kinds(&self) -> (bool, bool, bool, bool) {
        match self {
            Self::Stdout | Self::File(_) | Self::Unix(_) => (false, false, false, false),
        }
    }
}

/// A path for people to read.
pub(super) fn text(path: &Path) -> String {
    path.display().to_string()
}

impl fmt::Display for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdout => f.write_str("stdout"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        text.parse::<Sink>().unwrap_err().to_string()
    }

    #[test]
    fn what_exists_parses_and_prints_back() {
        for text in ["stdout", "file:/var/log/sentinel/alerts.json", "file:alerts.json", "unix:/run/collector.sock"] {
            assert_eq!(text.parse::<Sink>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn planned_kinds_say_what_there_is() {
        for (text, scheme) in [
            ("syslog:udp://192.0.2.1:514", "syslog"),
            ("http://collector.example/in", "http"),
            ("https://name:secret@collector.example/in", "https"),
            ("nats://192.0.2.1:4222", "nats"),
        ] {
            assert_eq!(
                error(text),
                format!("this version has no {scheme} alert sink: use stdout, file:PATH or unix:PATH")
            );
        }
    }

    #[test]
    fn unknown_kinds_are_named_without_their_secrets() {
        assert_eq!(error("stderr"), "alert sink \"stderr\" is unknown: use stdout, file:PATH or unix:PATH");
        assert!(error("redis://name:secret@host").starts_with("alert sink \"redis:\" is unknown"));
        assert!(error("").starts_with("alert sink \"\" is unknown"));
        assert!(error("STDOUT").contains("unknown"));
    }

    #[test]
    fn a_path_is_needed_and_must_fit() {
        assert_eq!(error("file:"), "alert sink \"file:\" has no path: write file:PATH");
        assert_eq!(error("unix:"), "alert sink \"unix:\" has no path: write unix:PATH");
        assert!(error(&format!("unix:/{}", "x".repeat(200))).contains("use a shorter one"));
    }
}
