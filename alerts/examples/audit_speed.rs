//! How fast a trail is written and verified: `cargo run --release --example audit_speed -- DIRECTORY MEGABYTES`.

use std::{env, io, path::PathBuf, time::Instant};

use alerts::audit::{self, Directory, Expect, Kind, Settings, Trail};
use jiff::Timestamp;
use serde_json::{Value, json};

fn main() -> io::Result<()> {
    let mut args = env::args_os().skip(1);
    let directory = args.next().map(PathBuf::from).ok_or_else(|| io::Error::other("give a directory"))?;
    let megabytes = args.next().and_then(|text| text.to_str()?.parse().ok()).unwrap_or(100_u64);
    let start = Instant::now();
    let records = write(&directory, megabytes)?;
    println!("{records} records, {megabytes} MB written in {:.2} s", start.elapsed().as_secs_f64());
    let start = Instant::now();
    let files = audit::find(&[directory])?;
    let verdict = audit::verify(files.iter().map(|file| audit::open(file)), &Expect::default(), &mut |_| {})?;
    let seconds = start.elapsed().as_secs_f64();
    let speed = verdict.bytes as f64 / 1e6 / seconds;
    println!(
        "{} records verified in {seconds:.2} s, {speed:.0} MB/s, {} faults",
        verdict.records, verdict.faults_total
    );
    Ok(())
}

fn write(directory: &std::path::Path, megabytes: u64) -> io::Result<u64> {
    let disk = Box::new(Directory::open(directory)?);
    let (mut trail, _) = Trail::open(disk, Settings::default(), "bench", Timestamp::now())?;
    let filler = "x".repeat(1500);
    for number in 0..megabytes * 1_000_000 / 1700 {
        let data = json!({ "number": number, "effect": "refused", "alert": { "message": filler } });
        let Value::Object(data) = data else { continue };
        trail.append(Kind::Decision, Timestamp::now(), data);
        if number % 1000 == 999 {
            trail.commit(Timestamp::now())?;
        }
    }
    trail.commit(Timestamp::now())?;
    Ok(trail.head().seq)
}
