//! `sentinel audit report`: the evidence of a period, for an auditor.
//!
//! Invariants: the trail is verified each time, and the result is in the report; the report's bytes depend on the trail, the
//! period and the seed alone. The signature is in a file beside it, because a key signs once and is then erased.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use alerts::audit::{
    Expect, Hash, canonical,
    keys::{self, Key},
    report::{Builder, Format as Rendered, PURPOSE, render},
};
use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use super::{
    period::Span,
    trails::{each, trails},
    verify::{as_json, verified},
};

/// What a report can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// One file with charts, for a browser or a printer.
    Html,
    /// For filing.
    Pdf,
    /// Everything, for other programs.
    Json,
    /// The decisions, one a line.
    Csv,
    /// For wikis and tickets.
    Md,
}

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Directories of trails, one for each host, or the files of one; default: the trail of this host.
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    span: Span,
    /// What to write.
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "html")]
    format: Format,
    /// Where to; its signature goes to FILE.sig. Default: standard output, unsigned.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Chooses the decisions of the sampling pack.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// State directory: the default trail, and the key that signs.
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
}

/// Writes the report; exit code 1 if a trail is not intact, which the report says too.
pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let mut builder = Builder::new(args.span.period()?, args.seed);
    let mut intact = true;
    for trail in trails(&args.paths, args.state_dir.as_ref()) {
        let verdict = verified(&trail, &Expect::default())?;
        if let Some(fault) = verdict.faults.first() {
            intact = false;
            eprintln!("{fault}\nThe trail is not intact, and the report says so; `sentinel audit verify` says more.");
        }
        each(&trail, &mut |record| {
            builder.record(record);
            Ok(())
        })?;
        builder.end_trail(as_json(&verdict));
    }
    let bytes = render(&builder.finish(), args.format.rendered());
    match &args.output {
        Some(file) => write(file, &bytes, args)?,
        None => std::io::stdout().write_all(&bytes).context("cannot write the report")?,
    }
    Ok(if intact { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Format {
    const fn rendered(self) -> Rendered {
        match self {
            Self::Html => Rendered::Html,
            Self::Pdf => Rendered::Pdf,
            Self::Json => Rendered::Json,
            Self::Csv => Rendered::Csv,
            Self::Md => Rendered::Markdown,
        }
    }
}

/// Writes the report and its signature.
fn write(file: &Path, bytes: &[u8], args: &Args) -> Result<()> {
    fs::write(file, bytes).with_context(|| format!("cannot write {}", file.display()))?;
    let hash = Hash::of(&[bytes]);
    eprintln!("{}: {} bytes, SHA-256 {hash}", file.display(), bytes.len());
    let directory = match args.paths.as_slice() {
        [only] if only.is_dir() => only.clone(),
        _ => super::trail_in(args.state_dir.as_ref()),
    };
    let key = fs::read(directory.join(keys::KEY)).ok().and_then(|bytes| Key::parse(&bytes));
    let Some(key) = key else {
        eprintln!("not signed: {} is not to be read here", directory.join(keys::KEY).display());
        return Ok(());
    };
    let beside = signature_of(file);
    let text = format!("{:#}\n", signed(&key, hash));
    fs::write(&beside, text).with_context(|| format!("cannot write {}", beside.display()))?;
    eprintln!("{}: signed with the key of generation {}", beside.display(), key.generation);
    Ok(())
}

fn signature_of(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".sig");
    name.into()
}

/// What is signed, and the signature.
fn signed(key: &Key, hash: Hash) -> Value {
    let mut statement = json!({
        "algorithm": "Ed25519",
        "generation": key.generation,
        "key": alerts::audit::hex(&key.public()),
        "purpose": PURPOSE,
        "sha256": hash.to_string(),
    });
    statement["signature"] = key.sign(PURPOSE, canonical(&statement).as_bytes()).into();
    statement
}

/// Whether the signature beside a report is of a key that the trail vouches for.
pub(super) fn check(file: &Path, trail: &[PathBuf]) -> Result<String> {
    let beside = signature_of(file);
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let text = fs::read(&beside).with_context(|| format!("cannot read the signature {}", beside.display()))?;
    let mut statement: Value =
        serde_json::from_slice(&text).with_context(|| format!("{} is no signature", beside.display()))?;
    let Some(Value::String(signature)) = statement.as_object_mut().and_then(|object| object.remove("signature")) else {
        bail!("{} has no signature", beside.display());
    };
    let key = statement["key"].as_str().and_then(keys::parse_public);
    let Some(key) = key.filter(|key| keys::verifies(key, PURPOSE, canonical(&statement).as_bytes(), &signature)) else {
        bail!("{}: the signature is not of the key that it names", beside.display());
    };
    if statement["sha256"].as_str() != Some(Hash::of(&[&bytes]).to_string().as_str()) {
        bail!("{} was changed after it was signed", file.display());
    }
    let verdict = verified(trail, &Expect { key: Some(key), ..Expect::default() })?;
    match (verdict.key_found, verdict.holds()) {
        (Some(generation), true) => {
            Ok(format!("OK: {} is signed with the trail's key of generation {generation}", file.display()))
        }
        (None, _) => bail!("{} is signed with a key that the trail does not name", file.display()),
        (Some(_), false) => bail!("the trail is not intact; `sentinel audit verify` names what is wrong"),
    }
}
