//! Builds the country table that the kernel reads: see `sentinel_common::geo` for its form and its look-up.
//!
//! Invariants: children of a node and runs of a node lie side by side; a slot is divided only when it holds more than one
//! class. Not here: what classes are (`classes`), and how the image gets into the kernel.

use sentinel_common::geo::{Class, NODE, Node, ROOTS, Table, Tail};

use crate::classes::Classes;

/// The whole table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableImage {
    /// Root slots, IPv4 then IPv6.
    pub roots: Vec<u32>,
    /// Nodes.
    pub nodes: Vec<Node>,
    /// Classes of runs.
    pub runs: Vec<Class>,
    /// Ranges inside of divided /64s, and their heads.
    pub tails: Vec<Tail>,
}

/// A block of addresses that holds more than one class: the number it was promised, where it starts (left-justified in 128
/// bits), its length in bits, and the range that holds its first address.
#[derive(Clone, Copy)]
struct Pending {
    number: usize,
    first: u128,
    length: u32,
    range: usize,
}

/// Bits of the address that nodes look at.
const NODE_BITS: u32 = 64;
/// Slots of a node.
const SLOTS: u128 = 256;

impl TableImage {
    /// Builds the image.
    #[must_use]
    pub fn new(classes: &Classes) -> Self {
        let mut image = Self::default();
        let v4: Vec<_> = classes.v4.iter().map(|(start, class)| (u128::from(*start) << 96, *class)).collect();
        image.family(&Ranges(&v4));
        image.family(&Ranges(&classes.v6));
        image
    }

    /// Bytes that the kernel needs for its arrays.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of_val(&self.roots[..])
            + size_of_val(&self.nodes[..])
            + size_of_val(&self.runs[..])
            + size_of_val(&self.tails[..])
    }

    fn family(&mut self, ranges: &Ranges<'_>) {
        let mut nodes = Vec::new();
        let mut range = 0;
        for index in 0..ROOTS {
            let first = u128::from(index) << 112;
            range = ranges.at(range, first);
            let root = ranges.class(range, first, 16).map_or_else(
                || {
                    let number = self.promise();
                    nodes.push(Pending { number, first, length: 16, range });
                    number as u32 | NODE
                },
                u32::from,
            );
            self.roots.push(root);
        }
        let mut tails = Vec::new();
        // Breadth first: a node's children are promised together, so they lie side by side.
        let mut next = 0;
        while next < nodes.len() {
            let block = nodes[next];
            self.nodes[block.number] = self.node(ranges, block, &mut nodes, &mut tails);
            next += 1;
        }
        self.tail_lists(ranges, &tails);
    }

    fn promise(&mut self) -> usize {
        self.nodes.push(Node::default());
        self.nodes.len() - 1
    }

    fn node(
        &mut self,
        ranges: &Ranges<'_>,
        block: Pending,
        nodes: &mut Vec<Pending>,
        tails: &mut Vec<Pending>,
    ) -> Node {
        let Pending { first, length, mut range, .. } = block;
        let last_level = length + 8 == NODE_BITS;
        let child = if last_level { self.tails.len() } else { self.nodes.len() };
        let mut node = Node { child: child as u32, run: self.runs.len() as u32, ..Node::default() };
        let shift = 120 - length;
        let mut current = None;
        let mut slot = 0;
        while slot < SLOTS {
            let (word, bit) = ((slot >> 6) as usize, 1 << (slot & 63));
            let start = first | slot << shift;
            range = ranges.at(range, start);
            // Slots from here to there are inside the range as a whole.
            let end = ranges.end(range).map_or(SLOTS, |end| SLOTS.min((end - first) >> shift));
            let whole = end > slot;
            if !whole {
                node.children[word] |= bit;
                if last_level {
                    self.tails.push(Tail::default());
                    tails.push(Pending { number: self.tails.len() - 1, first: start, length: NODE_BITS, range });
                } else {
                    let number = self.promise();
                    nodes.push(Pending { number, first: start, length: length + 8, range });
                }
            }
            // A child goes on with the run before it; slot 0 begins one in any case, so that ranks begin at 1.
            let run = if whole { ranges.0[range].1 } else { current.unwrap_or(0) };
            if current != Some(run) {
                node.starts[word] |= bit;
                self.runs.push(run);
                current = Some(run);
            }
            slot = if whole { end } else { slot + 1 };
        }
        count_before(&node.children, &mut node.children_before);
        count_before(&node.starts, &mut node.starts_before);
        node
    }

    /// Fills the heads, and puts the ranges behind all heads.
    fn tail_lists(&mut self, ranges: &Ranges<'_>, tails: &[Pending]) {
        for Pending { number, first, range, .. } in tails {
            let inside = ranges.inside(*range, *first);
            let begin = self.tails.len() as u64;
            self.tails[*number] = Tail { low: begin, class: inside.len() as u32, pad: 0 };
            self.tails.extend(inside.iter().enumerate().map(|(index, (start, class))| {
                let low = if index == 0 { 0 } else { *start as u64 };
                Tail { low, class: u32::from(*class), pad: 0 }
            }));
        }
    }
}

fn count_before(words: &[u64; 4], before: &mut [u8; 4]) {
    let mut count = 0;
    for (word, before) in words.iter().zip(before) {
        *before = count as u8; // at most 192: three full words
        count += word.count_ones();
    }
}

/// Sorted range starts, left-justified, with their classes.
struct Ranges<'a>(&'a [(u128, Class)]);

impl Ranges<'_> {
    /// Number of the range that holds the address, seen from one that is not behind it: blocks are gone through in their order,
    /// which is faster than to search for each.
    fn at(&self, from: usize, address: u128) -> usize {
        let starts = self.0[from + 1..].iter().map(|(start, _)| *start);
        from + starts.take_while(|start| *start <= address).count()
    }

    /// Where a range ends: the first address behind it; `None`: at the end of all addresses.
    fn end(&self, range: usize) -> Option<u128> {
        self.0.get(range + 1).map(|(next, _)| *next)
    }

    /// The class of a block, if it is one class; `range` holds its first address.
    fn class(&self, range: usize, first: u128, length: u32) -> Option<Class> {
        let last = first | u128::MAX >> length;
        self.end(range).is_none_or(|end| end > last).then(|| self.0[range].1)
    }

    /// The ranges in the /64 that starts at `first`, which `range` holds.
    fn inside(&self, range: usize, first: u128) -> &[(u128, Class)] {
        &self.0[range..=self.at(range, first | u128::from(u64::MAX))]
    }
}

impl Table for TableImage {
    fn root(&self, index: u32) -> Option<u32> {
        self.roots.get(index as usize).copied()
    }

    fn node(&self, number: u32) -> Option<&Node> {
        self.nodes.get(number as usize)
    }

    fn run(&self, number: u32) -> Option<Class> {
        self.runs.get(number as usize).copied()
    }

    fn tail(&self, number: u32) -> Option<Tail> {
        self.tails.get(number as usize).copied()
    }
}

#[cfg(test)]
mod tests;
