//! Why a database was refused.
//!
//! Invariant: every text is complete: it names the file, says what is wrong with it and what to do next. A refused database
//! is refused whole; nothing is ever loaded in part.

use std::path::PathBuf;

use thiserror::Error;

use crate::compare::Refusal;

/// What to do with a file that is damaged: the same for every format.
const FETCH_AGAIN: &str = "Fetch the file again, or leave it out to use the embedded data.";

/// A database that cannot be used.
#[derive(Debug, Error)]
pub enum GeoError {
    /// The file cannot be read at all.
    #[error("The geo database {} cannot be read: {source}. Check the path and that Sentinel may read it.", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Not a regular file, or too large to be a geo database.
    #[error("The geo database {} cannot be used: {what}. Give the path of an MMDB or CSV file.", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        what: String,
    },
    /// No format is recognised.
    #[error(
        "The file {} is no geo database: it has no MaxMind DB metadata and is no text. Give an MMDB file, or CSV lines of \
         the form start,end,CC.", path.display()
    )]
    Unrecognised {
        /// The file.
        path: PathBuf,
    },
    /// Data in Sentinel's own format is damaged.
    #[error("The geo database {origin} is damaged: {what}. {FETCH_AGAIN}")]
    Binary {
        /// The file, or `embedded`.
        origin: String,
        /// What is wrong.
        what: String,
    },
    /// An MMDB file is damaged; the whole file is refused, since a part of it would block less than it says.
    #[error("The geo database {} is damaged ({what}): {source}. {FETCH_AGAIN}", path.display())]
    Mmdb {
        /// The file.
        path: PathBuf,
        /// Which part was being read.
        what: String,
        /// What the reader said.
        source: Box<maxminddb::MaxMindDbError>,
    },
    /// An MMDB file is readable but holds something no country database holds.
    #[error("The geo database {} is refused at {network}: {what}. {FETCH_AGAIN}", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// The network whose record is wrong.
        network: String,
        /// What is wrong with it.
        what: String,
    },
    /// Networks that no look-up can find: the tree that should lead to them is damaged.
    #[error(
        "The geo database {} is damaged: of the {nodes} nodes of its search tree only {reachable} can be reached. \
         {FETCH_AGAIN}", path.display()
    )]
    CutOff {
        /// The file.
        path: PathBuf,
        /// Nodes that the root leads to.
        reachable: u64,
        /// Nodes that the file says it has.
        nodes: u64,
    },
    /// A search tree that never ends.
    #[error(
        "The geo database {} is refused: its search tree unfolds to more than {limit} networks, which no real database does. \
         {FETCH_AGAIN}", path.display()
    )]
    TooManyNetworks {
        /// The file.
        path: PathBuf,
        /// The limit that was passed.
        limit: u64,
    },
    /// A line of a CSV file is wrong.
    #[error("The geo database {}, line {line}: {what}. Correct the line; each is start,end,CC or start,end,CC,region.", path.display())]
    Csv {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// Nothing in it.
    #[error("The geo database {} is empty: it describes no network. {FETCH_AGAIN}", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A database of something else, for example of AS numbers.
    #[error(
        "The geo database {} (type {database_type}) gives no address a country. Use a country or city database: records with \
         country.iso_code, country_code or a two-letter country.", path.display()
    )]
    NoCountry {
        /// The file.
        path: PathBuf,
        /// Its type as it says itself.
        database_type: String,
    },
    /// A database of something else, where AS numbers are wanted.
    #[error(
        "The database {} (type {database_type}) gives no address an AS number. Use an MMDB file whose records have \
         autonomous_system_number or asn.", path.display()
    )]
    NoAsNumber {
        /// The file.
        path: PathBuf,
        /// Its type as it says itself.
        database_type: String,
    },
    /// Not taken in place of the database before it.
    #[error("The geo database {} does not replace the one before it: {refusal}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// Why.
        refusal: Box<Refusal>,
    },
    /// Built later than now.
    #[error(
        "The geo database {} says that it was built {days_ahead} days in the future. Check this machine's clock, then fetch \
         the file again.", path.display()
    )]
    FutureBuild {
        /// The file.
        path: PathBuf,
        /// How far ahead of this machine's clock, in days, rounded up.
        days_ahead: u64,
    },
}
