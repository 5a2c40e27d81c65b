//! Opening a database: reading the file, recognising its format, and the checks that every source has to pass.
//!
//! Invariant: a [`Database`] is made here only, after all checks. Not here: the formats themselves.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};

use crate::address::Address;
use crate::asn::AsnDatabase;
use crate::compare::Accept;
use crate::database::Database;
use crate::error::GeoError;
use crate::info::{DatabaseInfo, SECONDS_A_DAY, Schema, Source};
use crate::record::{Record, Records};
use crate::special::{SPECIAL_V4, SPECIAL_V6};
use crate::table::{Table, TableBuilder};
use crate::{binary, csv, mmdb};

/// The data that is built in; see `data/README.md`.
const EMBEDDED: &[u8] = include_bytes!("../data/ipfire-country.bin");

/// The attribution that CC BY-SA 4.0 asks for, in one line.
const EMBEDDED_LICENCE: &str = "IP location data by the IPFire Project, https://location.ipfire.org/, licensed CC BY-SA 4.0 \
     (https://creativecommons.org/licenses/by-sa/4.0/), re-encoded for Sentinel.";

/// No geo database comes near; more would only exhaust memory.
const MAX_FILE_SIZE: u64 = 1 << 30;

/// What a format module makes of a file.
pub(crate) struct Parsed {
    pub(crate) database_type: String,
    pub(crate) schema: Schema,
    pub(crate) build: u64,
    pub(crate) v4: TableBuilder<u32>,
    pub(crate) v6: TableBuilder<u128>,
    pub(crate) records: Records,
    /// How many networks or ranges the source described, whatever it said of them.
    pub(crate) networks: u64,
}

impl Parsed {
    /// Nothing read yet.
    pub(crate) fn new(database_type: String, schema: Schema, build: u64) -> Self {
        Self {
            database_type,
            schema,
            build,
            v4: TableBuilder::new(SPECIAL_V4.iter().map(|block| block.bounds())),
            v6: TableBuilder::new(SPECIAL_V6.iter().map(|block| block.bounds())),
            records: Records::new(),
            networks: 0,
        }
    }

    fn into_database(self, source: Source, sha256: String, licence: Option<&'static str>) -> Database {
        let Self { database_type, schema, build, v4, v6, records, networks: _ } = self;
        let (v4, v6) = (v4.finish(), v6.finish());
        let (v4_entries, v6_entries) = (entries(&v4, &records), entries(&v6, &records));
        let regions = records.all().iter().flat_map(Record::regions).collect::<BTreeSet<_>>().len();
        let info =
            DatabaseInfo { database_type, schema, build, sha256, source, v4_entries, v6_entries, regions, licence };
        Database { info, v4, v6, records }
    }
}

impl Database {
    /// The data that is built in. Its build date is not compared with the clock: a machine whose clock is wrong still has it.
    ///
    /// # Errors
    /// [`GeoError::Binary`] when the program file was damaged.
    pub fn embedded() -> Result<Self, GeoError> {
        let parsed = binary::decode(EMBEDDED)
            .map_err(|what| GeoError::Binary { origin: Source::Embedded.to_string(), what: what.to_string() })?;
        Ok(parsed.into_database(Source::Embedded, hex_sha256(EMBEDDED), Some(EMBEDDED_LICENCE)))
    }

    /// Reads a database file: MMDB with `country.iso_code`, `country_code` or a two-letter `country`, or CSV lines
    /// `start,end,CC` with or without a region, or Sentinel's own format. The format is recognised from the content.
    ///
    /// # Errors
    /// The whole file is refused when any part of it is wrong, when it was built more than a day in the future, when it is
    /// empty, and when it gives no address a country.
    pub fn open(path: &Path) -> Result<Self, GeoError> {
        Self::open_at(path, now())
    }

    /// [`open`](Self::open) with the time given instead of taken from the clock, in seconds since 1970.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_at(path: &Path, now: u64) -> Result<Self, GeoError> {
        Self::open_accepting(path, now, &Accept::default())
    }

    /// [`open_at`](Self::open_at), taking what the operator has decided to accept.
    ///
    /// # Errors
    /// As [`open`](Self::open), less what is accepted.
    pub fn open_accepting(path: &Path, now: u64, accept: &Accept) -> Result<Self, GeoError> {
        let (bytes, modified) = read(path)?;
        let parsed = parse(path, &bytes, modified)?;
        if !accept.future {
            refuse_future(path, parsed.build, now)?;
        }
        if parsed.networks == 0 {
            return Err(GeoError::Empty { path: path.to_owned() });
        }
        let database = parsed.into_database(Source::File(path.to_owned()), hex_sha256(&bytes), None);
        if !database.info.covers_v4() && !database.info.covers_v6() {
            let database_type = database.info.database_type;
            return Err(GeoError::NoCountry { path: path.to_owned(), database_type });
        }
        Ok(database)
    }
}

impl AsnDatabase {
    /// Reads an MMDB file of AS numbers: `autonomous_system_number`, or `asn` as a number or as `AS64500`.
    ///
    /// # Errors
    /// As for [`Database::open`]; no country is needed, but an AS number is.
    pub fn open(path: &Path) -> Result<Self, GeoError> {
        Self::open_at(path, now())
    }

    /// [`open`](Self::open) with the time given instead of taken from the clock, in seconds since 1970.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_at(path: &Path, now: u64) -> Result<Self, GeoError> {
        let (bytes, _) = read(path)?;
        if !mmdb::recognises(&bytes) {
            return Err(GeoError::NoAsNumber { path: path.to_owned(), database_type: "unknown".to_owned() });
        }
        let parsed = mmdb::parse_asn(path, &bytes)?;
        refuse_future(path, parsed.build, now)?;
        let database = parsed.into_database(Source::File(path.to_owned()), hex_sha256(&bytes), None);
        if database.records.all().iter().all(|record| record.asn.is_none()) {
            let database_type = database.info.database_type;
            return Err(GeoError::NoAsNumber { path: path.to_owned(), database_type });
        }
        Ok(Self(database))
    }
}

/// Seconds since 1970 by this machine's clock.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn parse(path: &Path, bytes: &[u8], modified: u64) -> Result<Parsed, GeoError> {
    if bytes.starts_with(&binary::MAGIC) {
        let origin = path.display().to_string();
        return binary::decode(bytes).map_err(|what| GeoError::Binary { origin, what: what.to_string() });
    }
    if mmdb::recognises(bytes) {
        return mmdb::parse(path, bytes);
    }
    let named_csv = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
    if named_csv || std::str::from_utf8(bytes).is_ok() {
        return csv::parse(bytes, modified).map_err(|(line, what)| GeoError::Csv { path: path.to_owned(), line, what });
    }
    Err(GeoError::Unrecognised { path: path.to_owned() })
}

/// The bytes of a file and when it was last changed.
pub(crate) fn read(path: &Path) -> Result<(Vec<u8>, u64), GeoError> {
    let fail = |source| GeoError::Read { path: path.to_owned(), source };
    let unusable = |what: &str| GeoError::Unusable { path: path.to_owned(), what: what.to_owned() };
    // Looked at before it is opened: opening a pipe waits for a writer.
    if !fs::metadata(path).map_err(fail)?.is_file() {
        return Err(unusable("it is not a regular file"));
    }
    let file = File::open(path).map_err(fail)?;
    let modified = file.metadata().and_then(|metadata| metadata.modified()).map_err(fail)?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE_SIZE + 1).read_to_end(&mut bytes).map_err(fail)?;
    if bytes.len() as u64 > MAX_FILE_SIZE {
        return Err(unusable("it is larger than 1 GiB"));
    }
    Ok((bytes, modified.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())))
}

/// A day of leeway: build machines and this one may be in different time zones.
fn refuse_future(path: &Path, build: u64, now: u64) -> Result<(), GeoError> {
    let ahead = build.saturating_sub(now);
    if ahead <= SECONDS_A_DAY {
        return Ok(());
    }
    Err(GeoError::FutureBuild { path: path.to_owned(), days_ahead: ahead.div_ceil(SECONDS_A_DAY) })
}

fn entries<A: Address>(table: &Table<A>, records: &Records) -> usize {
    table.ranges().filter(|range| records.get(range.record).country.is_some()).count()
}

pub(crate) fn hex_sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
