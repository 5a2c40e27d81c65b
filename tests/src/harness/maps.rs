//! Values of a running daemon's BPF maps, read and changed past the daemon: to see whether it notices.
//!
//! Invariant: only maps that the given process holds are touched, so another Sentinel on the host is not disturbed. Uses
//! bpf(2) alone, as `objects` does.

use std::{fs, os::fd::AsRawFd as _};

use anyhow::{Context, Result, ensure};

use super::objects::{self, Kind};

const MAP_LOOKUP_ELEM: libc::c_int = 1;
const MAP_UPDATE_ELEM: libc::c_int = 2;

/// An array map.
pub struct Map {
    fd: std::os::fd::OwnedFd,
    /// Bytes of a value.
    pub value_size: usize,
    /// How many values.
    pub entries: u32,
}

impl Map {
    fn open(id: u32) -> Result<Self> {
        let info = objects::info((Kind::Map, id), |_| ()).with_context(|| format!("asking about map {id}"))?;
        let word = |at: usize| u32::from_ne_bytes([info[at], info[at + 1], info[at + 2], info[at + 3]]);
        let fd = objects::open((Kind::Map, id)).with_context(|| format!("opening map {id}"))?;
        Ok(Self { fd, value_size: word(12) as usize, entries: word(16) })
    }

    /// The arrays in the slots of an array of maps that a process holds; in the kernel names have 15 letters.
    pub fn inner(pid: u32, name: &str) -> Result<Vec<Self>> {
        let outer = Self::held(pid, name)?;
        (0..outer.entries)
            .map(|slot| {
                let id = outer.get(slot)?;
                Self::open(u32::from_ne_bytes([id[0], id[1], id[2], id[3]]))
            })
            .collect()
    }

    /// The map of this name that a process holds.
    fn held(pid: u32, name: &str) -> Result<Self> {
        let directory = format!("/proc/{pid}/fdinfo");
        for entry in fs::read_dir(&directory).with_context(|| format!("reading {directory}"))? {
            let text = fs::read_to_string(entry?.path()).unwrap_or_default();
            for id in objects::ids_in(&text).filter(|id| id.0 == Kind::Map) {
                if objects::describe(id).ends_with(&format!(" {name}")) {
                    return Self::open(id.1);
                }
            }
        }
        anyhow::bail!("process {pid} holds no map {name}")
    }

    /// A value.
    pub fn get(&self, key: u32) -> Result<Vec<u8>> {
        let mut value = vec![0; self.value_size];
        self.element(MAP_LOOKUP_ELEM, key, &mut value).with_context(|| format!("reading value {key}"))?;
        Ok(value)
    }

    /// All values.
    pub fn all(&self) -> Result<Vec<Vec<u8>>> {
        (0..self.entries).map(|key| self.get(key)).collect()
    }

    /// Changes a value.
    pub fn set(&self, key: u32, value: &[u8]) -> Result<()> {
        ensure!(value.len() == self.value_size, "a value has {} bytes", self.value_size);
        self.element(MAP_UPDATE_ELEM, key, &mut value.to_vec()).with_context(|| format!("changing value {key}"))
    }

    fn element(&self, command: libc::c_int, key: u32, value: &mut [u8]) -> Result<()> {
        let mut attr = objects::Attr { words: [0; 32] };
        let halves = |address: u64| [(address & 0xffff_ffff) as u32, (address >> 32) as u32];
        attr.words[0] = u32::try_from(self.fd.as_raw_fd())?;
        attr.words[2..4].copy_from_slice(&halves(&raw const key as u64));
        attr.words[4..6].copy_from_slice(&halves(value.as_mut_ptr() as u64));
        objects::bpf(command, &mut attr)?;
        Ok(())
    }
}
