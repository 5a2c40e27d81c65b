//! `sentinel doctor`.

use std::{collections::BTreeMap, fmt::Write as _, process::ExitCode};

use anyhow::Result;

use crate::doctor::{Diagnosis, MOST_VERIFIED, State, examine};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Prints what this host can enforce; the exit code is that of a status.
pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let diagnosis = examine();
    if args.json {
        println!("{}", serde_json::to_string(&diagnosis)?);
    } else {
        print!("{}", text(&diagnosis));
    }
    Ok(ExitCode::from(diagnosis.can.exit_code()))
}

fn text(found: &Diagnosis) -> String {
    let mut text = format!(
        "Sentinel {}  Linux {} {}\ncan enforce  {}\n\n",
        found.version,
        found.kernel,
        found.machine,
        found.can.as_str().to_uppercase()
    );
    for reach in &found.reach {
        let missing =
            if reach.missing.is_empty() { String::new() } else { format!("missing: {}", reach.missing.join(", ")) };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", format!("{:<10} {:<8} {missing}", reach.what, reach.can).trim_end());
    }
    text += "\n";
    for check in &found.checks {
        let _ = writeln!(text, "{:<8} {:<25} {}", word(check.state), check.name, check.found);
        for (lead, line) in [("lost: ", &check.lost), ("do: ", &check.step)] {
            if !line.is_empty() {
                let _ = writeln!(text, "{:<8} {:<25}   {lead}{line}", "", "");
            }
        }
    }
    text + &programs(found)
}

const fn word(state: State) -> &'static str {
    match state {
        State::Ok => "ok",
        State::Advice => "advice",
        State::Missing => "MISSING",
        State::Unknown => "unknown",
    }
}

/// The programs in a line, and those that do not load by what the kernel said.
fn programs(found: &Diagnosis) -> String {
    let loaded = found.programs.iter().filter(|program| program.loads).count();
    let mut text = format!("\nprograms: {loaded} of {} load", found.programs.len());
    if let Some(most) = found.programs.iter().max_by_key(|program| program.verified)
        && let Some(count) = most.verified
    {
        let _ = write!(text, "; {} is the dearest to verify: {count} instructions", most.name);
        let _ = write!(text, " ({MOST_VERIFIED} is what we allow ourselves)");
    }
    text += "\n";
    let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for program in found.programs.iter().filter(|program| !program.loads) {
        reasons.entry(program.reason.as_deref().unwrap_or_default()).or_default().push(program.name);
    }
    for (reason, names) in reasons {
        let _ = writeln!(text, "  {reason}: {}", names.join(", "));
    }
    text
}
