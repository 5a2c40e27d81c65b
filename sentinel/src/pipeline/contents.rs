//! What the pipeline knows of the contents of executables: from the kernel's records, and from the thread that reads files.
//!
//! Invariant: a hash goes into the kernel's map only from here.

use std::{path::PathBuf, time::SystemTime};

use rules::OnError;
use sentinel_common::{
    content::{Content, Digest, FileVersion, state},
    event::flag,
};

use super::{Pipeline, hashes};
use crate::{
    alerting::Note,
    event::{Change, Exec},
    hashes::Found,
};

/// Whether something that cannot be had is to be told.
pub(super) fn tells(word: Option<OnError>) -> bool {
    matches!(word, Some(OnError::Alert | OnError::Deny))
}

impl Pipeline {
    /// Takes down what a record says of the hash of what is to run, and asks for it if it says nothing.
    pub(super) fn learn_hash(&mut self, exec: &Exec) {
        let Content { version, hashed, .. } = exec.content;
        if hashed.state != state::KNOWN {
            let task = exec.common.task.tgid;
            return self.want(version, || hashes::places(task, &exec.path, false));
        }
        if self.hashes.of(&version).is_none() && self.hashes.lasting(&version, SystemTime::now()) {
            self.know((version, Some(hashed)));
        }
    }

    /// The hash of a new image; asked for if nobody has it.
    pub(super) fn hash_of(&mut self, exec: &Exec, before: &[Exec]) -> Option<Digest> {
        let same = before.iter().filter(|note| note.file == exec.file).map(|note| &note.content);
        let known = same.chain([&exec.content]).find_map(|content| self.hashes.resolve(content));
        if known.is_none() && exec.content.hashed.state != state::UNDEFINED {
            let task = exec.common.task.tgid;
            self.hashes.ask(exec.content.version, || hashes::places(task, &exec.path, true));
        }
        known
    }

    /// What is to be told of an exec that went on, or did not, without a hash or without a whole path.
    pub(super) fn unknown(&self, exec: &Exec, before: &[Exec]) -> Option<Note> {
        let unhashed = |exec: &Exec| matches!(exec.content.hashed.state, state::UNKNOWN | state::UNDEFINED);
        if tells(self.world.unknowns.hash) && before.iter().any(unhashed) {
            return Some(Note::HashUnknown);
        }
        let cut = exec.common.has(flag::PATH_UNKNOWN) || before.iter().any(|b| b.common.has(flag::PATH_UNKNOWN));
        (tells(self.world.unknowns.path) && cut).then_some(Note::PathUnknown)
    }

    /// A file is mapped to be executed. Whether that is more than a question for its hash.
    pub(super) fn mapped(&mut self, change: &Change) -> bool {
        if change.common.has(flag::HASH_UNKNOWN) {
            let places = hashes::places(change.common.task.tgid, &change.path, false);
            let found = places.iter().find_map(|place| std::fs::metadata(place).ok());
            if let Some(meta) = found {
                self.want(hashes::version_of(&meta, change.file), || places);
            }
        }
        change.common.verdict.rule != 0 || self.learner.is_some()
    }

    /// The kernel lacks a hash. What is known here was not to be relied on there when it was found: the file had just changed.
    fn want(&mut self, version: FileVersion, places: impl FnOnce() -> Vec<PathBuf>) {
        match self.hashes.held(&version) {
            Some(hashed) if hashed.state == state::KNOWN => self.know((version, Some(hashed))),
            Some(_) | None => self.hashes.ask(version, places),
        }
    }

    /// The thread has an answer.
    pub fn hashed(&mut self, found: Found) {
        self.hashes.answered(&found.0);
        if let Some(hashed) = found.1.filter(|hashed| hashed.state == state::KNOWN) {
            self.processes.hashed(found.0.file, hashed.digest);
        }
        self.know(found);
    }

    /// Remembers, and tells the kernel if it may rely on it.
    fn know(&mut self, (version, hashed): Found) {
        let Some(hashed) = hashed else { return };
        let lasting = self.hashes.lasting(&version, SystemTime::now());
        let rules = self.world.hash_rules.clone();
        let gone = self.hashes.remember(version, hashed, |digest| rules.contains(digest));
        let told = if lasting { self.verdicts.know(version, hashed) } else { Ok(()) };
        let forgotten = gone.into_iter().map(|version| self.verdicts.forget_content(version));
        for error in forgotten.chain([told]).filter_map(Result::err) {
            tracing::warn!("hashes of executables: {error}");
        }
    }
}
