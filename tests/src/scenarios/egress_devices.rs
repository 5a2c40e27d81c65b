//! The other ways past the sockets of the Internet families: tun devices, forwarding, tunnels.
//!
//! Part of `egress_bypass`, whose switch says whether the refusals are shown. Invariant: the frame that counts is the one at the far
//! end of the cable, by its outer or inner destination.

use std::net::IpAddr;

use anyhow::{Context, Result, ensure};

use super::{
    egress_bypass::{enforced, on_devices, said_to_be_open},
    egress_lab::{Field, PROOF, QUIET, RULES, Side, Way, alerted_for, one, some, v4},
    enforce_lab::{EPERM, stop},
};
use crate::harness::{
    net::{NEAR_V4, NEAR_V6, NetNs},
    scenario::{Ctx, Place},
};

pub(super) const TUN: [Way; 2] = [one("tun {4} {n}"), one("tun {6} {n}")];

/// Packets written into a tun device are forwarded like somebody else's.
pub(super) fn tun(ctx: &Ctx) -> Result<()> {
    let field = Field::prepare(ctx)?;
    forward(&field)?;
    field.arrive(ctx, &TUN, Side::Forbidden, PROOF).context("without Sentinel")?;
    if !enforced(ctx) {
        return said_to_be_open(ctx, &field, "af_packet");
    }
    let sentinel = field.ground.enforce(ctx).policy(&ctx.policy("lab", RULES)?).start()?;
    field.refused(ctx, &TUN)?;
    ensure!(field.act(ctx, "tun-open").errno()? == EPERM, "the tun device can be opened");
    stop(sentinel)
}

/// Makes the near end a router.
pub(super) fn forward(field: &Field) -> Result<()> {
    field.ground.pair.near.sysctl("ipv4/ip_forward", "1")?;
    field.ground.pair.near.sysctl("ipv6/conf/all/forwarding", "1")?;
    // What comes from a guest has no way back; that is nothing against it.
    field.ground.pair.near.sysctl("ipv4/conf/all/rp_filter", "0")?;
    Ok(())
}

/// A guest behind the near end: a namespace of its own whose way out leads through the near end.
fn guest(field: &Field) -> Result<NetNs> {
    let guest = NetNs::create()?;
    let near = &field.ground.pair.near;
    near.ip(&format!("link add inside0 type veth peer name near0 netns {}", guest.path()))?;
    for (netns, command) in [
        (near, "addr add 10.201.0.1/24 dev inside0"),
        (near, "addr add fd00:201::1/64 dev inside0 nodad"),
        (near, "link set inside0 up"),
        (&guest, "addr add 10.201.0.7/24 dev near0"),
        (&guest, "addr add fd00:201::7/64 dev near0 nodad"),
        (&guest, "link set near0 up"),
        (&guest, "route add default via 10.201.0.1"),
        (&guest, "-6 route add default via fd00:201::1"),
    ] {
        netns.ip(command)?;
    }
    field.ground.pair.far.ip("route add 10.201.0.0/24 via 10.200.0.1")?;
    field.ground.pair.far.ip("-6 route add fd00:201::/64 via fd00:200::1")?;
    Ok(guest)
}

const FORWARDED: [Way; 4] = [one("sendto {4}:53"), one("sendto [{6}]:53"), one("ping {4}"), some("connect {4}:80")];

/// Who sends is no process of the scope, perhaps not even of this machine: only the device on the way out sees the packets.
pub(super) fn forwarding(ctx: &Ctx) -> Result<()> {
    let field = Field::prepare(ctx)?;
    forward(&field)?;
    let guest = guest(&field)?;
    let send = |side, number: usize, way: &Way, times: u32| -> Result<u64> {
        let destination = way.destination(side, number);
        let before = field.meter.frames(destination);
        let op =
            format!("repeat {times} {}", way.once(side, number).replace("connect", "syn").replace(":80", ":80 50"));
        let words: Vec<&str> = op.split(' ').collect();
        ctx.act(&words).netns(&guest).outcome()?;
        field.meter.settled(QUIET)?;
        Ok(field.meter.frames(destination) - before)
    };
    let all = |side, times| -> Result<Vec<u64>> {
        (1..).zip(&FORWARDED).map(|(number, way)| send(side, number, way, times)).collect()
    };
    // The first packets look for their neighbours.
    all(Side::Allowed, 1)?;
    let came = all(Side::Forbidden, 200)?;
    ensure!(came.iter().all(|frames| *frames >= 200), "without Sentinel: {came:?} frames of 200 each");
    if !on_devices(ctx) {
        return said_to_be_open(ctx, &field, "forwarding");
    }
    let config = ctx.write("sentinel.toml", "[egress]\nforward = true\n")?;
    let launch = field.ground.enforce(ctx).policy(&ctx.policy("lab", RULES)?);
    let sentinel = launch.arg("--config").arg(config.as_os_str()).start()?;
    let came = all(Side::Forbidden, 5)?;
    ensure!(came.iter().all(|frames| *frames == 0), "with the rules: {came:?} frames");
    let came = all(Side::Allowed, 5)?;
    ensure!(came.iter().all(|frames| *frames >= 5), "to allowed destinations: {came:?} frames of 5 each");
    for (number, way) in (1..).zip(&FORWARDED) {
        alerted_for(&sentinel, way.destination(Side::Forbidden, number))?;
    }
    stop(sentinel)
}

/// Tunnel devices: their type, and how `ip link add` takes the outer destination. `{o}` is that, `{l}` the near end, `{i}`
/// a number.
const TUNNELS: [(&str, &str); 5] = [
    ("vxlan", "type vxlan id {i} remote {o} dstport 4789 dev near0"),
    ("sit", "type sit remote {o} local {l}"),
    ("ipip", "type ipip remote {o} local {l}"),
    ("gre", "type gre remote {o} local {l}"),
    ("gretap", "type gretap remote {o} local {l}"),
];

/// The outer destination is forbidden, the inner one is not; and the other way round.
pub(super) fn tunnels(ctx: &Ctx) -> Result<()> {
    let field = Field::prepare(ctx)?;
    let mut laid = 0;
    for (number, (name, how)) in (1..).zip(TUNNELS) {
        let outer = [(Side::Forbidden, 100 + number), (Side::Allowed, 200 + number)];
        for (side, number) in outer {
            let outer = v4(side, number);
            let device = format!("tunnel{number}");
            let how =
                how.replace("{i}", &number.to_string()).replace("{o}", &outer.to_string()).replace("{l}", NEAR_V4);
            match field.ground.pair.near.ip(&format!("link add {device} {how}")) {
                Ok(_) => laid += 1,
                Err(error) => {
                    // Only what the kernel does not have may be missing, and in the VM it has all of them.
                    let absent = error.to_string().contains("Unknown device type");
                    ensure!(absent && !enforced(ctx) && ctx.place == Place::Host, "{error:#}");
                    println!("  NOT SHOWN here: this kernel has no {name} devices");
                    continue;
                }
            }
            through_tunnel(ctx, &field, &device, side, number).with_context(|| format!("{name} to {outer}"))?;
        }
    }
    ensure!(laid > 0, "no kind of tunnel could be tried");
    if !on_devices(ctx) {
        return said_to_be_open(ctx, &field, "forwarding");
    }
    let sentinel = field.ground.enforce(ctx).policy(&ctx.policy("lab", RULES)?).start()?;
    field.meter.settled(QUIET)?;
    let before = field.forbidden_frames();
    for number in 1..=TUNNELS.len() {
        for number in [100 + number, 200 + number] {
            field.act(ctx, &tunnelled(number)).outcome()?;
        }
        alerted_for(&sentinel, v4(Side::Forbidden, 100 + number).into())?;
    }
    field.meter.settled(QUIET)?;
    field.none_since(&before)?;
    stop(sentinel)
}

/// What is sent through the tunnel of this number: a network of its own lies behind each.
fn tunnelled(number: usize) -> String {
    let inner = if number > 200 { format!("203.0.113.{number}") } else { format!("192.0.2.{number}") };
    if is_sit(number) {
        format!("sendto [2001:db8:{}::{number}]:53", if number > 200 { "bad" } else { "900d" })
    } else {
        format!("sendto {inner}:53")
    }
}

/// 6in4 carries IPv6 alone.
fn is_sit(number: usize) -> bool {
    number % 100 == 2
}

/// Brings the tunnel up, routes its inner destination into it, and proves that frames come out at the far end.
fn through_tunnel(ctx: &Ctx, field: &Field, device: &str, side: Side, number: usize) -> Result<()> {
    let near = &field.ground.pair.near;
    near.ip(&format!("link set {device} up"))?;
    let op = tunnelled(number);
    let inner = op.split(['[', ']', ' ']).find(|part| part.parse::<IpAddr>().is_ok());
    let inner = inner.map_or_else(|| op.split([' ', ':']).nth(1).unwrap_or_default().to_owned(), str::to_owned);
    if is_sit(number) {
        near.ip(&format!("-6 route add {inner}/128 dev {device} src {}", NEAR_V6))?;
    } else {
        near.ip(&format!("route add {inner}/32 dev {device} src {}", NEAR_V4))?;
    }
    // A device that carries Ethernet would ask for the neighbour first.
    if ["vxlan", "gretap"].iter().any(|kind| TUNNELS[number % 100 - 1].0 == *kind) {
        near.ip(&format!("neigh add {inner} lladdr 02:00:00:00:00:02 dev {device}"))?;
    }
    let counted: IpAddr = if side == Side::Forbidden { v4(side, number).into() } else { inner.parse()? };
    let before = field.meter.frames(counted);
    field.act(ctx, &format!("repeat {PROOF} {op}")).errno()?;
    field.meter.settled(QUIET)?;
    let came = field.meter.frames(counted) - before;
    // The device itself may have something to say as well.
    ensure!(came >= u64::from(PROOF), "{op}: {came} frames came for {counted} of {PROOF}");
    Ok(())
}
