//! The Sentinel that records the hour: started with the shipped policies on the whole host.
//!
//! Invariants: an hour of which an event was lost, on the way or at the file, is no record of it and fails; so does one in which a
//! hook has refused anything, or would have.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::OUT;
use crate::harness::sys;

/// How long the start may take: the verifier is slow in an emulated machine.
const STARTUP: &str = "180";
/// How long the end may take.
const END: Duration = Duration::from_secs(60);
/// What `sentinel status` ends with when all is enforced, and in monitor mode.
const ENFORCES: i32 = 0;
const MONITORS: i32 = 4;

/// Settings of the Sentinel that records: half a million events are more than a record holds by default.
const SETTINGS: &str = "sentinel.toml";
const ROOM: &str = "record_bytes = 3221225472\n";

pub(super) struct Watch(Child);

impl Watch {
    pub(super) fn start(mode: &str) -> Result<Self> {
        std::fs::write(out(SETTINGS), ROOM).context("writing the settings")?;
        let create = |name: &str| File::create(out(name)).with_context(|| format!("making {name}"));
        let child = Command::new("sentinel")
            .args(["run", "--mode", mode, "--whole-host", "--config"])
            .arg(out(SETTINGS))
            .arg("--record")
            .arg(out("events.jsonl"))
            .arg("--alerts")
            .arg(format!("file:{}", out("alerts.jsonl").display()))
            .stdin(Stdio::null())
            .stdout(create("sentinel.out")?)
            .stderr(create("sentinel.err")?)
            .spawn()
            .context("starting sentinel; on the disk it needs the C library of Debian 12")?;
        let watch = Self(child);
        let status = Command::new("sentinel").args(["status", "--wait", STARTUP]).output()?;
        let said = || std::fs::read_to_string(out("sentinel.err")).unwrap_or_default();
        let expected = if mode == "enforce" { ENFORCES } else { MONITORS };
        ensure!(status.status.code() == Some(expected), "sentinel is not ready ({}):\n{}", status.status, said());
        Ok(watch)
    }

    /// Writes the status, ends it, and looks for what was lost.
    pub(super) fn stop(mut self) -> Result<()> {
        let status = Command::new("sentinel").args(["status", "--json"]).output().context("asking for the status")?;
        std::fs::write(out("status.json"), &status.stdout).context("writing status.json")?;
        sys::kill(self.0.id(), libc::SIGTERM).context("ending sentinel")?;
        let end = Instant::now() + END;
        while self.0.try_wait()?.is_none() {
            ensure!(Instant::now() < end, "sentinel did not end in {END:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
        let status: Value = serde_json::from_slice(&status.stdout).context("the status is no JSON")?;
        println!("hour: {} events recorded", status["recording"]["events"]);
        let lost = losses(&status);
        ensure!(lost.is_empty(), "the record is not whole: {}", lost.join(", "));
        let refused = refusals(&status);
        ensure!(refused.is_empty(), "hooks refuse what the hour does: {}", refused.join(", "));
        Ok(())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Both fail only when it has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn out(name: &str) -> PathBuf {
    Path::new(OUT).join(name)
}

/// Hooks that have refused something, or would have.
fn refusals(status: &Value) -> Vec<String> {
    let hooks = status["hooks"].as_array().into_iter().flatten();
    let bad = hooks.filter(|hook| hook["refused"].as_u64() != Some(0) || hook["would_refuse"].as_u64() != Some(0));
    bad.map(|hook| format!("{} {} {}", hook["name"], hook["refused"], hook["would_refuse"])).collect()
}

/// Every count of lost events that is not 0.
fn losses(status: &Value) -> Vec<String> {
    let mut lost = nonzero("recording", &status["recording"]["lost"]);
    for (kind, counters) in status["counters"].as_object().into_iter().flatten() {
        lost.extend(nonzero(kind, &counters["lost"]));
    }
    lost
}

fn nonzero(of: &str, counts: &Value) -> Vec<String> {
    let counts = counts.as_object().into_iter().flatten();
    counts
        .filter(|(_, count)| count.as_u64() != Some(0))
        .map(|(cause, count)| format!("{of} {cause} {count}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_found_at_any_hook() {
        let hook =
            |name, refused, would| serde_json::json!({ "name": name, "refused": refused, "would_refuse": would });
        let status = serde_json::json!({ "hooks": [hook("a", 0, 0), hook("b", 1, 0), hook("c", 0, 2)] });
        assert_eq!(refusals(&status), ["\"b\" 1 0", "\"c\" 0 2"]);
    }

    #[test]
    fn losses_are_found_wherever_they_are_counted() {
        let mut status = serde_json::json!({
            "recording": { "lost": { "queue_full": 0, "size_limit": 0 } },
            "counters": { "open": { "seen": 9, "lost": { "ring_full": 0 } }, "exec": { "lost": {} } },
        });
        assert!(losses(&status).is_empty());
        status["recording"]["lost"]["size_limit"] = 3.into();
        status["counters"]["open"]["lost"]["ring_full"] = 4.into();
        assert_eq!(losses(&status), ["recording size_limit 3", "open ring_full 4"]);
    }
}
