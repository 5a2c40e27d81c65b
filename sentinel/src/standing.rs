//! Turns standing rules into verdict entries, before any hook is attached and at every reload.
//!
//! Invariant: what cannot be enforced is refused by name, with its place; nothing is left out silently. A
//! rule that would take the host down is refused too.

use std::{
    collections::{BTreeSet, HashMap},
    fs,
    path::{Path, PathBuf},
};

use geoip::{Country, CountrySet, Region, Selection, Votes};
use ipnet::IpNet;
use rules::{Access, Exemption, PathPattern, Protocol, StandingEntry, StandingValue, Subjects};
use sentinel_common::{
    FileId, hook,
    verdict::{Entry, Subject, flag, limit, origin},
};
use thiserror::Error;

use crate::{
    clock,
    config::{Mode, Unknown},
    countries::CountryRules,
    embargo::Programmes,
    guard::{self, Own},
    identity::Identities,
    kernel::contents::AllowLists,
    kernel::lent::Wanted,
    kernel::verdicts::{Held, LONGEST_PATH, Place, Table, Target},
    labels::Labels,
    world::{Numbers, Rule, only_reported, standing_rule},
};

mod images;
mod places;
mod remarks;

pub use remarks::Remark;

pub use images::{Images, LIBRARIES, Unknowns, about_hashes};

/// A standing rule that cannot be put in force.
#[derive(Debug, Error)]
#[error("{file}:{line}: rule {id}: {what}")]
pub struct StandingError {
    file: String,
    line: u32,
    id: String,
    what: String,
    code: &'static str,
}

impl StandingError {
    /// The finding, for whoever shows places; `text` gives the content of a file.
    #[must_use]
    pub fn diagnostic(&self, text: &dyn Fn(&str) -> String) -> rules::Diagnostic {
        let message = if self.id.is_empty() { self.what.clone() } else { format!("rule {}: {}", self.id, self.what) };
        rules::Diagnostic::at(&self.file, &text(&self.file), self.line, 1, message).code(self.code)
    }
}

/// Every standing rule that cannot be put in force.
#[derive(Debug, Error)]
#[error("standing rules cannot be put in force:\n{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct Refused(pub Vec<StandingError>);

/// Verdict entries of a policy set.
#[derive(Debug, Default)]
pub struct Compiled {
    /// Entries other than countries.
    pub entries: Vec<(Place, Held)>,
    /// Rules about countries.
    pub countries: CountryRules,
    /// Rules with subjects, by these.
    pub lent: Wanted,
    /// Subject limits.
    pub limits: BTreeSet<(u32, u32, u64, u32)>,
    /// The files that entries are about by identity.
    pub files: Vec<FileId>,
    /// Labelled directories.
    trees: Vec<places::Tree>,
    /// What runs.
    pub images: Images,
    /// Lists of what may run.
    pub allow: AllowLists,
    /// What was labelled.
    pub labels: Labels,
    /// What the operator should know.
    pub notices: Vec<String>,
    /// The same about single rules.
    pub remarks: Vec<Remark>,
    /// What would harm the host and is in force because that was forced.
    pub forced: Vec<String>,
}

/// A member of a standing rule as it is to be enforced.
pub struct Ruling {
    /// The member.
    pub entry: StandingEntry,
    /// When it ends by the boot clock, in nanoseconds; 0: never.
    pub expires: u64,
}

/// What compiling needs to know.
pub struct Setting<'a> {
    /// Global mode.
    pub mode: Mode,
    /// What unknown countries mean.
    pub unknown: Unknown,
    /// The country databases.
    pub votes: &'a Votes,
    /// The embargo programmes.
    pub programmes: &'a Programmes,
    /// The cgroup v2 mount point.
    pub cgroups: &'a Path,
    /// Generation of the entries.
    pub generation: u32,
    /// What Sentinel itself needs.
    pub own: &'a Own,
    /// Whether rules that would harm the host are taken all the same.
    pub force: bool,
}

/// Why a member is not put in force.
enum Refusal {
    /// It cannot be.
    Cannot(String),
    /// It would harm the host.
    Harmful(String),
}

impl From<String> for Refusal {
    fn from(what: String) -> Self {
        Self::Cannot(what)
    }
}

/// Compiles all entries of a policy set.
///
/// # Errors
///
/// Every entry that cannot be put in force.
pub fn compile(all: &[Ruling], setting: &Setting, numbers: &mut Numbers) -> Result<Compiled, Vec<StandingError>> {
    let mut out = Compiled::default();
    let mut errors = Vec::new();
    let mut allowed = Vec::new();
    let identities = Identities::read();
    for Ruling { entry, expires } in all {
        let rule = standing_rule(entry, setting.mode, setting.programmes);
        out.notices.extend(on_trial(entry, setting));
        let number = numbers.give(text_of(entry), rule.clone());
        let one = One { entry, expires: *expires, rule: &rule, number, setting, identities: &identities };
        if let Err(refusal) = one.compile(&mut out, &mut allowed) {
            let (what, code) = match refusal {
                Refusal::Cannot(what) => (what, "standing-refused"),
                Refusal::Harmful(what) => (format!("{what} (--force takes it all the same)"), "harmful-rule"),
            };
            errors.push(StandingError { file: entry.file.clone(), line: entry.line, id: entry.id.clone(), what, code });
        }
    }
    if let Some(what) = conflict(&out.entries, &allowed) {
        errors.push(StandingError { file: String::new(), line: 0, id: String::new(), what, code: "standing-refused" });
    }
    out.remarks.extend(remarks::contradictions(all, jiff::Timestamp::now().as_second()));
    let (lists, problem) = out.images.lists(&identities);
    out.allow = lists;
    if let Some(what) = problem {
        errors.push(StandingError { file: String::new(), line: 0, id: String::new(), what, code: "standing-refused" });
    }
    let trees = places::entries_of(&out.trees);
    out.entries.extend(trees);
    allow_list(&allowed, &mut out);
    unknown_countries(all.iter().map(|ruling| &ruling.entry), setting, numbers, &mut out);
    if errors.is_empty() { Ok(out) } else { Err(errors) }
}

/// What to say of an entry that an embargo programme asks only to report.
fn on_trial(entry: &StandingEntry, setting: &Setting) -> Option<String> {
    let programme = only_reported(entry, setting.programmes)?;
    Some(format!(
        "rule {}: {:?} is only reported, because the programme {programme} is about a part of it that databases cannot \
         tell; to refuse all of it, say \"mode\": \"enforce\" in the member",
        entry.id, entry.value
    ))
}

/// What the kernel's tables cannot hold: two limited rules on one object, or an allow list of mixed modes or limits.
fn conflict(entries: &[(Place, Held)], allowed: &[Allowed]) -> Option<String> {
    let mut limited: HashMap<&Place, &Held> = HashMap::new();
    for (place, held) in entries.iter().filter(|(_, held)| held.entry.limits != 0) {
        if let Some(other) = limited.insert(place, held)
            && other.entry.rule != held.entry.rule
            && other.access & held.access != 0
        {
            return Some(format!(
                "two rules limit the same object with only or except ({:?}); join them",
                place.target
            ));
        }
    }
    let (_, first) = allowed.first()?;
    let mixed = allowed.iter().any(|(_, entry)| (entry.flags, entry.limits) != (first.flags, first.limits));
    mixed.then(|| "the members of allow_countries differ in mode, only or except; they make one list".to_owned())
}

/// All that a member says: two equal members are one rule, and a change of any part makes another.
fn text_of(entry: &StandingEntry) -> String {
    let StandingEntry { id, value, access, only, except, severity, mode, on_error, .. } = entry;
    format!("{id:?} {value:?} {access:?} {only:?} {except:?} {severity:?} {mode:?} {on_error:?}")
}

/// One entry being compiled.
struct One<'a> {
    entry: &'a StandingEntry,
    /// Boot clock, nanoseconds; 0: never.
    expires: u64,
    rule: &'a Rule,
    number: u32,
    setting: &'a Setting<'a>,
    identities: &'a Identities,
}

/// A country that an allow list names, and the entry that refuses the others.
type Allowed = (Country, Entry);

impl One<'_> {
    fn compile(&self, out: &mut Compiled, allowed: &mut Vec<Allowed>) -> Result<(), Refusal> {
        let limits = self.limits(out)?;
        self.lend(limits, out);
        match &self.entry.value {
            StandingValue::BlockCountry(country) => {
                let set: CountrySet = [country_of(country.0)?].into_iter().collect();
                out.countries.block.push((Selection::countries(set), self.country_entry(limits)));
            }
            StandingValue::AllowCountry(country) => allowed.push((country_of(country.0)?, self.country_entry(limits))),
            StandingValue::BlockCidr(net) => {
                self.guarded(guard::network(net), out)?;
                out.entries.push((network_place(Table::Block, net), self.held(limits, u32::MAX, self.expires)));
            }
            StandingValue::BlockPath(pattern) => {
                self.path(pattern, self.access(), limits, out)?;
                self.without_path(limits, out);
            }
            StandingValue::BlockExecutable(pattern) => {
                self.path(pattern, 1 << Access::Exec as u32, limits, out)?;
                self.without_path(limits, out);
            }
            StandingValue::Exemption(exemption) => self.exemption(exemption, limits, out)?,
            StandingValue::BlockRegion(code) => {
                let selection = Selection::regions([self.region(code)?]);
                out.countries.block.push((selection, self.country_entry(limits)));
            }
            StandingValue::BlockHash(digest) => self.hash(Table::Block, digest, limits, out)?,
            StandingValue::AllowExecutable(pattern) => self.allow(pattern, limits, out)?,
        }
        Ok(())
    }

    /// What the guard says, unless it is overruled, which is told.
    fn guarded(&self, guard: Result<(), String>, out: &mut Compiled) -> Result<(), Refusal> {
        match guard {
            Ok(()) => Ok(()),
            Err(what) if self.setting.force => {
                let message = format!("rule {}: {what}", self.entry.id);
                out.remarks.push(Remark::of(self.entry, "harm-forced", &what, "it is in force because of --force"));
                if !out.forced.contains(&message) {
                    out.forced.push(message);
                }
                Ok(())
            }
            Err(what) => Err(Refusal::Harmful(what)),
        }
    }

    /// A region that the databases tell: a rule on another one would look like one and never hold.
    fn region(&self, code: &str) -> Result<Region, String> {
        let region: Region = code.parse().map_err(|error: geoip::RegionError| error.to_string())?;
        if self.setting.votes.tells(region) {
            return Ok(region);
        }
        Err(format!(
            "no country database in use tells the region {region}, so the rule could never hold; give one that does with \
             --geoip (`sentinel geo check FILE` shows what a file tells), or use block_countries or block_cidrs"
        ))
    }

    fn access(&self) -> u32 {
        self.entry.access.iter().fold(0, |bits, access| bits | 1 << access as u32)
    }

    fn flags(&self) -> u8 {
        if self.rule.mode == Mode::Monitor { flag::MONITOR } else { 0 }
    }

    fn country_entry(&self, limits: u16) -> Entry {
        Entry { origin: origin::GEO, ..self.held(limits, u32::MAX, self.expires).entry }
    }

    fn held(&self, limits: u16, access: u32, expires: u64) -> Held {
        let origin = if self.rule.exemption.is_some() { origin::EXEMPTION } else { origin::STANDING };
        let entry = Entry {
            expires,
            rule: self.number,
            generation: self.setting.generation,
            hook: hook::ANY,
            origin,
            flags: self.flags(),
            limits,
        };
        Held { entry, access }
    }

    fn exemption(&self, exemption: &Exemption, limits: u16, out: &mut Compiled) -> Result<(), String> {
        let left = exemption.expires.saturating_sub(jiff::Timestamp::now().as_second());
        let Some(left) = u64::try_from(left).ok().filter(|left| *left > 0) else {
            out.notices.push(format!("exemption {} has expired and no longer applies", exemption.id));
            return Ok(());
        };
        let expires = clock::boot_after(left);
        let held = self.held(limits, u32::MAX, expires);
        for net in &exemption.cidrs {
            out.entries.push((network_place(Table::Exempt, net), held));
        }
        let countries: CountrySet =
            exemption.countries.iter().map(|country| country_of(country.0)).collect::<Result<_, _>>()?;
        let regions = exemption.regions.iter().map(|code| self.region(code)).collect::<Result<_, _>>()?;
        if !countries.is_empty() || !exemption.regions.is_empty() {
            let selection = Selection { countries, regions, include_unknown: false };
            out.countries.exempt.push((selection, held.entry));
        }
        for pattern in &exemption.paths {
            out.entries.push((path_place(Table::Exempt, pattern)?, held));
        }
        for digest in &exemption.hashes {
            out.entries.push((Place::new(Table::Exempt, Target::Hash(*digest), Subject::ANYONE), held));
        }
        let exec = self.held(limits, 1 << Access::Exec as u32, expires);
        for pattern in &exemption.executables {
            out.entries.push((path_place(Table::Exempt, pattern)?, exec));
        }
        Ok(())
    }

    /// Takes down that this rule holds for some and not for others. Of two with the same subjects the one that refuses stands.
    fn lend(&self, limits: u16, out: &mut Compiled) {
        const SUBJECTS: u16 = limit::ONLY_EXECUTABLE
            | limit::ONLY_UID
            | limit::ONLY_CGROUP
            | limit::EXCEPT_EXECUTABLE
            | limit::EXCEPT_UID
            | limit::EXCEPT_CGROUP;
        if limits & SUBJECTS == 0 {
            return;
        }
        let grants = matches!(self.entry.value, StandingValue::Exemption(_));
        let held = self.held(limits & SUBJECTS, u32::MAX, self.expires).entry;
        let flags = held.flags | if grants { flag::GRANT } else { 0 };
        let entry = Entry { origin: origin::STANDING, flags, ..held };
        let subjects = |list: &Subjects| {
            format!("{:?} {:?} {:?} {:?}", list.executables, list.uids, list.cgroups, list.containers)
        };
        let text = format!("{grants} {} {}", subjects(&self.entry.only), subjects(&self.entry.except));
        let known = out.lent.entry(text).or_insert(entry);
        if known.flags & flag::MONITOR != 0 {
            *known = entry;
        }
    }

    fn executable_id(&self, pattern: &PathPattern) -> Result<FileId, String> {
        if pattern.prefix {
            return Err(cannot("a directory in only/except executables", "list the executables"));
        }
        self.identities.of(Path::new(&pattern.path)).map_err(|error| {
            format!("the executable {} that it is limited to cannot be looked at: {error}", pattern.path)
        })
    }

    /// Registers `only` and `except`; the limit bits of the entry.
    fn limits(&self, out: &mut Compiled) -> Result<u16, String> {
        let only =
            [limit::ONLY_EXECUTABLE, limit::ONLY_UID, limit::ONLY_CGROUP, limit::ONLY_PORT, limit::ONLY_PROTOCOL];
        let except = [
            limit::EXCEPT_EXECUTABLE,
            limit::EXCEPT_UID,
            limit::EXCEPT_CGROUP,
            limit::EXCEPT_PORT,
            limit::EXCEPT_PROTOCOL,
        ];
        Ok(self.subjects(&self.entry.only, only, out)? | self.subjects(&self.entry.except, except, out)?)
    }

    fn subjects(&self, list: &Subjects, bits: [u16; 5], out: &mut Compiled) -> Result<u16, String> {
        if !list.containers.is_empty() {
            return Err(cannot("only/except containers", "use cgroups"));
        }
        let mut used = 0;
        let mut add = |bit: u16, value: u64, dev: u32| {
            used |= bit;
            out.limits.insert((self.number, u32::from(bit), value, dev));
        };
        let [executable, uid, cgroup, port, protocol] = bits;
        for pattern in &list.executables {
            let id = self.executable_id(pattern)?;
            out.labels.note(Path::new(&pattern.path), Some(id));
            add(executable, id.ino, id.dev);
        }
        list.uids.iter().for_each(|value| add(uid, u64::from(*value), 0));
        for path in &list.cgroups {
            add(cgroup, cgroup_id(self.setting.cgroups, path)?, 0);
        }
        list.ports.iter().for_each(|value| add(port, u64::from(*value), 0));
        list.protocols.iter().flat_map(|p| numbers_of(*p)).for_each(|value| add(protocol, *value, 0));
        Ok(used)
    }
}

fn cannot(what: &str, instead: &str) -> String {
    format!("this version cannot enforce {what}; {instead}")
}

fn country_of(code: [u8; 2]) -> Result<Country, String> {
    Country::from_bytes(code).ok_or_else(|| "this is no country code".to_owned())
}

/// IANA protocol numbers.
const fn numbers_of(protocol: Protocol) -> &'static [u64] {
    match protocol {
        Protocol::Tcp => &[6],
        Protocol::Udp => &[17],
        Protocol::Icmp => &[1, 58],
        Protocol::Sctp => &[132],
    }
}

fn cgroup_id(root: &Path, path: &str) -> Result<u64, String> {
    use std::os::unix::fs::MetadataExt as _;
    let full: PathBuf = root.join(path.trim_start_matches('/'));
    let below = fs::read_dir(&full).into_iter().flatten().flatten();
    if below.into_iter().any(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        return Err(cannot("a limit to a cgroup that has cgroups below it", "list those"));
    }
    fs::metadata(&full)
        .map(|meta| meta.ino())
        .map_err(|error| format!("the cgroup {} that it is limited to cannot be looked at: {error}", full.display()))
}

/// Place of a network, in terms of v4-mapped addresses.
#[must_use]
pub fn network_place(table: Table, net: &IpNet) -> Place {
    let (address, length) = match net.trunc() {
        IpNet::V4(net) => (net.addr().to_ipv6_mapped().octets(), 96 + net.prefix_len()),
        IpNet::V6(net) => (net.addr().octets(), net.prefix_len()),
    };
    Place::new(table, Target::Cidr { address, length }, Subject::ANYONE)
}

fn path_place(table: Table, pattern: &PathPattern) -> Result<Place, String> {
    if pattern.path.len() > LONGEST_PATH {
        return Err(format!("a path rule holds at most {LONGEST_PATH} bytes, this path has {}", pattern.path.len()));
    }
    let target = Target::Path { path: pattern.path.clone().into_bytes(), prefix: pattern.prefix };
    Ok(Place::new(table, target, Subject::ANYONE))
}

/// What the kernel calls a path that goes through symbolic links; `None` if it calls it the same.
fn real_path(pattern: &PathPattern) -> Option<PathPattern> {
    let mut path = fs::canonicalize(&pattern.path).ok()?.to_str()?.to_owned();
    if pattern.prefix && !path.ends_with('/') {
        path.push('/');
    }
    (path != pattern.path).then_some(PathPattern { path, prefix: pattern.prefix })
}

/// An allow list blocks every known country that it does not name.
fn allow_list(allowed: &[Allowed], out: &mut Compiled) {
    let Some((_, entry)) = allowed.first() else { return };
    let named: CountrySet = allowed.iter().map(|(country, _)| *country).collect();
    out.countries.block.push((Selection::countries(named.complement()), *entry));
}

/// With `unknown = "deny"` and any country rule, addresses without a known country are blocked too.
fn unknown_countries<'a>(
    all: impl IntoIterator<Item = &'a StandingEntry>,
    setting: &Setting,
    numbers: &mut Numbers,
    out: &mut Compiled,
) {
    if setting.unknown != Unknown::Deny || !has_geo(all) {
        return;
    }
    let rule = numbers.give(UNKNOWN_RULE.to_owned(), unknown_rule(setting.mode));
    let entry = Entry { rule, generation: setting.generation, hook: hook::ANY, origin: origin::GEO, ..Entry::NONE };
    out.countries.block.push((Selection { include_unknown: true, ..Selection::default() }, entry));
}

/// Whether any entry is about countries or regions.
#[must_use]
pub fn has_geo<'a>(all: impl IntoIterator<Item = &'a StandingEntry>) -> bool {
    all.into_iter().any(|entry| {
        matches!(
            entry.value,
            StandingValue::BlockCountry(_) | StandingValue::AllowCountry(_) | StandingValue::BlockRegion(_)
        )
    })
}

/// Id of the rule about destinations without a known country.
pub const UNKNOWN_RULE: &str = "geo-unknown";

/// That rule.
#[must_use]
pub fn unknown_rule(mode: Mode) -> Rule {
    Rule {
        id: UNKNOWN_RULE.to_owned(),
        verb: alerts::Verb::BlockCountries,
        severity: rules::Severity::Medium,
        title: "Destination without a known country".to_owned(),
        package: "sentinel.geo".to_owned(),
        techniques: Vec::new(),
        mode,
        exemption: None,
        list: None,
    }
}

#[cfg(test)]
mod tests;
