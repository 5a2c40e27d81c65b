//! `cargo xtask geodata`: makes `geoip/data/ipfire-country.bin` from the arrays of the crate `tor-geoip-db`.
//!
//! Invariant: the build date always belongs to the data. The arrays carry no date, so it stands here beside their digest;
//! when the crate is updated the digest no longer matches, and this command says what to change. Not here: the file format,
//! which is `geoip`'s.

use std::fs;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use geoip::{Country, Unencoded};
use sha2::{Digest, Sha256};

/// "Generated: Wed, 23 Sep 2026 04:35:31 GMT" in the crate's doc/export-info-v4.txt and -v6.txt, in seconds since 1970.
const BUILD: u64 = 1_790_138_131;
/// SHA-256 of the four arrays that the date above belongs to.
const SOURCE_SHA256: &str = "aa364125bd97e98a8ee90452e857c726a3e2cd1d4c37f7d2458ab3ad790d0c71";

const USAGE: &str = "usage: cargo xtask geodata [--check]
  (nothing)  write geoip/data/ipfire-country.bin from the crate tor-geoip-db
  --check    only tell whether the file is what would be written";

/// Runs the command with the arguments behind `geodata`.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let path = target();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => write(&path),
        ["--check"] => check(&path),
        _ => bail!("{USAGE}"),
    }
}

fn write(path: &Path) -> Result<()> {
    let bytes = convert()?;
    fs::write(path, &bytes).with_context(|| format!("writing {}", path.display()))?;
    println!("{}: {} bytes", path.display(), bytes.len());
    Ok(())
}

fn check(path: &Path) -> Result<()> {
    let found = fs::read(path).with_context(|| format!("reading {}; run `cargo xtask geodata`", path.display()))?;
    ensure!(found == convert()?, "{} is not what tor-geoip-db gives; run `cargo xtask geodata`", path.display());
    println!("{} is up to date", path.display());
    Ok(())
}

fn convert() -> Result<Vec<u8>> {
    let found = source_digest();
    ensure!(
        found == SOURCE_SHA256,
        "the data in tor-geoip-db has changed (SHA-256 {found}): put the date of its doc/export-info-v4.txt and this digest \
         into xtask/src/geodata.rs, and the date into geoip/data/LICENSE and README.md"
    );
    let (v4, v6) = (tor_geoip_db::ipv4s(), tor_geoip_db::ipv6s());
    let (v4c, v6c) = (tor_geoip_db::ipv4c(), tor_geoip_db::ipv6c());
    ensure!(v4.len() == v4c.len() && v6.len() == v6c.len(), "tor-geoip-db has starts without countries");
    Ok(geoip::encode(&Unencoded {
        database_type: "ipfire-country".to_owned(),
        build: BUILD,
        v4: v4.iter().zip(v4c).map(|(start, code)| (*start, country(*code))).collect(),
        v6: v6.iter().zip(v6c).map(|(start, code)| (*start, country(*code))).collect(),
    }))
}

/// The crate stores the two letters as a little-endian number; its placeholder `ZZ` is no country to us.
fn country(code: Option<NonZeroU16>) -> Option<Country> {
    code.and_then(|code| Country::from_bytes(code.get().to_le_bytes()))
}

fn source_digest() -> String {
    let mut hasher = Sha256::new();
    tor_geoip_db::ipv4s().iter().for_each(|start| hasher.update(start.to_le_bytes()));
    tor_geoip_db::ipv6s().iter().for_each(|start| hasher.update(start.to_le_bytes()));
    for code in tor_geoip_db::ipv4c().iter().chain(tor_geoip_db::ipv6c()) {
        hasher.update(code.map_or(0, NonZeroU16::get).to_le_bytes());
    }
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn target() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../geoip/data/ipfire-country.bin")
}
