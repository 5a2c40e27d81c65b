//! The small words a policy uses about itself: verb, severity, mode, technique, engine.
//!
//! Each is an enum with one spelling, the one written in policies and alerts. Rules and decisions are in
//! `policies` and `decision`.

macro_rules! words {
    ($(#[$outer:meta])* $enum:ident: $what:literal { $($(#[$doc:meta])* $name:ident = $text:literal,)+ }) => {
        $(#[$outer])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $enum {
            $($(#[$doc])* $name,)+
        }

        impl $enum {
            /// Every value, in order.
            pub const ALL: [$enum; [$($text),+].len()] = [$($enum::$name),+];

            /// The word as policies and alerts spell it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $($enum::$name => $text,)+
                }
            }
        }

        impl std::fmt::Display for $enum {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $enum {
            type Err = $crate::vocabulary::UnknownWord;

            fn from_str(text: &str) -> Result<Self, $crate::vocabulary::UnknownWord> {
                match text {
                    $($text => Ok($enum::$name),)+
                    other => Err($crate::vocabulary::UnknownWord { word: other.to_owned(), what: $what, known: &[$($text),+] }),
                }
            }
        }
    };
}

pub(crate) use words;

/// A word that is not among the ones its place allows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{word}\" is not a {what}; use one of: {}", known.join(", "))]
pub struct UnknownWord {
    /// What was written.
    pub word: String,
    /// What was expected.
    pub what: &'static str,
    /// The words that are allowed.
    pub known: &'static [&'static str],
}

words! {
    /// What an event rule asks for.
    Verb: "kind of event rule" {
        /// An alert and a block entry.
        Deny = "deny",
        /// An alert.
        Alert = "alert",
        /// Keeps the event rules of its own package from deciding on this event.
        Allow = "allow",
    }
}

words! {
    /// How bad it is, from least to most.
    Severity: "severity" {
        /// For the record.
        Info = "info",
        /// Look at it some day.
        Low = "low",
        /// Look at it.
        Medium = "medium",
        /// Look at it today.
        High = "high",
        /// Look at it now.
        Critical = "critical",
    }
}

words! {
    /// Whether a refusal is carried out. The weaker of the global mode and the rule's own applies.
    Mode: "mode" {
        /// Only said, as `would_block`.
        Monitor = "monitor",
        /// Carried out by the kernel.
        Enforce = "enforce",
    }
}

words! {
    /// How far a rule has been tried in the field.
    Maturity: "maturity" {
        /// Right, but common on some hosts: expect alerts to tune.
        Noisy = "noisy",
        /// Tried, still being tuned.
        Incubating = "incubating",
        /// Fit to be left on.
        Stable = "stable",
        /// Kept for those who use it; will go.
        Deprecated = "deprecated",
    }
}

words! {
    /// What a rule that gives no decision, because it failed on an event, means.
    OnError: "on_error" {
        /// Nothing; it is counted.
        Allow = "allow",
        /// It is told, and counted.
        Alert = "alert",
        /// As if a `deny` had matched, and told: what cannot be judged is refused from the next event on.
        Deny = "deny",
    }
}

/// One technique of the MITRE ATT&CK matrix.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Technique {
    /// `T1059` or `T1059.004`.
    pub id: String,
    /// Its name; empty when the built-in table does not know the id.
    pub name: String,
    /// The tactic it is listed under first; empty when the table does not know the id.
    pub tactic: String,
}

/// What evaluates a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Engine {
    /// The register machine: compiled, several times faster.
    Rvm,
    /// regorus's interpreter, because the machine's compiler refused the rule.
    Interpreter {
        /// What the compiler said.
        reason: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back_and_errors_list_the_choices() {
        for severity in Severity::ALL {
            assert_eq!(severity.as_str().parse::<Severity>(), Ok(severity));
        }
        let error = "urgent".parse::<Severity>().unwrap_err().to_string();
        assert!(error.contains("urgent") && error.contains("info, low, medium, high, critical"), "{error}");
    }
}
