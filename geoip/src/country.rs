//! Country codes and sets of them.
//!
//! Invariant: a [`Country`] is always two letters `A`..`Z`. Codes that name no country (`ZZ`, `XX`, `A1`, ...) never become
//! one: sources turn them into "unknown". Not here: whether ISO 3166-1 has assigned the code, which is for the policy check.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Letter pairs that databases use for "no country known"; ISO 3166-1 will never assign them.
const PLACEHOLDERS: [[u8; 2]; 2] = [*b"ZZ", *b"XX"];

/// What databases write where they know no country: empty, dashes, question marks, and the old MaxMind codes for
/// anonymous proxies, satellite providers, "other" and Tor exits.
const NO_COUNTRY: [&str; 8] = ["", "-", "--", "??", "A1", "A2", "O1", "T1"];

/// A two-letter country code such as `IR`, always in capitals.
///
/// `EU` and `AP` (region codes) and `XK` (Kosovo) occur in databases and are countries here: an allow-list that does not
/// name them leaves their addresses blocked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Country([u8; 2]);

/// A text that is no country code.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{given:?} is not a country code; use two letters of ISO 3166-1, such as IR")]
pub struct CountryError {
    /// The text that was refused.
    pub given: String,
}

impl Country {
    /// Makes a code from its two letters, in either case; `None` when they are not letters or name no country.
    #[must_use]
    pub fn from_bytes(letters: [u8; 2]) -> Option<Self> {
        let upper = letters.map(|letter| letter.to_ascii_uppercase());
        let valid = upper.iter().all(u8::is_ascii_uppercase) && !PLACEHOLDERS.contains(&upper);
        valid.then_some(Self(upper))
    }

    /// The two letters.
    #[must_use]
    pub fn bytes(self) -> [u8; 2] {
        self.0
    }

    /// The two letters as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Always ASCII letters, so the fallback is never taken.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Reads the code a database gives: `Ok(None)` where the database says that it knows no country.
    pub(crate) fn from_database(text: &str) -> Result<Option<Self>, CountryError> {
        let text = text.trim();
        if NO_COUNTRY.contains(&text) || PLACEHOLDERS.iter().any(|code| text.as_bytes().eq_ignore_ascii_case(code)) {
            return Ok(None);
        }
        text.parse().map(Some)
    }

    /// Position among the 676 letter pairs.
    fn index(self) -> usize {
        let [first, second] = self.0.map(|letter| usize::from(letter - b'A'));
        first * LETTERS + second
    }

    fn from_index(index: usize) -> Option<Self> {
        let letter = |n: usize| u8::try_from(n).ok().and_then(|n| n.checked_add(b'A'));
        Self::from_bytes([letter(index / LETTERS)?, letter(index % LETTERS)?])
    }
}

impl FromStr for Country {
    type Err = CountryError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let code = <[u8; 2]>::try_from(text.as_bytes()).ok().and_then(Self::from_bytes);
        code.ok_or_else(|| CountryError { given: text.chars().take(64).collect() })
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

const LETTERS: usize = 26;
const CODES: usize = LETTERS * LETTERS;
const WORDS: usize = CODES.div_ceil(64);

/// A set of country codes: one bit for each of the 676 letter pairs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct CountrySet([u64; WORDS]);

impl CountrySet {
    /// The empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Every possible code.
    #[must_use]
    pub fn all() -> Self {
        (0..CODES).filter_map(Country::from_index).collect()
    }

    /// Adds a code; false when it was there already.
    pub fn insert(&mut self, country: Country) -> bool {
        let added = !self.contains(country);
        let (word, bit) = Self::position(country);
        self.0[word] |= bit;
        added
    }

    /// Takes a code out; false when it was not there.
    pub fn remove(&mut self, country: Country) -> bool {
        let removed = self.contains(country);
        let (word, bit) = Self::position(country);
        self.0[word] &= !bit;
        removed
    }

    /// Whether the code is in the set.
    #[must_use]
    pub fn contains(&self, country: Country) -> bool {
        let (word, bit) = Self::position(country);
        self.0[word] & bit != 0
    }

    /// Every code that is not in the set: what an allow-list (`allow_countries`) blocks. Addresses whose country is not
    /// known are in neither set; how they are treated is a flag of its own.
    #[must_use]
    pub fn complement(&self) -> Self {
        Self::all().iter().filter(|country| !self.contains(*country)).collect()
    }

    /// The codes in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = Country> + '_ {
        (0..CODES).filter_map(Country::from_index).filter(|country| self.contains(*country))
    }

    /// How many codes are in the set.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether the set has no code.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    fn position(country: Country) -> (usize, u64) {
        let index = country.index();
        (index / 64, 1 << (index % 64))
    }
}

impl FromIterator<Country> for CountrySet {
    fn from_iter<T: IntoIterator<Item = Country>>(countries: T) -> Self {
        let mut set = Self::new();
        set.extend(countries);
        set
    }
}

impl Extend<Country> for CountrySet {
    fn extend<T: IntoIterator<Item = Country>>(&mut self, countries: T) {
        for country in countries {
            self.insert(country);
        }
    }
}

impl fmt::Debug for CountrySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn country(text: &str) -> Country {
        text.parse().unwrap()
    }

    #[test]
    fn codes_are_two_letters_in_either_case() {
        assert_eq!(country("ir"), country("IR"));
        assert_eq!(country("kp").to_string(), "KP");
        for wrong in ["", "I", "IRN", "Iran", "1R", "İR", "I ", "ZZ", "xx"] {
            let error = wrong.parse::<Country>().unwrap_err();
            assert!(error.to_string().contains(wrong), "{error}");
        }
    }

    #[test]
    fn databases_may_say_that_they_know_no_country() {
        for none in ["", "-", "??", "ZZ", "zz", "XX", "A1", "T1", " "] {
            assert_eq!(Country::from_database(none), Ok(None), "{none:?}");
        }
        assert_eq!(Country::from_database("cu"), Ok(Some(country("CU"))));
        assert!(Country::from_database("Cuba").is_err());
    }

    #[test]
    fn a_set_and_its_complement_share_nothing_and_miss_nothing() {
        let set: CountrySet = ["IR", "KP", "AA", "ZY"].into_iter().map(country).collect();
        let rest = set.complement();
        assert_eq!(set.len() + rest.len(), CountrySet::all().len());
        assert_eq!(CountrySet::all().len(), 676 - PLACEHOLDERS.len());
        assert!(set.iter().all(|code| !rest.contains(code)));
        assert_eq!(rest.complement(), set);
        assert!(CountrySet::all().complement().is_empty());
    }

    #[test]
    fn insert_and_remove_tell_whether_they_changed_anything() {
        let mut set = CountrySet::new();
        assert!(set.insert(country("SY")));
        assert!(!set.insert(country("SY")));
        assert_eq!(format!("{set:?}"), "{SY}");
        assert!(set.remove(country("SY")));
        assert!(!set.remove(country("SY")));
        assert!(set.is_empty());
    }
}
