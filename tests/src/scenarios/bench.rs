//! `bench`: what an operation costs without Sentinel, in monitor mode and in enforce mode.
//!
//! Meant for `cargo xtask bench`, where a guest nanosecond is an instruction. Invariant: the same workload, in a fresh
//! process each time, with the shipped policies; a mode that refuses the workload is a failure, not a fast result.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

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

fn bench(ctx: &Ctx) -> Result<()> {
    let without = measure(ctx, None)?;
    let monitor = with(ctx, ctx.sentinel().start()?)?;
    let enforce = with(ctx, ctx.sentinel().enforce_whole_host().start()?)?;
    println!("instructions per operation: the acting process, and what Sentinel's own process adds");
    println!(
        "{:<12} {:>10} {:>10} {:>10} {:>9} {:>10} {:>10} {:>9}",
        "", "without", "monitor", "own", "", "enforce", "own", ""
    );
    for base in &without {
        let row = |samples: &[Sample]| -> Result<String> {
            let sample = samples.iter().find(|sample| sample.name == base.name);
            let sample = sample.with_context(|| format!("no figure for {}", base.name))?;
            let added = (sample.own as f64 / base.own.max(1) as f64 - 1.0) * 100.0;
            Ok(format!("{:>10} {:>10} {added:>8.1}%", sample.own, sample.tool))
        };
        println!("{:<12} {:>10} {} {}", base.name, base.own, row(&monitor)?, row(&enforce)?);
    }
    Ok(())
}

fn with(ctx: &Ctx, sentinel: Sentinel) -> Result<Vec<Sample>> {
    let samples = measure(ctx, Some(sentinel.pid()))?;
    let ended = sentinel.stop()?;
    ensure!(ended.code == Some(0), "sentinel ended badly: {ended:?}");
    Ok(samples)
}

/// Runs the workload in a child; its directory is no place that a shipped policy watches.
fn measure(ctx: &Ctx, watched: Option<u32>) -> Result<Vec<Sample>> {
    let mut run = ctx.command(&ctx.tests_bin).args(["workload", "--dir", "/srv/workload"]);
    if let Some(pid) = watched {
        run = run.arg("--pids").arg(pid.to_string());
    }
    let text = run.limit(Duration::from_secs(1800)).success()?;
    let samples: Vec<Sample> = text.lines().filter_map(Sample::parse).collect();
    ensure!(!samples.is_empty(), "the workload printed no figure:\n{text}");
    Ok(samples)
}
