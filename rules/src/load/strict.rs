//! What a load refuses although an engine would take it: fields that no event has, values of a type they never have,
//! names that nobody uses.
//!
//! The analyses are in `analysis::reads` and `analysis::tidy`; here they become findings. Test files are not held to
//! it: their `input` is what they make it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::analysis::corpus::{Corpus, Source};
use crate::analysis::graph::Definition;
use crate::analysis::reads::{self, Fault, OwnRead};
use crate::analysis::tidy;
use crate::diagnostic::{Diagnostic, Findings};
use crate::load::files::is_test;

/// What the definitions read.
#[derive(Debug, Default)]
pub(super) struct Read {
    /// In their own text.
    pub(super) own: BTreeSet<OwnRead>,
    /// In their conditions, helpers included.
    pub(super) conditions: BTreeMap<Definition, BTreeSet<String>>,
}

/// Checks every module. Needs a corpus without recursion.
pub(super) fn check(corpus: &Corpus, findings: &mut Findings) -> Read {
    let held = |source: &Source| !is_test(Path::new(&source.file));
    for source in corpus.modules.iter().filter(|source| held(source)) {
        for (line, column, fault) in tidy::find(source) {
            findings.error(finding(source, line, column, fault));
        }
    }
    let report = reads::find(corpus);
    if !report.complete {
        let message = "there is too much to follow in these policies: input fields are not checked";
        findings.notice(Diagnostic::file("policies", message).code("unchecked-input"));
    }
    for (module, line, column, fault) in report.errors {
        let source = &corpus.modules[module];
        if held(source) {
            findings.error(finding(source, line, column, fault));
        }
    }
    for (module, line, column, fault) in report.notices {
        let source = &corpus.modules[module];
        if held(source) {
            findings.notice(finding(source, line, column, fault));
        }
    }
    Read { own: report.own, conditions: report.conditions }
}

fn finding(source: &Source, line: u32, column: u32, fault: Fault) -> Diagnostic {
    Diagnostic::at(&source.file, &source.text, line, column, fault.message).hint(fault.hint).code(fault.code)
}
