//! Country databases: which country an address is in, and which prefixes make up a set of countries.
//!
//! A [`Database`] comes from the embedded data, an MMDB file or a CSV file, and is the same sorted table of ranges whatever
//! it came from. It answers two questions: [`Database::lookup`] for one address, and [`Database::prefixes`] for the kernel's
//! table. Both see the same addresses: a prefix is compiled exactly when a look-up of each of its addresses says so.
//!
//! Invariants: a database is taken whole or not at all; "unknown", "this database does not know the address family" and
//! "has no country by nature" are three different answers; bytes from a file are hostile and never cause a panic.
//!
//! Not here: kernel maps, policies, alerts. This crate knows none of them.

#![forbid(unsafe_code)]

mod address;
mod binary;
mod classes;
mod country;
mod csv;
mod database;
mod error;
mod info;
mod mmdb;
mod open;
mod record;
mod region;
mod special;
mod table;
mod table_image;

pub use address::{Prefix4, Prefix6};
pub use binary::{MAGIC, Unencoded, encode};
pub use classes::{ClassFacts, Classes, MAX_CLASSES, MAX_LISTS, Saying, TooManyClasses};
pub use country::{Country, CountryError, CountrySet};
pub use database::{Coverage, Database, Lookup, PrefixSet};
pub use error::GeoError;
pub use info::{DatabaseInfo, Schema, Source};
pub use region::{Region, RegionError};
pub use special::{SPECIAL_V4, SPECIAL_V6};
pub use table_image::TableImage;
