//! Hooks that only some policies need: there while a policy in force needs them, and not otherwise.
//!
//! Invariant: that they are there is shown by what they refuse, not by what the status says alone.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::enforce_lab::{EPERM, PATIENCE, Shown, alert_of, expect, is_rule, reload, stop, words};
use crate::harness::{
    objects,
    scenario::{Ctx, Scenario, World},
    sentinel::Sentinel,
};

/// The scenarios of this file.
pub(super) fn all() -> Vec<Scenario> {
    vec![Scenario { name: "hooks-on-demand", world: World::Vm, run: on_demand }]
}

const CALM: &str = "package sentinel.lab\nblock_cidrs contains \"203.0.113.0/24\"\n";

/// Checks that these hooks are attached and proved, or that they are not there because nothing needs them.
fn ensure_hooks(sentinel: &Sentinel, names: &[&str], there: bool) -> Result<()> {
    let status = sentinel.status_json()?;
    ensure!(status["enforcement"] == "full", "{}", status["reasons"]);
    let hooks = status["hooks"].as_array().context("the status has no hooks")?;
    for name in names {
        let hook: &Value = hooks.iter().find(|hook| hook["name"] == *name).with_context(|| (*name).to_owned())?;
        ensure!(hook["attached"] == there && hook["proven"] == there, "{hook}");
        ensure!(there || hook["reason"] == "no rule needs it", "{hook}");
    }
    Ok(())
}

/// Programs in the kernel that have this name.
fn programs(name: &str) -> Result<usize> {
    Ok(objects::all()?.into_iter().filter(|id| objects::describe(*id).contains(name)).count())
}

fn on_demand(ctx: &Ctx) -> Result<()> {
    let (changes, mappings) = (["path_unlink", "path_rename", "sb_mount"], ["mmap_file", "file_mprotect"]);
    let program = ctx.tiny_program("forbidden", 0)?.display().to_string();
    let file = ctx.write("vault/file", "x")?.display().to_string();
    let vault = ctx.path("vault").display().to_string();
    let by_event = "package sentinel.lab\n# METADATA\n# custom:\n#   id: lab-rename\nalert contains \"renamed\" if {\n\t\
                    input.event.action == \"rename\"\n\tinput.file.path == \"%\"\n}\n";
    let policy = ctx.policy("lab", CALM)?;
    let sentinel = ctx.sentinel().enforce_whole_host().policy(&policy).start()?;
    ensure_hooks(&sentinel, &[&changes[..], &mappings].concat(), false)?;
    ensure!(programs("path_unlink")? == 0, "the program is in the kernel");
    let twice = format!("rename {file} {vault}/other -- rename {vault}/other {file}");
    let renamed = |errnos: &[i32]| -> Result<()> {
        let outcome = ctx.act(&words(&twice)).outcome()?;
        ensure!(outcome.errnos() == errnos, "{outcome:?}");
        Ok(())
    };
    renamed(&[0, 0])?;
    // An event rule needs the hooks on what it looks at.
    reload(&sentinel, &policy, &by_event.replace('%', &file))?;
    ensure_hooks(&sentinel, &changes, true)?;
    ensure_hooks(&sentinel, &mappings, false)?;
    renamed(&[0, 0])?;
    sentinel.wait_alert(PATIENCE, |alert| is_rule(alert, "lab-rename"))?;
    // Standing rules refuse from the moment of the reload on.
    let rules = format!(
        "package sentinel.lab\nblock_paths contains {{\"id\": \"lab-vault\", \"value\": \"{vault}/\", \"access\": [\"delete\"]}}\n\
         block_executables contains {{\"id\": \"lab-exec\", \"value\": \"{program}\"}}\n"
    );
    reload(&sentinel, &policy, &rules)?;
    expect("unlinked", ctx.act(&words(&format!("unlink {file}"))), EPERM)?;
    expect("mapped", ctx.act(&words(&format!("map-exec {program}"))), EPERM)?;
    ensure_hooks(&sentinel, &[&changes[..], &mappings].concat(), true)?;
    alert_of(&sentinel, "lab-vault", 1, Shown::Refused)?;
    reload(&sentinel, &policy, CALM)?;
    ensure_hooks(&sentinel, &[&changes[..], &mappings].concat(), false)?;
    ensure!(programs("path_unlink")? == 0, "the program is still in the kernel");
    expect("mapped", ctx.act(&words(&format!("map-exec {program}"))), 0)?;
    expect("unlinked", ctx.act(&words(&format!("unlink {file}"))), 0)?;
    stop(sentinel)
}
