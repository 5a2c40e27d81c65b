//! Recording to files: what is on the lines, the bound, and what is counted.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

/// A file of a test, removed with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("sentinel-record-{name}-{}.jsonl", std::process::id()));
        let _ = std::fs::remove_file(&path);
        Self(path)
    }

    fn lines(&self) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(&self.0).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn open(scratch: &Scratch, limit: u64) -> Recorder {
    Recorder::open(&scratch.0, limit, &Header { policy_sha256: "ab", mode: "monitor" }).unwrap()
}

fn line(number: u64) -> Line {
    let input = Value::from_json_str(&format!(r#"{{"event": {{"action": "open"}}, "n": {number}}}"#)).unwrap();
    Line { input, sentinel: json!({ "sequence": number, "blocked": false }) }
}

/// Waits for the writer, and gives how it stood at the end.
fn end(recorder: Recorder) -> Recording {
    let state = recorder.state.clone();
    drop(recorder);
    lock(&state).clone()
}

#[test]
fn a_line_is_the_input_and_the_verdict_after_one_header() {
    let scratch = Scratch::new("lines");
    let recorder = open(&scratch, 1 << 20);
    (1..=1000).for_each(|number| recorder.push(line(number)));
    let recording = end(recorder);
    let lines = scratch.lines();
    assert_eq!((lines.len(), recording.events, recording.lost), (1001, 1000, Lost::default()));
    assert_eq!(recording.bytes, std::fs::metadata(&scratch.0).unwrap().len());
    assert_eq!(lines[0]["sentinel_recording"], 1);
    assert_eq!((&lines[0]["policy"]["sha256"], &lines[0]["mode"]), (&json!("ab"), &json!("monitor")));
    let expected =
        json!({ "event": { "action": "open" }, "n": 1000, "sentinel": { "sequence": 1000, "blocked": false } });
    assert_eq!(lines[1000], expected);
    assert_eq!(std::fs::metadata(&scratch.0).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_full_recording_stops_and_counts() {
    let scratch = Scratch::new("full");
    let recorder = open(&scratch, 2000);
    (1..=500).for_each(|number| recorder.push(line(number)));
    let recording = end(recorder);
    assert!(recording.events > 0 && recording.bytes <= 2000, "{recording:?}");
    assert_eq!(recording.lost, Lost { size_limit: 500 - recording.events, ..Lost::default() });
    assert!(recording.stopped.unwrap().contains("2000 bytes"));
    assert_eq!(scratch.lines().len() as u64, 1 + recording.events);
    // What is there counts towards the bound of the next start.
    let again = open(&scratch, 2000);
    again.push(line(1));
    assert_eq!(end(again).lost.size_limit, 1);
}

#[test]
fn what_cannot_be_written_is_counted() {
    let path = Path::new("/dev/full");
    assert!(Recorder::open(path, 1, &Header { policy_sha256: "", mode: "" }).is_err());
    let file = OpenOptions::new().write(true).open(path).unwrap();
    let state = Arc::new(Mutex::new(Recording { limit_bytes: 1 << 20, ..Recording::default() }));
    let (lines, incoming) = sync_channel(QUEUE);
    (1..=3).for_each(|number| lines.send(line(number)).unwrap());
    drop(lines);
    Writer { file, buffer: Vec::new(), pending: 0, bytes: 0, full: false, state: state.clone() }.run(&incoming);
    let recording = lock(&state).clone();
    assert_eq!((recording.events, recording.lost), (0, Lost { write_error: 3, ..Lost::default() }));
    assert!(recording.stopped.unwrap().contains("cannot be written"));
}

#[test]
fn a_bad_path_is_an_error_that_names_it() {
    for path in ["/nonexistent/directory/events.jsonl", "/dev/null", "/tmp"] {
        let header = Header { policy_sha256: "", mode: "" };
        let error = Recorder::open(Path::new(path), 1, &header).err().map(|error| format!("{error:#}"));
        assert!(error.as_ref().is_some_and(|error| error.contains(path) && error.contains("--record")), "{error:?}");
    }
}
