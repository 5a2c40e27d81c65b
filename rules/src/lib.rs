//! The Rego engine of Sentinel and the types of its decisions.
//!
//! [`Policies`] are loaded once and shared; each worker thread owns an [`Evaluator`]. Event rules (`deny`,
//! `alert`, `allow`) are compiled to regorus's register machine, each definition its own entry point, so every
//! decision names the definition it came from. Standing rules are evaluated at load into typed
//! [`StandingEntry`]s. Nothing here knows the kernel, the geo data or the alert format.
//!
//! Policies are modules of `package sentinel.<name>` in Rego v1; a module with a comment line `# rego: v0` above
//! its package is in the older language. Other packages are libraries. Annotations are `# METADATA` blocks as OPA
//! has them; below `custom`, Sentinel reads `id`, `severity`, `mitre`, `ttl`, `mode`, `maturity`, `on_error` and
//! `every_event`.
//!
//! A load refuses what would make a rule silently never fire (unknown names, functions and actions, malformed
//! members, wrong formats and patterns) and what would endanger the process (recursion, depth, unbounded results).

#![forbid(unsafe_code)]

pub mod analysis;
mod bundle;
mod countries;
mod decision;
mod diagnostic;
mod evaluator;
pub mod explain;
mod fields;
pub mod input;
mod kind;
mod load;
mod member;
mod policies;
pub mod schema;
mod scope;
pub mod standing;
mod techniques;
pub mod testing;
mod vocabulary;

pub use bundle::{BundleInfo, SigningAlgorithm, UnknownAlgorithm, Verification, VerificationKey};
pub use countries::country_name;
pub use decision::{Action, Cause, DEFAULT_TTL, Decision, EvalError, Outcome};
pub use diagnostic::{Diagnostic, LoadErrors};
pub use evaluator::{Cost, Counters, Evaluator, Limits};
pub use kind::{Kind, KindSet, UnknownKind};
pub use load::refused_functions;
pub use policies::{LoadOptions, Policies, RuleInfo, Shortcuts, WrittenScope};
pub use regorus::Value;
pub use scope::{CidrError, Object, Scope, ScopeError, Subject, parse_cidr};
pub use standing::{
    Access, AccessSet, Country, Exemption, PathPattern, Protocol, StandingEntry, StandingRule, StandingValue, Subjects,
};
pub use vocabulary::{Engine, Maturity, Mode, OnError, Severity, Technique, UnknownWord, Verb};
