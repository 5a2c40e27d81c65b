//! What is odd about standing rules that can be put in force: rules that contradict each other, paths that stand for nothing.
//!
//! Not here: what is refused (`guard`, and each rule's own checks).

use std::{io, path::Path};

use rules::{Exemption, PathPattern, StandingEntry, StandingValue};

use super::Ruling;

/// Something to be told about a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// The policy file.
    pub file: String,
    /// Its line.
    pub line: u32,
    /// Stable code.
    pub code: &'static str,
    /// What is odd.
    pub message: String,
    /// What to do.
    pub hint: String,
}

impl Remark {
    /// About a member of a standing rule.
    pub(super) fn of(entry: &StandingEntry, code: &'static str, message: &str, hint: &str) -> Self {
        let message = format!("rule {}: {message}", entry.id);
        Self { file: entry.file.clone(), line: entry.line, code, message, hint: hint.to_owned() }
    }

    /// As a finding, for whoever shows places; `text` gives the content of a file.
    #[must_use]
    pub fn diagnostic(&self, text: &dyn Fn(&str) -> String) -> rules::Diagnostic {
        let at = rules::Diagnostic::at(&self.file, &text(&self.file), self.line, 1, self.message.clone());
        at.hint(self.hint.as_str()).code(self.code)
    }

    /// In one line.
    #[must_use]
    pub fn text(&self) -> String {
        let place = if self.file.is_empty() { String::new() } else { format!("{}:{}: ", self.file, self.line) };
        format!("{place}{}; {}", self.message, self.hint)
    }
}

/// Rules of which one never has a say because of another.
pub(super) fn contradictions(all: &[Ruling], now: i64) -> Vec<Remark> {
    let mut found = Vec::new();
    let is_exemption = |ruling: &&Ruling| matches!(ruling.entry.value, StandingValue::Exemption(_));
    let exemptions: Vec<&Ruling> = all.iter().filter(is_exemption).collect();
    let every: Vec<&Ruling> = all.iter().collect();
    for Ruling { entry, .. } in all {
        use StandingValue::{AllowCountry, AllowExecutable};
        let allows = matches!(entry.value, AllowCountry(_) | AllowExecutable(_));
        for Ruling { entry: other, .. } in if allows { &every } else { &exemptions } {
            let limited = !other.only.is_empty() || !other.except.is_empty();
            if !limited && let Some(what) = overruled(&entry.value, &other.value, now) {
                let message = format!("{what} ({}:{}, rule {})", other.file, other.line, other.id);
                let hint = "take one of them out, or make one narrower";
                found.push(Remark::of(entry, "rules-contradict", &message, hint));
                break;
            }
        }
    }
    found
}

/// Why the first never has a say while the second is in force.
fn overruled(one: &StandingValue, other: &StandingValue, now: i64) -> Option<String> {
    use StandingValue::{AllowCountry, AllowExecutable, BlockCountry, BlockExecutable, BlockPath};
    match (one, other) {
        (one, StandingValue::Exemption(exemption)) if exemption.expires > now && exempts(exemption, one) => {
            Some(format!("it refuses nothing, because the exemption {} covers all of it", exemption.id))
        }
        (AllowCountry(allowed), BlockCountry(blocked)) if allowed == blocked => {
            Some(format!("{} is allowed here and blocked elsewhere; it is refused", text(allowed.0)))
        }
        (AllowExecutable(allowed), BlockExecutable(blocked) | BlockPath(blocked)) if covers(blocked, allowed) => {
            Some(format!("{} is allowed here and blocked elsewhere; it is refused", allowed.path))
        }
        _ => None,
    }
}

fn text(code: [u8; 2]) -> String {
    String::from_utf8_lossy(&code).into_owned()
}

/// Whether an exemption covers all that a rule refuses.
fn exempts(exemption: &Exemption, value: &StandingValue) -> bool {
    let path = |list: &[PathPattern], pattern| list.iter().any(|exempt| covers(exempt, pattern));
    match value {
        StandingValue::BlockCountry(country) => exemption.countries.contains(country),
        StandingValue::BlockRegion(region) => exemption.regions.contains(region),
        StandingValue::BlockCidr(net) => exemption.cidrs.iter().any(|exempt| exempt.contains(net)),
        StandingValue::BlockPath(pattern) => path(&exemption.paths, pattern),
        StandingValue::BlockExecutable(pattern) => {
            path(&exemption.paths, pattern) || path(&exemption.executables, pattern)
        }
        StandingValue::BlockHash(hash) => exemption.hashes.contains(hash),
        StandingValue::AllowCountry(_) | StandingValue::AllowExecutable(_) | StandingValue::Exemption(_) => false,
    }
}

/// Whether a pattern covers all that another one does.
fn covers(outer: &PathPattern, inner: &PathPattern) -> bool {
    if outer.prefix { inner.path.starts_with(&outer.path) } else { outer == inner }
}

/// What there is to say of a path that cannot be looked at; `None` where the name in its directory is told about already.
pub(super) fn of_path(entry: &StandingEntry, path: &Path, error: &io::Error) -> Option<Remark> {
    let at = path.display();
    let here = path.parent().is_some_and(Path::exists);
    match error.raw_os_error() {
        Some(libc::ELOOP) => Some(Remark::of(
            entry,
            "path-loop",
            &format!("{at} goes through a loop of symbolic links, so it can never stand for a file"),
            "name the file itself",
        )),
        Some(libc::ENOENT) if here => Some(Remark::of(
            entry,
            "path-absent",
            &format!("there is no {at} on this host now"),
            "it is protected by its name from the moment that it appears; check the spelling",
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remarks(rules: &str) -> Vec<String> {
        let text = format!("package sentinel.lab\n{rules}");
        let policies = rules::Policies::from_texts(&[("lab.rego", &text)], "").unwrap();
        let all: Vec<Ruling> =
            policies.standing().iter().map(|entry| Ruling { entry: entry.clone(), expires: 0 }).collect();
        contradictions(&all, 0).into_iter().map(|remark| remark.message).collect()
    }

    fn exemption(covers: &str) -> String {
        format!(
            "exemptions contains {{\"id\": \"lic-1\", \"type\": \"licence\", \"authority\": \"A\", \"reference\": \"R\", \
             \"approver\": \"P\", \"expires\": \"2030-01-01\", {covers}}}\n"
        )
    }

    #[test]
    fn a_rule_under_an_exemption_that_covers_it_is_told() {
        let told = |rule: &str, covers: &str| remarks(&format!("{rule}\n{}", exemption(covers))).len();
        assert_eq!(told("block_cidrs contains \"192.0.2.0/25\"", "\"cidrs\": [\"192.0.2.0/24\"]"), 1);
        assert_eq!(told("block_cidrs contains \"192.0.2.0/24\"", "\"cidrs\": [\"192.0.2.0/25\"]"), 0);
        assert_eq!(told("block_paths contains \"/srv/a\"", "\"paths\": [\"/srv/\"]"), 1);
        assert_eq!(told("block_paths contains \"/srv/\"", "\"paths\": [\"/srv/a\"]"), 0);
        assert_eq!(told("block_countries contains \"IR\"", "\"countries\": [\"IR\"]"), 1);
        let limited = "\"countries\": [\"IR\"], \"only\": {\"uids\": [7]}";
        assert_eq!(told("block_countries contains \"IR\"", limited), 0);
    }

    #[test]
    fn what_is_allowed_and_blocked_is_told() {
        assert_eq!(remarks("allow_countries contains \"DE\"\nblock_countries contains \"DE\"").len(), 1);
        assert_eq!(remarks("allow_countries contains \"DE\"\nblock_countries contains \"FR\"").len(), 0);
    }

    #[test]
    fn paths_that_stand_for_nothing() {
        let dir = std::env::temp_dir().join(format!("sentinel-remarks-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let (one, two) = (dir.join("one"), dir.join("two"));
        std::os::unix::fs::symlink(&one, &two).unwrap();
        std::os::unix::fs::symlink(&two, &one).unwrap();
        let policies =
            rules::Policies::from_texts(&[("lab.rego", "package sentinel.lab\nblock_paths contains \"/x\"")], "");
        let entry = policies.unwrap().standing()[0].clone();
        let code = |path: &Path| {
            let error = std::fs::File::open(path).unwrap_err();
            of_path(&entry, path, &error).map(|remark| remark.code)
        };
        assert_eq!(code(&one), Some("path-loop"));
        assert_eq!(code(&one.join("below")), Some("path-loop"));
        assert_eq!(code(&dir.join("absent")), Some("path-absent"));
        assert_eq!(code(&dir.join("absent/below")), None);
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
