//! The country table: from an address to its class in a bounded number of steps, whatever the policy lists.
//!
//! A class is a set of addresses that no source of country data tells apart, so it does not depend on the policy; what the
//! policy says of a class is a second table ([`ClassRules`]). The first 16 bits of an address select a root slot, each further
//! 8 bits a slot of a node; IPv4 ends after two nodes, IPv6 after six and a short sorted list for what is finer than /64.
//!
//! Invariants: the look-up is this code on both sides; a table that is broken gives `None` and never another address's
//! class. Not here: how the table is built (`geoip::table_image`) and swapped (`sentinel::kernel::geo`).

use crate::address::Address;
use crate::verdict::Entry;

/// Number of a class; 0 is "no source says anything".
pub type Class = u16;

/// Root slots of one family.
pub const ROOTS: u32 = 1 << 16;
/// Set in a root slot that names a node; otherwise the slot is a [`Class`].
pub const NODE: u32 = 1 << 31;
/// Nodes on the longest way: bits 16 to 64.
const STEPS: u32 = 6;
/// Steps of the search in a tail: as many as a 16-bit count needs.
const SEARCH: u32 = 16;

/// Root slots in one map value.
pub const ROOT_BLOCK: usize = 16;
/// Classes of runs in one map value.
pub const RUN_BLOCK: usize = 32;

/// The next 8 bits of an address: 256 slots, each a child or part of a run of slots of one class.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// A bit for each slot that is divided further.
    pub children: [u64; 4],
    /// A bit for each slot that begins a run; slot 0 always does.
    pub starts: [u64; 4],
    /// Number of the first child; the others follow.
    pub child: u32,
    /// Number of the first run; the others follow.
    pub run: u32,
    /// Bits of `children` in the words before each word.
    pub children_before: [u8; 4],
    /// Bits of `starts` in the words before each word.
    pub starts_before: [u8; 4],
}

/// One range of a divided /64, or the head of such a list.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tail {
    /// Last 64 bits of the first address of the range, in host order; in a head: number of the first range.
    pub low: u64,
    /// Class of the range; in a head: how many ranges there are, the first of which starts at 0.
    pub class: u32,
    /// Always zero.
    pub pad: u32,
}

/// Entries that a class can have in [`ClassRules`].
pub const BLOCKS: usize = 3;
/// Exemptions that a class can have.
pub const EXEMPTIONS: usize = 2;

/// What the policy says of a class; entries are tried in order.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassRules {
    /// Exemptions from country rules and all others.
    pub exempt: [Entry; EXEMPTIONS],
    /// Block entries, the strongest first.
    pub block: [Entry; BLOCKS],
}

/// Reads the parts of a table; `None` where there is no such part.
pub trait Table {
    /// Root slot of a family's first 16 bits; IPv6 follows IPv4.
    fn root(&self, index: u32) -> Option<u32>;
    /// A node.
    fn node(&self, number: u32) -> Option<&Node>;
    /// Class of a run.
    fn run(&self, number: u32) -> Option<Class>;
    /// A range or head.
    fn tail(&self, number: u32) -> Option<Tail>;
}

/// The class of a normalised address; `None` if the table is not whole.
#[inline(always)]
pub fn class_of<T: Table>(table: &T, address: Address) -> Option<Class> {
    let (high, low) = address.words();
    let (key, family) = if address.is_v4() { (low << 32, 0) } else { (high, ROOTS) };
    let root = table.root(family + (key >> 48) as u32)?;
    if root & NODE == 0 {
        return Some(root as Class);
    }
    let mut number = root & !NODE;
    for step in 0..STEPS {
        let node = table.node(number)?;
        let slot = (key >> (40 - 8 * step)) as u32 & 255;
        match slot_of(node, slot) {
            Slot::Run(run) => return table.run(run),
            Slot::Child(child) => number = child,
        }
    }
    in_tail(table, number, low)
}

/// What a slot holds.
enum Slot {
    Run(u32),
    Child(u32),
}

#[inline(always)]
fn slot_of(node: &Node, slot: u32) -> Slot {
    let (word, bit) = ((slot >> 6) as usize & 3, slot & 63);
    let children = node.children[word];
    if children >> bit & 1 == 0 {
        let upto = node.starts[word] & u64::MAX >> (63 - bit);
        return Slot::Run((node.run + u32::from(node.starts_before[word]) + upto.count_ones()).wrapping_sub(1));
    }
    let before = children & !(u64::MAX << bit);
    Slot::Child(node.child + u32::from(node.children_before[word]) + before.count_ones())
}

/// The class of the range that holds `low`.
#[inline(always)]
fn in_tail<T: Table>(table: &T, head: u32, low: u64) -> Option<Class> {
    let Tail { low: first, class: count, .. } = table.tail(head)?;
    let first = first as u32;
    // The answer lies in [left, left + length), and the range at `left` starts at or before `low`.
    let (mut left, mut length) = (0, count);
    for _ in 0..SEARCH {
        if length <= 1 {
            break;
        }
        let half = length / 2;
        if table.tail(first + left + half)?.low <= low {
            left += half;
            length -= half;
        } else {
            length = half;
        }
    }
    Some(table.tail(first + left)?.class as Class)
}

const _: () = {
    assert!(size_of::<Node>() == 80);
    assert!(size_of::<Tail>() == 16);
    assert!(size_of::<ClassRules>() == 24 * (BLOCKS + EXEMPTIONS));
};
