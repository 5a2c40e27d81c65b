//! Whether a trail is what was written: every hash, every link, every signature, and which record is wrong if one is.
//!
//! Invariants: a fault is told where it is, and what follows is still looked at; memory does not grow with the trail. What only a
//! head kept elsewhere can show is a trail cut behind a checkpoint: give it with [`Expect::head`]. Not here: files on disk
//! (`files`).

mod checkpoint;
mod fault;

use std::io::{self, BufRead};

use super::{
    keys::PublicKey,
    record::{Ends, Hash, Position},
};
use checkpoint::Signatures;
pub use fault::{Fault, Problem};

/// Faults that are kept; more are only counted.
const KEPT: usize = 1000;
/// Progress is told after so many bytes.
const STEP: u64 = 1 << 20;

/// A file of the trail.
pub struct Source {
    /// What errors call it.
    pub name: String,
    /// Its lines.
    pub reader: Box<dyn BufRead>,
}

/// What the auditor knows from elsewhere.
#[derive(Debug, Default, Clone)]
pub struct Expect {
    /// A public key of the trail, of any generation.
    pub key: Option<PublicKey>,
    /// The hash of a record that must be there.
    pub head: Option<Hash>,
    /// The key that the daemon holds now: generation and public half.
    pub current: Option<(u64, PublicKey)>,
}

/// The result.
#[derive(Debug, Default, Clone)]
pub struct Verdict {
    /// Records read.
    pub records: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Files read.
    pub files: usize,
    /// Id of the trail.
    pub trail: Option<String>,
    /// First record.
    pub first: Option<Position>,
    /// Last record.
    pub last: Option<Position>,
    /// Checkpoints whose signature holds.
    pub checkpoints: u64,
    /// Last record that a signature covers.
    pub signed: Option<u64>,
    /// First public key that the trail names, with its generation.
    pub root: Option<(u64, PublicKey)>,
    /// Generation at which the expected key was found.
    pub key_found: Option<u64>,
    /// Number of the record with the expected hash.
    pub head_found: Option<u64>,
    /// Files before the first one are gone, and the trail says so.
    pub retained_from: Option<u64>,
    /// What is wrong.
    pub faults: Vec<Fault>,
    /// How much is wrong.
    pub faults_total: u64,
}

impl Verdict {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.faults_total == 0
    }

    /// Records behind the last signature.
    #[must_use]
    pub fn unsigned(&self) -> u64 {
        self.last.map_or(0, |last| last.seq.saturating_sub(self.signed.unwrap_or_default()))
    }

    fn fault(&mut self, file: &str, line: u64, seq: Option<u64>, problem: Problem) {
        self.faults_total += 1;
        if self.faults.len() < KEPT {
            self.faults.push(Fault { file: file.to_owned(), line, seq, problem });
        }
    }
}

/// Verifies files in their order. `progress` hears how many bytes were read.
///
/// # Errors
///
/// A file that cannot be read.
pub fn verify(
    sources: impl IntoIterator<Item = io::Result<Source>>,
    expect: &Expect,
    progress: &mut dyn FnMut(u64),
) -> io::Result<Verdict> {
    let mut checker = Checker::new(expect);
    let mut told = 0;
    for source in sources {
        let Source { name, mut reader } = source?;
        checker.begin(&name);
        let mut line = Vec::new();
        loop {
            line.clear();
            if reader.read_until(b'\n', &mut line)? == 0 {
                break;
            }
            checker.line(&line);
            if checker.verdict.bytes - told >= STEP {
                told = checker.verdict.bytes;
                progress(told);
            }
        }
    }
    let verdict = checker.finish();
    progress(verdict.bytes);
    Ok(verdict)
}

/// What has been read so far.
struct Checker<'a> {
    expect: &'a Expect,
    verdict: Verdict,
    signatures: Signatures,
    file: String,
    line: u64,
    /// Whether the last line had no end.
    torn: bool,
}

impl<'a> Checker<'a> {
    fn new(expect: &'a Expect) -> Self {
        let signatures = Signatures::default();
        Self { expect, verdict: Verdict::default(), signatures, file: String::new(), line: 0, torn: false }
    }

    fn begin(&mut self, name: &str) {
        name.clone_into(&mut self.file);
        (self.line, self.torn) = (0, false);
        self.verdict.files += 1;
    }

    fn fault(&mut self, seq: Option<u64>, problem: Problem) {
        self.verdict.fault(&self.file, self.line, seq, problem);
    }

    fn line(&mut self, line: &[u8]) {
        self.line += 1;
        self.verdict.bytes += line.len() as u64;
        let Some(text) = line.strip_suffix(b"\n") else {
            self.torn = true;
            return self.fault(None, Problem::Torn { bytes: line.len() });
        };
        let Some(ends) = Ends::of(text) else { return self.fault(None, Problem::NoRecord) };
        self.verdict.records += 1;
        if !ends.holds {
            self.fault(Some(ends.position.seq), Problem::Changed);
        }
        if self.linked(&ends) {
            self.meaning(&ends, text);
        }
    }

    /// Looks at the chain; whether the record is the next one from here on.
    fn linked(&mut self, ends: &Ends<'_>) -> bool {
        let Position { seq, hash } = ends.position;
        let Some(last) = self.verdict.last else {
            self.verdict.first = Some(ends.position);
            self.verdict.last = Some(ends.position);
            self.signatures.start(seq, ends.prev);
            return true;
        };
        let expected = last.seq + 1;
        if seq < expected {
            self.fault(Some(seq), Problem::OutOfOrder { expected });
            return false;
        }
        if seq > expected {
            self.fault(Some(seq), Problem::Missing { from: expected, to: seq - 1 });
        } else if ends.prev != last.hash {
            self.fault(Some(seq), Problem::Relinked { says: ends.prev, has: last.hash });
        }
        self.verdict.last = Some(Position { seq, hash });
        true
    }

    fn meaning(&mut self, ends: &Ends<'_>, text: &[u8]) {
        if self.expect.head == Some(ends.position.hash) && ends.holds {
            self.verdict.head_found = Some(ends.position.seq);
        }
        let found = self.signatures.record(ends, text, self.line == 1, self.expect, &mut self.verdict);
        found.into_iter().for_each(|problem| self.fault(Some(ends.position.seq), problem));
    }

    fn finish(mut self) -> Verdict {
        let seq = self.verdict.last.map(|last| last.seq);
        let problems = self.signatures.finish(self.expect, &mut self.verdict);
        problems.into_iter().for_each(|problem| self.fault(seq, problem));
        self.verdict
    }
}
