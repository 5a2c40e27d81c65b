//! What can be said of an event by looking at single fields: tests, and formulas over them.
//!
//! A test is exact: it holds or it does not, and a field that is not there fails every test. So a formula can be
//! negated, and what is not known is left out on the side where that is safe.

use std::collections::BTreeSet;

use regorus::Value;

/// Most tests in one formula. A larger one says little for its price.
const MAX_TESTS: usize = 200;

/// A value worked out from one field.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Term {
    /// A field of `input`, by the names and indices on the way.
    Field(Vec<Value>),
    /// A text made from another value. Of a value of the wrong type it is undefined, as in Rego.
    Apply(Op, Box<Term>),
}

impl Term {
    /// Whether it is a part of `other`, or worked out from one.
    fn is_made_of(&self, other: &Term) -> bool {
        match (self, other) {
            (Term::Field(path), Term::Field(outer)) => path.starts_with(outer),
            (Term::Apply(_, inner), other) => self == other || inner.is_made_of(other),
            (Term::Field(_), Term::Apply(..)) => false,
        }
    }
}

/// Makes a text of a text, or of an array of texts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Op {
    Lower,
    Upper,
    TrimPrefix(String),
    TrimSuffix(String),
    /// The part after the last separator.
    Last(String),
    /// The texts of an array, with a separator between them.
    Join(String),
}

/// What is asked of a value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Test {
    /// It is there.
    Defined,
    /// It is there and not `false`.
    True,
    OneOf(BTreeSet<Value>),
    StartsWith(BTreeSet<String>),
    EndsWith(BTreeSet<String>),
    Contains(BTreeSet<String>),
}

/// Tests, joined.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Formula {
    Always,
    Never,
    Test { term: Term, test: Test, holds: bool },
    All(Vec<Formula>),
    Any(Vec<Formula>),
}

impl Formula {
    pub(crate) fn test(term: &Term, test: Test) -> Formula {
        let impossible = match &test {
            Test::Defined | Test::True => false,
            Test::OneOf(values) => values.is_empty(),
            Test::StartsWith(texts) | Test::EndsWith(texts) | Test::Contains(texts) => texts.is_empty(),
        };
        if impossible { Formula::Never } else { Formula::Test { term: term.clone(), test, holds: true } }
    }

    pub(crate) fn all(parts: impl IntoIterator<Item = Formula>) -> Formula {
        let mut all = Vec::new();
        for part in parts {
            match part {
                Formula::Always => {}
                Formula::Never => return Formula::Never,
                Formula::All(parts) => all.extend(parts),
                part => all.push(part),
            }
        }
        all.sort();
        all.dedup();
        // What passes a test is there, and so is what it is a part of.
        let tested: Vec<Term> = all.iter().filter_map(Formula::tested).cloned().collect();
        all.retain(|part| !matches!(part, Formula::Test { term, test: Test::Defined, holds: true } if tested.iter().any(|tested| tested.is_made_of(term))));
        match all.len() {
            0 => Formula::Always,
            1 => all.swap_remove(0),
            _ => Formula::All(all),
        }
    }

    pub(crate) fn any(parts: impl IntoIterator<Item = Formula>) -> Formula {
        let mut any = Vec::new();
        for part in parts {
            match part {
                Formula::Never => {}
                Formula::Always => return Formula::Always,
                Formula::Any(parts) => any.extend(parts),
                part => any.push(part),
            }
        }
        any.sort();
        any.dedup();
        match any.len() {
            0 => Formula::Never,
            1 => any.swap_remove(0),
            _ => Formula::Any(any),
        }
    }

    /// What is tested and has to pass, other than for being there.
    fn tested(&self) -> Option<&Term> {
        match self {
            Formula::Test { test: Test::Defined, .. } => None,
            Formula::Test { term, holds: true, .. } => Some(term),
            Formula::Test { .. } | Formula::Always | Formula::Never | Formula::All(_) | Formula::Any(_) => None,
        }
    }

    pub(crate) fn negate(self) -> Formula {
        match self {
            Formula::Always => Formula::Never,
            Formula::Never => Formula::Always,
            Formula::Test { term, test, holds } => Formula::Test { term, test, holds: !holds },
            Formula::All(parts) => Formula::any(parts.into_iter().map(Formula::negate)),
            Formula::Any(parts) => Formula::all(parts.into_iter().map(Formula::negate)),
        }
    }

    fn size(&self) -> usize {
        match self {
            Formula::Always | Formula::Never => 0,
            Formula::Test { .. } => 1,
            Formula::All(parts) | Formula::Any(parts) => parts.iter().map(Formula::size).sum(),
        }
    }

    /// The formula, or `otherwise` when it is too large to be worth its price.
    pub(crate) fn limited(self, otherwise: Formula) -> Formula {
        if self.size() > MAX_TESTS { otherwise } else { self }
    }
}
