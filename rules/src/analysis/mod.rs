//! What can be known about policies without running them.
//!
//! One place for it: the names in a module, the references between rules, the kinds of event a rule can match,
//! the fields it reads. Works on regorus's syntax tree, before compilation. What the kernel could decide alone
//! will be found here as well.

pub(crate) mod conditions;
pub(crate) mod corpus;
mod entry;
pub(crate) mod graph;
pub(crate) mod kinds;
pub(crate) mod names;
pub(crate) mod needs;
pub(crate) mod reads;
pub(crate) mod tidy;
pub(crate) mod walk;

use std::collections::BTreeSet;
use std::fmt;

use corpus::Corpus;
pub use entry::beyond_entry;
use graph::Definition;
use regorus::{Value, unstable::Expr};

/// Paths below `input`, dotted. An index that is not known until evaluation is `*`, as in
/// `process.ancestors.*.name`; all of `input` is the empty path.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FieldSet(BTreeSet<String>);

impl FieldSet {
    /// The paths, sorted.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether `path`, something below it, or something that holds it is read.
    pub fn reads(&self, path: &str) -> bool {
        let within = |inner: &str, outer: &str| {
            outer.is_empty() || inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.0.iter().any(|field| within(field, path) || within(path, field))
    }

    /// Whether nothing of `input` is read.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<String> for FieldSet {
    fn from_iter<I: IntoIterator<Item = String>>(paths: I) -> FieldSet {
        FieldSet(paths.into_iter().collect())
    }
}

impl fmt::Display for FieldSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, path) in self.0.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(f, "{comma}{path}")?;
        }
        Ok(())
    }
}

/// The fields one definition reads, helpers included.
pub(crate) fn fields_read(corpus: &Corpus, definition: Definition) -> FieldSet {
    let source = &corpus.modules[definition.0];
    let look = corpus.graph.look(corpus.rule(definition), &source.names);
    let reached = corpus.graph.reachable(look.edges);
    let paths = reached.iter().flat_map(|node| &corpus.graph.nodes[*node].input);
    look.input.iter().chain(paths).map(|path| path.join(".")).collect()
}

/// The value of a literal.
pub(crate) fn literal(expr: &Expr) -> Option<Value> {
    match expr {
        Expr::String { value, .. }
        | Expr::RawString { value, .. }
        | Expr::Number { value, .. }
        | Expr::Bool { value, .. }
        | Expr::Null { value, .. } => Some(value.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
