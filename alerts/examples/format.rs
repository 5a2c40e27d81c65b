//! Writes alerts in another format: `cargo run --example format -- ocsf|falco|cef ALERTS.jsonl`.

use std::{
    env, fs,
    io::{self, Write as _},
};

use alerts::Format;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [format, file] = &arguments[..] else { return Err(io::Error::other("give a format and a file of alerts")) };
    let format: Format = format.parse().map_err(io::Error::other)?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    fs::read_to_string(file)?.lines().try_for_each(|line| writeln!(out, "{}", format.line(line)))
}
