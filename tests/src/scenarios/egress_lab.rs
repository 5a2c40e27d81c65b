//! What the egress scenarios share: techniques as data, and the three things shown of each.
//!
//! Invariant: the counter is proved before it judges: without a rule a thousand frames of each technique arrive and are
//! counted. Each technique of a scenario has a destination of its own, so that a frame and an alert belong to one of them.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::Path,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::enforce_lab::{EPERM, Ground, PATIENCE, Shown, ensure_shown, is_blocked, text, words};
use crate::harness::{
    command::Run,
    listen::{TcpSink, UdpSink},
    meter::Meter,
    scenario::{Ctx, Place, eventually},
    sentinel::Sentinel,
};

/// The rules of these scenarios.
pub(super) const RULES: &str = "package sentinel.lab\n\
                                block_cidrs contains {\"id\": \"lab-egress\", \"value\": \"203.0.113.0/24\"}\n\
                                block_cidrs contains {\"id\": \"lab-egress\", \"value\": \"2001:db8:bad::/48\"}\n";
/// A policy that names nothing.
pub(super) const CALM: &str = "package sentinel.lab\n";

/// How many frames of each technique prove the counter.
pub(super) const PROOF: u32 = 1000;
/// How long a frame may take that must not come.
pub(super) const QUIET: Duration = Duration::from_millis(300);

/// Whose addresses a technique is pointed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// Those that the rules name.
    Forbidden,
    /// Those that no rule names.
    Allowed,
}

/// A way to send: operations of `act`, with placeholders for the destination (`{4}`, `{6}`, and IPv6 spellings of the
/// former) and for how many frames to send (`{n}`; an operation without it is repeated).
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    pub(super) op: &'static str,
    /// Whether it is one frame each time; else it is one or more.
    one_frame: bool,
    /// Whether the kernel keeps to itself that a packet was refused; an LSM hook's refusal it tells.
    untold: bool,
}

/// A way that is one frame.
pub(super) const fn one(op: &'static str) -> Way {
    Way { op, one_frame: true, untold: false }
}

/// A way that is one frame and that the packet ring refuses without the caller being told.
pub(super) const fn untold(op: &'static str) -> Way {
    Way { op, one_frame: true, untold: true }
}

/// A way that is one frame or more.
pub(super) const fn some(op: &'static str) -> Way {
    Way { op, one_frame: false, untold: false }
}

impl Way {
    /// The destination of the `number`th way of a scenario.
    pub(super) fn destination(&self, side: Side, number: usize) -> IpAddr {
        if self.op.contains("{6}") { v6(side, number).into() } else { v4(side, number).into() }
    }

    /// Its operation, for one frame.
    pub(super) fn once(&self, side: Side, number: usize) -> String {
        self.times(side, number, 1)
    }

    /// Its operation, for so many frames.
    fn times(&self, side: Side, number: usize, count: u32) -> String {
        let v4 = v4(side, number);
        let [a, b, c, d] = v4.octets();
        let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        let op = self
            .op
            .replace("{4}", &v4.to_string())
            .replace("{6}", &v6(side, number).to_string())
            .replace("{nat64}", &format!("64:ff9b::{v4}"))
            .replace("{6to4}", &format!("2002:{high:x}:{low:x}::1"))
            .replace("{teredo}", &format!("2001:0:1:2:3:4:{:x}:{:x}", !high, !low))
            .replace("{compatible}", &format!("::{v4}"))
            .replace("{n}", &count.to_string());
        if count == 1 || self.op.contains("{n}") { op } else { format!("repeat {count} {op}") }
    }
}

/// The `number`th IPv4 address of a side.
pub(super) fn v4(side: Side, number: usize) -> Ipv4Addr {
    let last = u8::try_from(number % 256).unwrap_or(0);
    match side {
        Side::Forbidden => Ipv4Addr::new(203, 0, 113, last),
        Side::Allowed => Ipv4Addr::new(198, 51, 100, last),
    }
}

/// The `number`th IPv6 address of a side.
pub(super) fn v6(side: Side, number: usize) -> Ipv6Addr {
    let last = u16::try_from(number % 256).unwrap_or(0);
    let third = if side == Side::Forbidden { 0xbad } else { 0x900d };
    Ipv6Addr::new(0x2001, 0xdb8, third, 0, 0, 0, 0, last)
}

/// Whether the rules name the address.
pub(super) fn is_forbidden(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.octets()[..3] == [203, 0, 113],
        IpAddr::V6(v6) => v6.segments()[..3] == [0x2001, 0xdb8, 0xbad],
    }
}

/// The near end, where acts take place, and the far end, which answers and counts.
pub(super) struct Field {
    pub(super) ground: Ground,
    pub(super) meter: Meter,
    pub(super) tcp: TcpSink,
    pub(super) udp: UdpSink,
}

impl Field {
    pub(super) fn prepare(ctx: &Ctx) -> Result<Self> {
        let ground = Ground::prepare(ctx)?;
        // IPv6 spellings of IPv4 addresses: the far end takes them as its own.
        for prefix in ["64:ff9b::/96", "2002::/16", "2001::/32", "::/96"] {
            ground.pair.claim(prefix)?;
        }
        // A cookie is not asked for, so that a deferred connect is really deferred; ping sockets are for everybody.
        ground.pair.near.sysctl("ipv4/tcp_fastopen", "5")?;
        ground.pair.near.sysctl("ipv4/ping_group_range", "0 2147483647")?;
        let (tcp, udp) = (ground.pair.far.tcp_sink("[::]:80")?, ground.pair.far.udp_sink("[::]:53")?);
        let field = Self { meter: ground.pair.meter()?, ground, tcp, udp };
        field.meet(ctx)?;
        Ok(field)
    }

    /// Both ends learn each other's link addresses: a first packet may wait for that and be thrown away.
    fn meet(&self, ctx: &Ctx) -> Result<()> {
        for number in [v4(Side::Allowed, 0).to_string(), v6(Side::Allowed, 0).to_string()] {
            let address: IpAddr = number.parse()?;
            eventually(&format!("a frame for {address}"), PATIENCE, || {
                self.act(ctx, &format!("ping {address}")).outcome()?;
                std::thread::sleep(Duration::from_millis(20));
                Ok((self.meter.frames(address) > 0).then_some(()))
            })?;
        }
        Ok(())
    }

    /// An act on the near end, inside the scope.
    pub(super) fn act(&self, ctx: &Ctx, op: &str) -> Run {
        self.ground.act(ctx, &ctx.tests_bin, op).limit(Duration::from_secs(120))
    }

    /// Each way sends so many frames, all operations succeed, and all frames are counted at the far end.
    pub(super) fn arrive(&self, ctx: &Ctx, ways: &[Way], side: Side, count: u32) -> Result<()> {
        let before: Vec<u64> = (1..).zip(ways).map(|(n, way)| self.meter.frames(way.destination(side, n))).collect();
        for (number, way) in (1..).zip(ways) {
            let op = way.times(side, number, count);
            let outcome = self.act(ctx, &op).outcome()?;
            let fine = outcome.code == Some(0) && outcome.errnos().iter().all(|errno| *errno == 0);
            ensure!(fine, "{op}: {outcome:?}");
        }
        self.meter.settled(QUIET)?;
        for ((number, way), before) in (1..).zip(ways).zip(before) {
            let came = self.meter.frames(way.destination(side, number)) - before;
            let count = u64::from(count);
            let fine = if way.one_frame { came == count } else { came >= count };
            ensure!(fine, "{}: {came} frames came of {count}", way.once(side, number));
        }
        Ok(())
    }

    /// Each way fails with EPERM where the call can say so, and no frame comes for any address that the rules name.
    pub(super) fn refused(&self, ctx: &Ctx, ways: &[Way]) -> Result<()> {
        let before = self.forbidden_frames();
        for (number, way) in (1..).zip(ways) {
            let op = way.once(Side::Forbidden, number);
            let outcome = self.act(ctx, &op).outcome()?;
            let told = outcome.errnos().contains(&EPERM);
            ensure!(told || (way.untold && ctx.place == Place::Host), "{op}: expected EPERM: {outcome:?}");
        }
        self.meter.settled(QUIET)?;
        self.none_since(&before)
    }

    /// Frames so far for addresses that the rules name.
    pub(super) fn forbidden_frames(&self) -> Vec<(IpAddr, u64)> {
        let mut frames = self.meter.matching(is_forbidden);
        frames.sort_unstable();
        frames
    }

    /// Not one more frame has come for an address that the rules name.
    pub(super) fn none_since(&self, before: &[(IpAddr, u64)]) -> Result<()> {
        let now = self.forbidden_frames();
        ensure!(now == before, "frames came: before {before:?}, now {now:?}");
        Ok(())
    }
}

/// An alert says of each way that it was refused. Who sent through io_uring is the process, whoever did it in the kernel.
pub(super) fn alerted(ctx: &Ctx, sentinel: &Sentinel, ways: &[Way]) -> Result<()> {
    for (number, way) in (1..).zip(ways) {
        let alert = alerted_for(sentinel, way.destination(Side::Forbidden, number)).with_context(|| way.op)?;
        let blamed = Path::new(text(&alert, "/process/executable"));
        ensure!(blamed == ctx.tests_bin || !way.op.starts_with("uring-"), "{}: another is blamed: {alert}", way.op);
    }
    Ok(())
}

/// An alert says that something was refused for this destination, however it was spelled. Gives it.
pub(super) fn alerted_for(sentinel: &Sentinel, destination: IpAddr) -> Result<Value> {
    let means = |alert: &Value| text(alert, "/destination/ip").parse() == Ok(destination);
    let alert = sentinel.wait_alert(PATIENCE, |alert| is_blocked(alert) && means(alert))?;
    ensure_shown(&alert, "lab-egress", Shown::Refused)?;
    Ok(alert)
}

/// A row of the table of techniques: the counter proved, not one frame with the rules, everything elsewhere allowed, and
/// frames again when Sentinel has stopped.
pub(super) fn row(ctx: &Ctx, ways: &[Way]) -> Result<()> {
    let field = Field::prepare(ctx)?;
    field.arrive(ctx, ways, Side::Forbidden, PROOF).context("without Sentinel")?;
    let sentinel = field.ground.enforce(ctx).policy(&ctx.policy("lab", RULES)?).start()?;
    field.refused(ctx, ways).context("with the rules")?;
    alerted(ctx, &sentinel, ways)?;
    field.arrive(ctx, ways, Side::Allowed, 20).context("to allowed destinations")?;
    super::enforce_lab::stop(sentinel)?;
    field.arrive(ctx, ways, Side::Forbidden, 1).context("after Sentinel")
}

/// A kept act with operations between which it waits.
pub(super) fn steps(ops: &[&str]) -> Vec<String> {
    words(&ops.join(" -- wait -- ")).into_iter().map(str::to_owned).collect()
}
