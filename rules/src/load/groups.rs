//! Programs that evaluate many definitions at once.
//!
//! Definitions share helpers, and a machine keeps what a helper gave only within one execution. So all rules
//! that can match a kind of event are put into one array, evaluated in one go; its program is what an evaluator
//! runs. A definition's own program serves when the array fails, to find out which definition it was.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use regorus::Value;
use regorus::rvm::program::Program;

use crate::analysis::corpus::Corpus;
use crate::kind::Kind;
use crate::load::compile::{self, Replacements};
use crate::load::definitions::Found;
use crate::load::memo;
use crate::policies::RuleInfo;

/// Most definitions in one program: each takes one of 255 registers.
const MAX_RULES: usize = 100;
/// Most modules in one engine, copies included; the machine takes 256.
const MAX_MODULES: usize = 200;
/// Package of the arrays.
const PACKAGE: &str = "__sentinel_groups";

/// A program and the rules whose sets it gives, in order.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) rules: Vec<usize>,
    pub(crate) program: Arc<Program>,
    /// For which kinds it is run.
    pub(crate) kinds: Vec<Kind>,
}

/// Groups the definitions of every package. What cannot be grouped is left out, and run by itself.
pub(super) fn build<'f>(
    corpus: &Corpus,
    packages: impl Iterator<Item = &'f Vec<&'f Found>>,
    rules: &[RuleInfo],
    compiled: impl Fn(usize) -> bool,
    data: &Value,
) -> Vec<Group> {
    let mut groups = Vec::new();
    let mut batch: Vec<&Found> = Vec::new();
    for found in packages {
        let found: Vec<&Found> = found.iter().copied().filter(|f| f.rule.is_some_and(&compiled)).collect();
        let joined: Vec<&Found> = batch.iter().chain(&found).copied().collect();
        if modules(corpus, &joined) > MAX_MODULES {
            groups.extend(group_batch(corpus, &batch, rules, data));
            batch = found;
        } else {
            batch = joined;
        }
    }
    groups.extend(group_batch(corpus, &batch, rules, data));
    groups
}

fn modules(corpus: &Corpus, found: &[&Found]) -> usize {
    let copies: BTreeSet<usize> = found.iter().map(|found| found.at.0).collect();
    compile::needed(corpus, found).len() + copies.len()
}

/// Groups definitions that fit into one engine. Should the shared calls not compile, they are not shared.
fn group_batch(corpus: &Corpus, found: &[&Found], rules: &[RuleInfo], data: &Value) -> Vec<Group> {
    let lists = lists(found, rules);
    if lists.is_empty() {
        return Vec::new();
    }
    let (memo, replacements) = memo::share(corpus, found, PACKAGE);
    compile_lists(corpus, found, &lists, &memo, &replacements, data)
        .or_else(|| compile_lists(corpus, found, &lists, "", &Replacements::new(), data))
        .unwrap_or_default()
}

fn compile_lists(
    corpus: &Corpus,
    found: &[&Found],
    lists: &[(Vec<&Found>, Vec<Kind>)],
    memo: &str,
    replacements: &Replacements,
    data: &Value,
) -> Option<Vec<Group>> {
    let mut text = format!("package {PACKAGE}\n\n{memo}");
    for (index, (list, _)) in lists.iter().enumerate() {
        let paths: Vec<String> = list.iter().map(|found| compile::entry_path(corpus, Some(found))).collect();
        text.push_str(&format!("group_{index} := [\n{}\n]\n", paths.join(",\n")));
    }
    let mut engine = compile::engine(corpus, compile::needed(corpus, found), found, replacements, data).ok()?;
    engine.set_rego_v0(false);
    engine.add_policy("groups".to_owned(), text).ok()?;
    let path = |index: usize| format!("data.{PACKAGE}.group_{index}");
    let policy = engine.compile_with_entrypoint(&path(0).into()).ok()?;
    let groups = lists.iter().enumerate().map(|(index, (list, kinds))| {
        let program = compile::program(&policy, &path(index)).ok()?;
        let rules = list.iter().filter_map(|found| found.rule).collect();
        Some(Group { rules, program, kinds: kinds.clone() })
    });
    groups.collect()
}

/// The distinct lists of definitions that kinds ask for, with those kinds.
fn lists<'f>(found: &[&'f Found], rules: &[RuleInfo]) -> Vec<(Vec<&'f Found>, Vec<Kind>)> {
    let mut by_rules = BTreeMap::<Vec<usize>, (Vec<&Found>, Vec<Kind>)>::new();
    for kind in Kind::ALL {
        let matching: Vec<&Found> = found
            .iter()
            .copied()
            .filter(|found| found.rule.and_then(|rule| rules.get(rule)).is_some_and(|rule| rule.kinds.contains(kind)))
            .collect();
        for part in matching.chunks(MAX_RULES) {
            let key = part.iter().filter_map(|found| found.rule).collect();
            by_rules.entry(key).or_insert_with(|| (part.to_vec(), Vec::new())).1.push(kind);
        }
    }
    by_rules.into_values().collect()
}
