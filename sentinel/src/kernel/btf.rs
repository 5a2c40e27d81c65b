//! Reads field offsets out of kernel type information (BTF).
//!
//! Our own reader and not a library's: we need the offsets of some fifty fields, libraries build all of
//! the kernel's 150,000 types first. Format: Linux `Documentation/bpf/btf.rst`. Bytes are checked,
//! never cast. Little endian only, as are the hosts that we build for.

use std::collections::HashMap;

use thiserror::Error;

/// Why type information could not be used.
#[derive(Debug, Error)]
pub enum BtfError {
    /// Not BTF, or cut short.
    #[error("the type information is damaged at byte {0}")]
    Damaged(usize),
    /// A structure that we need does not exist in this kernel.
    #[error("this kernel has no structure `{0}`")]
    NoStruct(String),
    /// A field that we need does not exist in this kernel.
    #[error("structure `{0}` of this kernel has no field `{1}`")]
    NoField(String, String),
}

const MAGIC: u16 = 0xeb9f;
const KIND_INT: u32 = 1;
const KIND_ARRAY: u32 = 3;
const KIND_STRUCT: u32 = 4;
const KIND_UNION: u32 = 5;
const KIND_ENUM: u32 = 6;
const KIND_FUNC_PROTO: u32 = 13;
const KIND_VAR: u32 = 14;
const KIND_DATASEC: u32 = 15;
const KIND_DECL_TAG: u32 = 17;
const KIND_ENUM64: u32 = 19;
const KIND_MAX: u32 = 19;
/// Anonymous structures nest; the kernel's deepest is far below this.
const DEPTH: u32 = 16;

/// Type information, with the place of every type.
#[derive(Debug)]
pub struct Btf<'a> {
    data: &'a [u8],
    strings: usize,
    types: Vec<usize>,
}

impl<'a> Btf<'a> {
    /// Reads the header and finds where each type starts.
    ///
    /// # Errors
    ///
    /// [`BtfError::Damaged`] if the data is no BTF or ends early.
    pub fn parse(data: &'a [u8]) -> Result<Self, BtfError> {
        let magic = data.get(..2).ok_or(BtfError::Damaged(0))?;
        if u16::from_le_bytes([magic[0], magic[1]]) != MAGIC {
            return Err(BtfError::Damaged(0));
        }
        let header = u32_at(data, 4)? as usize;
        let types_at = header + u32_at(data, 8)? as usize;
        let types_end = types_at + u32_at(data, 12)? as usize;
        let strings = header + u32_at(data, 16)? as usize;
        let mut types = vec![0];
        let mut at = types_at;
        while at < types_end {
            types.push(at);
            at += 12 + trailing(u32_at(data, at + 4)?).ok_or(BtfError::Damaged(at))?;
        }
        Ok(Self { data, strings, types })
    }

    /// Places of all structures that have one of these names, by name.
    ///
    /// # Errors
    ///
    /// [`BtfError::NoStruct`] for the first name that is missing.
    pub fn structs<'n>(&self, names: &[&'n str]) -> Result<HashMap<&'n str, usize>, BtfError> {
        let mut found = HashMap::new();
        for &at in &self.types[1..] {
            if u32_at(self.data, at + 4)? >> 24 & 0x1f == KIND_STRUCT {
                let name = self.string(u32_at(self.data, at)?)?;
                if let Some(wanted) = names.iter().find(|wanted| wanted.as_bytes() == name) {
                    found.entry(*wanted).or_insert(at);
                }
            }
        }
        match names.iter().find(|name| !found.contains_key(**name)) {
            Some(missing) => Err(BtfError::NoStruct((*missing).to_owned())),
            None => Ok(found),
        }
    }

    /// Byte offset of a field, looked for in anonymous members too; `None` if there is none or it is
    /// not at a whole byte.
    ///
    /// # Errors
    ///
    /// [`BtfError::Damaged`] if the data ends early.
    pub fn offset(&self, structure: usize, field: &str) -> Result<Option<u32>, BtfError> {
        let bits = self.bit_offset(structure, field.as_bytes(), DEPTH)?;
        Ok(bits.filter(|bits| bits % 8 == 0).map(|bits| bits / 8))
    }

    fn bit_offset(&self, at: usize, field: &[u8], depth: u32) -> Result<Option<u32>, BtfError> {
        let info = u32_at(self.data, at + 4)?;
        let bitfields = info >> 31 == 1;
        for index in 0..(info & 0xffff) as usize {
            let member = at + 12 + index * 12;
            let name = self.string(u32_at(self.data, member)?)?;
            let raw = u32_at(self.data, member + 8)?;
            let offset = if bitfields { raw & 0xff_ffff } else { raw };
            if name == field {
                return Ok(Some(offset));
            }
            if name.is_empty()
                && depth > 0
                && let Some(inner) = self.aggregate(u32_at(self.data, member + 4)?)?
                && let Some(found) = self.bit_offset(inner, field, depth - 1)?
            {
                return Ok(Some(offset + found));
            }
        }
        Ok(None)
    }

    /// Place of a structure or union by its type id.
    fn aggregate(&self, id: u32) -> Result<Option<usize>, BtfError> {
        let Some(&at) = self.types.get(id as usize).filter(|at| **at != 0) else { return Ok(None) };
        let kind = u32_at(self.data, at + 4)? >> 24 & 0x1f;
        Ok((kind == KIND_STRUCT || kind == KIND_UNION).then_some(at))
    }

    fn string(&self, offset: u32) -> Result<&'a [u8], BtfError> {
        let start = self.strings + offset as usize;
        let rest = self.data.get(start..).ok_or(BtfError::Damaged(start))?;
        let end = rest.iter().position(|byte| *byte == 0).ok_or(BtfError::Damaged(start))?;
        Ok(&rest[..end])
    }
}

/// Bytes that follow the common part of a type.
fn trailing(info: u32) -> Option<usize> {
    let count = (info & 0xffff) as usize;
    let kind = info >> 24 & 0x1f;
    Some(match kind {
        KIND_INT | KIND_VAR | KIND_DECL_TAG => 4,
        KIND_ARRAY => 12,
        KIND_STRUCT | KIND_UNION | KIND_DATASEC | KIND_ENUM64 => 12 * count,
        KIND_ENUM | KIND_FUNC_PROTO => 8 * count,
        1..=KIND_MAX => 0,
        _ => return None,
    })
}

fn u32_at(data: &[u8], at: usize) -> Result<u32, BtfError> {
    let bytes = data.get(at..at.wrapping_add(4)).ok_or(BtfError::Damaged(at))?;
    Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header, an int, and `struct outer { int a; struct { int b; }; }`.
    fn sample() -> Vec<u8> {
        let strings = b"\0outer\0a\0b\0";
        let word = |v: u32| v.to_le_bytes();
        let types: Vec<u8> = [
            [0, KIND_INT << 24, 4, 32].map(word).concat(),
            [0, KIND_STRUCT << 24 | 1, 4, 9, 1, 0].map(word).concat(),
            [1, KIND_STRUCT << 24 | 2, 8, 7, 1, 0, 0, 2, 32].map(word).concat(),
        ]
        .concat();
        let mut data = vec![0x9f, 0xeb, 1, 0];
        for value in [24, 0, types.len() as u32, types.len() as u32, strings.len() as u32] {
            data.extend(word(value));
        }
        [data, types, strings.to_vec()].concat()
    }

    #[test]
    fn finds_fields_also_in_anonymous_members() {
        let data = sample();
        let btf = Btf::parse(&data).unwrap();
        let at = btf.structs(&["outer"]).unwrap()["outer"];
        assert_eq!(btf.offset(at, "a").unwrap(), Some(0));
        assert_eq!(btf.offset(at, "b").unwrap(), Some(4));
        assert_eq!(btf.offset(at, "c").unwrap(), None);
    }

    #[test]
    fn names_what_is_missing() {
        let data = sample();
        let error = Btf::parse(&data).unwrap().structs(&["inner"]).unwrap_err();
        assert_eq!(error.to_string(), "this kernel has no structure `inner`");
    }

    #[test]
    fn every_cut_is_an_error_or_harmless() {
        let data = sample();
        for end in 0..data.len() {
            if let Ok(btf) = Btf::parse(&data[..end]) {
                let _ = btf.structs(&["outer"]).map(|found| btf.offset(found["outer"], "b"));
            }
        }
    }
}
