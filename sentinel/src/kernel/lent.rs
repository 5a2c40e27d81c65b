//! The part of the verdict maps that is about entering other processes: rules that hold for some programs and not for others.
//! Owned by [`super::verdicts::Verdicts`].
//!
//! Invariants: a rule that stays keeps its slot, so that there is no moment without it; rules with the same subjects share one,
//! because who is rid of one is rid of all of them.

use std::collections::BTreeMap;

use aya::{
    Ebpf,
    maps::{Array, MapData, MapError},
};
use sentinel_common::verdict::{Entry, LENT};

use super::{
    KernelError,
    plain::Plain,
    verdicts::{named, take},
};

/// Rules with subjects, by these as text.
pub type Wanted = BTreeMap<String, Entry>;

/// The map and its shadow.
pub struct Lent {
    map: Array<MapData, Plain<Entry>>,
    slots: Vec<Option<(String, Entry)>>,
}

impl Lent {
    /// Takes the map out of a loaded object.
    ///
    /// # Errors
    ///
    /// [`KernelError::Map`] if it is missing.
    pub(super) fn new(ebpf: &mut Ebpf) -> Result<Self, KernelError> {
        Ok(Self { map: take!(ebpf, "LENT"), slots: vec![None; LENT as usize] })
    }

    /// What is in force.
    pub(super) fn wanted(&self) -> Wanted {
        self.slots.iter().flatten().cloned().collect()
    }

    /// Puts rules in force, and takes out those that are not among them.
    ///
    /// # Errors
    ///
    /// [`KernelError::Map`] if there are too many, or the kernel refuses.
    pub(super) fn set(&mut self, wanted: &Wanted) -> Result<(), KernelError> {
        let full = || KernelError::Map {
            map: "LENT",
            reason: format!(
                "there are at most {LENT} different only or except of executables, uids and cgroups in all rules, and those \
                 that have just gone count; join some, or load the policies once more"
            ),
        };
        let after = slots(&self.slots, wanted).ok_or_else(full)?;
        for (place, (before, after)) in self.slots.iter().zip(&after).enumerate() {
            if before != after {
                let entry = after.as_ref().map_or(Entry::NONE, |(_, entry)| *entry);
                self.map.set(place as u32, Plain(entry), 0).map_err(named("LENT"))?;
            }
        }
        self.slots = after;
        Ok(())
    }
}

/// Slots after a change; none if there is no room.
fn slots(before: &[Option<(String, Entry)>], wanted: &Wanted) -> Option<Vec<Option<(String, Entry)>>> {
    let stays = |(subjects, _): &(String, Entry)| wanted.get_key_value(subjects).map(|(s, entry)| (s.clone(), *entry));
    let mut after: Vec<_> = before.iter().map(|slot| slot.as_ref().and_then(stays)).collect();
    let known = |subjects: &String| before.iter().flatten().any(|(before, _)| before == subjects);
    for (subjects, entry) in wanted.iter().filter(|(subjects, _)| !known(subjects)) {
        let free = after.iter().position(Option::is_none)?;
        after[free] = Some((subjects.clone(), *entry));
    }
    Some(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(all: &[(&str, u32)]) -> Wanted {
        all.iter().map(|(subjects, rule)| ((*subjects).to_owned(), Entry { rule: *rule, ..Entry::NONE })).collect()
    }

    #[test]
    fn who_stays_keeps_his_slot() {
        let rules = |slots: &[Option<(String, Entry)>]| -> Vec<u32> {
            slots.iter().map(|slot| slot.as_ref().map_or(0, |(_, entry)| entry.rule)).collect()
        };
        let first = slots(&vec![None; 3], &wanted(&[("a", 1), ("b", 2)])).unwrap();
        assert_eq!(rules(&first), [1, 2, 0]);
        let second = slots(&first, &wanted(&[("b", 3), ("c", 4)])).unwrap();
        assert_eq!(rules(&second), [4, 3, 0]);
        assert_eq!(slots(&second, &wanted(&[("a", 1), ("b", 2), ("c", 3), ("d", 4)])), None);
    }
}
