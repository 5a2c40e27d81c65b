//! Programs on network devices: every device of the host gets one on its way out, in every network namespace, new ones too.
//!
//! Invariant: a host's devices never see an enforcing program under a scope of one cgroup; Sentinel in a network namespace of
//! its own then watches that one. Loopback gets a program only while a canary proves it: what it carries does not leave.
//! No thread of the daemon's changes its namespace: those that enter one end there.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::CStr,
    fs::File,
    io,
    os::unix::fs::MetadataExt as _,
};

use aya::{
    Ebpf,
    programs::{
        LinkOrder, Program, SchedClassifier, TcAttachType,
        tc::{SchedClassifierLink, TcAttachOptions},
    },
    util::KernelVersion,
};
use rustix::{
    fd::{AsFd as _, AsRawFd as _, OwnedFd},
    thread::{LinkNameSpaceType, move_into_link_name_space},
};

use super::{KernelError, attach::Checked, chain};
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
    if scope.id != 0 && in_initial_namespace() {
        return Some("devices are not the scope cgroup's; needs --whole-host".to_owned());
    }
    let old = KernelVersion::current().is_ok_and(|version| version < KernelVersion::new(6, 6, 0));
    old.then(|| "needs tcx (Linux 6.6)".to_owned())
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

/// Links to devices.
#[derive(Default)]
pub(super) struct Devices {
    links: BTreeMap<Device, SchedClassifierLink>,
    loopback: Option<SchedClassifierLink>,
}

/// What a visit of namespaces came to.
#[derive(Default)]
struct Visit {
    present: BTreeSet<Device>,
    failed: Option<KernelError>,
    new: usize,
}

impl Devices {
    /// Attaches to devices that are new, in every network namespace or in this one; forgets those that are gone. How many
    /// are new, or the first that failed, after all others.
    pub(super) fn sync(&mut self, ebpf: &mut Ebpf, everywhere: bool) -> Result<usize, KernelError> {
        let mut visit = Visit::default();
        let own = own_namespace();
        if everywhere {
            namespaces::each(|namespace| {
                self.visit_other(ebpf, namespace, &mut visit);
                true
            });
            self.links.retain(|device, _| visit.present.contains(device));
        } else {
            self.visit(ebpf, own, &mut visit);
            self.links.retain(|device, _| device.0 != own || visit.present.contains(device));
        }
        visit.failed.map_or(Ok(visit.new), Err)
    }

    /// Visits a namespace on a thread that ends there.
    fn visit_other(&mut self, ebpf: &mut Ebpf, namespace: &File, visit: &mut Visit) {
        let inode = namespace.metadata().map_or(0, |meta| meta.ino());
        let entered = std::thread::scope(|scope| {
            let inside = scope.spawn(|| {
                move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
                self.visit(ebpf, inode, visit);
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

    fn visit(&mut self, ebpf: &mut Ebpf, inode: u64, visit: &mut Visit) {
        let devices = match names() {
            Ok(devices) => devices,
            Err(error) => {
                visit.failed.get_or_insert(failed("the devices of a namespace", &error));
                return;
            }
        };
        for (index, name) in devices.into_iter().filter(|(_, name)| name != LOOPBACK) {
            let device = (inode, index, name);
            visit.present.insert(device.clone());
            if self.links.contains_key(&device) {
                continue;
            }
            match attach(ebpf, &device.2) {
                Ok(link) => {
                    self.links.insert(device, link);
                    visit.new += 1;
                }
                Err(error) => {
                    visit.failed.get_or_insert(error);
                }
            }
        }
    }

    /// Puts loopback under the program while a canary runs, or takes it out again.
    pub(super) fn loopback(&mut self, ebpf: &mut Ebpf, on: bool) -> Result<(), KernelError> {
        self.loopback = None;
        if on {
            self.loopback = Some(attach(ebpf, LOOPBACK)?);
        }
        Ok(())
    }

    /// How many devices are watched.
    pub(super) fn count(&self) -> usize {
        self.links.len()
    }
}

fn own_namespace() -> u64 {
    std::fs::metadata("/proc/self/ns/net").map_or(0, |meta| meta.ino())
}

/// Loads both programs, so that a new device only needs a link.
pub(super) fn load(ebpf: &mut Ebpf) -> Result<(), KernelError> {
    PROGRAMS.iter().try_for_each(|name| {
        let program = classifier(ebpf, name)?;
        program.load().map_err(|error| failed("the device programs", &error))
    })
}

fn classifier<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut SchedClassifier, KernelError> {
    match super::program(ebpf, name)? {
        Program::SchedClassifier(program) => Ok(program),
        other => Err(KernelError::Load { what: name.to_owned(), reason: format!("it is a {:?}", other.prog_type()) }),
    }
}

/// First in the device's list: a program in front of it could let a packet out.
fn attach(ebpf: &mut Ebpf, device: &str) -> Result<SchedClassifierLink, KernelError> {
    let ethernet = hardware_type(device).map_err(|error| failed(device, &error))?;
    let name = PROGRAMS[usize::from(!ETHERNET.contains(&ethernet))];
    let program = classifier(ebpf, name)?;
    let first = TcAttachOptions::TcxOrder(LinkOrder::first());
    let link = program
        .attach_with_options(device, TcAttachType::Egress, first)
        .and_then(|id| program.take_link(id))
        .map_err(|error| failed(device, &error))?;
    Ok(link)
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
