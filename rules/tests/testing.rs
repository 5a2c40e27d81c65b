//! The test runner: outcomes, filters, places, coverage; and files and directories as the commands name them.

#![expect(clippy::unwrap_used, reason = "helpers of tests; a failure is the test's")]

use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;
use rules::testing::{TestOptions, TestOutcome, any, run};
use rules::{LoadOptions, Policies};

/// A directory that goes away with the test.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str, files: &[(&str, &str)]) -> Directory {
        let root = std::env::temp_dir().join(format!("sentinel-rules-{name}-{}", std::process::id()));
        for (file, text) in files {
            let path = root.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Directory(root)
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

const POLICY: &str = "package sentinel.a\n\ndeny contains \"tmp\" if {\n\tinput.event.action == \"exec\"\n\tstartswith(input.process.executable, \"/tmp/\")\n}\n\nalert contains \"never tested\" if {\n\tinput.event.action == \"open\"\n\tinput.file.path == \"/x\"\n}\n";

const TESTS: &str = "package sentinel.a_test\n\nimport data.sentinel.a\n\nevent := {\"event\": {\"action\": \"exec\"}, \"process\": {\"executable\": \"/tmp/x\"}}\n\ntest_denied if {\n\ta.deny == {\"tmp\"} with input as event\n}\n\ntest_wrong if {\n\tprint(\"looking\")\n\tx := 1\n\tx == 2\n\tx == 3\n}\n\ntest_false := false\n\ntodo_test_later if false\n\ntest_twice if true\n\ntest_twice if false\n\ntest_broken if {\n\tx := {\"a\": 1, \"a\": 2}\n\tx.a == [1][y]\n\tcount(numbers.range(1, 3)) == y\n}\n";

#[test]
fn outcomes_have_their_place() {
    let directory = Directory::new("outcomes", &[("a.rego", POLICY), ("sub/a_test.rego", TESTS)]);
    let options = TestOptions { paths: vec![directory.path().into()], coverage: true, ..TestOptions::default() };
    let report = run(&options).unwrap_or_else(|errors| panic!("{errors}"));
    let outcome =
        |name: &str| report.cases.iter().filter(|case| case.name == name).map(|c| &c.outcome).collect::<Vec<_>>();
    assert_eq!(outcome("test_denied"), [&TestOutcome::Pass]);
    let failure = |name: &str| match outcome(name)[..] {
        [TestOutcome::Fail(Some(failure))] => failure.clone(),
        ref other => panic!("{name}: {other:?}"),
    };
    let wrong = failure("test_wrong");
    assert_eq!((wrong.line, wrong.statement.as_str()), (14, "x == 2"));
    assert_eq!(wrong.values, [("x".to_owned(), "1".to_owned())]);
    let false_value = failure("test_false");
    assert_eq!((false_value.line, false_value.statement.as_str()), (18, "test_false := false"));
    assert!(matches!(outcome("test_false")[..], [TestOutcome::Fail(_)]));
    assert_eq!(outcome("todo_test_later"), [&TestOutcome::Skip]);
    assert!(
        matches!(outcome("test_twice")[..], [TestOutcome::Pass, TestOutcome::Error(text)] if text.ends_with(":22"))
    );
    let wrong = report.cases.iter().find(|case| case.name == "test_wrong").unwrap();
    assert_eq!((wrong.line, wrong.package.as_str(), wrong.output.len()), (11, "sentinel.a_test", 1));
    assert!(wrong.file.ends_with("a_test.rego") && wrong.output[0].contains("looking"), "{wrong:?}");
    assert!(report.failed());
    assert_eq!(report.coverage.len(), 1);
    assert!(
        report.coverage[0].covered.contains(&4) && report.coverage[0].not_covered.contains(&10),
        "{:?}",
        report.coverage
    );
    assert!(report.covered_percent().unwrap() < 100.0);
}

#[test]
fn tests_are_seen_without_compiling_anything() {
    for (name, files, there) in [
        ("none", &[("a.rego", POLICY)][..], false),
        ("beside", &[("a.rego", POLICY), ("a_test.rego", "not even Rego")][..], true),
        ("inside", &[("a.rego", TESTS)][..], true),
        ("unreadable", &[][..], true),
    ] {
        let directory = Directory::new(&format!("any-{name}"), files);
        let options = TestOptions { paths: vec![directory.path().to_owned()], ..TestOptions::default() };
        assert_eq!(any(&options), there, "{name}");
    }
}

#[test]
fn a_filter_chooses_by_package_and_name() {
    let directory = Directory::new("filter", &[("a.rego", POLICY), ("a_test.rego", TESTS)]);
    let filter = Some(Regex::new("a_test.*denied$").unwrap());
    let report = run(&TestOptions { paths: vec![directory.path().into()], filter, ..TestOptions::default() }).unwrap();
    assert_eq!(report.cases.len(), 1);
    assert!(!report.failed());
}

#[test]
fn faults_of_policies_stop_a_run() {
    let directory = Directory::new("faults", &[("a.rego", "package sentinel.a\np if p\n"), ("b_test.rego", TESTS)]);
    let failure = run(&TestOptions { paths: vec![directory.path().into()], ..TestOptions::default() }).unwrap_err();
    assert!(failure.to_string().contains("recursion"), "{failure}");
}

#[test]
fn directories_are_searched_and_tests_left_out() {
    let files = [
        ("z.rego", "package sentinel.z\nalert contains \"z\" if input.file.name in data.words\n"),
        ("sub/a.rego", POLICY),
        ("sub/a_test.rego", "package sentinel.a_test\nsyntax error {\n"),
        (".hidden/b.rego", "not rego"),
        ("notes.txt", "not rego"),
        ("words.yaml", "words: [a, b]\n"),
    ];
    let directory = Directory::new("search", &files);
    let data = vec![directory.path().join("words.yaml")];
    let options = LoadOptions { paths: vec![directory.path().into()], data, ..LoadOptions::default() };
    let policies = Policies::load(&options).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(policies.packages(), ["sentinel.a", "sentinel.z"]);
    assert_eq!(policies.files().len(), 3);
    assert_eq!(policies.sha256().len(), 64);
    let again = Policies::load(&options).unwrap();
    assert_eq!(policies.sha256(), again.sha256());
    fs::write(directory.path().join("words.yaml"), "words: [a, c]\n").unwrap();
    assert_ne!(policies.sha256(), Policies::load(&options).unwrap().sha256());
}

#[test]
fn files_that_cannot_be_read_are_all_reported() {
    let directory =
        Directory::new("unreadable", &[("empty/notes.txt", ""), ("a.json", "{\"x\": 1}"), ("b.json", "{\"x\": 2}")]);
    fs::write(directory.path().join("latin.rego"), b"package sentinel.a\n# \xe9\n").unwrap();
    let at = |name: &str| directory.path().join(name);
    let options = LoadOptions {
        paths: vec![at("missing.rego"), at("empty"), at("latin.rego")],
        data: vec![at("a.json"), at("b.json"), at("missing.json")],
        ..LoadOptions::default()
    };
    let failure = Policies::load(&options).unwrap_err();
    let all = failure.to_string();
    assert_eq!(failure.errors.len(), 5, "{all}");
    for part in ["missing.rego", "holds no *.rego", "line 2 holds byte 0xe9", "a.json", "missing.json"] {
        assert!(all.contains(part), "{part}: {all}");
    }
}
