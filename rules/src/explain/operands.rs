//! The parts of an expression that are worth showing with their values, and the helpers it asks.

use regorus::Value;
use regorus::unstable::{AssignOp, Expr, Literal, LiteralStmt, Query};

use super::span::{expression, whole};
use crate::analysis::corpus::Corpus;
use crate::analysis::names::{Locals, Names, Path, Resolved, Root};

/// Most parts of one expression that are shown.
const MAX_PARTS: usize = 12;

/// A part: as it is called for people, and as it is evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) label: String,
    pub(super) code: String,
}

impl Part {
    fn of(expr: &Expr) -> Part {
        let code = expression(expr).to_owned();
        Part { label: one_line(&code), code }
    }
}

/// A rule of the policies that an expression asks.
#[derive(Debug, Clone)]
pub(super) struct Helper {
    /// Its place in the graph.
    pub(super) node: usize,
    /// The arguments as written; `None` for what is no function.
    pub(super) arguments: Option<Vec<String>>,
}

/// Text without line breaks and indentation.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Looks into the statements of one body.
pub(super) struct Looker<'c> {
    pub(super) corpus: &'c Corpus,
    pub(super) names: &'c Names,
    pub(super) data: &'c Value,
    /// Variables that have a value.
    pub(super) locals: Locals,
}

impl Looker<'_> {
    /// What to show of a statement that is evaluated with the variables of now.
    pub(super) fn parts(&self, statement: &LiteralStmt) -> Vec<Part> {
        let mut parts = Vec::new();
        if statement.with_mods.is_empty() {
            self.literal(&statement.literal, &mut parts);
        }
        let mut seen = std::collections::BTreeSet::new();
        parts.retain(|part| seen.insert(part.code.clone()));
        parts.truncate(MAX_PARTS);
        parts
    }

    /// Notes what variables a statement gives values.
    pub(super) fn learn(&mut self, statement: &LiteralStmt) {
        match &statement.literal {
            Literal::SomeIn { key, value, .. } => {
                key.iter().chain([value]).for_each(|pattern| self.locals.declare_pattern(pattern));
            }
            Literal::Expr { expr, .. } => self.learn_expr(expr),
            // `some x` declares; the expression after it gives the value.
            Literal::SomeVars { .. } | Literal::NotExpr { .. } | Literal::Every { .. } => {}
        }
    }

    fn learn_expr(&mut self, expr: &Expr) {
        match expr {
            Expr::AssignExpr { op: AssignOp::ColEq, lhs, .. } => self.locals.declare_pattern(lhs),
            Expr::AssignExpr { op: AssignOp::Eq, lhs, rhs, .. } => {
                for side in [lhs, rhs] {
                    if self.is_new_variable(side) {
                        self.locals.declare_pattern(side);
                    }
                    self.learn_expr(side);
                }
            }
            Expr::BoolExpr { lhs, rhs, .. } => [lhs, rhs].into_iter().for_each(|side| self.learn_expr(side)),
            Expr::RefDot { refr, .. } => self.learn_expr(refr),
            Expr::RefBrack { refr, index, .. } => {
                if self.is_new_variable(index) {
                    self.locals.declare_pattern(index);
                }
                self.learn_expr(refr);
            }
            Expr::Call { params, .. } => params.iter().for_each(|param| self.learn_expr(param)),
            _ => {}
        }
    }

    /// A name that is neither an import nor a rule nor data nor known to have a value.
    fn is_new_variable(&self, expr: &Expr) -> bool {
        matches!(expr, Expr::Var { .. }) && self.resolved(expr).is_some_and(|path| self.is_nothing(&path))
    }

    fn resolved(&self, expr: &Expr) -> Option<Path> {
        match self.names.resolve(expr, &self.locals) {
            Resolved::Path(path) => Some(path),
            Resolved::Local(..) | Resolved::Other => None,
        }
    }

    fn is_nothing(&self, path: &Path) -> bool {
        path.root == Root::Data && path.bare && self.corpus.graph.targets(path).is_empty() && !self.is_data(path)
    }

    fn is_data(&self, path: &Path) -> bool {
        let mut at = self.data;
        path.known().iter().all(|part| {
            at = &at[part.as_str()];
            *at != Value::Undefined
        })
    }

    fn literal(&self, literal: &Literal, parts: &mut Vec<Part>) {
        match literal {
            Literal::SomeVars { .. } => {}
            Literal::SomeIn { key, value, collection, .. } => {
                key.iter().chain([value, collection]).for_each(|part| self.refs(part, parts));
            }
            Literal::Expr { expr, .. } | Literal::NotExpr { expr, .. } => self.statement(expr, parts),
            Literal::Every { key, value, domain, query, .. } => {
                self.refs(domain, parts);
                let key = key.as_ref().map_or_else(|| "_".to_owned(), |key| key.text().to_owned());
                let (value, domain) = (value.text(), expression(domain));
                let query = query_text(query);
                parts.push(Part {
                    label: "those for which it does not hold".to_owned(),
                    code: format!("[{value} | some {key}, {value} in {domain}; count([1 | {query}]) == 0]"),
                });
            }
        }
    }

    /// An expression that is a statement: the sides of a comparison are shown whole.
    fn statement(&self, expr: &Expr, parts: &mut Vec<Part>) {
        let sides: Vec<&Expr> = match expr {
            Expr::BoolExpr { lhs, rhs, .. } => vec![lhs, rhs],
            Expr::Membership { key, value, collection, .. } => {
                key.iter().map(AsRef::as_ref).chain([value.as_ref(), collection.as_ref()]).collect()
            }
            _ => return self.refs(expr, parts),
        };
        for side in sides {
            let computed = matches!(side, Expr::Call { .. } | Expr::ArithExpr { .. } | Expr::BinExpr { .. });
            if computed && self.is_known(side) {
                parts.push(Part::of(side));
            }
            self.refs(side, parts);
        }
    }

    /// Whether every name in an expression has a meaning before it is evaluated.
    fn is_known(&self, expr: &Expr) -> bool {
        match expr {
            Expr::Var { .. } => !self.is_new_variable(expr),
            Expr::RefDot { refr, .. } => self.is_known(refr),
            Expr::RefBrack { refr, index, .. } => self.is_known(refr) && self.is_known(index),
            Expr::Call { params, .. } => params.iter().all(|param| self.is_known(param)),
            Expr::ArithExpr { lhs, rhs, .. } | Expr::BinExpr { lhs, rhs, .. } => {
                self.is_known(lhs) && self.is_known(rhs)
            }
            Expr::UnaryExpr { expr, .. } => self.is_known(expr),
            Expr::Array { items, .. } | Expr::Set { items, .. } => items.iter().all(|item| self.is_known(item)),
            _ => true,
        }
    }

    /// The references and variables in an expression, not those inside comprehensions.
    fn refs(&self, expr: &Expr, parts: &mut Vec<Part>) {
        match expr {
            Expr::Var { .. } | Expr::RefDot { .. } | Expr::RefBrack { .. } => self.reference(expr, parts),
            Expr::Array { items, .. } | Expr::Set { items, .. } => items.iter().for_each(|item| self.refs(item, parts)),
            Expr::Object { fields, .. } => fields.iter().for_each(|(_, _, value)| self.refs(value, parts)),
            Expr::Call { params, .. } => params.iter().for_each(|param| self.refs(param, parts)),
            Expr::UnaryExpr { expr, .. } => self.refs(expr, parts),
            Expr::BinExpr { lhs, rhs, .. }
            | Expr::BoolExpr { lhs, rhs, .. }
            | Expr::ArithExpr { lhs, rhs, .. }
            | Expr::AssignExpr { lhs, rhs, .. } => {
                self.refs(lhs, parts);
                self.refs(rhs, parts);
            }
            Expr::Membership { key, value, collection, .. } => {
                key.iter().chain([value, collection]).for_each(|part| self.refs(part, parts));
            }
            Expr::ArrayCompr { .. }
            | Expr::SetCompr { .. }
            | Expr::ObjectCompr { .. }
            | Expr::String { .. }
            | Expr::RawString { .. }
            | Expr::Number { .. }
            | Expr::Bool { .. }
            | Expr::Null { .. } => {}
        }
    }

    fn reference(&self, expr: &Expr, parts: &mut Vec<Part>) {
        match self.names.resolve(expr, &self.locals) {
            Resolved::Local(..) => parts.push(Part::of(expr)),
            Resolved::Path(path) if !self.is_nothing(&path) => parts.push(Part::of(expr)),
            Resolved::Path(_) | Resolved::Other => {}
        }
        if let Expr::RefBrack { refr, index, .. } = expr {
            self.refs(index, parts);
            if !matches!(refr.as_ref(), Expr::Var { .. } | Expr::RefDot { .. }) {
                self.refs(refr, parts);
            }
        }
    }

    /// The rules that a statement asks, in the order in which they stand.
    pub(super) fn helpers(&self, statement: &LiteralStmt) -> Vec<Helper> {
        let mut helpers = Vec::new();
        if statement.with_mods.is_empty() {
            match &statement.literal {
                Literal::Expr { expr, .. } | Literal::NotExpr { expr, .. } => self.asked(expr, &mut helpers),
                Literal::SomeIn { .. } | Literal::SomeVars { .. } | Literal::Every { .. } => {}
            }
        }
        helpers
    }

    fn asked(&self, expr: &Expr, helpers: &mut Vec<Helper>) {
        match expr {
            Expr::Call { fcn, params, .. } => {
                if let Some(node) = self.resolved(fcn).and_then(|path| self.corpus.graph.find(&path.known())) {
                    let arguments = params.iter().map(|param| expression(param).to_owned()).collect();
                    helpers.push(Helper { node, arguments: Some(arguments) });
                }
                params.iter().for_each(|param| self.asked(param, helpers));
            }
            Expr::Var { .. } | Expr::RefDot { .. } => {
                if let Some(node) = self.resolved(expr).and_then(|path| self.corpus.graph.find(&path.known())) {
                    helpers.push(Helper { node, arguments: None });
                }
            }
            Expr::UnaryExpr { expr, .. } => self.asked(expr, helpers),
            Expr::BinExpr { lhs, rhs, .. }
            | Expr::BoolExpr { lhs, rhs, .. }
            | Expr::ArithExpr { lhs, rhs, .. }
            | Expr::AssignExpr { lhs, rhs, .. } => {
                self.asked(lhs, helpers);
                self.asked(rhs, helpers);
            }
            _ => {}
        }
    }
}

/// The statements of a query, on one line each.
fn query_text(query: &Query) -> String {
    query.stmts.iter().map(|statement| whole(&statement.span)).collect::<Vec<_>>().join("\n")
}
