//! What was found at each place, over every way of getting there.

use std::collections::{BTreeMap, BTreeSet};

use regorus::unstable::Span;

use super::value::input_name;
use crate::analysis::graph::Definition;
use crate::schema::{self, FIELDS, Node};

/// Where something stands, and which of the things that can be asked there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    module: usize,
    line: u32,
    column: u32,
    what: String,
}

impl Place {
    pub(super) fn of(module: usize, span: &Span, what: &str) -> Place {
        Place { module, line: span.line, column: span.col, what: what.to_owned() }
    }
}

/// Something a rule must not do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) hint: String,
}

/// A part of `input` that a definition reads in its own text, not under `not`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct OwnRead {
    pub(crate) definition: Definition,
    pub(crate) path: String,
    pub(crate) line: u32,
    pub(crate) column: u32,
}

/// What the analysis found, each with module, line and column.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) errors: Vec<(usize, u32, u32, Fault)>,
    pub(crate) notices: Vec<(usize, u32, u32, Fault)>,
    pub(crate) own: BTreeSet<OwnRead>,
    /// What the conditions of each definition depend on, helpers included.
    pub(crate) conditions: BTreeMap<Definition, BTreeSet<String>>,
    /// False when there was too much to follow, and nothing is reported.
    pub(crate) complete: bool,
}

#[derive(Debug, Default)]
struct Observed {
    good: bool,
    fault: Option<Fault>,
}

#[derive(Debug, Default)]
pub(super) struct Seen {
    places: BTreeMap<Place, Observed>,
    whole: BTreeMap<Place, String>,
    unfilled: BTreeMap<Place, String>,
    own: BTreeSet<OwnRead>,
    conditions: BTreeMap<Definition, BTreeSet<String>>,
}

impl Seen {
    /// One way of getting here is well.
    pub(super) fn good(&mut self, place: Place) {
        self.places.entry(place).or_default().good = true;
    }

    /// One way of getting here is at fault.
    pub(super) fn bad(&mut self, place: Place, fault: Fault) {
        self.places.entry(place).or_default().fault.get_or_insert(fault);
    }

    /// An object of `input` is looked at without names.
    pub(super) fn whole(&mut self, place: Place, path: &str) {
        self.whole.entry(place).or_insert_with(|| path.to_owned());
    }

    /// A reference ended at a part of `input`.
    pub(super) fn read(&mut self, module: usize, path: &str, span: &Span, own: Option<Definition>) {
        if !is_filled(path) {
            self.unfilled.entry(Place::of(module, span, "")).or_insert_with(|| path.to_owned());
        }
        if let Some(definition) = own.filter(|definition| definition.0 == module) {
            let path = path.to_owned();
            self.own.insert(OwnRead { definition, path, line: span.line, column: span.col });
        }
    }

    pub(super) fn conditions(&mut self, definition: Definition, read: BTreeSet<String>) {
        self.conditions.insert(definition, read);
    }

    pub(super) fn report(self, complete: bool) -> Report {
        if !complete {
            return Report::default();
        }
        let faults = self.places.into_iter().filter(|(_, seen)| !seen.good);
        let errors = faults.filter_map(|(place, seen)| Some((place.module, place.line, place.column, seen.fault?)));
        let whole = self.whole.into_iter().map(|(place, path)| (place, read_whole(&path)));
        let unfilled = self.unfilled.into_iter().map(|(place, path)| (place, not_filled(&path)));
        let notices = whole.chain(unfilled).map(|(at, fault)| (at.module, at.line, at.column, fault));
        Report {
            errors: errors.collect(),
            notices: notices.collect(),
            own: self.own,
            conditions: self.conditions,
            complete,
        }
    }
}

/// Whether this version fills a field, or any below an object.
fn is_filled(path: &str) -> bool {
    match schema::node(path) {
        Some(Node::Leaf(_, field)) => field.filled,
        Some(Node::Object(..) | Node::Array(_)) => {
            let within = |field: &str| path.is_empty() || field.strip_prefix(path).is_some_and(is_below);
            FIELDS.iter().any(|field| field.filled && within(field.path))
        }
        None => true,
    }
}

fn is_below(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with(['.', '['])
}

fn read_whole(path: &str) -> Fault {
    Fault {
        code: "whole-input",
        message: format!("this looks at all of `{}`: field names that come from it are not checked", input_name(path)),
        hint: "name the fields it is about".to_owned(),
    }
}

fn not_filled(path: &str) -> Fault {
    Fault {
        code: "unfilled-input-field",
        message: format!("`{}` is not filled by this version, so this never holds", input_name(path)),
        hint: "leave the condition out, or use a field that is filled".to_owned(),
    }
}
