//! Enforcement outlives its daemon: SIGKILL, restart, another layout, a start that was not finished; and it ends when it is told to.
//!
//! Invariant: whoever tries a forbidden act all the time, through every change, never succeeds; and each scenario ends with
//! `stop --disable`, after which the act works again, so that a refusal is never one of something else.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::enforce_lab::{EPERM, has_tcx, text};
use crate::harness::{
    cgroup::Cgroup,
    command::{Run, Running},
    listen::TcpSink,
    net::VethPair,
    scenario::{Ctx, Place, Scenario, World, eventually},
    sentinel::{Launch, Sentinel},
};

const BLOCKED: &str = "203.0.113.5:8080";
const OTHER: &str = "198.51.100.5:8080";
const PINS: &str = "/sys/fs/bpf/sentinel";
/// How long the kernel may take to free what nobody holds any more.
const PATIENCE: Duration = Duration::from_secs(20);

/// The scenarios of this file.
pub(super) fn all() -> Vec<Scenario> {
    let scenario = |name, run| Scenario { name, world: World::Both, run };
    vec![
        scenario("persist-sigkill", sigkill),
        scenario("persist-status-unattended", status_unattended),
        scenario("persist-stop-disable-dead", disable_dead),
        scenario("persist-removed-by-hand", by_hand),
        scenario("persist-setting", setting),
        scenario("persist-entries-survive", entries_survive),
        scenario("persist-expiry-without-daemon", expiry),
        scenario("persist-dead-man-monitor", dead_man_monitor),
        scenario("persist-dead-man-deny", dead_man_deny),
        scenario("persist-half-finished-upgrade", half_finished),
    ]
}

/// What is refused, where, and to whom.
struct Lab<'a> {
    ctx: &'a Ctx,
    pair: VethPair,
    scope: Cgroup,
    policy: PathBuf,
    file: PathBuf,
    tool: PathBuf,
    _sinks: [TcpSink; 2],
}

impl<'a> Lab<'a> {
    fn set(ctx: &'a Ctx) -> Result<Self> {
        let (file, tool) = (ctx.write("secret", "x")?, ctx.tiny_program("tool", 0)?);
        let rego = format!(
            "package sentinel.persist\n\nblock_cidrs contains \"203.0.113.0/24\"\n\nblock_paths contains \"{}\"\n\n\
             block_executables contains \"{}\"\n",
            file.display(),
            tool.display()
        );
        Self::with(ctx, &rego, file, tool)
    }

    fn with(ctx: &'a Ctx, rego: &str, file: PathBuf, tool: PathBuf) -> Result<Self> {
        let (pair, scope) = (ctx.veth_pair()?, ctx.cgroup("persist")?);
        let policy = ctx.policy("persist", rego)?;
        let sinks = [pair.far.tcp_sink("0.0.0.0:8080")?, pair.far.tcp_sink("0.0.0.0:8081")?];
        Ok(Self { ctx, pair, scope, policy, file, tool, _sinks: sinks })
    }

    fn launch(&self) -> Launch {
        let launch = self.ctx.sentinel().policy(&self.policy);
        match self.ctx.place {
            Place::Host => launch.enforce_in(&self.scope),
            Place::Vm => launch.enforce_whole_host(),
        }
    }

    fn act(&self, op: &str) -> Run {
        self.ctx.act(&op.split(' ').collect::<Vec<_>>()).cgroup(&self.scope).netns(&self.pair.near)
    }

    fn connect(&self, to: &str) -> Result<i32> {
        self.act(&format!("connect {to}")).errno()
    }

    fn refused(&self, when: &str) -> Result<()> {
        let errno = self.connect(BLOCKED)?;
        ensure!(errno == EPERM, "{when}: {BLOCKED} gives errno {errno}");
        Ok(())
    }

    fn passes(&self, when: &str) -> Result<()> {
        let errno = self.connect(BLOCKED)?;
        ensure!(errno == 0, "{when}: {BLOCKED} gives errno {errno}");
        Ok(())
    }

    /// The forbidden acts that this world can refuse, each tried every millisecond. The host has no LSM programs.
    fn latches(&self, milliseconds: u128) -> Result<Vec<Running>> {
        let mut ops = vec![format!("connect {BLOCKED}")];
        if self.ctx.place == Place::Vm {
            ops.push(format!("open {} read", self.file.display()));
            ops.push(format!("exec {}", self.tool.display()));
        }
        ops.iter().map(|op| self.act(&format!("latch {milliseconds} {op}")).limit(LONG).start()).collect()
    }

    /// A verb of the command line for the directories of a daemon that may be dead.
    fn verb(&self, verb: &str, run_dir: &Path) -> Run {
        self.ctx.command(&self.ctx.sentinel_bin).arg(verb).arg("--run-dir").arg(run_dir)
    }

    fn status(&self, run_dir: &Path) -> Result<(i32, Value)> {
        let outcome = self.verb("status", run_dir).arg("--json").outcome()?;
        let value = serde_json::from_str(&outcome.stdout).with_context(|| format!("no JSON: {outcome:?}"))?;
        Ok((outcome.code.unwrap_or(-1), value))
    }

    /// Ends it for good: nothing is refused and nothing is pinned from then on.
    fn disable(&self, run_dir: &Path) -> Result<()> {
        let said = self.verb("stop", run_dir).arg("--disable").success()?;
        ensure!(said.contains("nothing of it is left in the kernel"), "{said}");
        self.passes("after stop --disable")?;
        ensure!(generations()?.is_empty(), "pins are left: {:?}", generations()?);
        let status = self.verb("status", run_dir).outcome()?;
        ensure!(status.code == Some(1), "status after stop --disable: {status:?}");
        Ok(())
    }
}

/// How long a child of these scenarios may take.
const LONG: Duration = Duration::from_secs(900);

/// The directories of generations.
fn generations() -> Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for scope in fs::read_dir(PINS).into_iter().flatten() {
        for generation in fs::read_dir(scope?.path())? {
            all.push(generation?.path());
        }
    }
    Ok(all)
}

fn killed(sentinel: Sentinel) -> Result<()> {
    let ended = sentinel.kill()?;
    ensure!(ended.signal == Some(libc::SIGKILL), "{ended:?}");
    Ok(())
}

/// SIGKILL, restart, upgrade to another layout and back: 0 successes.
fn sigkill(ctx: &Ctx) -> Result<()> {
    let lab = Lab::set(ctx)?;
    let first = lab.launch().start()?;
    let (mut latches, begun) = (lab.latches(LONG.as_millis())?, Instant::now());
    lab.refused("at first")?;
    let next = |old: &Sentinel| lab.launch().dirs_of(old);
    let second = next(&first).env("SENTINEL_LAYOUT", "4711");
    killed(first)?;
    std::thread::sleep(Duration::from_secs(1));
    lab.refused("after SIGKILL")?;
    let second = second.start()?;
    ensure!(generations()?.len() == 1, "the old pins are left: {:?}", generations()?);
    let third = next(&second);
    killed(second)?;
    lab.refused("after SIGKILL of another version")?;
    let third = third.start()?;
    ensure!(generations()?.len() == 1, "the pins of another layout are left: {:?}", generations()?);
    for latch in &mut latches {
        ensure!(latch.is_running()?, "the attempts ended before the changes did, after {:?}", begun.elapsed());
    }
    let gaps = third.status_json()?["gaps"].clone();
    ensure!(gaps[0]["refused"].is_null() && text(&gaps[0], "/why").contains("unattended"), "{gaps}");
    for mut latch in latches {
        latch.say("enough")?;
        let said = latch.finish()?.stdout;
        ensure!(said.contains("passed_after=0"), "a forbidden act came through: {said}");
    }
    ensure!(third.verb("stop").success()?.contains("nothing of it is left"));
    lab.passes("after stop")
}

/// What is said while nobody attends, and what the next start says of it.
fn status_unattended(ctx: &Ctx) -> Result<()> {
    let lab = Lab::set(ctx)?;
    let first = lab.launch().start()?;
    let run_dir = first.run_dir();
    // One heartbeat, so that what is refused from now on is the gap's.
    std::thread::sleep(Duration::from_secs(2));
    let next = lab.launch().dirs_of(&first);
    killed(first)?;
    for _ in 0..3 {
        lab.refused("unattended")?;
    }
    let (code, status) = lab.status(&run_dir)?;
    ensure!(code == 3 && status["enforcement"] == "partial" && status["mode"] == "enforce", "{code}: {status}");
    ensure!(text(&status, "/reasons/0").starts_with("unattended since 2"), "{}", status["reasons"]);
    ensure!(refused(&status) >= 3, "the counters of the pins: {}", status["hooks"]);
    ensure!(status["policies"][0] == "sentinel.persist", "{}", status["policies"]);
    for (kind, counts) in status["counters"].as_object().context("no counters")? {
        let number = |pointer: &str| counts.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
        let lost: u64 = counts["lost"].as_object().map_or(0, |all| all.values().filter_map(Value::as_u64).sum());
        let sum = number("/delivered") + number("/suppressed") + lost;
        ensure!(number("/seen") == sum, "{kind}: {counts}");
    }
    ensure!(lab.verb("stop", &run_dir).outcome()?.code == Some(1), "stop without --disable ends nothing");
    lab.refused("after stop without --disable")?;
    let second = next.start()?;
    let gap = second.status_json()?["gaps"][0].clone();
    ensure!(gap["refused"].as_u64() >= Some(3) && gap["until"].is_string(), "{gap}");
    second.wait_alert(PATIENCE, |alert| text(alert, "/message").contains("unattended"))?;
    second.verb("stop").success()?;
    lab.passes("after stop")
}

fn refused(status: &Value) -> u64 {
    status["hooks"].as_array().map_or(0, |all| all.iter().filter_map(|hook| hook["refused"].as_u64()).sum())
}

/// The emergency stop.
fn disable_dead(ctx: &Ctx) -> Result<()> {
    let lab = Lab::set(ctx)?;
    let sentinel = lab.launch().start()?;
    let run_dir = sentinel.run_dir();
    killed(sentinel)?;
    lab.refused("unattended")?;
    lab.disable(&run_dir)?;
    // Once more does no harm.
    lab.disable(&run_dir)
}

/// The emergency stop without Sentinel.
fn by_hand(ctx: &Ctx) -> Result<()> {
    let lab = Lab::set(ctx)?;
    let sentinel = lab.launch().start()?;
    let run_dir = sentinel.run_dir();
    killed(sentinel)?;
    lab.refused("unattended")?;
    fs::remove_dir_all(PINS)?;
    // Filters on devices have no pins before Linux 6.6: until `disable` takes them off, packets are lost there without an error.
    let gone = |errno: i32| if has_tcx() || ctx.place == Place::Host { errno == 0 } else { errno != EPERM };
    eventually("the kernel to let go", PATIENCE, || Ok(gone(lab.connect(BLOCKED)?).then_some(())))?;
    lab.disable(&run_dir)
}

/// With `persist = true` SIGTERM and `stop` leave enforcement in force; `stop --disable` does not.
fn setting(ctx: &Ctx) -> Result<()> {
    let lab = Lab::set(ctx)?;
    let config = ctx.write("persist.toml", "persist = true\n")?;
    let sentinel = lab.launch().config(&config).start()?;
    let run_dir = sentinel.run_dir();
    let next = lab.launch().config(&config).dirs_of(&sentinel);
    let ended = sentinel.stop()?;
    ensure!(ended.code == Some(0) && ended.stderr.contains("stays in the kernel"), "{ended:?}");
    lab.refused("after SIGTERM")?;
    ensure!(lab.status(&run_dir)?.0 == 3);
    let sentinel = next.start()?;
    let said = sentinel.verb("stop").success()?;
    ensure!(said.contains("stays in the kernel until `sentinel stop --disable`"), "{said}");
    lab.refused("after stop")?;
    lab.disable(&run_dir)
}

/// Event rules that deny a destination; what they decide holds through a crash and a restart.
fn entries_survive(ctx: &Ctx) -> Result<()> {
    let (lab, run_dir, next) = denied(ctx, 3600)?;
    lab.refused("unattended")?;
    let sentinel = next.start()?;
    ensure!(sentinel.stderr().contains("1 block entries"), "{}", sentinel.stderr());
    lab.refused("after the restart")?;
    let alert =
        sentinel.wait_alert(PATIENCE, |alert| alert.pointer("/sentinel/blocked") == Some(&Value::Bool(true)))?;
    ensure!(alert.to_string().contains("persist-deny"), "{alert}");
    sentinel.verb("stop").success()?;
    lab.disable(&run_dir)
}

/// An entry ends in time although nobody sweeps it.
fn expiry(ctx: &Ctx) -> Result<()> {
    let (lab, run_dir, _) = denied(ctx, 8)?;
    lab.refused("unattended")?;
    let passes = || Ok((lab.connect(BLOCKED)? == 0).then_some(()));
    eventually("the entry to expire", Duration::from_secs(30), passes)?;
    ensure!(lab.status(&run_dir)?.0 == 3, "the programs are in force all the same");
    lab.disable(&run_dir)
}

/// A daemon that has written a block entry, and was killed at once.
fn denied(ctx: &Ctx, ttl: u64) -> Result<(Lab<'_>, PathBuf, Launch)> {
    let rego = format!(
        "package sentinel.persist\n\ndeny contains {{\"id\": \"persist-deny\", \"msg\": \"no\", \"ttl\": {ttl}}} if {{\n\t\
         input.event.action == \"connect\"\n\tinput.destination.ip == \"203.0.113.5\"\n}}\n"
    );
    let lab = Lab::with(ctx, &rego, ctx.path("secret"), ctx.path("tool"))?;
    let sentinel = lab.launch().start()?;
    let (run_dir, next) = (sentinel.run_dir(), lab.launch().dirs_of(&sentinel));
    lab.passes("the first time")?;
    sentinel
        .wait_alert(PATIENCE, |alert| alert.pointer("/sentinel/entry_written").is_some_and(|entry| !entry.is_null()))?;
    killed(sentinel)?;
    Ok((lab, run_dir, next))
}

/// After a time without a daemon nothing is refused.
fn dead_man_monitor(ctx: &Ctx) -> Result<()> {
    let lab = Lab::set(ctx)?;
    let sentinel = lab.launch().args(["--max-unattended", "6"]).start()?;
    let run_dir = sentinel.run_dir();
    // Longer than the time: a daemon that is there renews it.
    std::thread::sleep(Duration::from_secs(8));
    lab.refused("attended")?;
    killed(sentinel)?;
    lab.refused("unattended for a moment")?;
    eventually("the switch", Duration::from_secs(30), || Ok((lab.connect(BLOCKED)? == 0).then_some(())))?;
    let (code, status) = lab.status(&run_dir)?;
    ensure!(code == 4 && status["reasons"].to_string().contains("max_unattended"), "{code}: {status}");
    lab.disable(&run_dir)
}

/// After a time without a daemon every public address is refused.
fn dead_man_deny(ctx: &Ctx) -> Result<()> {
    let lab = Lab::set(ctx)?;
    let config = ctx.write("deny.toml", "max-unattended = 6\nunattended = \"deny\"\n")?;
    let sentinel = lab.launch().config(&config).start()?;
    let run_dir = sentinel.run_dir();
    std::thread::sleep(Duration::from_secs(8));
    ensure!(lab.connect(OTHER)? == 0, "{OTHER} is refused while the daemon is there");
    killed(sentinel)?;
    let denied = || Ok((lab.connect(OTHER)? == EPERM).then_some(()));
    eventually("the switch", Duration::from_secs(30), denied)?;
    lab.refused("after the switch")?;
    let loopback = TcpSink::bind("127.0.0.1:0".parse()?)?;
    let op = format!("connect {}", loopback.addr());
    let errno = ctx.act(&op.split(' ').collect::<Vec<_>>()).cgroup(&lab.scope).errno()?;
    ensure!(errno == 0, "loopback is refused: errno {errno}");
    let (code, status) = lab.status(&run_dir)?;
    ensure!(code == 3 && status["reasons"].to_string().contains("every public address"), "{code}: {status}");
    lab.disable(&run_dir)
}

/// A start that was killed half-way, and a directory that says nothing: the next start takes the place of both.
fn half_finished(ctx: &Ctx) -> Result<()> {
    let lab = Lab::set(ctx)?;
    let first = lab.launch().start()?;
    let run_dir = first.run_dir();
    let (second, third) = (lab.launch().dirs_of(&first), lab.launch().dirs_of(&first));
    killed(first)?;
    let second = second.spawn()?;
    eventually("a second generation", Duration::from_secs(120), || Ok((generations()?.len() == 2).then_some(())))?;
    killed(second)?;
    lab.refused("between two starts")?;
    let scope = generations()?[0].parent().context("no scope")?.to_owned();
    fs::create_dir(scope.join("junk"))?;
    ensure!(lab.status(&run_dir)?.0 == 3);
    let third = third.start()?;
    ensure!(generations()?.len() == 1, "left beside the new one: {:?}", generations()?);
    lab.refused("after the third start")?;
    third.verb("stop").success()?;
    lab.disable(&run_dir)
}
