//! Finds the rules that can fire on an event, without running any.
//!
//! The conditions of all rules of a kind are laid together: each field is looked up once, each text is worked out
//! once, and all comparisons of one value with written texts are one look-up in a table. Nothing is looked at before
//! a rule asks for it.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use regorus::Value;

use crate::analysis::conditions::{Formula, Op, Term, Test};
use crate::kind::Kind;

/// The conditions of the rules of one kind.
#[derive(Debug, Default)]
pub(super) struct Prefilter {
    fields: Vec<Field>,
    terms: Vec<Slot>,
    tests: Vec<(usize, Check)>,
    /// The rules and what each needs, without those that never fire.
    rules: Vec<(usize, Tree)>,
}

/// A field: its place below another one, or below the event.
#[derive(Debug, PartialEq, Eq)]
struct Field {
    parent: Option<usize>,
    name: Value,
}

/// A value that tests look at.
#[derive(Debug)]
struct Slot {
    source: Source,
    /// For texts that it is compared with: the tests that hold then.
    table: HashMap<Box<str>, Vec<usize>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    Field(usize),
    Apply(Op, usize),
}

#[derive(Debug, PartialEq, Eq)]
enum Check {
    Defined,
    True,
    /// By the table; other values than texts one by one.
    OneOf(Vec<Value>),
    StartsWith(Vec<String>),
    EndsWith(Vec<String>),
    Contains(Vec<String>),
}

#[derive(Debug)]
enum Tree {
    Always,
    Never,
    Test(usize, bool),
    All(Vec<Tree>),
    Any(Vec<Tree>),
}

impl Prefilter {
    /// Lays the conditions together, knowing that the event is of this kind.
    pub(super) fn new<'f>(kind: Kind, rules: impl Iterator<Item = (usize, &'f Formula)>) -> Prefilter {
        let mut filter = Prefilter::default();
        let mut known = BTreeMap::new();
        for (rule, formula) in rules {
            match filter.tree(kind, formula, &mut known) {
                Tree::Never => {}
                tree => filter.rules.push((rule, tree)),
            }
        }
        filter
    }

    fn tree(&mut self, kind: Kind, formula: &Formula, known: &mut BTreeMap<(Term, Test), usize>) -> Tree {
        match formula {
            Formula::Always => Tree::Always,
            Formula::Never => Tree::Never,
            // Which kinds a rule is for has been found out before.
            Formula::Test { term, test: Test::OneOf(values), holds: true } if is_action(term, values, kind) => {
                Tree::Always
            }
            Formula::Test { term, test, holds } => {
                let place = match known.get(&(term.clone(), test.clone())) {
                    Some(place) => *place,
                    None => self.add(term, test),
                };
                known.insert((term.clone(), test.clone()), place);
                Tree::Test(place, *holds)
            }
            Formula::All(parts) => {
                let mut trees: Vec<Tree> = parts.iter().map(|part| self.tree(kind, part, known)).collect();
                trees.retain(|tree| !matches!(tree, Tree::Always));
                trees.sort_by_key(|tree| self.price(tree));
                if trees.is_empty() { Tree::Always } else { Tree::All(trees) }
            }
            Formula::Any(parts) => {
                let mut trees: Vec<Tree> = parts.iter().map(|part| self.tree(kind, part, known)).collect();
                trees.sort_by_key(|tree| self.price(tree));
                if trees.iter().any(|tree| matches!(tree, Tree::Always)) { Tree::Always } else { Tree::Any(trees) }
            }
        }
    }

    /// What is cheap and rarely holds is asked first.
    fn price(&self, tree: &Tree) -> usize {
        match tree {
            Tree::Always | Tree::Never => 0,
            Tree::Test(place, holds) => {
                let (term, check) = &self.tests[*place];
                let derived = usize::from(matches!(self.terms[*term].source, Source::Apply(..)));
                let check = match check {
                    Check::OneOf(_) if *holds => 1,
                    Check::StartsWith(_) | Check::EndsWith(_) if *holds => 2,
                    Check::OneOf(_) | Check::StartsWith(_) | Check::EndsWith(_) | Check::Contains(_) => 5,
                    Check::Defined | Check::True => 4,
                };
                check + derived
            }
            Tree::All(trees) => trees.iter().map(|tree| self.price(tree)).min().unwrap_or(0) + 1,
            Tree::Any(trees) => trees.iter().map(|tree| self.price(tree)).sum::<usize>() + 1,
        }
    }

    fn add(&mut self, term: &Term, test: &Test) -> usize {
        let (slot, place) = (self.slot(term), self.tests.len());
        let list = |texts: &std::collections::BTreeSet<String>| texts.iter().cloned().collect();
        let check = match test {
            Test::Defined => Check::Defined,
            Test::True => Check::True,
            Test::StartsWith(texts) => Check::StartsWith(list(texts)),
            Test::EndsWith(texts) => Check::EndsWith(list(texts)),
            Test::Contains(texts) => Check::Contains(list(texts)),
            Test::OneOf(values) => {
                let mut others = Vec::new();
                for value in values {
                    match value {
                        Value::String(text) => self.terms[slot].table.entry((**text).into()).or_default().push(place),
                        other => others.push(other.clone()),
                    }
                }
                Check::OneOf(others)
            }
        };
        self.tests.push((slot, check));
        place
    }

    fn slot(&mut self, term: &Term) -> usize {
        let source = match term {
            Term::Field(path) => {
                let place = path.iter().fold(None, |parent, name| Some(self.field(parent, name)));
                // All of the event is no field; nothing tests it.
                place.map_or(Source::Field(usize::MAX), Source::Field)
            }
            Term::Apply(op, inner) => Source::Apply(op.clone(), self.slot(inner)),
        };
        self.terms.iter().position(|slot| slot.source == source).unwrap_or_else(|| {
            self.terms.push(Slot { source, table: HashMap::new() });
            self.terms.len() - 1
        })
    }

    fn field(&mut self, parent: Option<usize>, name: &Value) -> usize {
        let field = Field { parent, name: name.clone() };
        self.fields.iter().position(|known| *known == field).unwrap_or_else(|| {
            self.fields.push(field);
            self.fields.len() - 1
        })
    }

    /// Appends the rules that can fire on an event.
    pub(super) fn survivors(&self, input: &Value, rules: &mut Vec<usize>) {
        let mut look = Look {
            filter: self,
            input,
            fields: vec![None; self.fields.len()],
            texts: (0..self.terms.len()).map(|_| None).collect(),
            found: vec![None; self.terms.len()],
        };
        rules.extend(self.rules.iter().filter(|(_, tree)| look.holds(tree)).map(|(rule, _)| *rule));
    }
}

/// Whether a test only says what the kind of event says.
fn is_action(term: &Term, values: &std::collections::BTreeSet<Value>, kind: Kind) -> bool {
    let path = ["event", "action"].map(Value::from);
    matches!(term, Term::Field(field) if *field == path) && values.contains(&Value::from(kind.as_str()))
}

/// What is known about one event so far.
struct Look<'f, 'v> {
    filter: &'f Prefilter,
    input: &'v Value,
    fields: Vec<Option<&'v Value>>,
    texts: Vec<Option<Got<'v>>>,
    /// For each value, the tests that its table says hold.
    found: Vec<Option<&'f [usize]>>,
}

/// A value that was looked at.
#[derive(Clone)]
enum Got<'v> {
    Text(Cow<'v, str>),
    Other(&'v Value),
}

impl<'f, 'v> Look<'f, 'v> {
    fn holds(&mut self, tree: &'f Tree) -> bool {
        match tree {
            Tree::Always => true,
            Tree::Never => false,
            Tree::Test(place, holds) => self.check(*place) == *holds,
            Tree::All(trees) => trees.iter().all(|tree| self.holds(tree)),
            Tree::Any(trees) => trees.iter().any(|tree| self.holds(tree)),
        }
    }

    fn check(&mut self, place: usize) -> bool {
        let filter = self.filter;
        let (slot, check) = &filter.tests[place];
        if let Check::OneOf(others) = check {
            return self.table(*slot).contains(&place) || (!others.is_empty() && self.is_one_of(*slot, others));
        }
        match (check, self.term(*slot)) {
            (Check::Defined, got) => !matches!(got, Got::Other(Value::Undefined)),
            (Check::True, got) => !matches!(got, Got::Other(Value::Undefined | Value::Bool(false))),
            (Check::StartsWith(parts), Got::Text(text)) => parts.iter().any(|part| text.starts_with(part.as_str())),
            (Check::EndsWith(parts), Got::Text(text)) => parts.iter().any(|part| text.ends_with(part.as_str())),
            (Check::Contains(parts), Got::Text(text)) => parts.iter().any(|part| text.contains(part.as_str())),
            (Check::StartsWith(_) | Check::EndsWith(_) | Check::Contains(_), Got::Other(_)) | (Check::OneOf(_), _) => {
                false
            }
        }
    }

    fn is_one_of(&mut self, slot: usize, others: &[Value]) -> bool {
        matches!(self.term(slot), Got::Other(value) if others.contains(value))
    }

    fn table(&mut self, slot: usize) -> &'f [usize] {
        if let Some(found) = self.found[slot] {
            return found;
        }
        let table = &self.filter.terms[slot].table;
        let found = match self.term(slot) {
            Got::Text(text) => table.get(text.as_ref()).map_or(&[][..], Vec::as_slice),
            Got::Other(_) => &[],
        };
        self.found[slot] = Some(found);
        found
    }

    fn term(&mut self, slot: usize) -> &Got<'v> {
        if self.texts[slot].is_none() {
            let got = match &self.filter.terms[slot].source {
                Source::Field(field) => match self.field(*field) {
                    Value::String(text) => Got::Text(Cow::Borrowed(text)),
                    other => Got::Other(other),
                },
                Source::Apply(op, inner) => match self.term(*inner) {
                    Got::Text(text) => apply(op, text).map_or(Got::Other(&Value::Undefined), Got::Text),
                    Got::Other(value) => match op {
                        Op::Join(separator) => join(value, separator),
                        // As in Rego, undefined: these functions take texts.
                        Op::Lower | Op::Upper | Op::TrimPrefix(_) | Op::TrimSuffix(_) | Op::Last(_) => None,
                    }
                    .map_or(Got::Other(&Value::Undefined), |text| Got::Text(Cow::Owned(text))),
                },
            };
            self.texts[slot] = Some(got);
        }
        self.texts[slot].as_ref().unwrap_or(&Got::Other(&Value::Undefined))
    }

    fn field(&mut self, place: usize) -> &'v Value {
        let Some(Field { parent, name }) = self.filter.fields.get(place) else { return self.input };
        if let Some(value) = self.fields[place] {
            return value;
        }
        let parent = parent.map_or(self.input, |parent| self.field(parent));
        let below = match parent {
            Value::Object(object) => object.get(name),
            Value::Array(array) => {
                name.as_u64().ok().and_then(|index| usize::try_from(index).ok()).and_then(|index| array.get(index))
            }
            Value::Set(set) => set.get(name),
            _ => None,
        };
        let value = below.unwrap_or(&Value::Undefined);
        self.fields[place] = Some(value);
        value
    }
}

/// The text that a function of a text gives: a part of the old one where that is possible.
fn apply<'v>(op: &Op, text: &Cow<'v, str>) -> Option<Cow<'v, str>> {
    Some(match op {
        Op::Lower if text.bytes().all(|b| b.is_ascii() && !b.is_ascii_uppercase()) => text.clone(),
        Op::Upper if text.bytes().all(|b| b.is_ascii() && !b.is_ascii_lowercase()) => text.clone(),
        Op::Lower => Cow::Owned(text.to_lowercase()),
        Op::Upper => Cow::Owned(text.to_uppercase()),
        Op::TrimPrefix(prefix) => part(text, prefix, without_prefix),
        Op::TrimSuffix(suffix) => part(text, suffix, without_suffix),
        Op::Last(separator) => part(text, separator, last),
        Op::Join(_) => return None,
    })
}

/// A part of a text: borrowed from the event if that is.
fn part<'v>(text: &Cow<'v, str>, by: &str, part: for<'t> fn(&'t str, &str) -> &'t str) -> Cow<'v, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(part(text, by)),
        Cow::Owned(text) => Cow::Owned(part(text, by).to_owned()),
    }
}

/// The texts of a collection in one, or nothing if one is no text.
fn join(value: &Value, separator: &str) -> Option<String> {
    let texts: Vec<&Value> = match value {
        Value::Array(array) => array.iter().collect(),
        Value::Set(set) => set.iter_sorted().collect(),
        _ => return None,
    };
    let texts: Option<Vec<&str>> = texts.into_iter().map(|text| text.as_string().ok().map(AsRef::as_ref)).collect();
    texts.map(|texts| texts.join(separator))
}

fn without_prefix<'t>(text: &'t str, prefix: &str) -> &'t str {
    text.strip_prefix(prefix).unwrap_or(text)
}

fn without_suffix<'t>(text: &'t str, suffix: &str) -> &'t str {
    text.strip_suffix(suffix).unwrap_or(text)
}

fn last<'t>(text: &'t str, separator: &str) -> &'t str {
    // From the left, as in Rego: longer separators can overlap.
    let from_the_left = |text: &'t str| text.split(separator).last();
    let found = if separator.len() == 1 { text.rsplit(separator).next() } else { from_the_left(text) };
    found.unwrap_or(text)
}
