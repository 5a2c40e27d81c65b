//! Waits for changes of the files with country data, and reads what has changed, on a thread of its own.
//!
//! Invariant: the thread never decides what is in force: it hands over what could be ([`Renewed`]), and is told what is. An
//! answer that was overtaken by a reload is dropped. Whoever replaces a file, by renaming over it, by swapping a link or by
//! writing into it, is noticed; should the kernel not tell, by looking every few seconds.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context as _, Result};
use geoip::TableImage;
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::{
    GeoData, News, Stamp, Wanted,
    updater::{Running, Schedule, Updater},
};
use crate::{
    countries::ClassTable,
    watcher::{slow, watcher},
};

/// A file that changes is read when it has been the same for this long.
const DEBOUNCE: Duration = Duration::from_millis(200);
/// Files are looked at this often without being told.
const POLL: Duration = Duration::from_secs(5);
/// What is watched.
const WHAT: &str = "country databases";

/// What is in force, as the thread has to know it.
#[derive(Debug, Clone)]
pub struct InForce {
    /// The settings.
    pub wanted: Wanted,
    /// The updater.
    pub updater: Option<Updater>,
    /// The data.
    pub data: GeoData,
    /// Its classes; none while no rule is about countries.
    pub table: Option<Arc<ClassTable>>,
}

/// A new table, and its form for the kernel.
pub type Built = (Arc<ClassTable>, Arc<TableImage>);

/// What could be in force now.
#[derive(Debug)]
pub struct Renewed {
    /// The data.
    pub data: GeoData,
    /// What is new about it.
    pub news: Vec<(PathBuf, News)>,
    /// Its table, where it needs another one.
    pub table: Option<Built>,
    epoch: u64,
}

enum Wake {
    Touched,
    InForce(Box<InForce>, u64),
    End,
}

/// The handle of the thread; dropping it ends the thread and the updater.
pub struct Watch {
    wakes: Sender<Wake>,
    renewed: UnboundedReceiver<Renewed>,
    running: Running,
    epoch: u64,
}

impl Watch {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// If there can be no thread.
    pub fn start(in_force: InForce) -> Result<Self> {
        let (wakes, inbox) = channel();
        let (sender, renewed) = unbounded_channel();
        let running = Running::default();
        let touched = wakes.clone();
        let mut thread = Thread {
            watcher: watcher(WHAT, POLL, move || {
                let _ = touched.send(Wake::Touched);
            }),
            watched: BTreeSet::new(),
            schedule: Schedule::new(running.clone()),
            in_force,
            pending: None,
            epoch: 0,
            sender,
        };
        let builder = std::thread::Builder::new().name("geo-watch".to_owned());
        builder.spawn(move || thread.run(&inbox)).context("no thread to watch country databases on")?;
        Ok(Self { wakes, renewed, running, epoch: 0 })
    }

    /// Says what is in force from now on; what was read before is overtaken.
    pub fn in_force(&mut self, in_force: InForce) {
        self.epoch += 1;
        // The thread ends only when it is told to.
        let _ = self.wakes.send(Wake::InForce(Box::new(in_force), self.epoch));
    }

    /// The next change. Never ends.
    pub async fn next(&mut self) -> Renewed {
        loop {
            match self.renewed.recv().await {
                Some(renewed) if renewed.epoch == self.epoch => return renewed,
                Some(_) => {}
                None => std::future::pending().await,
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.wakes.send(Wake::End);
        self.running.kill();
    }
}

struct Thread {
    watcher: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
    schedule: Schedule,
    in_force: InForce,
    /// Versions that were not looked at yet, and since when they are the same.
    pending: Option<(Vec<Stamp>, Instant)>,
    epoch: u64,
    sender: UnboundedSender<Renewed>,
}

impl Thread {
    fn run(&mut self, inbox: &Receiver<Wake>) {
        self.settings();
        loop {
            let first = match inbox.recv_timeout(self.wait()) {
                Ok(wake) => Some(wake),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            // A busy directory wakes often; all of that is one look.
            for wake in first.into_iter().chain(inbox.try_iter()) {
                match wake {
                    Wake::Touched => {}
                    Wake::InForce(in_force, epoch) => {
                        (self.in_force, self.epoch, self.pending) = (*in_force, epoch, None);
                        self.settings();
                    }
                    Wake::End => return,
                }
            }
            self.schedule.tick();
            if self.settled() {
                self.renew();
            }
        }
    }

    fn settings(&mut self) {
        self.watch_directories();
        let modified = |path: &PathBuf| fs::metadata(path).and_then(|meta| meta.modified()).ok();
        let newest: Option<SystemTime> = self.in_force.wanted.files.iter().filter_map(modified).max();
        self.schedule.set(self.in_force.updater.clone(), newest);
    }

    fn wait(&self) -> Duration {
        let debounce = |(_, since): &(Vec<Stamp>, Instant)| DEBOUNCE.saturating_sub(since.elapsed());
        self.pending.as_ref().map_or(POLL, debounce).min(self.schedule.wait())
    }

    /// Whether there are other versions than those looked at, and they no longer change.
    fn settled(&mut self) -> bool {
        let stamps = self.in_force.data.stamps();
        if self.in_force.data.has_seen(&stamps) {
            self.pending = None;
            return false;
        }
        match &self.pending {
            Some((seen, since)) if *seen == stamps => since.elapsed() >= DEBOUNCE,
            _ => {
                self.pending = Some((stamps, Instant::now()));
                false
            }
        }
    }

    fn renew(&mut self) {
        self.pending = None;
        let now = u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or_default();
        let old = self.in_force.data.clone();
        let result = GeoData::load(&self.in_force.wanted, Some(&old), now);
        let renewed = result.and_then(|(data, news)| Ok(Renewed { table: self.table(&data)?, data, news, epoch: 0 }));
        let renewed = renewed.unwrap_or_else(|error| {
            let why = crate::problem::text(&error);
            let news = self.in_force.wanted.files.iter().map(|path| (path.clone(), News::Refused(why.clone())));
            Renewed { news: news.collect(), data: old.seen_refusing(&why), table: None, epoch: 0 }
        });
        // Until told otherwise: what was read is not to be read again.
        self.in_force.data = renewed.data.clone();
        self.watch_directories();
        let _ = self.sender.send(Renewed { epoch: self.epoch, ..renewed });
    }

    /// A new table for data that the one in force is not of.
    fn table(&self, data: &GeoData) -> Result<Option<Built>> {
        match &self.in_force.table {
            Some(table) if !table.is_of(&data.votes) => {
                let (table, image) = ClassTable::build(&data.votes)?;
                Ok(Some((Arc::new(table), Arc::new(image))))
            }
            Some(_) | None => Ok(None),
        }
    }

    /// Watches the directories in which names of the files change: their own, and those that links lead to.
    fn watch_directories(&mut self) {
        let files = &self.in_force.wanted.files;
        let real: Vec<PathBuf> = files.iter().filter_map(|path| fs::canonicalize(path).ok()).collect();
        let parent = |path: &PathBuf| path.parent().map(|parent| named(parent).to_path_buf());
        let wanted: BTreeSet<PathBuf> = files.iter().chain(&real).filter_map(parent).collect();
        let Some(watcher) = &mut self.watcher else { return };
        for gone in self.watched.difference(&wanted) {
            // It fails for a directory that is gone itself.
            let _ = watcher.unwatch(gone);
        }
        let mut watched: BTreeSet<PathBuf> = self.watched.intersection(&wanted).cloned().collect();
        for new in wanted.difference(&self.watched) {
            match watcher.watch(new, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    watched.insert(new.clone());
                }
                Err(error) => slow(WHAT, POLL, &error),
            }
        }
        self.watched = watched;
    }
}

/// The directory of a bare file name is this one.
fn named(parent: &Path) -> &Path {
    if parent.as_os_str().is_empty() { Path::new(".") } else { parent }
}

#[cfg(test)]
mod tests;
