//! Whatever is done to a trail is found, and where.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::audit::{
    keys::Key,
    record::{self, Hash, Position, Record, hex},
    trail::CHECKPOINT,
    verify::Problem,
};

/// A trail of ten thousand records, made once: its lines by file.
static TRAIL: LazyLock<BTreeMap<String, Vec<Vec<u8>>>> = LazyLock::new(|| lines(&trail_of(10_000)));
/// A smaller one for what is done very often.
static SMALL: LazyLock<BTreeMap<String, Vec<Vec<u8>>>> = LazyLock::new(|| lines(&trail_of(200)));

type Lines = BTreeMap<String, Vec<Vec<u8>>>;

fn lines(disk: &SimDisk) -> Lines {
    let split = |bytes: Vec<u8>| bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    disk.segments().into_iter().map(|(name, bytes)| (name, split(bytes))).collect()
}

fn verdict(lines: &Lines, expect: &Expect) -> Verdict {
    let files = lines.iter().map(|(name, lines)| (name.clone(), lines.concat())).collect();
    verify(sources(files), expect, &mut |_| {}).unwrap()
}

/// Where the record of a number is: file and index of the line.
fn place(lines: &Lines, seq: u64) -> (String, usize) {
    let mut left = seq as usize - 1;
    for (name, lines) in lines {
        if left < lines.len() {
            return (name.clone(), left);
        }
        left -= lines.len();
    }
    unreachable!("there is no record {seq}")
}

fn count(lines: &Lines) -> u64 {
    lines.values().map(|lines| lines.len() as u64).sum()
}

/// The trail with the lines of one file changed.
fn changed(lines: &Lines, seq: u64, change: impl FnOnce(&mut Vec<Vec<u8>>, usize)) -> Lines {
    let (name, index) = place(lines, seq);
    let mut lines = lines.clone();
    change(lines.get_mut(&name).unwrap(), index);
    lines
}

fn only(verdict: &Verdict, seq: u64, wanted: &Problem) -> bool {
    verdict.faults.iter().any(|fault| fault.seq == Some(seq) && fault.problem == *wanted)
}

#[test]
fn every_byte_of_a_sample_of_records() {
    let trail = &*TRAIL;
    assert!(count(trail) > 10_000 && verdict(trail, &Expect::default()).holds());
    let file = SMALL.clone();
    for seq in [1, 2, 17, 18, 100, count(&file)] {
        let (name, index) = place(&file, seq);
        for byte in 0..file[&name][index].len() {
            let tampered = changed(&file, seq, |lines, index| lines[index][byte] ^= 1);
            let verdict = verdict(&tampered, &Expect::default());
            assert!(!verdict.holds(), "record {seq}, byte {byte}");
            let here = |fault: &crate::audit::Fault| fault.file == name && fault.line.abs_diff(index as u64 + 1) <= 1;
            assert!(verdict.faults.iter().any(here), "record {seq}, byte {byte}: {:?}", verdict.faults);
        }
    }
    for seq in (1..count(trail)).step_by(997) {
        let tampered = changed(trail, seq, |lines, index| lines[index][40] ^= 4);
        let verdict = verdict(&tampered, &Expect::default());
        assert!(only(&verdict, seq, &Problem::Changed), "record {seq}: {:?}", verdict.faults);
    }
}

#[test]
fn records_removed_doubled_swapped_inserted() {
    let trail = &*TRAIL;
    for seq in [3, 500, 5001, 9990] {
        let removed = changed(trail, seq, |lines, index| drop(lines.remove(index)));
        assert!(only(&verdict(&removed, &Expect::default()), seq + 1, &Problem::Missing { from: seq, to: seq }));
        let doubled = changed(trail, seq, |lines, index| lines.insert(index, lines[index].clone()));
        assert!(only(&verdict(&doubled, &Expect::default()), seq, &Problem::OutOfOrder { expected: seq + 1 }));
        let swapped = changed(trail, seq, |lines, index| lines.swap(index, index - 1));
        assert!(only(&verdict(&swapped, &Expect::default()), seq - 1, &Problem::OutOfOrder { expected: seq + 1 }));
        // A record that hashes well but is not the one that was there.
        let forged = changed(trail, seq, |lines, index| {
            let old: Record = serde_json::from_slice(&lines[index]).unwrap();
            let before = Position { seq: seq - 1, hash: old.prev.parse().unwrap() };
            lines[index] = (record::line(before, &old.at, "decision", &data(7)).0 + "\n").into_bytes();
        });
        let verdict = verdict(&forged, &Expect::default());
        assert!(verdict.faults.iter().any(|fault| fault.seq == Some(seq + 1)), "{:?}", verdict.faults);
    }
    let name = trail.keys().nth(3).unwrap();
    let mut without_file = trail.clone();
    without_file.remove(name);
    let verdict = verdict(&without_file, &Expect::default());
    assert!(matches!(verdict.faults[0].problem, Problem::Missing { .. }), "{:?}", verdict.faults);
}

/// Everything from a record on hashed anew, checkpoints signed by `key` where there is one.
fn rewritten(trail: &Lines, seq: u64, mut key: Option<Key>) -> Lines {
    let mut trail = trail.clone();
    let mut before: Option<Position> = None;
    for line in trail.values_mut().flatten() {
        let mut record: Record = serde_json::from_slice(line).unwrap();
        if record.seq < seq {
            before = Some(Position { seq: record.seq, hash: record.sha256.parse().unwrap() });
            continue;
        }
        if record.seq == seq {
            record.data.insert("text".to_owned(), "never happened".into());
        }
        let last = before.unwrap();
        if let (Some(signer), "checkpoint") = (&mut key, record.kind.as_str()) {
            let next = Key::new(signer.generation + 1).unwrap();
            record.data.insert("head".to_owned(), last.hash.to_string().into());
            record.data.insert("next".to_owned(), hex(&next.public()).into());
            record.data.remove("signature");
            let text = record::body(last, &record.at, &record.kind, &record.data);
            record.data.insert("signature".to_owned(), signer.sign(CHECKPOINT, text.as_bytes()).into());
            *signer = next;
        }
        let (text, position) = record::line(last, &record.at, &record.kind, &record.data);
        (*line, before) = ((text + "\n").into_bytes(), Some(position));
    }
    trail
}

#[test]
fn a_trail_hashed_and_signed_anew_is_found_at_the_next_checkpoint() {
    let trail = &*SMALL;
    let checkpoint = |from: u64| {
        let all = trail.values().flatten().map(|line| serde_json::from_slice::<Record>(line).unwrap());
        all.filter(|record| record.kind == "checkpoint").map(|record| record.seq).find(|seq| *seq > from).unwrap()
    };
    for seq in [21, 101, 151] {
        for key in [None, Some(Key::new(3).unwrap())] {
            let verdict = verdict(&rewritten(trail, seq, key), &Expect::default());
            let first = &verdict.faults[0];
            assert_eq!(first.seq, Some(checkpoint(seq)));
            assert!(
                matches!(first.problem, Problem::Signature { from, to, .. } if from <= seq && to >= seq),
                "{first:?}"
            );
        }
    }
}

#[test]
fn two_trails_put_together_and_a_trail_that_was_cut() {
    let (trail, other) = (&*SMALL, lines(&trail_of(200)));
    let mut spliced = trail.clone();
    for (name, lines) in other.iter().skip(1) {
        spliced.insert(name.clone(), lines.clone());
    }
    let found = verdict(&spliced, &Expect::default());
    assert!(found.faults.iter().any(|fault| matches!(fault.problem, Problem::OtherTrail { .. })), "{:?}", found.faults);
    let key = |trail: &Lines| verdict(trail, &Expect::default()).root.unwrap().1;
    let expect = Expect { key: Some(key(trail)), ..Expect::default() };
    assert!(verdict(trail, &expect).holds());
    assert!(verdict(&other, &expect).faults.iter().any(|fault| fault.problem == Problem::OtherKey));
    // Cut behind a checkpoint: only a head, or the key that the daemon holds, shows it.
    let head = verdict(trail, &Expect::default()).last.unwrap().hash;
    let generation = verdict(trail, &Expect::default()).checkpoints;
    let mut cut = trail.clone();
    cut.pop_last();
    assert!(verdict(&cut, &Expect::default()).holds());
    let expect = Expect { head: Some(head), ..Expect::default() };
    assert!(verdict(&cut, &expect).faults.iter().any(|fault| fault.problem == Problem::NoHead(head)));
    let expect = Expect { current: Some((generation, [0; 32])), ..Expect::default() };
    assert!(matches!(verdict(&cut, &expect).faults[0].problem, Problem::Behind { .. }));
    assert!(verdict(trail, &expect).holds());
    let mut torn = trail.clone();
    let last = torn.last_entry().unwrap().into_mut().last_mut().unwrap();
    last.truncate(last.len() / 2);
    assert!(matches!(verdict(&torn, &Expect::default()).faults[0].problem, Problem::Torn { .. }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Any bytes in the place of any others, anywhere before the last line.
    #[test]
    fn random_edits_are_found(start in 0.0..1.0f64, cut in 0usize..600, new in proptest::collection::vec(any::<u8>(), 0..300)) {
        let files: BTreeMap<String, Vec<u8>> = SMALL.iter().map(|(name, lines)| (name.clone(), lines.concat())).collect();
        let whole: Vec<u8> = files.values().flatten().copied().collect();
        let start = (whole.len() as f64 * start) as usize;
        let end = (start + cut).min(whole.len());
        prop_assume!(whole[start..end] != new[..]);
        let edited = [&whole[..start], &new, &whole[end..]].concat();
        let head: Hash = verdict(&SMALL, &Expect::default()).last.unwrap().hash;
        let expect = Expect { head: Some(head), ..Expect::default() };
        // One file: records of the kind segment may stand anywhere.
        let source = sources([("all".to_owned(), edited.clone())].into());
        let found = verify(source, &expect, &mut |_| {}).unwrap();
        // The same text again, by other bytes, is no edit.
        prop_assert!(!found.holds() || edited == whole, "{start}..{end}");
    }
}
