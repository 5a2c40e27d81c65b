//! Finds names that never have a value.
//!
//! regorus takes a variable that nothing binds, and a rule that does not exist, as undefined: a policy with a
//! typing error would silently never fire. A bare name must be a rule, an import or a variable that some use in
//! the rule can give a value; a path below `data` that is neither a rule nor in the data is noticed.

use std::collections::BTreeSet;

use regorus::Value;

use crate::analysis::corpus::{Corpus, Source};
use crate::analysis::graph::Unknown;
use crate::diagnostic::{Diagnostic, Findings};
use crate::fields::nearest;

/// Checks every rule; whether all names have a value.
pub(super) fn check(corpus: &Corpus, data: &Value, findings: &mut Findings) -> bool {
    let before = findings.errors.len();
    for source in &corpus.modules {
        for rule in &source.module.policy {
            let unknown = corpus.graph.look(rule, &source.names).unknown;
            check_names(corpus, source, &unknown, findings);
            check_data(source, &unknown, data, findings);
        }
    }
    findings.errors.len() == before
}

/// The bare name a reference starts with.
fn bare_name(source: &Source, unknown: &Unknown) -> Option<String> {
    let known = unknown.path.known();
    known.get(source.names.package.len()).filter(|_| unknown.path.bare).cloned()
}

fn check_names(corpus: &Corpus, source: &Source, unknown: &[Unknown], findings: &mut Findings) {
    let givers: Vec<(String, &[u32])> = unknown
        .iter()
        .filter(|unknown| unknown.gives)
        .filter_map(|unknown| Some((bare_name(source, unknown)?, unknown.bodies.as_slice())))
        .collect();
    // A value given in a body holds there and in the bodies within.
    let given = |name: &str, at: &[u32]| givers.iter().any(|(known, body)| known == name && at.starts_with(body));
    let mut reported = BTreeSet::new();
    for use_ in unknown {
        let Some(name) = bare_name(source, use_).filter(|name| !given(name, &use_.bodies)) else { continue };
        if !reported.insert(name.clone()) {
            continue;
        }
        let message = format!("`{name}` has no value: it is no rule, and nothing in this rule gives it one");
        let finding =
            Diagnostic::at(&source.file, &source.text, use_.line, use_.column, message).code("unsafe-variable");
        let known = rules_of(corpus, source);
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        findings.error(match nearest(&name, &known) {
            Some(meant) => finding.hint(format!("did you mean `{meant}`?")),
            None => finding.hint("assign it with :=, declare it with `some ... in`, define it or import it"),
        });
    }
}

/// Names of the package's rules.
fn rules_of(corpus: &Corpus, source: &Source) -> BTreeSet<String> {
    let package = &source.names.package;
    let own = corpus.graph.nodes.iter().filter(|node| node.path.starts_with(package));
    own.filter_map(|node| node.path.get(package.len()).cloned()).collect()
}

fn check_data(source: &Source, unknown: &[Unknown], data: &Value, findings: &mut Findings) {
    for use_ in unknown.iter().filter(|unknown| !unknown.path.bare) {
        let known = use_.path.known();
        let mut value = data;
        let missing = known.iter().any(|part| {
            value = &value[part.as_str()];
            *value == Value::Undefined
        });
        if missing {
            let message = format!("data.{} is neither a rule nor in the data: it is undefined", known.join("."));
            let finding = Diagnostic::at(&source.file, &source.text, use_.line, use_.column, message);
            findings.notice(finding.hint("check the spelling, or load the data with --data").code("undefined-data"));
        }
    }
}
