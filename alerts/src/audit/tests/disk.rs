//! A disk in memory that forgets what was not synced, and fails when it is told to.
//!
//! Content becomes durable by `sync`, names by `sync_directory`. A power cut before that keeps any part of what was appended, in
//! order and perhaps with a hole of zeros at its end, and any number of the changes of names, in order.

use std::{
    collections::BTreeMap,
    io::{self, Read as _},
    sync::{Arc, Mutex, MutexGuard},
};

use crate::audit::disk::Disk;

/// A change of names that is not durable.
#[derive(Debug, Clone)]
enum Change {
    Create(String, u64),
    Rename(String, String),
    Remove(String),
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<String, u64>) {
        match self {
            Self::Create(name, inode) => _ = names.insert(name.clone(), *inode),
            Self::Remove(name) => _ = names.remove(name),
            Self::Rename(from, to) => {
                if let Some(inode) = names.remove(from) {
                    names.insert(to.clone(), inode);
                }
            }
        }
    }
}

#[derive(Debug, Default, Clone)]
struct Inode {
    content: Vec<u8>,
    synced: Vec<u8>,
}

impl Inode {
    /// What a power cut leaves.
    fn survive(&self, random: &mut dyn FnMut(usize) -> usize) -> Vec<u8> {
        let Some(extra) = self.content.strip_prefix(self.synced.as_slice()) else {
            // Written over: the old or the new, whole or not.
            let new = &self.content[..random(self.content.len() + 1)];
            return if random(2) == 0 { self.synced.clone() } else { new.to_vec() };
        };
        let kept = random(extra.len() + 1);
        let mut left = [&self.synced, &extra[..kept]].concat();
        if kept > 8 && random(4) == 0 {
            let hole = self.synced.len() + random(kept);
            left[hole..].fill(0);
        }
        left
    }
}

#[derive(Debug, Default, Clone)]
struct State {
    names: BTreeMap<String, u64>,
    durable: BTreeMap<String, u64>,
    inodes: BTreeMap<u64, Inode>,
    changes: Vec<Change>,
    operations: u64,
    /// The operation that fails, and how much of a write is done then: 0 to 256.
    fails_at: Option<(u64, usize)>,
}

/// The disk; clones are the same disk.
#[derive(Debug, Default, Clone)]
pub(super) struct SimDisk(Arc<Mutex<State>>);

impl SimDisk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// A disk with these files, all durable.
    pub(super) fn of(files: &BTreeMap<String, Vec<u8>>) -> Self {
        let mut state = State::default();
        for (inode, (name, content)) in files.iter().enumerate() {
            state.names.insert(name.clone(), inode as u64);
            state.inodes.insert(inode as u64, Inode { content: content.clone(), synced: content.clone() });
        }
        state.durable = state.names.clone();
        Self(Arc::new(Mutex::new(state)))
    }

    pub(super) fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let state = self.state();
        state.names.iter().map(|(name, inode)| (name.clone(), state.inodes[inode].content.clone())).collect()
    }

    pub(super) fn file(&self, name: &str) -> Vec<u8> {
        self.files().remove(name).unwrap()
    }

    /// Segments in order, unpacked.
    pub(super) fn segments(&self) -> BTreeMap<String, Vec<u8>> {
        let mut all = BTreeMap::new();
        for (name, bytes) in self.files() {
            if let Some(plain) = name.strip_suffix(".gz") {
                let mut content = Vec::new();
                flate2::read::MultiGzDecoder::new(bytes.as_slice()).read_to_end(&mut content).unwrap();
                all.insert(plain.to_owned(), content);
            } else if name.ends_with(".jsonl") {
                all.insert(name, bytes);
            }
        }
        all
    }

    pub(super) fn operations(&self) -> u64 {
        self.state().operations
    }

    /// At operation `at` it fails, and at all that follow; of a write then, `part` of 256 is done.
    pub(super) fn fail_at(&self, at: u64, part: usize) {
        self.state().fails_at = Some((at, part));
    }

    /// It works again.
    pub(super) fn repair(&self) {
        self.state().fails_at = None;
    }

    /// What is left after the program was killed.
    pub(super) fn after_kill(&self) -> Self {
        Self::of(&self.files())
    }

    /// What is left after a power cut; `random` chooses below a limit.
    pub(super) fn after_power_cut(&self, random: &mut dyn FnMut(usize) -> usize) -> Self {
        let state = self.state();
        let mut names = state.durable.clone();
        let kept = random(state.changes.len() + 1);
        state.changes.iter().take(kept).for_each(|change| change.apply(&mut names));
        let left: BTreeMap<u64, Vec<u8>> =
            state.inodes.iter().map(|(number, inode)| (*number, inode.survive(random))).collect();
        Self::of(&names.into_iter().map(|(name, inode)| (name, left[&inode].clone())).collect())
    }
}

fn failed() -> io::Error {
    io::Error::other("the simulated disk fails")
}

impl State {
    /// One operation: of 256, how much is done.
    fn step(&mut self) -> usize {
        self.operations += 1;
        match self.fails_at {
            Some((at, part)) if self.operations == at => part,
            Some((at, _)) if self.operations > at => 0,
            Some(_) | None => 256,
        }
    }

    fn whole(&mut self) -> io::Result<()> {
        if self.step() == 256 { Ok(()) } else { Err(failed()) }
    }

    /// Writes as much as is done; `place` puts the bytes into the content.
    fn put(&mut self, name: &str, bytes: &[u8], place: impl FnOnce(&mut Vec<u8>, &[u8])) -> io::Result<()> {
        let done = bytes.len() * self.step() / 256;
        let inode = match self.names.get(name) {
            Some(inode) => *inode,
            None => {
                let inode = self.inodes.len() as u64;
                self.names.insert(name.to_owned(), inode);
                self.changes.push(Change::Create(name.to_owned(), inode));
                inode
            }
        };
        place(&mut self.inodes.entry(inode).or_default().content, &bytes[..done]);
        if done == bytes.len() { Ok(()) } else { Err(failed()) }
    }

    fn inode(&mut self, name: &str) -> io::Result<&mut Inode> {
        let missing = || io::Error::from(io::ErrorKind::NotFound);
        let number = *self.names.get(name).ok_or_else(missing)?;
        self.inodes.get_mut(&number).ok_or_else(missing)
    }

    fn change(&mut self, change: Change) -> io::Result<()> {
        self.whole()?;
        change.apply(&mut self.names);
        self.changes.push(change);
        Ok(())
    }
}

impl Disk for SimDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.files().into_keys().collect())
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        self.files().remove(name).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.state().put(name, bytes, |content, new| content.extend_from_slice(new))
    }

    fn write(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.state().put(name, bytes, |content, new| *content = new.to_vec())
    }

    fn overwrite(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.state().put(name, bytes, |content, new| content[..new.len()].copy_from_slice(new))
    }

    fn truncate(&mut self, name: &str, length: u64) -> io::Result<()> {
        let mut state = self.state();
        state.whole()?;
        state.inode(name)?.content.truncate(length as usize);
        Ok(())
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        state.whole()?;
        let inode = state.inode(name)?;
        inode.synced.clone_from(&inode.content);
        Ok(())
    }

    fn sync_directory(&mut self) -> io::Result<()> {
        let mut state = self.state();
        state.whole()?;
        state.durable = state.names.clone();
        state.changes.clear();
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.state().inode(from)?;
        self.state().change(Change::Rename(from.to_owned(), to.to_owned()))
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.state().inode(name)?;
        self.state().change(Change::Remove(name.to_owned()))
    }
}
