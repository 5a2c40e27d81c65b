//! The Rego of the documentation: every block of docs/policies.md and every example policy loads, and their tests pass.
//!
//! A unit is a recipe (`###` in the cookbook) or a section (`##` elsewhere). A block that starts with a package is a module;
//! any other joins the last policy of its unit. `rego with-shipped` puts the shipped policies beside it, `yaml data` is data.

use std::fs;
use std::path::{Path, PathBuf};

use rules::testing::{self, TestOptions, TestOutcome};
use rules::{LoadOptions, Policies};

use crate::embargo;

/// One unit, as files.
#[derive(Debug, Default)]
struct Unit {
    title: String,
    recipe: bool,
    shipped: bool,
    policies: Vec<String>,
    tests: Vec<String>,
    data: Vec<String>,
}

impl Unit {
    fn add(&mut self, kind: &str, text: &str) {
        match kind {
            "yaml data" => self.data.push(text.to_owned()),
            "rego" | "rego with-shipped" => {
                self.shipped |= kind != "rego";
                let package = text.lines().find_map(|line| line.strip_prefix("package "));
                match (package, self.policies.last_mut()) {
                    (Some(name), _) if name.ends_with("_test") => self.tests.push(text.to_owned()),
                    (Some(_), _) => self.policies.push(text.to_owned()),
                    (None, Some(policy)) => *policy = format!("{policy}\n{text}"),
                    (None, None) => self.policies.push(format!("package sentinel.unit\n\n{text}")),
                }
            }
            _ => {}
        }
    }

    /// Loads the policies and runs the tests; how many there were.
    fn check(&self, root: &Path) -> usize {
        fs::create_dir_all(root).unwrap();
        let write = |texts: &[String], end: &str| -> Vec<PathBuf> {
            let file = |(index, text): (usize, &String)| {
                let path = root.join(format!("{index}{end}"));
                fs::write(&path, text).unwrap();
                path
            };
            texts.iter().enumerate().map(file).collect()
        };
        let shipped = self.shipped.then(|| PathBuf::from("shipped"));
        let policies: Vec<PathBuf> = shipped.into_iter().chain(write(&self.policies, ".rego")).collect();
        let data = write(&self.data, ".yaml");
        let tests = write(&self.tests, "_test.rego");
        let count = check_files(&self.title, policies, tests, data);
        fs::remove_dir_all(root).unwrap();
        count
    }
}

fn check_files(title: &str, policies: Vec<PathBuf>, tests: Vec<PathBuf>, data: Vec<PathBuf>) -> usize {
    let defaults = embargo::defaults().unwrap();
    let options = LoadOptions {
        paths: policies.clone(),
        data: data.clone(),
        defaults: defaults.clone(),
        ..LoadOptions::default()
    };
    Policies::load(&options).unwrap_or_else(|errors| panic!("{title}: {errors}"));
    let paths = policies.into_iter().chain(tests).collect();
    let report = testing::run(&TestOptions { paths, data, defaults, ..TestOptions::default() });
    let report = report.unwrap_or_else(|errors| panic!("{title}: {errors}"));
    let failed: Vec<_> = report.cases.iter().filter(|case| case.outcome != TestOutcome::Pass).collect();
    assert!(failed.is_empty(), "{title}: {failed:#?}");
    report.cases.len()
}

/// The units of a page.
fn units(page: &str) -> Vec<Unit> {
    let mut units = vec![Unit::default()];
    let (mut block, mut cookbook) = (None::<(String, String)>, false);
    for line in page.lines() {
        match (&mut block, line.strip_prefix("```")) {
            (Some((kind, text)), Some(_)) => {
                units.last_mut().unwrap().add(kind, text);
                block = None;
            }
            (Some((_, text)), None) => text.push_str(&format!("{line}\n")),
            (None, Some(kind)) => block = Some((kind.to_owned(), String::new())),
            (None, None) => {
                let section = line.strip_prefix("## ");
                cookbook = section.map_or(cookbook, |title| title == "Cookbook");
                if let Some(title) = section.or_else(|| line.strip_prefix("### ").filter(|_| cookbook)) {
                    units.push(Unit {
                        title: title.to_owned(),
                        recipe: cookbook && section.is_none(),
                        ..Unit::default()
                    });
                }
            }
        }
    }
    units
}

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs")
}

#[test]
fn every_block_of_the_policy_page_loads_and_its_tests_pass() {
    let page = fs::read_to_string(docs().join("policies.md")).unwrap();
    let units = units(&page);
    let recipes = units.iter().filter(|unit| unit.recipe).count();
    assert!(recipes >= 10, "{recipes} recipes");
    let root = std::env::temp_dir().join(format!("sentinel-docs-{}", std::process::id()));
    for (index, unit) in units.iter().enumerate() {
        if unit.policies.is_empty() && unit.tests.is_empty() {
            assert!(!unit.recipe, "recipe \"{}\" has no policy", unit.title);
            continue;
        }
        let tests = unit.check(&root.join(index.to_string()));
        assert!(tests > 0 || unit.tests.is_empty(), "{}: no test ran", unit.title);
        assert!(tests > 0 || !unit.recipe, "recipe \"{}\" has no test", unit.title);
    }
    fs::remove_dir_all(&root).unwrap();
}

#[test]
fn every_example_policy_loads_alone_and_its_tests_pass() {
    let mut checked = 0;
    for entry in fs::read_dir(docs().join("examples")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if let Some(stem) = name.strip_suffix(".rego").filter(|stem| !stem.ends_with("_test")) {
            let tests = path.with_file_name(format!("{stem}_test.rego"));
            assert!(check_files(&name, vec![path], vec![tests], Vec::new()) > 1, "{name}");
            checked += 1;
        }
    }
    assert!(checked >= 4, "{checked} examples");
}

#[test]
fn a_block_that_does_not_hold_is_found() {
    let page = "## A\n```rego\npackage sentinel.a\n\nalert contains \"x\" if input.event.action == \"open\"\n```\n```rego\npackage sentinel.a_test\n\nimport data.sentinel.a.alert\n\ntest_x if count(alert) == 1 with input as data.sentinel.events.exec\n```\n";
    let units = units(page);
    let root = std::env::temp_dir().join(format!("sentinel-docs-bad-{}", std::process::id()));
    let result = std::panic::catch_unwind(|| units[1].check(&root));
    fs::remove_dir_all(&root).unwrap();
    assert!(result.is_err());
}
