//! What this host can and cannot enforce, and the step that gets it there.
//!
//! Invariant: nothing is attached that can refuse. Programs are loaded with refusal compiled out; of the LSM programs one is attached
//! for a moment, because some kernels refuse only that. Whether a hook runs is what canaries show when Sentinel enforces.

mod checks;

use sentinel_common::hook;
use serde::Serialize;

use crate::{
    kernel::{
        HookState, Kernel, KernelError, Options,
        attach::Scope,
        features::FeatureError,
        hooks::{Attach, Demand, FILE_TRUNCATE, Family, NO_SUCH_HOOK},
        offsets::VMLINUX,
    },
    status::Enforcement,
};

/// Instructions that the kernel's verifier looks at, at most (`BPF_COMPLEXITY_LIMIT_INSNS`, since Linux 5.2).
const VERIFIER_LIMIT: u32 = 1_000_000;
/// What a program of ours may need of that.
pub const MOST_VERIFIED: u32 = VERIFIER_LIMIT / 4;

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it should be.
    Ok,
    /// Sentinel runs and enforces without it, but something is weaker.
    Advice,
    /// Something cannot be enforced, or nothing can.
    Missing,
    /// It cannot be told from here.
    Unknown,
}

/// One check.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// How it came out.
    pub state: State,
    /// What was found.
    pub found: String,
    /// What is lost without it; empty if nothing is.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub lost: String,
    /// The exact step to get there; empty if there is nothing to do.
    #[serde(rename = "do", skip_serializing_if = "String::is_empty")]
    pub step: String,
}

/// What can be done about one kind of thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reach {
    /// `exec`, `file`, `egress`, `process` or `names`.
    pub what: &'static str,
    /// `refuse`: by every hook; `partial`: by some; `report`: seen, not refused; `nothing`.
    pub can: &'static str,
    /// Hooks that are missing.
    pub missing: Vec<&'static str>,
}

/// A program.
#[derive(Debug, Clone, Serialize)]
pub struct Program {
    /// Its hook.
    pub name: &'static str,
    /// Whether the kernel takes it.
    pub loads: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Instructions that the verifier looked at; the kernel's limit is a million.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified: Option<u32>,
}

/// All of it.
#[derive(Debug, Clone, Serialize)]
pub struct Diagnosis {
    /// Version of Sentinel.
    pub version: &'static str,
    /// Release of the kernel.
    pub kernel: String,
    /// Machine, as `uname -m`.
    pub machine: String,
    /// How much could be enforced on the whole host.
    pub can: Enforcement,
    /// By what it is about.
    pub reach: Vec<Reach>,
    /// All checks.
    pub checks: Vec<Check>,
    /// All programs; none if they could not be tried.
    pub programs: Vec<Program>,
}

/// Looks at this host.
#[must_use]
pub fn examine() -> Diagnosis {
    let uname = rustix::system::uname();
    let text = |field: &std::ffi::CStr| field.to_string_lossy().into_owned();
    let (kernel, machine) = (text(uname.release()), text(uname.machine()));
    let rehearsed = rehearse();
    let mut checks = checks::all(&kernel);
    if let Err(error) = &rehearsed
        && !matches!(error, KernelError::Feature(FeatureError::NotRoot(_)))
    {
        checks.push(Check {
            name: "programs",
            state: State::Missing,
            found: error.to_string(),
            lost: "everything".to_owned(),
            step: String::new(),
        });
    }
    let (hooks, verified) = rehearsed.unwrap_or_default();
    checks.extend(checks::of_programs(&hooks));
    // What stands in for another is not tried beside it.
    let tried = hooks.iter().filter(|state| state.hook.attach != Attach::OpenExits || state.reason.is_none());
    let programs: Vec<Program> = tried
        .map(|state| Program {
            name: state.hook.name,
            loads: state.reason.is_none(),
            reason: state.reason.clone(),
            verified: verified.iter().find(|(name, _)| name == state.hook.name).map(|(_, count)| *count),
        })
        .collect();
    let reach = reach(&hooks);
    Diagnosis { version: env!("CARGO_PKG_VERSION"), kernel, machine, can: can(&reach), reach, checks, programs }
}

type Rehearsed = (Vec<HookState>, Vec<(String, u32)>);

/// Loads every program there is.
fn rehearse() -> Result<Rehearsed, KernelError> {
    let mut kernel = Kernel::load(&Options {
        enforce: false,
        scope: Scope::Host,
        without_lsm: None,
        learn: false,
        dns_names: true,
        forward: true,
        unattended: 0,
        repeat_seconds: crate::config::REPEAT_SECONDS,
        demand: Demand::ALL,
        btf: VMLINUX.into(),
    })?;
    kernel.rehearse()?;
    Ok((kernel.hooks.clone(), kernel.verified()))
}

/// Whether a hook is missed: not one that stands in for another, and not one that a kernel does without.
fn missed(state: &HookState) -> bool {
    let spared = match state.hook.attach {
        Attach::OpenExits => true,
        _ => state.hook.name == FILE_TRUNCATE && state.reason.as_deref() == Some(NO_SUCH_HOOK),
    };
    state.reason.is_some() && !spared
}

fn reach(hooks: &[HookState]) -> Vec<Reach> {
    let families = [Family::Exec, Family::File, Family::Egress, Family::Process, Family::Names];
    families.into_iter().filter(|_| !hooks.is_empty()).map(|family| of_family(family, hooks)).collect()
}

fn of_family(family: Family, hooks: &[HookState]) -> Reach {
    let own = || hooks.iter().filter(|state| state.hook.family == family);
    let missing: Vec<&'static str> = own().filter(|state| missed(state)).map(|state| state.hook.name).collect();
    let refuses = own().any(|state| state.reason.is_none() && state.hook.refuses);
    // An exec that succeeds is reported by the process table.
    let reports = |state: &HookState| {
        state.hook.family == family || (family == Family::Exec && state.hook.id == hook::SCHED_EXEC)
    };
    let seen = hooks.iter().any(|state| state.reason.is_none() && !state.hook.refuses && reports(state));
    let can = match (refuses, seen) {
        (true, _) if missing.is_empty() => "refuse",
        (true, _) => "partial",
        (false, true) => "report",
        (false, false) => "nothing",
    };
    Reach { what: family.as_str(), can, missing }
}

fn can(reach: &[Reach]) -> Enforcement {
    let about = |what: &str| reach.iter().find(|reach| reach.what == what).map_or("nothing", |reach| reach.can);
    let all = ["exec", "file", "egress"].map(about);
    if all.iter().all(|can| *can == "refuse") {
        Enforcement::Full
    } else if all.iter().any(|can| matches!(*can, "refuse" | "partial")) {
        Enforcement::Partial
    } else {
        Enforcement::None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::hooks::HOOKS;

    fn hooks(missing: fn(&HookState) -> bool) -> Vec<HookState> {
        let state = |hook| HookState { hook, attached: false, reason: None };
        let mut all: Vec<HookState> = HOOKS.iter().map(state).collect();
        for hook in &mut all {
            hook.reason = missing(hook).then(|| NO_SUCH_HOOK.to_owned());
        }
        all
    }

    #[test]
    fn a_host_that_takes_all_can_do_all() {
        let all = reach(&hooks(|state| state.hook.attach == Attach::OpenExits || state.hook.name == FILE_TRUNCATE));
        assert_eq!(can(&all), Enforcement::Full);
        let named = |what: &str| all.iter().find(|reach| reach.what == what).map(|reach| reach.can);
        assert_eq!((named("process"), named("names")), (Some("refuse"), Some("report")));
    }

    #[test]
    fn without_lsm_programs_only_egress_is_refused() {
        let all = reach(&hooks(|state| state.hook.attach == Attach::Lsm));
        assert_eq!(can(&all), Enforcement::Partial);
        let cans: Vec<&str> = all.iter().map(|reach| reach.can).collect();
        assert_eq!(cans, ["report", "report", "partial", "report", "report"]);
        assert!(all[2].missing.contains(&"socket_create"));
    }

    #[test]
    fn a_host_that_takes_nothing_can_do_nothing() {
        assert_eq!(can(&reach(&[])), Enforcement::None);
        assert_eq!(can(&reach(&hooks(|_| true))), Enforcement::None);
    }
}
