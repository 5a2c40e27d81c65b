//! The command that fetches newer country data: when it runs, and what it says.
//!
//! Invariant: it runs without a shell, one at a time, and never longer than [`LIMIT`]; whatever comes of it, Sentinel goes on.
//! Not here: looking at the files afterwards (`watch`).

use std::{
    io::{BufRead as _, BufReader, Read},
    os::unix::process::CommandExt as _,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use rustix::process::{Pid, Signal, kill_process_group};

/// Longest run.
pub const LIMIT: Duration = Duration::from_secs(3600);
/// How often a run is looked at.
const CHECK: Duration = Duration::from_millis(200);
/// Longest line of output that is logged whole.
const LINE: u64 = 4096;

/// What the settings say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Updater {
    /// Program and arguments.
    pub command: Vec<String>,
    /// From one run to the next.
    pub every: Duration,
}

/// A run that may be going on; shared with whoever ends it.
#[derive(Debug, Clone, Default)]
pub struct Running(Arc<Mutex<Option<Child>>>);

impl Running {
    fn lock(&self) -> MutexGuard<'_, Option<Child>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends a run, with everything that it started in its process group.
    pub fn kill(&self) {
        let Some(mut child) = self.lock().take() else { return };
        let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        // Either fails only when the process is gone already.
        let _ = group.map(|group| kill_process_group(group, Signal::KILL));
        let _ = child.wait();
    }
}

/// When the updater runs.
#[derive(Debug)]
pub struct Schedule {
    updater: Option<Updater>,
    running: Running,
    due: Instant,
    started: Instant,
}

impl Schedule {
    /// Nothing to run yet.
    #[must_use]
    pub fn new(running: Running) -> Self {
        Self { updater: None, running, due: Instant::now(), started: Instant::now() }
    }

    /// Takes the settings; `newest` is the last change of the newest file. The first run is when that is as old as the time
    /// between runs, so that a restart fetches nothing needlessly.
    pub fn set(&mut self, updater: Option<Updater>, newest: Option<SystemTime>) {
        if self.updater == updater {
            return;
        }
        if let Some(updater) = &updater {
            let age = newest.map_or(updater.every, |newest| newest.elapsed().unwrap_or_default());
            self.due = Instant::now() + updater.every.saturating_sub(age);
        }
        self.updater = updater;
    }

    /// How long until there is something to do.
    #[must_use]
    pub fn wait(&self) -> Duration {
        match (&self.updater, self.running.lock().is_some()) {
            (_, true) => CHECK,
            (Some(_), false) => self.due.saturating_duration_since(Instant::now()),
            (None, false) => Duration::MAX,
        }
    }

    /// Starts what is due, and takes note of what has ended.
    pub fn tick(&mut self) {
        let ended = match self.running.lock().as_mut().map(Child::try_wait) {
            None => None,
            Some(Ok(None)) if self.started.elapsed() < LIMIT => return,
            Some(Ok(None)) => Some(Err(format!("it ran for more than {} minutes and was ended", LIMIT.as_secs() / 60))),
            Some(Ok(Some(status))) if status.success() => Some(Ok(())),
            Some(Ok(Some(status))) => Some(Err(status.to_string())),
            Some(Err(error)) => Some(Err(error.to_string())),
        };
        match ended {
            None => self.start_if_due(),
            Some(result) => {
                self.running.kill();
                match result {
                    Ok(()) => tracing::info!("the geo updater has ended"),
                    Err(why) => tracing::warn!("the geo updater failed: {why}; the data in force stays"),
                }
            }
        }
    }

    fn start_if_due(&mut self) {
        let Some(updater) = self.updater.as_ref().filter(|_| Instant::now() >= self.due) else { return };
        (self.started, self.due) = (Instant::now(), Instant::now() + updater.every);
        let Some((program, arguments)) = updater.command.split_first() else { return };
        tracing::info!("the geo updater starts: {program}");
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        match command.spawn() {
            Ok(mut child) => {
                child.stdout.take().map(log).into_iter().chain(child.stderr.take().map(log)).for_each(drop);
                *self.running.lock() = Some(child);
            }
            Err(error) => tracing::warn!("the geo updater cannot be started: {program}: {error}"),
        }
    }
}

/// Writes every line of an output into the log, on a thread of its own that ends with the output.
fn log(output: impl Read + Send + 'static) {
    let thread = std::thread::Builder::new().name("geo-updater".to_owned()).spawn(move || {
        let mut output = BufReader::new(output);
        let mut line = Vec::new();
        while matches!(output.by_ref().take(LINE).read_until(b'\n', &mut line), Ok(length) if length > 0) {
            tracing::info!("geo updater: {}", String::from_utf8_lossy(&line).trim_end());
            line.clear();
        }
    });
    if let Err(error) = thread {
        tracing::warn!("the geo updater's output is not logged: no thread for it: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn updater(script: &str, every: u64) -> Option<Updater> {
        let command = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
        Some(Updater { command, every: Duration::from_secs(every) })
    }

    fn run_until(schedule: &mut Schedule, what: impl Fn(&Schedule) -> bool) -> bool {
        (0..200).any(|_| {
            schedule.tick();
            std::thread::sleep(Duration::from_millis(10));
            what(schedule)
        })
    }

    #[test]
    fn it_runs_when_the_file_is_old_and_then_waits() {
        let mark = std::env::temp_dir().join(format!("sentinel-updater-{}", std::process::id()));
        let mut schedule = Schedule::new(Running::default());
        schedule.set(updater(&format!("echo ran >> {}", mark.display()), 3600), None);
        assert!(run_until(&mut schedule, |schedule| schedule.running.lock().is_none() && mark.exists()));
        assert!(schedule.wait() > Duration::from_secs(3000));
        (0..20).for_each(|_| schedule.tick());
        assert_eq!(std::fs::read_to_string(&mark).unwrap(), "ran\n");
        std::fs::remove_file(mark).unwrap();
    }

    #[test]
    fn a_new_file_is_not_fetched_at_once() {
        let mut schedule = Schedule::new(Running::default());
        schedule.set(updater("exit 1", 3600), Some(SystemTime::now() - Duration::from_secs(600)));
        let wait = schedule.wait();
        assert!((2900..=3000).contains(&wait.as_secs()), "{wait:?}");
    }

    #[test]
    fn a_run_is_ended_with_its_children() {
        let mut schedule = Schedule::new(Running::default());
        schedule.set(updater("sleep 1000 & wait", 3600), None);
        assert!(run_until(&mut schedule, |schedule| schedule.running.lock().is_some()));
        let group = schedule.running.lock().as_ref().map(Child::id).unwrap();
        schedule.running.kill();
        let group = Pid::from_raw(group as i32).unwrap();
        let gone = || rustix::process::test_kill_process_group(group).is_err();
        assert!((0..200).any(|_| {
            std::thread::sleep(Duration::from_millis(10));
            gone()
        }));
    }

    #[test]
    fn a_program_that_is_not_there_changes_nothing() {
        let mut schedule = Schedule::new(Running::default());
        let command = vec!["/nonexistent/updater".to_owned()];
        schedule.set(Some(Updater { command, every: Duration::from_secs(60) }), None);
        schedule.tick();
        assert!(schedule.running.lock().is_none() && schedule.wait() > Duration::from_secs(50));
    }
}
