//! The country table in the kernel: filled aside, then switched to.
//!
//! Invariants: a copy that programs may be reading is never changed; a copy that could not be filled is never switched to, so
//! the old one stays in force. The switch itself is one word in the state map, which `verdicts` writes.

use std::os::fd::{AsFd as _, AsRawFd as _};

use aya::{
    Ebpf, Pod,
    maps::{Array, ArrayOfMaps, IterableMap as _, MapData, MapError},
};
use geoip::TableImage;
use sentinel_common::{
    geo::{Class, ClassRules, Node, ROOT_BLOCK, RUN_BLOCK, Tail},
    verdict::bank,
};

use super::{
    KernelError,
    plain::{Plain, plain},
    verdicts::take,
};

/// `BPF_F_INNER_MAP`: the arrays in one slot differ in size.
const ANY_SIZE: u32 = 1 << 12;
/// `BPF_MAP_UPDATE_BATCH`, since 5.6.
const UPDATE_BATCH: libc::c_long = 26;

plain!([u32; ROOT_BLOCK], Node, [Class; RUN_BLOCK], Tail, ClassRules);

/// Two slots for arrays of one kind.
type Banks<T> = ArrayOfMaps<MapData, Array<MapData, Plain<T>>>;

/// The maps of the table.
pub(super) struct GeoMaps {
    roots: Banks<[u32; ROOT_BLOCK]>,
    nodes: Banks<Node>,
    runs: Banks<[Class; RUN_BLOCK]>,
    tails: Banks<Tail>,
    rules: Banks<ClassRules>,
    /// [`bank`] bits that are in force.
    word: u64,
    /// Bytes of the arrays in force.
    bytes: usize,
}

impl GeoMaps {
    pub(super) fn new(ebpf: &mut Ebpf) -> Result<Self, KernelError> {
        Ok(Self {
            roots: take!(ebpf, "GEO_ROOTS"),
            nodes: take!(ebpf, "GEO_NODES"),
            runs: take!(ebpf, "GEO_RUNS"),
            tails: take!(ebpf, "GEO_TAILS"),
            rules: take!(ebpf, "GEO_RULES"),
            word: 0,
            bytes: 0,
        })
    }

    /// [`bank`] bits that are in force.
    pub(super) const fn word(&self) -> u64 {
        self.word
    }

    /// Kernel memory of the table, bytes.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Fills the copies that are not in force; the [`bank`] bits that put them in force, for [`GeoMaps::switched`].
    pub(super) fn fill(&mut self, image: Option<&TableImage>, rules: &[ClassRules]) -> Result<u64, KernelError> {
        let mut word = self.word ^ bank::RULES;
        let slot = u32::from(word & bank::RULES != 0);
        put(&mut self.rules, slot, rules, "GEO_RULES")?;
        if let Some(image) = image {
            word ^= bank::GEO;
            let slot = u32::from(word & bank::GEO != 0);
            put(&mut self.roots, slot, &blocks(&image.roots), "GEO_ROOTS")?;
            put(&mut self.nodes, slot, &image.nodes, "GEO_NODES")?;
            put(&mut self.runs, slot, &blocks(&image.runs), "GEO_RUNS")?;
            put(&mut self.tails, slot, &image.tails, "GEO_TAILS")?;
            self.bytes = image.bytes();
        }
        Ok(word)
    }

    /// The state names these copies now: the memory of the others is given back.
    pub(super) fn switched(&mut self, word: u64) -> Result<(), KernelError> {
        let changed = self.word ^ word;
        self.word = word;
        let slot = |bit| u32::from(word & bit == 0);
        if changed & bank::RULES != 0 {
            put(&mut self.rules, slot(bank::RULES), &[], "GEO_RULES")?;
        }
        if changed & bank::GEO != 0 {
            put(&mut self.roots, slot(bank::GEO), &[], "GEO_ROOTS")?;
            put(&mut self.nodes, slot(bank::GEO), &[], "GEO_NODES")?;
            put(&mut self.runs, slot(bank::GEO), &[], "GEO_RUNS")?;
            put(&mut self.tails, slot(bank::GEO), &[], "GEO_TAILS")?;
        }
        Ok(())
    }
}

/// Cuts a list into map values; the last one is filled up with zeros.
fn blocks<T: Copy + Default, const N: usize>(list: &[T]) -> Vec<[T; N]> {
    let block = |part: &[T]| {
        let mut block = [T::default(); N];
        block[..part.len()].copy_from_slice(part);
        block
    };
    list.chunks(N).map(block).collect()
}

/// Makes an array of these values and puts it into a slot.
fn put<T: Copy>(banks: &mut Banks<T>, slot: u32, values: &[T], name: &'static str) -> Result<(), KernelError>
where
    Plain<T>: Pod,
{
    let failed = |error: MapError| KernelError::Map { map: name, reason: super::chain(&error) };
    let length = u32::try_from(values.len().max(1))
        .map_err(|_| KernelError::Map { map: name, reason: "the country table is too large".to_owned() })?;
    let array = Array::<MapData, Plain<T>>::create(length, ANY_SIZE).map_err(failed)?;
    fill(&array, values).map_err(|error| KernelError::Map { map: name, reason: format!("filling it: {error}") })?;
    banks.set(slot, &array, 0).map_err(failed)
}

/// `union bpf_attr` of `BPF_MAP_UPDATE_BATCH`.
#[repr(C)]
struct Batch {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map_fd: u32,
    elem_flags: u64,
    flags: u64,
}

/// Writes all values with one system call: one for each would take longer than everything else at start.
fn fill<T: Copy>(array: &Array<MapData, Plain<T>>, values: &[T]) -> std::io::Result<()>
where
    Plain<T>: Pod,
{
    if values.is_empty() {
        return Ok(());
    }
    let count = values.len() as u32;
    let keys: Vec<u32> = (0..count).collect();
    let attr = Batch {
        in_batch: 0,
        out_batch: 0,
        keys: keys.as_ptr() as u64,
        values: values.as_ptr() as u64,
        count,
        map_fd: array.map().fd().as_fd().as_raw_fd() as u32,
        elem_flags: 0,
        flags: 0,
    };
    // SAFETY: keys and values hold `count` elements of the sizes that the map was created with, and outlive the call.
    let result = unsafe { libc::syscall(libc::SYS_bpf, UPDATE_BATCH, &raw const attr, size_of::<Batch>()) };
    if result == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_block_is_filled_up() {
        assert_eq!(blocks::<u16, 4>(&[1, 2, 3, 4, 5]), [[1, 2, 3, 4], [5, 0, 0, 0]]);
        assert_eq!(blocks::<u16, 4>(&[]), [[0; 4]; 0]);
    }
}
