//! `hour`: an ordinary hour of a server in the VM, recorded by Sentinel, brought out, and replayed.
//!
//! Invariant: the shipped policies must leave all of it in peace; one refusal fails the hour. What is done in it is in
//! `tests/vm/hour/`, what is checked in `sentinel-tests hour-report`.

mod image;

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::{
    project::{Project, find_program, run as run_command},
    vm,
};

/// The set that the hour is replayed with, and the rule that is tried against it.
const POLICIES: &str = "rules/policy";
const EDITED: &str = "docs/examples/no_compilers.rego";
/// Room for results. The file is sparse.
const RESULTS: &str = "4G";
/// What the VM leaves; the first is the record.
const FILES: [&str; 5] = ["events.jsonl", "alerts.jsonl", "status.json", "hour.log", "sentinel.err"];
/// Seconds for booting and starting, and for what began to end; on a busy machine all of it is slow.
const MARGIN: u64 = 1200;

/// How long, on what.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Minutes to record; below 15 everything is done in a small way.
    #[arg(long, default_value_t = 60)]
    pub(crate) minutes: u64,
    /// The kernel to boot, a name from tests/vm/kernels.
    #[arg(long, default_value = vm::DEFAULT_KERNEL)]
    pub(crate) kernel: String,
    /// Where the compressed record goes; the files beside it carry its name.
    #[arg(long, value_name = "FILE", default_value = "target/hour/events.jsonl.zst")]
    pub(crate) output: PathBuf,
    /// Take target/release/{sentinel,sentinel-tests} as they are: no set-up, no build.
    #[arg(long)]
    pub(crate) no_build: bool,
    /// Whether Sentinel only watches or enforces.
    #[arg(long, value_parser = ["monitor", "enforce"], default_value = "monitor")]
    pub(crate) mode: String,
    /// Processors of the VM.
    #[arg(long, default_value_t = 2)]
    pub(crate) processors: u32,
}

impl Options {
    /// Everything once, for the tests; enforcing, so that a refusal also breaks what it hits.
    pub(crate) fn short() -> Self {
        let output = PathBuf::from("target/hour-short/events.jsonl.zst");
        let (kernel, mode) = (vm::DEFAULT_KERNEL.to_owned(), "enforce".to_owned());
        Self { minutes: 1, kernel, output, no_build: true, mode, processors: 2 }
    }
}

/// Records, brings out, replays; the status is that of the checks.
pub(crate) fn run(project: &Project, options: &Options) -> Result<ExitCode> {
    let dir = record(project, options)?;
    let mut report = report(project, &dir);
    let status = report.status().context("starting sentinel-tests")?;
    compress(&dir.join(FILES[0]), &project.root.join(&options.output))?;
    println!("hour: the record is {}", options.output.display());
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// The command that replays the record in `dir`.
pub(crate) fn report(project: &Project, dir: &Path) -> Command {
    let mut report = project.command(project.release("sentinel-tests"));
    report.arg("hour-report").arg(dir.join(FILES[0])).args([POLICIES, EDITED]);
    report
}

/// Runs the VM; gives the directory with what it left.
pub(crate) fn record(project: &Project, options: &Options) -> Result<PathBuf> {
    let disk = image::disk(project)?;
    let output = project.root.join(&options.output);
    let dir = output.parent().context("the record needs a directory")?.to_owned();
    fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
    let results = dir.join("results.ext4");
    empty_disk(&results)?;
    let minutes = options.minutes.to_string();
    let mut machine = vm::Options::of(&options.kernel, &["sentinel-tests", "hour", &minutes, &options.mode]);
    machine.timeout = 60 * options.minutes + MARGIN;
    machine.processors = options.processors;
    machine.disks = vec![vm::Disk { image: disk, keep: false }, vm::Disk { image: results.clone(), keep: true }];
    let status = vm::stream(project, &machine, &mut |line| println!("{line}"));
    let fetched = FILES.iter().try_for_each(|name| fetch(&results, name, &dir.join(name)));
    let kept = || format!("what the VM left is on {}", results.display());
    let status = status.with_context(kept)?;
    if fetched.is_ok() {
        fs::remove_file(&results).with_context(|| format!("removing {}", results.display()))?;
    }
    ensure!(
        status == 0,
        "the hour in the VM ended with status {status}; its output is {}",
        dir.join("hour.log").display()
    );
    fetched.with_context(kept)?;
    Ok(dir)
}

fn empty_disk(path: &Path) -> Result<()> {
    File::create(path).with_context(|| format!("making {}", path.display()))?;
    run_command(Command::new(tool("mkfs.ext4")?).args(["-q", "-F"]).arg(path).arg(RESULTS))
}

/// Copies a file out of a file system that is not mounted.
fn fetch(disk: &Path, name: &str, to: &Path) -> Result<()> {
    if to.exists() {
        fs::remove_file(to).with_context(|| format!("removing {}", to.display()))?;
    }
    let mut debugfs = Command::new(tool("debugfs")?);
    // The names in a request end at a blank, so that of the directory is not part of it.
    debugfs.current_dir(to.parent().unwrap_or(Path::new("/"))).args(["-R", &format!("dump {name} {name}")]).arg(disk);
    run_command(debugfs.stderr(std::process::Stdio::null()))?;
    ensure!(to.exists(), "the VM left no {name}");
    Ok(())
}

fn compress(file: &Path, to: &Path) -> Result<()> {
    run_command(Command::new(tool("zstd")?).args(["-q", "-f", "-10"]).arg(file).arg("-o").arg(to))
}

fn tool(name: &str) -> Result<PathBuf> {
    find_program(name).with_context(|| format!("{name} is not installed: cargo xtask setup installs it"))
}
