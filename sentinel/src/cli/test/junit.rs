//! Test results as JUnit XML, as CI servers read it: a `testsuite` for each package.
//!
//! Invariant: the document is well-formed whatever tests print and whatever files are called.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use rules::testing::{TestCase, TestOutcome, TestReport};

/// The document.
pub(super) fn document(report: &TestReport) -> String {
    let mut text = String::new();
    let written = write_suites(&mut text, report);
    // Writing to a string cannot fail.
    written.map_or_else(|error| error.to_string(), |()| text)
}

fn write_suites(out: &mut String, report: &TestReport) -> fmt::Result {
    let mut suites = BTreeMap::<&str, Vec<&TestCase>>::new();
    report.cases.iter().for_each(|case| suites.entry(&case.package).or_default().push(case));
    let all: Vec<&TestCase> = report.cases.iter().collect();
    writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
    writeln!(out, "<testsuites name=\"sentinel test\" {}>", sums(&all))?;
    for (package, cases) in suites {
        writeln!(out, "  <testsuite name=\"{}\" {}>", escaped(package), sums(&cases))?;
        cases.iter().try_for_each(|case| write_case(out, case))?;
        writeln!(out, "  </testsuite>")?;
    }
    writeln!(out, "</testsuites>")
}

/// The attributes that count.
fn sums(cases: &[&TestCase]) -> String {
    let count = |wanted: fn(&TestOutcome) -> bool| cases.iter().filter(|case| wanted(&case.outcome)).count();
    format!(
        "tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{:.6}\"",
        cases.len(),
        count(|outcome| matches!(outcome, TestOutcome::Fail(_))),
        count(|outcome| matches!(outcome, TestOutcome::Error(_))),
        count(|outcome| *outcome == TestOutcome::Skip),
        cases.iter().map(|case| case.duration.as_secs_f64()).sum::<f64>()
    )
}

fn write_case(out: &mut String, case: &TestCase) -> fmt::Result {
    let (package, file) = (escaped(&case.package), escaped(&case.file));
    write!(out, "    <testcase classname=\"{package}\" name=\"{}\" ", escaped(&case.name))?;
    writeln!(out, "file=\"{file}\" line=\"{}\" time=\"{:.6}\">", case.line, case.duration.as_secs_f64())?;
    match &case.outcome {
        TestOutcome::Pass => {}
        TestOutcome::Fail(failure) => {
            let statement = failure.as_ref().map_or("the test is false or undefined", |failure| &failure.statement);
            let line = failure.as_ref().map_or(case.line, |failure| failure.line);
            let values = failure.iter().flat_map(|failure| &failure.values);
            let values: String = values.map(|(name, value)| format!("\n{name} is {value}")).collect();
            let body = escaped(&format!("{}:{line}: {statement}{values}", case.file));
            writeln!(out, "      <failure message=\"{}\">{body}</failure>", escaped(statement))?;
        }
        TestOutcome::Error(why) => {
            writeln!(out, "      <error message=\"{}\">{file}:{}</error>", escaped(why), case.line)?;
        }
        TestOutcome::Skip => writeln!(out, "      <skipped/>")?,
    }
    if !case.output.is_empty() {
        writeln!(out, "      <system-out>{}</system-out>", escaped(&case.output.join("\n")))?;
    }
    writeln!(out, "    </testcase>")
}

/// Text for an attribute or an element. Characters that XML cannot hold become the replacement character.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push_str("&#10;"),
            '\t' => escaped.push_str("&#9;"),
            '\r' => escaped.push_str("&#13;"),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

/// A report with a test of every outcome.
#[cfg(test)]
pub(super) fn samples() -> TestReport {
    use std::time::Duration;

    use rules::testing::{Failure, FileCoverage};

    let case = |name: &str, line, micros, outcome| TestCase {
        file: "a_test.rego".to_owned(),
        line,
        package: "sentinel.a_test".to_owned(),
        name: name.to_owned(),
        outcome,
        duration: Duration::from_micros(micros),
        output: Vec::new(),
    };
    let values = vec![("deny".to_owned(), "[\"<x>\"]".to_owned())];
    let failure = Failure { line: 9, statement: "count(deny) < 1".to_owned(), values };
    let mut wrong = case("test_wrong", 7, 2000, TestOutcome::Fail(Some(failure)));
    wrong.output.push("note \u{1b}[31m".to_owned());
    TestReport {
        cases: vec![
            case("test_right", 3, 1500, TestOutcome::Pass),
            wrong,
            case("test_broken", 20, 0, TestOutcome::Error("it failed & stopped".to_owned())),
            case("todo_test_later", 30, 0, TestOutcome::Skip),
        ],
        coverage: vec![FileCoverage {
            file: "a.rego".to_owned(),
            covered: [1, 2, 3, 6, 7, 8].into(),
            not_covered: [4, 5].into(),
        }],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parser_of_xml_reads_every_outcome() {
        let text = document(&samples());
        let document = roxmltree::Document::parse(&text).unwrap_or_else(|error| panic!("{error}:\n{text}"));
        let root = document.root_element();
        assert_eq!((root.tag_name().name(), root.attribute("tests")), ("testsuites", Some("4")));
        let suite = root.first_element_child().unwrap();
        assert_eq!(suite.attribute("name"), Some("sentinel.a_test"));
        let sums = ["failures", "errors", "skipped", "time"].map(|key| suite.attribute(key).unwrap());
        assert_eq!(sums, ["1", "1", "1", "0.003500"]);
        let cases: Vec<_> = suite.children().filter(roxmltree::Node::is_element).collect();
        assert_eq!((cases.len(), cases[0].attribute("time")), (4, Some("0.001500")));
        let failure = cases[1].first_element_child().unwrap();
        assert_eq!(failure.attribute("message"), Some("count(deny) < 1"));
        assert_eq!(failure.text(), Some("a_test.rego:9: count(deny) < 1\ndeny is [\"<x>\"]"));
        assert_eq!(cases[1].last_element_child().unwrap().text(), Some("note \u{fffd}[31m"));
        assert_eq!(cases[2].first_element_child().unwrap().attribute("message"), Some("it failed & stopped"));
        assert!(cases[3].first_element_child().unwrap().has_tag_name("skipped"));
    }

    #[test]
    fn no_text_breaks_the_document() {
        for text in ["]]>", "\"'<&>", "\0\u{8}\u{ffff}", "\u{1f600}", "a\r\nb\tc", "<!--"] {
            let document = format!("<x y=\"{0}\">{0}</x>", escaped(text));
            let parsed = roxmltree::Document::parse(&document).unwrap_or_else(|error| panic!("{text:?}: {error}"));
            let root = parsed.root_element();
            assert_eq!(root.text(), root.attribute("y"), "{text:?}");
        }
    }
}
