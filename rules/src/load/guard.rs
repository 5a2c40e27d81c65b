//! Looks at the tokens of a module before it is parsed.
//!
//! regorus's parser bounds the nesting of brackets but builds chains such as `a + b + c + ...` as deep trees,
//! and every later step recurses over them. It also reads each array or object twice, once in search of a
//! comprehension, so time doubles with every level, and the first reading does not count its recursion. What is
//! longer or deeper than anyone writes is refused here. The pass also tells which lines are comments, which a
//! raw string could fake.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use regorus::unstable::{Lexer, Source, Token, TokenKind};

/// Longest chain of operators, dots and brackets within one expression.
const MAX_CHAIN: u32 = 200;

/// Deepest nesting of brackets of any kind.
const MAX_NESTING: usize = 24;
/// Most tokens the parser may come to read, each counted twice for every array or object around it.
const MAX_WORK: u64 = 20_000_000;

/// What the tokens of a module tell.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tokens {
    /// Lines on which a token stands or that lie inside one: no comment starts at their beginning.
    pub(super) code_lines: BTreeSet<u32>,
}

/// Why a module is not parsed.
#[derive(Debug)]
pub(super) enum Refused {
    /// regorus's own message, with its place.
    Lexer(String),
    /// An expression is too long or too deep at this line and column.
    Chain(u32, u32),
}

/// Reads all tokens of a source.
pub(super) fn check(source: &Source, max_col: NonZeroU32) -> Result<Tokens, Refused> {
    let mut lexer = Lexer::new(source);
    lexer.set_max_col(max_col);
    let mut tokens = Tokens::default();
    let mut chains = Chains::default();
    loop {
        let token = lexer.next_token().map_err(|error| Refused::Lexer(error.to_string()))?;
        if token.0 == TokenKind::Eof {
            return Ok(tokens);
        }
        let height = u32::try_from(token.1.text().matches('\n').count()).unwrap_or(u32::MAX);
        tokens.code_lines.extend(token.1.line..=token.1.line.saturating_add(height));
        if !chains.add(&token) {
            return Err(Refused::Chain(token.1.line, token.1.col));
        }
    }
}

/// Lengths of the chains that are open, one for each open bracket.
#[derive(Default)]
struct Chains {
    outer: Vec<u32>,
    current: u32,
    line: u32,
    joined: bool,
    work: u64,
}

impl Chains {
    /// Counts a token; false when a chain has become too long.
    fn add(&mut self, token: &Token) -> bool {
        let text = if token.0 == TokenKind::Symbol || token.0 == TokenKind::Ident { token.1.text() } else { "" };
        let operator = matches!(
            text,
            "." | "+" | "-" | "*" | "/" | "%" | "&" | "|" | "==" | "!=" | "<" | "<=" | ">" | ">=" | "=" | ":=" | "in"
        );
        // A new line between two operands starts a new statement.
        if token.1.line != self.line && !operator && !self.joined {
            self.current = 0;
        }
        match text {
            "(" | "[" | "{" => {
                self.outer.push(self.current.saturating_add(1));
                self.current = 0;
            }
            ")" | "]" | "}" => self.current = self.outer.pop().unwrap_or(0),
            "," | ";" | ":" => self.current = 0,
            _ if operator => self.current = self.current.saturating_add(1),
            _ => {}
        }
        self.line = token.1.line;
        self.joined = operator;
        self.work = self.work.saturating_add(1 << self.outer.len().min(MAX_NESTING));
        self.current <= MAX_CHAIN && self.outer.len() <= MAX_NESTING && self.work <= MAX_WORK
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(text: &str) -> Result<Tokens, Refused> {
        let source = Source::from_contents("t.rego".to_owned(), text.to_owned()).unwrap();
        check(&source, NonZeroU32::new(1024).unwrap())
    }

    #[test]
    fn long_chains_are_refused_wherever_they_are() {
        let sum = |count: usize| format!("package a\nx := 1{}\n", "\n + 1".repeat(count));
        assert!(run(&sum(150)).is_ok());
        assert!(matches!(run(&sum(300)), Err(Refused::Chain(..))));
        let calls = format!("package a\nx := f(1){}\n", "\n + f(1)".repeat(300));
        assert!(matches!(run(&calls), Err(Refused::Chain(..))));
        let brackets = format!("package a\nx := a{}\n", "[\n0]".repeat(300));
        assert!(matches!(run(&brackets), Err(Refused::Chain(..))));
    }

    #[test]
    fn long_bodies_and_lists_are_not_chains() {
        let body = format!("package a\nx if {{\n{}}}\n", "input.a.b == input.c.d\n".repeat(1000));
        assert!(run(&body).is_ok());
        let list = format!("package a\nx := {{{}}}\n", "\n\"a\": \"b\",".repeat(1000));
        assert!(run(&list).is_ok());
    }

    #[test]
    fn deep_and_wide_nesting_is_refused() {
        let nested = |depth: usize| format!("package a\nx := {}1{}\n", "[".repeat(depth), "]".repeat(depth));
        assert!(run(&nested(8)).is_ok());
        assert!(matches!(run(&nested(30)), Err(Refused::Chain(..))));
        let wide = format!("package a\nx := {}{}{}\n", "[".repeat(14), "1,\n".repeat(2000), "]".repeat(14));
        assert!(matches!(run(&wide), Err(Refused::Chain(..))));
    }

    #[test]
    fn comments_are_told_from_raw_strings() {
        let tokens = run("package a\n# one\nx := `\n# two\n`\n").unwrap();
        assert!(!tokens.code_lines.contains(&2));
        assert!(tokens.code_lines.contains(&4));
    }
}
