//! Random events from the words of a policy.

use std::collections::BTreeMap;

use rules::{Kind, Value};

/// Numbers from a seed (splitmix64).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: &str) -> Random {
        Random(seed.bytes().fold(17, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.next() % count.max(1) as u64).unwrap()
    }

    fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn word(&mut self, words: &[&'static str]) -> &'static str {
        words[self.below(words.len())]
    }

    fn pick<'l, T>(&mut self, list: &'l [T]) -> &'l T {
        &list[self.below(list.len())]
    }
}

/// An event: values by their dotted path.
#[derive(Clone)]
pub(crate) struct Event(BTreeMap<&'static str, Value>);

impl Event {
    pub(crate) fn kind(&self) -> Kind {
        self.0["event.action"].as_string().unwrap().parse().unwrap()
    }

    /// As one value.
    pub(crate) fn build(&self) -> Value {
        let fields: Vec<(Vec<&str>, &Value)> =
            self.0.iter().map(|(path, value)| (path.split('.').collect(), value)).collect();
        nest(&fields, 0)
    }
}

fn nest(fields: &[(Vec<&str>, &Value)], depth: usize) -> Value {
    let mut object = BTreeMap::new();
    let mut names: Vec<&str> = fields.iter().map(|(path, _)| path[depth]).collect();
    names.dedup();
    for name in names {
        let below: Vec<_> = fields.iter().filter(|(path, _)| path[depth] == name).cloned().collect();
        let value = match below.iter().find(|(path, _)| path.len() == depth + 1) {
            Some((_, value)) => (*value).clone(),
            None => nest(&below, depth + 1),
        };
        object.insert(Value::from(name), value);
    }
    Value::from(object)
}

/// The fields that are changed one at a time.
const FIELDS: &[&str] = &[
    "process.pid",
    "process.executable",
    "process.args",
    "process.user.id",
    "process.parent.executable",
    "process.parent.args",
    "process.previous.executable",
    "process.ancestors",
    "file.path",
    "file.name",
    "file.extension",
    "file.directory",
    "file.create",
    "orchestrator.namespace",
    "container.image.name",
    "file.write",
    "destination.ip",
    "destination.port",
    "destination.domain",
    "destination.geo.country_iso_code",
    "destination.geo.region_iso_code",
    "network.transport",
    "network.type",
    "container.id",
    "event.id",
];

/// Programs that no policy names, or that all do.
const PROGRAMS: &[&str] =
    &["/usr/bin/grep", "/bin/busybox", "/usr/bin/bash", "/usr/sbin/nginx", "/tmp/x", "/usr/bin/dpkg", "/usr/bin/curl"];

/// Words to make events of.
pub(crate) struct Pools {
    kinds: Vec<Kind>,
    paths: Vec<String>,
    programs: Vec<String>,
    words: Vec<String>,
    addresses: Vec<String>,
    arrays: Vec<Vec<String>>,
    ports: Vec<u64>,
}

impl Pools {
    /// Takes the words out of a policy and its tests.
    pub(crate) fn new(text: &str, tests: &str, kinds: Vec<Kind>) -> Pools {
        let own = strings(text);
        let words: Vec<String> = own.iter().cloned().chain(strings(tests)).filter(|word| word.len() < 200).collect();
        let with = |some: &[&str], more: Vec<String>| some.iter().map(|s| (*s).to_owned()).chain(more).collect();
        let paths: Vec<String> = words.iter().filter(|word| word.contains('/')).cloned().collect();
        let names = words.iter().filter(|w| !w.contains(['/', ' ', '%']) && w.len() > 1);
        let programs = names.map(|name| format!("/usr/bin/{name}")).chain(paths.iter().cloned()).collect();
        let addresses = words.iter().filter(|w| w.parse::<std::net::IpAddr>().is_ok()).cloned().collect();
        let numbers = [text, tests].concat();
        let numbers = numbers.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok());
        let mut ports: Vec<u64> = numbers.filter(|port| (1..65_536).contains(port)).collect();
        ports.sort_unstable();
        ports.dedup();
        ports.push(443);
        let arrays =
            tests.split('[').skip(1).filter_map(|rest| rest.split_once(']')).map(|(inside, _)| strings(inside));
        Pools {
            kinds: if kinds.is_empty() { vec![Kind::Exec] } else { kinds },
            paths: with(&["/etc/passwd", "/srv/data/x"], paths),
            programs: with(PROGRAMS, programs),
            words: with(&["-c", ""], words.clone()),
            addresses: with(&["203.0.113.9", "10.0.0.1", "::1", "2001:db8::1"], addresses),
            arrays: arrays.filter(|array| !array.is_empty()).chain([vec!["x".to_owned()]]).collect(),
            ports,
        }
    }

    /// A new event, or one like a recent one but for one field.
    pub(crate) fn event(&self, random: &mut Random, recent: &[Event], number: usize) -> Event {
        let mut event =
            if !recent.is_empty() && random.percent(60) { random.pick(recent).clone() } else { self.fresh(random) };
        for _ in 0..random.below(3) {
            self.change(random.word(FIELDS), &mut event, random);
        }
        event.0.insert("event.id", Value::from(number as u64));
        event
    }

    fn fresh(&self, random: &mut Random) -> Event {
        let mut event = Event(BTreeMap::new());
        event.0.insert("event.action", Value::from(random.pick(&self.kinds).as_str()));
        for field in FIELDS {
            // Fields of every kind of object: a policy must not care.
            if !field.starts_with("container") || random.percent(40) {
                event.0.extend(self.value(field, &event, random).map(|value| (*field, value)));
            }
        }
        event
    }

    fn change(&self, field: &'static str, event: &mut Event, random: &mut Random) {
        match random.below(12) {
            0 => drop(event.0.remove(field)),
            1 => drop(event.0.insert(
                field,
                random.pick(&[Value::Null, Value::from(7u64), Value::from(false), Value::from("")]).clone(),
            )),
            _ => {
                let value = self.value(field, event, random);
                event.0.extend(value.map(|value| (field, value)));
            }
        }
    }

    fn value(&self, field: &str, event: &Event, random: &mut Random) -> Option<Value> {
        let text = |text: &str| Some(Value::from(text));
        let one = |random: &mut Random, list: &[String]| Some(Value::from(random.pick(list).as_str()));
        match field {
            "process.pid" => Some(Value::from(random.next() % 4_000_000)),
            "process.executable" | "process.parent.executable" | "process.previous.executable" => {
                let deleted = if random.percent(3) { " (deleted)" } else { "" };
                text(&format!("{}{deleted}", random.pick(&self.programs)))
            }
            "process.args" | "process.parent.args" => Some(self.args(event, random)),
            "process.user.id" => text(random.word(&["0", "33", "1000"])),
            "process.ancestors" => {
                let ancestor = |random: &mut Random| {
                    let program = Value::from(random.pick(&self.programs).as_str());
                    Value::from(BTreeMap::from([
                        (Value::from("executable"), program),
                        (Value::from("pid"), Value::from(random.next() % 9999)),
                    ]))
                };
                Some(Value::from((0..random.below(4)).map(|_| ancestor(random)).collect::<Vec<_>>()))
            }
            "file.path" => {
                let (path, word) = (random.pick(&self.paths), random.pick(&self.words));
                match random.below(5) {
                    0 => text(&format!("{path}{word}")),
                    1 => text(&format!("/home/ann{path}")),
                    _ => text(path),
                }
            }
            "file.name" => {
                let path = event.0.get("file.path").and_then(|path| path.as_string().ok());
                let name = path.and_then(|path| path.rsplit('/').next().map(str::to_owned));
                text(&name.filter(|_| random.percent(90)).unwrap_or_else(|| random.pick(&self.words).clone()))
            }
            "file.extension" => {
                let name = event.0.get("file.path").and_then(|path| path.as_string().ok());
                let extension = name.and_then(|name| name.rsplit_once('.').map(|(_, extension)| extension.to_owned()));
                extension.map(Value::from)
            }
            "file.directory" => {
                let path = event.0.get("file.path").and_then(|path| path.as_string().ok());
                path.and_then(|path| path.rsplit_once('/').map(|(directory, _)| Value::from(directory)))
            }
            "orchestrator.namespace" | "container.image.name" => one(random, &self.words),
            "file.create" | "file.write" => Some(Value::from(random.percent(50))),
            "destination.ip" => one(random, &self.addresses),
            "destination.port" => Some(Value::from(*random.pick(&self.ports))),
            "destination.domain" if random.percent(70) => one(random, &self.words),
            "destination.geo.country_iso_code" => text(random.word(&["IR", "KP", "CU", "DE", "UA", "RU"])),
            "destination.geo.region_iso_code" => text(random.word(&["UA-43", "UA-14", "DE-BE"])),
            "network.transport" => text(random.word(&["tcp", "tcp", "udp"])),
            "network.type" => text(random.word(&["ipv4", "ipv6", "packet"])),
            "container.id" => text(random.word(&["", "4f1c"])),
            _ => None,
        }
    }

    fn args(&self, event: &Event, random: &mut Random) -> Value {
        let mut args: Vec<String> = random.pick(&self.arrays).clone();
        let executable = event.0.get("process.executable").and_then(|path| path.as_string().ok());
        if let (Some(first), Some(path), true) = (args.first_mut(), executable, random.percent(30)) {
            *first = path.rsplit('/').next().unwrap_or_default().to_owned();
        }
        if random.percent(30) {
            args.push(random.pick(&self.words).clone());
        }
        Value::from(args.into_iter().map(Value::from).collect::<Vec<_>>())
    }
}

/// The strings in double quotes.
fn strings(text: &str) -> Vec<String> {
    let mut strings: Vec<String> = Vec::new();
    for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
        strings.extend(line.split('"').skip(1).step_by(2).map(|part| part.replace('\\', "")));
    }
    strings
}
