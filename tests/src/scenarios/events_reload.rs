//! SIGHUP: a good policy takes effect, a broken one is refused as a whole and the old one stays in force.

use std::{fs, time::Duration};

use anyhow::{Result, ensure};
use serde_json::Value;

use super::events::text;
use crate::harness::{
    cgroup::Cgroup,
    net::VethPair,
    scenario::{Ctx, Scenario, World, eventually},
    sentinel::Sentinel,
};

const LIMIT: Duration = Duration::from_secs(60);
const OLD: &str = "203.0.113.5:8080";
const NEW: &str = "198.51.100.5:8080";

/// The scenarios of this file.
pub(super) fn all() -> Vec<Scenario> {
    vec![Scenario { name: "events-reload", world: World::Both, run: reload }]
}

/// A policy that blocks one network and alerts on connects to a port under an id of its own.
fn policy(network: &str, id: &str) -> String {
    format!(
        "package sentinel.reload\n\nblock_cidrs contains \"{network}\"\n\nalert contains {{\"id\": \"{id}\", \"msg\": \
         \"connect\"}} if {{\n\tinput.event.action == \"connect\"\n\tinput.destination.port == 9\n}}\n"
    )
}

struct Lab<'a> {
    ctx: &'a Ctx,
    pair: VethPair,
    scope: Cgroup,
    sentinel: Sentinel,
}

impl Lab<'_> {
    fn errno(&self, op: &[&str]) -> Result<i32> {
        self.ctx.act(op).cgroup(&self.scope).netns(&self.pair.near).errno()
    }

    /// Both worlds: which of the two networks is refused, and which id the alerts have.
    fn in_force(&self, blocked: &str, open: &str, id: &str) -> Result<()> {
        ensure!(self.errno(&["connect", blocked])? == libc::EPERM, "{blocked} is not refused");
        ensure!(self.errno(&["connect", open])? == 0, "{open} does not work");
        let before = self.sentinel.alerts()?.len();
        ensure!(self.errno(&["udp-connect", "192.0.2.1:9"])? == 0);
        eventually(&format!("an alert of {id}"), LIMIT, || {
            let new: Vec<Value> = self.sentinel.alerts()?.into_iter().skip(before).collect();
            let hits = new.iter().filter(|alert| alert["destination"]["port"] == 9);
            let ids: Vec<&Value> = hits.map(|alert| &alert["rule"]["id"]).collect();
            ensure!(ids.iter().all(|found| **found == id), "{ids:?} instead of {id}");
            Ok((ids.len() == 1).then_some(()))
        })
    }

    fn reload(&self, done: impl Fn(&Value) -> bool) -> Result<Value> {
        self.sentinel.signal(libc::SIGHUP)?;
        eventually("a reload", LIMIT, || Ok(Some(self.sentinel.status_json()?).filter(&done)))
    }
}

fn reload(ctx: &Ctx) -> Result<()> {
    let pair = ctx.veth_pair()?;
    let _sink = pair.far.tcp_sink("0.0.0.0:8080")?;
    let scope = ctx.cgroup("reload")?;
    let file = ctx.policy("reload", &policy("203.0.113.0/24", "first"))?;
    let sentinel = ctx.sentinel().policy(&file).enforce_in(&scope).start()?;
    let lab = Lab { ctx, pair, scope, sentinel };
    let first = lab.sentinel.status_json()?;
    ensure!(first["generation"] == 1 && first["refused_reload"].is_null(), "{first}");
    lab.in_force(OLD, NEW, "first")?;

    let broken = format!("{}deny contains \"x\" if {{\n", policy("198.51.100.0/24", "broken"));
    let line = broken.lines().count();
    fs::write(&file, broken)?;
    let refused = lab.reload(|status| !status["refused_reload"].is_null())?;
    let reason = refused["refused_reload"].as_str().unwrap_or_default();
    let name = text(&file);
    ensure!(reason.contains(&name), "the reason does not name {name}: {reason}");
    ensure!(
        (line..=line + 2).any(|line| reason.contains(&format!("{name}:{line}"))),
        "the reason does not name the line: {reason}"
    );
    ensure!(
        refused["generation"] == first["generation"] && refused["policy_sha256"] == first["policy_sha256"],
        "{refused}"
    );
    lab.in_force(OLD, NEW, "first")?;

    fs::write(&file, policy("198.51.100.0/24", "second"))?;
    let taken = lab.reload(|status| status["generation"].as_u64() >= Some(2))?;
    ensure!(taken["refused_reload"].is_null(), "{taken}");
    ensure!(taken["policy_sha256"] != first["policy_sha256"], "{taken}");
    lab.in_force(NEW, OLD, "second")?;

    let ended = lab.sentinel.stop()?;
    ensure!(ended.code == Some(0), "{ended:?}");
    let after = ctx.act(&["connect", NEW]).cgroup(&lab.scope).netns(&lab.pair.near).errno()?;
    ensure!(after == 0, "after the end {NEW} gives errno {after}");
    Ok(())
}
