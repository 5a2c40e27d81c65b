//! Reads everything a load is given: files, directories and bundles, of policies and of data.
//!
//! Nothing is parsed as Rego here. Where each module and document came from is kept in its name.

use std::path::PathBuf;

use crate::bundle::{self, BundleInfo, Verification};
use crate::diagnostic::Findings;
use crate::load::data::{self, Document};
use crate::load::files;
use crate::load::parse::Text;
use crate::load::shipped;

/// What to read.
pub(crate) struct Request<'r> {
    pub(crate) paths: &'r [PathBuf],
    pub(crate) data: &'r [PathBuf],
    /// Whether modules with tests are wanted too.
    pub(crate) tests: bool,
    pub(crate) verification: &'r Verification,
    pub(crate) defaults: &'r [(String, String)],
}

/// What was read.
#[derive(Default)]
pub(crate) struct Sources {
    pub(crate) texts: Vec<Text>,
    pub(crate) data: Vec<Document>,
    pub(crate) bundles: Vec<BundleInfo>,
}

/// Reads it; what cannot be read is reported.
pub(crate) fn read(request: &Request<'_>, findings: &mut Findings) -> Sources {
    let mut sources = Sources::default();
    let verification = request.verification;
    // They are part of the program, so no signature is asked for.
    if shipped::names_shipped(request.paths) {
        sources.texts.extend(shipped::shipped_policies());
    }
    let (bundles, plain): (Vec<PathBuf>, Vec<PathBuf>) =
        shipped::without_shipped(request.paths).into_iter().partition(|path| bundle::is_bundle(path, verification));
    if verification.is_required() {
        // Not even looked into: what is there now may not be what was there when it was told from a bundle.
        plain.iter().for_each(|path| findings.error(bundle::refuse_unverified(path)));
    } else {
        let modules = files::rego_files(&plain, request.tests, findings);
        sources.texts.extend(files::read_policies(&modules, findings));
    }
    for path in files::without_doubles(bundles.into_iter().collect()) {
        if let Some(content) = bundle::read(&path, request.tests, verification, findings) {
            sources.texts.extend(content.texts);
            sources.data.extend(content.data);
            sources.bundles.push(content.info);
        }
    }
    bundle::check_overlaps(&sources.bundles, findings);
    sources.data.extend(data::read_all(request.data, findings));
    let defaults = data::unclaimed(request.defaults, &sources.data, findings);
    sources.data.extend(defaults);
    sources
}
