//! Country databases: which country an address is in, and which prefixes make up a set of countries.
//!
//! A [`Database`] comes from the embedded data, an MMDB file or a CSV file, and is the same sorted table of ranges whatever
//! it came from. It answers two questions: [`Database::lookup`] for one address, and [`Database::select`] for the kernel's
//! table. [`Votes`] asks several databases, [`compare()`] tells what a new one would change, [`List`] reads networks of one's
//! own, and [`embargo`] has the lists of countries and regions under embargo. Both answers see the same addresses: a prefix is compiled exactly when a look-up of each of its addresses says so.
//!
//! Invariants: a database is taken whole or not at all; "unknown", "this database does not know the address family" and
//! "has no country by nature" are three different answers; bytes from a file are hostile and never cause a panic.
//!
//! Not here: kernel maps, policies, alerts. This crate knows none of them.

#![forbid(unsafe_code)]

mod address;
mod asn;
mod binary;
mod classes;
mod compare;
mod country;
mod csv;
mod database;
pub mod embargo;
mod error;
mod info;
mod list;
mod mmdb;
mod open;
mod prefixes;
mod record;
mod region;
mod sample;
mod selection;
mod special;
mod table;
mod table_image;
mod votes;

pub use address::{Prefix4, Prefix6};
pub use asn::AsnDatabase;
pub use binary::{MAGIC, Unencoded, encode};
pub use classes::{ClassFacts, Classes, MAX_CLASSES, MAX_LISTS, Saying, TooManyClasses};
pub use compare::{Accept, Amount, Change, Comparison, Place, Refusal, compare};
pub use country::{Country, CountryError, CountrySet};
pub use database::{Coverage, Database, Lookup};
pub use error::GeoError;
pub use info::{DatabaseInfo, ERROR_DAYS, Freshness, Schema, Source, WARN_DAYS};
pub use list::{List, ListError, ListErrors, ListPrefixes};
pub use prefixes::PrefixSet;
pub use region::{Region, RegionError};
pub use sample::{Random, Sample};
pub use selection::Selection;
pub use special::{SPECIAL_V4, SPECIAL_V6};
pub use table_image::TableImage;
pub use votes::{Counted, Opinion, Vote, VoteRule, Votes, VotesError};
