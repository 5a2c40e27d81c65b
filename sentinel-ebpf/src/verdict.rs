//! The one verdict function: exemption, then blocklist entry, then country, else allow.
//!
//! Invariant: map look-ups and nothing else. Every hook asks here, so two hooks cannot answer
//! differently about the same facts.

use aya_ebpf::{helpers::bpf_ktime_get_boot_ns, maps::lpm_trie::Key};
use sentinel_common::{
    FileId,
    address::{Address, Class, class},
    content::{Fallbacks, state},
    event::{self, Task},
    geo::ClassRules,
    hook,
    meta::unattended,
    stats::HookStats,
    verdict::{
        AccessEntries, BypassKey, CidrKey, DestinationKey, Entry, FileKey, LimitKey, PathKey, State, Subject,
        UNATTENDED, access, active, flag, limit, origin,
    },
};

use crate::{
    allow, emit, geo,
    maps::{
        BYPASSES, CIDRS, DESTINATIONS, EXEMPT_CIDRS, EXEMPT_HASHES, EXEMPT_PATHS, FALLBACKS, FILES, FILTER, HASH_RULES,
        LIMITS, META, NAMES, PATHS, STATE, TREES, config,
    },
    path::{self, Place},
    scratch::Builder,
    task,
};

/// The accesses asked about, as [`access`] indices; [`NOT_WANTED`] fills the rest. Few and in a fixed place, because the
/// verifier walks every one of them.
pub(crate) type Wanted = [u32; 3];
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
    let state = unsafe {
        let epoch = (&raw const (*state).epoch).read_volatile();
        let seconds = (&raw const (*state).seconds).read_volatile();
        State { epoch, word: (&raw const (*state).word).read_volatile(), seconds }
    };
    if config!(unattended) == unattended::DENY && is_left_alone() {
        // What passed before passes no more.
        return State { epoch: !state.epoch, word: state.word | u64::from(active::CUT_OFF), ..state };
    }
    state
}

/// Whether the daemon has been gone for longer than it may.
#[inline(always)]
fn is_left_alone() -> bool {
    let Some(meta) = META.get_ptr(0) else { return false };
    // SAFETY: a map value; volatile, because user space writes it meanwhile.
    let [first, second] = unsafe { (&raw const (*meta).deadline).read_volatile() };
    // Half a write of one of them can look too early; never of both.
    let deadline = if first > second { first } else { second };
    // SAFETY: the helper has no preconditions.
    deadline != 0 && unsafe { bpf_ktime_get_boot_ns() } >= deadline
}

/// The classes of entry that exist.
#[inline(always)]
pub(crate) fn active_classes() -> u32 {
    state().word as u32
}

/// Whether an entry refuses, as opposed to being reported only.
#[inline(always)]
pub(crate) fn refuses(entry: &Entry) -> bool {
    config!(enforce) == 1
        && entry.rule != 0
        && entry.origin != origin::EXEMPTION
        && (entry.flags & flag::MONITOR == 0)
        && !(config!(unattended) == unattended::MONITOR && is_left_alone())
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
    let entry = by_entries(q, address, word);
    let passes = entry.rule == 0 || entry.flags & flag::MONITOR != 0;
    if config!(unattended) == unattended::DENY
        && word as u32 & active::CUT_OFF != 0
        && passes
        && class(address) as u8 == Class::Public as u8
    {
        return Entry { rule: UNATTENDED, hook: hook::ANY, origin: origin::STANDING, ..Entry::NONE };
    }
    entry
}

/// What the entries say of it.
#[inline(always)]
fn by_entries(q: &Question, address: Address, word: u64) -> Entry {
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

/// What is asked about a file. It lies in the scratch buffer: the verdict is a function of its own, and the stack is short.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Ask {
    /// Its identity; none if it is only being made.
    pub(crate) file: FileId,
    /// A labelled directory that it stays in: [`access::MOVE`] is not asked of that.
    pub(crate) stays_in: FileId,
    /// Its dentry.
    pub(crate) dentry: u64,
    /// The mount that it was come to by; 0: not known.
    pub(crate) vfsmount: u64,
    /// Where the search for labelled directories starts.
    pub(crate) from: u64,
    /// Offset of its path in the buffer.
    pub(crate) start: u64,
    /// Length of the path; 0: there is none, or it is not whole.
    pub(crate) path: u64,
    /// The hook that asks.
    pub(crate) hook: u32,
    /// The accesses.
    pub(crate) wanted: Wanted,
    /// Whether it is to run, and how: [`NO_IMAGE`], [`EXECUTED`] or [`MAPPED`]; its content is in the buffer then.
    pub(crate) image: u32,
    /// 1: its path was asked for and is not whole.
    pub(crate) cut: u32,
}

/// It is not to run.
pub(crate) const NO_IMAGE: u32 = 0;
/// By execve.
pub(crate) const EXECUTED: u32 = 1;
/// It is mapped into a process that runs.
pub(crate) const MAPPED: u32 = 2;

/// Classes of entry that a path is needed for.
const BY_PATH: u32 = active::PATH | active::PATH_EXECUTABLE | active::PATH_INSTANCE | active::EXEMPT_PATH;
/// Classes of entry about files.
const BY_FILE: u32 = active::FILE | active::FILE_EXECUTABLE | active::FILE_INSTANCE | active::NAME | active::TREE;

/// Classes of entry about what runs.
const BY_IMAGE: u32 = active::HASH | active::HASH_RULE | active::ALLOW_LIST;

/// Whether there is any entry about what runs.
#[inline(always)]
pub(crate) fn any_about_images() -> bool {
    active_classes() & (BY_PATH | BY_FILE | BY_IMAGE | active::PATH_FALLBACK) != 0
}

/// Whether there is any entry about files.
#[inline(always)]
pub(crate) fn any_about_files() -> bool {
    active_classes() & (BY_PATH | BY_FILE | active::PATH_FALLBACK) != 0
}

/// The verdict on an access to a file.
#[inline(always)]
pub(crate) fn file(builder: &Builder, task: &Task, ask: Ask) -> Entry {
    // SAFETY: the buffer is still ours.
    unsafe { *file_in_place(builder, task, ask) }
}

/// The same where it lies, in the buffer: for programs whose stack has no room for a copy. It is there until the buffer is given
/// back.
#[inline(always)]
pub(crate) fn file_in_place(builder: &Builder, task: &Task, ask: Ask) -> *const Entry {
    // SAFETY: the buffer is ours until it is released.
    unsafe {
        (*builder.scratch()).ask = ask;
        (*builder.scratch()).answer = Entry::NONE;
        (*builder.scratch()).walk.found = FileId::default();
        if any_about_files() || (ask.image != NO_IMAGE && any_about_images()) {
            file_verdict(task, builder.slot);
        }
        &raw const (*builder.scratch()).answer
    }
}

/// A global function: the verifier looks at it once and not for each hook. The question and the answer are in the scratch
/// buffer of this number, which is the caller's.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn file_verdict(task: *const Task, slot: u32) -> u32 {
    // SAFETY: the caller passes a reference; the verifier, which looks at this alone, wants to see the null check.
    let Some(task) = (unsafe { task.as_ref() }) else { return 0 };
    let Some(mut builder) = Builder::lent(slot, 0) else { return 0 };
    let scratch = builder.scratch();
    // SAFETY: the buffer is the caller's.
    let ask = unsafe { &(*scratch).ask };
    let q = Question { hook: ask.hook, task, port: 0, protocol: 0 };
    let classes = active_classes();
    let named = may_be_named(&builder, classes);
    let by_path = ask.path != 0 && classes & BY_PATH != 0 && (named || classes & active::PREFIX != 0);
    if by_path {
        builder.start = ask.start as usize;
        builder.path_key(ask.path as usize);
        if classes & active::EXEMPT_PATH != 0
            && answered(&builder, path_entry(&q, &EXEMPT_PATHS, builder.key(), &ask.wanted, active::PATH))
        {
            return 1;
        }
    }
    if ask.image != NO_IMAGE && classes & active::HASH_RULE != 0 && answered(&builder, hash_entry(&q, &builder)) {
        return 1;
    }
    if answered(&builder, file_entry(&q, ask.file, &ask.wanted, classes)) {
        return 1;
    }
    if named && classes & active::NAME != 0 && answered(&builder, name_entry(&q, &builder)) {
        return 1;
    }
    if classes & active::TREE != 0 && answered(&builder, tree_entry(&q, &builder)) {
        return 1;
    }
    if by_path
        && classes & !active::EXEMPT_PATH & BY_PATH != 0
        && answered(&builder, path_entry(&q, &PATHS, builder.key(), &ask.wanted, classes))
    {
        return 1;
    }
    if ask.image != NO_IMAGE && classes & active::ALLOW_LIST != 0 && answered(&builder, allow::refusal(&q, &builder)) {
        return 1;
    }
    answered(&builder, fallback(&q, &builder, classes));
    1
}

/// Whether an entry by name or exact path may be about the place whose path was put together last.
#[inline(always)]
fn may_be_named(builder: &Builder, classes: u32) -> bool {
    if classes & (BY_PATH | active::NAME) == 0 {
        return false;
    }
    // SAFETY: the buffer is ours.
    let bit = unsafe { (*builder.scratch()).walk.name_bit };
    let Some(word) = FILTER.get_ptr((bit.wrapping_sub(1) as u32) >> 6) else { return true };
    // SAFETY: a map value; user space replaces it in one step.
    bit == 0 || unsafe { *word } >> (bit.wrapping_sub(1) & 63) & 1 != 0
}

/// The entry of the hash. Its canary holds for the hook that hashes, which is thereby proved.
#[inline(always)]
fn hash_entry(q: &Question, builder: &Builder) -> Found {
    // SAFETY: the buffer is ours.
    let hashed = unsafe { &(*builder.scratch()).content.hashed };
    if hashed.state != state::KNOWN {
        return core::ptr::null();
    }
    let q = Question { hook: hook::BPRM_HASH, ..*q };
    for rules in [EXEMPT_HASHES.get_ptr(hashed.digest), HASH_RULES.get_ptr(hashed.digest)] {
        if let Some(entry) = rules
            && holds(&q, entry, true)
        {
            return entry;
        }
    }
    core::ptr::null()
}

/// What refuses a file whose hash or path cannot be had, if a rule says so.
#[inline(always)]
fn fallback(q: &Question, builder: &Builder, classes: u32) -> Found {
    let Some(fallbacks) = FALLBACKS.get_ptr(0) else { return core::ptr::null() };
    // SAFETY: the buffer is ours.
    let (ask, state) = unsafe { (&(*builder.scratch()).ask, (*builder.scratch()).content.hashed.state) };
    let unhashed = state == state::UNKNOWN || state == state::UNDEFINED;
    let entry = if ask.image == EXECUTED && unhashed && classes & active::HASH_RULE != 0 {
        // SAFETY: a map value.
        unsafe { &raw const (*fallbacks.cast::<Fallbacks>()).hash }
    } else if ask.cut != 0 && classes & active::PATH_FALLBACK != 0 {
        // SAFETY: as above.
        unsafe { &raw const (*fallbacks.cast::<Fallbacks>()).path }
    } else {
        return core::ptr::null();
    };
    let spared = q.task.tgid == 1 || task::is_own(q.task);
    if !spared && holds(q, entry, true) { entry } else { core::ptr::null() }
}

/// Takes an entry down as the answer, unless there is one already; whether the search is at its end.
#[inline(always)]
fn answered(builder: &Builder, found: Found) -> bool {
    if found.is_null() {
        return false;
    }
    // SAFETY: the buffer is ours; what was found is a map value.
    unsafe {
        let answer = &raw mut (*builder.scratch()).answer;
        let ends = (*found).flags & flag::MONITOR == 0;
        if ends || (*answer).rule == 0 {
            answer.write(*found);
        }
        ends
    }
}

/// The entry of the name, in whatever directory the file is.
#[inline(always)]
fn name_entry(q: &Question, builder: &Builder) -> Found {
    // SAFETY: the buffer is ours.
    let ask = unsafe { &(*builder.scratch()).ask };
    let directory = path::inode_id(path::inode_of(path::parent_of(ask.dentry)));
    let (length, name) = path::name_of(ask.dentry);
    let key = builder.name_key(directory, name, length);
    // SAFETY: if not null, the key in our buffer.
    let Some(key) = (unsafe { key.as_ref() }) else { return core::ptr::null() };
    match NAMES.get_ptr(key) {
        Some(entries) => wanted_entry(q, entries, &ask.wanted, true),
        None => core::ptr::null(),
    }
}

/// The entry of the first labelled directory above the file.
#[inline(always)]
fn tree_entry(q: &Question, builder: &Builder) -> Found {
    // SAFETY: the buffer is ours.
    let ask = unsafe { &mut (*builder.scratch()).ask };
    if !path::find_label(builder, Place { dentry: ask.from, vfsmount: ask.vfsmount }) {
        emit::count_hook(q.hook, |s| &mut s.errors);
    }
    // SAFETY: as above.
    let found = unsafe { (*builder.scratch()).walk.found };
    if found == ask.stays_in && ask.wanted[1] == access::MOVE as u32 {
        ask.wanted[1] = NOT_WANTED;
    }
    match TREES.get_ptr(found) {
        Some(entries) => wanted_entry(q, entries, &ask.wanted, true),
        None => core::ptr::null(),
    }
}

/// The verdict by identity alone, for when there is no buffer. Of the entry only what settles the matter is there.
#[inline(always)]
pub(crate) fn file_by_identity(q: &Question, file: FileId, wanted: Wanted) -> Entry {
    let place = u64::from(file.dev) | u64::from(q.hook) << 32;
    let generation = u64::from(file.generation) << 32;
    let wanted = u64::from(wanted[0]) | u64::from(wanted[1]) << 8 | u64::from(wanted[2]) << 16 | generation;
    let packed = identity_verdict(q.task, file.ino, place, wanted);
    Entry { rule: packed as u32, origin: (packed >> 32) as u8, flags: (packed >> 40) as u8, ..Entry::NONE }
}

/// A global function, as above: rule, origin and flags of the entry.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn identity_verdict(task: *const Task, ino: u64, place: u64, wanted: u64) -> u64 {
    // SAFETY: as above.
    let Some(task) = (unsafe { task.as_ref() }) else { return 0 };
    let q = Question { hook: (place >> 32) as u32, task, port: 0, protocol: 0 };
    let file = FileId { ino, dev: place as u32, generation: (wanted >> 32) as u32 };
    let wanted = [wanted as u32 & 0xff, (wanted >> 8) as u32 & 0xff, (wanted >> 16) as u32 & 0xff];
    let entry = copy(file_entry(&q, file, &wanted, active_classes()));
    u64::from(entry.rule) | u64::from(entry.origin) << 32 | u64::from(entry.flags) << 40
}

/// Entries by identity. Those for everyone come last: only they can be on trial.
///
/// Written out and not as a loop over subjects: an array of them would not fit on the stack.
#[inline(always)]
fn file_entry(q: &Question, file: FileId, wanted: &Wanted, classes: u32) -> Found {
    let mut key = FileKey { file: file.key(), subject: Subject::executable(q.task.executable) };
    let found = file_entry_of(q, (&key, file.generation), wanted, classes & active::FILE_EXECUTABLE, false);
    if !found.is_null() {
        return found;
    }
    key.subject = Subject::instance(q.task.tgid, q.task.start);
    let found = file_entry_of(q, (&key, file.generation), wanted, classes & active::FILE_INSTANCE, false);
    if !found.is_null() {
        return found;
    }
    key.subject = Subject::ANYONE;
    file_entry_of(q, (&key, file.generation), wanted, classes & active::FILE, true)
}

#[inline(always)]
fn file_entry_of(
    q: &Question,
    (key, generation): (&FileKey, u32),
    wanted: &Wanted,
    class: u32,
    limited: bool,
) -> Found {
    if class == 0 {
        return core::ptr::null();
    }
    match FILES.get_ptr(key) {
        // SAFETY: a map value.
        Some(entries) if unsafe { (*entries).are_of(generation) } => wanted_entry(q, entries, wanted, limited),
        Some(_) | None => core::ptr::null(),
    }
}

/// Entries by path, as above.
#[inline(always)]
fn path_entry<const N: usize, const F: usize>(
    q: &Question,
    trie: &aya_ebpf::btf_maps::LpmTrie<PathKey, AccessEntries, N, F>,
    key: *mut Key<PathKey>,
    wanted: &Wanted,
    classes: u32,
) -> Found {
    let subject = Subject::executable(q.task.executable);
    let found = path_entry_of(q, trie, (key, subject), wanted, classes & active::PATH_EXECUTABLE, false);
    if !found.is_null() {
        return found;
    }
    let subject = Subject::instance(q.task.tgid, q.task.start);
    let found = path_entry_of(q, trie, (key, subject), wanted, classes & active::PATH_INSTANCE, false);
    if !found.is_null() {
        return found;
    }
    path_entry_of(q, trie, (key, Subject::ANYONE), wanted, classes & active::PATH, true)
}

#[inline(always)]
fn path_entry_of<const N: usize, const F: usize>(
    q: &Question,
    trie: &aya_ebpf::btf_maps::LpmTrie<PathKey, AccessEntries, N, F>,
    (key, subject): (*mut Key<PathKey>, Subject),
    wanted: &Wanted,
    class: u32,
    limited: bool,
) -> Found {
    if class == 0 {
        return core::ptr::null();
    }
    // SAFETY: the key lies in the scratch buffer that the caller owns.
    let entries = unsafe {
        (&raw mut (*key).data.subject).write_unaligned(subject);
        trie.get(&*key)
    };
    match entries {
        Some(entries) => wanted_entry(q, entries, wanted, limited),
        None => core::ptr::null(),
    }
}

/// The first entry that holds for one of the wanted accesses.
#[inline(always)]
fn wanted_entry(q: &Question, entries: *const AccessEntries, wanted: &Wanted, limited: bool) -> Found {
    let wanted = u64::from(wanted[0]) | u64::from(wanted[1]) << 8 | u64::from(wanted[2]) << 16;
    let how = wanted | u64::from(limited) << 24 | u64::from(q.hook) << 32;
    match wanted_holds(entries, q.task, how) {
        0 => core::ptr::null(),
        // SAFETY: a map value; the mask keeps the index below the length.
        place => unsafe { &raw const (*entries).by_access[(place as usize - 1) & (access::PLACES - 1)] },
    }
}

/// A global function, as above: there are many places where entries are found, and the verifier would walk all of this in each
/// of them. One more than the index of the entry; 0: none.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn wanted_holds(entries: *const AccessEntries, task: *const Task, how: u64) -> u32 {
    // SAFETY: callers pass references; the verifier, which looks at this alone, wants to see the null checks.
    let (Some(entries), Some(task)) = (unsafe { entries.as_ref() }, unsafe { task.as_ref() }) else { return 0 };
    let q = Question { hook: (how >> 32) as u32, task, port: 0, protocol: 0 };
    for index in [how as u32 & 0xff, (how >> 8) as u32 & 0xff, (how >> 16) as u32 & 0xff] {
        let place = index as usize & (access::PLACES - 1);
        if index < NOT_WANTED && in_force(&q, &entries.by_access[place], how >> 24 & 1 != 0, by_call) {
            return place as u32 + 1;
        }
    }
    0
}

/// The limits by a function of their own, which is looked at once.
#[inline(always)]
fn by_call(q: &Question, entry: &Entry) -> bool {
    limits_hold(entry.rule, u32::from(entry.limits), q.task) != 0
}

/// A global function, as above; of files, which have no port.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn limits_hold(rule: u32, limits: u32, task: *const Task) -> u32 {
    // SAFETY: the caller passes a reference; the verifier, which looks at this alone, wants to see the null check.
    let Some(task) = (unsafe { task.as_ref() }) else { return 0 };
    let q = Question { hook: hook::ANY, task, port: 0, protocol: 0 };
    u32::from(within_limits(&q, &Entry { rule, limits: limits as u16, ..Entry::NONE }))
}

/// Whether an entry is in force for this hook, now, and, if it can have limits, for this subject. Only standing
/// rules have limits, and those are for everyone.
#[inline(always)]
pub(crate) fn holds(q: &Question, entry: Found, limited: bool) -> bool {
    let how = u64::from(q.port) | u64::from(q.protocol) << 16 | u64::from(q.hook) << 40;
    entry_holds(entry, q.task, how | u64::from(limited) << 32) != 0
}

/// A global function, as above. `how`: port, then 16 bits of protocol, then 8 that say whether the entry can have limits, then
/// the hook; in one value, because the callers' stack is short.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn entry_holds(entry: *const Entry, task: *const Task, how: u64) -> u32 {
    // SAFETY: callers pass references; the verifier, which looks at this alone, wants to see the null checks.
    let (Some(entry), Some(task)) = (unsafe { entry.as_ref() }, unsafe { task.as_ref() }) else { return 0 };
    let q = Question { hook: (how >> 40) as u32, task, port: how as u16, protocol: (how >> 16) as u16 };
    u32::from(in_force(&q, entry, how >> 32 & 1 != 0, within_limits))
}

#[inline(always)]
fn in_force(q: &Question, entry: &Entry, limited: bool, within: fn(&Question, &Entry) -> bool) -> bool {
    // One branch for both: the product is zero exactly if a factor is, and the verifier walks every branch of every entry.
    let elsewhere = u64::from(entry.hook ^ hook::ANY) * u64::from(entry.hook ^ q.hook);
    if entry.rule == 0 || elsewhere != 0 {
        return false;
    }
    // SAFETY: the helper has no preconditions.
    if entry.expires != 0 && unsafe { bpf_ktime_get_boot_ns() } >= entry.expires {
        return false;
    }
    !limited || entry.limits == 0 || within(q, entry)
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
