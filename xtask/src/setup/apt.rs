//! Debian packages: whether they are there, whether they can be had, installing them.
//!
//! Invariant: one installation for all missing packages, without a question, without recommended extras, waiting for
//! another apt to finish.

use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{Package, report};
use crate::project::{Project, as_root, find_program, line_of, output, run};

/// How long to wait for another apt or dpkg at work.
const LOCK_WAIT: &str = "DPkg::Lock::Timeout=600";

/// Whether this system has apt.
pub(crate) fn available() -> bool {
    find_program("apt-get").is_some() && find_program("dpkg-query").is_some()
}

/// Installs what is missing of `packages`; `purpose` says what for.
pub(crate) fn set_up(project: &Project, packages: &[Package], purpose: &str) -> Result<()> {
    if !available() {
        return require_by_hand(packages, purpose);
    }
    let mut missing = Vec::new();
    for package in packages {
        let there = is_installed(package.name);
        report(package.name, package.why, if there { "already there" } else { "installing" });
        if !there {
            missing.push(package.name);
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    install(project, &missing).with_context(|| format!("{purpose} needs the packages: {}", missing.join(" ")))
}

/// Whether apt knows a version of `package`; looks again after fetching the lists when it does not.
pub(crate) fn can_have(project: &Project, package: &str) -> bool {
    // Without root the lists stay as they are, and the answer is no.
    available() && (has_candidate(package) || (update(project).is_ok() && has_candidate(package)))
}

/// Whether `package` is installed.
pub(crate) fn is_installed(package: &str) -> bool {
    let query = output(Command::new("dpkg-query").args(["-W", "-f", "${db:Status-Abbrev}", package]));
    query.is_ok_and(|status| status.starts_with("ii"))
}

fn install(project: &Project, packages: &[&str]) -> Result<()> {
    // The commands are known before root is asked for, so that the error can name them.
    let by_hand = format!("apt-get update && apt-get install --no-install-recommends {}", packages.join(" "));
    let mut install = apt_get(project).with_context(|| format!("by hand, as root: {by_hand}"))?;
    install.args(["install", "--yes", "--quiet", "--no-install-recommends"]).args(packages);
    if packages.iter().all(|package| has_candidate(package)) && run(&mut install).is_ok() {
        return Ok(());
    }
    // The lists may be missing (a fresh container) or older than the mirror.
    update(project)?;
    run(&mut install).with_context(|| format!("see the lines above, then by hand, as root: {by_hand}"))
}

fn update(project: &Project) -> Result<()> {
    println!("setup: fetching the package lists");
    run(apt_get(project)?.args(["update", "--quiet"]))
}

fn apt_get(project: &Project) -> Result<Command> {
    let mut command = as_root(project, "env", "installing packages")?;
    command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-o", LOCK_WAIT]);
    Ok(command)
}

fn has_candidate(package: &str) -> bool {
    let mut policy = Command::new("apt-cache");
    policy.args(["policy", package]).env("LC_ALL", "C");
    let line = line_of(&policy);
    match output(&mut policy) {
        Ok(text) => text.lines().any(|text| text.trim().starts_with("Candidate:") && !text.contains("(none)")),
        Err(error) => {
            eprintln!("setup: `{line}`: {error:#}");
            false
        }
    }
}

/// On systems without apt: names what is missing by the program it brings.
fn require_by_hand(packages: &[Package], purpose: &str) -> Result<()> {
    let program = |package: &str| {
        match package {
            "qemu-system-x86" => "qemu-system-x86_64",
            "iproute2" => "ip",
            "binutils" => "strip",
            "e2fsprogs" => "mkfs.ext4",
            "gcc" | "libc6-dev" => "cc",
            other => return other.to_owned(),
        }
        .to_owned()
    };
    let missing: Vec<String> =
        packages.iter().map(|package| program(package.name)).filter(|name| find_program(name).is_none()).collect();
    if !missing.is_empty() {
        bail!("{purpose} needs these programs; install them with your package manager: {}", missing.join(", "));
    }
    Ok(())
}
