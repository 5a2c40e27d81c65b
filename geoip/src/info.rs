//! What is known about a database as a whole: its type, age, origin and size, for status, alerts and evidence.

use std::fmt;
use std::path::PathBuf;

/// How a source says which country a network has, or which AS announces it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Schema {
    /// A map `country` with `iso_code` (MaxMind, DB-IP).
    CountryIsoCode,
    /// A string `country_code` (ip-location-db, IPLocate).
    CountryCode,
    /// A two-letter string `country`.
    CountryString,
    /// A number `autonomous_system_number`, or `asn` as a number or as `AS64500`.
    AsNumber,
    /// Lines `start,end,CC` (Tor's geoip and geoip6 files).
    Csv,
    /// Sentinel's own format, of which the embedded data is.
    Binary,
}

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CountryIsoCode => "country.iso_code",
            Self::CountryCode => "country_code",
            Self::CountryString => "country",
            Self::AsNumber => "autonomous_system_number",
            Self::Csv => "start,end,CC",
            Self::Binary => "sentinel",
        })
    }
}

/// Where a database came from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Source {
    /// Built into the program.
    Embedded,
    /// Read from a file.
    File(PathBuf),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded => f.write_str("embedded"),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

/// A database as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseInfo {
    /// What the database calls itself: `ipfire-country`, an MMDB's `database_type`, or `csv`.
    pub database_type: String,
    /// How it gives countries.
    pub schema: Schema,
    /// When it was built, in seconds since 1970; for CSV the time the file was last changed.
    pub build: u64,
    /// SHA-256 of the file's bytes, in lower-case hexadecimal.
    pub sha256: String,
    /// Where it came from.
    pub source: Source,
    /// IPv4 ranges that have a country, neighbours of the same record counted once.
    pub v4_entries: usize,
    /// IPv6 ranges that have a country, neighbours of the same record counted once.
    pub v6_entries: usize,
    /// Regions that it puts addresses into, by ISO 3166-2 code; 0 for a database of countries.
    pub regions: usize,
    /// Attribution that the licence of the embedded data asks for.
    pub licence: Option<&'static str>,
}

impl DatabaseInfo {
    /// Whether the database knows IPv4 at all.
    #[must_use]
    pub fn covers_v4(&self) -> bool {
        self.v4_entries > 0
    }

    /// Whether the database knows IPv6 at all.
    #[must_use]
    pub fn covers_v6(&self) -> bool {
        self.v6_entries > 0
    }

    /// Whether the database tells regions at all. If not, a rule on a region cannot be enforced with it.
    #[must_use]
    pub fn has_regions(&self) -> bool {
        self.regions > 0
    }

    /// Whole days since the build at `now` (seconds since 1970); 0 when the clock is behind the build date.
    #[must_use]
    pub fn age_days(&self, now: u64) -> u64 {
        now.saturating_sub(self.build) / SECONDS_A_DAY
    }

    /// Whether the data is new enough at `now` (seconds since 1970).
    #[must_use]
    pub fn freshness(&self, now: u64) -> Freshness {
        match self.age_days(now) {
            0..WARN_DAYS => Freshness::Fresh,
            WARN_DAYS..ERROR_DAYS => Freshness::Warn,
            _ => Freshness::Error,
        }
    }
}

/// Whether data is new enough to be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Freshness {
    /// Younger than [`WARN_DAYS`].
    Fresh,
    /// At least [`WARN_DAYS`] old: renew it.
    Warn,
    /// At least [`ERROR_DAYS`] old: too many addresses have moved to another country.
    Error,
}

/// Age in days from which data is to be renewed.
pub const WARN_DAYS: u64 = 45;
/// Age in days from which data is not to be relied on.
pub const ERROR_DAYS: u64 = 120;

impl fmt::Display for Freshness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Fresh => "fresh",
            Self::Warn => "warn",
            Self::Error => "error",
        })
    }
}

/// Seconds in a day.
pub(crate) const SECONDS_A_DAY: u64 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn age_is_whole_days_and_never_negative() {
        let info = DatabaseInfo {
            database_type: "csv".into(),
            schema: Schema::Csv,
            build: 1_000_000,
            sha256: String::new(),
            source: Source::File("/tmp/x.csv".into()),
            v4_entries: 1,
            v6_entries: 0,
            regions: 0,
            licence: None,
        };
        assert_eq!(info.age_days(1_000_000 + 2 * SECONDS_A_DAY - 1), 1);
        assert_eq!(info.age_days(0), 0);
        let after = |days: u64| info.freshness(1_000_000 + days * SECONDS_A_DAY);
        assert_eq!(
            [0, 44, 45, 119, 120].map(after),
            [Freshness::Fresh, Freshness::Fresh, Freshness::Warn, Freshness::Warn, Freshness::Error]
        );
        assert!(info.covers_v4() && !info.covers_v6());
        assert_eq!(info.source.to_string(), "/tmp/x.csv");
    }
}
