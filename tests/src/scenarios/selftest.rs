//! The harness itself: that its namespaces carry packets, its acts report errno, its leftover check can fail.

use std::{fs, time::Duration};

use anyhow::{Result, bail, ensure};

use crate::harness::{
    leftovers::Snapshot,
    objects,
    scenario::{Ctx, Scenario, World, eventually},
};

/// The scenarios of this file.
pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario { name: "harness-lsm-bpf-is-on", world: World::Vm, run: lsm_bpf_is_on },
        Scenario { name: "harness-veth-carries-packets", world: World::Both, run: veth_carries_packets },
        Scenario { name: "harness-acts-report-errno", world: World::Both, run: acts_report_errno },
        Scenario { name: "harness-child-starts-in-its-cgroup", world: World::Both, run: child_starts_in_its_cgroup },
        Scenario { name: "harness-leftovers-are-found", world: World::Both, run: leftovers_are_found },
    ]
}

fn lsm_bpf_is_on(_: &Ctx) -> Result<()> {
    let active = fs::read_to_string("/sys/kernel/security/lsm")?;
    ensure!(active.trim().split(',').any(|name| name == "bpf"), "active LSMs: {active}");
    Ok(())
}

fn veth_carries_packets(ctx: &Ctx) -> Result<()> {
    let pair = ctx.veth_pair()?;
    let (tcp, udp) = (pair.far.tcp_sink("0.0.0.0:80")?, pair.far.udp_sink("[::]:53")?);
    let frames = pair.sniff("203.0.113.5")?;
    let errnos = ctx.act(&["connect", "203.0.113.5:80", "--", "sendto", "[2001:db8::7]:53"]).netns(&pair.near);
    ensure!(errnos.outcome()?.errnos() == [0, 0]);
    eventually("one connection and one datagram", Duration::from_secs(5), || {
        Ok((tcp.accepted() == 1 && udp.datagrams() == 1).then_some(()))
    })?;
    ensure!(frames.frames() >= 3, "a TCP connection is at least three frames, seen {}", frames.frames());
    Ok(())
}

fn acts_report_errno(ctx: &Ctx) -> Result<()> {
    let file = ctx.write("readable", "x")?;
    let open = |path: &str| ctx.act(&["open", path, "read"]);
    ensure!(open(&file.display().to_string()).errno()? == 0);
    ensure!(open("/nonexistent").errno()? == libc::ENOENT);
    ensure!(open("/etc/shadow").uid(65534).errno()? == libc::EACCES);
    ensure!(ctx.act(&["connect", "127.0.0.1:1"]).errno()? == libc::ECONNREFUSED);
    let tiny = ctx.tiny_program("tiny", 7)?;
    let outcome = ctx.act(&["exec", &tiny.display().to_string()]).outcome()?;
    ensure!(outcome.errnos() == [0] && outcome.stdout.contains("status=7"), "{outcome:?}");
    ensure!(ctx.act(&["fork", "open", "/nonexistent", "read"]).errno()? == libc::ENOENT);
    ensure!(ctx.act(&["thread", "exec", "/nonexistent"]).errno()? == libc::ENOENT);
    Ok(())
}

fn child_starts_in_its_cgroup(ctx: &Ctx) -> Result<()> {
    let cgroup = ctx.cgroup("scope")?;
    let mut child = ctx.act(&["wait", "--", "open", "/proc/self/cgroup", "read"]).cgroup(&cgroup).start()?;
    ensure!(cgroup.pids()? == [child.pid()]);
    child.say("go")?;
    ensure!(child.next_errno()? == 0);
    Ok(())
}

fn leftovers_are_found(ctx: &Ctx) -> Result<()> {
    let before = Snapshot::take(&ctx.cgroup_root)?;
    let cgroup = ctx.cgroup("forgotten")?;
    let child = ctx.act(&["sleep", "60000"]).start()?;
    let map = objects::create_map()?;
    let Err(error) = before.check_within(ctx, Duration::from_millis(300)) else {
        bail!("a cgroup, a map and a process were left, and nobody noticed")
    };
    let text = error.to_string();
    ensure!(text.contains("cgroup") && text.contains("map") && text.contains("sleep 60000"), "{text}");
    drop((cgroup, child, map));
    before.check(ctx)
}
