//! Describes, compiles and evaluates the definitions of one load.

use std::collections::{BTreeMap, BTreeSet};

use regorus::{Value, unstable::Rule};
use sha2::{Digest as _, Sha256};

use super::annotation::Annotation;
use super::compile::{self, Package};
use super::definitions::{Found, Role};
use super::{Checked, Entry, literals, machine, standing};
use crate::analysis::kinds::{Kinds, Named};
use crate::analysis::needs::reads_time;
use crate::analysis::{FieldSet, fields_read};
use crate::diagnostic::{Diagnostic, Findings};
use crate::kind::{Kind, KindSet};
use crate::policies::RuleInfo;
use crate::schema;
use crate::standing::{PathPattern, StandingEntry};
use crate::vocabulary::{Engine, OnError, Severity, Verb};

/// The name of a destination, which comes from DNS answers.
const DOMAIN: &str = "destination.domain";

/// What a load has made so far.
pub(super) struct Builder<'c> {
    pub(super) checked: &'c Checked,
    pub(super) rules: Vec<RuleInfo>,
    pub(super) standing: Vec<StandingEntry>,
    pub(super) entries: Vec<Option<Entry>>,
    pub(super) engines: Vec<regorus::Engine>,
    pub(super) data: Value,
    pub(super) findings: Findings,
}

impl Builder<'_> {
    fn annotation(&self, found: &Found) -> Annotation {
        let source = &self.checked.corpus.modules[found.at.0];
        self.checked.annotations.of(found.at.0, found.at.1, source)
    }

    /// An id says which policy spoke; two packages sharing one is a copy that was not finished.
    pub(super) fn refuse_shared_ids(&mut self, packages: &BTreeMap<String, Vec<&Found>>) {
        let mut owners = BTreeMap::<String, String>::new();
        for (package, found) in packages {
            for found in found {
                let Some(id) = self.annotation(found).id else { continue };
                let owner = owners.entry(id.clone()).or_insert_with(|| package.clone()).clone();
                if owner != *package {
                    let finding = self.at(found, format!("id \"{id}\" is also used by package {owner}"));
                    self.findings.error(finding.hint("give each policy an id of its own").code("conflicting-id"));
                }
            }
        }
    }

    fn at(&self, found: &Found, message: impl Into<String>) -> Diagnostic {
        let source = &self.checked.corpus.modules[found.at.0];
        Diagnostic::at(&source.file, &source.text, found.line, found.column, message)
    }

    /// Describes the event rules; their code comes later.
    pub(super) fn rules(&mut self, found: &[Found]) {
        let mut kinds = Kinds::new(&self.checked.corpus);
        for found in found {
            if let Role::Event(verb) = found.role {
                let annotation = self.annotation(found);
                let set = kinds.of_definition(found.at);
                let targets = targets(&kinds.named(), set);
                let rule = self.rule(found, verb, annotation, set, targets);
                literals::check(&self.checked.corpus, found, &rule, &mut self.findings);
                self.rules.push(rule);
                self.entries.push(None);
            }
        }
        for unknown in kinds.into_unknown() {
            let source = self.checked.corpus.modules.iter().find(|source| source.file == unknown.file);
            let text = source.map_or("", |source| &source.text);
            let message = format!("\"{}\" is no event.action, so this never holds", unknown.word);
            let finding =
                Diagnostic::at(&unknown.file, text, unknown.line, unknown.column, message).code("unknown-action");
            let names = Kind::ALL.map(Kind::as_str);
            self.findings.error(finding.hint(match crate::fields::nearest(&unknown.word, &names) {
                Some(meant) => format!("did you mean \"{meant}\"?"),
                None => format!("events are: {}", names.join(", ")),
            }));
        }
    }

    fn rule(
        &mut self,
        found: &Found,
        verb: Verb,
        annotation: Annotation,
        kinds: KindSet,
        targets: Vec<PathPattern>,
    ) -> RuleInfo {
        if kinds.is_empty() {
            let finding = self
                .at(found, format!("`{verb}` can never fire: no event has the action it asks for"))
                .code("never-fires");
            self.findings.notice(finding.hint("its conditions on input.event.action exclude each other"));
        }
        let fields = fields_read(&self.checked.corpus, found.at);
        self.advisory_name(found, verb, &fields);
        self.absent_fields(found, kinds);
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
            on_error: annotation.on_error.unwrap_or(OnError::Alert),
            every_event: annotation.every_event.unwrap_or_else(|| reads_time(&self.checked.corpus, found.at, &fields)),
            accept: annotation.accept.unwrap_or_default(),
            related_resources: annotation.related.unwrap_or_default(),
            file: source.file.clone(),
            line: found.line,
            fingerprint: fingerprint(self.checked.corpus.rule(found.at)),
            kinds,
            fields,
            conditions: self.checked.read.conditions.get(&found.at).cloned().unwrap_or_default().into_iter().collect(),
            scope: literals::scope(&self.checked.corpus, found),
            targets,
            engine: Engine::Rvm,
        }
    }

    /// Says so when the name of a destination may decide what is refused, or kept quiet.
    fn advisory_name(&mut self, found: &Found, verb: Verb, fields: &FieldSet) {
        if verb == Verb::Alert || !fields.iter().any(|path| path == DOMAIN) {
            return;
        }
        let message = format!("`{verb}` reads input.{DOMAIN}, which is advisory: who answers DNS chooses it");
        let hint = "let no condition but those of `alert` depend on it; a block entry holds the address, not the name";
        self.findings.notice(self.at(found, message).hint(hint).code("advisory-field"));
    }

    /// Says so when a condition reads what no event that the rule matches has.
    fn absent_fields(&mut self, found: &Found, kinds: KindSet) {
        let source = &self.checked.corpus.modules[found.at.0];
        for read in self.checked.read.own.iter().filter(|read| read.definition == found.at) {
            let Some(carried) = schema::node(&read.path).map(|node| node.kinds()) else { continue };
            if kinds.is_empty() || !carried.intersection(kinds).is_empty() {
                continue;
            }
            let list = |kinds: KindSet| kinds.iter().map(Kind::as_str).collect::<Vec<_>>().join(", ");
            let message = format!("no event `{}` has `input.{}`, so this never holds", list(kinds), read.path);
            let finding = Diagnostic::at(&source.file, &source.text, read.line, read.column, message);
            self.findings.notice(finding.hint(format!("it is in events {}", list(carried))).code("field-not-in-kind"));
        }
    }

    /// Compiles the definitions of one package and evaluates its standing rules.
    pub(super) fn package(&mut self, found: &[&Found]) {
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
        let compiled = match machine::refused(&self.checked.corpus, found.at) {
            Some(reason) => Err(reason),
            None => compile::program(&package.policy, &path),
        };
        let program = match compiled {
            Ok(program) => {
                if let Err(error) = compile::check_data(&program, &self.data) {
                    let finding = self
                        .at(found, format!("data and rules define the same document: {error}"))
                        .code("data-conflict");
                    self.findings.error(finding.hint("rename one of them"));
                }
                Some(program)
            }
            Err(reason) => {
                let message = format!("`{}` runs in the interpreter, which is slower: {reason}", found.role.name());
                self.findings.notice(self.at(found, message).code("interpreted"));
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

/// The paths that conditions ask of the event's object; on exec the new image is one.
fn targets(named: &BTreeSet<Named>, kinds: KindSet) -> Vec<PathPattern> {
    let only_exec = kinds == KindSet::of(Kind::Exec);
    let of_object = |field: &str| field == "file.path" || (only_exec && field == "process.executable");
    let asked = named.iter().filter(|named| of_object(&named.field) && named.text.starts_with('/'));
    asked.map(|named| PathPattern { path: named.text.clone(), prefix: named.prefix }).collect()
}

/// Hash of a definition's own text, whatever file and line it stands in.
fn fingerprint(rule: &Rule) -> String {
    Sha256::digest(rule.span().text()).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
