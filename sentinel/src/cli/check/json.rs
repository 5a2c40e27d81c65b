//! The report as JSON. Keys are added and never renamed; docs/policies.md describes them.

use rules::{Diagnostic, Technique, WrittenScope};
use serde_json::{Value, json};

use super::{
    Report,
    rule::{RuleReport, StandingReport},
};

/// The whole document.
pub(super) fn document(report: &Report) -> Value {
    let list = |findings: &[Diagnostic]| findings.iter().map(finding).collect::<Vec<_>>();
    json!({
        "errors": list(&report.errors),
        "warnings": list(&report.warnings),
        "rules": report.rules.iter().map(rule).collect::<Vec<_>>(),
        "standing": report.standing.iter().map(standing).collect::<Vec<_>>(),
        "summary": {
            "ok": report.errors.is_empty(),
            "errors": report.errors.len(),
            "warnings": report.warnings.len(),
            "rules": report.rules.len(),
            "standing": report.standing.len(),
        },
    })
}

fn finding(finding: &Diagnostic) -> Value {
    json!({
        "code": finding.code,
        "file": finding.file,
        "line": finding.line,
        "column": finding.column,
        "message": finding.message,
        "hint": finding.hint,
    })
}

fn techniques(techniques: &[Technique]) -> Vec<&str> {
    techniques.iter().map(|technique| technique.id.as_str()).collect()
}

fn rule(report: &RuleReport) -> Value {
    let info = &report.info;
    let scope = match info.scope {
        WrittenScope::Default => json!("default"),
        WrittenScope::Is(scope) => json!(scope.to_string()),
        WrittenScope::Computed => Value::Null,
    };
    json!({
        "id": info.id,
        "package": info.package,
        "rule": info.verb.as_str(),
        "title": info.title,
        "severity": info.severity.as_str(),
        "mitre": techniques(&info.techniques),
        "maturity": info.maturity.map(rules::Maturity::as_str),
        "mode": info.mode.map(rules::Mode::as_str),
        "events": info.kinds.iter().map(rules::Kind::as_str).collect::<Vec<_>>(),
        "enforced_from": report.held.as_str(),
        "scope": scope,
        "fields": info.fields.iter().collect::<Vec<_>>(),
        "engine": report.engine(),
        "cost": {
            "instructions": report.instructions,
            "microseconds": (report.time.as_secs_f64() * 1e7).round() / 10.0,
        },
        "file": info.file,
        "line": info.line,
    })
}

fn standing(report: &StandingReport) -> Value {
    let first = &report.first;
    json!({
        "id": first.id,
        "package": first.package,
        "rule": first.rule_name.as_str(),
        "title": first.title,
        "severity": first.severity.as_str(),
        "mitre": techniques(&first.techniques),
        "mode": first.mode.map(rules::Mode::as_str),
        "enforced_from": report.held.as_str(),
        "values": report.members,
        "file": first.file,
        "line": first.line,
    })
}
