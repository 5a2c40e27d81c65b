//! Guards against harming the host: the stop of last resort, enforcing that ends unconfirmed, rules that are only taken when
//! forced, networks that no rule refuses, and the look at who would be cut off.
//!
//! Invariant: the same destination is tried before, during and after, so that "refused" and "free again" are seen.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::enforce_lab::{EPERM, Ground, PATIENCE, is_rule, stop, text, until};
use crate::harness::scenario::{Ctx, Scenario, World, eventually};

/// The scenarios of this file.
pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario { name: "rails-emergency-stop", world: World::Both, run: emergency },
        Scenario { name: "rails-emergency-stop-after-a-crash", world: World::Vm, run: after_a_crash },
        Scenario { name: "rails-unconfirmed", world: World::Both, run: unconfirmed },
        Scenario { name: "rails-confirmed", world: World::Both, run: confirmed },
        Scenario { name: "rails-forced", world: World::Both, run: forced },
        Scenario { name: "rails-never-block", world: World::Both, run: never_block },
        Scenario { name: "rails-dry-run", world: World::Vm, run: dry_run },
    ]
}

const RULES: &str = "package sentinel.lab\nblock_cidrs contains {\"id\": \"lab-net\", \"value\": \"203.0.113.0/25\"}\n";
const CONNECT: &str = "connect 203.0.113.1:80";

/// A daemon that does not answer any more is ended, and with it all that it refused.
fn emergency(ctx: &Ctx) -> Result<()> {
    let ground = Ground::prepare(ctx)?;
    let _sink = ground.pair.far.tcp_sink("[::]:80")?;
    let policy = ctx.policy("lab", RULES)?;
    ground.expect(ctx, CONNECT, 0)?;
    let sentinel = ground.enforce(ctx).policy(&policy).start()?;
    ground.expect(ctx, CONNECT, EPERM)?;
    sentinel.signal(libc::SIGSTOP)?;
    let stopped = sentinel.verb("stop").arg("--emergency").outcome()?;
    ensure!(stopped.code == Some(0) && stopped.stdout.contains("is killed"), "{stopped:?}");
    let run_dir = sentinel.run_dir();
    let ended = sentinel.wait_exit(PATIENCE)?;
    ensure!(ended.signal == Some(libc::SIGKILL), "{ended:?}");
    ground.expect(ctx, CONNECT, 0).context("after the emergency stop")?;
    ensure!(!run_dir.join("control.sock").exists(), "the socket is left");
    // Once more, with nothing to end.
    let again = ctx.command(&ctx.sentinel_bin).args(["stop", "--emergency", "--run-dir"]).arg(&run_dir).outcome()?;
    ensure!(again.code == Some(0) && !again.stdout.contains("is killed"), "{again:?}");
    Ok(())
}

/// What a killed daemon leaves on devices (before 6.6) goes too.
fn after_a_crash(ctx: &Ctx) -> Result<()> {
    let ground = Ground::prepare(ctx)?;
    let _sink = ground.pair.far.tcp_sink("[::]:80")?;
    let policy = ctx.policy("lab", RULES)?;
    let sentinel = ground.enforce(ctx).policy(&policy).start()?;
    ground.expect(ctx, CONNECT, EPERM)?;
    let run_dir = sentinel.run_dir();
    sentinel.kill()?;
    let stopped = ctx.command(&ctx.sentinel_bin).args(["stop", "--emergency", "--run-dir"]).arg(&run_dir).outcome()?;
    ensure!(stopped.code == Some(0), "{stopped:?}");
    ground.expect(ctx, CONNECT, 0).context("after the emergency stop")?;
    let filters = ctx.command("tc").args(["filter", "show", "dev", "lo", "egress"]).outcome()?;
    ensure!(!filters.stdout.contains("forward"), "filters are left: {filters:?}");
    Ok(())
}

fn is_notice(alert: &Value, id: &str) -> bool {
    is_rule(alert, id) && text(alert, "/event/action") == "notice"
}

/// Nobody says that the host still works: monitor mode, by itself.
fn unconfirmed(ctx: &Ctx) -> Result<()> {
    let ground = Ground::prepare(ctx)?;
    let _sink = ground.pair.far.tcp_sink("[::]:80")?;
    let policy = ctx.policy("lab", RULES)?;
    let sentinel = ground.enforce(ctx).policy(&policy).args(["--confirm", "20"]).start()?;
    ground.expect(ctx, CONNECT, EPERM)?;
    until("the connect after the time is over", 0, || ground.act(ctx, &ctx.tests_bin, CONNECT))?;
    sentinel.wait_alert(PATIENCE, |alert| is_notice(alert, "enforcement-unconfirmed"))?;
    let limit = Duration::from_secs(120);
    eventually("monitor mode", limit, || {
        let mode = sentinel.status_json().ok().map(|status| status["mode"].clone());
        Ok((mode == Some("monitor".into())).then_some(()))
    })?;
    ground.expect(ctx, CONNECT, 0).context("in monitor mode")?;
    sentinel.wait_alert(PATIENCE, |alert| is_rule(alert, "lab-net") && alert["sentinel"]["would_block"] == true)?;
    stop(sentinel)
}

/// Somebody does: enforcing goes on.
fn confirmed(ctx: &Ctx) -> Result<()> {
    let ground = Ground::prepare(ctx)?;
    let _sink = ground.pair.far.tcp_sink("[::]:80")?;
    let policy = ctx.policy("lab", RULES)?;
    let sentinel = ground.enforce(ctx).policy(&policy).args(["--confirm", "15"]).start()?;
    let answer = sentinel.verb("confirm").outcome()?;
    ensure!(answer.code == Some(0) && answer.stdout.contains("seconds left"), "{answer:?}");
    std::thread::sleep(Duration::from_secs(17));
    ground.expect(ctx, CONNECT, EPERM).context("after the time, confirmed")?;
    ensure!(sentinel.status_json()?["mode"] == "enforce", "it does not enforce any more");
    stop(sentinel)
}

/// A rule that would keep Sentinel from its own files: refused, and taken when forced, with an alert.
fn forced(ctx: &Ctx) -> Result<()> {
    let ground = Ground::prepare(ctx)?;
    let settings = ctx.write("settings.toml", "")?;
    let rule = format!(
        "package sentinel.lab\nblock_paths contains {{\"id\": \"own\", \"value\": \"{}\"}}\n",
        settings.display()
    );
    let policy = ctx.policy("lab", &rule)?;
    let launch = || ground.enforce(ctx).policy(&policy).config(&settings);
    let ended = launch().expect_exit(Duration::from_secs(120))?;
    ensure!(ended.code == Some(1) && ended.stderr.contains("--force"), "{ended:?}");
    let check = |more: &[&str]| {
        let check = ctx.command(&ctx.sentinel_bin).arg("check").arg(&policy).arg("--config").arg(&settings);
        check.args(more).outcome()
    };
    ensure!(check(&[])?.code == Some(1), "check accepts it");
    let forced = check(&["--force"])?;
    ensure!(forced.code == Some(0) && forced.stderr.contains("because of --force"), "{forced:?}");
    let sentinel = launch().arg("--force").start()?;
    let alert = sentinel.wait_alert(PATIENCE, |alert| is_notice(alert, "guard-forced"))?;
    ensure!(text(&alert, "/message").contains("settings.toml"), "{alert}");
    stop(sentinel)
}

/// A network of the settings passes every rule, and the alert says why.
fn never_block(ctx: &Ctx) -> Result<()> {
    let ground = Ground::prepare(ctx)?;
    let _sink = ground.pair.far.tcp_sink("[::]:80")?;
    let policy = ctx.policy("lab", RULES)?;
    let spared = "[[never-block]]\ncidr = \"203.0.113.1\"\nreason = \"the bastion, INC-12\"\n";
    let settings = ctx.write("settings.toml", spared)?;
    let sentinel = ground.enforce(ctx).policy(&policy).config(&settings).start()?;
    ground.expect(ctx, CONNECT, 0).context("a network that is never blocked")?;
    ground.expect(ctx, "connect 203.0.113.2:80", EPERM).context("beside it")?;
    let exempt = |alert: &Value| text(alert, "/sentinel/exemption/id") == "never-block.1";
    let alert = sentinel.wait_alert(PATIENCE, exempt)?;
    ensure!(alert.to_string().contains("the bastion, INC-12"), "{alert}");
    stop(sentinel)
}

/// Rules that would take a resolver away are not enforced on the whole host, unless that is meant.
fn dry_run(ctx: &Ctx) -> Result<()> {
    let policy = ctx.policy("lab", RULES)?;
    let before = fs::read("/etc/resolv.conf").ok();
    fs::write("/etc/resolv.conf", "nameserver 203.0.113.53\n").context("writing /etc/resolv.conf")?;
    let result = with_resolver(ctx, &policy);
    match before {
        Some(text) => fs::write("/etc/resolv.conf", text)?,
        None => fs::remove_file("/etc/resolv.conf")?,
    }
    result
}

fn with_resolver(ctx: &Ctx, policy: &std::path::Path) -> Result<()> {
    let launch = || ctx.sentinel().enforce_whole_host().policy(policy);
    let ended = launch().expect_exit(Duration::from_secs(120))?;
    ensure!(ended.code == Some(1), "{ended:?}");
    for part in ["lab-net", "the resolver 203.0.113.53", "never-block", "--force"] {
        ensure!(ended.stderr.contains(part), "the error does not say {part}: {ended:?}");
    }
    let settings =
        ctx.write("settings.toml", "[[never-block]]\ncidr = \"203.0.113.53/32\"\nreason = \"the resolver\"\n")?;
    stop(launch().config(&settings).start()?)?;
    let sentinel = launch().arg("--force").start()?;
    sentinel.wait_alert(PATIENCE, |alert| is_notice(alert, "guard-forced"))?;
    stop(sentinel)
}
