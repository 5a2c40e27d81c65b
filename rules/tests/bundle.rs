//! Bundles and directories of data, as a load takes them.
//!
//! The signed bundles are made by `bundles/make.py`, which shares no code with what reads them. What OPA itself
//! accepts and refuses is in the unit tests of `bundle::signature`.

#![expect(clippy::unwrap_used, reason = "helpers of tests; a failure is the test's")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use rules::testing::{self, TestOptions, TestOutcome};
use rules::{LoadOptions, Policies, Verification, VerificationKey};
use tar::{EntryType, Header};

/// A directory that goes away with the test.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Directory {
        let root = std::env::temp_dir().join(format!("sentinel-bundles-{name}-{}", std::process::id()));
        fs::create_dir_all(&root).unwrap();
        Directory(root)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    /// An archive of these files.
    fn bundle(&self, name: &str, files: &[(&str, &str)]) -> PathBuf {
        let entries: Vec<_> = files.iter().map(|(file, text)| (*file, text.as_bytes(), EntryType::Regular)).collect();
        self.write(name, &archive(&entries))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// Names and contents.
type Files = Vec<(String, Vec<u8>)>;

/// A tar.gz whose names are written as they are, unsafe or not.
fn archive(entries: &[(&str, &[u8], EntryType)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (name, bytes, kind) in entries {
        let mut header = Header::new_gnu();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_size(bytes.len().try_into().unwrap());
        header.set_cksum();
        builder.append(&header, *bytes).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

/// The files of an archive.
fn unpack(path: &Path) -> Files {
    let mut archive = tar::Archive::new(GzDecoder::new(fs::File::open(path).unwrap()));
    let read = |entry: Result<tar::Entry<'_, _>, _>| {
        let mut entry: tar::Entry<'_, GzDecoder<fs::File>> = entry.unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        (String::from_utf8(entry.path_bytes().into_owned()).unwrap(), bytes)
    };
    archive.entries().unwrap().map(read).collect()
}

fn signed(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bundles").join(name)
}

fn key(file: &str, algorithm: &str, scope: &str) -> Verification {
    let key = VerificationKey { file: signed(file), algorithm: algorithm.parse().unwrap(), scope: scope.to_owned() };
    Verification { keys: [("office".to_owned(), key)].into(), ..Verification::default() }
}

fn load(paths: &[&Path], verification: &Verification) -> Result<Policies, String> {
    let paths = paths.iter().map(|path| path.to_path_buf()).collect();
    let options = LoadOptions { paths, verification: verification.clone(), ..LoadOptions::default() };
    Policies::load(&options).map_err(|errors| errors.to_string())
}

/// Loads without a key.
fn open(path: &Path) -> Result<Policies, String> {
    load(&[path], &Verification::default())
}

const POLICY: &str = "package sentinel.a\n\ndeny contains \"x\" if input.event.action == \"exec\"\n";
const V0: &str = "package sentinel.a\n\ndeny[\"x\"] { input.event.action == \"exec\" }\n";

#[test]
fn every_algorithm_verifies() {
    for (bundle, file, algorithm) in [
        ("rs256.tar.gz", "rsa.pub", "RS256"),
        ("rs256.tar.gz", "rsa.pkcs1.pub", "RS256"),
        ("rs512.tar.gz", "rsa.pub", "RS512"),
        ("ps256.tar.gz", "rsa.pub", "PS256"),
        ("es256.tar.gz", "p256.pub", "ES256"),
        ("es384.tar.gz", "p384.pub", "ES384"),
        ("hs256.tar.gz", "secret", "HS256"),
    ] {
        let policies = load(&[&signed(bundle)], &key(file, algorithm, "write")).unwrap();
        let info = &policies.bundles()[0];
        assert_eq!((info.verified_by.as_deref(), info.revision.as_str()), (Some("office"), "7"), "{bundle}");
        assert_eq!(info.roots, ["office", "sentinel/office", "sentinel/office_test"]);
        assert_eq!(policies.data()["office"]["more"]["a"].as_u64().unwrap(), 1);
        assert_eq!(policies.rules().len(), 1);
        assert!(policies.files().iter().any(|file| file.ends_with(".tar.gz/policy/office.rego")));
    }
    // As `opa build` writes names, with a slash in front.
    assert!(load(&[&signed("slashes.tar.gz")], &key("rsa.pub", "RS256", "")).is_ok());
}

#[test]
fn a_wrong_key_scope_or_algorithm_is_refused() {
    for (bundle, file, algorithm, scope, part) in [
        ("rs256.tar.gz", "rsa.pub", "RS256", "read", "the scope of the signature is \"write\""),
        ("rs256.tar.gz", "rsa.pub", "RS256", "", "the scope of the signature is \"write\""),
        ("slashes.tar.gz", "rsa.pub", "RS256", "write", "the scope of the signature is \"\""),
        ("rs256.tar.gz", "rsa.pub", "PS256", "write", "the signature is RS256, and the key is for PS256"),
        ("es256.tar.gz", "p384.pub", "ES256", "write", "no public key for ES256"),
        ("hs256.tar.gz", "rsa.pub", "HS256", "write", "needs a secret"),
        ("hs256.tar.gz", "make.py", "HS256", "write", "was not made with the key"),
        ("rs256.tar.gz", "none.pub", "RS256", "write", "cannot be read"),
    ] {
        let error = load(&[&signed(bundle)], &key(file, algorithm, scope)).unwrap_err();
        assert!(error.contains(part), "{bundle} {file}: {error}");
        assert!(error.contains(bundle), "{error}");
    }
}

#[test]
fn missing_extra_and_changed_files_are_named() {
    let directory = Directory::new("changed");
    let verification = key("p256.pub", "ES256", "write");
    let original = unpack(&signed("es256.tar.gz"));
    let repack = |change: &dyn Fn(&mut Files)| {
        let mut files = original.clone();
        change(&mut files);
        let entries: Vec<_> = files.iter().map(|(n, b)| (n.as_str(), b.as_slice(), EntryType::Regular)).collect();
        let path = directory.write("b.tar.gz", &archive(&entries));
        load(&[&path], &verification).map(drop)
    };
    let edit = |name: &'static str, text: &'static str| {
        move |files: &mut Vec<(String, Vec<u8>)>| {
            let file = files.iter_mut().find(|(file, _)| file == name).unwrap();
            file.1 = text.as_bytes().to_vec();
        }
    };
    assert_eq!(repack(&|_| {}), Ok(()));
    // Documents are hashed by content: white space, order and escapes do not count.
    let spelling = "{\"far\":1e3,\"limit\":1.50,\"name\":\"B\u{fc}ro <1>\",\"ports\":[443,8443]}";
    assert_eq!(repack(&edit("office/data.json", spelling)), Ok(()));
    let changed = "was changed after the bundle was signed";
    for (name, text, part) in [
        ("office/data.json", "{\"far\":1000,\"limit\":1.50,\"name\":\"B\u{fc}ro <1>\",\"ports\":[443,8443]}", changed),
        (
            "office/data.json",
            "{\"ports\":[1],\"far\":1e3,\"limit\":1.50,\"name\":\"x\",\"ports\":[443]}",
            "written twice",
        ),
        ("office/more/data.yaml", "a: 1\nb: three\n", changed),
        (".manifest", "{}", changed),
        ("policy/office.rego", POLICY, changed),
        ("policy/office_test.rego", "package a\n", changed),
        ("README.md", "Signed, but not loaded.\n", changed),
    ] {
        let error = repack(&edit(name, text)).unwrap_err();
        assert!(error.contains(part) && error.contains(&format!("b.tar.gz/{name}: error")), "{name}: {error}");
    }
    let error = repack(&|files| files.retain(|(name, _)| name != "README.md")).unwrap_err();
    assert!(error.contains("README.md: error: is in the signature of the bundle, and not in the bundle"), "{error}");
    let error = repack(&|files| files.push(("policy/more.rego".to_owned(), POLICY.into()))).unwrap_err();
    assert!(error.contains("policy/more.rego: error: is not in the signature of the bundle"), "{error}");
    let error = repack(&|files| files.retain(|(name, _)| name != ".signatures.json")).unwrap_err();
    assert!(error.contains("the bundle is not signed"), "{error}");
}

#[test]
fn an_unpacked_bundle_verifies_too() {
    let directory = Directory::new("unpacked");
    for (name, bytes) in unpack(&signed("es256.tar.gz")) {
        directory.write(&format!("office/{name}"), &bytes);
    }
    let root = directory.0.join("office");
    let verification = key("p256.pub", "ES256", "write");
    assert_eq!(load(&[&root], &verification).unwrap().bundles()[0].verified_by.as_deref(), Some("office"));
    fs::write(root.join("extra.rego"), POLICY).unwrap();
    assert!(load(&[&root], &verification).unwrap_err().contains("extra.rego: error: is not in the signature"));
}

#[test]
fn with_a_key_nothing_unsigned_is_policy_and_without_one_nothing_signed() {
    let directory = Directory::new("unsigned");
    let file = directory.write("plain/a.rego", POLICY.as_bytes());
    let plain = directory.0.join("plain");
    let bundle = directory.bundle("b.tar.gz", &[("a.rego", POLICY)]);
    let verification = key("rsa.pub", "RS256", "write");
    assert!(load(&[&bundle], &verification).unwrap_err().contains("the bundle is not signed"));
    // Taking the manifest away from a directory is no way around the key.
    assert!(load(&[&plain], &verification).unwrap_err().contains("the bundle is not signed"));
    assert!(load(&[&file], &verification).unwrap_err().contains("is no bundle, so its signature cannot be verified"));
    let error = open(&signed("rs256.tar.gz")).unwrap_err();
    assert!(error.contains("no verification key is configured") && error.contains("--skip-verify"), "{error}");
    let skipping = Verification { skip: true, ..Verification::default() };
    let policies = load(&[&signed("rs256.tar.gz")], &skipping).unwrap();
    assert!(policies.notices().iter().any(|notice| notice.message.contains("verification is switched off")));
    assert_eq!(policies.bundles()[0].verified_by, None);
}

#[test]
fn keys_can_be_rotated() {
    let mut verification = key("rsa.pub", "RS256", "write");
    let old = VerificationKey { file: signed("p256.pub"), algorithm: "ES256".parse().unwrap(), scope: String::new() };
    verification.keys.insert("old".to_owned(), old);
    assert!(load(&[&signed("rs256.tar.gz")], &verification).is_ok());
    verification.key_id = Some("old".to_owned());
    assert!(load(&[&signed("rs256.tar.gz")], &verification).unwrap_err().contains("the key is for ES256"));
    verification.key_id = Some("none".to_owned());
    assert!(load(&[&signed("rs256.tar.gz")], &verification).unwrap_err().contains("\"none\", which is not configured"));
}

#[test]
fn roots_are_enforced() {
    let directory = Directory::new("roots");
    let manifest = r#"{"roots": ["sentinel/a", "lists"]}"#;
    let bundle = |name: &str, files: &[(&str, &str)]| open(&directory.bundle(name, files));
    assert!(bundle("ok.tgz", &[(".manifest", manifest), ("a.rego", POLICY), ("lists/data.json", "[1]")]).is_ok());
    for (file, text, part) in [
        ("b.rego", "package sentinel.b\n\nx := 1\n", "package sentinel.b is outside of the bundle's roots"),
        ("data.json", r#"{"lists": 1, "other": 2}"#, "data.other is outside of the bundle's roots"),
        ("a_test.rego", "package sentinel.b_test\n", "package sentinel.b_test is outside of the bundle's roots"),
        ("other/data.yaml", "a: 1\n", "data.other is outside of the bundle's roots"),
    ] {
        let error = bundle("bad.tgz", &[(".manifest", manifest), (file, text)]).unwrap_err();
        assert!(error.contains(part) && error.contains(file), "{error}");
    }
    let one = directory.bundle("one.tgz", &[(".manifest", manifest), ("a.rego", POLICY)]);
    let other = directory.bundle("two.tgz", &[(".manifest", r#"{"roots": ["lists/x"]}"#)]);
    let error = load(&[&one, &other], &Verification::default()).unwrap_err();
    assert!(error.contains("two.tgz: error: its root, \"lists/x\", overlaps \"lists\" of"), "{error}");
    let all = directory.bundle("all.tgz", &[("b.rego", "package sentinel.b\n\nx := 1\n")]);
    let error = load(&[&one, &all], &Verification::default()).unwrap_err();
    assert!(error.contains("all of data"), "{error}");
    let apart = directory.bundle("apart.tgz", &[(".manifest", r#"{"roots": ["z"]}"#), ("z/data.json", "1")]);
    assert_eq!(load(&[&one, &apart], &Verification::default()).unwrap().bundles().len(), 2);
}

#[test]
fn the_manifest_says_which_rego_it_is() {
    let directory = Directory::new("versions");
    let old = r#"{"rego_version": 0}"#;
    let bundle = |manifest: &str, files: &[(&str, &str)]| {
        let mut all = vec![(".manifest", manifest)];
        all.extend(files);
        open(&directory.bundle("b.tar.gz", &all)).map(|policies| policies.rules().len())
    };
    assert_eq!(bundle(old, &[("a.rego", V0)]), Ok(1));
    assert_eq!(bundle("{}", &[("a.rego", &format!("# rego: v0\n{V0}"))]), Ok(1));
    assert!(bundle("{}", &[("a.rego", V0)]).unwrap_err().contains("`if` keyword is required"));
    // What the manifest says goes before the marker.
    assert!(bundle(r#"{"rego_version": 1}"#, &[("a.rego", &format!("# rego: v0\n{V0}"))]).is_err());
    let files = r#"{"rego_version": 1, "file_rego_versions": {"/old/*.rego": 0}}"#;
    assert_eq!(bundle(files, &[("old/a.rego", V0), ("b.rego", &POLICY.replace("\"x\"", "\"y\""))]), Ok(2));
}

#[test]
fn a_directory_with_a_manifest_is_a_bundle() {
    let directory = Directory::new("directory");
    directory.write("b/.manifest", br#"{"revision": "r1"}"#);
    directory.write("b/p/a.rego", POLICY.as_bytes());
    directory.write("b/p/a_test.rego", b"package sentinel.a_test\n\ntest_x if data.lists.x == 1\n");
    directory.write("b/lists/data.json", br#"{"x": 1}"#);
    directory.write("b/lists/other.json", b"not loaded");
    let root = directory.0.join("b");
    let policies = open(&root).unwrap();
    assert_eq!((policies.rules().len(), policies.bundles()[0].revision.as_str()), (1, "r1"));
    assert_eq!(policies.data()["lists"]["x"].as_u64().unwrap(), 1);
    let report = testing::run(&TestOptions { paths: vec![root], ..TestOptions::default() }).unwrap();
    assert_eq!(report.cases.iter().map(|case| &case.outcome).collect::<Vec<_>>(), [&TestOutcome::Pass]);
}

#[test]
fn what_sentinel_cannot_use_is_said() {
    let directory = Directory::new("other");
    let delta = directory.bundle("delta.tar.gz", &[("patch.json", r#"{"data": []}"#)]);
    assert!(open(&delta).unwrap_err().contains("delta bundle"));
    let wasm = directory.bundle("wasm.tar.gz", &[("a.rego", POLICY), ("policy.wasm", "\0asm")]);
    let policies = open(&wasm).unwrap();
    assert!(policies.notices().iter().any(|notice| notice.message.contains("Sentinel runs Rego only")));
    let conflict = [("data.json", r#"{"a": {"b": 1}}"#), ("a/b/data.json", "2")];
    let error = open(&directory.bundle("conflict.tar.gz", &conflict)).unwrap_err();
    assert!(
        error.contains("data.a.b") && error.contains("/a/b/data.json") && error.contains(".gz/data.json"),
        "{error}"
    );
}

#[test]
fn hostile_archives_are_refused() {
    let directory = Directory::new("hostile");
    let refused = |name: &str, bytes: &[u8], part: &str| {
        let path = directory.write(name, bytes);
        let error = open(&path).unwrap_err();
        assert!(error.contains(part) && error.contains(name), "{name}: {error}");
    };
    let file = |name| archive(&[(name, POLICY.as_bytes(), EntryType::Regular)]);
    for name in ["../a.rego", "a/../../b.rego", "/../a.rego", "a//b.rego", "a/./b.rego", "a\\b.rego", "a\x01.rego"] {
        refused("names.tar.gz", &file(name), "unsafe name");
    }
    for (kind, part) in [
        (EntryType::Symlink, "holds a link"),
        (EntryType::Link, "holds a link"),
        (EntryType::Char, "device or pipe"),
        (EntryType::Block, "device or pipe"),
        (EntryType::Fifo, "device or pipe"),
        (EntryType::Continuous, "unknown kind"),
    ] {
        refused("kinds.tar.gz", &archive(&[("a.rego", b"", kind)]), part);
    }
    let twice = [("a.rego", b"1".as_slice(), EntryType::Regular), ("./a.rego", b"2", EntryType::Regular)];
    refused("twice.tar.gz", &archive(&twice), "holds a.rego twice");
    let many: Vec<String> = (0..10_001).map(|number| format!("{number}.txt")).collect();
    let many: Vec<_> = many.iter().map(|name| (name.as_str(), b"".as_slice(), EntryType::Regular)).collect();
    refused("many.tar.gz", &archive(&many), "more than 10000 files");
    let good = file("a.rego");
    refused("cut.tar.gz", &good[..good.len() - 6], "not a readable tar.gz");
    let mut flipped = good.clone();
    let place = flipped.len() - 6;
    flipped[place] ^= 1;
    refused("flipped.tar.gz", &flipped, "not a readable tar.gz");
    refused("trailing.tar.gz", &[good, b"more".to_vec()].concat(), "not a readable tar.gz");
    refused("plain.tar.gz", b"not packed at all", "not a readable tar.gz");
    refused("empty.tar.gz", b"", "not a readable tar.gz");
}

#[test]
fn a_bomb_is_stopped_while_it_unpacks() {
    let directory = Directory::new("bomb");
    let zeros = vec![0; 16 << 20];
    let parts: Vec<String> = (0..5).map(|number| format!("{number}.bin")).collect();
    let parts: Vec<_> = parts.iter().map(|name| (name.as_str(), zeros.as_slice(), EntryType::Regular)).collect();
    let path = directory.write("files.tar.gz", &archive(&parts));
    assert!(open(&path).unwrap_err().contains("unpacks to more than 64 MiB"));
    // Without an end, and as the name of one file, which is read before its size is known.
    for kind in [None, Some(EntryType::GNULongName)] {
        let mut header = Header::new_gnu();
        header.set_path("x").unwrap();
        header.set_entry_type(kind.unwrap_or(EntryType::Regular));
        header.set_size(8 << 30);
        header.set_cksum();
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(header.as_bytes()).unwrap();
        (0..12).for_each(|_| gzip.write_all(&zeros).unwrap());
        let path = directory.write("endless.tar.gz", &gzip.finish().unwrap());
        assert!(open(&path).unwrap_err().contains("unpacks to more than 64 MiB"));
    }
}

#[test]
fn a_directory_of_data_is_mounted_by_path() {
    let directory = Directory::new("data");
    let policy = directory.write("p.rego", POLICY.as_bytes());
    directory.write("data/top.json", br#"{"a": {"x": 1}}"#);
    directory.write("data/a/b/ports.yaml", b"y: &p [443]\nz: *p\n");
    directory.write("data/a/list/ports.yml", b"[1, 2]\n");
    directory.write("data/.hidden.json", b"broken");
    directory.write("data/notes.txt", b"not data");
    let load = || {
        let data = vec![directory.0.join("data")];
        let options = LoadOptions { paths: vec![policy.clone()], data, ..LoadOptions::default() };
        Policies::load(&options).map_err(|errors| errors.to_string())
    };
    let policies = load().unwrap();
    let wanted = r#"{"a": {"x": 1, "b": {"y": [443], "z": [443]}, "list": [1, 2]}}"#;
    assert_eq!(*policies.data(), rules::Value::from_json_str(wanted).unwrap());
    directory.write("data/a/b/more.json", br#"{"y": 2}"#);
    let error = load().unwrap_err();
    assert!(
        error.contains("data.a.b.y is also defined in") && error.contains("more.json") && error.contains("ports.yaml")
    );
    directory.write("data/a/b/more.json", b"{\n  \"q\": 1,,\n}");
    let error = load().unwrap_err();
    assert!(error.contains("more.json:2:10: error: is not valid JSON"), "{error}");
    directory.write("data/a/b/more.json", b"7");
    assert!(load().unwrap_err().contains("data.a.b is also defined in"));
}

/// A changed byte is refused, or changes nothing of what is loaded.
#[test]
fn no_flipped_byte_passes_the_signature() {
    let directory = Directory::new("flips");
    let verification = key("p256.pub", "ES256", "write");
    let mut tar = Vec::new();
    GzDecoder::new(fs::File::open(signed("es256.tar.gz")).unwrap()).read_to_end(&mut tar).unwrap();
    let seen = |path: &Path| {
        load(&[path], &verification).map(|policies| {
            let rules: Vec<_> =
                policies.rules().iter().map(|rule| (rule.id.clone(), rule.fingerprint.clone())).collect();
            (policies.data().clone(), rules, policies.bundles()[0].revision.clone())
        })
    };
    let wanted = seen(&signed("es256.tar.gz")).unwrap();
    let (mut state, mut loaded) = (1_u64, 0);
    for round in 0..400_u64 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let place = usize::try_from((state >> 33) % u64::try_from(tar.len()).unwrap()).unwrap();
        let mut flipped = tar.clone();
        flipped[place] ^= 1 << (round % 8);
        let mut gzip = GzEncoder::new(Vec::new(), Compression::none());
        gzip.write_all(&flipped).unwrap();
        let path = directory.write("b.tar.gz", &gzip.finish().unwrap());
        if let Ok(found) = seen(&path) {
            assert_eq!(found, wanted, "byte {place}");
            loaded += 1;
        }
    }
    // Padding between files is no content.
    assert!(loaded > 0 && loaded < 400, "{loaded}");
}
