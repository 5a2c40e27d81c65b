//! The page on policies names every finding and every function that is refused.

#![expect(clippy::unwrap_used, reason = "helpers of tests; a failure is the test's")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const HERE: &str = env!("CARGO_MANIFEST_DIR");

fn page() -> String {
    fs::read_to_string(Path::new(HERE).join("../docs/policies.md")).unwrap()
}

/// The files below a directory of the repository.
fn sources(directory: &str) -> Vec<PathBuf> {
    let mut open = vec![Path::new(HERE).join("..").join(directory)];
    let mut files = Vec::new();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            files.push(path);
        }
    }
    files
}

#[test]
fn every_code_of_a_finding_is_described() {
    let written = regex::Regex::new(r#"(?:\bcode\(|\bcode: |\bcode = )"([a-z0-9-]+)""#).unwrap();
    let mut codes = BTreeSet::new();
    for file in sources("rules/src")
        .into_iter()
        .chain(sources("sentinel/src/cli/check"))
        .chain(sources("sentinel/src/standing.rs"))
    {
        let text = fs::read_to_string(&file).unwrap_or_default();
        codes.extend(written.captures_iter(&text).map(|found| found[1].to_owned()));
    }
    codes.extend(sources("sentinel/src/cli/check.rs").iter().flat_map(|file| {
        let text = fs::read_to_string(file).unwrap();
        written.captures_iter(&text).map(|found| found[1].to_owned()).collect::<Vec<_>>()
    }));
    assert!(codes.len() > 30, "{codes:?}");
    let page = page();
    let missing: Vec<&String> = codes.iter().filter(|code| !page.contains(&format!("`{code}`"))).collect();
    assert!(missing.is_empty(), "docs/policies.md does not say what these are: {missing:?}");
}

#[test]
fn every_refused_function_is_listed() {
    let page = page();
    for (name, why) in rules::refused_functions() {
        let shown = if name.ends_with('.') { format!("`{name}*`") } else { format!("`{name}`") };
        assert!(page.contains(&shown), "{shown} ({why}) is not in docs/policies.md");
    }
}
