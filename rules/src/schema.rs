//! Every field of `input`: path, type, the kinds of event that carry it, and what it means.
//!
//! The one table. A load checks what policies read against it, the reference in `docs/` is made from it, and the
//! daemon's tests hold what it builds to it. A field that a policy may name but that nothing fills yet is in the
//! table and marked, because a rule on it would silently never fire. How events are built is not here.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regorus::Value;

use crate::fields::nearest;
use crate::kind::{Kind, KindSet};

/// The type of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Type {
    /// A string.
    Text,
    /// A number.
    Number,
    /// True or false.
    Boolean,
    /// An array of strings.
    Texts,
}

impl Type {
    /// The word for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Type::Text => "string",
            Type::Number => "number",
            Type::Boolean => "boolean",
            Type::Texts => "array of strings",
        }
    }
}

/// One field of `input`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Below `input`, dotted; `[]` follows an array of objects, as in `process.ancestors[].name`.
    pub path: &'static str,
    /// Its type.
    pub of: Type,
    /// The kinds of event that can carry it.
    pub kinds: KindSet,
    /// Whether this version fills it. A rule on a field that nothing fills never fires.
    pub filled: bool,
    /// What it says.
    pub description: &'static str,
    /// A value, as JSON.
    pub example: &'static str,
}

const ANY: KindSet = KindSet::ALL;
const EXEC: KindSet = KindSet::of(Kind::Exec);
const OPEN: KindSet = KindSet::of(Kind::Open);
const PTRACE: KindSet = KindSet::of(Kind::Ptrace);
const NETWORK: KindSet = KindSet::of(Kind::Connect).with(Kind::Send).with(Kind::Accept).with(Kind::Packet);
const SOCKETS: KindSet = NETWORK.with(Kind::Socket);
/// Every kind that is done by the task that runs: a packet leaves whenever it leaves.
const ACTING: KindSet = KindSet::of(Kind::Packet).complement();
const IMAGE: KindSet = KindSet::of(Kind::Exec).with(Kind::Open);
/// Every kind whose object is a file.
const FILES: KindSet = KindSet::of(Kind::Exec)
    .with(Kind::Open)
    .with(Kind::Create)
    .with(Kind::Rename)
    .with(Kind::Link)
    .with(Kind::Unlink)
    .with(Kind::Truncate)
    .with(Kind::Setattr)
    .with(Kind::Mount)
    .with(Kind::Mmap)
    .with(Kind::Ptrace);

/// Every kind that gives a file another name.
const RENAMED: KindSet = KindSet::of(Kind::Rename).with(Kind::Link);

const fn field(
    path: &'static str,
    of: Type,
    kinds: KindSet,
    example: &'static str,
    description: &'static str,
) -> Field {
    Field { path, of, kinds, filled: true, description, example }
}

/// A field of the contract that this version does not fill.
const fn reserved(
    path: &'static str,
    of: Type,
    kinds: KindSet,
    example: &'static str,
    description: &'static str,
) -> Field {
    Field { path, of, kinds, filled: false, description, example }
}

use Type::{Boolean, Number, Text, Texts};

/// Every field, in the order of the reference.
pub const FIELDS: &[Field] = &[
    field("@timestamp", Text, ANY, "\"2026-11-22T19:00:00Z\"", "When it happened, wall clock, RFC 3339."),
    field(
        "event.action",
        Text,
        ANY,
        "\"exec\"",
        "The kind of event. Test it first: the rule then runs for that kind only.",
    ),
    field("process.pid", Number, ANY, "4211", "Process id (the kernel's tgid) of the acting process."),
    field(
        "process.start",
        Text,
        ANY,
        "\"2026-11-22T18:59:58Z\"",
        "When the process started; with the pid it names one process.",
    ),
    field(
        "process.executable",
        Text,
        ANY,
        "\"/usr/bin/curl\"",
        "Path of its executable. On exec the new image; for a script the interpreter.",
    ),
    field("process.name", Text, ANY, "\"curl\"", "The last part of `process.executable`."),
    field(
        "process.args",
        Texts,
        ANY,
        "[\"curl\", \"https://a.example\"]",
        "Arguments. Advisory: read from user memory, which the process can change.",
    ),
    field("process.args_count", Number, ANY, "2", "How many arguments were read."),
    field("process.args_truncated", Boolean, ANY, "false", "Whether arguments were cut."),
    field("process.user.id", Text, ANY, "\"1000\"", "Effective user id, as a string."),
    field("process.group.id", Text, ANY, "\"1000\"", "Effective group id, as a string."),
    field("process.real_user.id", Text, ACTING, "\"1000\"", "Real user id, as a string."),
    field("process.saved_user.id", Text, ACTING, "\"1000\"", "Saved user id, as a string."),
    field(
        "process.thread.capabilities.effective",
        Texts,
        ACTING,
        "[\"CAP_NET_BIND_SERVICE\"]",
        "Capabilities that the acting thread has now; a number where one has no name. Alerts leave out a set of more than 16.",
    ),
    field(
        "process.thread.capabilities.permitted",
        Texts,
        ACTING,
        "[\"CAP_NET_BIND_SERVICE\"]",
        "Capabilities that it may take.",
    ),
    field(
        "process.tty.char_device.major",
        Number,
        ACTING,
        "136",
        "Device number of the controlling terminal; absent without one.",
    ),
    field("process.tty.char_device.minor", Number, ACTING, "0", "The second part of it."),
    field(
        "process.interactive",
        Boolean,
        ACTING,
        "false",
        "Whether the program was started with its controlling terminal as standard input and standard error.",
    ),
    field("process.setuid", Boolean, EXEC, "false", "Whether the new image is set-user-id, and that took effect."),
    field("process.setgid", Boolean, EXEC, "false", "Whether it is set-group-id, and that took effect."),
    field(
        "process.setcap",
        Boolean,
        EXEC,
        "false",
        "Whether its file capabilities gave more than the caller had; never for root, who has all of them.",
    ),
    field("process.thread.id", Number, ANY, "4211", "Id of the acting thread."),
    field("process.thread.name", Text, ANY, "\"curl\"", "Name of the acting thread. Advisory: a thread names itself."),
    field(
        "process.hash.sha256",
        Text,
        ANY,
        "\"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"",
        "SHA-256 of the executable; absent until it has been hashed, and of files larger than `[hash] max_bytes`.",
    ),
    field(
        "process.previous.executable",
        Text,
        EXEC,
        "\"/usr/bin/bash\"",
        "The image that called execve: the subject of an entry on exec.",
    ),
    field("process.previous.name", Text, EXEC, "\"bash\"", "The last part of `process.previous.executable`."),
    field("process.target.pid", Number, PTRACE, "4300", "Process id of the process that is entered."),
    field("process.target.user.id", Text, PTRACE, "\"0\"", "Its effective user id, as a string."),
    field(
        "process.parent.pid",
        Number,
        ANY,
        "4200",
        "Process id of the real parent, now: another one where the first has ended.",
    ),
    field("process.parent.executable", Text, ANY, "\"/usr/bin/bash\"", "Path of the parent's executable."),
    field("process.parent.name", Text, ANY, "\"bash\"", "The last part of `process.parent.executable`."),
    field("process.parent.args", Texts, ANY, "[\"bash\", \"deploy.sh\"]", "Arguments of the parent. Advisory."),
    field("process.parent.args_count", Number, ANY, "2", "How many arguments of the parent were read."),
    field(
        "process.ancestors[].pid",
        Number,
        ANY,
        "4200",
        "Process id of an ancestor by descent, the nearest first: who forked whom, also when a parent has ended. 32 at most, five in alerts.",
    ),
    field(
        "process.ancestors[].executable",
        Text,
        ANY,
        "\"/usr/sbin/sshd\"",
        "Path of the executable that the ancestor ran when it forked.",
    ),
    field("process.ancestors[].name", Text, ANY, "\"sshd\"", "The last part of it."),
    field(
        "file.path",
        Text,
        FILES,
        "\"/usr/bin/curl\"",
        "Path of the file. On exec the script or binary that execve named, on ptrace the executable of the process that is entered; ends in ` (deleted)` when it has no name any more.",
    ),
    field("file.name", Text, FILES, "\"curl\"", "The last part of `file.path`."),
    field("file.directory", Text, FILES, "\"/usr/bin\"", "`file.path` without its last part."),
    field("file.extension", Text, FILES, "\"sh\"", "What follows the last dot of `file.name`."),
    field(
        "file.target_path",
        Text,
        RENAMED,
        "\"/etc/passwd\"",
        "The new name, on rename and on link of a hard link; `file.path` is then the file by its old name.",
    ),
    field("file.inode", Text, FILES, "\"131099\"", "Inode number, as a string; not of a file that is only being made."),
    field("file.device", Text, FILES, "\"254:1\"", "Device as `major:minor`."),
    field(
        "file.mode",
        Text,
        IMAGE,
        "\"0755\"",
        "Permissions in octal, with set-user-id and the like; not of a script that is executed.",
    ),
    field(
        "file.hash.sha256",
        Text,
        EXEC,
        "\"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"",
        "SHA-256 of the script or binary that execve named; as `process.hash.sha256`.",
    ),
    field(
        "file.unlinked",
        Boolean,
        EXEC,
        "false",
        "Whether the file has no name: a memfd, a deleted file, one made with `O_TMPFILE`. Of a script only if the kernel saw it.",
    ),
    field(
        "file.in_memory",
        Boolean,
        EXEC,
        "false",
        "Whether the file is on a file system in memory: tmpfs (with memfd and `/dev/shm`), ramfs, hugetlbfs.",
    ),
    field("file.write", Boolean, OPEN, "false", "Whether it was opened for writing."),
    field("file.create", Boolean, OPEN, "false", "Whether this open made it."),
    field(
        "destination.ip",
        Text,
        NETWORK,
        "\"203.0.113.7\"",
        "Destination address, normalised: IPv4 inside IPv6 is shown as IPv4.",
    ),
    field(
        "destination.address",
        Text,
        NETWORK,
        "\"64:ff9b::cb00:7107\"",
        "The address as it was given, where that is written another way or was rewritten.",
    ),
    field("destination.port", Number, NETWORK, "443", "Destination port; absent where there is none."),
    field(
        "destination.domain",
        Text,
        NETWORK,
        "\"a.example\"",
        "The name in the last DNS answer with this address. Advisory: who answers DNS chooses it.",
    ),
    field(
        "destination.geo.country_iso_code",
        Text,
        NETWORK,
        "\"DE\"",
        "ISO 3166-1 code of the country, where the databases tell it.",
    ),
    field(
        "destination.geo.region_iso_code",
        Text,
        NETWORK,
        "\"DE-BE\"",
        "ISO 3166-2 code of the region, where the databases tell it.",
    ),
    reserved("destination.as.number", Number, NETWORK, "64500", "Number of the autonomous system."),
    reserved("destination.as.organization.name", Text, NETWORK, "\"Example Net\"", "Its owner."),
    field("network.type", Text, SOCKETS, "\"ipv4\"", "`ipv4` or `ipv6`; on `socket` the family."),
    field(
        "network.transport",
        Text,
        NETWORK,
        "\"tcp\"",
        "`tcp`, `udp`, `icmp`, `ipv6-icmp`, `sctp`, `mptcp`, `udplite`.",
    ),
    field("container.id", Text, ANY, "\"3f4e1b9a70c2\"", "Container id; absent on the host."),
    field("container.name", Text, ANY, "\"web\"", "Name of the container; in a pod the one that its manifest has."),
    field("container.runtime", Text, ANY, "\"docker\"", "`docker`, `containerd`, `cri-o` or `podman`."),
    field("container.image.name", Text, ANY, "\"registry.example/web\"", "Image it was made from, without the tag."),
    field("container.image.tag", Texts, ANY, "[\"1.27\"]", "The image's tag."),
    field("orchestrator.type", Text, ANY, "\"kubernetes\"", "`kubernetes` in a pod."),
    field("orchestrator.namespace", Text, ANY, "\"default\"", "Namespace of the pod."),
    field("orchestrator.resource.type", Text, ANY, "\"pod\"", "`pod`."),
    field("orchestrator.resource.name", Text, ANY, "\"web-5f7c\"", "Name of the pod."),
    field("orchestrator.resource.id", Text, ANY, "\"1a2b3c4d-0000-4000-8000-0123456789ab\"", "Uid of the pod."),
    field(
        "orchestrator.resource.qos",
        Text,
        ANY,
        "\"burstable\"",
        "Class of service of the pod: `guaranteed`, `burstable` or `besteffort`.",
    ),
    reserved("orchestrator.cluster.name", Text, ANY, "\"prod\"", "Name of the cluster."),
    field("user.id", Text, ANY, "\"1000\"", "Effective user id, as a string; the same as `process.user.id`."),
    field(
        "user.audit.id",
        Text,
        ACTING,
        "\"1000\"",
        "Login user id, which stays the same through su and sudo; absent where nobody has logged in.",
    ),
    field("service.name", Text, ANY, "\"ssh.service\"", "The systemd service in whose cgroup it happened."),
    reserved("user.name", Text, ANY, "\"alice\"", "Name of the user."),
    field("host.name", Text, ANY, "\"web-1\"", "Name of the host."),
    field("host.hostname", Text, ANY, "\"web-1\"", "The same."),
    field("host.architecture", Text, ANY, "\"x86_64\"", "Machine type of the kernel."),
    field("host.os.type", Text, ANY, "\"linux\"", "Always `linux`."),
    field("host.os.kernel", Text, ANY, "\"6.12.0\"", "Release of the kernel."),
];

/// What stands at a path of `input`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    /// An object with these keys, in some event of these kinds.
    Object(Vec<&'static str>, KindSet),
    /// An array; its items are at the path followed by `[]`.
    Array(KindSet),
    /// A value of this type.
    Leaf(Type, &'static Field),
}

impl Node {
    /// The kinds of event that can have it.
    pub(crate) fn kinds(&self) -> KindSet {
        match self {
            Node::Object(_, kinds) | Node::Array(kinds) => *kinds,
            Node::Leaf(_, field) => field.kinds,
        }
    }
}

static NODES: LazyLock<BTreeMap<String, Node>> = LazyLock::new(|| {
    let mut nodes = BTreeMap::new();
    FIELDS.iter().for_each(|field| add(&mut nodes, field));
    nodes
});

fn add(nodes: &mut BTreeMap<String, Node>, field: &'static Field) {
    let mut at = String::new();
    for part in field.path.split('.') {
        let (key, many) = part.strip_suffix("[]").map_or((part, false), |key| (key, true));
        match nodes.entry(at.clone()).or_insert_with(|| Node::Object(Vec::new(), KindSet::EMPTY)) {
            Node::Object(keys, kinds) => {
                *kinds = kinds.union(field.kinds);
                if !keys.contains(&key) {
                    keys.push(key);
                }
            }
            Node::Array(_) | Node::Leaf(..) => debug_assert!(false, "{at} is no object"),
        }
        at = below(&at, key);
        if many {
            nodes.insert(at.clone(), Node::Array(field.kinds));
            at.push_str("[]");
        }
    }
    let leaf = if field.of == Type::Texts {
        nodes.insert(at.clone(), Node::Array(field.kinds));
        at.push_str("[]");
        Type::Text
    } else {
        field.of
    };
    nodes.insert(at, Node::Leaf(leaf, field));
}

/// The path of a key of an object.
pub(crate) fn below(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// What stands at a path; `None` where no event has anything.
pub(crate) fn node(path: &str) -> Option<&'static Node> {
    NODES.get(path)
}

/// The field at a path, also of an array of strings; `None` for objects and unknown paths.
pub fn find(path: &str) -> Option<&'static Field> {
    let path = path.strip_suffix("[]").unwrap_or(path);
    FIELDS.iter().find(|field| field.path == path)
}

/// What may have been meant by a key that the object at `path` does not have.
pub(crate) fn suggest(path: &str, key: &str) -> String {
    let keys: &[&str] = match node(path) {
        Some(Node::Object(keys, _)) => keys,
        _ => &[],
    };
    let full = |path: &str| format!("input.{}", path.replace("[]", "[_]"));
    if let Some(meant) = nearest(key, keys) {
        return format!("did you mean `{}`?", full(&below(path, meant)));
    }
    let elsewhere: Vec<String> = FIELDS
        .iter()
        .filter(|field| field.path.rsplit('.').next() == Some(key))
        .map(|field| format!("`{}`", full(field.path)))
        .collect();
    match elsewhere.as_slice() {
        [] if keys.is_empty() => "the fields are listed in docs/policies.md".to_owned(),
        [] => format!("`{}` has {}", full(path).trim_end_matches('.'), keys.join(", ")),
        [one] => format!("did you mean {one}?"),
        several => format!("did you mean one of {}?", several.join(", ")),
    }
}

/// An event of a kind with every field that it can carry and this version fills, made of the examples.
pub fn sample(kind: Kind) -> Value {
    let mut event = Value::new_object();
    for field in FIELDS.iter().filter(|field| field.filled && field.kinds.contains(kind)) {
        let value = Value::from_json_str(field.example).unwrap_or(Value::Undefined);
        let value = if field.path == "event.action" { Value::from(kind.as_str()) } else { value };
        let parts: Vec<&str> = field.path.split('.').collect();
        put(&mut event, &parts, value);
    }
    event
}

/// Sets a value in nested objects; an array of objects has one item.
fn put(object: &mut Value, path: &[&str], value: Value) {
    let (Some((first, rest)), Ok(fields)) = (path.split_first(), object.as_object_mut()) else { return };
    let (key, many) = first.strip_suffix("[]").map_or((*first, false), |key| (key, true));
    let key = Value::from(key);
    if rest.is_empty() {
        fields.insert(key, value);
        return;
    }
    let mut inner = fields.get(&key).cloned().unwrap_or(Value::Undefined);
    if let (true, Value::Array(items)) = (many, &inner) {
        inner = items.first().cloned().unwrap_or(Value::Undefined);
    }
    if inner == Value::Undefined {
        inner = Value::new_object();
    }
    put(&mut inner, rest, value);
    fields.insert(key, if many { Value::from(vec![inner]) } else { inner });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_has_its_type() {
        for field in FIELDS {
            let value = Value::from_json_str(field.example).unwrap();
            let fits = match field.of {
                Type::Text => value.as_string().is_ok(),
                Type::Number => value.as_u64().is_ok(),
                Type::Boolean => value.as_bool().is_ok(),
                Type::Texts => value.as_array().is_ok_and(|items| items.iter().all(|item| item.as_string().is_ok())),
            };
            assert!(fits, "{field:?}");
            assert!(field.description.ends_with('.') && !field.kinds.is_empty(), "{field:?}");
            assert_eq!(find(field.path), Some(field));
        }
    }

    #[test]
    fn nodes_are_objects_arrays_and_leaves() {
        assert!(matches!(node(""), Some(Node::Object(keys, _)) if keys.contains(&"process") && keys.len() == 11));
        assert!(matches!(node("process.ancestors"), Some(Node::Array(_))));
        assert!(matches!(node("process.ancestors[].name"), Some(Node::Leaf(Type::Text, _))));
        assert!(matches!(node("process.args[]"), Some(Node::Leaf(Type::Text, _))));
        assert!(node("process.nmae").is_none());
        assert_eq!(node("file").unwrap().kinds(), FILES);
    }

    #[test]
    fn typing_errors_have_a_suggestion() {
        assert_eq!(suggest("process", "nmae"), "did you mean `input.process.name`?");
        assert_eq!(suggest("", "proces"), "did you mean `input.process`?");
        assert_eq!(suggest("", "country_iso_code"), "did you mean `input.destination.geo.country_iso_code`?");
        assert!(suggest("file", "executable").contains("`input.process.parent.executable`"));
        assert_eq!(suggest("user", "email"), "`input.user` has id, audit, name");
    }

    #[test]
    fn samples_carry_what_their_kind_has() {
        let connect = sample(Kind::Connect).to_json_str().unwrap();
        assert!(connect.contains("\"action\":\"connect\"") || connect.contains("\"action\": \"connect\""), "{connect}");
        assert!(connect.contains("203.0.113.7") && !connect.contains("previous"), "{connect}");
        let exec = sample(Kind::Exec);
        assert_eq!(exec["process"]["ancestors"][0]["name"], Value::from("sshd"));
        assert_eq!(exec["destination"], Value::Undefined);
    }
}
