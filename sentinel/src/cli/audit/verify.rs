//! `sentinel audit verify`: whether the trail is what Sentinel wrote.

use std::{
    fs,
    io::{self, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use alerts::audit::{self, Expect, Hash, Verdict, keys};
use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

/// Faults that are printed; more are only counted.
const PRINTED: usize = 100;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Directory of the trail, or its files in order (plain or .gz); default: the one of this host.
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// A public key of the trail that you have from elsewhere: PEM, or 64 hexadecimal digits.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// The hash of a record that must be there, for example the last one that a sink has seen.
    #[arg(long, value_name = "HASH")]
    expect_head: Option<Hash>,
    /// A report to check against the trail: its signature is in FILE.sig.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// State directory, when no path is given.
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Verifies, prints; exit code 1 when something is wrong.
pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let paths = if args.paths.is_empty() { vec![super::trail_in(args.state_dir.as_ref())] } else { args.paths.clone() };
    if let Some(report) = &args.report {
        println!("{}", super::report::check(report, &paths)?);
        return Ok(ExitCode::SUCCESS);
    }
    let expect = expect(args, &paths)?;
    let verdict = verified(&paths, &expect)?;
    if args.json {
        println!("{:#}", as_json(&verdict));
    } else {
        print!("{}", text(&verdict, args));
    }
    Ok(if verdict.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Verifies, with progress on a terminal.
pub(super) fn verified(paths: &[PathBuf], expect: &Expect) -> Result<Verdict> {
    let files = audit::find(paths).context("cannot find the audit trail")?;
    let mut progress = Progress::new(&files);
    let sources = files.iter().map(|file| audit::open(file));
    let verdict = audit::verify(sources, expect, &mut |bytes| progress.tell(bytes)).context("cannot read the trail")?;
    progress.end();
    Ok(verdict)
}

fn expect(args: &Args, paths: &[PathBuf]) -> Result<Expect> {
    let key = match &args.key {
        None => None,
        Some(file) => {
            let text = fs::read_to_string(file).with_context(|| format!("cannot read the key {}", file.display()))?;
            let Some(key) = keys::parse_public(&text) else {
                bail!("{} holds no public key of Ed25519; give audit.pub of the trail's host", file.display());
            };
            Some(key)
        }
    };
    Ok(Expect { key, head: args.expect_head, current: current(paths) })
}

/// The key that the daemon of this directory holds, where we may read it: it shows a trail whose end was cut carelessly.
fn current(paths: &[PathBuf]) -> Option<(u64, keys::PublicKey)> {
    let [directory] = paths else { return None };
    let key = keys::Key::parse(&fs::read(directory.join(keys::KEY)).ok()?)?;
    Some((key.generation, key.public()))
}

/// How far it is, on a terminal, four times a second.
struct Progress {
    total: u64,
    told: Option<Instant>,
    shown: bool,
}

impl Progress {
    fn new(files: &[PathBuf]) -> Self {
        let plain = |file: &&PathBuf| file.extension().is_none_or(|extension| extension != "gz");
        let size = |file: &Path| fs::metadata(file).map_or(0, |meta| meta.len());
        // How long a packed file is, nobody knows before: text like this shrinks to about an eighth.
        let packed: u64 = files.iter().filter(|file| !plain(file)).map(|file| size(file) * 8).sum();
        let total = packed + files.iter().filter(plain).map(|file| size(file)).sum::<u64>();
        Self { total: total.max(1), told: None, shown: io::stderr().is_terminal() }
    }

    fn tell(&mut self, bytes: u64) {
        if !self.shown || self.told.is_some_and(|told| told.elapsed() < Duration::from_millis(250)) {
            return;
        }
        self.told = Some(Instant::now());
        eprint!("\rverifying: {:3} %, {} MB ", (bytes * 100 / self.total).min(99), bytes / 1_000_000);
        // A progress bar that is not shown is no reason to stop.
        drop(io::stderr().flush());
    }

    fn end(&self) {
        if self.told.is_some() {
            eprint!("\r{:40}\r", "");
        }
    }
}

fn text(verdict: &Verdict, args: &Args) -> String {
    let mut text = String::new();
    for fault in verdict.faults.iter().take(PRINTED) {
        text += &format!("{fault}\n");
    }
    if verdict.faults_total > PRINTED as u64 {
        text += &format!("and {} more like these\n", verdict.faults_total - PRINTED as u64);
    }
    let (first, last) = (verdict.first.map_or(0, |first| first.seq), verdict.last.map_or(0, |last| last.seq));
    text += &format!(
        "trail {}: records {first} to {last} in {} files, {} checkpoints\n",
        verdict.trail.as_deref().unwrap_or("without an id"),
        verdict.files,
        verdict.checkpoints
    );
    if let Some(last) = verdict.last {
        text += &format!("last record: {}\n", last.hash);
    }
    match (verdict.key_found, verdict.root) {
        (Some(generation), _) => text += &format!("key: the one you gave, generation {generation}\n"),
        (None, Some((_, root))) => {
            text += &format!("key: {}", keys::fingerprint(&root));
            text += if args.key.is_none() { " (compare it with one from elsewhere, or give --key)\n" } else { "\n" };
        }
        (None, None) => {}
    }
    if let Some(seq) = verdict.head_found {
        text += &format!("the expected record is number {seq}; {} follow it\n", last - seq);
    }
    if let Some(from) = verdict.retained_from {
        text += &format!("records before {from} were removed by retention, and the trail says so\n");
    }
    if verdict.unsigned() > 0 {
        text += &format!("the last {} records are not signed yet\n", verdict.unsigned());
    }
    if args.expect_head.is_none() {
        text += "not looked for: records cut off at the end; --expect-head HASH, from a sink, would show that\n";
    }
    text + &conclusion(verdict)
}

fn conclusion(verdict: &Verdict) -> String {
    if verdict.holds() {
        return format!("OK: {} records verified\n", verdict.records);
    }
    format!("NOT INTACT: {} faults in {} records\n", verdict.faults_total, verdict.records)
}

/// The verdict as JSON.
pub(super) fn as_json(verdict: &Verdict) -> Value {
    let fault = |fault: &audit::Fault| json!({ "file": fault.file, "line": fault.line, "record": fault.seq, "problem": fault.problem.to_string() });
    json!({
        "intact": verdict.holds(),
        "trail": verdict.trail,
        "records": verdict.records,
        "bytes": verdict.bytes,
        "files": verdict.files,
        "first": verdict.first.map(|first| first.seq),
        "last": verdict.last.map(|last| json!({ "record": last.seq, "sha256": last.hash.to_string() })),
        "checkpoints": verdict.checkpoints,
        "unsigned": verdict.unsigned(),
        "key": verdict.root.map(|(generation, key)| {
            json!({ "generation": generation, "fingerprint": keys::fingerprint(&key), "public": audit::hex(&key) })
        }),
        "expected_key_generation": verdict.key_found,
        "expected_head_record": verdict.head_found,
        "retained_from": verdict.retained_from,
        "faults_total": verdict.faults_total,
        "faults": verdict.faults.iter().map(fault).collect::<Vec<_>>(),
    })
}
