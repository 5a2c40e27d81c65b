//! Descent, and what is done where a record of it was lost.
//!
//! Invariant: every process has the ancestors that can still be known. A record of a fork that was lost is made up for by
//! the next event of the child, which names the parent; a record of an exec by the path that its executable was known by.
//! Nothing is guessed: what cannot be known is left out.

use std::{collections::HashMap, sync::Arc};

use sentinel_common::{FileId, event::Task};

use super::{ANCESTORS, Ancestor, Image, Key, Process, Processes, file_id, read_process};

/// Executables whose paths are remembered.
const PATHS: usize = 4096;

/// By which path an executable was last seen.
#[derive(Debug, Default)]
pub(super) struct Paths {
    known: HashMap<FileId, Arc<str>>,
}

impl Paths {
    /// Remembers an image that was seen.
    pub(super) fn learn(&mut self, image: &Image) {
        if image.file.is_none() || image.path.is_empty() {
            return;
        }
        if self.known.len() >= PATHS {
            self.known.clear();
        }
        self.known.insert(image.file, image.path.clone());
    }

    /// The path of an executable, if it still is the file that lies there: inode numbers are used again.
    fn of(&self, file: FileId) -> Option<Arc<str>> {
        let path = self.known.get(&file)?;
        let there = std::fs::metadata(&**path).is_ok_and(|meta| file_id(&meta).ino == file.ino);
        there.then(|| path.clone())
    }
}

impl Processes {
    /// The ancestors of a child of this process.
    pub(super) fn descent(&mut self, parent: u32, start: u64) -> Arc<[Ancestor]> {
        if parent == 0 {
            return Arc::new([]);
        }
        let key = Key::new(parent, start);
        let Some(process) = self.live(key) else {
            return Arc::new([Ancestor { pid: parent, executable: Arc::default() }]);
        };
        let first = Ancestor { pid: parent, executable: process.image.path.clone() };
        std::iter::once(first).chain(process.ancestors.iter().cloned()).take(ANCESTORS).collect()
    }

    /// The parent of an acting process, as it is now.
    pub fn parent(&mut self, task: &Task) -> Option<&Process> {
        if task.parent == 0 {
            return None;
        }
        self.live(Key::new(task.parent, task.parent_start))
    }

    /// The process with this key; one that was missed is taken from /proc, if it still lives.
    fn live(&mut self, key: Key) -> Option<&Process> {
        if !self.table.contains_key(&key) {
            let (mut process, parent) = read_process(key.pid, Some(key))?;
            process.ancestors = self.ancestors_in_proc(parent.pid);
            self.table.insert(key, process);
        }
        self.table.get(&key)
    }

    /// Ancestors from /proc, up to the first one that the table knows.
    fn ancestors_in_proc(&self, mut pid: u32) -> Arc<[Ancestor]> {
        let mut found: Vec<Ancestor> = Vec::new();
        while pid != 0 && found.len() < ANCESTORS {
            let Some((process, parent)) = read_process(pid, None) else { break };
            let known = self.table.get(&process.key);
            let image = known.map_or(&process.image, |known| &known.image);
            found.push(Ancestor { pid, executable: image.path.clone() });
            if let Some(known) = known {
                found.extend(known.ancestors.iter().cloned());
                break;
            }
            pid = parent.pid;
        }
        found.truncate(ANCESTORS);
        found.into()
    }

    /// Makes the table say of an acting process what the kernel says: its fork or its last exec was missed.
    pub(super) fn mend(&mut self, key: Key, task: &Task) {
        let ancestors = match self.table.get(&key) {
            Some(known) => known.ancestors.clone(),
            None => self.descent(task.parent, task.parent_start),
        };
        let parent = Key::new(task.parent, task.parent_start);
        let inherited = self.table.get(&parent).filter(|parent| parent.image.file == task.executable).cloned();
        let live = read_process(task.tgid, Some(key)).map(|(process, _)| process);
        let path = self.paths.of(task.executable).or_else(|| Some(live.as_ref()?.image.path.clone()));
        let first = !self.table.contains_key(&key);
        let process = self.table.entry(key).or_insert_with(|| Process { key, ..Process::default() });
        (process.start, process.ancestors) = (task.start, ancestors);
        let path = if task.executable.is_none() { None } else { path };
        process.image = Image { path: path.unwrap_or_default(), file: task.executable, hash: None };
        // A child that has not executed anything yet is its parent over again.
        if let (Some(parent), true) = (inherited, first) {
            (process.image.path, process.image.hash) = (parent.image.path, parent.image.hash);
            process.args = parent.args;
            process.interactive = parent.interactive;
        }
        if let Some(live) = live.filter(|_| !task.executable.is_none()) {
            (process.args, process.interactive) = (live.args, live.interactive);
        }
    }
}

#[cfg(test)]
mod tests;
