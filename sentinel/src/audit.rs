//! The audit trail of a running daemon: its settings, its writer, and the path of alerts through it.
//!
//! Invariant: an alert that is evidence is durable in the trail before it reaches a sink; if the disk refuses, alerts go on and
//! the status says so. Not here: what is recorded beside decisions (`daemon::evidence`), the format (`alerts::audit`).

use std::{io, path::Path, sync::Arc, time::Duration};

use alerts::{
    Alert, SinkSet,
    audit::{self, Directory, Entry, Health, Kind, Trail, Writer, keys},
};
use anyhow::{Context as _, Result, bail};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

/// Name of the directory in the state directory.
const DIRECTORY: &str = "audit";
/// Seconds of a day.
const DAY: u32 = 86_400;

/// `[audit]` of the settings.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Settings {
    /// Whether there is a trail.
    pub enabled: bool,
    /// Whether arguments of processes are in it. They hold secrets.
    pub arguments: bool,
    /// Days after which files are removed; 0: never.
    pub keep_days: u32,
    /// Seconds from one checkpoint to the next, if there was a record.
    pub checkpoint_seconds: u32,
    /// Records from one checkpoint to the next.
    pub checkpoint_records: u32,
    /// Seconds from one record of the coverage to the next.
    pub heartbeat_seconds: u32,
}

impl Default for Settings {
    fn default() -> Self {
        // Ten years is what 31 CFR 501.601 asks.
        Self {
            enabled: true,
            arguments: false,
            keep_days: 3653,
            checkpoint_seconds: 300,
            checkpoint_records: 4096,
            heartbeat_seconds: 60,
        }
    }
}

impl Settings {
    /// The same, if they can be right.
    ///
    /// # Errors
    ///
    /// A time or a number that cannot be.
    pub fn checked(self) -> Result<Self> {
        for (key, value) in [
            ("checkpoint-seconds", self.checkpoint_seconds),
            ("checkpoint-records", self.checkpoint_records),
            ("heartbeat-seconds", self.heartbeat_seconds),
        ] {
            if value == 0 || value > DAY {
                bail!("[audit] {key} is {value}; give 1 to {DAY}");
            }
        }
        Ok(self)
    }

    /// How often the coverage is recorded.
    #[must_use]
    pub fn heartbeat(&self) -> Duration {
        Duration::from_secs(self.heartbeat_seconds.into())
    }

    fn of_trail(&self) -> audit::Settings {
        audit::Settings {
            checkpoint_seconds: self.checkpoint_seconds.into(),
            checkpoint_records: self.checkpoint_records.into(),
            keep_seconds: (self.keep_days > 0).then(|| i64::from(self.keep_days) * i64::from(DAY)),
            ..audit::Settings::default()
        }
    }
}

/// The trail of a daemon.
pub struct Audit {
    writer: Writer,
    arguments: bool,
}

impl Audit {
    /// Opens the trail of a state directory, or begins one.
    ///
    /// # Errors
    ///
    /// If the directory does not let it.
    pub fn open(state_dir: &Path, settings: &Settings) -> Result<Self> {
        let path = state_dir.join(DIRECTORY);
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let (directory, options) = (path.clone(), settings.of_trail());
        let open = move || -> io::Result<(Trail, audit::Opened)> {
            Trail::open(Box::new(Directory::open(&directory)?), options, &host, Timestamp::now())
        };
        let failed = || {
            format!(
                "cannot open the audit trail in {}; see to the disk, or set [audit] enabled = false",
                path.display()
            )
        };
        let (trail, opened) = open().with_context(failed)?;
        for finding in &opened.findings {
            tracing::warn!("audit trail: {finding}");
        }
        if let Some(key) = &opened.first {
            tracing::info!(
                "a new audit trail begins: key {}; keep a copy of {}/{} elsewhere",
                keys::fingerprint(key),
                path.display(),
                keys::PUBLIC
            );
        }
        let writer = Writer::start(trail, Box::new(open)).with_context(failed)?;
        Ok(Self { writer, arguments: settings.arguments })
    }

    /// Records an alert if it is evidence, and sends its line when that is durable. Others keep their place in the order.
    pub fn alert(&self, alert: &Alert, line: Arc<str>, sinks: &Arc<SinkSet>) {
        let entry = audit::decision(alert, self.arguments);
        let entry = entry.map(|data| Entry { kind: Kind::Decision, at: Timestamp::now(), data });
        let sinks = Arc::clone(sinks);
        self.writer.send(entry, Some(Box::new(move || sinks.send(&line))));
    }

    /// Records something else.
    pub fn note(&self, kind: Kind, data: Value) {
        self.writer.send(Some(Entry::now(kind, data)), None);
    }

    /// How it is.
    #[must_use]
    pub fn health(&self) -> Health {
        self.writer.health()
    }

    /// The same for the status.
    #[must_use]
    pub fn status(&self) -> Value {
        let health = self.health();
        let place = |place: Option<audit::Position>| {
            place.map(|place| serde_json::json!({ "record": place.seq, "sha256": place.hash.to_string() }))
        };
        serde_json::json!({
            "trail": health.trail,
            "head": place(health.head),
            "signed": place(health.signed),
            "key_generation": health.generation,
            "error": health.error,
            "lost": health.lost,
        })
    }

    /// Writes what is left, signs it, and says where it ends.
    pub fn finish(self) {
        match self.writer.finish() {
            Ok(Health { error: Some(error), .. }) => tracing::error!("the audit trail could not be ended: {error}"),
            Ok(health) => {
                if let Some(head) = health.head {
                    tracing::info!("the audit trail {} ends with record {}: {}", health.trail, head.seq, head.hash);
                }
            }
            Err(error) => tracing::error!("audit trail: {error}"),
        }
    }
}
