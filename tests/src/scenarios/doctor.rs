//! `sentinel doctor`: what it says a host can enforce is what a daemon there does.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::enforce_lab::stop;
use crate::harness::{
    leftovers::Snapshot,
    scenario::{Ctx, Place, Scenario, World},
};

/// The scenarios of this file.
pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario { name: "doctor-says-what-a-daemon-does", world: World::Both, run: truth },
        Scenario { name: "doctor-without-root", world: World::Both, run: without_root },
    ]
}

/// Neither root nor anybody else.
const NOBODY: u32 = 65534;
/// A quarter of what the kernel's verifier looks at.
const MOST_VERIFIED: u64 = 250_000;

fn array<'a>(value: &'a Value, name: &str) -> Result<&'a Vec<Value>> {
    value[name].as_array().with_context(|| format!("no array {name} in {value}"))
}

fn truth(ctx: &Ctx) -> Result<()> {
    let before = Snapshot::take(&ctx.cgroup_root)?;
    let said = ctx.command(&ctx.sentinel_bin).args(["doctor", "--json"]).outcome()?;
    before.check(ctx)?;
    let found: Value = serde_json::from_str(&said.stdout).with_context(|| format!("no JSON: {said:?}"))?;
    let (can, code) = match ctx.place {
        Place::Vm => ("full", 0),
        Place::Host => ("partial", 3),
    };
    ensure!(found["can"] == can && said.code == Some(code), "{can} and {code} expected: {found:#}");
    if ctx.place == Place::Vm {
        let missing: Vec<&Value> =
            array(&found, "checks")?.iter().filter(|check| check["state"] == "missing").collect();
        ensure!(missing.is_empty(), "nothing is missing here: {missing:?}");
    }
    verified(&found)?;
    as_daemon(ctx, &found)?;
    if ctx.place == Place::Vm {
        // Loading all programs once more is slow there.
        return Ok(());
    }
    let people = ctx.command(&ctx.sentinel_bin).arg("doctor").outcome()?;
    let headline = format!("can enforce  {}", can.to_uppercase());
    ensure!(people.code == Some(code) && people.stdout.contains(&headline), "{people:?}");
    Ok(())
}

/// Every program that loads is far from the verifier's limit.
fn verified(found: &Value) -> Result<()> {
    let programs = array(found, "programs")?;
    let counts = programs.iter().filter_map(|program| Some((program["name"].as_str()?, program["verified"].as_u64()?)));
    let (name, most) = counts.max_by_key(|(_, count)| *count).context("no program was verified")?;
    println!("  {} programs, {name} the dearest to verify: {most} instructions", programs.len());
    ensure!(most <= MOST_VERIFIED, "{name} takes {most} instructions to verify");
    Ok(())
}

/// A daemon attaches what is said to load, and nothing else. It attaches some only where a rule needs them, and those on devices
/// not for one cgroup of many.
fn as_daemon(ctx: &Ctx, found: &Value) -> Result<()> {
    let sentinel = ctx.sentinel().enforce_in(&ctx.cgroup("doctored")?).start()?;
    let status = sentinel.status_json()?;
    stop(sentinel)?;
    for hook in array(&status, "hooks")? {
        let said = array(found, "programs")?.iter().find(|program| program["name"] == hook["name"]);
        let reason = hook["reason"].as_str().unwrap_or_default();
        if reason == "no rule needs it" || reason.contains("devices are not the scope") {
            continue;
        }
        let loads = said.is_some_and(|program| program["loads"] == true);
        ensure!(hook["attached"] == loads, "the daemon says {hook}, the doctor {said:?}");
    }
    Ok(())
}

fn without_root(ctx: &Ctx) -> Result<()> {
    let said = ctx.command(&ctx.sentinel_bin).arg("doctor").uid(NOBODY).outcome()?;
    let told = said.stdout.contains("can enforce  NONE") && said.stdout.contains("must run as root");
    ensure!(told && said.code == Some(4) && !said.stderr.contains("panicked"), "{said:?}");
    Ok(())
}
