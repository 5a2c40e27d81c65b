//! A flood of events, and refusals hidden in it: all of them are counted, and every refusal is told.
//!
//! `SENTINEL_FLOOD` says for how many seconds the processes go on (3 if it is not set); the long form is `SENTINEL_FLOOD=60
//! SENTINEL_TESTS_LIMIT=900 sentinel-tests host flood`, in the VM with `env` before it.
//! Invariant: the counts are compared with those that the processes made themselves. Events may be lost, if that is said.

use std::{collections::BTreeSet, fmt::Write as _, path::PathBuf, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{
    enforce_lab::{Ground, PATIENCE, is_rule, stop, text},
    events_own::{count, quiet},
};
use crate::harness::{
    command::Running,
    scenario::{Ctx, Scenario, World},
    sentinel::Sentinel,
};

/// The scenarios of this file.
pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario { name: "flood-is-accounted-for", world: World::Both, run: flood },
        Scenario { name: "flood-while-the-daemon-stands-still", world: World::Both, run: standstill },
    ]
}

/// Processes that make events.
const PROCESSES: usize = 8;
/// Files that each of them opens in turn.
const FILES: usize = 1000;
/// Opens for each connect.
const OPENS: usize = 10;
/// Refusals in between.
const REFUSALS: u16 = 500;
/// Milliseconds between two of them.
const PAUSE: &str = "4";
/// For how long the daemon stands still.
const STANDSTILL: Duration = Duration::from_secs(5);
/// Nobody else is refused on these ports.
const FIRST_PORT: u16 = 20_000;
const POLICY: &str =
    "package sentinel.flood\n\nblock_cidrs contains {\"id\": \"hidden\", \"value\": \"203.0.113.0/24\"}\n";

fn seconds(least: u64) -> Result<u64> {
    match std::env::var("SENTINEL_FLOOD") {
        Ok(text) => text.parse().with_context(|| format!("SENTINEL_FLOOD is `{text}`: expected a number of seconds")),
        Err(_) => Ok(least),
    }
}

fn flood(ctx: &Ctx) -> Result<()> {
    Lab::prepare(ctx)?.run(seconds(3)?, |_| Ok(()))
}

/// What comes meanwhile is in the rings, or counted as lost; of what is refused there is room for all.
fn standstill(ctx: &Ctx) -> Result<()> {
    Lab::prepare(ctx)?.run(seconds(7)?, |sentinel| {
        std::thread::sleep(Duration::from_millis(500));
        sentinel.signal(libc::SIGSTOP)?;
        std::thread::sleep(STANDSTILL);
        sentinel.signal(libc::SIGCONT)
    })
}

struct Lab<'a> {
    ctx: &'a Ctx,
    ground: Ground,
    sentinel: Sentinel,
    /// What the processes do in turn, a line each.
    work: PathBuf,
}

/// What a process says that it did.
#[derive(Debug, Default, Clone, Copy)]
struct Made {
    opens: u64,
    connects: u64,
}

impl<'a> Lab<'a> {
    fn prepare(ctx: &'a Ctx) -> Result<Self> {
        let ground = Ground::prepare(ctx)?;
        let mut lines = String::new();
        for file in 0..FILES {
            let path = ctx.write(format!("files/{file}"), "x")?;
            // Writing to a string cannot fail.
            let _ = writeln!(lines, "open {} read", path.display());
            if file % OPENS == 0 {
                let _ = writeln!(lines, "udp-connect 198.51.100.1:{}", 1000 + file);
            }
        }
        let work = ctx.write("work", lines)?;
        let sentinel = ctx.sentinel().enforce_in(&ground.cgroup).policy(&ctx.policy("flood", POLICY)?).start()?;
        Ok(Self { ctx, ground, sentinel, work })
    }

    /// A process in the scope that waits for a line, does this, says so, and waits once more: what it opens to start and to end is
    /// not counted.
    fn process(&self, steps: &[String]) -> Result<Running> {
        let mut all: Vec<String> = ["say", "ready", "--", "wait", "--"].map(str::to_owned).into();
        all.extend_from_slice(steps);
        all.extend(["--", "say", "done", "--", "wait"].map(str::to_owned));
        let act = self.ctx.act_as(&self.ctx.tests_bin, &all).cgroup(&self.ground.cgroup).netns(&self.ground.pair.near);
        let mut child = act.start()?;
        child.wait_line("ready")?;
        Ok(child)
    }

    fn worker(&self, number: usize, seconds: u64) -> Result<Running> {
        let (time, first) = ((seconds * 1000).to_string(), (number * FILES / PROCESSES).to_string());
        self.process(&["storm-for".to_owned(), time, first, text_of(&self.work)])
    }

    /// One attempt at each of the ports.
    fn refused(&self) -> Result<Running> {
        let mut steps = Vec::new();
        for port in FIRST_PORT..FIRST_PORT + REFUSALS {
            steps.extend(["udp-connect".to_owned(), format!("203.0.113.1:{port}"), "--".to_owned()]);
            steps.extend(["sleep", PAUSE, "--"].map(str::to_owned));
        }
        steps.pop();
        self.process(&steps)
    }

    fn run(self, seconds: u64, meanwhile: impl Fn(&Sentinel) -> Result<()>) -> Result<()> {
        let mut workers: Vec<Running> =
            (0..PROCESSES).map(|number| self.worker(number, seconds)).collect::<Result<_>>()?;
        let mut refused = self.refused()?;
        let before = quiet(&self.sentinel)?;
        workers.iter_mut().try_for_each(|worker| worker.say("go"))?;
        refused.say("go")?;
        meanwhile(&self.sentinel)?;
        let mut made = Made::default();
        for worker in &mut workers {
            let own = result(worker)?;
            (made.opens, made.connects) = (made.opens + own.opens, made.connects + own.connects);
        }
        let errnos: BTreeSet<i32> = (0..REFUSALS).map(|_| refused.next_errno()).collect::<Result<_>>()?;
        ensure!(errnos == BTreeSet::from([libc::EPERM]), "what is refused came out with {errnos:?}");
        let after = quiet(&self.sentinel)?;
        accounted(&before, &after, made)?;
        self.told()?;
        for mut child in workers.into_iter().chain([refused]) {
            child.say("end")?;
            ensure!(child.finish()?.code == Some(0));
        }
        stop(self.sentinel)
    }

    /// An alert for every refusal, and for each one only.
    fn told(&self) -> Result<()> {
        let alerts = self.sentinel.wait_alerts(REFUSALS.into(), PATIENCE, |alert| is_rule(alert, "hidden"))?;
        let ports: BTreeSet<u64> = alerts.iter().filter_map(|alert| alert["destination"]["port"].as_u64()).collect();
        let expected: BTreeSet<u64> = (FIRST_PORT..FIRST_PORT + REFUSALS).map(u64::from).collect();
        ensure!(ports == expected, "{} ports in the alerts, {} refused", ports.len(), expected.len());
        ensure!(alerts.len() == usize::from(REFUSALS), "{} alerts for {REFUSALS} refusals", alerts.len());
        ensure!(alerts.iter().all(|alert| text(alert, "/event/outcome") == "success"), "an alert does not say refused");
        Ok(())
    }
}

fn text_of(path: &std::path::Path) -> String {
    path.display().to_string()
}

/// Reads what a process counted, up to the word that it is done. To read its list of operations it opened one file more.
fn result(worker: &mut Running) -> Result<Made> {
    let mut made = Made { opens: 1, connects: 0 };
    loop {
        let line = worker.next_line()?;
        if line == "done" {
            return Ok(made);
        }
        let Some(came) = line.strip_prefix("came errno=0 times=") else {
            ensure!(!line.starts_with("came "), "what is allowed failed: {line}");
            continue;
        };
        let (times, op) = came.split_once(" op=").with_context(|| format!("no operation in {line}"))?;
        let times: u64 = times.parse()?;
        if op.starts_with("open ") { made.opens += times } else { made.connects += times }
    }
}

/// Every kind adds up, and what was seen is what was done.
fn accounted(before: &Value, after: &Value, made: Made) -> Result<()> {
    let counters = after["counters"].as_object().context("a status without counters")?;
    let mut losses = String::new();
    for (kind, values) in counters {
        let causes = values["lost"].as_object().with_context(|| format!("{kind} has no losses"))?;
        let lost: u64 = causes.values().filter_map(Value::as_u64).sum();
        let sum = count(after, kind, "delivered")? + count(after, kind, "suppressed")? + lost;
        ensure!(count(after, kind, "seen")? == sum, "{kind} does not add up: {values}");
        if lost > 0 {
            let _ = write!(losses, " {kind} {lost}");
        }
    }
    let seen = |kind: &str| Ok::<u64, anyhow::Error>(count(after, kind, "seen")? - count(before, kind, "seen")?);
    let connects = made.connects + u64::from(REFUSALS);
    ensure!(seen("open")? == made.opens, "{} opens were seen, {} made", seen("open")?, made.opens);
    ensure!(seen("connect")? == connects, "{} connects were seen, {connects} made", seen("connect")?);
    let refused = refusals(after)? - refusals(before)?;
    ensure!(refused == u64::from(REFUSALS), "the kernel counted {refused} refusals of {REFUSALS}");
    let losses = if losses.is_empty() { " none".to_owned() } else { losses };
    let repeats = count(after, "open", "suppressed")? - count(before, "open", "suppressed")?;
    println!(
        "  {} opens, {repeats} of them repeats, and {connects} connects, {refused} of them refused; lost:{losses}",
        made.opens
    );
    Ok(())
}

/// All refusals of all hooks.
fn refusals(status: &Value) -> Result<u64> {
    let hooks = status["hooks"].as_array().context("a status without hooks")?;
    Ok(hooks.iter().filter_map(|hook| hook["refused"].as_u64()).sum())
}
