//! Where the entries of a rule about a path lie: the path as text, the file that is there, its name in its directory, and
//! for a directory everything below it by identity.
//!
//! Invariant: whatever can be had by identity is; the text alone protects only what has no directory yet, and a notice says
//! so.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use rules::PathPattern;
use sentinel_common::{
    FileId,
    verdict::{Subject, access},
};

use super::{Compiled, One, Refusal, path_place, real_path, remarks};
use crate::{
    guard,
    kernel::verdicts::{Held, LONGEST_NAME, Place, Table, Target},
};

/// A labelled directory: its path, ended by `/`, what it is, and what a rule refuses in it.
pub type Tree = (Vec<u8>, FileId, Held);

impl One<'_> {
    /// All places of a path or of a directory.
    pub(super) fn path(
        &self,
        pattern: &PathPattern,
        access: u32,
        limits: u16,
        out: &mut Compiled,
    ) -> Result<(), Refusal> {
        let spares = guard::spares_host(&self.entry.only);
        let own = self.setting.own;
        let excepts_own = own.is_among(&self.entry.except.executables);
        for list in [&self.entry.only, &self.entry.except] {
            if !list.ports.is_empty() || !list.protocols.is_empty() {
                let what = "ports and protocols have no meaning for files; use them in rules about destinations";
                return Err(Refusal::Cannot(what.to_owned()));
            }
        }
        let held = self.held(limits, access, self.expires);
        let written = [Some(pattern.clone()), real_path(pattern), real_name(pattern)];
        let mut all: Vec<PathPattern> = written.into_iter().flatten().collect();
        all.dedup();
        for one in &all {
            if !spares {
                self.guarded(guard::path(one, access), out)?;
                if !excepts_own {
                    self.guarded(own.path(one, access), out)?;
                }
            }
            out.entries.push((path_place(Table::Block, one)?, held));
        }
        if pattern.prefix {
            self.tree(pattern, held, out);
        } else {
            self.file(pattern, held, spares, out)?;
            all.iter().for_each(|one| self.name(one, held, out));
        }
        Ok(())
    }

    /// The file that is there now, whatever its other names.
    fn file(&self, pattern: &PathPattern, held: Held, spares: bool, out: &mut Compiled) -> Result<(), Refusal> {
        let path = Path::new(&pattern.path);
        let found = self.identities.labelled(path);
        out.labels.note(path, found.as_ref().ok().copied());
        if let Err(error) = &found {
            out.remarks.extend(remarks::of_path(self.entry, path, error));
        }
        if let Ok(id) = found {
            if !spares {
                self.guarded(guard::file(id, held.access, &pattern.path), out)?;
            }
            out.files.push(id);
            out.entries
                .push((Place::new(Table::Block, Target::File { dev: id.dev, ino: id.ino }, Subject::ANYONE), held));
        }
        Ok(())
    }

    /// The name in its directory, whether there is such a file or not.
    fn name(&self, pattern: &PathPattern, held: Held, out: &mut Compiled) {
        let path = Path::new(&pattern.path);
        let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else { return };
        let found = self.identities.of(directory);
        out.labels.note(directory, found.as_ref().ok().copied());
        let name = name.as_bytes().to_vec();
        let why = match found {
            Ok(id) if name.len() <= LONGEST_NAME => {
                let target = Target::Name { dev: id.dev, ino: id.ino, name };
                out.entries.push((Place::new(Table::Block, target, Subject::ANYONE), held));
                return;
            }
            Ok(_) => format!("its name is longer than {LONGEST_NAME} bytes"),
            Err(error) => format!("its directory cannot be looked at now: {error}"),
        };
        out.notices.push(format!(
            "rule {}: while there is no file {}, the path alone is protected, not the name in its directory: {why}",
            self.entry.id, pattern.path
        ));
    }

    /// Everything below a directory. Nothing may be taken out of it either: that would free it.
    fn tree(&self, pattern: &PathPattern, held: Held, out: &mut Compiled) {
        let path = Path::new(&pattern.path);
        let real = fs::canonicalize(path);
        let found = self.identities.of(path);
        out.labels.note(Path::new(pattern.path.trim_end_matches('/')), found.as_ref().ok().copied());
        match (real, found) {
            (Ok(real), Ok(id)) => {
                let mut path = real.as_os_str().as_bytes().to_vec();
                if !path.ends_with(b"/") {
                    path.push(b'/');
                }
                out.trees.push((path, id, Held { access: held.access | 1 << access::MOVE, ..held }));
            }
            (Err(error), _) | (_, Err(error)) => out.notices.push(format!(
                "rule {}: {} is protected by its path alone until it is there: {error}",
                self.entry.id, pattern.path
            )),
        }
    }
}

/// Where an exact path would be if the links on the way to it are followed.
fn real_name(pattern: &PathPattern) -> Option<PathPattern> {
    let path = Path::new(&pattern.path);
    let name = path.file_name().filter(|_| !pattern.prefix)?;
    let real: PathBuf = fs::canonicalize(path.parent()?).ok()?.join(name);
    let real = real.to_str()?.to_owned();
    (real != pattern.path).then_some(PathPattern { path: real, prefix: false })
}

/// The entries of labelled directories. The kernel asks the first one above a file alone, so each also gets what is refused
/// in the directories above it.
pub(super) fn entries_of(trees: &[Tree]) -> Vec<(Place, Held)> {
    let mut by_path: BTreeMap<&[u8], Vec<Held>> = BTreeMap::new();
    for (path, _, held) in trees {
        by_path.entry(path).or_default().push(*held);
    }
    let mut all = Vec::new();
    for (path, id, _) in trees {
        let target = Target::Tree { dev: id.dev, ino: id.ino };
        let place = Place::new(Table::Block, target, Subject::ANYONE);
        let above = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(end, _)| &path[..=end]);
        let held = above.filter_map(|above| by_path.get(above)).flatten();
        all.extend(held.map(|held| (place.clone(), *held)));
    }
    all
}

#[cfg(test)]
mod tests {
    use sentinel_common::verdict::Entry;

    use super::*;

    #[test]
    fn an_inner_directory_has_what_the_outer_ones_have() {
        let held = |rule| Held { entry: Entry { rule, ..Entry::NONE }, access: 1 };
        let tree =
            |path: &str, ino, rule| (path.as_bytes().to_vec(), FileId { ino, dev: 1, generation: 0 }, held(rule));
        let all = entries_of(&[tree("/a/", 1, 10), tree("/a/b/", 2, 20), tree("/ab/", 3, 30)]);
        let of = |wanted: u64| -> Vec<u32> {
            let here = all.iter().filter(|(place, _)| place.target == Target::Tree { dev: 1, ino: wanted });
            here.map(|(_, held)| held.entry.rule).collect()
        };
        assert_eq!((of(1), of(2), of(3)), (vec![10], vec![10, 20], vec![30]));
    }
}
