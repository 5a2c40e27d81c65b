//! The JSON Web Token of a signature: reading it, choosing the key, verifying it.
//!
//! Nothing that the token says is believed before it was verified, but for the id of the key.

use base64ct::{Base64UrlUnpadded, Encoding as _};
use regorus::Value;

use super::{SigningAlgorithm, Verification, VerificationKey, keys};

/// Largest token.
const MAX_TOKEN: usize = 4 << 20;

/// One file that a signature is about.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SignedFile {
    pub(super) name: String,
    pub(super) hash: String,
    pub(super) algorithm: String,
}

/// What a token says, once verified.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Signed {
    pub(super) key_id: String,
    pub(super) files: Vec<SignedFile>,
}

/// Verifies a token and returns what it says; the error is about the bundle or the named key.
pub(super) fn verify(token: &str, verification: &Verification) -> Result<Signed, String> {
    let malformed = || "the signature is no JSON Web Token".to_owned();
    if token.len() > MAX_TOKEN {
        return Err("the signature is longer than 4 MiB".to_owned());
    }
    let parts: Vec<&str> = token.split('.').collect();
    let [header, payload, signature] = parts[..] else { return Err(malformed()) };
    let decode = |part: &str| Base64UrlUnpadded::decode_vec(part).map_err(|_| malformed());
    let json = |part: &str| {
        let text = String::from_utf8(decode(part)?).map_err(|_| malformed())?;
        Value::from_json_str(&text).map_err(|_| malformed())
    };
    let (header_value, payload_value) = (json(header)?, json(payload)?);
    let (key_id, key) = choose(verification, &header_value, &payload_value)?;
    check_header(&header_value, key.algorithm)?;
    let ready = keys::load(key).map_err(|error| format!("{error} ({})", key.file.display()))?;
    let message = &token.as_bytes()[..header.len() + 1 + payload.len()];
    if !keys::verifies(key.algorithm, &ready, message, &decode(signature)?) {
        return Err(format!("the signature was not made with the key \"{key_id}\" ({})", key.file.display()));
    }
    check_scope(verification, key, &payload_value)?;
    Ok(Signed { key_id, files: files(&payload_value)? })
}

/// The key: the one configured, else the one that the header names, else the claim that OPA once used.
fn choose<'v>(
    verification: &'v Verification,
    header: &Value,
    payload: &Value,
) -> Result<(String, &'v VerificationKey), String> {
    let named = |value: &Value| value.as_string().ok().map(|text| text.to_string()).filter(|text| !text.is_empty());
    let id = verification.key_id.clone().or_else(|| named(&header["kid"])).or_else(|| named(&payload["keyid"]));
    let id = id.ok_or("the signature names no key, and none is configured as the one to use")?;
    match verification.keys.get(&id) {
        Some(key) => Ok((id, key)),
        None => Err(format!("the signature is to be verified with the key \"{id}\", which is not configured")),
    }
}

fn check_header(header: &Value, algorithm: SigningAlgorithm) -> Result<(), String> {
    if header["crit"] != Value::Undefined {
        return Err("the signature has extensions (\"crit\") that are not known here".to_owned());
    }
    match header["alg"].as_string() {
        Ok(named) if **named == *algorithm.to_string() => Ok(()),
        Ok(named) => Err(format!("the signature is {}, and the key is for {algorithm}", named.escape_debug())),
        Err(_) => Err("the signature names no algorithm".to_owned()),
    }
}

fn check_scope(verification: &Verification, key: &VerificationKey, payload: &Value) -> Result<(), String> {
    let wanted = if verification.scope.is_empty() { &key.scope } else { &verification.scope };
    let found = match &payload["scope"] {
        Value::Undefined | Value::Null => "",
        Value::String(text) => text.as_ref(),
        _ => return Err("the scope of the signature is no string".to_owned()),
    };
    if found == wanted {
        return Ok(());
    }
    Err(format!("the scope of the signature is \"{}\", and \"{wanted}\" is configured", found.escape_debug()))
}

fn files(payload: &Value) -> Result<Vec<SignedFile>, String> {
    let wrong = || "the signature lists no files".to_owned();
    let list = payload["files"].as_array().map_err(|_| wrong())?;
    let text = |value: &Value| match value {
        Value::Undefined => Ok(String::new()),
        value => value.as_string().map(|text| text.to_string()).map_err(|_| wrong()),
    };
    let read = |file: &Value| {
        let (name, hash, algorithm) = (text(&file["name"])?, text(&file["hash"])?, text(&file["algorithm"])?);
        Ok(SignedFile { name, hash, algorithm })
    };
    list.iter().map(read).collect()
}
