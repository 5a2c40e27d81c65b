//! The `host` verb: the scenarios on the machine itself, fenced in.
//!
//! A supervisor makes a cgroup with limits and starts this binary again inside it, in a mount namespace with a private
//! bpffs. Invariant: however the inner process ends (SIGINT, SIGTERM, a crash), the supervisor kills what is left in
//! that cgroup and removes it; pins vanish with the mount namespace. After a SIGKILL of the supervisor the next run does.

use std::{
    fs,
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode},
    sync::atomic::{AtomicI32, Ordering},
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use super::{
    cgroup,
    runner::{self, Base, PREFIX},
    scenario::Place,
    sys,
};

/// Set for the inner process: its cgroup.
const INNER: &str = "SENTINEL_TESTS_CGROUP";

/// Limits of a run: cgroup v2 file and value, then the v1 controller, file and value for hybrid machines.
const LIMITS: [(&str, &str, &str, &str, &str); 3] = [
    ("pids.max", "2000", "pids", "pids.max", "2000"),
    ("memory.max", "4G", "memory", "memory.limit_in_bytes", "4G"),
    ("cpu.max", "200000 100000", "cpu", "cpu.cfs_quota_us", "200000"),
];

static SIGNAL: AtomicI32 = AtomicI32::new(0);

/// Runs the host scenarios whose name contains one of `filters`.
pub fn run(filters: &[String]) -> Result<ExitCode> {
    // SAFETY: geteuid has no arguments and cannot fail.
    ensure!(unsafe { libc::geteuid() } == 0, "the host scenarios load BPF programs and need root; run this with sudo");
    match std::env::var_os(INNER) {
        Some(cgroup) => inner(Path::new(&cgroup), filters),
        None => supervise(filters),
    }
}

fn supervise(filters: &[String]) -> Result<ExitCode> {
    catch_signals()?;
    sweep()?;
    let base = Base::create()?;
    let fences = limit(&base.root);
    let temp = TempDir::create()?;
    let mut child = start_inner(&base.root, &fences, &temp, filters)?;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if SIGNAL.load(Ordering::Relaxed) != 0 {
            eprintln!("sentinel-tests: interrupted, cleaning up");
            child.kill()?;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    // Processes first (dropping the base kills them), then the v1 directories they were in.
    drop(base);
    for fence in &fences {
        cgroup::remove(fence)?;
    }
    if let Some(signal) = status.signal() {
        eprintln!("sentinel-tests: the run was ended by signal {signal}");
    }
    Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}

/// Removes what a run that was killed outright (SIGKILL cannot be caught) has left: cgroups and temporary directories that
/// carry the id of a process that is no more.
fn sweep() -> Result<()> {
    let mut places = vec![cgroup::v2_mount()?, std::env::temp_dir()];
    places.extend(LIMITS.iter().filter_map(|(_, _, controller, _, _)| {
        v1_directory(controller, Path::new("any"))?.parent().map(Path::to_owned)
    }));
    for path in places.iter().flat_map(|place| cgroup::subdirectories(place)) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some(pid) = name.strip_prefix(PREFIX).and_then(|pid| pid.parse::<u32>().ok()) else { continue };
        if Path::new(&format!("/proc/{pid}")).exists() {
            continue;
        }
        eprintln!("note: removing {}, left by a run that was killed", path.display());
        if path.join("cgroup.procs").exists() {
            cgroup::remove(&path)?;
        } else {
            fs::remove_dir_all(&path).with_context(|| format!("removing {}", path.display()))?;
        }
    }
    Ok(())
}

/// The directory that holds all temporary files of the run.
struct TempDir(PathBuf);

impl TempDir {
    fn create() -> Result<Self> {
        let dir = std::env::temp_dir().join(format!("{PREFIX}{}", std::process::id()));
        fs::create_dir(&dir).with_context(|| format!("making {}", dir.display()))?;
        Ok(Self(dir))
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("sentinel-tests: removing {}: {error}", self.0.display());
        }
    }
}

fn start_inner(root: &Path, fences: &[PathBuf], temp: &TempDir, filters: &[String]) -> Result<Child> {
    let mut command = Command::new(std::env::current_exe().context("finding this binary")?);
    command.arg("host").args(filters).env(INNER, root).env("TMPDIR", &temp.0);
    let mut entries = vec![root.join("harness")];
    entries.extend(fences.iter().cloned());
    let entries: Vec<_> = entries.iter().map(|dir| sys::c_path(dir.join("cgroup.procs"))).collect::<Result<_, _>>()?;
    // SAFETY: between fork and exec the closure makes async-signal-safe system calls only; the paths were made before.
    unsafe {
        command.pre_exec(move || {
            sys::check(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0))?;
            for path in &entries {
                let fd = sys::check(libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC))?;
                let written = sys::check_size(libc::write(fd, c"0".as_ptr().cast(), 1));
                libc::close(fd);
                written?;
            }
            sys::unshare(libc::CLONE_NEWNS)
        });
    }
    command.spawn().context("starting the inner test process")
}

fn inner(cgroup_root: &Path, filters: &[String]) -> Result<ExitCode> {
    sys::mount("none", "/", "", libc::MS_REC | libc::MS_PRIVATE, "").context("making the mounts private")?;
    sys::mount("bpf", "/sys/fs/bpf", "bpf", 0, "").context("mounting a private bpffs on /sys/fs/bpf")?;
    runner::run_in(Place::Host, cgroup_root, filters)
}

/// Sets the limits where the controllers are. Gives the v1 directories made for it.
fn limit(root: &Path) -> Vec<PathBuf> {
    let mut fences = Vec::new();
    for (file, value, controller, v1_file, v1_value) in LIMITS {
        if fs::write(root.join(file), value).is_ok() {
            continue;
        }
        match v1_directory(controller, root)
            .map(|dir| (fs::create_dir(&dir).and_then(|()| fs::write(dir.join(v1_file), v1_value)), dir))
        {
            Some((Ok(()), dir)) => fences.push(dir),
            Some((Err(error), dir)) => {
                eprintln!("note: no {controller} limit, {}: {error}", dir.display());
                // The directory may have been made before the limit was refused.
                let _ = fs::remove_dir(dir);
            }
            None => eprintln!("note: no {controller} limit: neither cgroup v2 nor v1 offers that controller here"),
        }
    }
    fences
}

/// Where the v1 directory of this run goes: below the cgroup this process is in, whose own limits thus stay in force.
fn v1_directory(controller: &str, root: &Path) -> Option<PathBuf> {
    let mount = cgroup::mount_of("cgroup", Some(controller)).ok()??;
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = own.lines().find_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        controllers.split(',').any(|name| name == controller).then_some(path)
    })?;
    Some(mount.join(path.trim_start_matches('/')).join(root.file_name()?))
}

extern "C" fn note_signal(signal: libc::c_int) {
    SIGNAL.store(signal, Ordering::Relaxed);
}

fn catch_signals() -> Result<()> {
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        let handler = note_signal as extern "C" fn(libc::c_int);
        // SAFETY: the handler does one atomic store, which is async-signal-safe.
        let previous = unsafe { libc::signal(signal, handler as libc::sighandler_t) };
        ensure!(previous != libc::SIG_ERR, "installing a handler for signal {signal}");
    }
    Ok(())
}
