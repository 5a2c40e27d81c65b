//! Reads policies anew, when their files change or when asked, on a thread of its own: compiles them and runs their tests.
//!
//! Invariant: the thread never decides what is in force: it hands over what could be ([`Attempt`]). Whoever replaces
//! files, by renaming over them, by swapping a link or by writing into them, is noticed; should the kernel not tell, by
//! looking every few seconds. What was refused is not read again until it changes. Not here: country databases
//! (`geo::watch`).

use std::{
    collections::BTreeSet,
    fs,
    path::PathBuf,
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use rules::testing::{self, TestOptions, TestOutcome};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::{
    config::{Config, DEFAULT_FILE, Flags, Tests},
    policy::{self, Read},
    watcher::{slow, watcher},
};

mod stamp;

pub use stamp::Stamps;

/// Files that change are read when they have been the same for this long: an editor writes several at once.
const DEBOUNCE: Duration = Duration::from_millis(100);
/// Files are looked at this often without being told.
const POLL: Duration = Duration::from_secs(2);
/// What is watched.
const WHAT: &str = "policies";

/// What could be in force.
pub struct Candidate {
    /// The settings, read again.
    pub config: Config,
    /// The policies.
    pub read: Read,
    /// Documents that they were compiled with.
    pub defaults: Vec<(String, String)>,
}

/// One reading.
pub struct Attempt {
    /// What it gave.
    pub result: Result<Candidate>,
    /// Why it was made.
    pub cause: Cause,
}

/// Why policies are read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Somebody asked.
    Asked,
    /// A file has changed.
    Changed,
    /// Nobody: the tests of what is in force were run at the start; there is no candidate.
    Start,
}

enum Wake {
    Touched,
    Asked,
    End,
}

/// The handle of the thread; dropping it ends the thread.
pub struct Reload {
    wakes: Sender<Wake>,
    attempts: UnboundedReceiver<Attempt>,
}

impl Reload {
    /// Starts the thread. `seen` is what the files were like before those in force were read.
    ///
    /// # Errors
    ///
    /// If there can be no thread.
    pub fn start(flags: Flags, config: &Config, seen: Stamps) -> Result<Self> {
        let (wakes, inbox) = channel();
        let (sender, attempts) = unbounded_channel();
        let touched = wakes.clone();
        let tell = move || {
            let _ = touched.send(Wake::Touched);
        };
        let mut thread = Thread {
            watcher: config.watch.then(|| watcher(WHAT, POLL, tell)).flatten(),
            watching: config.watch,
            watched: BTreeSet::new(),
            paths: paths(&flags, config),
            flags,
            seen,
            pending: None,
            sender,
        };
        let builder = std::thread::Builder::new().name("reload".to_owned());
        builder.spawn(move || thread.run(&inbox)).context("no thread to read policies on")?;
        Ok(Self { wakes, attempts })
    }

    /// Reads everything again, whether it has changed or not.
    pub fn ask(&self) {
        // The thread ends only when it is told to.
        let _ = self.wakes.send(Wake::Asked);
    }

    /// The next reading. Never ends.
    pub async fn next(&mut self) -> Attempt {
        match self.attempts.recv().await {
            Some(attempt) => attempt,
            None => std::future::pending().await,
        }
    }
}

impl Drop for Reload {
    fn drop(&mut self) {
        let _ = self.wakes.send(Wake::End);
    }
}

/// What a reading depends on.
#[must_use]
pub fn paths(flags: &Flags, config: &Config) -> Vec<PathBuf> {
    let settings = flags.config.clone().unwrap_or_else(|| DEFAULT_FILE.into());
    let keys = config.verification.keys.values().map(|key| &key.file);
    config.policy.iter().chain(&config.data).chain(keys).cloned().chain([settings]).collect()
}

struct Thread {
    watcher: Option<RecommendedWatcher>,
    /// Whether changes count; else only being asked does.
    watching: bool,
    watched: BTreeSet<PathBuf>,
    paths: Vec<PathBuf>,
    flags: Flags,
    seen: Stamps,
    /// Versions that were not read yet, and since when they are the same.
    pending: Option<(Stamps, Instant)>,
    sender: UnboundedSender<Attempt>,
}

impl Thread {
    fn run(&mut self, inbox: &Receiver<Wake>) {
        self.watch();
        if let Err(error) = Config::load(&self.flags).and_then(|config| run_tests(&config)) {
            let _ = self.sender.send(Attempt { result: Err(error), cause: Cause::Start });
        }
        loop {
            let first = match inbox.recv_timeout(self.wait()) {
                Ok(wake) => Some(wake),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let mut asked = false;
            // A busy directory wakes often; all of that is one look.
            for wake in first.into_iter().chain(inbox.try_iter()) {
                match wake {
                    Wake::Touched => {}
                    Wake::Asked => asked = true,
                    Wake::End => return,
                }
            }
            if asked {
                self.read(Cause::Asked);
            } else if self.watching && self.settled() {
                self.read(Cause::Changed);
            }
        }
    }

    fn wait(&self) -> Duration {
        self.pending.as_ref().map_or(POLL, |(_, since)| DEBOUNCE.saturating_sub(since.elapsed()))
    }

    /// Whether there are other versions than those read, and they no longer change.
    fn settled(&mut self) -> bool {
        let stamps = Stamps::of(&self.paths);
        if stamps == self.seen {
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

    /// Reads. The versions are those from before: what changes meanwhile is read again.
    fn read(&mut self, cause: Cause) {
        self.pending = None;
        self.seen = Stamps::of(&self.paths);
        let config = Config::load(&self.flags);
        if let Ok(config) = &config {
            let paths = paths(&self.flags, config);
            if paths != self.paths {
                self.paths = paths;
                self.seen = Stamps::of(&self.paths);
            }
        }
        let result = config.and_then(candidate);
        self.watch();
        let _ = self.sender.send(Attempt { result, cause });
    }

    /// Watches what is read: directories with all below them, and those in which names of files or links change.
    fn watch(&mut self) {
        let Some(watcher) = &mut self.watcher else { return };
        let wanted = directories(&self.paths);
        for gone in self.watched.difference(&wanted) {
            // It fails for a directory that is gone itself.
            let _ = watcher.unwatch(gone);
        }
        let mut watched: BTreeSet<PathBuf> = self.watched.intersection(&wanted).cloned().collect();
        for new in wanted.difference(&self.watched) {
            let depth = if self.paths.contains(new) { RecursiveMode::Recursive } else { RecursiveMode::NonRecursive };
            match watcher.watch(new, depth) {
                Ok(()) => {
                    watched.insert(new.clone());
                }
                Err(error) => slow(WHAT, POLL, &error),
            }
        }
        self.watched = watched;
    }
}

/// The directories to watch: of each path itself, if it is one, and where its name and that of its target are.
fn directories(paths: &[PathBuf]) -> BTreeSet<PathBuf> {
    let real: Vec<PathBuf> = paths.iter().filter_map(|path| fs::canonicalize(path).ok()).collect();
    let all = paths.iter().chain(&real);
    let parents = all.clone().filter_map(|path| path.parent()).map(|parent| match parent {
        bare if bare.as_os_str().is_empty() => PathBuf::from("."),
        parent => parent.to_path_buf(),
    });
    parents.chain(all.filter(|path| path.is_dir()).cloned()).filter(|path| path.is_dir()).collect()
}

fn candidate(config: Config) -> Result<Candidate> {
    let read = policy::read(&config)?;
    run_tests(&config)?;
    let defaults = crate::embargo::defaults()?;
    Ok(Candidate { config, read, defaults })
}

/// Runs the tests of policies that are not the shipped ones.
fn run_tests(config: &Config) -> Result<()> {
    if config.tests == Tests::Skip || config.policy.is_empty() {
        return Ok(());
    }
    let options = TestOptions {
        paths: config.policy.clone(),
        data: config.data.clone(),
        defaults: crate::embargo::defaults()?,
        verification: config.verification.clone(),
        ..TestOptions::default()
    };
    if !testing::any(&options) {
        return Ok(());
    }
    let report = testing::run(&options)
        .map_err(|errors| anyhow::anyhow!("the tests of the policies are not usable:\n{errors}"))?;
    let failed = report.cases.iter().filter_map(|case| {
        let why = match &case.outcome {
            TestOutcome::Pass | TestOutcome::Skip => return None,
            TestOutcome::Fail(_) => "failed",
            TestOutcome::Error(error) => error,
        };
        Some(format!("{}:{}: {}.{}: {why}", case.file, case.line, case.package, case.name))
    });
    let failed: Vec<String> = failed.collect();
    if !failed.is_empty() {
        bail!(
            "{} of {} tests of the policies do not pass (`sentinel test` shows them; [policies] tests = \"skip\" leaves them \
             out):\n{}",
            failed.len(),
            report.cases.len(),
            failed.join("\n")
        );
    }
    Ok(())
}

/// Stamps of what the settings name, to be taken before anything is read.
#[must_use]
pub fn stamps(flags: &Flags, config: &Config) -> Stamps {
    Stamps::of(&paths(flags, config))
}

#[cfg(test)]
mod tests;
