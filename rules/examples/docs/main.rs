//! Writes `docs/rules.md` and `docs/input.md`: `cargo xtask docs`. With `--check` it only tells whether they are current.
//!
//! What the pages say comes from the METADATA of the shipped policies, from the table of fields and from the sample
//! events. How they look is in `pages.rs`, which the test `rules/tests/docs.rs` uses as well.

mod pages;

use std::fs;
use std::process::ExitCode;

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let check = match std::env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => false,
        [word] if word == "--check" => true,
        other => return Err(format!("usage: cargo xtask docs [--check]; not {other:?}").into()),
    };
    let mut stale = false;
    for (path, text) in pages::all()? {
        if fs::read_to_string(&path).is_ok_and(|there| there == text) {
            continue;
        }
        if check {
            eprintln!("{} is stale: run `cargo xtask docs`", path.display());
            stale = true;
        } else {
            fs::write(&path, text).map_err(|error| format!("writing {}: {error}", path.display()))?;
            println!("{} written", path.display());
        }
    }
    Ok(if stale { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
