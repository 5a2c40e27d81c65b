//! Programs on network devices: every device of the host gets one on its way out, in every network namespace, new ones too.
//!
//! Invariant: a host's devices never see an enforcing program under a scope of one cgroup; Sentinel in a network namespace of
//! its own then watches that one. Loopback gets a program only while a canary proves it: what it carries does not leave.
//! No thread of the daemon's changes its namespace: those that enter one end there. By tcx, or before Linux 6.6 by `clsact.rs`.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::CStr,
    fs::File,
    io,
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
    sync::OnceLock,
};

use aya::{
    Ebpf,
    programs::{
        LinkOrder, Program, SchedClassifier, TcAttachType,
        links::{FdLink, PinnedLink},
        tc::{SchedClassifierLink, TcAttachOptions},
    },
    util::KernelVersion,
};
use rustix::{
    fd::{AsFd as _, AsRawFd as _, OwnedFd},
    thread::{LinkNameSpaceType, move_into_link_name_space},
};

use super::{KernelError, attach::Checked, chain, clsact, pins::pin_link, tc::Tc};
use crate::sockets::namespaces;

/// Frames begin with an Ethernet header (`ARPHRD_ETHER`, `ARPHRD_LOOPBACK`).
const ETHERNET: [u16; 2] = [1, 772];
/// Program for those, and for devices whose frames are IP packets.
const PROGRAMS: [&str; 2] = ["forward", "forward_ip"];
/// The loopback device.
const LOOPBACK: &str = "lo";

/// Why devices cannot be watched; `None` if they can.
pub(super) fn unavailable(scope: &Checked, wanted: bool) -> Option<String> {
    if !wanted {
        return Some("egress.forward is false in the settings".to_owned());
    }
    let others = scope.id != 0 && in_initial_namespace();
    others.then(|| "devices are not the scope cgroup's; needs --whole-host".to_owned())
}

/// Loads the programs, and attaches nothing.
pub(super) fn rehearse(ebpf: &mut Ebpf) -> Result<(), KernelError> {
    PROGRAMS
        .iter()
        .try_for_each(|name| classifier(ebpf, name)?.load().map_err(|error| failed("the device programs", &error)))
}

/// Whether a descriptor holds a program to a device, so that it ends with the process.
fn has_tcx() -> bool {
    KernelVersion::current().is_ok_and(|version| version >= KernelVersion::new(6, 6, 0))
}

/// Process that all kernel threads descend from; it is in the initial namespaces, and unlike PID 1 may be looked at.
const KERNEL_THREADS: &str = "2";

/// Whether this process is in the initial network namespace.
fn in_initial_namespace() -> bool {
    let namespace = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/net")).ok();
    // If it cannot be told, it is: the guard must hold.
    namespace(KERNEL_THREADS).is_none_or(|init| namespace("self").is_none_or(|own| own == init))
}

/// A device: inode number of its network namespace, interface index, name.
type Device = (u64, u32, String);

/// What holds the program to a device.
enum Watch {
    /// A link of this process.
    Link { _held: SchedClassifierLink },
    /// A link that is pinned, so that it outlives this process.
    Pinned(PinnedLink),
    /// Nothing but the device.
    Device,
}

impl Watch {
    /// The device is gone: the pin of its link is of no use.
    fn forget(self) {
        if let Self::Pinned(link) = self
            && let Err(error) = link.unpin()
        {
            tracing::debug!("the pin of a device that is gone: {error}");
        }
    }
}

/// The devices that are watched.
#[derive(Default)]
pub(super) struct Devices {
    watched: BTreeMap<Device, Watch>,
    /// Those that cannot be, and why.
    refused: BTreeMap<Device, String>,
    loopback: Option<(u32, Watch)>,
    /// Ids of the programs.
    programs: Vec<u32>,
    /// Where links are pinned, if they are.
    pub(super) pins: Option<PathBuf>,
    /// Whether filters stay when this ends.
    stays: bool,
}

/// What a visit of namespaces came to.
#[derive(Default)]
struct Visit {
    present: BTreeSet<Device>,
    failed: Option<KernelError>,
    new: usize,
}

impl Devices {
    /// Loads both programs, so that a new device only needs to be attached to, and tries one on loopback where the kernel may
    /// lack what it takes.
    pub(super) fn load(&mut self, ebpf: &mut Ebpf) -> Result<(), KernelError> {
        for name in PROGRAMS {
            let failed = |error| failed("the device programs", &error);
            let program = classifier(ebpf, name)?;
            program.load().map_err(failed)?;
            self.programs.push(program.info().map_err(failed)?.id());
        }
        if has_tcx() {
            return Ok(());
        }
        self.loopback(ebpf, true)?;
        self.loopback(ebpf, false)
    }

    /// Attaches to devices that are new, in every network namespace or in this one; forgets those that are gone. How many
    /// are new, or the first that newly failed, after all others.
    pub(super) fn sync(&mut self, ebpf: &mut Ebpf, everywhere: bool) -> Result<usize, KernelError> {
        let mut visit = Visit::default();
        let own = own_namespace();
        if everywhere {
            namespaces::each(|namespace| {
                inside(namespace, |inode| self.visit(ebpf, inode, &mut visit));
                true
            });
        } else {
            self.visit(ebpf, own, &mut visit);
        }
        let there = |device: &Device| (!everywhere && device.0 != own) || visit.present.contains(device);
        let gone: Vec<Device> = self.watched.keys().filter(|device| !there(device)).cloned().collect();
        gone.iter().filter_map(|device| self.watched.remove(device)).for_each(Watch::forget);
        self.refused.retain(|device, _| there(device));
        visit.failed.map_or(Ok(visit.new), Err)
    }

    fn visit(&mut self, ebpf: &mut Ebpf, inode: u64, visit: &mut Visit) {
        let (devices, mut tc) = match names().and_then(|devices| Ok((devices, tools()?))) {
            Ok(both) => both,
            Err(error) => {
                visit.failed.get_or_insert(failed("the devices of a namespace", &error));
                return;
            }
        };
        for (index, name) in devices.into_iter().filter(|(_, name)| name != LOOPBACK) {
            let device = (inode, index, name);
            visit.present.insert(device.clone());
            if self.watched.contains_key(&device) && self.holds(tc.as_mut(), &device) {
                continue;
            }
            match self.attach(ebpf, tc.as_mut(), (inode, index), &device.2) {
                Ok(watch) => {
                    self.refused.remove(&device);
                    self.watched.insert(device, watch);
                    visit.new += 1;
                }
                Err(error) => self.refuse(device, error, visit),
            }
        }
    }

    /// Whether the program is still on a device. Links stay; a filter goes with its qdisc, which any tool may take away.
    fn holds(&self, tc: Option<&mut Tc>, device: &Device) -> bool {
        let there = tc.is_none_or(|tc| clsact::watches(tc, device.1, &self.programs).unwrap_or(false));
        if !there {
            tracing::warn!("somebody took the filter off {}: packets could leave unseen", device.2);
        }
        there
    }

    fn refuse(&mut self, device: Device, error: KernelError, visit: &mut Visit) {
        if let Some(watch) = self.watched.remove(&device) {
            watch.forget();
        }
        // One that went away meanwhile needs no program.
        let gone = names().is_ok_and(|all| !all.contains(&(device.1, device.2.clone())));
        let text = error.to_string();
        if !gone && self.refused.insert(device, text.clone()).as_ref() != Some(&text) {
            visit.failed.get_or_insert(error);
        }
    }

    /// First in the device's list: a program in front of it could let a packet out.
    fn attach(
        &self,
        ebpf: &mut Ebpf,
        tc: Option<&mut Tc>,
        (namespace, index): (u64, u32),
        device: &str,
    ) -> Result<Watch, KernelError> {
        let ethernet = hardware_type(device).map_err(|error| failed(device, &error))?;
        let program = classifier(ebpf, PROGRAMS[usize::from(!ETHERNET.contains(&ethernet))])?;
        let Some(tc) = tc else {
            let first = TcAttachOptions::TcxOrder(LinkOrder::first());
            let link = program.attach_with_options(device, TcAttachType::Egress, first);
            let link = link.and_then(|id| program.take_link(id)).map_err(|error| failed(device, &error))?;
            // What loopback carries does not leave: it is watched only while a canary runs.
            let Some(pins) = self.pins.as_ref().filter(|_| device != LOOPBACK) else {
                return Ok(Watch::Link { _held: link });
            };
            let link = FdLink::try_from(link).map_err(|error| failed(device, &error))?;
            return pin_link(pins, &format!("forward_{namespace}_{index}"), link).map(Watch::Pinned);
        };
        // A device that was renamed has it already.
        let there = clsact::watches(tc, index, &self.programs).map_err(|error| failed(device, &error))?;
        if !there {
            clsact::watch(tc, program, index, device).map_err(|error| failed(device, &error))?;
        }
        Ok(Watch::Device)
    }

    /// Puts loopback under the program while a canary runs, or takes it out again.
    pub(super) fn loopback(&mut self, ebpf: &mut Ebpf, on: bool) -> Result<(), KernelError> {
        let failed = |error: &dyn std::error::Error| failed(LOOPBACK, error);
        let mut tc = tools().map_err(|error| failed(&error))?;
        let before = self.loopback.take();
        if let (Some((index, _)), Some(tc)) = (before, tc.as_mut()) {
            clsact::unwatch(tc, index, &|id| self.programs.contains(&id)).map_err(|error| failed(&error))?;
        }
        if on {
            let devices = names().map_err(|error| failed(&error))?;
            let index = devices.into_iter().find(|(_, name)| name == LOOPBACK).map_or(1, |(index, _)| index);
            self.loopback = Some((index, self.attach(ebpf, tc.as_mut(), (0, index), LOOPBACK)?));
        }
        Ok(())
    }

    /// How many devices are watched.
    pub(super) fn count(&self) -> usize {
        self.watched.len()
    }

    /// Which devices are not, and why.
    pub(super) fn refused(&self) -> Option<String> {
        let reason = self.refused.values().next()?;
        let others = self.refused.len() - 1;
        Some(if others == 0 { reason.clone() } else { format!("{reason}; and {others} more devices") })
    }

    /// Leaves the program on every device when this ends.
    pub(super) const fn stay(&mut self) {
        self.stays = true;
    }

    /// Takes the program off every device. What could not be done.
    pub(super) fn detach(&mut self) -> Vec<String> {
        let mut namespaces: BTreeSet<u64> =
            std::mem::take(&mut self.watched).into_keys().map(|device| device.0).collect();
        if self.loopback.take().is_some() {
            namespaces.insert(own_namespace());
        }
        let mut left = Vec::new();
        if has_tcx() || namespaces.is_empty() {
            return left;
        }
        namespaces::each(|namespace| {
            if namespace.metadata().is_ok_and(|meta| namespaces.remove(&meta.ino())) {
                inside(namespace, |_| {
                    unwatch_all(&|id| self.programs.contains(&id), &mut left);
                });
            }
            !namespaces.is_empty()
        });
        left
    }
}

impl Drop for Devices {
    fn drop(&mut self) {
        if self.stays || std::thread::panicking() {
            return;
        }
        for left in self.detach() {
            tracing::error!("{left}");
        }
    }
}

/// Takes off all devices what a Sentinel left that was killed, and whose programs therefore no process holds.
pub fn clean() {
    if has_tcx() {
        return;
    }
    let held = OnceLock::new();
    let dead = |id| !held.get_or_init(clsact::held_programs).contains(&id);
    let mut left = Vec::new();
    namespaces::each(|namespace| {
        inside(namespace, |inode| {
            let removed = unwatch_all(&dead, &mut left);
            if removed > 0 {
                tracing::info!(
                    "{removed} filters of a Sentinel that was killed are removed, network namespace {inode}"
                );
            }
        });
        true
    });
    for left in left {
        tracing::error!("{left}");
    }
}

/// Takes filters whose program `goes` off all devices of this thread's namespace; how many there were.
fn unwatch_all(goes: &dyn Fn(u32) -> bool, left: &mut Vec<String>) -> usize {
    let all = names().and_then(|devices| Ok((devices, Tc::open().map_err(io::Error::other)?)));
    let (devices, mut tc) = match all {
        Ok(all) => all,
        Err(error) => {
            left.push(format!("filters on the devices of a network namespace: {error}"));
            return 0;
        }
    };
    let mut removed = 0;
    for (index, name) in devices {
        match clsact::unwatch(&mut tc, index, goes) {
            Ok(found) => removed += usize::from(found),
            Err(error) if names().is_ok_and(|all| all.contains(&(index, name.clone()))) => {
                left.push(format!("a filter may be left on {name}: {error}; see: tc filter show dev {name} egress"));
            }
            Err(_) => {}
        }
    }
    removed
}

/// Runs in a namespace, on a thread that ends there.
fn inside(namespace: &File, act: impl FnOnce(u64) + Send) {
    let inode = namespace.metadata().map_or(0, |meta| meta.ino());
    let entered = std::thread::scope(|scope| {
        let inside = scope.spawn(|| {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
            act(inode);
            io::Result::Ok(())
        });
        inside.join()
    });
    match entered {
        Ok(Ok(())) => {}
        // One that ended meanwhile has no devices any more.
        Ok(Err(error)) => tracing::debug!("network namespace {inode}: {error}"),
        Err(_) => tracing::error!("network namespace {inode}: the visit panicked"),
    }
}

/// What programs are attached with where there is no tcx, for this thread's namespace.
fn tools() -> io::Result<Option<Tc>> {
    if has_tcx() { Ok(None) } else { Tc::open().map(Some).map_err(io::Error::other) }
}

fn own_namespace() -> u64 {
    std::fs::metadata("/proc/self/ns/net").map_or(0, |meta| meta.ino())
}

fn classifier<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut SchedClassifier, KernelError> {
    match super::program(ebpf, name)? {
        Program::SchedClassifier(program) => Ok(program),
        other => Err(KernelError::Load { what: name.to_owned(), reason: format!("it is a {:?}", other.prog_type()) }),
    }
}

fn failed(place: &str, error: &dyn std::error::Error) -> KernelError {
    KernelError::Attach { hook: "forward".to_owned(), place: place.to_owned(), reason: chain(error) }
}

/// Index and name of every device.
fn names() -> io::Result<Vec<(u32, String)>> {
    // SAFETY: the list is ended by an element without a name and freed by its own function.
    unsafe {
        let list = libc::if_nameindex();
        if list.is_null() {
            return Err(io::Error::last_os_error());
        }
        let mut names = Vec::new();
        let mut at = list;
        while !(*at).if_name.is_null() {
            names.push(((*at).if_index, CStr::from_ptr((*at).if_name).to_string_lossy().into_owned()));
            at = at.add(1);
        }
        libc::if_freenameindex(list);
        Ok(names)
    }
}

/// `ARPHRD_` number of a device.
fn hardware_type(device: &str) -> io::Result<u16> {
    use rustix::net::{AddressFamily, SocketType, socket};
    let socket: OwnedFd = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    // SAFETY: all zeroes is a valid request.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    let room = request.ifr_name.len() - 1;
    for (to, from) in request.ifr_name.iter_mut().zip(device.bytes().take(room)) {
        *to = from as libc::c_char;
    }
    // SAFETY: the request is valid and outlives the call; its name is ended by NUL.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFHWADDR, &raw mut request) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has filled this member in.
    Ok(unsafe { request.ifr_ifru.ifru_hwaddr.sa_family })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_listed_and_has_ethernet_frames() {
        assert!(names().unwrap().iter().any(|(_, name)| name == LOOPBACK));
        assert!(ETHERNET.contains(&hardware_type(LOOPBACK).unwrap()));
        assert!(hardware_type("no-such-device").is_err());
    }
}
