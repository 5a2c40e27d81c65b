//! `sentinel block`: an operator blocks at once, for a time, with a reason; and takes it back.
//!
//! Invariant: both worlds for each: it works before, is refused while the block holds, works afterwards.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::enforce_lab::{EPERM, Ground, PATIENCE, Shown, alert_of, is_rule, stop, text};
use crate::harness::{
    command::Outcome,
    scenario::{Ctx, Place, Scenario, World, eventually},
    sentinel::Sentinel,
};

/// The scenarios of this file.
pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario { name: "operator-blocks-hold-and-end", world: World::Both, run: hold_and_end },
        Scenario { name: "operator-blocks-of-every-kind", world: World::Both, run: every_kind },
        Scenario { name: "operator-blocks-refused", world: World::Both, run: refused },
        Scenario { name: "operator-blocks-in-monitor-mode", world: World::Both, run: monitor },
    ]
}

const TARGET: &str = "udp-connect 203.0.113.1:9";
const CALM: &str = "package sentinel.lab\n\nblock_cidrs contains \"192.0.2.128/25\"\n";

fn block(sentinel: &Sentinel, words: &[&str]) -> Result<Outcome> {
    sentinel.verb("block").args(words).outcome()
}

/// Orders a block; its id.
fn add(sentinel: &Sentinel, words: &[&str]) -> Result<String> {
    let all: Vec<&str> = ["add"].iter().chain(words).chain(&["--reason", "incident 7"]).copied().collect();
    let outcome = block(sentinel, &all)?;
    ensure!(outcome.code == Some(0), "{all:?}: {outcome:?}");
    Ok(outcome.stdout.split(' ').next().unwrap_or_default().to_owned())
}

fn list(sentinel: &Sentinel) -> Result<Vec<Value>> {
    let outcome = block(sentinel, &["list", "--json"])?;
    let value: Value = serde_json::from_str(&outcome.stdout).with_context(|| format!("{outcome:?}"))?;
    Ok(value["blocks"].as_array().cloned().unwrap_or_default())
}

fn hold_and_end(ctx: &Ctx) -> Result<()> {
    let ground = Ground::prepare(ctx)?;
    let policy = ctx.policy("lab", CALM)?;
    let sentinel = ground.enforce(ctx).policy(&policy).start()?;
    ground.expect(ctx, TARGET, 0)?;
    let id = add(&sentinel, &["cidr", "203.0.113.0/24", "--ttl", "0"])?;
    ground.expect(ctx, TARGET, EPERM)?;
    ground.expect(ctx, "udp-connect 198.51.100.1:9", 0)?;
    alert_of(&sentinel, &id, 1, Shown::Refused)?;
    let told = sentinel.wait_alert(PATIENCE, |alert| is_rule(alert, "operator-block"))?;
    let message = text(&told, "/message");
    ensure!(message.contains("incident 7") && message.contains("user 0") && message.contains(&id), "{message}");
    let blocks = list(&sentinel)?;
    ensure!(blocks.len() == 1 && blocks[0]["id"] == *id && blocks[0]["reason"] == "incident 7", "{blocks:?}");

    // It outlives policies and the daemon.
    std::fs::write(&policy, format!("{CALM}# again\n"))?;
    sentinel.wait_alert(PATIENCE, |alert| is_rule(alert, "policy-replaced"))?;
    ground.expect(ctx, TARGET, EPERM)?;
    let again = ground.enforce(ctx).policy(&policy).dirs_of(&sentinel);
    stop(sentinel)?;
    ground.expect(ctx, TARGET, 0)?;
    let sentinel = again.start()?;
    ground.expect(ctx, TARGET, EPERM)?;

    let outcome = block(&sentinel, &["remove", &id, "--reason", "over"])?;
    ensure!(outcome.code == Some(0), "{outcome:?}");
    ground.expect(ctx, TARGET, 0)?;

    let second = add(&sentinel, &["cidr", "203.0.113.1", "--ttl", "6s"])?;
    ensure!(second != id, "an id was given twice");
    ground.expect(ctx, TARGET, EPERM)?;
    let works = || Ok((ground.act(ctx, &ctx.tests_bin, TARGET).errno()? == 0).then_some(()));
    eventually("the end of a block", PATIENCE, works)?;
    eventually("an empty list", PATIENCE, || Ok(list(&sentinel)?.is_empty().then_some(())))?;
    sentinel.wait_alert(PATIENCE, |alert| {
        is_rule(alert, "operator-block") && text(alert, "/message").contains("ended by its ttl")
    })?;
    stop(sentinel)
}

fn every_kind(ctx: &Ctx) -> Result<()> {
    let ground = Ground::prepare(ctx)?;
    let policy = ctx.policy("lab", CALM)?;
    let geo = ctx.geo_csv("geo", &[("203.0.113.0", "203.0.113.255", "KP"), ("192.0.2.0", "192.0.2.255", "CU")])?;
    let sentinel = ground.enforce(ctx).policy(&policy).geoip(&geo).start()?;
    let secret = ctx.write("secret", "x")?;
    let program = ctx.program("tool")?;
    let (secret, tool) = (secret.display().to_string(), program.display().to_string());
    let (open, run) = (format!("open {secret} read"), format!("exec {tool}"));
    let mut kinds = vec![
        (vec!["country", "KP"], TARGET),
        (vec!["cidr", "203.0.113.1"], TARGET),
        (vec!["cidr", "203.0.113.0/24", "--port", "9"], TARGET),
    ];
    // Files and programs are refused by LSM hooks, which the VM has.
    if ctx.place == Place::Vm {
        kinds.extend([(vec!["path", &secret], open.as_str()), (vec!["executable", &tool], run.as_str())]);
    }
    for (what, op) in kinds {
        ground.expect(ctx, op, 0).with_context(|| format!("before {what:?}"))?;
        let id = add(&sentinel, &what)?;
        ground.expect(ctx, op, EPERM).with_context(|| format!("{what:?}"))?;
        let outcome = block(&sentinel, &["remove", &id, "--reason", "over"])?;
        ensure!(outcome.code == Some(0), "{outcome:?}");
        ground.expect(ctx, op, 0).with_context(|| format!("after {what:?}"))?;
    }
    // Limits: another port, another program.
    add(&sentinel, &["cidr", "203.0.113.0/24", "--port", "443", "--executable", &tool])?;
    ground.expect(ctx, TARGET, 0)?;
    ground.expect(ctx, "udp-connect 203.0.113.1:443", 0)?;
    let refused = ground.act(ctx, &program, "udp-connect 203.0.113.1:443").errno()?;
    ensure!(refused == EPERM, "the program that it is limited to: errno {refused}");
    stop(sentinel)
}

fn refused(ctx: &Ctx) -> Result<()> {
    let ground = Ground::prepare(ctx)?;
    let policy = ctx.policy("lab", CALM)?;
    let sentinel = ground.enforce(ctx).policy(&policy).start()?;
    let generation = sentinel.status_json()?["generation"].clone();
    for (words, why) in [
        (vec!["add", "country", "Iran", "--reason", "x"], "Iran"),
        (vec!["add", "cidr", "10.0.0.0/33", "--reason", "x"], "10.0.0.0/33"),
        (vec!["add", "cidr", "0.0.0.0/0", "--reason", "x"], "cut this host off"),
        (vec!["add", "path", "/bin/", "--reason", "x"], "needs to run"),
        (vec!["add", "cidr", "192.0.2.1", "--reason", ""], "reason"),
        (vec!["add", "cidr", "192.0.2.1"], "--reason"),
        (vec!["add", "cidr", "192.0.2.1", "--reason", "x", "--ttl", "soon"], "8h"),
        (vec!["remove", "operator-77", "--reason", "x"], "operator-77"),
    ] {
        let outcome = block(&sentinel, &words)?;
        ensure!(matches!(outcome.code, Some(1 | 2)), "{words:?}: {outcome:?}");
        ensure!(outcome.stderr.contains(why), "{words:?} does not say {why:?}: {}", outcome.stderr);
    }
    ensure!(list(&sentinel)?.is_empty(), "{:?}", list(&sentinel)?);
    ensure!(sentinel.status_json()?["generation"] == generation, "something was put in force");
    stop(sentinel)
}

fn monitor(ctx: &Ctx) -> Result<()> {
    let ground = Ground::prepare(ctx)?;
    let policy = ctx.policy("lab", CALM)?;
    let sentinel = ctx.sentinel().monitor_in(&ground.cgroup).policy(&policy).start()?;
    let id = add(&sentinel, &["cidr", "203.0.113.0/24"])?;
    ground.expect(ctx, TARGET, 0)?;
    alert_of(&sentinel, &id, 1, Shown::WouldBlockInKernel)?;
    let outcome = block(&sentinel, &["list"])?;
    ensure!(outcome.stdout.contains("incident 7") && outcome.stdout.contains(&id), "{outcome:?}");
    stop(sentinel)
}
