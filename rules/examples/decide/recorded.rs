//! The events of a recording (`sentinel run --record`), as policies saw them.

use std::fs::File;
use std::io::{BufRead as _, BufReader};

use rules::Value;

use crate::Failure;
use crate::events::Event;

/// Events that follow one another in the recording stay together in a choice of it.
const BLOCK: usize = 1_000;

/// Reads a recording, or as many blocks of it, evenly spaced, as make `limit` events.
pub(crate) fn read(path: &str, limit: usize) -> Result<Vec<Event>, Failure> {
    let lines = || -> Result<_, Failure> {
        let file = File::open(path).map_err(|error| format!("reading {path}: {error}"))?;
        Ok(BufReader::with_capacity(1 << 20, file).lines())
    };
    let all = lines()?.count().div_ceil(BLOCK);
    let wanted = limit.div_ceil(BLOCK).min(all);
    // Block b is taken when the count of those wanted up to it grows.
    let taken = |block: usize| (block + 1) * wanted / all > block * wanted / all;
    let mut events = Vec::new();
    for (number, line) in lines()?.enumerate().filter(|(number, _)| taken(number / BLOCK)) {
        if let Some(event) = event(&line?).map_err(|error| format!("{path}:{}: {error}", number + 1))? {
            events.push(event);
        }
    }
    if events.is_empty() { Err(format!("{path}: no events").into()) } else { Ok(events) }
}

/// The event of a line; nothing for the header of a recording.
fn event(line: &str) -> Result<Option<Event>, Failure> {
    let mut value = Value::from_json_str(line)?;
    let Value::String(action) = &value["event"]["action"] else { return Ok(None) };
    let kind = action.parse()?;
    // What the kernel said of it is not part of what policies see.
    value.as_object_mut()?.remove(&Value::from("sentinel"));
    Ok(Some((kind, value)))
}
