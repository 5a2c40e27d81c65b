//! The kernel's verdict on a destination, once more in user space, for sockets that exist already.
//!
//! Invariant: the order of `verdict::destination` in the kernel programs (exemption, blocklist entry, prefix, country) and
//! the writer's choice among entries that meet on one key. What is not known of a socket makes a third answer: an entry
//! that would need it neither holds nor fails, and if that decides, nothing is decided.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use sentinel_common::{
    FileId,
    address::Address,
    geo::ClassRules,
    hook,
    verdict::{Entry, Subject, flag, limit, subject},
};

use super::owners::Owner;
use crate::kernel::verdicts::{Held, Place, Table, Target, masked, strongest};

/// What rules about countries say of an address.
pub trait Countries: Send + Sync {
    /// The entries on a normalised address.
    fn rules_on(&self, address: Address) -> ClassRules;
    /// Whether there is none for any address.
    fn is_empty(&self) -> bool;
}

/// What is known of a socket.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// Normalised.
    pub address: Address,
    /// Host order.
    pub port: u16,
    /// IANA number.
    pub protocol: u8,
    /// Owner.
    pub uid: u32,
    /// Id of the cgroup.
    pub cgroup: Option<u64>,
    /// A process that has it open.
    pub owner: Option<Owner>,
}

/// The verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// Nothing refuses it, whatever is not known.
    Pass,
    /// This entry refuses it, or would if it did not only monitor.
    Meets(Entry),
    /// It turns on what is not known.
    Undecided,
}

type Entries = Vec<(Place, Held)>;

/// The rules on destinations that were in force at one moment.
#[derive(Clone)]
pub struct Rules {
    /// By address and port.
    destinations: HashMap<([u8; 16], Option<u16>), Entries>,
    /// By length and network address.
    prefixes: HashMap<(Table, u8, u128), Entries>,
    lengths: BTreeSet<u8>,
    limits: BTreeSet<(u32, u32, u64, u32)>,
    countries: Arc<dyn Countries>,
    now: u64,
    blocks: bool,
}

/// The entry that holds, and whether one that turns on what is not known comes before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Found {
    entry: Option<Entry>,
    unsure: bool,
}

impl Rules {
    /// Takes them from the shadow of the verdict maps; `now` is the boot clock.
    pub fn new<'a>(
        entries: impl Iterator<Item = (&'a Place, &'a Held)>,
        limits: &BTreeSet<(u32, u32, u64, u32)>,
        countries: Arc<dyn Countries>,
        now: u64,
    ) -> Self {
        let mut rules = Self {
            destinations: HashMap::new(),
            prefixes: HashMap::new(),
            lengths: BTreeSet::new(),
            limits: limits.clone(),
            blocks: !countries.is_empty(),
            countries,
            now,
        };
        // Canaries hold for one hook each; the packet hook is the one that would see these sockets' next packets.
        let live = |held: &Held| held.entry.expires == 0 || held.entry.expires > now;
        let here =
            |held: &Held| [hook::ANY, hook::EGRESS].contains(&held.entry.hook) && held.entry.flags & flag::CANARY == 0;
        for (place, held) in entries.filter(|(_, held)| live(held) && here(held)) {
            rules.add(place, *held);
        }
        rules
    }

    fn add(&mut self, place: &Place, held: Held) {
        let list = match place.target {
            Target::Destination { address, port } => self.destinations.entry((address, port)).or_default(),
            Target::Cidr { address, length } => {
                self.lengths.insert(length);
                self.prefixes.entry((place.table, length, u128::from_be_bytes(address))).or_default()
            }
            Target::File { .. }
            | Target::Name { .. }
            | Target::Tree { .. }
            | Target::Hash(_)
            | Target::Path { .. }
            | Target::Bypass { .. } => return,
        };
        list.push((place.clone(), held));
        self.blocks |= place.table == Table::Block;
    }

    /// Whether any of them refuses a destination.
    #[must_use]
    pub const fn block_any(&self) -> bool {
        self.blocks
    }

    /// The verdict on a socket.
    #[must_use]
    pub fn judge(&self, facts: &Facts) -> Judgement {
        let country = self.countries.rules_on(facts.address);
        let by_prefix = self.prefix(Table::Exempt, facts);
        let exempt = first([by_prefix, self.country(&country.exempt, facts)].into_iter());
        if exempt.entry.is_some() {
            return Judgement::Pass;
        }
        let block = self.block(&country, facts);
        let refuses = |entry: &Entry| entry.flags & flag::MONITOR == 0;
        match block.entry {
            Some(entry) if !exempt.unsure && (refuses(&entry) || !block.unsure) => Judgement::Meets(entry),
            None if !block.unsure => Judgement::Pass,
            Some(_) | None => Judgement::Undecided,
        }
    }

    /// The entry that blocks. One that only monitors hides none that refuses.
    fn block(&self, country: &ClassRules, facts: &Facts) -> Found {
        let mut found = Found::default();
        let looks = [self.listed(facts), self.prefix(Table::Block, facts), self.country(&country.block, facts)];
        for Found { entry, unsure } in looks {
            found.unsure |= unsure;
            if entry.is_some_and(|entry| entry.flags & flag::MONITOR == 0) {
                return Found { entry, ..found };
            }
            found.entry = found.entry.or(entry);
        }
        found
    }

    fn listed(&self, facts: &Facts) -> Found {
        let list = |port| self.destinations.get(&(facts.address.octets(), port)).into_iter().flatten();
        let by_kind = |kind| [None, Some(facts.port)].map(|port| self.one_kind(kind, list(port), facts));
        first(SUBJECTS.into_iter().flat_map(by_kind))
    }

    fn prefix(&self, table: Table, facts: &Facts) -> Found {
        let whole = u128::from_be_bytes(facts.address.octets());
        let covering: Vec<_> = self
            .lengths
            .iter()
            .filter_map(|length| self.prefixes.get(&(table, *length, masked(whole, *length))))
            .flatten()
            .collect();
        first(SUBJECTS.into_iter().map(|kind| self.one_kind(kind, covering.iter().copied(), facts)))
    }

    /// The verdict of the entries for one kind of subject. As in the kernel's map, only the one that protects most counts.
    fn one_kind<'a>(&self, kind: u32, all: impl Iterator<Item = &'a (Place, Held)>, facts: &Facts) -> Found {
        let (mut mine, mut unsure): (Vec<&Held>, bool) = (Vec::new(), false);
        for (place, held) in all.filter(|(place, _)| place.subject.0 == kind) {
            match concerns(place, facts) {
                Some(true) => mine.push(held),
                Some(false) => {}
                None => unsure = true,
            }
        }
        let [entry, ..] = strongest(mine.into_iter()).by_access;
        let found = if entry.rule == 0 { Found::default() } else { self.limited(entry, facts) };
        Found { unsure: unsure || found.unsure, ..found }
    }

    fn country(&self, entries: &[Entry], facts: &Facts) -> Found {
        let live = |entry: &&Entry| entry.rule != 0 && (entry.expires == 0 || entry.expires > self.now);
        first(entries.iter().filter(live).map(|entry| self.limited(*entry, facts)))
    }

    fn limited(&self, entry: Entry, facts: &Facts) -> Found {
        let holds = self.within_limits(&entry, facts);
        Found { entry: (holds == Some(true)).then_some(entry), unsure: holds.is_none() }
    }

    /// Whether every `only` list names this subject and not every `except` list does.
    fn within_limits(&self, entry: &Entry, facts: &Facts) -> Option<bool> {
        let executable = facts.owner.map(|owner| owner.executable).filter(|file| !file.is_none());
        let plain = |value: u64| Some((value, 0));
        let all = [
            (limit::ONLY_EXECUTABLE, limit::EXCEPT_EXECUTABLE, executable.map(|FileId { ino, dev, .. }| (ino, dev))),
            (limit::ONLY_UID, limit::EXCEPT_UID, plain(u64::from(facts.uid))),
            (limit::ONLY_CGROUP, limit::EXCEPT_CGROUP, facts.cgroup.and_then(plain)),
            (limit::ONLY_PORT, limit::EXCEPT_PORT, plain(u64::from(facts.port))),
            (limit::ONLY_PROTOCOL, limit::EXCEPT_PROTOCOL, plain(u64::from(facts.protocol))),
        ];
        let named = |bit: u16, value: Option<(u64, u32)>| {
            value.map(|(value, dev)| self.limits.contains(&(entry.rule, u32::from(bit), value, dev)))
        };
        let (mut only, mut excepted, mut has_except) = (Some(true), Some(true), false);
        for (only_bit, except_bit, value) in all {
            if entry.limits & only_bit != 0 {
                only = both(only, named(only_bit, value));
            }
            if entry.limits & except_bit != 0 {
                has_except = true;
                excepted = both(excepted, named(except_bit, value));
            }
        }
        both(only, if has_except { excepted.map(|yes| !yes) } else { Some(true) })
    }
}

/// In the order in which the kernel looks.
const SUBJECTS: [u32; 3] = [subject::EXECUTABLE, subject::INSTANCE, subject::ANYONE];

/// /proc knows the start of a process in hundredths of a second.
const TICK: u64 = 10_000_000;

/// Whether an entry is about the owner of the socket.
fn concerns(place: &Place, facts: &Facts) -> Option<bool> {
    let (kind, a, b) = place.subject;
    match kind {
        subject::EXECUTABLE => {
            let known = facts.owner.filter(|owner| !owner.executable.is_none())?;
            Some(Subject::executable(known.executable) == Subject { kind, a, b })
        }
        subject::INSTANCE => facts.owner.map(|owner| (owner.pid, owner.start / TICK) == (b, a / TICK)),
        _ => Some(true),
    }
}

/// The first entry that holds.
fn first(all: impl Iterator<Item = Found>) -> Found {
    let mut unsure = false;
    for found in all {
        unsure |= found.unsure;
        if found.entry.is_some() {
            return Found { unsure, ..found };
        }
    }
    Found { entry: None, unsure }
}

/// Both, where one that fails decides whatever the other is.
fn both(a: Option<bool>, b: Option<bool>) -> Option<bool> {
    match (a, b) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        (None, _) | (_, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sentinel_common::{address::normalise, verdict::origin};
    use std::net::IpAddr;

    const EXEMPT: u32 = 90;

    fn address(text: &str) -> Address {
        let given = match text.parse::<IpAddr>().unwrap() {
            IpAddr::V4(v4) => Address::from_v4(v4.into()),
            IpAddr::V6(v6) => Address::from_octets(v6.octets()),
        };
        normalise(given).0
    }

    fn cidr(table: Table, text: &str, subject: Subject) -> Place {
        let net: ipnet::IpNet = text.parse().unwrap();
        Place::new(table, crate::standing::network_place(table, &net).target, subject)
    }

    fn entry(rule: u32) -> Entry {
        Entry { rule, hook: hook::ANY, origin: origin::STANDING, ..Entry::NONE }
    }

    fn block(rule: u32, net: &str) -> (Place, Entry) {
        (cidr(Table::Block, net, Subject::ANYONE), entry(rule))
    }

    fn exempt(net: &str, limits: u16) -> (Place, Entry) {
        let entry = Entry { origin: origin::EXEMPTION, limits, ..entry(EXEMPT) };
        (cidr(Table::Exempt, net, Subject::ANYONE), entry)
    }

    /// One rule on the country of one network; `None`: no country has any.
    #[derive(Default)]
    struct OneCountry(Option<(ipnet::IpNet, Entry)>);

    impl Countries for OneCountry {
        fn rules_on(&self, address: Address) -> ClassRules {
            let ip = crate::input::ip(address);
            let mut rules = ClassRules::default();
            if let Some((_, entry)) = self.0.filter(|(net, _)| net.contains(&ip)) {
                rules.block[0] = entry;
            }
            rules
        }

        fn is_empty(&self) -> bool {
            self.0.is_none()
        }
    }

    fn country(net: &str, entry: Entry) -> OneCountry {
        OneCountry(Some((net.parse().unwrap(), entry)))
    }

    fn rules(entries: &[(Place, Entry)], limits: &[(u32, u16, u64, u32)], geo: OneCountry) -> Rules {
        let held: Vec<(Place, Held)> =
            entries.iter().map(|(place, entry)| (place.clone(), Held { entry: *entry, access: u32::MAX })).collect();
        let limits = limits.iter().map(|(rule, bit, value, dev)| (*rule, u32::from(*bit), *value, *dev)).collect();
        Rules::new(held.iter().map(|(place, held)| (place, held)), &limits, Arc::new(geo), 1_000)
    }

    fn facts(to: &str) -> Facts {
        Facts { address: address(to), port: 443, protocol: 6, uid: 1000, cgroup: Some(5), owner: None }
    }

    fn owner(pid: u32, ino: u64) -> Option<Owner> {
        Some(Owner { pid, start: 70 * TICK, executable: FileId { ino, dev: 1, generation: 0 } })
    }

    fn rule_of(judgement: Judgement) -> u32 {
        match judgement {
            Judgement::Meets(entry) => entry.rule,
            Judgement::Pass => 0,
            Judgement::Undecided => u32::MAX,
        }
    }

    const UNDECIDED: u32 = u32::MAX;

    #[test]
    fn exemption_then_entry_then_prefix_then_country() {
        let geo = || country("203.0.0.0/16", entry(4));
        let target = Target::Destination { address: address("203.0.113.1").octets(), port: Some(443) };
        let listed = (Place::new(Table::Block, target, Subject::ANYONE), entry(2));
        let all = [exempt("203.0.113.128/25", 0), listed, block(3, "203.0.113.0/24")];
        let rules = rules(&all, &[], geo());
        for (to, rule) in [
            ("203.0.113.200", 0),
            ("203.0.113.1", 2),
            ("::ffff:203.0.113.1", 2),
            ("64:ff9b::203.0.113.2", 3),
            ("203.0.113.2", 3),
            ("203.0.114.1", 4),
            ("198.51.100.1", 0),
            ("2001:db8::1", 0),
        ] {
            assert_eq!(rule_of(rules.judge(&facts(to))), rule, "{to}");
        }
        assert_eq!(rule_of(rules.judge(&Facts { port: 80, ..facts("203.0.113.1") })), 3);
    }

    #[test]
    fn the_entry_that_protects_most_counts_and_one_on_trial_hides_nothing() {
        let trial = |(place, entry)| (place, Entry { flags: flag::MONITOR, ..entry });
        let all = [trial(block(1, "203.0.113.0/24")), block(2, "203.0.0.0/16")];
        assert_eq!(rule_of(rules(&all, &[], OneCountry::default()).judge(&facts("203.0.113.1"))), 2);
        let all = [trial(block(1, "203.0.113.0/24"))];
        let geo = country("203.0.0.0/16", entry(4));
        assert_eq!(rule_of(rules(&all, &[], geo).judge(&facts("203.0.113.1"))), 4);
        let alone = rules(&all, &[], OneCountry::default()).judge(&facts("203.0.113.1"));
        assert!(matches!(alone, Judgement::Meets(entry) if entry.rule == 1 && entry.flags == flag::MONITOR));
    }

    #[test]
    fn what_has_expired_or_is_for_another_hook_does_not_hold() {
        let (place, one) = block(1, "203.0.113.0/24");
        for (changed, rule) in [
            (Entry { expires: 1_000, ..one }, 0),
            (Entry { expires: 1_001, ..one }, 1),
            (Entry { hook: hook::CONNECT4, ..one }, 0),
            (Entry { flags: flag::CANARY, ..one }, 0),
        ] {
            let rules = rules(&[(place.clone(), changed)], &[], OneCountry::default());
            assert_eq!(rule_of(rules.judge(&facts("203.0.113.1"))), rule, "{changed:?}");
            assert_eq!(rules.block_any(), rule == 1);
        }
    }

    #[test]
    fn limits_hold_fail_or_are_not_known() {
        let to = facts("203.0.113.1");
        let known = Facts { owner: owner(7, 11), ..to };
        let limited = |bits: u16, limits: &[(u32, u16, u64, u32)]| {
            let (place, one) = block(1, "203.0.113.0/24");
            rules(&[(place, Entry { limits: bits, ..one })], limits, OneCountry::default())
        };
        use limit::*;
        for (bits, limits, facts, rule) in [
            (ONLY_PORT, &[(1, ONLY_PORT, 443, 0)][..], to, 1),
            (ONLY_PORT, &[(1, ONLY_PORT, 80, 0)], to, 0),
            (EXCEPT_UID, &[(1, EXCEPT_UID, 1000, 0)], to, 0),
            (EXCEPT_UID, &[(1, EXCEPT_UID, 0, 0)], to, 1),
            (ONLY_PROTOCOL, &[(1, ONLY_PROTOCOL, 17, 0)], to, 0),
            (ONLY_CGROUP, &[(1, ONLY_CGROUP, 5, 0)], to, 1),
            (ONLY_CGROUP, &[(1, ONLY_CGROUP, 5, 0)], Facts { cgroup: None, ..to }, UNDECIDED),
            (ONLY_EXECUTABLE, &[(1, ONLY_EXECUTABLE, 11, 1)], known, 1),
            (ONLY_EXECUTABLE, &[(1, ONLY_EXECUTABLE, 11, 2)], known, 0),
            (ONLY_EXECUTABLE, &[(1, ONLY_EXECUTABLE, 11, 1)], to, UNDECIDED),
            (EXCEPT_EXECUTABLE, &[(1, EXCEPT_EXECUTABLE, 11, 1)], known, 0),
            (EXCEPT_EXECUTABLE, &[(1, EXCEPT_EXECUTABLE, 12, 1)], known, 1),
            (EXCEPT_EXECUTABLE, &[(1, EXCEPT_EXECUTABLE, 11, 1)], to, UNDECIDED),
            // What is known can decide alone: another port, or a user that is not excepted.
            (ONLY_EXECUTABLE | ONLY_PORT, &[(1, ONLY_PORT, 80, 0)], to, 0),
            (EXCEPT_EXECUTABLE | EXCEPT_UID, &[(1, EXCEPT_UID, 0, 0)], to, 1),
            (EXCEPT_EXECUTABLE | EXCEPT_UID, &[(1, EXCEPT_UID, 1000, 0)], to, UNDECIDED),
        ] {
            assert_eq!(rule_of(limited(bits, limits).judge(&facts)), rule, "{bits} {limits:?} {facts:?}");
        }
    }

    #[test]
    fn an_exemption_that_may_hold_leaves_it_open() {
        let one = Facts { owner: owner(7, 11), ..facts("203.0.113.1") };
        let all = [exempt("203.0.113.0/24", limit::ONLY_EXECUTABLE), block(1, "203.0.113.0/24")];
        let limits = [(EXEMPT, limit::ONLY_EXECUTABLE, 11, 1)];
        let judge = |facts| rule_of(rules(&all, &limits, OneCountry::default()).judge(&facts));
        assert_eq!(judge(one), 0);
        assert_eq!(judge(Facts { owner: owner(7, 12), ..one }), 1);
        assert_eq!(judge(Facts { owner: None, ..one }), UNDECIDED);
        assert_eq!(judge(Facts { owner: None, ..facts("198.51.100.1") }), 0);
    }

    #[test]
    fn entries_for_an_executable_or_a_process() {
        let program = Subject::executable(FileId { ino: 11, dev: 1, generation: 0 });
        let process = Subject::instance(7, 70 * TICK + 123);
        for (subject, holder, other) in [(program, owner(9, 11), owner(7, 12)), (process, owner(7, 12), owner(9, 11))] {
            let all = [(cidr(Table::Block, "203.0.113.0/24", subject), entry(1))];
            let rules = rules(&all, &[], OneCountry::default());
            let judge = |owner| rule_of(rules.judge(&Facts { owner, ..facts("203.0.113.1") }));
            assert_eq!((judge(holder), judge(other), judge(None)), (1, 0, UNDECIDED), "{subject:?}");
        }
    }
}
