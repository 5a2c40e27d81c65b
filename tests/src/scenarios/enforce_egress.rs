//! Egress seen from the far end of a cable: with the rule not one frame arrives, without it frames do.
//!
//! Invariant: a frame counter at the far end judges, not only the caller's errno. Every operation has a destination of its
//! own, so that a frame belongs to one of them.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::enforce_lab::{
    EPERM, Ground, PATIENCE, Shown, alert_of, ensure_first_try, ensure_shown, expect, is_blocked, reload, stop, text,
};
use crate::harness::{
    listen::Sniffer,
    scenario::{Ctx, Scenario, World, eventually},
};

/// The scenarios of this file.
pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario { name: "egress-no-frame-on-the-far-end", world: World::Both, run: no_frame },
        Scenario { name: "egress-sockets-from-before-the-start", world: World::Both, run: from_before },
        Scenario { name: "egress-event-rule-stops-open-connections", world: World::Both, run: open_connections },
    ]
}

const CALM: &str = "package sentinel.lab\n";
const RULES: &str = "package sentinel.lab\nblock_cidrs contains {\"id\": \"lab-egress\", \"value\": \"203.0.113.0/24\"}\n\
                     block_cidrs contains {\"id\": \"lab-egress\", \"value\": \"2001:db8:bad::/48\"}\n";

/// How long a frame may take that must not come.
const QUIET: Duration = Duration::from_millis(300);

/// Every way to send: the address as frames carry it, and the operation.
const WAYS: [(&str, &str); 18] = [
    ("203.0.113.1", "connect 203.0.113.1:80"),
    ("2001:db8:bad::1", "connect [2001:db8:bad::1]:80"),
    ("203.0.113.2", "connect [::ffff:203.0.113.2]:80"),
    ("203.0.113.3", "udp-connect 203.0.113.3:53 -- send"),
    ("2001:db8:bad::3", "udp-connect [2001:db8:bad::3]:53 -- send"),
    ("203.0.113.4", "udp-connect [::ffff:203.0.113.4]:53 -- send"),
    ("203.0.113.5", "sendto 203.0.113.5:53"),
    ("2001:db8:bad::5", "sendto [2001:db8:bad::5]:53"),
    ("203.0.113.6", "sendto [::ffff:203.0.113.6]:53"),
    ("203.0.113.7", "sendmsg 203.0.113.7:53"),
    ("2001:db8:bad::7", "sendmsg [2001:db8:bad::7]:53"),
    ("203.0.113.8", "sendmmsg 203.0.113.8:53"),
    ("2001:db8:bad::8", "sendmmsg [2001:db8:bad::8]:53"),
    ("203.0.113.9", "unspec 203.0.113.9:53"),
    ("203.0.113.10", "fastopen 203.0.113.10:80"),
    ("2001:db8:bad::10", "fastopen [2001:db8:bad::10]:80"),
    ("203.0.113.11", "ping 203.0.113.11"),
    ("2001:db8:bad::11", "ping 2001:db8:bad::11"),
];

/// Destinations that no rule names.
const ALLOWED: [(&str, &str); 4] = [
    ("198.51.100.1", "connect 198.51.100.1:80"),
    ("2001:db8:900d::1", "connect [2001:db8:900d::1]:80"),
    ("198.51.100.2", "sendto 198.51.100.2:53"),
    ("198.51.100.3", "ping 198.51.100.3"),
];

fn no_frame(ctx: &Ctx) -> Result<()> {
    let ground = Ground::prepare(ctx)?;
    let _sinks = (ground.pair.far.tcp_sink("[::]:80")?, ground.pair.far.udp_sink("[::]:53")?);
    arrives(ctx, &ground, &WAYS).context("without Sentinel")?;
    let policy = ctx.policy("lab", RULES)?;
    let sentinel = ground.enforce(ctx).policy(&policy).start()?;
    refused(ctx, &ground)?;
    arrives(ctx, &ground, &ALLOWED).context("beside the rules")?;
    for (address, op) in WAYS {
        let wanted = |a: &Value| is_blocked(a) && a["destination"]["ip"] == address;
        let alert = sentinel.wait_alert(PATIENCE, wanted).with_context(|| op.to_owned())?;
        ensure_shown(&alert, "lab-egress", Shown::Refused)?;
    }
    reload(&sentinel, &policy, CALM)?;
    arrives(ctx, &ground, &WAYS).context("after a reload without the rules")?;
    reload(&sentinel, &policy, RULES)?;
    refused(ctx, &ground).context("after a reload with the rules")?;
    stop(sentinel)?;
    arrives(ctx, &ground, &WAYS).context("after the stop")
}

/// Every operation fails with EPERM and not one frame comes.
fn refused(ctx: &Ctx, ground: &Ground) -> Result<()> {
    let sniffers = WAYS.iter().map(|(address, _)| ground.pair.sniff(address)).collect::<Result<Vec<Sniffer>>>()?;
    for (_, op) in WAYS {
        let outcome = ground.act(ctx, &ctx.tests_bin, op).outcome()?;
        ensure!(outcome.errnos().first() == Some(&EPERM), "{op}: expected EPERM first: {outcome:?}");
    }
    std::thread::sleep(QUIET);
    for ((_, op), sniffer) in WAYS.iter().zip(sniffers) {
        ensure!(sniffer.frames() == 0, "{op}: {} frames came", sniffer.frames());
    }
    Ok(())
}

/// Every operation works and brings frames.
fn arrives(ctx: &Ctx, ground: &Ground, ways: &[(&str, &str)]) -> Result<()> {
    for (address, op) in ways {
        let sniffer = ground.pair.sniff(address)?;
        let outcome = ground.act(ctx, &ctx.tests_bin, op).outcome()?;
        ensure!(outcome.code == Some(0) && outcome.errnos().iter().all(|errno| *errno == 0), "{op}: {outcome:?}");
        frames(&sniffer, op)?;
    }
    Ok(())
}

fn frames(sniffer: &Sniffer, what: &str) -> Result<()> {
    eventually(&format!("{what}: a frame at the far end"), Duration::from_secs(10), || {
        Ok((sniffer.frames() > 0).then_some(()))
    })
}

/// Connected before Sentinel started, and of a kind that is not destroyed: only the packet hook sees these.
fn from_before(ctx: &Ctx) -> Result<()> {
    let ground = Ground::prepare(ctx)?;
    let ways = [("203.0.113.1", EPERM), ("2001:db8:bad::1", EPERM), ("198.51.100.1", 0)];
    let steps = |to: &str| format!("raw-connect {to} -- send -- wait -- send -- wait -- send");
    let start = |to: &str| ground.act(ctx, &ctx.tests_bin, &steps(to)).start();
    let sniff = || ways.iter().map(|(to, _)| ground.pair.sniff(to)).collect::<Result<Vec<Sniffer>>>();
    let before = sniff()?;
    let mut kept = ways.iter().map(|(to, _)| start(to)).collect::<Result<Vec<_>>>()?;
    for (process, sniffer) in kept.iter_mut().zip(&before) {
        let errnos = (process.next_errno()?, process.next_errno()?);
        ensure!(errnos == (0, 0), "connecting and sending before the start: errnos {errnos:?}");
        // It may wait for the neighbour's address for a while, and then it has passed the socket's hook already.
        frames(sniffer, "what was sent before the start")?;
    }
    let policy = ctx.policy("lab", RULES)?;
    let sentinel = ground.enforce(ctx).policy(&policy).start()?;
    let sniffers = sniff()?;
    for (process, (to, errno)) in kept.iter_mut().zip(ways) {
        process.say("send")?;
        let came = process.next_errno()?;
        ensure!(came == errno, "sending to {to} after the start: errno {came}, expected {errno}");
    }
    frames(&sniffers[2], "what is allowed")?;
    std::thread::sleep(QUIET);
    for (sniffer, (to, _)) in sniffers[..2].iter().zip(ways) {
        ensure!(sniffer.frames() == 0, "{} frames to {to}", sniffer.frames());
        let alert = sentinel.wait_alert(PATIENCE, |a| is_blocked(a) && a["destination"]["ip"] == to)?;
        ensure_shown(&alert, "lab-egress", Shown::Refused)?;
        ensure!(alert["event"]["action"] == "packet", "{alert}");
    }
    reload(&sentinel, &policy, CALM)?;
    for (process, sniffer) in kept.iter_mut().zip(&sniffers).take(2) {
        process.say("send")?;
        ensure!(process.next_errno()? == 0, "sending after the reload");
        frames(sniffer, "after the reload")?;
    }
    stop(sentinel)
}

/// An entry that a decision wrote also stops the connections that its program has open, and no other program's.
fn open_connections(ctx: &Ctx) -> Result<()> {
    let ground = Ground::prepare(ctx)?;
    let tcp = ground.pair.far.tcp_sink("[::]:80")?;
    let (actor, other) = (ctx.program("actor")?, ctx.program("other")?);
    let rule = format!(
        "package sentinel.lab\ndeny contains {{\"id\": \"lab-event\", \"msg\": \"connects\"}} if {{\n\
         input.event.action == \"connect\"\ninput.process.executable == \"{}\"\ninput.process.args[2] == \"connect\"\n}}\n",
        actor.display()
    );
    let policy = ctx.policy("lab", &rule)?;
    let sentinel = ground.enforce(ctx).policy(&policy).start()?;
    let steps = "keep 203.0.113.1:80 -- wait -- send";
    let mut kept = ground.act(ctx, &other, steps).start()?;
    let mut stopped = ground.act(ctx, &actor, steps).start()?;
    for process in [&mut kept, &mut stopped] {
        ensure!(process.next_errno()? == 0, "connecting, which no rule denies");
    }
    let op = "connect 203.0.113.1:80";
    ensure_first_try(op, ground.act(ctx, &actor, op).errno()?)?;
    alert_of(&sentinel, "lab-event", 1, Shown::EntryWritten("destination+process"))?;
    expect("the second connect", ground.act(ctx, &actor, op), EPERM)?;
    for process in [&mut stopped, &mut kept] {
        process.say("send")?;
        ensure!(process.next_errno()? == 0, "a stream's bytes are queued");
    }
    eventually("the other program's byte", PATIENCE, || Ok((tcp.bytes() == 1).then_some(())))?;
    std::thread::sleep(QUIET);
    ensure!(tcp.bytes() == 1, "the stopped connection brought a byte");
    let pid = stopped.pid();
    let by_packet = |a: &Value| is_blocked(a) && a["event"]["action"] == "packet" && a["process"]["pid"] == pid;
    let alert = sentinel.wait_alert(PATIENCE, by_packet)?;
    ensure!(text(&alert, "/process/executable") == actor.display().to_string(), "{alert}");
    drop((kept, stopped));
    stop(sentinel)
}
