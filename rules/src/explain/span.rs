//! The whole text of an expression: regorus's places leave out the quotes and parentheses at its ends.

use regorus::unstable::{Expr, Span};

/// The text of a place, with the quotes, parentheses and brackets that belong to it.
pub(super) fn whole(span: &Span) -> &str {
    cut(span, span.start)
}

/// The whole text of an expression. The place of an object starts at its last key.
pub(super) fn expression(expr: &Expr) -> &str {
    cut(expr.span(), start(expr))
}

fn cut(span: &Span, start: u32) -> &str {
    let text: &str = span.source.contents();
    let offset = |offset: u32| usize::try_from(offset).unwrap_or(usize::MAX).min(text.len());
    let (start, end) = complete(text, offset(start), offset(span.end));
    text.get(start..end).unwrap_or_else(|| span.text())
}

/// Where an expression starts, going by its leftmost part.
fn start(expr: &Expr) -> u32 {
    let left = match expr {
        Expr::Object { fields, .. } => fields.first().map(|(_, key, _)| key),
        Expr::RefDot { refr, .. } | Expr::RefBrack { refr, .. } => Some(refr),
        Expr::BinExpr { lhs, .. }
        | Expr::BoolExpr { lhs, .. }
        | Expr::ArithExpr { lhs, .. }
        | Expr::AssignExpr { lhs, .. } => Some(lhs),
        Expr::Membership { key, value, .. } => Some(key.as_ref().unwrap_or(value)),
        _ => None,
    };
    left.map_or(expr.span().start, |left| start(left).min(expr.span().start))
}

fn is_quote(byte: Option<&u8>) -> bool {
    matches!(byte, Some(b'"' | b'`'))
}

/// Widens a place until quotes and brackets in it are closed.
fn complete(text: &str, start: usize, end: usize) -> (usize, usize) {
    let bytes = text.as_bytes();
    // Between two expressions stands an operator, a comma or a space: a quote beside one is its own.
    let mut start = if start > 0 && is_quote(bytes.get(start - 1)) { start - 1 } else { start };
    let mut end = if is_quote(bytes.get(end)) { end + 1 } else { end };
    let (mut missing_before, mut missing_behind) = unbalanced(bytes.get(start..end).unwrap_or_default());
    while missing_before > 0 {
        let Some(at) = bytes[..start].iter().rposition(|byte| !byte.is_ascii_whitespace()) else { break };
        if !matches!(bytes[at], b'(' | b'[' | b'{') {
            break;
        }
        (start, missing_before) = (at, missing_before - 1);
    }
    while missing_behind > 0 {
        let Some(at) = bytes[end..].iter().position(|byte| !byte.is_ascii_whitespace()) else { break };
        if !matches!(bytes[end + at], b')' | b']' | b'}') {
            break;
        }
        (end, missing_behind) = (end + at + 1, missing_behind - 1);
    }
    (start, end)
}

/// How many brackets are closed and not opened, and opened and not closed; strings and comments aside.
fn unbalanced(bytes: &[u8]) -> (usize, usize) {
    let (mut closed, mut open) = (0, 0_usize);
    let mut rest = bytes.iter();
    while let Some(byte) = rest.next() {
        match byte {
            b'"' => {
                while rest.next().is_some_and(|byte| match byte {
                    b'\\' => rest.next().is_some(),
                    other => *other != b'"',
                }) {}
            }
            b'`' => while rest.next().is_some_and(|byte| *byte != b'`') {},
            b'#' => while rest.next().is_some_and(|byte| *byte != b'\n') {},
            b'(' | b'[' | b'{' => open += 1,
            b')' | b']' | b'}' if open == 0 => closed += 1,
            b')' | b']' | b'}' => open -= 1,
            _ => {}
        }
    }
    (closed, open)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_brackets_at_the_ends_belong_to_it() {
        for (text, inner, whole) in [
            ("x == \"connect\"\n", "x == \"connect", "x == \"connect\""),
            ("y if \"a\" in x\n", "a\" in x", "\"a\" in x"),
            ("(a + 1) * (b)\n}", "a + 1) * (b", "(a + 1) * (b)"),
            ("f(\"(\\\"\", `)`) # )", "f(\"(\\\"\", `)`)", "f(\"(\\\"\", `)`)"),
            ("{x}", "x", "x"),
        ] {
            let start = text.find(inner).unwrap();
            let (start, end) = complete(text, start, start + inner.len());
            assert_eq!(&text[start..end], whole);
        }
    }
}
