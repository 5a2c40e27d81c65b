//! Taking secrets out of an alert before anything else sees it.
//!
//! Invariants: it works on the parts of an alert, so no format, sink, spool or trail can hold what it took out; what it
//! replaces is replaced by [`REDACTED`]; argument lists keep their length.
//!
//! Not here: what policies see. They decide on the event as it was.

use regex::Regex;
use serde_json::Value;

use crate::alert::AlertParts;

/// What stands where a secret was.
pub const REDACTED: &str = "[redacted]";

/// Secrets as they are commonly written; the group `secret` is what is taken out, without one the whole match.
const USUAL: &[&str] = &[
    // --password=x, --api-key=x, PGPASSWORD=x, token:x
    r"(?i)(?:pass(?:word|wd|phrase)?|secret|token|api[-_]?key|access[-_]?key|private[-_]?key|credentials?)[\w-]*[=:](?P<secret>\S+)",
    // Authorization: Bearer x
    r"(?i)\b(?:bearer|basic)\s+(?P<secret>[A-Za-z0-9+/._~=-]{6,})",
    // https://name:x@host
    r"://[^/\s:@]*:(?P<secret>[^/\s@]+)@",
    // keys that say what they are: AWS, GitHub, GitLab, Slack, Google, private keys in PEM
    r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    r"\bgh[pousr]_[A-Za-z0-9]{20,}\b",
    r"\bglpat-[A-Za-z0-9_-]{16,}",
    r"\bxox[abposr]-[A-Za-z0-9-]{10,}",
    r"\bAIza[A-Za-z0-9_-]{30,}",
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*",
];

/// Options whose value is the argument after them.
const NEXT: &str =
    r"(?i)^--?(?:[\w-]*(?:password|passwd|passphrase|secret|token|api-?key|access-?key)|requirepass|user-pass)$";

/// What is taken out.
#[derive(Debug, Clone)]
pub struct Redactor {
    patterns: Vec<Regex>,
    next: Option<Regex>,
    arguments: bool,
}

/// A pattern that is no regular expression.
#[derive(Debug, thiserror::Error)]
#[error("redaction pattern {pattern:?} is not usable: {source}; the group (?P<secret>...) is what would be taken out")]
pub struct PatternError {
    /// The pattern.
    pattern: String,
    /// What is wrong.
    source: Box<regex::Error>,
}

impl Redactor {
    /// `usual`: with the patterns that come with Sentinel. `arguments`: false leaves arguments out of alerts altogether.
    ///
    /// # Errors
    ///
    /// A pattern that is no regular expression.
    pub fn new<S: AsRef<str>>(patterns: &[S], usual: bool, arguments: bool) -> Result<Self, PatternError> {
        let own = patterns.iter().map(AsRef::as_ref);
        let all = USUAL.iter().copied().filter(|_| usual).chain(own);
        let patterns = all.map(compile).collect::<Result<_, _>>()?;
        let next = usual.then(|| compile(NEXT)).transpose()?;
        Ok(Self { patterns, next, arguments })
    }

    /// Takes secrets out of arguments, command lines and messages.
    pub fn apply(&self, parts: &mut AlertParts) {
        if let Some(process) = parts.event.get_mut("process") {
            self.process(process);
        }
        // A rule's message may quote what it looked at.
        for message in parts.rules.iter_mut().map(|rule| &mut rule.message).chain(&mut parts.message) {
            self.text(message);
        }
    }

    /// A process and those inside it: parent, previous, ancestors, whatever else comes.
    fn process(&self, value: &mut Value) {
        match value {
            Value::Object(map) => {
                if !self.arguments {
                    map.retain(|name, _| name != "args" && name != "command_line");
                }
                for (name, value) in map.iter_mut() {
                    match (name.as_str(), value) {
                        ("args", Value::Array(args)) => self.arguments(args),
                        ("command_line", Value::String(line)) => self.text(line),
                        (_, value) => self.process(value),
                    }
                }
            }
            Value::Array(list) => list.iter_mut().for_each(|value| self.process(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn arguments(&self, args: &mut [Value]) {
        let mut is_secret = false;
        for arg in args {
            let Value::String(text) = arg else { continue };
            let next = self.next.as_ref().is_some_and(|next| next.is_match(text));
            // Another option: this one is a switch and has no value.
            if is_secret && !text.starts_with("--") {
                REDACTED.clone_into(text);
            } else {
                self.text(text);
            }
            is_secret = next;
        }
    }

    fn text(&self, text: &mut String) {
        for pattern in &self.patterns {
            if pattern.is_match(text) {
                *text = replaced(pattern, text);
            }
        }
    }
}

impl Default for Redactor {
    /// The usual patterns. Those that come with Sentinel compile; a test says so.
    fn default() -> Self {
        let none: [&str; 0] = [];
        Self::new(&none, true, true).expect("the shipped patterns are regular expressions")
    }
}

fn compile(pattern: &str) -> Result<Regex, PatternError> {
    let wrong = |source| PatternError { pattern: pattern.to_owned(), source: Box::new(source) };
    Regex::new(pattern).map_err(wrong)
}

fn replaced(pattern: &Regex, text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut end = 0;
    for captures in pattern.captures_iter(text) {
        let Some(secret) = captures.name("secret").or_else(|| captures.get(0)) else { continue };
        clean.push_str(&text[end..secret.start()]);
        clean.push_str(REDACTED);
        end = secret.end();
    }
    clean.push_str(&text[end..]);
    clean
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn args(redactor: &Redactor, args: &[&str]) -> Value {
        let mut process = json!({"args": args, "parent": {"args": args}, "ancestors": [{"args": args}]});
        redactor.process(&mut process);
        assert_eq!(process["args"], process["parent"]["args"]);
        assert_eq!(process["args"], process["ancestors"][0]["args"]);
        process["args"].take()
    }

    #[test]
    fn usual_secrets_are_taken_out_and_the_rest_stays() {
        let redactor = Redactor::default();
        for (given, expected) in [
            (vec!["psql", "--password=hunter2", "-h", "db"], json!(["psql", "--password=[redacted]", "-h", "db"])),
            (vec!["mysql", "--password", "hunter2", "-v"], json!(["mysql", "--password", "[redacted]", "-v"])),
            (vec!["env", "PGPASSWORD=hunter2", "psql"], json!(["env", "PGPASSWORD=[redacted]", "psql"])),
            (vec!["--db-token", "--verbose"], json!(["--db-token", "--verbose"])),
            (
                vec!["curl", "-H", "Authorization: Bearer abcdef012345"],
                json!(["curl", "-H", "Authorization: Bearer [redacted]"]),
            ),
            (
                vec!["git", "clone", "https://me:hunter2@git.example/x"],
                json!(["git", "clone", "https://me:[redacted]@git.example/x"]),
            ),
            (vec!["x", "AKIAIOSFODNN7EXAMPLE"], json!(["x", "[redacted]"])),
            (vec!["passwd", "root"], json!(["passwd", "root"])),
            (vec!["ssh", "tokenhost", "http://a.example:80/x"], json!(["ssh", "tokenhost", "http://a.example:80/x"])),
        ] {
            assert_eq!(args(&redactor, &given), expected);
        }
    }

    #[test]
    fn own_patterns_take_the_whole_match_unless_they_have_a_group() {
        let redactor = Redactor::new(&["cust-[0-9]+", "pin (?P<secret>[0-9]+)"], false, true).unwrap();
        assert_eq!(
            args(&redactor, &["cust-77 pin 1234", "--password=x"]),
            json!(["[redacted] pin [redacted]", "--password=x"])
        );
        let error = Redactor::new(&["("], true, true).unwrap_err().to_string();
        assert!(error.contains("\"(\""), "{error}");
    }

    #[test]
    fn arguments_can_be_left_out() {
        let none: [&str; 0] = [];
        let redactor = Redactor::new(&none, true, false).unwrap();
        assert_eq!(args(&redactor, &["secret"]), Value::Null);
    }
}
