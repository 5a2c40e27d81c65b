//! Checks over every module of a load, before anything is compiled.
//!
//! What would abort the process (recursion, depth) and what could silently never fire here (functions that need
//! a network, unknown functions) is refused by name.

use regorus::unstable::BUILTINS;

use crate::analysis::corpus::Corpus;
use crate::analysis::graph::Node;
use crate::diagnostic::{Diagnostic, Findings};
use crate::fields::nearest;
use crate::load::calls;
use crate::load::parse::MAX_DEPTH;

/// Most that a rule and the rules it uses may weigh, along the heaviest chain: 35 plain rules. The engines recurse
/// along it, up to 45 kB for a rule in a debug build; this keeps within the two megabytes of a thread's stack.
const MAX_WEIGHT: usize = 700;

/// Functions that OPA has and a policy here must not use: name (or prefix ending in `.`) and why.
const REFUSED: &[(&str, &str)] = &[
    ("http.", "rules have no network"),
    ("net.lookup_ip_addr", "rules have no network"),
    ("rand.", "a decision must not depend on chance"),
    ("uuid.rfc4122", "a decision must not depend on chance"),
    ("opa.runtime", "there is no OPA process to ask"),
    ("rego.metadata.", "annotations are read by Sentinel, not by rules"),
    ("rego.parse_module", "there is no policy parser at evaluation"),
    ("providers.aws.", "rules have no network"),
    ("trace", "traces are not kept; use `print` in tests"),
    ("crypto.", "the engine has no cryptography; hashes are in `input.process.hash`"),
    ("io.jwt.", "the engine has no cryptography"),
    ("graphql.", "the engine does not have it"),
    ("any", "it is deprecated; use `some ... in`"),
    ("all", "it is deprecated; use `every`"),
    ("re_match", "it is deprecated; use `regex.match`"),
    ("net.cidr_overlap", "it is deprecated; use `net.cidr_contains`"),
    ("set_diff", "it is deprecated; use `-`"),
    ("cast_array", "it is deprecated; test with `is_array`"),
    ("cast_set", "it is deprecated; test with `is_set`"),
    ("cast_string", "it is deprecated; test with `is_string`"),
    ("cast_boolean", "it is deprecated; test with `is_boolean`"),
    ("cast_null", "it is deprecated; test with `is_null`"),
    ("cast_object", "it is deprecated; test with `is_object`"),
];

/// Runs every check; findings are errors. Whether it is safe to go on.
pub(super) fn run(corpus: &Corpus, findings: &mut Findings) -> bool {
    let cycles = corpus.graph.cycles();
    for cycle in &cycles {
        report_cycle(corpus, cycle, findings);
    }
    let mut safe = cycles.is_empty();
    if safe {
        safe = check_depth(corpus, findings);
    }
    for node in &corpus.graph.nodes {
        check_builtins(corpus, node, findings);
    }
    calls::check(corpus, findings);
    safe
}

fn place(corpus: &Corpus, node: &Node, message: String) -> Diagnostic {
    match node.definitions.first() {
        None => Diagnostic::file("", message),
        Some(first) => {
            let (source, span) = (&corpus.modules[first.0], corpus.rule(*first).span());
            Diagnostic::at(&source.file, &source.text, span.line, span.col, message)
        }
    }
}

fn report_cycle(corpus: &Corpus, cycle: &[usize], findings: &mut Findings) {
    let Some(first) = cycle.first() else { return };
    let names: Vec<String> = cycle.iter().map(|node| corpus.graph.nodes[*node].name()).collect();
    let finding = place(corpus, &corpus.graph.nodes[*first], format!("recursion: {}", names.join(" -> ")));
    findings.error(
        finding
            .hint("a rule cannot depend on itself; a reference to a whole package counts for its rules")
            .code("recursion"),
    );
}

fn check_depth(corpus: &Corpus, findings: &mut Findings) -> bool {
    let weights = corpus.graph.weights();
    let mut safe = true;
    for (node, weight) in corpus.graph.nodes.iter().zip(weights) {
        let message = if node.depth > MAX_DEPTH {
            format!("{} nests its expressions {} deep; the limit is {MAX_DEPTH}", node.name(), node.depth)
        } else if weight > MAX_WEIGHT {
            format!("{} heads a chain of rules that is too deep to evaluate safely", node.name())
        } else {
            continue;
        };
        safe = false;
        findings.error(
            place(corpus, node, message).hint("split the expression, or shorten the chain of rules").code("too-deep"),
        );
    }
    safe
}

fn check_builtins(corpus: &Corpus, node: &Node, findings: &mut Findings) {
    for (name, definition, line, column) in &node.builtins {
        if name == "print" || BUILTINS.contains_key(name.as_str()) && refusal(name).is_none() {
            continue;
        }
        let source = &corpus.modules[definition.0];
        let at = |message: String| Diagnostic::at(&source.file, &source.text, *line, *column, message);
        findings.error(match refusal(name) {
            Some(why) => at(format!("`{name}` cannot be used in a policy: {why}")).code("refused-function"),
            None => {
                let known: Vec<&str> = BUILTINS.keys().copied().collect();
                let finding =
                    at(format!("`{name}` is neither a built-in function nor a rule")).code("unknown-function");
                match nearest(name, &known) {
                    Some(meant) => finding.hint(format!("did you mean `{meant}`?")),
                    None => finding.hint("define it, or import the package that does"),
                }
            }
        });
    }
}

/// The functions of OPA that a policy here must not use (a name, or a prefix ending in `.`), each with the reason.
pub fn refused_functions() -> impl Iterator<Item = (&'static str, &'static str)> {
    REFUSED.iter().copied()
}

fn refusal(name: &str) -> Option<&'static str> {
    let matches = |pattern: &str| if pattern.ends_with('.') { name.starts_with(pattern) } else { name == pattern };
    REFUSED.iter().find(|(pattern, _)| matches(pattern)).map(|(_, why)| *why)
}
