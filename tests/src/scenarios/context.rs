//! Ancestry and container of a thousand short lives: orphans, programs, four generations that do not wait for each other.
//!
//! Invariant: the truth is what the processes wrote down themselves, and every one of them has to be right.

use std::collections::HashMap;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::events::{Watch, text};
use crate::harness::{
    act_context::{ROOT, ROUND},
    scenario::{Ctx, Place, Scenario, World},
};

/// A thousand processes.
const ROUNDS: u32 = 1000 / ROUND;
/// What nearly all of them live at most, on a machine that is not emulated.
const SHORT: u64 = 1_000_000;
/// Ancestors that an alert has.
const SHOWN: usize = 5;

/// The scenarios of this file.
pub(super) fn all() -> Vec<Scenario> {
    vec![Scenario { name: "context-thousand-short-lived", world: World::Both, run: thousand }]
}

/// What a process wrote down.
#[derive(Debug)]
struct Life {
    parent: u32,
    pid: u32,
    program: bool,
    nanoseconds: u64,
}

fn thousand(ctx: &Ctx) -> Result<()> {
    let watch = Watch::start(ctx)?;
    let tiny = watch.dir.join("tiny");
    crate::workload::write_tiny(&tiny, 0)?;
    let data = text(&ctx.write("facts/data", "x")?);
    let id = "c0ffee00".repeat(8);
    let group = watch.scope.child(&format!("docker-{id}.scope"))?;
    let run = ctx.act_as(&watch.actor, &["family", &ROUNDS.to_string(), &data, &text(&tiny)]);
    let child = run.cgroup(&group).start()?;
    let actor = child.pid();
    let ended = child.finish()?;
    ensure!(ended.errnos() == [0], "{ended:?}");
    let lives = lives(&ended.stdout)?;
    let alerts = watch.all()?;
    let mut by_pid: HashMap<u64, Vec<&Value>> = HashMap::new();
    for alert in &alerts {
        by_pid.entry(alert["process"]["pid"].as_u64().unwrap_or_default()).or_default().push(alert);
    }
    let mut wrong = Vec::new();
    for slot in 0..lives.len() {
        let found = by_pid.get(&u64::from(lives[slot].pid)).map_or(&[][..], Vec::as_slice);
        let known = Known { lives: &lives, slot, actor, watch: &watch, container: &id, tiny: &text(&tiny) };
        wrong.extend(known.differences(found));
    }
    ensure!(
        wrong.is_empty(),
        "{} of {} processes: {}",
        wrong.len(),
        lives.len(),
        wrong[..wrong.len().min(5)].join("\n")
    );
    short(ctx, &lives)?;
    drop(group);
    watch.end()
}

/// That they were short is part of what is shown; an emulated machine is slower.
fn short(ctx: &Ctx, lives: &[Life]) -> Result<()> {
    let mut lived: Vec<u64> = lives.iter().filter(|life| !life.program).map(|life| life.nanoseconds).collect();
    lived.sort_unstable();
    let median = lived[lived.len() / 2];
    println!("median life: {} us", median / 1000);
    ensure!(ctx.place == Place::Vm || median < SHORT, "half of them lived longer than {median} ns");
    Ok(())
}

fn lives(output: &str) -> Result<Vec<Life>> {
    let mut lives = Vec::new();
    for line in output.lines().filter_map(|line| line.strip_prefix("life ")) {
        let numbers: Vec<u64> =
            line.split(' ').map(str::parse).collect::<Result<_, _>>().context("a life is numbers")?;
        let [slot, parent, pid, program, nanoseconds] = numbers[..] else { anyhow::bail!("a life has five: {line}") };
        ensure!(slot == lives.len() as u64, "out of order: {line}");
        lives.push(Life {
            parent: u32::try_from(parent)?,
            pid: u32::try_from(pid)?,
            program: program == 1,
            nanoseconds,
        });
    }
    ensure!(lives.len() == (ROUNDS * ROUND) as usize && lives.iter().all(|life| life.pid != 0), "{lives:?}");
    Ok(lives)
}

/// What is known of one of them.
struct Known<'a> {
    lives: &'a [Life],
    slot: usize,
    actor: u32,
    watch: &'a Watch,
    container: &'a str,
    tiny: &'a str,
}

impl Known<'_> {
    /// Ids of the ancestors, nearest first, as many as alerts have.
    fn ancestors(&self) -> Vec<u32> {
        let mut pids = Vec::new();
        let mut next = self.lives[self.slot].parent;
        while next != ROOT {
            let life = &self.lives[next as usize];
            pids.push(life.pid);
            next = life.parent;
        }
        pids.extend([self.actor, std::process::id()]);
        pids.truncate(SHOWN);
        pids
    }

    /// How the alerts of this process differ from it.
    fn differences(&self, alerts: &[&Value]) -> Vec<String> {
        let life = &self.lives[self.slot];
        let forked = self.slot % ROUND as usize != 3;
        // Each has opened the file, unless it was a program from the start; and those that became one have executed it.
        let expected = usize::from(forked) + usize::from(life.program);
        if alerts.len() != expected {
            return vec![format!("{life:?}: {} events instead of {expected}: {alerts:?}", alerts.len())];
        }
        let wrong = alerts.iter().filter(|alert| !self.agrees(alert));
        wrong.map(|alert| format!("{life:?} has ancestors {:?}: {alert}", self.ancestors())).collect()
    }

    fn agrees(&self, alert: &Value) -> bool {
        let (ancestors, actor) = (self.ancestors(), text(&self.watch.actor));
        let shown = alert["process"]["ancestors"].as_array().map_or(&[][..], Vec::as_slice);
        let pids: Vec<u32> = shown.iter().filter_map(|a| u32::try_from(a["pid"].as_u64()?).ok()).collect();
        // All but the test itself ran the actor when they forked.
        let last = ancestors.iter().position(|pid| *pid == std::process::id()).unwrap_or(ancestors.len());
        let executables = pids.get(..ancestors.len()) == Some(&ancestors[..])
            && shown.iter().take(last).all(|ancestor| ancestor["executable"] == json!(actor));
        let own = if alert["event"]["action"] == "exec" { self.tiny } else { &actor };
        // The parent is who forked it, or who takes orphans in.
        let parent = &alert["process"]["parent"]["pid"];
        let parents = *parent == json!(ancestors[0]) || *parent == json!(self.actor);
        executables
            && parents
            && alert["process"]["executable"] == json!(own)
            && alert["container"]["id"] == json!(self.container)
            && alert["container"]["runtime"] == json!("docker")
    }
}
