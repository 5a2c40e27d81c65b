//! `vm`: boots a Debian kernel with our own test program as init, runs one command in it, gives its exit status.
//!
//! Invariant: needs no root, installs nothing, and leaves nothing but the cache in `.vm/`. A kernel panic, a missing status
//! and a time-out are errors, never a status.

mod cpio;
mod fetch;
mod image;
mod modules;
mod qemu;

pub(crate) use qemu::Disk;

use std::{fs, process::ExitCode};

use anyhow::{Context, Result};
use clap::Args;

use crate::project::Project;

/// The kernel used where none is named.
pub(crate) const DEFAULT_KERNEL: &str = "6.12";

/// Where the list of kernels is.
const KERNELS: &str = "tests/vm/kernels";

/// How to boot and what to run.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// The kernel to boot, a name from tests/vm/kernels.
    #[arg(long, default_value = DEFAULT_KERNEL)]
    pub(crate) kernel: String,
    /// One processor that counts instructions: guest nanoseconds are instructions.
    #[arg(long)]
    pub(crate) icount: bool,
    /// Take target/release/{sentinel,sentinel-tests} as they are: no set-up, no build.
    #[arg(long)]
    pub(crate) no_build: bool,
    /// Keep the boot image and the console log, and say where.
    #[arg(long)]
    keep: bool,
    /// Seconds after which the run has failed.
    #[arg(long, default_value_t = 900)]
    pub(crate) timeout: u64,
    /// Put this program, with the libraries it needs, into the VM's /usr/bin too.
    #[arg(long, value_name = "PROGRAM")]
    add: Vec<std::path::PathBuf>,
    /// What the VM has as disks.
    #[arg(skip)]
    pub(crate) disks: Vec<Disk>,
    /// Processors, unless instructions are counted.
    #[arg(skip = 2_u32)]
    pub(crate) processors: u32,
    /// The command and its arguments.
    #[arg(last = true)]
    command: Vec<String>,
}

impl Options {
    /// Boots `kernel` and runs `command`, otherwise as without options.
    pub(crate) fn of(kernel: &str, command: &[&str]) -> Self {
        let command = command.iter().map(|word| (*word).to_owned()).collect();
        Self {
            kernel: kernel.to_owned(),
            icount: false,
            no_build: false,
            keep: false,
            timeout: 900,
            add: Vec::new(),
            disks: Vec::new(),
            processors: 2,
            command,
        }
    }
}

/// Runs the command in the VM, printing what it prints; exits with its status.
pub(crate) fn run(project: &Project, options: &Options) -> Result<ExitCode> {
    let status = stream(project, options, &mut |line| println!("{line}"))?;
    Ok(ExitCode::from(u8::try_from(status).unwrap_or(1)))
}

/// Fetches a kernel, so that runs side by side find it there.
pub(crate) fn fetch(project: &Project, name: &str) -> Result<()> {
    fetch::kernel(project, &kernel(project, name)?).map(drop)
}

/// Runs the command in the VM, handing over its output line by line; gives its exit status.
pub(crate) fn stream(project: &Project, options: &Options, line: &mut dyn FnMut(&str)) -> Result<i32> {
    let kernel = kernel(project, &options.kernel)?;
    let kernel = fetch::kernel(project, &kernel)?;
    let scratch = Scratch::create(project, &options.kernel, options.keep)?;
    let default = ["sentinel-tests".to_owned(), "vm".to_owned()];
    let command = if options.command.is_empty() { &default[..] } else { &options.command };
    image::write(project, &kernel, command, &options.add, &scratch.path("initrd"))?;
    let machine = qemu::Machine {
        kernel: kernel.image.clone(),
        initrd: scratch.path("initrd"),
        console: scratch.path("console.log"),
        disks: options.disks.clone(),
        icount: options.icount,
        processors: options.processors,
        timeout: std::time::Duration::from_secs(options.timeout),
    };
    machine.run(line)
}

/// A line of the list of kernels.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Kernel {
    /// What `--kernel` takes.
    name: String,
    /// The Debian package, usually one that only depends on the current version.
    package: String,
    /// The Debian release that has it.
    suite: String,
}

/// The names of all kernels, in the list's order.
pub(crate) fn kernel_names(project: &Project) -> Result<Vec<String>> {
    Ok(kernels(project)?.into_iter().map(|kernel| kernel.name).collect())
}

fn kernels(project: &Project) -> Result<Vec<Kernel>> {
    let text = fs::read_to_string(project.root.join(KERNELS)).with_context(|| format!("reading {KERNELS}"))?;
    parse_kernels(&text)
}

fn parse_kernels(text: &str) -> Result<Vec<Kernel>> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    lines
        .map(|(number, line)| match line.split_whitespace().collect::<Vec<_>>().as_slice() {
            [name, package, suite] => {
                let [name, package, suite] = [name, package, suite].map(|word| (*word).to_owned());
                Ok(Kernel { name, package, suite })
            }
            _ => anyhow::bail!("{KERNELS}:{}: expected `name package suite`, found `{line}`", number + 1),
        })
        .collect()
}

fn kernel(project: &Project, name: &str) -> Result<Kernel> {
    let kernels = kernels(project)?;
    let names: Vec<&str> = kernels.iter().map(|kernel| kernel.name.as_str()).collect();
    let found = kernels.iter().find(|kernel| kernel.name == name).cloned();
    found.with_context(|| format!("no kernel is named `{name}` in {KERNELS}; there are: {}", names.join(", ")))
}

/// The directory of one run, so that runs side by side do not meet.
struct Scratch {
    dir: std::path::PathBuf,
    keep: bool,
}

impl Scratch {
    fn create(project: &Project, kernel: &str, keep: bool) -> Result<Self> {
        let runs = project.cache()?.join("run");
        fs::create_dir_all(&runs).with_context(|| format!("making {}", runs.display()))?;
        // Runs that were killed could not tidy up.
        for entry in fs::read_dir(&runs)?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let pid = name.split('-').next().unwrap_or_default();
            let dead = pid.parse::<u32>().is_ok_and(|pid| !std::path::Path::new(&format!("/proc/{pid}")).exists());
            if dead && !entry.path().join("keep").exists() {
                fs::remove_dir_all(entry.path()).with_context(|| format!("removing {}", entry.path().display()))?;
            }
        }
        let dir = runs.join(format!("{}-{kernel}", std::process::id()));
        if dir.exists() {
            fs::remove_dir_all(&dir).with_context(|| format!("removing {}", dir.display()))?;
        }
        fs::create_dir(&dir).with_context(|| format!("making {}", dir.display()))?;
        if keep {
            fs::write(dir.join("keep"), "")?;
            println!("vm: boot image and console log are kept in {}", dir.display());
        }
        Ok(Self { dir, keep })
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.keep
            && let Err(error) = fs::remove_dir_all(&self.dir)
        {
            eprintln!("xtask: removing {}: {error}", self.dir.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_list_is_read_and_bad_lines_are_named() {
        let kernels = parse_kernels("# list\n\n6.12 linux-image-cloud bookworm\n").unwrap();
        assert_eq!(kernels.len(), 1);
        assert_eq!((kernels[0].name.as_str(), kernels[0].suite.as_str()), ("6.12", "bookworm"));
        let error = parse_kernels("6.12 linux-image-cloud bookworm\n6.1 only-two\n").unwrap_err();
        assert!(error.to_string().contains("tests/vm/kernels:2:"), "{error}");
    }
}
