//! What need not be run: rules whose condition does not hold, and rules whose result is known from before.
//!
//! Both are exact: with and without them, the decisions are the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use regorus::Value;
use regorus::value::Set;

use super::cache::{Cache, Members};
use super::keys;
use super::prefilter::Prefilter;
use super::{Counters, Fired};
use crate::analysis::needs::Reads;
use crate::kind::Kind;
use crate::policies::Policies;

/// Bytes of results one evaluator keeps.
const CACHE_BYTES: usize = 8 << 20;

/// Filters, cache and the way from rules to keys.
#[derive(Debug)]
pub(super) struct Shortcuts {
    /// For each kind.
    filters: Vec<Prefilter>,
    /// Rules that read the same share a key. For each rule, which; none for those that are run every time.
    classes: Vec<Option<usize>>,
    reads: Vec<Reads>,
    cache: Cache,
    key: Vec<u8>,
    pub(super) counters: Counters,
}

/// Rules to run, and where their results are kept.
#[derive(Debug, Default)]
pub(super) struct Batch {
    class: Option<usize>,
    pub(super) rules: Vec<usize>,
}

impl Shortcuts {
    pub(super) fn new(policies: &Policies) -> Shortcuts {
        let plans = &policies.code.plans;
        let filter = |kind: Kind| {
            let matching = policies.rules().iter().map(|rule| rule.index as usize);
            let matching = matching.filter(|rule| policies.rules()[*rule].kinds.contains(kind));
            Prefilter::new(kind, matching.map(|rule| (rule, &plans[rule].condition)))
        };
        let mut known = BTreeMap::<&Reads, usize>::new();
        let mut class = |reads| {
            let next = known.len();
            *known.entry(reads).or_insert(next)
        };
        let classes = plans.iter().map(|plan| plan.reads.as_ref().map(&mut class)).collect();
        let mut reads: Vec<(usize, Reads)> = known.into_iter().map(|(reads, class)| (class, reads.clone())).collect();
        reads.sort_by_key(|(class, _)| *class);
        Shortcuts {
            filters: Kind::ALL.into_iter().map(filter).collect(),
            classes,
            reads: reads.into_iter().map(|(_, reads)| reads).collect(),
            cache: Cache::new(CACHE_BYTES),
            key: Vec::new(),
            counters: Counters::default(),
        }
    }

    /// The rules that can fire, those that share a key together.
    pub(super) fn batches(&mut self, kind: Kind, input: &Value) -> Vec<Batch> {
        let mut rules = Vec::new();
        self.filters[kind as usize].survivors(input, &mut rules);
        self.counters.events += 1;
        self.counters.candidates += rules.len() as u64;
        let mut batches: Vec<Batch> = Vec::new();
        for rule in rules {
            let class = self.classes[rule];
            match batches.iter_mut().find(|batch| batch.class == class) {
                Some(batch) => batch.rules.push(rule),
                None => batches.push(Batch { class, rules: vec![rule] }),
            }
        }
        batches
    }

    /// Adds what a batch is known to give. False when it has to be run.
    pub(super) fn recall(&mut self, kind: Kind, input: &Value, batch: &Batch, fired: &mut Vec<Fired>) -> bool {
        let Some(class) = batch.class else {
            self.counters.uncached += batch.rules.len() as u64;
            return false;
        };
        self.key.clear();
        self.key.push(kind as u8);
        self.key.extend_from_slice(&class.to_le_bytes());
        keys::write(&self.reads[class], input, &mut self.key);
        match self.cache.get(&self.key) {
            Some(members) => {
                fired.extend(members.iter().map(|(rule, set)| (*rule, Ok(Arc::clone(set)))));
                self.counters.hits += 1;
                true
            }
            None => {
                self.counters.misses += 1;
                false
            }
        }
    }

    pub(super) fn forget(&mut self) {
        self.cache = Cache::new(CACHE_BYTES);
    }

    /// Keeps what the batch that was asked for last gave, unless a rule failed.
    pub(super) fn keep(&mut self, batch: &Batch, fired: &[Fired]) {
        if batch.class.is_none() {
            return;
        }
        let members = fired.iter().map(|(rule, result)| result.as_ref().ok().map(|set| (*rule, Arc::clone(set))));
        if let Some(members) = members.collect::<Option<Members>>() {
            let text = members.iter().map(|(_, set)| set_size(set)).sum();
            self.cache.put(&self.key, members, text);
            self.counters.cache_bytes = self.cache.bytes() as u64;
        }
    }
}

fn set_size(set: &Set) -> usize {
    set.iter().map(size).sum()
}

/// Bytes a value takes, roughly and rather more.
fn size(value: &Value) -> usize {
    const CELL: usize = 64;
    match value {
        Value::String(text) => CELL + text.len(),
        Value::Array(array) => CELL + array.iter().map(size).sum::<usize>(),
        Value::Set(set) => CELL + set_size(set),
        Value::Object(object) => CELL + object.iter().map(|(key, value)| size(key) + size(value)).sum::<usize>(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Undefined => CELL,
    }
}
