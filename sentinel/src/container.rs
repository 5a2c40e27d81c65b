//! What a cgroup says of the processes in it: their container, pod or service.
//!
//! Invariants: the id of a container comes from the cgroup's path, which is known from when the cgroup is made; so it is
//! right for the first event of a container, and for one that is gone. Names come from the files that runtimes and the
//! kubelet keep: hostile bytes, read by a thread of its own, once for each cgroup. The events wait for it only for
//! [`PATIENCE`]. Whoever may make cgroups chooses their names: the outermost one counts, which is the host's own runtime's.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    time::{Duration, Instant},
};

use crate::kernel::cgroup::Cgroups;

mod files;
mod parse;

pub use files::{Names, read};
pub use parse::{Place, Runtime, parse};

/// Cgroups kept; runtimes make new ones all the time.
const LIMIT: usize = 16_384;
/// How long an event waits for the names of a container that is new.
const PATIENCE: Duration = Duration::from_millis(50);
/// Containers whose files were not there are looked for again after so long, so many times.
const AGAIN: Duration = Duration::from_secs(1);
const TIMES: u8 = 10;
/// Requests that may wait for the thread.
const QUEUE: usize = 256;

/// What is known of a cgroup.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context {
    /// What its path says.
    pub place: Place,
    /// What the runtime's files say.
    pub names: Names,
}

#[derive(Debug)]
struct Entry {
    context: Option<Arc<Context>>,
    /// When names were asked for last, and how often; none if there is nothing to ask.
    asked: Option<(Instant, u8)>,
}

/// What cgroups say, by their id.
#[derive(Debug)]
pub struct Containers {
    cgroups: Option<Cgroups>,
    known: HashMap<u64, Entry>,
    /// Paths of cgroups that nothing has happened in yet.
    made: HashMap<u64, String>,
    reader: Option<Reader>,
}

/// The thread that reads files.
#[derive(Debug)]
struct Reader {
    requests: SyncSender<(u64, Place)>,
    answers: Receiver<(u64, Names)>,
    /// An answer was waited for in vain: nothing waits until the thread has answered again.
    stuck: bool,
}

impl Containers {
    /// Looks paths up in this hierarchy, and names in the files below `root`.
    #[must_use]
    pub fn new(cgroups: Cgroups, root: PathBuf) -> Self {
        Self { cgroups: Some(cgroups), known: HashMap::new(), made: HashMap::new(), reader: Reader::start(root) }
    }

    /// Knows no containers.
    #[cfg(test)]
    #[must_use]
    pub fn none() -> Self {
        Self { cgroups: None, known: HashMap::new(), made: HashMap::new(), reader: None }
    }

    /// A cgroup was made.
    pub fn made(&mut self, cgroup: u64, path: &[u8]) {
        if self.made.len() >= LIMIT {
            self.made.clear();
        }
        self.known.remove(&cgroup);
        self.made.insert(cgroup, String::from_utf8_lossy(path).into_owned());
    }

    /// What a cgroup says; none if that is nothing, or not to be known any more.
    pub fn of(&mut self, cgroup: u64) -> Option<Arc<Context>> {
        if let Some(entry) = self.known.get(&cgroup) {
            if entry.asked.is_none() {
                return entry.context.clone();
            }
            self.ask_again(cgroup);
            return self.known.get(&cgroup)?.context.clone();
        }
        let place = parse(&self.path(cgroup)?);
        if self.known.len() >= LIMIT {
            self.known.clear();
        }
        let wanted = place.container.is_some();
        let context = (place != Place::default()).then(|| Arc::new(Context { place, names: Names::default() }));
        self.known.insert(cgroup, Entry { context, asked: wanted.then(|| (Instant::now(), 0)) });
        if wanted {
            self.ask(cgroup);
            self.wait(cgroup);
        }
        self.known.get(&cgroup)?.context.clone()
    }

    /// The path of a cgroup: as the kernel told it when it was made, or by its id while it exists.
    fn path(&mut self, cgroup: u64) -> Option<String> {
        self.made.remove(&cgroup).or_else(|| self.cgroups.as_ref()?.path(cgroup))
    }

    /// Takes in what has come, and asks once more for what was not there.
    fn ask_again(&mut self, cgroup: u64) {
        self.take_in();
        let due = |entry: &Entry| entry.asked.is_some_and(|(at, times)| times < TIMES && at.elapsed() >= AGAIN);
        if self.known.get(&cgroup).is_some_and(due) {
            self.ask(cgroup);
        }
    }

    fn ask(&mut self, cgroup: u64) {
        let Some(entry) = self.known.get_mut(&cgroup) else { return };
        let (Some(reader), Some(context)) = (&self.reader, &entry.context) else { return };
        // A queue that is full is a thread that hangs on a file; the next event asks again.
        let times = entry.asked.map_or(0, |(_, times)| times);
        if reader.requests.try_send((cgroup, context.place.clone())).is_ok() {
            entry.asked = Some((Instant::now(), times + 1));
        }
    }

    /// Waits for the names of a cgroup, not for long.
    fn wait(&mut self, cgroup: u64) {
        let end = Instant::now() + PATIENCE;
        while let Some(reader) = self.reader.as_mut().filter(|reader| !reader.stuck) {
            let left = end.saturating_duration_since(Instant::now());
            match reader.answers.recv_timeout(left) {
                Ok((answered, names)) => {
                    self.learn(answered, names);
                    if answered == cgroup {
                        return;
                    }
                }
                Err(_) => reader.stuck = true,
            }
        }
    }

    fn take_in(&mut self) {
        while let Some((cgroup, names)) = self.reader.as_mut().and_then(|reader| reader.answers.try_recv().ok()) {
            if let Some(reader) = &mut self.reader {
                reader.stuck = false;
            }
            self.learn(cgroup, names);
        }
    }

    fn learn(&mut self, cgroup: u64, names: Names) {
        let Some(entry) = self.known.get_mut(&cgroup) else { return };
        if names == Names::default() {
            return;
        }
        entry.asked = None;
        entry.context = entry.context.take().map(|known| Arc::new(Context { place: known.place.clone(), names }));
    }
}

impl Reader {
    /// Starts the thread; without one there are no names.
    fn start(root: PathBuf) -> Option<Self> {
        let (requests, wanted) = sync_channel::<(u64, Place)>(QUEUE);
        let (answer, answers) = sync_channel(QUEUE);
        let work = move || {
            for (cgroup, place) in wanted {
                // Nobody takes answers any more: the daemon ends.
                if answer.send((cgroup, read(&root, &place))).is_err() {
                    return;
                }
            }
        };
        let started = std::thread::Builder::new().name("containers".to_owned()).spawn(work);
        match started {
            Ok(_) => Some(Self { requests, answers, stuck: false }),
            Err(error) => {
                tracing::warn!("containers have no names: starting a thread failed: {error}");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests;
