//! The only writer of verdict maps.
//!
//! Invariants: the shadow table here and the kernel's maps say the same; where several entries meet on
//! one key (or one prefix lies inside another, which the kernel's tries would hide), the one that
//! protects most is written: enforcing before monitoring, unlimited before limited, longest life
//! first. Nothing is evicted: a full map is an error.

use std::collections::{BTreeMap, BTreeSet};

use aya::{
    Ebpf,
    maps::{
        Array, HashMap as BpfHashMap, MapData, MapError,
        lpm_trie::{Key as LpmKey, LpmTrie},
    },
};
use geoip::TableImage;
use sentinel_common::{
    FileId,
    address::Address,
    content::{Digest, Fallbacks, FileVersion, Hashed},
    geo::ClassRules,
    verdict::{
        AccessEntries, BypassKey, CidrKey, DestinationKey, Entry, FileKey, LimitKey, NAME_KEY, NameKey, PATH_KEY,
        PathKey, State, Subject, access, active, flag, subject,
    },
};
use serde::{Deserialize, Serialize};

use super::{
    KernelError,
    contents::{AllowLists, Contents},
    filter::Filter,
    geo::GeoMaps,
    lent::{Lent, Wanted},
    plain::{Plain, plain},
};
use crate::clock;

plain!(Entry, LimitKey, DestinationKey, CidrKey, FileKey, AccessEntries, BypassKey, PathKey, NameKey, FileId, State);
plain!(FileVersion, Hashed, Fallbacks);

/// Whether an entry blocks or exempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Table {
    /// Refuse.
    Block,
    /// Let pass, whatever blocks.
    Exempt,
}

/// What an entry is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Target {
    /// A normalised address, with one port or all.
    Destination {
        /// 16 bytes in network order, v4-mapped.
        address: [u8; 16],
        /// Host order.
        port: Option<u16>,
    },
    /// A prefix of normalised addresses.
    Cidr {
        /// Network address, 16 bytes in network order, v4-mapped.
        address: [u8; 16],
        /// Bits of the 128.
        length: u8,
    },
    /// A file by identity.
    File {
        /// Device as the kernel has it.
        dev: u32,
        /// Inode number.
        ino: u64,
    },
    /// A name in a directory, whether there is such a file or not. For everyone.
    Name {
        /// Device of the directory as the kernel has it.
        dev: u32,
        /// Its inode number.
        ino: u64,
        /// Bytes of the name.
        name: Vec<u8>,
    },
    /// Everything below a directory, by its identity. For everyone.
    Tree {
        /// Device as the kernel has it.
        dev: u32,
        /// Inode number.
        ino: u64,
    },
    /// A content, by its SHA-256.
    Hash(Digest),
    /// A path, or with `prefix` everything below a directory (the path then ends in `/`).
    Path {
        /// Bytes of the absolute path.
        path: Vec<u8>,
        /// Whether it is a directory prefix.
        prefix: bool,
    },
    /// What sends past every hook on destinations.
    Bypass {
        /// `bypass` number.
        kind: u32,
        /// Socket family, or device number as the kernel has it.
        number: u32,
    },
}

impl Target {
    /// Whether entries on `self` also hold for `other`.
    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Cidr { address: a, length }, Self::Cidr { address: b, length: inner }) => {
                length <= inner && u128::from_be_bytes(*a) == masked(u128::from_be_bytes(*b), *length)
            }
            (Self::Path { path: a, prefix: true }, Self::Path { path: b, .. }) => b.starts_with(a),
            _ => self == other,
        }
    }
}

/// The first `length` bits of an address.
#[must_use]
pub fn masked(address: u128, length: u8) -> u128 {
    address & u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0)
}

/// Where an entry lies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// Block or exempt.
    pub table: Table,
    /// What it is about.
    pub target: Target,
    /// Whom it is about: kind, start or inode, tgid or device.
    pub subject: (u32, u64, u32),
}

impl Place {
    /// A place for a subject.
    #[must_use]
    pub const fn new(table: Table, target: Target, subject: Subject) -> Self {
        Self { table, target, subject: (subject.kind, subject.a, subject.b) }
    }

    const fn subject(&self) -> Subject {
        Subject { kind: self.subject.0, a: self.subject.1, b: self.subject.2 }
    }

    fn covers(&self, other: &Self) -> bool {
        self.table == other.table && self.subject == other.subject && self.target.covers(&other.target)
    }
}

/// An entry as it was asked for, with the accesses that it is about (files only).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// The entry.
    pub entry: Entry,
    /// A bit for each of [`access`].
    pub access: u32,
}

/// Nanoseconds.
const SECOND: u64 = 1_000_000_000;

/// The verdict maps and their shadow.
pub struct Verdicts {
    state: Array<MapData, Plain<State>>,
    destinations: BpfHashMap<MapData, Plain<DestinationKey>, Plain<Entry>>,
    cidrs: LpmTrie<MapData, Plain<CidrKey>, Plain<Entry>>,
    exempt_cidrs: LpmTrie<MapData, Plain<CidrKey>, Plain<Entry>>,
    geo: GeoMaps,
    files: BpfHashMap<MapData, Plain<FileKey>, Plain<AccessEntries>>,
    names: BpfHashMap<MapData, Plain<NameKey>, Plain<AccessEntries>>,
    trees: BpfHashMap<MapData, Plain<FileId>, Plain<AccessEntries>>,
    bypasses: BpfHashMap<MapData, Plain<BypassKey>, Plain<Entry>>,
    contents: Contents,
    filter: Filter,
    lent: Lent,
    paths: LpmTrie<MapData, Plain<PathKey>, Plain<AccessEntries>>,
    exempt_paths: LpmTrie<MapData, Plain<PathKey>, Plain<AccessEntries>>,
    limits: BpfHashMap<MapData, Plain<LimitKey>, u32>,
    held: BTreeMap<Place, Vec<Held>>,
    /// Generations of files by device and number, where they are known.
    generations: BTreeMap<(u32, u64), u32>,
    /// What the policy says of each class of addresses; empty: no rule is about countries.
    classes: Vec<ClassRules>,
    /// What the hooks were told last.
    told: State,
    /// Kinds of event of which every one is sent, as `repeat::every` bits.
    every: u64,
    limited: BTreeSet<(u32, u32, u64, u32)>,
}

macro_rules! take {
    ($ebpf:expr, $name:literal) => {{
        let missing = || KernelError::Map { map: $name, reason: "it is missing from the object".to_owned() };
        let map = $ebpf.take_map($name).ok_or_else(missing)?;
        map.try_into().map_err(|e: MapError| KernelError::Map { map: $name, reason: e.to_string() })?
    }};
}
pub(super) use take;

/// Names the map in an error.
pub(super) fn named(map: &'static str) -> impl Fn(MapError) -> KernelError {
    move |error| KernelError::Map { map, reason: super::chain(&error) }
}

/// A removal of what is not there is no error: an expired entry may be swept twice.
pub(super) fn removed(result: Result<(), MapError>) -> Result<(), MapError> {
    match result {
        Err(MapError::KeyNotFound) => Ok(()),
        Err(MapError::SyscallError(error)) if error.io_error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
        other => other,
    }
}

impl Verdicts {
    /// Takes the verdict maps out of a loaded object.
    ///
    /// # Errors
    ///
    /// [`KernelError::Map`] if one is missing.
    pub fn new(ebpf: &mut Ebpf) -> Result<Self, KernelError> {
        Ok(Self {
            state: take!(ebpf, "STATE"),
            destinations: take!(ebpf, "DESTINATIONS"),
            cidrs: take!(ebpf, "CIDRS"),
            exempt_cidrs: take!(ebpf, "EXEMPT_CIDRS"),
            geo: GeoMaps::new(ebpf)?,
            files: take!(ebpf, "FILES"),
            names: take!(ebpf, "NAMES"),
            trees: take!(ebpf, "TREES"),
            bypasses: take!(ebpf, "BYPASSES"),
            contents: Contents::new(ebpf)?,
            filter: Filter::new(ebpf)?,
            lent: Lent::new(ebpf)?,
            paths: take!(ebpf, "PATHS"),
            exempt_paths: take!(ebpf, "EXEMPT_PATHS"),
            limits: take!(ebpf, "LIMITS"),
            held: BTreeMap::new(),
            generations: BTreeMap::new(),
            classes: Vec::new(),
            told: State::default(),
            every: 0,
            limited: BTreeSet::new(),
        })
    }

    /// Says which file of this device and number the entries from now on are about. Entries of an older file go: it is no
    /// more, or its number could not be used again.
    ///
    /// # Errors
    ///
    /// As for [`Verdicts::retain`].
    pub fn identify(&mut self, file: FileId) -> Result<(), KernelError> {
        let key = (file.dev, file.ino);
        let before = self.generations.insert(key, file.generation).unwrap_or(0);
        if before != 0 && file.generation != 0 && before != file.generation {
            self.retain(|place, _| !matches!(place.target, Target::File { dev, ino } if (dev, ino) == key))?;
            self.generations.insert(key, file.generation);
        } else if before != file.generation {
            self.rewrite(key)?;
            self.sync_state()?;
        }
        if file.generation == 0 {
            self.generations.remove(&key);
        }
        Ok(())
    }

    /// Drops the generation of a file that no entry is about any more.
    fn forget(&mut self, file: (u32, u64)) {
        if self.about(file).is_empty() {
            self.generations.remove(&file);
        }
    }

    /// Writes what there is about a file again.
    fn rewrite(&mut self, file: (u32, u64)) -> Result<(), KernelError> {
        self.about(file).iter().try_for_each(|place| self.sync(place))
    }

    /// The places of a file, whoever the subject is.
    fn about(&self, (dev, ino): (u32, u64)) -> Vec<Place> {
        let first = Place { table: Table::Block, target: Target::File { dev, ino }, subject: (0, 0, 0) };
        let places = self.held.range(&first..).map(|(place, _)| place);
        places.take_while(|place| place.target == first.target && place.table == first.table).cloned().collect()
    }

    /// Adds an entry; one of the same rule on the same place and access is replaced.
    ///
    /// # Errors
    ///
    /// [`KernelError::Map`] if the kernel's map is full.
    pub fn insert(&mut self, place: &Place, new: Held) -> Result<(), KernelError> {
        self.insert_quietly(place, new)?;
        self.sync_state()
    }

    /// Adds many entries; they hold when all are there.
    ///
    /// # Errors
    ///
    /// As for [`Verdicts::insert`]; what was added before the error stays until [`Verdicts::retain`] removes it.
    pub fn insert_all(&mut self, mut all: impl Iterator<Item = (Place, Held)>) -> Result<(), KernelError> {
        let inserted = all.try_for_each(|(place, held)| self.insert_quietly(&place, held));
        self.sync_state()?;
        inserted
    }

    fn insert_quietly(&mut self, place: &Place, new: Held) -> Result<(), KernelError> {
        let list = self.held.entry(place.clone()).or_default();
        list.retain(|old| old.entry.rule != new.entry.rule || old.access != new.access);
        list.push(new);
        if let Err(error) = self.sync_covered(place) {
            // What the kernel did not take is not kept either; the same way back cannot fail for want of room.
            self.retain(|other, held| other != place || *held != new)?;
            return Err(error);
        }
        Ok(())
    }

    /// Keeps the entries that `keep` says yes to, removes the others; how many went.
    ///
    /// # Errors
    ///
    /// [`KernelError::Map`], the first one, if the kernel refuses a change; the others are still made.
    pub fn retain(&mut self, keep: impl Fn(&Place, &Held) -> bool) -> Result<usize, KernelError> {
        let mut changed = Vec::new();
        let mut gone = 0;
        for (place, list) in &mut self.held {
            let before = list.len();
            list.retain(|held| keep(place, held));
            if list.len() != before {
                gone += before - list.len();
                changed.push(place.clone());
            }
        }
        // One refusal must not keep the others in force: all are made, the first error is told.
        let synced: Vec<_> = changed.iter().map(|place| self.sync_covered(place)).collect();
        let result = synced.into_iter().collect::<Result<(), _>>().map(|()| gone);
        self.held.retain(|_, list| !list.is_empty());
        for place in changed {
            if let Target::File { dev, ino } = place.target {
                self.forget((dev, ino));
            }
        }
        if gone > 0 {
            self.sync_state()?;
        }
        result
    }

    /// Removes what has expired by `now` (boot clock, nanoseconds), and tells the hooks the time.
    ///
    /// # Errors
    ///
    /// As for [`Verdicts::retain`].
    pub fn sweep(&mut self, now: u64) -> Result<usize, KernelError> {
        self.told.seconds = now / SECOND;
        self.state.set(0, Plain(self.told), 0).map_err(named("STATE"))?;
        self.retain(|_, held| held.entry.expires == 0 || held.entry.expires > now)
    }

    /// All entries.
    pub fn iter(&self) -> impl Iterator<Item = (&Place, &Held)> {
        self.held.iter().flat_map(|(place, list)| list.iter().map(move |held| (place, held)))
    }

    /// The subject limits of rules: rule, limit bit, value, device.
    #[must_use]
    pub const fn limits(&self) -> &BTreeSet<(u32, u32, u64, u32)> {
        &self.limited
    }

    /// What the policy says of each class of addresses; empty where no rule is about countries.
    #[must_use]
    pub fn classes(&self) -> &[ClassRules] {
        &self.classes
    }

    /// Kernel memory of the country table, bytes.
    #[must_use]
    pub fn geo_bytes(&self) -> usize {
        self.geo.bytes()
    }

    /// Puts a country table (the one in force, if `None`) and what the policy says of its classes in force, both at once.
    ///
    /// # Errors
    ///
    /// [`KernelError::Map`] if the kernel has no room; what was in force then still is.
    pub fn set_geo(&mut self, image: Option<&TableImage>, classes: Vec<ClassRules>) -> Result<(), KernelError> {
        if classes.is_empty() && self.classes.is_empty() {
            return Ok(());
        }
        let word = self.geo.fill(image, &classes)?;
        self.classes = classes;
        self.sync_state_with(word)?;
        self.geo.switched(word)
    }

    /// Adds subject limits of rules: rule, limit bit, value, device. To be done before their entries are written.
    ///
    /// # Errors
    ///
    /// [`KernelError::Map`] if the map is full.
    pub fn add_limits(&mut self, new: &BTreeSet<(u32, u32, u64, u32)>) -> Result<(), KernelError> {
        for limit in new {
            if !self.limited.contains(limit) {
                self.limits.insert(limit_key(limit), 1, 0).map_err(named("LIMITS"))?;
                self.limited.insert(*limit);
            }
        }
        Ok(())
    }

    /// Removes the subject limits that `keep` does not have. To be done when no entry needs them any more: an entry whose
    /// `except` list is gone would hold for everyone.
    ///
    /// # Errors
    ///
    /// [`KernelError::Map`] if the kernel refuses a change.
    pub fn keep_limits(&mut self, keep: &BTreeSet<(u32, u32, u64, u32)>) -> Result<(), KernelError> {
        let gone: Vec<_> = self.limited.difference(keep).copied().collect();
        for limit in gone {
            removed(self.limits.remove(&limit_key(&limit))).map_err(named("LIMITS"))?;
            self.limited.remove(&limit);
        }
        Ok(())
    }

    /// Puts lists of what may run in force, and what happens where a hash or a path cannot be had.
    ///
    /// # Errors
    ///
    /// [`KernelError::Map`] if the kernel has no room; nothing that was allowed is refused then.
    pub fn set_contents(&mut self, lists: &AllowLists, fallbacks: Fallbacks, hashing: bool) -> Result<(), KernelError> {
        self.contents.set_fallbacks(fallbacks, hashing)?;
        let result = self.contents.set_lists(lists);
        self.sync_state()?;
        result
    }

    /// Sends every event of these kinds (`repeat::every` bits) from now on, and of the others what was sent before once more.
    ///
    /// # Errors
    ///
    /// [`KernelError::Map`] if the kernel refuses.
    pub fn tell_again(&mut self, every: u64) -> Result<(), KernelError> {
        self.every = every;
        self.sync_state()
    }

    /// Says which rules nobody may be rid of by entering another process. To be done while their limits are there. No other
    /// verdict changes by it.
    ///
    /// # Errors
    ///
    /// [`KernelError::Map`] if there are too many; nothing has changed then.
    pub fn set_lent(&mut self, wanted: &Wanted) -> Result<(), KernelError> {
        self.lent.set(wanted)
    }

    /// What was said last.
    #[must_use]
    pub fn lent(&self) -> Wanted {
        self.lent.wanted()
    }

    /// Takes down the hash of a content, or that it has none. No verdict changes but that of this content.
    ///
    /// # Errors
    ///
    /// [`KernelError::Map`] if the map is full.
    pub fn know(&mut self, version: FileVersion, hashed: Hashed) -> Result<(), KernelError> {
        self.contents.know(version, hashed)
    }

    /// Forgets what is known of a content.
    ///
    /// # Errors
    ///
    /// [`KernelError::Map`] if the kernel refuses.
    pub fn forget_content(&mut self, version: FileVersion) -> Result<(), KernelError> {
        self.contents.forget(version)
    }

    /// Writes the place, and every place inside it that its entries also hold for.
    fn sync_covered(&mut self, changed: &Place) -> Result<(), KernelError> {
        let inside: Vec<Place> = match changed.target {
            Target::Cidr { .. } => self.held.keys().filter(|place| changed.covers(place)).cloned().collect(),
            // They lie behind each other, by the bytes of their paths.
            Target::Path { prefix: true, .. } => {
                let first = Place { subject: (0, 0, 0), ..changed.clone() };
                let behind = self.held.range(first..).map(|(place, _)| place);
                let inside =
                    behind.take_while(|place| place.table == changed.table && changed.target.covers(&place.target));
                inside.filter(|place| changed.covers(place)).cloned().collect()
            }
            Target::Destination { .. }
            | Target::File { .. }
            | Target::Name { .. }
            | Target::Tree { .. }
            | Target::Hash(_)
            | Target::Path { prefix: false, .. }
            | Target::Bypass { .. } => vec![changed.clone()],
        };
        inside.iter().try_for_each(|place| self.sync(place))
    }

    /// Writes what the shadow says about a place.
    fn sync(&mut self, place: &Place) -> Result<(), KernelError> {
        if self.held.get(place).is_none_or(Vec::is_empty) {
            return self.erase(place);
        }
        let above = around(place).into_iter().filter_map(|place| self.held.get(&place));
        let own = self.held.get(place);
        let mut value = strongest(above.chain(own).flatten());
        if let Target::File { dev, ino } = place.target {
            value.inode_generation = self.generations.get(&(dev, ino)).copied().unwrap_or(0);
        }
        self.write(place, value)
    }

    fn write(&mut self, place: &Place, value: AccessEntries) -> Result<(), KernelError> {
        let first = Plain(value.by_access[0]);
        match (&place.target, place.table) {
            (Target::Destination { address, port }, _) => self
                .destinations
                .insert(destination_key(*address, *port, place), first, 0)
                .map_err(named("DESTINATIONS")),
            (Target::Cidr { address, length }, Table::Block) => {
                self.cidrs.insert(&cidr_key(*address, *length, place), first, 0).map_err(named("CIDRS"))
            }
            (Target::Cidr { address, length }, Table::Exempt) => {
                self.exempt_cidrs.insert(&cidr_key(*address, *length, place), first, 0).map_err(named("EXEMPT_CIDRS"))
            }
            (Target::File { dev, ino }, _) => {
                self.files.insert(file_key(*dev, *ino, place), Plain(value), 0).map_err(named("FILES"))
            }
            (Target::Name { dev, ino, name }, _) => {
                self.names.insert(name_key(*dev, *ino, name)?, Plain(value), 0).map_err(named("NAMES"))
            }
            (Target::Tree { dev, ino }, _) => {
                self.trees.insert(Plain(file_id(*dev, *ino)), Plain(value), 0).map_err(named("TREES"))
            }
            (Target::Hash(digest), table) => self.contents.write(table, digest, first),
            (Target::Bypass { kind, number }, _) => self
                .bypasses
                .insert(Plain(BypassKey { kind: *kind, number: *number }), first, 0)
                .map_err(named("BYPASSES")),
            (Target::Path { path, prefix }, Table::Block) => {
                self.paths.insert(&path_key(path, *prefix, place)?, Plain(value), 0).map_err(named("PATHS"))
            }
            (Target::Path { path, prefix }, Table::Exempt) => self
                .exempt_paths
                .insert(&path_key(path, *prefix, place)?, Plain(value), 0)
                .map_err(named("EXEMPT_PATHS")),
        }
    }

    fn erase(&mut self, place: &Place) -> Result<(), KernelError> {
        let (result, map) = match (&place.target, place.table) {
            (Target::Destination { address, port }, _) => {
                (self.destinations.remove(&destination_key(*address, *port, place)), "DESTINATIONS")
            }
            (Target::Cidr { address, length }, Table::Block) => {
                (self.cidrs.remove(&cidr_key(*address, *length, place)), "CIDRS")
            }
            (Target::Cidr { address, length }, Table::Exempt) => {
                (self.exempt_cidrs.remove(&cidr_key(*address, *length, place)), "EXEMPT_CIDRS")
            }
            (Target::File { dev, ino }, _) => (self.files.remove(&file_key(*dev, *ino, place)), "FILES"),
            (Target::Name { dev, ino, name }, _) => (self.names.remove(&name_key(*dev, *ino, name)?), "NAMES"),
            (Target::Tree { dev, ino }, _) => (self.trees.remove(&Plain(file_id(*dev, *ino))), "TREES"),
            (Target::Hash(digest), table) => return self.contents.erase(table, digest),
            (Target::Bypass { kind, number }, _) => {
                (self.bypasses.remove(&Plain(BypassKey { kind: *kind, number: *number })), "BYPASSES")
            }
            (Target::Path { path, prefix }, Table::Block) => {
                (self.paths.remove(&path_key(path, *prefix, place)?), "PATHS")
            }
            (Target::Path { path, prefix }, Table::Exempt) => {
                (self.exempt_paths.remove(&path_key(path, *prefix, place)?), "EXEMPT_PATHS")
            }
        };
        removed(result).map_err(named(map))
    }

    /// Tells the hooks which classes of entry exist, and that something has changed. To be called after every change.
    fn sync_state(&mut self) -> Result<(), KernelError> {
        self.sync_state_with(self.geo.word())
    }

    fn sync_state_with(&mut self, banks: u64) -> Result<(), KernelError> {
        let places = || self.held.iter().filter(|(_, list)| !list.is_empty()).map(|(place, _)| place);
        self.filter.set(places().filter_map(name))?;
        let mut bits = places().fold(0, |bits, place| bits | class(place));
        if !self.classes.is_empty() {
            bits |= active::GEO;
        }
        bits |= self.contents.classes();
        if bits & active::HASH_RULE != 0 {
            bits |= active::HASH;
        }
        // Odd, so it comes to each value once; and a mixture of the bytes of two values is not a third one soon.
        let epoch = self.told.epoch.wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.told = State { word: banks | self.every | u64::from(bits), epoch, seconds: clock::boot_now() / SECOND };
        self.state.set(0, Plain(self.told), 0).map_err(named("STATE"))
    }
}

/// The other places whose entries would also hold for this one.
fn around(place: &Place) -> Vec<Place> {
    let at = |target| Place { table: place.table, target, subject: place.subject };
    let targets: Vec<Target> = match &place.target {
        Target::Cidr { address, length } => {
            let address = u128::from_be_bytes(*address);
            (0..*length).map(|length| Target::Cidr { address: masked(address, length).to_be_bytes(), length }).collect()
        }
        Target::Path { path, prefix } => {
            let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at + 1);
            let above = ends.filter(|end| *end < path.len() || !prefix);
            above.map(|end| Target::Path { path: path[..end].to_vec(), prefix: true }).collect()
        }
        Target::Destination { .. }
        | Target::File { .. }
        | Target::Name { .. }
        | Target::Tree { .. }
        | Target::Hash(_)
        | Target::Bypass { .. } => Vec::new(),
    };
    targets.into_iter().map(at).collect()
}

/// The name that a file has that entries of this place are about.
fn name(place: &Place) -> Option<&[u8]> {
    match &place.target {
        Target::Name { name, .. } => Some(name),
        Target::Path { path, prefix: false } => path.rsplit(|byte| *byte == b'/').next(),
        Target::Path { prefix: true, .. }
        | Target::Destination { .. }
        | Target::Cidr { .. }
        | Target::File { .. }
        | Target::Tree { .. }
        | Target::Hash(_)
        | Target::Bypass { .. } => None,
    }
}

/// The classes of entry that a place belongs to.
fn class(place: &Place) -> u32 {
    let by_subject = |anyone, executable, instance| match place.subject.0 {
        subject::EXECUTABLE => executable,
        subject::INSTANCE => instance,
        _ => anyone,
    };
    let prefix = |is: bool| if is { active::PREFIX } else { 0 };
    match (&place.target, place.table) {
        (Target::Cidr { .. }, Table::Exempt) => active::EXEMPT,
        (Target::Path { prefix: is, .. }, Table::Exempt) => active::EXEMPT_PATH | prefix(*is),
        (Target::Bypass { .. }, _) => active::BYPASS,
        (Target::Name { .. }, _) => active::NAME,
        (Target::Tree { .. }, _) => active::TREE,
        (Target::Hash(_), _) => active::HASH_RULE,
        (Target::Destination { port: None, .. }, _) => {
            by_subject(active::DESTINATION, active::DESTINATION_EXECUTABLE, active::DESTINATION_INSTANCE)
        }
        (Target::Destination { port: Some(_), .. }, _) => {
            by_subject(active::DESTINATION_PORT, active::DESTINATION_PORT_EXECUTABLE, active::DESTINATION_PORT_INSTANCE)
        }
        (Target::Cidr { .. }, Table::Block) => by_subject(active::CIDR, active::CIDR_EXECUTABLE, active::CIDR_INSTANCE),
        (Target::File { .. }, _) => by_subject(active::FILE, active::FILE_EXECUTABLE, active::FILE_INSTANCE),
        (Target::Path { prefix: is, .. }, Table::Block) => {
            by_subject(active::PATH, active::PATH_EXECUTABLE, active::PATH_INSTANCE) | prefix(*is)
        }
    }
}

/// For each access the entry that protects most. Network entries are written into every access.
pub fn strongest<'a>(all: impl Iterator<Item = &'a Held>) -> AccessEntries {
    let strength = |e: &Entry| {
        let life = if e.expires == 0 { u64::MAX } else { e.expires };
        (e.rule != 0, e.flags & flag::MONITOR == 0, e.limits == 0, life)
    };
    let mut value = AccessEntries::default();
    for held in all {
        for index in (0..access::COUNT).filter(|index| held.access & (1 << index) != 0) {
            let slot = &mut value.by_access[index];
            if strength(&held.entry) > strength(slot) {
                *slot = held.entry;
            }
        }
    }
    // The kernel asks one question of an open that made its file: to create is to write.
    if value.by_access[access::CREATE].rule == 0 {
        value.by_access[access::CREATE] = value.by_access[access::WRITE];
    }
    value
}

fn limit_key(&(rule, limit, value, dev): &(u32, u32, u64, u32)) -> Plain<LimitKey> {
    Plain(LimitKey { value, dev, rule, limit, pad: 0 })
}

fn destination_key(address: [u8; 16], port: Option<u16>, place: &Place) -> Plain<DestinationKey> {
    let address = Address::from_octets(address);
    Plain(DestinationKey { address, subject: place.subject(), port: port.unwrap_or(0), pad: [0; 3] })
}

fn cidr_key(address: [u8; 16], length: u8, place: &Place) -> LpmKey<Plain<CidrKey>> {
    let key = CidrKey { subject: place.subject(), address: Address::from_octets(address) };
    LpmKey::new(CidrKey::SUBJECT_BITS + u32::from(length), Plain(key))
}

fn file_key(dev: u32, ino: u64, place: &Place) -> Plain<FileKey> {
    Plain(FileKey { file: file_id(dev, ino), subject: place.subject() })
}

const fn file_id(dev: u32, ino: u64) -> FileId {
    FileId { ino, dev, generation: 0 }
}

/// Longest name that an entry can hold.
pub const LONGEST_NAME: usize = NAME_KEY;

pub(super) fn name_key(dev: u32, ino: u64, name: &[u8]) -> Result<Plain<NameKey>, KernelError> {
    if name.is_empty() || name.len() > LONGEST_NAME {
        let reason = format!("a name entry holds 1 to {LONGEST_NAME} bytes, this name has {}", name.len());
        return Err(KernelError::Map { map: "NAMES", reason });
    }
    let mut bytes = [0; NAME_KEY + 1];
    bytes[..name.len()].copy_from_slice(name);
    Ok(Plain(NameKey { directory: file_id(dev, ino), name: bytes }))
}

/// Longest path that an entry can hold: an exact path also needs its final NUL.
pub const LONGEST_PATH: usize = PATH_KEY - 1;

fn path_key(path: &[u8], prefix: bool, place: &Place) -> Result<LpmKey<Plain<PathKey>>, KernelError> {
    if path.len() > LONGEST_PATH {
        let reason = format!("a path entry holds at most {LONGEST_PATH} bytes, this path has {}", path.len());
        return Err(KernelError::Map { map: "PATHS", reason });
    }
    let mut bytes = [0; PATH_KEY];
    bytes[..path.len()].copy_from_slice(path);
    let compared = path.len() + usize::from(!prefix);
    let key = PathKey { subject: place.subject(), path: bytes };
    Ok(LpmKey::new(CidrKey::SUBJECT_BITS + 8 * compared as u32, Plain(key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(rule: u32, access: u32, expires: u64, flags: u8) -> Held {
        Held { entry: Entry { rule, expires, flags, ..Entry::NONE }, access }
    }

    #[test]
    fn the_entry_that_protects_most_is_written() {
        let all = [held(1, 1, 50, 0), held(2, 1, 0, flag::MONITOR), held(3, 1, 90, 0), held(4, 2, 10, 0)];
        let value = strongest(all.iter());
        assert_eq!(value.by_access.map(|e| e.rule), [3, 4, 4, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn prefixes_cover_what_lies_inside() {
        let cidr = |text: &str, length: u8| {
            let v4: std::net::Ipv4Addr = text.parse().unwrap();
            Target::Cidr { address: v4.to_ipv6_mapped().octets(), length: 96 + length }
        };
        assert!(cidr("10.0.0.0", 8).covers(&cidr("10.1.0.0", 16)));
        assert!(!cidr("10.1.0.0", 16).covers(&cidr("10.0.0.0", 8)));
        assert!(!cidr("10.0.0.0", 8).covers(&cidr("11.0.0.0", 16)));
        let path = |text: &str, prefix| Target::Path { path: text.into(), prefix };
        assert!(path("/etc/", true).covers(&path("/etc/shadow", false)));
        assert!(path("/etc/", true).covers(&path("/etc/ssh/", true)));
        assert!(!path("/etc/shadow", false).covers(&path("/etc/shadow2", false)));
    }

    #[test]
    fn what_covers_a_place_is_looked_up_by_name() {
        let place = |target| Place::new(Table::Block, target, Subject::ANYONE);
        let path = |text: &str, prefix| place(Target::Path { path: text.into(), prefix });
        assert_eq!(
            around(&path("/etc/ssh/key", false)),
            [path("/", true), path("/etc/", true), path("/etc/ssh/", true)]
        );
        assert_eq!(around(&path("/etc/ssh/", true)), [path("/", true), path("/etc/", true)]);
        let cidr = |address: u128, length| place(Target::Cidr { address: address.to_be_bytes(), length });
        let all = around(&cidr(0x0a01 << 112, 16));
        assert!(all.len() == 16 && all.contains(&cidr(0x0a << 120, 8)) && all.contains(&cidr(0, 0)));
        assert!(around(&place(Target::File { dev: 1, ino: 1 })).is_empty());
    }

    #[test]
    fn masks() {
        assert_eq!(masked(u128::MAX, 0), 0);
        assert_eq!(masked(u128::MAX, 128), u128::MAX);
        assert_eq!(masked(0xff, 124), 0xf0);
    }
}
