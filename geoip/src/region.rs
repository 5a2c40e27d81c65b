//! Region codes of ISO 3166-2, such as `UA-43`.
//!
//! Invariant: a [`Region`] is a country and one to three capital letters or digits. Not here: names and aliases of regions (`names`).

pub(crate) mod names;

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::country::Country;

/// A subdivision of a country by its ISO 3166-2 code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Region {
    country: Country,
    /// Padded with zero bytes at the end.
    subdivision: [u8; 3],
}

/// A text that is no region code.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{given:?} is not a region code; use an ISO 3166-2 code, such as UA-43")]
pub struct RegionError {
    /// The text that was refused.
    pub given: String,
}

impl Region {
    /// The country that the region is a part of.
    #[must_use]
    pub fn country(self) -> Country {
        self.country
    }

    /// The part after the hyphen.
    #[must_use]
    pub fn subdivision(&self) -> &str {
        let length = self.subdivision.iter().position(|byte| *byte == 0).unwrap_or(self.subdivision.len());
        std::str::from_utf8(&self.subdivision[..length]).unwrap_or_default()
    }

    /// A region by its country and the part after the hyphen.
    pub(crate) fn new(country: Country, subdivision: &str) -> Option<Self> {
        let code = subdivision.as_bytes();
        if code.is_empty() || code.len() > 3 || !code.iter().all(u8::is_ascii_alphanumeric) {
            return None;
        }
        let mut padded = [0; 3];
        padded[..code.len()].copy_from_slice(&code.to_ascii_uppercase());
        Some(Self { country, subdivision: padded })
    }
}

impl FromStr for Region {
    type Err = RegionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let region =
            text.split_once('-').and_then(|(country, subdivision)| Self::new(country.parse().ok()?, subdivision));
        region.ok_or_else(|| RegionError { given: text.chars().take(64).collect() })
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.country, self.subdivision())
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_every_length_survive_a_round_trip() {
        for code in ["UA-43", "GB-ENG", "FR-V", "RU-AD"] {
            assert_eq!(code.parse::<Region>().unwrap().to_string(), code);
        }
        assert_eq!("ua-43".parse::<Region>().unwrap().country().as_str(), "UA");
    }

    #[test]
    fn anything_else_is_refused_with_the_text_given() {
        for wrong in ["", "UA", "UA-", "-43", "UA-4321", "UA-é", "ZZ-1", "Crimea"] {
            let error = wrong.parse::<Region>().unwrap_err();
            assert!(error.to_string().contains(wrong), "{error}");
        }
    }
}
