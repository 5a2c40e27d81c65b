//! The one place that says what an event looks like: the object that policies read as `input` and that alerts
//! carry, in Elastic Common Schema names.
//!
//! Invariant: `input` and alert show the same object, because both are this one.

use std::net::{IpAddr, Ipv6Addr};

use rules::{
    Kind, Value,
    input::{Object, array, text},
};
use sentinel_common::{
    address::{Address, Wrapping, normalise},
    content::{Content, Digest},
    event::{flag, kind},
};

use crate::{
    bypass, clock,
    container::Context,
    event::{Change, Common, Exec, Network, Open, Trace, taskless},
    hashes::hex,
    process::{Process, name},
};

mod context;
mod credentials;

/// `f_mode` of an open file: writable.
const FMODE_WRITE: u32 = 2;
/// `f_mode` of an open file: this open created it.
const FMODE_CREATED: u32 = 0x10_0000;

/// What goes around every event.
#[derive(Debug)]
pub struct Host {
    value: Value,
}

impl Host {
    /// Reads the host's name and kernel.
    #[must_use]
    pub fn read() -> Self {
        let uname = rustix::system::uname();
        let mut os = Object::new();
        os.set_word("type", "linux").set("kernel", text(&uname.release().to_string_lossy()));
        let mut host = Object::new();
        host.set("hostname", text(&uname.nodename().to_string_lossy()));
        host.set("name", text(&uname.nodename().to_string_lossy()));
        host.set("architecture", text(&uname.machine().to_string_lossy())).set_object("os", os);
        Self { value: host.build() }
    }
}

/// Who acted, as far as it is known.
#[derive(Debug)]
pub struct Actor<'a> {
    /// The process.
    pub process: &'a Process,
    /// Its parent, if known: id, start, executable, arguments.
    pub parent: Option<&'a Process>,
    /// Container, pod, service.
    pub context: Option<&'a Context>,
}

/// A finished event.
#[derive(Debug, Clone)]
pub struct Input {
    /// What policies read.
    pub value: Value,
    /// Its kind.
    pub kind: Kind,
}

/// What every event starts with.
fn base(common: &Common, kind: Kind, actor: &Actor, process: Object, host: &Host) -> Object {
    let mut event = Object::new();
    event.set_word("action", kind.as_str());
    let mut object = Object::new();
    object.set("@timestamp", text(&clock::wall(common.time).to_string()));
    object.set_object("event", event).set("host", host.value.clone());
    object.set_object("process", process);
    if !taskless(common) {
        let mut user = Object::new();
        user.set("id", text(&common.task.uid.to_string()));
        user.set_object("audit", credentials::login(common));
        object.set_object("user", user);
    }
    if let Some(context) = actor.context {
        context::around(&mut object, context);
    }
    object
}

/// The acting process, without its executable.
fn process(common: &Common, actor: &Actor) -> Object {
    let mut process = Object::new();
    if taskless(common) {
        return process;
    }
    let task = &common.task;
    process.set("pid", u64::from(task.tgid)).set("start", text(&clock::wall(task.start).to_string()));
    process.set_object("user", id(task.uid)).set_object("group", id(task.gid));
    if task.tid != 0 {
        let mut thread = Object::new();
        thread.set("id", u64::from(task.tid)).set("name", text(&comm(&task.comm)));
        thread.set_object("capabilities", credentials::capabilities(common));
        process.set_object("thread", thread);
    }
    if let Some(known) = &common.credentials {
        credentials::of(&mut process, known, actor.process.interactive);
    }
    process.set_object("parent", parent(common, actor));
    let ancestors = actor.process.ancestors.iter().map(|ancestor| {
        let mut object = Object::new();
        object.set("pid", u64::from(ancestor.pid));
        executable(&mut object, &ancestor.executable);
        object.build()
    });
    if !actor.process.ancestors.is_empty() {
        process.set("ancestors", array(ancestors));
    }
    process
}

fn parent(common: &Common, actor: &Actor) -> Object {
    let mut object = Object::new();
    if common.task.parent == 0 {
        return object;
    }
    object.set("pid", u64::from(common.task.parent));
    if let Some(parent) = actor.parent {
        executable(&mut object, &parent.image.path);
        arguments(&mut object, parent);
    }
    object
}

fn id(number: u32) -> Object {
    let mut object = Object::new();
    object.set("id", text(&number.to_string()));
    object
}

fn executable(object: &mut Object, path: &str) {
    if !path.is_empty() {
        object.set("executable", text(path)).set("name", text(name(path.trim_end_matches(DELETED))));
    }
}

/// The hash of an executable, if it is known.
fn hash(object: &mut Object, digest: Option<&Digest>) {
    if let Some(digest) = digest {
        let mut hash = Object::new();
        hash.set("sha256", text(&hex(digest)));
        object.set_object("hash", hash);
    }
}

/// Magic numbers of file systems in memory: tmpfs (also memfd and /dev/shm), ramfs, hugetlbfs.
const IN_MEMORY: [u32; 3] = [0x0102_1994, 0x8584_58f6, 0x9584_58f6];

/// What an exec says of where its file is.
fn whereabouts(object: &mut Object, content: &Content, links: u32) {
    object.set("unlinked", links == 0).set("in_memory", IN_MEMORY.contains(&content.file_system));
}

/// The file of an exec: the script of an interpreter, or the image itself.
#[derive(Debug, Clone, Copy)]
pub struct Script<'a> {
    /// Its path.
    pub path: &'a str,
    /// The file; none if only the name that execve got is known.
    pub file: sentinel_common::FileId,
    /// What the kernel said of it.
    pub facts: Option<(&'a Content, u32)>,
    /// Its hash.
    pub hash: Option<Digest>,
}

fn arguments(object: &mut Object, process: &Process) {
    if !process.args.is_empty() {
        object.set("args", array(process.args.iter().map(|arg| text(arg))));
        object.set("args_count", process.args.len() as u64);
    }
}

/// Thread name without its padding.
fn comm(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// What the kernel, and we, put behind the path of a file that has no name any more.
pub const DELETED: &str = " (deleted)";

/// Text of a path.
#[must_use]
pub fn path_text(path: &[u8], links: u32) -> String {
    let path = String::from_utf8_lossy(path);
    if links == 0 && !path.is_empty() { format!("{path}{DELETED}") } else { path.into_owned() }
}

fn file(path: &str, file: sentinel_common::FileId) -> Object {
    let mut object = Object::new();
    if !path.is_empty() {
        let clean = path.trim_end_matches(DELETED);
        object.set("path", text(path)).set("name", text(name(clean)));
        if let Some((directory, base)) = clean.rsplit_once('/') {
            object.set("directory", text(if directory.is_empty() { "/" } else { directory }));
            object.set_some(
                "extension",
                base.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()).map(|(_, e)| text(e)),
            );
        }
    }
    if !file.is_none() {
        object.set("inode", text(&file.ino.to_string()));
        object.set("device", text(&format!("{}:{}", file.dev >> 20, file.dev & 0xf_ffff)));
    }
    object
}

/// Permissions as people write them, in octal.
fn mode(mode: u32) -> Value {
    text(&format!("{:04o}", mode & 0o7777))
}

/// An exec: `process` is the new image, `previous` the calling one. For a script `file` is the script.
#[must_use]
pub fn exec(event: &Exec, script: Option<Script>, actor: &Actor, host: &Host) -> Input {
    let image = path_text(&event.path, event.links);
    let mut object = process(&event.common, actor);
    executable(&mut object, &image);
    arguments(&mut object, actor.process);
    hash(&mut object, actor.process.image.hash.as_ref());
    object.set("args_truncated", actor.process.args_truncated);
    if let Some(previous) = actor.process.previous.as_ref() {
        let mut before = Object::new();
        executable(&mut before, &previous.path);
        object.set_object("previous", before);
    }
    credentials::of_image(&mut object, event);
    let mut object = base(&event.common, Kind::Exec, actor, object, host);
    let own = Script {
        path: &image,
        file: event.file,
        facts: Some((&event.content, event.links)),
        hash: actor.process.image.hash,
    };
    let permissions = script.is_none().then(|| mode(event.mode));
    let script = script.unwrap_or(own);
    let mut target = file(script.path, script.file);
    target.set_some("mode", permissions);
    hash(&mut target, script.hash.as_ref());
    if let Some((content, links)) = script.facts {
        whereabouts(&mut target, content, links);
    }
    object.set_object("file", target);
    Input { value: object.build(), kind: Kind::Exec }
}

/// An exec that the kernel refused: the new image never came to be, the acting process is the caller.
#[must_use]
pub fn refused_exec(event: &Exec, digest: Option<Digest>, actor: &Actor, host: &Host) -> Input {
    let path = path_text(&event.path, event.links);
    let mut object = process(&event.common, actor);
    executable(&mut object, &path);
    hash(&mut object, digest.as_ref());
    let mut before = Object::new();
    executable(&mut before, &actor.process.image.path);
    object.set_object("previous", before);
    let mut object = base(&event.common, Kind::Exec, actor, object, host);
    let mut target = file(&path, event.file);
    target.set("mode", mode(event.mode));
    hash(&mut target, digest.as_ref());
    whereabouts(&mut target, &event.content, event.links);
    object.set_object("file", target);
    Input { value: object.build(), kind: Kind::Exec }
}

/// The acting process of events other than exec.
fn acting(common: &Common, actor: &Actor) -> Object {
    let mut object = process(common, actor);
    if !taskless(common) {
        executable(&mut object, &actor.process.image.path);
        arguments(&mut object, actor.process);
        hash(&mut object, actor.process.image.hash.as_ref());
        object.set("args_truncated", actor.process.args_truncated);
    }
    object
}

/// An open.
#[must_use]
pub fn open(event: &Open, actor: &Actor, host: &Host) -> Input {
    let mut object = base(&event.common, Kind::Open, actor, acting(&event.common, actor), host);
    let mut target = file(&path_text(&event.path, event.links), event.file);
    target.set("mode", mode(event.mode));
    target.set("write", event.fmode & FMODE_WRITE != 0).set("create", event.fmode & FMODE_CREATED != 0);
    object.set_object("file", target);
    Input { value: object.build(), kind: Kind::Open }
}

/// The kind of a change of names or files.
#[must_use]
pub const fn kind_of_change(number: u16) -> Kind {
    match number {
        kind::CREATE => Kind::Create,
        kind::RENAME => Kind::Rename,
        kind::LINK => Kind::Link,
        kind::UNLINK => Kind::Unlink,
        kind::TRUNCATE => Kind::Truncate,
        kind::SETATTR => Kind::Setattr,
        kind::MOUNT => Kind::Mount,
        _ => Kind::Mmap,
    }
}

/// A change of names or files. Of a rename or a hard link `file.path` is the file and `file.target_path` its new name.
#[must_use]
pub fn change(event: &Change, actor: &Actor, host: &Host) -> Input {
    let kind = kind_of_change(event.kind);
    let mut object = base(&event.common, kind, actor, acting(&event.common, actor), host);
    let mut target = file(&path_text(&event.path, 1), event.file);
    target.set_some("target_path", (!event.target_path.is_empty()).then(|| text(&path_text(&event.target_path, 1))));
    object.set_object("file", target);
    Input { value: object.build(), kind }
}

/// Entering another process, or tracing one that executes. `file` is the executable of the process that is entered.
#[must_use]
pub fn trace(event: &Trace, actor: &Actor, host: &Host) -> Input {
    let mut acting = acting(&event.common, actor);
    let mut target = Object::new();
    target.set("pid", u64::from(event.target.tgid));
    target.set_object("user", id(event.target.uid));
    acting.set_object("target", target);
    let mut object = base(&event.common, Kind::Ptrace, actor, acting, host);
    object.set_object("file", file(&path_text(&event.path, 1), event.target.executable));
    Input { value: object.build(), kind: Kind::Ptrace }
}

/// What is known of a destination beside its address.
#[derive(Debug, Default)]
pub struct Known<'a> {
    /// Country.
    pub country: Option<&'a str>,
    /// Region.
    pub region: Option<&'a str>,
    /// Name in a DNS answer; advisory.
    pub domain: Option<&'a str>,
}

/// A connect, send or packet.
#[must_use]
pub fn network(event: &Network, known: &Known, actor: &Actor, host: &Host) -> Input {
    let kind = match event.kind {
        kind::CONNECT => Kind::Connect,
        kind::SEND => Kind::Send,
        _ => Kind::Packet,
    };
    let mut object = base(&event.common, kind, actor, acting(&event.common, actor), host);
    let mut destination = Object::new();
    destination.set("ip", text(&ip(event.destination).to_string()));
    // Where it was asked to go, if that is written another way or is another place.
    let rewritten = event.common.has(flag::REWRITTEN);
    if rewritten || !matches!(normalise(event.given).1, Wrapping::None | Wrapping::Mapped) {
        destination.set("address", text(&ip(event.given).to_string()));
    }
    if event.port != 0 {
        destination.set("port", u64::from(event.port));
    }
    destination.set_some("domain", known.domain.map(text));
    if known.country.is_some() || known.region.is_some() {
        let mut geo = Object::new();
        geo.set_some("country_iso_code", known.country.map(text)).set_some("region_iso_code", known.region.map(text));
        destination.set_object("geo", geo);
    }
    let mut network = Object::new();
    network.set_word("type", if event.destination.is_v4() { "ipv4" } else { "ipv6" });
    network.set_some("transport", transport(event).map(rules::input::word));
    object.set_object("destination", destination).set_object("network", network);
    Input { value: object.build(), kind }
}

/// What is no event of the host: Sentinel's own finding about a destination, if it is about one.
#[must_use]
pub fn own(destination: Option<IpAddr>, country: Option<&str>, host: &Host) -> Value {
    let mut object = Object::new();
    object.set("@timestamp", text(&clock::wall(clock::boot_now()).to_string()));
    object.set("host", host.value.clone());
    if let Some(address) = destination {
        let mut place = Object::new();
        place.set("ip", text(&address.to_string()));
        if let Some(country) = country {
            let mut geo = Object::new();
            geo.set("country_iso_code", text(country));
            place.set_object("geo", geo);
        }
        object.set_object("destination", place);
    }
    object.build()
}

/// A socket of a family that sends past every hook on destinations: it has no destination yet.
#[must_use]
pub fn socket(event: &Network, actor: &Actor, host: &Host) -> Input {
    let mut object = base(&event.common, Kind::Socket, actor, acting(&event.common, actor), host);
    let mut network = Object::new();
    network.set_some("type", bypass::family_name(event.family).map(rules::input::word));
    object.set_object("network", network);
    Input { value: object.build(), kind: Kind::Socket }
}

/// What goes around something that Sentinel says of itself: no event, and nobody acted.
#[must_use]
pub fn notice(host: &Host) -> Value {
    let mut object = Object::new();
    object.set("@timestamp", text(&jiff::Timestamp::now().to_string())).set("host", host.value.clone());
    object.build()
}

/// Name of the transport protocol, by its number (IANA) or, where a socket leaves that open, by its type.
fn transport(event: &Network) -> Option<&'static str> {
    const STREAM: u16 = 1;
    const DATAGRAM: u16 = 2;
    match (event.protocol, event.socket_type) {
        (6, _) | (0, STREAM) => Some("tcp"),
        (17, _) | (0, DATAGRAM) => Some("udp"),
        (1, _) => Some("icmp"),
        (58, _) => Some("ipv6-icmp"),
        (132, _) => Some("sctp"),
        (262, _) => Some("mptcp"),
        (136, _) => Some("udplite"),
        _ => None,
    }
}

/// An address in the standard library's form; IPv4 as IPv4.
#[must_use]
pub fn ip(address: Address) -> IpAddr {
    if address.is_v4() { IpAddr::V4(address.v4().into()) } else { IpAddr::V6(Ipv6Addr::from(address.octets())) }
}

#[cfg(test)]
mod tests;
