//! Reading bytes front to back, and numbers of seven bits a byte, lowest first.
//!
//! Invariant: every read is checked; running out of bytes or of bits is an error that names what was being read.

use super::Damage;

/// A position in bytes that are being read.
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// How many bytes have not been read.
    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }

    pub(super) fn byte(&mut self, what: &'static str) -> Result<u8, Damage> {
        let (first, rest) = self.rest.split_first().ok_or(Damage::Short(what))?;
        self.rest = rest;
        Ok(*first)
    }

    pub(super) fn take(&mut self, len: usize, what: &'static str) -> Result<&'a [u8], Damage> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Damage::Short(what))?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn varint(&mut self, what: &'static str) -> Result<u128, Damage> {
        let mut value = 0;
        for shift in (0..u128::BITS).step_by(7) {
            let byte = self.byte(what)?;
            let bits = u128::from(byte & 0x7f);
            if bits.leading_zeros() < shift {
                return Err(Damage::Number(what));
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Damage::Number(what))
    }

    /// A varint that has to fit a smaller type.
    pub(super) fn number<N: TryFrom<u128>>(&mut self, what: &'static str) -> Result<N, Damage> {
        N::try_from(self.varint(what)?).map_err(|_| Damage::Number(what))
    }
}

/// Appends a number.
pub(super) fn put(out: &mut Vec<u8>, mut value: u128) {
    while value > 0x7f {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_survive_a_round_trip_and_use_the_fewest_bytes() {
        for (value, len) in [(0, 1), (127, 1), (128, 2), (16_383, 2), (16_384, 3), (u128::MAX, 19)] {
            let mut bytes = Vec::new();
            put(&mut bytes, value);
            assert_eq!(bytes.len(), len, "{value}");
            assert_eq!(Cursor::new(&bytes).varint("x"), Ok(value));
        }
    }

    #[test]
    fn numbers_that_end_early_or_overflow_are_refused() {
        assert_eq!(Cursor::new(&[0x80]).varint("x"), Err(Damage::Short("x")));
        assert_eq!(Cursor::new(&[0xff; 30]).varint("x"), Err(Damage::Number("x")));
        assert_eq!(Cursor::new(&[0x80, 0x02]).number::<u8>("x"), Err(Damage::Number("x")));
    }
}
