//! The `sentinel` binary under test: started, asked for its status, read, stopped.
//!
//! Invariant: it never starts without directories of its own, in enforce mode on the host never without a scope, and
//! it is killed when its handle is dropped. It is driven through its command line alone, as a user would.

use std::{
    ffi::OsString,
    fs::{self, File},
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::{
    cgroup::Cgroup,
    command::{Outcome, Run},
    kept,
    scenario::{Ctx, Place, eventually},
    sys,
};

/// How long start-up may take: the verifier is slow in an emulated machine.
const STARTUP: Duration = Duration::from_secs(120);

/// A `sentinel run` being put together. Without further calls: monitor mode, shipped policies, embedded geo data.
pub struct Launch {
    bin: PathBuf,
    dir: PathBuf,
    place: Place,
    args: Vec<OsString>,
    env: Vec<(String, String)>,
    enforce: bool,
    scoped: bool,
    stdout_alerts: bool,
}

impl Launch {
    pub(super) fn new(ctx: &Ctx) -> Self {
        Self {
            bin: ctx.sentinel_bin.clone(),
            dir: ctx.path(format!("sentinel-{}", ctx.next())),
            place: ctx.place,
            args: Vec::new(),
            env: Vec::new(),
            enforce: false,
            scoped: false,
            stdout_alerts: false,
        }
    }

    /// Any further argument of `sentinel run`.
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Any further arguments.
    pub fn args<S: Into<OsString>>(self, args: impl IntoIterator<Item = S>) -> Self {
        args.into_iter().fold(self, Launch::arg)
    }

    /// An environment variable for the daemon.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds `--policy`.
    pub fn policy(self, path: &Path) -> Self {
        self.arg("--policy").arg(path)
    }

    /// Adds `--geoip`.
    pub fn geoip(self, path: &Path) -> Self {
        self.arg("--geoip").arg(path)
    }

    /// Adds `--config`.
    pub fn config(self, path: &Path) -> Self {
        self.arg("--config").arg(path)
    }

    /// Enforces in this cgroup.
    pub fn enforce_in(mut self, cgroup: &Cgroup) -> Self {
        (self.enforce, self.scoped) = (true, true);
        self.args(["--mode", "enforce", "--scope-cgroup"]).arg(cgroup.path())
    }

    /// Monitors this cgroup only.
    pub fn monitor_in(mut self, cgroup: &Cgroup) -> Self {
        self.scoped = true;
        self.args(["--mode", "monitor", "--scope-cgroup"]).arg(cgroup.path())
    }

    /// Enforces everywhere; refused outside the VM.
    pub fn enforce_whole_host(mut self) -> Self {
        self.enforce = true;
        self.args(["--mode", "enforce", "--whole-host"])
    }

    /// Sends the alerts to standard output instead of a file: how a user sees them in the foreground.
    pub fn alerts_on_stdout(mut self) -> Self {
        self.stdout_alerts = true;
        self
    }

    /// Uses the directories of an earlier start, to take over its pins or to read its audit trail.
    pub fn dirs_of(mut self, other: &Sentinel) -> Self {
        self.dir.clone_from(&other.dir);
        self
    }

    /// Starts it and waits until start-up is over.
    pub fn start(self) -> Result<Sentinel> {
        let mut sentinel = self.spawn()?;
        sentinel.wait_ready(STARTUP)?;
        Ok(sentinel)
    }

    /// Starts it and expects that it ends by itself, as it must on bad input.
    pub fn expect_exit(self, limit: Duration) -> Result<Outcome> {
        self.spawn()?.wait_exit(limit)
    }

    /// Starts it without waiting.
    pub fn spawn(self) -> Result<Sentinel> {
        let loose = self.enforce && !self.scoped;
        ensure!(self.place == Place::Vm || !loose, "refusing to enforce on the whole host outside the VM");
        fs::create_dir_all(&self.dir).with_context(|| format!("making {}", self.dir.display()))?;
        let (out, err) = (self.dir.join("stdout"), self.dir.join("stderr"));
        let create = |path: &Path| File::create(path).with_context(|| format!("making {}", path.display()));
        let mut command = Command::new(&self.bin);
        command.arg("run").arg("--run-dir").arg(self.dir.join("run")).arg("--state-dir").arg(self.dir.join("state"));
        let alerts = if self.stdout_alerts { out.clone() } else { self.dir.join("alerts.jsonl") };
        if !self.stdout_alerts {
            command.arg("--alerts").arg(format!("file:{}", alerts.display()));
        }
        // A test run that is killed must not leave an enforcing daemon: it stops with the thread that started it.
        // SAFETY: the closure makes one async-signal-safe system call.
        unsafe {
            command.pre_exec(|| {
                sys::check(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM, 0, 0, 0))?;
                Ok(())
            });
        }
        let child = command
            .args(&self.args)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(create(&out)?)
            .stderr(create(&err)?)
            .spawn()
            .with_context(|| format!("starting {}", self.bin.display()))?;
        Ok(Sentinel { child, bin: self.bin, dir: self.dir, alerts, reaped: None })
    }
}

/// A running daemon.
pub struct Sentinel {
    child: Child,
    bin: PathBuf,
    dir: PathBuf,
    alerts: PathBuf,
    reaped: Option<ExitStatus>,
}

impl Sentinel {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its run directory, where `control.sock` is.
    pub fn run_dir(&self) -> PathBuf {
        self.dir.join("run")
    }

    /// Its state directory, where `audit/` is.
    pub fn state_dir(&self) -> PathBuf {
        self.dir.join("state")
    }

    /// The file its alerts go to.
    pub fn alert_file(&self) -> &Path {
        &self.alerts
    }

    /// What it wrote to standard output so far.
    pub fn stdout(&self) -> String {
        read_lossy(&self.dir.join("stdout"))
    }

    /// What it wrote to standard error so far.
    pub fn stderr(&self) -> String {
        read_lossy(&self.dir.join("stderr"))
    }

    /// Another verb of the same binary, talking to this daemon: `sentinel VERB --run-dir ...`.
    pub fn verb(&self, verb: &str) -> Run {
        Run::new(&self.bin).arg(verb).arg("--run-dir").arg(self.run_dir())
    }

    /// Waits until start-up is over, whatever it enforces then.
    pub fn wait_ready(&mut self, limit: Duration) -> Result<()> {
        let end = Instant::now() + limit;
        loop {
            if let Some(status) = self.exited()? {
                bail!("sentinel ended during start-up ({status}), it said:\n{}", self.stderr());
            }
            // The exit code is the state's; 1 means that nothing answers (yet). While it starts, what an earlier one has left in
            // the kernel has a state too, without a process.
            let outcome = self.verb("status").args(["--json", "--wait", "5"]).limit(limit).outcome()?;
            let status: Value = serde_json::from_str(&outcome.stdout).unwrap_or_default();
            match outcome.code {
                Some(0 | 3 | 4) if status["pid"] == self.pid() => return Ok(()),
                _ if Instant::now() >= end => {
                    bail!("sentinel is not ready after {limit:?}: {outcome:?}, it said:\n{}", self.stderr())
                }
                _ => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    /// `sentinel status --json`, parsed.
    pub fn status_json(&self) -> Result<Value> {
        let outcome = self.verb("status").arg("--json").outcome()?;
        serde_json::from_str(&outcome.stdout).with_context(|| format!("status is not JSON: {outcome:?}"))
    }

    /// The exit code of `sentinel status`: 0 full, 3 partial, 4 none.
    pub fn status_code(&self) -> Result<i32> {
        let outcome = self.verb("status").outcome()?;
        outcome.code.with_context(|| format!("status was ended by a signal: {outcome:?}"))
    }

    /// Every alert written so far. A line that is not JSON is an error, an unfinished last line is left for later.
    pub fn alerts(&self) -> Result<Vec<Value>> {
        let text = read_lossy(&self.alerts);
        let Some(end) = text.rfind('\n') else { return Ok(Vec::new()) };
        text[..end]
            .lines()
            .map(|line| serde_json::from_str(line).with_context(|| format!("an alert that is not JSON: {line}")))
            .collect()
    }

    /// Waits for the first alert that `wanted` accepts; the error shows what came instead.
    pub fn wait_alert(&self, limit: Duration, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        let found = eventually("an alert as wanted", limit, || Ok(self.alerts()?.into_iter().find(&wanted)));
        found.with_context(|| {
            let all = self.alerts().unwrap_or_default();
            let lines = all.iter().fold(String::new(), |text, alert| format!("{text}\n{alert}"));
            format!("{} alerts came:{lines}\nsentinel said:\n{}", all.len(), self.stderr())
        })
    }

    /// Waits until at least `count` alerts that `wanted` accepts are there and gives those.
    pub fn wait_alerts(&self, count: usize, limit: Duration, wanted: impl Fn(&Value) -> bool) -> Result<Vec<Value>> {
        eventually(&format!("{count} alerts as wanted"), limit, || {
            let matching: Vec<Value> = self.alerts()?.into_iter().filter(|alert| wanted(alert)).collect();
            Ok((matching.len() >= count).then_some(matching))
        })
    }

    /// Waits until an alert file, quiet for `quiet`, shows that nothing more is coming; gives all alerts.
    pub fn settle(&self, quiet: Duration) -> Result<Vec<Value>> {
        let mut before = self.alerts()?.len();
        loop {
            std::thread::sleep(quiet);
            let alerts = self.alerts()?;
            if alerts.len() == before {
                return Ok(alerts);
            }
            before = alerts.len();
        }
    }

    /// Sends it a signal (`libc::SIGHUP` reloads).
    pub fn signal(&self, signal: libc::c_int) -> Result<()> {
        sys::kill(self.pid(), signal).context("signalling sentinel")
    }

    /// SIGTERM, then waits for the end. Gives how it ended.
    pub fn stop(self) -> Result<Outcome> {
        self.signal(libc::SIGTERM)?;
        self.wait_exit(Duration::from_secs(60))
    }

    /// SIGKILL: what a crash or an attacker does.
    pub fn kill(mut self) -> Result<Outcome> {
        self.child.kill().context("killing sentinel")?;
        self.wait_exit(Duration::from_secs(20))
    }

    /// Waits for it to end by itself.
    pub fn wait_exit(mut self, limit: Duration) -> Result<Outcome> {
        let status = eventually("sentinel to end", limit, || self.exited())
            .with_context(|| format!("sentinel said:\n{}", self.stderr()))?;
        Ok(Outcome { code: status.code(), signal: status.signal(), stdout: self.stdout(), stderr: self.stderr() })
    }

    /// How it ended, none while it runs.
    pub fn exited(&mut self) -> Result<Option<ExitStatus>> {
        if self.reaped.is_none() {
            self.reaped = self.child.try_wait()?;
        }
        Ok(self.reaped)
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        kept::keep(&read_lossy(&self.alerts));
        if self.reaped.is_some() {
            return;
        }
        // SIGTERM first: a scenario that failed half-way must not leave pins behind. Both calls fail only when the
        // process is gone already.
        let _ = self.signal(libc::SIGTERM);
        let ended = eventually("sentinel to end", Duration::from_secs(20), || self.exited());
        if ended.is_err() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn read_lossy(path: &Path) -> String {
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}
