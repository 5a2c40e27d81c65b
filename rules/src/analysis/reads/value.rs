//! What a value in a policy is known to be, as far as it comes from `input`.
//!
//! Pure data: how values arise is in the parent module.

use std::collections::{BTreeMap, BTreeSet};

use crate::schema::{self, Node, Type};

/// Largest value that is followed, in parts.
const MAX_SIZE: usize = 64;

/// What is known of a value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Value {
    /// Nothing.
    Unknown,
    /// One of these parts of `input`.
    Input(BTreeSet<String>),
    /// A single value of this type.
    Scalar(Type),
    /// An array with these items.
    Tuple(Vec<Value>),
    /// A collection whose items are all like this.
    List(Box<Value>),
    /// An object that has at least these keys.
    Object(BTreeMap<String, Value>),
}

impl Value {
    pub(super) fn list(item: Value) -> Value {
        Value::List(Box::new(item)).bounded()
    }

    /// The value, or less of it when it has grown: a function that doubles its argument must not cost more than it did.
    pub(super) fn bounded(self) -> Value {
        if self.size() <= MAX_SIZE {
            return self;
        }
        match self {
            Value::Tuple(items) => Value::list(Value::join_all(items)),
            Value::Unknown | Value::Input(_) | Value::Scalar(_) | Value::List(_) | Value::Object(_) => Value::Unknown,
        }
    }

    fn size(&self) -> usize {
        let below = match self {
            Value::Unknown | Value::Scalar(_) => 0,
            Value::Input(paths) => paths.len(),
            Value::Tuple(items) => items.iter().map(Value::size).sum(),
            Value::List(item) => item.size(),
            Value::Object(fields) => fields.values().map(Value::size).sum(),
        };
        1 + below
    }

    /// What is known of a value that is either one.
    pub(super) fn join(self, other: Value) -> Value {
        match (self, other) {
            (a, b) if a == b => a,
            (Value::Input(mut a), Value::Input(b)) => {
                a.extend(b);
                Value::Input(a)
            }
            (Value::List(a), Value::List(b)) => Value::list(a.join(*b)),
            _ => Value::Unknown,
        }
    }

    pub(super) fn join_all(values: impl IntoIterator<Item = Value>) -> Value {
        values.into_iter().reduce(Value::join).unwrap_or(Value::Unknown)
    }

    /// The parts of `input` it may be.
    pub(super) fn paths(&self) -> impl Iterator<Item = &str> {
        let paths = match self {
            Value::Input(paths) => Some(paths),
            _ => None,
        };
        paths.into_iter().flatten().map(String::as_str)
    }

    /// The first part of `input` that is an object.
    pub(super) fn object_path(&self) -> Option<&str> {
        self.paths().find(|path| matches!(schema::node(path), Some(Node::Object(..))))
    }

    /// Its type, if that is sure.
    pub(super) fn type_word(&self) -> Option<&'static str> {
        match self {
            Value::Scalar(of) => Some(of.as_str()),
            Value::Tuple(_) => Some("array"),
            Value::Input(paths) => {
                let mut words = paths.iter().map(|path| match schema::node(path) {
                    Some(Node::Leaf(of, _)) => Some(of.as_str()),
                    Some(Node::Array(_)) => Some("array"),
                    Some(Node::Object(..)) => Some("object"),
                    None => None,
                });
                let first = words.next()?;
                words.all(|word| word == first).then_some(first).flatten()
            }
            Value::Unknown | Value::List(_) | Value::Object(_) => None,
        }
    }

    /// The name for people of a part of `input`.
    pub(super) fn name(&self) -> Option<String> {
        self.paths().next().map(input_name)
    }
}

/// `input` or `input.a.b`.
pub(super) fn input_name(path: &str) -> String {
    if path.is_empty() { "input".to_owned() } else { format!("input.{}", path.replace("[]", "[_]")) }
}
