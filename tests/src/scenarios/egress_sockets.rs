//! Techniques N7 and N11: sockets from before, passed on, inherited, with many peers; new namespaces and cgroups.
//!
//! Invariant: each refusal has the same act beside it that is not refused: before the rules, or to an allowed destination.

use anyhow::{Context, Result, ensure};

use super::{
    egress_lab::{CALM, Field, PROOF, QUIET, RULES, Side, alerted_for, one, steps},
    enforce_lab::{EPERM, PATIENCE, reload, stop},
};
use crate::harness::{
    command::Running,
    meter::Meter,
    scenario::{Ctx, Scenario, World, eventually},
};

/// The scenarios of this file.
pub(super) fn all() -> Vec<Scenario> {
    let both = |name, run| Scenario { name, world: World::Both, run };
    vec![
        both("egress-n7-sockets-passed-and-inherited", passed_on),
        both("egress-n7-one-socket-many-peers", many_peers),
        both("egress-n11-namespaces-and-cgroups", elsewhere),
    ]
}

const TCP: &str = "203.0.113.1:80";
const UDP: &str = "[2001:db8:bad::1]:53";

/// Performs the next operation of an act that waits between them.
fn go_on(process: &mut Running, errno: i32, what: &str) -> Result<()> {
    process.say("go on")?;
    let came = process.next_errno()?;
    ensure!(came == errno, "{what}: errno {came}, expected {errno}");
    Ok(())
}

/// Connected before the rules; then another process, or a child, sends.
fn passed_on(ctx: &Ctx) -> Result<()> {
    let field = Field::prepare(ctx)?;
    let policy = ctx.policy("lab", CALM)?;
    let sentinel = field.ground.enforce(ctx).policy(&policy).start()?;
    let path = ctx.path("handover").display().to_string();
    let act = |ops: &[&str]| ctx.act(&steps(ops)).cgroup(&field.ground.cgroup).netns(&field.ground.pair.near);
    let mut receiver = act(&[&format!("receive {path}"), "send", "send", "send"]).start()?;
    let mut giver = act(&[&format!("udp-connect {UDP}"), &format!("pass {path}")]).start()?;
    let mut parent = act(&[&format!("keep {TCP}"), "fork send", "fork send", "fork send"]).start()?;
    for process in [&mut giver, &mut parent] {
        ensure!(process.next_errno()? == 0, "connecting before the rules");
    }
    go_on(&mut giver, 0, "passing the socket on")?;
    ensure!(receiver.next_errno()? == 0, "receiving the socket");
    drop(giver);
    go_on(&mut receiver, 0, "sending on the received socket before the rules")?;
    go_on(&mut parent, 0, "a child sending before the rules")?;
    received(&field, 1, 1)?;
    reload(&sentinel, &policy, RULES)?;
    field.meter.settled(QUIET)?;
    let before = field.forbidden_frames();
    go_on(&mut receiver, EPERM, "sending on the received socket")?;
    // A stream's bytes are queued whatever becomes of its packets.
    go_on(&mut parent, 0, "a child sending")?;
    field.meter.settled(QUIET)?;
    field.none_since(&before)?;
    for destination in ["2001:db8:bad::1", "203.0.113.1"] {
        alerted_for(&sentinel, destination.parse()?)?;
    }
    reload(&sentinel, &policy, CALM)?;
    go_on(&mut receiver, 0, "sending on the received socket after the rules")?;
    received(&field, 2, 2)?;
    drop((receiver, parent));
    stop(sentinel)
}

/// What has come in at the far end: bytes of streams and datagrams.
fn received(field: &Field, bytes: u64, datagrams: u64) -> Result<()> {
    eventually(&format!("{bytes} bytes and {datagrams} datagrams"), PATIENCE, || {
        Ok((field.tcp.bytes() == bytes && field.udp.datagrams() == datagrams).then_some(()))
    })
    .with_context(|| format!("there were {} bytes and {} datagrams", field.tcp.bytes(), field.udp.datagrams()))
}

/// A socket that is not connected, and what it is opened with and sends with.
const UNCONNECTED: [(&str, &str, &str, &str); 4] = [
    ("udp-open 4", "kept-sendto", "198.51.100.1:53", "203.0.113.1:53"),
    ("udp-open 6", "kept-sendto", "[2001:db8:900d::2]:53", "[2001:db8:bad::2]:53"),
    ("ping-open 4", "kept-ping", "198.51.100.3", "203.0.113.3"),
    ("ping-open 6", "kept-ping", "2001:db8:900d::4", "2001:db8:bad::4"),
];

/// An unconnected socket sends to an allowed address first, then to a forbidden one, and to the allowed one again.
fn many_peers(ctx: &Ctx) -> Result<()> {
    let field = Field::prepare(ctx)?;
    let proof = [one("sendto {4}:53"), one("sendto [{6}]:53"), one("ping {4}"), one("ping {6}")];
    field.arrive(ctx, &proof, Side::Forbidden, PROOF).context("without Sentinel")?;
    let sentinel = field.ground.enforce(ctx).policy(&ctx.policy("lab", RULES)?).start()?;
    let before = field.forbidden_frames();
    for (open, send, allowed, forbidden) in UNCONNECTED {
        let ops = format!("{open} -- {send} {allowed} -- {send} {forbidden} -- {send} {allowed} -- {send} {forbidden}");
        let errnos = field.act(ctx, &ops).outcome()?.errnos();
        ensure!(errnos == [0, 0, EPERM, 0, EPERM], "{ops}: {errnos:?}");
    }
    field.meter.settled(QUIET)?;
    field.none_since(&before)?;
    for number in 1..=4 {
        let address = proof[number - 1].destination(Side::Allowed, number);
        ensure!(field.meter.frames(address) == 2, "{address}: {} frames, expected 2", field.meter.frames(address));
        alerted_for(&sentinel, proof[number - 1].destination(Side::Forbidden, number))?;
    }
    stop(sentinel)
}

/// How a process gets out of where it was.
const MOVES: [&str; 3] = ["unshare net", "unshare user+net", "child-cgroup deeper"];
/// What it then does to forbidden destinations; the last part of the addresses is put in.
const THERE: [&str; 3] =
    ["sendto 203.0.113.{}:53", "connect [2001:db8:bad::{}]:80", "udp-connect-send [::ffff:203.0.113.{}]:53"];

/// A process that leaves its network namespace or moves into a cgroup of its own making is refused all the same.
fn elsewhere(ctx: &Ctx) -> Result<()> {
    let field = Field::prepare(ctx)?;
    for there in MOVES {
        tried_from(ctx, &field, there, 0, "1").with_context(|| format!("{there}, without Sentinel"))?;
    }
    let sentinel = field.ground.enforce(ctx).policy(&ctx.policy("lab", RULES)?).start()?;
    for (number, there) in (2..).zip(MOVES) {
        tried_from(ctx, &field, there, EPERM, &number.to_string()).with_context(|| there.to_owned())?;
        alerted_for(&sentinel, format!("203.0.113.{number}").parse()?)?;
        alerted_for(&sentinel, format!("2001:db8:bad::{number}").parse()?)?;
    }
    stop(sentinel)
}

/// Moves, is given a cable if it has none, and tries everything; each operation ends with `errno`.
fn tried_from(ctx: &Ctx, field: &Field, there: &str, errno: i32, number: &str) -> Result<()> {
    let ops = format!("{there} -- wait -- {}", THERE.join(" -- ")).replace("{}", number);
    let mut process = field.act(ctx, &ops).start()?;
    let moved = process.next_errno()?;
    ensure!(moved == 0, "moving: errno {moved}");
    let cable = there.starts_with("unshare").then(|| Cable::lay(field, process.pid())).transpose()?;
    process.say("go on")?;
    for op in THERE {
        let came = process.next_errno()?;
        ensure!(came == errno, "{op}: errno {came}, expected {errno}");
    }
    let meter = cable.as_ref().map_or(&field.meter, |cable| &cable.meter);
    meter.settled(QUIET)?;
    for address in [format!("203.0.113.{number}"), format!("2001:db8:bad::{number}")] {
        let frames = meter.frames(address.parse()?);
        ensure!((frames > 0) == (errno == 0), "{frames} frames for {address}");
    }
    drop(cable);
    process.finish()?;
    Ok(())
}

/// A second cable, from the far end into the network namespace of a process.
struct Cable {
    meter: Meter,
}

impl Cable {
    fn lay(field: &Field, pid: u32) -> Result<Self> {
        let far = &field.ground.pair.far;
        // One that was laid before vanishes with its process's namespace, a little later than the process.
        eventually("the name far1 to be free", PATIENCE, || Ok(far.ip("link show far1").is_err().then_some(())))?;
        far.ip(&format!("link add far1 type veth peer name near0 netns {pid}"))?;
        far.ip("link set far1 up")?;
        far.ip("addr add 10.202.0.2/24 dev far1")?;
        far.ip("addr add fd00:202::2/64 dev far1 nodad")?;
        let inside = crate::harness::net::NetNs::of_process(pid)?;
        for command in [
            "addr add 10.202.0.1/24 dev near0",
            "addr add fd00:202::1/64 dev near0 nodad",
            "link set near0 up",
            "route add default via 10.202.0.2",
            "-6 route add default via fd00:202::2",
        ] {
            inside.ip(command)?;
        }
        Ok(Self { meter: far.enter(|| Meter::start("far1"))? })
    }
}
