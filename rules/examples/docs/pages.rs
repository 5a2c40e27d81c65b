//! The generated pages: texts from METADATA, fields and samples, as Markdown.
//!
//! Invariant: the same sources give the same bytes. Nothing is written here.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};

use rules::schema::{FIELDS, Field};
use rules::testing::events::SAMPLES;
use rules::{Kind, KindSet, Policies, RuleInfo};

/// The kinds of event that this version reports.
const REPORTED: [Kind; 6] = [Kind::Exec, Kind::Open, Kind::Connect, Kind::Send, Kind::Packet, Kind::Socket];

/// Tactics in the order of ATT&CK, by directory.
const TACTICS: [(&str, &str); 12] = [
    ("initial_access", "Initial access"),
    ("execution", "Execution"),
    ("persistence", "Persistence"),
    ("privilege_escalation", "Privilege escalation"),
    ("defense_evasion", "Defense evasion"),
    ("credential_access", "Credential access"),
    ("discovery", "Discovery"),
    ("lateral_movement", "Lateral movement"),
    ("collection", "Collection"),
    ("command_and_control", "Command and control"),
    ("exfiltration", "Exfiltration"),
    ("impact", "Impact"),
];

const NOTICE: &str = "<!-- Written by `cargo xtask docs`; change its sources instead. -->";

/// Every page, with where it belongs.
pub(crate) fn all() -> Result<Vec<(PathBuf, String)>, Box<dyn Error>> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("no parent directory")?.join("docs");
    let policies = Policies::shipped()?;
    Ok(vec![(docs.join("rules.md"), rules_page(&policies)?), (docs.join("input.md"), input_page(FIELDS))])
}

/// The shipped rules, by tactic.
fn rules_page(policies: &Policies) -> Result<String, String> {
    let mut tactics = BTreeMap::<&str, Vec<&RuleInfo>>::new();
    for rule in policies.rules() {
        let directory = place(&rule.file).split('/').next().unwrap_or_default();
        tactics.entry(directory).or_default().push(rule);
    }
    let mut page = format!(
        "# The shipped rules\n\n{NOTICE}\n\n{} event rules and {} standing rules in {} packages, below `rules/policy/<tactic>/`. \
         What the words mean, and how to tune a rule, is in [policies.md](policies.md). Kinds are those that are reported today.\n",
        policies.rules().len(),
        policies.standing().len(),
        policies.packages().len()
    );
    for (directory, title) in TACTICS {
        page.push_str(&format!("\n## {title}\n"));
        if let Some(rules) = tactics.remove(directory) {
            page.push_str("\n| id | title | verb | severity | MITRE | maturity | kinds | file |\n|---|---|---|---|---|---|---|---|\n");
            rules.iter().for_each(|rule| page.push_str(&rule_row(rule)));
            page.push_str("\n<details><summary>What each of them is about</summary>\n\n");
            rules.iter().for_each(|rule| page.push_str(&format!("- `{}`: {}\n", rule.id, cell(&rule.description))));
            page.push_str("\n</details>\n");
        }
        let prefix = format!("{directory}/");
        let standing: Vec<_> =
            policies.standing().iter().filter(|entry| place(&entry.file).starts_with(&prefix)).collect();
        if !standing.is_empty() {
            page.push_str("\n| id | title | standing rule | severity | MITRE | file |\n|---|---|---|---|---|---|\n");
        }
        for entry in standing {
            let mitre: Vec<&str> = entry.techniques.iter().map(|technique| technique.id.as_str()).collect();
            let (severity, file) = (entry.severity, link(&entry.file));
            let (id, title, rule) = (&entry.id, cell(&entry.title), entry.rule_name);
            page.push_str(&format!("| `{id}` | {title} | `{rule}` | {severity} | {} | {file} |\n", mitre.join(" ")));
        }
    }
    match tactics.keys().next() {
        Some(directory) => Err(format!("rules/policy/{directory} is no tactic; name it in {}", file!())),
        None => Ok(page),
    }
}

fn rule_row(rule: &RuleInfo) -> String {
    let mitre: Vec<&str> = rule.techniques.iter().map(|technique| technique.id.as_str()).collect();
    let maturity = rule.maturity.map_or("", |maturity| maturity.as_str());
    format!(
        "| `{}` | {} | `{}` | {} | {} | {maturity} | {} | {} |\n",
        rule.id,
        cell(&rule.title),
        rule.verb,
        rule.severity,
        mitre.join(" "),
        kinds(rule.kinds),
        link(&rule.file)
    )
}

/// The fields of `input`, and the sample events.
fn input_page(fields: &[Field]) -> String {
    let mut page = format!(
        "# What a rule sees\n\n{NOTICE}\n\n`input` is the event in Elastic Common Schema names, the same object that an alert carries. A field that is \
         absent is undefined, and a rule that reads it does not fire. Kinds are those of today: {}. Fields in the second table are \
         part of the contract and not filled yet, so a rule on one of them never fires.\n\n",
        REPORTED.map(Kind::as_str).join(", ")
    );
    page.push_str("| field | type | kinds | meaning | example |\n|---|---|---|---|---|\n");
    fields.iter().filter(|field| field.filled).for_each(|field| page.push_str(&field_row(field)));
    page.push_str("\n## Not filled yet\n\n| field | type | kinds | meaning | example |\n|---|---|---|---|---|\n");
    fields.iter().filter(|field| !field.filled).for_each(|field| page.push_str(&field_row(field)));
    page.push_str(
        "\n## Sample events\n\nIn every run of `sentinel test` these are `data.sentinel.events.<name>`, complete and without a file.\n\n\
         | name | kind | what happens |\n|---|---|---|\n",
    );
    for sample in SAMPLES {
        page.push_str(&format!("| `{}` | {} | {} |\n", sample.name, sample.kind, cell(sample.about)));
    }
    page
}

fn field_row(field: &Field) -> String {
    let (path, of, meaning) = (field.path, field.of.as_str(), cell(field.description));
    format!("| `{path}` | {of} | {} | {meaning} | `{}` |\n", kinds(field.kinds), cell(field.example))
}

/// Kinds as words; all of them as one.
fn kinds(set: KindSet) -> String {
    let names: Vec<&str> = REPORTED.iter().filter(|kind| set.contains(**kind)).map(|kind| kind.as_str()).collect();
    if names.len() == REPORTED.len() { "all".to_owned() } else { names.join(", ") }
}

/// Text for a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// A shipped file below `rules/policy`.
fn place(file: &str) -> &str {
    file.trim_start_matches("shipped/")
}

fn link(file: &str) -> String {
    let name = place(file);
    format!("[{}](../rules/policy/{name})", name.rsplit('/').next().unwrap_or(name))
}
