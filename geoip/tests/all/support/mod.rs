//! Shared by the tests of this directory: databases made on the spot.
//!
//! Files go below Cargo's directory for test output, one name for each test, since tests run side by side.

pub(crate) mod mmdb;

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use geoip::{Country, CountrySet, Database};

/// Where the file of a test goes.
pub(crate) fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// Writes a file for a test.
pub(crate) fn write(name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = scratch(name);
    fs::write(&path, content).unwrap();
    path
}

/// A database from CSV lines.
pub(crate) fn csv(name: &str, lines: &str) -> Database {
    Database::open(&write(name, lines)).unwrap()
}

/// A file of `testdata/`.
pub(crate) fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) fn country(text: &str) -> Country {
    text.parse().unwrap()
}

pub(crate) fn countries(codes: &[&str]) -> CountrySet {
    codes.iter().map(|code| country(code)).collect()
}
