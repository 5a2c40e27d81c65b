//! What `opa check --strict` refuses within one module: names that are not used, and names that hide `input`, `data` or
//! an import.
//!
//! A variable that nobody uses is most often a condition that was meant and not written. Only what is declared counts
//! (`:=`, `some x`, arguments, `every`); the variables of `some ... in` may stand for "there is one". Names without a
//! value are not looked for here.

use std::collections::{BTreeMap, BTreeSet};

use regorus::unstable::{AssignOp, Expr, Import, Literal, LiteralStmt, Query, Rule, Span};

use crate::analysis::corpus::Source;
use crate::analysis::names::{plain_path, start};
use crate::analysis::reads::Fault;
use crate::analysis::walk::Head;

/// A fault with its line and column.
pub(crate) type Located = (u32, u32, Fault);

/// How a variable came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Argument,
    Assigned,
    Declared,
    /// By `some ... in`.
    Iterated,
}

struct Variable {
    line: u32,
    column: u32,
    by: By,
    used: bool,
}

#[derive(Default)]
struct Scope {
    variables: BTreeMap<String, Variable>,
    /// Names used here before anything declared them.
    early: BTreeSet<String>,
}

struct Tidy {
    scopes: Vec<Scope>,
    /// Names that no local variable has.
    outer: BTreeSet<String>,
    faults: Vec<Located>,
}

/// Looks at one module.
pub(crate) fn find(source: &Source) -> Vec<Located> {
    let mut tidy = Tidy { scopes: Vec::new(), outer: BTreeSet::new(), faults: Vec::new() };
    source.module.policy.iter().for_each(|rule| tidy.rule(rule));
    tidy.imports(&source.module.imports);
    tidy.faults
}

fn fault(span: &Span, code: &'static str, message: String, hint: &str) -> Located {
    (span.line, span.col, Fault { code, message, hint: hint.to_owned() })
}

impl Tidy {
    fn imports(&mut self, imports: &[Import]) {
        let mut known = BTreeSet::new();
        for import in imports {
            let path = plain_path(&import.refr);
            let root = path.first().map(String::as_str);
            if !matches!(root, Some("input" | "data")) {
                continue;
            }
            let alias = import.r#as.as_ref().map(|span| span.text().to_owned());
            let Some(name) = alias.or_else(|| path.last().cloned()) else { continue };
            let span = start(&import.refr);
            if import.r#as.is_some() && ["input", "data"].contains(&name.as_str()) {
                let hint = "choose another name behind `as`";
                self.faults.push(fault(span, "shadowed-name", format!("the import hides `{name}`"), hint));
            } else if !known.insert(name.clone()) {
                let message = format!("`{name}` is imported twice");
                self.faults.push(fault(span, "duplicate-import", message, "remove one, or rename it with `as`"));
            } else if !self.outer.contains(&name) {
                let message = format!("the import `{name}` is not used");
                self.faults.push(fault(span, "unused-import", message, "remove it"));
            }
        }
    }

    fn rule(&mut self, rule: &Rule) {
        match rule {
            Rule::Default { refr, value, .. } => {
                self.hides(refr, "the rule");
                self.expr(value);
            }
            Rule::Spec { head, bodies, .. } => {
                let head = Head::of(head);
                self.hides(head.refr, "the rule");
                self.scopes.push(Scope::default());
                head.args.iter().for_each(|arg| self.declare_pattern(arg, By::Argument));
                if bodies.is_empty() {
                    self.head(&head);
                }
                for body in bodies {
                    self.query(&body.query, |tidy| match &body.assign {
                        Some(assign) => tidy.expr(&assign.value),
                        None if body.is_else => {}
                        None => tidy.head(&head),
                    });
                }
                self.close();
            }
        }
    }

    fn head(&mut self, head: &Head<'_>) {
        self.brackets(head.refr);
        head.key.iter().for_each(|key| self.expr(key));
        head.assign.iter().for_each(|assign| self.expr(&assign.value));
    }

    /// The brackets of a reference, not its base.
    fn brackets(&mut self, expr: &Expr) {
        match expr {
            Expr::RefDot { refr, .. } => self.brackets(refr),
            Expr::RefBrack { refr, index, .. } => {
                self.expr(index);
                self.brackets(refr);
            }
            _ => {}
        }
    }

    /// Refuses a name that would hide `input` or `data`.
    fn hides(&mut self, expr: &Expr, what: &str) {
        if let Expr::Var { span, .. } = expr
            && ["input", "data"].contains(&span.text())
        {
            let message = format!("{what} hides `{}`", span.text());
            self.faults.push(fault(span, "shadowed-name", message, "choose another name"));
        }
    }

    fn query(&mut self, query: &Query, after: impl FnOnce(&mut Self)) {
        self.scopes.push(Scope::default());
        query.stmts.iter().for_each(|statement| self.statement(statement));
        after(self);
        self.close();
    }

    /// Ends a scope: what was declared in it and never used is a fault.
    fn close(&mut self) {
        let Some(scope) = self.scopes.pop() else { return };
        for (name, variable) in scope.variables.into_iter().filter(|(_, variable)| !variable.used) {
            let (message, hint) = match variable.by {
                By::Iterated => continue,
                By::Argument => (format!("the argument `{name}` is not used"), "write _ in its place"),
                By::Assigned => (format!("`{name}` is assigned and not used"), "use it in a condition, or remove it"),
                By::Declared => (format!("`{name}` is declared and not used"), "use it in a condition, or remove it"),
            };
            let code = "unused-variable";
            self.faults.push((variable.line, variable.column, Fault { code, message, hint: hint.to_owned() }));
        }
    }

    fn declare(&mut self, span: &Span, by: By) {
        let name = span.text();
        if name == "_" {
            return;
        }
        if ["input", "data"].contains(&name) {
            let message = format!("the variable hides `{name}`");
            return self.faults.push(fault(span, "shadowed-name", message, "choose another name"));
        }
        if let Some(scope) = self.scopes.last_mut() {
            let used = scope.early.contains(name);
            let variable = Variable { line: span.line, column: span.col, by, used };
            scope.variables.entry(name.to_owned()).or_insert(variable);
        }
    }

    fn declare_pattern(&mut self, pattern: &Expr, by: By) {
        match pattern {
            Expr::Var { span, .. } => self.declare(span, by),
            Expr::Array { items, .. } | Expr::Set { items, .. } => {
                items.iter().for_each(|item| self.declare_pattern(item, by));
            }
            Expr::Object { fields, .. } => {
                for (_, key, value) in fields {
                    self.expr(key);
                    self.declare_pattern(value, by);
                }
            }
            other => self.expr(other),
        }
    }

    fn uses(&mut self, name: &str) {
        let found = self.scopes.iter_mut().rev().find_map(|scope| scope.variables.get_mut(name));
        match found {
            Some(variable) => variable.used = true,
            None => {
                self.outer.insert(name.to_owned());
                self.scopes.iter_mut().for_each(|scope| {
                    scope.early.insert(name.to_owned());
                });
            }
        }
    }

    fn statement(&mut self, statement: &LiteralStmt) {
        for modifier in &statement.with_mods {
            self.expr(&modifier.refr);
            self.expr(&modifier.r#as);
        }
        match &statement.literal {
            Literal::SomeVars { vars, .. } => vars.iter().for_each(|var| self.declare(var, By::Declared)),
            Literal::SomeIn { key, value, collection, .. } => {
                self.expr(collection);
                key.iter().chain([value]).for_each(|pattern| self.declare_pattern(pattern, By::Iterated));
            }
            Literal::Expr { expr, .. } | Literal::NotExpr { expr, .. } => self.expr(expr),
            Literal::Every { key, value, domain, query, .. } => {
                self.expr(domain);
                self.scopes.push(Scope::default());
                key.iter().chain([value]).for_each(|var| self.declare(var, By::Declared));
                self.query(query, |_| {});
                self.close();
            }
        }
    }

    fn expr(&mut self, expr: &Expr) {
        match expr {
            Expr::String { .. }
            | Expr::RawString { .. }
            | Expr::Number { .. }
            | Expr::Bool { .. }
            | Expr::Null { .. } => {}
            Expr::Var { span, .. } => self.uses(span.text()),
            Expr::RefDot { refr, .. } => self.expr(refr),
            Expr::RefBrack { refr, index, .. } => {
                self.expr(refr);
                self.expr(index);
            }
            Expr::Array { items, .. } | Expr::Set { items, .. } => items.iter().for_each(|item| self.expr(item)),
            Expr::Object { fields, .. } => {
                for (_, key, value) in fields {
                    self.expr(key);
                    self.expr(value);
                }
            }
            Expr::ArrayCompr { term, query, .. } | Expr::SetCompr { term, query, .. } => {
                self.query(query, |tidy| tidy.expr(term));
            }
            Expr::ObjectCompr { key, value, query, .. } => self.query(query, |tidy| {
                tidy.expr(key);
                tidy.expr(value);
            }),
            Expr::Call { fcn, params, .. } => {
                self.expr(fcn);
                params.iter().for_each(|param| self.expr(param));
            }
            Expr::UnaryExpr { expr, .. } => self.expr(expr),
            Expr::BinExpr { lhs, rhs, .. } | Expr::BoolExpr { lhs, rhs, .. } | Expr::ArithExpr { lhs, rhs, .. } => {
                self.expr(lhs);
                self.expr(rhs);
            }
            Expr::AssignExpr { op: AssignOp::ColEq, lhs, rhs, .. } => {
                self.expr(rhs);
                self.declare_pattern(lhs, By::Assigned);
            }
            Expr::AssignExpr { op: AssignOp::Eq, lhs, rhs, .. } => {
                self.expr(lhs);
                self.expr(rhs);
            }
            Expr::Membership { key, value, collection, .. } => {
                key.iter().chain([value, collection]).for_each(|part| self.expr(part));
            }
        }
    }
}
