//! Why a rule fired on an event, and why it did not: each expression of its body with its outcome and the values it saw.
//!
//! A body is a conjunction, so the first expression that fails is found by evaluating growing beginnings of it, each as a rule
//! of its own in the module's package, with its imports, in the interpreter. What cannot be told this way is said to be
//! unclear, never guessed. Helpers of the same policies are looked into, one level deep.
//!
//! Not here: decisions (`evaluator`), standing rules, and words for people.

mod body;
mod operands;
mod span;
mod texts;

use std::sync::Arc;

use regorus::Value;
use regorus::unstable::Rule;

use crate::analysis::corpus::Corpus;
use crate::analysis::graph::{Definition, rule_path};
use crate::analysis::walk::Head;
use crate::diagnostic::{Findings, LoadErrors};
use crate::load;
use crate::load::parse::Text;
use crate::policies::{LoadOptions, Policies, RuleInfo};
use body::Tracer;

/// Most definitions of a helper that are looked into.
const MAX_HELPERS: usize = 8;

/// How an expression came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Truth {
    /// It held.
    Held,
    /// It did not, or something in it is not there.
    Failed,
    /// An expression before it failed.
    NotReached,
    /// It cannot be told, and why.
    Unclear(String),
}

/// What an expression was for the event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// As written.
    pub expression: String,
    /// Its distinct values, sorted, the first few; none means undefined.
    pub values: Vec<Value>,
    /// How many more there are.
    pub more: usize,
}

/// One expression of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Where it starts.
    pub line: u32,
    /// Where it starts.
    pub column: u32,
    /// As written.
    pub text: String,
    /// How it came out.
    pub truth: Truth,
    /// What its parts were.
    pub values: Vec<Seen>,
    /// The helpers it asks.
    pub below: Vec<DefinitionTrace>,
}

/// A body of a definition: its own or that of an `else`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyTrace {
    /// Whether it is an `else`.
    pub is_else: bool,
    /// Its expressions, in order.
    pub steps: Vec<Step>,
    /// Whether all of them hold.
    pub truth: Truth,
}

/// A definition, evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefinitionTrace {
    /// Package and name.
    pub name: String,
    /// The file, as it was named to the load.
    pub file: String,
    /// The line of its head.
    pub line: u32,
    /// Its head, as written.
    pub head: String,
    /// What it was called with; empty for what is no function.
    pub arguments: Vec<Value>,
    /// Its bodies; none for a default or a fact.
    pub bodies: Vec<BodyTrace>,
    /// Whether one of them holds.
    pub truth: Truth,
}

impl DefinitionTrace {
    /// The first expression that failed or cannot be told, of the last body that was tried.
    pub fn failing(&self) -> Option<&Step> {
        let stopped = |step: &&Step| matches!(step.truth, Truth::Failed | Truth::Unclear(_));
        self.bodies.iter().rev().find_map(|body| body.steps.iter().find(stopped))
    }
}

/// Explains event rules. Not shared between threads; made for a few events, not for a stream.
#[derive(Debug)]
pub struct Explainer {
    policies: Arc<Policies>,
    corpus: Corpus,
}

impl Explainer {
    /// Loads policies as [`Policies::load`] does, and keeps their texts.
    ///
    /// # Errors
    ///
    /// Those of the load.
    pub fn load(options: &LoadOptions) -> Result<Explainer, LoadErrors> {
        let policies = Policies::load(options)?.shared();
        // What cannot be read has been reported by the load above.
        let sources = load::read_sources(options, &mut Findings::default());
        Explainer::with(policies, sources.texts)
    }

    /// The same from texts in memory, as [`Policies::from_texts`] takes them.
    ///
    /// # Errors
    ///
    /// Those of the load.
    pub fn from_texts(modules: &[(&str, &str)], data: &str) -> Result<Explainer, LoadErrors> {
        let policies = Policies::from_texts(modules, data)?.shared();
        let text = |(file, text): &(&str, &str)| Text::new(*file, *text);
        Explainer::with(policies, modules.iter().map(text).collect())
    }

    fn with(policies: Arc<Policies>, mut texts: Vec<Text>) -> Result<Explainer, LoadErrors> {
        texts.sort_by(|a, b| a.file.cmp(&b.file));
        let data = policies.data();
        let corpus = load::on_large_stack(|| {
            let mut findings = Findings::default();
            let corpus = load::check_all(&texts, data, &mut findings);
            findings.into_failure()?;
            Ok(corpus)
        })?;
        Ok(Explainer { policies, corpus })
    }

    /// The policies.
    pub fn policies(&self) -> &Arc<Policies> {
        &self.policies
    }

    /// What a rule made of an event; `None` if the text of the rule is not at its place any more.
    pub fn explain(&self, rule: &RuleInfo, input: &Value) -> Option<DefinitionTrace> {
        let definition = self.definition(rule)?;
        let tracer = Tracer { corpus: &self.corpus, data: self.policies.data(), input, depth: 0 };
        Some(tracer.definition(definition, None))
    }

    /// The definition that a rule was made of.
    fn definition(&self, rule: &RuleInfo) -> Option<Definition> {
        let module = self.corpus.modules.iter().position(|source| source.file == rule.file)?;
        let source = &self.corpus.modules[module];
        // Several definitions on one line are told apart by their order.
        let same = |other: &&RuleInfo| other.file == rule.file && other.line == rule.line && other.verb == rule.verb;
        let nth = self.policies.rules().iter().filter(same).position(|other| other.index == rule.index)?;
        let is_it = |definition: &Rule| {
            let path = rule_path(&source.names, definition);
            head_line(definition) == rule.line && path.last().map(String::as_str) == Some(rule.verb.as_str())
        };
        let places = source.module.policy.iter().enumerate().filter(|(_, definition)| is_it(definition));
        places.map(|(place, _)| (module, place)).nth(nth)
    }
}

/// The line where the name of a definition stands.
fn head_line(rule: &Rule) -> u32 {
    match rule {
        Rule::Default { refr, .. } => refr.span().line,
        Rule::Spec { head, .. } => Head::of(head).refr.span().line,
    }
}
