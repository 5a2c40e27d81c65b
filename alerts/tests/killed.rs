//! A process that alerts is killed in the middle, again and again: what its spool had taken arrives, in order.
//!
//! The program starts itself again as the one that alerts; that one says on stdout which line it has handed over.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/dir.rs"]
mod dir;

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use alerts::{Format, Sink, SinkSet, SpoolOptions};
use dir::Dir;

const COUNT: u32 = 20_000;
/// What may be between the last word of a killed process and what it had brought to disk.
const UNDERWAY: u32 = 1_000;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    if args.get(1).map(String::as_str) == Some("alert") {
        return alert(&args[2], args[3].parse().unwrap());
    }
    lines_survive_kills_of_both_sides();
    println!("1 test of kills passed");
    ExitCode::SUCCESS
}

/// Sends lines from a number on, and says after each hundred how far the disk is.
fn alert(dir: &str, from: u32) -> ExitCode {
    let dir = PathBuf::from(dir);
    let options = SpoolOptions { directory: Some(dir.join("spool")), segment_bytes: 64 << 10, ..SpoolOptions::default() };
    let set = SinkSet::open(&[Sink::Unix(dir.join("collector.sock")).into()], Format::Ecs, &options).unwrap();
    let mut out = std::io::stdout();
    for number in from..COUNT {
        set.send(&Arc::from(format!("line {number}")));
        if number % 100 == 0 {
            writeln!(out, "{number}").unwrap();
            thread::sleep(Duration::from_millis(5));
        }
    }
    assert!(set.flush(Duration::from_secs(60)), "{:?}", set.status());
    ExitCode::SUCCESS
}

/// Reads lines of one connection after another. Every so many it goes away for a while with the rest unread.
fn collector(path: PathBuf) -> Receiver<u32> {
    let (sender, received) = channel();
    thread::spawn(move || {
        for round in 0_u64.. {
            let _ = std::fs::remove_file(&path);
            let listener = UnixListener::bind(&path).unwrap();
            let Ok((stream, _)) = listener.accept() else { return };
            let most = if round < 5 { 2500 } else { usize::MAX };
            for line in BufReader::new(stream).lines().map_while(Result::ok).take(most) {
                // The last line of a process that was killed may be half a line.
                let Some(number) = line.strip_prefix("line ").and_then(|number| number.parse().ok()) else { continue };
                if sender.send(number).is_err() {
                    return;
                }
            }
            drop(listener);
            thread::sleep(Duration::from_millis(50));
        }
    });
    received
}

fn lines_survive_kills_of_both_sides() {
    let dir = Dir::new();
    let received = collector(dir.join("collector.sock"));
    let mut from = 0;
    for life in [500_u32, 4_000, 9_000] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["alert", dir.path().to_str().unwrap(), &from.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let last = said.map(|line| line.parse::<u32>().unwrap()).find(|number| *number >= life).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        // It may have sent more; those numbers come again in the next life.
        from = last;
    }
    let args = ["alert", dir.path().to_str().unwrap(), &from.to_string()];
    assert!(Command::new(std::env::current_exe().unwrap()).args(args).stdout(Stdio::null()).status().unwrap().success());

    let mut seen = HashSet::new();
    let mut firsts = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(60);
    while !seen.contains(&(COUNT - 1)) {
        let number = received.recv_timeout(deadline.saturating_duration_since(Instant::now())).unwrap();
        if seen.insert(number) {
            firsts.push(number);
        }
    }
    assert!(firsts.windows(2).all(|pair| pair[0] < pair[1]), "in order, leaving out what was there before");
    let missing: Vec<u32> = (0..COUNT).filter(|number| !seen.contains(number)).collect();
    println!("{} lines arrived, {} underway at three kills are missing", firsts.len(), missing.len());
    assert!(missing.len() < 3 * UNDERWAY as usize, "{missing:?}");
    // Each life but the last took up a little before where the one before it had been cut off.
    assert_eq!(missing, Vec::<u32>::new(), "what was said to be handed over a moment before the kill");
}
