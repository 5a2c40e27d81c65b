//! Event rules: the first event passes and alerts, the second is refused by the kernel, after the ttl it passes again.
//!
//! Invariant: every refusal here is by the kernel, from an entry that a decision wrote; the same act by another program
//! shows that the entry holds its subject. Other scopes are in `enforce_events_scopes`.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::enforce_lab::{
    EPERM, PATIENCE, Shown, alert_of, ensure_first_try, entries_written, expect, is_rule, refused_at, stop, text,
    until, words,
};
use crate::harness::{
    listen::{TcpSink, UdpSink},
    scenario::{Ctx, Scenario, World, eventually},
    sentinel::Sentinel,
};

/// Seconds that the entries of these policies live.
const TTL: u64 = 8;

/// The scenarios of this file.
pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario { name: "event-rules-refuse-the-second-try", world: World::Vm, run: second_try },
        Scenario { name: "event-rule-allow-beats-deny", world: World::Vm, run: allow_beats_deny },
        Scenario { name: "event-rule-in-a-monitoring-policy", world: World::Vm, run: monitoring_policy },
        Scenario { name: "event-rules-in-monitor-mode-refuse-nothing", world: World::Vm, run: monitor_mode },
    ]
}

/// Two programs with the same abilities, the objects they act on, and receivers on loopback.
struct Stage {
    actor: PathBuf,
    other: PathBuf,
    acts: Vec<Act>,
    policy: String,
    _tcp: TcpSink,
    _udp: UdpSink,
}

/// One kind of event: the rule that denies it to the actor, and how to cause it.
struct Act {
    rule: &'static str,
    scope: &'static str,
    hook: &'static str,
    op: String,
}

impl Stage {
    fn set(ctx: &Ctx) -> Result<Self> {
        let (actor, other) = (ctx.program("actor")?, ctx.program("other")?);
        let tool = ctx.tiny_program("tool", 0)?;
        let secret = ctx.write("secret", "x")?;
        let tcp = TcpSink::bind("127.0.0.1:0".parse()?)?;
        // Another address: an entry on a destination holds for all its ports.
        let udp = UdpSink::bind("127.0.0.2:0".parse()?)?;
        let act = |rule, scope, hook, op| Act { rule, scope, hook, op };
        let acts = vec![
            act("lab-exec", "file+process", "bprm_check_security", format!("exec {} marked", tool.display())),
            act("lab-open", "file+process", "file_open", format!("open {} read", secret.display())),
            act("lab-connect", "destination+process", "socket_connect", format!("connect {}", tcp.addr())),
            act("lab-send", "destination+process", "socket_sendmsg", format!("sendto {}", udp.addr())),
        ];
        let policy = POLICY
            .replace("{actor}", &actor.display().to_string())
            .replace("{tests}", &ctx.tests_bin.display().to_string())
            .replace("{tool}", &tool.display().to_string())
            .replace("{secret}", &secret.display().to_string())
            .replace("{tcp}", &tcp.addr().to_string())
            .replace("{udp_port}", &udp.addr().port().to_string())
            .replace("{ttl}", &TTL.to_string());
        Ok(Self { actor, other, acts, policy, _tcp: tcp, _udp: udp })
    }

    /// The actor performs `act`.
    fn by_actor(&self, ctx: &Ctx, act: &Act, errno: i32) -> Result<()> {
        expect(&format!("{} by the actor", act.op), ctx.act_as(&self.actor, &words(&act.op)), errno)
    }

    /// The actor performs what a rule denies for the first time.
    fn first_try(&self, ctx: &Ctx, act: &Act) -> Result<()> {
        ensure_first_try(&act.op, ctx.act_as(&self.actor, &words(&act.op)).errno()?)
    }

    fn by_other(&self, ctx: &Ctx, act: &Act) -> Result<()> {
        expect(&format!("{} by another program", act.op), ctx.act_as(&self.other, &words(&act.op)), 0)
    }
}

/// Each rule looks at the process, its parent and its arguments. Ids come from members and from annotations.
const POLICY: &str = r#"package sentinel.lab

deny contains {"id": "lab-exec", "msg": "the actor runs the tool", "ttl": {ttl}} if {
	input.event.action == "exec"
	input.process.executable == "{tool}"
	input.process.previous.executable == "{actor}"
	input.process.parent.executable == "{actor}"
	"marked" in input.process.args
}

# METADATA
# title: The actor reads the secret
# custom:
#   id: lab-open
#   severity: high
#   mitre: [T1005]
#   ttl: {ttl}
deny contains "the actor reads the secret" if {
	input.event.action == "open"
	input.file.path == "{secret}"
	by_actor
	"{secret}" in input.process.args
}

# METADATA
# custom:
#   id: lab-connect
deny contains {"msg": "the actor connects", "ttl": {ttl}} if {
	input.event.action == "connect"
	input.network.transport == "tcp"
	by_actor
	"{tcp}" in input.process.args
}

deny contains {"id": "lab-send", "msg": "the actor sends", "ttl": {ttl}} if {
	input.event.action == "send"
	input.destination.port == {udp_port}
	by_actor
	"sendto" in input.process.args
}

by_actor if {
	input.process.executable == "{actor}"
	input.process.parent.executable == "{tests}"
}
"#;

fn second_try(ctx: &Ctx) -> Result<()> {
    let stage = Stage::set(ctx)?;
    for act in &stage.acts {
        stage.by_actor(ctx, act, 0).context("without Sentinel")?;
    }
    let policy = ctx.policy("lab", &stage.policy)?;
    let sentinel = ctx.sentinel().enforce_whole_host().policy(&policy).start()?;
    for act in &stage.acts {
        one_life(ctx, &stage, &sentinel, act).with_context(|| act.rule.to_owned())?;
    }
    writing_is_not_reading(ctx, &stage)?;
    stop(sentinel)?;
    for act in &stage.acts {
        stage.by_actor(ctx, act, 0).context("after Sentinel")?;
    }
    Ok(())
}

/// First try, second try, another program, expiry, and the first try again.
fn one_life(ctx: &Ctx, stage: &Stage, sentinel: &Sentinel, act: &Act) -> Result<()> {
    let begin = Instant::now();
    stage.first_try(ctx, act)?;
    let first = alert_of(sentinel, act.rule, 1, Shown::EntryWritten(act.scope))?;
    facts(&first, stage, act)?;
    ensure!(!text(&first, "/sentinel/entry_written/expires").is_empty(), "the entry has no end: {first}");
    stage.by_actor(ctx, act, EPERM).context("second try")?;
    stage.by_other(ctx, act)?;
    stage.by_actor(ctx, act, EPERM).context("third try, after the other program's")?;
    let second = refused_at(sentinel, act.rule, act.hook)?;
    let severity = |alert: &Value| alert["sentinel"]["rules"][0]["severity"].clone();
    ensure!(severity(&first) == severity(&second), "the refusal is shown with another severity: {second}");
    // It passes again when it comes to the rule again, which writes the next entry.
    eventually("another first try", PATIENCE, || {
        let errno = ctx.act_as(&stage.actor, &words(&act.op)).errno()?;
        Ok((errno == 0 || entries_written(sentinel, act.rule)? > 1).then_some(()))
    })?;
    ensure!(begin.elapsed() >= Duration::from_secs(TTL), "it passed before the ttl was over");
    eventually("its entry", PATIENCE, || Ok((entries_written(sentinel, act.rule)? > 1).then_some(())))
}

/// The alert of the first try carries what the rule looked at.
fn facts(alert: &Value, stage: &Stage, act: &Act) -> Result<()> {
    let actor = stage.actor.display().to_string();
    let who = if act.rule == "lab-exec" { "/process/parent/executable" } else { "/process/executable" };
    ensure!(text(alert, who) == actor, "{alert}");
    ensure!(alert["sentinel"]["mode"] == "enforce", "{alert}");
    let techniques = alert["sentinel"]["rules"][0].to_string();
    ensure!(act.rule != "lab-open" || techniques.contains("T1005"), "{alert}");
    Ok(())
}

/// The entry of a read does not refuse to write.
fn writing_is_not_reading(ctx: &Ctx, stage: &Stage) -> Result<()> {
    let open = &stage.acts[1];
    // Its entry may have expired meanwhile: the first of these writes another.
    until("reading", EPERM, || ctx.act_as(&stage.actor, &words(&open.op)))?;
    let write = open.op.replace(" read", " write");
    expect(&write, ctx.act_as(&stage.actor, &words(&write)), 0)?;
    stage.by_actor(ctx, open, EPERM)
}

fn allow_beats_deny(ctx: &Ctx) -> Result<()> {
    let stage = Stage::set(ctx)?;
    // An allow in a package of its own changes nothing for the others.
    let allow = "allow contains \"maintenance\" if input.process.parent.args[2] == \"exec\"\n\
                 allow contains \"reading\" if input.event.action == \"open\"\n";
    let elsewhere =
        format!("package sentinel.elsewhere\n{allow}allow contains \"all\" if input.event.action == \"send\"\n");
    let policy = ctx.policy("lab", &format!("{}\n{allow}", stage.policy))?;
    let other = ctx.policy("elsewhere", &elsewhere)?;
    let sentinel = ctx.sentinel().enforce_whole_host().policy(&policy).policy(&other).start()?;
    for act in &stage.acts[..2] {
        for _ in 0..3 {
            stage.by_actor(ctx, act, 0).context("allowed")?;
        }
    }
    let send = &stage.acts[3];
    stage.first_try(ctx, send)?;
    // Events are handled in order: when this alert is there, those of the allowed events would be.
    alert_of(&sentinel, send.rule, 1, Shown::EntryWritten(send.scope))?;
    stage.by_actor(ctx, send, EPERM)?;
    let alerts = sentinel.alerts()?;
    ensure!(!alerts.iter().any(|a| is_rule(a, "lab-exec") || is_rule(a, "lab-open")), "{alerts:#?}");
    stop(sentinel)
}

fn monitoring_policy(ctx: &Ctx) -> Result<()> {
    let stage = Stage::set(ctx)?;
    let guarded = ctx.write("guarded", "x")?.display().to_string();
    let monitor = "# METADATA\n# scope: package\n# custom:\n#   mode: monitor\n";
    let standing = format!("\nblock_paths contains {{\"id\": \"lab-standing\", \"value\": \"{guarded}\"}}\n");
    let policy = ctx.policy("lab", &format!("{monitor}{}{standing}", stage.policy))?;
    let sentinel = ctx.sentinel().enforce_whole_host().policy(&policy).start()?;
    never_refused(ctx, &stage, &sentinel)?;
    expect("open guarded", ctx.act(&["open", &guarded, "read"]), 0)?;
    alert_of(&sentinel, "lab-standing", 1, Shown::WouldBlockInKernel)?;
    stop(sentinel)
}

/// Everything is tried three times by the actor; every alert says that it would have been refused.
fn never_refused(ctx: &Ctx, stage: &Stage, sentinel: &Sentinel) -> Result<()> {
    for act in &stage.acts {
        for number in 1..=3 {
            stage.by_actor(ctx, act, 0)?;
            alert_of(sentinel, act.rule, number, Shown::WouldBlockInUser)?;
        }
    }
    Ok(())
}

fn monitor_mode(ctx: &Ctx) -> Result<()> {
    let stage = Stage::set(ctx)?;
    let policy = ctx.policy("lab", &stage.policy)?;
    let sentinel = ctx.sentinel().policy(&policy).start()?;
    never_refused(ctx, &stage, &sentinel)?;
    ensure!(sentinel.status_code()? == 4, "monitor mode has to be shown as none");
    let status = sentinel.status_json()?;
    let hooks = status["hooks"].as_array().context("the status lists no hooks")?;
    ensure!(hooks.iter().filter(|hook| hook["attached"] == true).count() >= 12, "{status}");
    for hook in hooks.iter().filter(|hook| hook["attached"] == true) {
        ensure!(hook["proven"] == true && hook["refused"] == 0, "{hook}");
    }
    stop(sentinel)
}
