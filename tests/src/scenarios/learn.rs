//! A policy that is learned: checked, replayed, enforced.

use std::fs;

use anyhow::{Context as _, Result, ensure};

use super::enforce_lab::{EPERM, Shown, alert_of, expect, stop, words};
use crate::harness::{
    cgroup,
    scenario::{Ctx, Scenario, World},
};

/// The scenarios of this file.
pub(super) fn all() -> Vec<Scenario> {
    vec![Scenario { name: "learn-and-enforce", world: World::Vm, run: learn }]
}

/// What was seen is allowed, in the replay and in force; what was not is refused.
fn learn(ctx: &Ctx) -> Result<()> {
    let service = ctx.cgroup("service")?;
    let (seen, held_out) = (ctx.tiny_program("seen", 0)?, ctx.tiny_program("held-out", 0)?);
    let (learned, recording, more) = (ctx.path("learned.rego"), ctx.path("one.jsonl"), ctx.path("two.jsonl"));
    let calm = ctx.policy("calm", "package sentinel.calm\n")?;
    let run = |path: &std::path::Path, errno: i32| {
        let op = format!("exec {}", path.display());
        expect(&op, ctx.act(&words(&op)).cgroup(&service), errno)
    };
    let bash = ctx.command("/bin/bash").args(["-c", "exit 0"]).cgroup(&service);
    let monitor = |recording: &std::path::Path| ctx.sentinel().policy(&calm).arg("--record").arg(recording);
    let sentinel = monitor(&recording).arg("--learn").arg(&learned).start()?;
    run(&seen, 0)?;
    bash.success()?;
    sentinel.settle(std::time::Duration::from_millis(500))?;
    stop(sentinel)?;
    let text = fs::read_to_string(&learned)?;
    ensure!(text.contains("/seen\"") && text.contains("/bash\"") && !text.contains("/held-out"), "{text}");
    let sentinel = monitor(&more).start()?;
    run(&held_out, 0)?;
    sentinel.settle(std::time::Duration::from_millis(500))?;
    stop(sentinel)?;
    // Reviewed: what ran outside the service is not to be limited here, and the rest is to be enforced.
    let mount = cgroup::v2_mount()?;
    let name = format!("/{}", service.path().strip_prefix(&mount)?.display());
    let policy = ctx.policy("reviewed", &reviewed(&text, &name)?)?;
    ctx.command(&ctx.sentinel_bin).args(["check".as_ref(), policy.as_os_str()]).success()?;
    let replay = |recording: &std::path::Path| -> Result<serde_json::Value> {
        let words = ["replay".as_ref(), recording.as_os_str(), "--json".as_ref()];
        let run = ctx.command(&ctx.sentinel_bin).args(words).args(["--policy".as_ref(), policy.as_os_str()]);
        let outcome = run.outcome()?;
        serde_json::from_str(&outcome.stdout).with_context(|| format!("{outcome:?}"))
    };
    let same = replay(&recording)?;
    ensure!(!same.to_string().contains("learned-programs\",\"refused"), "{same}");
    let (refused_same, refused_more) = (refused(&same), refused(&replay(&more)?));
    ensure!(refused_same == 0 && refused_more >= 1, "{refused_same} {refused_more}: {same}");
    let sentinel = ctx.sentinel().enforce_whole_host().policy(&policy).start()?;
    run(&seen, 0).context("as it was learned")?;
    ctx.command("/bin/bash").args(["-c", "exit 0"]).cgroup(&service).success().context("as it was learned")?;
    run(&held_out, EPERM).context("held out")?;
    alert_of(&sentinel, "learned-programs", 1, Shown::Refused)?;
    stop(sentinel)
}

/// The lists of one control group, in force.
fn reviewed(text: &str, cgroup: &str) -> Result<String> {
    let mut parts = text.split("\n# Programs of ");
    let head = parts.next().context("no head")?.replace("#   mode: monitor\n", "");
    let own = parts.find(|part| part.starts_with(&format!("{cgroup}.\n")));
    let own = own.with_context(|| format!("no list for {cgroup}: {text}"))?;
    Ok(format!("{head}\n# Programs of {}", own.split("\n# ").next().unwrap_or(own)))
}

/// How many events a replay says would be refused.
fn refused(report: &serde_json::Value) -> u64 {
    report["outcomes"]["refused_by_standing_rule"].as_u64().unwrap_or_default()
}
