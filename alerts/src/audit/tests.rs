//! Tests of the trail: what is written verifies, what is tampered with is found, what is interrupted goes on.

mod crash;
mod disk;
mod tamper;
mod writer;

use std::{collections::BTreeMap, io};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Expect, Kind, Settings, Source, Trail, Verdict, trail::fields, verify::verify};
use disk::SimDisk;

/// Seconds after a fixed day.
fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_767_225_600 + second).unwrap()
}

/// Small files and frequent checkpoints.
fn small() -> Settings {
    Settings {
        segment_bytes: 20_000,
        segment_seconds: 86_400,
        checkpoint_records: 16,
        checkpoint_seconds: 60,
        keep_seconds: None,
    }
}

fn data(number: u64) -> serde_json::Map<String, Value> {
    fields(json!({ "number": number, "text": "refused \u{e9}\n", "list": [1, 2.5, null, true] }))
}

/// Files as a verifier reads them.
fn sources(files: BTreeMap<String, Vec<u8>>) -> impl Iterator<Item = io::Result<Source>> {
    files.into_iter().map(|(name, bytes)| Ok(Source { name, reader: Box::new(io::Cursor::new(bytes)) }))
}

fn check(disk: &SimDisk, expect: &Expect) -> Verdict {
    verify(sources(disk.segments()), expect, &mut |_| {}).unwrap()
}

/// A trail of so many records on a disk, committed ten at a time.
fn trail_of(records: u64) -> SimDisk {
    let disk = SimDisk::default();
    let (mut trail, _) = Trail::open(Box::new(disk.clone()), small(), "host", at(0)).unwrap();
    for number in 0..records {
        trail.append(Kind::Decision, at(number as i64), data(number));
        if number % 10 == 9 {
            trail.commit(at(number as i64)).unwrap();
        }
    }
    trail.commit(at(records as i64)).unwrap();
    trail.checkpoint(at(records as i64)).unwrap();
    disk
}

#[test]
fn what_is_written_verifies_over_files_and_restarts() {
    let disk = trail_of(500);
    let (mut trail, opened) = Trail::open(Box::new(disk.clone()), small(), "host", at(600)).unwrap();
    assert_eq!((opened.first, opened.findings), (None, Vec::new()));
    trail.append(Kind::Start, at(600), data(0));
    trail.commit(at(600)).unwrap();
    trail.checkpoint(at(601)).unwrap();
    let public = super::keys::parse_public(std::str::from_utf8(&disk.file("audit.pub")).unwrap());
    let expect = Expect { key: public, head: Some(trail.head().hash), current: Some(trail.key()) };
    let verdict = check(&disk, &expect);
    assert_eq!(verdict.faults, []);
    assert!(
        verdict.files > 3 && verdict.checkpoints > 10,
        "{} files, {} checkpoints",
        verdict.files,
        verdict.checkpoints
    );
    assert_eq!((verdict.key_found, verdict.unsigned()), (Some(0), 0));
    assert_eq!(verdict.head_found, verdict.last.map(|last| last.seq));
    assert_eq!(verdict.records, trail.head().seq);
}

#[test]
fn closed_files_are_packed_and_old_ones_removed_with_a_word() {
    let disk = trail_of(500);
    let settings = Settings { keep_seconds: Some(1000), ..small() };
    let (mut trail, _) = Trail::open(Box::new(disk.clone()), settings, "host", at(600)).unwrap();
    while trail.pack_one().unwrap() {}
    assert_eq!(check(&disk, &Expect::default()).faults, []);
    assert!(disk.files().keys().filter(|name| name.ends_with(".gz")).count() > 3);
    assert!(!trail.drop_one(at(700)).unwrap(), "nothing is old enough");
    let before = disk.segments().len();
    assert!(trail.drop_one(at(1200)).unwrap());
    assert_eq!(disk.segments().len(), before - 1);
    let verdict = check(&disk, &Expect::default());
    assert_eq!(verdict.faults, []);
    assert!(verdict.retained_from.is_some_and(|from| from > 1));
    // The same without a word is found.
    let mut files = disk.files();
    let first = files.keys().find(|name| name.ends_with(".gz")).unwrap().clone();
    files.remove(&first);
    assert!(!check(&SimDisk::of(&files), &Expect::default()).holds());
}
