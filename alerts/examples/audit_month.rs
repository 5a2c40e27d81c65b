//! Writes the scripted month of the tests as a trail, and the report on it, to try `sentinel audit` and a browser on:
//! `cargo run --example audit_month -- DIRECTORY`.

#[path = "../tests/support/month.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod month;

use std::{env, fs, io, path::PathBuf};

use alerts::audit::{
    self, Record,
    report::{Builder, Format, Period, render},
};
use serde_json::json;

fn main() -> io::Result<()> {
    let directory = env::args_os().nth(1).map(PathBuf::from);
    let directory = directory.ok_or_else(|| io::Error::other("give a directory for the trail and its report"))?;
    let trail = directory.join("trail");
    month::alpha().write(&trail, "alpha")?;
    let mut builder =
        Builder::new(Period { from: month::at("2026-03-01T00:00:00Z"), to: month::at("2026-04-01T00:00:00Z") }, 1);
    for file in audit::find(&[trail])? {
        for line in fs::read_to_string(file)?.lines() {
            builder.record(&serde_json::from_str::<Record>(line)?);
        }
    }
    builder.end_trail(json!({ "intact": true, "faults_total": 0, "unsigned": 0 }));
    let report = builder.finish();
    fs::write(directory.join("report.html"), render(&report, Format::Html))?;
    println!("{}", directory.display());
    Ok(())
}
