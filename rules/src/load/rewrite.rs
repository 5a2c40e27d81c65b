//! Writes three things another way, since regorus's register machine gets them wrong as they are usually written.
//!
//! An assignment of a value that is not there must fail its body. In the machine (0.14.1) `x := input.missing` holds,
//! so a rule could fire on what is not there; `some x; x = input.missing` fails, as it should. And where a condition
//! of a comprehension that iterates over nothing fails, the machine loses its place, and whatever fails later repeats
//! for ever; inside an iteration it does not. Nor is what a comprehension collects left out where it is not there, which
//! it is when it is assigned first. Both forms mean the same in Rego. A text that does not parse when it is rewritten is
//! left as it is.

use regorus::unstable::{AssignOp, Expr, Literal, LiteralStmt, Query, Ref, Rule, Span};

use crate::analysis::corpus::Source;
use crate::analysis::names::{Locals, Resolved, Root};
use crate::analysis::walk::Head;
use crate::load::definitions::Replacement;
use crate::load::parse::{self, Text};

/// One step of an iteration, in this language and the older one.
const ONCE: [&str; 2] = [" some _ in [0];", " [0][_] == 0;"];
/// Variable for what a comprehension collects; no policy may use it.
const COLLECTED: &str = "__sentinel_collected";

/// What to write another way in a module, in order.
pub(super) fn replacements(source: &Source) -> Vec<Replacement> {
    for collected in [true, false] {
        let mut rewrite = Rewrite { source, found: Vec::new(), collected };
        source.module.policy.iter().for_each(|rule| rewrite.rule(rule));
        let mut found = rewrite.found;
        found.sort_by_key(|replacement| replacement.start);
        let text = apply(&source.text, &found).into();
        let text = Text { file: source.file.clone(), text, v0: Some(source.v0) };
        if parse::parse(&text).is_ok() {
            return found;
        }
    }
    Vec::new()
}

/// Both lists in one, in order; of the second, what lies within the first is left out.
pub(super) fn merge(first: &[Replacement], second: &[Replacement]) -> Vec<Replacement> {
    let free = |other: &&Replacement| first.iter().all(|one| other.end <= one.start || one.end <= other.start);
    let mut all: Vec<Replacement> = first.iter().chain(second.iter().filter(free)).cloned().collect();
    all.sort_by_key(|replacement| replacement.start);
    all
}

/// The text with its replacements, which are in order and do not overlap.
pub(super) fn apply(text: &str, replacements: &[Replacement]) -> String {
    let (mut out, mut at) = (String::with_capacity(text.len()), 0);
    for replacement in replacements {
        out.push_str(&text[at..replacement.start]);
        out.push_str(&replacement.text);
        at = replacement.end;
    }
    out.push_str(&text[at..]);
    out
}

struct Rewrite<'s> {
    source: &'s Source,
    found: Vec<Replacement>,
    /// Whether what comprehensions collect is assigned first.
    collected: bool,
}

fn offset(place: u32) -> usize {
    usize::try_from(place).unwrap_or(usize::MAX)
}

impl Rewrite<'_> {
    fn rule(&mut self, rule: &Rule) {
        let mut locals = Locals::default();
        locals.push();
        match rule {
            Rule::Default { value, .. } => self.expr(value, &locals),
            Rule::Spec { head, bodies, .. } => {
                let head = Head::of(head);
                head.args.iter().for_each(|arg| locals.declare_pattern(arg));
                bodies.iter().for_each(|body| self.query(&body.query, &locals));
                let values = bodies.iter().filter_map(|body| body.assign.as_ref()).chain(head.assign);
                values.for_each(|assign| self.expr(&assign.value, &locals));
                head.key.iter().for_each(|key| self.expr(key, &locals));
            }
        }
    }

    fn query(&mut self, query: &Query, locals: &Locals) {
        let mut locals = locals.clone();
        locals.push();
        query.stmts.iter().for_each(|statement| self.statement(statement, &mut locals));
    }

    fn statement(&mut self, statement: &LiteralStmt, locals: &mut Locals) {
        match &statement.literal {
            Literal::SomeVars { vars, .. } => vars.iter().for_each(|var| locals.declare(var.text())),
            Literal::SomeIn { key, value, collection, .. } => {
                self.expr(collection, locals);
                key.iter().chain([value]).for_each(|pattern| locals.declare_pattern(pattern));
            }
            Literal::Expr { expr, .. } => match expr.as_ref() {
                Expr::AssignExpr { op: AssignOp::ColEq, lhs, rhs, .. } => {
                    if let (Expr::Var { span, .. }, true) = (lhs.as_ref(), statement.with_mods.is_empty()) {
                        self.assignment(span, lhs, locals);
                    }
                    self.expr(rhs, locals);
                    locals.declare_pattern(lhs);
                }
                expr => self.expr(expr, locals),
            },
            Literal::NotExpr { expr, .. } => self.expr(expr, locals),
            Literal::Every { key, value, domain, query, .. } => {
                self.expr(domain, locals);
                let mut locals = locals.clone();
                locals.push();
                key.iter().chain([value]).for_each(|var| locals.declare(var.text()));
                self.query(query, &locals);
            }
        }
    }

    /// `name := value` becomes `some name; name = value`.
    fn assignment(&mut self, span: &Span, lhs: &Expr, locals: &Locals) {
        let (name, text) = (span.text(), &*self.source.text);
        let (start, end) = (offset(span.start), offset(span.end));
        let Some(gap) = text.get(end..).and_then(|rest| rest.find(":=")) else { return };
        let blank = text[end..end + gap].bytes().all(|byte| byte.is_ascii_whitespace());
        if locals.contains(name) || name == "_" || !blank {
            return;
        }
        // A body without braces is one statement. There, the name must not mean anything else.
        let before = text[..start].trim_end().strip_suffix("if");
        let bare = before.is_some_and(|before| before.ends_with(char::is_whitespace));
        let means_nothing = matches!(self.source.names.resolve(lhs, locals), Resolved::Path(path) if path.bare && path.root == Root::Data && !self.is_rule(name));
        let text = match (bare, means_nothing) {
            (false, _) => format!("some {name}; {name} ="),
            (true, true) => format!("{name} ="),
            (true, false) => return,
        };
        self.found.push(Replacement { start, end: end + gap + 2, text });
    }

    /// Whether the module has a rule of this name; those of other modules of the package count where they are.
    fn is_rule(&self, name: &str) -> bool {
        self.source.module.policy.iter().any(|rule| {
            let mut expr = match rule.as_ref() {
                Rule::Default { refr, .. } => refr.as_ref(),
                Rule::Spec { head, .. } => Head::of(head).refr,
            };
            while let Expr::RefDot { refr, .. } | Expr::RefBrack { refr, .. } = expr {
                expr = refr;
            }
            matches!(expr, Expr::Var { span, .. } if span.text() == name)
        })
    }

    fn expr(&mut self, expr: &Expr, locals: &Locals) {
        let mut all = |exprs: &[&Ref<Expr>]| exprs.iter().for_each(|expr| self.expr(expr, locals));
        match expr {
            Expr::String { .. }
            | Expr::RawString { .. }
            | Expr::Number { .. }
            | Expr::Bool { .. }
            | Expr::Null { .. }
            | Expr::Var { .. } => {}
            Expr::Array { items, .. } | Expr::Set { items, .. } => items.iter().for_each(|item| all(&[item])),
            Expr::Object { fields, .. } => fields.iter().for_each(|(_, key, value)| all(&[key, value])),
            Expr::Call { params, .. } => params.iter().for_each(|param| all(&[param])),
            Expr::UnaryExpr { expr, .. } => all(&[expr]),
            Expr::RefDot { refr, .. } => all(&[refr]),
            Expr::RefBrack { refr, index, .. } => all(&[refr, index]),
            Expr::BinExpr { lhs, rhs, .. }
            | Expr::BoolExpr { lhs, rhs, .. }
            | Expr::ArithExpr { lhs, rhs, .. }
            | Expr::AssignExpr { lhs, rhs, .. } => all(&[lhs, rhs]),
            Expr::Membership { key, value, collection, .. } => {
                key.iter().for_each(|key| all(&[key]));
                all(&[value, collection]);
            }
            Expr::ArrayCompr { term, query, .. } | Expr::SetCompr { term, query, .. } => {
                all(&[term]);
                self.comprehension(term.span(), query, locals);
                self.collect(term, expr.span());
            }
            Expr::ObjectCompr { key, value, query, .. } => {
                all(&[key, value]);
                self.comprehension(value.span(), query, locals);
            }
        }
    }

    fn comprehension(&mut self, term: &Span, query: &Query, locals: &Locals) {
        let iterates = query.stmts.iter().any(|statement| matches!(statement.literal, Literal::SomeIn { .. }));
        let rest = self.source.text.get(offset(term.end)..);
        // The span of a text ends before its quote.
        let bar = rest.and_then(|rest| {
            rest.find(|c: char| !c.is_whitespace() && !"\"`)]}".contains(c)).filter(|at| rest[*at..].starts_with('|'))
        });
        if let (false, Some(bar)) = (iterates, bar) {
            let place = offset(term.end) + bar + 1;
            let once = ONCE[usize::from(self.source.v0)].to_owned();
            self.found.push(Replacement { start: place, end: place, text: once });
        }
        self.query(query, locals);
    }

    /// `[term | ...]` becomes `[it | ...; it = term]`, where the term is a reference or a call.
    fn collect(&mut self, term: &Expr, whole: &Span) {
        let plain = matches!(term, Expr::RefDot { .. } | Expr::RefBrack { .. } | Expr::Call { .. });
        let text = &*self.source.text;
        let (start, end, close) = (offset(term.span().start), offset(term.span().end), offset(whole.end) - 1);
        let written = text.get(start..end).filter(|text| !text.contains(['|', '\n', '#']));
        let (Some(written), true, true) = (written, plain, self.collected) else { return };
        if !text.get(close..).is_some_and(|rest| rest.starts_with([']', '}'])) {
            return;
        }
        let place = text[..close].trim_end().len();
        let (some, assigned) = (format!("; some {COLLECTED}; {COLLECTED} = {written}"), COLLECTED.to_owned());
        self.found.push(Replacement { start, end, text: assigned });
        self.found.push(Replacement { start: place, end: place, text: some });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(text: &str) -> String {
        let parsed = parse::parse(&Text::new("a", text));
        let (source, _) = parsed.unwrap_or_else(|error| panic!("{error}"));
        apply(text, &replacements(&source))
    }

    #[test]
    fn assignments_and_comprehensions_are_written_another_way() {
        for (written, expected) in [
            ("x if { y := input.a; y > 1 }", "x if { some y; y = input.a; y > 1 }"),
            ("x if y := input.a", "x if y = input.a"),
            ("x\nif y := input.a", "x\nif y = input.a"),
            ("x := 1", "x := 1"),
            ("x if { y := input.a with input as {} }", "x if { y := input.a with input as {} }"),
            ("x if { some y; y := input.a }", "x if { some y; y := input.a }"),
            ("f(y) if { z := y }", "f(y) if { some z; z = y }"),
            ("y := 1\nx if y := input.a", "y := 1\nx if y := input.a"),
            ("x := [1 | input.a]", "x := [1 | some _ in [0]; input.a]"),
            ("x := [\"|\" | input.a == \"|\"]", "x := [\"|\" | some _ in [0]; input.a == \"|\"]"),
            ("x := {a | some a in input.b}", "x := {a | some a in input.b}"),
            (
                "x := [a.n | some a in input.b]",
                "x := [__sentinel_collected | some a in input.b; some __sentinel_collected; __sentinel_collected = a.n]",
            ),
        ] {
            assert_eq!(rewritten(&format!("package a\n{written}\n")), format!("package a\n{expected}\n"));
        }
        let older = "# rego: v0\npackage a\nx { count([1 | input.a]) > 0 }\n";
        assert!(rewritten(older).contains("[1 | [0][_] == 0; input.a]"));
    }

    #[test]
    fn what_a_replacement_holds_is_replaced_once() {
        let at = |start, end, text: &str| Replacement { start, end, text: text.to_owned() };
        let merged = merge(&[at(2, 6, "A"), at(8, 8, "B")], &[at(0, 1, "c"), at(3, 5, "d"), at(9, 10, "e")]);
        assert_eq!(apply("0123456789", &merged), "c1A67B8e");
    }
}
