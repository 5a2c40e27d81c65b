//! The block entries that `deny` decisions would have written, and the later events that these would have refused.
//!
//! Invariants: an entry holds what its scope says, for its subject, from the event that wrote it until its ttl by the
//! clock of the events; it refuses no event before its own. Files and programs are told apart by hashes of their identity, or of their
//! path where no identity was recorded.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hasher as _},
    net::IpAddr,
};

use ipnet::IpNet;
use rules::{Object, Scope, Subject};

use super::event::Event;

/// Microseconds in a second.
const SECOND: i64 = 1_000_000;

/// What an event is about, as far as an entry can hold it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Keys {
    ip: Option<IpAddr>,
    port: Option<u16>,
    file: Option<u64>,
    path: Option<u64>,
    executable: Option<u64>,
    instance: Option<u64>,
    access: u32,
}

/// The same for the same, in every run.
fn hash(parts: impl std::hash::Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    parts.hash(&mut hasher);
    hasher.finish()
}

impl Keys {
    /// Those of an event.
    pub(super) fn of(event: &Event) -> Self {
        let facts = event.facts();
        let named = |path: &&str| path.starts_with('/');
        Self {
            ip: facts.ip,
            port: facts.port,
            file: facts.inode.map(|id| hash(("inode", id))).or_else(|| facts.path.map(|path| hash(("path", path)))),
            path: facts.path.filter(named).map(|path| hash(("path", path))),
            executable: facts.actor.map(hash),
            instance: facts.process.map(hash),
            access: event.access,
        }
    }
}

/// What an entry refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Target {
    Destination(IpAddr),
    Port(IpAddr, u16),
    File(u64),
    Path(u64),
}

/// To whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Who {
    Anyone,
    Executable(u64),
    Instance(u64),
}

#[derive(Debug, Clone, Copy)]
struct Held {
    rule: usize,
    access: u32,
    /// Microseconds since 1970; `i64::MAX`: no end.
    expires: i64,
}

/// All entries of one policy.
#[derive(Debug, Default)]
pub(super) struct Blocklist {
    entries: HashMap<(Target, Who), Vec<Held>>,
    networks: Vec<(IpNet, Who, Held)>,
}

impl Blocklist {
    /// Writes the entry of a decision; whether there is one: the event may not have what the scope asks for.
    pub(super) fn write(&mut self, scope: Scope, ttl: u64, rule: usize, keys: &Keys, now: i64) -> bool {
        let who = match scope.subject {
            None => Some(Who::Anyone),
            Some(Subject::Process) => keys.executable.map(Who::Executable),
            Some(Subject::Instance) => keys.instance.map(Who::Instance),
        };
        let Some(who) = who else { return false };
        let ttl = i64::try_from(ttl).unwrap_or(i64::MAX).saturating_mul(SECOND);
        let expires = if ttl == 0 { i64::MAX } else { now.saturating_add(ttl) };
        let access = if scope.is_network() { u32::MAX } else { keys.access };
        let held = Held { rule, access, expires };
        let target = match scope.object {
            Object::Cidr(net) => {
                self.network(net, who, held);
                return true;
            }
            Object::Destination => keys.ip.map(Target::Destination),
            Object::DestinationPort => keys.ip.zip(keys.port).map(|(ip, port)| Target::Port(ip, port)),
            Object::File => keys.file.map(Target::File),
            Object::Path => keys.path.map(Target::Path),
        };
        let Some(target) = target else { return false };
        let list = self.entries.entry((target, who)).or_default();
        list.retain(|old| old.expires > now && (old.rule, old.access) != (rule, access));
        list.push(held);
        true
    }

    fn network(&mut self, net: IpNet, who: Who, held: Held) {
        self.networks.retain(|(other, subject, old)| (*other, *subject, old.rule) != (net, who, held.rule));
        self.networks.push((net, who, held));
    }

    /// The rule whose entry refuses an event.
    pub(super) fn refusing(&self, keys: &Keys, now: i64) -> Option<usize> {
        if self.entries.is_empty() && self.networks.is_empty() {
            return None;
        }
        let subjects = [keys.executable.map(Who::Executable), keys.instance.map(Who::Instance), Some(Who::Anyone)];
        subjects.into_iter().flatten().find_map(|who| self.for_subject(who, keys, now))
    }

    fn for_subject(&self, who: Who, keys: &Keys, now: i64) -> Option<usize> {
        let targets = [
            keys.ip.map(Target::Destination),
            keys.ip.zip(keys.port).map(|(ip, port)| Target::Port(ip, port)),
            keys.file.map(Target::File),
            keys.path.map(Target::Path),
        ];
        let wanted = if keys.ip.is_some() { u32::MAX } else { keys.access };
        let holds = |held: &&Held| held.expires > now && held.access & wanted != 0;
        let listed = targets
            .into_iter()
            .flatten()
            .find_map(|target| self.entries.get(&(target, who))?.iter().find(holds).map(|held| held.rule));
        let ip = keys.ip.filter(|_| !self.networks.is_empty());
        let within = |ip: IpAddr| {
            let mut all = self.networks.iter().filter(|(net, subject, _)| *subject == who && net.contains(&ip));
            all.find(|(_, _, held)| held.expires > now).map(|(_, _, held)| held.rule)
        };
        listed.or_else(|| within(ip?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(ip: &str, executable: u64) -> Keys {
        Keys {
            ip: Some(ip.parse().unwrap()),
            port: Some(443),
            executable: Some(executable),
            instance: Some(9),
            ..Keys::default()
        }
    }

    fn written(scope: &str, ttl: u64, keys: &Keys) -> Blocklist {
        let mut list = Blocklist::default();
        assert!(list.write(scope.parse().unwrap(), ttl, 7, keys, 0));
        list
    }

    #[test]
    fn an_entry_holds_for_its_subject_until_its_end() {
        let here = keys("192.0.2.1", 1);
        let list = written("destination+process", 10, &here);
        assert_eq!(list.refusing(&here, 10 * SECOND - 1), Some(7));
        assert_eq!(list.refusing(&here, 10 * SECOND), None);
        assert_eq!(list.refusing(&keys("192.0.2.1", 2), 0), None);
        assert_eq!(list.refusing(&keys("192.0.2.2", 1), 0), None);
        assert_eq!(written("destination", 0, &here).refusing(&keys("192.0.2.1", 2), i64::MAX - 1), Some(7));
        assert_eq!(written("destination+instance", 0, &here).refusing(&keys("192.0.2.1", 2), 1), Some(7));
    }

    #[test]
    fn ports_networks_files_and_access() {
        let here = keys("192.0.2.1", 1);
        let other_port = Keys { port: Some(80), ..here };
        assert_eq!(written("destination_port", 0, &here).refusing(&other_port, 0), None);
        assert_eq!(written("cidr:192.0.2.0/24+process", 0, &here).refusing(&keys("192.0.2.9", 1), 0), Some(7));
        assert_eq!(written("cidr:192.0.2.0/24+process", 0, &here).refusing(&keys("192.0.2.9", 2), 0), None);
        let read = Keys { file: Some(4), path: Some(5), executable: Some(1), access: 1, ..Keys::default() };
        let list = written("file+process", 0, &read);
        assert_eq!(list.refusing(&Keys { path: None, ..read }, 0), Some(7));
        assert_eq!(list.refusing(&Keys { access: 2, ..read }, 0), None);
        assert_eq!(list.refusing(&Keys { file: Some(6), ..read }, 0), None);
        assert_eq!(written("path", 0, &read).refusing(&Keys { file: Some(6), executable: None, ..read }, 0), Some(7));
    }

    #[test]
    fn what_the_event_does_not_have_makes_no_entry() {
        let mut list = Blocklist::default();
        for scope in ["destination+process", "file", "path", "destination_port+instance"] {
            assert!(!list.write(scope.parse().unwrap(), 0, 7, &Keys::default(), 0), "{scope}");
        }
    }
}
