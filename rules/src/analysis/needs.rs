//! Exactly which parts of `input` a definition reads, as a tree: what a decision may depend on, and nothing else.
//!
//! Two events that agree on these parts get the same decision, so a part too many costs speed and a part too few
//! would be a wrong decision. Variables and arguments that stand for a part of `input` are followed
//! (`is_shell(input.process)` reads what `is_shell` reads of it). What is not understood counts as read whole; below
//! `with`, which can replace a function by another, the coarser [`fields_read`](super::fields_read) serves.

use std::collections::{BTreeMap, BTreeSet};

use regorus::Value;
use regorus::unstable::{AssignOp, Expr, Literal, LiteralStmt, Query, Ref, Rule};

use crate::analysis::FieldSet;
use crate::analysis::corpus::Corpus;
use crate::analysis::graph::Definition;
use crate::analysis::names::{Locals, Part, Path, Resolved, Root};
use crate::analysis::walk::Head;

/// Steps one analysis may take: functions are followed at every call with other arguments.
const FUEL: u32 = 20_000;

/// Functions whose result does not depend on their arguments alone. All but the first are refused at load.
const VOLATILE: &[&str] =
    &["time.now_ns", "rand.intn", "uuid.rfc4122", "opa.runtime", "http.send", "net.lookup_ip_addr"];

/// Fields that differ from event to event, by their path; `*` is every element.
const CHANGING: &[&[&str]] = &[
    &["@timestamp"],
    &["event", "id"],
    &["event", "created"],
    &["event", "ingested"],
    &["event", "start"],
    &["event", "sequence"],
    &["process", "pid"],
    &["process", "start"],
    &["process", "entity_id"],
    &["process", "thread"],
    &["process", "parent", "pid"],
    &["process", "parent", "start"],
    &["process", "ancestors", "*", "pid"],
    &["source", "port"],
];

/// Those of them that say when something happened.
const TIMES: &[&str] = &["@timestamp", "event.created", "event.ingested", "event.start"];

/// Parts of a value that are read.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Reads {
    /// All of it.
    pub(crate) whole: bool,
    /// These fields or elements. Whether each is there, and of what type the value is, counts as read.
    pub(crate) fields: BTreeMap<Value, Reads>,
    /// The same of every field or element, and their number and keys.
    pub(crate) each: Option<Box<Reads>>,
}

/// One step below a value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Field(Value),
    Each,
}

impl Reads {
    fn at(&mut self, path: &[Step]) -> &mut Reads {
        path.iter().fold(self, |reads, step| match step {
            Step::Field(name) => reads.fields.entry(name.clone()).or_default(),
            Step::Each => reads.each.get_or_insert_default(),
        })
    }

    /// Reads whether there is something.
    fn touch(&mut self, path: &[Step]) {
        let _ = self.at(path);
    }

    fn reads(&self, path: &[&str]) -> bool {
        let Some((name, rest)) = path.split_first() else { return true };
        let elements = self.fields.iter().filter(|(key, _)| *name == "*" || **key == Value::from(*name));
        self.whole || self.each.iter().map(AsRef::as_ref).chain(elements.map(|(_, r)| r)).any(|reads| reads.reads(rest))
    }

    /// Whether something is read that differs from event to event.
    fn changes(&self) -> bool {
        CHANGING.iter().any(|path| self.reads(path))
    }
}

/// What a definition reads; nothing when a result of it is of no use for another event, since it depends on the
/// time, or on a field that no two events share.
pub(crate) fn stable_reads(corpus: &Corpus, definition: Definition) -> Option<Reads> {
    if calls_volatile(corpus, definition) {
        return None;
    }
    let mut reader = Reader {
        corpus,
        reads: Reads::default(),
        seen: BTreeSet::new(),
        early: BTreeSet::new(),
        coarse: false,
        fuel: FUEL,
    };
    reader.definition(definition, &[]);
    let reads = if reader.coarse { coarse(corpus, definition) } else { reader.reads };
    (!reads.changes()).then_some(reads)
}

/// Whether what a definition says of the same event can change from one moment to the next: it reads the time.
pub(crate) fn reads_time(corpus: &Corpus, definition: Definition, fields: &FieldSet) -> bool {
    calls_volatile(corpus, definition) || TIMES.iter().any(|field| fields.reads(field))
}

fn calls_volatile(corpus: &Corpus, definition: Definition) -> bool {
    let look = corpus.graph.look(corpus.rule(definition), &corpus.modules[definition.0].names);
    let below = corpus.graph.reachable(look.edges);
    let below = below.iter().flat_map(|node| &corpus.graph.nodes[*node].builtins).map(|(name, ..)| name);
    look.builtins.iter().map(|(name, ..)| name).chain(below).any(|name| VOLATILE.contains(&name.as_str()))
}

/// The same without following variables and arguments.
fn coarse(corpus: &Corpus, definition: Definition) -> Reads {
    let look = corpus.graph.look(corpus.rule(definition), &corpus.modules[definition.0].names);
    let below = corpus.graph.reachable(look.edges);
    let mut reads = Reads::default();
    for path in look.input.iter().chain(below.iter().flat_map(|node| &corpus.graph.nodes[*node].input)) {
        let known = path.iter().take_while(|part| *part != "*");
        let steps: Vec<Step> = known.map(|part| Step::Field(Value::from(part.as_str()))).collect();
        reads.at(&steps).whole = true;
    }
    reads
}

/// Names, and the variables that stand for a part of `input`.
#[derive(Clone, Default)]
struct Env {
    module: usize,
    locals: Locals,
    parts: BTreeMap<String, Vec<Step>>,
}

struct Reader<'c> {
    corpus: &'c Corpus,
    reads: Reads,
    /// Rules seen, with what their arguments stand for.
    seen: BTreeSet<(usize, Vec<Option<Vec<Step>>>)>,
    /// Names used before they were declared.
    early: BTreeSet<String>,
    coarse: bool,
    fuel: u32,
}

impl Reader<'_> {
    fn definition(&mut self, definition: Definition, args: &[Option<Vec<Step>>]) {
        let corpus = self.corpus;
        let mut env = Env { module: definition.0, ..Env::default() };
        env.locals.push();
        match corpus.rule(definition) {
            Rule::Default { value, .. } => self.read(value, &mut env),
            Rule::Spec { head, bodies, .. } => {
                let head = Head::of(head);
                for (index, pattern) in head.args.iter().enumerate() {
                    self.bind(pattern, args.get(index).cloned().flatten(), &mut env);
                }
                if bodies.is_empty() {
                    self.head(&head, &mut env.clone());
                }
                for body in bodies {
                    let mut env = env.clone();
                    self.query(&body.query, &mut env);
                    match &body.assign {
                        Some(assign) => self.read(&assign.value, &mut env),
                        None => self.head(&head, &mut env),
                    }
                }
            }
        }
    }

    fn head(&mut self, head: &Head<'_>, env: &mut Env) {
        let mut refr = head.refr;
        while let Expr::RefBrack { refr: base, index, .. } = refr {
            self.read(index, env);
            refr = base;
        }
        head.key.iter().for_each(|key| self.read(key, env));
        head.assign.iter().for_each(|assign| self.read(&assign.value, env));
    }

    /// Declares the variables of a pattern that is matched with a part of `input`, or with something else.
    fn bind(&mut self, pattern: &Expr, part: Option<Vec<Step>>, env: &mut Env) {
        // Even where it is not used, it has to be there.
        part.iter().for_each(|part| self.reads.touch(part));
        match (pattern, part) {
            (Expr::Var { span, .. }, part) => self.declare(span.text(), part, env),
            (pattern, part) => {
                part.iter().for_each(|part| self.reads.at(part).whole = true);
                env.locals.declare_pattern(pattern);
                self.read(pattern, env);
            }
        }
    }

    fn declare(&mut self, name: &str, part: Option<Vec<Step>>, env: &mut Env) {
        env.locals.declare(name);
        env.parts.remove(name);
        match part {
            Some(part) if self.early.contains(name) => self.reads.at(&part).whole = true,
            Some(part) => drop(env.parts.insert(name.to_owned(), part)),
            None => {}
        }
    }

    fn query(&mut self, query: &Query, env: &mut Env) {
        env.locals.push();
        query.stmts.iter().for_each(|statement| self.statement(statement, env));
    }

    fn statement(&mut self, statement: &LiteralStmt, env: &mut Env) {
        self.coarse |= !statement.with_mods.is_empty();
        match &statement.literal {
            Literal::SomeVars { vars, .. } => vars.iter().for_each(|var| self.declare(var.text(), None, env)),
            Literal::SomeIn { key, value, collection, .. } => {
                let element = self.elements(collection, env);
                key.iter().for_each(|key| self.bind(key, None, env));
                self.bind(value, element, env);
            }
            Literal::Expr { expr, .. } | Literal::NotExpr { expr, .. } => self.read(expr, env),
            Literal::Every { key, value, domain, query, .. } => {
                let element = self.elements(domain, env);
                let mut env = env.clone();
                env.locals.push();
                key.iter().for_each(|key| self.declare(key.text(), None, &mut env));
                element.iter().for_each(|part| self.reads.touch(part));
                self.declare(value.text(), element, &mut env);
                self.query(query, &mut env);
            }
        }
    }

    /// What an element of a collection stands for.
    fn elements(&mut self, collection: &Expr, env: &mut Env) -> Option<Vec<Step>> {
        let part = self.part(collection, env);
        part.map(|part| part.into_iter().chain([Step::Each]).collect())
    }

    /// Everything the value of an expression depends on is read.
    fn read(&mut self, expr: &Expr, env: &mut Env) {
        if let Some(part) = self.part(expr, env) {
            self.reads.at(&part).whole = true;
        }
    }

    /// The part of `input` an expression stands for, not read yet. Of any other expression, everything is read.
    fn part(&mut self, expr: &Expr, env: &mut Env) -> Option<Vec<Step>> {
        let Some(fuel) = self.fuel.checked_sub(1) else {
            self.coarse = true;
            return None;
        };
        self.fuel = fuel;
        match expr {
            Expr::String { .. }
            | Expr::RawString { .. }
            | Expr::Number { .. }
            | Expr::Bool { .. }
            | Expr::Null { .. } => None,
            Expr::Var { .. } | Expr::RefDot { .. } | Expr::RefBrack { .. } => self.reference(expr, env),
            Expr::Array { items, .. } | Expr::Set { items, .. } => self.read_all(items, env),
            Expr::Object { fields, .. } => {
                fields.iter().for_each(|(_, key, value)| drop(self.read_all([key, value], env)));
                None
            }
            Expr::ArrayCompr { term, query, .. } | Expr::SetCompr { term, query, .. } => {
                self.comprehension(query, &[term], env)
            }
            Expr::ObjectCompr { key, value, query, .. } => self.comprehension(query, &[key, value], env),
            Expr::Call { fcn, params, .. } => self.call(fcn, params, env),
            Expr::UnaryExpr { expr, .. } => self.read_all([expr], env),
            Expr::BinExpr { lhs, rhs, .. } | Expr::BoolExpr { lhs, rhs, .. } | Expr::ArithExpr { lhs, rhs, .. } => {
                self.read_all([lhs, rhs], env)
            }
            Expr::AssignExpr { op: AssignOp::ColEq, lhs, rhs, .. } => {
                let part = self.part(rhs, env);
                self.bind(lhs, part, env);
                None
            }
            Expr::AssignExpr { op: AssignOp::Eq, lhs, rhs, .. } => self.read_all([rhs, lhs], env),
            Expr::Membership { key, value, collection, .. } => {
                self.read_all(key.iter().chain([value, collection]), env)
            }
        }
    }

    fn read_all<'e>(&mut self, exprs: impl IntoIterator<Item = &'e Ref<Expr>>, env: &mut Env) -> Option<Vec<Step>> {
        exprs.into_iter().for_each(|expr| self.read(expr, env));
        None
    }

    fn comprehension(&mut self, query: &Query, terms: &[&Ref<Expr>], env: &Env) -> Option<Vec<Step>> {
        let mut env = env.clone();
        self.query(query, &mut env);
        self.read_all(terms.iter().copied(), &mut env)
    }

    fn reference(&mut self, expr: &Expr, env: &mut Env) -> Option<Vec<Step>> {
        let resolved = self.corpus.modules[env.module].names.resolve(expr, &env.locals);
        if let Resolved::Path(path) = &resolved
            && path.root == Root::Data
        {
            self.rules(path, env);
            self.indices(expr, env);
            return None;
        }
        let (base, step) = match expr {
            Expr::RefDot { refr, field, .. } => (refr, Step::Field(Value::from(field.0.text()))),
            Expr::RefBrack { refr, index, .. } => (refr, self.index(index, env)),
            _ => {
                return match resolved {
                    Resolved::Local(name, _) => env.parts.get(&name).cloned(),
                    Resolved::Path(path) => Some(path.parts.into_iter().map(step_of).collect()),
                    Resolved::Other => None,
                };
            }
        };
        self.part(base, env).map(|part| part.into_iter().chain([step]).collect())
    }

    fn index(&mut self, index: &Expr, env: &mut Env) -> Step {
        match index {
            Expr::String { value, .. } | Expr::RawString { value, .. } | Expr::Number { value, .. } => {
                Step::Field(value.clone())
            }
            other => {
                self.read(other, env);
                Step::Each
            }
        }
    }

    /// Reads what stands in the brackets of a reference to a rule or data.
    fn indices(&mut self, expr: &Expr, env: &mut Env) {
        match expr {
            Expr::RefDot { refr, .. } => self.indices(refr, env),
            Expr::RefBrack { refr, index, .. } => {
                drop(self.index(index, env));
                self.indices(refr, env);
            }
            _ => {}
        }
    }

    fn rules(&mut self, path: &Path, env: &mut Env) {
        let corpus = self.corpus;
        let targets = corpus.graph.targets(path);
        if targets.is_empty() && path.bare {
            let package = corpus.modules[env.module].names.package.len();
            self.early.extend(path.known().get(package).cloned());
        }
        targets.into_iter().for_each(|node| self.rule(node, Vec::new()));
    }

    fn rule(&mut self, node: usize, args: Vec<Option<Vec<Step>>>) {
        if self.seen.insert((node, args.clone())) {
            let corpus = self.corpus;
            corpus.graph.nodes[node].definitions.iter().for_each(|definition| self.definition(*definition, &args));
        }
    }

    fn call(&mut self, fcn: &Expr, params: &[Ref<Expr>], env: &mut Env) -> Option<Vec<Step>> {
        let corpus = self.corpus;
        let target = match corpus.modules[env.module].names.resolve(fcn, &env.locals) {
            Resolved::Path(path) => path,
            Resolved::Local(..) | Resolved::Other => return self.read_all(params, env),
        };
        let node = corpus.graph.find(&target.known()).filter(|node| {
            let definitions = &corpus.graph.nodes[*node].definitions;
            definitions.iter().all(|definition| match corpus.rule(*definition) {
                Rule::Spec { head, .. } => Head::of(head).args.len() == params.len(),
                Rule::Default { .. } => true,
            })
        });
        match node {
            Some(node) => {
                let args: Vec<_> = params.iter().map(|param| self.part(param, env)).collect();
                args.iter().flatten().for_each(|part| self.reads.touch(part));
                self.rule(node, args);
            }
            None => {
                self.read_all(params, env);
                corpus.graph.targets(&target).into_iter().for_each(|node| self.rule(node, Vec::new()));
            }
        }
        None
    }
}

fn step_of(part: Part) -> Step {
    match part {
        Part::Name(name) => Step::Field(Value::from(name)),
        Part::Any => Step::Each,
    }
}

#[cfg(test)]
mod tests;
