//! The country table as the kernel holds it: arrays in two banks. The benchmark's object has this file too.
//!
//! Invariant: the look-up itself is `sentinel_common::geo`'s; here is only where its parts lie.

use aya_ebpf::{
    btf_maps::{Array, ArrayOfMaps},
    macros::btf_map,
};
use sentinel_common::{
    address::Address,
    geo::{Class, ClassRules, Node, ROOT_BLOCK, RUN_BLOCK, Table, Tail, class_of},
    verdict::bank,
};

/// `BPF_F_INNER_MAP` (5.10): the arrays that are put in differ in size.
const ANY_SIZE: usize = 1 << 12;
/// An array of two copies; the state says which is in force; a copy is never changed while it is.
type Banks<T> = ArrayOfMaps<Array<T, 1, ANY_SIZE>, 2>;

/// Country table: root slots.
#[btf_map]
static GEO_ROOTS: Banks<[u32; ROOT_BLOCK]> = Banks::new();

/// Country table: nodes.
#[btf_map]
static GEO_NODES: Banks<Node> = Banks::new();

/// Country table: classes of runs.
#[btf_map]
static GEO_RUNS: Banks<[Class; RUN_BLOCK]> = Banks::new();

/// Country table: what is finer than /64.
#[btf_map]
static GEO_TAILS: Banks<Tail> = Banks::new();

/// What the policy says of each class.
#[btf_map]
static GEO_RULES: Banks<ClassRules> = Banks::new();

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
pub(crate) extern "C" fn country_class(word: u64, high: u64, low: u64) -> u64 {
    class_of(&Bank::of(word), Address { high, low }).map_or(BROKEN, u64::from)
}

/// No class: the table is not whole.
pub(crate) const BROKEN: u64 = u64::MAX;

/// What the policy says of a normalised address; `None` if the table is not whole.
#[inline(always)]
pub(crate) fn rules(word: u64, address: Address) -> Option<&'static ClassRules> {
    let class = country_class(word, address.high, address.low);
    if class == BROKEN {
        return None;
    }
    GEO_RULES.get_value((word & bank::RULES != 0) as u32, &(class as u32))
}
