//! Policies and country data: read, compiled, put in force.
//!
//! Invariant: everything that can be wrong is found before anything in force changes. New entries go in before old
//! ones go out, so a rule that is in both sets is never without its entry.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use alerts::Sink;
use anyhow::{Result, anyhow};
use geoip::TableImage;
use rules::{
    AccessSet, Exemption, Kind, LoadOptions, OnError, Policies, Severity, StandingEntry, StandingRule, StandingValue,
    Subjects,
};
use sentinel_common::{
    content::{Digest, Fallbacks},
    geo::ClassRules,
    repeat::every,
};

use crate::{
    bypass, clock,
    config::{Config, Mode, Spared, Unknown},
    countries::{ClassTable, CountryRules, CountryVerdicts},
    dry_run,
    embargo::{self, Programmes},
    geo::{GeoData, News, watch::Built},
    guard::Own,
    kernel::{
        attach::Scope,
        verdicts::{Held, Place, Target, Verdicts},
    },
    operator::Blocks,
    sockets::verdict::Rules,
    standing::{self, Compiled, Remark, Ruling, Setting},
    world::{CANARY, Numbers, World, event_rule, rule_of},
};

/// What was read.
pub struct Loaded {
    /// Compiled policies.
    pub policies: Arc<Policies>,
    /// The embargo programmes that they have.
    pub programmes: Arc<Programmes>,
    /// Country data.
    pub geo: GeoData,
    /// What is new about that data.
    pub news: Vec<(PathBuf, News)>,
    /// Its table, if that was built already.
    pub table: Option<Built>,
    /// What an operator has ordered.
    pub operator: Arc<Blocks>,
}

/// Policies as they were read.
pub struct Read {
    /// Compiled policies.
    pub policies: Arc<Policies>,
    /// The embargo programmes that they have.
    pub programmes: Arc<Programmes>,
}

/// What is ready to be put in force.
pub struct Prepared {
    /// For the pipeline.
    pub world: World,
    /// For the kernel.
    pub compiled: Compiled,
    /// What the policy says of each class of addresses.
    pub classes: Vec<ClassRules>,
    /// The country table, unless it is in the kernel already.
    pub image: Option<Arc<TableImage>>,
    /// Whether these are the policies in force, so that what there is to say of them has been said.
    pub told: bool,
    /// What happens where a hash or a path cannot be had.
    pub fallbacks: Fallbacks,
    /// Whether a rule asks for hashes.
    pub hashing: bool,
}

/// What policies are loaded from.
///
/// # Errors
///
/// If the program file was damaged.
pub fn options(config: &Config) -> Result<LoadOptions> {
    Ok(LoadOptions {
        paths: config.policy.clone(),
        data: config.data.clone(),
        verification: config.verification.clone(),
        shipped: config.policy.is_empty(),
        defaults: embargo::defaults()?,
    })
}

/// Reads policies and data.
///
/// # Errors
///
/// Every error in them.
pub fn read(config: &Config) -> Result<Read> {
    let options = options(config)?;
    let policies = Policies::load(&options).map_err(|errors| anyhow!("the policies are not usable:\n{errors}"))?;
    for bundle in policies.bundles() {
        let key = bundle.verified_by.as_deref().map_or("unsigned".to_owned(), |key| format!("verified with key {key}"));
        tracing::info!("bundle {} revision \"{}\": {key}", bundle.path, bundle.revision.escape_debug());
    }
    Ok(Read::of(policies))
}

impl Read {
    /// Policies that are loaded.
    #[must_use]
    pub fn of(policies: Policies) -> Self {
        let programmes = Arc::new(Programmes::of(policies.data()));
        Self { policies: Arc::new(policies), programmes }
    }
}

impl Loaded {
    /// Adds country databases to policies; of those only what `previous` does not have is read.
    ///
    /// # Errors
    ///
    /// A database that cannot be used and was not in force.
    pub fn with_geo(read: Read, config: &Config, previous: Option<&GeoData>, operator: Arc<Blocks>) -> Result<Self> {
        let now = u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or_default();
        let (geo, news) = GeoData::load(&config.geo, previous, now)?;
        let Read { policies, programmes } = read;
        Ok(Self { policies, programmes, geo, news, table: None, operator })
    }
}

/// Compiles standing rules and numbers all rules.
///
/// # Errors
///
/// Every standing rule that cannot be put in force.
pub fn prepare(
    loaded: &Loaded,
    config: &Config,
    cgroups: &Path,
    previous: Option<&World>,
    numbers: &mut Numbers,
) -> Result<Prepared> {
    let policies = &loaded.policies;
    let generation = previous.map_or(1, |world| world.generation + 1);
    let votes = &loaded.geo.votes;
    let programmes = &loaded.programmes;
    let own = own_files(config);
    let (mode, unknown, force) = (config.mode, config.unknown, config.force);
    let setting = Setting { mode, unknown, votes, programmes, cgroups, generation, own: &own, force };
    let modes = own_modes(policies, &config.modes)?;
    let mut rulings = rulings(policies, &loaded.operator, &modes);
    rulings.extend(never_block(&config.never_block));
    let mut compiled = standing::compile(&rulings, &setting, numbers).map_err(standing::Refused)?;
    let standing: Vec<StandingEntry> = rulings.into_iter().map(|ruling| ruling.entry).collect();
    bypass::compile(&standing, config, generation, numbers, &mut compiled);
    let known = previous.and_then(|world| world.table.clone());
    let (table, classes, image) = countries(&compiled.countries, loaded, known, numbers)?;
    let event_rules = policies.rules().iter().map(|info| {
        let own = modes.of(&info.package, &info.id).or(info.mode);
        numbers.give(text_of(info, own), event_rule(info, own, config.mode))
    });
    let event_rules = event_rules.collect();
    let world = World {
        policies: policies.clone(),
        geo: votes.clone(),
        programmes: programmes.clone(),
        generation,
        event_rules,
        table,
        countries: Arc::new(CountryVerdicts { rules: compiled.countries.clone(), geo: votes.clone() }),
        unknown_alerts: standing::has_geo(&standing) && config.unknown == Unknown::Alert,
        standing,
        operator: loaded.operator.clone(),
        labels: compiled.labels.clone(),
        forced: compiled.forced.clone(),
        unknowns: compiled.images.unknowns,
        hash_rules: Arc::new(hash_rules(&compiled)),
    };
    let fallbacks = Fallbacks { max_bytes: config.hash_max_bytes, ..compiled.images.fallbacks };
    let hashing = config.hashing && asks_for_hashes(&world);
    let told = previous.is_some_and(|world| world.policies.sha256() == policies.sha256());
    Ok(Prepared { world, compiled, classes, image, told, fallbacks, hashing })
}

/// Refuses rules that would cut this host off, before they are enforced on all of it; with `force` they are told instead.
///
/// # Errors
///
/// Whom they would cut off, by which rule.
pub fn dry_run(prepared: &mut Prepared, config: &Config, numbers: &Numbers) -> Result<()> {
    if config.mode != Mode::Enforce || config.scope != Scope::Host {
        return Ok(());
    }
    let entries = prepared.compiled.entries.iter().map(|(place, held)| (place, held));
    let countries = prepared.world.countries.clone();
    let rules = Rules::new(entries, &prepared.compiled.limits, countries, clock::boot_now());
    let name = |rule| numbers.rule(rule).map_or_else(|| format!("number {rule}"), |rule| rule.id.clone());
    let found: Vec<String> = dry_run::cut_off(&rules)
        .into_iter()
        .map(|(who, entry)| format!("rule {} would cut off {who}", name(entry.rule)))
        .collect();
    if config.force || found.is_empty() {
        prepared.world.forced.extend(found);
        return Ok(());
    }
    Err(anyhow!(
        "enforcing these rules would harm this host: {}; name what is meant to stay under never-block in the settings, or \
         take them all the same with --force",
        found.join("; ")
    ))
}

/// What Sentinel reads and writes, which no rule may keep everyone from.
fn own_files(config: &Config) -> Own {
    let read = std::iter::once(&config.file).chain(&config.policy).chain(&config.data);
    let sinks = config.alerts.iter().filter_map(|sink| match sink {
        Sink::File(path) => Some(path),
        Sink::Stdout | Sink::Unix(_) => None,
    });
    let changed = [&config.state_dir, &config.run_dir].into_iter().chain(sinks);
    Own::of(read.map(PathBuf::as_path), changed.map(PathBuf::as_path))
}

/// The end of what has none, in seconds since 1970: the year 2200, which the kernel's clock can tell.
const NEVER: i64 = 7_258_118_400;

/// Networks of the settings that no rule refuses, as exemptions: an alert names them as it names any other.
fn never_block(list: &[Spared]) -> impl Iterator<Item = Ruling> {
    list.iter().enumerate().map(|(index, spared)| {
        let id = format!("never-block.{}", index + 1);
        let exemption = Exemption {
            id: id.clone(),
            kind: "never-block".to_owned(),
            authority: "settings".to_owned(),
            reference: spared.reason.clone(),
            approver: "settings".to_owned(),
            expires: NEVER,
            cidrs: vec![spared.cidr],
            countries: Vec::new(),
            regions: Vec::new(),
            paths: Vec::new(),
            executables: Vec::new(),
            hashes: Vec::new(),
        };
        let entry = StandingEntry {
            id,
            package: "sentinel.settings".to_owned(),
            rule_name: StandingRule::Exemptions,
            severity: Severity::Info,
            mode: None,
            techniques: Vec::new(),
            title: format!("Never blocked: {}", spared.reason),
            file: String::new(),
            line: 0,
            value: StandingValue::Exemption(Box::new(exemption)),
            written: false,
            access: AccessSet::ALL,
            only: Subjects::default(),
            except: Subjects::default(),
            on_error: OnError::Alert,
        };
        Ruling { entry, expires: 0 }
    })
}

/// Classes, what the rules say of them, and the table for the kernel where that is not there yet.
type Countries = (Option<Arc<ClassTable>>, Vec<ClassRules>, Option<Arc<TableImage>>);

fn countries(
    rules: &CountryRules,
    loaded: &Loaded,
    known: Option<Arc<ClassTable>>,
    numbers: &Numbers,
) -> Result<Countries> {
    let votes = &loaded.geo.votes;
    let known = known.filter(|table| table.is_of(votes));
    if rules.is_empty() {
        return Ok((known, Vec::new(), None));
    }
    let built = loaded.table.as_ref().filter(|(table, _)| table.is_of(votes));
    let (table, image) = match (known, built) {
        (Some(table), _) => (table, None),
        (None, Some((table, image))) => (table.clone(), Some(image.clone())),
        (None, None) => {
            let (table, image) = ClassTable::build(votes)?;
            (Arc::new(table), Some(Arc::new(image)))
        }
    };
    let classes = rules.of_classes(votes, &table.facts).map_err(|rules| {
        let ids: Vec<String> =
            rules.iter().filter_map(|rule| numbers.rule(*rule)).map(|rule| rule.id.clone()).collect();
        anyhow!(
            "too many rules with only, except or an expiry are about the same country or region: {}; join them",
            ids.join(", ")
        )
    })?;
    Ok((Some(table), classes, image))
}

/// What makes an event rule the same rule in another generation: its id, its own text, its mode.
fn text_of(info: &rules::RuleInfo, mode: Option<rules::Mode>) -> String {
    format!("{} {} {mode:?} {}", info.package, info.id, info.fingerprint)
}

/// Modes that the settings give to packages and rules.
struct Modes<'a>(&'a BTreeMap<String, Mode>);

impl Modes<'_> {
    /// What the settings say of a rule: of itself, else of its package.
    fn of(&self, package: &str, id: &str) -> Option<rules::Mode> {
        self.0.get(id).or_else(|| self.0.get(package)).map(|mode| match mode {
            Mode::Monitor => rules::Mode::Monitor,
            Mode::Enforce => rules::Mode::Enforce,
        })
    }
}

/// Modes by name, each name one that there is.
fn own_modes<'a>(policies: &Policies, modes: &'a BTreeMap<String, Mode>) -> Result<Modes<'a>> {
    let event = policies.rules().iter().map(|rule| rule.id.as_str());
    let standing = policies.standing().iter().map(|entry| entry.id.as_str());
    let known: BTreeSet<&str> = policies.packages().iter().map(String::as_str).chain(event).chain(standing).collect();
    let unknown: Vec<&str> = modes.keys().map(String::as_str).filter(|name| !known.contains(name)).collect();
    if unknown.is_empty() {
        return Ok(Modes(modes));
    }
    Err(anyhow!(
        "[policies.mode] names {}, and no loaded policy has a package or rule of that name; `sentinel check` lists them",
        unknown.join(", ")
    ))
}

/// Everything that holds without an event: members of standing rules, in the mode that the settings give them, and what an
/// operator has ordered.
fn rulings(policies: &Policies, operator: &Blocks, modes: &Modes) -> Vec<Ruling> {
    let members = policies.standing().iter().map(|entry| {
        let mode = modes.of(&entry.package, &entry.id).or(entry.mode);
        Ruling { entry: StandingEntry { mode, ..entry.clone() }, expires: 0 }
    });
    let now = jiff::Timestamp::now().as_second();
    let ordered = operator.entries().filter_map(|(entry, end)| {
        let expires = match end {
            None => 0,
            Some(end) => clock::boot_after(u64::try_from(end.saturating_sub(now)).ok().filter(|left| *left > 0)?),
        };
        Some(Ruling { entry: entry.clone(), expires })
    });
    members.chain(ordered).collect()
}

/// Puts a compiled set in force and takes out what no longer holds.
///
/// # Errors
///
/// If a map of the kernel is full; what was in force before then still is.
pub fn apply(verdicts: &mut Verdicts, prepared: Prepared) -> Result<World> {
    let Prepared { world, compiled, classes, image, told, fallbacks, hashing } = prepared;
    if !told {
        let remarks = compiled.remarks.iter().map(Remark::text);
        compiled.notices.iter().cloned().chain(remarks).for_each(|text| tracing::warn!("{text}"));
    }
    let mut standing: BTreeSet<(Place, u32)> = BTreeSet::new();
    verdicts.add_limits(&compiled.limits)?;
    for file in compiled.files {
        verdicts.identify(file)?;
    }
    standing.extend(compiled.entries.iter().map(|(place, held)| (place.clone(), held.entry.rule)));
    verdicts.insert_all(compiled.entries.into_iter())?;
    verdicts.set_geo(image.as_deref(), classes)?;
    verdicts.set_contents(&compiled.allow, fallbacks, hashing)?;
    let rules: BTreeSet<u32> = standing.iter().map(|(_, rule)| *rule).collect();
    let event_rules: BTreeSet<u32> = world.event_rules.iter().copied().collect();
    verdicts.retain(|place, held| {
        let rule = held.entry.rule;
        // A label follows its file to other names for as long as its rule is in force.
        let label = matches!(place.target, Target::File { .. }) && rules.contains(&rule);
        label || rule == CANARY || event_rules.contains(&rule_of(rule)) || standing.contains(&(place.clone(), rule))
    })?;
    verdicts.set_lent(&compiled.lent)?;
    verdicts.keep_limits(&compiled.limits)?;
    Ok(world)
}

/// The kinds of event of which every one is to be sent, as `repeat::every` bits: a rule asks for it, or everything is recorded.
#[must_use]
pub fn every(world: &World, config: &Config) -> u64 {
    if config.record.is_some() {
        return every::ALL;
    }
    let kinds = [(Kind::Open, every::OPEN), (Kind::Connect, every::CONNECT), (Kind::Send, every::SEND)];
    let rules = world.policies.rules().iter().filter(|rule| rule.every_event);
    let wanted = rules.flat_map(|rule| kinds.iter().filter(|(kind, _)| rule.kinds.contains(*kind)));
    wanted.fold(0, |bits, (_, bit)| bits | bit)
}

/// Whether a rule is about the hashes of executables.
fn asks_for_hashes(world: &World) -> bool {
    let by_event = |info: &rules::RuleInfo| HASH_FIELDS.iter().any(|field| info.fields.reads(field));
    world.standing.iter().any(|entry| standing::about_hashes(&entry.value))
        || world.policies.rules().iter().any(by_event)
}

/// The hashes that entries are about.
fn hash_rules(compiled: &Compiled) -> HashSet<Digest> {
    let digest = |(place, _): &(Place, Held)| match place.target {
        Target::Hash(digest) => Some(digest),
        _ => None,
    };
    compiled.entries.iter().filter_map(digest).collect()
}

/// Fields of events that have the hash of an executable.
const HASH_FIELDS: [&str; 2] = ["process.hash.sha256", "file.hash.sha256"];

/// The word for a mode.
#[must_use]
pub const fn mode_word(mode: Mode) -> &'static str {
    match mode {
        Mode::Monitor => "monitor",
        Mode::Enforce => "enforce",
    }
}
