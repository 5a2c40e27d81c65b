//! What a bundle adds to a load: modules, and documents at the place their directory names.
//!
//! As in OPA, `*.rego` are modules wherever they are, `data.json` and `data.yaml` are documents, and other files are
//! left alone. Nothing is taken out of a bundle before its signature was verified.

use std::path::Path;

use regorus::unstable::{Lexer, Source, TokenKind};

use super::{BundleInfo, Files, Verification, archive, directory, manifest::Manifest, roots, signature};
use crate::diagnostic::{Diagnostic, Findings};
use crate::load::data::Document;
use crate::load::files::{from_bytes, is_test};
use crate::load::parse::{MAX_BYTES, Text};

/// What a bundle holds.
pub(crate) struct Content {
    pub(crate) texts: Vec<Text>,
    pub(crate) data: Vec<Document>,
    pub(crate) info: BundleInfo,
}

/// Reads and verifies a bundle; what is wrong with it is reported, and none of it is used.
pub(crate) fn read(path: &Path, tests: bool, verification: &Verification, findings: &mut Findings) -> Option<Content> {
    let bundle = path.display().to_string();
    let is_directory = path.is_dir();
    let files = if is_directory { directory::read(path) } else { archive::read(path) };
    let files = match files {
        Ok(files) => files,
        Err(message) => {
            findings.error(Diagnostic::file(bundle, format!("the bundle {message}")));
            return None;
        }
    };
    let before = findings.errors.len();
    let verified_by = signature::verify(path, is_directory, &files, verification, findings);
    if findings.errors.len() > before {
        return None;
    }
    refuse_other_kinds(&bundle, &files, findings);
    let manifest = Manifest::of(&bundle, &files, findings)?;
    let texts = modules(&bundle, &files, tests, &manifest, findings);
    let data = documents(&bundle, &files, &manifest, findings);
    let info = BundleInfo { path: bundle, revision: manifest.revision, roots: manifest.roots, verified_by };
    Some(Content { texts, data, info })
}

/// What would be missing, without a word, from a bundle that was made for something else.
fn refuse_other_kinds(bundle: &str, files: &Files, findings: &mut Findings) {
    if files.contains_key("patch.json") {
        let message = "is a delta bundle: it changes the data of another bundle";
        findings.error(Diagnostic::file(bundle, message).hint("name a whole bundle"));
    }
    let ignored = |name: &&String| ["policy.wasm", "plan.json"].contains(&base(name));
    for name in files.keys().filter(ignored) {
        findings.notice(Diagnostic::file(format!("{bundle}/{name}"), "is left alone: Sentinel runs Rego only"));
    }
}

/// The last part of a name.
fn base(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

fn modules(bundle: &str, files: &Files, tests: bool, manifest: &Manifest, findings: &mut Findings) -> Vec<Text> {
    let mut texts = Vec::new();
    for (name, bytes) in files.iter().filter(|(name, _)| name.ends_with(".rego")) {
        match from_bytes(format!("{bundle}/{name}"), bytes.clone(), MAX_BYTES.get()) {
            Ok(text) => {
                let text = Text { v0: manifest.is_v0(name), ..text };
                check_package(&text, &manifest.roots, findings);
                // Tests are held to the roots even where they are not wanted: OPA would refuse the bundle.
                if tests || !is_test(Path::new(name)) {
                    texts.push(text);
                }
            }
            Err(finding) => findings.error(finding),
        }
    }
    texts
}

/// A module whose package cannot be read is an error of its own when it is parsed.
fn check_package(text: &Text, roots: &[String], findings: &mut Findings) {
    let Some((path, line)) = package(text) else { return };
    if !roots::permit(roots, &path.join("/")) {
        let message = format!("package {} is outside of the bundle's roots: {}", path.join("."), shown(roots));
        let finding = Diagnostic::at(&text.file, &text.text, line, 1, message);
        findings.error(finding.hint("add its path to \"roots\" in the manifest"));
    }
}

fn shown(roots: &[String]) -> String {
    roots.iter().map(|root| format!("\"{root}\"")).collect::<Vec<_>>().join(", ")
}

/// The package of a module and its line, by its first tokens: parsing needs a larger stack.
fn package(text: &Text) -> Option<(Vec<String>, u32)> {
    let source = Source::from_contents(text.file.clone(), text.text.to_string()).ok()?;
    let mut lexer = Lexer::new(&source);
    let first = lexer.next_token().ok()?;
    if first.1.text() != "package" {
        return None;
    }
    let mut path = Vec::new();
    loop {
        let token = lexer.next_token().ok()?;
        match token.0 {
            TokenKind::Ident if token.1.line == first.1.line => path.push(token.1.text().to_owned()),
            TokenKind::String => path.push(token.1.text().trim_matches('"').to_owned()),
            TokenKind::Symbol if matches!(token.1.text(), "." | "[" | "]") => {}
            _ => return Some((path, first.1.line)),
        }
    }
}

fn documents(bundle: &str, files: &Files, manifest: &Manifest, findings: &mut Findings) -> Vec<Document> {
    let mut documents = Vec::new();
    let is_data = |name: &str| ["data.json", "data.yaml", "data.yml"].contains(&base(name));
    for (name, bytes) in files.iter().filter(|(name, _)| is_data(name)) {
        let mount: Vec<String> = name.split('/').map(str::to_owned).collect();
        let text = from_bytes(format!("{bundle}/{name}"), bytes.clone(), bytes.len());
        let document = text.and_then(|text| Document::read(text, &mount[..mount.len() - 1]).map_err(|error| *error));
        match document {
            Ok(document) => {
                check_document(&document, &manifest.roots, findings);
                documents.push(document);
            }
            Err(finding) => findings.error(finding),
        }
    }
    documents
}

fn check_document(document: &Document, roots: &[String], findings: &mut Findings) {
    if let Some(path) = roots::outside(roots, &document.value) {
        let message = format!("data.{} is outside of the bundle's roots: {}", path.replace('/', "."), shown(roots));
        let finding = Diagnostic::file(&document.text.file, message);
        findings.error(finding.hint("move the file, or add its path to \"roots\" in the manifest"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_read_from_the_first_tokens() {
        let package = |text: &str| package(&Text::new("a", text)).map(|(path, _)| path.join("/"));
        assert_eq!(package("# c\npackage sentinel.a\n\nx := 1\n").as_deref(), Some("sentinel/a"));
        assert_eq!(package("package sentinel[\"b c\"]\nx := 1").as_deref(), Some("sentinel/b c"));
        assert_eq!(package("package a\ndeny contains 1"), Some("a".to_owned()));
        assert_eq!(package("deny := 1\npackage a"), None);
    }
}
