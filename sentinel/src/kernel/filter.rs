//! The part of the verdict maps that says which names there are entries for. Owned by [`super::verdicts::Verdicts`].
//!
//! Invariant: a name that has an entry in force has its bit. An entry whose bit is not set yet is not in force yet; one that stays
//! keeps its bit, because a word of the map is replaced in one step.

use aya::{
    Ebpf,
    maps::{Array, MapData, MapError},
};
use sentinel_common::verdict::filter::{WORDS, bit_of};

use super::{
    KernelError,
    verdicts::{named, take},
};

/// The map and its shadow.
pub(super) struct Filter {
    map: Array<MapData, u64>,
    words: Vec<u64>,
}

impl Filter {
    /// Takes the map out of a loaded object.
    ///
    /// # Errors
    ///
    /// [`KernelError::Map`] if it is missing.
    pub(super) fn new(ebpf: &mut Ebpf) -> Result<Self, KernelError> {
        Ok(Self { map: take!(ebpf, "FILTER"), words: vec![0; WORDS as usize] })
    }

    /// Lets these names pass to the look-ups, and no others but by chance.
    ///
    /// # Errors
    ///
    /// [`KernelError::Map`] if the kernel refuses.
    pub(super) fn set<'a>(&mut self, names: impl Iterator<Item = &'a [u8]>) -> Result<(), KernelError> {
        let after = words(names);
        for (place, (before, after)) in self.words.iter_mut().zip(after).enumerate().filter(|(_, (b, a))| **b != *a) {
            self.map.set(place as u32, after, 0).map_err(named("FILTER"))?;
            *before = after;
        }
        Ok(())
    }
}

fn words<'a>(names: impl Iterator<Item = &'a [u8]>) -> Vec<u64> {
    let mut words = vec![0; WORDS as usize];
    for bit in names.map(bit_of) {
        words[bit as usize / 64] |= 1 << (bit % 64);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(words: &[u64], name: &str) -> bool {
        let bit = bit_of(name.as_bytes());
        words[bit as usize / 64] >> (bit % 64) & 1 == 1
    }

    #[test]
    fn every_name_that_is_set_passes_and_few_others() {
        let names: Vec<String> = (0..10_000).map(|n| format!("{}{n}", "long-name-".repeat(n % 4))).collect();
        let words = words(names.iter().map(|name| name.as_bytes()));
        assert!(names.iter().all(|name| passes(&words, name)));
        let others = (0..10_000).filter(|n| passes(&words, &format!("other-{n}"))).count();
        assert!(others < 300, "{others} of 10,000 other names pass");
    }

    #[test]
    fn a_name_is_told_by_its_end_and_its_length() {
        assert_ne!(bit_of(b"a"), bit_of(b"aa"));
        assert_ne!(bit_of(b"shadow"), bit_of(b"shadow-"));
        assert_eq!(bit_of(b"1-and-the-same-end"), bit_of(b"2-and-the-same-end"));
        assert_eq!(bit_of(b""), bit_of(b""));
    }
}
