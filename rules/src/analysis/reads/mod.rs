//! Follows parts of `input` through the rules, and finds what the event schema does not have.
//!
//! A value is followed through variables, destructuring, iteration, helper rules, functions and other packages. A
//! place is at fault only when no way of getting there has the field: a helper that is given a process here and a
//! file there may ask either for what the other lacks. What is not understood is not reported. Needs a corpus
//! without recursion.

mod builtins;
mod seen;
#[cfg(test)]
mod tests;
mod value;

use std::collections::{BTreeMap, BTreeSet};

use regorus::unstable::{AssignOp, BoolOp, Expr, Literal, LiteralStmt, Query, Ref, Rule, RuleHead, Span};

use crate::analysis::corpus::Corpus;
use crate::analysis::graph::Definition;
use crate::analysis::names::{Locals, Path, Resolved, Root, literal_text, plain_path, start};
use crate::analysis::walk::Head;
use crate::schema::{self, Node, Type};
pub(crate) use seen::{Fault, OwnRead, Report};
use seen::{Place, Seen};
use value::{Value, input_name};

/// Steps of one analysis; more than a large set of policies needs.
const FUEL: u32 = 1_000_000;
/// Argument lists for which one function is looked at; further ones count as not known.
const MAX_CALLS: usize = 48;

#[derive(Default, Clone)]
struct Env {
    locals: Locals,
    values: BTreeMap<String, Value>,
    /// Whether `with` replaces `input`.
    replaced: bool,
    /// The definition whose own text is read, unless what is read is under `not`.
    own: Option<Definition>,
}

impl Env {
    fn bind(&mut self, name: &str, value: Value) {
        if name != "_" {
            self.locals.declare(name);
            self.values.insert(name.to_owned(), value);
        }
    }
}

/// One step of a reference.
enum Step<'e> {
    Name(String, &'e Span),
    Index(&'e Expr),
}

/// A value, and what has to be read to have it.
type Known = (Value, BTreeSet<String>);

struct Reads<'c> {
    corpus: &'c Corpus,
    rules: BTreeMap<usize, Known>,
    calls: BTreeMap<(usize, Vec<Value>), Known>,
    /// Distinct argument lists by function.
    counts: BTreeMap<usize, usize>,
    seen: Seen,
    /// What was read since somebody last looked: the conditions of one definition, helpers included.
    conditions: BTreeSet<String>,
    fuel: u32,
    /// A function is looked at although nobody calls it.
    pretend: bool,
}

/// Looks at every rule of a corpus.
pub(crate) fn find(corpus: &Corpus) -> Report {
    let mut reads = Reads {
        corpus,
        rules: BTreeMap::new(),
        calls: BTreeMap::new(),
        counts: BTreeMap::new(),
        seen: Seen::default(),
        conditions: BTreeSet::new(),
        fuel: FUEL,
        pretend: false,
    };
    for module in 0..corpus.modules.len() {
        reads.imports(module);
        reads.module(module, false);
    }
    reads.pretend = true;
    reads.calls.clear();
    reads.counts.clear();
    for module in 0..corpus.modules.len() {
        reads.module(module, true);
    }
    let complete = reads.fuel > 0;
    reads.seen.report(complete)
}

impl<'c> Reads<'c> {
    fn imports(&mut self, module: usize) {
        for import in &self.corpus.modules[module].module.imports {
            if plain_path(&import.refr).first().is_some_and(|root| root == "input") {
                self.value(module, &import.refr, &mut Env::default());
            }
        }
    }

    fn module(&mut self, module: usize, functions: bool) {
        for (place, rule) in self.corpus.modules[module].module.policy.iter().enumerate() {
            let function = matches!(rule.as_ref(), Rule::Spec { head: RuleHead::Func { .. }, .. });
            if function == functions {
                self.conditions.clear();
                self.definition((module, place), &[], Some((module, place)));
                self.seen.conditions((module, place), std::mem::take(&mut self.conditions));
            }
        }
    }

    /// What a definition gives, its arguments being `args`.
    fn definition(&mut self, at: Definition, args: &[Value], own: Option<Definition>) -> Value {
        let (module, corpus) = (at.0, self.corpus);
        match corpus.rule(at) {
            Rule::Default { value, .. } => self.value(module, value, &mut Env::default()),
            Rule::Spec { head, bodies, .. } => {
                let parts = Head::of(head);
                let mut env = Env { own, ..Env::default() };
                env.locals.push();
                for (index, pattern) in parts.args.iter().enumerate() {
                    let value = args.get(index).cloned().unwrap_or(Value::Unknown);
                    self.bind(module, pattern, value, true, &mut env);
                }
                if bodies.is_empty() {
                    return self.head(module, head, &mut env);
                }
                let values: Vec<Value> = bodies
                    .iter()
                    .map(|body| {
                        let mut env = env.clone();
                        self.query(module, &body.query, &mut env);
                        match &body.assign {
                            Some(assign) => self.value(module, &assign.value, &mut env),
                            None if body.is_else => Value::Scalar(Type::Boolean),
                            None => self.aside(own.is_some(), |reads| reads.head(module, head, &mut env)),
                        }
                    })
                    .collect();
                Value::join_all(values)
            }
        }
    }

    /// The value of a head: that of a rule or function, or a collection of its members.
    fn head(&mut self, module: usize, head: &RuleHead, env: &mut Env) -> Value {
        let parts = Head::of(head);
        let plain = matches!(parts.refr, Expr::Var { .. });
        if !plain {
            self.chain_indexes(module, parts.refr, env);
        }
        let key = parts.key.map(|key| self.value(module, key, env));
        let assigned = parts.assign.map(|assign| self.value(module, &assign.value, env));
        match (head, key, assigned) {
            (RuleHead::Set { .. }, Some(key), _) if plain => Value::list(key),
            (RuleHead::Compr { .. } | RuleHead::Func { .. }, _, Some(value)) if plain => value,
            (RuleHead::Func { .. } | RuleHead::Compr { .. }, _, None) if plain => Value::Scalar(Type::Boolean),
            _ => Value::Unknown,
        }
    }

    fn chain_indexes(&mut self, module: usize, refr: &Expr, env: &mut Env) {
        let mut current = refr;
        loop {
            match current {
                Expr::RefDot { refr, .. } => current = refr,
                Expr::RefBrack { refr, index, .. } => {
                    self.value(module, index, env);
                    current = refr;
                }
                _ => return,
            }
        }
    }

    fn query(&mut self, module: usize, query: &Query, env: &mut Env) {
        env.locals.push();
        for (index, statement) in query.stmts.iter().enumerate() {
            let aside = env.own.is_some() && is_for_the_head(index, query);
            self.aside(aside, |reads| reads.statement(module, statement, env));
        }
    }

    /// Looks at something that is, if `aside`, no condition.
    fn aside<T>(&mut self, aside: bool, look: impl FnOnce(&mut Self) -> T) -> T {
        let before = aside.then(|| self.conditions.clone());
        let result = look(self);
        if let Some(before) = before {
            self.conditions = before;
        }
        result
    }

    fn statement(&mut self, module: usize, statement: &LiteralStmt, env: &mut Env) {
        let mut replaces = false;
        for modifier in &statement.with_mods {
            self.value(module, &modifier.r#as, env);
            replaces |= plain_path(&modifier.refr).first().is_some_and(|root| root == "input");
        }
        let outside = env.replaced;
        env.replaced |= replaces;
        self.literal(module, &statement.literal, env);
        env.replaced = outside;
    }

    fn literal(&mut self, module: usize, literal: &Literal, env: &mut Env) {
        match literal {
            Literal::SomeVars { vars, .. } => vars.iter().for_each(|var| {
                env.locals.declare(var.text());
                env.values.remove(var.text());
            }),
            Literal::SomeIn { key, value, collection, .. } => {
                let items = self.value(module, collection, env);
                let item = self.item(module, items, start(collection));
                if let Some(key) = key {
                    self.bind(module, key, Value::Unknown, true, env);
                }
                self.bind(module, value, item, true, env);
            }
            Literal::Expr { expr, .. } => {
                let value = self.value(module, expr, env);
                // That an object is there is a condition too.
                self.conditions.extend(value.object_path().map(str::to_owned));
            }
            Literal::NotExpr { expr, .. } => {
                let mut inside = Env { own: None, ..env.clone() };
                let value = self.value(module, expr, &mut inside);
                self.conditions.extend(value.object_path().map(str::to_owned));
            }
            Literal::Every { key, value, domain, query, .. } => {
                let items = self.value(module, domain, env);
                let item = self.item(module, items, start(domain));
                let mut inside = env.clone();
                inside.locals.push();
                key.iter().for_each(|key| inside.bind(key.text(), Value::Unknown));
                inside.bind(value.text(), item);
                self.query(module, query, &mut inside);
            }
        }
    }

    /// What an expression is, after looking at every part of it.
    fn value(&mut self, module: usize, expr: &Expr, env: &mut Env) -> Value {
        let Some(fuel) = self.fuel.checked_sub(1) else { return Value::Unknown };
        self.fuel = fuel;
        match expr {
            Expr::String { .. } | Expr::RawString { .. } => Value::Scalar(Type::Text),
            Expr::Number { .. } => Value::Scalar(Type::Number),
            Expr::Bool { .. } => Value::Scalar(Type::Boolean),
            Expr::Null { .. } => Value::Unknown,
            Expr::Var { .. } | Expr::RefDot { .. } | Expr::RefBrack { .. } => self.reference(module, expr, env),
            Expr::Array { items, .. } => Value::Tuple(self.values(module, items, env)).bounded(),
            Expr::Set { items, .. } => Value::list(Value::join_all(self.values(module, items, env))),
            Expr::Object { fields, .. } => self.object(module, fields, env),
            Expr::ArrayCompr { term, query, .. } | Expr::SetCompr { term, query, .. } => {
                let mut inside = env.clone();
                self.query(module, query, &mut inside);
                Value::list(self.value(module, term, &mut inside))
            }
            Expr::ObjectCompr { key, value, query, .. } => {
                let mut inside = env.clone();
                self.query(module, query, &mut inside);
                self.value(module, key, &mut inside);
                Value::list(self.value(module, value, &mut inside))
            }
            Expr::Call { fcn, params, .. } => self.call(module, fcn, params, env),
            Expr::UnaryExpr { expr, .. } => {
                self.value(module, expr, env);
                Value::Unknown
            }
            Expr::BinExpr { lhs, rhs, .. } => self.value(module, lhs, env).join(self.value(module, rhs, env)),
            Expr::ArithExpr { lhs, rhs, .. } => {
                self.value(module, lhs, env);
                self.value(module, rhs, env);
                Value::Unknown
            }
            Expr::BoolExpr { op, lhs, rhs, .. } => {
                let (left, right) = (self.value(module, lhs, env), self.value(module, rhs, env));
                self.compare(module, Some(op), (&left, lhs), (&right, rhs));
                Value::Scalar(Type::Boolean)
            }
            Expr::AssignExpr { op, lhs, rhs, .. } => {
                self.assign(module, op, lhs, rhs, env);
                Value::Scalar(Type::Boolean)
            }
            Expr::Membership { key, value, collection, .. } => {
                key.iter().for_each(|key| drop(self.value(module, key, env)));
                let wanted = self.value(module, value, env);
                let items = self.value(module, collection, env);
                // Being in an object means being one of its values, whatever their names.
                let item = self.item(module, items, start(collection));
                self.compare(module, None, (&wanted, value), (&item, collection));
                Value::Scalar(Type::Boolean)
            }
        }
    }

    fn values(&mut self, module: usize, items: &[Ref<Expr>], env: &mut Env) -> Vec<Value> {
        items.iter().map(|item| self.value(module, item, env)).collect()
    }

    fn object(&mut self, module: usize, fields: &[(Span, Ref<Expr>, Ref<Expr>)], env: &mut Env) -> Value {
        let mut known = BTreeMap::new();
        let mut sure = true;
        for (_, key, value) in fields {
            self.value(module, key, env);
            let value = self.value(module, value, env);
            match literal_text(key) {
                Some(key) => drop(known.insert(key, value)),
                None => sure = false,
            }
        }
        if sure { Value::Object(known).bounded() } else { Value::Unknown }
    }

    /// A variable, and the dots and brackets behind it.
    fn reference(&mut self, module: usize, expr: &Expr, env: &mut Env) -> Value {
        let mut steps = Vec::new();
        let mut base = expr;
        loop {
            match base {
                Expr::RefDot { refr, field, .. } => {
                    steps.push(Step::Name(field.0.text().to_owned(), &field.0));
                    base = refr;
                }
                Expr::RefBrack { refr, index, .. } => {
                    let text = literal_text(index);
                    steps.push(text.map_or(Step::Index(index), |text| Step::Name(text, index.span())));
                    base = refr;
                }
                _ => break,
            }
        }
        steps.reverse();
        let (mut value, used) = self.base(module, base, &steps, env);
        for (index, step) in steps.into_iter().enumerate() {
            match step {
                Step::Name(..) if index < used => {}
                Step::Name(name, span) => value = self.field(module, &value, &name, span),
                Step::Index(index) => {
                    self.value(module, index, env);
                    value = self.item(module, value, start(index));
                }
            }
        }
        for path in value.paths() {
            self.read(module, path, start(expr), env.own);
        }
        value
    }

    fn read(&mut self, module: usize, path: &str, span: &Span, own: Option<Definition>) {
        self.seen.read(module, path, span, own);
        if !matches!(schema::node(path), Some(Node::Object(..))) {
            self.conditions.insert(path.to_owned());
        }
    }

    /// Computes a value, apart from what was read before.
    fn known(&mut self, compute: impl FnOnce(&mut Self) -> Value) -> Known {
        let before = std::mem::take(&mut self.conditions);
        let value = compute(self);
        let read = std::mem::replace(&mut self.conditions, before);
        self.conditions.extend(read.iter().cloned());
        (value, read)
    }

    /// The value a reference starts with, and how many of its steps lead to that.
    fn base(&mut self, module: usize, base: &Expr, steps: &[Step<'_>], env: &mut Env) -> (Value, usize) {
        let Expr::Var { span, .. } = base else { return (self.value(module, base, env), 0) };
        let corpus = self.corpus;
        match corpus.modules[module].names.resolve(base, &env.locals) {
            Resolved::Local(name, _) => (env.values.get(&name).cloned().unwrap_or(Value::Unknown), 0),
            // What a rule reads under `with` is not the event.
            Resolved::Path(_) if env.replaced => (Value::Unknown, 0),
            Resolved::Path(path) if path.root == Root::Input => {
                let known = path.known().join(".");
                let there = schema::node(&known).is_some();
                (if there { Value::Input([known].into()) } else { Value::Unknown }, 0)
            }
            Resolved::Path(path) => self.rule_at(&path, steps).unwrap_or_else(|| {
                let unbound = env.values.get(span.text()).cloned();
                (unbound.unwrap_or(Value::Unknown), 0)
            }),
            Resolved::Other => (Value::Unknown, 0),
        }
    }

    /// The rule a path below `data` leads to, with the number of steps it takes.
    fn rule_at(&mut self, path: &Path, steps: &[Step<'_>]) -> Option<(Value, usize)> {
        let mut at = path.known();
        for used in 0..=steps.len() {
            if let Some(node) = self.corpus.graph.find(&at) {
                return Some((self.rule(node), used));
            }
            match steps.get(used) {
                Some(Step::Name(name, _)) => at.push(name.clone()),
                Some(Step::Index(_)) | None => return None,
            }
        }
        None
    }

    fn rule(&mut self, node: usize) -> Value {
        if let Some((value, read)) = self.rules.get(&node) {
            self.conditions.extend(read.iter().cloned());
            return value.clone();
        }
        let definitions = &self.corpus.graph.nodes[node].definitions;
        let known = self.known(|reads| {
            let values: Vec<Value> = definitions.iter().map(|at| reads.definition(*at, &[], None)).collect();
            Value::join_all(values)
        });
        self.rules.insert(node, known.clone());
        known.0
    }

    /// A named part of a value.
    fn field(&mut self, module: usize, value: &Value, name: &str, span: &Span) -> Value {
        let place = Place::of(module, span, name);
        match value {
            Value::Input(paths) => {
                let children: BTreeSet<String> = paths
                    .iter()
                    .filter(|path| matches!(schema::node(path), Some(Node::Object(..))))
                    .map(|path| schema::below(path, name))
                    .filter(|path| schema::node(path).is_some())
                    .collect();
                if children.is_empty() {
                    self.seen.bad(place, no_field(paths, name));
                    Value::Unknown
                } else {
                    self.seen.good(place);
                    Value::Input(children)
                }
            }
            Value::Object(known) => {
                self.seen.good(place);
                known.get(name).cloned().unwrap_or(Value::Unknown)
            }
            Value::List(item) => item.as_ref().clone(),
            Value::Unknown | Value::Scalar(_) | Value::Tuple(_) => {
                if !self.pretend {
                    self.seen.good(place);
                }
                Value::Unknown
            }
        }
    }

    /// An item of a collection, whichever it is.
    fn item(&mut self, module: usize, value: Value, span: &Span) -> Value {
        match value {
            Value::Input(paths) => {
                let mut items = BTreeSet::new();
                for path in &paths {
                    match schema::node(path) {
                        Some(Node::Array(_)) => drop(items.insert(format!("{path}[]"))),
                        Some(Node::Object(..)) => self.seen.whole(Place::of(module, span, ""), path),
                        Some(Node::Leaf(..)) | None => {}
                    }
                }
                let place = Place::of(module, span, "[]");
                let leaf = paths.iter().all(|path| matches!(schema::node(path), Some(Node::Leaf(..))));
                match paths.first().filter(|_| leaf) {
                    Some(path) => self.seen.bad(place, no_items(path)),
                    None => self.seen.good(place),
                }
                if items.len() == paths.len() { Value::Input(items) } else { Value::Unknown }
            }
            Value::List(item) => *item,
            Value::Tuple(items) => Value::join_all(items),
            Value::Object(fields) => Value::join_all(fields.into_values()),
            Value::Unknown | Value::Scalar(_) => Value::Unknown,
        }
    }

    /// Gives the variables of a pattern what `value` holds. Unless the pattern declares them, those that have a
    /// value keep it.
    fn bind(&mut self, module: usize, pattern: &Expr, value: Value, declares: bool, env: &mut Env) {
        match pattern {
            Expr::Var { span, .. } => {
                if declares || self.is_fresh(module, pattern, env) {
                    env.bind(span.text(), value);
                }
            }
            Expr::Array { items, .. } => {
                for (index, item) in items.iter().enumerate() {
                    let part = match &value {
                        Value::Tuple(values) => values.get(index).cloned().unwrap_or(Value::Unknown),
                        other => self.item(module, other.clone(), start(pattern)),
                    };
                    self.bind(module, item, part, declares, env);
                }
            }
            Expr::Object { fields, .. } => {
                for (_, key, item) in fields {
                    let part = match literal_text(key) {
                        Some(name) => self.field(module, &value, &name, key.span()),
                        None => self.item(module, value.clone(), key.span()),
                    };
                    part.paths().for_each(|path| self.read(module, path, key.span(), env.own));
                    self.bind(module, item, part, declares, env);
                }
            }
            other => {
                let literal = self.value(module, other, env);
                self.compare(module, Some(&BoolOp::Eq), (&value, other), (&literal, other));
            }
        }
    }

    /// Whether a variable has no value yet.
    fn is_fresh(&self, module: usize, expr: &Expr, env: &Env) -> bool {
        match self.corpus.modules[module].names.resolve(expr, &env.locals) {
            Resolved::Local(name, steps) => steps.is_empty() && !env.values.contains_key(&name),
            Resolved::Path(path) => path.bare && path.root == Root::Data && self.corpus.graph.targets(&path).is_empty(),
            Resolved::Other => false,
        }
    }

    fn assign(&mut self, module: usize, op: &AssignOp, lhs: &Expr, rhs: &Expr, env: &mut Env) {
        let pattern = |expr: &Expr| matches!(expr, Expr::Array { .. } | Expr::Object { .. });
        let fresh = |expr: &Expr, env: &Env| matches!(expr, Expr::Var { .. }) && self.is_fresh(module, expr, env);
        if *op == AssignOp::ColEq {
            let value = self.value(module, rhs, env);
            self.bind(module, lhs, value, true, env);
        } else if fresh(lhs, env) || (pattern(lhs) && !pattern(rhs)) {
            let value = self.value(module, rhs, env);
            self.bind(module, lhs, value, false, env);
        } else if fresh(rhs, env) || pattern(rhs) {
            let value = self.value(module, lhs, env);
            self.bind(module, rhs, value, false, env);
        } else {
            let (left, right) = (self.value(module, lhs, env), self.value(module, rhs, env));
            self.compare(module, Some(&BoolOp::Eq), (&left, lhs), (&right, rhs));
        }
    }

    /// Two values of different types are never equal, and are ordered by type alone. Without `op`: membership.
    fn compare(&mut self, module: usize, op: Option<&BoolOp>, left: (&Value, &Expr), right: (&Value, &Expr)) {
        let place = Place::of(module, start(left.1), "==");
        let ((Some(a), Some(b)), Some((field, literal))) = (
            (left.0.type_word(), right.0.type_word()),
            match (left.0.name(), right.0.name()) {
                (Some(name), _) => Some((name, right.1)),
                (None, Some(name)) => Some((name, left.1)),
                (None, None) => None,
            },
        ) else {
            return self.seen.good(place);
        };
        if a == b {
            return self.seen.good(place);
        }
        let (own, other) = if left.0.name().is_some() { (a, b) } else { (b, a) };
        self.seen.bad(place, type_fault(&field, own, other, op, literal));
    }

    fn call(&mut self, module: usize, fcn: &Expr, params: &[Ref<Expr>], env: &mut Env) -> Value {
        let corpus = self.corpus;
        let node = match corpus.modules[module].names.resolve(fcn, &env.locals) {
            Resolved::Path(path) if path.root == Root::Data => {
                corpus.graph.find(&path.known()).filter(|_| path.known().len() == path.parts.len())
            }
            Resolved::Path(_) | Resolved::Local(..) | Resolved::Other => None,
        };
        let Some(node) = node else { return self.builtin(module, fcn, params, env) };
        let arity = corpus.graph.nodes[node].definitions.iter().find_map(|at| match corpus.rule(*at) {
            Rule::Spec { head: RuleHead::Func { args, .. }, .. } => Some(args.len()),
            Rule::Spec { .. } | Rule::Default { .. } => None,
        });
        let arity = arity.unwrap_or(params.len());
        let args: Vec<Value> = params.iter().take(arity).map(|param| self.value(module, param, env)).collect();
        let result = self.function(node, args);
        // One argument more than the function takes is where its result goes.
        for output in params.iter().skip(arity) {
            self.bind(module, output, result.clone(), false, env);
        }
        result
    }

    fn function(&mut self, node: usize, args: Vec<Value>) -> Value {
        let calls = self.counts.entry(node).or_default();
        *calls += usize::from(!self.calls.contains_key(&(node, args.clone())));
        let args = if *calls > MAX_CALLS { vec![Value::Unknown; args.len()] } else { args };
        let key = (node, args);
        if let Some((value, read)) = self.calls.get(&key) {
            self.conditions.extend(read.iter().cloned());
            return value.clone();
        }
        let definitions = &self.corpus.graph.nodes[node].definitions;
        let known = self.known(|reads| {
            let values: Vec<Value> = definitions.iter().map(|at| reads.definition(*at, &key.1, None)).collect();
            Value::join_all(values)
        });
        self.calls.insert(key, known.clone());
        known.0
    }
}

/// The word with its article.
pub(super) fn a(word: &str) -> String {
    if word.starts_with(['a', 'o']) { format!("an {word}") } else { format!("a {word}") }
}

/// Whether a statement only gives a variable to the head, as `msg := sprintf(...)` does.
fn is_for_the_head(index: usize, query: &Query) -> bool {
    let Literal::Expr { expr, .. } = &query.stmts[index].literal else { return false };
    let Expr::AssignExpr { op: AssignOp::ColEq, lhs, .. } = expr.as_ref() else { return false };
    let Expr::Var { span, .. } = lhs.as_ref() else { return false };
    let name = span.text();
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let others = query.stmts.iter().enumerate().filter(|(other, _)| *other != index);
    !others.into_iter().any(|(_, statement)| statement.span.text().split(|c| !is_word(c)).any(|word| word == name))
}

fn no_field(paths: &BTreeSet<String>, name: &str) -> Fault {
    let path = paths.first().map_or("", String::as_str);
    let whole = input_name(&schema::below(path, name));
    let (message, hint) = match schema::node(path) {
        Some(Node::Leaf(of, _)) => {
            (format!("`{whole}` does not exist: `{}` is a {}", input_name(path), of.as_str()), String::new())
        }
        Some(Node::Array(_)) => (
            format!("`{whole}` does not exist: `{}` is an array", input_name(path)),
            format!("take an item first, as in `some item in {}`", input_name(path)),
        ),
        Some(Node::Object(..)) | None => {
            (format!("no event has `{whole}`, so this never holds"), schema::suggest(path, name))
        }
    };
    Fault { code: "unknown-input-field", message, hint }
}

fn no_items(path: &str) -> Fault {
    let word = schema::find(path).map_or("value", |field| field.of.as_str());
    Fault {
        code: "input-type",
        message: format!("`{}` is a {word} and has no items", input_name(path)),
        hint: "compare it with ==, or use a function on strings such as `contains`".to_owned(),
    }
}

fn type_fault(field: &str, own: &str, other: &str, op: Option<&BoolOp>, literal: &Expr) -> Fault {
    let text = literal.span().text();
    let effect = match op {
        None => "so it is never among them",
        Some(BoolOp::Eq) => "so they are never equal",
        Some(BoolOp::Ne) => "so they always differ",
        Some(BoolOp::Lt | BoolOp::Le | BoolOp::Gt | BoolOp::Ge) => "and values of different types have a fixed order",
    };
    let hint = match (own, literal) {
        ("number", Expr::String { .. }) => format!("write {} without quotes", text.trim_matches('"')),
        ("string", Expr::Number { .. }) if matches!(op, Some(BoolOp::Eq | BoolOp::Ne)) => format!("write \"{text}\""),
        ("string", Expr::Number { .. }) => format!("convert it: `to_number({field})`"),
        _ => String::new(),
    };
    let message = match op {
        None => format!("`{field}` is {} and the items are of type {other}, {effect}", a(own)),
        Some(_) => format!("`{field}` is {} and is compared with {}, {effect}", a(own), a(other)),
    };
    Fault { code: "input-type", message, hint }
}
