//! The BPF programs, maps and links that exist in the kernel, by id, through bpf(2) alone.
//!
//! Invariant: reads only. Works without bpftool and without the loader under test, so that it can judge both.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
};

use anyhow::{Context, Result};

/// A kind of kernel object with ids of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A BPF program.
    Program,
    /// A BPF map.
    Map,
    /// A BPF link.
    Link,
}

impl Kind {
    const ALL: [Kind; 3] = [Kind::Program, Kind::Map, Kind::Link];

    /// The bpf(2) commands that give the next id, and a descriptor for an id.
    fn commands(self) -> (libc::c_int, libc::c_int) {
        match self {
            Kind::Program => (11, 13),
            Kind::Map => (12, 14),
            Kind::Link => (31, 30),
        }
    }

    /// Where the name is in the kernel's info struct; links have none.
    fn name_offset(self) -> Option<usize> {
        match self {
            Kind::Program => Some(64),
            Kind::Map => Some(24),
            Kind::Link => None,
        }
    }

    /// What /proc/PID/fdinfo calls the id.
    fn fdinfo_key(self) -> &'static str {
        match self {
            Kind::Program => "prog_id:",
            Kind::Map => "map_id:",
            Kind::Link => "link_id:",
        }
    }
}

/// An object's kind and id.
pub type Id = (Kind, u32);

const OBJ_GET_INFO_BY_FD: libc::c_int = 15;
const ENABLE_STATS: libc::c_int = 32;

/// `union bpf_attr`, as far as the commands here read it.
#[repr(C, align(8))]
pub(super) struct Attr {
    pub(super) words: [u32; 32],
}

pub(super) fn bpf(command: libc::c_int, attr: &mut Attr) -> io::Result<libc::c_int> {
    // SAFETY: `attr` is as large as the size passed and outlives the call; pointers inside it are set by `info`
    // and `maps` alone, which keep what they point to alive and as large as the kernel reads and writes. The kernel requires unused bytes to be zero, which `Attr` is made with.
    let returned = unsafe { libc::syscall(libc::SYS_bpf, command, &raw mut *attr, size_of::<Attr>()) };
    libc::c_int::try_from(returned).ok().filter(|value| *value >= 0).ok_or_else(io::Error::last_os_error)
}

/// Every object in the kernel now.
pub fn all() -> Result<BTreeSet<Id>> {
    let mut found = BTreeSet::new();
    for kind in Kind::ALL {
        let mut attr = Attr { words: [0; 32] };
        loop {
            match bpf(kind.commands().0, &mut attr) {
                Ok(_) => {}
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => break,
                Err(error) => return Err(error).with_context(|| format!("listing BPF objects ({kind:?})")),
            }
            let id = attr.words[1];
            found.insert((kind, id));
            attr = Attr { words: [0; 32] };
            attr.words[0] = id;
        }
    }
    Ok(found)
}

pub(super) fn open((kind, id): Id) -> io::Result<OwnedFd> {
    let mut attr = Attr { words: [0; 32] };
    attr.words[0] = id;
    let fd = bpf(kind.commands().1, &mut attr)?;
    // SAFETY: the kernel just returned this descriptor; nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The kernel's info struct of an object, 256 bytes being more than any field read here needs. `patch` sets fields that
/// the kernel reads (counts and pointers of arrays to fill).
pub(super) fn info(id: Id, patch: impl FnOnce(&mut [u8; 256])) -> io::Result<[u8; 256]> {
    let fd = open(id)?;
    let mut buffer = [0_u8; 256];
    patch(&mut buffer);
    let address = buffer.as_mut_ptr() as u64;
    let mut attr = Attr { words: [0; 32] };
    attr.words[0] = u32::try_from(fd.as_raw_fd()).map_err(io::Error::other)?;
    attr.words[1] = 256;
    attr.words[2] = (address & 0xffff_ffff) as u32;
    attr.words[3] = (address >> 32) as u32;
    bpf(OBJ_GET_INFO_BY_FD, &mut attr)?;
    Ok(buffer)
}

/// Counts runs and time of all programs while it is held (since 5.8).
#[derive(Debug)]
pub struct RunStats {
    _enabled: OwnedFd,
}

impl RunStats {
    /// Begins.
    pub fn enable() -> io::Result<Self> {
        // The one kind of statistics there is has the number 0.
        let fd = bpf(ENABLE_STATS, &mut Attr { words: [0; 32] })?;
        // SAFETY: the kernel just returned this descriptor; nothing else owns it.
        Ok(Self { _enabled: unsafe { OwnedFd::from_raw_fd(fd) } })
    }

    /// Nanoseconds and runs so far of the newest program of this name.
    pub fn of(&self, name: &str) -> Result<(u64, u64)> {
        let programs = all()?.into_iter().filter(|(kind, _)| *kind == Kind::Program);
        let mut infos = programs.filter_map(|id| info(id, |_| ()).ok()).filter(|info| name_of(&info[64..80]) == name);
        let info = infos.next_back().with_context(|| format!("no program is named {name}"))?;
        let number = |at: usize| info[at..at + 8].try_into().map(u64::from_ne_bytes);
        Ok((number(192)?, number(200)?))
    }
}

fn name_of(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// `map 12 BLOCKLIST`, for messages.
pub fn describe(id: Id) -> String {
    let (kind, number) = id;
    let name = kind.name_offset().and_then(|at| {
        let buffer = info(id, |_| ()).ok()?;
        let name = buffer[at..at + 16].split(|byte| *byte == 0).next()?.to_vec();
        Some(String::from_utf8_lossy(&name).into_owned())
    });
    let kind = match kind {
        Kind::Program => "program",
        Kind::Map => "map",
        Kind::Link => "link",
    };
    format!("{kind} {number} {}", name.unwrap_or_default()).trim_end().to_owned()
}

/// The maps that a program uses.
fn maps_of(program: u32) -> Vec<u32> {
    let mut ids = vec![0_u32; 64];
    let address = ids.as_mut_ptr() as u64;
    let filled = info((Kind::Program, program), |buffer| {
        buffer[52..56].copy_from_slice(&64_u32.to_ne_bytes());
        buffer[56..64].copy_from_slice(&address.to_ne_bytes());
    });
    let Ok(buffer) = filled else { return Vec::new() };
    let count = u32::from_ne_bytes([buffer[52], buffer[53], buffer[54], buffer[55]]) as usize;
    ids.truncate(count.min(64));
    ids
}

/// The objects that a live process outside `ours` holds by descriptor, and the maps of the programs among them: another
/// tool at work on the same host, not something we left behind.
pub fn held_by_others(ours: &BTreeSet<u32>) -> BTreeSet<Id> {
    let mut held = BTreeMap::new();
    let numbered = fs::read_dir("/proc").into_iter().flatten().flatten();
    for pid in numbered.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()) {
        if ours.contains(&pid) {
            continue;
        }
        for entry in fs::read_dir(format!("/proc/{pid}/fdinfo")).into_iter().flatten().flatten() {
            let text = fs::read_to_string(entry.path()).unwrap_or_default();
            held.extend(ids_in(&text).map(|id| (id, pid)));
        }
    }
    let programs: Vec<u32> = held.keys().filter(|(kind, _)| *kind == Kind::Program).map(|(_, id)| *id).collect();
    let maps = programs.into_iter().flat_map(maps_of).map(|id| (Kind::Map, id));
    held.into_keys().chain(maps).collect()
}

pub(super) fn ids_in(fdinfo: &str) -> impl Iterator<Item = Id> {
    fdinfo.lines().filter_map(|line| {
        let kind = Kind::ALL.into_iter().find(|kind| line.starts_with(kind.fdinfo_key()))?;
        Some((kind, line.split_whitespace().nth(1)?.parse().ok()?))
    })
}

/// Makes a small array map and gives its descriptor: something for the leftover check to find.
pub fn create_map() -> Result<OwnedFd> {
    const MAP_CREATE: libc::c_int = 0;
    const ARRAY: u32 = 2;
    let mut attr = Attr { words: [0; 32] };
    attr.words[..4].copy_from_slice(&[ARRAY, 4, 4, 1]);
    let fd = bpf(MAP_CREATE, &mut attr).context("making a BPF map")?;
    // SAFETY: the kernel just returned this descriptor; nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
