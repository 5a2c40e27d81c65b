//! The kernel side of the daemon: loads, attaches, reads rings and counters, writes verdict maps.
//!
//! Invariant: only this module names `aya`; only [`verdicts`] writes verdict maps; only [`attach`]
//! attaches to cgroups, and only [`pins`] makes anything outlive the process. What comes out are owned, checked values.

use std::{collections::HashMap, error::Error};

use aya::{
    Btf, Ebpf, EbpfLoader, Pod, VerifierLogLevel,
    programs::{Lsm, Program, ProgramError, links::FdLink},
};
use sentinel_common::config::Config;
use thiserror::Error;

pub mod acts;
pub mod attach;
mod btf;
pub mod cgroup;
mod clsact;
pub mod contents;
mod devices;
pub mod features;
mod filter;
mod geo;
pub mod handle;
pub mod hooks;
pub mod lent;
pub mod offsets;
pub mod pins;
mod plain;
pub mod probe;
pub mod ring;
pub mod signals;
pub mod stats;
pub mod symbols;
mod tc;
mod tracefs;
pub mod verdicts;

use attach::{Checked, Scope};
use devices::Devices;
use features::Features;
use hooks::{Attach, Demand, Family, HOOKS, Hook, NO_SUCH_HOOK, NOT_NEEDED, OPEN_EXITS};
use pins::Pins;
use tracefs::Tracefs;

/// The compiled kernel programs.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/sentinel-kernel"));

/// Why the kernel side could not be set up.
#[derive(Debug, Error)]
pub enum KernelError {
    /// This system cannot run Sentinel.
    #[error(transparent)]
    Feature(#[from] features::FeatureError),
    /// The kernel's structures are unknown.
    #[error(transparent)]
    Offset(#[from] offsets::OffsetError),
    /// The scope is refused.
    #[error(transparent)]
    Scope(#[from] attach::ScopeError),
    /// The kernel did not take the maps or programs.
    #[error("the kernel refused to load {what}: {reason}")]
    Load {
        /// What was being loaded.
        what: String,
        /// What the kernel said.
        reason: String,
    },
    /// A program was not attached.
    #[error("cannot attach {hook} to {place}: {reason}")]
    Attach {
        /// The hook.
        hook: String,
        /// Where.
        place: String,
        /// What the kernel said.
        reason: String,
    },
    /// A map is missing or could not be read or written.
    #[error("map {map}: {reason}")]
    Map {
        /// The map.
        map: &'static str,
        /// What went wrong.
        reason: String,
    },
    /// The program that answers questions did not.
    #[error("the probe program did not answer: {0}")]
    Probe(String),
}

/// How to load.
#[derive(Debug, Clone)]
pub struct Options {
    /// Whether block verdicts refuse; otherwise refusal is compiled out.
    pub enforce: bool,
    /// What is watched and enforced on.
    pub scope: Scope,
    /// Why LSM programs are not even to be tried.
    pub without_lsm: Option<String>,
    /// Whether a policy is learned: more is reported then.
    pub learn: bool,
    /// Whether DNS answers are looked at.
    pub dns_names: bool,
    /// Whether network devices are watched.
    pub forward: bool,
    /// What becomes of verdicts when the daemon is gone for too long: a number of `sentinel_common::meta::unattended`.
    pub unattended: u32,
    /// After so many seconds the same event of a process is sent again; 0: each one is.
    pub repeat_seconds: u64,
    /// Which of the hooks are needed that not every policy needs.
    pub demand: Demand,
    /// Kernel type information, `/sys/kernel/btf/vmlinux` unless a test says otherwise.
    pub btf: std::path::PathBuf,
}

/// A hook and what became of it.
#[derive(Debug, Clone)]
pub struct HookState {
    /// The row of the table.
    pub hook: &'static Hook,
    /// Whether its program is attached.
    pub attached: bool,
    /// Why not.
    pub reason: Option<String>,
}

/// The loaded programs. Dropping it detaches and removes everything, [`Kernel::leave`] leaves what is pinned.
pub struct Kernel {
    ebpf: Ebpf,
    /// All hooks, in the order of the table.
    pub hooks: Vec<HookState>,
    /// What the kernel offers.
    pub features: Features,
    scope: Checked,
    /// Why the probe cannot be asked, if it cannot.
    no_probe: Option<String>,
    devices: Devices,
    /// What outlives this process; in enforce mode only.
    pins: Option<Pins>,
    /// Why nothing does, where it should.
    pub no_pins: Option<String>,
    /// Whether the kernel tells where it counts renames and mounts: repeats of opens can be told then.
    pub knows_names: bool,
    /// Parsed once, and dropped when all is attached: it is tens of megabytes.
    btf: Option<Btf>,
}

/// Plain memory for the loader.
#[repr(transparent)]
#[derive(Clone, Copy)]
struct Settings(Config);
// SAFETY: Config is repr(C) of integers, without padding (its size is checked below).
unsafe impl Pod for Settings {}
const _: () = assert!(size_of::<Config>().is_multiple_of(8));

impl Kernel {
    /// Loads maps and programs. LSM programs are attached for a moment, with empty verdict maps, to see whether the
    /// kernel takes them; nothing stays attached.
    ///
    /// # Errors
    ///
    /// See [`KernelError`].
    pub fn load(options: &Options) -> Result<Self, KernelError> {
        let features = features::probe()?;
        let scope = attach::check(&options.scope, &features.cgroup2)?;
        let offsets = offsets::resolve(&options.btf)?;
        let names = symbols::names();
        let config = Config {
            enforce: u32::from(options.enforce),
            own_tgid: std::process::id(),
            scope_level: scope.level,
            learn: u32::from(options.learn),
            unattended: options.unattended,
            together: offsets::together(&offsets),
            attached: 0,
            scope_cgroup: scope.id,
            repeat_seconds: options.repeat_seconds,
            names,
            offsets,
        };
        let btf = kernel_types()?;
        let (mut ebpf, hooks) = load_what_the_kernel_takes(config, &features, &scope, options, &btf)?;
        // Enforcement does not need it, so its want is a reason in the status and no error.
        let no_probe = probe::load(&mut ebpf).err().map(|error| error.to_string());
        let (pins, no_pins) = match options.enforce.then(|| Pins::make(scope.id, &ebpf)) {
            None => (None, None),
            Some(Ok(pins)) => (Some(pins), None),
            Some(Err(error)) => (None, Some(error.to_string())),
        };
        let mut devices = Devices::default();
        devices.pins = pins.as_ref().map(|pins| pins.directory().to_owned());
        Ok(Self {
            ebpf,
            hooks,
            features,
            scope,
            no_probe,
            devices,
            pins,
            no_pins,
            knows_names: names[0] != 0,
            btf: Some(btf),
        })
    }

    /// Attaches every hook of the plan. On an error nothing stays attached: the caller drops `self`.
    ///
    /// # Errors
    ///
    /// [`KernelError::Attach`] for a hook that was loaded but not attached.
    pub fn attach(&mut self) -> Result<(), KernelError> {
        let missing =
            || KernelError::Load { what: "programs".to_owned(), reason: "they are attached already".to_owned() };
        let btf = self.btf.take().ok_or_else(missing)?;
        for state in &mut self.hooks {
            if state.reason.is_some() {
                continue;
            }
            if state.hook.attach == Attach::Devices {
                // Not everybody needs it: where a rule does, its want is a reason in the status.
                if let Err(error) = self.devices.load(&mut self.ebpf) {
                    state.reason = Some(error.to_string());
                    continue;
                }
                if let Err(error) = self.devices.sync(&mut self.ebpf, self.scope.id == 0) {
                    tracing::warn!("watching network devices: {error}");
                }
            } else {
                let program = program(&mut self.ebpf, state.hook.name)?;
                attach_one(program, state.hook, &self.scope, &btf, self.pins.as_mut())?;
            }
            state.attached = true;
        }
        Ok(())
    }

    /// Loads what [`Kernel::attach`] would, and attaches nothing. A program that the kernel does not take has that as its reason.
    ///
    /// # Errors
    ///
    /// [`KernelError::Load`] if the kernel's types cannot be read.
    pub fn rehearse(&mut self) -> Result<(), KernelError> {
        let btf = self.btf.take().map_or_else(kernel_types, Ok)?;
        for state in self.hooks.iter_mut().filter(|state| state.reason.is_none()) {
            let loaded = if state.hook.attach == Attach::Devices {
                devices::rehearse(&mut self.ebpf).map_err(|error| error.to_string())
            } else {
                let program = program(&mut self.ebpf, state.hook.name)?;
                load_other(program, state.hook, &btf).map_err(|error| chain(&error))
            };
            state.reason = loaded.err();
        }
        Ok(())
    }

    /// Loads and attaches hooks that were not needed and now are; their places in the table. One that the kernel does not take
    /// has that as its reason, as at the start.
    ///
    /// # Errors
    ///
    /// [`KernelError::Load`] if the kernel's types cannot be read.
    pub fn engage(&mut self, demand: Demand) -> Result<Vec<usize>, KernelError> {
        let new = |state: &HookState| state.reason.as_deref() == Some(NOT_NEEDED) && demand.wants(state.hook);
        let places: Vec<usize> = (0..self.hooks.len()).filter(|place| new(&self.hooks[*place])).collect();
        if places.is_empty() {
            return Ok(places);
        }
        let btf = kernel_types()?;
        for place in &places {
            let state = &mut self.hooks[*place];
            let loaded = load_lsm(&mut self.ebpf, state.hook, &btf).map(drop).map_err(|error| lsm_reason(&error));
            let done = loaded.and_then(|()| {
                let attached = program(&mut self.ebpf, state.hook.name)
                    .and_then(|program| attach_one(program, state.hook, &self.scope, &btf, self.pins.as_mut()));
                attached.map_err(|error| error.to_string())
            });
            state.attached = done.is_ok();
            state.reason = done.err();
        }
        Ok(places.into_iter().filter(|place| self.hooks[*place].attached).collect())
    }

    /// Takes out hooks that are not needed any more; their places in the table.
    pub fn disengage(&mut self, demand: Demand) -> Vec<usize> {
        let mut gone = Vec::new();
        for (place, state) in self.hooks.iter_mut().enumerate() {
            if !state.attached || demand.wants(state.hook) {
                continue;
            }
            let Some(Program::Lsm(program)) = self.ebpf.program_mut(state.hook.name) else { continue };
            if let Some(pins) = &mut self.pins {
                pins.remove(state.hook.name);
            }
            if let Err(error) = program.unload() {
                tracing::warn!("{} is not needed and stays attached: {error}", state.hook.name);
                continue;
            }
            (state.attached, state.reason) = (false, Some(NOT_NEEDED.to_owned()));
            gone.push(place);
        }
        gone
    }

    /// Attaches to network devices that are new, in this network namespace or in every one of the host; how many there were.
    ///
    /// # Errors
    ///
    /// [`KernelError::Attach`], the first one; the others are still attached to.
    pub fn sync_devices(&mut self, everywhere: bool) -> Result<usize, KernelError> {
        let watched = self.hooks.iter().any(|state| state.hook.attach == Attach::Devices && state.attached);
        let everywhere = everywhere && self.scope.id == 0;
        if watched { self.devices.sync(&mut self.ebpf, everywhere) } else { Ok(0) }
    }

    /// Puts the loopback device under the device program while a canary runs, or takes it out again.
    ///
    /// # Errors
    ///
    /// [`KernelError::Attach`].
    pub fn watch_loopback(&mut self, on: bool) -> Result<(), KernelError> {
        self.devices.loopback(&mut self.ebpf, on)
    }

    /// How many network devices are watched.
    #[must_use]
    pub fn devices(&self) -> usize {
        self.devices.count()
    }

    /// Which network devices cannot be watched, and why.
    #[must_use]
    pub fn devices_refused(&self) -> Option<String> {
        self.devices.refused()
    }

    /// Detaches and removes everything; what could not be removed.
    #[must_use]
    pub fn end(mut self) -> Vec<String> {
        self.devices.detach()
    }

    /// Ends, and leaves everything in force that is pinned. Whether anything is.
    #[must_use]
    pub fn leave(mut self) -> bool {
        let Some(pins) = &mut self.pins else { return false };
        pins.stay();
        self.devices.stay();
        true
    }

    /// Where its pins are.
    #[must_use]
    pub fn pinned_in(&self) -> Option<&std::path::Path> {
        self.pins.as_ref().map(Pins::directory)
    }

    /// What pins say of whoever made them; taken out once.
    ///
    /// # Errors
    ///
    /// [`KernelError::Map`] if it is missing or taken already.
    pub fn meta(&mut self) -> Result<pins::MetaMap, KernelError> {
        pins::MetaMap::new(&mut self.ebpf)
    }

    /// Id of the scope cgroup; 0 for the whole host.
    #[must_use]
    pub const fn scope_id(&self) -> u64 {
        self.scope.id
    }

    /// Takes the rings out. Must run inside the event loop.
    ///
    /// # Errors
    ///
    /// [`KernelError::Map`] if they are missing or taken already.
    pub fn rings(&mut self) -> Result<ring::Rings, KernelError> {
        ring::Rings::new(&mut self.ebpf)
    }

    /// Takes the counters out.
    ///
    /// # Errors
    ///
    /// [`KernelError::Map`] if they are missing or taken already.
    pub fn stats(&mut self) -> Result<stats::Stats, KernelError> {
        stats::Stats::new(&mut self.ebpf)
    }

    /// Takes the verdict maps out, for their only writer.
    ///
    /// # Errors
    ///
    /// [`KernelError::Map`] if they are missing or taken already.
    pub fn verdicts(&mut self) -> Result<verdicts::Verdicts, KernelError> {
        verdicts::Verdicts::new(&mut self.ebpf)
    }

    /// The program that says what the hooks would answer.
    ///
    /// # Errors
    ///
    /// [`KernelError::Probe`] if the kernel did not take it.
    pub fn probe(&self) -> Result<probe::Probe<'_>, KernelError> {
        match &self.no_probe {
            Some(reason) => Err(KernelError::Probe(reason.clone())),
            None => probe::Probe::new(&self.ebpf),
        }
    }

    /// Instructions that the verifier looked at, by program.
    #[must_use]
    pub fn verified(&self) -> Vec<(String, u32)> {
        let count = |p: &Program| p.info().ok().and_then(|info| info.verified_instruction_count());
        self.ebpf.programs().filter_map(|(name, program)| Some((name.to_owned(), count(program)?))).collect()
    }

    /// Whether the scope is one cgroup.
    #[must_use]
    pub fn scoped(&self) -> bool {
        self.scope.id != 0
    }

    /// Path of a directory below the scope cgroup's, for the canary to run in.
    #[must_use]
    pub fn scope_directory(&self) -> Option<std::path::PathBuf> {
        self.scoped().then(|| self.scope.directory().to_owned())
    }
}

/// Takes off all devices the filters of Sentinels that were killed, where filters outlive their process (before Linux 6.6).
pub fn remove_dead_filters() {
    devices::clean();
}

fn kernel_types() -> Result<Btf, KernelError> {
    Btf::from_sys_fs()
        .map_err(|error| KernelError::Load { what: "kernel type information".to_owned(), reason: chain(&error) })
}

/// Loads with LSM programs; where the kernel refuses these, loads again without them. Hooks on egress stand in for one another, and
/// their programs know which of them there are: without one of those it is loaded again, too.
fn load_what_the_kernel_takes(
    config: Config,
    features: &Features,
    scope: &Checked,
    options: &Options,
    btf: &Btf,
) -> Result<(Ebpf, Vec<HookState>), KernelError> {
    let off = features.lsm_bpf_off().then(|| "the kernel's LSM list lacks bpf (boot with lsm=...,bpf)".to_owned());
    let mut missing_lsm = options.without_lsm.clone().or(off);
    let mut missing = HashMap::new();
    loop {
        let mut hooks = plan(missing_lsm.as_deref(), scope, options);
        for state in &mut hooks {
            state.reason = state.reason.take().or_else(|| missing.get(&state.hook.id).cloned());
        }
        let egress = hooks.iter().filter(|s| s.reason.is_none() && s.hook.family == Family::Egress);
        let attached = egress.fold(0, |bits, s| bits | 1 << s.hook.id);
        let mut ebpf = load_object(Config { attached, ..config }, btf)?;
        match load_all_lsm(&mut ebpf, &mut hooks, btf) {
            Ok(()) => return Ok((ebpf, hooks)),
            Err(Missing::All(reason)) => missing_lsm = Some(reason),
            Err(Missing::One(hook, reason)) => drop(missing.insert(hook.id, reason)),
        }
    }
}

/// What the kernel does not take.
enum Missing {
    /// Any LSM program.
    All(String),
    /// The program of one hook: the others have to know.
    One(&'static Hook, String),
}

/// Which hooks to attach: the exits of open only where `file_open` cannot be had.
fn plan(missing_lsm: Option<&str>, scope: &Checked, options: &Options) -> Vec<HookState> {
    let devices = devices::unavailable(scope, options.forward);
    let reason = |hook: &Hook| match (hook.attach, missing_lsm) {
        _ if hook.family == Family::Names && !options.dns_names => {
            Some("dns_names is false in the settings".to_owned())
        }
        (Attach::Lsm, Some(reason)) => Some(reason.to_owned()),
        (Attach::OpenExits, None) => Some("file_open reports opens".to_owned()),
        (Attach::Devices, _) => devices.clone(),
        (Attach::Lsm, None) if !options.demand.wants(hook) => Some(NOT_NEEDED.to_owned()),
        (Attach::Lsm | Attach::Cgroup | Attach::BtfTracepoint | Attach::OpenExits, _) => None,
    };
    HOOKS.iter().map(|hook| HookState { hook, attached: false, reason: reason(hook) }).collect()
}

fn load_object(config: Config, btf: &Btf) -> Result<Ebpf, KernelError> {
    EbpfLoader::new()
        .btf(Some(btf))
        .verifier_log_level(VerifierLogLevel::DEBUG)
        .override_global("CONFIG", &Settings(config), true)
        .load(OBJECT)
        .map_err(|error| KernelError::Load { what: "maps".to_owned(), reason: chain(&error) })
}

/// Why LSM programs are missing, when the kernel answers EPERM.
const LSM_REFUSED: &str = "this kernel refuses LSM programs (EPERM), by lockdown or for want of CAP_SYS_ADMIN";

/// Loads the LSM programs of the plan, and attaches one: some kernels refuse only the attaching. They are attached for
/// good in [`Kernel::attach`]; here the link is dropped at once.
fn load_all_lsm(ebpf: &mut Ebpf, hooks: &mut [HookState], btf: &Btf) -> Result<(), Missing> {
    let mut tried = false;
    for state in hooks.iter_mut().filter(|s| s.hook.attach == Attach::Lsm && s.reason.is_none()) {
        let loaded = load_lsm(ebpf, state.hook, btf).and_then(|program| {
            if !std::mem::replace(&mut tried, true) {
                let link = program.attach()?;
                program.detach(link)?;
            }
            Ok(())
        });
        let Err(error) = loaded else { continue };
        match lsm_reason(&error) {
            reason if reason == LSM_REFUSED => return Err(Missing::All(reason)),
            reason if state.hook.family == Family::Egress => return Err(Missing::One(state.hook, reason)),
            reason => state.reason = Some(reason),
        }
    }
    Ok(())
}

fn load_lsm<'a>(ebpf: &'a mut Ebpf, hook: &Hook, btf: &Btf) -> Result<&'a mut Lsm, ProgramError> {
    let Some(Program::Lsm(program)) = ebpf.program_mut(hook.name) else {
        return Err(ProgramError::UnexpectedProgramType);
    };
    program.load(hook.place(), btf)?;
    Ok(program)
}

/// Why a hook is not attached, when the kernel says this.
fn lsm_reason(error: &ProgramError) -> String {
    match chain(error) {
        _ if matches!(error, ProgramError::Btf(_)) => NO_SUCH_HOOK.to_owned(),
        text if text.contains("os error 1)") => LSM_REFUSED.to_owned(),
        text => text.replace(": ", " - "),
    }
}

fn program<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut Program, KernelError> {
    ebpf.program_mut(name)
        .ok_or_else(|| KernelError::Load { what: name.to_owned(), reason: "it is missing from the object".to_owned() })
}

/// Loads a program that is no LSM program: those are loaded before all others.
fn load_other(program: &mut Program, hook: &Hook, btf: &Btf) -> Result<(), ProgramError> {
    match program {
        Program::Lsm(_) => Ok(()),
        Program::BtfTracePoint(program) => program.load(hook.name, btf),
        Program::TracePoint(program) => program.load(),
        Program::CgroupSkb(program) => program.load(),
        Program::CgroupSockAddr(program) => program.load(),
        _ => Err(ProgramError::UnexpectedProgramType),
    }
}

fn attach_one(
    program: &mut Program,
    hook: &Hook,
    scope: &Checked,
    btf: &Btf,
    pins: Option<&mut Pins>,
) -> Result<(), KernelError> {
    if hook.attach == Attach::Cgroup {
        return attach::attach(program, hook.name, scope, pins);
    }
    let link = attach_global(program, hook, btf, pins.is_some()).map_err(|error| KernelError::Attach {
        hook: hook.name.to_owned(),
        place: "the kernel".to_owned(),
        reason: chain(&error),
    })?;
    pins.zip(link).map_or(Ok(()), |(pins, link)| pins.add(hook.name, link))
}

/// Programs that see the whole host; they compare with the scope themselves. The link, if it is to be taken and can outlive
/// this process: those of tracepoints only report, and end with it.
fn attach_global(program: &mut Program, hook: &Hook, btf: &Btf, take: bool) -> Result<Option<FdLink>, ProgramError> {
    match program {
        Program::Lsm(program) => {
            let id = program.attach()?;
            if take { program.take_link(id).map(|link| Some(link.into())) } else { Ok(None) }
        }
        Program::BtfTracePoint(program) => {
            program.load(hook.name, btf)?;
            let id = program.attach()?;
            if take { program.take_link(id).map(|link| Some(link.into())) } else { Ok(None) }
        }
        Program::TracePoint(program) => {
            program.load()?;
            let _tracefs = Tracefs::ensure().map_err(ProgramError::IOError)?;
            OPEN_EXITS.iter().try_for_each(|name| program.attach("syscalls", name).map(drop))?;
            Ok(None)
        }
        _ => Err(ProgramError::UnexpectedProgramType),
    }
}

/// Lines of the verifier's log in an error: its verdict is at the end.
const LOG_LINES: usize = 2;

/// An error with all its causes, on one line, with the end of the verifier's log if there is one.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    let (head, log) = lines.split_at(lines.len().min(1));
    let end = &log[log.len().saturating_sub(LOG_LINES)..];
    [head, end].concat().join(" | ")
}
