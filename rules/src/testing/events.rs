//! Sample events for tests: `data.sentinel.events.<name>`, shaped like those the daemon makes.
//!
//! Invariant: a sample holds only fields of the input reference, every one that an event of its kind always has, and
//! addresses of documentation or private networks. An event of a user's own data under the same name takes its place.
//! Not here: how a test changes one (`object.union`).

use regorus::Value;

use crate::diagnostic::{Diagnostic, Findings};
use crate::fields::type_name;
use crate::input::{Object, array, text};
use crate::kind::Kind;

/// A sample event.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// Its name below `data.sentinel.events`.
    pub name: &'static str,
    /// What happens in it.
    pub about: &'static str,
    /// Its kind.
    pub kind: Kind,
    who: Who,
    what: What,
}

/// Who acts: the parent, the program and its arguments, and the user.
#[derive(Debug, Clone, Copy)]
struct Who {
    parent: &'static str,
    args: &'static [&'static str],
    executable: &'static str,
    uid: &'static str,
    container: Option<&'static str>,
}

/// What it acts on.
#[derive(Debug, Clone, Copy)]
enum What {
    /// The file that execve named.
    Exec { file: &'static str },
    /// An open, by path and access.
    Open { path: &'static str, write: bool, create: bool },
    /// A destination, as protocol, address, port and what is known of it.
    Network { transport: &'static str, ip: &'static str, port: u16, country: &'static str, domain: &'static str },
    /// A socket of a family.
    Socket { family: &'static str },
}

const CONTAINER: &str = "3f4e9c1b7a52d8060f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a6978";
const RUNC: &str = "/usr/bin/containerd-shim-runc-v2";
const BASH: &str = "/usr/bin/bash";
const DASH: &str = "/usr/bin/dash";
const CURL: &str = "/usr/bin/curl";
const SSHD: &str = "/usr/sbin/sshd";
const NGINX: &str = "/usr/sbin/nginx";

/// Every sample, in the order of the documentation.
pub const SAMPLES: &[Sample] = &[
    exec("exec", "a shell starts a program", BASH, "/usr/bin/ls", &["ls", "-l"]),
    exec("exec_shell", "sshd starts a log-in shell", SSHD, BASH, &["-bash"]),
    exec("exec_shell_by_web_server", "nginx starts a shell", NGINX, DASH, &["sh", "-c", "id"]),
    script(
        "exec_script",
        "a script is started: executable is its interpreter, file the script",
        "/usr/local/bin/backup.sh",
    ),
    exec("exec_from_tmp", "a program in /tmp is started", BASH, "/tmp/x", &["./x"]),
    exec("exec_memfd", "a program without a file is started", "/usr/bin/python3.11", "/memfd:x (deleted)", &["x"]),
    exec("exec_package_script", "dpkg starts a shell", "/usr/bin/dpkg", DASH, &["/bin/sh", "-e", "postinst"]),
    root(exec("exec_service", "systemd starts a service", "/usr/lib/systemd/systemd", NGINX, &["nginx"])),
    container(exec("container_exec", "a shell is started in a container", RUNC, BASH, &["bash"])),
    open("open", "a file is read", &["cat", "/srv/notes.txt"], "/usr/bin/cat", "/srv/notes.txt", READ),
    root(open(
        "open_shadow",
        "the password file is read",
        &["cat", "/etc/shadow"],
        "/usr/bin/cat",
        "/etc/shadow",
        READ,
    )),
    open(
        "open_ssh_key",
        "a private key is read",
        &["cat", "id_ed25519"],
        "/usr/bin/cat",
        "/home/ann/.ssh/id_ed25519",
        READ,
    ),
    open("open_write", "a file is changed", &["vim", "/srv/notes.txt"], "/usr/bin/vim.basic", "/srv/notes.txt", WRITE),
    open("open_create", "a file is made", &["touch", "/srv/new.txt"], "/usr/bin/touch", "/srv/new.txt", CREATE),
    root(open(
        "open_write_etc",
        "a job is written",
        &["tee", "/etc/cron.d/job"],
        "/usr/bin/tee",
        "/etc/cron.d/job",
        CREATE,
    )),
    container(open("container_open", "a container reads its token", &["cat", TOKEN], "/usr/bin/cat", TOKEN, READ)),
    connect("connect", "a TCP connection to a public address", CURL, "203.0.113.7", 443, "DE", "example.com"),
    connect("connect_ipv6", "the same by IPv6", CURL, "2001:db8::7", 443, "DE", "example.com"),
    connect("connect_internal", "to a private address", "/opt/shop/server", "10.0.0.7", 5432, "", ""),
    connect("connect_loopback", "to the host itself", CURL, "127.0.0.1", 8080, "", ""),
    connect("connect_shell", "a shell connects to a public address", BASH, "203.0.113.7", 4444, "DE", ""),
    connect("connect_metadata", "to the cloud's metadata service", CURL, "169.254.169.254", 80, "", ""),
    connect("connect_country", "to a country under embargo", CURL, "203.0.113.98", 443, "IR", ""),
    container(connect(
        "container_connect",
        "from a container",
        "/usr/local/bin/app",
        "203.0.113.7",
        443,
        "DE",
        "example.com",
    )),
    udp(
        connect("send_udp", "a datagram", "/usr/sbin/chronyd", "203.0.113.123", 123, "DE", "ntp.example.com"),
        Kind::Send,
    ),
    udp(connect("send_dns", "a name is looked up", CURL, "192.0.2.53", 53, "DE", ""), Kind::Send),
    udp(connect("send_ipv6", "a datagram by IPv6", "/usr/sbin/chronyd", "2001:db8::123", 123, "DE", ""), Kind::Send),
    packet("packet", "a packet of an established connection", "tcp", "203.0.113.7", 443),
    packet("packet_icmp", "a packet without a port", "icmp", "203.0.113.7", 0),
    root(Sample {
        name: "socket",
        about: "a packet socket is made, which passes every rule on destinations",
        kind: Kind::Socket,
        who: who(BASH, "/usr/bin/tcpdump", &["tcpdump", "-i", "eth0"]),
        what: What::Socket { family: "packet" },
    }),
];

const TOKEN: &str = "/run/secrets/kubernetes.io/serviceaccount/token";
const READ: (bool, bool) = (false, false);
const WRITE: (bool, bool) = (true, false);
const CREATE: (bool, bool) = (true, true);

const fn who(parent: &'static str, executable: &'static str, args: &'static [&'static str]) -> Who {
    Who { parent, args, executable, uid: "1000", container: None }
}

const fn exec(
    name: &'static str,
    about: &'static str,
    caller: &'static str,
    image: &'static str,
    args: &'static [&'static str],
) -> Sample {
    Sample { name, about, kind: Kind::Exec, who: who(caller, image, args), what: What::Exec { file: image } }
}

const fn script(name: &'static str, about: &'static str, path: &'static str) -> Sample {
    let who = who(BASH, DASH, &["/bin/sh", "/usr/local/bin/backup.sh"]);
    Sample { name, about, kind: Kind::Exec, who, what: What::Exec { file: path } }
}

const fn open(
    name: &'static str,
    about: &'static str,
    args: &'static [&'static str],
    executable: &'static str,
    path: &'static str,
    (write, create): (bool, bool),
) -> Sample {
    let what = What::Open { path, write, create };
    Sample { name, about, kind: Kind::Open, who: who(BASH, executable, args), what }
}

const fn connect(
    name: &'static str,
    about: &'static str,
    executable: &'static str,
    ip: &'static str,
    port: u16,
    country: &'static str,
    domain: &'static str,
) -> Sample {
    let what = What::Network { transport: "tcp", ip, port, country, domain };
    Sample { name, about, kind: Kind::Connect, who: who(BASH, executable, &[]), what }
}

const fn packet(
    name: &'static str,
    about: &'static str,
    transport: &'static str,
    ip: &'static str,
    port: u16,
) -> Sample {
    let what = What::Network { transport, ip, port, country: "DE", domain: "" };
    Sample { name, about, kind: Kind::Packet, who: who(BASH, "/usr/bin/ping", &[]), what }
}

const fn root(mut sample: Sample) -> Sample {
    sample.who.uid = "0";
    sample
}

const fn container(mut sample: Sample) -> Sample {
    sample.who.container = Some(CONTAINER);
    sample
}

const fn udp(mut sample: Sample, kind: Kind) -> Sample {
    if let What::Network { ip, port, country, domain, .. } = sample.what {
        sample.what = What::Network { transport: "udp", ip, port, country, domain };
    }
    sample.kind = kind;
    sample
}

impl Sample {
    /// The event.
    #[must_use]
    pub fn event(&self) -> Value {
        let mut event = Object::new();
        event.set_word("@timestamp", "2026-11-22T12:00:00.123456789Z").set_object("host", host());
        event.set_object("event", only("action", self.kind.as_str())).set_object("user", only("id", self.who.uid));
        event.set_some("container", self.who.container.map(|id| only("id", id)));
        let mut process = self.process();
        match self.what {
            What::Exec { file: path } => {
                process.set_object("previous", program(self.who.parent));
                event.set_object("file", file(path));
            }
            What::Open { path, write, create } => {
                let mut file = file(path);
                file.set("write", write).set("create", create);
                event.set_object("file", file);
            }
            What::Network { .. } => self.network(&mut event),
            What::Socket { family } => {
                event.set_object("network", only("type", family));
            }
        }
        event.set_object("process", process);
        event.build()
    }

    fn process(&self) -> Object {
        let mut process = program(self.who.executable);
        process.set("pid", 4242u64).set_word("start", "2026-11-22T11:59:59.5Z").set("args_truncated", false);
        arguments(&mut process, self.who.executable, self.who.args);
        process.set_object("user", only("id", self.who.uid)).set_object("group", only("id", self.who.uid));
        let mut thread = Object::new();
        thread.set("id", 4242u64).set("name", text(base(self.who.executable)));
        process.set_object("thread", thread);
        let mut parent = program(self.who.parent);
        parent.set("pid", 4200u64);
        arguments(&mut parent, self.who.parent, &[]);
        process.set_object("parent", parent);
        let ancestor = |(pid, path): (u64, &'static str)| {
            let mut ancestor = program(path);
            ancestor.set("pid", pid);
            ancestor.build()
        };
        let ancestors = [(4200, self.who.parent), (1, "/usr/lib/systemd/systemd")];
        process.set("ancestors", array(ancestors.map(ancestor)));
        process
    }

    fn network(&self, event: &mut Object) {
        let What::Network { transport, ip, port, country, domain } = self.what else { return };
        let there = |text: &'static str| (!text.is_empty()).then(|| crate::input::word(text));
        let mut destination = Object::new();
        destination.set_word("ip", ip).set_some("domain", there(domain));
        destination.set_some("port", (port != 0).then(|| Value::from(u64::from(port))));
        destination.set_some("geo", there(country).map(|_| only("country_iso_code", country)));
        let mut network = Object::new();
        network.set_word("transport", transport).set_word("type", if ip.contains(':') { "ipv6" } else { "ipv4" });
        event.set_object("destination", destination).set_object("network", network);
    }
}

fn host() -> Object {
    let mut os = Object::new();
    os.set_word("type", "linux").set_word("kernel", "6.12.48+deb13-amd64");
    let mut host = Object::new();
    host.set_word("name", "web-1").set_word("hostname", "web-1").set_word("architecture", "x86_64");
    host.set_object("os", os);
    host
}

fn only(key: &'static str, value: &'static str) -> Object {
    let mut object = Object::new();
    object.set_word(key, value);
    object
}

fn base(path: &str) -> &str {
    path.trim_end_matches(" (deleted)").rsplit('/').next().unwrap_or(path)
}

fn program(path: &'static str) -> Object {
    let mut object = Object::new();
    object.set_word("executable", path).set("name", text(base(path)));
    object
}

/// Arguments; without any, the program was called by its name.
fn arguments(object: &mut Object, path: &'static str, args: &[&'static str]) {
    let args: Vec<Value> =
        if args.is_empty() { vec![text(base(path))] } else { args.iter().map(|arg| text(arg)).collect() };
    object.set("args_count", u64::try_from(args.len()).unwrap_or(0)).set("args", array(args));
}

fn file(path: &'static str) -> Object {
    let name = base(path);
    let clean = path.trim_end_matches(" (deleted)");
    let directory = clean.strip_suffix(name).map_or("", |directory| directory.trim_end_matches('/'));
    let mut file = Object::new();
    file.set_word("path", path).set("name", text(name)).set_word("inode", "262401").set_word("device", "254:1");
    file.set("directory", text(if directory.is_empty() { "/" } else { directory }));
    file.set_some("extension", name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()).map(|(_, end)| text(end)));
    file
}

/// Adds the samples to the data of a test run; an event that is there already stays.
pub(super) fn add(data: &mut Value, findings: &mut Findings) {
    let mut place = data;
    for (key, path) in [("sentinel", "data.sentinel"), ("events", "data.sentinel.events")] {
        let found = match place {
            Value::Object(_) => place.as_object_mut().map_err(|_| "no object"),
            _ => Err("no object"),
        };
        match found {
            Ok(object) => place = object.get_or_insert_with(Value::from(key), Value::new_object),
            Err(_) => return,
        }
        if !matches!(place, Value::Object(_)) {
            let message = format!("{path} is {}; the sample events of tests are below it", type_name(place));
            findings.error(Diagnostic::file("data", message).hint("make it an object, or use another name"));
            return;
        }
    }
    let Ok(events) = place.as_object_mut() else { return };
    for sample in SAMPLES {
        events.get_or_insert_with(Value::from(sample.name), || sample.event());
    }
}
