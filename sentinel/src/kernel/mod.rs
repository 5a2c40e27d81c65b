//! The kernel side of the daemon: loads, attaches, reads rings and counters, writes verdict maps.
//!
//! Invariant: only this module names `aya`; only [`verdicts`] writes verdict maps; only [`attach`]
//! attaches to cgroups. What comes out are owned, checked values.

use std::{collections::HashMap, error::Error};

use aya::{
    Btf, Ebpf, EbpfLoader, Pod, VerifierLogLevel,
    programs::{Program, ProgramError},
};
use sentinel_common::config::Config;
use thiserror::Error;

pub mod acts;
pub mod attach;
mod btf;
pub mod cgroup;
mod clsact;
mod devices;
pub mod features;
mod geo;
pub mod hooks;
pub mod offsets;
mod plain;
pub mod probe;
pub mod repeats;
pub mod ring;
pub mod signals;
pub mod stats;
mod tc;
mod tracefs;
pub mod verdicts;

use attach::{Checked, Scope};
use devices::Devices;
use features::Features;
use hooks::{Attach, Family, HOOKS, Hook, NO_SUCH_HOOK, OPEN_EXITS};
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
    /// Whether DNS answers are looked at.
    pub dns_names: bool,
    /// Whether network devices are watched.
    pub forward: bool,
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

/// The loaded programs. Dropping it detaches and removes everything.
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
        let config = Config {
            enforce: u32::from(options.enforce),
            own_tgid: std::process::id(),
            scope_level: scope.level,
            pad: 0,
            attached: 0,
            scope_cgroup: scope.id,
            offsets,
        };
        let btf = Btf::from_sys_fs()
            .map_err(|error| KernelError::Load { what: "kernel type information".to_owned(), reason: chain(&error) })?;
        let (mut ebpf, hooks) = load_what_the_kernel_takes(config, &features, &scope, options, &btf)?;
        // Enforcement does not need it, so its want is a reason in the status and no error.
        let no_probe = probe::load(&mut ebpf).err().map(|error| error.to_string());
        Ok(Self { ebpf, hooks, features, scope, no_probe, devices: Devices::default(), btf: Some(btf) })
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
        devices::clean();
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
                attach_one(program, state.hook, &self.scope, &btf)?;
            }
            state.attached = true;
        }
        Ok(())
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

    /// Takes out the settings of what is told again.
    ///
    /// # Errors
    ///
    /// [`KernelError::Map`] if they are missing or taken already.
    pub fn repeats(&mut self) -> Result<repeats::Repeats, KernelError> {
        repeats::Repeats::new(&mut self.ebpf)
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

/// Loads with LSM programs; where the kernel refuses these, loads again without them.
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
        let attached = hooks.iter().filter(|s| s.reason.is_none()).fold(0, |bits, s| bits | 1 << s.hook.id);
        let mut ebpf = load_object(Config { attached, ..config }, btf)?;
        match load_lsm(&mut ebpf, &hooks, btf) {
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
    /// The program of one hook: the others do without it.
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
fn load_lsm(ebpf: &mut Ebpf, hooks: &[HookState], btf: &Btf) -> Result<(), Missing> {
    let mut tried = false;
    for state in hooks.iter().filter(|s| s.hook.attach == Attach::Lsm && s.reason.is_none()) {
        let hook = state.hook;
        let Ok(Program::Lsm(program)) = program(ebpf, hook.name) else {
            return Err(Missing::One(hook, "it is missing from the object".to_owned()));
        };
        let refused = |error: ProgramError| match chain(&error) {
            _ if matches!(error, ProgramError::Btf(_)) => Missing::One(hook, NO_SUCH_HOOK.to_owned()),
            text if text.contains("os error 1)") => Missing::All(LSM_REFUSED.to_owned()),
            text => Missing::One(hook, text.replace(": ", " - ")),
        };
        program.load(hook.name, btf).map_err(refused)?;
        if !tried {
            let link = program.attach().map_err(refused)?;
            program.detach(link).map_err(refused)?;
            tried = true;
        }
    }
    Ok(())
}

fn program<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut Program, KernelError> {
    ebpf.program_mut(name)
        .ok_or_else(|| KernelError::Load { what: name.to_owned(), reason: "it is missing from the object".to_owned() })
}

fn attach_one(program: &mut Program, hook: &Hook, scope: &Checked, btf: &Btf) -> Result<(), KernelError> {
    if hook.attach == Attach::Cgroup {
        return attach::attach(program, hook.name, scope);
    }
    attach_global(program, hook, btf).map_err(|error| KernelError::Attach {
        hook: hook.name.to_owned(),
        place: "the kernel".to_owned(),
        reason: chain(&error),
    })
}

/// Programs that see the whole host; they compare with the scope themselves.
fn attach_global(program: &mut Program, hook: &Hook, btf: &Btf) -> Result<(), ProgramError> {
    match program {
        Program::Lsm(program) => program.attach().map(drop),
        Program::BtfTracePoint(program) => {
            program.load(hook.name, btf)?;
            program.attach().map(drop)
        }
        Program::TracePoint(program) => {
            program.load()?;
            let _tracefs = Tracefs::ensure().map_err(ProgramError::IOError)?;
            OPEN_EXITS.iter().try_for_each(|name| program.attach("syscalls", name).map(drop))
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
