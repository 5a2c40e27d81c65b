//! The JSON object that Falco writes with `json_output`, so that what reads Falco reads Sentinel.
//!
//! Invariants: `priority`, `rule`, `time` and `output_fields` are always there, because Falcosidekick drops a payload
//! without one of them; field names are Falco's where it has one, else `sentinel.*`; every field is a scalar.
//!
//! Not here: sending to Falcosidekick (`sinks/http`).

use serde_json::{Map, Value, json};

use super::fields::{at, command_line, count, outcome, severity, text, texts};
use crate::terms::Severity;

/// Writes an alert, given as its ECS object.
#[must_use]
pub fn to_falco(alert: &Value) -> String {
    let (priority, time) = (priority(severity(alert)), text(alert, "@timestamp").unwrap_or_default());
    let rule = text(alert, "rule.name").or_else(|| text(alert, "rule.id")).unwrap_or("Sentinel");
    let message = text(alert, "message").unwrap_or(rule);
    json!({
        "uuid": at(alert, "event.id"),
        "output": format!("{time}: {priority} {message}"),
        "priority": priority,
        "rule": rule,
        "source": "sentinel",
        "tags": tags(alert),
        "time": time,
        "hostname": text(alert, "host.name").unwrap_or_default(),
        "output_fields": fields(alert),
    })
    .to_string()
}

/// Falco's words, the least first.
const fn priority(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "Informational",
        Severity::Low => "Notice",
        Severity::Medium => "Warning",
        Severity::High => "Error",
        Severity::Critical => "Critical",
    }
}

/// Tactics and techniques in the manner of Falco's rules, the effect, and the rules.
fn tags(alert: &Value) -> Vec<String> {
    let tactics = texts(alert, "threat.tactic.name");
    let mut tags: Vec<String> =
        tactics.iter().map(|name| format!("mitre_{}", name.to_lowercase().replace(' ', "_"))).collect();
    let (techniques, subs) = ("threat.technique.id", "threat.technique.subtechnique.id");
    tags.extend(texts(alert, techniques).iter().chain(&texts(alert, subs)).map(|id| (*id).to_owned()));
    tags.push(outcome(alert).to_owned());
    tags
}

/// Falco's name of a field, and ECS'.
const NAMES: &[(&str, &str)] = &[
    ("evt.type", "event.action"),
    ("proc.pid", "process.pid"),
    ("proc.name", "process.name"),
    ("proc.exepath", "process.executable"),
    ("proc.hash.sha256", "process.hash.sha256"),
    ("proc.ppid", "process.parent.pid"),
    ("proc.pname", "process.parent.name"),
    ("proc.pexepath", "process.parent.executable"),
    ("user.uid", "user.id"),
    ("user.name", "user.name"),
    ("container.id", "container.id"),
    ("container.name", "container.name"),
    ("container.image.repository", "container.image.name"),
    ("k8s.ns.name", "orchestrator.namespace"),
    ("k8s.pod.name", "orchestrator.resource.name"),
    ("fd.sip", "destination.ip"),
    ("fd.sport", "destination.port"),
    ("fd.sip.name", "destination.domain"),
    ("fd.l4proto", "network.transport"),
    ("sentinel.rule", "rule.id"),
    ("sentinel.mode", "sentinel.mode"),
    ("sentinel.decision", "sentinel.decision"),
    ("sentinel.decided_in", "sentinel.decided_in"),
    ("sentinel.hook", "sentinel.hook"),
    ("sentinel.blocked", "sentinel.blocked"),
    ("sentinel.would_block", "sentinel.would_block"),
    ("sentinel.country", "sentinel.geo.country"),
    ("sentinel.exemption", "sentinel.exemption.id"),
    ("sentinel.policy_sha256", "sentinel.policy.sha256"),
    ("sentinel.lost_before", "sentinel.lost_before"),
];

fn fields(alert: &Value) -> Map<String, Value> {
    let mut fields = Map::new();
    for (falco, ecs) in NAMES {
        let value = at(alert, ecs);
        if value.is_string() || value.is_number() || value.is_boolean() {
            fields.insert((*falco).to_owned(), value.clone());
        }
    }
    let commands = [("proc.cmdline", "process"), ("proc.pcmdline", "process.parent")];
    for (name, command) in commands.map(|(name, process)| (name, command_line(at(alert, process)))) {
        fields.extend(command.map(|command| (name.to_owned(), Value::from(command))));
    }
    fields.extend(descriptor(alert).map(|name| ("fd.name".to_owned(), Value::from(name))));
    fields.insert("sentinel.count".to_owned(), count(alert).into());
    fields
}

/// Falco has one name for what was acted on, be it a file or the other end.
fn descriptor(alert: &Value) -> Option<String> {
    if let Some(path) = text(alert, "file.path") {
        return Some(path.to_owned());
    }
    let address = text(alert, "destination.ip")?;
    let address = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
    Some(match at(alert, "destination.port").as_u64() {
        Some(port) => format!("{address}:{port}"),
        None => address,
    })
}
