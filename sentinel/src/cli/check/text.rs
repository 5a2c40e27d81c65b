//! The report for people: findings on standard error, a table of rules by package on standard output.

use std::collections::BTreeMap;

use rules::{Diagnostic, KindSet, Mode, StandingRule, Verb};

use super::{
    Report,
    rule::{Held, RuleReport, StandingReport},
};

/// Cells of a row: id, rule, severity, kinds, held, instructions, microseconds, MITRE, title.
type Row = [String; 9];

const HEADER: [&str; 9] = ["ID", "RULE", "SEVERITY", "EVENTS", "REFUSED", "INSTR", "US", "MITRE", "TITLE"];

/// Prints the report.
pub(super) fn print(report: &Report) {
    report.errors.iter().for_each(|finding| eprintln!("{}", shown(finding, "error")));
    report.warnings.iter().for_each(|finding| eprintln!("{}", shown(finding, "warning")));
    let (errors, warnings) = (report.errors.len(), report.warnings.len());
    if errors > 0 {
        eprintln!("{}, {}", plural(errors, "error"), plural(warnings, "warning"));
        return;
    }
    print!("{}", table(report));
    let (event, standing) = (plural(report.rules.len(), "event rule"), plural(report.standing.len(), "standing rule"));
    println!("{event} and {standing}, no errors, {}", plural(warnings, "warning"));
}

fn plural(count: usize, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}

/// A finding as compilers show it; one about no file has no place.
fn shown(finding: &Diagnostic, label: &str) -> String {
    if finding.file.is_empty() {
        return format!("{label}: {}", finding.message);
    }
    let mut text = String::new();
    match finding.write(&mut text, label) {
        Ok(()) => text,
        Err(error) => format!("{label}: {}: {error}", finding.message),
    }
}

/// The rules of each package, in columns.
fn table(report: &Report) -> String {
    let mut packages = BTreeMap::<&str, Vec<Row>>::new();
    for rule in &report.rules {
        packages.entry(&rule.info.package).or_default().push(row(rule));
    }
    for rule in &report.standing {
        packages.entry(&rule.first.package).or_default().push(standing_row(rule));
    }
    let header = HEADER.map(str::to_owned);
    let rows = || packages.values().flatten().chain([&header]);
    let widths: [usize; 9] =
        std::array::from_fn(|column| rows().map(|row| row[column].chars().count()).max().unwrap_or(0));
    let mut text = String::new();
    for (package, rows) in &packages {
        text.push_str(&format!("{package}\n"));
        text.extend([&header].into_iter().chain(rows).map(|row| line(row, &widths)));
        text.push('\n');
    }
    text
}

fn line(row: &Row, widths: &[usize; 9]) -> String {
    let cells = row.iter().zip(widths).enumerate().map(|(column, (cell, width))| match column {
        // Numbers.
        5 | 6 => format!("{cell:>width$}"),
        _ => format!("{cell:<width$}"),
    });
    format!("  {}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
}

fn row(rule: &RuleReport) -> Row {
    let info = &rule.info;
    let mitre: Vec<&str> = info.techniques.iter().map(|technique| technique.id.as_str()).collect();
    [
        info.id.clone(),
        info.verb.to_string(),
        info.severity.to_string(),
        kinds(info.kinds),
        held(rule.held, info.verb, info.mode).to_owned(),
        rule.instructions.map_or_else(|| "-".to_owned(), |count| count.to_string()),
        format!("{:.1}", rule.time.as_secs_f64() * 1e6),
        mitre.join(" "),
        info.title.clone(),
    ]
}

fn standing_row(rule: &StandingReport) -> Row {
    let first = &rule.first;
    let mitre: Vec<&str> = first.techniques.iter().map(|technique| technique.id.as_str()).collect();
    let refused = match (rule.held, first.rule_name) {
        (Held::FirstEvent | Held::SecondEvent, _) => "from the 1st event",
        (Held::Never, StandingRule::Exemptions) => "exempts",
        (Held::Never, _) => "monitor only",
    };
    [
        first.id.clone(),
        first.rule_name.to_string(),
        first.severity.to_string(),
        plural(rule.members, "value"),
        refused.to_owned(),
        "-".to_owned(),
        "-".to_owned(),
        mitre.join(" "),
        first.title.clone(),
    ]
}

fn kinds(kinds: KindSet) -> String {
    if kinds.is_all() {
        return "any".to_owned();
    }
    let names: Vec<&str> = kinds.iter().map(rules::Kind::as_str).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(",") }
}

const fn held(held: Held, verb: Verb, mode: Option<Mode>) -> &'static str {
    match (held, verb, mode) {
        (Held::FirstEvent, ..) => "from the 1st event",
        (Held::SecondEvent, ..) => "from the 2nd event",
        (Held::Never, Verb::Deny, Some(Mode::Monitor)) => "monitor only",
        (Held::Never, Verb::Allow, _) => "quiets its package",
        (Held::Never, Verb::Deny | Verb::Alert, _) => "alert only",
    }
}
