//! The report as SARIF 2.1.0 (OASIS), for code hosts: one run, a result for each finding.
//!
//! Locations are relative to the working directory, which is taken to be the top of the repository.

use std::{collections::BTreeSet, path::Path};

use rules::Diagnostic;
use serde_json::{Value, json};

use super::Report;

const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";
const ABOUT: &str = "https://github.com/sentinel-monitor/sentinel";

/// The whole document.
pub(super) fn document(report: &Report, directory: &Path) -> Value {
    let found = report.errors.iter().map(|finding| (finding, "error"));
    let found: Vec<_> = found.chain(report.warnings.iter().map(|finding| (finding, "warning"))).collect();
    let codes: Vec<&str> = found.iter().map(|(finding, _)| finding.code).collect::<BTreeSet<_>>().into_iter().collect();
    let results: Vec<Value> = found.iter().map(|(finding, level)| result(finding, level, &codes, directory)).collect();
    let rules: Vec<Value> = codes.iter().map(|code| rule(code)).collect();
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "sentinel check",
                "version": env!("CARGO_PKG_VERSION"),
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "informationUri": ABOUT,
                "rules": rules,
            } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn rule(code: &str) -> Value {
    json!({
        "id": code,
        "shortDescription": { "text": code.replace('-', " ") },
        "helpUri": format!("{ABOUT}/blob/main/docs/policies.md#checking"),
    })
}

fn result(finding: &Diagnostic, level: &str, codes: &[&str], directory: &Path) -> Value {
    let text = if finding.hint.is_empty() {
        finding.message.clone()
    } else {
        format!("{}\n{}", finding.message, finding.hint)
    };
    let mut result = json!({
        "ruleId": finding.code,
        "ruleIndex": codes.iter().position(|code| *code == finding.code),
        "level": level,
        "message": { "text": text },
    });
    if !finding.file.is_empty() {
        result["locations"] = json!([{ "physicalLocation": location(finding, directory) }]);
    }
    if !finding.hint.is_empty() {
        result["properties"] = json!({ "hint": finding.hint });
    }
    result
}

fn location(finding: &Diagnostic, directory: &Path) -> Value {
    let mut location = json!({ "artifactLocation": { "uri": uri(&finding.file, directory) } });
    if finding.line > 0 {
        let mut region = json!({ "startLine": finding.line });
        if finding.column > 0 {
            region["startColumn"] = json!(finding.column);
        }
        if !finding.source_line.is_empty() {
            region["snippet"] = json!({ "text": finding.source_line });
        }
        location["region"] = region;
    }
    location
}

/// A path as a URI: relative where it lies below the directory.
fn uri(file: &str, directory: &Path) -> String {
    let path = Path::new(file);
    let relative = path.strip_prefix(directory).unwrap_or(path);
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(byte);
    let path: String = relative
        .components()
        .filter(|component| !matches!(component, std::path::Component::CurDir))
        .collect::<std::path::PathBuf>()
        .to_string_lossy()
        .bytes()
        .map(|byte| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect();
    if path.starts_with('/') { format!("file://{path}") } else { path }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let text = "package sentinel.a\ndeny if true\n";
        Report {
            errors: vec![
                Diagnostic::at("policies/my file.rego", text, 2, 1, "no set").hint("write it").code("rule-form"),
                Diagnostic::file("", "no database").code("settings"),
            ],
            warnings: vec![Diagnostic::at("/work/p.rego", text, 2, 0, "odd").code("never-fires")],
            ..Report::default()
        }
    }

    /// What the standard requires of a log, a run, a tool, a rule, a result and a location.
    #[test]
    fn everything_that_the_standard_requires_is_there() {
        let log = document(&report(), Path::new("/work"));
        assert_eq!(log["version"], "2.1.0");
        let run = &log["runs"][0];
        assert_eq!(log["runs"].as_array().map(Vec::len), Some(1));
        let driver = &run["tool"]["driver"];
        assert!(driver["name"].is_string());
        let rules = driver["rules"].as_array().unwrap();
        let results = run["results"].as_array().unwrap();
        assert_eq!((rules.len(), results.len()), (3, 3));
        for rule in rules {
            assert!(rule["id"].is_string() && rule["shortDescription"]["text"].is_string(), "{rule}");
        }
        for result in results {
            assert!(result["message"]["text"].as_str().is_some_and(|text| !text.is_empty()), "{result}");
            assert!(["error", "warning"].contains(&result["level"].as_str().unwrap()), "{result}");
            let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
            assert_eq!(rules[index]["id"], result["ruleId"], "{result}");
            for location in result["locations"].as_array().into_iter().flatten() {
                let uri = location["physicalLocation"]["artifactLocation"]["uri"].as_str().unwrap();
                assert!(!uri.contains(' ') && !uri.starts_with('/'), "{uri}");
                let region = &location["physicalLocation"]["region"];
                assert!(region["startLine"].as_u64() >= Some(1), "{region}");
                assert!(region["startColumn"].is_null() || region["startColumn"].as_u64() >= Some(1), "{region}");
            }
        }
        assert_eq!(
            results[0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"],
            "policies/my%20file.rego"
        );
        assert_eq!(results[2]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"], "p.rego");
        assert_eq!(results[0]["properties"]["hint"], "write it");
        assert!(results[1]["locations"].is_null());
    }
}
