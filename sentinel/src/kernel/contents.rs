//! The part of the verdict maps that is about what runs: hashes, lists of what may run, and what happens where a hash or a
//! path cannot be had. Owned by [`super::verdicts::Verdicts`].
//!
//! Invariants: a list is written after what is on it and taken out before; what a list has lost goes last. A slot that has
//! become free is not used again in the same change, so no mask ever means another list.

use std::collections::BTreeMap;

use aya::{
    Ebpf,
    maps::{Array, HashMap as BpfHashMap, MapData, MapError},
};
use sentinel_common::{
    FileId,
    content::{ALLOW_LISTS, Digest, Fallbacks, FileVersion, Hashed, LIBRARIES},
    verdict::{Entry, NameKey, active},
};

use super::{
    KernelError,
    plain::Plain,
    verdicts::{Table, name_key, named, removed, take},
};

/// A directory by device and inode, and a name in it.
pub type Name = (u32, u64, Vec<u8>);
/// A directory by device and inode.
pub type Directory = (u32, u64);

/// A list of what may run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowList {
    /// Whom it is about, as text: the same text is the same list after a change.
    pub subject: String,
    /// What refuses the rest.
    pub entry: Entry,
    /// Names on it.
    pub names: Vec<Name>,
    /// Directories on it.
    pub trees: Vec<Directory>,
}

/// Lists of what may run, and the directories of libraries, which may be mapped whatever they say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowLists {
    /// The lists.
    pub lists: Vec<AllowList>,
    /// Directories of libraries.
    pub libraries: Vec<Directory>,
}

/// Masks of everything that is on a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Masks {
    names: BTreeMap<Name, u32>,
    trees: BTreeMap<Directory, u32>,
}

impl Masks {
    fn of(wanted: &AllowLists, slots: &[Option<String>]) -> Self {
        let mut masks = Self::default();
        for list in &wanted.lists {
            let Some(slot) = slots.iter().position(|subject| subject.as_ref() == Some(&list.subject)) else { continue };
            list.names.iter().for_each(|name| *masks.names.entry(name.clone()).or_default() |= 1 << slot);
            list.trees.iter().for_each(|tree| *masks.trees.entry(*tree).or_default() |= 1 << slot);
        }
        if !wanted.lists.is_empty() {
            wanted.libraries.iter().for_each(|tree| *masks.trees.entry(*tree).or_default() |= LIBRARIES);
        }
        masks
    }

    /// Everything that either has.
    fn with(&self, other: &Self) -> Self {
        let mut both = self.clone();
        other.names.iter().for_each(|(name, mask)| *both.names.entry(name.clone()).or_default() |= mask);
        other.trees.iter().for_each(|(tree, mask)| *both.trees.entry(*tree).or_default() |= mask);
        both
    }
}

/// Slots of lists after a change: who is in them keeps his, who is new gets one that was free before.
fn slots(before: &[Option<String>], wanted: &AllowLists) -> Option<Vec<Option<String>>> {
    let subjects: Vec<&String> = wanted.lists.iter().map(|list| &list.subject).collect();
    let mut after: Vec<Option<String>> =
        before.iter().map(|slot| slot.clone().filter(|subject| subjects.contains(&subject))).collect();
    for subject in subjects {
        if !after.contains(&Some(subject.clone())) {
            let free = (0..after.len()).find(|slot| before[*slot].is_none() && after[*slot].is_none())?;
            after[free] = Some(subject.clone());
        }
    }
    Some(after)
}

/// The maps and their shadow.
pub struct Contents {
    hashes: BpfHashMap<MapData, Plain<FileVersion>, Plain<Hashed>>,
    rules: BpfHashMap<MapData, Digest, Plain<Entry>>,
    exempt: BpfHashMap<MapData, Digest, Plain<Entry>>,
    fallbacks: Array<MapData, Plain<Fallbacks>>,
    lists: Array<MapData, Plain<Entry>>,
    names: BpfHashMap<MapData, Plain<NameKey>, u32>,
    trees: BpfHashMap<MapData, Plain<FileId>, u32>,
    slots: Vec<Option<String>>,
    entries: Vec<Entry>,
    masks: Masks,
    fallback: Fallbacks,
    hashing: bool,
}

impl Contents {
    /// Takes the maps out of a loaded object.
    ///
    /// # Errors
    ///
    /// [`KernelError::Map`] if one is missing.
    pub(super) fn new(ebpf: &mut Ebpf) -> Result<Self, KernelError> {
        Ok(Self {
            hashes: take!(ebpf, "HASHES"),
            rules: take!(ebpf, "HASH_RULES"),
            exempt: take!(ebpf, "EXEMPT_HASHES"),
            fallbacks: take!(ebpf, "FALLBACKS"),
            lists: take!(ebpf, "ALLOW_LISTS"),
            names: take!(ebpf, "ALLOW_NAMES"),
            trees: take!(ebpf, "ALLOW_TREES"),
            slots: vec![None; ALLOW_LISTS as usize],
            entries: vec![Entry::NONE; ALLOW_LISTS as usize],
            masks: Masks::default(),
            fallback: Fallbacks::default(),
            hashing: false,
        })
    }

    /// The classes of entry that these make exist.
    pub(super) fn classes(&self) -> u32 {
        let set = |on: bool, bit: u32| if on { bit } else { 0 };
        set(self.hashing, active::HASH)
            | set(self.slots.iter().any(Option::is_some), active::ALLOW_LIST)
            | set(self.fallback.path.rule != 0, active::PATH_FALLBACK)
    }

    /// Writes an entry about a hash.
    pub(super) fn write(&mut self, table: Table, digest: &Digest, entry: Plain<Entry>) -> Result<(), KernelError> {
        match table {
            Table::Block => self.rules.insert(digest, entry, 0).map_err(named("HASH_RULES")),
            Table::Exempt => self.exempt.insert(digest, entry, 0).map_err(named("EXEMPT_HASHES")),
        }
    }

    /// Takes an entry about a hash out.
    pub(super) fn erase(&mut self, table: Table, digest: &Digest) -> Result<(), KernelError> {
        match table {
            Table::Block => removed(self.rules.remove(digest)).map_err(named("HASH_RULES")),
            Table::Exempt => removed(self.exempt.remove(digest)).map_err(named("EXEMPT_HASHES")),
        }
    }

    /// Says what happens where a hash or a path cannot be had, and whether hashes are wanted at all.
    pub(super) fn set_fallbacks(&mut self, fallback: Fallbacks, hashing: bool) -> Result<(), KernelError> {
        (self.fallback, self.hashing) = (fallback, hashing);
        self.fallbacks.set(0, Plain(fallback), 0).map_err(named("FALLBACKS"))
    }

    /// Takes down what is known of a content.
    pub(super) fn know(&mut self, version: FileVersion, hashed: Hashed) -> Result<(), KernelError> {
        self.hashes.insert(Plain(version), Plain(hashed), 0).map_err(named("HASHES"))
    }

    /// Forgets it.
    pub(super) fn forget(&mut self, version: FileVersion) -> Result<(), KernelError> {
        removed(self.hashes.remove(&Plain(version))).map_err(named("HASHES"))
    }

    /// Puts lists of what may run in force.
    ///
    /// # Errors
    ///
    /// [`KernelError::Map`] if there are too many, or the kernel has no room; then more may be allowed than before, never less.
    pub(super) fn set_lists(&mut self, wanted: &AllowLists) -> Result<(), KernelError> {
        let full = || KernelError::Map {
            map: "ALLOW_LISTS",
            reason: format!(
                "there are at most {ALLOW_LISTS} lists of allow_executables, one for each different only or except, and \
                 those that have just gone count; join some, or load the policies once more"
            ),
        };
        let after = slots(&self.slots, wanted).ok_or_else(full)?;
        let masks = Masks::of(wanted, &after);
        let between = self.masks.with(&masks);
        self.write_masks(&between)?;
        for (slot, subject) in after.iter().enumerate() {
            let list = wanted.lists.iter().find(|list| Some(&list.subject) == subject.as_ref());
            let entry = list.map_or(Entry::NONE, |list| list.entry);
            if self.entries[slot] != entry {
                self.lists.set(slot as u32, Plain(entry), 0).map_err(named("ALLOW_LISTS"))?;
                self.entries[slot] = entry;
            }
        }
        self.slots = after;
        self.write_masks(&masks)
    }

    /// Makes the maps say this.
    fn write_masks(&mut self, wanted: &Masks) -> Result<(), KernelError> {
        let before = std::mem::take(&mut self.masks);
        self.masks = before.with(wanted);
        for (name, mask) in wanted.names.iter().filter(|(name, mask)| before.names.get(*name) != Some(*mask)) {
            self.names.insert(name_key(name.0, name.1, &name.2)?, mask, 0).map_err(named("ALLOW_NAMES"))?;
        }
        for (tree, mask) in wanted.trees.iter().filter(|(tree, mask)| before.trees.get(*tree) != Some(*mask)) {
            self.trees.insert(Plain(id(*tree)), mask, 0).map_err(named("ALLOW_TREES"))?;
        }
        for name in before.names.keys().filter(|name| !wanted.names.contains_key(*name)) {
            removed(self.names.remove(&name_key(name.0, name.1, &name.2)?)).map_err(named("ALLOW_NAMES"))?;
        }
        for tree in before.trees.keys().filter(|tree| !wanted.trees.contains_key(*tree)) {
            removed(self.trees.remove(&Plain(id(*tree)))).map_err(named("ALLOW_TREES"))?;
        }
        self.masks = wanted.clone();
        Ok(())
    }
}

const fn id((dev, ino): Directory) -> FileId {
    FileId { ino, dev, generation: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(subject: &str, name: &str) -> AllowList {
        let entry = Entry { rule: 1, ..Entry::NONE };
        AllowList {
            subject: subject.to_owned(),
            entry,
            names: vec![(1, 2, name.as_bytes().to_vec())],
            trees: vec![(1, 9)],
        }
    }

    fn lists(all: &[&str]) -> AllowLists {
        AllowLists { lists: all.iter().map(|subject| list(subject, subject)).collect(), libraries: vec![(1, 7)] }
    }

    #[test]
    fn a_list_keeps_its_slot_and_a_new_one_takes_none_that_has_just_become_free() {
        let none = vec![None; ALLOW_LISTS as usize];
        let first = slots(&none, &lists(&["a", "b"])).unwrap();
        assert_eq!(first[..3], [Some("a".to_owned()), Some("b".to_owned()), None]);
        let second = slots(&first, &lists(&["b", "c"])).unwrap();
        assert_eq!(second[..3], [None, Some("b".to_owned()), Some("c".to_owned())]);
        let many: Vec<String> = (0..=ALLOW_LISTS).map(|number| number.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(slots(&none, &lists(&many)), None);
    }

    #[test]
    fn masks_say_which_lists_a_file_is_on() {
        let wanted = lists(&["a", "b"]);
        let masks = Masks::of(&wanted, &slots(&vec![None; 8], &wanted).unwrap());
        assert_eq!(masks.names.values().copied().collect::<Vec<_>>(), [1, 2]);
        assert_eq!((masks.trees[&(1, 9)], masks.trees[&(1, 7)]), (3, LIBRARIES));
        assert_eq!(Masks::of(&AllowLists::default(), &[]), Masks::default());
    }
}
