//! The country table as the kernel holds it: arrays in two banks.
//!
//! Invariant: the look-up itself is `sentinel_common::geo`'s; here is only where its parts lie.

use sentinel_common::{
    address::Address,
    geo::{Class, ClassRules, Node, ROOT_BLOCK, RUN_BLOCK, Table, Tail, class_of},
    verdict::bank,
};

use crate::maps::{GEO_NODES, GEO_ROOTS, GEO_RULES, GEO_RUNS, GEO_TAILS};

/// The copy of the table that a state names.
pub(crate) struct Bank(u32);

impl Bank {
    #[inline(always)]
    pub(crate) const fn of(word: u64) -> Self {
        Self((word & bank::GEO != 0) as u32)
    }
}

impl Table for Bank {
    #[inline(always)]
    fn root(&self, index: u32) -> Option<u32> {
        let block = GEO_ROOTS.get_value(self.0, &(index / ROOT_BLOCK as u32))?;
        Some(block[index as usize % ROOT_BLOCK])
    }

    #[inline(always)]
    fn node(&self, number: u32) -> Option<&Node> {
        GEO_NODES.get_value(self.0, &number)
    }

    #[inline(always)]
    fn run(&self, number: u32) -> Option<Class> {
        let block = GEO_RUNS.get_value(self.0, &(number / RUN_BLOCK as u32))?;
        Some(block[number as usize % RUN_BLOCK])
    }

    #[inline(always)]
    fn tail(&self, number: u32) -> Option<Tail> {
        GEO_TAILS.get_value(self.0, &number).copied()
    }
}

/// The class of a normalised address, or [`BROKEN`].
///
/// A global function: the verifier looks at it once, and at what follows once instead of once for each way through it.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn country_class(word: u64, high: u64, low: u64) -> u64 {
    class_of(&Bank::of(word), Address { high, low }).map_or(BROKEN, u64::from)
}

/// No class: the table is not whole.
const BROKEN: u64 = u64::MAX;

/// What the policy says of a normalised address; `None` if the table is not whole.
#[inline(always)]
pub(crate) fn rules(word: u64, address: Address) -> Option<&'static ClassRules> {
    let class = country_class(word, address.high, address.low);
    if class == BROKEN {
        return None;
    }
    GEO_RULES.get_value((word & bank::RULES != 0) as u32, &(class as u32))
}
