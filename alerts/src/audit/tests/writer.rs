//! The thread: what leaves has been written, a broken disk holds nothing up and loses nothing.

use std::{
    sync::mpsc::channel,
    time::{Duration, Instant},
};

use super::*;
use crate::audit::{Entry, Writer, record::Record};

fn started(disk: &SimDisk) -> Writer {
    let again = disk.clone();
    let open = move || Trail::open(Box::new(again.clone()), small(), "host", Timestamp::now());
    let (trail, _) = open().unwrap();
    Writer::start(trail, Box::new(open)).unwrap()
}

fn entry(number: u64) -> Entry {
    Entry { kind: Kind::Decision, at: at(0), data: data(number) }
}

/// Numbers on a disk, durable after a power cut that keeps nothing more than it has to.
fn durable(disk: &SimDisk) -> Vec<u64> {
    let left = disk.after_power_cut(&mut |_| 0);
    let segments: Vec<u8> = left.segments().into_values().flatten().collect();
    let records = segments.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let record = |line| serde_json::from_slice::<Record>(line).unwrap();
    records.filter_map(|line| record(line).data.get("number")?.as_u64()).collect()
}

#[test]
fn a_release_runs_when_its_record_is_durable() {
    let disk = SimDisk::default();
    let writer = started(&disk);
    let (sender, receiver) = channel();
    for number in 0..500 {
        let (sender, disk) = (sender.clone(), disk.clone());
        let release = move || sender.send((number, number % 100 > 0 || durable(&disk).contains(&number))).unwrap();
        writer.send(Some(entry(number)), Some(Box::new(release)));
    }
    let released: Vec<(u64, bool)> = receiver.iter().take(500).collect();
    assert!(released.iter().all(|(_, durable)| *durable));
    assert!(released.iter().map(|(number, _)| *number).eq(0..500), "in order");
    let health = writer.finish().unwrap();
    assert_eq!((health.error, health.lost), (None, 0));
    assert_eq!(health.head, health.signed, "the end is signed");
    assert_eq!(check(&disk, &Expect::default()).faults, []);
}

#[test]
fn a_broken_disk_delays_no_alert_and_costs_no_record() {
    let disk = SimDisk::default();
    let writer = started(&disk);
    disk.fail_at(disk.operations() + 1, 100);
    let (sender, receiver) = channel();
    writer.send(Some(entry(1)), Some(Box::new(move || sender.send(()).unwrap())));
    receiver.recv_timeout(Duration::from_secs(5)).unwrap();
    assert!(writer.health().error.is_some_and(|error| error.contains("simulated")));
    disk.repair();
    let end = Instant::now() + Duration::from_secs(10);
    while writer.health().error.is_some() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(20));
    }
    let health = writer.finish().unwrap();
    assert_eq!((health.error, health.lost), (None, 0));
    assert_eq!(durable(&disk), [1]);
    assert_eq!(check(&disk, &Expect::default()).faults, []);
}
