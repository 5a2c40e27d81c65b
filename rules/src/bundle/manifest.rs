//! The manifest of a bundle.
//!
//! A bundle without one may fill all of `data`, in the language of its modules' own marker lines.

use regex::Regex;
use regorus::Value;
use regorus::value::Object;

use super::{Files, MANIFEST, pattern, roots};
use crate::diagnostic::{Diagnostic, Findings};
use crate::fields::{Fields, Problem, nearest, text, type_name};

/// Keys of a manifest that OPA defines.
const KEYS: &[&str] = &["revision", "roots", "wasm", "rego_version", "file_rego_versions", "metadata"];

/// What a manifest says.
#[derive(Debug)]
pub(super) struct Manifest {
    pub(super) revision: String,
    /// Without slashes around them, sorted; an empty one is all of `data`.
    pub(super) roots: Vec<String>,
    v0: Option<bool>,
    /// The longest pattern first.
    file_versions: Vec<(Regex, bool)>,
}

impl Manifest {
    /// Reads the manifest of a bundle, if it has one.
    pub(super) fn of(bundle: &str, files: &Files, findings: &mut Findings) -> Option<Manifest> {
        let Some(bytes) = files.get(MANIFEST) else {
            return Some(Manifest {
                revision: String::new(),
                roots: vec![String::new()],
                v0: None,
                file_versions: vec![],
            });
        };
        let name = format!("{bundle}/{MANIFEST}");
        let text = String::from_utf8_lossy(bytes);
        let value = match Value::from_json_str(&text) {
            Ok(value) => value,
            Err(error) => {
                let (line, column) = crate::load::data::place(&error.to_string()).unwrap_or((0, 0));
                let message = format!("the manifest is not valid JSON: {error}");
                findings.error(Diagnostic::at(&name, &text, line, column, message));
                return None;
            }
        };
        read(&name, &value, findings)
            .map_err(|problem| findings.error(Diagnostic::file(name, problem.message).hint(problem.hint)))
            .ok()
    }

    /// Whether a module is in the older language; `None` when the manifest does not say.
    pub(super) fn is_v0(&self, file: &str) -> Option<bool> {
        let rooted = format!("/{file}");
        let own = self.file_versions.iter().find(|(pattern, _)| pattern.is_match(&rooted) || pattern.is_match(file));
        own.map(|(_, v0)| *v0).or(self.v0)
    }
}

fn read(name: &str, value: &Value, findings: &mut Findings) -> Result<Manifest, Problem> {
    let Value::Object(object) = value else {
        return Err(Problem::new(format!("the manifest is {}, not an object", type_name(value))));
    };
    let fields = fields(name, object, findings)?;
    if fields.list("wasm").iter().any(|wasm| !matches!(wasm, Value::Null)) {
        return Err(Problem::new("the manifest names WebAssembly entry points, which Sentinel does not run")
            .hint("build the bundle with `opa build -t rego`"));
    }
    let given = match fields.get("roots") {
        None => vec![""],
        Some(Value::Array(_)) => fields.texts("roots")?,
        Some(other) => return Err(Problem::new(format!("\"roots\" is {}; a list is needed", type_name(other)))),
    };
    Ok(Manifest {
        revision: fields.text("revision")?.unwrap_or_default().to_owned(),
        roots: roots::read(&given)?,
        v0: fields.get("rego_version").map(|value| version("rego_version", value)).transpose()?,
        file_versions: file_versions(&fields)?,
    })
}

/// The fields. A key that is nearly a known one is a mistake; another may be of a later OPA.
fn fields<'m>(name: &str, object: &'m Object, findings: &mut Findings) -> Result<Fields<'m>, Problem> {
    let keys: Vec<&str> = object.iter().filter_map(|(key, _)| key.as_string().ok().map(AsRef::as_ref)).collect();
    for key in keys.iter().filter(|key| !KEYS.contains(key)) {
        if nearest(key, KEYS).is_some() {
            return Fields::new(object, KEYS);
        }
        findings
            .notice(Diagnostic::file(name, format!("the key \"{}\" is not known and left alone", key.escape_debug())));
    }
    Fields::new(object, &keys)
}

/// Whether a version is the older language.
fn version(key: &str, value: &Value) -> Result<bool, Problem> {
    match value.as_u64() {
        Ok(0) => Ok(true),
        Ok(1) => Ok(false),
        _ => Err(Problem::new(format!("\"{key}\": {value} is no version of Rego")).hint("use 0 or 1")),
    }
}

fn file_versions(fields: &Fields<'_>) -> Result<Vec<(Regex, bool)>, Problem> {
    let key = "file_rego_versions";
    let object = match fields.get(key) {
        None => return Ok(Vec::new()),
        Some(Value::Object(object)) => object,
        Some(other) => return Err(Problem::new(format!("\"{key}\" is {}, not an object", type_name(other)))),
    };
    let mut found = Vec::new();
    for (name, value) in object.iter() {
        let name = text(key, name)?;
        let unknown = || {
            Problem::new(format!("\"{key}\": the pattern \"{name}\" is not understood")).hint("use names, `*` and `?`")
        };
        found.push((name.len(), pattern::read(name, true).ok_or_else(unknown)?, version(key, value)?));
    }
    found.sort_by_key(|(length, _, _)| std::cmp::Reverse(*length));
    Ok(found.into_iter().map(|(_, pattern, v0)| (pattern, v0)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(text: &str) -> Result<Manifest, Vec<String>> {
        let mut findings = Findings::default();
        let files = Files::from([(MANIFEST.to_owned(), text.as_bytes().to_vec())]);
        Manifest::of("b", &files, &mut findings)
            .ok_or_else(|| findings.errors.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn versions_of_files_go_before_that_of_the_bundle() {
        let text = r#"{"revision": "7", "rego_version": 1, "file_rego_versions": {"/foo/*.rego": 0, "/foo/new.rego": 1}, "metadata": {"a": 1}}"#;
        let manifest = manifest(text).unwrap();
        let version = |file| manifest.is_v0(file);
        assert_eq!((version("a.rego"), version("foo/a.rego")), (Some(false), Some(true)));
        assert_eq!((version("foo/new.rego"), version("foo/deep/a.rego")), (Some(false), Some(true)));
        assert_eq!((manifest.revision.as_str(), manifest.roots.as_slice()), ("7", &[String::new()][..]));
    }

    #[test]
    fn keys_of_a_later_opa_are_noticed() {
        let mut findings = Findings::default();
        let text = br#"{"revision": "7", "something_else": 1}"#.to_vec();
        let files = Files::from([(MANIFEST.to_owned(), text)]);
        assert!(Manifest::of("b", &files, &mut findings).is_some());
        assert!(findings.notices[0].message.contains("\"something_else\" is not known"));
    }

    #[test]
    fn wrong_manifests_say_what_is_wrong() {
        for (text, part) in [
            ("{", "b/.manifest:1:1: error: the manifest is not valid JSON"),
            ("[]", "an array, not an object"),
            (r#"{"root": []}"#, "did you mean \"roots\""),
            (r#"{"rego_version": 2}"#, "no version of Rego"),
            (r#"{"rego_version": "1"}"#, "no version of Rego"),
            (r#"{"roots": "a"}"#, "a list is needed"),
            (r#"{"roots": ["a", "a/b"]}"#, "overlap"),
            (r#"{"file_rego_versions": {"{a,b}": 0}}"#, "not understood"),
            (r#"{"wasm": [{"entrypoint": "a", "module": "policy.wasm"}]}"#, "WebAssembly"),
        ] {
            let error = manifest(text).unwrap_err().join("\n");
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
