//! Scopes of block entries: one process, a network, a port, a file, a path; with and without a subject.
//!
//! Invariant: of every scope both sides are tried: what the entry holds is refused, what is just outside it works.

use std::{fs, os::unix::fs::MetadataExt as _, path::PathBuf};

use anyhow::{Result, ensure};

use super::enforce_lab::{
    EPERM, PATIENCE, Shown, alert_of, ensure_first_try, entries_written, expect, is_rule, refused_at, stop, words,
};
use crate::harness::{
    listen::TcpSink,
    scenario::{Ctx, Scenario, World, eventually},
    sentinel::Sentinel,
};

/// The scenarios of this file.
pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario { name: "event-rule-scope-instance", world: World::Vm, run: instance },
        Scenario { name: "event-rule-scope-network", world: World::Vm, run: network },
        Scenario { name: "event-rule-scope-file-and-path", world: World::Vm, run: file_and_path },
        Scenario { name: "event-rule-scope-vital-for-everyone", world: World::Vm, run: vital },
    ]
}

/// A rule that denies `condition` to the actor, with a scope.
fn deny(id: &str, scope: &str, condition: &str) -> String {
    format!("deny contains {{\"id\": \"{id}\", \"msg\": \"{id}\", \"scope\": \"{scope}\"}} if {{\n{condition}\n}}\n\n")
}

struct Stage {
    actor: PathBuf,
    other: PathBuf,
    sentinel: Sentinel,
}

impl Stage {
    /// Starts Sentinel with rules about the program `actor`.
    fn set(ctx: &Ctx, rules: &[String]) -> Result<Self> {
        let (actor, other) = (ctx.program("actor")?, ctx.program("other")?);
        let by_actor = format!("by_actor if input.process.executable == \"{}\"\n", actor.display());
        let policy = ctx.policy("lab", &format!("package sentinel.lab\n\n{}{by_actor}", rules.concat()))?;
        let sentinel = ctx.sentinel().enforce_whole_host().policy(&policy).start()?;
        Ok(Self { actor, other, sentinel })
    }

    fn actor(&self, ctx: &Ctx, op: &str, errno: i32) -> Result<()> {
        expect(&format!("{op} by the actor"), ctx.act_as(&self.actor, &words(op)), errno)
    }

    fn other(&self, ctx: &Ctx, op: &str, errno: i32) -> Result<()> {
        expect(&format!("{op} by another program"), ctx.act_as(&self.other, &words(op)), errno)
    }

    /// The first try by the actor passes and writes an entry of this scope.
    fn first(&self, ctx: &Ctx, op: &str, id: &str, scope: &'static str) -> Result<()> {
        ensure_first_try(op, ctx.act_as(&self.actor, &words(op)).errno()?)?;
        alert_of(&self.sentinel, id, 1, Shown::EntryWritten(scope)).map(drop)
    }
}

fn instance(ctx: &Ctx) -> Result<()> {
    let secret = ctx.write("secret", "x")?.display().to_string();
    let tcp = TcpSink::bind("127.0.0.1:0".parse()?)?;
    let (addr, port) = (tcp.addr().to_string(), tcp.addr().port());
    let rules = [
        deny("one-open", "file+instance", &format!("by_actor\ninput.file.path == \"{secret}\"")),
        deny("one-connect", "destination+instance", &format!("by_actor\ninput.destination.port == {port}")),
    ];
    let stage = Stage::set(ctx, &rules)?;
    for (op, id, scope, hook) in [
        (format!("open {secret} read"), "one-open", "file+instance", "file_open"),
        (format!("connect {addr}"), "one-connect", "destination+instance", "socket_connect"),
    ] {
        let twice = format!("{op} -- wait -- {op}");
        let mut process = ctx.act_as(&stage.actor, &words(&twice)).start()?;
        ensure_first_try(&op, process.next_errno()?)?;
        alert_of(&stage.sentinel, id, 1, Shown::EntryWritten(scope))?;
        // Another process of the same program has its own first try.
        ensure_first_try(&op, ctx.act_as(&stage.actor, &words(&op)).errno()?)?;
        eventually("its entry", PATIENCE, || Ok((entries_written(&stage.sentinel, id)? == 2).then_some(())))?;
        process.say("again")?;
        ensure!(process.next_errno()? == EPERM, "{op}: the second try of the same process");
        process.finish()?;
        refused_at(&stage.sentinel, id, hook)?;
    }
    stop(stage.sentinel)
}

fn network(ctx: &Ctx) -> Result<()> {
    let (one, two) = (TcpSink::bind("0.0.0.0:0".parse()?)?, TcpSink::bind("0.0.0.0:0".parse()?)?);
    let (first, second) = (one.addr().port(), two.addr().port());
    let at = |ip: &str| format!("by_actor\ninput.event.action == \"connect\"\ninput.destination.ip == \"{ip}\"");
    let rules = [
        deny("net-all", "cidr:127.9.0.0/16", &at("127.9.0.1")),
        deny("net-process", "cidr:127.10.0.0/16+process", &at("127.10.0.1")),
        deny("port-all", "destination_port", &at("127.11.0.1")),
        deny("port-process", "destination_port+process", &at("127.12.0.1")),
        deny("all", "destination", &at("127.13.0.1")),
    ];
    let stage = Stage::set(ctx, &rules)?;
    let op = |ip: &str, port: u16| format!("connect {ip}:{port}");
    stage.first(ctx, &op("127.9.0.1", first), "net-all", "cidr:127.9.0.0/16")?;
    stage.other(ctx, &op("127.9.200.7", second), EPERM)?;
    stage.other(ctx, &op("127.8.255.255", first), 0)?;
    stage.first(ctx, &op("127.10.0.1", first), "net-process", "cidr:127.10.0.0/16+process")?;
    stage.actor(ctx, &op("127.10.200.7", second), EPERM)?;
    stage.other(ctx, &op("127.10.0.1", first), 0)?;
    stage.first(ctx, &op("127.11.0.1", first), "port-all", "destination_port")?;
    stage.other(ctx, &op("127.11.0.1", first), EPERM)?;
    stage.other(ctx, &op("127.11.0.1", second), 0)?;
    stage.first(ctx, &op("127.12.0.1", first), "port-process", "destination_port+process")?;
    stage.actor(ctx, &op("127.12.0.1", first), EPERM)?;
    stage.other(ctx, &op("127.12.0.1", first), 0)?;
    stage.first(ctx, &op("127.13.0.1", first), "all", "destination")?;
    stage.other(ctx, &op("127.13.0.1", second), EPERM)?;
    stage.other(ctx, &op("127.13.0.2", first), 0)?;
    stop(stage.sentinel)
}

fn file_and_path(ctx: &Ctx) -> Result<()> {
    let names = ["by-file", "by-path", "by-both"];
    let paths = names.map(|name| ctx.path(name).display().to_string());
    for path in &paths {
        fs::write(path, "x")?;
        fs::hard_link(path, format!("{path}.link"))?;
    }
    let [file, path, both] = &paths;
    let is = |path: &str| format!("by_actor\ninput.event.action == \"open\"\ninput.file.path == \"{path}\"");
    let rules = [
        deny("file-all", "file", &is(file)),
        deny("path-all", "path", &is(path)),
        deny("path-process", "path+process", &is(both)),
    ];
    let stage = Stage::set(ctx, &rules)?;
    let read = |path: &str| format!("open {path} read");
    stage.first(ctx, &read(file), "file-all", "file")?;
    stage.other(ctx, &read(file), EPERM)?;
    stage.other(ctx, &read(&format!("{file}.link")), EPERM)?;
    replace(file)?;
    stage.other(ctx, &read(file), 0)?;
    stage.first(ctx, &read(path), "path-all", "path")?;
    stage.other(ctx, &read(path), EPERM)?;
    stage.other(ctx, &read(&format!("{path}.link")), 0)?;
    replace(path)?;
    stage.other(ctx, &read(path), EPERM)?;
    stage.first(ctx, &read(both), "path-process", "path+process")?;
    replace(both)?;
    stage.actor(ctx, &read(both), EPERM)?;
    stage.other(ctx, &read(both), 0)?;
    stop(stage.sentinel)
}

/// Puts another file in the place of one.
fn replace(path: &str) -> Result<()> {
    let before = fs::metadata(path)?.ino();
    let fresh = format!("{path}.fresh");
    fs::write(&fresh, "y")?;
    fs::rename(&fresh, path)?;
    ensure!(fs::metadata(path)?.ino() != before, "{path} still is the old file");
    Ok(())
}

/// An entry for everyone on the shell is not written; the decision still is an alert, and the status counts it.
fn vital(ctx: &Ctx) -> Result<()> {
    let condition = "input.event.action == \"exec\"\ninput.process.args[0] == \"/bin/sh\"".to_owned();
    let stage = Stage::set(ctx, &[deny("shell-for-all", "file", &condition)])?;
    for _ in 0..2 {
        stage.actor(ctx, "exec /bin/sh -c true", 0)?;
    }
    let alerts = stage.sentinel.wait_alerts(2, PATIENCE, |alert| is_rule(alert, "shell-for-all"))?;
    for alert in alerts {
        let about = &alert["sentinel"];
        ensure!(about["blocked"] == false && about["entry_written"].is_null(), "an entry on the shell: {alert}");
    }
    ensure!(stage.sentinel.stderr().contains("give the scope a subject"), "{}", stage.sentinel.stderr());
    stop(stage.sentinel)
}
