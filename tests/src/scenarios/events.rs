//! Event facts, what every such scenario needs: a daemon that alerts on all that happens in one cgroup.
//!
//! Invariant: what an alert says is compared with what the test itself knows (the ids of its children, the names it gave,
//! the addresses it used), never with another field of the alert.

use std::{
    fs,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::harness::{
    cgroup::Cgroup,
    command::{Outcome, Run},
    scenario::{Ctx, eventually},
    sentinel::Sentinel,
};

/// Alerts on every event: the scope keeps it to the children of the scenario.
pub(super) const EVERYTHING: &str = r#"package sentinel.facts

alert contains {"id": "facts", "msg": input.event.action} if {
	input.event.action in {"exec", "open", "connect", "send"}
}
"#;

/// How long events may take to become alerts.
const LIMIT: Duration = Duration::from_secs(60);

/// A monitoring daemon whose scope is a cgroup of the scenario's own.
pub(super) struct Watch {
    /// The daemon.
    pub(super) sentinel: Sentinel,
    /// Where acts run.
    pub(super) scope: Cgroup,
    /// A directory for the scenario's objects.
    pub(super) dir: PathBuf,
    /// An executable that nobody else runs, for acts.
    pub(super) actor: PathBuf,
}

impl Watch {
    /// Starts it.
    pub(super) fn start(ctx: &Ctx) -> Result<Self> {
        let dir = fs::canonicalize(&ctx.dir)?.join("facts");
        fs::create_dir(&dir)?;
        let actor = ctx.program("facts/actor")?;
        let scope = ctx.cgroup("facts")?;
        // Each event is counted here; repeats have scenarios of their own.
        let config = ctx.write("facts.toml", "[events]\nrepeat_seconds = 0\n")?;
        let launch = ctx.sentinel().policy(&ctx.policy("facts", EVERYTHING)?).config(&config);
        let sentinel = launch.monitor_in(&scope).start()?;
        Ok(Self { sentinel, scope, dir, actor: fs::canonicalize(actor)? })
    }

    /// Runs a child inside the scope to its end; gives its id and how it ended.
    pub(super) fn run(&self, run: Run) -> Result<(u32, Outcome)> {
        let child = run.cgroup(&self.scope).start()?;
        let pid = child.pid();
        Ok((pid, child.finish()?))
    }

    /// Every alert, once all events have been handled.
    pub(super) fn all(&self) -> Result<Vec<Value>> {
        eventually("empty event rings", LIMIT, || {
            let status = self.sentinel.status_json()?;
            let counters = status["counters"].as_object().context("a status without counters")?;
            Ok(counters.values().all(|kind| kind["in_ring"] == 0).then_some(()))
        })?;
        self.sentinel.settle(Duration::from_millis(300))
    }

    /// Ends the daemon, which must not complain.
    pub(super) fn end(self) -> Result<()> {
        let ended = self.sentinel.stop()?;
        ensure!(ended.code == Some(0), "sentinel ended badly: {ended:?}");
        Ok(())
    }
}

/// The alerts of one kind of event by one process.
pub(super) fn by<'a>(alerts: &'a [Value], pid: u32, action: &str) -> Vec<&'a Value> {
    alerts.iter().filter(|a| a["process"]["pid"] == pid && a["event"]["action"] == action).collect()
}

/// The only alert of this kind by this process.
pub(super) fn only<'a>(alerts: &'a [Value], pid: u32, action: &str) -> Result<&'a Value> {
    match by(alerts, pid, action).as_slice() {
        [one] => Ok(*one),
        several => {
            let text = several.iter().fold(String::new(), |text, alert| format!("{text}\n{alert}"));
            bail!("expected one {action} by process {pid}, found {} (of {} alerts):{text}", several.len(), alerts.len())
        }
    }
}

/// The only open of this file by this process.
pub(super) fn only_open<'a>(alerts: &'a [Value], pid: u32, path: &str) -> Result<&'a Value> {
    let opens: Vec<&Value> = by(alerts, pid, "open").into_iter().filter(|a| a["file"]["path"] == path).collect();
    match opens.as_slice() {
        [one] => Ok(one),
        several => {
            let paths: Vec<&Value> = by(alerts, pid, "open").into_iter().map(|a| &a["file"]["path"]).collect();
            bail!("expected one open of {path} by process {pid}, found {}; it opened {paths:?}", several.len())
        }
    }
}

/// Fails with every difference between an alert and what is known, by JSON pointer. `null` stands for absent. What ECS has no
/// field for is found among the facts.
pub(super) fn expect(alert: &Value, known: &[(&str, Value)]) -> Result<()> {
    let found = |pointer: &str| alert.pointer(pointer).or_else(|| alert["sentinel"]["facts"].pointer(pointer));
    let wrong: Vec<String> = known
        .iter()
        .filter(|(pointer, value)| found(pointer).unwrap_or(&Value::Null) != value)
        .map(|(pointer, value)| format!("{pointer} is {:?}, not {value}", found(pointer)))
        .collect();
    ensure!(wrong.is_empty(), "{}\nin {alert}", wrong.join("\n"));
    Ok(())
}

/// What is known of a child that this test program started: its parent, and that nobody else is the user.
pub(super) fn child_of_test(ctx: &Ctx, uid: u32) -> Result<Vec<(&'static str, Value)>> {
    let own = text(&fs::canonicalize(&ctx.tests_bin)?);
    Ok(vec![
        ("/process/parent/pid", json!(std::process::id())),
        ("/process/parent/executable", json!(own)),
        ("/process/ancestors/0/pid", json!(std::process::id())),
        ("/process/ancestors/0/executable", json!(own)),
        ("/process/user/id", json!(uid.to_string())),
        ("/user/id", json!(uid.to_string())),
        ("/container", Value::Null),
    ])
}

/// A path as alerts show it: what is not UTF-8 becomes replacement characters.
pub(super) fn text(path: &Path) -> String {
    String::from_utf8_lossy(path.as_os_str().as_bytes()).into_owned()
}

/// The number behind `key` in a line that an act child printed.
pub(super) fn printed(outcome: &Outcome, key: &str) -> Result<Vec<u32>> {
    let numbers = outcome.stdout.lines().filter_map(|line| line.strip_prefix(key)?.parse().ok()).collect::<Vec<u32>>();
    ensure!(!numbers.is_empty(), "no `{key}` in {outcome:?}");
    Ok(numbers)
}
