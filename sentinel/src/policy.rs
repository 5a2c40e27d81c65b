//! Policies and country data: read, compiled, put in force.
//!
//! Invariant: everything that can be wrong is found before anything in force changes. New entries go in before old
//! ones go out, so a rule that is in both sets is never without its entry.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use anyhow::{Context as _, Result, anyhow};
use geoip::{Database, TableImage};
use rules::{LoadOptions, Policies};
use sentinel_common::geo::ClassRules;

use crate::{
    bypass,
    config::{Config, Mode, Unknown},
    countries::{ClassTable, CountryRules, CountryVerdicts},
    kernel::verdicts::{Place, Verdicts},
    standing::{self, Compiled, Setting},
    world::{CANARY, Numbers, World, event_rule, rule_of},
};

/// What was read.
pub struct Loaded {
    /// Compiled policies.
    pub policies: Arc<Policies>,
    /// Country data.
    pub geo: Arc<Database>,
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
    pub image: Option<TableImage>,
}

/// Reads policies, data and country database.
///
/// # Errors
///
/// Every error in the policies; a database that cannot be used.
pub fn load(config: &Config) -> Result<Loaded> {
    let shipped = config.policy.is_empty();
    let options = LoadOptions { paths: config.policy.clone(), data: config.data.clone(), shipped };
    let policies = Policies::load(&options).map_err(|errors| anyhow!("the policies are not usable:\n{errors}"))?;
    let geo = match &config.geoip {
        Some(path) => Database::open(path)?,
        None => Database::embedded().context("the embedded country database is not usable")?,
    };
    Ok(Loaded { policies: Arc::new(policies), geo: Arc::new(geo) })
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
    let setting = Setting { mode: config.mode, unknown: config.unknown, cgroups, generation };
    let mut compiled = standing::compile(policies.standing(), &setting, numbers).map_err(|errors| {
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        anyhow!("standing rules cannot be put in force:\n{}", lines.join("\n"))
    })?;
    bypass::compile(policies, config, generation, numbers, &mut compiled);
    let known = previous.and_then(|world| world.table.clone());
    let (table, classes, image) = countries(&compiled.countries, &loaded.geo, known, numbers)?;
    let event_rules =
        policies.rules().iter().map(|info| numbers.give(text_of(info), event_rule(info, config.mode))).collect();
    let world = World {
        policies: policies.clone(),
        geo: loaded.geo.clone(),
        generation,
        event_rules,
        table,
        countries: Arc::new(CountryVerdicts { rules: compiled.countries.clone(), geo: loaded.geo.clone() }),
        unknown_alerts: standing::has_geo(policies.standing()) && config.unknown == Unknown::Alert,
    };
    Ok(Prepared { world, compiled, classes, image })
}

/// Classes, what the rules say of them, and the table for the kernel where that is not there yet.
type Countries = (Option<Arc<ClassTable>>, Vec<ClassRules>, Option<TableImage>);

fn countries(
    rules: &CountryRules,
    geo: &Database,
    known: Option<Arc<ClassTable>>,
    numbers: &Numbers,
) -> Result<Countries> {
    let known = known.filter(|table| table.sha256 == geo.info().sha256);
    if rules.is_empty() {
        return Ok((known, Vec::new(), None));
    }
    let (table, image) = match known {
        Some(table) => (table, None),
        None => {
            let (table, image) = ClassTable::build(geo)?;
            (Arc::new(table), Some(image))
        }
    };
    let classes = rules.of_classes(&table.facts).map_err(|rules| {
        let ids: Vec<String> =
            rules.iter().filter_map(|rule| numbers.rule(*rule)).map(|rule| rule.id.clone()).collect();
        anyhow!(
            "too many rules with only, except or an expiry are about the same country: {}; join them",
            ids.join(", ")
        )
    })?;
    Ok((Some(table), classes, image))
}

/// What makes an event rule the same rule in another generation: its id, its own text, its mode.
fn text_of(info: &rules::RuleInfo) -> String {
    format!("{} {} {:?} {}", info.package, info.id, info.mode, info.fingerprint)
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
    verdicts.set_geo(image.as_ref(), classes)?;
    let event_rules: BTreeSet<u32> = world.event_rules.iter().copied().collect();
    verdicts.retain(|place, held| {
        let rule = held.entry.rule;
        rule == CANARY || event_rules.contains(&rule_of(rule)) || standing.contains(&(place.clone(), rule))
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
