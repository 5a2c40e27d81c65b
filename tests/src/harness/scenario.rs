//! What a scenario is, and the context it is handed.
//!
//! Invariant: a [`Ctx`] gives out only things that vanish with it (a temporary directory, cgroups below the run's own
//! one, namespaces without a name) or that the leftover check finds.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use super::{cgroup::Cgroup, command::Run, net::VethPair, sentinel::Launch};

/// Where a scenario is meant to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum World {
    /// Only on the degraded host: no LSM programs, enforcement in a cgroup of the test's own.
    Host,
    /// Only in the VM: whole-host enforcement, LSM programs.
    Vm,
    /// In both.
    Both,
    /// In the VM, and only when asked for by its exact name (`demo`, `bench`).
    OnRequest,
    /// On the host, and only when asked for by its exact name: what measures the host's own speed.
    HostOnRequest,
}

/// Where this run takes place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The machine itself.
    Host,
    /// A throw-away virtual machine.
    Vm,
}

/// One named check.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// Stable kebab-case name, as printed and filtered.
    pub name: &'static str,
    /// Where it can run.
    pub world: World,
    /// The check itself; an error or a panic is a failure.
    pub run: fn(&Ctx) -> Result<()>,
}

impl Scenario {
    /// Whether a plain run in `place` includes this scenario.
    pub fn runs_in(&self, place: Place) -> bool {
        match self.world {
            World::Both => true,
            World::Host => place == Place::Host,
            World::Vm => place == Place::Vm,
            World::OnRequest | World::HostOnRequest => false,
        }
    }
}

/// What a scenario works with.
pub struct Ctx {
    /// Where this runs.
    pub place: Place,
    /// Arguments after the verb, for `demo` and `bench`.
    pub args: Vec<String>,
    /// A directory of this scenario's own, removed afterwards.
    pub dir: PathBuf,
    /// The cgroup v2 directory below which this scenario's cgroups are made.
    pub cgroup_root: PathBuf,
    /// The `sentinel` binary under test.
    pub sentinel_bin: PathBuf,
    /// This binary, which performs the acts.
    pub tests_bin: PathBuf,
    serial: AtomicU32,
}

impl Ctx {
    /// A context working in `dir`, which must exist.
    pub fn new(place: Place, dir: PathBuf, cgroup_root: PathBuf, args: Vec<String>) -> Result<Self> {
        let tests_bin = std::env::current_exe().context("finding the path of this test binary")?;
        let sentinel_bin = match std::env::var_os("SENTINEL_BIN") {
            Some(path) => PathBuf::from(path),
            None => tests_bin.with_file_name("sentinel"),
        };
        Ok(Self { place, args, dir, cgroup_root, sentinel_bin, tests_bin, serial: AtomicU32::new(0) })
    }

    /// A number that this context has not given out before.
    pub fn next(&self) -> u32 {
        self.serial.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A path inside the scenario's directory.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.join(name)
    }

    /// Writes `text` to a file of the scenario's directory; directories in `name` are made.
    pub fn write(&self, name: impl AsRef<Path>, text: impl AsRef<[u8]>) -> Result<PathBuf> {
        let path = self.path(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).with_context(|| format!("making {}", parent.display()))?;
        }
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        Ok(path)
    }

    /// Writes a policy; `name` gets the `.rego` ending.
    pub fn policy(&self, name: &str, rego: &str) -> Result<PathBuf> {
        self.write(format!("{name}.rego"), rego)
    }

    /// Writes a country database of `(first address, last address, country)` ranges in the `start,end,CC` form.
    pub fn geo_csv(&self, name: &str, ranges: &[(&str, &str, &str)]) -> Result<PathBuf> {
        let lines: String = ranges.iter().map(|(start, end, country)| format!("{start},{end},{country}\n")).collect();
        self.write(format!("{name}.csv"), lines)
    }

    /// A copy of this test binary below another name: another executable, with an inode of its own.
    pub fn program(&self, name: &str) -> Result<PathBuf> {
        let path = self.path(name);
        fs::copy(&self.tests_bin, &path)
            .with_context(|| format!("copying {} to {}", self.tests_bin.display(), path.display()))?;
        Ok(path)
    }

    /// Writes a smallest static executable that exits with `status`.
    pub fn tiny_program(&self, name: &str, status: u8) -> Result<PathBuf> {
        let path = self.path(name);
        crate::workload::write_tiny(&path, status)?;
        Ok(path)
    }

    /// Makes a cgroup of the scenario's own, beside the one the harness and Sentinel run in.
    pub fn cgroup(&self, name: &str) -> Result<Cgroup> {
        Cgroup::create(self.cgroup_root.join(format!("{name}-{}", self.next())))
    }

    /// Two network namespaces joined by a veth pair; see [`VethPair`] for the addresses.
    pub fn veth_pair(&self) -> Result<VethPair> {
        VethPair::create()
    }

    /// A child that performs system calls and reports errno; for the operations see `act help`.
    pub fn act<S: AsRef<str>>(&self, ops: &[S]) -> Run {
        self.act_as(&self.tests_bin, ops)
    }

    /// The same with a copy of the test binary as the acting executable (see [`Ctx::program`]).
    pub fn act_as<S: AsRef<str>>(&self, executable: &Path, ops: &[S]) -> Run {
        let mut run = Run::new(executable).arg("act");
        for op in ops {
            run = run.arg(op.as_ref());
        }
        run
    }

    /// Any command.
    pub fn command(&self, program: impl AsRef<Path>) -> Run {
        Run::new(program.as_ref())
    }

    /// Starts describing a `sentinel run`.
    pub fn sentinel(&self) -> Launch {
        Launch::new(self)
    }
}

/// Calls `check` until it gives a value, at most for `limit`; the error says `what` did not happen.
pub fn eventually<T>(what: &str, limit: Duration, mut check: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let end = Instant::now() + limit;
    loop {
        // A check that is slow itself must not be the last: one more is begun after the limit.
        let last = Instant::now() >= end;
        if let Some(value) = check()? {
            return Ok(value);
        }
        if last {
            bail!("not within {:.1} s: {what}", limit.as_secs_f64());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
