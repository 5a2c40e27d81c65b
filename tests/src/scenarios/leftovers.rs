//! Nothing is left in the kernel: after every orderly end of the daemon, and after a test run that was ended. What a crash leaves
//! is shown to refuse, and to go with the next start or with `stop --disable`.
//!
//! Invariant: each scenario first shows that the objects are there and refuse, else their absence would prove nothing.

use std::{
    collections::BTreeSet,
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

use super::{egress_filters, enforce_lab::has_tcx, events::text};
use crate::harness::{
    cgroup::{self, Cgroup},
    command::{Outcome, Run, Running},
    leftovers::Snapshot,
    net::VethPair,
    objects::{self, Id},
    runner::PREFIX,
    scenario::{Ctx, Place, Scenario, World, eventually},
    sentinel::Sentinel,
};

/// The scenario that a test run which is to be ended half-way runs.
const HELD: &str = "leftovers-none-after-sigterm";
/// Set for such a run: the scenario then stays where its daemon enforces.
const HOLD: &str = "SENTINEL_TESTS_HOLD";
const POLICY: &str = "package sentinel.leftovers\n\nblock_cidrs contains \"203.0.113.0/24\"\n";
const BLOCKED: &str = "203.0.113.5:8080";
/// How long the kernel may take to free what nobody holds any more.
const PATIENCE: Duration = Duration::from_secs(20);

/// The scenarios of this file.
pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario { name: HELD, world: World::Both, run: |ctx| signalled(ctx, libc::SIGTERM) },
        Scenario { name: "leftovers-none-after-sigint", world: World::Both, run: |ctx| signalled(ctx, libc::SIGINT) },
        Scenario { name: "leftovers-none-after-stop", world: World::Both, run: stopped },
        Scenario { name: "leftovers-none-after-sigkill", world: World::Both, run: |ctx| crashed(ctx, libc::SIGKILL) },
        Scenario { name: "leftovers-none-after-abort", world: World::Both, run: |ctx| crashed(ctx, libc::SIGABRT) },
        Scenario { name: "leftovers-none-after-early-signal", world: World::Both, run: early },
        Scenario { name: "leftovers-none-after-aborted-run", world: World::Both, run: aborted_run },
    ]
}

/// An enforcing daemon and what it refuses. In the VM it enforces on the whole machine.
struct Lab<'a> {
    ctx: &'a Ctx,
    pair: VethPair,
    scope: Cgroup,
    before: BTreeSet<Id>,
    held: BTreeSet<Id>,
}

impl<'a> Lab<'a> {
    /// Starts the daemon, and shows that it is in the kernel and refuses.
    fn start(ctx: &'a Ctx) -> Result<(Self, Sentinel)> {
        let (pair, scope) = (ctx.veth_pair()?, ctx.cgroup("leftovers")?);
        let mut lab = Self { ctx, pair, scope, before: objects::all()?, held: BTreeSet::new() };
        let launch = ctx.sentinel().policy(&ctx.policy("leftovers", POLICY)?);
        let sentinel = match ctx.place {
            Place::Host => launch.enforce_in(&lab.scope),
            Place::Vm => launch.enforce_whole_host(),
        };
        let sentinel = sentinel.start()?;
        lab.held = held_by(sentinel.pid())?;
        for (kind, least) in [(objects::Kind::Program, 8), (objects::Kind::Map, 10), (objects::Kind::Link, 5)] {
            let count = lab.held.iter().filter(|id| id.0 == kind).count();
            ensure!(count >= least, "the daemon holds {count} of {kind:?}: {:?}", lab.held);
        }
        ensure!(lab.held.is_disjoint(&lab.before), "its objects were there before it started");
        ensure!(lab.connect()? == libc::EPERM, "{BLOCKED} is not refused");
        Ok((lab, sentinel))
    }

    fn connect(&self) -> Result<i32> {
        self.ctx.act(&["connect", BLOCKED]).cgroup(&self.scope).netns(&self.pair.near).errno()
    }

    /// None of its objects exists any more, and what it refused works.
    fn gone(&self) -> Result<()> {
        none_of(&self.held)?;
        let _sink = self.pair.far.tcp_sink("0.0.0.0:8080")?;
        let errno = self.connect()?;
        ensure!(errno == 0, "{BLOCKED} still gives errno {errno}");
        Ok(())
    }
}

/// The BPF objects that a process holds by descriptor.
fn held_by(pid: u32) -> Result<BTreeSet<Id>> {
    let everyone: BTreeSet<u32> = fs::read_dir("/proc")?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|other| *other != pid)
        .collect();
    Ok(objects::held_by_others(&everyone))
}

/// Waits until none of these exists; the error lists those that do, with their names.
fn none_of(ids: &BTreeSet<Id>) -> Result<()> {
    let mut left = Vec::new();
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        left = objects::all()?.intersection(ids).copied().collect();
        if left.is_empty() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let names: Vec<String> = left.into_iter().map(objects::describe).collect();
    bail!("{} of {} objects are still in the kernel: {}", names.len(), ids.len(), names.join(", "))
}

fn clean(run_dir: &std::path::Path, ended: &Outcome) -> Result<()> {
    ensure!(ended.code == Some(0) && ended.signal.is_none(), "{ended:?}");
    ensure!(ended.stderr.contains("nothing of it is left in the kernel"), "no summary: {}", ended.stderr);
    ensure!(!run_dir.join("control.sock").exists(), "control.sock is left");
    Ok(())
}

fn signalled(ctx: &Ctx, signal: libc::c_int) -> Result<()> {
    let (lab, sentinel) = Lab::start(ctx)?;
    if std::env::var_os(HOLD).is_some() {
        println!("holding daemon={}", sentinel.pid());
        std::thread::sleep(Duration::from_secs(200));
        bail!("nobody ended this run");
    }
    let run_dir = sentinel.run_dir();
    sentinel.signal(signal)?;
    clean(&run_dir, &sentinel.wait_exit(Duration::from_secs(60))?)?;
    lab.gone()
}

fn stopped(ctx: &Ctx) -> Result<()> {
    let (lab, sentinel) = Lab::start(ctx)?;
    let run_dir = sentinel.run_dir();
    let said = sentinel.verb("stop").success()?;
    // What it says is true the moment it says so.
    ensure!(said.contains("nothing of it is left in the kernel"), "{said}");
    ensure!(lab.connect()? != libc::EPERM, "`sentinel stop` has returned and {BLOCKED} is still refused");
    clean(&run_dir, &sentinel.wait_exit(Duration::from_secs(60))?)?;
    lab.gone()?;
    let again = ctx.command(&ctx.sentinel_bin).arg("stop").arg("--run-dir").arg(&run_dir).outcome()?;
    ensure!(again.code == Some(1) && again.stderr.contains("is it running"), "{again:?}");
    Ok(())
}

/// A crash leaves enforcement in force; the next start, in whatever mode, takes its place and leaves nothing.
fn crashed(ctx: &Ctx, signal: libc::c_int) -> Result<()> {
    let (lab, sentinel) = Lab::start(ctx)?;
    let run_dir = sentinel.run_dir();
    let again = ctx.sentinel().dirs_of(&sentinel).policy(&ctx.policy("again", POLICY)?).monitor_in(&lab.scope);
    sentinel.signal(signal)?;
    let ended = sentinel.wait_exit(Duration::from_secs(20))?;
    ensure!(ended.signal == Some(signal), "{ended:?}");
    ensure!(lab.connect()? == libc::EPERM, "{BLOCKED} is not refused after signal {signal}");
    if ctx.place == Place::Vm && !has_tcx() {
        let next = egress_filters::outlive(ctx, &lab.pair, BLOCKED, || again.start())?;
        lab.gone()?;
        ensure!(next.stop()?.code == Some(0));
        return Ok(());
    }
    if signal == libc::SIGKILL {
        let next = again.start()?;
        lab.gone()?;
        ensure!(next.stop()?.code == Some(0));
        return Ok(());
    }
    ctx.command(&ctx.sentinel_bin).args(["stop", "--disable", "--run-dir"]).arg(&run_dir).success()?;
    lab.gone()
}

/// A signal at any time of the start-up ends it cleanly.
fn early(ctx: &Ctx) -> Result<()> {
    let scope = ctx.cgroup("early")?;
    let policy = ctx.policy("early", POLICY)?;
    let (rounds, step) = if ctx.place == Place::Vm { (3, 1500) } else { (5, 110) };
    for round in 0..rounds {
        let before = Snapshot::take(&ctx.cgroup_root)?;
        let sentinel = ctx.sentinel().policy(&policy).enforce_in(&scope).spawn()?;
        std::thread::sleep(Duration::from_millis(5 + round * step));
        sentinel.signal(libc::SIGTERM)?;
        let ended = sentinel.wait_exit(Duration::from_secs(120))?;
        // Before its handlers are there, the kernel's default ends it.
        ensure!(ended.code == Some(0) || ended.signal == Some(libc::SIGTERM), "round {round}: {ended:?}");
        before.check(ctx).with_context(|| format!("after a signal in round {round}"))?;
    }
    Ok(())
}

/// A whole test run, ended while its daemon enforces.
fn aborted_run(ctx: &Ctx) -> Result<()> {
    // In the VM no supervisor catches the first two, so they are one and the same.
    let signals = [libc::SIGKILL, libc::SIGINT, libc::SIGTERM];
    for signal in signals.into_iter().take(if ctx.place == Place::Vm { 2 } else { 3 }) {
        let before = Snapshot::take(&ctx.cgroup_root)?;
        let mut run = nested(ctx).start()?;
        let daemon: u32 = field(&run.wait_line("holding daemon=")?)?;
        let held = held_by(daemon)?;
        ensure!(held.len() >= 20, "the nested run's daemon holds {held:?}");
        ensure!(before.check_within(ctx, Duration::from_millis(100)).is_err(), "a running daemon was not noticed");
        run.signal(signal)?;
        let pid = run.pid();
        wait(&mut run)?;
        none_of(&held).with_context(|| format!("after signal {signal} to a test run"))?;
        before.check(ctx).with_context(|| format!("after signal {signal} to a test run"))?;
        if ctx.place == Place::Host {
            directories_gone(ctx, signal, pid)?;
        }
    }
    Ok(())
}

/// This program, running one scenario that does not end. It must not think that it is inside this run.
fn nested(ctx: &Ctx) -> Run {
    let verb = if ctx.place == Place::Host { "host" } else { "vm" };
    let run = ctx.command("env").args(["-u", "SENTINEL_TESTS_CGROUP"]).arg(format!("TMPDIR={}", temporary(ctx)));
    run.arg(format!("{HOLD}=1")).arg(&ctx.tests_bin).args([verb, HELD]).limit(Duration::from_secs(200))
}

/// A short one: the path of a socket has 108 bytes at most.
fn temporary(ctx: &Ctx) -> String {
    if ctx.place == Place::Host { String::from("/tmp") } else { text(&ctx.dir) }
}

/// A run on the host that was interrupted removes its cgroup and its directory; after SIGKILL the next run does.
fn directories_gone(ctx: &Ctx, signal: libc::c_int, pid: u32) -> Result<()> {
    if signal == libc::SIGKILL {
        let run = ctx.command("env").args(["-u", "SENTINEL_TESTS_CGROUP", "TMPDIR=/tmp"]).arg(&ctx.tests_bin);
        let said = run.args(["host", "harness-acts-report-errno"]).success()?;
        ensure!(said.contains("1 passed, 0 failed"), "{said}");
    }
    let places = [cgroup::v2_mount()?, PathBuf::from("/tmp")].map(|dir| dir.join(format!("{PREFIX}{pid}")));
    let left: Vec<&PathBuf> = places.iter().filter(|path| path.exists()).collect();
    ensure!(left.is_empty(), "signal {signal} to a test run leaves {left:?}");
    Ok(())
}

fn wait(run: &mut Running) -> Result<()> {
    eventually("the nested run to end", Duration::from_secs(60), || Ok((!run.is_running()?).then_some(())))
}

fn field(line: &str) -> Result<u32> {
    line.rsplit('=').next().and_then(|pid| pid.trim().parse().ok()).with_context(|| format!("no id in `{line}`"))
}
