//! The thread that writes the trail for a daemon: group commit, and alerts that leave only after it.
//!
//! Invariants: [`Writer::send`] never waits; a release runs after the records before it are durable, in the order of sending, or
//! after the disk has refused them, because an alert must not wait for a broken disk; then [`Health::error`] says so, and the
//! records are written when the disk works again. What could not be kept is counted, and said in the trail.

use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{
    kind::Kind,
    record::Position,
    recovery::Opened,
    trail::{Trail, fields},
};

/// Entries that wait at most.
const QUEUE: usize = 16_384;
/// Records of one commit at most.
const BATCH: usize = 1024;
/// How long a commit waits for more: with the disk's own time, what a crash can cost.
pub(super) const WINDOW: Duration = Duration::from_millis(5);
/// Without an entry for so long there is time for other things.
const IDLE: Duration = Duration::from_secs(1);
/// A broken disk is tried again after so long.
const AGAIN: Duration = Duration::from_secs(1);
/// How often the age of files is looked at.
const DROP: Duration = Duration::from_secs(3600);

/// Runs when what was sent before is durable.
pub type Release = Box<dyn FnOnce() + Send>;
/// Opens the trail again.
pub type Open = Box<dyn FnMut() -> io::Result<(Trail, Opened)> + Send>;

/// A record to be.
#[derive(Debug, Clone)]
pub struct Entry {
    /// What it is about.
    pub kind: Kind,
    /// When it was known.
    pub at: Timestamp,
    /// What it says.
    pub data: Map<String, Value>,
}

impl Entry {
    /// A record of now. `data` must be an object.
    #[must_use]
    pub fn now(kind: Kind, data: Value) -> Self {
        Self { kind, at: Timestamp::now(), data: fields(data) }
    }
}

/// How the writer is.
#[derive(Debug, Clone, Default)]
pub struct Health {
    /// Last durable record.
    pub head: Option<Position>,
    /// Last record that a signature covers.
    pub signed: Option<Position>,
    /// Generation of the key in force.
    pub generation: u64,
    /// Id of the trail.
    pub trail: String,
    /// Why nothing is written now.
    pub error: Option<String>,
    /// Records that were given up.
    pub lost: u64,
}

/// The thread is gone.
#[derive(Debug, thiserror::Error)]
#[error("the thread of the audit trail has ended")]
pub struct Failed;

type Item = (Option<Entry>, Option<Release>);

/// A trail that is written in the background.
pub struct Writer {
    sender: SyncSender<Item>,
    health: Arc<Mutex<Health>>,
    lost: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Writer {
    /// Starts the thread on an open trail; `open` opens it again after an error of the disk.
    ///
    /// # Errors
    ///
    /// If there can be no thread.
    pub fn start(trail: Trail, open: Open) -> io::Result<Self> {
        let (sender, receiver) = sync_channel(QUEUE);
        let (health, lost) = (Arc::new(Mutex::new(Health::default())), Arc::new(AtomicU64::new(0)));
        let (shared, counter) = (Arc::clone(&health), Arc::clone(&lost));
        let mut work = Work { trail: Some(trail), open, health: shared, lost: counter, ..Work::default() };
        work.report(None);
        let thread = thread::Builder::new().name("audit".to_owned()).spawn(move || work.run(&receiver))?;
        Ok(Self { sender, health, lost, thread })
    }

    /// Hands over a record, something to do after it, or both. With a full queue the record is lost and counted, and the
    /// release runs at once.
    pub fn send(&self, entry: Option<Entry>, release: Option<Release>) {
        let records = u64::from(entry.is_some());
        match self.sender.try_send((entry, release)) {
            Ok(()) => {}
            Err(TrySendError::Full((_, release)) | TrySendError::Disconnected((_, release))) => {
                self.lost.fetch_add(records, Ordering::Relaxed);
                release.into_iter().for_each(|release| release());
            }
        }
    }

    /// How it is.
    #[must_use]
    pub fn health(&self) -> Health {
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner).clone();
        health.lost += self.lost.load(Ordering::Relaxed);
        health
    }

    /// Writes what is left, signs, ends.
    ///
    /// # Errors
    ///
    /// If the thread has ended badly.
    pub fn finish(self) -> Result<Health, Failed> {
        let Self { sender, health, thread, .. } = self;
        drop(sender);
        thread.join().map_err(|_| Failed)?;
        Ok(health.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

/// What the thread has.
struct Work {
    trail: Option<Trail>,
    open: Open,
    /// Records that are not durable yet.
    pending: VecDeque<Entry>,
    tried: Option<Instant>,
    dropped: Option<Instant>,
    given_up: u64,
    health: Arc<Mutex<Health>>,
    lost: Arc<AtomicU64>,
}

impl Default for Work {
    fn default() -> Self {
        Self {
            trail: None,
            open: Box::new(|| Err(io::Error::other("no way to open it"))),
            pending: VecDeque::new(),
            tried: None,
            dropped: None,
            given_up: 0,
            health: Arc::default(),
            lost: Arc::default(),
        }
    }
}

impl Work {
    fn run(mut self, receiver: &Receiver<Item>) {
        loop {
            match receiver.recv_timeout(IDLE) {
                Ok(first) => self.batch(first, receiver),
                Err(RecvTimeoutError::Timeout) => self.idle(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.write();
        let unsigned = self.trail.as_mut().filter(|trail| trail.unsigned > 0);
        let result = unsigned.map_or(Ok(()), |trail| trail.checkpoint(Timestamp::now()));
        self.report(result.err().map(|error| error.to_string()));
    }

    fn batch(&mut self, first: Item, receiver: &Receiver<Item>) {
        let end = Instant::now() + WINDOW;
        let mut releases = Vec::new();
        let mut next = Some(first);
        while let Some((entry, release)) = next {
            self.pending.extend(entry);
            releases.extend(release);
            let left = end.saturating_duration_since(Instant::now());
            let more = self.pending.len() < BATCH && releases.len() < BATCH && !left.is_zero();
            next = if more { receiver.recv_timeout(left).ok() } else { None };
        }
        self.write();
        releases.into_iter().for_each(|release| release());
    }

    /// Makes what is pending durable, if the disk lets it.
    fn write(&mut self) {
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            self.given_up += lost;
            let data = json!({ "cause": "audit_queue_full", "records": lost });
            self.pending.push_back(Entry::now(Kind::Loss, data));
        }
        match self.try_write() {
            Ok(()) => {
                self.pending.clear();
                self.report(None);
            }
            Err(error) => {
                self.trail = None;
                self.keep_what_fits();
                self.report(Some(error.to_string()));
            }
        }
    }

    fn try_write(&mut self) -> io::Result<()> {
        let mut trail = match self.trail.take() {
            Some(trail) => trail,
            None if self.tried.is_some_and(|tried| tried.elapsed() < AGAIN) => {
                return Err(io::Error::other(self.last_error()));
            }
            None => {
                self.tried = Some(Instant::now());
                (self.open)()?.0
            }
        };
        for entry in &self.pending {
            trail.append(entry.kind, entry.at, entry.data.clone());
        }
        trail.commit(Timestamp::now())?;
        self.trail = Some(trail);
        Ok(())
    }

    fn last_error(&self) -> String {
        let health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        health.error.clone().unwrap_or_else(|| "the disk is tried again in a second".to_owned())
    }

    /// While the disk refuses, the newest records go first: what happened before an outage says how it began.
    fn keep_what_fits(&mut self) {
        let over = self.pending.len().saturating_sub(QUEUE);
        if over > 0 {
            self.pending.truncate(QUEUE);
            self.lost.fetch_add(over as u64, Ordering::Relaxed);
        }
    }

    fn idle(&mut self) {
        self.write();
        let Some(trail) = &mut self.trail else { return };
        let due = self.dropped.is_none_or(|dropped| dropped.elapsed() >= DROP);
        let result = trail.pack_one().and_then(|packed| {
            if packed || !due {
                return Ok(());
            }
            self.dropped = Some(Instant::now());
            trail.drop_one(Timestamp::now()).map(|_| ())
        });
        if let Err(error) = result {
            self.trail = None;
            self.report(Some(error.to_string()));
        }
    }

    fn report(&mut self, error: Option<String>) {
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        health.error = error;
        health.lost = self.given_up;
        if let Some(trail) = &self.trail {
            health.head = Some(trail.head());
            health.signed = trail.signed();
            health.generation = trail.key().0;
            trail.id().clone_into(&mut health.trail);
        }
    }
}
