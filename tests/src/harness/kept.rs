//! Alerts that are kept for others to look at: the stage `formats` holds them to the schemas of ECS and OCSF.
//!
//! Invariants: of each Sentinel one alert of each shape; nothing is kept unless the variable says where: a file, or in a VM a disk
//! that is nothing but lines and zeros behind them.

use std::{
    collections::BTreeSet,
    fs::OpenOptions,
    io::{Seek as _, SeekFrom, Write as _},
    sync::Mutex,
};

use serde_json::Value;

/// Says where.
const VARIABLE: &str = "SENTINEL_KEEP_ALERTS";
/// What makes a shape, by JSON pointer.
const SHAPE: [&str; 5] =
    ["/event/action", "/sentinel/hook", "/sentinel/decision", "/sentinel/decided_in", "/sentinel/blocked"];

/// Bytes that have been written.
static WRITTEN: Mutex<u64> = Mutex::new(0);

/// Keeps what is in a file of alerts, as far as it is in Sentinel's own format.
pub fn keep(text: &str) {
    let Some(place) = std::env::var_os(VARIABLE) else { return };
    let mut seen = BTreeSet::new();
    let is_new = |line: &&str| {
        let alert: Value = serde_json::from_str(line).unwrap_or_default();
        let shape = SHAPE.map(|pointer| alert.pointer(pointer).map(Value::to_string));
        alert.pointer("/sentinel/schema_version").is_some() && seen.insert(shape)
    };
    let lines: String = text.lines().filter(is_new).flat_map(|line| [line, "\n"]).collect();
    let Ok(mut written) = WRITTEN.lock() else { return };
    let kept = OpenOptions::new().write(true).create(true).truncate(false).open(&place).and_then(|mut file| {
        file.seek(SeekFrom::Start(*written))?;
        file.write_all(lines.as_bytes())?;
        file.sync_data()
    });
    match kept {
        Ok(()) => *written += lines.len() as u64,
        Err(error) => eprintln!("alerts are not kept in {}: {error}", place.display()),
    }
}
