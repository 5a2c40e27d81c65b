//! The `hour-report` verb, on the host: a recorded hour through `sentinel replay`, with the shipped policies and with an edited set.
//!
//! Output contract (xtask reads it): `ok CHECK` or `FAILED CHECK: why`, and the last line `N passed, N failed`.

use std::{path::Path, process::Command, process::ExitCode};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

const USAGE: &str = "usage: sentinel-tests hour-report EVENTS POLICIES EDITED (cargo xtask hour)";

/// Kinds that a build, packages, servers, log-ins and containers cannot do without.
const KINDS: [&str; 9] = ["exec", "open", "create", "rename", "link", "unlink", "setattr", "connect", "mount"];
/// Outcomes of an event that a policy would not leave in peace.
const REFUSED: [&str; 4] = ["refused_by_standing_rule", "refused_by_entry", "denied", "would_block"];

/// Prints both replays and checks them.
pub fn main(args: &[String]) -> Result<ExitCode> {
    let [events, policies, edited] = args else { bail!(USAGE) };
    let shipped: &[&str] = &["--policy", policies];
    let difference: &[&str] = &["--policy", policies, "--policy", edited, "--baseline", policies];
    print!("{}", replay(events, shipped)?);
    println!("\nwith {edited} added, against the shipped policies:\n");
    print!("{}", replay(events, difference)?);
    let json = |args: &[&str]| -> Result<Value> {
        serde_json::from_str(&replay(events, &[args, &["--json"]].concat())?).context("sentinel replay --json")
    };
    let (shipped, difference) = (json(shipped)?, json(difference)?);
    let checks: [(&str, Result<()>); 4] = [
        ("hour-was-recorded", recorded(&shipped)),
        ("hour-has-every-kind", kinds(&shipped)),
        ("hour-is-not-denied", in_peace(&shipped)),
        ("hour-shows-what-an-edit-blocks", edit_shows(&difference)),
    ];
    let failed = checks.iter().filter(|(_, result)| result.is_err()).count();
    for (name, result) in &checks {
        match result {
            Ok(()) => println!("ok {name}"),
            Err(error) => println!("FAILED {name}: {error:#}"),
        }
    }
    println!("{} passed, {failed} failed", checks.len() - failed);
    Ok(ExitCode::from(u8::from(failed > 0)))
}

/// Runs the `sentinel` beside this program.
fn replay(events: &str, args: &[&str]) -> Result<String> {
    let sentinel = std::env::current_exe()?.with_file_name("sentinel");
    ensure!(Path::new(events).exists(), "there is no {events}");
    let output = Command::new(&sentinel).arg("replay").arg(events).args(args).output();
    let output = output.with_context(|| format!("starting {}", sentinel.display()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "sentinel replay failed ({}): {said}", output.status);
    String::from_utf8(output.stdout).context("sentinel replay did not print text")
}

fn recorded(report: &Value) -> Result<()> {
    ensure!(count(report, &["events"]) > 1000, "only {} events", report["events"]);
    ensure!(count(report, &["bad_lines", "count"]) == 0, "lines that are no events: {}", report["bad_lines"]);
    Ok(())
}

fn kinds(report: &Value) -> Result<()> {
    let missing: Vec<&str> = KINDS.into_iter().filter(|kind| count(report, &["kinds", kind]) == 0).collect();
    ensure!(missing.is_empty(), "not recorded: {}; there were {}", missing.join(", "), report["kinds"]);
    Ok(())
}

/// Nobody refused anything: not the kernel when it was recorded, not the policies now, by no kind of rule.
fn in_peace(report: &Value) -> Result<()> {
    let refused: Vec<String> = REFUSED
        .into_iter()
        .filter(|outcome| count(report, &["outcomes", outcome]) > 0)
        .map(|outcome| format!("{outcome} {}", report["outcomes"][outcome]))
        .collect();
    let rules: Vec<String> = array(&report["rules"])
        .filter(|rule| rule["verb"] != "alert" && rule["verb"] != "allow")
        .map(|rule| format!("{} on {} by {}", rule["id"], rule["objects"], rule["processes"]))
        .collect();
    ensure!(refused.is_empty() && rules.is_empty(), "{}; {}", refused.join(", "), rules.join(", "));
    ensure!(array(&report["rule_errors"]).next().is_none(), "rules failed: {}", report["rule_errors"]);
    let kernel = ["blocked", "would_block"].map(|key| count(report, &["recorded", key]));
    ensure!(kernel == [0, 0], "the kernel would have refused {kernel:?} events when they were recorded");
    Ok(())
}

fn edit_shows(report: &Value) -> Result<()> {
    let newly = &report["difference"]["newly_blocked"];
    ensure!(count(newly, &["events"]) > 0, "the edited policy blocks nothing new: {newly}");
    let gone = count(report, &["difference", "no_longer_blocked", "events"]);
    ensure!(gone == 0, "{gone} events are no longer blocked, though only a rule was added");
    Ok(())
}

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn count(value: &Value, path: &[&str]) -> u64 {
    path.iter().fold(value, |value, key| &value[*key]).as_u64().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn report() -> Value {
        json!({
            "kinds": KINDS.map(|kind| (kind.to_owned(), json!(1))).into_iter().collect::<serde_json::Map<_, _>>(),
            "outcomes": { "quiet": 9, "alerted": 1, "denied": 0, "would_block": 0 },
            "rules": [{ "id": "a", "verb": "alert" }],
            "rule_errors": [],
            "recorded": { "blocked": 0, "would_block": 0 },
        })
    }

    #[test]
    fn any_refusal_fails_the_hour() {
        assert!(in_peace(&report()).is_ok());
        for path in ["/outcomes/denied", "/outcomes/would_block", "/recorded/would_block"] {
            let mut report = report();
            *report.pointer_mut(path).unwrap() = json!(1);
            assert!(in_peace(&report).is_err(), "{path}");
        }
        let mut report = report();
        report["rules"][0]["verb"] = json!("block_paths");
        assert!(in_peace(&report).is_err());
    }

    #[test]
    fn a_missing_kind_is_named() {
        let mut report = report();
        assert!(kinds(&report).is_ok());
        report["kinds"]["mount"] = json!(0);
        assert!(kinds(&report).unwrap_err().to_string().contains("mount"));
    }
}
