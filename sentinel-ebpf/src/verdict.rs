//! The one verdict function: exemption, then blocklist entry, then country, else allow.
//!
//! Invariant: map look-ups and nothing else. Every hook asks here, so two hooks cannot answer
//! differently about the same facts.

use aya_ebpf::{helpers::bpf_ktime_get_boot_ns, maps::lpm_trie::Key};
use sentinel_common::{
    FileId,
    address::Address,
    event::{self, Task},
    geo::ClassRules,
    stats::HookStats,
    verdict::{
        AccessEntries, BypassKey, CidrKey, DestinationKey, Entry, FileKey, LimitKey, PathKey, State, Subject, access,
        active, flag, limit, origin,
    },
};

use crate::{
    emit, geo,
    maps::{BYPASSES, CIDRS, DESTINATIONS, EXEMPT_CIDRS, EXEMPT_PATHS, FILES, LIMITS, PATHS, STATE, config},
    scratch::Builder,
};

/// The accesses asked about, as [`access`] indices; [`NOT_WANTED`] fills the rest. Few and in a fixed place, because the
/// verifier walks every one of them.
pub(crate) type Wanted = [u32; 2];
/// No access.
pub(crate) const NOT_WANTED: u32 = access::COUNT as u32;

/// What is asked about: who, at which hook, and for the network which port and protocol.
pub(crate) struct Question<'a> {
    pub(crate) hook: u32,
    pub(crate) task: &'a Task,
    pub(crate) port: u16,
    pub(crate) protocol: u16,
}

/// What is in force now. The epoch is read first: what is decided from here on is at least as new as it says.
#[inline(always)]
pub(crate) fn state() -> State {
    let Some(state) = STATE.get_ptr(0) else { return State::default() };
    // SAFETY: a map value; volatile keeps the order of the two reads.
    unsafe {
        let epoch = (&raw const (*state).epoch).read_volatile();
        State { epoch, word: (&raw const (*state).word).read_volatile() }
    }
}

/// The classes of entry that exist.
#[inline(always)]
pub(crate) fn active_classes() -> u32 {
    state().word as u32
}

/// Whether an entry refuses, as opposed to being reported only.
#[inline(always)]
pub(crate) fn refuses(entry: &Entry) -> bool {
    config!(enforce) == 1 && entry.rule != 0 && entry.origin != origin::EXEMPTION && (entry.flags & flag::MONITOR == 0)
}

/// Form of a verdict in an event.
#[inline(always)]
pub(crate) fn record(entry: &Entry) -> event::Verdict {
    event::Verdict {
        expires: entry.expires,
        rule: entry.rule,
        generation: entry.generation,
        refused: refuses(entry) as u8,
        origin: entry.origin,
        pad: [0; 6],
    }
}

/// An entry in a map, or null. Look-ups hand on addresses: copies of entries would not fit on the stack.
type Found = *const Entry;

/// Whether an entry that was found ends the search: one that only monitors does not, so that a rule on trial
/// never hides one in force in another map. Inside a map user space sees to that.
#[inline(always)]
fn ends(found: Found) -> bool {
    // SAFETY: if not null, a map value, which lives as long as the program.
    !found.is_null() && unsafe { (*found).flags } & flag::MONITOR == 0
}

/// A copy of what was found.
#[inline(always)]
fn copy(found: Found) -> Entry {
    // SAFETY: as in `ends`. Entries are replaced as a whole; a torn copy could only mix two rules' attribution.
    if found.is_null() { Entry::NONE } else { unsafe { *found } }
}

/// The verdict on a destination (normalised), under the state `word`.
#[inline(always)]
pub(crate) fn destination(q: &Question, address: Address, word: u64) -> Entry {
    let classes = word as u32;
    if classes & active::EXEMPT != 0 {
        let found = cidr(q, &EXEMPT_CIDRS, address, active::CIDR);
        if !found.is_null() {
            return copy(found);
        }
    }
    let country = country_rules(q, address, word);
    if let Some(rules) = country {
        let found = first(q, &rules.exempt);
        if !found.is_null() {
            return copy(found);
        }
    }
    let found = listed(q, address, classes);
    if !found.is_null() {
        return copy(found);
    }
    let found = cidr(q, &CIDRS, address, classes);
    if ends(found) {
        return copy(found);
    }
    let Some(rules) = country else { return copy(found) };
    let by_country = first(q, &rules.block);
    if ends(by_country) || found.is_null() { copy(by_country) } else { copy(found) }
}

/// What the policy says of the address's country; `None` where no rule is about countries.
#[inline(always)]
fn country_rules(q: &Question, address: Address, word: u64) -> Option<&'static ClassRules> {
    if word as u32 & active::GEO == 0 {
        return None;
    }
    let rules = geo::rules(word, address);
    if rules.is_none() {
        emit::count_hook(q.hook, |stats: &mut HookStats| &mut stats.errors);
    }
    rules
}

/// The first entry that holds. User space puts those that end the search in front of those on trial.
#[inline(always)]
fn first<const N: usize>(q: &Question, entries: &[Entry; N]) -> Found {
    for entry in entries {
        if holds(q, entry, true) {
            return entry;
        }
    }
    core::ptr::null()
}

/// Whose entries come first, second and last. One at a time: the stack is short.
#[inline(always)]
const fn subject(q: &Question, place: usize) -> Subject {
    match place {
        0 => Subject::executable(q.task.executable),
        1 => Subject::instance(q.task.tgid, q.task.start),
        _ => Subject::ANYONE,
    }
}

/// Destination entries, with and without port: for the executable, the process, everyone. They come from
/// decisions, which are only written where they enforce.
#[inline(always)]
fn listed(q: &Question, address: Address, classes: u32) -> Found {
    let mut key = DestinationKey { address, subject: Subject::ANYONE, port: 0, pad: [0; 3] };
    let classes_of = [
        (active::DESTINATION_EXECUTABLE, active::DESTINATION_PORT_EXECUTABLE),
        (active::DESTINATION_INSTANCE, active::DESTINATION_PORT_INSTANCE),
        (active::DESTINATION, active::DESTINATION_PORT),
    ];
    for (whose, (any_port, with_port)) in classes_of.into_iter().enumerate() {
        key.subject = subject(q, whose);
        for (port, class) in [(0, any_port), (q.port, with_port)] {
            key.port = port;
            if classes & class != 0
                && let Some(entry) = DESTINATIONS.get_ptr(key)
                && holds(q, entry, false)
            {
                return entry;
            }
        }
    }
    core::ptr::null()
}

/// Prefix entries. Those for everyone come last: only they can be on trial.
#[inline(always)]
fn cidr<const N: usize, const F: usize>(
    q: &Question,
    trie: &aya_ebpf::btf_maps::LpmTrie<CidrKey, Entry, N, F>,
    address: Address,
    classes: u32,
) -> Found {
    let mut key = Key::new(CidrKey::SUBJECT_BITS + 128, CidrKey { subject: Subject::ANYONE, address });
    for (whose, class) in [active::CIDR_EXECUTABLE, active::CIDR_INSTANCE, active::CIDR].into_iter().enumerate() {
        key.data.subject = subject(q, whose);
        if classes & class != 0
            && let Some(entry) = trie.get(&key)
            && holds(q, entry, class == active::CIDR)
        {
            return entry;
        }
    }
    core::ptr::null()
}

/// The verdict on what sends past every hook on destinations.
#[inline(always)]
pub(crate) fn bypass(q: &Question, key: BypassKey) -> Entry {
    if active_classes() & active::BYPASS == 0 {
        return Entry::NONE;
    }
    match BYPASSES.get_ptr(key) {
        Some(entry) if holds(q, entry, true) => copy(entry),
        Some(_) | None => Entry::NONE,
    }
}

/// The verdict on an access to a file; `wanted` says which accesses.
///
/// `path` is the length of the path in the builder; 0 if it is not whole, then identity alone decides.
#[inline(always)]
pub(crate) fn file(q: &Question, file: FileId, wanted: Wanted, builder: &mut Builder, path: usize) -> Entry {
    let classes = active_classes();
    let by_path = (active::PATH | active::PATH_EXECUTABLE | active::PATH_INSTANCE | active::EXEMPT_PATH) & classes;
    if by_path == 0 || path == 0 {
        return copy(file_entry(q, file, wanted, classes));
    }
    let key = builder.path_key(path);
    if by_path & active::EXEMPT_PATH != 0 {
        let found = path_entry(q, &EXEMPT_PATHS, key, wanted, active::PATH);
        if !found.is_null() {
            return copy(found);
        }
    }
    let by_identity = file_entry(q, file, wanted, classes);
    if ends(by_identity) {
        return copy(by_identity);
    }
    let by_path = path_entry(q, &PATHS, key, wanted, classes);
    if ends(by_path) || by_identity.is_null() { copy(by_path) } else { copy(by_identity) }
}

/// The verdict by identity alone, for when there is no path.
#[inline(always)]
pub(crate) fn file_by_identity(q: &Question, file: FileId, wanted: Wanted) -> Entry {
    copy(file_entry(q, file, wanted, active_classes()))
}

/// Entries by identity. Those for everyone come last: only they can be on trial.
#[inline(always)]
fn file_entry(q: &Question, file: FileId, wanted: Wanted, classes: u32) -> Found {
    let subjects = [
        (Subject::executable(q.task.executable), active::FILE_EXECUTABLE),
        (Subject::instance(q.task.tgid, q.task.start), active::FILE_INSTANCE),
        (Subject::ANYONE, active::FILE),
    ];
    for (subject, class) in subjects {
        if classes & class != 0
            && let Some(entries) = FILES.get_ptr(FileKey { file, subject })
        {
            let found = wanted_entry(q, entries, wanted, class == active::FILE);
            if !found.is_null() {
                return found;
            }
        }
    }
    core::ptr::null()
}

/// Entries by path. Those for everyone come last: only they can be on trial.
#[inline(always)]
fn path_entry<const N: usize, const F: usize>(
    q: &Question,
    trie: &aya_ebpf::btf_maps::LpmTrie<PathKey, AccessEntries, N, F>,
    key: *mut Key<PathKey>,
    wanted: Wanted,
    classes: u32,
) -> Found {
    let subjects = [
        (Subject::executable(q.task.executable), active::PATH_EXECUTABLE),
        (Subject::instance(q.task.tgid, q.task.start), active::PATH_INSTANCE),
        (Subject::ANYONE, active::PATH),
    ];
    for (subject, class) in subjects {
        if classes & class == 0 {
            continue;
        }
        // SAFETY: the key lies in the scratch buffer that the caller owns.
        let entries = unsafe {
            (&raw mut (*key).data.subject).write_unaligned(subject);
            trie.get(&*key)
        };
        if let Some(entries) = entries {
            let found = wanted_entry(q, entries, wanted, class == active::PATH);
            if !found.is_null() {
                return found;
            }
        }
    }
    core::ptr::null()
}

/// The first entry that holds for one of the wanted accesses.
#[inline(always)]
fn wanted_entry(q: &Question, entries: *const AccessEntries, wanted: Wanted, limited: bool) -> Found {
    for index in wanted {
        // SAFETY: a map value; the index is below the length.
        let entry = unsafe { &raw const (*entries).by_access[index as usize % access::COUNT] };
        if index < NOT_WANTED && holds(q, entry, limited) {
            return entry;
        }
    }
    core::ptr::null()
}

/// Whether an entry is in force for this hook, now, and, if it can have limits, for this subject. Only standing
/// rules have limits, and those are for everyone.
#[inline(always)]
fn holds(q: &Question, entry: Found, limited: bool) -> bool {
    let how = u64::from(q.port) | u64::from(q.protocol) << 16 | u64::from(q.hook) << 40;
    entry_holds(entry, q.task, how | u64::from(limited) << 32) != 0
}

/// A global function: there are many places where entries are found, and the verifier would walk all of this in each of them.
/// `how`: port, then 16 bits of protocol, then 8 that say whether the entry can have limits, then
/// the hook; in one value, because the callers' stack is short.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn entry_holds(entry: *const Entry, task: *const Task, how: u64) -> u32 {
    // SAFETY: callers pass references; the verifier, which looks at this alone, wants to see the null checks.
    let (Some(entry), Some(task)) = (unsafe { entry.as_ref() }, unsafe { task.as_ref() }) else { return 0 };
    let q = Question { hook: (how >> 40) as u32, task, port: how as u16, protocol: (how >> 16) as u16 };
    u32::from(in_force(&q, entry, how >> 32 & 1 != 0))
}

#[inline(always)]
fn in_force(q: &Question, entry: &Entry, limited: bool) -> bool {
    if entry.rule == 0 || entry.hooks & (1 << q.hook) == 0 {
        return false;
    }
    // SAFETY: the helper has no preconditions.
    if entry.expires != 0 && unsafe { bpf_ktime_get_boot_ns() } >= entry.expires {
        return false;
    }
    !limited || entry.limits == 0 || within_limits(q, entry)
}

/// Whether every `only` list names this subject and not every `except` list does.
#[inline(always)]
fn within_limits(q: &Question, entry: &Entry) -> bool {
    let mut limits = Limits { rule: entry.rule, which: entry.limits, has_except: false, excepted: true };
    let within = limits.allow(limit::ONLY_UID, limit::EXCEPT_UID, u64::from(q.task.uid), 0)
        && limits.allow(limit::ONLY_CGROUP, limit::EXCEPT_CGROUP, q.task.cgroup, 0)
        && limits.allow(limit::ONLY_PORT, limit::EXCEPT_PORT, u64::from(q.port), 0)
        && limits.allow(limit::ONLY_PROTOCOL, limit::EXCEPT_PROTOCOL, u64::from(q.protocol), 0)
        && limits.allow(limit::ONLY_EXECUTABLE, limit::EXCEPT_EXECUTABLE, q.task.executable.ino, q.task.executable.dev);
    within && !(limits.has_except && limits.excepted)
}

/// The limits of a rule, as far as they were looked at.
struct Limits {
    rule: u32,
    which: u16,
    has_except: bool,
    excepted: bool,
}

impl Limits {
    /// Looks at the limits by one fact; whether an `only` list lacks it. One after the other: the stack is short.
    #[inline(always)]
    fn allow(&mut self, only: u16, except: u16, value: u64, dev: u32) -> bool {
        if self.which & except != 0 {
            self.has_except = true;
            self.excepted &= in_limit(self.rule, except, value, dev);
        }
        self.which & only == 0 || in_limit(self.rule, only, value, dev)
    }
}

/// Whether a limit of a rule names this value.
#[inline(always)]
fn in_limit(rule: u32, limit: u16, value: u64, dev: u32) -> bool {
    let key = LimitKey { value, dev, rule, limit: u32::from(limit), pad: 0 };
    LIMITS.get_ptr(key).is_some()
}
