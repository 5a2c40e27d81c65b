//! Which statement of a failing test does not hold, and what the values in it were.
//!
//! regorus tells neither. So the test's body is evaluated again, one statement longer each time, in modules made from
//! the test's own text; the first that is undefined ends with the statement that failed. Not here: how it is shown.

use std::time::Duration;

use regorus::Value;
use regorus::unstable::{Expr, Literal, LiteralStmt, Rule};

use super::{Runner, TestCase, TestOutcome};
use crate::analysis::corpus::{Corpus, Source};
use crate::load::compile;

/// The statement that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Its line.
    pub line: u32,
    /// Its text; the first line of it, if it has several.
    pub statement: String,
    /// Expressions in it with the values they had, as JSON; `undefined` where there was none.
    pub values: Vec<(String, String)>,
}

/// Name of the rules made here; policies cannot have such names.
const NAME: &str = "__sentinel_test";
/// Longest value shown, in characters.
const MAX_VALUE: usize = 400;
/// A test that took longer is not evaluated again for every statement.
const MAX_TIME: Duration = Duration::from_secs(1);

impl<'c> Runner<'c> {
    /// Finds the statement of every failing test.
    pub(super) fn explain_failures(&mut self, cases: &mut [TestCase]) {
        self.engine.set_enable_coverage(false);
        for case in cases.iter_mut().filter(|case| case.outcome == TestOutcome::Fail(None)) {
            let failure = if case.duration > MAX_TIME { None } else { self.failure(case) };
            // What this evaluation printed was printed before.
            drop(self.engine.take_prints());
            case.outcome = TestOutcome::Fail(failure.or_else(|| self.head(case)));
        }
    }

    fn source(&self, case: &TestCase) -> Option<(&'c Source, &'c Rule)> {
        let corpus: &'c Corpus = self.corpus;
        let source = corpus.modules.iter().find(|source| source.file == case.file)?;
        let rule = source.module.policy.iter().find(|rule| rule.span().line == case.line)?;
        Some((source, rule))
    }

    /// Without more, the line of the test's head.
    fn head(&self, case: &TestCase) -> Option<Failure> {
        let (_, rule) = self.source(case)?;
        Some(Failure { line: case.line, statement: first_line(rule.span().text()), values: Vec::new() })
    }

    fn failure(&mut self, case: &TestCase) -> Option<Failure> {
        let (source, rule) = self.source(case)?;
        let Rule::Spec { bodies, .. } = rule else { return None };
        let [body] = bodies.as_slice() else { return None };
        let statements = &body.query.stmts;
        let texts: Vec<&str> = statements.iter().map(|statement| statement.span.text()).collect();
        let header = header(source);
        let mut modules = Modules { header: &header, v0: source.v0, package: &source.names.package, count: 0 };
        let mut undefined = |place: &usize| {
            let body = format!("{}\ntrue", texts[..=*place].join("\n"));
            modules.value(self, case, "true", &body) == Some(Value::Undefined)
        };
        let place = (0..statements.len()).find(|place| undefined(place))?;
        let mut values: Vec<(String, String)> = Vec::new();
        for (expression, with) in expressions(&statements[place]) {
            let body = format!("{}\n__sentinel_value := {expression} {with}", texts[..place].join("\n"));
            if let Some(value) = modules.value(self, case, "__sentinel_value", &body)
                && !values.iter().any(|(known, _)| *known == expression)
            {
                values.push((expression, shown(&value)));
            }
        }
        Some(Failure { line: statements[place].span.line, statement: first_line(texts[place]), values })
    }
}

/// Modules made from the text of one test.
struct Modules<'a> {
    header: &'a str,
    v0: bool,
    package: &'a [String],
    count: usize,
}

impl Modules<'_> {
    /// The value of a rule with this body; `None` if it cannot be evaluated.
    fn value(&mut self, runner: &mut Runner<'_>, case: &TestCase, value: &str, body: &str) -> Option<Value> {
        self.count += 1;
        let name = format!("{NAME}_{}_{}_{}", case.name, case.line, self.count);
        let condition = if self.v0 { "" } else { "if " };
        let text = format!("{}\n{name} := {value} {condition}{{\n{body}\n}}\n", self.header);
        runner.engine.set_rego_v0(self.v0);
        runner.engine.add_policy(format!("{}#{name}", case.file), text).ok()?;
        runner.engine.eval_rule(compile::rule_path(self.package, &name)).ok()
    }
}

/// Package and imports.
fn header(source: &Source) -> String {
    let first = source
        .module
        .policy
        .first()
        .map_or(source.text.len(), |rule| usize::try_from(rule.span().start).unwrap_or(0).min(source.text.len()));
    source.text[..first].to_owned()
}

/// The expressions of a statement that say why it failed, with the `with` that applies to them.
fn expressions(statement: &LiteralStmt) -> Vec<(String, String)> {
    let text = statement.span.text();
    let start = statement.with_mods.first().map(|with| with.span.start.saturating_sub(statement.span.start));
    let with = start.and_then(|start| text.get(usize::try_from(start).ok()?..)).unwrap_or_default();
    let mut found = Vec::new();
    match &statement.literal {
        Literal::Expr { expr, .. } | Literal::NotExpr { expr, .. } => parts(expr, &mut found),
        Literal::SomeIn { collection, .. } => parts(collection, &mut found),
        Literal::SomeVars { .. } | Literal::Every { .. } => {}
    }
    found.into_iter().map(|expression| (expression, with.to_owned())).collect()
}

/// Both sides of a comparison, the arguments of a call, or the whole expression; no literals.
fn parts(expr: &Expr, found: &mut Vec<String>) {
    match expr {
        Expr::BoolExpr { lhs, rhs, .. } => {
            parts(lhs, found);
            parts(rhs, found);
        }
        Expr::Membership { value, collection, .. } => {
            parts(value, found);
            parts(collection, found);
        }
        Expr::Call { params, .. } => {
            params.iter().for_each(|param| parts(param, found));
            found.push(expr.span().text().to_owned());
        }
        Expr::Var { .. } | Expr::RefDot { .. } | Expr::RefBrack { .. } => found.push(expr.span().text().to_owned()),
        _ => {}
    }
}

fn shown(value: &Value) -> String {
    if *value == Value::Undefined {
        return "undefined".to_owned();
    }
    let text = value.to_string();
    match text.char_indices().nth(MAX_VALUE) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

fn first_line(text: &str) -> String {
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default().trim_end().to_owned();
    if lines.next().is_some() { format!("{first} ...") } else { first }
}
