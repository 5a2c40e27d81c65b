//! Checks the literal arguments of built-in functions.
//!
//! A built-in function that fails is undefined, so a wrong pattern or format makes a rule silently never fire;
//! what is written out is therefore checked at load. Functions whose result has no bound, or that regorus runs
//! without looking at the clock, are allowed only with arguments that are written out and small.

use regorus::unstable::{Expr, Ref};

use crate::analysis::corpus::Corpus;
use crate::analysis::names::literal_text;
use crate::analysis::walk::{Call, Item, walk_rule};
use crate::diagnostic::{Diagnostic, Findings};
use crate::fields::Problem;
use crate::scope::parse_cidr;

/// Longest range that may be written out.
const MAX_RANGE: u64 = 100_000;
/// Most bits a number may be shifted by.
const MAX_SHIFT: u64 = 128;
/// Widest padding in a format.
const MAX_WIDTH: usize = 3;
/// The verbs regorus formats.
const VERBS: &str = "svbcdeEfFgGoOqtTUxX";

/// Checks every call of every rule.
pub(super) fn check(corpus: &Corpus, findings: &mut Findings) {
    for source in &corpus.modules {
        for rule in &source.module.policy {
            walk_rule(rule, &source.names, &mut |item| {
                let Item::Call(Call { path, name, span, params, .. }) = item else { return };
                if path.is_some_and(|path| !corpus.graph.targets(&path).is_empty()) {
                    return;
                }
                if let Err(problem) = check_call(&name, params) {
                    let finding = Diagnostic::at(&source.file, &source.text, span.line, span.col, problem.message);
                    findings.error(finding.hint(problem.hint).code("function-argument"));
                }
            });
        }
    }
}

fn check_call(name: &str, params: &[Ref<Expr>]) -> Result<(), Problem> {
    match (name, params) {
        ("sprintf", [format, values, ..]) => check_format(format, values),
        ("regex.match" | "regex.split" | "regex.find_n" | "regex.is_valid", [pattern, ..]) => check_pattern(pattern),
        ("regex.replace", [_, pattern, ..]) => check_pattern(pattern),
        ("net.cidr_contains", [cidr, _]) => match literal_text(cidr) {
            Some(text) => parse_cidr(&text).map(drop).map_err(|error| Problem::new(error.to_string())),
            None => Ok(()),
        },
        ("numbers.range" | "numbers.range_step", [from, to, ..]) => check_range(name, from, to),
        ("bits.lsh", [_, shift]) => match literal_number(shift) {
            Some(shift) if shift.unsigned_abs() <= MAX_SHIFT => Ok(()),
            _ => Err(unbounded(name).hint(format!("shift by a number that is written out, up to {MAX_SHIFT}"))),
        },
        ("net.cidr_expand" | "graph.reachable_paths", _) => {
            Err(unbounded(name).hint("test a single value, as with `net.cidr_contains`"))
        }
        _ => Ok(()),
    }
}

fn unbounded(name: &str) -> Problem {
    Problem::new(format!("`{name}` can give a result of any size, which no limit would stop in time"))
}

fn check_range(name: &str, from: &Expr, to: &Expr) -> Result<(), Problem> {
    let length = literal_number(from).zip(literal_number(to)).map(|(from, to)| to.abs_diff(from));
    match length {
        Some(length) if length <= MAX_RANGE => Ok(()),
        _ => Err(unbounded(name).hint(format!("write out both ends, at most {MAX_RANGE} apart"))),
    }
}

fn literal_number(expr: &Expr) -> Option<i64> {
    match expr {
        Expr::Number { value, .. } => value.as_i64().ok(),
        Expr::UnaryExpr { expr, .. } => literal_number(expr).and_then(i64::checked_neg),
        _ => None,
    }
}

fn check_pattern(pattern: &Expr) -> Result<(), Problem> {
    let Some(text) = literal_text(pattern) else { return Ok(()) };
    regex::Regex::new(&text).map(drop).map_err(|error| {
        let reason = error.to_string();
        let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        Problem::new(format!("the regular expression is not valid, so this never holds: {reason}"))
            .hint("in a raw string (backquotes) backslashes need not be doubled")
    })
}

/// A format must be written out, and ask for as many values as it is given.
fn check_format(format: &Expr, values: &Expr) -> Result<(), Problem> {
    let Some(text) = literal_text(format) else {
        return Err(Problem::new("the format of `sprintf` is not written out")
            .hint("pass what varies as a value: sprintf(\"%s\", [text])"));
    };
    let wanted = count_verbs(&text)?;
    match values {
        Expr::Array { items, .. } if items.len() != wanted => Err(Problem::new(format!(
            "the format asks for {wanted} values and is given {}, so this is never defined",
            items.len()
        ))
        .hint("every % needs a value; write %% for a percent sign")),
        _ => Ok(()),
    }
}

/// The number of values a format asks for.
fn count_verbs(format: &str) -> Result<usize, Problem> {
    let mut parts = format.split('%').skip(1).peekable();
    let mut verbs = 0;
    while let Some(part) = parts.next() {
        if part.is_empty() && parts.peek().is_some() {
            // Of `%%`, the text after the second sign is plain.
            parts.next();
            continue;
        }
        let width = part.chars().take_while(|c| c.is_ascii_digit() || *c == '.').count();
        let verb = part.chars().nth(width).unwrap_or('%');
        if width > MAX_WIDTH || !VERBS.contains(verb) {
            let shown: String = part.chars().take(width + 1).collect();
            return Err(Problem::new(format!("`sprintf` does not know \"%{}\"", shown.escape_debug())).hint(format!(
                "the verbs are {VERBS}, with a width of up to {MAX_WIDTH} digits; write %% for a percent sign"
            )));
        }
        verbs += 1;
    }
    Ok(verbs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_are_counted() {
        for (format, count) in [("", 0), ("%s", 1), ("100%% of %v, %d", 2), ("%%%%", 0), ("%%%s", 1), ("%05d %.2f", 2)]
        {
            assert_eq!(count_verbs(format), Ok(count), "{format}");
        }
        for wrong in ["%", "50% of", "%y", "%99999d", "%²d", "% d", "%%%"] {
            assert!(count_verbs(wrong).is_err(), "{wrong}");
        }
    }
}
