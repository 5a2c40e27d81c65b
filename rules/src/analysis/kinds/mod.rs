//! Which kinds of event a rule can match, read off the tests on `input.event.action` in its body.
//!
//! The answer is a bound: a rule never matches a kind that is not in its set. What the analysis does not
//! understand counts as "any kind", so a rule is at worst run too often, never too seldom. For `not`, the lower
//! bound is kept as well: the kinds for which a condition surely holds.

mod known;

use std::collections::{BTreeMap, BTreeSet};

use regorus::Value;
use regorus::unstable::{AssignOp, BoolOp, Expr, Literal, LiteralStmt, Query, Ref, Rule, RuleHead, Span};

use crate::analysis::corpus::Corpus;
use crate::analysis::graph::Definition;
use crate::analysis::names::{Locals, Resolved, Root};
use crate::analysis::walk::Head;
use crate::kind::{Kind, KindSet};
use known::{Known, exact};

/// Steps one analysis may take before it settles for "any kind": functions are followed at every call.
const FUEL: u32 = 20_000;

/// Kinds for which a condition may hold, and for which it surely does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bounds {
    may: KindSet,
    must: KindSet,
}

const UNKNOWN: Bounds = Bounds { may: KindSet::ALL, must: KindSet::EMPTY };
const ALWAYS: Bounds = Bounds { may: KindSet::ALL, must: KindSet::ALL };
const NEVER: Bounds = Bounds { may: KindSet::EMPTY, must: KindSet::EMPTY };

impl Bounds {
    fn exactly(kinds: KindSet) -> Bounds {
        Bounds { may: kinds, must: kinds }
    }

    fn and(self, other: Bounds) -> Bounds {
        Bounds { may: self.may.intersection(other.may), must: self.must.intersection(other.must) }
    }

    fn or(self, other: Bounds) -> Bounds {
        Bounds { may: self.may.union(other.may), must: self.must.union(other.must) }
    }

    fn not(self) -> Bounds {
        Bounds { may: self.must.complement(), must: self.may.complement() }
    }
}

/// A text compared with the action that names no kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct UnknownAction {
    pub(crate) file: String,
    pub(crate) line: u32,
    pub(crate) column: u32,
    pub(crate) word: String,
}

/// A text that a condition asks a field to be, or with `prefix` to begin with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Named {
    pub(crate) field: String,
    pub(crate) text: String,
    pub(crate) prefix: bool,
}

#[derive(Default, Clone)]
struct Env {
    locals: Locals,
    values: BTreeMap<String, Known>,
}

impl Env {
    fn bind(&mut self, name: &str, known: Known) {
        self.locals.declare(name);
        self.values.insert(name.to_owned(), known);
    }

    fn forget_pattern(&mut self, pattern: &Expr) {
        self.locals.declare_pattern(pattern);
        if let Expr::Var { span, .. } = pattern {
            self.values.remove(span.text());
        }
    }
}

/// Finds kinds, and remembers what it found about rules without arguments.
pub(crate) struct Kinds<'c> {
    corpus: &'c Corpus,
    truths: BTreeMap<usize, (Bounds, BTreeSet<Named>)>,
    unknown: BTreeSet<UnknownAction>,
    named: BTreeSet<Named>,
    fuel: u32,
}

impl<'c> Kinds<'c> {
    /// The corpus must hold no cycle.
    pub(crate) fn new(corpus: &'c Corpus) -> Kinds<'c> {
        Kinds { corpus, truths: BTreeMap::new(), unknown: BTreeSet::new(), named: BTreeSet::new(), fuel: FUEL }
    }

    /// The kinds for which a definition can have a member.
    pub(crate) fn of_definition(&mut self, definition: Definition) -> KindSet {
        self.fuel = FUEL;
        self.named.clear();
        self.definition(definition, &[], false).may
    }

    /// The texts that the definition asked for last, and its helpers, ask fields to be.
    pub(crate) fn named(&mut self) -> BTreeSet<Named> {
        std::mem::take(&mut self.named)
    }

    /// Looks at a condition whose texts are not asked for, but excluded.
    fn excluded(&mut self, look: impl FnOnce(&mut Self) -> Bounds) -> Bounds {
        let before = std::mem::take(&mut self.named);
        let bounds = look(self);
        self.named = before;
        bounds
    }

    fn name(&mut self, known: &Known, texts: &BTreeSet<String>, prefix: bool) {
        if let Known::Input(path) = known {
            let named = |text: &String| Named { field: path.join("."), text: text.clone(), prefix };
            self.named.extend(texts.iter().map(named));
        }
    }

    /// Texts that were compared with the action and name no kind.
    pub(crate) fn into_unknown(self) -> BTreeSet<UnknownAction> {
        self.unknown
    }

    /// Bounds of the body; with `value`, also of the truth of the value it gives.
    fn definition(&mut self, (module, place): Definition, args: &[Known], value: bool) -> Bounds {
        let corpus = self.corpus;
        match corpus.modules[module].module.policy[place].as_ref() {
            Rule::Default { value: default, .. } if value => {
                if matches!(default.as_ref(), Expr::Bool { value: Value::Bool(false), .. }) { NEVER } else { UNKNOWN }
            }
            Rule::Default { .. } => NEVER,
            Rule::Spec { head, bodies, .. } => {
                let head = Head::of(head);
                let mut env = Env::default();
                env.locals.push();
                let matched = self.bind_args(module, &head, args, &mut env);
                if bodies.is_empty() {
                    return matched.and(self.head_value(module, &head, &env, value));
                }
                let bodies = bodies.iter().map(|body| {
                    let mut env = env.clone();
                    let holds = self.query(module, &body.query, &mut env);
                    let truth = match &body.assign {
                        Some(assign) if value => self.truth(module, &assign.value, &mut env),
                        None if body.is_else => ALWAYS,
                        _ => self.head_value(module, &head, &env, value),
                    };
                    holds.and(truth)
                });
                let any = bodies.fold(NEVER, Bounds::or);
                matched.and(any)
            }
        }
    }

    fn head_value(&mut self, module: usize, head: &Head<'_>, env: &Env, value: bool) -> Bounds {
        match head.assign {
            Some(assign) if value => self.truth(module, &assign.value, &mut env.clone()),
            _ => ALWAYS,
        }
    }

    fn bind_args(&mut self, module: usize, head: &Head<'_>, args: &[Known], env: &mut Env) -> Bounds {
        let mut bounds = ALWAYS;
        for (index, pattern) in head.args.iter().enumerate() {
            let known = args.get(index).cloned().unwrap_or(Known::Nothing);
            match pattern {
                Expr::Var { span, .. } => env.bind(span.text(), known),
                other => {
                    env.locals.declare_pattern(other);
                    let expected = self.known(module, other, env);
                    bounds = bounds.and(self.equal(&known, &expected, other.span()));
                }
            }
        }
        bounds
    }

    fn query(&mut self, module: usize, query: &Query, env: &mut Env) -> Bounds {
        env.locals.push();
        let statements = query.stmts.iter();
        statements.fold(ALWAYS, |bounds, statement| bounds.and(self.statement(module, statement, env)))
    }

    fn statement(&mut self, module: usize, statement: &LiteralStmt, env: &mut Env) -> Bounds {
        let bounds = match &statement.literal {
            Literal::SomeVars { vars, .. } => {
                vars.iter().for_each(|var| env.bind(var.text(), Known::Nothing));
                ALWAYS
            }
            Literal::SomeIn { key, value, collection, .. } => {
                let known = self.known(module, collection, env);
                key.iter().for_each(|key| env.forget_pattern(key));
                env.forget_pattern(value);
                if let (Expr::Var { span, .. }, Known::Collection(texts)) = (value.as_ref(), known) {
                    env.bind(span.text(), Known::OneOf(texts));
                }
                UNKNOWN
            }
            Literal::Expr { expr, .. } => self.truth(module, expr, env),
            Literal::NotExpr { expr, .. } => self.excluded(|kinds| kinds.truth(module, expr, &mut env.clone()).not()),
            Literal::Every { .. } => UNKNOWN,
        };
        // Under `with`, the condition may look at another input.
        if statement.with_mods.is_empty() { bounds } else { UNKNOWN }
    }

    /// Bounds of an expression being true.
    fn truth(&mut self, module: usize, expr: &Expr, env: &mut Env) -> Bounds {
        let Some(fuel) = self.fuel.checked_sub(1) else { return UNKNOWN };
        self.fuel = fuel;
        match expr {
            Expr::Bool { value: Value::Bool(true), .. } | Expr::String { .. } | Expr::RawString { .. } => ALWAYS,
            Expr::Bool { .. } => NEVER,
            Expr::BoolExpr { op: BoolOp::Eq, lhs, rhs, .. } => self.compare(module, lhs, rhs, env),
            Expr::BoolExpr { op: BoolOp::Ne, lhs, rhs, .. } => {
                let equal = self.excluded(|kinds| kinds.compare(module, lhs, rhs, env));
                if equal == UNKNOWN { UNKNOWN } else { equal.not() }
            }
            Expr::AssignExpr { op, lhs, rhs, .. } => self.assign(module, op, lhs, rhs, env),
            Expr::Membership { key: None, value, collection, .. } => {
                let (value, collection) = (self.known(module, value, env), self.known(module, collection, env));
                self.member(&value, &collection, expr.span())
            }
            Expr::Var { .. } | Expr::RefDot { .. } | Expr::RefBrack { .. } => self.reference(module, expr, env),
            Expr::Call { fcn, params, .. } => self.call(module, fcn, params, env),
            _ => UNKNOWN,
        }
    }

    fn compare(&mut self, module: usize, lhs: &Expr, rhs: &Expr, env: &Env) -> Bounds {
        let (left, right) = (self.known(module, lhs, env), self.known(module, rhs, env));
        self.equal(&left, &right, lhs.span())
    }

    fn equal(&mut self, left: &Known, right: &Known, span: &Span) -> Bounds {
        if let (field, Known::OneOf(texts)) | (Known::OneOf(texts), field) = (left, right) {
            self.name(field, texts, false);
        }
        match (left, right) {
            (action, Known::OneOf(texts)) | (Known::OneOf(texts), action) if action.is_action() => {
                let bounds = Bounds::exactly(self.kinds(texts, span));
                // With several candidates another statement may pick among them.
                if texts.len() == 1 { bounds } else { Bounds { must: KindSet::EMPTY, ..bounds } }
            }
            _ => UNKNOWN,
        }
    }

    fn member(&mut self, value: &Known, collection: &Known, span: &Span) -> Bounds {
        if let Known::Collection(texts) = collection {
            self.name(value, texts, false);
        }
        match collection {
            Known::Collection(texts) if value.is_action() => Bounds::exactly(self.kinds(texts, span)),
            _ => UNKNOWN,
        }
    }

    fn kinds(&mut self, texts: &BTreeSet<String>, span: &Span) -> KindSet {
        let mut kinds = KindSet::EMPTY;
        for text in texts {
            match text.parse::<Kind>() {
                Ok(kind) => kinds = kinds.with(kind),
                Err(error) => {
                    let file = span.source.get_path().clone();
                    self.unknown.insert(UnknownAction { file, line: span.line, column: span.col, word: error.0 });
                }
            }
        }
        kinds
    }

    fn assign(&mut self, module: usize, op: &AssignOp, lhs: &Expr, rhs: &Expr, env: &mut Env) -> Bounds {
        let names = &self.corpus.modules[module].names;
        let fresh = |expr: &Expr, env: &Env| match names.resolve(expr, &env.locals) {
            // `x = ...` with a name that is no rule makes a variable, as `:=` does.
            Resolved::Path(path) if path.root == Root::Data => self.corpus.graph.targets(&path).is_empty(),
            Resolved::Path(_) | Resolved::Local(..) | Resolved::Other => false,
        };
        let declares = *op == AssignOp::ColEq || (matches!(lhs, Expr::Var { .. }) && fresh(lhs, env));
        match lhs {
            Expr::Var { span, .. } if declares => {
                let known = self.known(module, rhs, env);
                let bounds = if known.is_action() { ALWAYS } else { UNKNOWN };
                env.bind(span.text(), known);
                bounds
            }
            pattern if declares => {
                env.forget_pattern(pattern);
                UNKNOWN
            }
            _ => self.compare(module, lhs, rhs, env),
        }
    }

    /// A reference as a condition: a rule, or a look-up in a set.
    fn reference(&mut self, module: usize, expr: &Expr, env: &Env) -> Bounds {
        if let Expr::RefBrack { refr, index, .. } = expr {
            let (set, value) = (self.known_set(module, refr, env), self.known(module, index, env));
            if let Some(set) = set {
                return self.member(&value, &set, expr.span());
            }
        }
        match self.corpus.modules[module].names.resolve(expr, &env.locals) {
            Resolved::Path(path) if path.root == Root::Data => match self.corpus.graph.find(&exact(&path)) {
                Some(node) => self.rule_truth(node),
                None => UNKNOWN,
            },
            Resolved::Path(_) | Resolved::Local(..) | Resolved::Other => UNKNOWN,
        }
    }

    fn rule_truth(&mut self, node: usize) -> Bounds {
        if let Some((bounds, named)) = self.truths.get(&node) {
            self.named.extend(named.iter().cloned());
            return *bounds;
        }
        let outside = std::mem::take(&mut self.named);
        let corpus = self.corpus;
        let definitions = &corpus.graph.nodes[node].definitions;
        let plain = definitions.iter().all(|d| match corpus.rule(*d) {
            Rule::Default { .. } => true,
            Rule::Spec { head: RuleHead::Compr { refr, .. }, .. } => matches!(refr.as_ref(), Expr::Var { .. }),
            // A partial set is there even when it is empty.
            Rule::Spec { .. } => false,
        });
        let truths = definitions.iter().map(|definition| self.definition(*definition, &[], true));
        let bounds = if plain { truths.fold(NEVER, Bounds::or) } else { UNKNOWN };
        // Running out of fuel is no property of the rule.
        if self.fuel > 0 {
            self.truths.insert(node, (bounds, self.named.clone()));
        }
        self.named.extend(outside);
        bounds
    }

    fn call(&mut self, module: usize, fcn: &Expr, params: &[Ref<Expr>], env: &Env) -> Bounds {
        let corpus = self.corpus;
        let Resolved::Path(path) = corpus.modules[module].names.resolve(fcn, &env.locals) else { return UNKNOWN };
        if let ("startswith", [text, prefix]) = (fcn.span().text(), params) {
            let (text, prefix) = (self.known(module, text, env), self.known(module, prefix, env));
            if let Known::OneOf(prefixes) = prefix {
                self.name(&text, &prefixes, true);
            }
        }
        let Some(node) = corpus.graph.find(&exact(&path)) else { return UNKNOWN };
        let args: Vec<Known> = params.iter().map(|param| self.known(module, param, env)).collect();
        let definitions = corpus.graph.nodes[node].definitions.iter();
        definitions.fold(NEVER, |bounds, definition| bounds.or(self.definition(*definition, &args, true)))
    }
}
