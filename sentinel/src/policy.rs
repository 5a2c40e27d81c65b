//! Policies and country data: read, compiled, put in force.
//!
//! Invariant: everything that can be wrong is found before anything in force changes. New entries go in before old
//! ones go out, so a rule that is in both sets is never without its entry.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Result, anyhow};
use geoip::TableImage;
use rules::{Kind, LoadOptions, Policies, StandingEntry};
use sentinel_common::{event::kind, geo::ClassRules};

use crate::{
    bypass, clock,
    config::{Config, Mode, Unknown},
    countries::{ClassTable, CountryRules, CountryVerdicts},
    embargo::{self, Programmes},
    geo::{GeoData, News, watch::Built},
    kernel::{
        KernelError,
        repeats::Repeats,
        verdicts::{Place, Target, Verdicts},
    },
    operator::Blocks,
    standing::{self, Compiled, Ruling, Setting},
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
    let setting = Setting { mode: config.mode, unknown: config.unknown, votes, programmes, cgroups, generation };
    let modes = own_modes(policies, &config.modes)?;
    let rulings = rulings(policies, &loaded.operator, &modes);
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
    };
    Ok(Prepared { world, compiled, classes, image })
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
    let Prepared { world, compiled, classes, image } = prepared;
    for notice in &compiled.notices {
        tracing::warn!("{notice}");
    }
    let mut standing: BTreeSet<(Place, u32)> = BTreeSet::new();
    verdicts.add_limits(&compiled.limits)?;
    for (place, held) in compiled.entries {
        verdicts.insert(&place, held)?;
        standing.insert((place, held.entry.rule));
    }
    verdicts.set_geo(image.as_deref(), classes)?;
    let rules: BTreeSet<u32> = standing.iter().map(|(_, rule)| *rule).collect();
    let event_rules: BTreeSet<u32> = world.event_rules.iter().copied().collect();
    verdicts.retain(|place, held| {
        let rule = held.entry.rule;
        // A label follows its file to other names for as long as its rule is in force.
        let label = matches!(place.target, Target::File { .. }) && rules.contains(&rule);
        label || rule == CANARY || event_rules.contains(&rule_of(rule)) || standing.contains(&(place.clone(), rule))
    })?;
    verdicts.keep_limits(&compiled.limits)?;
    Ok(world)
}

/// The word for a mode.
#[must_use]
pub const fn mode_word(mode: Mode) -> &'static str {
    match mode {
        Mode::Monitor => "monitor",
        Mode::Enforce => "enforce",
    }
}

/// Tells the kernel which events it need not tell again.
///
/// # Errors
///
/// [`KernelError::Map`] if the kernel refuses the change.
pub fn repeats(world: &World, config: &Config, repeats: &mut Repeats) -> Result<(), KernelError> {
    let kinds = [(Kind::Open, kind::OPEN), (Kind::Connect, kind::CONNECT), (Kind::Send, kind::SEND)];
    let whole = world.policies.rules().iter().filter(|rule| rule.every_event);
    let every = whole.flat_map(|rule| kinds.iter().filter(|(kind, _)| rule.kinds.contains(*kind)));
    let every = every.fold(0, |bits, (_, number)| bits | 1 << number);
    repeats.set(u64::try_from(config.repeat.as_nanos()).unwrap_or(u64::MAX), every)
}
