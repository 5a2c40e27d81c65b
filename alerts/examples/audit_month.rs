//! Writes the scripted month of the tests as a trail, to try `sentinel audit` on: `cargo run --example audit_month -- DIRECTORY`.

#[path = "../tests/support/month.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod month;

use std::{env, io, path::PathBuf};

fn main() -> io::Result<()> {
    let directory = env::args_os().nth(1).map(PathBuf::from);
    let directory = directory.ok_or_else(|| io::Error::other("give a directory for the trail"))?;
    month::alpha().write(&directory, "alpha")?;
    println!("{}", directory.display());
    Ok(())
}
