//! OCSF objects made of parts of an alert.
//!
//! Invariant: an object that lacks what OCSF requires of it is null, which is left out of the event.
//!
//! Not here: which class has which object (`ocsf.rs`).

use serde_json::{Value, json};

use crate::formats::fields::{at, base_name, command_line, milliseconds, number, text, texts};

/// OCSF's number of SHA-256.
const SHA256: u8 = 3;

/// The host.
pub(super) fn device(alert: &Value) -> Value {
    let name = text(alert, "host.name").or_else(|| text(alert, "host.hostname")).unwrap_or("unknown");
    json!({
        "type_id": 0,
        "hostname": name,
        "uid": text(alert, "host.id"),
        "boot_uid": text(alert, "sentinel.boot_id"),
        "os": {"name": "Linux", "type_id": 200, "kernel_release": text(alert, "host.os.kernel")},
    })
}

/// The acting process, with its parent.
pub(super) fn process(alert: &Value) -> Value {
    let process = at(alert, "process");
    let mut object = short_process(process);
    if let Value::Object(map) = &mut object {
        map.insert("parent_process".to_owned(), short_process(&process["parent"]));
        map.insert("user".to_owned(), user(alert));
        map.insert("container".to_owned(), container(alert));
    }
    object
}

fn short_process(process: &Value) -> Value {
    let Some(pid) = number(process, "pid") else { return Value::Null };
    json!({
        "pid": pid,
        "tid": number(process, "thread.id"),
        "name": text(process, "name"),
        "cmd_line": command_line(process),
        "created_time": milliseconds(process, "start"),
        "file": program(text(process, "executable"), text(process, "hash.sha256")),
    })
}

fn program(path: Option<&str>, sha256: Option<&str>) -> Value {
    let Some(path) = path else { return Value::Null };
    let hash = sha256.map(|value| json!({"algorithm_id": SHA256, "value": value}));
    json!({"name": base_name(path), "path": path, "type_id": 1, "hashes": [hash]})
}

fn user(alert: &Value) -> Value {
    json!({"uid": text(alert, "user.id"), "name": text(alert, "user.name")})
}

fn container(alert: &Value) -> Value {
    let Some(id) = text(alert, "container.id") else { return Value::Null };
    let image = text(alert, "container.image.name").map(|name| json!({"uid": name, "name": name}));
    json!({"uid": id, "name": text(alert, "container.name"), "image": image})
}

/// On an exec the acting program is the one before it; else its parent, else nobody but the process itself.
pub(super) fn exec_actor(alert: &Value) -> Value {
    let pid = number(alert, "process.pid");
    let previous = text(alert, "process.previous.executable");
    if previous.is_none() && number(alert, "process.parent.pid").is_some() {
        return json!({"process": short_process(at(alert, "process.parent")), "user": user(alert)});
    }
    let name = previous.map(base_name);
    json!({"process": {"pid": pid, "name": name, "file": program(previous, None)}, "user": user(alert)})
}

/// The file acted on.
pub(super) fn file(alert: &Value) -> Value {
    let Some(path) = text(alert, "file.path") else { return Value::Null };
    let hash = text(alert, "file.hash.sha256").map(|value| json!({"algorithm_id": SHA256, "value": value}));
    json!({
        "name": base_name(path),
        "path": path,
        "type_id": if path.ends_with('/') { 2 } else { 1 },
        "parent_folder": text(alert, "file.directory"),
        "ext": text(alert, "file.extension"),
        "hashes": [hash],
    })
}

/// The other end of a connection.
pub(super) fn destination(alert: &Value) -> Value {
    let Some(ip) = text(alert, "destination.ip") else { return Value::Null };
    let country = text(alert, "sentinel.geo.country").or_else(|| text(alert, "destination.geo.country_iso_code"));
    let region = text(alert, "destination.geo.region_iso_code");
    json!({
        "ip": ip,
        "port": number(alert, "destination.port"),
        "domain": text(alert, "destination.domain"),
        "location": {"country": country, "region": region},
    })
}

/// Protocol and direction.
pub(super) fn connection(alert: &Value) -> Value {
    let inbound = text(alert, "event.action") == Some("accept");
    let version = match text(alert, "network.type") {
        Some("ipv4") => Some(4),
        Some("ipv6") => Some(6),
        Some(_) | None => None,
    };
    json!({
        "direction_id": if inbound { 1 } else { 2 },
        "protocol_name": text(alert, "network.transport"),
        "protocol_ver_id": version,
    })
}

/// The policies in force, by the digest of their text.
pub(super) fn policy(alert: &Value) -> Value {
    let Some(sha256) = text(alert, "sentinel.policy.sha256") else { return Value::Null };
    json!({"uid": sha256, "name": text(alert, "rule.ruleset"), "is_applied": text(alert, "sentinel.mode") == Some("enforce")})
}

/// The rule that decided.
pub(super) fn firewall_rule(alert: &Value) -> Value {
    let Some(id) = text(alert, "rule.id") else { return Value::Null };
    json!({"uid": id, "name": text(alert, "rule.name"), "category": text(alert, "rule.category")})
}

/// Techniques, sub-techniques and tactics, each as an entry of its own: ECS does not say which belongs to which.
pub(super) fn attacks(alert: &Value) -> Value {
    let technique = at(alert, "threat.technique");
    let techniques = named(technique).into_iter().map(|technique| json!({"technique": technique}));
    let subs = named(&technique["subtechnique"]).into_iter().map(|sub| json!({"sub_technique": sub}));
    let tactics = named(at(alert, "threat.tactic")).into_iter().map(|tactic| json!({"tactic": tactic}));
    techniques.chain(subs).chain(tactics).collect()
}

/// Parallel lists of ids and names, of which either may be missing.
fn named(lists: &Value) -> Vec<Value> {
    let (ids, names) = (texts(lists, "id"), texts(lists, "name"));
    let entry = |place: usize| json!({"uid": ids.get(place), "name": names.get(place)});
    (0..ids.len().max(names.len())).map(entry).collect()
}
