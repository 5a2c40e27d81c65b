//! Settings of bundle verification: flags as `opa run` has them, the section `[bundle]`, and what `rules` needs.
//!
//! One key can be named by `key` or a flag; more of them, for a change of keys, have sections of their own. Keys are
//! read when policies are.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::{Context as _, Result, bail};
use rules::{SigningAlgorithm, Verification, VerificationKey};
use serde::Deserialize;

/// Id of a key that was named without one, as in `opa run`.
const DEFAULT_ID: &str = "default";

/// Flags; each has a key in `[bundle]`.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct BundleFlags {
    /// Key that bundles must be signed with: a PEM file with a public key, or a file with the secret of an HS algorithm.
    #[arg(long, value_name = "FILE")]
    verification_key: Option<PathBuf>,
    /// Id of the key to verify bundles with.
    #[arg(long, value_name = "ID")]
    verification_key_id: Option<String>,
    /// Algorithm of the key: RS256 (default), RS384, RS512, PS256, PS384, PS512, ES256, ES384, HS256, HS384 or HS512.
    #[arg(long, value_name = "NAME")]
    signing_alg: Option<SigningAlgorithm>,
    /// Scope that the signature of a bundle must have.
    #[arg(long = "scope", value_name = "TEXT")]
    signature_scope: Option<String>,
    /// Files of a bundle that need not be in its signature; `*` stops at slashes. May be repeated.
    #[arg(long, value_name = "PATTERN")]
    exclude_files_verify: Vec<String>,
    /// Load bundles without looking at their signatures.
    #[arg(long)]
    skip_verify: bool,
}

/// `[bundle]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct BundleSection {
    key: Option<PathBuf>,
    #[serde(alias = "key_id")]
    key_id: Option<String>,
    algorithm: Option<String>,
    scope: Option<String>,
    exclude: Vec<String>,
    #[serde(alias = "skip_verify")]
    skip_verify: bool,
    keys: BTreeMap<String, KeySection>,
}

/// `[bundle.keys.ID]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeySection {
    key: PathBuf,
    algorithm: Option<String>,
    #[serde(default)]
    scope: String,
}

/// Lays the flags over the section.
///
/// # Errors
///
/// An unknown algorithm; an id or scope without a key; a key that is named twice.
pub fn verification(flags: &BundleFlags, file: &BundleSection) -> Result<Verification> {
    let mut keys = BTreeMap::new();
    for (id, section) in &file.keys {
        let algorithm = algorithm(section.algorithm.as_deref())
            .with_context(|| format!("[bundle.keys.{id}] algorithm cannot be used"))?;
        keys.insert(id.clone(), VerificationKey { file: section.key.clone(), algorithm, scope: section.scope.clone() });
    }
    let mut key_id = flags.verification_key_id.clone().or_else(|| file.key_id.clone());
    if let Some(path) = flags.verification_key.clone().or_else(|| file.key.clone()) {
        let named = algorithm(file.algorithm.as_deref()).context("[bundle] algorithm cannot be used")?;
        let algorithm = flags.signing_alg.unwrap_or(named);
        let id = key_id.get_or_insert_with(|| DEFAULT_ID.to_owned()).clone();
        let key = VerificationKey { file: path, algorithm, scope: String::new() };
        if keys.insert(id.clone(), key).is_some() {
            bail!("the key \"{id}\" is named twice; give the one of [bundle] or of the command line another id");
        }
    }
    let scope = flags.signature_scope.clone().or_else(|| file.scope.clone()).unwrap_or_default();
    let skip = flags.skip_verify || file.skip_verify;
    let asks = key_id.is_some() || !scope.is_empty() || flags.signing_alg.is_some() || file.algorithm.is_some();
    if keys.is_empty() && asks && !skip {
        bail!("bundles cannot be verified: there is no key; name one with --verification-key, or as `key` in [bundle]");
    }
    let exclude = if flags.exclude_files_verify.is_empty() { &file.exclude } else { &flags.exclude_files_verify };
    Ok(Verification { keys, key_id, scope, exclude: exclude.clone(), skip })
}

fn algorithm(name: Option<&str>) -> Result<SigningAlgorithm> {
    Ok(name.map(str::parse).transpose()?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        flags: BundleFlags,
    }

    fn read(text: &str, flags: &[&str]) -> Result<Verification> {
        let line = Line::try_parse_from([&["sentinel"], flags].concat())?;
        verification(&line.flags, &toml::from_str(text)?)
    }

    #[test]
    fn nothing_configured_verifies_nothing() {
        assert!(!read("", &[]).unwrap().is_required());
    }

    #[test]
    fn the_flags_of_opa_go_over_the_file() {
        let file = "key = \"/k\"\nkey_id = \"a\"\nalgorithm = \"ES256\"\nscope = \"s\"\nexclude = [\"x\"]\n";
        let from_file = read(file, &[]).unwrap();
        let key = &from_file.keys["a"];
        assert_eq!((key.file.as_path(), key.algorithm), ("/k".as_ref(), SigningAlgorithm::Es256));
        assert_eq!((from_file.scope.as_str(), from_file.exclude.as_slice()), ("s", &["x".to_owned()][..]));
        let flags =
            ["--verification-key", "/l", "--verification-key-id", "b", "--signing-alg", "HS256", "--scope", "t"];
        let flags = read(file, &flags).unwrap();
        let key = &flags.keys["b"];
        assert_eq!((key.file.as_path(), key.algorithm), ("/l".as_ref(), SigningAlgorithm::Hs256));
        assert_eq!((flags.scope.as_str(), flags.key_id.as_deref(), flags.keys.len()), ("t", Some("b"), 1));
        let plain = read("", &["--verification-key", "/l"]).unwrap();
        assert_eq!(plain.keys["default"].algorithm, SigningAlgorithm::Rs256);
        assert!(plain.is_required() && !read("key = \"/k\"\n", &["--skip-verify"]).unwrap().is_required());
    }

    #[test]
    fn several_keys_leave_the_choice_to_the_signature() {
        let file = "[keys.old]\nkey = \"/o\"\n[keys.new]\nkey = \"/n\"\nalgorithm = \"ES384\"\nscope = \"s\"\n";
        let found = read(file, &[]).unwrap();
        assert_eq!((found.keys.len(), found.key_id), (2, None));
    }

    #[test]
    fn what_cannot_be_right_is_refused() {
        for (text, flags, part) in [
            ("algorithm = \"RS257\"\nkey = \"/k\"\n", &[][..], "RS257"),
            ("[keys.a]\nkey = \"/k\"\nalgorithm = \"none\"\n", &[], "none"),
            ("scope = \"s\"\n", &[], "there is no key"),
            ("", &["--verification-key-id", "a"], "there is no key"),
            ("keyid = \"a\"\n", &[], "unknown field"),
            ("key = \"/k\"\nkey-id = \"a\"\n[keys.a]\nkey = \"/l\"\n", &[], "named twice"),
            ("", &["--signing-alg", "none", "--verification-key", "/k"], "no signing algorithm"),
        ] {
            let error = format!("{:#}", read(text, flags).unwrap_err());
            assert!(error.contains(part), "{text} {flags:?}: {error}");
        }
    }
}
