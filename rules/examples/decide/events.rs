//! The events that are decided: a few by hand, and streams made from a seed.
//!
//! Nothing here is random: the same seed gives the same events on every machine.

use rules::input::{Object, array, text};
use rules::{Kind, Value};

/// An event and its kind.
pub(crate) type Event = (Kind, Value);

/// Programs by how much they do; a host runs few of them most of the time.
const PROGRAMS: &[&str] = &[
    "/usr/sbin/nginx",
    "/usr/bin/python3.11",
    "/usr/lib/postgresql/15/bin/postgres",
    "/usr/bin/bash",
    "/usr/libexec/gcc/cc1",
    "/usr/bin/git",
    "/usr/bin/make",
    "/usr/sbin/sshd",
    "/usr/bin/grep",
    "/usr/bin/sed",
    "/usr/bin/curl",
    "/usr/bin/dpkg",
    "/usr/lib/systemd/systemd-journald",
    "/usr/sbin/cron",
    "/usr/bin/node",
    "/usr/bin/find",
    "/usr/bin/ls",
    "/usr/bin/cat",
    "/usr/sbin/rsyslogd",
    "/opt/app/bin/worker",
];

/// Numbers from a seed (xorshift64*).
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) fn new(seed: u64) -> Numbers {
        Numbers(seed | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// One of `count`, each as likely.
    pub(crate) fn below(&mut self, count: u64) -> u64 {
        (self.next() >> 16) % count
    }

    /// One of `count`: the first twice as likely as the second, three times as likely as the third.
    fn zipf(&mut self, count: u32) -> u32 {
        let sum: f64 = (1..=count).map(|n| 1.0 / f64::from(n)).sum();
        let mut at = f64::from(u32::try_from(self.below(1 << 30)).unwrap_or(0)) / f64::from(1u32 << 30) * sum;
        for n in 1..count {
            at -= 1.0 / f64::from(n);
            if at < 0.0 {
                return n - 1;
            }
        }
        count - 1
    }
}

fn program(numbers: &mut Numbers) -> &'static str {
    PROGRAMS[numbers.zipf(u32::try_from(PROGRAMS.len()).unwrap_or(1)) as usize]
}

/// Events of which no two agree on their object: every path, destination and command line is another one.
pub(crate) fn distinct(count: u32) -> Vec<Event> {
    let mut numbers = Numbers::new(7);
    let event = |n: u32| match n % 10 {
        0 => {
            let (previous, next) = (program(&mut numbers), program(&mut numbers));
            exec(previous, next, &[next, "-o", &format!("/srv/build/{n}.o"), &format!("/srv/build/{n}.c")])
        }
        1 | 2 => connect(program(&mut numbers), &format!("203.0.{}.{}", n / 250 % 250, n % 250), 1024 + n % 50_000),
        _ => {
            open(program(&mut numbers), &format!("/srv/data/{:x}/{n}.bin", n % 256), n.is_multiple_of(4), u64::from(n))
        }
    };
    (0..count).map(event).collect()
}

/// What a build, a package installation and a web server do in an hour: few programs open few files most of the
/// time, and now and then another. Process ids, inodes and times differ from event to event.
pub(crate) fn mix(count: u32) -> Vec<Event> {
    let mut numbers = Numbers::new(42);
    let event = |n: u32| {
        let id = u64::from(n);
        match numbers.below(100) {
            0..3 => {
                let (previous, next) = (program(&mut numbers), program(&mut numbers));
                let unit = numbers.zipf(2_000);
                exec(previous, next, &[next, "-c", &format!("unit{unit}.c")])
            }
            3..8 => {
                let host = numbers.zipf(40);
                connect(
                    program(&mut numbers),
                    &format!("198.51.100.{host}"),
                    if host.is_multiple_of(3) { 5432 } else { 443 },
                )
            }
            8..10 => {
                open("/usr/bin/dpkg", &format!("/var/lib/dpkg/info/package{}.list", numbers.zipf(3_000)), true, id)
            }
            10..12 => open("/usr/sbin/sshd", "/etc/shadow", false, id),
            12..14 => open("/usr/sbin/cron", &format!("/etc/cron.d/{}", numbers.zipf(12)), false, id),
            14..40 => open("/usr/sbin/nginx", &format!("/var/www/html/page{}.html", numbers.zipf(5_000)), false, id),
            40..70 => open("/usr/libexec/gcc/cc1", &format!("/usr/include/part{}.h", numbers.zipf(3_000)), false, id),
            _ => {
                let file = numbers.zipf(20_000);
                let path = match file % 3 {
                    0 => format!("/usr/lib/python3/dist-packages/m{file}.py"),
                    1 => format!("/usr/lib/x86_64-linux-gnu/lib{file}.so.1"),
                    _ => format!("/var/lib/app/state/{file}"),
                };
                open(program(&mut numbers), &path, file % 11 == 2, id)
            }
        }
    };
    (0..count).map(event).collect()
}

/// Single events, with names.
pub(crate) fn named() -> Vec<(&'static str, Event)> {
    let rm = event(Kind::Unlink, process("/usr/bin/rm", 9), Some(file("/srv/x", true, 9)), None);
    vec![
        ("exec, ordinary", exec("/usr/bin/bash", "/usr/bin/grep", &["grep", "-r", "needle", "/srv"])),
        ("exec, netcat to shell", exec("/usr/bin/ncat", "/usr/bin/dash", &["sh"])),
        ("open, ordinary", open("/usr/bin/python3", "/usr/lib/python3/dist-packages/six.py", false, 1)),
        ("open, shadow", open("/usr/bin/cat", "/etc/shadow", false, 1)),
        ("connect, ordinary", connect("/usr/bin/curl", "203.0.113.7", 443)),
        ("connect, shell", connect("/usr/bin/bash", "203.0.113.7", 4444)),
        ("unlink, ordinary", (Kind::Unlink, rm)),
    ]
}

fn event(kind: Kind, process: Object, file: Option<Object>, destination: Option<Object>) -> Value {
    let mut action = Object::new();
    action.set_word("action", kind.as_str());
    let mut network = Object::new();
    network.set_word("transport", "tcp").set_word("type", "ipv4");
    let mut host = Object::new();
    host.set_word("name", "web-1").set_word("hostname", "web-1");
    let mut input = Object::new();
    input.set("event", action).set("process", process).set_some("file", file).set("host", host);
    if let Some(destination) = destination {
        input.set("destination", destination).set("network", network);
    }
    input.build()
}

fn process(executable: &str, id: u64) -> Object {
    let mut user = Object::new();
    user.set_word("id", "1000");
    let mut parent = Object::new();
    parent.set("pid", 100u64).set("executable", text("/usr/bin/bash")).set_word("name", "bash");
    let mut process = Object::new();
    process.set("pid", 4242 + id).set("executable", text(executable)).set("user", user);
    process.set("start", text(&format!("2026-11-22T10:00:00.{id:09}Z")));
    process.set("name", text(executable.rsplit('/').next().unwrap_or_default()));
    process.set("args", array([text(executable)])).set("parent", parent.clone());
    process.set("ancestors", array((0..4).map(|_| parent.clone().build())));
    process
}

pub(crate) fn exec(previous: &str, executable: &str, args: &[&str]) -> Event {
    let mut calling = Object::new();
    calling.set("executable", text(previous));
    let mut process = process(executable, 1);
    process.set("previous", calling).set("args", array(args.iter().map(|arg| text(arg))));
    (Kind::Exec, event(Kind::Exec, process, Some(file(executable, false, 1)), None))
}

fn file(path: &str, write: bool, inode: u64) -> Object {
    let mut file = Object::new();
    file.set("path", text(path)).set("name", text(path.rsplit('/').next().unwrap_or_default()));
    file.set("inode", text(&inode.to_string())).set("write", write);
    file
}

fn open(executable: &str, path: &str, write: bool, id: u64) -> Event {
    (Kind::Open, event(Kind::Open, process(executable, id), Some(file(path, write, id)), None))
}

pub(crate) fn connect(executable: &str, ip: &str, port: u32) -> Event {
    let mut destination = Object::new();
    destination.set("ip", text(ip)).set("port", port);
    (Kind::Connect, event(Kind::Connect, process(executable, 1), None, Some(destination)))
}
