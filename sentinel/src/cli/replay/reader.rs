//! A file of events, in pieces, on several threads, and their results back in order.
//!
//! Invariants: results come in the order of the file whatever thread was faster; what is in memory is bounded, however long
//! the file or a line of it is.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead as _, BufReader, IsTerminal as _, Read as _, Write as _},
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use super::{
    standing::Standing,
    worker::{Batch, Worker},
};

/// Bytes of a piece.
const PIECE: usize = 256 << 10;
/// Longest line.
const LONGEST: u64 = 16 << 20;
/// Most threads.
const THREADS: usize = 64;
/// How often progress is shown.
const PROGRESS: Duration = Duration::from_millis(250);

/// A piece of the file: its place among them, its first line, its text.
type Piece = (usize, u64, Vec<u8>);

/// Reads a file and hands what came of each piece to `take`, in order.
///
/// # Errors
///
/// If the file cannot be read, or a line has no end.
pub(super) fn read(path: &Path, policies: &[Arc<Standing>], mut take: impl FnMut(Batch)) -> Result<()> {
    let file = File::open(path).with_context(|| {
        format!("cannot read the events in {}; record some with sentinel run --record", path.display())
    })?;
    let size = file.metadata().map(|meta| meta.len()).unwrap_or_default();
    let threads = thread::available_parallelism().map_or(1, usize::from).min(THREADS);
    let (pieces, work) = sync_channel::<Piece>(threads * 2);
    let (results, done) = sync_channel::<(usize, Batch)>(threads * 2);
    let work = Mutex::new(work);
    // A piece that takes long must not let all the others pile up behind it: each needs a ticket until its turn has come.
    let window = threads * 4;
    let (back, tickets) = sync_channel::<()>(window);
    (0..window).try_for_each(|_| back.send(()))?;
    let mut progress = Progress::new(size);
    thread::scope(|scope| {
        for _ in 0..threads {
            let (work, results) = (&work, results.clone());
            scope.spawn(move || run(policies, work, &results));
        }
        drop(results);
        let reader = scope.spawn(move || cut(file, path, &pieces, &tickets));
        in_order(&done, |batch| {
            progress.add(&batch);
            take(batch);
            // The reader is at its end when nobody takes tickets.
            let _ = back.send(());
        });
        reader.join().unwrap_or_else(|_| bail!("the reader of {} failed", path.display()))
    })?;
    progress.end();
    Ok(())
}

/// One worker: takes pieces until there are none.
fn run(policies: &[Arc<Standing>], work: &Mutex<Receiver<Piece>>, results: &SyncSender<(usize, Batch)>) {
    let mut worker = Worker::new(policies);
    loop {
        let piece = work.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((index, first_line, text)) = piece else { return };
        if results.send((index, worker.work(&text, first_line))).is_err() {
            return;
        }
    }
}

/// Cuts the file at ends of lines.
fn cut(file: File, path: &Path, pieces: &SyncSender<Piece>, tickets: &Receiver<()>) -> Result<()> {
    let mut reader = BufReader::with_capacity(PIECE, file);
    let (mut index, mut line) = (0, 1);
    loop {
        let (mut text, first) = (Vec::with_capacity(PIECE + (16 << 10)), line);
        while text.len() < PIECE {
            let before = text.len();
            let read = reader.by_ref().take(LONGEST).read_until(b'\n', &mut text);
            let read = read.with_context(|| format!("cannot read {}", path.display()))?;
            if read == 0 {
                break;
            }
            if text.last() != Some(&b'\n') && (text.len() - before) as u64 == LONGEST {
                bail!("{}:{line}: the line is longer than {LONGEST} bytes; this is no file of events", path.display());
            }
            line += 1;
        }
        if text.is_empty() || tickets.recv().is_err() || pieces.send((index, first, text)).is_err() {
            return Ok(());
        }
        index += 1;
    }
}

/// Hands on results as their turn comes.
fn in_order(done: &Receiver<(usize, Batch)>, mut take: impl FnMut(Batch)) {
    let (mut waiting, mut next) = (BTreeMap::new(), 0);
    for (index, batch) in done {
        waiting.insert(index, batch);
        while let Some(batch) = waiting.remove(&next) {
            take(batch);
            next += 1;
        }
    }
}

/// A line on a terminal that says how far it is.
struct Progress {
    size: u64,
    bytes: u64,
    events: u64,
    start: Instant,
    shown: Option<Instant>,
    terminal: bool,
}

impl Progress {
    fn new(size: u64) -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self { size, bytes: 0, events: 0, start: Instant::now(), shown: None, terminal }
    }

    fn add(&mut self, batch: &Batch) {
        self.bytes += batch.bytes;
        self.events += batch.seen.len() as u64;
        if !self.terminal || self.shown.unwrap_or(self.start).elapsed() < PROGRESS {
            return;
        }
        self.shown = Some(Instant::now());
        let seconds = self.start.elapsed().as_secs_f64();
        let (done, size) = (self.bytes as f64, self.size.max(self.bytes) as f64);
        let left = seconds * (size - done) / done.max(1.0);
        eprint!(
            "\r{:5.1} %  {} of {} MiB  {:.0} events/s  {left:.0} s left ",
            100.0 * done / size.max(1.0),
            self.bytes >> 20,
            self.size >> 20,
            self.events as f64 / seconds.max(0.001)
        );
        // Progress that cannot be shown is no reason to stop.
        let _ = std::io::stderr().flush();
    }

    fn end(&self) {
        if self.shown.is_some() {
            eprint!("\r{:70}\r", "");
        }
        if self.terminal {
            let seconds = self.start.elapsed().as_secs_f64();
            eprintln!("{} events in {seconds:.1} s", self.events);
        }
    }
}
