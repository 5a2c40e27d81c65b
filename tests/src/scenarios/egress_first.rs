//! Technique N12: the first connection, before user space could have decided anything.
//!
//! Invariant: somebody tries every millisecond from before Sentinel starts until after it is ready. Once something was refused,
//! nothing passes any more.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{
    egress_lab::{Field, PROOF, QUIET, Side, one, some},
    enforce_lab::{EPERM, Shown, alert_of, is_blocked, stop},
};
use crate::harness::scenario::{Ctx, Scenario, World};

/// The scenarios of this file.
pub(super) fn all() -> Vec<Scenario> {
    vec![Scenario { name: "egress-n12-the-first-connection", world: World::Both, run: first }]
}

const RULES: &str = "package sentinel.lab\nblock_countries contains {\"id\": \"lab-egress\", \"value\": \"KP\"}\n";

/// What is tried all the time, each by a process of its own.
const TRIED: [&str; 4] =
    ["sendto 203.0.113.1:53", "sendto [2001:db8:bad::2]:53", "uring-sendto 203.0.113.3:53", "raw-ip 203.0.113.4"];

fn first(ctx: &Ctx) -> Result<()> {
    let field = Field::prepare(ctx)?;
    let proof = [one("sendto {4}:53"), one("sendto [{6}]:53"), one("uring-sendto {4}:53"), one("raw-ip {4}")];
    field.arrive(ctx, &proof, Side::Forbidden, PROOF).context("without Sentinel")?;
    let ranges =
        [("203.0.113.0", "203.0.113.255", "KP"), ("2001:db8:bad::", "2001:db8:bad:ffff:ffff:ffff:ffff:ffff", "KP")];
    let countries = ctx.geo_csv("countries", &ranges)?;
    let launch = field.ground.enforce(ctx).policy(&ctx.policy("lab", RULES)?).geoip(&countries);
    let mut tries = Vec::new();
    for op in TRIED {
        let op = format!("say begins -- latch 2000 {op}");
        let mut running = field.act(ctx, &op).start()?;
        running.wait_line("begins")?;
        tries.push(running);
    }
    let sentinel = launch.start()?;
    // It says that it is ready: from here on not one.
    field.meter.settled(QUIET)?;
    let before = field.forbidden_frames();
    // Nobody has been here before.
    for op in ["connect 203.0.113.9:80", "fastopen [2001:db8:bad::9]:80", "uring-connect 203.0.113.10:80"] {
        let errno = field.act(ctx, op).errno()?;
        ensure!(errno == EPERM, "{op}, the first ever: errno {errno}");
    }
    for running in tries {
        let outcome = running.finish()?;
        let line = outcome.stdout.lines().find(|line| line.starts_with("passed=")).unwrap_or_default().to_owned();
        let number = |key: &str| -> Option<u64> { line.split(key).nth(1)?.split(' ').next()?.parse().ok() };
        let counts = [number("passed="), number("refused="), number("passed_after=")];
        ensure!(counts[0] > Some(0) && counts[1] > Some(0), "it did not see both worlds: {outcome:?}");
        ensure!(counts[2] == Some(0), "something passed after the first refusal: {outcome:?}");
    }
    field.meter.settled(QUIET)?;
    field.none_since(&before)?;
    alert_of(&sentinel, "lab-egress", 1, Shown::Refused)?;
    let wanted = |alert: &serde_json::Value| is_blocked(alert) && alert["destination"]["ip"] == "203.0.113.10";
    sentinel.wait_alert(Duration::from_secs(60), wanted)?;
    let allowed = [one("sendto {4}:53"), some("connect {4}:80"), some("fastopen [{6}]:80")];
    field.arrive(ctx, &allowed, Side::Allowed, 20)?;
    stop(sentinel)
}
