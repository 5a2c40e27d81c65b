//! Techniques that leave past the sockets of the Internet families: packet sockets, AF_XDP, tun, forwarding, tunnels, SCTP, and
//! families that carry IP under another name.
//!
//! Refused by `socket_create` and `file_open` where there are LSM programs, and on devices where the scope is the whole host.
//! Elsewhere the controls run alone. Invariant: what is not refused is shown to be said in the status.

use anyhow::{Context, Result, ensure};

use super::{
    egress_devices,
    egress_lab::{Field, PROOF, RULES, Side, Way, one, some},
    enforce_lab::{EPERM, PATIENCE, is_blocked, stop},
};
use crate::harness::{
    scenario::{Ctx, Place, Scenario, World},
    sentinel::Sentinel,
};

/// The scenarios of this file. Whole host, so that they run in the VM; the controls run everywhere.
pub(super) fn all() -> Vec<Scenario> {
    let scenario = |name, run| Scenario { name, world: World::Both, run };
    vec![
        scenario("egress-n9-packet-sockets", |ctx| refused_by_type(ctx, &PACKET)),
        scenario("egress-n9-tun", egress_devices::tun),
        scenario("egress-n9-forwarding", egress_devices::forwarding),
        scenario("egress-n9-tunnels", egress_devices::tunnels),
        scenario("egress-n10-sctp", sctp),
        scenario("egress-n13-other-families", families),
    ]
}

/// Whether this run can show refusals of sockets: it has the LSM hooks.
pub(super) fn enforced(ctx: &Ctx) -> bool {
    ctx.place == Place::Vm
}

/// Whether this run can show refusals on devices: whole host.
pub(super) fn on_devices(ctx: &Ctx) -> bool {
    ctx.place == Place::Vm
}

pub(super) const PACKET: [Way; 10] = [
    one("packet-dgram {4} {n}"),
    one("packet-dgram {6} {n}"),
    one("packet-raw {4} {n}"),
    one("packet-raw {6} {n}"),
    one("packet-bypass {4} {n}"),
    one("packet-bypass {6} {n}"),
    one("packet-ring {4} {n}"),
    one("packet-ring {6} {n}"),
    one("xdp {4} {n}"),
    one("xdp {6} {n}"),
];

/// The socket's type is refused, wherever its packets would have gone, as long as an egress rule is in force.
fn refused_by_type(ctx: &Ctx, ways: &[Way]) -> Result<()> {
    let field = Field::prepare(ctx)?;
    field.arrive(ctx, ways, Side::Forbidden, PROOF).context("without Sentinel")?;
    if !enforced(ctx) {
        return said_to_be_open(ctx, &field, "af_packet");
    }
    let sentinel = field.ground.enforce(ctx).policy(&ctx.policy("lab", RULES)?).start()?;
    field.refused(ctx, ways)?;
    for (number, way) in (1..).zip(ways) {
        let op = way.once(Side::Allowed, number);
        let errnos = field.act(ctx, &op).outcome()?.errnos();
        ensure!(errnos == [EPERM], "{op}: a packet socket can send anywhere: {errnos:?}");
    }
    type_alert(&sentinel)?;
    stop(sentinel)?;
    field.arrive(ctx, ways, Side::Forbidden, 1).context("after Sentinel")
}

/// An alert tells that a socket was refused for its type.
fn type_alert(sentinel: &Sentinel) -> Result<()> {
    sentinel.wait_alert(PATIENCE, |alert| is_blocked(alert) && alert["sentinel"]["hook"] == "socket_create")?;
    Ok(())
}

/// What cannot be refused is in the status, as a reason why egress is not `full`.
pub(super) fn said_to_be_open(ctx: &Ctx, field: &Field, reason: &str) -> Result<()> {
    let sentinel = field.ground.enforce(ctx).policy(&ctx.policy("lab", RULES)?).start()?;
    let status = sentinel.status_json()?;
    ensure!(
        status["reasons"].to_string().contains(reason),
        "the status does not say `{reason}`: {}",
        status["reasons"]
    );
    ensure!(sentinel.status_code()? == 3, "egress that can be got past is not `partial`");
    stop(sentinel)
}

pub(super) const SCTP: [Way; 6] = [
    some("sctp {4}:82"),
    some("sctp [{6}]:82"),
    some("sctp-connectx {4}:82"),
    some("sctp-connectx [{6}]:82"),
    some("sctp-sendto {4}:82"),
    some("sctp-sendto [{6}]:82"),
];

fn sctp(ctx: &Ctx) -> Result<()> {
    let field = Field::prepare(ctx)?;
    let made = ctx.act(&["socket", "2", "1", "132"]).netns(&field.ground.pair.near).errno()?;
    if made == libc::EPROTONOSUPPORT {
        // The kernel has looked for the module by then.
        ensure!(ctx.place == Place::Host, "the VM's kernel has no SCTP");
        println!("  NOT SHOWN here: this kernel has no SCTP");
        return Ok(());
    }
    ensure!(made == 0, "making an SCTP socket: errno {made}");
    // Nobody listens there; that somebody was asked is what counts.
    field.arrive(ctx, &SCTP, Side::Forbidden, PROOF).context("without Sentinel")?;
    if !enforced(ctx) {
        return Ok(());
    }
    let sentinel = field.ground.enforce(ctx).policy(&ctx.policy("lab", RULES)?).start()?;
    field.refused(ctx, &SCTP)?;
    type_alert(&sentinel)?;
    stop(sentinel)?;
    field.arrive(ctx, &SCTP, Side::Forbidden, 1).context("after Sentinel")
}

/// Families and protocols that carry IP under another name: AF_XDP, SMC, RDS, RXRPC, AF_PACKET; by number, since they are asked
/// for by number.
const FAMILIES: [(&str, &str); 7] = [
    ("AF_PACKET", "socket 17 3 0"),
    ("AF_PACKET, datagrams", "socket 17 2 0"),
    ("AF_XDP", "socket 44 3 0"),
    ("SMC", "socket 43 1 0"),
    ("SMC over IPv6", "socket 43 1 1"),
    ("RDS", "socket 21 5 0"),
    ("RXRPC", "socket 33 2 2"),
];

fn families(ctx: &Ctx) -> Result<()> {
    let field = Field::prepare(ctx)?;
    for (name, op) in FAMILIES {
        let errno = field.act(ctx, op).errno()?;
        // The module may be missing; refused it is before that is looked for.
        ensure!([0, libc::EAFNOSUPPORT, libc::EPROTONOSUPPORT].contains(&errno), "{name}: errno {errno}");
        if errno != 0 {
            println!("  NOT SHOWN here: this kernel cannot make {name} sockets");
        }
    }
    if !enforced(ctx) {
        return Ok(());
    }
    let sentinel = field.ground.enforce(ctx).policy(&ctx.policy("lab", RULES)?).start()?;
    for (name, op) in FAMILIES {
        let errno = field.act(ctx, op).errno()?;
        ensure!(errno == EPERM, "{name}: errno {errno}");
    }
    type_alert(&sentinel)?;
    // Without egress rules nobody is hindered.
    stop(sentinel)
}
