//! Conditions on single fields that must hold for a definition to have a member.
//!
//! A rule whose condition does not hold on an event cannot fire, and is not run. The condition is necessary, not
//! sufficient: what is not understood is left out. Helpers are followed with the arguments they are given. For
//! `not`, the other bound is kept as well: what is enough for a condition to hold.

mod formula;
mod operations;
#[cfg(test)]
mod tests;
mod value;

use std::collections::{BTreeMap, BTreeSet};

use regorus::Value;
use regorus::unstable::{AssignOp, BUILTINS, BoolOp, Expr, Literal, LiteralStmt, Query, Ref, Rule, RuleHead};

use crate::analysis::corpus::Corpus;
use crate::analysis::graph::Definition;
use crate::analysis::literal;
use crate::analysis::names::{Locals, Path, Resolved, Root};
use crate::analysis::walk::Head;
pub(crate) use formula::{Formula, Op, Term, Test};
use value::{Abstract, Known};

/// Steps one analysis may take before it settles for "always".
const FUEL: u32 = 20_000;

/// What must hold for a condition to be true, and what is enough for it.
#[derive(Debug, Clone)]
struct Bounds {
    may: Formula,
    must: Formula,
}

impl Bounds {
    fn needs(may: Formula) -> Bounds {
        Bounds { may, must: Formula::Never }
    }

    fn exactly(formula: Formula) -> Bounds {
        Bounds { may: formula.clone(), must: formula }
    }

    fn not(self) -> Bounds {
        Bounds { may: self.must.negate(), must: self.may.negate() }
    }
}

/// One way for a rule or function to have a value.
struct Branch {
    body: Bounds,
    value: Abstract,
    is_else: bool,
}

#[derive(Clone, Default)]
struct Env {
    module: usize,
    locals: Locals,
    values: BTreeMap<String, Abstract>,
}

impl Env {
    fn bind(&mut self, name: &str, value: Abstract) {
        self.locals.declare(name);
        self.values.insert(name.to_owned(), value);
    }

    fn forget(&mut self, pattern: &Expr) {
        self.locals.declare_pattern(pattern);
        match pattern {
            Expr::Var { span, .. } => drop(self.values.remove(span.text())),
            // Any name may be among those of a pattern.
            _ => self.values.clear(),
        }
    }
}

/// Finds conditions, and remembers what it found about rules without arguments.
pub(crate) struct Conditions<'c> {
    corpus: &'c Corpus,
    data: &'c Value,
    values: BTreeMap<usize, Abstract>,
    truths: BTreeMap<usize, Bounds>,
    fuel: u32,
}

impl<'c> Conditions<'c> {
    /// The corpus must hold no cycle.
    pub(crate) fn new(corpus: &'c Corpus, data: &'c Value) -> Conditions<'c> {
        Conditions { corpus, data, values: BTreeMap::new(), truths: BTreeMap::new(), fuel: FUEL }
    }

    /// What must hold for a definition of a set to have a member.
    pub(crate) fn of_definition(&mut self, definition: Definition) -> Formula {
        self.fuel = FUEL;
        let branches = self.branches(definition, &[]);
        let may = Formula::any(branches.into_iter().map(|b| Formula::all([b.body.may, b.value.needs])));
        may.limited(Formula::Always)
    }

    /// The ways for a definition to have a value, or a member.
    fn branches(&mut self, definition: Definition, args: &[Abstract]) -> Vec<Branch> {
        let corpus = self.corpus;
        let mut env = Env { module: definition.0, ..Env::default() };
        env.locals.push();
        match corpus.rule(definition) {
            Rule::Default { value, .. } => {
                let (body, value) = (Bounds::exactly(Formula::Always), self.value(value, &mut env));
                // It counts only where nothing else does.
                vec![Branch { body, value, is_else: true }]
            }
            Rule::Spec { head, bodies, .. } => {
                let head = Head::of(head);
                let matched = self.bind_args(&head, args, &mut env);
                if bodies.is_empty() {
                    let value = self.head_value(&head, &mut env);
                    return vec![Branch { body: matched, value, is_else: false }];
                }
                let branches = bodies.iter().map(|body| {
                    let mut env = env.clone();
                    let holds = self.query(&body.query, &mut env);
                    let value = match &body.assign {
                        Some(assign) => self.value(&assign.value, &mut env),
                        None if body.is_else => Abstract::constant(Value::Bool(true)),
                        None => self.head_value(&head, &mut env),
                    };
                    Branch { body: all([matched.clone(), holds]), value, is_else: body.is_else }
                });
                branches.collect()
            }
        }
    }

    fn head_value(&mut self, head: &Head<'_>, env: &mut Env) -> Abstract {
        match (head.key, head.assign) {
            (Some(key), _) => self.value(key, env),
            (None, Some(assign)) => self.value(&assign.value, env),
            (None, None) => Abstract::constant(Value::Bool(true)),
        }
    }

    fn bind_args(&mut self, head: &Head<'_>, args: &[Abstract], env: &mut Env) -> Bounds {
        let mut bounds = Bounds::exactly(Formula::Always);
        for (index, pattern) in head.args.iter().enumerate() {
            let arg = args.get(index).cloned().unwrap_or(Abstract::unknown(Formula::Always)).held();
            match (pattern, literal(pattern)) {
                (Expr::Var { span, .. }, _) => env.bind(span.text(), arg),
                (_, Some(expected)) => bounds = all([bounds, equal(&arg, &Abstract::constant(expected))]),
                (other, None) => {
                    env.locals.declare_pattern(other);
                    bounds.must = Formula::Never;
                }
            }
        }
        bounds
    }

    fn query(&mut self, query: &Query, env: &mut Env) -> Bounds {
        env.locals.push();
        let statements: Vec<Bounds> = query.stmts.iter().map(|statement| self.statement(statement, env)).collect();
        all(statements)
    }

    fn statement(&mut self, statement: &LiteralStmt, env: &mut Env) -> Bounds {
        // Under `with`, the condition may look at another input.
        let replaced = !statement.with_mods.is_empty();
        let bounds = match &statement.literal {
            Literal::SomeVars { vars, .. } => {
                vars.iter().for_each(|var| env.bind(var.text(), Abstract::unknown(Formula::Always)));
                Bounds::exactly(Formula::Always)
            }
            Literal::SomeIn { key, value, collection, .. } => {
                let elements = self.elements(collection, env);
                key.iter().for_each(|key| env.forget(key));
                env.forget(value);
                if let (Expr::Var { span, .. }, false) = (value.as_ref(), replaced) {
                    env.bind(span.text(), elements.clone().held());
                }
                Bounds::needs(elements.needs)
            }
            Literal::Expr { expr, .. } if replaced => {
                self.truth(expr, env);
                env.values.clear();
                Bounds::needs(Formula::Always)
            }
            Literal::Expr { expr, .. } => self.truth(expr, env),
            Literal::NotExpr { expr, .. } => self.truth(expr, &mut env.clone()).not(),
            Literal::Every { .. } => Bounds::needs(Formula::Always),
        };
        if replaced { Bounds::needs(Formula::Always) } else { bounds }
    }

    /// Bounds of an expression being true.
    fn truth(&mut self, expr: &Expr, env: &mut Env) -> Bounds {
        let Some(fuel) = self.fuel.checked_sub(1) else { return Bounds::needs(Formula::Always) };
        self.fuel = fuel;
        match expr {
            Expr::BoolExpr { op: BoolOp::Eq, lhs, rhs, .. } => equal(&self.value(lhs, env), &self.value(rhs, env)),
            Expr::BoolExpr { op: BoolOp::Ne, lhs, rhs, .. } => {
                let (left, right) = (self.value(lhs, env), self.value(rhs, env));
                let defined = Formula::all([left.needs.clone(), right.needs.clone()]);
                let different = equal(&left, &right).not();
                let exact = left.exact && right.exact;
                let must =
                    if exact { [left.surely(), right.surely(), different.must] } else { [const { Formula::Never }; 3] };
                Bounds { may: Formula::all([defined, different.may]), must: Formula::all(must) }
            }
            Expr::AssignExpr { op, lhs, rhs, .. } => self.assign(op, lhs, rhs, env),
            Expr::Membership { key: None, value, collection, .. } => {
                let value = self.value(value, env);
                let elements = self.elements(collection, env);
                let constants =
                    elements.values.as_ref().is_some_and(|v| v.iter().all(|k| matches!(k, Known::Constant(_))));
                let mut bounds = equal(&value, &elements);
                if constants && value.surely() != Formula::Never {
                    bounds.must = bounds.may.clone();
                }
                bounds
            }
            Expr::Call { fcn, params, .. } => self.call(fcn, params, env),
            Expr::Var { .. } | Expr::RefDot { .. } | Expr::RefBrack { .. } => {
                match self.corpus.modules[env.module].names.resolve(expr, &env.locals) {
                    Resolved::Path(path) if path.root == Root::Data => match self.corpus.graph.find(&exact(&path)) {
                        Some(node) => self.rule_truth(node),
                        None => truthy(&self.value(expr, env)),
                    },
                    Resolved::Path(_) | Resolved::Local(..) | Resolved::Other => truthy(&self.value(expr, env)),
                }
            }
            other => truthy(&self.value(other, env)),
        }
    }

    fn assign(&mut self, op: &AssignOp, lhs: &Expr, rhs: &Expr, env: &mut Env) -> Bounds {
        let corpus = self.corpus;
        let fresh = match corpus.modules[env.module].names.resolve(lhs, &env.locals) {
            // `x = ...` with a name that is no rule makes a variable, as `:=` does.
            Resolved::Path(path) => path.bare && corpus.graph.targets(&path).is_empty(),
            Resolved::Local(..) | Resolved::Other => false,
        };
        match lhs {
            Expr::Var { span, .. } if *op == AssignOp::ColEq || fresh => {
                let value = self.value(rhs, env);
                let needs = value.needs.clone();
                let must = value.surely();
                env.bind(span.text(), value.held());
                Bounds { may: needs, must }
            }
            pattern if *op == AssignOp::ColEq => {
                let needs = self.value(rhs, env).needs;
                env.forget(pattern);
                Bounds::needs(needs)
            }
            Expr::Array { .. } | Expr::Object { .. } => Bounds::needs(Formula::Always),
            _ if matches!(rhs, Expr::Var { .. } | Expr::Array { .. } | Expr::Object { .. }) => {
                Bounds::needs(Formula::Always)
            }
            _ => {
                let (left, right) = (self.value(lhs, env), self.value(rhs, env));
                // A variable that has no value yet gets one.
                Bounds { must: Formula::Never, ..equal(&left, &right) }
            }
        }
    }

    fn rule_truth(&mut self, node: usize) -> Bounds {
        if let Some(bounds) = self.truths.get(&node) {
            return bounds.clone();
        }
        let corpus = self.corpus;
        let definitions = &corpus.graph.nodes[node].definitions;
        let plain = definitions.iter().all(|definition| match corpus.rule(*definition) {
            Rule::Default { refr, .. } | Rule::Spec { head: RuleHead::Compr { refr, .. }, .. } => {
                matches!(refr.as_ref(), Expr::Var { .. })
            }
            // A partial set is there even when it is empty.
            Rule::Spec { .. } => false,
        });
        let branches = definitions.iter().flat_map(|at| self.branches(*at, &[])).collect();
        let bounds = if plain { any(branches) } else { Bounds::needs(Formula::Always) };
        if self.fuel > 0 {
            self.truths.insert(node, bounds.clone());
        }
        bounds
    }

    fn call(&mut self, fcn: &Expr, params: &[Ref<Expr>], env: &mut Env) -> Bounds {
        if let Some(node) = self.function(fcn, params.len(), env) {
            let args: Vec<Abstract> = params.iter().map(|param| self.value(param, env)).collect();
            let needs = Formula::all(args.iter().map(|arg| arg.needs.clone()));
            let holds = any(self.function_branches(node, &args));
            let must = Formula::all(args.iter().map(Abstract::surely).chain([holds.must]));
            return Bounds { may: Formula::all([needs, holds.may]), must };
        }
        let test = match fcn.span().text() {
            "startswith" => Test::StartsWith,
            "endswith" => Test::EndsWith,
            "contains" => Test::Contains,
            _ => return truthy(&self.call_as_value(fcn, params, env)),
        };
        match params {
            [text, part] if self.is_builtin(fcn, env) => {
                let (text, part) = (self.value(text, env), self.value(part, env));
                text_test(&text, &part, test)
            }
            _ => Bounds::needs(Formula::Always),
        }
    }

    fn call_as_value(&mut self, fcn: &Expr, params: &[Ref<Expr>], env: &mut Env) -> Abstract {
        let args: Vec<Abstract> = params.iter().map(|param| self.value(param, env)).collect();
        // One argument more than the function takes is where its result goes. `print` takes what is undefined.
        let known = BUILTINS.get(fcn.span().text()).is_some_and(|(_, count)| usize::from(*count) == params.len());
        if known && fcn.span().text() != "print" && self.is_builtin(fcn, env) {
            Abstract::unknown(Formula::all(args.into_iter().map(|arg| arg.needs)))
        } else {
            Abstract::unknown(Formula::Always)
        }
    }

    /// The function of the policies that a call means, if it is called with as many arguments as it has.
    fn function(&self, fcn: &Expr, params: usize, env: &Env) -> Option<usize> {
        let Resolved::Path(path) = self.corpus.modules[env.module].names.resolve(fcn, &env.locals) else { return None };
        let node = self.corpus.graph.find(&exact(&path))?;
        let fits = self.corpus.graph.nodes[node].definitions.iter().all(|at| match self.corpus.rule(*at) {
            Rule::Spec { head, .. } => Head::of(head).args.len() == params,
            Rule::Default { .. } => true,
        });
        fits.then_some(node)
    }

    fn function_branches(&mut self, node: usize, args: &[Abstract]) -> Vec<Branch> {
        let corpus = self.corpus;
        corpus.graph.nodes[node].definitions.iter().flat_map(|at| self.branches(*at, args)).collect()
    }

    /// Whether a call means a built-in function, and no rule of that name.
    fn is_builtin(&self, fcn: &Expr, env: &Env) -> bool {
        let rule = match self.corpus.modules[env.module].names.resolve(fcn, &env.locals) {
            Resolved::Path(path) => !self.corpus.graph.targets(&path).is_empty(),
            Resolved::Local(..) => true,
            Resolved::Other => false,
        };
        !rule && BUILTINS.contains_key(fcn.span().text())
    }
}

/// The path, if all of it is known; otherwise one that no rule has.
fn exact(path: &Path) -> Vec<String> {
    let known = path.known();
    if path.root == Root::Data && known.len() == path.parts.len() { known } else { Vec::new() }
}

fn all(bounds: impl IntoIterator<Item = Bounds>) -> Bounds {
    let (may, must): (Vec<Formula>, Vec<Formula>) = bounds.into_iter().map(|b| (b.may, b.must)).unzip();
    Bounds { may: Formula::all(may), must: Formula::all(must) }
}

/// Whether any branch gives a value that is true. What an `else` gives is enough only with what came before, so it
/// is never taken for enough; and with an `else` that may give `false`, neither is anything else.
fn any(branches: Vec<Branch>) -> Bounds {
    let (mut may, mut must) = (Vec::new(), Vec::new());
    for branch in branches {
        let value = truthy(&branch.value);
        may.push(Formula::all([branch.body.may, value.may]));
        if !branch.is_else {
            must.push(Formula::all([branch.body.must, value.must]));
        }
    }
    Bounds { may: Formula::any(may), must: Formula::any(must) }
}

/// Whether a value is there and not `false`.
fn truthy(value: &Abstract) -> Bounds {
    let tests = value.values.as_ref().map(|values| {
        Formula::any(values.iter().map(|known| match known {
            Known::Constant(Value::Bool(false)) => Formula::Never,
            Known::Term(term) => Formula::test(term, Test::True),
            Known::Constant(_) | Known::Parts(..) | Known::PartCount(..) => Formula::Always,
        }))
    });
    let may = Formula::all([value.needs.clone(), tests.unwrap_or(Formula::Always)]);
    let must = Formula::all([value.surely(), may.clone()]);
    Bounds { may, must }
}

/// Whether two values are equal. Of several values that one may have, any will do.
fn equal(left: &Abstract, right: &Abstract) -> Bounds {
    let needs = Formula::all([left.needs.clone(), right.needs.clone()]);
    let (Some(lefts), Some(rights)) = (&left.values, &right.values) else { return Bounds::needs(needs) };
    let mut tests = BTreeMap::<&Term, BTreeSet<Value>>::new();
    let mut understood = true;
    for (left, right) in lefts.iter().flat_map(|left| rights.iter().map(move |right| (left, right))) {
        match (left, right) {
            (Known::Term(term), Known::Constant(value)) | (Known::Constant(value), Known::Term(term)) => {
                tests.entry(term).or_default().insert(value.clone());
            }
            (Known::Constant(left), Known::Constant(right)) if left != right => {}
            _ => understood = false,
        }
    }
    let constants = left.as_constant().zip(right.as_constant());
    if let Some((left, right)) = constants {
        return Bounds::exactly(if left == right { Formula::Always } else { Formula::Never });
    }
    if !understood {
        return Bounds::needs(needs);
    }
    let tests = tests.into_iter().map(|(term, values)| Formula::test(term, Test::OneOf(values)));
    let may = Formula::all([needs, Formula::any(tests)]);
    let must = if left.exact && right.exact { may.clone() } else { Formula::Never };
    Bounds { may, must }
}

/// Whether a text starts with, ends with or contains another.
fn text_test(text: &Abstract, part: &Abstract, test: fn(BTreeSet<String>) -> Test) -> Bounds {
    let needs = Formula::all([text.needs.clone(), part.needs.clone()]);
    let (Some(texts), Some(parts)) = (&text.values, part.texts()) else { return Bounds::needs(needs) };
    let terms: Option<Vec<&Term>> = texts
        .iter()
        .map(|known| match known {
            Known::Term(term) => Some(term),
            Known::Constant(_) | Known::Parts(..) | Known::PartCount(..) => None,
        })
        .collect();
    let Some(terms) = terms else { return Bounds::needs(needs) };
    let may = Formula::any(terms.into_iter().map(|term| Formula::test(term, test(parts.clone()))));
    let may = Formula::all([needs, may]);
    let must = if text.exact && part.exact { may.clone() } else { Formula::Never };
    Bounds { may, must }
}
