//! What the register machine compiles, and gets wrong: a definition that uses it runs in the interpreter.

use regorus::unstable::{Expr, Literal, Query, Rule};

use crate::analysis::corpus::Corpus;
use crate::analysis::graph::Definition;
use crate::analysis::walk::Head;

/// Why a definition must not run in the machine, itself or by what it refers to.
pub(super) fn refused(corpus: &Corpus, definition: Definition) -> Option<String> {
    let look = corpus.graph.look(corpus.rule(definition), &corpus.modules[definition.0].names);
    let below = corpus.graph.reachable(look.edges);
    let below = below.into_iter().flat_map(|node| &corpus.graph.nodes[node].definitions).copied();
    let keyed = below.chain([definition]).any(|definition| rule(corpus.rule(definition)));
    // The machine (0.14.1) looks at the value and not at the key.
    keyed.then(|| "it asks for a key and a value with `in`".to_owned())
}

fn rule(rule: &Rule) -> bool {
    match rule {
        Rule::Default { value, .. } => expr(value),
        Rule::Spec { head, bodies, .. } => {
            let head = Head::of(head);
            let assigned = bodies.iter().filter_map(|body| body.assign.as_ref()).chain(head.assign);
            assigned.map(|assign| assign.value.as_ref()).chain(head.key).any(expr)
                || bodies.iter().any(|body| query(&body.query))
        }
    }
}

fn query(statements: &Query) -> bool {
    statements.stmts.iter().any(|statement| match &statement.literal {
        Literal::SomeVars { .. } => false,
        Literal::SomeIn { collection, .. } => expr(collection),
        Literal::Expr { expr: inner, .. } | Literal::NotExpr { expr: inner, .. } => expr(inner),
        Literal::Every { domain, query: inner, .. } => expr(domain) || query(inner),
    })
}

/// Whether an expression has `key, value in collection` in it.
fn expr(expression: &Expr) -> bool {
    match expression {
        Expr::String { .. }
        | Expr::RawString { .. }
        | Expr::Number { .. }
        | Expr::Bool { .. }
        | Expr::Null { .. }
        | Expr::Var { .. } => false,
        Expr::Array { items, .. } | Expr::Set { items, .. } => items.iter().any(|item| expr(item)),
        Expr::Object { fields, .. } => fields.iter().any(|(_, key, value)| expr(key) || expr(value)),
        Expr::ArrayCompr { term, query: inner, .. } | Expr::SetCompr { term, query: inner, .. } => {
            expr(term) || query(inner)
        }
        Expr::ObjectCompr { key, value, query: inner, .. } => expr(key) || expr(value) || query(inner),
        Expr::Call { params, .. } => params.iter().any(|param| expr(param)),
        Expr::UnaryExpr { expr: inner, .. } => expr(inner),
        Expr::RefDot { refr, .. } => expr(refr),
        Expr::RefBrack { refr, index, .. } => expr(refr) || expr(index),
        Expr::BinExpr { lhs, rhs, .. }
        | Expr::BoolExpr { lhs, rhs, .. }
        | Expr::ArithExpr { lhs, rhs, .. }
        | Expr::AssignExpr { lhs, rhs, .. } => expr(lhs) || expr(rhs),
        Expr::Membership { key, value, collection, .. } => key.is_some() || expr(value) || expr(collection),
    }
}
