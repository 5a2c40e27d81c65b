//! Programs on the devices of kernels without tcx (before 6.6): BPF filters of a clsact qdisc, in direct-action mode.
//!
//! Invariants: such a filter outlives its process, so what is added here is also taken off here, and what a killed Sentinel left
//! goes once the next start is proved. Only filters with our priority, handle and name are touched; a qdisc only if Sentinel made it and
//! no other filter uses it. That it was Sentinel is in the handle, so that the next Sentinel knows. All in this thread's namespace.

use std::{collections::BTreeSet, fs};

use aya::programs::{
    ProgramError, SchedClassifier, TcAttachType,
    tc::{NlOptions, TcAttachOptions, TcError as AyaError, qdisc_add_clsact},
};
use thiserror::Error;

use super::tc::{Direction, Filter, Tc, TcError};

/// The first that there is. Of filters with the same priority the one that was added last comes first.
const PRIORITY: u16 = 1;
/// The handle of a filter whose qdisc was there before, and of one whose qdisc Sentinel made; and the same once more, for a
/// Sentinel that finds the filter of one that was killed, which stays until the new one is proved.
const HANDLES: [u32; 4] = [0x5e47, 0x5e48, 0x5e49, 0x5e4a];

/// Whether the handle says that Sentinel made the qdisc.
fn made_qdisc(handle: u32) -> bool {
    handle == HANDLES[1] || handle == HANDLES[3]
}
/// What the filters are called.
const NAMES: [&str; 2] = ["bpf forward", "bpf forward_ip"];
/// The kind of qdisc.
const CLSACT: &str = "clsact";

/// Why a device cannot be watched.
#[derive(Debug, Error)]
pub(super) enum ClsactError {
    /// Looking at what is there.
    #[error(transparent)]
    Tc(#[from] TcError),
    /// Another Sentinel runs, or was killed after this one started; or a tool uses the same numbers.
    #[error("priority {PRIORITY} handle {handle:#x} is taken by `{name}`; remove it: {}", removal(.device, *.handle))]
    Taken {
        /// The device.
        device: String,
        /// What is there.
        name: String,
        /// Its handle.
        handle: u32,
    },
    /// The predecessor of clsact, which has no list for packets going out.
    #[error("it has a qdisc of kind {0}, beside which there can be no clsact; replace that by clsact")]
    OtherQdisc(String),
    /// No qdisc.
    #[error("no clsact qdisc could be added (kernel module sch_ingress): {}", super::chain(.0))]
    Qdisc(AyaError),
    /// No filter.
    #[error("no filter of priority {PRIORITY} could be added (kernel module cls_bpf): {}", super::chain(.0))]
    Filter(ProgramError),
}

/// The command that removes a filter.
pub(super) fn removal(device: &str, handle: u32) -> String {
    format!("tc filter del dev {device} egress pref {PRIORITY} handle {handle:#x} bpf")
}

/// Whether a filter with one of these programs is where ours belongs.
pub(super) fn watches(tc: &mut Tc, index: u32, programs: &[u32]) -> Result<bool, TcError> {
    let ours = |filter: Filter| filter.program.is_some_and(|id| programs.contains(&id));
    Ok(at_our_place(tc, index)?.into_iter().any(ours))
}

/// Adds the filter, and the qdisc where there is none.
pub(super) fn watch(tc: &mut Tc, program: &mut SchedClassifier, index: u32, device: &str) -> Result<(), ClsactError> {
    let there = at_our_place(tc, index)?;
    let held = if there.is_empty() { BTreeSet::new() } else { held_programs() };
    let attended = |filter: &&Filter| filter.program.is_none_or(|id| held.contains(&id));
    let free = HANDLES.chunks(2).find(|pair| there.iter().all(|filter| !pair.contains(&filter.handle)));
    let (Some(pair), None) = (free, there.iter().find(attended)) else {
        let taken = there.iter().find(attended).or(there.first());
        let (name, handle) = taken.map_or((String::new(), 0), |filter| (filter.name.clone(), filter.handle));
        return Err(ClsactError::Taken { device: device.to_owned(), name, handle });
    };
    let inherited = there.iter().any(|filter| made_qdisc(filter.handle));
    let made = match tc.qdisc(index)?.as_deref() {
        None => qdisc_add_clsact(device).map(|()| true).map_err(ClsactError::Qdisc)?,
        Some(CLSACT) => false,
        // What is added for packets going out would see those coming in.
        Some(other) => return Err(ClsactError::OtherQdisc(other.to_owned())),
    };
    let added = add(program, device, pair[usize::from(made || inherited)]);
    if added.is_err() && made {
        remove_unused_qdisc(tc, index)?;
    }
    added.map_err(ClsactError::Filter)
}

fn add(program: &mut SchedClassifier, device: &str, handle: u32) -> Result<(), ProgramError> {
    let options = NlOptions { priority: PRIORITY, handle: handle.into(), classid: None };
    let id = program.attach_with_options(device, TcAttachType::Egress, TcAttachOptions::Netlink(options))?;
    // Its end would remove the filter of a device with this number in whatever namespace that happens in.
    std::mem::forget(program.take_link(id)?);
    Ok(())
}

/// Takes off our filter whose program `goes`, and the qdisc that was made for it, unless others use that. Whether there was one.
pub(super) fn unwatch(tc: &mut Tc, index: u32, goes: &dyn Fn(u32) -> bool) -> Result<bool, TcError> {
    let mut found = false;
    for filter in at_our_place(tc, index)? {
        if NAMES.contains(&filter.name.as_str()) && filter.program.is_some_and(goes) {
            tc.remove_filter(index, filter.priority, filter.handle)?;
            if made_qdisc(filter.handle) {
                remove_unused_qdisc(tc, index)?;
            }
            found = true;
        }
    }
    Ok(found)
}

fn remove_unused_qdisc(tc: &mut Tc, index: u32) -> Result<(), TcError> {
    for direction in [Direction::Ingress, Direction::Egress] {
        if !tc.filters(index, direction)?.is_empty() {
            return Ok(());
        }
    }
    tc.remove_qdisc(index)
}

fn at_our_place(tc: &mut Tc, index: u32) -> Result<Vec<Filter>, TcError> {
    let mut filters = tc.filters(index, Direction::Egress)?;
    filters.retain(|filter| filter.priority == PRIORITY && HANDLES.contains(&filter.handle));
    Ok(filters)
}

/// Ids of the programs that a process has open: those of a Sentinel that runs are among them.
pub(super) fn held_programs() -> BTreeSet<u32> {
    let processes = crate::sockets::namespaces::numbered("/proc".as_ref());
    let descriptors =
        processes.flat_map(|process| fs::read_dir(process.join("fdinfo")).into_iter().flatten().flatten());
    descriptors.filter_map(|entry| program_in(&fs::read_to_string(entry.path()).ok()?)).collect()
}

/// The program that a file in /proc/PID/fdinfo is about.
fn program_in(fdinfo: &str) -> Option<u32> {
    // Links name their program too; they have a link's id besides.
    fdinfo.lines().find_map(|line| line.strip_prefix("prog_id:"))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_of_a_descriptor() {
        assert_eq!(program_in("pos:\t0\nflags:\t02\nprog_type:\t3\nprog_id:\t42\n"), Some(42));
        assert_eq!(program_in("pos:\t0\nmap_id:\t7\n"), None);
    }

    #[test]
    fn a_taken_place_says_how_to_free_it() {
        let taken = ClsactError::Taken { device: "eth0".into(), name: "bpf forward".into(), handle: HANDLES[1] };
        assert!(taken.to_string().contains("tc filter del dev eth0 egress pref 1 handle 0x5e48 bpf"), "{taken}");
    }
}
