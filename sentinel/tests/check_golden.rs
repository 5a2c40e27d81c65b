//! What `sentinel check` says of broken policies, to the letter.
//!
//! `tests/golden/check/NAME.rego` (or a directory) is checked, and what comes out is compared with `NAME.txt`. A first line
//! `# check: FLAGS` adds flags. `BLESS=1 cargo test -p sentinel --test check_golden` writes the expected texts anew; read
//! the difference before it is committed. Not here: policies that are well, since what rules cost differs by machine.

#![expect(clippy::unwrap_used, reason = "helpers of tests; a failure is the test's")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The issue asks for twenty.
const LEAST: usize = 20;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/check")
}

/// Names of the cases, sorted.
fn cases() -> Vec<String> {
    let entries = fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().path());
    let policies =
        entries.filter(|path| path.is_dir() || path.extension().is_some_and(|extension| extension == "rego"));
    let mut names: Vec<String> = policies.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

/// Flags that the first line asks for.
fn flags(case: &str) -> Vec<String> {
    let text = fs::read_to_string(directory().join(case)).unwrap_or_default();
    let line = text.lines().next().and_then(|line| line.strip_prefix("# check: ")).unwrap_or_default();
    line.split_whitespace().map(str::to_owned).collect()
}

fn check(case: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_sentinel"))
        .current_dir(directory())
        .arg("check")
        .arg(case)
        .args(flags(case))
        .output()
        .unwrap();
    // Without errors a table follows, with what the rules cost on this machine.
    let table = if output.stdout.is_empty() { "" } else { "(the table of rules)\n" };
    format!("{}{table}exit {}\n", String::from_utf8(output.stderr).unwrap(), output.status.code().unwrap())
}

#[test]
fn broken_policies_get_the_message_they_should() {
    let cases = cases();
    assert!(cases.len() >= LEAST, "{cases:?}");
    let mut wrong = Vec::new();
    for case in &cases {
        let expected = directory().join(format!("{}.txt", case.trim_end_matches(".rego")));
        let found = check(case);
        assert!(found.contains("exit 1"), "{case} is accepted:\n{found}");
        if std::env::var_os("BLESS").is_some() {
            fs::write(&expected, &found).unwrap();
        }
        let wanted = fs::read_to_string(&expected).unwrap_or_default();
        if found != wanted {
            wrong.push(format!("{case}: expected\n{wanted}\nand found\n{found}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_expected_text_has_its_policy() {
    let cases = cases();
    for entry in fs::read_dir(directory()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if let Some(name) = name.strip_suffix(".txt") {
            assert!(cases.iter().any(|case| case.trim_end_matches(".rego") == name), "{name}.txt");
        }
    }
}

#[test]
fn a_loop_of_links_is_told() {
    let dir = std::env::temp_dir().join(format!("sentinel-check-loop-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    std::os::unix::fs::symlink(dir.join("loop"), dir.join("loop")).unwrap();
    let policy = dir.join("loop.rego");
    let path = dir.join("loop/secret");
    fs::write(&policy, format!("package sentinel.golden\nblock_paths contains \"{}\"\n", path.display())).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_sentinel")).arg("check").arg("--json").arg(&policy).output().unwrap();
    fs::remove_dir_all(&dir).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let told = json["warnings"].as_array().unwrap().iter().find(|warning| warning["code"] == "path-loop").unwrap();
    assert_eq!(told["line"], 2);
    assert!(told["message"].as_str().unwrap().contains("loop of symbolic links"), "{told}");
}

#[test]
fn machines_get_the_same_findings() {
    let run = |flag: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_sentinel"))
            .current_dir(directory())
            .args(["check", "typo_field.rego", flag])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{flag}");
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    let json = run("--json");
    let finding = &json["errors"][0];
    assert_eq!(
        (&finding["code"], &finding["line"], &finding["column"]),
        (&"unknown-input-field".into(), &5.into(), &8.into())
    );
    assert_eq!(json["summary"]["ok"], false);
    let sarif = run("--sarif");
    let result = &sarif["runs"][0]["results"][0];
    assert_eq!(result["ruleId"], "unknown-input-field");
    assert_eq!(result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"], "typo_field.rego");
    assert_eq!(result["locations"][0]["physicalLocation"]["region"]["startLine"], 5);
}

#[test]
fn a_rule_is_described() {
    let output = Command::new(env!("CARGO_BIN_EXE_sentinel"))
        .args(["check", "--json"])
        .arg(directory().join("../../../rules/policy/execution"))
        .arg(directory().join("../../../rules/policy/lib"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let rules = json["rules"].as_array().unwrap();
    let rule = rules.iter().find(|rule| rule["id"] == "memfd-exec").unwrap();
    assert_eq!(rule["rule"], "deny");
    assert_eq!(rule["events"], serde_json::json!(["exec"]));
    assert_eq!(rule["enforced_from"], "second-event");
    assert!(rule["mitre"].as_array().unwrap().contains(&"T1620".into()), "{rule}");
    assert!(rule["cost"]["instructions"].as_u64().unwrap() > 0, "{rule}");
    assert!(rule["cost"]["microseconds"].as_f64().unwrap() > 0.0, "{rule}");
    let alert = rules.iter().find(|rule| rule["id"] == "deleted-file-exec").unwrap();
    assert_eq!(alert["enforced_from"], "never");
}

#[test]
fn a_wrong_call_is_told_from_a_wrong_policy() {
    let code = |args: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_sentinel"))
            .arg("check")
            .args(args)
            .current_dir(directory())
            .output()
            .unwrap()
            .status
            .code()
    };
    assert_eq!(code(&["--json", "--sarif"]), Some(2));
    assert_eq!(code(&["--no-such-flag"]), Some(2));
    assert_eq!(code(&["not-there.rego"]), Some(1));
}
