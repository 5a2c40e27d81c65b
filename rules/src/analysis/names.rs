//! What a name in a module means: `input`, `data`, an import, a rule of the package, or a local variable.
//!
//! A reference that cannot be told from a rule counts as one, so the graph built on this may have an edge too
//! many, never one too few.

use std::collections::{BTreeMap, BTreeSet};

use regorus::unstable::{Expr, Import, Module, Span};

/// One step of a reference.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// A name known from the text.
    Name(String),
    /// Whatever a variable holds.
    Any,
}

/// The document a reference starts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Root {
    /// The event.
    Input,
    /// Policies and data.
    Data,
}

/// A resolved reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) root: Root,
    pub(crate) parts: Vec<Part>,
    /// It starts with a bare name: a rule of the package, or else a variable.
    pub(crate) bare: bool,
}

impl Path {
    /// The steps up to the first that is not known.
    pub(crate) fn known(&self) -> Vec<String> {
        let names = self.parts.iter().map_while(|part| match part {
            Part::Name(name) => Some(name.clone()),
            Part::Any => None,
        });
        names.collect()
    }
}

/// The names of one module.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    /// The package, without `data`.
    pub(crate) package: Vec<String>,
    imports: BTreeMap<String, (Root, Vec<Part>)>,
}

impl Names {
    pub(crate) fn of(module: &Module) -> Names {
        let mut names = Names { package: plain_path(&module.package.refr), imports: BTreeMap::new() };
        for import in &module.imports {
            names.add_import(import);
        }
        names
    }

    fn add_import(&mut self, import: &Import) {
        let path = plain_path(&import.refr);
        let Some((first, rest)) = path.split_first() else { return };
        let root = match first.as_str() {
            "input" => Root::Input,
            "data" => Root::Data,
            _ => return,
        };
        let alias = import.r#as.as_ref().map(|span| span.text().to_owned());
        if let Some(alias) = alias.or_else(|| path.last().cloned()) {
            let parts = rest.iter().cloned().map(Part::Name).collect();
            self.imports.insert(alias, (root, parts));
        }
    }

    /// Resolves a variable, dot or bracket expression. Brackets are left to the caller to look into.
    pub(crate) fn resolve(&self, expr: &Expr, locals: &Locals) -> Resolved {
        let (base, mut steps) = unchain(expr);
        let Expr::Var { span, .. } = base else { return Resolved::Other };
        let name = span.text();
        if locals.contains(name) {
            return Resolved::Local(name.to_owned(), steps);
        }
        let mut bare = false;
        let (root, mut parts) = match (name, self.imports.get(name)) {
            (_, Some((root, parts))) => (*root, parts.clone()),
            ("input", None) => (Root::Input, Vec::new()),
            ("data", None) => (Root::Data, Vec::new()),
            ("_", None) => return Resolved::Other,
            (_, None) => {
                bare = true;
                let package = self.package.iter().cloned().chain([name.to_owned()]);
                (Root::Data, package.map(Part::Name).collect())
            }
        };
        parts.append(&mut steps);
        Resolved::Path(Path { root, parts, bare })
    }
}

/// What a reference turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Resolved {
    /// A document or rule.
    Path(Path),
    /// A local variable and the steps below it.
    Local(String, Vec<Part>),
    /// No name at its base.
    Other,
}

/// Local variables, by nested scope.
#[derive(Debug, Clone, Default)]
pub(crate) struct Locals {
    scopes: Vec<BTreeSet<String>>,
}

impl Locals {
    pub(crate) fn push(&mut self) {
        self.scopes.push(BTreeSet::new());
    }

    pub(crate) fn pop(&mut self) {
        self.scopes.pop();
    }

    pub(crate) fn declare(&mut self, name: &str) {
        if name != "_"
            && let Some(scope) = self.scopes.last_mut()
        {
            scope.insert(name.to_owned());
        }
    }

    /// Declares every variable of a pattern.
    pub(crate) fn declare_pattern(&mut self, pattern: &Expr) {
        match pattern {
            Expr::Var { span, .. } => self.declare(span.text()),
            Expr::Array { items, .. } | Expr::Set { items, .. } => {
                items.iter().for_each(|item| self.declare_pattern(item));
            }
            Expr::Object { fields, .. } => {
                fields.iter().for_each(|(_, _, value)| self.declare_pattern(value));
            }
            _ => {}
        }
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.scopes.iter().any(|scope| scope.contains(name))
    }
}

/// Splits `a.b["c"][d]` into `a` and its steps.
fn unchain(expr: &Expr) -> (&Expr, Vec<Part>) {
    let mut steps = Vec::new();
    let mut current = expr;
    loop {
        match current {
            Expr::RefDot { refr, field, .. } => {
                steps.push(Part::Name(field.0.text().to_owned()));
                current = refr;
            }
            Expr::RefBrack { refr, index, .. } => {
                steps.push(literal_text(index).map_or(Part::Any, Part::Name));
                current = refr;
            }
            _ => break,
        }
    }
    steps.reverse();
    (current, steps)
}

/// Where an expression begins. The engine's own span of a reference or operator begins at its dot, bracket or sign.
pub(crate) fn start(expr: &Expr) -> &Span {
    match expr {
        Expr::RefDot { refr, .. } | Expr::RefBrack { refr, .. } => start(refr),
        Expr::BoolExpr { lhs, .. }
        | Expr::BinExpr { lhs, .. }
        | Expr::ArithExpr { lhs, .. }
        | Expr::AssignExpr { lhs, .. } => start(lhs),
        Expr::Call { fcn, .. } => start(fcn),
        Expr::Membership { key, value, .. } => start(key.as_ref().unwrap_or(value)),
        other => other.span(),
    }
}

/// The value of a string literal.
pub(crate) fn literal_text(expr: &Expr) -> Option<String> {
    match expr {
        Expr::String { value, .. } | Expr::RawString { value, .. } => value.as_string().ok().map(|s| s.to_string()),
        _ => None,
    }
}

/// The steps of a package, import or rule name, as far as they are literal. `x` in `m[x]` is not.
pub(crate) fn plain_path(expr: &Expr) -> Vec<String> {
    let (base, steps) = unchain(expr);
    let Expr::Var { span, .. } = base else { return Vec::new() };
    let mut path = vec![span.text().to_owned()];
    path.extend(steps.into_iter().map_while(|part| match part {
        Part::Name(name) => Some(name),
        Part::Any => None,
    }));
    path
}
