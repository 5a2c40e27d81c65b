//! A loaded set of policies: immutable, shared by every worker.
//!
//! What is here has passed every check of a load. Loading is in `load`, evaluation in `evaluator`.

use std::path::PathBuf;
use std::sync::Arc;

use crate::analysis::FieldSet;
use crate::diagnostic::{Diagnostic, LoadErrors};
use crate::kind::KindSet;
use crate::load;
use crate::standing::StandingEntry;
use crate::vocabulary::{Engine, Maturity, Mode, Severity, Technique, Verb};

/// What to load.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadOptions {
    /// Rego files, and directories searched for `*.rego`. `*_test.rego` is left out. The word `shipped` stands for the
    /// shipped policies.
    pub paths: Vec<PathBuf>,
    /// JSON and YAML files, merged into `data`.
    pub data: Vec<PathBuf>,
    /// Whether to load the shipped policies as well.
    pub shipped: bool,
    /// Documents that are there without a file, by name and JSON text. What a file in `data` says under the same key at the
    /// top takes their place.
    pub defaults: Vec<(String, String)>,
}

/// One definition of a `deny`, `alert` or `allow` rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleInfo {
    /// Its place in [`Policies::rules`].
    pub index: u32,
    /// Stable id: `custom.id`, else `<package>.<rule>[.n]`.
    pub id: String,
    /// The package without `data.`, as `sentinel.reverse_shell`.
    pub package: String,
    /// What it asks for.
    pub verb: Verb,
    /// Title of its annotations; may be empty.
    pub title: String,
    /// Description of its annotations; may be empty.
    pub description: String,
    /// How bad a match is, unless the member says.
    pub severity: Severity,
    /// MITRE ATT&CK techniques.
    pub techniques: Vec<Technique>,
    /// Mode of the policy; `None` is the global mode.
    pub mode: Option<Mode>,
    /// Seconds a block entry lives, unless the member says.
    pub ttl: Option<u64>,
    /// How far it has been tried, when it says.
    pub maturity: Option<Maturity>,
    /// Further reading.
    pub related_resources: Vec<String>,
    /// The file, as it was named to the load.
    pub file: String,
    /// The line of its head.
    pub line: u32,
    /// Hash of the definition's own text: as long as it stays the same, so do the rule's block entries.
    pub fingerprint: String,
    /// The kinds of event it can match.
    pub kinds: KindSet,
    /// The paths below `input` it reads, helpers included.
    pub fields: FieldSet,
    /// What evaluates it.
    pub engine: Engine,
}

/// A loaded set of policies.
#[derive(Debug)]
pub struct Policies {
    pub(crate) rules: Vec<RuleInfo>,
    pub(crate) standing: Vec<StandingEntry>,
    pub(crate) notices: Vec<Diagnostic>,
    pub(crate) sha256: String,
    pub(crate) files: Vec<String>,
    pub(crate) packages: Vec<String>,
    pub(crate) code: load::Code,
}

impl Policies {
    /// Loads, checks and compiles. Every error that can be found is in the result, not only the first.
    pub fn load(options: &LoadOptions) -> Result<Policies, LoadErrors> {
        load::load(options)
    }

    /// The policies built into this crate.
    pub fn shipped() -> Result<Policies, LoadErrors> {
        load::load(&LoadOptions { shipped: true, ..LoadOptions::default() })
    }

    /// Loads from texts in memory: `(name, text)`. Data is a JSON object, or empty for none.
    pub fn from_texts(modules: &[(&str, &str)], data: &str) -> Result<Policies, LoadErrors> {
        load::load_texts(modules, data)
    }

    /// The definitions of event rules; each has its index as place.
    pub fn rules(&self) -> &[RuleInfo] {
        &self.rules
    }

    /// The members of standing rules.
    pub fn standing(&self) -> &[StandingEntry] {
        &self.standing
    }

    /// Warnings of the load.
    pub fn notices(&self) -> &[Diagnostic] {
        &self.notices
    }

    /// SHA-256 over the sorted names and contents of everything loaded, in hex.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// What policies see as `data`: the merged documents.
    pub fn data(&self) -> &regorus::Value {
        &self.code.data
    }

    /// The files loaded, policies and data, sorted.
    pub fn files(&self) -> &[String] {
        &self.files
    }

    /// The packages that hold event or standing rules, sorted.
    pub fn packages(&self) -> &[String] {
        &self.packages
    }

    /// Shares the set.
    pub fn shared(self) -> Arc<Policies> {
        Arc::new(self)
    }
}
