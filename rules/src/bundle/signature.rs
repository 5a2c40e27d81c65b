//! Whether a bundle is what was signed: the same files, each with the content that was hashed.
//!
//! As in OPA, a bundle without a signature is refused when a key is configured, and a signed one when none is. Every
//! file that is missing, added or changed is reported. MD5 and SHA-1, which OPA takes, are refused: two contents
//! with the same hash can be made.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use regorus::Value;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512, Sha512_224, Sha512_256};

use super::token::{self, SignedFile};
use super::{Files, MANIFEST, SIGNATURES, Verification, canonical, pattern};
use crate::diagnostic::{Diagnostic, Findings};

/// Verifies a bundle; the id of the key, unless nothing was to be verified. What is wrong is reported.
pub(super) fn verify(
    path: &Path,
    is_directory: bool,
    files: &Files,
    verification: &Verification,
    findings: &mut Findings,
) -> Option<String> {
    let bundle = path.display().to_string();
    let at_bundle = |message: String| Diagnostic::file(&bundle, message);
    let signatures = files.get(SIGNATURES);
    if verification.skip {
        let message = "the signature of the bundle is not verified: verification is switched off";
        signatures.is_some().then(|| findings.notice(at_bundle(message.to_owned())));
        return None;
    }
    let signatures = match (signatures, verification.is_required()) {
        (None, false) => return None,
        (None, true) => {
            let message = "the bundle is not signed (it has no .signatures.json), and a verification key is configured";
            findings.error(at_bundle(message.to_owned()).hint("sign it with `opa sign` or `opa build --signing-key`"));
            return None;
        }
        (Some(_), false) => {
            let message = "the bundle is signed, and no verification key is configured";
            let hint = "name the key with --verification-key, or load it unverified with --skip-verify";
            findings.error(at_bundle(message.to_owned()).hint(hint));
            return None;
        }
        (Some(signatures), true) => signatures,
    };
    let signed = token(signatures).and_then(|token| token::verify(&token, verification));
    let signed = signed.map_err(|message| findings.error(at_bundle(message))).ok()?;
    let prefix = if is_directory { prefix(path, files, &signed.files) } else { String::new() };
    compare(&bundle, &prefix, files, &signed.files, verification, findings);
    Some(signed.key_id)
}

/// The one token of the signatures file.
fn token(bytes: &[u8]) -> Result<String, String> {
    let wrong = |what: &str| format!("{SIGNATURES} {what}");
    let text = std::str::from_utf8(bytes).map_err(|_| wrong("is not UTF-8"))?;
    let value = Value::from_json_str(text).map_err(|error| wrong(&format!("is not valid JSON: {error}")))?;
    let plugin = value["plugin"].as_string().map(|name| name.to_string()).unwrap_or_default();
    if !["", "_default"].contains(&plugin.as_str()) {
        return Err(wrong(&format!("asks for the signature plugin \"{}\"", plugin.escape_debug())));
    }
    match value["signatures"].as_array().map(|list| list.as_slice()) {
        Ok([token]) => token.as_string().map(|token| token.to_string()).map_err(|_| wrong("holds no token")),
        Ok([]) | Err(_) => Err(wrong("holds no token")),
        Ok(_) => Err(wrong("holds several tokens; one is expected")),
    }
}

/// `opa sign` writes the name of a directory in front of its files. It counts when all files have it and it is how
/// the directory's path ends.
fn prefix(path: &Path, files: &Files, signed: &[SignedFile]) -> String {
    if signed.iter().any(|file| files.contains_key(plain(&file.name))) {
        return String::new();
    }
    let real = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let candidates = |path: &Path| -> Vec<String> {
        let parts = path.components().filter_map(|part| match part {
            Component::Normal(part) => part.to_str(),
            _ => None,
        });
        let parts: Vec<&str> = parts.collect();
        (0..parts.len()).map(|start| format!("{}/", parts[start..].join("/"))).collect()
    };
    let all_have = |prefix: &String| signed.iter().all(|file| plain(&file.name).starts_with(prefix.as_str()));
    let found = candidates(path).into_iter().chain(candidates(&real)).find(all_have);
    found.filter(|_| !signed.is_empty()).unwrap_or_default()
}

/// A signed name as a name in the bundle.
fn plain(name: &str) -> &str {
    name.strip_prefix('/').unwrap_or(name)
}

fn compare(
    bundle: &str,
    prefix: &str,
    files: &Files,
    signed: &[SignedFile],
    verification: &Verification,
    findings: &mut Findings,
) {
    let mut excluded = Vec::new();
    for text in &verification.exclude {
        match pattern::read(text, false) {
            Some(pattern) => excluded.push(pattern),
            None => findings
                .error(Diagnostic::file(bundle, format!("the pattern of excluded files \"{text}\" is not understood"))),
        }
    }
    let is_excluded = |name: &str| excluded.iter().any(|pattern| pattern.is_match(name));
    let mut wanted: BTreeMap<&str, &SignedFile> = BTreeMap::new();
    for file in signed {
        let name = plain(&file.name);
        if wanted.insert(name.strip_prefix(prefix).unwrap_or(name), file).is_some() {
            findings.error(Diagnostic::file(bundle, format!("the signature lists {} twice", name.escape_debug())));
        }
    }
    for (name, bytes) in files.iter().filter(|(name, _)| *name != SIGNATURES && !is_excluded(name)) {
        let finding = |message| Diagnostic::file(format!("{bundle}/{name}"), message);
        match wanted.get(name.as_str()) {
            None => findings.error(finding("is not in the signature of the bundle".to_owned())),
            Some(file) => match check(name, bytes, file) {
                Ok(()) => {}
                Err(message) => findings.error(finding(message)),
            },
        }
    }
    for name in wanted.keys().filter(|name| !files.contains_key(**name) && !is_excluded(name)) {
        let message = "is in the signature of the bundle, and not in the bundle";
        findings.error(Diagnostic::file(format!("{bundle}/{}", name.escape_debug()), message));
    }
}

/// Compares the hash of a file with the signed one.
fn check(name: &str, bytes: &[u8], signed: &SignedFile) -> Result<(), String> {
    let found = hash(name, bytes, &signed.algorithm)?;
    if found.eq_ignore_ascii_case(&signed.hash) {
        return Ok(());
    }
    let wanted = signed.hash.escape_debug();
    Err(format!("was changed after the bundle was signed: its {} is {found}, signed was {wanted}", signed.algorithm))
}

/// The hash of a file in hex: of its content where that is structured, else of its bytes.
fn hash(name: &str, bytes: &[u8], algorithm: &str) -> Result<String, String> {
    let structured;
    let bytes = if is_structured(name) {
        structured = canonical(name, bytes)?;
        structured.as_bytes()
    } else {
        bytes
    };
    match algorithm {
        "SHA-224" => Ok(hex::<Sha224>(bytes)),
        "SHA-256" => Ok(hex::<Sha256>(bytes)),
        "SHA-384" => Ok(hex::<Sha384>(bytes)),
        "SHA-512" => Ok(hex::<Sha512>(bytes)),
        "SHA-512-224" => Ok(hex::<Sha512_224>(bytes)),
        "SHA-512-256" => Ok(hex::<Sha512_256>(bytes)),
        "" => Err("has no hash algorithm in the signature".to_owned()),
        "MD5" | "SHA-1" => Err(format!("is signed with {algorithm}, which can be forged; use SHA-256")),
        other => Err(format!("has an unknown hash algorithm in the signature: \"{}\"", other.escape_debug())),
    }
}

fn hex<D: Digest>(bytes: &[u8]) -> String {
    D::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Which files OPA hashes by their content.
fn is_structured(name: &str) -> bool {
    let base = name.rsplit('/').next().unwrap_or(name);
    ["data.json", "data.yaml", MANIFEST, "signatures.json"].contains(&base)
}

fn canonical(name: &str, bytes: &[u8]) -> Result<String, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned())?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let as_json = canonical::of_json(text);
    if as_json.is_ok() || !name.ends_with(".yaml") {
        return as_json.map_err(|error| format!("is not valid JSON: {error}"));
    }
    let value = crate::load::data::from_yaml(text).map_err(|error| format!("is not valid YAML: {error}"))?;
    canonical::of_value(&value)
}

#[cfg(test)]
mod tests;
