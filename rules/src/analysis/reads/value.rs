//! What a value in a policy is known to be, as far as it comes from `input`.
//!
//! Pure data: how values arise is in the parent module.

use std::collections::{BTreeMap, BTreeSet};

use crate::schema::{self, Node, Type};

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
        Value::List(Box::new(item))
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
