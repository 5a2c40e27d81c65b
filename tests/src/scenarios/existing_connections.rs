//! Connections that were there before the rule that refuses them: ended at the start and at a reload, and only those.
//!
//! Invariant: beside each connection that has to end stands one that has to live, over the same cable or from the same
//! program; the far end sees neither a byte nor a frame of the first.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::enforce_lab::{EPERM, Ground, PATIENCE, is_rule, reload, stop, text, words};
use crate::harness::{
    cgroup::Cgroup,
    command::Running,
    net::VethPair,
    scenario::{Ctx, Scenario, World, eventually},
    sentinel::Sentinel,
};

/// The scenarios of this file.
pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario { name: "existing-connections-end-at-start-and-reload", world: World::Both, run: start_and_reload },
        Scenario { name: "existing-connections-live-without-a-rule", world: World::Both, run: without_a_rule },
        Scenario { name: "existing-connections-of-the-scope-in-every-namespace", world: World::Both, run: scope },
        Scenario { name: "existing-connections-keep-exceptions", world: World::Both, run: exceptions },
        Scenario { name: "existing-connections-in-monitor-mode", world: World::Both, run: monitor },
    ]
}

const CALM: &str = "package sentinel.lab\n";
const RULES: &str = "package sentinel.lab\nblock_cidrs contains {\"id\": \"lab-before\", \"value\": \"203.0.113.0/24\"}\n\
                     block_cidrs contains {\"id\": \"lab-before\", \"value\": \"2001:db8:bad::/48\"}\n";
const MORE: &str = "block_cidrs contains {\"id\": \"lab-later\", \"value\": \"198.51.100.0/24\"}\n";

/// What the next send on a destroyed TCP socket gets.
const ABORTED: i32 = libc::ECONNABORTED;
/// The same for UDP: the socket is left without a peer.
const NO_PEER: i32 = libc::EDESTADDRREQ;
/// How long a frame may take that must not come.
const QUIET: Duration = Duration::from_millis(300);

/// A process that holds one connection and sends a byte whenever it is told to.
struct Held {
    process: Running,
    op: String,
}

impl Held {
    fn connect(ctx: &Ctx, program: &Path, cgroup: &Cgroup, pair: &VethPair, op: &str) -> Result<Self> {
        let steps = format!("{op}{}", " -- wait -- send".repeat(4));
        let run = ctx.act_as(program, &words(&steps)).cgroup(cgroup).netns(&pair.near);
        let mut process = run.start()?;
        let errno = process.next_errno()?;
        ensure!(errno == 0, "{op} before the start: errno {errno}");
        Ok(Self { process, op: op.to_owned() })
    }

    fn on(ctx: &Ctx, ground: &Ground, op: &str) -> Result<Self> {
        Self::connect(ctx, &ctx.tests_bin, &ground.cgroup, &ground.pair, op)
    }

    /// Sends a byte and finds that the socket was destroyed.
    fn ended(&mut self) -> Result<()> {
        self.sends(if self.op.starts_with("udp") { NO_PEER } else { ABORTED })
    }

    /// Sends a byte.
    fn sends(&mut self, errno: i32) -> Result<()> {
        self.process.say("send")?;
        let came = self.process.next_errno()?;
        ensure!(came == errno, "sending after {}: errno {came}, expected {errno}", self.op);
        Ok(())
    }
}

/// A counter of the status about connections.
fn count(sentinel: &Sentinel, name: &str) -> Result<u64> {
    let status = sentinel.status_json()?;
    status["sockets"][name].as_u64().with_context(|| format!("the status has no sockets.{name}: {status}"))
}

/// Waits for the end of so many looks and checks the counters.
fn looked(sentinel: &Sentinel, looks: u64, expected: &[(&str, u64)]) -> Result<()> {
    eventually("the look at connections", PATIENCE, || Ok((count(sentinel, "looks")? >= looks).then_some(())))?;
    for (name, number) in expected {
        let came = count(sentinel, name)?;
        ensure!(came == *number, "sockets.{name} is {came}, expected {number}; {}", sentinel.stderr());
    }
    Ok(())
}

/// Checks the alert about a connection.
fn alerted(sentinel: &Sentinel, id: &str, pid: u32, address: &str, destroyed: bool) -> Result<()> {
    let wanted = |alert: &Value| {
        alert["sentinel"]["hook"] == "sock_destroy"
            && alert["destination"]["ip"] == address
            && alert["process"]["pid"] == pid
    };
    let alert = sentinel.wait_alert(PATIENCE, wanted)?;
    let about = &alert["sentinel"];
    ensure!(is_rule(&alert, id) && alert["event"]["action"] == "connect", "{alert}");
    ensure!(about["decision"] == "deny" && about["decided_in"] == "user", "{alert}");
    ensure!(about["blocked"] == destroyed && about["would_block"] == true, "{alert}");
    ensure!(text(&alert, "/process/executable").contains("sentinel-tests"), "{alert}");
    Ok(())
}

fn start_and_reload(ctx: &Ctx) -> Result<()> {
    let ground = Ground::prepare(ctx)?;
    let tcp = ground.pair.far.tcp_sink("[::]:80")?;
    let udp = ground.pair.far.udp_sink("[::]:53")?;
    let ways = [
        ("203.0.113.1", "keep 203.0.113.1:80"),
        ("203.0.113.2", "keep [::ffff:203.0.113.2]:80"),
        ("2001:db8:bad::1", "keep [2001:db8:bad::1]:80"),
        ("203.0.113.3", "udp-connect 203.0.113.3:53"),
        ("203.0.113.4", "udp-connect [::ffff:203.0.113.4]:53"),
        ("2001:db8:bad::2", "udp-connect [2001:db8:bad::2]:53"),
    ];
    let held = |op: &str| Held::on(ctx, &ground, op);
    let mut refused = ways.iter().map(|(_, op)| held(op)).collect::<Result<Vec<_>>>()?;
    let mut later = [held("keep 198.51.100.1:80")?, held("udp-connect 198.51.100.2:53")?];
    let mut allowed = [held("keep [2001:db8:900d::1]:80")?, held("udp-connect [2001:db8:900d::2]:53")?];
    eventually("all connections", PATIENCE, || Ok((tcp.accepted() == 5).then_some(())))?;
    let sniffers = ways.iter().map(|(address, _)| ground.pair.sniff(address)).collect::<Result<Vec<_>>>()?;

    let policy = ctx.policy("lab", RULES)?;
    let sentinel = ground.enforce(ctx).policy(&policy).start()?;
    looked(&sentinel, 1, &[("destroyed", 6), ("would_destroy", 0), ("undecided", 0), ("failed", 0)])?;
    for (held, (address, _)) in refused.iter_mut().zip(ways) {
        held.ended()?;
        alerted(&sentinel, "lab-before", held.process.pid(), address, true)?;
    }
    for held in later.iter_mut().chain(&mut allowed) {
        held.sends(0)?;
    }
    eventually("what is allowed", PATIENCE, || Ok((tcp.bytes() == 2 && udp.datagrams() == 2).then_some(())))?;

    reload(&sentinel, &policy, &format!("{RULES}{MORE}"))?;
    looked(&sentinel, 2, &[("destroyed", 8), ("failed", 0)])?;
    for (held, address) in later.iter_mut().zip(["198.51.100.1", "198.51.100.2"]) {
        held.ended()?;
        alerted(&sentinel, "lab-later", held.process.pid(), address, true)?;
    }
    for held in &mut allowed {
        held.sends(0)?;
    }
    eventually("what is still allowed", PATIENCE, || Ok((tcp.bytes() == 3 && udp.datagrams() == 3).then_some(())))?;
    std::thread::sleep(QUIET);
    for (sniffer, (address, _)) in sniffers.iter().zip(ways) {
        // Not even the reset that ends a TCP connection.
        ensure!(sniffer.frames() == 0, "{} frames to {address}", sniffer.frames());
    }
    // What was destroyed stays so, and a new connection works again when the rules are gone.
    reload(&sentinel, &policy, CALM)?;
    ground.expect(ctx, "connect 203.0.113.1:80", 0)?;
    refused[0].sends(libc::EPIPE)?;
    stop(sentinel)
}

/// The other world: the same connections without a rule about them.
fn without_a_rule(ctx: &Ctx) -> Result<()> {
    let ground = Ground::prepare(ctx)?;
    let tcp = ground.pair.far.tcp_sink("[::]:80")?;
    let udp = ground.pair.far.udp_sink("[::]:53")?;
    let mut stream = Held::on(ctx, &ground, "keep 203.0.113.1:80")?;
    let mut datagrams = Held::on(ctx, &ground, "udp-connect [2001:db8:bad::2]:53")?;
    let policy = ctx.policy("lab", &format!("{CALM}{MORE}"))?;
    let sentinel = ground.enforce(ctx).policy(&policy).start()?;
    looked(&sentinel, 1, &[("destroyed", 0), ("would_destroy", 0), ("failed", 0)])?;
    ensure!(count(&sentinel, "looked_at")? >= 2, "the connections of this scenario were not looked at");
    stream.sends(0)?;
    datagrams.sends(0)?;
    eventually("both bytes", PATIENCE, || Ok((tcp.bytes() == 1 && udp.datagrams() == 1).then_some(())))?;
    stop(sentinel)
}

/// With a scope only sockets of its cgroups, but in whatever network namespace they are.
fn scope(ctx: &Ctx) -> Result<()> {
    let (ground, second) = (Ground::prepare(ctx)?, ctx.veth_pair()?);
    let sinks = [ground.pair.far.tcp_sink("[::]:80")?, second.far.tcp_sink("[::]:80")?];
    let (below, outside) = (ground.cgroup.child("below")?, ctx.cgroup("outside")?);
    let bin = &ctx.tests_bin;
    let op = "keep 203.0.113.1:80";
    let mut inside = [
        Held::connect(ctx, bin, &ground.cgroup, &ground.pair, op)?,
        Held::connect(ctx, bin, &ground.cgroup, &second, op)?,
        Held::connect(ctx, bin, &below, &second, op)?,
    ];
    let mut others =
        [Held::connect(ctx, bin, &outside, &ground.pair, op)?, Held::connect(ctx, bin, &outside, &second, op)?];
    let policy = ctx.policy("lab", RULES)?;
    let sentinel = ctx.sentinel().enforce_in(&ground.cgroup).policy(&policy).start()?;
    looked(&sentinel, 1, &[("destroyed", 3), ("undecided", 0), ("no_cgroup", 0), ("failed", 0)])?;
    ensure!(count(&sentinel, "namespaces")? >= 3, "the near ends and the own namespace make three");
    inside.iter_mut().try_for_each(|held| held.ended())?;
    others.iter_mut().try_for_each(|held| held.sends(0))?;
    eventually("the bytes from outside the scope", PATIENCE, || {
        Ok((sinks[0].bytes() == 1 && sinks[1].bytes() == 1).then_some(()))
    })?;
    stop(sentinel)
}

/// Exceptions and exemptions hold for open connections too.
fn exceptions(ctx: &Ctx) -> Result<()> {
    let ground = Ground::prepare(ctx)?;
    let tcp = ground.pair.far.tcp_sink("[::]:80")?;
    let spared = ctx.program("spared-sentinel-tests")?;
    let rules = format!(
        "package sentinel.lab\n\
         block_cidrs contains {{\"id\": \"lab-except\", \"value\": \"203.0.113.0/24\",\n\
         \"except\": {{\"executables\": [\"{}\"]}}}}\n\
         block_cidrs contains {{\"id\": \"lab-port\", \"value\": \"192.0.2.0/24\", \"only\": {{\"ports\": [81]}}}}\n\
         exemptions contains {{\"id\": \"lab-licence\", \"type\": \"licence\", \"authority\": \"lab\", \"reference\": \"1\",\n\
         \"approver\": \"lab\", \"expires\": \"2099-01-01T00:00:00Z\", \"cidrs\": [\"203.0.113.128/25\"]}}\n",
        spared.display()
    );
    let held = |program: &Path, op: &str| Held::connect(ctx, program, &ground.cgroup, &ground.pair, op);
    let mut ended = held(&ctx.tests_bin, "keep 203.0.113.1:80")?;
    let mut live = [
        held(&spared, "keep 203.0.113.1:80")?,
        held(&ctx.tests_bin, "keep 203.0.113.200:80")?,
        held(&ctx.tests_bin, "keep 192.0.2.1:80")?,
    ];
    let policy = ctx.policy("lab", &rules)?;
    let sentinel = ground.enforce(ctx).policy(&policy).start()?;
    looked(&sentinel, 1, &[("destroyed", 1), ("undecided", 0), ("failed", 0)])?;
    ended.ended()?;
    alerted(&sentinel, "lab-except", ended.process.pid(), "203.0.113.1", true)?;
    live.iter_mut().try_for_each(|held| held.sends(0))?;
    // The packet hook does not know whose a socket from before the start is, so the spared program's byte is held up there.
    eventually("the bytes of what lives", PATIENCE, || Ok((tcp.bytes() == 2).then_some(())))?;
    stop(sentinel)
}

/// In monitor mode it is only said.
fn monitor(ctx: &Ctx) -> Result<()> {
    let ground = Ground::prepare(ctx)?;
    let tcp = ground.pair.far.tcp_sink("[::]:80")?;
    let mut held = Held::on(ctx, &ground, "keep 203.0.113.1:80")?;
    let policy = ctx.policy("lab", RULES)?;
    let sentinel = ctx.sentinel().monitor_in(&ground.cgroup).policy(&policy).start()?;
    looked(&sentinel, 1, &[("destroyed", 0), ("would_destroy", 1), ("failed", 0)])?;
    alerted(&sentinel, "lab-before", held.process.pid(), "203.0.113.1", false)?;
    held.sends(0)?;
    eventually("the byte", PATIENCE, || Ok((tcp.bytes() == 1).then_some(())))?;
    stop(sentinel)?;
    // The other mode, the same connection.
    let sentinel = ground.enforce(ctx).policy(&policy).start()?;
    looked(&sentinel, 1, &[("destroyed", 1), ("would_destroy", 0)])?;
    held.ended()?;
    ground.expect(ctx, "connect 203.0.113.1:80", EPERM)?;
    stop(sentinel)
}
