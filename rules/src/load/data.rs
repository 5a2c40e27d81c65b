//! Data files: JSON and YAML, merged into one document.
//!
//! Two files may fill the same object, but not give the same key two values: which of them won would depend on
//! their order. A conflict names both files.

use regorus::Value;

use crate::diagnostic::{Diagnostic, Findings};
use crate::fields::type_name;
use crate::load::parse::{Text, message};

/// Deepest nesting of a document; regorus recurses over it.
const MAX_DEPTH: usize = 64;

/// Merges documents; the first conflict of each pair is an error.
pub(crate) fn merge(texts: &[Text], findings: &mut Findings) -> Value {
    let mut merged = Tree::default();
    for text in texts {
        match read(text) {
            Ok(value) => {
                if let Err((path, other)) = merged.add(&value, &text.file) {
                    let at = if path.is_empty() { "data".to_owned() } else { format!("data.{path}") };
                    let finding = Diagnostic::file(&text.file, format!("{at} is also defined in {other}"));
                    findings.error(finding.hint("keep it in one of the two files").code("data-conflict"));
                }
            }
            Err(finding) => findings.error(*finding),
        }
    }
    merged.build()
}

/// The documents that are there without a file, less those of which a file has a key at the top. Such a one gives way as a whole:
/// half of it beside the file's would look complete and not be.
pub(crate) fn unclaimed(defaults: &[(String, String)], files: &[Text]) -> Vec<Text> {
    // What is wrong with a file is told when it is merged.
    let files: Vec<Value> = files.iter().filter_map(|file| read(file).ok()).collect();
    let claimed = |key: &Value| files.iter().any(|file| file.as_object().is_ok_and(|object| object.get(key).is_some()));
    let texts = defaults.iter().map(|(name, text)| Text { file: name.clone(), text: text.as_str().into() });
    let free = |text: &Text| match read(text) {
        Ok(Value::Object(object)) => !object.iter().any(|(key, _)| claimed(key)),
        Ok(_) | Err(_) => true,
    };
    texts.filter(free).collect()
}

fn read(text: &Text) -> Result<Value, Box<Diagnostic>> {
    let refuse = |message: String| Box::new(Diagnostic::file(&text.file, message).code("data-file"));
    let lower = text.file.to_lowercase();
    let yaml = lower.ends_with(".yaml") || lower.ends_with(".yml");
    let parsed = if yaml { Value::from_yaml_str(&text.text) } else { Value::from_json_str(&text.text) };
    let value = parsed.map_err(|error| {
        let error = error.to_string();
        let (line, column) = place(&error).unwrap_or((0, 0));
        let kind = if yaml { "YAML" } else { "JSON" };
        let what = format!("is not valid {kind}: {}", message(&error));
        let mut finding = Diagnostic::at(&text.file, &text.text, line, 0, what).code("data-file");
        // These parsers count characters.
        finding.column = column;
        Box::new(finding)
    })?;
    if depth(&value, 0) > MAX_DEPTH {
        return Err(refuse(format!("nests deeper than {MAX_DEPTH} levels")));
    }
    match value {
        Value::Object(_) => Ok(value),
        other => Err(refuse(format!("holds {} where an object is needed", type_name(&other)))),
    }
}

/// `at line L column C`, as both parsers say.
fn place(error: &str) -> Option<(u32, u32)> {
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
        let texts: Vec<Text> =
            files.iter().map(|(file, text)| Text { file: (*file).to_owned(), text: (*text).into() }).collect();
        (merge(&texts, &mut findings), findings)
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
        let file = |text: &str| [Text { file: "a.json".to_owned(), text: text.into() }];
        assert_eq!(unclaimed(&defaults, &file(r#"{"other": 1}"#)).len(), 1);
        assert_eq!(unclaimed(&defaults, &file(r#"{"embargo": {}}"#)).len(), 0);
        assert_eq!(unclaimed(&defaults, &file("{")).len(), 1);
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
