//! The closed word lists of an alert, as enums: one word for each thing, the same in every format.
//!
//! Invariant: the text of a value is part of the contract with whoever reads alerts. Values are added, never renamed.
//!
//! Not here: how a word maps onto the vocabulary of a format (`formats/`).

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// A word that is not in the list it was looked up in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown {what} \"{found}\": use one of {expected}")]
pub struct UnknownTerm {
    /// What kind of word was expected.
    pub what: &'static str,
    /// The word that was found.
    pub found: String,
    /// The words that exist, separated by commas.
    pub expected: String,
}

/// Declares an enum whose values are words: `as_str`, `ALL`, `Display`, `FromStr` and `Serialize` come from one list.
macro_rules! terms {
    ($(#[$doc:meta])* $name:ident as $what:literal { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$vdoc])* $variant,)+
        }

        impl $name {
            /// Every value, in order.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word as it is written in policies, configuration and alerts.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }

        impl FromStr for $name {
            type Err = UnknownTerm;

            fn from_str(word: &str) -> Result<Self, UnknownTerm> {
                Self::ALL.iter().copied().find(|term| term.as_str() == word).ok_or_else(|| UnknownTerm {
                    what: $what,
                    found: word.to_owned(),
                    expected: [$($text),+].join(", "),
                })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    };
}

terms! {
    /// How serious a rule calls what it matched. Ordered: `Info` is the least.
    Severity as "severity" {
        /// Worth a record, not a look.
        Info = "info",
        /// Worth a look when there is time.
        Low = "low",
        /// Worth a look today.
        Medium = "medium",
        /// Worth a look now.
        High = "high",
        /// Worth waking somebody.
        Critical = "critical",
    }
}

terms! {
    /// Whether refusals are in force.
    Mode as "mode" {
        /// Nothing is refused; what would have been is said.
        Monitor = "monitor",
        /// The kernel refuses what the policy forbids.
        Enforce = "enforce",
    }
}

terms! {
    /// Which side decided on this event.
    DecidedIn as "place of decision" {
        /// A verdict map, before the event took effect.
        Kernel = "kernel",
        /// A Rego rule, after the kernel reported the event.
        User = "user",
    }
}

terms! {
    /// What the rules together say about the event.
    Decision as "decision" {
        /// Forbidden.
        Deny = "deny",
        /// Reported only.
        Alert = "alert",
        /// Forbidden, were it not for an exemption in force.
        Exempt = "exempt",
    }
}

terms! {
    /// The name of the set that a rule adds to: an event rule, or one of the standing rules.
    Verb as "rule verb" {
        /// Alert, and a block entry.
        Deny = "deny",
        /// Alert only.
        Alert = "alert",
        /// Keeps the event rules of its own package from deciding.
        Allow = "allow",
        /// Destinations in these countries are refused.
        BlockCountries = "block_countries",
        /// Destinations outside these countries are refused.
        AllowCountries = "allow_countries",
        /// Destinations in these regions are refused.
        BlockRegions = "block_regions",
        /// Destinations in these prefixes are refused.
        BlockCidrs = "block_cidrs",
        /// Access to these paths is refused.
        BlockPaths = "block_paths",
        /// Execution of these files is refused.
        BlockExecutables = "block_executables",
        /// Execution of files with these digests is refused.
        BlockHashes = "block_hashes",
        /// Execution of all other files is refused.
        AllowExecutables = "allow_executables",
        /// What these cover is let through, and recorded.
        Exemptions = "exemptions",
    }
}

terms! {
    /// What happened on the host: the value of `event.action`.
    Action as "event action" {
        /// A program was executed.
        Exec = "exec",
        /// A file was opened.
        Open = "open",
        /// A file was created.
        Create = "create",
        /// A file got another name.
        Rename = "rename",
        /// A file got one more name.
        Link = "link",
        /// A file lost a name.
        Unlink = "unlink",
        /// A file was cut to a length.
        Truncate = "truncate",
        /// Owner, mode or another attribute of a file was set.
        Setattr = "setattr",
        /// A filesystem was mounted.
        Mount = "mount",
        /// A file was mapped into memory as code.
        Mmap = "mmap",
        /// A socket was connected.
        Connect = "connect",
        /// A datagram was sent to an address.
        Send = "send",
        /// A connection was accepted.
        Accept = "accept",
        /// A packet left the host.
        Packet = "packet",
        /// A socket was created of a family that sends past every hook on destinations.
        Socket = "socket",
        /// A process was traced or its memory written.
        Ptrace = "ptrace",
        /// The bpf system call was used.
        Bpf = "bpf",
        /// A signal was sent.
        Kill = "kill",
        /// Nothing on the host: Sentinel says something about its own data or settings.
        Notice = "notice",
        /// Sentinel tried whether the kernel does what the policy says, and it does not.
        Canary = "canary",
    }
}

/// What the kernel's verdict on this event was. It is the kernel's own answer and never inferred from a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Refused: the caller got an error. `blocked` and `would_block` are both true.
    Refused,
    /// Let through because refusal is not in force (monitor mode): `blocked` is false, `would_block` is true.
    WouldBlock,
    /// Let through: plain alerts, decisions taken after the event, exemptions. Both are false.
    Passed,
}

impl Effect {
    /// Whether the kernel refused.
    #[must_use]
    pub const fn blocked(self) -> bool {
        match self {
            Self::Refused => true,
            Self::WouldBlock | Self::Passed => false,
        }
    }

    /// Whether the event is refused, or would be in enforce mode.
    #[must_use]
    pub const fn would_block(self) -> bool {
        match self {
            Self::Refused | Self::WouldBlock => true,
            Self::Passed => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_parses_back() {
        for action in Action::ALL {
            assert_eq!(action.as_str().parse::<Action>().as_ref(), Ok(action));
        }
        for verb in Verb::ALL {
            assert_eq!(verb.as_str().parse::<Verb>().as_ref(), Ok(verb));
        }
    }

    #[test]
    fn an_unknown_word_lists_the_known_ones() {
        let error = "urgent".parse::<Severity>().unwrap_err();
        assert_eq!(error.to_string(), "unknown severity \"urgent\": use one of info, low, medium, high, critical");
        assert!("High".parse::<Severity>().is_err(), "words are lower case");
    }

    #[test]
    fn severity_is_ordered() {
        assert!(Severity::Info < Severity::Low && Severity::High < Severity::Critical);
    }

    #[test]
    fn blocked_implies_would_block() {
        for effect in [Effect::Refused, Effect::WouldBlock, Effect::Passed] {
            assert!(!effect.blocked() || effect.would_block());
        }
    }
}
