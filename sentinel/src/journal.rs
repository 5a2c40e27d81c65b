//! The journal of block entries from event rules: they outlive the daemon, as long as the machine runs and their rule is the same.
//!
//! Invariants: an entry is in the journal before its alert says that it was written; what is read back goes through the rule's own
//! text, so an entry of a rule that has changed is not put in force. Damage costs the damaged lines and nothing else. Not here:
//! what survives without a daemon, which is in the kernel.

use std::{
    fs::{File, OpenOptions},
    io::{BufRead as _, BufReader, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use rules::Severity;
use sentinel_common::{
    hook,
    verdict::{Entry, origin},
};
use serde::{Deserialize, Serialize};

use crate::{
    attendance::{boot_id, replace},
    clock,
    kernel::verdicts::{Held, Place, Verdicts},
    world::{Numbers, rule_of},
};

/// The file, in the state directory.
const FILE: &str = "entries.jsonl";
/// So many more lines than twice the entries that there are, and the file is written anew.
const SLACK: usize = 1024;

/// The first line.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    boot_id: String,
}

/// An entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Line {
    /// What makes its rule the same rule.
    rule: String,
    /// Id and severity of the member of the rule that asked for it.
    id: String,
    severity: String,
    place: Place,
    access: u32,
    expires: u64,
}

/// The journal, open for appending.
pub struct Journal {
    path: PathBuf,
    file: Option<File>,
    lines: usize,
}

impl Journal {
    /// Puts the entries that still hold in force, and begins the file anew with them. How many there were.
    ///
    /// # Errors
    ///
    /// If the kernel takes one of them not, or the file cannot be written.
    pub fn load(
        state_dir: &Path,
        verdicts: &mut Verdicts,
        numbers: &mut Numbers,
        generation: u32,
    ) -> Result<(Self, usize)> {
        let path = state_dir.join(FILE);
        let now = clock::boot_now();
        let mut loaded = 0;
        for line in read(&path, &boot_id())?.into_iter().filter(|line| line.expires == 0 || line.expires > now) {
            let Some(rule) = numbers.number(&line.rule) else { continue };
            let severity = line.severity.parse().unwrap_or(Severity::Medium);
            let entry = Entry {
                expires: line.expires,
                rule: numbers.give_member(rule, &line.id, severity),
                generation,
                hook: hook::ANY,
                origin: origin::EVENT_RULE,
                ..Entry::NONE
            };
            verdicts.insert(&line.place, Held { entry, access: line.access })?;
            loaded += 1;
        }
        let mut journal = Self { path, file: None, lines: 0 };
        journal.rewrite(verdicts, numbers)?;
        Ok((journal, loaded))
    }

    /// Takes down an entry.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn add(&mut self, place: &Place, held: &Held, numbers: &Numbers) -> Result<()> {
        let (Some(line), Some(file)) = (line_of(place, held, numbers), &mut self.file) else { return Ok(()) };
        let text = format!("{}\n", serde_json::to_string(&line)?);
        self.lines += 1;
        // One write: whoever reads after a crash finds a whole line or the beginning of one.
        file.write_all(text.as_bytes()).with_context(|| format!("cannot write {}", self.path.display()))
    }

    /// Writes the file anew if most of it has passed.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn sweep(&mut self, verdicts: &Verdicts, numbers: &Numbers) -> Result<()> {
        if self.lines <= SLACK || self.lines <= SLACK + 2 * of_rules(verdicts).count() {
            return Ok(());
        }
        self.rewrite(verdicts, numbers)
    }

    fn rewrite(&mut self, verdicts: &Verdicts, numbers: &Numbers) -> Result<()> {
        let mut text = serde_json::to_string(&Head { boot_id: boot_id() })?;
        self.lines = 0;
        for line in of_rules(verdicts).filter_map(|(place, held)| line_of(place, held, numbers)) {
            text = text + "\n" + &serde_json::to_string(&line)?;
            self.lines += 1;
        }
        text.push('\n');
        replace(&self.path, text.as_bytes())?;
        let file = OpenOptions::new().append(true).mode(0o600).open(&self.path);
        self.file = Some(file.with_context(|| format!("cannot open {}", self.path.display()))?);
        Ok(())
    }
}

/// The entries that came from decisions.
fn of_rules(verdicts: &Verdicts) -> impl Iterator<Item = (&Place, &Held)> {
    verdicts.iter().filter(|(_, held)| held.entry.origin == origin::EVENT_RULE)
}

fn line_of(place: &Place, held: &Held, numbers: &Numbers) -> Option<Line> {
    let member = numbers.rule(held.entry.rule)?;
    Some(Line {
        rule: numbers.text(rule_of(held.entry.rule))?.to_owned(),
        id: member.id.clone(),
        severity: member.severity.to_string(),
        place: place.clone(),
        access: held.access,
        expires: held.entry.expires,
    })
}

/// The entries of a file of this boot; those of another boot name inodes and processes that may be others now.
fn read(path: &Path, boot_id: &str) -> Result<Vec<Line>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}; move it away", path.display())),
    };
    let mut lines = BufReader::new(file).split(b'\n').map_while(Result::ok);
    let head: Option<Head> = lines.next().and_then(|line| serde_json::from_slice(&line).ok());
    if head.is_none_or(|head| head.boot_id != boot_id) {
        return Ok(Vec::new());
    }
    let mut damaged = 0;
    let parse = |line: Vec<u8>| serde_json::from_slice(&line).inspect_err(|_| damaged += 1).ok();
    let all = lines.filter_map(parse).collect();
    if damaged > 0 {
        tracing::warn!("{}: {damaged} lines are damaged and left out", path.display());
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::verdicts::{Table, Target};
    use sentinel_common::verdict::Subject;

    fn line(expires: u64) -> Line {
        let target = Target::Path { path: b"/srv/\xff\n".to_vec(), prefix: false };
        Line {
            rule: "sentinel.lab lab.deny None 00".to_owned(),
            id: "lab".to_owned(),
            severity: "high".to_owned(),
            place: Place::new(Table::Block, target, Subject::instance(7, 8)),
            access: 3,
            expires,
        }
    }

    #[test]
    fn whole_lines_of_this_boot_are_read() {
        let path = std::env::temp_dir().join(format!("sentinel-journal-{}", std::process::id()));
        assert_eq!(read(&path, "a").unwrap(), []);
        let mut text = serde_json::to_string(&Head { boot_id: "a".to_owned() }).unwrap();
        for expires in [1, 2] {
            text = text + "\n" + &serde_json::to_string(&line(expires)).unwrap();
        }
        std::fs::write(&path, format!("{text}\n{{\"rule\": \"sent")).unwrap();
        assert_eq!(read(&path, "a").unwrap(), [line(1), line(2)]);
        assert_eq!(read(&path, "b").unwrap(), []);
        std::fs::write(&path, "no head").unwrap();
        assert_eq!(read(&path, "a").unwrap(), []);
        std::fs::remove_file(path).unwrap();
    }
}
