//! Which events are told again when they are repeats.
//!
//! Not here: what a repeat is, which the kernel programs say.

use aya::{
    Ebpf,
    maps::{Array, MapData, MapError},
};
use sentinel_common::repeat;

use super::{
    KernelError,
    plain::{Plain, plain},
    verdicts::take,
};
use crate::clock;

plain!(repeat::Repeats);

/// The settings map of the programs.
pub struct Repeats(Array<MapData, Plain<repeat::Repeats>>);

impl Repeats {
    /// Takes the map out of a loaded object.
    ///
    /// # Errors
    ///
    /// [`KernelError::Map`] if it is missing.
    pub fn new(ebpf: &mut Ebpf) -> Result<Self, KernelError> {
        Ok(Self(take!(ebpf, "REPEATS")))
    }

    /// From now on a repeat is told after `refresh` nanoseconds (0: always), and of the kinds in `every` each one. What was
    /// told before is told again.
    ///
    /// # Errors
    ///
    /// [`KernelError::Map`] if the kernel refuses the change.
    pub fn set(&mut self, refresh: u64, every: u64) -> Result<(), KernelError> {
        let settings = repeat::Repeats { refresh, every, names: clock::boot_now() };
        self.0
            .set(0, Plain(settings), 0)
            .map_err(|error| KernelError::Map { map: "REPEATS", reason: super::chain(&error) })
    }
}
