//! Technique N8: somebody rewrites the destination after the connect: nftables, a source route, a transparent proxy.
//!
//! Invariant: the address in the call is allowed and stays so; only what leaves is forbidden. The rules are real nft rules
//! in the near end's own network namespace.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::{
    egress_lab::{Field, PROOF, QUIET, RULES, Side, Way, alerted_for, one, some, v4, v6},
    enforce_lab::{EPERM, stop},
};
use crate::harness::{
    command::Running,
    scenario::{Ctx, Scenario, World},
};

/// The scenarios of this file.
pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario { name: "egress-n8-nft-dnat", world: World::Both, run: dnat },
        Scenario { name: "egress-n8-transparent-proxy", world: World::Both, run: proxy },
        Scenario { name: "egress-n10-mptcp-subflow", world: World::Both, run: subflow },
    ]
}

/// Addresses 101 to 199 of the allowed network are rewritten to the same of the forbidden one, in both families.
const DNAT: &str = "
table ip lab {
  chain out {
    type nat hook output priority -100
    dnat to ip daddr map { 198.51.100.101 : 203.0.113.101, 198.51.100.102 : 203.0.113.102,
                           198.51.100.103 : 203.0.113.103, 198.51.100.104 : 203.0.113.104 }
  }
}
table ip6 lab {
  chain out {
    type nat hook output priority -100
    dnat to ip6 daddr map { 2001:db8:900d::65 : 2001:db8:bad::65, 2001:db8:900d::66 : 2001:db8:bad::66 }
  }
}
";

/// What is sent to a rewritten address, by its last part.
const REWRITTEN: [(u8, &str); 6] = [
    (101, "sendto 198.51.100.101:53"),
    (102, "udp-connect-send 198.51.100.102:53"),
    (103, "uring-sendto 198.51.100.103:53"),
    (104, "ping 198.51.100.104"),
    (0x65, "sendto [2001:db8:900d::65]:53"),
    (0x66, "sendto [2001:db8:900d::66]:53"),
];

/// Loads nft rules into the near end's namespace.
fn nft(ctx: &Ctx, field: &Field, rules: &str) -> Result<()> {
    let file = ctx.write("rules.nft", rules)?;
    let run = ctx.command(Path::new("nft")).arg("-f").arg(&file).netns(&field.ground.pair.near);
    run.success().context("loading nft rules; the program is in the Debian package nftables")?;
    Ok(())
}

/// The forbidden address behind one of [`REWRITTEN`].
fn behind(last: u8, op: &str) -> std::net::IpAddr {
    if op.contains("2001:") {
        v6(Side::Forbidden, usize::from(last)).into()
    } else {
        v4(Side::Forbidden, usize::from(last)).into()
    }
}

fn dnat(ctx: &Ctx) -> Result<()> {
    let field = Field::prepare(ctx)?;
    nft(ctx, &field, DNAT)?;
    for (last, op) in REWRITTEN {
        field.act(ctx, &format!("repeat {PROOF} {op}")).errno()?;
        field.meter.settled(QUIET)?;
        let came = field.meter.frames(behind(last, op));
        ensure!(came == u64::from(PROOF), "{op} without Sentinel: {came} frames came of {PROOF}");
    }
    // A connection is rewritten as a whole: this one stays for what comes.
    let mut stream = field.act(ctx, "keep 198.51.100.101:80 -- wait -- send").start()?;
    ensure!(stream.next_errno()? == 0, "connecting before the rules");
    let sentinel = field.ground.enforce(ctx).policy(&ctx.policy("lab", RULES)?).start()?;
    field.meter.settled(QUIET)?;
    let before = field.forbidden_frames();
    for (_, op) in REWRITTEN {
        let errno = field.act(ctx, op).errno()?;
        ensure!(errno == EPERM, "{op}: errno {errno}");
    }
    // TCP is not told that its packets are refused; the connect remains unanswered.
    let errno = field.act(ctx, "syn 198.51.100.102:80 500").errno()?;
    ensure!(errno == libc::EINPROGRESS, "connecting to a rewritten address: errno {errno}");
    stream.say("send")?;
    ensure!(stream.next_errno()? == 0, "a stream's bytes are queued");
    field.meter.settled(QUIET)?;
    field.none_since(&before)?;
    for (last, op) in REWRITTEN {
        alerted_for(&sentinel, behind(last, op)).context(op)?;
    }
    let others: [Way; 3] = [one("sendto {4}:53"), some("connect {4}:80"), one("sendto [{6}]:53")];
    field.arrive(ctx, &others, Side::Allowed, 20).context("what is not rewritten")?;
    drop(stream);
    stop(sentinel)?;
    for (_, op) in REWRITTEN {
        ensure!(field.act(ctx, op).errno()? == 0, "{op} after Sentinel");
    }
    Ok(())
}

/// TCP to one allowed address goes to a local proxy, which connects on to a forbidden one.
const REDIRECT: &str = "
table ip lab {
  chain out {
    type nat hook output priority -100
    ip daddr 198.51.100.81 tcp dport 80 redirect to :3128
  }
}
";

fn proxy(ctx: &Ctx) -> Result<()> {
    let field = Field::prepare(ctx)?;
    nft(ctx, &field, REDIRECT)?;
    let mut proxy = field.act(ctx, "proxy 0.0.0.0:3128 203.0.113.81:80 -- wait").start()?;
    ensure!(proxy.next_errno()? == 0, "the proxy cannot listen");
    let forbidden = v4(Side::Forbidden, 81).into();
    through(ctx, &field, &mut proxy, 0).context("without Sentinel")?;
    field.meter.settled(QUIET)?;
    ensure!(field.meter.frames(forbidden) > 0, "no frame came through the proxy without Sentinel");
    let sentinel = field.ground.enforce(ctx).policy(&ctx.policy("lab", RULES)?).start()?;
    field.meter.settled(QUIET)?;
    let before = field.forbidden_frames();
    through(ctx, &field, &mut proxy, EPERM).context("with the rules")?;
    field.meter.settled(QUIET)?;
    field.none_since(&before)?;
    let alert = alerted_for(&sentinel, forbidden)?;
    let pid = proxy.pid();
    ensure!(alert["process"]["pid"] == pid, "the proxy is {pid}, blamed is another: {alert}");
    drop(proxy);
    stop(sentinel)
}

/// A client connects to the allowed address; the proxy's own connect ends with `errno`.
fn through(ctx: &Ctx, field: &Field, proxy: &mut Running, errno: i32) -> Result<()> {
    let client = field.act(ctx, "keep 198.51.100.81:80 -- send").outcome()?;
    ensure!(client.errnos().first() == Some(&0), "the client is not refused: {client:?}");
    let line = proxy.wait_line("proxied=")?;
    ensure!(line == format!("proxied={errno}"), "{line}, expected {errno}");
    Ok(())
}

/// Where the far end is asked for by Multipath TCP, and what it says where else it can be reached.
const FIRST: &str = "198.51.100.90";
const SECOND: &str = "203.0.113.90";

/// The far end announces a forbidden address to a connection that was made to an allowed one; the kernel connects there
/// by itself.
fn subflow(ctx: &Ctx) -> Result<()> {
    let field = Field::prepare(ctx)?;
    let pair = &field.ground.pair;
    pair.near.ip("mptcp limits set add_addr_accepted 4 subflows 4")?;
    pair.far.ip("mptcp limits set add_addr_accepted 4 subflows 4")?;
    pair.far.ip(&format!("addr add {SECOND}/32 dev far0"))?;
    pair.far.ip(&format!("mptcp endpoint add {SECOND} dev far0 signal"))?;
    let mut server = ctx.act(&["mptcp-listen", "0.0.0.0:81", "--", "wait"]).netns(&pair.far).start()?;
    ensure!(server.next_errno()? == 0, "the far end cannot listen");
    let op = format!("mptcp-keep {FIRST}:81 -- send -- sleep 500 -- send -- sleep 200 -- send");
    let tried = || -> Result<()> {
        let outcome = field.act(ctx, &op).outcome()?;
        ensure!(outcome.errnos() == [0, 0, 0, 0], "{outcome:?}");
        field.meter.settled(QUIET)
    };
    tried()?;
    let (first, second) = (FIRST.parse()?, SECOND.parse()?);
    ensure!(field.meter.frames(second) > 0, "no subflow was made without Sentinel");
    let sentinel = field.ground.enforce(ctx).policy(&ctx.policy("lab", RULES)?).start()?;
    field.meter.settled(QUIET)?;
    let (before, allowed) = (field.forbidden_frames(), field.meter.frames(first));
    tried()?;
    field.none_since(&before)?;
    ensure!(field.meter.frames(first) > allowed, "the connection itself is allowed");
    alerted_for(&sentinel, second)?;
    stop(sentinel)?;
    drop(server);
    Ok(())
}
