//! Evaluates a definition expression by expression.
//!
//! Invariant: an expression is said to have failed only when the body up to it was evaluated and had no solution, while the
//! body before it had one, or could not be evaluated.

use std::collections::BTreeSet;

use regorus::Value;
use regorus::unstable::{Expr, Literal, LiteralStmt, Rule};

use super::operands::{Helper, Looker, Part, one_line};
use super::span::{expression, whole};
use super::texts::{Asker, Question};
use super::{BodyTrace, DefinitionTrace, MAX_HELPERS, Seen, Step, Truth, head_line};
use crate::analysis::corpus::Corpus;
use crate::analysis::graph::{Definition, rule_path};
use crate::analysis::names::Locals;
use crate::analysis::walk::Head;

/// Most values of one part that are kept.
const MAX_VALUES: usize = 5;
/// Most helpers of one expression that are looked into.
const MAX_ASKED: usize = 3;
/// Most different arguments that a helper is looked into with.
const MAX_CALLS: usize = 2;

/// Traces definitions on one event.
pub(super) struct Tracer<'c> {
    pub(super) corpus: &'c Corpus,
    pub(super) data: &'c Value,
    pub(super) input: &'c Value,
    /// 0 for the rule itself, 1 for its helpers.
    pub(super) depth: u8,
}

/// One body with what is needed to evaluate it.
struct Body<'b, 'c> {
    asker: &'b Asker<'c>,
    definition: Definition,
    /// The patterns of a function's arguments, and the statements that take them apart.
    patterns: &'b [&'b Expr],
    prelude: &'b [String],
    statements: Vec<&'b LiteralStmt>,
    /// The member of a set rule.
    member: Option<&'b Expr>,
}

impl Tracer<'_> {
    /// Evaluates one definition; a function with these arguments.
    pub(super) fn definition(&self, definition: Definition, arguments: Option<&[Value]>) -> DefinitionTrace {
        let source = &self.corpus.modules[definition.0];
        let rule = self.corpus.rule(definition);
        let mut trace = DefinitionTrace {
            name: rule_path(&source.names, rule).join("."),
            file: source.file.clone(),
            line: head_line(rule),
            head: String::new(),
            arguments: arguments.unwrap_or_default().to_vec(),
            bodies: Vec::new(),
            truth: Truth::Held,
        };
        let Rule::Spec { head, bodies, .. } = rule else {
            trace.head = one_line(whole(rule.span()));
            return trace;
        };
        let span = match head {
            regorus::unstable::RuleHead::Compr { span, .. }
            | regorus::unstable::RuleHead::Set { span, .. }
            | regorus::unstable::RuleHead::Func { span, .. } => span,
        };
        trace.head = one_line(whole(span));
        let asker = Asker::new(self.corpus, definition, self.data, self.input, &trace.arguments);
        let asker = match asker {
            Ok(asker) => asker,
            Err(why) => return DefinitionTrace { truth: Truth::Unclear(why), ..trace },
        };
        let head = Head::of(head);
        let prelude: Vec<String> =
            head.args.iter().enumerate().map(|(index, arg)| Asker::argument(arg, index)).collect();
        let body = |statements, is_else: bool| {
            let member = head.key.filter(|_| !is_else);
            let body = Body { asker: &asker, definition, patterns: &head.args, prelude: &prelude, statements, member };
            BodyTrace { is_else, ..self.body(&body) }
        };
        if bodies.is_empty() {
            trace.bodies.push(body(Vec::new(), false));
        }
        for one in bodies {
            trace.bodies.push(body(one.query.stmts.iter().collect(), one.is_else));
            if trace.bodies.last().is_some_and(|body| body.truth == Truth::Held) {
                break;
            }
        }
        trace.truth = trace.bodies.last().map_or(Truth::Held, |body| body.truth.clone());
        trace
    }

    fn body(&self, body: &Body) -> BodyTrace {
        let truths = body.truths();
        // Statements that hold together.
        let held = truths.iter().take_while(|truth| **truth == Truth::Held).count();
        let (parts, helpers) = self.look(body, held);
        let mut values = body.values(held, &parts).into_iter();
        let mut helpers = helpers.into_iter();
        let steps = body.statements.iter().zip(truths).map(|(statement, truth)| {
            let values = values.next().unwrap_or_default();
            let helpers = helpers.next().unwrap_or_default();
            let below = self.below(body, held, statement, &truth, &helpers);
            let (line, column) = (statement.span.line, statement.span.col);
            Step { line, column, text: one_line(whole(&statement.span)), truth, values, below }
        });
        let mut steps: Vec<Step> = steps.collect();
        steps.splice(0..0, body.mismatch());
        steps.extend(body.undefined_member(&steps));
        let truth = steps.iter().map(|step| &step.truth).find(|truth| **truth != Truth::Held);
        let truth = truth.cloned().unwrap_or(Truth::Held);
        BodyTrace { is_else: false, steps, truth }
    }

    /// What to show of the statements up to the one that failed, and the helpers that they ask.
    fn look(&self, body: &Body, held: usize) -> (Vec<Vec<Part>>, Vec<Vec<Helper>>) {
        let names = &self.corpus.modules[body.definition.0].names;
        let mut locals = Locals::default();
        locals.push();
        body.patterns.iter().for_each(|pattern| locals.declare_pattern(pattern));
        let mut looker = Looker { corpus: self.corpus, names, data: self.data, locals };
        body.statements[..held].iter().for_each(|statement| looker.learn(statement));
        let reached = (held + 1).min(body.statements.len());
        body.statements[..reached].iter().map(|s| (looker.parts(s), looker.helpers(s))).unzip()
    }

    /// The definitions that decided how a statement came out.
    fn below(
        &self,
        body: &Body,
        held: usize,
        statement: &LiteralStmt,
        truth: &Truth,
        helpers: &[Helper],
    ) -> Vec<DefinitionTrace> {
        let negated = matches!(statement.literal, Literal::NotExpr { .. });
        let wanted = match (truth, negated) {
            (Truth::Held, false) | (Truth::Failed, true) => Truth::Held,
            (Truth::Failed, false) => Truth::Failed,
            (Truth::Held, true) | (Truth::NotReached | Truth::Unclear(_), _) => return Vec::new(),
        };
        if self.depth > 0 {
            return Vec::new();
        }
        let tracer = Tracer { depth: 1, ..*self };
        let mut traces = Vec::new();
        for helper in helpers.iter().take(MAX_ASKED) {
            let definitions = self.corpus.graph.nodes[helper.node].definitions.iter().copied();
            let definitions: Vec<Definition> = definitions.filter(|at| self.is_worth_a_look(*at)).collect();
            for arguments in body.arguments(held, helper) {
                let traced = definitions.iter().map(|at| tracer.definition(*at, arguments.as_deref()));
                traces.extend(traced.filter(|trace| (trace.truth == Truth::Held) == (wanted == Truth::Held)));
            }
        }
        traces.truncate(MAX_HELPERS);
        traces
    }

    /// Whether a definition is decided by expressions: no fact, no default, no set.
    fn is_worth_a_look(&self, definition: Definition) -> bool {
        match self.corpus.rule(definition) {
            Rule::Default { .. } | Rule::Spec { head: regorus::unstable::RuleHead::Set { .. }, .. } => false,
            Rule::Spec { head: regorus::unstable::RuleHead::Func { .. }, .. } => true,
            Rule::Spec { head: regorus::unstable::RuleHead::Compr { .. }, bodies, .. } => !bodies.is_empty(),
        }
    }
}

impl Body<'_, '_> {
    /// The statements up to a place, those of the arguments before them.
    fn until(&self, count: usize) -> Vec<String> {
        let own = self.statements[..count].iter().map(|statement| whole(&statement.span).to_owned());
        self.prelude.iter().cloned().chain(own).collect()
    }

    fn holds(&self, count: usize) -> Question {
        Question { term: "1".to_owned(), body: self.until(count) }
    }

    /// How each statement came out.
    fn truths(&self) -> Vec<Truth> {
        let count = self.statements.len();
        let questions: Vec<Question> = (1..=count).map(|count| self.holds(count)).collect();
        let mut answers = self.asker.ask(&questions);
        // One beginning that cannot be evaluated takes the others with it.
        if answers.iter().any(Result::is_err) {
            answers = questions.into_iter().map(|question| self.asker.ask_one(question)).collect();
        }
        // What holds together holds: a variable may get its value only later.
        let held = answers.iter().rposition(|answer| answer.as_ref().is_ok_and(|members| !members.is_empty()));
        let mut truths = vec![Truth::NotReached; count];
        let rest = held.map_or(0, |last| last + 1);
        truths[..rest].fill(Truth::Held);
        for (index, answer) in answers.into_iter().enumerate().skip(rest) {
            match answer {
                Ok(_) => {
                    truths[index] = Truth::Failed;
                    break;
                }
                Err(why) => truths[index] = Truth::Unclear(why),
            }
        }
        truths
    }

    /// The values of parts, for each statement, in all solutions of the first `held` statements.
    fn values(&self, held: usize, parts: &[Vec<Part>]) -> Vec<Vec<Seen>> {
        let question = |parts: &[Vec<Part>]| {
            let lists: Vec<String> = parts.iter().map(|parts| format!("[{}]", join(parts.iter().map(seen)))).collect();
            Question { term: format!("[{}]", lists.join(", ")), body: self.until(held) }
        };
        if let Ok(members) = self.asker.ask_one(question(parts)) {
            return parts.iter().enumerate().map(|(index, parts)| collect(parts, index, &members)).collect();
        }
        let one = |part: &Part| {
            let alone = vec![part.clone()];
            let members = self.asker.ask_one(question(std::slice::from_ref(&alone))).ok()?;
            collect(&alone, 0, &members).pop()
        };
        parts.iter().map(|parts| parts.iter().filter_map(one).collect()).collect()
    }

    /// What a helper is called with: one list for each call that differs, or nothing for what is no function.
    fn arguments(&self, held: usize, helper: &Helper) -> Vec<Option<Vec<Value>>> {
        let Some(arguments) = &helper.arguments else { return vec![None] };
        let question = Question { term: format!("[{}]", arguments.join(", ")), body: self.until(held) };
        let calls = self.asker.ask_one(question).unwrap_or_default();
        let lists = calls.iter().filter_map(|call| call.as_array().ok()).take(MAX_CALLS);
        lists.map(|list| Some(list.iter().cloned().collect())).collect()
    }

    /// That the arguments of a function are not those it is for.
    fn mismatch(&self) -> Option<Step> {
        if self.prelude.is_empty() || self.asker.ask_one(self.holds(0)).is_ok_and(|members| !members.is_empty()) {
            return None;
        }
        let first = self.patterns.first()?.span();
        let text = join(self.patterns.iter().map(|pattern| one_line(expression(pattern))));
        let text = format!("arguments ({text})");
        let truth = Truth::Failed;
        Some(Step { line: first.line, column: first.col, text, truth, values: Vec::new(), below: Vec::new() })
    }

    /// That everything holds and the member is undefined all the same.
    fn undefined_member(&self, steps: &[Step]) -> Option<Step> {
        let member = self.member.filter(|_| steps.iter().all(|step| step.truth == Truth::Held))?;
        let span = member.span();
        let question = Question { term: expression(member).to_owned(), body: self.until(self.statements.len()) };
        let truth = match self.asker.ask_one(question) {
            Ok(members) if members.is_empty() => Truth::Failed,
            Ok(_) => return None,
            Err(why) => Truth::Unclear(why),
        };
        let text = format!("the member {}", one_line(expression(member)));
        Some(Step { line: span.line, column: span.col, text, truth, values: Vec::new(), below: Vec::new() })
    }
}

/// All values of a part; none when it is undefined.
fn seen(part: &Part) -> String {
    format!("[__seen | __seen := {}]", part.code)
}

fn join(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(", ")
}

/// What the parts of one statement were, over all solutions.
fn collect(parts: &[Part], statement: usize, members: &[Value]) -> Vec<Seen> {
    let of_part = |(index, part): (usize, &Part)| {
        let lists = members.iter().map(|member| &member[statement][index]);
        let values: BTreeSet<&Value> =
            lists.filter_map(|list| list.as_array().ok()).flat_map(|list| list.iter()).collect();
        let more = values.len().saturating_sub(MAX_VALUES);
        Seen { expression: part.label.clone(), values: values.into_iter().take(MAX_VALUES).cloned().collect(), more }
    };
    parts.iter().enumerate().map(of_part).collect()
}
