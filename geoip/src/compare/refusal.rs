//! When a new database does not take the place of the old one.
//!
//! Invariant: a refusal says what is wrong, gives both numbers and the next step. Each reason can be accepted by name.

use jiff::Timestamp;
use thiserror::Error;

use super::{Amount, Change, Comparison, Place};
use crate::region::names;

/// A place shrinks too much when one part in so many is gone.
const FIFTH: u128 = 5;

/// What an operator has decided to accept; by default nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Accept {
    /// Countries and regions that shrink by a fifth or more.
    pub shrunken: bool,
    /// A build date before that of the database in force.
    pub older: bool,
    /// A build date in the future.
    pub future: bool,
}

/// Why a database is not taken in place of another.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Older than the one in force.
    #[error(
        "it was built {}, before the one in force ({}). Fetch the newest file, or accept the older one explicitly.",
        day(*new), day(*old)
    )]
    Older {
        /// Build date of the database in force, in seconds since 1970.
        old: u64,
        /// Build date of the one refused.
        new: u64,
    },
    /// A country or region is a fifth smaller, or gone.
    #[error(
        "{place} shrinks from {old} to {new}{}. Most often such a file is incomplete: fetch it again. If the change is right, \
         accept it explicitly.", more(*others)
    )]
    Shrunk {
        /// Which one: that which loses the largest share.
        place: Place,
        /// Its size before.
        old: Size,
        /// Its size after.
        new: Size,
        /// How many more shrink as much, in either family.
        others: usize,
    },
}

/// A number of addresses, in the unit that people use for the family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Size {
    /// IPv4 addresses.
    V4(u128),
    /// IPv6 addresses; shown as networks of 48 bits, or of 64 bits where there are less than ten of those.
    V6(u128),
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::V4(addresses) => write!(f, "{} IPv4 addresses", grouped(*addresses)),
            Self::V6(addresses) if *addresses >= 10 << 80 => {
                write!(f, "{} IPv6 /48 networks", grouped(addresses >> 80))
            }
            Self::V6(addresses) => write!(f, "{} IPv6 /64 networks", grouped(addresses.div_ceil(1 << 64))),
        }
    }
}

impl Comparison {
    /// Why the new database must not take the old one's place without a decision; `None` if it may.
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal> {
        self.refusal_unless(&Accept::default())
    }

    /// [`refusal`](Self::refusal), less what is accepted.
    #[must_use]
    pub fn refusal_unless(&self, accept: &Accept) -> Option<Refusal> {
        let (old, new) = (self.old.build, self.new.build);
        if new < old && !accept.older {
            return Some(Refusal::Older { old, new });
        }
        if accept.shrunken {
            return None;
        }
        let mut shrunken: Vec<(Place, Size, Size)> = self.shrunken().collect();
        // The largest share lost first; of equal ones the largest place.
        shrunken.sort_by_key(|(_, old, new)| (share_kept(*old, *new), std::cmp::Reverse(*old)));
        let (place, old, new) = *shrunken.first()?;
        Some(Refusal::Shrunk { place, old, new, others: shrunken.len() - 1 })
    }

    /// Every country and contested region that shrinks by a fifth or more, with its size before and after.
    pub fn shrunken(&self) -> impl Iterator<Item = (Place, Size, Size)> + '_ {
        self.changes.iter().filter(|change| is_watched(change)).flat_map(|change| {
            let v4 = (change.v4, Size::V4(change.v4.old), Size::V4(change.v4.new));
            let v6 = (change.v6, Size::V6(change.v6.old), Size::V6(change.v6.new));
            [v4, v6].into_iter().filter(|(amount, ..)| shrinks(amount)).map(|(_, old, new)| (change.place, old, new))
        })
    }
}

/// Small regions come and go in every release of a city database; those under embargo must not.
fn is_watched(change: &Change) -> bool {
    match change.place {
        Place::Country(_) => true,
        Place::Region(region) => names::all().any(|known| known == region),
    }
}

/// Whether at least a fifth is gone.
fn shrinks(amount: &Amount) -> bool {
    let gone = amount.old.saturating_sub(amount.new);
    gone > 0 && gone >= amount.old.div_ceil(FIFTH)
}

/// In thousandths.
fn share_kept(old: Size, new: Size) -> u128 {
    let (Size::V4(old) | Size::V6(old), Size::V4(new) | Size::V6(new)) = (old, new);
    new.checked_div(old / 1000).unwrap_or_else(|| new * 1000 / old.max(1))
}

fn more(others: usize) -> String {
    match others {
        0 => String::new(),
        1 => ", and 1 more by a fifth or more".to_owned(),
        _ => format!(", and {others} more by a fifth or more"),
    }
}

fn day(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.map_or_else(|| format!("at {seconds} seconds since 1970"), |time| format!("on {}", time.strftime("%F")))
}

/// A number with its digits in groups of three.
fn grouped(number: u128) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_shown_in_the_unit_of_the_family() {
        assert_eq!(Size::V4(1_234_567).to_string(), "1,234,567 IPv4 addresses");
        assert_eq!(Size::V6(12 << 80).to_string(), "12 IPv6 /48 networks");
        assert_eq!(Size::V6(1).to_string(), "1 IPv6 /64 networks");
        assert_eq!(Size::V6(0).to_string(), "0 IPv6 /64 networks");
    }

    #[test]
    fn a_fifth_is_too_much_and_less_is_not() {
        let shrinks = |old: u128, new: u128| shrinks(&Amount { old, new, ..Amount::default() });
        assert!(shrinks(1000, 800) && shrinks(5, 4) && shrinks(1, 0));
        assert!(!shrinks(1000, 801) && !shrinks(0, 0) && !shrinks(10, 20));
        // IPv6 amounts fill the type.
        assert!(!shrinks(1, u128::MAX) && shrinks(u128::MAX, u128::MAX / 2) && !shrinks(u128::MAX, u128::MAX - 1));
    }
}
