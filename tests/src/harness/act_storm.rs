//! The operations of `act` that try again and again in one process: many techniques in turn, or one until it is refused.
//!
//! Invariant: an attempt is an operation as it would run alone; what came of it is counted by errno and printed, never
//! judged here.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, BufRead as _, Write as _},
    sync::mpsc::channel,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use super::act_ops::{Done, Kept, perform as one};

/// Performs the operation if it is one of this module's.
pub(super) fn perform(words: &[&str], kept: &mut Kept) -> Done {
    Ok(Some(match words {
        ["storm", count, first, file] => {
            let count = count.parse()?;
            storm(|number, _| number < count, first.parse()?, file, kept)?
        }
        ["storm-for", milliseconds, first, file] => {
            let time = Duration::from_millis(milliseconds.parse()?);
            storm(|_, begin| begin.elapsed() < time, first.parse()?, file, kept)?
        }
        ["latch", milliseconds, op @ ..] => latch(Duration::from_millis(milliseconds.parse()?), op, kept)?,
        _ => return Ok(None),
    }))
}

/// Performs operations while `more`, which gets how many there were and the begin, says so: the lines of `file` in turn,
/// beginning with the line `first`. Prints `attempts=N` about every second, and at last `came errno=N times=N op=...` for each line and errno.
fn storm(more: impl Fn(usize, Instant) -> bool, first: usize, file: &str, kept: &mut Kept) -> Result<io::Result<()>> {
    let text = fs::read_to_string(file).with_context(|| format!("reading {file}"))?;
    let ops: Vec<Vec<&str>> = text.lines().map(|line| line.split(' ').collect()).collect();
    ensure!(!ops.is_empty(), "{file} has no operation");
    let mut came: BTreeMap<(usize, i32), u64> = BTreeMap::new();
    let (begin, mut shown, mut number) = (Instant::now(), Instant::now(), 0);
    while more(number, begin) {
        let which = (first + number) % ops.len();
        let errno = one(&ops[which], kept).with_context(|| ops[which].join(" "))?;
        *came.entry((which, errno)).or_default() += 1;
        number += 1;
        if shown.elapsed() >= Duration::from_secs(1) {
            shown = Instant::now();
            println!("attempts={number}");
            io::stdout().flush()?;
        }
    }
    for ((which, errno), times) in came {
        println!("came errno={errno} times={times} op={}", ops[which].join(" "));
    }
    Ok(Ok(()))
}

/// How long a latch waits for the first refusal.
const LATCH_LIMIT: Duration = Duration::from_secs(120);

/// Performs one operation every millisecond until `time` after the first EPERM; prints how often it passed before that, how
/// often it was refused, and how often it passed afterwards, which must be never. A line on standard input ends it earlier.
fn latch(time: Duration, op: &[&str], kept: &mut Kept) -> Result<io::Result<()>> {
    let (begin, mut first, mut before, mut refused, mut after) = (Instant::now(), None, 0_u64, 0_u64, 0_u64);
    let (sender, told) = channel();
    std::thread::spawn(move || {
        // The end of the input is no line. That nobody listens any more is no error.
        if io::stdin().lock().read_line(&mut String::new()).is_ok_and(|length| length > 0) {
            let _ = sender.send(());
        }
    });
    while told.try_recv().is_err()
        && first.map_or(begin.elapsed() < LATCH_LIMIT, |first: Instant| first.elapsed() < time)
    {
        match one(op, kept)? {
            libc::EPERM => {
                refused += 1;
                first.get_or_insert_with(Instant::now);
            }
            _ if first.is_none() => before += 1,
            _ => after += 1,
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    println!("passed={before} refused={refused} passed_after={after}");
    Ok(Ok(()))
}
