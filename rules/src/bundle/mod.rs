//! OPA bundles: archives and directories of policies and data, with a manifest and perhaps a signature.
//!
//! Everything of a bundle is read into memory once; what is verified are the bytes that are then used. Nothing is
//! ever written to disk. What of a bundle becomes policy and data is in `content`; fetching bundles is not here.

mod archive;
mod canonical;
mod content;
mod directory;
mod keys;
mod manifest;
mod pattern;
mod roots;
mod signature;
mod token;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::diagnostic::Diagnostic;

pub(crate) use content::read;
pub use keys::{SigningAlgorithm, UnknownAlgorithm};
pub(crate) use roots::check_overlaps;

/// Where the manifest is.
const MANIFEST: &str = ".manifest";
/// Where the signature is.
const SIGNATURES: &str = ".signatures.json";
/// Most bytes that a bundle may unpack to.
const MAX_BYTES: usize = 64 << 20;
/// Most files and directories in a bundle.
const MAX_FILES: usize = 10_000;
/// Longest name of a file in a bundle.
const MAX_NAME: usize = 1024;

/// The files of a bundle by their names, without a slash in front.
type Files = BTreeMap<String, Vec<u8>>;

/// How bundles are verified. Without a key they are not, and a signed one is refused.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verification {
    /// The keys by their ids.
    pub keys: BTreeMap<String, VerificationKey>,
    /// The key to use; `None` is the one that the signature names.
    pub key_id: Option<String>,
    /// What the `scope` of a signature has to be; empty for that of the key.
    pub scope: String,
    /// Files that need not be in the signature: patterns in which `*` stops at slashes.
    pub exclude: Vec<String>,
    /// Whether to load without looking at signatures.
    pub skip: bool,
}

/// A key, and what it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerificationKey {
    /// A PEM file with a public key; for the `HS` algorithms a file whose bytes are the secret.
    pub file: PathBuf,
    /// The algorithm of the signatures.
    pub algorithm: SigningAlgorithm,
    /// What the `scope` of its signatures has to be.
    pub scope: String,
}

impl Verification {
    /// Whether everything named as policy has to be a bundle with a good signature.
    pub fn is_required(&self) -> bool {
        !self.skip && !self.keys.is_empty()
    }
}

/// What was read of a bundle, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleInfo {
    /// The archive or directory, as it was named to the load.
    pub path: String,
    /// The revision that its manifest names; may be empty.
    pub revision: String,
    /// The parts of `data` it may fill; the empty one is all of it.
    pub roots: Vec<String>,
    /// Id of the key its signature was verified with; `None` when it was not verified.
    pub verified_by: Option<String>,
}

/// Whether a path named as policy is a bundle. When signatures are required, every directory is one: else a plain
/// directory would be a way around them.
pub(crate) fn is_bundle(path: &Path, verification: &Verification) -> bool {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            verification.is_required() || path.join(MANIFEST).is_file() || path.join(SIGNATURES).is_file()
        }
        Ok(metadata) => metadata.is_file() && (is_archive_name(path) || starts_as_gzip(path)),
        Err(_) => false,
    }
}

fn is_archive_name(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase());
    name.is_some_and(|name| name.ends_with(".tar.gz") || name.ends_with(".tgz"))
}

fn starts_as_gzip(path: &Path) -> bool {
    let mut start = [0; 2];
    File::open(path).and_then(|mut file| file.read_exact(&mut start)).is_ok() && start == [0x1f, 0x8b]
}

/// A file that is named as policy, is no bundle, and cannot be verified.
pub(crate) fn refuse_unverified(path: &Path) -> Diagnostic {
    let message = match fs::metadata(path) {
        Ok(_) => "is no bundle, so its signature cannot be verified, and a verification key is configured".to_owned(),
        Err(error) => format!("cannot be read: {error}"),
    };
    Diagnostic::file(path.display().to_string(), message)
        .hint("name a signed bundle, or run without a verification key")
}
