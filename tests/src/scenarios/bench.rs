//! `bench`: what an operation costs without Sentinel, in monitor mode and in enforce mode.
//!
//! Meant for `cargo xtask bench`, where a guest nanosecond is an instruction. Invariant: the same workload, in a fresh
//! process each time, with the shipped policies; a mode that refuses the workload is a failure, not a fast result, and
//! losses are printed beside the figures that they make too small.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, ensure};

use super::hot_reload;
use crate::{
    harness::{
        scenario::{Ctx, Scenario, World},
        sentinel::Sentinel,
    },
    workload::Sample,
};

/// The scenarios of this file.
pub(super) fn all() -> Vec<Scenario> {
    vec![Scenario { name: "bench", world: World::OnRequest, run: bench }]
}

/// Operations: the workload's name, what it is called here, and the events that Sentinel gets of each.
const OPERATIONS: [(&str, &str, u64); 9] = [
    ("getpid", "getpid", 0),
    ("read", "read", 0),
    ("open1", "open+close", 1),
    ("open1000", "open+close, 1000 files", 1),
    // fork and exit; with an exec between them
    ("fork", "fork+wait", 2),
    ("forkexec", "fork+exec+wait", 3),
    ("udpconnect", "UDP connect", 1),
    ("tcpconnect", "TCP connect+accept", 1),
    ("sendto", "UDP send", 1),
];

/// Figures of one run, by the workload's names.
type Figures = BTreeMap<String, Sample>;

fn bench(ctx: &Ctx) -> Result<()> {
    let without = measure(ctx, None, &[])?;
    let (monitor, monitor_lost) = with(ctx, ctx.sentinel().start()?)?;
    let (enforce, enforce_lost) = with(ctx, ctx.sentinel().enforce_whole_host().start()?)?;
    println!("Instructions of the acting process, its kernel side included, for each operation:");
    println!(
        "{:<22} {:>9} {:>9} {:>9} {:>7} {:>9} {:>9} {:>7}",
        "", "without", "monitor", "added", "", "enforce", "added", ""
    );
    for (name, title, _) in OPERATIONS {
        let own = |figures: &Figures| figure(figures, name).map(|sample| sample.own);
        let base = own(&without)?;
        println!("{title:<22} {base:>9} {} {}", added(base, own(&monitor)?), added(base, own(&enforce)?));
    }
    println!("\nInstructions of the daemon, with its system calls, for each event:");
    println!("{:<22} {:>6} {:>9} {:>9}", "", "events", "monitor", "enforce");
    for (name, title, events) in OPERATIONS.into_iter().filter(|(_, _, events)| *events > 0) {
        let each = |figures: &Figures| figure(figures, name).map(|sample| sample.tool / events);
        println!("{title:<22} {events:>6} {:>9} {:>9}", each(&monitor)?, each(&enforce)?);
    }
    println!("Events lost during the runs: {monitor_lost} in monitor mode, {enforce_lost} in enforce mode");
    protected(ctx)?;
    reload(ctx)
}

/// Instructions that a change of policies may take from write to enforcement: a second of a slow processor.
const SECOND: u128 = 1_000_000_000;

fn reload(ctx: &Ctx) -> Result<()> {
    let cost = hot_reload::median(ctx)?.as_nanos();
    println!("\nInstructions from writing a policy of 100 rules to its enforcement, waits included: {cost}");
    ensure!(cost < SECOND, "a changed policy takes {cost} instructions to be in force, {SECOND} are wanted at most");
    Ok(())
}

/// How many files are protected, and the operations whose cost must not depend on that.
const PROTECTED: [usize; 3] = [0, 100, 10_000];
const ON_FILES: [(&str, &str); 2] = [("open1", "open+close"), ("forkexec", "fork+exec+wait")];
/// By how much it may differ, in percent.
const FLAT: u64 = 10;

/// The cost of an open and an exec of other files beside so many protected ones, which is to be that beside none.
fn protected(ctx: &Ctx) -> Result<()> {
    let figures: Vec<Figures> = PROTECTED.iter().map(|count| beside(ctx, *count)).collect::<Result<_>>()?;
    println!("\nInstructions of the acting process beside so many protected files, enforce mode:");
    let counts: String = PROTECTED.iter().map(|count| format!(" {count:>9}")).collect();
    println!("{:<22}{counts}", "");
    for (name, title) in ON_FILES {
        let own: Vec<u64> = figures.iter().map(|all| Ok(figure(all, name)?.own)).collect::<Result<_>>()?;
        let cells: String = own.iter().map(|own| format!(" {own:>9}")).collect();
        println!("{title:<22}{cells}");
        for (count, cost) in PROTECTED.into_iter().zip(&own) {
            ensure!(
                cost.abs_diff(own[0]) * 100 <= own[0] * FLAT,
                "{title} costs {} beside no protected file and {cost} beside {count}",
                own[0]
            );
        }
    }
    Ok(())
}

fn beside(ctx: &Ctx, count: usize) -> Result<Figures> {
    let dir = ctx.path(format!("protected-{count}"));
    std::fs::create_dir_all(&dir)?;
    let mut rules = "package sentinel.lab\n".to_owned();
    let names: Vec<String> = (0..count).map(|index| dir.join(index.to_string()).display().to_string()).collect();
    names.iter().try_for_each(|name| std::fs::write(name, ""))?;
    if count > 0 {
        // One a line: lines have a greatest length.
        rules += &format!("block_paths contains path if some path in {names:#?}\n");
    }
    let policy = ctx.policy(&format!("protected-{count}"), &rules)?;
    let sentinel = ctx.sentinel().enforce_whole_host().policy(&policy).start()?;
    let figures = measure(ctx, Some(sentinel.pid()), &ON_FILES.map(|(name, _)| name))?;
    let ended = sentinel.stop()?;
    ensure!(ended.code == Some(0), "sentinel ended badly: {ended:?}");
    Ok(figures)
}

/// A figure, what was added to `base`, and that in percent.
fn added(base: u64, figure: u64) -> String {
    let more = i128::from(figure) - i128::from(base);
    format!("{figure:>9} {more:>+9} {:>+6.1}%", more as f64 / base.max(1) as f64 * 100.0)
}

fn figure<'a>(figures: &'a Figures, name: &str) -> Result<&'a Sample> {
    figures.get(name).with_context(|| format!("no figure for {name}"))
}

/// The figures beside a running Sentinel, and how many events it lost.
fn with(ctx: &Ctx, sentinel: Sentinel) -> Result<(Figures, u64)> {
    let figures = measure(ctx, Some(sentinel.pid()), &[])?;
    let lost = lost(&sentinel)?;
    let ended = sentinel.stop()?;
    ensure!(ended.code == Some(0), "sentinel ended badly: {ended:?}");
    Ok((figures, lost))
}

/// All losses of all kinds, from the status.
fn lost(sentinel: &Sentinel) -> Result<u64> {
    let status = sentinel.status_json()?;
    let kinds = status["counters"].as_object().context("the status has no counters")?;
    let causes = kinds.values().filter_map(|kind| kind["lost"].as_object()).flat_map(|lost| lost.values());
    Ok(causes.filter_map(serde_json::Value::as_u64).sum())
}

/// Runs the workload, or parts of it, in a child; its directory is no place that a shipped policy watches.
fn measure(ctx: &Ctx, watched: Option<u32>, names: &[&str]) -> Result<Figures> {
    let mut run = ctx.command(&ctx.tests_bin).args(["workload", "--dir", "/srv/workload"]);
    if let Some(pid) = watched {
        run = run.arg("--pids").arg(pid.to_string());
    }
    let text = run.args(names).limit(Duration::from_secs(1800)).success()?;
    let figures: Figures = text.lines().filter_map(Sample::parse).map(|sample| (sample.name.clone(), sample)).collect();
    ensure!(!figures.is_empty(), "the workload printed no figure:\n{text}");
    Ok(figures)
}
