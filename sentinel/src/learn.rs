//! `sentinel run --learn FILE`: a policy that allows what was seen, for a person to review.
//!
//! Invariants: nothing is in it that was not seen, and nothing is left out silently: what no list can hold is a comment. The
//! file is replaced as a whole. Learning decides nothing.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use rules::{Kind, Value};

use crate::{input::DELETED, kernel::cgroup::Cgroups, standing::LIBRARIES};

/// Most different things that are learned of each sort.
const MOST: usize = 20_000;

/// A control group that was gone before its name was asked for.
const GONE: &str = "a control group that is gone";

/// What was seen.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    /// Executables by control group.
    programs: BTreeMap<String, BTreeSet<String>>,
    /// Those that no list can hold.
    unnamed: BTreeMap<String, BTreeSet<String>>,
    /// Addresses by executable.
    destinations: BTreeMap<String, BTreeSet<String>>,
    /// Things that were too many.
    dropped: u64,
}

/// Takes down what is seen, and writes the policy.
pub struct Learner {
    path: PathBuf,
    seen: Seen,
}

/// Paths of control groups, by their ids.
pub struct Groups {
    cgroups: Cgroups,
    names: HashMap<u64, String>,
}

impl Groups {
    /// Of the hierarchy mounted here.
    ///
    /// # Errors
    ///
    /// If it cannot be opened.
    pub fn new(root: &Path) -> Result<Self> {
        Ok(Self { cgroups: Cgroups::open(root).context("cannot open the cgroup hierarchy")?, names: HashMap::new() })
    }

    /// The path, as policies name it; `None`: the group is gone, and nobody asked while it was there.
    pub fn path(&mut self, id: u64) -> Option<&str> {
        if !self.names.contains_key(&id) {
            if self.names.len() >= MOST {
                self.names.clear();
            }
            self.names.insert(id, self.cgroups.path(id)?);
        }
        self.names.get(&id).map(String::as_str)
    }
}

impl Learner {
    /// Learns for the file at `path`, which is written at once: empty, to show that it can be.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn new(path: &Path) -> Result<Self> {
        let learner = Self { path: path.to_owned(), seen: Seen::default() };
        learner.save()?;
        Ok(learner)
    }

    /// Takes down an event of a process in this control group.
    pub fn event(&mut self, kind: Kind, event: &Value, cgroup: Option<&str>) {
        self.seen.event(kind, event, cgroup.unwrap_or(GONE));
    }

    /// Writes the policy.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn save(&self) -> Result<()> {
        let new = self.path.with_extension("new");
        let what = || format!("cannot write the learned policy {} (--learn)", self.path.display());
        fs::write(&new, self.seen.text()).and_then(|()| fs::rename(&new, &self.path)).with_context(what)
    }
}

fn text<'v>(value: &'v Value, object: &str, key: &str) -> Option<&'v str> {
    match &value[object][key] {
        Value::String(text) => Some(text),
        _ => None,
    }
}

impl Seen {
    fn event(&mut self, kind: Kind, event: &Value, cgroup: &str) {
        match kind {
            Kind::Exec => [text(event, "file", "path"), text(event, "process", "executable")]
                .into_iter()
                .flatten()
                .for_each(|path| self.program(cgroup, path)),
            Kind::Mmap => {
                let library = |path: &str| LIBRARIES.iter().any(|dir| Path::new(path).starts_with(dir));
                if let Some(path) = text(event, "file", "path").filter(|path| !library(path)) {
                    self.program(cgroup, path);
                }
            }
            Kind::Connect | Kind::Send => {
                let found = text(event, "process", "executable").zip(text(event, "destination", "ip"));
                if let Some((program, address)) = found {
                    self.dropped += u64::from(!put(&mut self.destinations, program, address));
                }
            }
            _ => {}
        }
    }

    fn program(&mut self, cgroup: &str, path: &str) {
        let named = path.starts_with('/') && !path.ends_with(DELETED) && !path.contains(['*', '?']);
        let list = if named { &mut self.programs } else { &mut self.unnamed };
        self.dropped += u64::from(!put(list, cgroup, path));
    }

    /// The policy.
    fn text(&self) -> String {
        let mut out = String::from(HEAD);
        for (cgroup, programs) in &self.programs {
            let quoted: Vec<String> = programs.iter().map(|path| format!("\t{},\n", quoted(path))).collect();
            let _ = if cgroup == "/" || cgroup == GONE {
                let all: String = programs.iter().map(|path| format!("#   {}\n", comment(path))).collect();
                write!(out, "\n# Seen in {cgroup}, which no list can be limited to:\n{all}")
            } else {
                write!(
                    out,
                    "\n# Programs of {}.\nallow_executables contains {{\"value\": program, \"only\": {{\"cgroups\": [{}]}}}} if \
                     some program in [\n{}]\n",
                    comment(cgroup),
                    self::quoted(cgroup),
                    quoted.concat()
                )
            };
        }
        for (cgroup, programs) in &self.unnamed {
            let all: String = programs.iter().map(|path| format!("#   {}\n", comment(path))).collect();
            let _ = write!(out, "\n# Ran in {} and has no name that a list could hold:\n{all}", comment(cgroup));
        }
        self.destinations_text(&mut out);
        if self.dropped > 0 {
            let _ =
                write!(out, "\n# {} more were seen than a policy should list; they are not in here.\n", self.dropped);
        }
        out
    }

    fn destinations_text(&self, out: &mut String) {
        if self.destinations.is_empty() {
            return;
        }
        out.push_str(DESTINATIONS);
        for (program, addresses) in &self.destinations {
            let all: Vec<String> = addresses.iter().map(|address| quoted(address)).collect();
            let _ = writeln!(out, "\t{}: {{{}}},", quoted(program), all.join(", "));
        }
        out.push_str("}\n");
    }
}

/// Adds to a set; false if there is no more room.
fn put(all: &mut BTreeMap<String, BTreeSet<String>>, key: &str, value: &str) -> bool {
    let full = all.values().map(BTreeSet::len).sum::<usize>() >= MOST;
    let known = all.get(key).is_some_and(|set| set.contains(value));
    if full && !known {
        return false;
    }
    if !known {
        all.entry(key.to_owned()).or_default().insert(value.to_owned());
    }
    true
}

/// A string as Rego writes it, which is as JSON does.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Text in a comment: it must not end the line.
fn comment(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

const HEAD: &str = "# A policy that `sentinel run --learn` wrote from what it saw. Read it before you use it:
#
# - Whatever ran while it was learned is on a list, wanted or not. Take out what should not run.
# - What runs seldom (once a month, at an update, in an emergency) was perhaps not seen. Put it in.
# - A list holds for the control group that it names, and refuses it everything else. A name that ends in `/` is a directory.
# - Mode `monitor` only reports. When nothing is reported any more that should run, take the line `mode` out.
#
# `sentinel check FILE` looks for mistakes; `sentinel replay RECORDING --policy FILE` shows what it would have refused.

# METADATA
# title: Not on the learned list
# custom:
#   id: learned-programs
#   severity: high
#   mode: monitor
package sentinel.learned

import rego.v1
";

const DESTINATIONS: &str = "
# METADATA
# title: Program connects where it did not while the policy was learned
# custom:
#   id: learned-destinations
#   severity: low
alert contains msg if {
	input.event.action == \"connect\"
	known := destinations[input.process.executable]
	not input.destination.ip in known
	msg := sprintf(\"%s connects to %s\", [input.process.executable, input.destination.ip])
}

destinations := {
";

#[cfg(test)]
mod tests {
    use rules::Policies;

    use super::*;

    fn event(json: &str) -> Value {
        Value::from_json_str(json).unwrap()
    }

    #[test]
    fn what_was_seen_is_allowed_and_the_policy_is_sound() {
        let mut seen = Seen::default();
        let exec = event(r#"{"file": {"path": "/srv/run \"x\".sh"}, "process": {"executable": "/usr/bin/dash"}}"#);
        seen.event(Kind::Exec, &exec, "/system.slice/a.service");
        seen.event(Kind::Exec, &event(r#"{"file": {"path": "/memfd:x (deleted)"}}"#), "/b");
        seen.event(Kind::Exec, &event(r#"{"file": {"path": "/usr/bin/sh\nroot"}}"#), "/");
        seen.event(Kind::Mmap, &event(r#"{"file": {"path": "/usr/lib/libc.so.6"}}"#), "/b");
        seen.event(Kind::Mmap, &event(r#"{"file": {"path": "/opt/plugin.so"}}"#), "/b");
        let connect = event(r#"{"process": {"executable": "/usr/bin/curl"}, "destination": {"ip": "192.0.2.1"}}"#);
        seen.event(Kind::Connect, &connect, "/b");
        let text = seen.text();
        let policies = Policies::from_texts(&[("learned.rego", &text)], "").unwrap_or_else(|e| panic!("{e}\n{text}"));
        let allowed: Vec<String> = policies.standing().iter().map(|e| format!("{:?}", e.value)).collect();
        assert_eq!(allowed.len(), 3, "{allowed:?}\n{text}");
        assert!(
            allowed.iter().any(|value| value.contains("run")) && allowed.iter().any(|v| v.contains("/opt/plugin.so"))
        );
        assert!(policies.standing().iter().all(|entry| entry.only.cgroups.len() == 1));
        assert!(text.contains("memfd:x") && text.contains("sh\u{fffd}root") && !text.contains("libc"));
        assert_eq!(policies.rules().len(), 1);
    }

    #[test]
    fn nothing_seen_is_a_sound_policy_too() {
        let text = Seen::default().text();
        assert!(Policies::from_texts(&[("learned.rego", &text)], "").unwrap().standing().is_empty());
    }

    #[test]
    fn a_bound_is_kept_and_told() {
        let mut seen = Seen::default();
        (0..MOST + 5).for_each(|number| seen.program("/a", &format!("/{number}")));
        seen.program("/a", "/0");
        assert_eq!(seen.dropped, 5);
        assert!(seen.text().contains("# 5 more"));
    }
}
