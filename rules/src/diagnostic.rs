//! Errors and warnings of a load, each with its place and what to do.
//!
//! A load gathers every error it can find before it gives up. How findings are counted or exported (SARIF,
//! JSON) is not here.

use std::fmt;

/// The code of a finding that has no kind of its own.
const UNNAMED: &str = "policy";

/// One finding in a policy or data file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// What kind of finding it is: a word in kebab-case that stays the same from version to version.
    pub code: &'static str,
    /// The file, as it was named to the load.
    pub file: String,
    /// Line, from 1; 0 when the finding is about the whole file.
    pub line: u32,
    /// Column in characters, from 1; 0 when unknown.
    pub column: u32,
    /// What is wrong.
    pub message: String,
    /// What to do about it; may be empty.
    pub hint: String,
    /// The text of the line, empty when there is none.
    pub source_line: String,
}

impl Diagnostic {
    /// A finding about a whole file.
    pub fn file(file: impl Into<String>, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            code: UNNAMED,
            file: file.into(),
            line: 0,
            column: 0,
            message: message.into(),
            hint: String::new(),
            source_line: String::new(),
        }
    }

    /// A finding at a place in `text`, the content of `file`. The column is the engine's, which counts a tab as four.
    pub fn at(file: &str, text: &str, line: u32, column: u32, message: impl Into<String>) -> Diagnostic {
        let index = usize::try_from(line.saturating_sub(1)).unwrap_or(usize::MAX);
        let source_line = if line == 0 { "" } else { text.lines().nth(index).unwrap_or("") };
        Diagnostic {
            code: UNNAMED,
            file: file.to_owned(),
            line,
            column: plain_column(source_line, column),
            message: message.into(),
            hint: String::new(),
            source_line: source_line.to_owned(),
        }
    }

    /// The same finding with advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Diagnostic {
        self.hint = hint.into();
        self
    }

    /// The same finding, of a kind.
    #[must_use]
    pub fn code(mut self, code: &'static str) -> Diagnostic {
        self.code = code;
        self
    }

    /// Writes the finding as compilers do, under the word `label`.
    pub fn write(&self, f: &mut dyn fmt::Write, label: &str) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
            if self.column > 0 {
                write!(f, ":{}", self.column)?;
            }
        }
        write!(f, ": {label}: {}", self.message)?;
        if self.line > 0 && !self.source_line.trim().is_empty() {
            self.write_source(f)?;
        }
        if !self.hint.is_empty() {
            write!(f, "\n  hint: {}", self.hint)?;
        }
        Ok(())
    }

    /// The source line, and a caret below the column. Tabs stay tabs, so the caret lines up.
    fn write_source(&self, f: &mut dyn fmt::Write) -> fmt::Result {
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        let line: String = self.source_line.chars().take(200).map(printable).collect();
        write!(f, "\n  {number} | {line}")?;
        let shown = u32::try_from(line.chars().count()).unwrap_or(u32::MAX);
        if self.column > 0 && self.column <= shown.saturating_add(1) {
            let before = usize::try_from(self.column - 1).unwrap_or(0);
            let pad: String = line.chars().take(before).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
            write!(f, "\n  {margin} | {pad}^")?;
        }
        Ok(())
    }
}

/// Columns that the engine counts for a tab.
pub(crate) const TAB: u32 = 4;

/// The column in characters.
fn plain_column(line: &str, column: u32) -> u32 {
    let (mut engine, mut plain) = (1, 1);
    for c in line.chars() {
        if engine >= column {
            break;
        }
        engine += if c == '\t' { TAB } else { 1 };
        plain += 1;
    }
    // Past the end there is nothing to be told from tabs.
    if column == 0 { 0 } else { plain + column.saturating_sub(engine) }
}

/// Keeps control characters of a hostile file off the terminal.
fn printable(c: char) -> char {
    if c.is_control() && c != '\t' { '\u{fffd}' } else { c }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, "error")
    }
}

/// Every error of a load; there is at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadErrors {
    /// The errors, by file and line.
    pub errors: Vec<Diagnostic>,
    /// Warnings found on the way.
    pub notices: Vec<Diagnostic>,
}

impl fmt::Display for LoadErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            error.write(f, "error")?;
        }
        Ok(())
    }
}

impl std::error::Error for LoadErrors {}

/// Codes of warnings that an unknown function or action brings with it.
const CONSEQUENCES: &[&str] = &["interpreted", "never-fires"];

/// Collects findings while a load goes on.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) errors: Vec<Diagnostic>,
    pub(crate) notices: Vec<Diagnostic>,
}

impl Findings {
    pub(crate) fn error(&mut self, diagnostic: Diagnostic) {
        if !self.errors.contains(&diagnostic) {
            self.errors.push(diagnostic);
        }
    }

    /// Adds an error unless its line has one already: regorus finds some faults again, in other words.
    pub(crate) fn error_elsewhere(&mut self, diagnostic: Diagnostic) {
        if !self.errors.iter().any(|known| known.file == diagnostic.file && known.line == diagnostic.line) {
            self.error(diagnostic);
        }
    }

    pub(crate) fn notice(&mut self, diagnostic: Diagnostic) {
        if !self.notices.contains(&diagnostic) {
            self.notices.push(diagnostic);
        }
    }

    /// The errors as a failure, in order of place, or nothing when there are none.
    pub(crate) fn into_failure(mut self) -> Result<Vec<Diagnostic>, LoadErrors> {
        let place = |d: &Diagnostic| (d.file.clone(), d.line, d.column);
        self.errors.sort_by_key(place);
        self.notices.sort_by_key(place);
        if self.errors.is_empty() {
            Ok(self.notices)
        } else {
            // What follows from an error would only hide it.
            self.notices.retain(|notice| !CONSEQUENCES.contains(&notice.code));
            Err(LoadErrors { errors: self.errors, notices: self.notices })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_like_a_compiler() {
        let text = "package a\n\tdeny if x\n";
        let shown = Diagnostic::at("p.rego", text, 2, 5, "no set").hint("write `deny contains`").to_string();
        assert_eq!(shown, "p.rego:2:2: error: no set\n  2 | \tdeny if x\n    | \t^\n  hint: write `deny contains`");
        assert_eq!(Diagnostic::file("d.json", "gone").to_string(), "d.json: error: gone");
    }

    #[test]
    fn a_place_past_the_end_and_control_characters_do_no_harm() {
        assert_eq!(Diagnostic::at("p", "a\n", 9, 4, "x").to_string(), "p:9:4: error: x");
        let shown = Diagnostic::at("p", "\u{1b}[2J", 1, 1, "x").to_string();
        assert!(!shown.contains('\u{1b}'), "{shown:?}");
    }
}
