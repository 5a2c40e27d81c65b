//! The spool through its sinks: restarts, a sink that is down, bounds, a disk that fails.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/dir.rs"]
mod dir;

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use alerts::{Format, Lost, Sink, SinkSet, SinkStatus, SpoolOptions};
use dir::Dir;

const LONG: Duration = Duration::from_secs(60);

fn options(dir: &Dir) -> SpoolOptions {
    SpoolOptions { directory: Some(dir.join("spool")), segment_bytes: 4096, memory: 4096, ..SpoolOptions::default() }
}

fn open(sinks: &[Sink], options: &SpoolOptions) -> SinkSet {
    let settings: Vec<_> = sinks.iter().cloned().map(Into::into).collect();
    SinkSet::open(&settings, Format::Ecs, options).unwrap()
}

fn send(set: &SinkSet, lines: std::ops::Range<u32>) {
    lines.for_each(|number| set.send(&Arc::from(format!("line {number}"))));
}

/// Sends no faster than the disk takes: what is tested is the order, not the speed of this machine's disk.
fn send_kept(set: &SinkSet, lines: std::ops::Range<u32>) {
    for number in lines {
        set.send(&Arc::from(format!("line {number}")));
        if number % 100 == 99 {
            wait(|| set.spool().memory_bytes < 2048 || set.spool().unspooled > 0 || on_disk(set), "the disk to keep up");
        }
    }
}

/// The writer has had a chance to write what is there.
fn on_disk(set: &SinkSet) -> bool {
    thread::sleep(Duration::from_millis(3));
    set.spool().error.is_none()
}

fn lines(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|number| format!("line {number}")).collect()
}

fn wait(mut reached: impl FnMut() -> bool, what: &str) {
    let deadline = Instant::now() + LONG;
    while !reached() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

fn collect(listener: &UnixListener, count: usize) -> Vec<String> {
    let (stream, _) = listener.accept().unwrap();
    BufReader::new(stream).lines().map(Result::unwrap).take(count).collect()
}

fn segments(dir: &Dir) -> Vec<PathBuf> {
    let all = fs::read_dir(dir.join("spool")).unwrap().map(|entry| entry.unwrap().path());
    let mut all: Vec<PathBuf> = all.filter(|path| path.extension().is_some_and(|ending| ending == "log")).collect();
    all.sort_unstable();
    all
}

fn only(set: &SinkSet) -> SinkStatus {
    set.status().remove(0)
}

fn read(path: &Path) -> Vec<String> {
    fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn what_a_dead_sink_has_not_taken_is_there_after_a_restart() {
    let dir = Dir::new();
    let (socket, file) = (dir.join("collector.sock"), dir.join("alerts.json"));
    let sinks = [Sink::Unix(socket.clone()), Sink::File(file.clone())];
    let set = open(&sinks, &options(&dir));
    send_kept(&set, 0..2000);
    wait(|| set.status()[1].delivered == 2000, "the file, which waits for nobody");
    let last = set.shutdown(Duration::ZERO);
    assert_eq!((last[0].delivered, last[0].lost, last[0].queued), (0, Lost::default(), 2000));

    let set = open(&sinks, &options(&dir));
    send_kept(&set, 2000..2500);
    let listener = UnixListener::bind(&socket).unwrap();
    assert_eq!(collect(&listener, 2500), lines(0..2500), "in order, across the restart");
    wait(|| set.status()[0].queued == 0, "the end");
    assert_eq!(set.status().iter().map(|sink| sink.lost).collect::<Vec<_>>(), [Lost::default(); 2]);
    assert!(set.flush(LONG));
    assert_eq!(read(&file), lines(0..2500), "the other sink got nothing twice");
    wait(|| segments(&dir).len() <= 1, "segments that all have read to go");
}

#[test]
fn a_new_sink_starts_at_the_end_and_a_forgotten_one_holds_nothing_back() {
    let dir = Dir::new();
    let (first, second) = (dir.join("first.json"), dir.join("second.json"));
    let set = open(&[Sink::File(first.clone()), Sink::Unix(dir.join("nobody.sock"))], &options(&dir));
    send_kept(&set, 0..1000);
    assert!(segments(&dir).len() > 2, "the dead sink holds them");
    drop(set.shutdown(Duration::from_secs(1)));
    let set = open(&[Sink::File(first.clone()), Sink::File(second.clone())], &options(&dir));
    send_kept(&set, 1000..1500);
    assert!(set.flush(LONG));
    assert_eq!(read(&first), lines(0..1500));
    assert_eq!(read(&second), lines(1000..1500));
    wait(|| segments(&dir).len() <= 1, "the old segments to go");
}

#[test]
fn at_the_bound_the_oldest_go_and_the_sink_knows_how_many() {
    let dir = Dir::new();
    let socket = dir.join("collector.sock");
    let bounded = SpoolOptions { bytes: 16 << 10, ..options(&dir) };
    let set = open(&[Sink::Unix(socket.clone())], &bounded);
    send_kept(&set, 0..5000);
    wait(|| set.spool().bytes <= 20 << 10, "the bound to hold");
    let listener = UnixListener::bind(&socket).unwrap();
    let (sender, received) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        BufReader::new(stream).lines().map_while(Result::ok).for_each(|line| drop(sender.send(line)));
    });
    wait(|| only(&set).queued == 0, "what is left");
    let status = only(&set);
    assert!(status.lost.queue_full > 1000 && status.lost.sink_error == 0, "{status:?}");
    assert_eq!(status.delivered + status.lost.total(), 5000, "{status:?}");
    drop(set);
    let received: Vec<String> = received.iter().collect();
    assert_eq!(received.len() as u64, status.delivered);
    assert_eq!(received.last().unwrap(), "line 4999");
    let numbers: Vec<u32> = received.iter().map(|line| line[5..].parse().unwrap()).collect();
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "in order, none twice");
}

#[test]
fn age_is_a_bound_too() {
    let dir = Dir::new();
    let bounded = SpoolOptions { age: Duration::from_millis(300), ..options(&dir) };
    let set = open(&[Sink::Unix(dir.join("nobody.sock"))], &bounded);
    send_kept(&set, 0..1000);
    wait(|| segments(&dir).len() == 1, "old segments to go");
}

#[test]
fn a_damaged_segment_costs_its_rest_and_is_counted() {
    let dir = Dir::new();
    let socket = dir.join("collector.sock");
    let set = open(&[Sink::Unix(socket.clone())], &options(&dir));
    send_kept(&set, 0..1000);
    drop(set.shutdown(Duration::ZERO));
    let second = &segments(&dir)[1];
    let mut bytes = fs::read(second).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x20;
    fs::write(second, bytes).unwrap();
    let set = open(&[Sink::Unix(socket.clone())], &options(&dir));
    let listener = UnixListener::bind(&socket).unwrap();
    thread::spawn(move || collect(&listener, usize::MAX));
    wait(|| only(&set).queued == 0, "the rest");
    let status = only(&set);
    assert!(status.lost.spool_error > 10 && status.lost.spool_error < 300, "{status:?}");
    assert_eq!(status.delivered + status.lost.total(), 1000, "{status:?}");
}

#[test]
fn a_damaged_cursor_repeats_rather_than_loses() {
    let dir = Dir::new();
    let file = dir.join("alerts.json");
    let sinks = [Sink::File(file.clone()), Sink::Unix(dir.join("nobody.sock"))];
    let set = open(&sinks, &options(&dir));
    send_kept(&set, 0..300);
    assert!(!set.flush(Duration::from_millis(200)));
    drop(set.shutdown(Duration::ZERO));
    for cursor in fs::read_dir(dir.join("spool/cursors")).unwrap() {
        fs::write(cursor.unwrap().path(), "nonsense, sixteen").unwrap();
    }
    let set = open(&sinks, &options(&dir));
    wait(|| set.status()[0].queued == 0, "everything once more");
    assert_eq!(read(&file), [lines(0..300), lines(0..300)].concat());
}

#[test]
fn a_failing_disk_hurts_only_who_is_behind() {
    let dir = Dir::new();
    let (socket, file) = (dir.join("collector.sock"), dir.join("alerts.json"));
    let set = open(&[Sink::File(file.clone()), Sink::Unix(socket.clone())], &options(&dir));
    send_kept(&set, 0..500);
    // Nothing can be made in a directory that is gone; the segment that is open fills up.
    fs::rename(dir.join("spool"), dir.join("away")).unwrap();
    for number in 500..1500 {
        send(&set, number..number + 1);
        wait(|| set.status()[0].queued == 0, "the file, which reads from memory");
    }
    wait(|| set.spool().error.is_some(), "the error to show");
    assert_eq!(set.status()[0].lost, Lost::default());
    fs::rename(dir.join("away"), dir.join("spool")).unwrap();
    wait(|| set.spool().error.is_none(), "the disk to recover");
    send_kept(&set, 1500..2000);
    let listener = UnixListener::bind(&socket).unwrap();
    thread::spawn(move || collect(&listener, usize::MAX));
    wait(|| set.status()[1].queued == 0, "the other sink");
    let status = set.status().remove(1);
    assert!(status.lost.spool_error > 0 && set.spool().unspooled > 0, "{status:?}");
    assert_eq!(status.delivered + status.lost.total(), 2000, "{status:?}");
    assert_eq!(read(&file), lines(0..2000));
}

#[test]
fn two_daemons_do_not_share_a_spool() {
    let dir = Dir::new();
    let _first = open(&[Sink::Stdout], &options(&dir));
    let error = SinkSet::open(&[Sink::Stdout.into()], Format::Ecs, &options(&dir)).err().unwrap().to_string();
    assert!(error.contains("another Sentinel uses it"), "{error}");
}

#[test]
fn sending_waits_for_nobody() {
    let dir = Dir::new();
    let set = open(&[Sink::Unix(dir.join("nobody.sock"))], &SpoolOptions { memory: 8 << 20, ..options(&dir) });
    let line: Arc<str> = Arc::from("x".repeat(1500));
    let started = Instant::now();
    (0..20_000).for_each(|_| set.send(&line));
    let each = started.elapsed() / 20_000;
    println!("{each:?} a line (test build)");
    assert!(each < Duration::from_micros(500), "{each:?}");
    assert!(set.spool().memory_bytes <= 8 << 20);
}
