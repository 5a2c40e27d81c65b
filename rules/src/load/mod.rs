//! From files to [`Policies`].
//!
//! The steps, each of which reports everything it finds: read, parse, annotations, checks over all modules,
//! definitions, compilation by package, standing rules. A later step runs only where the earlier ones make it
//! safe. All of it happens on a thread with a large stack, since regorus recurses over what it is given.

mod annotation;
mod builder;
mod calls;
mod checks;
pub(crate) mod compile;
pub(crate) mod data;
mod definitions;
pub(crate) mod files;
mod groups;
pub(crate) mod guard;
mod literals;
mod machine;
mod memo;
mod metadata;
pub(crate) mod parse;
mod plans;
mod rewrite;
mod shipped;
pub(crate) mod sources;
mod standing;
mod strict;
mod undefined;

use std::sync::Arc;

use regorus::Value;
use regorus::rvm::program::Program;
use sha2::{Digest, Sha256};

use crate::analysis::corpus::Corpus;
use crate::diagnostic::{Diagnostic, Findings, LoadErrors};
use crate::policies::{LoadOptions, Policies};
use builder::Builder;
use data::Document;
use metadata::Annotations;
use parse::Text;
use sources::{Request, Sources};

pub use checks::refused_functions;
pub(crate) use groups::Group;
pub(crate) use plans::Plan;
pub(crate) use shipped::{is_shipped, names_shipped, shipped_policies, shipped_tests};

/// Stack of the thread that loads; reserved, not used, unless a policy is deep.
const STACK: usize = 256 << 20;

/// How one definition is evaluated.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// Its program; without one it runs in the interpreter.
    pub(crate) program: Option<Arc<Program>>,
    /// Its package's engine: place in [`Code::engines`].
    pub(crate) engine: usize,
    /// Path of the rule in that engine.
    pub(crate) path: String,
}

/// Everything an evaluator needs.
#[derive(Debug)]
pub(crate) struct Code {
    /// For each rule.
    pub(crate) entries: Vec<Entry>,
    /// Programs for many rules at once; a rule may be in several, for different kinds.
    pub(crate) groups: Vec<Group>,
    /// For each rule, when it need not be run.
    pub(crate) plans: Vec<Plan>,
    pub(crate) engines: Vec<regorus::Engine>,
    pub(crate) data: Value,
}

/// Reads everything that is asked for; what cannot be read is reported.
pub(crate) fn read_sources(options: &LoadOptions, findings: &mut Findings) -> Sources {
    let request = Request {
        paths: &options.paths,
        data: &options.data,
        tests: false,
        verification: &options.verification,
        defaults: &options.defaults,
    };
    let mut sources = sources::read(&request, findings);
    if options.shipped && !names_shipped(&options.paths) {
        sources.texts.extend(shipped_policies());
    }
    sources
}

/// Loads files.
pub(crate) fn load(options: &LoadOptions) -> Result<Policies, LoadErrors> {
    let mut findings = Findings::default();
    let sources = read_sources(options, &mut findings);
    on_large_stack(move || build(sources, Strictness::Strict, findings))
}

/// Whether what only a careful author would mind is an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strictness {
    /// It is: policies.
    Strict,
    /// It is not: programs that are evaluated on other inputs than events.
    Lenient,
}

/// Loads texts.
pub(crate) fn load_texts(modules: &[(&str, &str)], data: &str, strictness: Strictness) -> Result<Policies, LoadErrors> {
    let mut findings = Findings::default();
    let texts = modules.iter().map(|(file, content)| Text::new(*file, *content)).collect();
    let mut documents = Vec::new();
    if !data.is_empty() {
        match Document::read(Text::new("data.json", data), &[]) {
            Ok(document) => documents.push(document),
            Err(finding) => findings.error(*finding),
        }
    }
    let sources = Sources { texts, data: documents, bundles: Vec::new() };
    on_large_stack(move || build(sources, strictness, findings))
}

/// Runs `work` where recursion over a policy cannot overflow the stack.
pub(crate) fn on_large_stack<T: Send>(work: impl FnOnce() -> Result<T, LoadErrors> + Send) -> Result<T, LoadErrors> {
    let failure = |message: String| LoadErrors {
        errors: vec![Diagnostic::file("policies", message).code("engine")],
        notices: vec![],
    };
    std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().name("policy-load".to_owned()).stack_size(STACK);
        match builder.spawn_scoped(scope, work) {
            Ok(handle) => handle.join().unwrap_or_else(|_| Err(failure("the policy engine failed".to_owned()))),
            Err(error) => Err(failure(format!("no thread to load them on: {error}"))),
        }
    })
}

/// Modules parsed and checked, ready to be compiled.
struct Checked {
    corpus: Corpus,
    annotations: Annotations,
    safe: bool,
    /// What definitions read; nothing in a lenient load.
    read: strict::Read,
}

/// Parses and checks texts as [`load`] does, up to where code would be made.
pub(crate) fn check_all(texts: &[Text], data: &Value, findings: &mut Findings) -> Corpus {
    let checked = check(texts, data, Strictness::Strict, findings);
    definitions::find(&checked.corpus, findings);
    checked.corpus
}

/// An engine with every module of a corpus; the failure has been reported.
pub(crate) fn whole_engine(corpus: &Corpus, data: &Value, findings: &mut Findings) -> Option<regorus::Engine> {
    let engine = compile::engine(corpus, 0..corpus.modules.len(), &[], &compile::Replacements::new(), data);
    engine.map_err(|error| findings.error_elsewhere(compile::locate(corpus, &[], &error))).ok()
}

/// An engine with some modules of a corpus. The error is regorus's own text.
pub(crate) fn engine_of(
    corpus: &Corpus,
    modules: impl IntoIterator<Item = usize>,
    data: &Value,
) -> Result<regorus::Engine, String> {
    compile::engine(corpus, modules, &[], &compile::Replacements::new(), data)
}

fn check(texts: &[Text], data: &Value, strictness: Strictness, findings: &mut Findings) -> Checked {
    let mut modules = Vec::new();
    let mut annotations = Annotations::default();
    for text in texts {
        match parse::parse(text) {
            Ok((source, tokens)) => {
                annotations.add(modules.len(), &source, &tokens, findings);
                modules.push(source);
            }
            Err(finding) => findings.error(*finding),
        }
    }
    let corpus = Corpus::new(modules);
    let sound = checks::run(&corpus, findings);
    let safe = sound & undefined::check(&corpus, data, findings);
    let strict = sound && strictness == Strictness::Strict;
    let read = if strict { strict::check(&corpus, findings) } else { strict::Read::default() };
    Checked { corpus, annotations, safe, read }
}

fn build(sources: Sources, strictness: Strictness, mut findings: Findings) -> Result<Policies, LoadErrors> {
    let Sources { mut texts, data: documents, bundles } = sources;
    texts.sort_by(|a, b| a.file.cmp(&b.file));
    let data = data::merge(&documents, &mut findings);
    let sha256 = digest(&texts, &documents);
    let mut files: Vec<String> =
        texts.iter().chain(documents.iter().map(|document| &document.text)).map(|text| text.file.clone()).collect();
    files.sort();
    let checked = check(&texts, &data, strictness, &mut findings);
    let found = definitions::find(&checked.corpus, &mut findings);
    let mut builder = Builder {
        checked: &checked,
        rules: Vec::new(),
        standing: Vec::new(),
        entries: Vec::new(),
        engines: Vec::new(),
        data,
        findings,
    };
    let packages = compile::by_package(&checked.corpus, &found);
    builder.refuse_shared_ids(&packages);
    if checked.safe {
        builder.rules(&found);
        for found in packages.values() {
            builder.package(found);
        }
    }
    let Builder { rules, standing, entries, engines, data, findings, .. } = builder;
    let notices = findings.into_failure()?;
    // Without errors every definition was compiled.
    let entries: Vec<Entry> = entries.into_iter().flatten().collect();
    let compiled = |rule: usize| entries.get(rule).is_some_and(|entry| entry.program.is_some());
    let groups = groups::build(&checked.corpus, packages.values(), &rules, compiled, &data);
    let plans = plans::build(&checked.corpus, &found, &data);
    let code = Code { entries, groups, plans, engines, data };
    let packages = packages.into_keys().collect();
    Ok(Policies { rules, standing, notices, sha256, files, bundles, packages, code })
}

/// SHA-256 over names and contents in order of name, lengths first so that no two sets run together.
fn digest(texts: &[Text], data: &[Document]) -> String {
    let mut all: Vec<&Text> = texts.iter().chain(data.iter().map(|document| &document.text)).collect();
    all.sort_by(|a, b| a.file.cmp(&b.file));
    let mut hash = Sha256::new();
    for text in all {
        for part in [text.file.as_bytes(), text.text.as_bytes()] {
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        }
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
