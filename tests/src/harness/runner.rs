//! Runs scenarios one after the other and reports.
//!
//! Output contract (xtask reads it): `ok NAME (1.2 s)` or `FAILED NAME (1.2 s): why`, and the last line
//! `N passed, N failed`. Exit status 0 only when something ran and nothing failed.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::mpsc::{RecvTimeoutError, channel},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};

use super::{
    cgroup,
    leftovers::Snapshot,
    process,
    scenario::{Ctx, Place, Scenario, World},
};

/// How long one scenario may take; `demo` and `bench` are many in one.
const LIMIT: Duration = Duration::from_secs(300);
const LONG_LIMIT: Duration = Duration::from_secs(2400);

/// What the names of a run's cgroups and directories begin with, before the id of its process.
pub const PREFIX: &str = "sentinel-tests-";

/// Prints every scenario and where it runs.
pub fn list() -> Result<ExitCode> {
    for scenario in crate::scenarios::all() {
        println!("{:<44} {:?}", scenario.name, scenario.world);
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs the scenarios of `place` whose name contains one of `filters` (all when there is none).
pub fn run(place: Place, filters: &[String]) -> Result<ExitCode> {
    let base = Base::create()?;
    run_in(place, &base.root, filters)
}

/// The same, with scenario cgroups below a directory that exists already.
pub fn run_in(place: Place, cgroup_root: &Path, filters: &[String]) -> Result<ExitCode> {
    let chosen: Vec<Scenario> = crate::scenarios::all()
        .into_iter()
        .filter(|scenario| {
            let asked = filters.is_empty() || filters.iter().any(|filter| scenario.name.contains(filter));
            let by_name = scenario.world == World::HostOnRequest && filters.iter().any(|name| name == scenario.name);
            (scenario.runs_in(place) && asked) || (place == Place::Host && by_name)
        })
        .collect();
    if chosen.is_empty() {
        bail!("no scenario for this place has a name that contains one of: {}", filters.join(" "));
    }
    run_all(place, cgroup_root, &chosen, &[])
}

/// Runs the one scenario of this exact name, whatever its world, with arguments.
pub fn run_one(name: &str, args: &[String]) -> Result<ExitCode> {
    let scenario = crate::scenarios::all().into_iter().find(|scenario| scenario.name == name);
    let scenario = scenario.with_context(|| format!("no scenario is named `{name}`"))?;
    if scenario.world == World::OnRequest && !in_vm() {
        bail!("`{name}` enforces on the whole host, so it runs in the VM only: cargo xtask {name}");
    }
    let base = Base::create()?;
    run_all(Place::Vm, &base.root, &[scenario], args)
}

/// Whether this machine was booted by `cargo xtask vm`, where init is this binary.
pub fn in_vm() -> bool {
    std::env::var_os(super::init::VM_MARK).is_some()
}

fn run_all(place: Place, cgroup_root: &Path, chosen: &[Scenario], args: &[String]) -> Result<ExitCode> {
    process::adopt_orphans().context("becoming the reaper of orphaned children")?;
    let (mut passed, mut failed) = (0_u32, 0_u32);
    for scenario in chosen {
        let start = Instant::now();
        let result = run_scenario(*scenario, place, cgroup_root, args);
        let seconds = start.elapsed().as_secs_f64();
        match &result {
            Ok(()) => {
                passed += 1;
                println!("ok {} ({seconds:.1} s)", scenario.name);
            }
            Err(failure) => {
                failed += 1;
                println!("FAILED {} ({seconds:.1} s): {:#}", scenario.name, failure.error);
            }
        }
        if result.is_err_and(|failure| failure.hangs) {
            println!("stopping: the thread of a scenario that hangs cannot be ended");
            break;
        }
    }
    println!("{passed} passed, {failed} failed");
    Ok(if passed > 0 && failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// How long a scenario may take if `SENTINEL_TESTS_LIMIT` says so, in seconds: the long form of a scenario needs it.
fn asked_limit() -> Result<Option<Duration>> {
    let Ok(text) = std::env::var("SENTINEL_TESTS_LIMIT") else { return Ok(None) };
    let seconds = text.parse().with_context(|| format!("SENTINEL_TESTS_LIMIT is `{text}`: expected seconds"))?;
    Ok(Some(Duration::from_secs(seconds)))
}

struct Failure {
    error: anyhow::Error,
    hangs: bool,
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self { error, hangs: false }
    }
}

fn run_scenario(scenario: Scenario, place: Place, cgroup_root: &Path, args: &[String]) -> Result<(), Failure> {
    let dir = temp_dir(scenario.name)?;
    let context = || Ctx::new(place, dir.clone(), cgroup_root.to_owned(), args.to_vec());
    let (ctx, checking) = (context()?, context()?);
    let before = Snapshot::take(cgroup_root)?;
    let limit = match scenario.world {
        World::OnRequest | World::HostOnRequest => LONG_LIMIT,
        World::Host | World::Vm | World::Both => LIMIT,
    };
    let limit = asked_limit()?.unwrap_or(limit);
    let result = guarded(scenario, ctx, limit);
    let result = match result {
        Ok(()) => before.check(&checking).map_err(Failure::from),
        // What a failed scenario leaves is a consequence, not a second finding.
        Err(failure) => Err(failure),
    };
    if result.is_err() {
        before.clear(cgroup_root);
    }
    let removed = fs::remove_dir_all(&dir).with_context(|| format!("removing {}", dir.display()));
    result.and_then(|()| removed.map_err(Failure::from))
}

/// Runs the scenario on a thread, so that a panic and an endless wait are failures like any other.
fn guarded(scenario: Scenario, ctx: Ctx, limit: Duration) -> Result<(), Failure> {
    let (sender, receiver) = channel();
    let thread = std::thread::Builder::new().name(scenario.name.to_owned());
    let work = move || {
        let result = catch_unwind(AssertUnwindSafe(|| (scenario.run)(&ctx)));
        // Nobody listens any more when the limit has passed.
        let _ = sender.send(result.unwrap_or_else(|panic| Err(anyhow!("panicked: {}", panic_text(&*panic)))));
    };
    let thread = thread.spawn(work).context("starting the scenario's thread")?;
    match receiver.recv_timeout(limit) {
        Ok(result) => {
            // The result has come, so the thread is at its end; a child's parent thread must be gone before counting.
            let _ = thread.join();
            Ok(result?)
        }
        Err(RecvTimeoutError::Timeout) => Err(Failure { error: anyhow!("not finished after {limit:?}"), hangs: true }),
        Err(RecvTimeoutError::Disconnected) => Err(anyhow!("its thread ended without a result").into()),
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| String::from("(no message)"))
}

fn temp_dir(name: &str) -> Result<PathBuf> {
    let dir = std::env::temp_dir().join(name);
    fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
    Ok(dir)
}

/// The cgroup of a run: scenarios' cgroups are made beside `harness`, in which this process and Sentinel are. Sentinel
/// refuses a scope that contains itself.
pub struct Base {
    /// Where scenarios make their cgroups.
    pub root: PathBuf,
    previous: PathBuf,
}

impl Base {
    /// Makes it and moves this process in.
    pub fn create() -> Result<Self> {
        let mount = cgroup::v2_mount()?;
        let previous = mount.join(current_cgroup()?.trim_start_matches('/'));
        let root = mount.join(format!("{PREFIX}{}", std::process::id()));
        let harness = root.join("harness");
        fs::create_dir_all(&harness).with_context(|| format!("making the cgroup {}", harness.display()))?;
        let base = Self { root, previous };
        move_self(&harness)?;
        Ok(base)
    }
}

impl Drop for Base {
    fn drop(&mut self) {
        // Removing the tree kills what is in it: this process must be out first.
        let removed = move_self(&self.previous).and_then(|()| cgroup::remove(&self.root));
        if let Err(error) = removed {
            eprintln!("sentinel-tests: {error:#}");
        }
    }
}

fn move_self(cgroup: &Path) -> Result<()> {
    let file = cgroup.join("cgroup.procs");
    fs::write(&file, std::process::id().to_string())
        .with_context(|| format!("moving this process into {}", cgroup.display()))
}

/// This process's path in the v2 hierarchy.
fn current_cgroup() -> Result<String> {
    let text = fs::read_to_string("/proc/self/cgroup").context("reading /proc/self/cgroup")?;
    let own = text.lines().find_map(|line| line.strip_prefix("0::"));
    own.map(str::to_owned).context("this process is in no cgroup v2 hierarchy")
}
