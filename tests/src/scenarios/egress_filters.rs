//! Filters on devices, where kernels have no tcx (before 6.6): they outlive a process, and other tools use the same qdisc.
//!
//! Invariant: what others put there stays as it is; what Sentinel puts there goes with it, or at the next start.

use std::{net::SocketAddr, path::Path, time::Duration};

use anyhow::{Result, ensure};

use super::{
    egress_lab::{Field, QUIET, RULES, Side, v6},
    enforce_lab::{PATIENCE, has_tcx, stop},
};
use crate::harness::{
    command::Run,
    net::{NEAR_V6, NetNs, VethPair},
    scenario::{Ctx, Scenario, World, eventually},
    sentinel::Sentinel,
};

/// The scenarios of this file.
pub(super) fn all() -> Vec<Scenario> {
    let scenario = |name, run| Scenario { name, world: World::Vm, run };
    vec![
        scenario("egress-filters-come-and-go", come_and_go),
        scenario("egress-filters-of-others", of_others),
        scenario("egress-filters-taken-place", taken),
        scenario("egress-filters-taken-away", taken_away),
    ]
}

/// The device that the scenarios look at.
const DEVICE: &str = "near0";

fn tc(netns: &NetNs, args: &str) -> Result<String> {
    Run::new(Path::new("tc")).args(args.split(' ')).netns(netns).success()
}

/// What `tc` shows of our filters on a device.
fn ours(netns: &NetNs, device: &str) -> Result<Vec<String>> {
    let shown = tc(netns, &format!("filter show dev {device} egress"))?;
    Ok(shown
        .lines()
        .filter(|line| line.contains(" pref 1 ") && line.contains(" handle 0x5e4"))
        .map(str::to_owned)
        .collect())
}

fn has_qdisc(netns: &NetNs) -> Result<bool> {
    Ok(tc(netns, &format!("qdisc show dev {DEVICE}"))?.contains("clsact"))
}

/// Whether there are such filters here; a kernel with tcx needs none, which is shown.
fn needed(ctx: &Ctx) -> Result<bool> {
    if !has_tcx() {
        return Ok(true);
    }
    let field = Field::prepare(ctx)?;
    let sentinel = enforcing(ctx, &field)?;
    let netns = &field.ground.pair.near;
    ensure!(ours(netns, DEVICE)?.is_empty() && !has_qdisc(netns)?, "a filter, on a kernel with tcx");
    stop(sentinel)?;
    Ok(false)
}

fn enforcing(ctx: &Ctx, field: &Field) -> Result<Sentinel> {
    field.ground.enforce(ctx).policy(&ctx.policy("lab", RULES)?).start()
}

/// The near end sends a reset for a question to a closed port: over IPv6 no cgroup hook sees it. How many came back.
fn reset(ctx: &Ctx, field: &Field, side: Side, number: usize) -> Result<u64> {
    let from = v6(side, number);
    let before = field.meter.frames(from.into());
    let op = format!("syn [{NEAR_V6}]:8081 200 [{from}]:0");
    ctx.act(&op.split(' ').collect::<Vec<_>>()).netns(&field.ground.pair.far).outcome()?;
    field.meter.settled(QUIET)?;
    Ok(field.meter.frames(from.into()) - before)
}

/// Resets to forbidden addresses stay, those to others go.
fn refuses(ctx: &Ctx, field: &Field, number: usize) -> Result<()> {
    let came = (reset(ctx, field, Side::Forbidden, number)?, reset(ctx, field, Side::Allowed, number)?);
    ensure!(came.0 == 0 && came.1 > 0, "{came:?} answers to forbidden and allowed");
    Ok(())
}

fn prepare(ctx: &Ctx) -> Result<Field> {
    let field = Field::prepare(ctx)?;
    field.ground.pair.far.sysctl("ipv6/ip_nonlocal_bind", "1")?;
    Ok(field)
}

/// On a device that was there and on one that comes later; and neither filter nor qdisc is left.
fn come_and_go(ctx: &Ctx) -> Result<()> {
    if !needed(ctx)? {
        return Ok(());
    }
    let field = prepare(ctx)?;
    let netns = &field.ground.pair.near;
    let sentinel = enforcing(ctx, &field)?;
    ensure!(ours(netns, DEVICE)?.len() == 1 && has_qdisc(netns)?, "no filter: {:?}", ours(netns, DEVICE)?);
    refuses(ctx, &field, 1)?;
    netns.ip("link add later0 type dummy")?;
    eventually("a filter on a new device", PATIENCE, || Ok((ours(netns, "later0")?.len() == 1).then_some(())))?;
    netns.ip("link set later0 name renamed0")?;
    let count = || sentinel.status_json().map(|status| status["devices"].as_u64());
    let before = count()?;
    std::thread::sleep(Duration::from_secs(7));
    ensure!(ours(netns, "renamed0")?.len() == 1 && count()? == before, "a renamed device has another filter");
    ensure!(!sentinel.status_json()?["reasons"].to_string().contains("forwarding"), "{}", sentinel.status_json()?);
    stop(sentinel)?;
    for device in [DEVICE, "renamed0"] {
        ensure!(ours(netns, device)?.is_empty(), "left on {device}: {:?}", ours(netns, device)?);
    }
    ensure!(!has_qdisc(netns)?, "the qdisc is left");
    ensure!(reset(ctx, &field, Side::Forbidden, 1)? > 0, "after Sentinel nothing comes either");
    Ok(())
}

/// A qdisc and filters of somebody else's work on, before, during and after.
fn of_others(ctx: &Ctx) -> Result<()> {
    if !needed(ctx)? {
        return Ok(());
    }
    let field = prepare(ctx)?;
    let netns = &field.ground.pair.near;
    let theirs = "prio 7 protocol all matchall action ok";
    tc(netns, &format!("qdisc add dev {DEVICE} clsact"))?;
    tc(netns, &format!("filter add dev {DEVICE} egress {theirs}"))?;
    refused_beside(ctx, &field)?;
    // A filter that comes while Sentinel runs keeps the qdisc that Sentinel made.
    tc(netns, &format!("qdisc del dev {DEVICE} clsact"))?;
    let sentinel = enforcing(ctx, &field)?;
    tc(netns, &format!("filter add dev {DEVICE} ingress {theirs}"))?;
    stop(sentinel)?;
    ensure!(has_qdisc(netns)?, "the qdisc is gone with somebody else's filter");
    ensure!(tc(netns, &format!("filter show dev {DEVICE} ingress"))?.contains("matchall"), "the filter is gone");
    ensure!(ours(netns, DEVICE)?.is_empty(), "a filter is left");
    Ok(())
}

/// Ours comes before a filter that lets everything through, which is still there afterwards.
fn refused_beside(ctx: &Ctx, field: &Field) -> Result<()> {
    let netns = &field.ground.pair.near;
    let sentinel = enforcing(ctx, field)?;
    refuses(ctx, field, 2)?;
    stop(sentinel)?;
    let left = tc(netns, &format!("filter show dev {DEVICE} egress"))?;
    ensure!(left.contains("pref 7") && ours(netns, DEVICE)?.is_empty(), "left: {left}");
    Ok(())
}

/// Where the place is taken by something else, the status says on which device, and why. It is watched once that is gone.
fn taken(ctx: &Ctx) -> Result<()> {
    if !needed(ctx)? {
        return Ok(());
    }
    let field = prepare(ctx)?;
    let netns = &field.ground.pair.near;
    tc(netns, &format!("qdisc add dev {DEVICE} clsact"))?;
    tc(netns, &format!("filter add dev {DEVICE} egress prio 1 protocol all matchall action ok"))?;
    let sentinel = enforcing(ctx, &field)?;
    let reasons = || sentinel.status_json().map(|status| status["reasons"].to_string());
    let said = reasons()?;
    ensure!(said.contains("forwarding") && said.contains(DEVICE) && said.contains("priority 1"), "{said}");
    ensure!(sentinel.status_code()? == 3, "not partial");
    println!("  the status says: {said}");
    tc(netns, &format!("qdisc del dev {DEVICE} clsact"))?;
    tc(netns, &format!("qdisc add dev {DEVICE} ingress"))?;
    eventually("the other reason", PATIENCE, || Ok(reasons()?.contains("qdisc of kind ingress").then_some(())))?;
    tc(netns, &format!("qdisc del dev {DEVICE} ingress"))?;
    eventually("a filter", PATIENCE, || Ok((!reasons()?.contains("forwarding")).then_some(())))?;
    refuses(ctx, &field, 3)?;
    stop(sentinel)
}

/// A tool that takes the qdisc away takes the filter too; it is put back.
fn taken_away(ctx: &Ctx) -> Result<()> {
    if !needed(ctx)? {
        return Ok(());
    }
    let field = prepare(ctx)?;
    let netns = &field.ground.pair.near;
    let sentinel = enforcing(ctx, &field)?;
    tc(netns, &format!("qdisc del dev {DEVICE} clsact"))?;
    ensure!(ours(netns, DEVICE)?.is_empty(), "the filter does not go with its qdisc");
    eventually("the filter to be back", PATIENCE, || Ok((!ours(netns, DEVICE)?.is_empty()).then_some(())))?;
    ensure!(sentinel.stderr().contains("took the filter off"), "nothing is said: {}", sentinel.stderr());
    refuses(ctx, &field, 4)?;
    stop(sentinel)
}

/// After a daemon was killed its filters go on refusing, until the next Sentinel starts, whatever that is for.
pub(super) fn outlive(
    ctx: &Ctx,
    pair: &VethPair,
    blocked: &str,
    next: impl FnOnce() -> Result<Sentinel>,
) -> Result<Sentinel> {
    let netns = &pair.near;
    ensure!(ours(netns, DEVICE)?.len() == 1, "a filter ended with its process");
    let address = blocked.parse::<SocketAddr>()?.ip();
    let attempt = || -> Result<(Vec<i32>, u64)> {
        let before = pair.meter().frames(address);
        let told = ctx.act(&["syn", blocked, "300"]).netns(netns).outcome()?.errnos();
        pair.meter().settled(QUIET)?;
        Ok((told, pair.meter().frames(address) - before))
    };
    let (told, came) = attempt()?;
    ensure!(told == [libc::EPERM] && came == 0, "not refused without a daemon: errno {told:?}, {came} frames");
    let sentinel = next()?;
    ensure!(ours(netns, DEVICE)?.is_empty(), "the next start leaves {:?}", ours(netns, DEVICE)?);
    ensure!(!has_qdisc(netns)?, "the next start leaves the qdisc");
    ensure!(sentinel.stderr().contains("of a Sentinel that was killed"), "nothing is said: {}", sentinel.stderr());
    ensure!(attempt()?.1 > 0, "nothing comes after the next start");
    Ok(sentinel)
}
