//! The sink `stdout` in a process of its own, with a reader, with a reader that goes away, and without one.
//!
//! The program starts itself again as the one that alerts; that one prints its final counters on stderr.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;

use alerts::{Format, Sink, SinkSet, SpoolOptions};
use serde_json::Value;

const COUNT: usize = 1_000;

/// Makes all lines together more than a pipe holds.
const WIDTH: usize = 200;

fn line(number: usize) -> String {
    format!("{{\"number\":{number:WIDTH$}}}")
}

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("alert") {
        return alert();
    }
    a_reader_gets_every_line();
    a_reader_that_goes_away_degrades_the_sink();
    a_pipe_that_was_closed_before_degrades_the_sink();
    println!("3 tests of standard output passed");
    ExitCode::SUCCESS
}

/// Waits for a line on stdin, then alerts.
fn alert() -> ExitCode {
    let mut go = String::new();
    std::io::stdin().read_line(&mut go).unwrap();
    let set = SinkSet::open(&[Sink::Stdout.into()], Format::Ecs, &SpoolOptions::default()).unwrap();
    for number in 0..COUNT {
        set.send(&Arc::from(line(number)));
    }
    // A line that a closed pipe refused is lost at once and holds nobody up.
    assert!(set.flush(Duration::from_secs(30)), "{:?}", set.status());
    let status = set.shutdown(Duration::ZERO);
    eprintln!("{}", serde_json::to_string(&status).unwrap());
    ExitCode::SUCCESS
}

struct Alerting(std::process::Child);

impl Alerting {
    fn start() -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg("alert").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(command.spawn().unwrap())
    }

    fn go(&mut self) {
        drop(self.0.stdin.take());
    }

    /// The final counters; the process must have ended well.
    fn end(mut self) -> Value {
        let mut report = String::new();
        self.0.stderr.take().unwrap().read_to_string(&mut report).unwrap();
        assert!(self.0.wait().unwrap().success(), "{report}");
        serde_json::from_str::<Value>(&report).unwrap_or_else(|error| panic!("{error}: {report}"))[0].take()
    }
}

fn a_reader_gets_every_line() {
    let mut alerting = Alerting::start();
    let stdout = BufReader::new(alerting.0.stdout.take().unwrap());
    alerting.go();
    let lines: Vec<String> = stdout.lines().map(Result::unwrap).collect();
    let expected: Vec<String> = (0..COUNT).map(line).collect();
    assert_eq!(lines, expected);
    let status = alerting.end();
    assert_eq!((&status["delivered"], &status["state"]), (&Value::from(COUNT), &Value::from("ok")), "{status}");
}

fn a_reader_that_goes_away_degrades_the_sink() {
    let mut alerting = Alerting::start();
    let mut stdout = BufReader::with_capacity(64, alerting.0.stdout.take().unwrap());
    alerting.go();
    let mut first = String::new();
    stdout.read_line(&mut first).unwrap();
    assert_eq!(first, line(0) + "\n");
    drop(stdout);
    let status = alerting.end();
    let count = |pointer| status.pointer(pointer).and_then(Value::as_u64).unwrap();
    assert_eq!(count("/delivered") + count("/lost/sink_error"), COUNT as u64, "{status}");
    assert!(count("/lost/sink_error") > 0 && status["state"] == "degraded", "{status}");
}

fn a_pipe_that_was_closed_before_degrades_the_sink() {
    let mut alerting = Alerting::start();
    drop(alerting.0.stdout.take());
    alerting.go();
    let status = alerting.end();
    assert_eq!(
        (&status["delivered"], &status["lost"]["sink_error"]),
        (&Value::from(0), &Value::from(COUNT)),
        "{status}"
    );
    assert_eq!(status["state"], "degraded");
    assert!(status["last_error"].as_str().unwrap().contains("Broken pipe"), "{status}");
}
