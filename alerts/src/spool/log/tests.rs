//! A log against real files: what a crash and a full disk leave behind.

use std::sync::Arc;

use super::*;

fn directory() -> PathBuf {
    std::env::temp_dir().join(format!("spool-{}", uuid::Uuid::now_v7().simple()))
}

fn records(range: std::ops::Range<u64>) -> Vec<Record> {
    range.map(|position| Record { position, line: Arc::from(format!("line {position}")) }).collect()
}

fn newest(directory: &Path) -> PathBuf {
    path(directory, segments(directory).unwrap().last().unwrap().first)
}

#[test]
fn a_torn_end_is_cut_wherever_it_was_torn() {
    let directory = directory();
    drop(Log::open(&directory, 1 << 20).map(|mut log| log.append(&records(1..4)).unwrap()).unwrap());
    let whole = fs::read(newest(&directory)).unwrap();
    let third = whole.len() - (record::HEADER + "line 3".len());
    for length in 0..=whole.len() {
        fs::write(path(&directory, 1), &whole[..length]).unwrap();
        let log = Log::open(&directory, 1 << 20).unwrap();
        let expected = if length == whole.len() {
            4
        } else if length >= third {
            3
        } else {
            log.next().min(2)
        };
        assert_eq!(log.next(), expected, "cut at {length}");
    }
    fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn positions_go_on_after_a_repair_in_a_new_segment() {
    let directory = directory();
    Log::open(&directory, 1 << 20).unwrap().append(&records(1..4)).unwrap();
    let file = newest(&directory);
    let whole = fs::read(&file).unwrap();
    fs::write(&file, &whole[..whole.len() - 1]).unwrap();
    let mut log = Log::open(&directory, 1 << 20).unwrap();
    log.append(&records(3..5)).unwrap();
    assert_eq!((log.next(), log.segments().iter().map(|one| one.first).collect::<Vec<_>>()), (5, vec![1, 3]));
    fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn segments_are_rolled_by_size_and_removed_from_the_oldest() {
    let directory = directory();
    let mut log = Log::open(&directory, 100).unwrap();
    for position in 1..20 {
        log.append(&records(position..position + 1)).unwrap();
    }
    let count = log.segments().len();
    assert!(count > 3 && log.segments().iter().all(|segment| segment.bytes < 150));
    log.remove_oldest().unwrap();
    assert_eq!((log.segments().len(), fs::read_dir(&directory).unwrap().count()), (count - 1, count));
    fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn a_spool_has_one_owner() {
    let directory = directory();
    let _first = Log::open(&directory, 100).unwrap();
    let error = Log::open(&directory, 100).err().unwrap().to_string();
    assert!(error.contains("another Sentinel"), "{error}");
    fs::remove_dir_all(&directory).unwrap();
}
