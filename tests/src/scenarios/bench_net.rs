//! `bench-net`: TCP throughput over a cable with the packet ring on, against without, on this machine's own processor.
//!
//! Meant for `sentinel-tests host bench-net`. Invariant: one Sentinel, one cable, one far end; the two sides differ in nothing
//! but the cgroup of who sends, and take turns, so that whatever else the machine does meets both. It prints and does not
//! judge: a ratio on a busy machine is no test.

use anyhow::{Context, Result, ensure};

use super::{
    egress_lab::RULES,
    enforce_lab::{Ground, stop},
};
use crate::harness::{
    cgroup::Cgroup,
    objects::RunStats,
    scenario::{Ctx, Scenario, World},
};

/// The scenarios of this file.
pub(super) fn all() -> Vec<Scenario> {
    vec![Scenario { name: "bench-net", world: World::HostOnRequest, run: bench }]
}

/// Pairs of measurements; odd, so that there is a middle one.
const ROUNDS: usize = 15;
const MILLISECONDS: u32 = 1000;
/// What is wanted of the ratio.
const WANTED: f64 = 0.95;
/// An allowed destination at the far end.
const TO: &str = "198.51.100.1:90";

/// What one measurement gave.
#[derive(Clone, Copy)]
struct Sample {
    /// Megabytes a second.
    rate: f64,
    /// Nanoseconds of the sender's CPU time for each kilobyte.
    cost: f64,
}

fn bench(ctx: &Ctx) -> Result<()> {
    let ground = Ground::prepare(ctx)?;
    let free = ctx.cgroup("free")?;
    let mut drain = ctx.act(&["drain", "0.0.0.0:90", "--", "wait"]).netns(&ground.pair.far).start()?;
    ensure!(drain.next_errno()? == 0, "the far end cannot listen");
    let sentinel = ground.enforce(ctx).policy(&ctx.policy("lab", RULES)?).start()?;
    // Both warm up.
    for cgroup in [&free, &ground.cgroup] {
        measure(ctx, &ground, cgroup)?;
    }
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        // Who begins changes, so that neither always comes second.
        if round % 2 == 0 {
            without.push(measure(ctx, &ground, &free)?);
            with.push(measure(ctx, &ground, &ground.cgroup)?);
        } else {
            with.push(measure(ctx, &ground, &ground.cgroup)?);
            without.push(measure(ctx, &ground, &free)?);
        }
    }
    let costs = [cost(ctx, &ground, "egress")?, cost(ctx, &ground, "ingress")?];
    drop(drain);
    stop(sentinel)?;
    print(&without, &with);
    let [packet, least] = costs;
    println!(
        "Kernel's own count of one run, established flow: egress {packet:.0} ns; ingress, which looks at a port and no more,"
    );
    println!("  {least:.0} ns, most of it the measuring: {:.0} ns more (40 or less wanted)", packet - least);
    Ok(())
}

/// Nanoseconds of one run of a program while a process in the scope sends.
fn cost(ctx: &Ctx, ground: &Ground, program: &str) -> Result<f64> {
    let stats = RunStats::enable()?;
    let (time, runs) = stats.of(program)?;
    measure(ctx, ground, &ground.cgroup)?;
    let (later, more) = stats.of(program)?;
    ensure!(more > runs, "{program} did not run");
    Ok((later - time) as f64 / (more - runs) as f64)
}

fn print(without: &[Sample], with: &[Sample]) {
    let rates = |samples: &[Sample]| median(samples.iter().map(|sample| sample.rate));
    let costs = |samples: &[Sample]| median(samples.iter().map(|sample| sample.cost));
    let pairs = || with.iter().zip(without);
    println!("TCP over a veth pair, {ROUNDS} pairs of {MILLISECONDS} ms, medians:");
    println!("  {:<28} {:>9} {:>9} {:>7}", "", "without", "with", "ratio");
    let ratio = median(pairs().map(|(with, without)| with.rate / without.rate));
    println!("  {:<28} {:>9.0} {:>9.0} {ratio:>7.3}", "throughput, MB/s", rates(without), rates(with));
    let ratio_of_costs = median(pairs().map(|(with, without)| without.cost / with.cost));
    println!("  {:<28} {:>9.0} {:>9.0} {ratio_of_costs:>7.3}", "sender's CPU, ns/kB", costs(without), costs(with));
    println!(
        "  wanted: at least {WANTED} of the throughput without: {}",
        if ratio >= WANTED { "met" } else { "NOT met" }
    );
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Sends from a process in `cgroup`.
fn measure(ctx: &Ctx, ground: &Ground, cgroup: &Cgroup) -> Result<Sample> {
    let time = MILLISECONDS.to_string();
    let text = ctx.act(&["blast", TO, &time]).cgroup(cgroup).netns(&ground.pair.near).success()?;
    let line = text.lines().find(|line| line.starts_with("blasted=")).with_context(|| format!("no figure: {text}"))?;
    let number = |key: &str| -> Result<f64> {
        let part =
            line.split(' ').find_map(|part| part.strip_prefix(key)).with_context(|| format!("no {key} in {line}"))?;
        Ok(part.parse()?)
    };
    let (bytes, microseconds, cpu) = (number("blasted=")?, number("microseconds=")?, number("cpu=")?);
    Ok(Sample { rate: bytes / microseconds, cost: cpu * 1000.0 / (bytes / 1024.0) })
}
