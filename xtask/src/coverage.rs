//! `coverage`: docs/coverage.md, the table of techniques that Sentinel is held to, made from what scenarios came out as.
//!
//! Invariant: a cell says `closed` only if each of its scenarios ran in that place and passed. Results are kept for each place
//! below `target/scenarios`; a whole run of a place (`cargo xtask test`) replaces them, `cargo xtask vm` adds to them. Not here: what a scenario shows.

mod table;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::PathBuf,
};

use anyhow::{Context, Result, bail};

use crate::{project::Project, vm};
use table::{ROWS, Row};

/// The page.
const PAGE: &str = "docs/coverage.md";

/// How the scenarios of one place came out, by name: whether they passed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Results(BTreeMap<String, bool>);

impl Results {
    /// Takes a line of the test program in: `ok NAME (1.2 s)` or `FAILED NAME (1.2 s): why`.
    pub(crate) fn take(&mut self, line: &str) {
        let result = line.strip_prefix("ok ").map(|rest| (rest, true));
        let result = result.or_else(|| line.strip_prefix("FAILED ").map(|rest| (rest, false)));
        if let Some((rest, passed)) = result
            && let Some((name, _)) = rest.split_once(" (")
        {
            self.0.insert(name.to_owned(), passed);
        }
    }

    /// Keeps them for a place; `whole`: what was there before is void.
    pub(crate) fn store(&self, project: &Project, place: &str, whole: bool) -> Result<()> {
        let mut all = if whole { Self::default() } else { Self::load(project, place)? };
        all.0.extend(self.0.clone());
        let path = file(project, place);
        let directory = path.parent().context("results have no directory")?;
        fs::create_dir_all(directory).with_context(|| format!("making {}", directory.display()))?;
        fs::write(&path, serde_json::to_string_pretty(&all.0)?).with_context(|| format!("writing {}", path.display()))
    }

    fn load(project: &Project, place: &str) -> Result<Self> {
        let path = file(project, place);
        match fs::read_to_string(&path) {
            Ok(text) => {
                let all = serde_json::from_str(&text);
                Ok(Self(all.with_context(|| format!("{} is no list of results; remove it", path.display()))?))
            }
            Err(_) => Ok(Self::default()),
        }
    }
}

fn file(project: &Project, place: &str) -> PathBuf {
    project.target.join("scenarios").join(format!("{place}.json"))
}

/// Writes the page anew from the results, or with `check` fails if the page claims what they do not show.
pub(crate) fn run(project: &Project, check: bool) -> Result<()> {
    let mut places = vec!["host".to_owned()];
    places.extend(vm::kernel_names(project)?.into_iter().map(|kernel| format!("vm-{kernel}")));
    let results: Vec<(String, Results)> =
        places.into_iter().map(|place| Ok((place.clone(), Results::load(project, &place)?))).collect::<Result<_>>()?;
    let path = project.root.join(PAGE);
    if !check {
        return fs::write(&path, page(ROWS, &results)).with_context(|| format!("writing {}", path.display()));
    }
    let written = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let (claimed, shown) = (claims(&written), claims(&page(ROWS, &results)));
    let unshown: Vec<&str> = claimed.difference(&shown).map(String::as_str).collect();
    if unshown.is_empty() {
        return Ok(());
    }
    bail!("{PAGE} says what no run of the scenarios has shown; run cargo xtask coverage:\n{}", unshown.join("\n"))
}

/// What a page claims: row, way and place of each cell that says `closed`.
fn claims(page: &str) -> BTreeSet<String> {
    let mut places: Vec<String> = Vec::new();
    let mut all = BTreeSet::new();
    for line in page.lines().filter(|line| line.starts_with('|')) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        if cells.first() == Some(&"#") {
            places = cells.iter().map(|cell| (*cell).to_owned()).collect();
        }
        for (place, _) in places.iter().zip(&cells).filter(|(_, cell)| **cell == CLOSED) {
            all.insert(format!("{} {} {place}", cells[0], cells.get(2).unwrap_or(&"")));
        }
    }
    all
}

const CLOSED: &str = "closed";

fn page(rows: &[Row], results: &[(String, Results)]) -> String {
    let mut text = String::from(
        "# What is held, and where that was shown\n\n\
         Written by `cargo xtask coverage` from the results of the scenarios; not to be edited. Rows are techniques that defeat\n\
         tools of this kind (`SECURITY.md` says what Sentinel does not hold against). `closed`: each scenario of the row passed\n\
         in that place. `FAILED`: one did not. `not run`: one has not been run there since the results were cleared. `-`: no\n\
         scenario of the row is for that place. A row without scenarios is not shown by any.\n\n",
    );
    let heads: String = results.iter().map(|(place, _)| format!(" {place} |")).collect();
    let rule = "---|".repeat(results.len());
    for (letter, title) in [("N", "Egress to a forbidden destination"), ("F", "Exec and file")] {
        let _ =
            write!(text, "## {title}\n\n| # | technique | shown on |{heads} scenarios |\n|---|---|---|{rule}---|\n");
        for row in rows.iter().filter(|row| row.id.starts_with(letter)) {
            for line in lines(row, results) {
                text.push_str(&line);
            }
        }
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text + "\n"
}

/// A line for each way of a row.
fn lines(row: &Row, results: &[(String, Results)]) -> Vec<String> {
    if row.ways.is_empty() {
        let cells = " - |".repeat(results.len());
        return vec![format!("| {} | {} | |{cells} none |\n", row.id, row.technique)];
    }
    let line = |way: &table::Way| {
        let cells: String = results.iter().map(|(place, all)| format!(" {} |", cell(way, place, all))).collect();
        let names = way.scenarios.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" ");
        format!("| {} | {} | {} |{cells} {names} |\n", row.id, row.technique, way.on)
    };
    row.ways.iter().map(line).collect()
}

fn cell(way: &table::Way, place: &str, results: &Results) -> &'static str {
    if way.vm_only && place == "host" {
        return "-";
    }
    let came: Vec<Option<bool>> = way.scenarios.iter().map(|name| results.0.get(*name).copied()).collect();
    if came.contains(&Some(false)) {
        "FAILED"
    } else if came.iter().all(|result| *result == Some(true)) {
        CLOSED
    } else {
        "not run"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAB: &[Row] = &[Row {
        id: "F2",
        technique: "other names",
        ways: &[table::Way { on: "ext4", vm_only: true, scenarios: &["one", "two"] }],
    }];

    fn results(lines: &[&str]) -> Vec<(String, Results)> {
        let mut all = Results::default();
        lines.iter().for_each(|line| all.take(line));
        vec![("host".to_owned(), Results::default()), ("vm-6.12".to_owned(), all)]
    }

    #[test]
    fn closed_is_said_only_of_what_passed() {
        let shown = |lines: &[&str]| claims(&page(LAB, &results(lines)));
        assert_eq!(shown(&["ok one (1.0 s)", "ok two (0.1 s)"]), ["F2 ext4 vm-6.12".to_owned()].into());
        assert!(shown(&["ok one (1.0 s)", "FAILED two (0.1 s): (no) errno"]).is_empty());
        assert!(shown(&["ok one (1.0 s)"]).is_empty());
        assert!(shown(&[]).is_empty());
        assert!(page(LAB, &results(&["FAILED one (1 s): x"])).contains("| - | FAILED |"));
    }

    #[test]
    fn a_row_is_a_technique_with_scenarios_that_exist() {
        let sources = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/src/scenarios");
        let text: String =
            fs::read_dir(sources).unwrap().map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap()).collect();
        let ids: BTreeSet<&str> = ROWS.iter().map(|row| row.id).collect();
        assert_eq!(ids.len(), ROWS.len(), "a row is there twice");
        assert_eq!(ids.len(), 14 + 16);
        for name in ROWS.iter().flat_map(|row| row.ways).flat_map(|way| way.scenarios) {
            assert!(text.contains(&format!("\"{name}\"")), "no scenario is named {name}");
        }
    }

    #[test]
    fn the_page_has_every_row() {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(PAGE);
        let written = fs::read_to_string(path).unwrap();
        for row in ROWS {
            assert!(written.contains(&format!("| {} | {} |", row.id, row.technique)), "{} is missing", row.id);
        }
    }
}
