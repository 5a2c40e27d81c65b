//! Keys, and the check of one signature.
//!
//! The algorithm is the one configured with the key, never the one that a signature asks for. Only public keys and
//! secrets are used here; nothing is signed or decrypted.

use std::fmt;
use std::fs;
use std::str::FromStr;

use hmac::{Hmac, KeyInit as _, Mac as _};
use p256::ecdsa::signature::Verifier;
use rsa::pkcs1::DecodeRsaPublicKey as _;
use rsa::pkcs8::DecodePublicKey;
use rsa::traits::PublicKeyParts as _;
use rsa::{RsaPublicKey, pkcs1v15, pss};
use sha2::{Sha256, Sha384, Sha512};

use super::VerificationKey;

/// Largest file with a key.
const MAX_KEY_BYTES: u64 = 64 << 10;
/// Shortest RSA key.
const MIN_RSA_BITS: u32 = 2048;

/// The algorithm of a signature, by its name in JSON Web Signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SigningAlgorithm {
    /// RSA with PKCS#1 v1.5 and SHA-256.
    #[default]
    Rs256,
    /// RSA with PKCS#1 v1.5 and SHA-384.
    Rs384,
    /// RSA with PKCS#1 v1.5 and SHA-512.
    Rs512,
    /// RSA with PSS and SHA-256.
    Ps256,
    /// RSA with PSS and SHA-384.
    Ps384,
    /// RSA with PSS and SHA-512.
    Ps512,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// HMAC with SHA-256.
    Hs256,
    /// HMAC with SHA-384.
    Hs384,
    /// HMAC with SHA-512.
    Hs512,
}

/// Every algorithm and its name.
const NAMES: &[(SigningAlgorithm, &str)] = &[
    (SigningAlgorithm::Rs256, "RS256"),
    (SigningAlgorithm::Rs384, "RS384"),
    (SigningAlgorithm::Rs512, "RS512"),
    (SigningAlgorithm::Ps256, "PS256"),
    (SigningAlgorithm::Ps384, "PS384"),
    (SigningAlgorithm::Ps512, "PS512"),
    (SigningAlgorithm::Es256, "ES256"),
    (SigningAlgorithm::Es384, "ES384"),
    (SigningAlgorithm::Hs256, "HS256"),
    (SigningAlgorithm::Hs384, "HS384"),
    (SigningAlgorithm::Hs512, "HS512"),
];

impl fmt::Display for SigningAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAMES.iter().find(|(algorithm, _)| algorithm == self).map_or("", |(_, name)| name))
    }
}

/// A word that names no algorithm.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{0}\" is no signing algorithm; use RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, HS256, HS384 or HS512"
)]
pub struct UnknownAlgorithm(String);

impl FromStr for SigningAlgorithm {
    type Err = UnknownAlgorithm;

    fn from_str(text: &str) -> Result<SigningAlgorithm, UnknownAlgorithm> {
        let known = NAMES.iter().find(|(_, name)| *name == text);
        known.map(|(algorithm, _)| *algorithm).ok_or_else(|| UnknownAlgorithm(text.to_owned()))
    }
}

/// A key ready to be used.
pub(super) enum Key {
    Rsa(RsaPublicKey),
    P256(p256::ecdsa::VerifyingKey),
    P384(p384::ecdsa::VerifyingKey),
    Secret(Vec<u8>),
}

/// Reads the file of a key.
pub(super) fn load(wanted: &VerificationKey) -> Result<Key, String> {
    let unreadable = |error: std::io::Error| format!("the verification key cannot be read: {error}");
    let metadata = fs::metadata(&wanted.file).map_err(unreadable)?;
    if !metadata.is_file() || metadata.len() > MAX_KEY_BYTES {
        return Err("the verification key is no regular file of at most 64 KiB".to_owned());
    }
    parse(wanted.algorithm, fs::read(&wanted.file).map_err(unreadable)?)
}

/// Makes a key of what its file holds.
pub(super) fn parse(algorithm: SigningAlgorithm, bytes: Vec<u8>) -> Result<Key, String> {
    use SigningAlgorithm as Alg;
    let pem = String::from_utf8(bytes.clone()).ok().filter(|text| text.contains("-----BEGIN"));
    match algorithm {
        Alg::Hs256 | Alg::Hs384 | Alg::Hs512 => match (pem, bytes.is_empty()) {
            (Some(_), _) => Err(format!("the verification key is a PEM file, and {algorithm} needs a secret")),
            (None, true) => Err("the verification key is an empty file".to_owned()),
            (None, false) => Ok(Key::Secret(bytes)),
        },
        _ => {
            let pem = pem.ok_or_else(|| format!("the verification key is no PEM file, which {algorithm} needs"))?;
            if pem.contains("PRIVATE KEY-----") {
                return Err("the verification key is a private key; verifying needs the public one only, \
                            as `openssl pkey -in KEY -pubout` prints it"
                    .to_owned());
            }
            let wrong = || format!("the verification key is no public key for {algorithm}");
            match algorithm {
                Alg::Es256 => DecodePublicKey::from_public_key_pem(&pem).map(Key::P256).map_err(|_| wrong()),
                Alg::Es384 => DecodePublicKey::from_public_key_pem(&pem).map(Key::P384).map_err(|_| wrong()),
                _ => rsa_key(&pem).ok_or_else(wrong)?.map(Key::Rsa),
            }
        }
    }
}

/// An RSA key in either of the two forms; the inner error is about its length.
fn rsa_key(pem: &str) -> Option<Result<RsaPublicKey, String>> {
    let key = RsaPublicKey::from_public_key_pem(pem).ok().or_else(|| RsaPublicKey::from_pkcs1_pem(pem).ok())?;
    let bits = key.n().bits();
    let short = || format!("the verification key has {bits} bits; at least {MIN_RSA_BITS} are needed");
    Some(if bits < MIN_RSA_BITS { Err(short()) } else { Ok(key) })
}

/// Whether the signature is that of the message.
pub(super) fn verifies(algorithm: SigningAlgorithm, key: &Key, message: &[u8], signature: &[u8]) -> bool {
    use SigningAlgorithm as Alg;
    match (algorithm, key) {
        (Alg::Rs256, Key::Rsa(key)) => rs(&pkcs1v15::VerifyingKey::<Sha256>::new(key.clone()), message, signature),
        (Alg::Rs384, Key::Rsa(key)) => rs(&pkcs1v15::VerifyingKey::<Sha384>::new(key.clone()), message, signature),
        (Alg::Rs512, Key::Rsa(key)) => rs(&pkcs1v15::VerifyingKey::<Sha512>::new(key.clone()), message, signature),
        (Alg::Ps256, Key::Rsa(key)) => ps(&pss::VerifyingKey::<Sha256>::new(key.clone()), message, signature),
        (Alg::Ps384, Key::Rsa(key)) => ps(&pss::VerifyingKey::<Sha384>::new(key.clone()), message, signature),
        (Alg::Ps512, Key::Rsa(key)) => ps(&pss::VerifyingKey::<Sha512>::new(key.clone()), message, signature),
        (Alg::Es256, Key::P256(key)) => {
            p256::ecdsa::Signature::from_slice(signature).is_ok_and(|s| key.verify(message, &s).is_ok())
        }
        (Alg::Es384, Key::P384(key)) => {
            p384::ecdsa::Signature::from_slice(signature).is_ok_and(|s| key.verify(message, &s).is_ok())
        }
        // The comparison takes the same time wherever the two differ.
        (Alg::Hs256, Key::Secret(key)) => Hmac::<Sha256>::new_from_slice(key)
            .is_ok_and(|mac| mac.chain_update(message).verify_slice(signature).is_ok()),
        (Alg::Hs384, Key::Secret(key)) => Hmac::<Sha384>::new_from_slice(key)
            .is_ok_and(|mac| mac.chain_update(message).verify_slice(signature).is_ok()),
        (Alg::Hs512, Key::Secret(key)) => Hmac::<Sha512>::new_from_slice(key)
            .is_ok_and(|mac| mac.chain_update(message).verify_slice(signature).is_ok()),
        (_, Key::Rsa(_) | Key::P256(_) | Key::P384(_) | Key::Secret(_)) => false,
    }
}

fn rs(key: &impl Verifier<pkcs1v15::Signature>, message: &[u8], signature: &[u8]) -> bool {
    pkcs1v15::Signature::try_from(signature).is_ok_and(|signature| key.verify(message, &signature).is_ok())
}

fn ps(key: &impl Verifier<pss::Signature>, message: &[u8], signature: &[u8]) -> bool {
    pss::Signature::try_from(signature).is_ok_and(|signature| key.verify(message, &signature).is_ok())
}
