//! Checks members that are written out in the text, so that a wrong scope is found by `check` and not by the
//! first attack.

use regorus::Value;
use regorus::unstable::{AssignOp, Expr, Literal, Rule, RuleHead};

use crate::analysis::corpus::Corpus;
use crate::analysis::literal;
use crate::analysis::names::literal_text;
use crate::diagnostic::{Diagnostic, Findings};
use crate::fields::Problem;
use crate::load::definitions::Found;
use crate::member;
use crate::policies::{RuleInfo, WrittenScope};
use crate::scope::Object;

/// Checks the member of one definition, as far as it is literal.
pub(super) fn check(corpus: &Corpus, found: &Found, rule: &RuleInfo, findings: &mut Findings) {
    let Rule::Spec { head: RuleHead::Set { key: Some(key), .. }, .. } = corpus.rule(found.at) else { return };
    let source = &corpus.modules[found.at.0];
    let mut report = |expr: &Expr, problem: Problem| {
        let span = expr.span();
        let finding = Diagnostic::at(&source.file, &source.text, span.line, span.col, problem.message);
        findings.error(finding.hint(problem.hint).code("rule-member"));
    };
    let written = written_out(corpus, found, key);
    match written {
        Expr::Object { fields, .. } => {
            for (_, key, value) in fields {
                let Some(name) = literal_text(key) else { continue };
                check_field(rule, &name, key, value, &mut report);
            }
            if fields.iter().all(|(_, key, _)| literal_text(key).is_some_and(|name| name != "msg")) {
                report(written, Problem::new("the member has no \"msg\"").hint("say what happened, for people"));
            }
        }
        Expr::Array { .. } | Expr::Set { .. } | Expr::Number { .. } | Expr::Bool { .. } | Expr::Null { .. } => {
            let value = literal(written).unwrap_or_else(Value::new_array);
            report(written, member::wrong_type(rule.verb, &value));
        }
        _ => {}
    }
}

/// What the member of a definition says of the scope of its entry.
pub(super) fn scope(corpus: &Corpus, found: &Found) -> WrittenScope {
    let Rule::Spec { head: RuleHead::Set { key: Some(key), .. }, .. } = corpus.rule(found.at) else {
        return WrittenScope::Computed;
    };
    match written_out(corpus, found, key) {
        Expr::Object { fields, .. } => {
            let known = fields.iter().all(|(_, key, _)| literal_text(key).is_some());
            let scope = fields.iter().find(|(_, key, _)| literal_text(key).as_deref() == Some("scope"));
            match scope.map(|(_, _, value)| literal(value).and_then(|value| member::read_scope(&value).ok())) {
                Some(Some(scope)) => WrittenScope::Is(scope),
                Some(None) => WrittenScope::Computed,
                None if known => WrittenScope::Default,
                None => WrittenScope::Computed,
            }
        }
        Expr::String { .. } | Expr::RawString { .. } => WrittenScope::Default,
        // `sprintf` and its like give a message.
        Expr::Call { .. } => WrittenScope::Default,
        _ => WrittenScope::Computed,
    }
}

/// The object a variable of the head was assigned in the body, or the head's own expression.
fn written_out<'c>(corpus: &'c Corpus, found: &Found, key: &'c Expr) -> &'c Expr {
    let (Expr::Var { span, .. }, Rule::Spec { bodies, .. }) = (key, corpus.rule(found.at)) else { return key };
    for statement in bodies.iter().flat_map(|body| &body.query.stmts) {
        if let Literal::Expr { expr, .. } = &statement.literal
            && let Expr::AssignExpr { op: AssignOp::ColEq, lhs, rhs, .. } = expr.as_ref()
            && matches!(lhs.as_ref(), Expr::Var { span: name, .. } if name.text() == span.text())
        {
            return rhs;
        }
    }
    key
}

fn check_field(rule: &RuleInfo, name: &str, key: &Expr, value: &Expr, report: &mut dyn FnMut(&Expr, Problem)) {
    // A value that is not known yet still has a key that is.
    if let Err(problem) = member::check_key(rule.verb, name) {
        return report(key, problem);
    }
    match literal(value) {
        None => {}
        Some(constant) => {
            if let Err(problem) = member::check_field(rule.verb, name, &constant) {
                report(value, problem);
            } else if name == "scope" {
                check_scope(rule, value, &constant, report);
            }
        }
    }
}

/// Whether any event the rule can match has what the scope blocks.
fn check_scope(rule: &RuleInfo, at: &Expr, value: &Value, report: &mut dyn FnMut(&Expr, Problem)) {
    let Ok(scope) = member::read_scope(value) else { return };
    let fits = match scope.object {
        Object::Destination | Object::DestinationPort => rule.kinds.iter().any(|kind| kind.is_network()),
        Object::File | Object::Path => rule.kinds.iter().any(|kind| !kind.is_network()),
        Object::Cidr(_) => true,
    };
    if !fits {
        let message = format!("\"scope\": no event this rule matches has what \"{scope}\" blocks");
        report(at, Problem::new(message).hint("network events have a destination, all others a file"));
    }
}
