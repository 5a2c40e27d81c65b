//! A loaded set of policies: immutable, shared by every worker.
//!
//! What is here has passed every check of a load. Loading is in `load`, evaluation in `evaluator`.

use std::path::PathBuf;
use std::sync::Arc;

use crate::analysis::FieldSet;
use crate::analysis::conditions::Formula;
use crate::bundle::{BundleInfo, Verification};
use crate::diagnostic::{Diagnostic, LoadErrors};
use crate::kind::KindSet;
use crate::load;
use crate::scope::Scope;
use crate::standing::{PathPattern, StandingEntry};
use crate::vocabulary::{Engine, Maturity, Mode, OnError, Severity, Technique, Verb};

/// What to load.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadOptions {
    /// Rego files, directories searched for `*.rego`, and OPA bundles: archives, and directories with a manifest. `*_test.rego`
    /// is left out. The word `shipped` stands for the shipped policies.
    pub paths: Vec<PathBuf>,
    /// JSON and YAML files, merged into `data`, and directories of them, whose files go where their directory says.
    pub data: Vec<PathBuf>,
    /// How bundles are verified.
    pub verification: Verification,
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
    /// What it means that it fails on an event.
    pub on_error: OnError,
    /// Whether it is to see every event: also what a process has done before to the same object.
    pub every_event: bool,
    /// Codes of warnings that its author says are meant.
    pub accept: Vec<String>,
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
    /// The paths below `input` its conditions depend on, parts of objects followed into helpers; what only a message shows is
    /// not among them. Empty in a lenient load.
    pub conditions: FieldSet,
    /// What its member says of the scope of the entry.
    pub scope: WrittenScope,
    /// Paths that its conditions ask the event's object to have; none when they ask otherwise.
    pub targets: Vec<PathPattern>,
    /// What evaluates it.
    pub engine: Engine,
}

/// What the text of a rule says of the scope of its entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WrittenScope {
    /// Nothing: the entry has the default of its kind of event.
    Default,
    /// This one.
    Is(Scope),
    /// Something that is not known before the event.
    Computed,
}

/// Why a rule need not be run on every event of its kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shortcuts {
    /// Conditions on single fields tell beforehand that it cannot fire.
    pub filtered: bool,
    /// What it gave is kept for the next event that is the same in everything the rule reads.
    pub cached: bool,
}

/// A loaded set of policies.
#[derive(Debug)]
pub struct Policies {
    pub(crate) rules: Vec<RuleInfo>,
    pub(crate) standing: Vec<StandingEntry>,
    pub(crate) notices: Vec<Diagnostic>,
    pub(crate) sha256: String,
    pub(crate) files: Vec<String>,
    pub(crate) bundles: Vec<BundleInfo>,
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

    /// Loads from texts in memory: `(name, text)`. Data is a JSON object, or empty for none. Fields of `input` that no
    /// event has, and names that nobody uses, are taken: for programs that run on other inputs than events.
    pub fn from_texts(modules: &[(&str, &str)], data: &str) -> Result<Policies, LoadErrors> {
        load::load_texts(modules, data, load::Strictness::Lenient)
    }

    /// Loads from texts in memory, held to the same as files.
    pub fn from_texts_strict(modules: &[(&str, &str)], data: &str) -> Result<Policies, LoadErrors> {
        load::load_texts(modules, data, load::Strictness::Strict)
    }

    /// The definitions of event rules; each has its index as place.
    pub fn rules(&self) -> &[RuleInfo] {
        &self.rules
    }

    /// When a rule need not be run on an event.
    pub fn shortcuts(&self, rule: &RuleInfo) -> Shortcuts {
        let plan = self.code.plans.get(rule.index as usize);
        Shortcuts {
            filtered: plan.is_some_and(|plan| plan.condition != Formula::Always),
            cached: plan.is_some_and(|plan| plan.reads.is_some()),
        }
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

    /// The bundles loaded, in the order of their names.
    pub fn bundles(&self) -> &[BundleInfo] {
        &self.bundles
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
