//! Recording, replaying and explaining: what a daemon records is what its own programs find in it afterwards.
//!
//! Invariant: what is looked for was done by the test itself, in its own cgroup and network namespace.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::events::text;
use crate::harness::{
    command::{Outcome, Run},
    scenario::{Ctx, Scenario, World, eventually},
};

/// The scenarios of this file.
pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario { name: "replay-of-a-recording", world: World::Both, run: recording },
        Scenario { name: "replay-record-stops-at-its-bound", world: World::Both, run: bound },
        Scenario { name: "replay-record-needs-a-usable-path", world: World::Both, run: bad_path },
    ]
}

/// How long what must happen may take.
const LIMIT: Duration = Duration::from_secs(60);
/// Where the act connects to.
const PEER: &str = "203.0.113.5:8080";

/// What runs while it is recorded: connects are alerted.
const OLD: &str = "package sentinel.lab\n\nalert contains {\"id\": \"lab-connect\", \"msg\": \"connected\"} if {\n\
                   \tinput.event.action == \"connect\"\n\tinput.destination.port == 8080\n}\n";
/// What is tried on the recording: connects are denied, by the place of the rule on line 3.
const NEW: &str = "package sentinel.lab\n\ndeny contains {\"id\": \"lab-connect\", \"msg\": \"connected\"} if {\n\
                   \tinput.event.action == \"connect\"\n\tinput.destination.port == 8080\n}\n";

fn verb(ctx: &Ctx, args: &[&str]) -> Result<Outcome> {
    Run::new(&ctx.sentinel_bin).args(args).limit(LIMIT).outcome()
}

fn json_of(outcome: &Outcome) -> Result<Value> {
    ensure!(outcome.code == Some(0), "{outcome:?}");
    serde_json::from_str(&outcome.stdout).with_context(|| format!("not JSON: {outcome:?}"))
}

fn recording(ctx: &Ctx) -> Result<()> {
    let pair = ctx.veth_pair()?;
    let sink = pair.far.tcp_sink(PEER)?;
    let (old, new) = (text(&ctx.policy("old", OLD)?), text(&ctx.policy("new", NEW)?));
    let (scope, actor) = (ctx.cgroup("replay")?, fs::canonicalize(ctx.program("actor")?)?);
    let events = ctx.path("events.jsonl");
    let launch = ctx.sentinel().policy(Path::new(&old)).monitor_in(&scope);
    let sentinel = launch.arg("--record").arg(&events).start()?;
    let steps = ["connect", PEER, "--", "connect", PEER, "--", "connect", PEER];
    let acted = ctx.act_as(&actor, &steps).netns(&pair.near).cgroup(&scope).start()?.finish()?;
    ensure!(acted.code == Some(0), "the act: {acted:?}");
    eventually("three connections", LIMIT, || Ok((sink.accepted() == 3).then_some(())))?;
    let alert = sentinel.wait_alert(LIMIT, |alert| alert["event"]["action"] == "connect")?;
    sentinel.settle(Duration::from_millis(300))?;
    eventually("events in the recording", LIMIT, || {
        let status = sentinel.status_json()?;
        Ok((status["recording"]["events"].as_u64() >= Some(4)).then_some(()))
    })?;
    let alerts = text(sentinel.alert_file());
    let ended = sentinel.stop()?;
    ensure!(ended.code == Some(0) && ended.stderr.contains("recording "), "sentinel ended badly: {ended:?}");
    check_file(&events, &actor)?;
    let (events, actor) = (text(&events), text(&actor));
    check_replay(&json_of(&verb(ctx, &["replay", &events, "--policy", &new, "--baseline", &old, "--json"])?)?, &actor)?;
    check_explained(ctx, &alert, &alerts, &old)
}

/// The recording has the exec and the connects, as the alert would show them, and nobody else may read it.
fn check_file(events: &Path, actor: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    ensure!(fs::metadata(events)?.permissions().mode() & 0o777 == 0o600);
    let lines: Vec<Value> = fs::read_to_string(events)?.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    ensure!(lines[0]["sentinel_recording"] == 1 && lines[0]["policy"]["sha256"].is_string(), "header: {}", lines[0]);
    let actor = text(actor);
    let count = |action: &str| {
        let by_actor = |line: &&Value| line["process"]["executable"] == actor.as_str();
        lines.iter().filter(by_actor).filter(|line| line["event"]["action"] == action).count()
    };
    ensure!((count("exec"), count("connect")) == (1, 3), "exec {}, connect {}", count("exec"), count("connect"));
    Ok(())
}

fn check_replay(report: &Value, actor: &str) -> Result<()> {
    let rule = &report["rules"][0];
    ensure!(rule["id"] == "lab-connect" && rule["verb"] == "deny" && rule["fired"] == 3, "{report:#}");
    // The first writes an entry, which refuses the other two.
    ensure!(rule["entries_written"] == 1 && rule["refused"] == 2, "{rule:#}");
    ensure!(rule["objects"][0] == json!({ "object": PEER, "events": 3 }), "{rule:#}");
    ensure!(rule["processes"][0] == json!({ "executable": actor, "events": 3 }), "{rule:#}");
    let difference = &report["difference"];
    ensure!(difference["newly_blocked"]["events"] == 3, "{difference:#}");
    ensure!(difference["newly_blocked"]["rules"][0]["id"] == "lab-connect", "{difference:#}");
    for nothing in ["no_longer_blocked", "newly_alerted", "no_longer_alerted"] {
        ensure!(difference[nothing]["events"] == 0, "{nothing}: {difference:#}");
    }
    Ok(())
}

fn check_explained(ctx: &Ctx, alert: &Value, alerts: &str, policy: &str) -> Result<()> {
    let id = alert["event"]["id"].as_str().context("an alert without id")?;
    let outcome = verb(ctx, &["explain", id, "--alerts", alerts, "--policy", policy])?;
    ensure!(outcome.code == Some(0), "{outcome:?}");
    for part in [
        format!("fired      alert lab-connect (medium)  {policy}:3"),
        "5  yes  input.destination.port == 8080".to_owned(),
        "input.destination.port is 8080".to_owned(),
    ] {
        ensure!(outcome.stdout.contains(&part), "{part} is not in\n{}", outcome.stdout);
    }
    let missing = verb(ctx, &["explain", "00000000", "--alerts", alerts, "--policy", policy])?;
    ensure!(missing.code == Some(1) && missing.stderr.contains("no alert 00000000"), "{missing:?}");
    Ok(())
}

fn bound(ctx: &Ctx) -> Result<()> {
    let (scope, events) = (ctx.cgroup("replay")?, ctx.path("events.jsonl"));
    let config = ctx.write("sentinel.toml", format!("record = \"{}\"\nrecord_bytes = 6000\n", events.display()))?;
    let policy = ctx.policy("old", OLD)?;
    let sentinel = ctx.sentinel().policy(&policy).config(&config).monitor_in(&scope).start()?;
    let file = text(&ctx.write("read", "x")?);
    let acted = ctx.act(&["repeat", "50", "open", &file, "read"]).cgroup(&scope).start()?.finish()?;
    ensure!(acted.code == Some(0), "{acted:?}");
    let status = eventually("the end of the recording", LIMIT, || {
        let status = sentinel.status_json()?;
        Ok(status["recording"]["stopped"].is_string().then_some(status))
    })?;
    let recording = &status["recording"];
    ensure!(recording["lost"]["size_limit"].as_u64() > Some(0), "{recording}");
    ensure!(recording["bytes"] == fs::metadata(&events)?.len() && fs::metadata(&events)?.len() <= 6000, "{recording}");
    let ended = sentinel.stop()?;
    ensure!(ended.code == Some(0) && ended.stderr.contains("bound of 6000 bytes"), "{ended:?}");
    Ok(())
}

fn bad_path(ctx: &Ctx) -> Result<()> {
    let (scope, policy) = (ctx.cgroup("replay")?, ctx.policy("old", OLD)?);
    let launch = ctx.sentinel().policy(&policy).monitor_in(&scope);
    let ended = launch.args(["--record", "/nonexistent/directory/events.jsonl"]).expect_exit(LIMIT)?;
    ensure!(ended.code == Some(1) && ended.stderr.contains("/nonexistent/directory"), "{ended:?}");
    Ok(())
}
