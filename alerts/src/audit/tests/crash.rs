//! Killed, or without power, at every write, sync and rename: the trail goes on and verifies, and what was committed is there.

use super::*;
use crate::audit::record::Record;

/// A small generator, so that a failing round can be run again by its number.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit.max(1) as u64) as usize
    }
}

/// Small enough that every round rotates, signs, packs and removes.
fn tiny() -> Settings {
    Settings {
        segment_bytes: 3000,
        segment_seconds: 86_400,
        checkpoint_records: 5,
        checkpoint_seconds: 60,
        keep_seconds: Some(40),
    }
}

/// Writes numbered records until the disk fails; the numbers that a commit has finished.
fn write(disk: &SimDisk, from: u64, until: u64) -> u64 {
    let mut committed = from;
    let mut work = || -> io::Result<()> {
        let (mut trail, _) = Trail::open(Box::new(disk.clone()), tiny(), "host", at(from as i64))?;
        for number in from..until {
            trail.append(Kind::Decision, at(number as i64), data(number));
            if number % 3 == 2 {
                trail.commit(at(number as i64))?;
                committed = number + 1;
            }
            if number % 7 == 6 {
                trail.pack_one()?;
                trail.drop_one(at(number as i64))?;
            }
        }
        trail.commit(at(until as i64))?;
        committed = until;
        Ok(())
    };
    // The disk was told to fail.
    drop(work());
    committed
}

/// Numbers of the decisions on a disk, and whether one says that bytes were cut.
fn numbers(disk: &SimDisk) -> (Vec<u64>, bool) {
    let (mut numbers, mut said) = (Vec::new(), false);
    for bytes in disk.segments().into_values() {
        for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let record: Record = serde_json::from_slice(line).unwrap();
            numbers.extend(record.data.get("number").and_then(Value::as_u64));
            said |= record.kind == "recovery";
        }
    }
    (numbers, said)
}

/// One round: fail somewhere, lose what may be lost, go on.
fn round(seed: u64, operations: u64) {
    let mut random = Random(seed);
    let disk = SimDisk::default();
    let at_operation = 1 + random.below(operations as usize) as u64;
    disk.fail_at(at_operation, random.below(256));
    let committed = write(&disk, 0, 60);
    let power_cut = seed.is_multiple_of(2);
    let left = if power_cut { disk.after_power_cut(&mut |limit| random.below(limit)) } else { disk.after_kill() };
    let (before, torn) = (left.segments().into_values().map(|bytes| bytes.len()).sum::<usize>(), torn(&left));
    write(&left, 100, 110);
    let verdict = check(&left, &Expect::default());
    let what = || format!("seed {seed}, operation {at_operation}, power cut {power_cut}, {before} bytes were left");
    assert_eq!(verdict.faults, [], "{}", what());
    let (numbers, said) = numbers(&left);
    // Old files go in these rounds: what is left is a run without holes, and ends with what is new.
    let old: Vec<u64> = numbers.iter().copied().filter(|number| *number < 100).collect();
    let new: Vec<u64> = numbers.into_iter().filter(|number| *number >= 100).collect();
    assert!(old.windows(2).all(|pair| pair[1] == pair[0] + 1), "{}: {old:?}", what());
    // Going on removes one old file, and in a short trail that may be the only one.
    assert!(old.last().map_or(0, |last| last + 1) >= committed || committed < 20, "{}: {committed} {old:?}", what());
    assert_eq!(new, (100..110).collect::<Vec<_>>(), "{}", what());
    assert!(said || !torn, "{}: cut and not said", what());
}

/// Whether a file ends in the middle of a line.
fn torn(disk: &SimDisk) -> bool {
    disk.segments().into_values().any(|bytes| bytes.last().is_some_and(|last| *last != b'\n'))
}

#[test]
fn a_thousand_crashes_lose_nothing_that_was_committed() {
    let whole = SimDisk::default();
    assert_eq!(write(&whole, 0, 60), 60);
    let operations = whole.operations();
    assert!(operations > 200, "a round has only {operations} operations");
    for seed in 0..1000 {
        round(seed, operations);
    }
}

/// Without removals every single operation, killed and cut.
#[test]
fn at_each_operation_what_was_committed_stays() {
    let write = |disk: &SimDisk| {
        let mut committed = 0;
        let mut work = || -> io::Result<()> {
            let (mut trail, _) =
                Trail::open(Box::new(disk.clone()), Settings { keep_seconds: None, ..tiny() }, "host", at(0))?;
            for number in 0..24 {
                trail.append(Kind::Decision, at(0), data(number));
                trail.commit(at(0))?;
                committed = number + 1;
            }
            trail.pack_one().map(|_| ())
        };
        drop(work());
        committed
    };
    let whole = SimDisk::default();
    assert_eq!(write(&whole), 24);
    for operation in 1..=whole.operations() {
        for cut in [false, true] {
            let mut random = Random(operation);
            let disk = SimDisk::default();
            disk.fail_at(operation, random.below(256));
            let committed = write(&disk);
            let left = if cut { disk.after_power_cut(&mut |limit| random.below(limit)) } else { disk.after_kill() };
            drop(Trail::open(Box::new(left.clone()), tiny(), "host", at(1)).unwrap());
            assert_eq!(check(&left, &Expect::default()).faults, [], "operation {operation}, cut {cut}");
            let (numbers, _) = numbers(&left);
            assert_eq!(numbers, (0..numbers.len() as u64).collect::<Vec<_>>());
            assert!(numbers.len() as u64 >= committed, "operation {operation}, cut {cut}: {committed} {numbers:?}");
        }
    }
}
