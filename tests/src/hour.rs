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
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

use watch::Watch;

const USAGE: &str = "usage: sentinel-tests hour MINUTES monitor|enforce (inside the VM: cargo xtask hour)";

/// Where the disk for the results is.
pub const OUT: &str = "/out";
/// Where the scripts are while the machine runs.
const SCRIPTS: &str = "/opt/hour";
/// An hour shorter than this does a little of everything, once or twice.
const FULL: Duration = Duration::from_secs(15 * 60);
/// A server rests most of the time.
const PAUSE: Duration = Duration::from_secs(15);
/// What a phase may take beyond the end.
const GRACE: Duration = Duration::from_secs(300);
/// What `timeout` ends with when it had to end its command.
const TIMED_OUT: i32 = 124;

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
const BUILD: [Phase; 1] = [phase!("build")];
const PHASES: [Phase; 5] = [phase!("web"), phase!("login"), phase!("packages"), phase!("container"), phase!("logs")];

/// Runs the hour.
pub fn main(args: &[String]) -> Result<ExitCode> {
    let [minutes, mode] = args else { bail!(USAGE) };
    let time = Duration::from_secs(60 * minutes.parse::<u64>().context(USAGE)?);
    ensure!(
        crate::harness::runner::in_vm(),
        "the hour takes the whole machine, so it runs in the VM only: cargo xtask hour"
    );
    root::enter()?;
    let result = hour(time, mode);
    // Also after a failure: the log is on that disk.
    root::leave()?;
    result.map(|()| ExitCode::SUCCESS)
}

fn hour(time: Duration, mode: &str) -> Result<()> {
    fs::create_dir_all(SCRIPTS)?;
    for phase in PHASES.iter().chain(&BUILD).chain([&START]) {
        let path = Path::new(SCRIPTS).join(phase.name);
        fs::write(&path, phase.script).with_context(|| format!("writing {}", path.display()))?;
    }
    let begin = Instant::now();
    let mut plan = Plan { small: time < FULL, begin, end: begin + time, stop: AtomicBool::new(false), log: log()? };
    plan.run(&START, 0)?;
    let watch = Watch::start(mode)?;
    println!("hour: Sentinel runs after {} s", begin.elapsed().as_secs());
    let begin = Instant::now();
    plan.end = begin + time;
    let rounds = plan.side_by_side()?;
    println!("hour: {rounds} rounds in {} s", begin.elapsed().as_secs());
    watch.stop()
}

fn log() -> Result<File> {
    let path = Path::new(OUT).join("hour.log");
    File::options().create(true).append(true).open(&path).with_context(|| format!("making {}", path.display()))
}

struct Plan {
    small: bool,
    begin: Instant,
    end: Instant,
    /// Set by the lane that failed.
    stop: AtomicBool,
    log: File,
}

impl Plan {
    /// Somebody builds while everything else goes on. Gives the rounds of everything else.
    fn side_by_side(&self) -> Result<u32> {
        std::thread::scope(|scope| {
            let build = scope.spawn(|| self.lane(&BUILD));
            let rounds = self.lane(&PHASES);
            let built = build.join().unwrap_or_else(|_| bail!("the thread of the build panicked"));
            built.and(rounds)
        })
    }

    /// One thing after the other, with rests, until the time is over. The first round is always a whole one.
    fn lane(&self, phases: &[Phase]) -> Result<u32> {
        let mut round = 0;
        loop {
            for phase in phases {
                self.run(phase, round).inspect_err(|_| self.stop.store(true, Ordering::Relaxed))?;
                let over = self.stop.load(Ordering::Relaxed) || (round > 0 && Instant::now() >= self.end);
                if over {
                    return Ok(round + 1);
                }
                std::thread::sleep(if self.small { Duration::ZERO } else { PAUSE });
            }
            round += 1;
            if Instant::now() >= self.end {
                return Ok(round);
            }
        }
    }

    fn run(&self, phase: &Phase, round: u32) -> Result<()> {
        let begin = Instant::now();
        let status = self.command(phase, round)?.status().with_context(|| format!("starting {}", phase.name))?;
        let (at, took) = (self.begin.elapsed().as_secs(), begin.elapsed().as_secs());
        // What is not done when the hour is over is left, after the first round.
        let cut = round > 0 && status.code() == Some(TIMED_OUT) && Instant::now() >= self.end;
        let how = if cut { ", cut off" } else { "" };
        println!("hour: {:02}:{:02} {} ({took} s{how})", at / 60, at % 60, phase.name);
        ensure!(
            status.success() || cut,
            "the {} of round {round} failed ({status}), its last lines:\n{}",
            phase.name,
            last_lines()
        );
        Ok(())
    }

    fn command(&self, phase: &Phase, round: u32) -> Result<Command> {
        let left = self.end.saturating_duration_since(Instant::now()) + GRACE;
        // 0 is no limit.
        let limit = if round > 0 { left.as_secs() } else { 0 };
        let mut command = Command::new("/usr/bin/timeout");
        command
            .args([&limit.to_string(), "/bin/bash", "-eu", &format!("{SCRIPTS}/{}", phase.name)])
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", "/root")
            .env("LANG", "C.UTF-8")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env("HOUR_SIZE", if self.small { "small" } else { "full" })
            .env("HOUR_ROUND", round.to_string())
            .stdin(Stdio::null())
            .stdout(self.log.try_clone()?)
            .stderr(self.log.try_clone()?);
        Ok(command)
    }
}

/// The end of what the scripts said.
fn last_lines() -> String {
    let text = fs::read(Path::new(OUT).join("hour.log")).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}
