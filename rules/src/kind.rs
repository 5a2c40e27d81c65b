//! The kinds of event a rule can look at, and sets of them.
//!
//! The names are the values of `event.action`. Adding a kind is adding a line to the table in this file; the
//! compiler then lists every match that must know it. What an event carries is not said here.

use std::fmt;
use std::str::FromStr;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)+) => {
        /// One kind of event, as `event.action` names it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Kind {
            $($(#[$doc])* $name,)+
        }

        impl Kind {
            /// Every kind, in the order of the contract.
            pub const ALL: [Kind; [$($text),+].len()] = [$(Kind::$name),+];

            /// The value of `event.action`.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Kind::$name => $text,)+
                }
            }
        }

        impl FromStr for Kind {
            type Err = UnknownKind;

            fn from_str(text: &str) -> Result<Self, UnknownKind> {
                match text {
                    $($text => Ok(Kind::$name),)+
                    other => Err(UnknownKind(other.to_owned())),
                }
            }
        }
    };
}

kinds! {
    /// A program image replaced another.
    Exec = "exec",
    /// A file was opened.
    Open = "open",
    /// A file or directory was created.
    Create = "create",
    /// A file was renamed.
    Rename = "rename",
    /// A hard or symbolic link was made.
    Link = "link",
    /// A name was removed.
    Unlink = "unlink",
    /// A file was truncated.
    Truncate = "truncate",
    /// Mode, owner or times of a file were changed.
    Setattr = "setattr",
    /// A file system was mounted.
    Mount = "mount",
    /// A file was mapped into memory.
    Mmap = "mmap",
    /// A socket was connected.
    Connect = "connect",
    /// A datagram was sent to a named destination.
    Send = "send",
    /// A connection was accepted.
    Accept = "accept",
    /// A packet left.
    Packet = "packet",
    /// A socket was created of a family that sends past every hook on destinations.
    Socket = "socket",
    /// A process was traced.
    Ptrace = "ptrace",
    /// The bpf system call was used.
    Bpf = "bpf",
    /// A signal was sent.
    Kill = "kill",
}

impl Kind {
    const fn bit(self) -> u32 {
        1 << self as u8
    }

    /// Whether the object of this kind is a network destination; every other kind is about a file.
    pub const fn is_network(self) -> bool {
        match self {
            Kind::Connect | Kind::Send | Kind::Accept | Kind::Packet | Kind::Socket => true,
            Kind::Exec
            | Kind::Open
            | Kind::Create
            | Kind::Rename
            | Kind::Link
            | Kind::Unlink
            | Kind::Truncate
            | Kind::Setattr
            | Kind::Mount
            | Kind::Mmap
            | Kind::Ptrace
            | Kind::Bpf
            | Kind::Kill => false,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no kind of event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a kind of event (event.action)")]
pub struct UnknownKind(pub String);

/// A set of kinds, one bit each.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct KindSet(u32);

impl KindSet {
    /// No kind: such a rule can never fire.
    pub const EMPTY: KindSet = KindSet(0);
    /// Every kind.
    pub const ALL: KindSet = KindSet((1 << Kind::ALL.len()) - 1);

    /// The set holding one kind.
    pub const fn of(kind: Kind) -> KindSet {
        KindSet(kind.bit())
    }

    /// Whether `kind` is in the set.
    pub const fn contains(self, kind: Kind) -> bool {
        self.0 & kind.bit() != 0
    }

    /// The set with `kind` added.
    #[must_use]
    pub const fn with(self, kind: Kind) -> KindSet {
        KindSet(self.0 | kind.bit())
    }

    /// Kinds in either set.
    #[must_use]
    pub const fn union(self, other: KindSet) -> KindSet {
        KindSet(self.0 | other.0)
    }

    /// Kinds in both sets.
    #[must_use]
    pub const fn intersection(self, other: KindSet) -> KindSet {
        KindSet(self.0 & other.0)
    }

    /// Kinds that are not in the set.
    #[must_use]
    pub const fn complement(self) -> KindSet {
        KindSet(!self.0 & KindSet::ALL.0)
    }

    /// Whether no kind is in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether every kind is in the set.
    pub const fn is_all(self) -> bool {
        self.0 == KindSet::ALL.0
    }

    /// The kinds in the set, in the order of the contract.
    pub fn iter(self) -> impl Iterator<Item = Kind> {
        Kind::ALL.into_iter().filter(move |kind| self.contains(*kind))
    }
}

impl FromIterator<Kind> for KindSet {
    fn from_iter<I: IntoIterator<Item = Kind>>(kinds: I) -> KindSet {
        kinds.into_iter().fold(KindSet::EMPTY, KindSet::with)
    }
}

impl fmt::Debug for KindSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Kind::as_str)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back() {
        for kind in Kind::ALL {
            assert_eq!(kind.as_str().parse::<Kind>(), Ok(kind));
        }
        assert!("Exec".parse::<Kind>().is_err());
    }

    #[test]
    fn sets_behave_as_sets() {
        let set: KindSet = [Kind::Exec, Kind::Kill].into_iter().collect();
        assert!(set.contains(Kind::Kill) && !set.contains(Kind::Open));
        assert_eq!(set.complement().union(set), KindSet::ALL);
        assert!(set.complement().intersection(set).is_empty());
        assert_eq!(KindSet::ALL.iter().count(), Kind::ALL.len());
    }
}
