//! The result of a replay for people: tables with bars.
//!
//! Invariant: nothing is left out without saying how much.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::{
    compare::{Change, Changed},
    event::plain,
    report::{RuleReport, behind, count, rule, rules},
    tally::{Names, Outcome, PolicyTally, Tally},
};

/// Columns of the longest bar.
const BAR: u64 = 24;
/// Rules shown.
const RULES: usize = 40;
/// Objects and processes shown.
const TOP: usize = 10;
/// Longest name of a rule before it pushes the columns.
const ID: usize = 34;

/// The whole text.
pub(super) fn text(tally: &Tally) -> String {
    let mut out = String::new();
    // Writing to a String does not fail.
    let _ = write(&mut out, tally);
    out
}

/// A bar as long as its part of the largest; at least a sliver for what is there.
fn bar(count: u64, largest: u64) -> String {
    let eighths = (count.saturating_mul(BAR * 8)).checked_div(largest).unwrap_or(0).max(u64::from(count > 0));
    let whole = usize::try_from(eighths / 8).unwrap_or(0);
    let part = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][usize::try_from(eighths % 8).unwrap_or(0)];
    format!("{}{part}", "█".repeat(whole))
}

/// A number with commas.
pub(super) fn number(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok()).collect();
    groups.join(",")
}

fn write(out: &mut String, tally: &Tally) -> std::fmt::Result {
    let policy = &tally.policies[0];
    writeln!(out, "{} events in {}{}", number(tally.events), tally.file, period(tally))?;
    let policies = policy.standing.policies();
    writeln!(
        out,
        "policy: {} event rules, {} standing rules, sha256 {}",
        policies.rules().len(),
        policies.standing().len(),
        policies.sha256().get(..12).unwrap_or_default()
    )?;
    if tally.recorded_blocked + tally.recorded_would_block > 0 {
        let (blocked, would) = (number(tally.recorded_blocked), number(tally.recorded_would_block));
        writeln!(out, "when recorded: {blocked} refused by the kernel, {would} would have been")?;
    }
    let kinds: Vec<(&str, u64)> = tally.kinds.iter().map(|(kind, events)| (*kind, *events)).collect();
    bars(out, "kind", &kinds)?;
    let outcomes = Outcome::ALL.map(|outcome| (outcome.text(), count(policy, outcome)));
    let outcomes: Vec<(&str, u64)> = outcomes.into_iter().filter(|(_, events)| *events > 0).collect();
    bars(out, "outcome", &outcomes)?;
    write_rules(out, policy)?;
    top(out, "processes that rules fired on", &policy.processes)?;
    if let Some(baseline) = tally.policies.get(1) {
        write_difference(out, tally, policy, baseline)?;
    }
    notes(out, tally, policy)
}

fn period(tally: &Tally) -> String {
    let time = |at: Option<i64>| at.and_then(|at| Timestamp::from_microsecond(at).ok());
    match (time(tally.first), time(tally.last)) {
        (Some(first), Some(last)) => format!(", {first:.0} to {last:.0}"),
        (None, _) | (_, None) => String::new(),
    }
}

fn bars(out: &mut String, head: &str, rows: &[(&str, u64)]) -> std::fmt::Result {
    let largest = rows.iter().map(|(_, count)| *count).max().unwrap_or(0);
    writeln!(out, "\n{head:<30} {:>12}", "events")?;
    rows.iter().try_for_each(|(name, count)| {
        writeln!(out, "{:<30} {:>12}  {}", plain(name), number(*count), bar(*count, largest))
    })
}

fn write_rules(out: &mut String, policy: &PolicyTally) -> std::fmt::Result {
    let all = rules(policy);
    let known = policy.standing.policies().rules().len() + policy.standing.policies().standing().len();
    if all.is_empty() {
        return writeln!(out, "\nno rule fired ({known} rules)");
    }
    let largest = all.iter().map(|rule| rule.fired.max(rule.refused)).max().unwrap_or(0);
    writeln!(
        out,
        "\n{:<ID$} {:<16} {:<8} {:>9} {:>9} {:>8}  {:<24} most frequent",
        "rule", "verb", "severity", "fired", "refused", "entries", ""
    )?;
    for rule in all.iter().take(RULES) {
        let object = rule.objects.first().and_then(|object| object["object"].as_str()).map(plain);
        let object = object.unwrap_or_default();
        let more = rule.distinct_objects.saturating_sub(1);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let (fired, refused, entries) = (number(rule.fired), number(rule.refused), number(rule.entries_written));
        let RuleReport { id, verb, severity, .. } = rule;
        let bar = bar(rule.fired.max(rule.refused), largest);
        writeln!(
            out,
            "{id:<ID$} {verb:<16} {severity:<8} {fired:>9} {refused:>9} {entries:>8}  {bar:<24} {object}{more}"
        )?;
    }
    if all.len() > RULES {
        writeln!(out, "and {} more rules (--json has all)", all.len() - RULES)?;
    }
    all.iter()
        .filter(|rule| rule.undecided > 0)
        .try_for_each(|rule| writeln!(out, "{}: not decidable offline: {} events", rule.id, number(rule.undecided)))
}

fn top(out: &mut String, head: &str, names: &Names) -> std::fmt::Result {
    let rows = names.top(TOP);
    if rows.is_empty() {
        return Ok(());
    }
    bars(out, head, &rows)?;
    let more = names.distinct().saturating_sub(rows.len());
    if more > 0 {
        writeln!(out, "and {} more", number(more as u64))?;
    }
    match names.other() {
        0 => Ok(()),
        other => writeln!(out, "and {} events of still others", number(other)),
    }
}

fn write_difference(out: &mut String, tally: &Tally, new: &PolicyTally, old: &PolicyTally) -> std::fmt::Result {
    let sha256 = old.standing.policies().sha256();
    writeln!(out, "\nagainst the baseline (sha256 {}):", sha256.get(..12).unwrap_or_default())?;
    for change in Change::ALL {
        let policy = if change.is_new() { new } else { old };
        match tally.comparison.changes.get(&change) {
            Some(changed) => write_change(out, change, changed, policy)?,
            None => writeln!(out, "  {:<18} nothing", change.text())?,
        }
    }
    Ok(())
}

fn write_change(out: &mut String, change: Change, changed: &Changed, policy: &PolicyTally) -> std::fmt::Result {
    writeln!(out, "  {:<18} {} events", change.text(), number(changed.events))?;
    for (row, events, _) in behind(changed).into_iter().take(TOP) {
        let rule = rule(policy, row);
        writeln!(out, "    {:>9}  by {} {} ({})", number(events), rule.verb, rule.id, rule.location)?;
    }
    for (object, events) in changed.objects.top(TOP) {
        writeln!(out, "    {:>9}  {}", number(events), plain(object))?;
    }
    changed.examples.iter().take(2).try_for_each(|example| {
        let (file, line) = (&example.file, example.line);
        let (process, object) = (plain(&example.process), plain(&example.object));
        writeln!(out, "    as {file}:{line}  {process} {} {object}", example.kind)
    })
}

fn notes(out: &mut String, tally: &Tally, policy: &PolicyTally) -> std::fmt::Result {
    let policies = policy.standing.policies();
    if !policy.errors.is_empty() {
        writeln!(out, "\nrules that failed on events:")?;
    }
    for ((rule, error), events) in &policy.errors {
        let id = policies.rules().get(*rule as usize).map_or("?", |rule| rule.id.as_str());
        writeln!(out, "  {id}: {} events: {error}", number(*events))?;
    }
    let notes = policy.standing.notes();
    if !notes.is_empty() || tally.bad_lines > 0 {
        writeln!(out)?;
    }
    notes.iter().try_for_each(|note| writeln!(out, "note: {note}"))?;
    if tally.bad_lines > 0 {
        writeln!(out, "{} lines could not be read and are not counted", number(tally.bad_lines))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_in_proportion_and_nothing_is_invisible() {
        assert_eq!(bar(0, 10), "");
        assert_eq!(bar(1, 1_000_000), "▏");
        assert_eq!(bar(5, 10).chars().count(), 12);
        assert_eq!(bar(10, 10).chars().count(), 24);
        assert_eq!([0, 999, 1000, 1_234_567].map(number), ["0", "999", "1,000", "1,234,567"]);
    }
}
