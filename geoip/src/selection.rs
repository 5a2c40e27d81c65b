//! What is wanted of a database: countries, regions, and whether unknown addresses count.
//!
//! Invariant: one predicate ([`Selection::holds`]) serves the look-up of one address and the prefixes of all. Not here: what
//! several databases say together (`votes`).

use std::collections::BTreeSet;

use crate::country::{Country, CountrySet};
use crate::record::Record;
use crate::region::Region;

/// A set of addresses, said in terms of countries and regions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    /// Addresses in these countries.
    pub countries: CountrySet,
    /// Addresses in these regions, whatever country the source counts them to.
    pub regions: BTreeSet<Region>,
    /// Addresses without a known country.
    pub include_unknown: bool,
}

impl Selection {
    /// The addresses of some countries.
    #[must_use]
    pub fn countries(countries: CountrySet) -> Self {
        Self { countries, ..Self::default() }
    }

    /// The addresses of some regions.
    #[must_use]
    pub fn regions(regions: impl IntoIterator<Item = Region>) -> Self {
        Self { regions: regions.into_iter().collect(), ..Self::default() }
    }

    /// Whether an address belongs to the selection of which this is known. No country means unknown.
    #[must_use]
    pub fn holds(
        &self,
        countries: impl IntoIterator<Item = Country>,
        regions: impl IntoIterator<Item = Region>,
    ) -> bool {
        let mut known = false;
        for country in countries {
            known = true;
            if self.countries.contains(country) {
                return true;
            }
        }
        (!known && self.include_unknown) || regions.into_iter().any(|region| self.regions.contains(&region))
    }

    /// [`holds`](Self::holds) for one record.
    pub(crate) fn holds_record(&self, record: &Record) -> bool {
        self.holds(record.country, record.regions())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_wanted_whatever_the_country_and_unknown_means_no_country() {
        let crimea: Region = "UA-43".parse().unwrap();
        let by_region = Selection::regions([crimea]);
        assert!(by_region.holds("RU".parse::<Country>(), [crimea]));
        assert!(!by_region.holds("UA".parse::<Country>(), None));
        let unknown = Selection { include_unknown: true, ..Selection::default() };
        assert!(unknown.holds(None, None));
        assert!(!unknown.holds("UA".parse::<Country>(), None));
    }
}
