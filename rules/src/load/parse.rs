//! Text to syntax tree, one module at a time, with regorus's errors made into findings.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;

use regorus::unstable::{Parser, Source as RegoSource};

use crate::analysis::corpus::Source;
use crate::analysis::names::Names;
use crate::diagnostic::Diagnostic;
use crate::load::guard::{self, Refused, Tokens};

/// Longest line. Synthetic modules have longer heads than what they are made from, so regorus gets twice this.
pub(super) const MAX_COLUMN: NonZeroU32 = NonZeroU32::new(4 * 1024).unwrap();
/// Largest file.
pub(crate) const MAX_BYTES: NonZeroUsize = NonZeroUsize::new(2 << 20).unwrap();
/// Most lines in a file.
pub(super) const MAX_LINES: NonZeroUsize = NonZeroUsize::new(50_000).unwrap();
/// Deepest nesting of the expressions of one rule.
pub(super) const MAX_DEPTH: usize = 100;

/// A text to be parsed.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    pub(crate) file: String,
    pub(crate) text: Arc<str>,
    /// Whether it is in the older language, where the manifest of a bundle says.
    pub(crate) v0: Option<bool>,
}

impl Text {
    pub(crate) fn new(file: impl Into<String>, text: impl Into<Arc<str>>) -> Text {
        Text { file: file.into(), text: text.into(), v0: None }
    }
}

/// Parses one module.
pub(crate) fn parse(input: &Text) -> Result<(Source, Tokens), Box<Diagnostic>> {
    let refuse = |line, column, message: String| {
        Box::new(Diagnostic::at(&input.file, &input.text, line, column, message).code("syntax"))
    };
    let from_regorus = |error: String| Box::new(finding(&input.file, &input.text, &error));
    if let Some(at) = input.text.find('\0') {
        let line = input.text[..at].matches('\n').count() + 1;
        return Err(refuse(u32::try_from(line).unwrap_or(0), 0, "the file holds a NUL byte".to_owned()));
    }
    let contents = input.text.to_string();
    let source = RegoSource::from_contents_with_limits(input.file.clone(), contents, MAX_BYTES, MAX_LINES);
    let source = source.map_err(|error| from_regorus(error.to_string()))?;
    let tokens = guard::check(&source, MAX_COLUMN).map_err(|refused| match refused {
        Refused::Lexer(error) => from_regorus(error),
        Refused::Chain(line, column) => {
            let finding =
                refuse(line, column, "the expression is too long or nests too deep to be read safely".to_owned());
            Box::new(finding.hint("split it: give parts of it names, or put the values into a set"))
        }
    })?;
    let v0 = input.v0.unwrap_or_else(|| declares_v0(&input.text));
    let parse = || {
        let mut parser = Parser::new(&source)?;
        parser.set_max_col(MAX_COLUMN);
        if !v0 {
            parser.enable_rego_v1()?;
        }
        parser.parse()
    };
    let module = parse().map_err(|error| {
        let finding = from_regorus(error.to_string());
        Box::new(hint_about_v0(*finding, v0))
    })?;
    let names = Names::of(&module);
    Ok((Source { file: input.file.clone(), text: Arc::clone(&input.text), module, names, v0 }, tokens))
}

/// A module is in the older language when a comment line `# rego: v0` stands above its package.
fn declares_v0(text: &str) -> bool {
    let above = text.lines().map(str::trim).take_while(|line| line.is_empty() || line.starts_with('#'));
    let comments = above.filter_map(|line| line.strip_prefix('#'));
    comments.map(str::trim).any(|comment| comment == "rego: v0")
}

fn hint_about_v0(finding: Diagnostic, v0: bool) -> Diagnostic {
    let about_keywords = ["`if` keyword is required", "`contains` keyword is required"];
    if !v0 && about_keywords.iter().any(|part| finding.message.contains(part)) {
        finding.hint("policies are Rego v1; for the older language put a line \"# rego: v0\" above the package")
    } else {
        finding
    }
}

/// Reads the place and message out of an error of regorus, which prints them as text.
pub(super) fn finding(file: &str, text: &str, error: &str) -> Diagnostic {
    let (line, column) = place(error).unwrap_or((0, 0));
    Diagnostic::at(file, text, line, column, message(error)).code("syntax")
}

/// Line and column of `--> file:line:column`.
pub(super) fn place(error: &str) -> Option<(u32, u32)> {
    let arrow = error.lines().find_map(|line| line.trim_start().strip_prefix("--> "))?;
    let mut parts = arrow.rsplit(':');
    let column = parts.next()?.trim().parse().ok()?;
    let line = parts.next()?.parse().ok()?;
    Some((line, column))
}

/// The file of `--> file:line:column`.
pub(super) fn file_of(error: &str) -> Option<&str> {
    let arrow = error.lines().find_map(|line| line.trim_start().strip_prefix("--> "))?;
    arrow.rsplitn(3, ':').nth(2)
}

/// The line that starts with `error:`, or everything when there is none.
pub(crate) fn message(error: &str) -> String {
    let line = error.lines().find_map(|line| line.trim_start().strip_prefix("error: "));
    line.unwrap_or(error).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(text: &str) -> Diagnostic {
        *parse(&Text::new("a:b.rego", text)).err().unwrap()
    }

    #[test]
    fn errors_have_their_place() {
        let error = failure("package a\n\nx := {1,\n");
        assert_eq!((error.line, error.file.as_str()), (4, "a:b.rego"), "{error}");
        let error = failure("package a\ndeny[x] { x := 1 }\n");
        assert_eq!(error.line, 2);
        assert!(error.hint.contains("# rego: v0"), "{error}");
        assert_eq!(failure("package a\nx := \"\0\"").line, 2);
        assert_eq!(
            failure("").message,
            "Missing package declaration.".replace("Missing", "expecting `package` Missing")
        );
    }

    #[test]
    fn the_older_language_has_to_be_named() {
        let text = "# a comment\n# rego: v0\npackage a\ndeny[x] { x := 1 }\n";
        assert!(parse(&Text::new("a", text)).unwrap().0.v0);
        assert!(!declares_v0("package a\n# rego: v0\n"));
    }

    #[test]
    fn deep_nesting_is_an_error_and_no_abort() {
        let texts = [
            format!("package a\nx := {}1{}\n", "[".repeat(1500), "]".repeat(1500)),
            format!("package a\nx := {}1{}\n", "(".repeat(1500), ")".repeat(1500)),
            format!("package a\nx := {}1\n", "-".repeat(1500)),
            format!("package a\nx if {}true\n", "not ".repeat(900)),
            format!("package a\nx := {}1\n", "{\"a\":\n".repeat(1500)),
            format!("package a\nx{}\n", " if {\nx".repeat(1500)),
            format!("package a\nx if {}true\n", "every x in y {\n".repeat(1500)),
        ];
        for text in texts {
            failure(&text);
        }
    }
}
