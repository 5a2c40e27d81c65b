//! `test`: every check, stage by stage, up to the first that fails.
//!
//! Invariant: a stage that is there to run tests and runs none has failed. The last line is `N passed, N failed`.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, ExitCode, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    coverage::{self, Results},
    formats, hour,
    project::{Project, as_root, line_of, run as run_command},
    report,
    setup::{self, Part},
    vm,
};

/// How many tests ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

/// What a stage does.
type Action = Box<dyn Fn(&Project) -> Result<Count>>;

/// One stage: its name, what it does, and whether it runs tests.
struct Stage {
    name: String,
    what: &'static str,
    counts: bool,
    run: Action,
}

impl Stage {
    fn new(name: &str, what: &'static str, run: impl Fn(&Project) -> Result<()> + 'static) -> Self {
        let run = Box::new(move |project: &Project| run(project).map(|()| Count::default()));
        Self { name: name.to_owned(), what, counts: false, run }
    }

    fn tests(name: &str, what: &'static str, run: impl Fn(&Project) -> Result<Count> + 'static) -> Self {
        Self { name: name.to_owned(), what, counts: true, run: Box::new(run) }
    }
}

/// All stages in order; the one for VMs is for all kernels, unless `only` names that of one.
fn stages(project: &Project, only: Option<&str>) -> Result<Vec<Stage>> {
    let mut stages = vec![
        Stage::new("setup", "what building and testing need", |project| {
            setup::run(project, &[Part::Build, Part::Lint, Part::Vm, Part::Hour, Part::Formats])
        }),
        Stage::new("format", "cargo fmt --check", |project| run_command(project.cargo().args(["fmt", "--check"]))),
        Stage::new("clippy", "lints, warnings are errors", clippy),
        Stage::new("clippy-kernel", "the same for the kernel programs", clippy_kernel),
        Stage::tests("unit", "tests that need no root", unit_tests),
        Stage::new("build", "sentinel and sentinel-tests, release", build),
        Stage::tests("host", "scenarios on this machine, fenced in", host_tests),
    ];
    let names = vm::kernel_names(project)?;
    let asked = only.and_then(|only| only.strip_prefix("vm-"));
    let one = names.iter().find(|name| Some(name.as_str()) == asked).cloned();
    let (name, kernels) = one.map_or_else(|| ("vm".to_owned(), names), |name| (format!("vm-{name}"), vec![name]));
    let what = "scenarios in VMs, one for each kernel, side by side";
    stages.push(Stage::tests(&name, what, move |project| vm_tests(project, &kernels)));
    stages.push(Stage::tests("hour", "a server's ordinary work in a VM: nothing is denied", hour_test));
    // Behind the scenarios, whose alerts it reads.
    stages.push(Stage::tests("formats", "alerts by the schemas of others", formats::run_stage));
    if only == Some("report") {
        // Not among all: it needs a browser.
        stages.push(Stage::tests("report", "an audit report in headless Chromium", |project| {
            report::check(project).map(|(passed, failed)| Count { passed, failed })
        }));
    }
    stages.push(Stage::new("coverage", "docs/coverage.md says no more than the scenarios showed", |project| {
        coverage::run(project, true)
    }));
    Ok(stages)
}

/// Runs every stage, or the one named `only` after those that it needs.
pub(crate) fn run(project: &Project, only: Option<&str>) -> Result<ExitCode> {
    let stages = stages(project, only)?;
    let chosen = choose(&stages, only)?;
    let mut total = Count::default();
    let mut times = Vec::new();
    let begin = Instant::now();
    let mut failure = None;
    for (number, stage) in chosen.iter().enumerate() {
        println!("== stage {}/{} {}: {}", number + 1, chosen.len(), stage.name, stage.what);
        let start = Instant::now();
        let result = run_stage(stage, project, &mut total);
        let seconds = start.elapsed().as_secs();
        times.push(format!("{} {seconds} s", stage.name));
        if let Err(error) = result {
            println!("== stage {} FAILED after {seconds} s: {error:#}", stage.name);
            failure = Some(stage.name.as_str());
            break;
        }
        println!("== stage {} ok ({seconds} s)", stage.name);
    }
    println!("== times: {}; together {} s", times.join(", "), begin.elapsed().as_secs());
    if failure.is_some() {
        // A stage that failed without a failed test (a lint, a build) counts as one.
        total.failed = total.failed.max(1);
    }
    println!("{} passed, {} failed", total.passed, total.failed);
    Ok(if failure.is_none() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn run_stage(stage: &Stage, project: &Project, total: &mut Count) -> Result<()> {
    let count = (stage.run)(project)?;
    total.passed += count.passed;
    total.failed += count.failed;
    ensure!(count.failed == 0, "{} of {} tests failed", count.failed, count.passed + count.failed);
    ensure!(!stage.counts || count.passed > 0, "not one test ran");
    Ok(())
}

fn choose<'a>(stages: &'a [Stage], only: Option<&str>) -> Result<Vec<&'a Stage>> {
    let Some(only) = only else { return Ok(stages.iter().collect()) };
    if !stages.iter().any(|stage| stage.name == only) {
        let names: Vec<&str> = stages.iter().map(|stage| stage.name.as_str()).collect();
        bail!("no stage is named `{only}`; there are: {}", names.join(", "));
    }
    let runs_release = matches!(only, "host" | "hour") || only.starts_with("vm");
    let wanted = |name: &str| name == only || name == "setup" || (name == "build" && runs_release);
    Ok(stages.iter().filter(|stage| wanted(&stage.name)).collect())
}

fn clippy(project: &Project) -> Result<()> {
    let mut cargo = project.cargo();
    cargo.args(["clippy", "--workspace", "--exclude", "sentinel-ebpf", "--all-targets", "--features", "xtask/geodata"]);
    run_command(cargo.args(["--", "-D", "warnings"]))
}

/// The kernel programs are compiled for another target by another compiler; see `sentinel/build.rs`.
fn clippy_kernel(project: &Project) -> Result<()> {
    let kernel = setup::kernel_toolchain(project);
    let name = match kernel {
        setup::Kernel::Debian => "debian",
        setup::Kernel::Nightly => "nightly",
    };
    let mut cargo = project.command("rustup");
    cargo.args(["run", name, "cargo", "clippy", "--package", "sentinel-ebpf", "--bins"]);
    cargo.args(["--target", "bpfel-unknown-none"]);
    if kernel == setup::Kernel::Nightly {
        cargo.args(["-Z", "build-std=core"]);
    }
    cargo.arg("--target-dir").arg(project.target.join("clippy-kernel"));
    // What aya-build passes for the architecture whose registers the programs read.
    let arch = format!("--cfg=bpf_target_arch=\"{}\"", std::env::consts::ARCH);
    cargo.env("CARGO_ENCODED_RUSTFLAGS", arch).env_remove("CARGO");
    run_command(cargo.args(["--", "-D", "warnings"]))
}

fn unit_tests(project: &Project) -> Result<Count> {
    counted(project.cargo().arg("test"), &mut cargo_count)
}

fn build(project: &Project) -> Result<()> {
    let args = ["build", "--release", "--package", "sentinel", "--package", "sentinel-tests"];
    run_command(project.cargo().args(args))
}

fn host_tests(project: &Project) -> Result<Count> {
    let tests = project.release("sentinel-tests");
    let mut results = Results::default();
    let mut command = as_root(project, tests, "running the host scenarios")?;
    command.env(formats::KEEP, formats::kept(project, "host")?);
    let count = counted(command.arg("host"), &mut |line| {
        results.take(line);
        scenario_count(line)
    })?;
    results.store(project, "host", true)?;
    Ok(count)
}

/// Seconds that the scenarios may take in a VM.
const VM_LIMIT: u64 = 4000;

/// A VM waits more than it computes, so those of all kernels run at the same time.
fn vm_tests(project: &Project, kernels: &[String]) -> Result<Count> {
    kernels.iter().try_for_each(|kernel| vm::fetch(project, kernel))?;
    let results: Vec<Result<Count>> = std::thread::scope(|scope| {
        let runs: Vec<_> = kernels.iter().map(|kernel| scope.spawn(move || vm_test(project, kernel))).collect();
        let ended = |run: std::thread::ScopedJoinHandle<'_, Result<Count>>| {
            run.join().unwrap_or_else(|_| bail!("the thread of a VM panicked"))
        };
        runs.into_iter().map(ended).collect()
    });
    let mut total = Count::default();
    for (kernel, result) in kernels.iter().zip(results) {
        let count = result.with_context(|| format!("kernel {kernel}"))?;
        ensure!(count.passed + count.failed > 0, "not one test ran on kernel {kernel}");
        add(&mut total, Some(count));
    }
    Ok(total)
}

fn vm_test(project: &Project, kernel: &str) -> Result<Count> {
    let keep = format!("{}=/dev/vda exec sentinel-tests vm", formats::KEEP);
    let mut options = vm::Options::of(kernel, &["sh", "-c", &keep]);
    options.timeout = VM_LIMIT;
    options.disks = vec![vm::Disk { image: formats::kept(project, kernel)?, keep: true }];
    let (mut count, mut results) = (Count::default(), Results::default());
    let code = vm::stream(project, &options, &mut |line| {
        println!("{kernel}| {line}");
        results.take(line);
        add(&mut count, scenario_count(line));
    })?;
    results.store(project, &format!("vm-{kernel}"), true)?;
    ensure!(code == 0 || count.failed > 0, "the scenarios in the VM ended with status {code} and no failed test");
    Ok(count)
}

/// A short hour: everything once.
fn hour_test(project: &Project) -> Result<Count> {
    let dir = hour::record(project, &hour::Options::short())?;
    counted(&mut hour::report(project, &dir), &mut scenario_count)
}

/// Runs a command whose output is shown line by line and counted.
pub(crate) fn counted(command: &mut Command, count: &mut dyn FnMut(&str) -> Option<Count>) -> Result<Count> {
    let line = line_of(command);
    let mut child = command.stdout(Stdio::piped()).spawn().with_context(|| format!("starting `{line}`"))?;
    let mut total = Count::default();
    for text in child.stdout.take().into_iter().flat_map(|pipe| BufReader::new(pipe).split(b'\n')) {
        let text = String::from_utf8_lossy(&text?).into_owned();
        println!("{text}");
        add(&mut total, count(&text));
    }
    let status = child.wait()?;
    ensure!(status.success() || total.failed > 0, "`{line}` failed ({status})");
    Ok(total)
}

pub(crate) fn add(total: &mut Count, more: Option<Count>) {
    let more = more.unwrap_or_default();
    total.passed += more.passed;
    total.failed += more.failed;
}

/// Reads `test result: ok. 12 passed; 0 failed; ...`.
pub(crate) fn cargo_count(line: &str) -> Option<Count> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let mut parts = counts.split("; ");
    let passed = parts.next()?.strip_suffix(" passed")?.parse().ok()?;
    let failed = parts.next()?.strip_suffix(" failed")?.parse().ok()?;
    Some(Count { passed, failed })
}

/// Reads `12 passed, 0 failed`, the last line of sentinel-tests.
pub(crate) fn scenario_count(line: &str) -> Option<Count> {
    let (passed, failed) = line.split_once(", ")?;
    let passed = passed.strip_suffix(" passed")?.parse().ok()?;
    let failed = failed.strip_suffix(" failed")?.parse().ok()?;
    Some(Count { passed, failed })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_from_both_programs() {
        let line = "test result: FAILED. 12 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s";
        assert_eq!(cargo_count(line), Some(Count { passed: 12, failed: 1 }));
        assert_eq!(cargo_count("12 passed, 1 failed"), None);
        assert_eq!(scenario_count("7 passed, 2 failed"), Some(Count { passed: 7, failed: 2 }));
        assert_eq!(scenario_count("ok name (1.2 s)"), None);
        assert_eq!(scenario_count(line), None);
    }

    #[test]
    fn a_stage_without_tests_fails() {
        let project = Project { root: "/".into(), target: "/".into() };
        let none = Stage::tests("unit", "", |_| Ok(Count::default()));
        assert!(run_stage(&none, &project, &mut Count::default()).is_err());
        let one = Stage::tests("unit", "", |_| Ok(Count { passed: 1, failed: 0 }));
        let mut total = Count::default();
        assert!(run_stage(&one, &project, &mut total).is_ok());
        assert_eq!(total, Count { passed: 1, failed: 0 });
        let failing = Stage::tests("unit", "", |_| Ok(Count { passed: 1, failed: 1 }));
        assert!(run_stage(&failing, &project, &mut total).is_err());
        assert_eq!(total, Count { passed: 2, failed: 1 });
    }
}
