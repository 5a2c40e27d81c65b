//! What is in force when no daemon answers, read from its pins; and its end.
//!
//! Invariant: everything that is said is what the kernel has now, or, where the kernel does not know it (policies, country data),
//! what the daemon said last, which cannot have changed since. Nothing is attached here.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Result, bail};
use jiff::Timestamp;
use sentinel_common::meta::{Meta, phase, unattended};
use serde_json::{Map, Value, json};

use crate::{
    attendance::{Gap, absolute, replace},
    clock,
    control::socket,
    kernel::{
        self,
        hooks::{Attach, HOOKS},
        pins::{self, Generation},
        stats::Stats,
    },
    report::KINDS,
    status::{Enforcement, HookStatus, Status},
};

/// The last status of a daemon, in its run directory.
const LAST: &str = "status.json";

/// Keeps a status for the time when nobody answers.
pub fn keep(run_dir: &Path, status: &Status) {
    let text = serde_json::to_vec(status).unwrap_or_default();
    if let Err(error) = replace(&run_dir.join(LAST), &text) {
        tracing::warn!("the status is not kept for the time without a daemon: {error:#}");
    }
}

/// Removes what [`keep`] has written.
pub fn forget(run_dir: &Path) {
    // Without it less is said; it may never have been there.
    let _ = fs::remove_file(run_dir.join(LAST));
}

/// What is pinned for the Sentinel of a run directory; the newest comes last.
///
/// # Errors
///
/// If the pins cannot be read.
pub fn pinned(run_dir: &Path) -> Result<Vec<Generation>> {
    let run_dir = absolute(run_dir);
    let ours = |generation: &Generation| match &generation.meta {
        Ok(meta) => pins::text(&meta.run_dir) == run_dir,
        // Of a Sentinel that cannot be understood any more: nobody else will take care of it.
        Err(_) => true,
    };
    Ok(pins::generations()?.into_iter().filter(ours).collect())
}

/// The state of what is in force without a daemon; none: nothing is, or a daemon lives and does not answer.
///
/// # Errors
///
/// If the pins cannot be read.
pub fn status(run_dir: &Path) -> Result<Option<Status>> {
    let all = pinned(run_dir)?;
    if all.iter().any(Generation::attended) {
        return Ok(None);
    }
    // What was proved counts; one that was only being started is beside it.
    let proved = |generation: &&Generation| generation.meta.as_ref().is_ok_and(|meta| meta.phase != phase::STARTING);
    let Some(generation) = all.iter().rfind(proved).or(all.last()) else { return Ok(None) };
    let last = fs::read(run_dir.join(LAST)).ok().and_then(|text| serde_json::from_slice::<Status>(&text).ok());
    let mut status = last.unwrap_or_default();
    describe(&mut status, generation);
    if all.len() > 1 {
        status
            .reasons
            .push(format!("{} generations are in force beside each other: a start was not finished", all.len()));
    }
    Ok(Some(status))
}

fn describe(status: &mut Status, generation: &Generation) {
    status.pid = 0;
    status.enforcement = Enforcement::Partial;
    status.mode = "enforce".to_owned();
    let mut reasons = Vec::new();
    let mut since = None;
    match &generation.meta {
        Ok(meta) => {
            let from = Timestamp::from_microsecond(meta.heartbeat).unwrap_or_default();
            since = Some(from.to_string());
            reasons.push(format!("unattended since {from}"));
            status.version = pins::text(&meta.version);
            if meta.phase == phase::STARTING {
                reasons.push("its daemon had not finished starting: not everything is proved".to_owned());
            }
            if generation.understood().is_some() {
                status.scope = pins::text(&meta.scope);
                status.generation = meta.generation;
            }
            if let Some((enforcement, reason)) = switched(meta) {
                status.enforcement = enforcement;
                reasons.push(reason);
            }
        }
        Err(why) => reasons.push(format!(
            "unattended since a time that is not known: {}: {why}; sentinel stop --disable removes it",
            generation.directory.display()
        )),
    }
    reasons.append(&mut status.reasons);
    status.reasons = reasons;
    let stats = generation.stats();
    status.hooks = hooks(generation, stats.as_ref(), &status.hooks);
    let counted = stats.zip(generation.understood()).and_then(|(stats, meta)| counters(&stats, meta).ok());
    let gap = Gap {
        from: since.unwrap_or_default(),
        until: None,
        why: "enforced, but unattended".to_owned(),
        refused: counted.as_ref().map(|(_, refused)| *refused),
        lost: None,
    };
    status.counters = counted.map(|(counters, _)| counters).unwrap_or_default();
    status.gaps.push(gap);
}

/// What the dead-man switch has done.
fn switched(meta: &Meta) -> Option<(Enforcement, String)> {
    let deadline = meta.deadline[0].max(meta.deadline[1]);
    if deadline == 0 || clock::boot_now() < deadline {
        return None;
    }
    let since = clock::wall(deadline);
    match meta.unattended {
        unattended::MONITOR => {
            Some((Enforcement::None, format!("max_unattended: nothing is refused since {since}, it is only counted")))
        }
        unattended::DENY => {
            let what = "every public address that is not exempted is refused";
            Some((Enforcement::Partial, format!("max_unattended: {what} since {since}")))
        }
        _ => None,
    }
}

fn hooks(generation: &Generation, stats: Option<&Stats>, last: &[HookStatus]) -> Vec<HookStatus> {
    let links = generation.links();
    let status = |hook: &'static kernel::hooks::Hook| {
        let before = last.iter().find(|status| status.name == hook.name);
        let on_device = hook.attach == Attach::Devices;
        let attached = links.iter().any(|link| link == hook.name || (on_device && link.starts_with("forward_")));
        // Filters on devices have no pins where they are not links.
        let attached = attached || (on_device && before.is_some_and(|before| before.attached));
        let counted = stats.and_then(|stats| stats.hook(hook.id).ok()).unwrap_or_default();
        HookStatus {
            name: hook.name.to_owned(),
            attached,
            proven: attached && before.is_some_and(|before| before.proven),
            refused: counted.refused,
            would_refuse: counted.would_refuse,
            runs: counted.runs,
            errors: counted.errors,
            reason: before.and_then(|before| before.reason.clone()),
        }
    };
    HOOKS.iter().map(status).collect()
}

/// By kind, and what was refused since the last heartbeat. What was in a ring when the daemon ended is lost.
fn counters(stats: &Stats, meta: &Meta) -> Result<(Map<String, Value>, u64)> {
    let mut all = Map::new();
    for (kind, name) in KINDS {
        let kernel = stats.kind(kind)?;
        let delivered = meta.delivered[usize::from(kind)].min(kernel.submitted);
        let value = json!({
            "seen": kernel.submitted + kernel.suppressed + kernel.ring_full + kernel.no_scratch,
            "delivered": delivered,
            "suppressed": kernel.suppressed,
            "lost": {
                "ring_full": kernel.ring_full,
                "no_buffer": kernel.no_scratch,
                "decode_error": 0,
                "queue_full": 0,
                "unattended": kernel.submitted - delivered,
            },
            "in_ring": 0,
        });
        all.insert(name.to_owned(), value);
    }
    let mut refused = 0;
    for hook in &HOOKS {
        refused += stats.hook(hook.id)?.refused;
    }
    Ok((all, refused.saturating_sub(meta.refused)))
}

/// Takes out of the kernel what the Sentinel of a run directory has left there; how much there was.
///
/// # Errors
///
/// If something could not be removed.
pub fn remove(run_dir: &Path) -> Result<usize> {
    let all = pinned(run_dir)?;
    if let Some(alive) = all.iter().find(|generation| generation.attended()) {
        end_daemon(alive)?;
    }
    for generation in &all {
        generation.remove()?;
    }
    kernel::remove_dead_filters();
    forget(run_dir);
    for left in [socket(run_dir), run_dir.join("lock")] {
        // What a daemon that was killed could not remove.
        let _ = fs::remove_file(left);
    }
    Ok(all.len())
}

/// Kills a daemon that does not answer: it would hold on to what its pins are removed of.
fn end_daemon(generation: &Generation) -> Result<()> {
    use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
    let Ok(meta) = &generation.meta else { return Ok(()) };
    let Some(pid) = i32::try_from(meta.pid).ok().and_then(Pid::from_raw) else { return Ok(()) };
    let Ok(fd) = pidfd_open(pid, PidfdFlags::empty()) else { return Ok(()) };
    // The descriptor holds on to the process; only now can it be told whether it is the one.
    if generation.attended()
        && let Err(error) = pidfd_send_signal(&fd, Signal::KILL)
    {
        bail!("the daemon, process {}, does not answer and cannot be killed: {error}", meta.pid);
    }
    Ok(())
}

/// Run directories of pins that are none of this one's, for a hint.
#[must_use]
pub fn others(run_dir: &Path) -> Vec<PathBuf> {
    let own = absolute(run_dir);
    let all = pins::generations().unwrap_or_default();
    let all = all.iter().filter_map(|generation| Some(pins::text(&generation.meta.as_ref().ok()?.run_dir)));
    all.filter(|other| *other != own).map(PathBuf::from).collect()
}
