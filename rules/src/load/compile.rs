//! Turns checked modules into code: one engine a package, one program a definition.
//!
//! A package's engine holds its own modules, the modules its rules reach, and the synthetic copies. Definitions
//! are compiled one by one, so what the machine cannot compile falls back to the interpreter alone. Programs are
//! stripped of sources, which evaluation does not need.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use regorus::languages::rego::compiler::Compiler;
use regorus::rvm::RegoVM;
use regorus::rvm::program::Program;
use regorus::utils::limits::PolicyLengthConfig;
use regorus::{CompiledPolicy, Value};

use crate::analysis::corpus::Corpus;
use crate::diagnostic::{Diagnostic, Findings};
use crate::load::definitions::{self, Found};
use crate::load::parse::{self, MAX_BYTES, MAX_COLUMN, MAX_LINES};
use crate::load::rewrite;

/// Marks the file name of a synthetic module.
const SYNTHETIC: &str = "#entry";

/// The code of one package.
pub(super) struct Package {
    pub(super) engine: regorus::Engine,
    pub(super) policy: CompiledPolicy,
}

/// Builds the engine of a package; the failure has been reported.
pub(super) fn package(corpus: &Corpus, found: &[&Found], data: &Value, findings: &mut Findings) -> Option<Package> {
    let built = engine(corpus, needed(corpus, found), found, &Replacements::new(), data).and_then(|mut engine| {
        let entry = entry_path(corpus, found.first().copied());
        let policy = engine.compile_with_entrypoint(&entry.into()).map_err(|error| error.to_string())?;
        Ok(Package { engine, policy })
    });
    built.map_err(|error| findings.error_elsewhere(locate(corpus, found, &error))).ok()
}

/// Texts that copies have other texts for, by module.
pub(super) type Replacements = BTreeMap<usize, Vec<definitions::Replacement>>;

/// An engine with some modules, the copies of `found` beside them, and data. The error is regorus's own text.
pub(super) fn engine(
    corpus: &Corpus,
    modules: impl IntoIterator<Item = usize>,
    found: &[&Found],
    replacements: &Replacements,
    data: &Value,
) -> Result<regorus::Engine, String> {
    let mut engine = regorus::Engine::new();
    engine.set_policy_length_config(PolicyLengthConfig {
        max_col: MAX_COLUMN.saturating_mul(std::num::NonZeroU32::MIN.saturating_add(1)),
        max_file_bytes: MAX_BYTES.saturating_mul(std::num::NonZeroUsize::MIN.saturating_add(1)),
        max_lines: MAX_LINES,
    });
    // What a policy prints is kept by the engine: standard error belongs to the daemon.
    engine.set_gather_prints(true);
    // As in the machine, and in OPA: a built-in function that fails is undefined.
    engine.set_strict_builtin_errors(false);
    let mut add = |v0: bool, file: String, text: String| {
        engine.set_rego_v0(v0);
        engine.add_policy(file, text).map(drop).map_err(|error| error.to_string())
    };
    for index in modules {
        let source = &corpus.modules[index];
        let rewritten = rewrite::replacements(source);
        add(source.v0, source.file.clone(), rewrite::apply(&source.text, &rewritten))?;
        let own: Vec<&Found> = found.iter().copied().filter(|found| found.at.0 == index).collect();
        if !own.is_empty() {
            let shared = replacements.get(&index).map(Vec::as_slice).unwrap_or_default();
            let text = definitions::synthesize(source, &own, &rewrite::merge(&rewritten, shared));
            add(source.v0, format!("{}{SYNTHETIC}", source.file), text)?;
        }
    }
    engine.add_data(data.clone()).map_err(|error| error.to_string())?;
    Ok(engine)
}

/// The modules a package needs: its own, and those of every rule its definitions reach.
pub(super) fn needed(corpus: &Corpus, found: &[&Found]) -> BTreeSet<usize> {
    let edges = found.iter().flat_map(|found| {
        let source = &corpus.modules[found.at.0];
        corpus.graph.look(corpus.rule(found.at), &source.names).edges
    });
    let reached = corpus.graph.reachable(edges);
    let modules = reached.iter().flat_map(|node| &corpus.graph.nodes[*node].definitions).map(|(module, _)| *module);
    modules.chain(found.iter().map(|found| found.at.0)).collect()
}

/// The path of a definition's copy.
pub(super) fn entry_path(corpus: &Corpus, found: Option<&Found>) -> String {
    found.map_or_else(|| "data".to_owned(), |found| rule_path(&corpus.modules[found.at.0].names.package, &found.entry))
}

/// The path of a rule as regorus wants it.
pub(crate) fn rule_path(package: &[String], rule: &str) -> String {
    let part = |part: &String| if is_name(part) { format!(".{part}") } else { format!("[{part:?}]") };
    format!("data{}.{rule}", package.iter().map(part).collect::<String>())
}

fn is_name(part: &str) -> bool {
    let mut chars = part.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Puts an error of regorus at its place in the file the user wrote.
pub(super) fn locate(corpus: &Corpus, found: &[&Found], error: &str) -> Diagnostic {
    let file = parse::file_of(error).unwrap_or_default();
    let plain = file.strip_suffix(SYNTHETIC).unwrap_or(file);
    let first = found.first().map_or(0, |found| found.at.0);
    let index = corpus.modules.iter().position(|source| source.file == plain).unwrap_or(first);
    let source = &corpus.modules[index];
    let mut finding = parse::finding(&source.file, &source.text, error);
    if file.ends_with(SYNTHETIC) {
        let own: Vec<&Found> = found.iter().copied().filter(|found| found.at.0 == index).collect();
        finding.column = definitions::original_column(&own, finding.line, finding.column);
    }
    // A synthetic name tells a user nothing.
    for found in found {
        finding.message = finding.message.replace(&found.entry, found.role.name());
    }
    finding
}

/// Compiles one rule for the machine, or says why it cannot be.
pub(super) fn program(policy: &CompiledPolicy, path: &str) -> Result<Arc<Program>, String> {
    let compiled = Compiler::compile_from_policy(policy, &[path]);
    let compiled = compiled.map_err(|error| parse::message(&error.error.to_string()))?;
    if compiled.has_host_await {
        return Err("it asks the host for a value".to_owned());
    }
    let mut program = Arc::unwrap_or_clone(compiled);
    strip(&mut program);
    Ok(Arc::new(program))
}

/// Drops what only debugging needs. The machine copies a rule's description at every call, so names and
/// empty tables in it would cost an allocation each.
fn strip(program: &mut Program) {
    program.sources = Vec::new();
    program.instruction_spans = Vec::new();
    for rule in &mut program.rule_infos {
        rule.name = String::new();
        if let Some(function) = &mut rule.function_info {
            function.param_names = Vec::new();
        }
        // A missing entry of these tables means the same as `None` and `false`.
        if rule.destructuring_blocks.iter().all(Option::is_none) {
            rule.destructuring_blocks = Vec::new();
        }
        if rule.else_bodies.iter().flatten().all(|is_else| !is_else) {
            rule.else_bodies = Vec::new();
        }
    }
}

/// Whether data and rules fill the same place, which the machine refuses.
pub(super) fn check_data(program: &Arc<Program>, data: &Value) -> Result<(), String> {
    let mut vm = RegoVM::new();
    vm.load_program(Arc::clone(program));
    vm.set_data(data.clone()).map_err(|error| error.to_string())
}

/// Groups definitions by package.
pub(super) fn by_package<'f>(corpus: &Corpus, found: &'f [Found]) -> BTreeMap<String, Vec<&'f Found>> {
    let mut packages = BTreeMap::<String, Vec<&Found>>::new();
    for found in found {
        packages.entry(corpus.modules[found.at.0].package()).or_default().push(found);
    }
    packages
}
