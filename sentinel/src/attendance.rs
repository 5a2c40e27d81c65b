//! When Sentinel was there and when not: the heartbeat beside the pins, and the gaps that a start finds.
//!
//! Invariant: what passed between the last heartbeat and the start is one gap, told once, with what the programs that stayed in
//! force counted meanwhile. Not here: the pins themselves (`kernel::pins`).

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use sentinel_common::{
    event::kind,
    meta::{KINDS, MAGIC, Meta, phase, unattended},
};
use serde::{Deserialize, Serialize};

use crate::{
    clock,
    config::{Config, Unattended},
    kernel::{
        Kernel,
        attach::Scope,
        hooks::HOOKS,
        pins::{self, Generation, MetaMap, PinError, fixed, layout, process_start},
        stats::Stats,
    },
    pipeline::Counts,
};

/// Where the last time of attendance is written, in the state directory.
const FILE: &str = "attended.json";
/// Where gaps are written.
const GAPS: &str = "gaps.jsonl";
/// A file of gaps longer than this is put aside.
const MOST: u64 = 1 << 20;
/// Of so many heartbeats one is also written to the state directory.
const WRITTEN: u64 = 60;

/// A time in which nobody attended to the kernel programs, or in which there were none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// RFC 3339.
    pub from: String,
    /// RFC 3339; none: it has not ended.
    pub until: Option<String>,
    /// What it is.
    pub why: String,
    /// What was refused meanwhile; none: not known.
    pub refused: Option<u64>,
    /// Events that nobody read meanwhile; none: not known.
    pub lost: Option<u64>,
}

/// The heartbeat.
pub struct Attendance {
    map: MetaMap,
    meta: Meta,
    state_dir: PathBuf,
    beats: u64,
    enforcing: bool,
    /// Gaps that this start found.
    pub gaps: Vec<Gap>,
}

/// What is in the state directory.
#[derive(Debug, Serialize, Deserialize)]
struct Attended {
    boot_id: String,
    /// Microseconds since 1970.
    until: i64,
    enforcing: bool,
}

/// The number that the kernel programs know a choice by.
#[must_use]
pub const fn number(choice: Option<(u32, Unattended)>) -> u32 {
    match choice {
        None | Some((_, Unattended::Keep)) => unattended::KEEP,
        Some((_, Unattended::Monitor)) => unattended::MONITOR,
        Some((_, Unattended::Deny)) => unattended::DENY,
    }
}

impl Attendance {
    /// Says for the first time who is there; before anything is attached.
    ///
    /// # Errors
    ///
    /// If the map cannot be written.
    pub fn begin(kernel: &mut Kernel, config: &Config) -> Result<Self> {
        let scope = match &config.scope {
            Scope::Host => "host".to_owned(),
            Scope::Cgroup(path) => path.display().to_string(),
        };
        let pid = std::process::id();
        let meta = Meta {
            magic: MAGIC,
            layout: layout(),
            pid,
            process_start: process_start(pid).unwrap_or_default(),
            version: fixed(env!("CARGO_PKG_VERSION").as_bytes()),
            run_dir: fixed(absolute(&config.run_dir).as_bytes()),
            phase: phase::STARTING,
            unattended: number(config.unattended),
            patience: config.unattended.map_or(0, |(seconds, _)| seconds),
            started: Timestamp::now().as_microsecond(),
            scope: fixed(scope.as_bytes()),
            ..Meta::ZERO
        };
        let enforcing = config.mode == crate::config::Mode::Enforce;
        let state_dir = config.state_dir.clone();
        let mut new = Self { map: kernel.meta()?, meta, state_dir, beats: 0, enforcing, gaps: Vec::new() };
        new.write()?;
        Ok(new)
    }

    fn write(&mut self) -> Result<()> {
        self.meta.heartbeat = Timestamp::now().as_microsecond();
        if self.meta.unattended != unattended::KEEP {
            self.meta.deadline = [clock::boot_after(self.meta.patience.into()); 2];
        }
        self.map.write(&self.meta).map_err(Into::into)
    }

    /// Takes over from whoever was there before: to be called once the new programs are proved. What stayed in force until now
    /// goes, and is a gap.
    ///
    /// # Errors
    ///
    /// Pins that cannot be read or removed.
    pub fn take_over(&mut self, kernel: &Kernel, config: &Config) -> Result<()> {
        let predecessors = predecessors(kernel, &config.run_dir)?;
        let until = Timestamp::now();
        for generation in &predecessors {
            let gap = gap_of(generation, until);
            generation
                .remove()
                .context("what an earlier Sentinel left in the kernel stays in force beside this one")?;
            self.gaps.push(gap);
        }
        crate::kernel::remove_dead_filters();
        if predecessors.is_empty() && self.enforcing {
            self.gaps.push(self.absence(until));
        }
        for gap in &self.gaps {
            if let Err(error) = append(&self.state_dir.join(GAPS), gap) {
                tracing::error!("a gap is not written down: {error:#}");
            }
        }
        self.meta.phase = phase::IN_FORCE;
        self.meta.started = until.as_microsecond();
        self.write()
    }

    /// Nothing was in force before this start.
    fn absence(&self, until: Timestamp) -> Gap {
        let boot = clock::wall(0);
        let last = fs::read(self.state_dir.join(FILE)).ok();
        let last = last.and_then(|text| serde_json::from_slice::<Attended>(&text).ok());
        let last = last.filter(|last| last.boot_id == boot_id() && last.enforcing);
        let (from, why) = match last.and_then(|last| Timestamp::from_microsecond(last.until).ok()) {
            Some(end) => (end, "nothing was enforced: Sentinel had ended"),
            None => (boot, "nothing was enforced: Sentinel had not been started since the machine was"),
        };
        Gap {
            from: from.to_string(),
            until: Some(until.to_string()),
            why: why.to_owned(),
            refused: Some(0),
            lost: None,
        }
    }

    /// Says that the daemon is there, and what it has seen.
    ///
    /// # Errors
    ///
    /// If counters cannot be read or the map not be written.
    pub fn beat(&mut self, stats: &Stats, counts: &Counts, generation: u32) -> Result<()> {
        self.meta.generation = generation;
        for (kind, slot) in self.meta.delivered.iter_mut().enumerate() {
            let number = kind as u16;
            let of = |map: &std::collections::BTreeMap<u16, u64>| map.get(&number).copied().unwrap_or(0);
            *slot = of(&counts.delivered) + of(&counts.decode_error);
        }
        let totals = Totals::of(stats)?;
        (self.meta.refused, self.meta.lost) = (totals.refused, totals.lost);
        self.write()?;
        if self.beats.is_multiple_of(WRITTEN) {
            self.write_down();
        }
        self.beats += 1;
        Ok(())
    }

    /// The daemon ends; what is pinned stays if `leaves`.
    pub fn end(&mut self, leaves: bool) {
        if leaves {
            self.meta.phase = phase::LEFT;
            if let Err(error) = self.write() {
                tracing::error!("the last heartbeat: {error:#}");
            }
        }
        self.write_down();
    }

    fn write_down(&self) {
        let until = Timestamp::now().as_microsecond();
        let attended = Attended { boot_id: boot_id(), until, enforcing: self.enforcing };
        let text = serde_json::to_vec(&attended).unwrap_or_default();
        if let Err(error) = replace(&self.state_dir.join(FILE), &text) {
            tracing::warn!("the time of attendance is not written down: {error:#}");
        }
    }
}

/// Sums over everything that is counted.
#[derive(Debug, Default)]
struct Totals {
    refused: u64,
    /// Put into a ring.
    submitted: u64,
    lost: u64,
}

impl Totals {
    fn of(stats: &Stats) -> Result<Self> {
        let mut all = Self::default();
        for hook in &HOOKS {
            all.refused += stats.hook(hook.id)?.refused;
        }
        // DNS answers are no events.
        for kind in (1..kind::COUNT as u16).filter(|kind| *kind != kind::ANSWER) {
            let one = stats.kind(kind)?;
            all.submitted += one.submitted;
            all.lost += one.ring_full + one.no_scratch;
        }
        Ok(all)
    }
}

/// Generations that this start takes the place of: of the same run directory, which this process has locked, or of the same
/// scope and without a daemon.
fn predecessors(kernel: &Kernel, run_dir: &Path) -> Result<Vec<Generation>, PinError> {
    let own = kernel.pinned_in();
    let scope = if kernel.scope_id() == 0 { "host".to_owned() } else { format!("cgroup-{}", kernel.scope_id()) };
    let run_dir = absolute(run_dir);
    let ours = |generation: &Generation| {
        let same_directory = generation.meta.as_ref().is_ok_and(|meta| pins::text(&meta.run_dir) == run_dir);
        same_directory || (generation.scope() == Some(&scope) && !generation.attended())
    };
    let all = pins::generations()?.into_iter();
    Ok(all.filter(|generation| own != Some(&generation.directory) && ours(generation)).collect())
}

fn gap_of(generation: &Generation, until: Timestamp) -> Gap {
    let from = match &generation.meta {
        Ok(meta) => Timestamp::from_microsecond(meta.heartbeat).map_or_else(|_| String::new(), |time| time.to_string()),
        Err(_) => String::new(),
    };
    let counted = generation.stats().zip(generation.understood()).and_then(|(stats, meta)| {
        let totals = Totals::of(&stats).ok()?;
        Some(since(&totals, meta))
    });
    let how = match &generation.meta {
        Err(why) => format!("what it said of itself is not understood: {why}"),
        Ok(meta) if meta.phase == phase::STARTING => "its daemon had not finished starting".to_owned(),
        Ok(meta) if meta.phase == phase::LEFT => "its daemon had been ended".to_owned(),
        Ok(meta) if meta.layout != layout() => format!("its daemon, version {}, was gone", pins::text(&meta.version)),
        Ok(_) => "its daemon was gone".to_owned(),
    };
    Gap {
        from,
        until: Some(until.to_string()),
        why: format!("enforced, but unattended: {how}"),
        refused: counted.map(|(refused, _)| refused),
        lost: counted.map(|(_, lost)| lost),
    }
}

/// What was refused, and what nobody read, since the last heartbeat.
fn since(totals: &Totals, meta: &Meta) -> (u64, u64) {
    let delivered: u64 =
        (1..KINDS).filter(|kind| *kind != usize::from(kind::ANSWER)).map(|kind| meta.delivered[kind]).sum();
    let unread = totals.submitted.saturating_sub(delivered);
    (totals.refused.saturating_sub(meta.refused), unread + totals.lost.saturating_sub(meta.lost))
}

/// The same path whoever says it, from wherever.
#[must_use]
pub fn absolute(path: &Path) -> String {
    let path = fs::canonicalize(path).or_else(|_| std::path::absolute(path)).unwrap_or_else(|_| path.to_owned());
    path.display().to_string()
}

/// The id of this boot.
#[must_use]
pub fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// Replaces a file in one step; only root may read it.
///
/// # Errors
///
/// If it cannot be written.
pub fn replace(path: &Path, text: &[u8]) -> Result<()> {
    let new = path.with_extension("new");
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(text)?;
    fs::rename(&new, path).with_context(|| format!("cannot replace {}", path.display()))
}

fn append(path: &Path, gap: &Gap) -> Result<()> {
    if fs::metadata(path).is_ok_and(|meta| meta.len() > MOST) {
        fs::rename(path, path.with_extension("jsonl.old"))?;
    }
    let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    let line = format!("{}\n", serde_json::to_string(gap)?);
    file.write_all(line.as_bytes()).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_counts_what_came_after_the_last_heartbeat() {
        let mut meta = Meta { refused: 3, lost: 10, ..Meta::ZERO };
        meta.delivered[usize::from(kind::OPEN)] = 90;
        meta.delivered[usize::from(kind::ANSWER)] = 1000;
        let totals = Totals { refused: 8, submitted: 100, lost: 15 };
        assert_eq!(since(&totals, &meta), (5, 15));
        // Counters of a map that was made anew are no reason for huge numbers.
        assert_eq!(since(&Totals::default(), &meta), (0, 0));
    }

    #[test]
    fn what_the_programs_do_is_what_was_chosen() {
        let numbers = [None, Some((5, Unattended::Keep)), Some((5, Unattended::Monitor)), Some((5, Unattended::Deny))];
        assert_eq!(numbers.map(number), [0, 0, 1, 2]);
    }
}
