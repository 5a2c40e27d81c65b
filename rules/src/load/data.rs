//! Data files: JSON and YAML, merged into one document.
//!
//! A file below a named directory goes where its directory says, as in OPA: `DIR/a/b/x.json` fills `data.a.b`. Two
//! files may fill the same object, but not give the same key two values: which of them won would depend on their
//! order. A conflict names both files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use regorus::Value;

use crate::diagnostic::{Diagnostic, Findings};
use crate::fields::type_name;
use crate::load::files;
use crate::load::parse::{Text, message};

/// Deepest nesting of a document; regorus recurses over it.
const MAX_DEPTH: usize = 64;
/// Most files below the directories of one load.
const MAX_FILES: usize = 10_000;

/// A file and what it adds to `data`.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    pub(crate) text: Text,
    /// An object.
    pub(crate) value: Value,
}

impl Document {
    /// Reads a document that goes below the keys of `mount`.
    pub(crate) fn read(text: Text, mount: &[String]) -> Result<Document, Box<Diagnostic>> {
        let value = read(&text)?;
        let refuse = |message: String| Box::new(Diagnostic::file(&text.file, message).code("data-file"));
        if mount.is_empty() && !matches!(value, Value::Object(_)) {
            return Err(refuse(format!("holds {} where an object is needed", type_name(&value))));
        }
        if depth(&value, mount.len()) > MAX_DEPTH {
            return Err(refuse(format!("nests deeper than {MAX_DEPTH} levels")));
        }
        let below = |value, key: &String| Value::from(BTreeMap::from([(Value::from(key.as_str()), value)]));
        Ok(Document { value: mount.iter().rev().fold(value, below), text })
    }
}

/// Reads files and directories of data; those that cannot be read are findings.
pub(crate) fn read_all(paths: &[PathBuf], findings: &mut Findings) -> Vec<Document> {
    let mut found: Vec<(PathBuf, Vec<String>)> = Vec::new();
    for path in paths {
        if path.is_dir() {
            let before = found.len();
            search(path, &mut Vec::new(), &mut found, findings);
            if found.len() == before {
                let finding = Diagnostic::file(path.display().to_string(), "the directory holds no JSON or YAML files");
                findings.error(finding.hint("name a directory with *.json, *.yaml or *.yml files"));
            }
        } else {
            found.push((path.clone(), Vec::new()));
        }
    }
    let read = |(path, mount): &(PathBuf, Vec<String>)| {
        let text = files::read_text(path, files::MAX_DATA_BYTES);
        text.and_then(|text| Document::read(text, mount).map_err(|finding| *finding))
    };
    found.iter().filter_map(|file| read(file).map_err(|finding| findings.error(finding)).ok()).collect()
}

/// Finds the data files below a directory, in the order of their names.
fn search(directory: &Path, mount: &mut Vec<String>, found: &mut Vec<(PathBuf, Vec<String>)>, findings: &mut Findings) {
    let entries = std::fs::read_dir(directory).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let mut entries = match entries {
        Ok(entries) => entries,
        Err(error) => return findings.error(files::unreadable(directory, &error)),
    };
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if name.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            if mount.len() >= files::MAX_DIRECTORIES {
                return findings.error(Diagnostic::file(path.display().to_string(), "is nested too deep"));
            }
            mount.push(name);
            search(&path, mount, found, findings);
            mount.pop();
        } else if [".json", ".yaml", ".yml"].iter().any(|ending| name.to_lowercase().ends_with(ending)) {
            if found.len() >= MAX_FILES {
                let message = format!("there are more than {MAX_FILES} data files");
                return findings.error(Diagnostic::file(path.display().to_string(), message));
            }
            found.push((path, mount.clone()));
        }
    }
}

/// Merges documents; the first conflict of each pair is an error.
pub(crate) fn merge(documents: &[Document], findings: &mut Findings) -> Value {
    let mut merged = Tree::default();
    for document in documents {
        if let Err((path, other)) = merged.add(&document.value, &document.text.file) {
            let at = if path.is_empty() { "data".to_owned() } else { format!("data.{path}") };
            let finding = Diagnostic::file(&document.text.file, format!("{at} is also defined in {other}"));
            findings.error(finding.hint("keep it in one of the two files").code("data-conflict"));
        }
    }
    merged.build()
}

/// The documents that are there without a file, less those of which a file has a key at the top. Such a one gives way as a whole:
/// half of it beside the file's would look complete and not be.
pub(crate) fn unclaimed(
    defaults: &[(String, String)],
    documents: &[Document],
    findings: &mut Findings,
) -> Vec<Document> {
    let has =
        |document: &Document, key: &Value| document.value.as_object().is_ok_and(|object| object.get(key).is_some());
    let claimed = |key: &Value| documents.iter().any(|document| has(document, key));
    let mut free = Vec::new();
    for (name, text) in defaults {
        match Document::read(Text::new(name.as_str(), text.as_str()), &[]) {
            Ok(document)
                if document.value.as_object().is_ok_and(|object| object.iter().any(|(key, _)| claimed(key))) => {}
            Ok(document) => free.push(document),
            Err(finding) => findings.error(*finding),
        }
    }
    free
}

fn read(text: &Text) -> Result<Value, Box<Diagnostic>> {
    let lower = text.file.to_lowercase();
    let yaml = lower.ends_with(".yaml") || lower.ends_with(".yml");
    let parsed = if yaml { from_yaml(&text.text) } else { Value::from_json_str(&text.text).map_err(|e| e.to_string()) };
    parsed.map_err(|error| {
        let (line, column) = place(&error).unwrap_or((0, 0));
        let kind = if yaml { "YAML" } else { "JSON" };
        let what = format!("is not valid {kind}: {}", message(&error));
        let mut finding = Diagnostic::at(&text.file, &text.text, line, 0, what).code("data-file");
        // These parsers count characters.
        finding.column = column;
        Box::new(finding)
    })
}

/// Reads YAML as the JSON it stands for: keys are strings.
pub(crate) fn from_yaml(text: &str) -> Result<Value, String> {
    let value = Value::from_yaml_str(text).map_err(|error| error.to_string())?;
    if depth(&value, 0) > MAX_DEPTH {
        return Err(format!("it nests deeper than {MAX_DEPTH} levels"));
    }
    string_keys(value)
}

/// Keys that are numbers or booleans become their text; others cannot be keys.
fn string_keys(value: Value) -> Result<Value, String> {
    match value {
        Value::Array(items) => {
            let items = items.iter().cloned().map(string_keys).collect::<Result<Vec<Value>, String>>()?;
            Ok(Value::from(items))
        }
        Value::Object(fields) => {
            let mut object = BTreeMap::new();
            for (key, value) in fields.iter() {
                let name = match key {
                    Value::String(_) => key.clone(),
                    Value::Number(_) | Value::Bool(_) => Value::from(key.to_string()),
                    other => return Err(format!("{} cannot be a key", type_name(other))),
                };
                let shown = name.to_string();
                if object.insert(name, string_keys(value.clone())?).is_some() {
                    return Err(format!("the key {shown} is there twice, once with quotes and once without"));
                }
            }
            Ok(Value::from(object))
        }
        other => Ok(other),
    }
}

/// `at line L column C`, as both parsers say.
pub(crate) fn place(error: &str) -> Option<(u32, u32)> {
    let (_, rest) = error.split_once("at line ")?;
    let mut numbers = rest.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn depth(value: &Value, level: usize) -> usize {
    if level > MAX_DEPTH {
        return level;
    }
    let deeper = |value: &Value| depth(value, level + 1);
    match value {
        Value::Object(object) => object.iter().map(|(_, value)| deeper(value)).max().unwrap_or(level),
        Value::Array(array) => array.iter().map(deeper).max().unwrap_or(level),
        Value::Set(set) => set.iter_sorted().map(deeper).max().unwrap_or(level),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Undefined => level,
    }
}

/// A document under construction that remembers which file each value came from.
#[derive(Default)]
struct Tree {
    children: std::collections::BTreeMap<Value, (Tree, Option<Value>, String)>,
}

impl Tree {
    /// Adds an object. On a conflict, the dotted path and the other file.
    fn add(&mut self, value: &Value, file: &str) -> Result<(), (String, String)> {
        let Value::Object(object) = value else { return Ok(()) };
        for (key, value) in object.iter() {
            let is_object = matches!(value, Value::Object(_));
            let leaf = (!is_object).then(|| value.clone());
            let (tree, known, owner) = match self.children.entry(key.clone()) {
                std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
                std::collections::btree_map::Entry::Vacant(entry) => {
                    let (tree, _, _) = entry.insert((Tree::default(), leaf, file.to_owned()));
                    tree.add(value, file)?;
                    continue;
                }
            };
            let name = key.as_string().map(|key| key.to_string()).unwrap_or_default();
            if !is_object || known.is_some() {
                return Err((name, owner.clone()));
            }
            tree.add(value, file).map_err(|(path, other)| (format!("{name}.{path}"), other))?;
        }
        Ok(())
    }

    fn build(self) -> Value {
        let fields =
            self.children.into_iter().map(|(key, (tree, leaf, _))| (key, leaf.unwrap_or_else(|| tree.build())));
        Value::from(fields.collect::<std::collections::BTreeMap<_, _>>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(files: &[(&str, &str)]) -> (Value, Findings) {
        let mut findings = Findings::default();
        let mut documents = Vec::new();
        for (file, text) in files {
            match Document::read(Text::new(*file, *text), &[]) {
                Ok(document) => documents.push(document),
                Err(finding) => findings.error(*finding),
            }
        }
        (merge(&documents, &mut findings), findings)
    }

    #[test]
    fn files_fill_the_same_object() {
        let (value, findings) = texts(&[("a.json", r#"{"x": {"a": 1}}"#), ("b.yaml", "x:\n  b: [2]\ny: z\n")]);
        assert!(findings.errors.is_empty(), "{:?}", findings.errors);
        assert_eq!(value, Value::from_json_str(r#"{"x": {"a": 1, "b": [2]}, "y": "z"}"#).unwrap());
    }

    #[test]
    fn a_conflict_names_both_files() {
        for second in [r#"{"x": {"a": 1}}"#, r#"{"x": 3}"#, r#"{"x": {"a": {"b": 1}}}"#] {
            let (_, findings) = texts(&[("a.json", r#"{"x": {"a": 1}}"#), ("b.json", second)]);
            let error = findings.errors[0].to_string();
            assert!(error.contains("data.x") && error.contains("a.json") && error.contains("b.json"), "{error}");
        }
    }

    #[test]
    fn a_file_takes_the_place_of_a_default() {
        let defaults = [("built in".to_owned(), r#"{"embargo": {"un": 1}}"#.to_owned())];
        let free = |text: &str| {
            let documents = [Document::read(Text::new("a.json", text), &[]).unwrap()];
            unclaimed(&defaults, &documents, &mut Findings::default()).len()
        };
        assert_eq!((free(r#"{"other": 1}"#), free(r#"{"embargo": {}}"#)), (1, 0));
    }

    #[test]
    fn keys_of_yaml_are_strings() {
        let (value, findings) = texts(&[("a.yaml", "1: a\ntrue: b\nc: {2.5: d}\n")]);
        assert!(findings.errors.is_empty(), "{:?}", findings.errors);
        assert_eq!(value, Value::from_json_str(r#"{"1": "a", "true": "b", "c": {"2.5": "d"}}"#).unwrap());
        for (text, part) in [("? [1]\n: a\n", "an array cannot be a key"), ("1: a\n'1': b\n", "there twice")] {
            let (_, findings) = texts(&[("a.yaml", text)]);
            assert!(findings.errors[0].to_string().contains(part), "{:?}", findings.errors);
        }
    }

    #[test]
    fn anchors_are_values_and_cannot_explode() {
        let (value, findings) = texts(&[("a.yaml", "a: &x [1]\nb: *x\n")]);
        assert!(findings.errors.is_empty(), "{:?}", findings.errors);
        assert_eq!(value, Value::from_json_str(r#"{"a": [1], "b": [1]}"#).unwrap());
        let mut bomb = "l0: &l0 [a,a,a,a,a,a,a,a,a,a]\n".to_owned();
        for level in 1..12 {
            let last = level - 1;
            bomb.push_str(&format!("l{level}: &l{level} [{}*l{last}]\n", format!("*l{last},").repeat(9)));
        }
        let start = std::time::Instant::now();
        assert_eq!(texts(&[("a.yaml", &bomb)]).1.errors.len(), 1);
        assert!(start.elapsed().as_secs() < 20);
    }

    #[test]
    fn bad_documents_have_a_place() {
        let (_, findings) =
            texts(&[("a.json", "{\n\"x\": }"), ("b.json", "[1]"), ("c.yaml", "a: [\n"), ("d.json", "")]);
        assert_eq!(findings.errors.len(), 4, "{:?}", findings.errors);
        assert_eq!((findings.errors[0].line, findings.errors[0].file.as_str()), (2, "a.json"));
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(100), "]".repeat(100));
        assert!(texts(&[("e.json", &deep)]).1.errors[0].message.contains("deeper"));
    }
}
