//! Recorded events and alerts, read back into what policies saw.
//!
//! Invariant: what a rule reads is what the daemon gave it: what an alert or a recording adds to the event is taken off again.

use std::net::IpAddr;

use jiff::Timestamp;
use rules::{Kind, Value, input::word};
use sentinel_common::verdict::access;

use crate::input::DELETED;

/// What a line is.
#[derive(Debug)]
pub(in crate::cli) enum Line {
    /// An event.
    Event(Box<Event>),
    /// The first line of a recording.
    Header,
    /// Something that Sentinel says of itself.
    Notice,
}

/// An event, and what was made of it when it happened.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Event {
    /// Its kind.
    pub(in crate::cli) kind: Kind,
    /// What policies read.
    pub(in crate::cli) input: Value,
    /// When it happened, microseconds since 1970.
    pub(in crate::cli) time: Option<i64>,
    /// What the kernel made of it.
    pub(in crate::cli) recorded: Recorded,
    /// Accesses, a bit each; 0 for what is about no file.
    pub(in crate::cli) access: u32,
    /// The control group that it happened in, if it was recorded.
    pub(in crate::cli) cgroup: Option<String>,
}

/// The kernel's verdict, as recorded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::cli) struct Recorded {
    /// It refused.
    pub(in crate::cli) blocked: bool,
    /// It would have.
    pub(in crate::cli) would_block: bool,
    /// By this rule.
    pub(in crate::cli) rule: Option<String>,
}

/// Objects that only an alert has.
const ADDED: [&str; 5] = ["sentinel", "rule", "threat", "message", "ecs"];
/// Fields of `event` that only an alert has.
const ADDED_TO_EVENT: [&str; 9] =
    ["id", "kind", "category", "type", "outcome", "severity", "module", "dataset", "provider"];

/// A field below a value.
pub(in crate::cli) fn field<'v>(value: &'v Value, path: &[&'static str]) -> &'v Value {
    // A word is made once per thread; an index by text would make a value each time.
    path.iter().fold(value, |at, name| &at[&word(name)])
}

/// A text below a value.
pub(in crate::cli) fn text<'v>(value: &'v Value, path: &[&'static str]) -> Option<&'v str> {
    as_text(field(value, path))
}

/// The text that a value is. The accessors of the engine would make an error, with a backtrace, for what is none.
fn as_text(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

/// A whole number below a value.
pub(in crate::cli) fn number(value: &Value, path: &[&'static str]) -> Option<u64> {
    match field(value, path) {
        Value::Number(number) => number.as_u64(),
        _ => None,
    }
}

/// Whether a field is there and true.
fn is_true(value: &Value, path: &[&'static str]) -> bool {
    *field(value, path) == Value::Bool(true)
}

/// Reads a line.
///
/// # Errors
///
/// What is wrong with it.
pub(in crate::cli) fn parse(line: &str) -> Result<Line, String> {
    let value = Value::from_json_str(line).map_err(|error| format!("no JSON: {}", first_line(&error.to_string())))?;
    read(value)
}

/// Reads a JSON object.
///
/// # Errors
///
/// What it lacks.
pub(in crate::cli) fn read(mut value: Value) -> Result<Line, String> {
    if !matches!(value, Value::Object(_)) {
        return Err("no JSON object".to_owned());
    }
    if value["sentinel_recording"] != Value::Undefined {
        return Ok(Line::Header);
    }
    if value["sentinel"]["facts"] != Value::Undefined {
        value = with_facts(&value)?;
    }
    let action = text(&value, &["event", "action"]).ok_or("no event: it has no event.action")?;
    if matches!(action, "notice" | "canary") {
        return Ok(Line::Notice);
    }
    let kind: Kind = action.parse().map_err(|error: rules::UnknownKind| error.to_string())?;
    let time = text(&value, &["@timestamp"]).and_then(|text| text.parse::<Timestamp>().ok());
    let recorded = recorded(&value["sentinel"]);
    let access = access_of(kind, &value);
    let cgroup = text(&value, &["sentinel", "cgroup"]).map(ToOwned::to_owned);
    strip(&mut value);
    Ok(Line::Event(Box::new(Event {
        kind,
        input: value,
        time: time.map(Timestamp::as_microsecond),
        recorded,
        access,
        cgroup,
    })))
}

/// An alert whose facts are where the event had them.
fn with_facts(alert: &Value) -> Result<Value, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let mut alert = serde_json::to_value(alert).map_err(|error| text(&error))?;
    alerts::join_facts(&mut alert);
    serde_json::from_value(alert).map_err(|error| text(&error))
}

/// The first line of an error, without where in the line it is.
fn first_line(error: &str) -> &str {
    error.lines().find(|line| !line.trim().is_empty()).unwrap_or(error).trim()
}

fn recorded(sentinel: &Value) -> Recorded {
    let decided = text(sentinel, &["decided_in"]) == Some("kernel");
    let listed = || text(&field(sentinel, &["rules"])[0], &["id"]).filter(|_| decided);
    let rule = text(sentinel, &["rule"]).or_else(listed).map(ToOwned::to_owned);
    // What user space would have written an entry for is no verdict of the kernel.
    let would_block = is_true(sentinel, &["would_block"]) && rule.is_some();
    Recorded { blocked: is_true(sentinel, &["blocked"]), would_block, rule }
}

fn strip(value: &mut Value) {
    let alert = text(value, &["event", "kind"]) == Some("alert");
    let Ok(fields) = value.as_object_mut() else { return };
    ADDED.iter().for_each(|name| drop(fields.remove(&Value::from(*name))));
    let event = fields.get_mut(&Value::from("event")).filter(|_| alert);
    if let Some(Ok(event)) = event.map(Value::as_object_mut) {
        ADDED_TO_EVENT.iter().for_each(|name| drop(event.remove(&Value::from(*name))));
    }
}

/// The bit of an access.
const fn bit(index: usize) -> u32 {
    1 << index
}

/// What was asked of the file: as recorded, or as far as the event tells.
fn access_of(kind: Kind, value: &Value) -> u32 {
    if let Value::Array(words) = field(value, &["sentinel", "access"]) {
        let bits = words.iter().filter_map(|word| access_bit(as_text(word)?));
        return bits.fold(0, |all, one| all | one);
    }
    match kind {
        Kind::Exec => bit(access::EXEC),
        Kind::Open if is_true(value, &["file", "write"]) => bit(access::WRITE),
        Kind::Open | Kind::Mmap => bit(access::READ),
        Kind::Create | Kind::Link => bit(access::CREATE),
        Kind::Rename | Kind::Unlink => bit(access::DELETE),
        Kind::Truncate | Kind::Setattr => bit(access::WRITE),
        Kind::Mount
        | Kind::Connect
        | Kind::Send
        | Kind::Accept
        | Kind::Packet
        | Kind::Socket
        | Kind::Ptrace
        | Kind::Bpf
        | Kind::Kill => 0,
    }
}

fn access_bit(word: &str) -> Option<u32> {
    let index = match word {
        "read" => access::READ,
        "write" => access::WRITE,
        "create" => access::CREATE,
        "exec" => access::EXEC,
        "delete" => access::DELETE,
        _ => return None,
    };
    Some(bit(index))
}

/// What verdicts are about.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) struct Facts<'e> {
    /// Destination, normalised when it was recorded.
    pub(in crate::cli) ip: Option<IpAddr>,
    /// Its port.
    pub(in crate::cli) port: Option<u16>,
    /// Name of the transport protocol.
    pub(in crate::cli) protocol: Option<&'e str>,
    /// The file; for an exec the script or the program.
    pub(in crate::cli) path: Option<&'e str>,
    /// Its identity.
    pub(in crate::cli) inode: Option<(&'e str, &'e str)>,
    /// The program of an exec.
    pub(in crate::cli) image: Option<&'e str>,
    /// The executable that acts: for an exec the one that called it.
    pub(in crate::cli) actor: Option<&'e str>,
    /// Id and start of the process.
    pub(in crate::cli) process: Option<(u64, &'e str)>,
    /// The user.
    pub(in crate::cli) uid: Option<u32>,
    /// The control group, in recordings.
    pub(in crate::cli) cgroup: Option<&'e str>,
    /// Hashes of the program and of the script of an exec.
    pub(in crate::cli) hashes: [Option<&'e str>; 2],
}

impl Event {
    /// What verdicts are about.
    pub(in crate::cli) fn facts(&self) -> Facts<'_> {
        let text = |path: &[&'static str]| text(&self.input, path);
        let exec = self.kind == Kind::Exec;
        let executable = text(&["process", "executable"]).map(clean);
        let previous = || text(&["process", "previous", "executable"]).map(clean);
        let pid = number(&self.input, &["process", "pid"]);
        Facts {
            ip: text(&["destination", "ip"]).and_then(|ip| ip.parse().ok()),
            port: number(&self.input, &["destination", "port"]).and_then(|port| port.try_into().ok()),
            protocol: text(&["network", "transport"]),
            path: text(&["file", "path"]).map(clean),
            inode: text(&["file", "inode"]).zip(text(&["file", "device"])),
            image: executable.filter(|_| exec),
            actor: if exec { previous() } else { executable },
            process: pid.map(|pid| (pid, text(&["process", "start"]).unwrap_or_default())),
            uid: text(&["process", "user", "id"]).and_then(|id| id.parse().ok()),
            cgroup: self.cgroup.as_deref(),
            hashes: [text(&["process", "hash", "sha256"]), text(&["file", "hash", "sha256"])]
                .map(|hash| hash.filter(|_| exec)),
        }
    }

    /// What it was about, for people: an address with its port, or a path.
    pub(in crate::cli) fn object(&self) -> String {
        let Facts { ip, port, path, image, .. } = self.facts();
        match (ip, port, path.or(image)) {
            (Some(IpAddr::V6(ip)), Some(port), _) => format!("[{ip}]:{port}"),
            (Some(ip), Some(port), _) => format!("{ip}:{port}"),
            (Some(ip), None, _) => ip.to_string(),
            (None, _, Some(path)) => path.to_owned(),
            (None, _, None) => text(&self.input, &["network", "type"]).unwrap_or("-").to_owned(),
        }
    }

    /// Who acted, for people.
    pub(in crate::cli) fn process(&self) -> String {
        let image = text(&self.input, &["process", "executable"]);
        image.or_else(|| text(&self.input, &["process", "name"])).unwrap_or("-").to_owned()
    }
}

/// Text for a terminal: whoever names a file must not write to it.
pub(in crate::cli) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// A path without what is put behind those of files that are gone.
fn clean(path: &str) -> &str {
    path.trim_end_matches(DELETED)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(text: &str) -> Event {
        match parse(text).unwrap() {
            Line::Event(event) => *event,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_alert_is_the_event_that_it_is_about() {
        let plain = r#"{"@timestamp": "2026-11-22T10:00:00Z", "event": {"action": "connect"},
            "destination": {"ip": "192.0.2.1", "port": 443}, "process": {"executable": "/usr/bin/curl"}}"#;
        let alert = r#"{"@timestamp": "2026-11-22T10:00:00Z", "message": "m", "ecs": {"version": "9"},
            "event": {"id": "x", "kind": "alert", "action": "connect", "category": ["network"], "type": ["denied"],
            "outcome": "success", "severity": 9, "module": "sentinel", "dataset": "d", "provider": "p"},
            "rule": {"id": "r"}, "threat": {}, "destination": {"ip": "192.0.2.1", "port": 443},
            "process": {"executable": "/usr/bin/curl"},
            "sentinel": {"blocked": true, "would_block": true, "decided_in": "kernel", "rules": [{"id": "r"}]}}"#;
        let (plain, alert) = (event(plain), event(alert));
        assert_eq!(plain.input, alert.input);
        assert_eq!(plain.time, Some(1_795_341_600_000_000));
        assert_eq!(plain.recorded, Recorded::default());
        assert_eq!(alert.recorded, Recorded { blocked: true, would_block: true, rule: Some("r".to_owned()) });
        assert_eq!((alert.object(), alert.process()), ("192.0.2.1:443".to_owned(), "/usr/bin/curl".to_owned()));
    }

    #[test]
    fn what_a_recording_says_of_access_counts_before_what_the_event_tells() {
        let open =
            |more: &str| event(&format!(r#"{{"event": {{"action": "open"}}, "file": {{"write": true}}{more}}}"#));
        assert_eq!(open("").access, bit(access::WRITE));
        assert_eq!(open(r#", "sentinel": {"access": ["read", "write"]}"#).access, 3);
        assert_eq!(event(r#"{"event": {"action": "exec"}}"#).access, bit(access::EXEC));
    }

    #[test]
    fn the_facts_of_an_alert_are_where_the_event_had_them() {
        let file = r#""file": {"path": "/x", "in_memory": true}"#;
        let plain = event(&format!(r#"{{"event": {{"action": "exec"}}, {file}}}"#));
        let facts = r#""file": {"path": "/x"}, "sentinel": {"facts": {"file": {"in_memory": true}}}"#;
        assert_eq!(event(&format!(r#"{{"event": {{"action": "exec"}}, {facts}}}"#)).input, plain.input);
    }

    #[test]
    fn what_is_no_event_is_told_apart() {
        assert!(matches!(parse(r#"{"sentinel_recording": 1}"#), Ok(Line::Header)));
        assert!(matches!(parse(r#"{"event": {"action": "canary"}}"#), Ok(Line::Notice)));
        for (line, why) in [
            ("", "no JSON"),
            ("[1]", "no JSON object"),
            ("{}", "event.action"),
            ("{\"event\": {\"action\": \"fly\"}}", "\"fly\""),
            ("{\"event\": {\"action\": \"open\"}", "no JSON"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(why), "{line}: {error}");
        }
    }

    #[test]
    fn an_exec_is_done_by_the_program_that_called_it() {
        let exec = event(
            r#"{"event": {"action": "exec"}, "file": {"path": "/tmp/x (deleted)", "inode": "7", "device": "8:1"},
            "process": {"pid": 3, "start": "s", "executable": "/tmp/x", "previous": {"executable": "/bin/sh"}, "user": {"id": "0"}}}"#,
        );
        let facts = exec.facts();
        assert_eq!((facts.actor, facts.image, facts.path), (Some("/bin/sh"), Some("/tmp/x"), Some("/tmp/x")));
        assert_eq!((facts.inode, facts.process, facts.uid), (Some(("7", "8:1")), Some((3, "s")), Some(0)));
    }
}
