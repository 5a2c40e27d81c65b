//! The `hour` verb: an ordinary hour of a server, recorded by Sentinel. A build, packages installed and removed, a web server
//! under load, log rotation, log-ins, containers, round after round until the time is over.
//!
//! Contract with xtask: the first disk is Debian with the sources and packages that the scripts want, the second takes
//! `events.jsonl`, `alerts.jsonl`, `status.json` and `hour.log`. Invariant: nothing here is an attack, so whatever a shipped
//! policy refuses of it is a mistake of the policy. Not here: the replay, which `report` has.

pub mod report;
mod root;
mod watch;

use std::{
    fs::{self, File},
    path::Path,
    process::{Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

use watch::Watch;

const USAGE: &str = "usage: sentinel-tests hour MINUTES (inside the VM: cargo xtask hour)";

/// Where the disk for the results is.
pub const OUT: &str = "/out";
/// Where the scripts are while the machine runs.
const SCRIPTS: &str = "/opt/hour";
/// An hour shorter than this does a little of everything, once or twice.
const FULL: Duration = Duration::from_secs(15 * 60);
/// A server rests most of the time.
const PAUSE: Duration = Duration::from_secs(15);

/// A piece of the hour.
struct Phase {
    name: &'static str,
    script: &'static str,
}

macro_rules! phase {
    ($name:literal) => {
        Phase { name: $name, script: include_str!(concat!("../vm/hour/", $name, ".sh")) }
    };
}

const START: Phase = phase!("start");
const PHASES: [Phase; 6] =
    [phase!("web"), phase!("build"), phase!("login"), phase!("packages"), phase!("container"), phase!("logs")];

/// Runs the hour.
pub fn main(args: &[String]) -> Result<ExitCode> {
    let [minutes] = args else { bail!(USAGE) };
    let time = Duration::from_secs(60 * minutes.parse::<u64>().context(USAGE)?);
    ensure!(
        crate::harness::runner::in_vm(),
        "the hour takes the whole machine, so it runs in the VM only: cargo xtask hour"
    );
    root::enter()?;
    let result = hour(time);
    // Also after a failure: the log is on that disk.
    root::leave()?;
    result.map(|()| ExitCode::SUCCESS)
}

fn hour(time: Duration) -> Result<()> {
    fs::create_dir_all(SCRIPTS)?;
    for phase in PHASES.iter().chain([&START]) {
        let path = Path::new(SCRIPTS).join(phase.name);
        fs::write(&path, phase.script).with_context(|| format!("writing {}", path.display()))?;
    }
    let plan = Plan { small: time < FULL, begin: Instant::now(), log: log()? };
    plan.run(&START, 0)?;
    let watch = Watch::start()?;
    println!("hour: Sentinel runs after {} s", plan.begin.elapsed().as_secs());
    let begin = Instant::now();
    let mut round = 0;
    while round == 0 || begin.elapsed() < time {
        if plan.small {
            plan.hurried(round)?;
        } else {
            plan.round(round, begin + time)?;
        }
        round += 1;
    }
    println!("hour: {round} rounds in {} s", begin.elapsed().as_secs());
    watch.stop()
}

fn log() -> Result<File> {
    let path = Path::new(OUT).join("hour.log");
    File::options().create(true).append(true).open(&path).with_context(|| format!("making {}", path.display()))
}

struct Plan {
    small: bool,
    begin: Instant,
    log: File,
}

impl Plan {
    /// One thing after the other, with rests. The first round is always a whole one.
    fn round(&self, round: u32, end: Instant) -> Result<()> {
        for phase in &PHASES {
            self.run(phase, round)?;
            std::thread::sleep(PAUSE);
            if round > 0 && Instant::now() >= end {
                break;
            }
        }
        Ok(())
    }

    /// The short form has no time for rests: somebody builds while everything else goes on.
    fn hurried(&self, round: u32) -> Result<()> {
        std::thread::scope(|scope| {
            let (builds, others): (Vec<_>, Vec<_>) = PHASES.iter().partition(|phase| phase.name == "build");
            let build = scope.spawn(move || builds.into_iter().try_for_each(|phase| self.run(phase, round)));
            let others = others.into_iter().try_for_each(|phase| self.run(phase, round));
            others.and(build.join().unwrap_or_else(|_| bail!("the thread of the build panicked")))
        })
    }

    fn run(&self, phase: &Phase, round: u32) -> Result<()> {
        let begin = Instant::now();
        let status = Command::new("/bin/bash")
            .args(["-eu", &format!("{SCRIPTS}/{}", phase.name)])
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", "/root")
            .env("LANG", "C.UTF-8")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env("HOUR_SIZE", if self.small { "small" } else { "full" })
            .env("HOUR_ROUND", round.to_string())
            .stdin(Stdio::null())
            .stdout(self.log.try_clone()?)
            .stderr(self.log.try_clone()?)
            .status()
            .with_context(|| format!("starting bash for {}", phase.name))?;
        let (at, took) = (self.begin.elapsed().as_secs(), begin.elapsed().as_secs());
        println!("hour: {:02}:{:02} {} ({took} s)", at / 60, at % 60, phase.name);
        ensure!(
            status.success(),
            "the {} of round {round} failed ({status}), its last lines:\n{}",
            phase.name,
            last_lines()
        );
        Ok(())
    }
}

/// The end of what the scripts said.
fn last_lines() -> String {
    let text = fs::read(Path::new(OUT).join("hour.log")).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}
