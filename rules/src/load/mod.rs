//! From files to [`Policies`].
//!
//! The steps, each of which reports everything it finds: read, parse, annotations, checks over all modules,
//! definitions, compilation by package, standing rules. A later step runs only where the earlier ones make it
//! safe. All of it happens on a thread with a large stack, since regorus recurses over what it is given.

mod calls;
mod checks;
pub(crate) mod compile;
pub(crate) mod data;
mod definitions;
pub(crate) mod files;
mod groups;
mod guard;
mod literals;
mod metadata;
pub(crate) mod parse;
mod shipped;
mod standing;
mod undefined;

use std::path::PathBuf;
use std::sync::Arc;

use regorus::Value;
use regorus::rvm::program::Program;
use sha2::{Digest, Sha256};

use crate::analysis::corpus::Corpus;
use crate::analysis::fields_read;
use crate::analysis::kinds::Kinds;
use crate::diagnostic::{Diagnostic, Findings, LoadErrors};
use crate::kind::Kind;
use crate::load::compile::Package;
use crate::load::definitions::{Found, Role};
use crate::load::metadata::{Annotation, Annotations};
use crate::load::parse::Text;
use crate::policies::{LoadOptions, Policies, RuleInfo};
use crate::standing::StandingEntry;
use crate::vocabulary::{Engine, Severity, Verb};

pub(crate) use groups::Group;
pub(crate) use shipped::{shipped_policies, shipped_tests};

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
    pub(crate) engines: Vec<regorus::Engine>,
    pub(crate) data: Value,
}

/// Loads files.
pub(crate) fn load(options: &LoadOptions) -> Result<Policies, LoadErrors> {
    let mut findings = Findings::default();
    let mut texts = if options.shipped { shipped_policies() } else { Vec::new() };
    let paths = files::rego_files(&options.paths, false, &mut findings);
    texts.extend(files::read_policies(&paths, &mut findings));
    let data = read_data(&options.data, &mut findings);
    on_large_stack(move || build(texts, data, findings))
}

/// Loads texts.
pub(crate) fn load_texts(modules: &[(&str, &str)], data: &str) -> Result<Policies, LoadErrors> {
    let text = |file: &str, text: &str| Text { file: file.to_owned(), text: text.into() };
    let texts = modules.iter().map(|(file, content)| text(file, content)).collect();
    let data = if data.is_empty() { Vec::new() } else { vec![text("data.json", data)] };
    on_large_stack(move || build(texts, data, Findings::default()))
}

pub(crate) fn read_data(paths: &[PathBuf], findings: &mut Findings) -> Vec<Text> {
    let mut texts = Vec::new();
    for path in paths {
        match files::read_text(path, files::MAX_DATA_BYTES) {
            Ok(text) => texts.push(text),
            Err(finding) => findings.error(finding),
        }
    }
    texts
}

/// Runs `work` where recursion over a policy cannot overflow the stack.
pub(crate) fn on_large_stack<T: Send>(work: impl FnOnce() -> Result<T, LoadErrors> + Send) -> Result<T, LoadErrors> {
    let failure = |message: String| LoadErrors { errors: vec![Diagnostic::file("policies", message)], notices: vec![] };
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
}

/// Parses and checks texts as [`load`] does, up to where code would be made.
pub(crate) fn check_all(texts: &[Text], data: &Value, findings: &mut Findings) -> Corpus {
    let checked = check(texts, data, findings);
    definitions::find(&checked.corpus, findings);
    checked.corpus
}

/// An engine with every module of a corpus; the failure has been reported.
pub(crate) fn whole_engine(corpus: &Corpus, data: &Value, findings: &mut Findings) -> Option<regorus::Engine> {
    let engine = compile::engine(corpus, 0..corpus.modules.len(), &[], data);
    engine.map_err(|error| findings.error(compile::locate(corpus, &[], &error))).ok()
}

fn check(texts: &[Text], data: &Value, findings: &mut Findings) -> Checked {
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
    let safe = checks::run(&corpus, findings);
    undefined::check(&corpus, data, findings);
    Checked { corpus, annotations, safe }
}

fn build(mut texts: Vec<Text>, data_texts: Vec<Text>, mut findings: Findings) -> Result<Policies, LoadErrors> {
    texts.sort_by(|a, b| a.file.cmp(&b.file));
    let data = data::merge(&data_texts, &mut findings);
    let sha256 = digest(&texts, &data_texts);
    let mut files: Vec<String> = texts.iter().chain(&data_texts).map(|text| text.file.clone()).collect();
    files.sort();
    let checked = check(&texts, &data, &mut findings);
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
    builder.notice_shared_ids(&packages);
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
    let code = Code { entries, groups, engines, data };
    let packages = packages.into_keys().collect();
    Ok(Policies { rules, standing, notices, sha256, files, packages, code })
}

/// SHA-256 over names and contents in order of name, lengths first so that no two sets run together.
fn digest(texts: &[Text], data: &[Text]) -> String {
    let mut all: Vec<&Text> = texts.iter().chain(data).collect();
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

struct Builder<'c> {
    checked: &'c Checked,
    rules: Vec<RuleInfo>,
    standing: Vec<StandingEntry>,
    entries: Vec<Option<Entry>>,
    engines: Vec<regorus::Engine>,
    data: Value,
    findings: Findings,
}

impl Builder<'_> {
    fn annotation(&self, found: &Found) -> Annotation {
        let source = &self.checked.corpus.modules[found.at.0];
        self.checked.annotations.of(found.at.0, found.at.1, source)
    }

    /// An id says which policy spoke; two packages sharing one is a copy that was not finished.
    fn notice_shared_ids(&mut self, packages: &std::collections::BTreeMap<String, Vec<&Found>>) {
        let mut owners = std::collections::BTreeMap::<String, String>::new();
        for (package, found) in packages {
            for found in found {
                let Some(id) = self.annotation(found).id else { continue };
                let owner = owners.entry(id.clone()).or_insert_with(|| package.clone()).clone();
                if owner != *package {
                    let finding = self.at(found, format!("id \"{id}\" is also used by package {owner}"));
                    self.findings.notice(finding.hint("give each policy an id of its own"));
                }
            }
        }
    }

    fn at(&self, found: &Found, message: impl Into<String>) -> Diagnostic {
        let source = &self.checked.corpus.modules[found.at.0];
        Diagnostic::at(&source.file, &source.text, found.line, found.column, message)
    }

    /// Describes the event rules; their code comes later.
    fn rules(&mut self, found: &[Found]) {
        let mut kinds = Kinds::new(&self.checked.corpus);
        for found in found {
            if let Role::Event(verb) = found.role {
                let annotation = self.annotation(found);
                let set = kinds.of_definition(found.at);
                let rule = self.rule(found, verb, annotation, set);
                literals::check(&self.checked.corpus, found, &rule, &mut self.findings);
                self.rules.push(rule);
                self.entries.push(None);
            }
        }
        for unknown in kinds.into_unknown() {
            let source = self.checked.corpus.modules.iter().find(|source| source.file == unknown.file);
            let text = source.map_or("", |source| &source.text);
            let message = format!("\"{}\" is no event.action, so this never holds", unknown.word);
            let finding = Diagnostic::at(&unknown.file, text, unknown.line, unknown.column, message);
            let names = Kind::ALL.map(Kind::as_str);
            self.findings.error(finding.hint(match crate::fields::nearest(&unknown.word, &names) {
                Some(meant) => format!("did you mean \"{meant}\"?"),
                None => format!("events are: {}", names.join(", ")),
            }));
        }
    }

    fn rule(&mut self, found: &Found, verb: Verb, annotation: Annotation, kinds: crate::KindSet) -> RuleInfo {
        if kinds.is_empty() {
            let finding = self.at(found, format!("`{verb}` can never fire: no event has the action it asks for"));
            self.findings.notice(finding.hint("its conditions on input.event.action exclude each other"));
        }
        let source = &self.checked.corpus.modules[found.at.0];
        RuleInfo {
            index: u32::try_from(self.rules.len()).unwrap_or(u32::MAX),
            id: annotation.id.unwrap_or_else(|| found.default_id.clone()),
            package: source.package(),
            verb,
            title: annotation.title.unwrap_or_default(),
            description: annotation.description.unwrap_or_default(),
            severity: annotation.severity.unwrap_or(Severity::Medium),
            techniques: annotation.techniques.unwrap_or_default(),
            mode: annotation.mode,
            ttl: annotation.ttl,
            maturity: annotation.maturity,
            related_resources: annotation.related.unwrap_or_default(),
            file: source.file.clone(),
            line: found.line,
            kinds,
            fields: fields_read(&self.checked.corpus, found.at),
            engine: Engine::Rvm,
        }
    }

    /// Compiles the definitions of one package and evaluates its standing rules.
    fn package(&mut self, found: &[&Found]) {
        let corpus = &self.checked.corpus;
        let Some(mut package) = compile::package(corpus, found, &self.data, &mut self.findings) else { return };
        for found in found {
            match found.role {
                Role::Event(_) => self.event_rule(found, &package),
                Role::Standing(_) => {
                    let annotation = self.annotation(found);
                    let entries = standing::evaluate(corpus, &mut package, found, &annotation, &mut self.findings);
                    self.standing.extend(entries);
                }
            }
        }
        self.engines.push(package.engine);
    }

    fn event_rule(&mut self, found: &Found, package: &Package) {
        let path = compile::entry_path(&self.checked.corpus, Some(found));
        let program = match compile::program(&package.policy, &path) {
            Ok(program) => {
                if let Err(error) = compile::check_data(&program, &self.data) {
                    let finding = self.at(found, format!("data and rules define the same document: {error}"));
                    self.findings.error(finding.hint("rename one of them"));
                }
                Some(program)
            }
            Err(reason) => {
                let message = format!("`{}` runs in the interpreter, which is slower: {reason}", found.role.name());
                self.findings.notice(self.at(found, message));
                if let Some(rule) = found.rule.and_then(|rule| self.rules.get_mut(rule)) {
                    rule.engine = Engine::Interpreter { reason };
                }
                None
            }
        };
        let entry = Entry { program, engine: self.engines.len(), path };
        if let Some(slot) = found.rule.and_then(|rule| self.entries.get_mut(rule)) {
            *slot = Some(entry);
        }
    }
}
