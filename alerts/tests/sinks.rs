//! Sinks against real files and real sockets: what arrives, what is counted, who waits for whom.
//!
//! Standard output is in `stdout.rs`, because it belongs to the whole process.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/dir.rs"]
mod dir;

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use alerts::{Format, Sink, SinkSet, SinkSettings, SinkState, SinkStatus, SpoolOptions};
use dir::Dir;

const LONG: Duration = Duration::from_secs(30);

const MEMORY: usize = 8 << 20;

/// Sinks that keep lines in memory only.
fn open(sinks: &[Sink], memory: usize) -> Result<SinkSet, alerts::SinkError> {
    let settings: Vec<SinkSettings> = sinks.iter().cloned().map(SinkSettings::from).collect();
    SinkSet::open(&settings, Format::Ecs, &SpoolOptions { memory, ..SpoolOptions::default() })
}

fn file_set(path: &Path) -> SinkSet {
    open(&[Sink::File(path.to_owned())], MEMORY).unwrap()
}

fn unix_set(path: &Path, memory: usize) -> SinkSet {
    open(&[Sink::Unix(path.to_owned())], memory).unwrap()
}

fn open_error(sink: Sink) -> String {
    open(&[sink], MEMORY).err().expect("the sink must be refused").to_string()
}

fn send(set: &SinkSet, lines: impl IntoIterator<Item = u32>) {
    lines.into_iter().for_each(|number| set.send(&Arc::from(format!("line {number}"))));
}

fn lines(numbers: impl IntoIterator<Item = u32>) -> Vec<String> {
    numbers.into_iter().map(|number| format!("line {number}")).collect()
}

fn read_lines(path: &Path) -> Vec<String> {
    fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

fn only(set: &SinkSet) -> SinkStatus {
    set.status().remove(0)
}

/// Waits for a status, because writers have threads of their own.
fn wait_for(set: &SinkSet, what: &str, reached: impl Fn(&SinkStatus) -> bool) {
    let deadline = Instant::now() + LONG;
    while !reached(&only(set)) {
        assert!(Instant::now() < deadline, "{what} never came: {:?}", only(set));
        thread::sleep(Duration::from_millis(2));
    }
}

/// Takes one connection and reads this many lines; none: until the other side closes.
fn collect(listener: &UnixListener, count: Option<usize>) -> Vec<String> {
    let (stream, _) = listener.accept().unwrap();
    let all = BufReader::new(stream).lines().map(Result::unwrap);
    all.take(count.unwrap_or(usize::MAX)).collect()
}

#[test]
fn a_file_is_made_for_its_owner_and_group_and_appended_to() {
    let dir = Dir::new();
    let path = dir.join("alerts.json");
    for range in [0..100, 100..200] {
        let set = file_set(&path);
        send(&set, range);
        assert!(set.flush(LONG));
        let status = only(&set);
        assert_eq!((status.delivered, status.queued_bytes, status.state), (100, 0, SinkState::Ok));
    }
    assert_eq!(read_lines(&path), lines(0..200));
    let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o640 & !umask());
}

fn umask() -> u32 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let text = status.lines().find_map(|line| line.strip_prefix("Umask:")).unwrap();
    u32::from_str_radix(text.trim(), 8).unwrap()
}

#[test]
fn a_file_is_not_handed_on_to_programs_we_start() {
    const CLOSE_ON_EXEC: u32 = 0o2_000_000;
    let dir = Dir::new();
    let path = dir.join("alerts.json");
    let _set = file_set(&path);
    let descriptor = fs::read_dir("/proc/self/fd").unwrap().map(Result::unwrap);
    let descriptor = descriptor.filter(|entry| fs::read_link(entry.path()).is_ok_and(|target| target == path));
    let number = descriptor.last().unwrap().file_name();
    let info = fs::read_to_string(Path::new("/proc/self/fdinfo").join(number)).unwrap();
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap();
    assert_ne!(u32::from_str_radix(flags.trim(), 8).unwrap() & CLOSE_ON_EXEC, 0, "{info}");
}

#[test]
fn a_moved_file_is_left_alone_after_reopen() {
    let dir = Dir::new();
    let (path, moved) = (dir.join("alerts.json"), dir.join("alerts.json.1"));
    let set = file_set(&path);
    send(&set, 0..3);
    assert!(set.flush(LONG));
    fs::rename(&path, &moved).unwrap();
    send(&set, 3..5);
    assert!(set.flush(LONG), "until told, the old file goes on");
    set.reopen();
    send(&set, 5..9);
    assert!(set.flush(LONG));
    assert_eq!(read_lines(&moved), lines(0..5));
    assert_eq!(read_lines(&path), lines(5..9));
}

#[test]
fn a_failed_reopen_keeps_the_old_file_and_tries_again() {
    let dir = Dir::new();
    let (folder, away) = (dir.join("log"), dir.join("away"));
    fs::create_dir(&folder).unwrap();
    let set = file_set(&folder.join("alerts.json"));
    fs::rename(&folder, &away).unwrap();
    set.reopen();
    wait_for(&set, "degraded", |status| status.state == SinkState::Degraded);
    assert!(only(&set).last_error.unwrap().contains("log does not exist; create it first"));
    send(&set, 0..2);
    assert!(set.flush(LONG));
    wait_for(&set, "still degraded", |status| status.state == SinkState::Degraded);
    assert_eq!(read_lines(&away.join("alerts.json")), lines(0..2), "no line is lost meanwhile");
    fs::create_dir(&folder).unwrap();
    send(&set, 2..3);
    wait_for(&set, "recovery", |status| status.state == SinkState::Ok && status.delivered == 3);
    send(&set, 3..4);
    assert!(set.flush(LONG));
    assert_eq!(read_lines(&folder.join("alerts.json")), lines(3..4));
    assert_eq!(only(&set).lost, alerts::Lost::default());
}

#[test]
fn a_line_torn_by_an_earlier_run_is_ended_first() {
    let dir = Dir::new();
    let path = dir.join("alerts.json");
    fs::write(&path, "line 0\n{\"half").unwrap();
    let set = file_set(&path);
    send(&set, 1..3);
    assert!(set.flush(LONG));
    assert_eq!(read_lines(&path), ["line 0", "{\"half", "line 1", "line 2"]);
}

#[test]
fn a_full_disk_loses_nothing_and_the_sink_goes_on_trying() {
    let set = file_set(Path::new("/dev/full"));
    send(&set, 0..10);
    wait_for(&set, "degraded", |status| status.state == SinkState::Degraded);
    let status = only(&set);
    assert_eq!((status.delivered, status.lost, status.queued), (0, alerts::Lost::default(), 10));
    assert!(status.last_error.unwrap().contains("No space left"));
    let last = set.shutdown(Duration::from_millis(10)).remove(0);
    assert_eq!((last.delivered, last.lost.sink_error, last.queued), (0, 10, 0), "in memory only, so lost at the end");
}

#[test]
fn what_cannot_be_a_file_is_refused_with_advice() {
    let dir = Dir::new();
    let missing = open_error(Sink::File(dir.join("none/alerts.json")));
    assert!(missing.ends_with("/none does not exist; create it first"), "{missing}");

    let folder = open_error(Sink::File(dir.path().to_owned()));
    assert!(folder.ends_with("this is a directory, not a file; give the path of a file in it"), "{folder}");

    let socket = dir.join("socket");
    let _listener = UnixListener::bind(&socket).unwrap();
    let socket = open_error(Sink::File(socket));
    assert!(socket.ends_with("this is a socket, not a file; give the path of a file, or use unix:PATH"), "{socket}");

    let pipe = dir.join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    assert!(open_error(Sink::File(pipe)).contains("this is a pipe, not a file"));

    let plain = dir.join("plain");
    fs::write(&plain, "").unwrap();
    let below = open_error(Sink::File(plain.join("alerts.json")));
    assert!(below.contains("cannot open it for writing: Not a directory"), "{below}");
}

#[test]
fn a_sink_is_named_once() {
    let dir = Dir::new();
    let sink = Sink::File(dir.join("alerts.json"));
    let error = open(&[sink.clone(), Sink::Stdout, sink], 1000).err().unwrap().to_string();
    assert!(error.ends_with("alerts.json is given twice; name it once"), "{error}");
}

#[test]
fn a_listener_gets_every_line_in_order() {
    let dir = Dir::new();
    let path = dir.join("collector.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let collector = thread::spawn(move || collect(&listener, None));
    let set = unix_set(&path, MEMORY);
    send(&set, 0..5_000);
    let status = set.shutdown(LONG).remove(0);
    assert_eq!((status.delivered, status.lost), (5_000, alerts::Lost::default()));
    assert_eq!(collector.join().unwrap(), lines(0..5_000));
}

#[test]
fn lines_wait_for_a_listener_that_starts_late() {
    let dir = Dir::new();
    let path = dir.join("collector.sock");
    let set = unix_set(&path, MEMORY);
    send(&set, 0..50);
    wait_for(&set, "degraded", |status| status.state == SinkState::Degraded);
    assert!(only(&set).last_error.unwrap().contains("No such file"));
    assert!(!set.flush(Duration::from_millis(10)), "nothing can be written yet");
    let listener = UnixListener::bind(&path).unwrap();
    assert_eq!(collect(&listener, Some(50)), lines(0..50));
    wait_for(&set, "recovery", |status| status.state == SinkState::Ok && status.delivered == 50);
    assert_eq!(only(&set).lost, alerts::Lost::default());
}

#[test]
fn a_listener_that_comes_back_is_found_again() {
    let dir = Dir::new();
    let path = dir.join("collector.sock");
    let first = UnixListener::bind(&path).unwrap();
    let set = unix_set(&path, MEMORY);
    send(&set, 0..10);
    assert_eq!(collect(&first, Some(10)), lines(0..10));
    drop(first);
    fs::remove_file(&path).unwrap();
    wait_for(&set, "delivery", |status| status.delivered == 10);
    send(&set, 10..20);
    wait_for(&set, "degraded", |status| status.state == SinkState::Degraded);
    let second = UnixListener::bind(&path).unwrap();
    // What the first one may not have read comes once more.
    assert_eq!(collect(&second, Some(20)), lines(0..20));
    wait_for(&set, "recovery", |status| status.state == SinkState::Ok && status.delivered == 20);
    assert_eq!(only(&set).lost, alerts::Lost::default());
}

#[test]
fn memory_is_bounded_and_what_it_cannot_hold_is_counted() {
    let dir = Dir::new();
    let set = unix_set(&dir.join("nobody.sock"), 5 * "line 0".len());
    send(&set, 0..9);
    let status = only(&set);
    assert!(status.queued == 9 && status.queued_bytes <= 5 * "line 0".len() as u64, "{status:?}");
    let last = set.shutdown(Duration::from_millis(10)).remove(0);
    assert_eq!((last.delivered, last.lost.total(), last.queued_bytes, last.state), (0, 9, 0, SinkState::Degraded));
}

#[test]
fn a_sink_that_hangs_delays_nobody() {
    const COUNT: u32 = 20_000;
    let dir = Dir::new();
    let (socket, path) = (dir.join("hangs.sock"), dir.join("alerts.json"));
    // Connections are accepted by the kernel; nobody ever reads.
    let _listener = UnixListener::bind(&socket).unwrap();
    let sinks = [Sink::Unix(socket), Sink::File(path.clone())];
    let set = open(&sinks, MEMORY).unwrap();
    let line: Arc<str> = Arc::from("x".repeat(1_000));
    let started = Instant::now();
    (0..COUNT).for_each(|_| set.send(&line));
    let sending = started.elapsed();
    assert!(sending < Duration::from_secs(5), "sending waited: {sending:?}");
    let written = Instant::now() + LONG;
    while set.status()[1].queued_bytes > 0 {
        assert!(Instant::now() < written, "the file waits: {:?}", set.status());
        thread::sleep(Duration::from_millis(2));
    }
    let status = set.shutdown(Duration::from_millis(10));
    let [hanging, file] = &status[..] else { panic!("two sinks, {status:?}") };
    assert!(hanging.lost.total() > 0, "{hanging:?}");
    for sink in [hanging, file] {
        assert_eq!(sink.delivered + sink.lost.total(), u64::from(COUNT), "{sink:?}");
    }
    assert_eq!(file.lost.sink_error, 0, "{file:?}");
    assert_eq!(read_lines(&path).len() as u64, file.delivered);
}

#[test]
fn a_status_reads_as_the_contract_says() {
    let dir = Dir::new();
    let path = dir.join("nobody.sock");
    let set = unix_set(&path, MEMORY);
    send(&set, 0..2);
    wait_for(&set, "an error", |status| status.last_error.is_some());
    let status = serde_json::to_value(only(&set)).unwrap();
    let expected = serde_json::json!({
        "name": format!("unix:{}", path.display()), "delivered": 0,
        "lost": {"queue_full": 0, "sink_error": 0, "spool_error": 0}, "queued": 2, "queued_bytes": 12,
        "last_error": "No such file or directory (os error 2)", "state": "degraded",
    });
    assert_eq!(status, expected);
}

fn settings(text: &str) -> Result<SinkSettings, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

#[test]
fn a_full_file_is_put_aside_compressed_and_the_oldest_go() {
    let dir = Dir::new();
    let path = dir.join("alerts.json");
    let text = format!(
        "{{\"to\": \"file:{}\", \"rotate_bytes\": 1000, \"keep\": 3, \"compress\": true}}",
        path.display()
    );
    let set = SinkSet::open(&[settings(&text).unwrap()], Format::Ecs, &SpoolOptions::default()).unwrap();
    for number in 0..1000 {
        send(&set, [number]);
        // One at a time: a batch goes into one file.
        assert!(set.flush(LONG));
    }
    let mut names: Vec<String> =
        fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names.len(), 4, "{names:?}");
    let mut all = String::new();
    for name in &names[1..] {
        assert!(name.ends_with("Z.gz"), "{names:?}");
        let file = fs::File::open(dir.join(name)).unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o640 & !umask());
        std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(file), &mut all).unwrap();
    }
    all += &fs::read_to_string(&path).unwrap();
    let kept: Vec<&str> = all.lines().collect();
    let first = 1000 - u32::try_from(kept.len()).unwrap();
    assert!(first > 0, "the oldest files are gone");
    assert_eq!(kept, lines(first..1000), "and nothing between");
}

#[test]
fn keys_that_mean_nothing_are_refused() {
    for (text, why) in [
        ("{\"to\": \"stdout\", \"rotate_bytes\": 5}", "`rotate_bytes` means nothing here"),
        ("{\"to\": \"stdout\", \"colour\": 5}", "unknown field `colour`"),
        ("{\"format\": \"ecs\"}", "needs the key `to`"),
        ("{\"to\": \"stdout\", \"format\": \"xml\"}", "use one of ecs, ocsf, falco, cef"),
        ("3", "a sink as text, or a table"),
    ] {
        let error = settings(text).unwrap_err();
        assert!(error.contains(why), "{text}: {error}");
    }
    let rotation = settings("{\"to\": \"file:/tmp/x\", \"keep\": 5}").unwrap();
    let error = SinkSet::open(&[rotation], Format::Ecs, &SpoolOptions::default()).err().unwrap().to_string();
    assert!(error.contains("set rotate_bytes or rotate_hours"), "{error}");
}
