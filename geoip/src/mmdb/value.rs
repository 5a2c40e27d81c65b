//! Any value of an MMDB data section, decoded in full so that damage anywhere in it shows.
//!
//! Invariant: decoding visits every byte of the value and nests no deeper than [`MAX_DEPTH`]. Whole numbers
//! that are not negative are kept, other numbers and bytes are checked and dropped. Not here: what a value means.

use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Real records nest four deep; a hostile one would fill the stack.
const MAX_DEPTH: u8 = 32;

/// A decoded value.
#[derive(Debug, PartialEq)]
pub(super) enum Value<'de> {
    /// A string.
    Text(&'de str),
    /// A map, in the order of the file.
    Map(Vec<(&'de str, Value<'de>)>),
    /// An array.
    List(Vec<Value<'de>>),
    /// A whole number.
    Number(u64),
    /// Anything else.
    Other,
}

impl<'de> Value<'de> {
    /// The value of a key, if this is a map that has it.
    pub(super) fn get(&self, key: &str) -> Option<&Value<'de>> {
        match self {
            Self::Map(entries) => entries.iter().find(|(name, _)| *name == key).map(|(_, value)| value),
            Self::Text(_) | Self::List(_) | Self::Number(_) | Self::Other => None,
        }
    }

    /// The text, if this is one.
    pub(super) fn text(&self) -> Option<&'de str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Map(_) | Self::List(_) | Self::Number(_) | Self::Other => None,
        }
    }
}

impl<'de> Deserialize<'de> for Value<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Depth(0).deserialize(deserializer)
    }
}

/// How many containers are open around the value to be decoded.
#[derive(Clone, Copy)]
struct Depth(u8);

impl Depth {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        let depth = self.0 + 1;
        if depth > MAX_DEPTH {
            Err(E::custom(format!("values are nested more than {MAX_DEPTH} deep")))
        } else {
            Ok(Self(depth))
        }
    }
}

impl<'de> DeserializeSeed<'de> for Depth {
    type Value = Value<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Depth {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of a MaxMind DB")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Value::Text(text))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let inner = self.deeper()?;
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<&str>()? {
            entries.push((key, map.next_value_seed(inner)?));
        }
        Ok(Value::Map(entries))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let inner = self.deeper()?;
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(inner)? {
            values.push(value);
        }
        Ok(Value::List(values))
    }

    fn visit_borrowed_bytes<E: Error>(self, _: &'de [u8]) -> Result<Self::Value, E> {
        Ok(Value::Other)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Value::Other)
    }

    fn visit_i32<E: Error>(self, number: i32) -> Result<Self::Value, E> {
        Ok(u64::try_from(number).map_or(Value::Other, Value::Number))
    }

    fn visit_u16<E: Error>(self, number: u16) -> Result<Self::Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_u32<E: Error>(self, number: u32) -> Result<Self::Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Value::Number(number))
    }

    fn visit_u128<E: Error>(self, _: u128) -> Result<Self::Value, E> {
        Ok(Value::Other)
    }

    fn visit_f32<E: Error>(self, _: f32) -> Result<Self::Value, E> {
        Ok(Value::Other)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Value::Other)
    }
}
