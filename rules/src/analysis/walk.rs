//! Walks a rule and reports what it refers to.
//!
//! Scopes are followed as written: a name is local from the statement that declares it on. The walk also
//! measures how deep the expressions nest, since the engines recurse over them.

use regorus::unstable::{AssignOp, BUILTINS, Expr, Literal, LiteralStmt, Query, Ref, Rule, RuleAssign, RuleHead, Span};

use crate::analysis::names::{Locals, Names, Path, Resolved, start};

/// Something a rule refers to.
#[derive(Debug)]
pub(crate) enum Item<'a> {
    /// A document or rule; or a variable, whether this use can give it its value, and in which nested bodies it stands.
    Ref(Path, &'a Span, bool, &'a [u32]),
    /// A call of a function.
    Call(Call<'a>),
}

/// A call of a function.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    /// The rule it would be, if it is none of the built-in functions.
    pub(crate) path: Option<Path>,
    /// As written.
    pub(crate) name: String,
    /// Where the name stands.
    pub(crate) span: &'a Span,
    /// Where the whole call stands.
    pub(crate) whole: &'a Span,
    pub(crate) params: &'a [Ref<Expr>],
    /// Local variables at this place.
    pub(crate) locals: &'a Locals,
    /// Whether `with` replaces what it may read.
    pub(crate) replaced: bool,
}

/// The head's expressions, whatever its form.
pub(crate) struct Head<'a> {
    pub(crate) refr: &'a Expr,
    pub(crate) args: Vec<&'a Expr>,
    /// The member of a partial set.
    pub(crate) key: Option<&'a Expr>,
    pub(crate) assign: Option<&'a RuleAssign>,
}

impl<'a> Head<'a> {
    pub(crate) fn of(head: &'a RuleHead) -> Head<'a> {
        match head {
            RuleHead::Compr { refr, assign, .. } => Head { refr, args: Vec::new(), key: None, assign: assign.as_ref() },
            RuleHead::Set { refr, key, .. } => {
                Head { refr, args: Vec::new(), key: key.as_ref().map(AsRef::as_ref), assign: None }
            }
            RuleHead::Func { refr, args, assign, .. } => {
                Head { refr, args: args.iter().map(AsRef::as_ref).collect(), key: None, assign: assign.as_ref() }
            }
        }
    }
}

/// How deep a rule nests.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Nesting {
    /// Expressions, of any kind.
    pub(crate) expressions: usize,
    /// Bodies: the rule's own, comprehensions, `every`.
    pub(crate) queries: usize,
}

/// Reports every reference of `rule` to `sink`; returns how deep it nests.
pub(crate) fn walk_rule(rule: &Rule, names: &Names, sink: &mut dyn FnMut(Item<'_>)) -> Nesting {
    let (now, deepest) = (Nesting::default(), Nesting::default());
    let mut walk = Walk {
        names,
        locals: Locals::default(),
        sink,
        now,
        deepest,
        replaced: false,
        negated: false,
        bodies: Vec::new(),
        next: 0,
    };
    walk.rule(rule);
    walk.deepest
}

struct Walk<'n, 's> {
    names: &'n Names,
    locals: Locals,
    sink: &'s mut dyn FnMut(Item<'_>),
    now: Nesting,
    deepest: Nesting,
    replaced: bool,
    /// Whether this is under `not`, where nothing gets a value.
    negated: bool,
    /// Numbers of the bodies around this place, outermost first.
    bodies: Vec<u32>,
    next: u32,
}

impl Walk<'_, '_> {
    fn rule(&mut self, rule: &Rule) {
        match rule {
            Rule::Default { value, .. } => self.expr(value),
            Rule::Spec { head, bodies, .. } => {
                let head = Head::of(head);
                self.locals.push();
                head.args.iter().for_each(|arg| self.locals.declare_pattern(arg));
                if bodies.is_empty() {
                    self.head(&head);
                }
                for body in bodies {
                    // The head's value is that of the first body; each `else` has its own.
                    self.query(&body.query, |walk| match &body.assign {
                        Some(assign) => walk.expr(&assign.value),
                        None if body.is_else => {}
                        None => walk.head(&head),
                    });
                }
                self.locals.pop();
            }
        }
    }

    fn head(&mut self, head: &Head<'_>) {
        self.brackets(head.refr);
        if let Some(key) = head.key {
            self.expr(key);
        }
        if let Some(assign) = head.assign {
            self.expr(&assign.value);
        }
    }

    /// Walks the statements, then whatever sees their variables.
    fn query(&mut self, query: &Query, after: impl FnOnce(&mut Self)) {
        self.locals.push();
        self.now.queries += 1;
        self.deepest.queries = self.deepest.queries.max(self.now.queries);
        self.bodies.push(self.next);
        self.next += 1;
        let outside = std::mem::take(&mut self.negated);
        query.stmts.iter().for_each(|statement| self.statement(statement));
        after(self);
        self.negated = outside;
        self.bodies.pop();
        self.now.queries -= 1;
        self.locals.pop();
    }

    fn statement(&mut self, statement: &LiteralStmt) {
        // The target of `with` is replaced, not read; its replacement is read.
        statement.with_mods.iter().for_each(|modifier| self.expr(&modifier.r#as));
        let outside = self.replaced;
        self.replaced |= !statement.with_mods.is_empty();
        self.literal(&statement.literal);
        self.replaced = outside;
    }

    fn literal(&mut self, literal: &Literal) {
        match literal {
            Literal::SomeVars { vars, .. } => vars.iter().for_each(|var| self.locals.declare(var.text())),
            Literal::SomeIn { key, value, collection, .. } => {
                self.expr(collection);
                for pattern in key.iter().chain([value]) {
                    self.locals.declare_pattern(pattern);
                    self.expr(pattern);
                }
            }
            Literal::Expr { expr, .. } => self.expr(expr),
            Literal::NotExpr { expr, .. } => {
                let outside = std::mem::replace(&mut self.negated, true);
                self.expr(expr);
                self.negated = outside;
            }
            Literal::Every { key, value, domain, query, .. } => {
                self.expr(domain);
                self.locals.push();
                key.iter().chain([value]).for_each(|var| self.locals.declare(var.text()));
                self.query(query, |_| {});
                self.locals.pop();
            }
        }
    }

    fn expr(&mut self, expr: &Expr) {
        self.now.expressions += 1;
        self.deepest.expressions = self.deepest.expressions.max(self.now.expressions);
        self.expr_inner(expr);
        self.now.expressions -= 1;
    }

    fn expr_inner(&mut self, expr: &Expr) {
        match expr {
            Expr::String { .. }
            | Expr::RawString { .. }
            | Expr::Number { .. }
            | Expr::Bool { .. }
            | Expr::Null { .. } => {}
            Expr::Var { .. } | Expr::RefDot { .. } | Expr::RefBrack { .. } => self.reference(expr, false),
            Expr::Array { items, .. } | Expr::Set { items, .. } => items.iter().for_each(|item| self.expr(item)),
            Expr::Object { fields, .. } => {
                for (_, key, value) in fields {
                    self.expr(key);
                    self.expr(value);
                }
            }
            Expr::ArrayCompr { term, query, .. } | Expr::SetCompr { term, query, .. } => {
                self.query(query, |walk| walk.expr(term));
            }
            Expr::ObjectCompr { key, value, query, .. } => self.query(query, |walk| {
                walk.expr(key);
                walk.expr(value);
            }),
            Expr::Call { span, fcn, params, .. } => self.call(span, fcn, params),
            Expr::UnaryExpr { expr, .. } => self.expr(expr),
            Expr::BinExpr { lhs, rhs, .. } | Expr::BoolExpr { lhs, rhs, .. } | Expr::ArithExpr { lhs, rhs, .. } => {
                self.expr(lhs);
                self.expr(rhs);
            }
            Expr::AssignExpr { op: AssignOp::ColEq, lhs, rhs, .. } => {
                self.expr(rhs);
                self.locals.declare_pattern(lhs);
                self.expr(lhs);
            }
            Expr::AssignExpr { op: AssignOp::Eq, lhs, rhs, .. } => {
                self.pattern(rhs);
                self.pattern(lhs);
            }
            Expr::Membership { key, value, collection, .. } => {
                key.iter().chain([value, collection]).for_each(|part| self.expr(part));
            }
        }
    }

    fn call(&mut self, whole: &Span, fcn: &Expr, params: &[Ref<Expr>]) {
        let path = match self.names.resolve(fcn, &self.locals) {
            Resolved::Path(path) => Some(path),
            Resolved::Local(..) | Resolved::Other => None,
        };
        let name = fcn.span().text().to_owned();
        // One argument more than the function takes is where its result goes.
        let inputs = BUILTINS.get(name.as_str()).map_or(usize::MAX, |(_, count)| usize::from(*count));
        let user = path.as_ref().is_some_and(|_| inputs == usize::MAX);
        let (locals, replaced) = (&self.locals, self.replaced);
        (self.sink)(Item::Call(Call { path, name, span: fcn.span(), whole, params, locals, replaced }));
        for (index, param) in params.iter().enumerate() {
            if index >= inputs || (user && index > 0 && index + 1 == params.len()) {
                self.pattern(param);
            } else {
                self.expr(param);
            }
        }
    }

    /// Walks an expression that can give its variables their values.
    fn pattern(&mut self, pattern: &Expr) {
        match pattern {
            Expr::Var { .. } => self.reference(pattern, true),
            Expr::Array { items, .. } => items.iter().for_each(|item| self.pattern(item)),
            Expr::Object { fields, .. } => {
                for (_, key, value) in fields {
                    self.expr(key);
                    self.pattern(value);
                }
            }
            other => self.expr(other),
        }
    }

    fn reference(&mut self, expr: &Expr, gives: bool) {
        if let Resolved::Path(path) = self.names.resolve(expr, &self.locals) {
            (self.sink)(Item::Ref(path, start(expr), gives && !self.negated, &self.bodies));
        }
        self.brackets(expr);
    }

    /// Walks what stands in the brackets of a reference, and its base when that is no name.
    fn brackets(&mut self, expr: &Expr) {
        let mut current = expr;
        loop {
            match current {
                Expr::RefDot { refr, .. } => current = refr,
                Expr::RefBrack { refr, index, .. } => {
                    self.pattern(index);
                    current = refr;
                }
                Expr::Var { .. } => return,
                other => return self.expr(other),
            }
        }
    }
}
