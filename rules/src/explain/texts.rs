//! The text of modules that evaluate parts of a definition: same package, same imports, other rules.
//!
//! Invariant: nothing of the original is changed; what is added has names that no policy may use.

use std::time::Duration;

use regorus::unstable::Expr;
use regorus::utils::limits::ExecutionTimerConfig;
use regorus::{Engine, Value};

use super::span::expression;
use crate::analysis::corpus::{Corpus, Source};
use crate::analysis::graph::Definition;
use crate::load::parse::message;
use crate::load::{self, compile};

/// Prefix of all that is added.
const PREFIX: &str = "__sentinel_explain";
/// Name of the extra module in errors.
const MODULE: &str = "explain";
/// Longest that one question may take.
const TIME: ExecutionTimerConfig =
    ExecutionTimerConfig { limit: Duration::from_secs(5), check_interval: std::num::NonZeroU32::new(256).unwrap() };

/// A question: the members of a set, under a condition.
pub(super) struct Question {
    /// What a member is.
    pub(super) term: String,
    /// The statements that must hold.
    pub(super) body: Vec<String>,
}

/// Answers questions about one definition.
pub(super) struct Asker<'c> {
    source: &'c Source,
    engine: Engine,
}

impl<'c> Asker<'c> {
    /// An engine with what the definition needs, and the arguments of a function.
    pub(super) fn new(
        corpus: &'c Corpus,
        definition: Definition,
        data: &Value,
        input: &Value,
        arguments: &[Value],
    ) -> Result<Self, String> {
        let source = &corpus.modules[definition.0];
        let look = corpus.graph.look(corpus.rule(definition), &source.names);
        let reached = corpus.graph.reachable(look.edges);
        let modules = reached.iter().flat_map(|node| &corpus.graph.nodes[*node].definitions).map(|(module, _)| *module);
        let modules: std::collections::BTreeSet<usize> = modules.chain([definition.0]).collect();
        let mut engine = load::engine_of(corpus, modules, data)?;
        if !arguments.is_empty() {
            let fields = [(Value::from(PREFIX), Value::from(arguments.to_vec()))];
            let fields: std::collections::BTreeMap<Value, Value> = fields.into_iter().collect();
            engine.add_data(Value::from(fields)).map_err(|error| message(&error.to_string()))?;
        }
        engine.set_execution_timer_config(TIME);
        engine.set_input(input.clone());
        Ok(Self { source, engine })
    }

    /// The statement that takes an argument of the function apart.
    pub(super) fn argument(pattern: &Expr, index: usize) -> String {
        let (text, value) = (expression(pattern), format!("data.{PREFIX}[{index}]"));
        match pattern {
            Expr::Var { .. } if text == "_" => "true".to_owned(),
            Expr::Var { .. } => format!("{text} := {value}"),
            _ => format!("{text} = {value}"),
        }
    }

    /// The members that each question finds.
    pub(super) fn ask(&self, questions: &[Question]) -> Vec<Result<Vec<Value>, String>> {
        let mut engine = self.engine.clone();
        engine.set_rego_v0(self.source.v0);
        let added = engine.add_policy(MODULE.to_owned(), self.module(questions));
        if let Err(error) = added {
            let message = message(&error.to_string());
            return questions.iter().map(|_| Err(message.clone())).collect();
        }
        (0..questions.len()).map(|index| self.answer(&mut engine, index)).collect()
    }

    /// The members that one question finds, asked by itself: what is wrong with others does not matter.
    pub(super) fn ask_one(&self, question: Question) -> Result<Vec<Value>, String> {
        self.ask(&[question]).pop().unwrap_or_else(|| Ok(Vec::new()))
    }

    fn answer(&self, engine: &mut Engine, index: usize) -> Result<Vec<Value>, String> {
        let path = compile::rule_path(&self.source.names.package, &format!("{PREFIX}_{index}"));
        match engine.eval_rule(path) {
            Ok(Value::Set(members)) => Ok(members.iter_sorted().cloned().collect()),
            Ok(_) => Ok(Vec::new()),
            Err(error) => Err(message(&error.to_string())),
        }
    }

    fn module(&self, questions: &[Question]) -> String {
        let first = self.source.module.policy.first().map_or(0, |rule| rule.span().start);
        let header = usize::try_from(first).unwrap_or(0).min(self.source.text.len());
        let mut module = self.source.text[..header].to_owned();
        for (index, Question { term, body }) in questions.iter().enumerate() {
            let body = if body.is_empty() { "true".to_owned() } else { body.join("\n") };
            let name = format!("{PREFIX}_{index}");
            let rule = if self.source.v0 {
                format!("\n{name}[__member] {{\n{body}\n__member := {term}\n}}\n")
            } else {
                format!("\n{name} contains {term} if {{\n{body}\n}}\n")
            };
            module.push_str(&rule);
        }
        module
    }
}
