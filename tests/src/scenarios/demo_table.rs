//! How the demonstration is printed: a table of errnos, and below each row the alerts it brought, cut to what matters.
//!
//! Invariant: nothing here is made up; a cell holds what came and what was promised, and a row knows when they differ.

use anyhow::{Result, ensure};
use serde_json::{Map, Value};

/// One value of the table.
pub(super) struct Cell {
    /// Its column.
    pub(super) column: &'static str,
    /// What came.
    pub(super) errno: i32,
    /// What is promised.
    pub(super) expected: i32,
    /// The alert it brought; none where nothing is to be reported.
    pub(super) alert: Option<Value>,
}

/// One thing that is tried.
pub(super) struct Row {
    title: String,
    op: String,
    cells: Vec<Cell>,
}

/// Fields of an alert that are shown, in this order.
const FIELDS: [&str; 14] = [
    "/event/action",
    "/process/executable",
    "/process/previous/executable",
    "/destination/ip",
    "/destination/geo/country_iso_code",
    "/file/path",
    "/sentinel/mode",
    "/sentinel/blocked",
    "/sentinel/would_block",
    "/sentinel/decided_in",
    "/sentinel/hook",
    "/sentinel/rules/0/id",
    "/sentinel/entry_written",
    "/sentinel/geo/prefix",
];

impl Row {
    /// A row without cells.
    pub(super) fn new(title: &str, op: &str) -> Self {
        Self { title: title.to_owned(), op: op.to_owned(), cells: Vec::new() }
    }

    /// Adds a cell; every row gets the same columns in the same order.
    pub(super) fn add(&mut self, cell: Cell) {
        self.cells.push(cell);
    }

    /// Fails when a cell is not what is promised.
    pub(super) fn check(&self) -> Result<()> {
        for cell in &self.cells {
            let (came, promised) = (name(cell.errno), name(cell.expected));
            ensure!(came == promised, "{}, {}: {came} instead of {promised}", self.title, cell.column);
        }
        Ok(())
    }
}

/// Prints the table.
pub(super) fn print(rows: &[Row]) {
    let title_width = rows.iter().map(|row| row.title.len()).max().unwrap_or(0);
    let columns: Vec<&str> =
        rows.first().map(|row| row.cells.iter().map(|cell| cell.column).collect()).unwrap_or_default();
    let headings: String = columns.iter().map(|column| format!(" | {column}")).collect();
    println!("errno of each try; monitor mode refuses nothing, the other columns are enforce mode");
    println!("{:title_width$}{headings}", "");
    for row in rows {
        let cells: String =
            row.cells.iter().map(|cell| format!(" | {:width$}", name(cell.errno), width = cell.column.len())).collect();
        println!("{:-<width$}", "", width = title_width + headings.len());
        println!("{:title_width$}{cells}", row.title);
        println!("  {}", row.op);
        for cell in &row.cells {
            if let Some(alert) = &cell.alert {
                println!("  {}: {}", cell.column, shortened(alert));
            }
        }
    }
    println!(
        "\nAn event rule is decided after the event, so its first try may pass. A connect goes through further hooks: where\n\
         Sentinel decides before it has reached them, the first try ends there (EPERM, or no answer)."
    );
}

/// Errnos by their names.
fn name(errno: i32) -> String {
    match errno {
        0 => String::from("ok"),
        libc::EPERM => String::from("EPERM"),
        libc::EINPROGRESS => String::from("no answer"),
        other => format!("errno {other}"),
    }
}

/// The alert with the fields above alone, nested as it has them.
fn shortened(alert: &Value) -> Value {
    let mut short = Value::Object(Map::new());
    for path in FIELDS {
        if let Some(value) = alert.pointer(path) {
            put(&mut short, path.trim_start_matches('/'), value.clone());
        }
    }
    short
}

/// Sets the value at a path; list indices become part of the name.
fn put(object: &mut Value, path: &str, value: Value) {
    match path.split_once('/') {
        None => object[path] = value,
        Some(("rules", rest)) => object["rules"] = serde_json::json!([{ rest.trim_start_matches("0/"): value }]),
        Some((first, rest)) => {
            if object[first].is_null() {
                object[first] = Value::Object(Map::new());
            }
            put(&mut object[first], rest, value);
        }
    }
}
