//! Writes small MaxMind DB files, right ones and wrong ones, byte by byte.
//!
//! Only what the tests need: 24-bit records, maps, short strings and unsigned numbers.

use std::collections::BTreeMap;

/// A value of the data section.
#[derive(Clone)]
pub(crate) enum Value {
    Text(String),
    U16(u16),
    U32(u32),
    U64(u64),
    Map(Vec<(String, Value)>),
    List(Vec<Value>),
}

pub(crate) fn text(text: &str) -> Value {
    Value::Text(text.into())
}

pub(crate) fn map(entries: &[(&str, Value)]) -> Value {
    Value::Map(entries.iter().map(|(key, value)| ((*key).into(), value.clone())).collect())
}

/// What a record of the search tree points to.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Target {
    Nothing,
    Node(usize),
    /// An offset in the data section.
    Data(usize),
}

/// A database being made.
pub(crate) struct Builder {
    pub(crate) nodes: Vec<[Target; 2]>,
    pub(crate) data: Vec<u8>,
    pub(crate) ip_version: u16,
    pub(crate) build: u64,
    pub(crate) database_type: String,
}

impl Builder {
    pub(crate) fn new(ip_version: u16) -> Self {
        let nodes = vec![[Target::Nothing; 2]];
        Self { nodes, data: Vec::new(), ip_version, build: 1_700_000_000, database_type: "Made for a test".into() }
    }

    /// Adds a record to the data section; gives its offset.
    pub(crate) fn record(&mut self, value: &Value) -> Target {
        let offset = self.data.len();
        encode(&mut self.data, value);
        Target::Data(offset)
    }

    /// Points a prefix to a target; `address` is left-aligned in 128 bits.
    pub(crate) fn insert(&mut self, address: u128, len: u32, target: Target) {
        let mut node = 0;
        for depth in 0..len {
            let side = usize::from(address << depth >> 127 == 1);
            if depth + 1 == len {
                self.nodes[node][side] = target;
                return;
            }
            node = match self.nodes[node][side] {
                Target::Node(next) => next,
                old => {
                    self.nodes.push([old; 2]);
                    let next = self.nodes.len() - 1;
                    self.nodes[node][side] = Target::Node(next);
                    next
                }
            };
        }
    }

    pub(crate) fn finish(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for target in self.nodes.iter().flatten() {
            let number = match target {
                Target::Nothing => self.nodes.len(),
                Target::Node(node) => *node,
                Target::Data(offset) => self.nodes.len() + 16 + offset,
            };
            out.extend(&u32::try_from(number).unwrap().to_be_bytes()[1..]);
        }
        out.extend([0; 16]);
        out.extend(&self.data);
        out.extend(b"\xab\xcd\xefMaxMind.com");
        encode(&mut out, &self.metadata());
        out
    }

    fn metadata(&self) -> Value {
        map(&[
            ("binary_format_major_version", Value::U16(2)),
            ("binary_format_minor_version", Value::U16(0)),
            ("build_epoch", Value::U64(self.build)),
            ("database_type", text(&self.database_type)),
            ("description", map(&[("en", text("test"))])),
            ("ip_version", Value::U16(self.ip_version)),
            ("languages", Value::List(vec![text("en")])),
            ("node_count", Value::U32(u32::try_from(self.nodes.len()).unwrap())),
            ("record_size", Value::U16(24)),
        ])
    }
}

/// A database of prefixes, left-aligned in 128 bits, and their records; equal records are stored once.
pub(crate) fn database(ip_version: u16, networks: &[(u128, u32, Value)]) -> Builder {
    let mut builder = Builder::new(ip_version);
    let mut known = BTreeMap::new();
    for (address, len, value) in networks {
        let mut key = Vec::new();
        encode(&mut key, value);
        let target = *known.entry(key).or_insert_with(|| builder.record(value));
        builder.insert(*address, *len, target);
    }
    builder
}

fn encode(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Text(text) => {
            assert!(text.len() < 29, "only short strings are supported");
            out.push(2 << 5 | text.len() as u8);
            out.extend(text.bytes());
        }
        Value::U16(number) => encode_number(out, &[5 << 5], &number.to_be_bytes()),
        Value::U32(number) => encode_number(out, &[6 << 5], &number.to_be_bytes()),
        // Type 9 is "extended" and the number less 7, which comes after the size.
        Value::U64(number) => encode_number(out, &[0, 9 - 7], &number.to_be_bytes()),
        Value::Map(entries) => {
            out.push(7 << 5 | entries.len() as u8);
            for (key, value) in entries {
                encode(out, &Value::Text(key.clone()));
                encode(out, value);
            }
        }
        Value::List(values) => {
            out.extend([values.len() as u8, 11 - 7]);
            values.iter().for_each(|value| encode(out, value));
        }
    }
}

/// Leading zero bytes are left out; the first head byte takes the size.
fn encode_number(out: &mut Vec<u8>, head: &[u8], bytes: &[u8]) {
    let significant: Vec<u8> = bytes.iter().copied().skip_while(|byte| *byte == 0).collect();
    out.push(head[0] | significant.len() as u8);
    out.extend(&head[1..]);
    out.extend(significant);
}
