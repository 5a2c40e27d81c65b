//! The keys that sign checkpoints. Each signs once: it names its successor, and is erased.
//!
//! Invariant: the key in force is always that of one of two files, whatever was interrupted; which one, the trail says. Root can
//! therefore sign what comes, but nothing that came before the last checkpoint. Erasing is overwriting and removing: what a
//! copy-on-write file system, a snapshot or a flash drive still holds of it is not in our hands.

use std::io;

use base64ct::{Base64, Encoding as _};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

use super::{
    disk::Disk,
    record::{hex, unhex},
};

/// The key in force.
pub const KEY: &str = "signing-key";
/// The one that the next checkpoint brings in force.
pub const NEXT: &str = "signing-key.next";
/// The first public key, for auditors.
pub const PUBLIC: &str = "audit.pub";
/// What stands before the key in a SubjectPublicKeyInfo of Ed25519 (RFC 8410).
const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// A public key.
pub type PublicKey = [u8; 32];

/// A key that signs.
pub struct Key {
    /// Which one, from 0.
    pub generation: u64,
    key: SigningKey,
}

/// How it is on disk.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    generation: u64,
    seed: String,
}

impl Key {
    /// A new one, of random bytes.
    ///
    /// # Errors
    ///
    /// If the system gives none.
    pub fn new(generation: u64) -> io::Result<Self> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|error| io::Error::other(format!("no random bytes: {error}")))?;
        Ok(Self { generation, key: SigningKey::from_bytes(&seed) })
    }

    /// Its public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        self.key.verifying_key().to_bytes()
    }

    /// Signs `message` for one purpose; a signature for one purpose is none for another.
    #[must_use]
    pub fn sign(&self, purpose: &str, message: &[u8]) -> String {
        hex(&self.key.sign(&with_purpose(purpose, message)).to_bytes())
    }

    /// Writes it down, so that it is there after a power cut.
    ///
    /// # Errors
    ///
    /// What the disk says.
    pub fn save(&self, disk: &mut dyn Disk, name: &str) -> io::Result<()> {
        let stored = Stored { generation: self.generation, seed: hex(self.key.as_bytes()) };
        disk.write(name, serde_json::to_string(&stored)?.as_bytes())?;
        disk.sync(name)?;
        disk.sync_directory()
    }

    /// Reads it; `None` if there is none, or not a whole one.
    #[must_use]
    pub fn load(disk: &dyn Disk, name: &str) -> Option<Self> {
        Self::parse(&disk.read(name).ok()?)
    }

    /// A key out of the content of its file.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let stored: Stored = serde_json::from_slice(bytes).ok()?;
        let seed = unhex(stored.seed.as_bytes())?;
        Some(Self { generation: stored.generation, key: SigningKey::from_bytes(&seed) })
    }
}

/// Puts the successor in the place of the key that has signed it, which is overwritten first.
pub(super) fn succeed(disk: &mut dyn Disk) -> io::Result<()> {
    if let Ok(old) = disk.read(KEY) {
        disk.overwrite(KEY, &vec![b'0'; old.len()])?;
        disk.sync(KEY)?;
    }
    disk.rename(NEXT, KEY)?;
    disk.sync_directory()
}

/// Whether a signature for this purpose is of this key.
#[must_use]
pub fn verifies(public: &PublicKey, purpose: &str, message: &[u8], signature: &str) -> bool {
    let key = VerifyingKey::from_bytes(public);
    let signature = unhex(signature.as_bytes()).map(|bytes| Signature::from_bytes(&bytes));
    match (key, signature) {
        (Ok(key), Some(signature)) => key.verify_strict(&with_purpose(purpose, message), &signature).is_ok(),
        _ => false,
    }
}

fn with_purpose(purpose: &str, message: &[u8]) -> Vec<u8> {
    [purpose.as_bytes(), b"\n", message].concat()
}

/// The public key as OpenSSL reads it.
#[must_use]
pub fn pem(public: &PublicKey) -> String {
    let der = [&SPKI[..], public].concat();
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", Base64::encode_string(&der))
}

/// A public key of a file: PEM, or 64 hexadecimal digits.
#[must_use]
pub fn parse_public(text: &str) -> Option<PublicKey> {
    let text = text.trim();
    if let Some(key) = unhex(text.as_bytes()) {
        return Some(key);
    }
    let inner = text.strip_prefix("-----BEGIN PUBLIC KEY-----")?.strip_suffix("-----END PUBLIC KEY-----")?;
    let der = Base64::decode_vec(&inner.split_whitespace().collect::<String>()).ok()?;
    der.strip_prefix(&SPKI)?.try_into().ok()
}

/// What people compare over the telephone.
#[must_use]
pub fn fingerprint(public: &PublicKey) -> String {
    let hash = super::record::Hash::of(&[&SPKI, public]);
    format!("SHA256:{}", Base64::encode_string(&hash.0).trim_end_matches('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_for_one_message_one_purpose_one_key() {
        let (key, other) = (Key::new(0).unwrap(), Key::new(1).unwrap());
        let signature = key.sign("a", b"text");
        assert!(verifies(&key.public(), "a", b"text", &signature));
        assert!(!verifies(&key.public(), "b", b"text", &signature));
        assert!(!verifies(&key.public(), "a", b"test", &signature));
        assert!(!verifies(&other.public(), "a", b"text", &signature));
        assert!(!verifies(&key.public(), "a", b"text", "00"));
    }

    #[test]
    fn public_keys_are_read_back() {
        let public = Key::new(0).unwrap().public();
        assert_eq!(parse_public(&pem(&public)), Some(public));
        assert_eq!(parse_public(&hex(&public)), Some(public));
        assert_eq!(parse_public("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"), None);
        // The public key of RFC 8032, test 1; fingerprint by `openssl pkey -pubin -outform DER | sha256sum`.
        let known = unhex(b"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a").unwrap();
        assert_eq!(pem(&known).lines().nth(1), Some("MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="));
        assert!(fingerprint(&known).starts_with("SHA256:"));
    }
}
