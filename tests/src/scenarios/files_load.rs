//! What no rule is about goes on unharmed under load: a hundred thousand opens and execs, and code that is made in memory.
//!
//! Invariant: not one refusal and not one internal error at any hook, by the kernel's own counts.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{
    enforce_lab::stop,
    files_ground::{Ground, On},
};
use crate::harness::{
    scenario::{Ctx, Scenario, World},
    sentinel::Sentinel,
};

/// The scenarios of this file.
pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario { name: "files-unprotected-load", world: World::Vm, run: unprotected },
        Scenario { name: "files-anonymous-exec", world: World::Vm, run: anonymous },
    ]
}

/// Opens, and execs, of what no rule is about.
const OPENS: usize = 95_000;
const EXECS: usize = 5_000;

/// A rule of each kind about files, so that every look-up is made.
fn rules(ground: &Ground) -> String {
    format!(
        "package sentinel.lab\nblock_paths contains \"{}\"\nblock_paths contains \"{}\"\nblock_executables contains \"{}\"\n",
        ground.path("vault/"),
        ground.path("etc/shadow"),
        ground.path("bin/prog")
    )
}

/// Refusals and internal errors of all hooks, as text of those that have any.
fn harm(status: &Value) -> Result<Vec<String>> {
    let hooks = status["hooks"].as_array().context("the status has no hooks")?;
    let bad = |hook: &&Value| hook["refused"].as_u64() != Some(0) || hook["errors"].as_u64() != Some(0);
    Ok(hooks.iter().filter(bad).map(ToString::to_string).collect())
}

fn ensure_unharmed(sentinel: &Sentinel, before: &[String]) -> Result<()> {
    let after = harm(&sentinel.status_json()?)?;
    ensure!(after == before, "refusals or errors: {after:?}, before: {before:?}");
    Ok(())
}

fn unprotected(ctx: &Ctx) -> Result<()> {
    let ground = Ground::new(ctx, On::Tmpfs)?;
    let policy = ctx.policy("lab", &rules(&ground))?;
    let names: Vec<String> = (0..100).map(|index| ground.path(&format!("outside/file-{index}"))).collect();
    names.iter().try_for_each(|name| fs::write(name, "x"))?;
    let program = ctx.tiny_program("tiny", 0)?;
    let sentinel = ctx.sentinel().enforce_whole_host().policy(&policy).start()?;
    let before = harm(&sentinel.status_json()?)?;
    for index in 0..OPENS {
        let name = &names[index % names.len()];
        fs::File::open(name).with_context(|| format!("open {index} of {name}"))?;
    }
    for index in 0..EXECS {
        let status = std::process::Command::new(&program).status().with_context(|| format!("exec {index}"))?;
        ensure!(status.success(), "exec {index}: {status}");
    }
    ensure_unharmed(&sentinel, &before)?;
    let status = sentinel.status_json()?;
    let runs = |name: &str| {
        let hooks = status["hooks"].as_array().into_iter().flatten();
        hooks.filter(|hook| hook["name"] == name).filter_map(|hook| hook["runs"].as_u64()).sum::<u64>()
    };
    let (opens, execs) = (runs("file_open"), runs("bprm_check_security"));
    ensure!(opens >= OPENS as u64 && execs >= EXECS as u64, "the hooks saw {opens} opens and {execs} execs: {status}");
    ensure!(sentinel.alerts()?.is_empty(), "{:?}", sentinel.alerts()?);
    stop(sentinel)
}

/// Memory without a file, executable at once or later: the kernel hands the hook a null file, and some drop a test for it.
fn anonymous(ctx: &Ctx) -> Result<()> {
    let ground = Ground::new(ctx, On::Tmpfs)?;
    let policy = ctx.policy("lab", &rules(&ground))?;
    let sentinel = ctx.sentinel().enforce_whole_host().policy(&policy).start()?;
    let status = sentinel.status_json()?;
    for name in ["mmap_file", "file_mprotect"] {
        let hooks = status["hooks"].as_array().into_iter().flatten();
        let proven = hooks.filter(|hook| hook["name"] == name).all(|hook| hook["proven"] == true);
        ensure!(proven, "{name} is not proven: {status}");
    }
    let before = harm(&status)?;
    let errno = ctx.act(&["jit", "2000"]).errno()?;
    ensure!(errno == 0, "code made in memory does not run: errno {errno}");
    ensure_unharmed(&sentinel, &before)?;
    let prog = ground.path("bin/prog");
    ensure!(ctx.act(&["map-exec", &prog]).errno()? == libc::EPERM, "and what a rule is about is refused as before");
    stop(sentinel)
}
