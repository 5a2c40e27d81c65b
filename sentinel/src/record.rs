//! `sentinel run --record`: every event that reaches user space, as one JSON line in a file.
//!
//! Invariants: a line is the `input` that policies saw, whole, plus the object `sentinel`; recording never waits for the file and
//! never outgrows its bound; what is not in the file is counted, by cause. Not here: reading (`cli/replay`).

use std::{
    fs::{File, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use rules::Value;
use sentinel_common::{
    event::Verdict,
    verdict::{access, origin},
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{entry::Blocked, event::Common, world::Rule};

/// Largest recording, when nothing else is said.
pub const DEFAULT_BYTES: u64 = 1 << 30;
/// Events that may wait for the file.
const QUEUE: usize = 8192;
/// Bytes that are gathered before they are written.
const BUFFER: usize = 256 << 10;
/// How long a line may wait in the buffer.
const FLUSH: Duration = Duration::from_millis(200);
/// How long the end waits for what is queued.
const END: Duration = Duration::from_secs(5);

/// Events that are not in the file, by cause.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// The file was slower than the events.
    pub queue_full: u64,
    /// The file has reached its bound.
    pub size_limit: u64,
    /// The file could not be written.
    pub write_error: u64,
}

/// A recording in the status.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recording {
    /// The file.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// Its bound.
    pub limit_bytes: u64,
    /// Events written.
    pub events: u64,
    /// Events lost.
    pub lost: Lost,
    /// Why nothing more is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
}

/// What is on the first line.
#[derive(Debug)]
pub struct Header<'a> {
    /// Digest of the policies in force at the start.
    pub policy_sha256: &'a str,
    /// `monitor` or `enforce`.
    pub mode: &'a str,
}

/// An event on its way to the file.
struct Line {
    input: Value,
    sentinel: serde_json::Value,
}

/// Writes events to a file, on a thread of its own.
pub struct Recorder {
    lines: Option<SyncSender<Line>>,
    state: Arc<Mutex<Recording>>,
    writer: Option<JoinHandle<()>>,
    sequence: u64,
}

impl Recorder {
    /// Opens the file, at its end if it is there, and writes the header.
    ///
    /// # Errors
    ///
    /// If it cannot be opened, is no plain file, or the header cannot be written.
    pub fn open(path: &Path, limit_bytes: u64, header: &Header) -> Result<Self> {
        let what = || format!("cannot record to {}", path.display());
        if path.metadata().is_ok_and(|meta| !meta.is_file()) {
            bail!("{}: it is no plain file; give the name of a file in --record", what());
        }
        let mut file =
            OpenOptions::new().append(true).create(true).mode(0o600).open(path).with_context(|| {
                format!("{}; its directory must exist and be writable (--record, key record)", what())
            })?;
        let before = file.metadata().with_context(what)?.len();
        let first = format!("{}\n", header.json());
        file.write_all(first.as_bytes()).with_context(what)?;
        let bytes = before + first.len() as u64;
        let recording = Recording { path: path.to_owned(), bytes, limit_bytes, ..Recording::default() };
        let state = Arc::new(Mutex::new(recording));
        let (lines, incoming) = sync_channel(QUEUE);
        let writer =
            Writer { file, buffer: Vec::with_capacity(BUFFER), pending: 0, bytes, full: false, state: state.clone() };
        let writer = std::thread::Builder::new()
            .name("record".to_owned())
            .spawn(move || writer.run(&incoming))
            .with_context(what)?;
        Ok(Self { lines: Some(lines), state, writer: Some(writer), sequence: 0 })
    }

    /// Records an event with the kernel's verdict, and the control group that it happened in; `rule` is the kernel's.
    pub fn event(
        &mut self,
        input: &Value,
        common: &Common,
        verdict: Verdict,
        (blocked, group): (&Blocked, Option<&str>),
        rule: Option<&Rule>,
    ) {
        self.sequence += 1;
        let mut sentinel = json!({
            "sequence": self.sequence,
            "hook": common.hook.name,
            "blocked": verdict.refused == 1,
            "would_block": verdict.refused == 1 || (verdict.rule != 0 && verdict.origin != origin::EXEMPTION),
        });
        if let Some(group) = group {
            sentinel["cgroup"] = json!(group);
        }
        if let Some(rule) = rule {
            sentinel["rule"] = json!(rule.id);
        }
        if let Blocked::File { access, .. } = blocked {
            sentinel["access"] = json!(access_words(*access));
        }
        self.push(Line { input: input.clone(), sentinel });
    }

    fn push(&self, line: Line) {
        let Some(lines) = &self.lines else { return };
        match lines.try_send(line) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => lock(&self.state).lost.queue_full += 1,
            Err(TrySendError::Disconnected(_)) => lock(&self.state).lost.write_error += 1,
        }
    }

    /// How it stands.
    #[must_use]
    pub fn status(&self) -> Recording {
        lock(&self.state).clone()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.lines = None;
        let end = Instant::now() + END;
        let Some(writer) = self.writer.take() else { return };
        while !writer.is_finished() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(5));
        }
        if writer.is_finished() {
            // A panic of the writer has been printed; there is nothing left to do about it.
            let _ = writer.join();
        }
    }
}

fn lock(state: &Mutex<Recording>) -> std::sync::MutexGuard<'_, Recording> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The words of the bits of an access.
fn access_words(bits: u32) -> Vec<&'static str> {
    let all = [
        (access::READ, "read"),
        (access::WRITE, "write"),
        (access::CREATE, "create"),
        (access::EXEC, "exec"),
        (access::DELETE, "delete"),
    ];
    all.into_iter().filter(|(bit, _)| bits & 1 << bit != 0).map(|(_, word)| word).collect()
}

impl Header<'_> {
    fn json(&self) -> serde_json::Value {
        let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        json!({
            "sentinel_recording": 1,
            "version": env!("CARGO_PKG_VERSION"),
            "host": rustix::system::uname().nodename().to_string_lossy(),
            "boot_id": boot_id.trim(),
            "policy": { "sha256": self.policy_sha256 },
            "mode": self.mode,
            "started": jiff::Timestamp::now().to_string(),
        })
    }
}

/// The side of the file.
struct Writer {
    file: File,
    buffer: Vec<u8>,
    /// Events in the buffer.
    pending: u64,
    /// Bytes in the file.
    bytes: u64,
    /// Whether the bound has been reached.
    full: bool,
    state: Arc<Mutex<Recording>>,
}

impl Writer {
    fn run(mut self, incoming: &Receiver<Line>) {
        loop {
            match incoming.recv_timeout(FLUSH) {
                Ok(line) => self.line(line),
                Err(RecvTimeoutError::Timeout) => self.flush(),
                Err(RecvTimeoutError::Disconnected) => return self.flush(),
            }
        }
    }

    fn line(&mut self, line: Line) {
        if lock(&self.state).stopped.is_some() {
            return self.lose();
        }
        let start = self.buffer.len();
        if let Err(error) = write_line(&mut self.buffer, line) {
            self.buffer.truncate(start);
            lock(&self.state).lost.write_error += 1;
            return tracing::error!("an event cannot be recorded: {error}");
        }
        let limit = lock(&self.state).limit_bytes;
        if self.bytes + self.buffer.len() as u64 > limit {
            self.buffer.truncate(start);
            self.flush();
            self.full = true;
            self.stop(format!("the recording has reached its bound of {limit} bytes (record_bytes)"));
            return self.lose();
        }
        self.pending += 1;
        if self.buffer.len() >= BUFFER {
            self.flush();
        }
    }

    /// Counts an event that comes after the end.
    fn lose(&self) {
        let mut state = lock(&self.state);
        let count = if self.full { &mut state.lost.size_limit } else { &mut state.lost.write_error };
        *count += 1;
    }

    fn stop(&self, why: String) {
        tracing::warn!("{why}; what happens from now on is not recorded");
        lock(&self.state).stopped = Some(why);
    }

    fn flush(&mut self) {
        if self.buffer.is_empty() {
            return;
        }
        let written = self.file.write_all(&self.buffer);
        let (length, events) = (self.buffer.len() as u64, std::mem::take(&mut self.pending));
        self.buffer.clear();
        match written {
            Ok(()) => {
                self.bytes += length;
                let mut state = lock(&self.state);
                state.bytes = self.bytes;
                state.events += events;
            }
            Err(error) => {
                lock(&self.state).lost.write_error += events;
                self.stop(format!("the recording cannot be written: {error}"));
            }
        }
    }
}

/// The event as a line.
fn write_line(buffer: &mut Vec<u8>, line: Line) -> Result<()> {
    let mut event = line.input;
    let sentinel: Value = serde_json::from_value(line.sentinel)?;
    event.as_object_mut()?.insert(Value::from("sentinel"), sentinel);
    serde_json::to_writer(&mut *buffer, &event)?;
    buffer.push(b'\n');
    Ok(())
}

#[cfg(test)]
mod tests;
