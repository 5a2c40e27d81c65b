//! Standing rules about what runs: hashes, lists of what may run, and what happens where a hash or a path cannot be had.
//!
//! Invariant: a list that holds for the whole host names what the host cannot start without.

use std::{collections::BTreeMap, fs, os::unix::ffi::OsStrExt as _, path::Path};

use rules::{OnError, PathPattern, StandingValue};
use sentinel_common::{
    content::{Digest, Fallbacks},
    verdict::{Entry, Subject, flag},
};

use super::{Compiled, One};
use crate::{
    guard,
    identity::Identities,
    kernel::{
        contents::{AllowList, AllowLists, Directory, Name},
        verdicts::{LONGEST_NAME, Place, Table, Target},
    },
};

/// Where libraries are: mapping what is below is not running a program.
pub const LIBRARIES: [&str; 7] = ["/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/local/lib"];

/// What it means that something cannot be had: the strongest word of all rules that need it; `None`: none does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unknowns {
    /// The hash of a file.
    pub hash: Option<OnError>,
    /// A whole path.
    pub path: Option<OnError>,
}

/// What is compiled about what runs.
#[derive(Debug, Default)]
pub struct Images {
    lists: BTreeMap<String, Listed>,
    /// What refuses where something cannot be had.
    pub fallbacks: Fallbacks,
    /// Whether something means that a hash, or a path, cannot be had.
    pub unknowns: Unknowns,
}

/// A list while it is put together.
#[derive(Debug)]
struct Listed {
    list: AllowList,
    patterns: Vec<PathPattern>,
    spares: bool,
    mixed: bool,
}

fn stronger(known: Option<OnError>, new: OnError) -> Option<OnError> {
    let rank = |word: OnError| match word {
        OnError::Allow => 0,
        OnError::Alert => 1,
        OnError::Deny => 2,
    };
    Some(known.filter(|known| rank(*known) >= rank(new)).unwrap_or(new))
}

/// The entry that is to stand: one that refuses over one on trial, and the first of equals.
fn put(slot: &mut Entry, entry: Entry) {
    let on_trial = slot.flags & flag::MONITOR != 0 && entry.flags & flag::MONITOR == 0;
    if slot.rule == 0 || on_trial {
        *slot = entry;
    }
}

impl One<'_> {
    /// A content that must not run, or that is exempt.
    pub(super) fn hash(&self, table: Table, digest: &Digest, limits: u16, out: &mut Compiled) -> Result<(), String> {
        self.no_ports()?;
        // An entry about a hash has no accesses: it is written as a whole.
        let held = self.held(limits, u32::MAX, self.expires);
        out.entries.push((Place::new(table, Target::Hash(*digest), Subject::ANYONE), held));
        if table == Table::Block {
            out.images.unknowns.hash = stronger(out.images.unknowns.hash, self.entry.on_error);
            if self.entry.on_error == OnError::Deny {
                put(&mut out.images.fallbacks.hash, held.entry);
            }
        }
        Ok(())
    }

    /// A rule about paths: what it means that a path is not whole.
    pub(super) fn without_path(&self, limits: u16, out: &mut Compiled) {
        out.images.unknowns.path = stronger(out.images.unknowns.path, self.entry.on_error);
        if self.entry.on_error == OnError::Deny {
            put(&mut out.images.fallbacks.path, self.held(limits, u32::MAX, self.expires).entry);
        }
    }

    /// What may run: a member of the list of all that have the same `only` and `except`.
    pub(super) fn allow(&self, pattern: &PathPattern, limits: u16, out: &mut Compiled) -> Result<(), String> {
        self.no_ports()?;
        let subject = format!("{:?} {:?}", self.entry.only, self.entry.except);
        let entry = self.held(limits, u32::MAX, self.expires).entry;
        let (names, trees) = self.members(pattern, out)?;
        let spares = guard::spares_host(&self.entry.only);
        let listed = out.images.lists.entry(subject.clone()).or_insert_with(|| Listed {
            list: AllowList { subject, entry, names: Vec::new(), trees: Vec::new() },
            patterns: Vec::new(),
            spares,
            mixed: false,
        });
        listed.mixed |= listed.list.entry.flags != entry.flags;
        listed.list.names.extend(names);
        listed.list.trees.extend(trees);
        listed.patterns.push(pattern.clone());
        Ok(())
    }

    /// Names and directories of a member, by identity.
    fn members(&self, pattern: &PathPattern, out: &mut Compiled) -> Result<(Vec<Name>, Vec<Directory>), String> {
        let path = Path::new(&pattern.path);
        let here = self.identities.of(path);
        out.labels.note(Path::new(pattern.path.trim_end_matches('/')), here.as_ref().ok().copied());
        if pattern.prefix {
            let tree = here.map_err(|error| self.absent(pattern, &error.to_string(), out)).ok();
            return Ok((Vec::new(), tree.into_iter().map(|id| (id.dev, id.ino)).collect()));
        }
        let mut names = Vec::new();
        for path in [Some(path.to_owned()), fs::canonicalize(path).ok()].into_iter().flatten() {
            let (directory, name) = split(&path)?;
            let found = self.identities.of(directory);
            out.labels.note(directory, found.as_ref().ok().copied());
            match found {
                Ok(id) => names.push((id.dev, id.ino, name)),
                Err(error) => self.absent(pattern, &error.to_string(), out),
            }
        }
        Ok((names, Vec::new()))
    }

    fn absent(&self, pattern: &PathPattern, why: &str, out: &mut Compiled) {
        out.notices.push(format!(
            "rule {}: {} cannot be looked at now, so nothing may run by that name until it is there: {why}",
            self.entry.id, pattern.path
        ));
    }

    fn no_ports(&self) -> Result<(), String> {
        let with = [&self.entry.only, &self.entry.except]
            .into_iter()
            .any(|list| !list.ports.is_empty() || !list.protocols.is_empty());
        if with {
            return Err(
                "ports and protocols have no meaning for executables; use them in rules about destinations".into()
            );
        }
        Ok(())
    }
}

/// The directory of a path, and the name in it.
fn split(path: &Path) -> Result<(&Path, Vec<u8>), String> {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(format!("{} is no name of a file", path.display()));
    };
    if name.len() > LONGEST_NAME {
        let path = path.display();
        return Err(format!("the name of {path} is longer than {LONGEST_NAME} bytes; allow its directory instead"));
    }
    Ok((directory, name.as_bytes().to_vec()))
}

impl Images {
    /// The lists, for the kernel; what is wrong with them.
    pub(super) fn lists(&self, identities: &Identities) -> (AllowLists, Option<String>) {
        let problem = self.lists.values().find_map(Listed::problem);
        let libraries = LIBRARIES.iter().filter_map(|path| identities.of(Path::new(path)).ok());
        let lists = AllowLists {
            lists: self.lists.values().map(|listed| listed.list.clone()).collect(),
            libraries: libraries.map(|id| (id.dev, id.ino)).collect(),
        };
        (lists, problem)
    }
}

impl Listed {
    fn problem(&self) -> Option<String> {
        if self.mixed {
            return Some(
                "members of allow_executables with the same only and except differ in mode; they make one list".into(),
            );
        }
        let missing = if self.spares { Vec::new() } else { guard::vital_programs(&self.patterns) };
        (!missing.is_empty()).then(|| {
            format!(
                "allow_executables holds for the whole host and does not name {}, without which it does not start; add \
                 that, or limit the list with only",
                missing.join(", ")
            )
        })
    }
}

/// Whether any rule is about hashes, exemptions included.
#[must_use]
pub fn about_hashes(value: &StandingValue) -> bool {
    match value {
        StandingValue::BlockHash(_) => true,
        StandingValue::Exemption(exemption) => !exemption.hashes.is_empty(),
        StandingValue::BlockCountry(_)
        | StandingValue::AllowCountry(_)
        | StandingValue::BlockRegion(_)
        | StandingValue::BlockCidr(_)
        | StandingValue::BlockPath(_)
        | StandingValue::BlockExecutable(_)
        | StandingValue::AllowExecutable(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_word_counts() {
        assert_eq!(stronger(None, OnError::Allow), Some(OnError::Allow));
        assert_eq!(stronger(Some(OnError::Deny), OnError::Alert), Some(OnError::Deny));
        assert_eq!(stronger(Some(OnError::Allow), OnError::Alert), Some(OnError::Alert));
    }

    #[test]
    fn what_refuses_stands_before_what_is_on_trial() {
        let entry = |rule, flags| Entry { rule, flags, ..Entry::NONE };
        let mut slot = Entry::NONE;
        for (new, stands) in
            [(entry(1, flag::MONITOR), 1), (entry(2, 0), 2), (entry(3, 0), 2), (entry(4, flag::MONITOR), 2)]
        {
            put(&mut slot, new);
            assert_eq!(slot.rule, stands);
        }
    }

    #[test]
    fn a_name_is_split_from_its_directory() {
        assert_eq!(split(Path::new("/usr/bin/x")), Ok((Path::new("/usr/bin"), b"x".to_vec())));
        assert!(split(Path::new("/")).is_err());
        assert!(split(Path::new(&format!("/{}", "n".repeat(64)))).unwrap_err().contains("allow its directory"));
    }
}
