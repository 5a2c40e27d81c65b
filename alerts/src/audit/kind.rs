//! What a record can be about.

/// The kind of a record; the word in `kind`. Words are never reused for something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// The beginning of a file, and of the trail: which trail, which key.
    Segment,
    /// A signature over everything so far; the next key.
    Checkpoint,
    /// What was found damaged at the start, and what was cut.
    Recovery,
    /// A key that no key before it has signed.
    Rekey,
    /// Old files removed on purpose.
    Retention,
    /// The daemon has started.
    Start,
    /// The daemon ends.
    Stop,
    /// The mode, or another one.
    Mode,
    /// The policies in force, or others.
    Policy,
    /// An embargo programme or list in force, or another version.
    List,
    /// A country database in force, or another one.
    Database,
    /// An event that was refused, would have been, or was let through by an exemption or without a known country.
    Decision,
    /// Exemptions in force.
    Exemption,
    /// What canaries showed.
    Canary,
    /// What each hook does, and how much was examined.
    Coverage,
    /// Events or records that were lost.
    Loss,
    /// The wall clock was set.
    Clock,
    /// What an operator ordered.
    Operator,
    /// How much went where.
    Flow,
}

impl Kind {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::Segment,
        Self::Checkpoint,
        Self::Recovery,
        Self::Rekey,
        Self::Retention,
        Self::Start,
        Self::Stop,
        Self::Mode,
        Self::Policy,
        Self::List,
        Self::Database,
        Self::Decision,
        Self::Exemption,
        Self::Canary,
        Self::Coverage,
        Self::Loss,
        Self::Clock,
        Self::Operator,
        Self::Flow,
    ];

    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Segment => "segment",
            Self::Checkpoint => "checkpoint",
            Self::Recovery => "recovery",
            Self::Rekey => "rekey",
            Self::Retention => "retention",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Mode => "mode",
            Self::Policy => "policy",
            Self::List => "list",
            Self::Database => "database",
            Self::Decision => "decision",
            Self::Exemption => "exemption",
            Self::Canary => "canary",
            Self::Coverage => "coverage",
            Self::Loss => "loss",
            Self::Clock => "clock",
            Self::Operator => "operator",
            Self::Flow => "flow",
        }
    }

    /// The kind of a word; `None` for one of a later version.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == word)
    }
}
