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
/// An array of two copies; the state says which is in force, and a copy is never changed while it is.
///
/// Values are words for the kernel, whatever they are for us: 6.1 holds an array whose type information names a structure
/// unlike one without type information, and the arrays that user space puts in have none.
type Banks<const WORDS: usize> = ArrayOfMaps<Array<[u64; WORDS], 1, ANY_SIZE>, 2>;

/// Words of a value.
const fn words<T>() -> usize {
    size_of::<T>() / size_of::<u64>()
}

/// Country table: root slots.
#[btf_map]
static GEO_ROOTS: Banks<{ words::<[u32; ROOT_BLOCK]>() }> = Banks::new();

/// Country table: nodes.
#[btf_map]
static GEO_NODES: Banks<{ words::<Node>() }> = Banks::new();

/// Country table: classes of runs.
#[btf_map]
static GEO_RUNS: Banks<{ words::<[Class; RUN_BLOCK]>() }> = Banks::new();

/// Country table: what is finer than /64.
#[btf_map]
static GEO_TAILS: Banks<{ words::<Tail>() }> = Banks::new();

/// What the policy says of each class.
#[btf_map]
static GEO_RULES: Banks<{ words::<ClassRules>() }> = Banks::new();

/// A value of the copy `bank`.
///
/// # Safety
///
/// `T` must be what the map holds: integers without padding, as many bytes as the words.
#[inline(always)]
unsafe fn value<T, const WORDS: usize>(banks: &'static Banks<WORDS>, bank: u32, index: u32) -> Option<&'static T> {
    let words: &[u64; WORDS] = banks.get_value(bank, &index)?;
    // SAFETY: the caller's; a map value is aligned for words.
    Some(unsafe { &*words.as_ptr().cast() })
}

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
        // SAFETY: the map's type.
        let block: &[u32; ROOT_BLOCK] = unsafe { value(&GEO_ROOTS, self.0, index / ROOT_BLOCK as u32) }?;
        Some(block[index as usize % ROOT_BLOCK])
    }

    #[inline(always)]
    fn node(&self, number: u32) -> Option<&Node> {
        // SAFETY: the map's type.
        unsafe { value(&GEO_NODES, self.0, number) }
    }

    #[inline(always)]
    fn run(&self, number: u32) -> Option<Class> {
        // SAFETY: the map's type.
        let block: &[Class; RUN_BLOCK] = unsafe { value(&GEO_RUNS, self.0, number / RUN_BLOCK as u32) }?;
        Some(block[number as usize % RUN_BLOCK])
    }

    #[inline(always)]
    fn tail(&self, number: u32) -> Option<Tail> {
        // SAFETY: the map's type.
        unsafe { value(&GEO_TAILS, self.0, number) }.copied()
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
    // SAFETY: the map's type.
    unsafe { value(&GEO_RULES, (word & bank::RULES != 0) as u32, class as u32) }
}
