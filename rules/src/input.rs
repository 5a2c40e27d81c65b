//! Builds `input` from typed facts, without a detour over JSON text.
//!
//! Keys are static; each thread keeps its own copy of every key it has used, so building shares no reference
//! count between threads. Which fields an event has is the caller's business.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};

use regorus::Value;

thread_local! {
    static WORDS: RefCell<HashMap<(usize, usize), Value, BuildHasherDefault<AddressHasher>>> = RefCell::default();
}

/// Hashes the address and length of a static text: two multiplications instead of a keyed hash.
#[derive(Default)]
struct AddressHasher(u64);

impl Hasher for AddressHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_usize(usize::from(*byte));
        }
    }

    fn write_usize(&mut self, value: usize) {
        let value = u64::try_from(value).unwrap_or(u64::MAX);
        self.0 = (self.0.rotate_left(23) ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// A string value for a static text, made once per thread.
pub fn word(text: &'static str) -> Value {
    // A static text is told by its address: where that and the length agree, so does the content.
    let key = (text.as_ptr() as usize, text.len());
    WORDS.with_borrow_mut(|words| words.entry(key).or_insert_with(|| Value::from(text)).clone())
}

/// A string value.
pub fn text(text: &str) -> Value {
    Value::from(text)
}

/// An array of values.
pub fn array(items: impl IntoIterator<Item = Value>) -> Value {
    Value::from(items.into_iter().collect::<Vec<_>>())
}

/// An object being built. Setting a key twice keeps the later value.
#[derive(Debug, Default, Clone)]
pub struct Object {
    fields: BTreeMap<Value, Value>,
}

impl Object {
    /// An object without fields.
    pub fn new() -> Object {
        Object::default()
    }

    /// Sets a field.
    pub fn set(&mut self, key: &'static str, value: impl Into<Value>) -> &mut Self {
        self.fields.insert(word(key), value.into());
        self
    }

    /// Sets a field to a static text, made once per thread.
    pub fn set_word(&mut self, key: &'static str, value: &'static str) -> &mut Self {
        self.set(key, word(value))
    }

    /// Sets a field when there is a value. A field that is not set is undefined in Rego.
    pub fn set_some(&mut self, key: &'static str, value: Option<impl Into<Value>>) -> &mut Self {
        match value {
            Some(value) => self.set(key, value),
            None => self,
        }
    }

    /// Sets a field to an object, unless that has no fields.
    pub fn set_object(&mut self, key: &'static str, object: Object) -> &mut Self {
        if object.is_empty() { self } else { self.set(key, object.build()) }
    }

    /// Whether no field is set.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The finished value.
    pub fn build(self) -> Value {
        Value::from(self.fields)
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Value {
        object.build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_what_json_would() {
        let mut user = Object::new();
        user.set_word("id", "0");
        let mut process = Object::new();
        process.set("pid", 7u64).set("args", array([text("sh"), text("-c")]));
        process.set_object("user", user).set_object("hash", Object::new());
        process.set_some("name", Some("sh")).set_some("executable", None::<&str>);
        let mut input = Object::new();
        input.set("process", process);

        let expected = r#"{"process":{"pid":7,"args":["sh","-c"],"user":{"id":"0"},"name":"sh"}}"#;
        assert_eq!(input.build(), Value::from_json_str(expected).unwrap());
    }

    #[test]
    fn words_are_told_apart() {
        assert_eq!(word("exec"), Value::from("exec"));
        assert_ne!(word("exec"), word("exe"));
        assert_eq!(word("exec"), word("exec"));
    }
}
