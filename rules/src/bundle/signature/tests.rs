//! Against what OPA's own tests hold.
//!
//! Tokens, keys and hashes below are those of `bundle_test.go` and `verify_test.go` in open-policy-agent/opa
//! (Apache-2.0): OPA accepts or refuses them as said here.

use super::super::{SigningAlgorithm, VerificationKey};
use super::*;

/// Signed HS256 with the secret "secret", key id "foo", scope "write"; names have "foo/bar/" in front.
const WITH_PREFIX: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6ImZvbyJ9.eyJmaWxlcyI6W3sibmFtZSI6ImZvby9iYXIvLm1hbmlmZXN0IiwiaGFzaCI6IjUwN2EyYzM4YTE0NDFkYjU4ZDJjYjg3OTgyYzQyYWE5MWE0MzQyZWY0MjJhNmI1NDJlZGRlYmVlZjZmMDQxMmYiLCJhbGdvcml0aG0iOiJTSEEtMjU2In0seyJuYW1lIjoiZm9vL2Jhci9hL2IvYy9kYXRhLmpzb24iLCJoYXNoIjoiYTYxNWVlYWVlMjFkZTUxNzlkZTA4MGRlOGMzMDUyYzhkYTkwMTEzODQwNmJhNzFjMzhjMDMyODQ1ZjdkNTRmNCIsImFsZ29yaXRobSI6IlNIQS0yNTYifSx7Im5hbWUiOiJmb28vYmFyL2h0dHAvcG9saWN5L3BvbGljeS5yZWdvIiwiaGFzaCI6ImY2NjQ0NjFlMzAzYjM3YzIwYzVlMGJlMjkwMDg4MTY3OGNkZjhlODYwYWE0MzNhNWExNGQ0OTRiYTNjNjY2NDkiLCJhbGdvcml0aG0iOiJTSEEtMjU2In1dLCJpYXQiOjE1OTIyNDgwMjcsImlzcyI6IkpXVFNlcnZpY2UiLCJzY29wZSI6IndyaXRlIn0.qTHkuBDVuT-Zl5pbJdZ6LoJ9eooFOhhpRdCheauDrlA";

/// The same without the prefix, and with hashes of other contents than its files have.
const OTHER_HASHES: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6ImZvbyJ9.eyJmaWxlcyI6W3sibmFtZSI6Ii5tYW5pZmVzdCIsImhhc2giOiI1MDdhMmMzOGExNDQxZGI1OGQyY2I4Nzk4MmM0MmFhOTFhNDM0MmVmNDIyYTZiNTQyZWRkZWJlZWY2ZjA0MTJmIiwiYWxnb3JpdGhtIjoiU0hBLTI1NiJ9LHsibmFtZSI6ImEvYi9jL2RhdGEuanNvbiIsImhhc2giOiI0MmNmZTY3NjhiNTdiYjVmNzUwM2MxNjVjMjhkZDA3YWM1YjgxMzU1NGViYzg1MGYyY2MzNTg0M2U3MTM3YjFkIiwiYWxnb3JpdGhtIjoiU0hBLTI1NiJ9LHsibmFtZSI6Imh0dHAvcG9saWN5L3BvbGljeS5yZWdvIiwiaGFzaCI6ImE2MTVlZWFlZTIxZGU1MTc5ZGUwODBkZThjMzA1MmM4ZGE5MDExMzg0MDZiYTcxYzM4YzAzMjg0NWY3ZDU0ZjQiLCJhbGdvcml0aG0iOiJTSEEtMjU2In1dLCJpYXQiOjE1OTIyNDgwMjcsImlzcyI6IkpXVFNlcnZpY2UiLCJrZXlpZCI6ImZvbyIsInNjb3BlIjoid3JpdGUifQ.grzWHYvyVS6LfWy0oiFTEJThKooOAwic8sexYaflzOM";

/// A file without an algorithm.
const NO_ALGORITHM: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6ImZvbyJ9.eyJmaWxlcyI6W3sibmFtZSI6ImEvYi9jL2RhdGEuanNvbiIsImhhc2giOiJmOWNhYzA3MTQ3MDVkMjBkMWEyMDg4MDE4NWNkZWQ2ZTBmNmQwNDA2NjJkMmViYjA5NjFkM2Q5ZjMxN2Q4YWNiIn1dLCJpYXQiOjE1OTIyNDgwMjcsImlzcyI6IkpXVFNlcnZpY2UiLCJzY29wZSI6IndyaXRlIn0.WJhnUjwaVvckSgOd4QcVvKThN6oc99NiPiwHKYnoG7c";

/// The key id is in the claim "keyid", which OPA has given up.
const OLD_CLAIM: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJmaWxlcyI6W3sibmFtZSI6ImRiL3VhbTIvZW50aXRsZW1lbnRzL2RhdGEuanNvbiIsImhhc2giOiJjMjEzMTU0NGM3MTZhMjVhNWUzMWY1MDQzMDBmNTI0MGU4MjM1Y2FkYjlhNTdmMGJkMWI2ZjRiZDc0YjI2NjEyIiwiYWxnb3JpdGhtIjoic2hhMjU2In0seyJuYW1lIjoiZGIvdWFtMi9wb2xpY3kvb3BhLXBvbGljeS5yZWdvIiwiaGFzaCI6IjQyY2ZlNjc2OGI1N2JiNWY3NTAzYzE2NWMyOGRkMDdhYzViODEzNTU0ZWJjODUwZjJjYzM1ODQzZTcxMzdiMWQifV0sImlhdCI6MTU5MjI0ODAyNywiaXNzIjoiSldUU2VydmljZSIsImtleWlkIjoiZm9vIiwic2NvcGUiOiJ3cml0ZSJ9.4nrInalqppAc9EjsNUD9Y35amVpDGoRk4bkxzdY8fhs";

/// Its header names the key "bar".
const OTHER_KEY: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6ImJhciJ9.eyJmaWxlcyI6W3sibmFtZSI6ImRiL3VhbTIvZW50aXRsZW1lbnRzL2RhdGEuanNvbiIsImhhc2giOiJjMjEzMTU0NGM3MTZhMjVhNWUzMWY1MDQzMDBmNTI0MGU4MjM1Y2FkYjlhNTdmMGJkMWI2ZjRiZDc0YjI2NjEyIiwiYWxnb3JpdGhtIjoic2hhMjU2In0seyJuYW1lIjoiZGIvdWFtMi9wb2xpY3kvb3BhLXBvbGljeS5yZWdvIiwiaGFzaCI6IjQyY2ZlNjc2OGI1N2JiNWY3NTAzYzE2NWMyOGRkMDdhYzViODEzNTU0ZWJjODUwZjJjYzM1ODQzZTcxMzdiMWQifV0sImlhdCI6MTU5MjI0ODAyNywiaXNzIjoiSldUU2VydmljZSIsInNjb3BlIjoid3JpdGUifQ.xW04tph2-dSy47uZ-CgiObvFWFLUsMym8N7ermgPZ0s";

/// Names no key.
const NO_KEY: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJmaWxlcyI6W3sibmFtZSI6ImRiL3VhbTIvZW50aXRsZW1lbnRzL2RhdGEuanNvbiIsImhhc2giOiJjMjEzMTU0NGM3MTZhMjVhNWUzMWY1MDQzMDBmNTI0MGU4MjM1Y2FkYjlhNTdmMGJkMWI2ZjRiZDc0YjI2NjEyIiwiYWxnb3JpdGhtIjoic2hhMjU2In0seyJuYW1lIjoiZGIvdWFtMi9wb2xpY3kvb3BhLXBvbGljeS5yZWdvIiwiaGFzaCI6IjQyY2ZlNjc2OGI1N2JiNWY3NTAzYzE2NWMyOGRkMDdhYzViODEzNTU0ZWJjODUwZjJjYzM1ODQzZTcxMzdiMWQifV0sImlhdCI6MTU5MjI0ODAyNywiaXNzIjoiSldUU2VydmljZSIsInNjb3BlIjoid3JpdGUifQ.N2DaEyhfACMAij2sRC0ZDwNz4wI7BX_flH3IkKqMvE4";

const RS256: &str = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6ImZvbyJ9.eyJmaWxlcyI6W3sibmFtZSI6ImRiL3VhbTIvZW50aXRsZW1lbnRzL2RhdGEuanNvbiIsImhhc2giOiJjMjEzMTU0NGM3MTZhMjVhNWUzMWY1MDQzMDBmNTI0MGU4MjM1Y2FkYjlhNTdmMGJkMWI2ZjRiZDc0YjI2NjEyIiwiYWxnb3JpdGhtIjoic2hhMjU2In0seyJuYW1lIjoiZGIvdWFtMi9wb2xpY3kvb3BhLXBvbGljeS5yZWdvIiwiaGFzaCI6IjQyY2ZlNjc2OGI1N2JiNWY3NTAzYzE2NWMyOGRkMDdhYzViODEzNTU0ZWJjODUwZjJjYzM1ODQzZTcxMzdiMWQifV0sImlhdCI6MTU5MjI1MTQwNiwiaXNzIjoiSldUU2VydmljZSIsInNjb3BlIjoid3JpdGUifQ.UZcX_Qj29o213nwZ5mysiyNcgAp1AOqCkDLkj1KGZ7Cw3l17TbkF8t3FJd654sf762NGcABA0WQ2zxq-labXl_d5TKQmq23lurO3qLHI1cKQPyoxPbddGo78sJpMwWsiMyEYcyyKC9FpNUpa8cT81GPo4q9Zui8TAD0wtHh2YxBL7E8QYLJxcLMJTJxVBgrQGLXFT7vYRc6hJz9Vu-i0SWuLBGxOCmYoHr4DWFfy0IhAbhiUFyLRpukfBPjCJNYY5LgaZdN6LaYivtIEUms5jUuXubBimLJm7KOT5-bgJMXTcUsbrbl2Ma7PwG5IOKjjgyEvH8KVfGFZSzNrpuxKmA";

const RSA_KEY: &str = "-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA9KaakMv1XKKDaSch3PFR
3a27oaHp1GNTTNqvb1ZaHZXp+wuhYDwc/MTE67x9GCifvQBWzEGorgTq7aisiOyl
vKifwz6/wQ+62WHKG/sqKn2Xikp3P63aBIPlZcHbkyyRmL62yeyuzYoGvLEYel+m
z5SiKGBwviSY0Th2L4e5sGJuk2HOut6emxDi+E2Fuuj5zokFJvIT6Urlq8f3h6+l
GeR6HUOXqoYVf7ff126GP7dticTVBgibxkkuJFmpvQSW6xmxruT4k6iwjzbZHY7P
ypZ/TdlnuGC1cOpAVyU7k32IJ9CRbt3nwEf5U54LRXLLQjFixWZHwKdDiMTF4ws0
+wIDAQAB
-----END PUBLIC KEY-----
";

const SHORT_KEY: &str = "-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDMYfnvWtC8Id5bPKae5yXSxQTt
+Zpul6AnnZWfI2TtIarvjHBFUtXRo96y7hoL4VWOPKGCsRqMFDkrbeUjRrx8iL91
4/srnyf6sh9c8Zk04xEOpK1ypvBz+Ks4uZObtjnnitf0NBGdjMKxveTq+VE7BWUI
yQjtQ8mbDOsiLLvh7wIDAQAB
-----END PUBLIC KEY-----
";

/// A file that goes away with the test.
struct File(std::path::PathBuf);

impl File {
    fn new(name: &str, content: &str) -> File {
        let path = std::env::temp_dir().join(format!("sentinel-bundle-{name}-{}", std::process::id()));
        std::fs::write(&path, content).unwrap();
        File(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

/// One key, "foo".
fn with_key(file: &File, algorithm: SigningAlgorithm, scope: &str) -> Verification {
    let key = VerificationKey { file: file.0.clone(), algorithm, scope: String::new() };
    Verification { keys: [("foo".to_owned(), key)].into(), scope: scope.to_owned(), ..Verification::default() }
}

/// The bundle of OPA's tests.
fn files(token: &str) -> Files {
    let signatures = format!("{{\"signatures\": [\"{token}\"]}}");
    let files = [
        (MANIFEST, r#"{"revision": "quickbrownfaux"}"#),
        (SIGNATURES, &signatures),
        ("a/b/c/data.json", "[1,2,3]"),
        ("http/policy/policy.rego", "package example"),
    ];
    files.into_iter().map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec())).collect()
}

/// The errors, each on a line.
fn errors(path: &str, files: &Files, verification: &Verification) -> String {
    let mut findings = Findings::default();
    let by = verify(Path::new(path), true, files, verification, &mut findings);
    assert!(by.is_some() || !findings.errors.is_empty());
    findings.errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_bundle_that_opa_accepts() {
    let secret = File::new("accepts", "secret");
    let verification = with_key(&secret, SigningAlgorithm::Hs256, "write");
    assert_eq!(errors("/foo/bar", &files(WITH_PREFIX), &verification), "");
    // As `opa build` writes it.
    let mut built = files(WITH_PREFIX);
    let signatures = format!("{{\"signatures\": [\"{WITH_PREFIX}\"], \"plugin\": \"_default\"}}");
    built.insert(SIGNATURES.to_owned(), signatures.into_bytes());
    assert_eq!(errors("/foo/bar", &built, &verification), "");
    // The prefix is part of what was signed.
    assert!(errors("/foo/baz", &files(WITH_PREFIX), &verification).contains("not in the signature"));
}

#[test]
fn bundles_that_opa_refuses() {
    let secret = File::new("refuses", "secret");
    let verification = with_key(&secret, SigningAlgorithm::Hs256, "write");
    let changed = errors("b", &files(OTHER_HASHES), &verification);
    assert!(changed.contains("b/a/b/c/data.json: error: was changed after the bundle was signed"), "{changed}");
    assert!(changed.contains("a615eeaee21de5179de080de8c3052c8da901138406ba71c38c032845f7d54f4"), "{changed}");
    assert!(changed.contains("b/http/policy/policy.rego: error: was changed") && !changed.contains(".manifest"));
    let exclude = [".*", "a/b/c/data.json", "http/policy/policy.rego"].map(str::to_owned).to_vec();
    let excluding = Verification { exclude, ..verification.clone() };
    assert_eq!(errors("b", &files(OTHER_HASHES), &excluding), "");
    let one = files(NO_ALGORITHM);
    let one = one.into_iter().filter(|(name, _)| ["a/b/c/data.json", SIGNATURES].contains(&name.as_str())).collect();
    assert!(errors("b", &one, &verification).contains("no hash algorithm"));
    let mut less = files(OTHER_HASHES);
    less.retain(|name, _| [MANIFEST, SIGNATURES].contains(&name.as_str()));
    let missing = errors("b", &less, &verification);
    assert!(missing.contains("b/a/b/c/data.json: error: is in the signature of the bundle, and not in the bundle"));
    assert!(missing.contains("b/http/policy/policy.rego"), "{missing}");
}

#[test]
fn one_token_and_no_plugin() {
    let secret = File::new("one", "secret");
    let verification = with_key(&secret, SigningAlgorithm::Hs256, "write");
    for (signatures, part) in [
        (r#"{"signatures": []}"#.to_owned(), "holds no token"),
        (format!(r#"{{"signatures": ["{OTHER_KEY}", "{OLD_CLAIM}"]}}"#), "several tokens"),
        (format!(r#"{{"signatures": ["{OTHER_KEY}"], "plugin": "_bar"}}"#), "signature plugin \"_bar\""),
        (r#"{"signatures": ["a.b"]}"#.to_owned(), "no JSON Web Token"),
        (r#"{"signatures": [7]}"#.to_owned(), "holds no token"),
        ("[".to_owned(), "not valid JSON"),
    ] {
        let files = Files::from([(SIGNATURES.to_owned(), signatures.clone().into_bytes())]);
        let errors = errors("b", &files, &verification);
        assert!(errors.contains(part), "{signatures}: {errors}");
    }
}

#[test]
fn the_key_is_chosen_as_opa_does() {
    let secret = File::new("chosen", "secret");
    let named = with_key(&secret, SigningAlgorithm::Hs256, "write");
    let fixed = Verification { key_id: Some("foo".to_owned()), ..named.clone() };
    assert_eq!(token::verify(OLD_CLAIM, &named).unwrap().key_id, "foo");
    // What is configured goes before what the header says.
    assert_eq!(token::verify(OTHER_KEY, &fixed).unwrap().files.len(), 2);
    assert!(token::verify(OTHER_KEY, &named).unwrap_err().contains("\"bar\", which is not configured"));
    assert!(token::verify(NO_KEY, &named).unwrap_err().contains("names no key"));
    assert_eq!(token::verify(NO_KEY, &fixed).unwrap().files.len(), 2);
}

#[test]
fn signatures_and_scopes_are_checked() {
    let (secret, bad) = (File::new("good", "secret"), File::new("bad", "bad_secret"));
    let (rsa, short) = (File::new("rsa", RSA_KEY), File::new("short", SHORT_KEY));
    let check = |token: &str, file, algorithm, scope| {
        token::verify(token, &with_key(file, algorithm, scope)).map(|signed| signed.files.len())
    };
    assert_eq!(check(RS256, &rsa, SigningAlgorithm::Rs256, "write"), Ok(2));
    assert_eq!(check(OLD_CLAIM, &secret, SigningAlgorithm::Hs256, "write"), Ok(2));
    let changed = RS256.replacen("UZcX", "UZcY", 1);
    for (token, file, algorithm, scope, part) in [
        (RS256, &rsa, SigningAlgorithm::Rs256, "", "the scope of the signature is \"write\", and \"\" is configured"),
        (OLD_CLAIM, &secret, SigningAlgorithm::Hs256, "read", "and \"read\" is configured"),
        (OLD_CLAIM, &bad, SigningAlgorithm::Hs256, "write", "was not made with the key \"foo\""),
        (&changed, &rsa, SigningAlgorithm::Rs256, "write", "was not made with the key"),
        (RS256, &short, SigningAlgorithm::Rs256, "write", "at least 2048"),
        // The key says the algorithm: else a public key could be made a secret that everyone knows.
        (OLD_CLAIM, &rsa, SigningAlgorithm::Rs256, "write", "is HS256, and the key is for RS256"),
        (OLD_CLAIM, &rsa, SigningAlgorithm::Hs256, "write", "needs a secret"),
        (RS256, &secret, SigningAlgorithm::Rs256, "write", "no PEM file"),
        (RS256, &rsa, SigningAlgorithm::Es256, "write", "the key is for ES256"),
    ] {
        let error = check(token, file, algorithm, scope).unwrap_err();
        assert!(error.contains(part), "{part}: {error}");
    }
}

#[test]
fn hashes_are_those_of_opa() {
    for (name, text, algorithm, hash_) in [
        (
            "a/b/c/data.json",
            "[1,2,3]",
            "SHA-512",
            "60f7b5dc86ded48785436192a08dbfd04894d7f1b417c4f8d3714679a7f78cb3c833f16a8559a1cf1f32968747dc1d95ef34826263dacf125ded8f5c374be4c0",
        ),
        (
            "a/b/y/data.yaml",
            "foo: 1",
            "SHA-512",
            "20f27a640a233e6524fe7d138898583cd43475724806feb26be7f214e1d10b29edf6a0d3cb08f82107a45686b61b8fdabab6406cf4e70efe134f42238dbd70ab",
        ),
        (
            "policy.wasm",
            "modules-compiled-as-wasm-binary",
            "SHA-512",
            "4f73765168fd8b5c294b739436da312cc5e979faf09f67bf576d36ea79a4f79c70cbb3c33d06ff65f531a9f42abd0a8f4daacc554cb521837e876dc28f56ce89",
        ),
        (
            ".manifest",
            "{\"revision\": \"quickbrownfaux\"}",
            "SHA-256",
            "507a2c38a1441db58d2cb87982c42aa91a4342ef422a6b542eddebeef6f0412f",
        ),
    ] {
        assert_eq!(hash(name, text.as_bytes(), algorithm).as_deref(), Ok(hash_), "{name}");
    }
    assert!(hash("a", b"", "MD5").unwrap_err().contains("can be forged"));
    assert!(hash("a", b"", "MD6").unwrap_err().contains("unknown hash algorithm"));
    assert_eq!(hash("a", b"", "SHA-224").map(|hash| hash.len()), Ok(56));
}
