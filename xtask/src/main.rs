//! `cargo xtask VERB`: setting up, building, running and testing Sentinel from a checkout.
//!
//! Invariant: every verb does the set-up it needs itself, so that `cargo xtask run` and `cargo xtask test` work in a bare
//! clone. Not here: what is tested; that is the crates' own tests and the `sentinel-tests` program.

mod coverage;
mod formats;
#[cfg(feature = "geodata")]
mod geodata;
mod hour;
mod project;
mod report;
mod setup;
mod stages;
mod vm;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use project::{Project, as_root, run};
use setup::Part;

/// Set up, build, run and test Sentinel.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Install what building and testing need; does nothing where that is there.
    Setup,
    /// Build target/release/sentinel with the kernel programs inside.
    Build {
        /// Build target/debug/sentinel instead.
        #[arg(long)]
        debug: bool,
    },
    /// Set up, build and run `sentinel run ARGS` as root.
    Run {
        /// Arguments of `sentinel run`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Run every test: lints, unit tests, host scenarios, VM scenarios.
    Test {
        /// Run one stage (and what it needs).
        #[arg(long, value_name = "STAGE")]
        only: Option<String>,
    },
    /// Boot the VM and run COMMAND in it (default: sentinel-tests vm).
    Vm(vm::Options),
    /// Show in a VM what is refused in monitor mode and in enforce mode.
    Demo {
        /// The kernel to boot, a name from tests/vm/kernels.
        #[arg(long, default_value = vm::DEFAULT_KERNEL)]
        kernel: String,
    },
    /// Count the instructions Sentinel costs, and the time of a decision.
    Bench {
        /// The kernel to boot, a name from tests/vm/kernels.
        #[arg(long, default_value = vm::DEFAULT_KERNEL)]
        kernel: String,
    },
    /// Record an ordinary hour of a server in the VM, and replay it.
    Hour(hour::Options),
    /// Write docs/rules.md and docs/input.md anew from the shipped policies and the table of fields.
    Docs {
        /// Only tell whether they are current.
        #[arg(long)]
        check: bool,
    },
    /// Write docs/coverage.md anew from the results of the scenarios.
    Coverage {
        /// Only tell whether it says more than they show.
        #[arg(long)]
        check: bool,
    },
    /// Write the embedded country data anew from its source.
    Geodata {
        /// `--check` only tells whether the file is what would be written.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
}

fn main() -> ExitCode {
    match dispatch(Cli::parse().verb) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::from(1)
        }
    }
}

fn dispatch(verb: Verb) -> Result<ExitCode> {
    let project = Project::find()?;
    match verb {
        Verb::Setup => setup::run(&project, &[Part::Build, Part::Lint, Part::Vm, Part::Formats])?,
        Verb::Build { debug } => {
            build(&project, debug)?;
        }
        Verb::Run { args } => return start(&project, &args),
        Verb::Test { only } => return stages::run(&project, only.as_deref()),
        Verb::Vm(options) => {
            if !options.no_build {
                prepare_vm(&project)?;
            }
            return vm_command(&project, &options);
        }
        Verb::Demo { kernel } => {
            prepare_vm(&project)?;
            return vm::run(&project, &vm::Options::of(&kernel, &["sentinel-tests", "demo"]));
        }
        Verb::Bench { kernel } => return bench(&project, &kernel),
        Verb::Hour(options) => {
            if !options.no_build {
                prepare_vm(&project)?;
                setup::run(&project, &[Part::Hour])?;
            }
            return hour::run(&project, &options);
        }
        Verb::Docs { check } => docs(&project, check)?,
        Verb::Coverage { check } => coverage::run(&project, check)?,
        Verb::Geodata { args } => geodata(&project, &args)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs a command in the VM; how scenarios came out is kept for the coverage page.
fn vm_command(project: &Project, options: &vm::Options) -> Result<ExitCode> {
    let mut results = coverage::Results::default();
    let status = vm::stream(project, options, &mut |line| {
        println!("{line}");
        results.take(line);
    })?;
    results.store(project, &format!("vm-{}", options.kernel), false)?;
    Ok(ExitCode::from(u8::try_from(status).unwrap_or(1)))
}

/// Runs the generator, which is an example of the crate that it documents.
fn docs(project: &Project, check: bool) -> Result<()> {
    let mut cargo = project.cargo();
    cargo.args(["run", "--quiet", "--package", "rules", "--example", "docs", "--"]);
    run(cargo.args(check.then_some("--check")))
}

#[cfg(feature = "geodata")]
fn geodata(_: &Project, args: &[String]) -> Result<()> {
    geodata::run(args)
}

/// Runs this verb in a build of xtask that has the libraries for it.
#[cfg(not(feature = "geodata"))]
fn geodata(project: &Project, args: &[String]) -> Result<()> {
    let mut cargo = project.cargo();
    cargo.args(["run", "--quiet", "--package", "xtask", "--features", "geodata", "--", "geodata"]).args(args);
    run(&mut cargo)
}

fn build(project: &Project, debug: bool) -> Result<()> {
    setup::run(project, &[Part::Build])?;
    let mut cargo = project.cargo();
    cargo.args(["build", "--package", "sentinel"]);
    if !debug {
        cargo.arg("--release");
    }
    run(&mut cargo)
}

/// Sets up and builds both programs that the VM runs.
fn prepare_vm(project: &Project) -> Result<()> {
    setup::run(project, &[Part::Build, Part::Vm])?;
    run(project.cargo().args(["build", "--release", "--package", "sentinel", "--package", "sentinel-tests"]))
}

/// Builds Sentinel and becomes it.
fn start(project: &Project, args: &[String]) -> Result<ExitCode> {
    use std::os::unix::process::CommandExt as _;
    build(project, false)?;
    let binary = project.release("sentinel");
    let mut command = as_root(project, &binary, "running Sentinel")?;
    command.arg("run").args(args);
    Err(anyhow::Error::new(command.exec()).context(format!("starting {}", binary.display())))
}

/// Instruction counts in the VM, then the time of a decision and of a country look-up here.
fn bench(project: &Project, kernel: &str) -> Result<ExitCode> {
    prepare_vm(project)?;
    let mut options = vm::Options::of(kernel, &["sentinel-tests", "bench"]);
    options.icount = true;
    options.timeout = 3600;
    let code = vm::run(project, &options)?;
    if code != ExitCode::SUCCESS {
        return Ok(code);
    }
    run(project.cargo().args(["run", "--release", "--package", "rules", "--example", "decide"]))?;
    run(project.cargo().args(["build", "--release", "--package", "sentinel-geo-bench"]))?;
    run(&mut as_root(project, project.release("sentinel-geo-bench"), "test-running kernel programs")?)?;
    Ok(ExitCode::SUCCESS)
}
