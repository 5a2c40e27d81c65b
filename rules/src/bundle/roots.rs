//! The parts of `data` that a bundle may fill.
//!
//! A root is a path of keys with slashes between them; the empty one is all of `data`. What a bundle holds outside
//! of its roots is an error, and so are two bundles with roots in common: neither could say what it owns.

use regorus::Value;

use super::BundleInfo;
use crate::diagnostic::{Diagnostic, Findings};
use crate::fields::Problem;

/// Roots as a manifest writes them, without slashes around them.
pub(super) fn read(given: &[&str]) -> Result<Vec<String>, Problem> {
    let mut roots: Vec<String> = given.iter().map(|root| root.trim_matches('/').to_owned()).collect();
    roots.sort();
    for (place, root) in roots.iter().enumerate() {
        if let Some(other) = roots[place + 1..].iter().find(|other| overlap(root, other)) {
            return Err(
                Problem::new(format!("the roots \"{root}\" and \"{other}\" overlap")).hint("keep the outer one")
            );
        }
    }
    Ok(roots)
}

/// Whether `inner` is `outer` or below it.
fn holds(outer: &str, inner: &str) -> bool {
    outer.is_empty() || inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn overlap(one: &str, other: &str) -> bool {
    holds(one, other) || holds(other, one)
}

/// Whether a path may be filled.
pub(super) fn permit(roots: &[String], path: &str) -> bool {
    roots.iter().any(|root| holds(root, path))
}

/// The first path of a document that is outside of the roots.
pub(super) fn outside(roots: &[String], value: &Value) -> Option<String> {
    find_outside(roots, "", value)
}

fn find_outside(roots: &[String], path: &str, value: &Value) -> Option<String> {
    if permit(roots, path) {
        return None;
    }
    match value {
        Value::Object(object) if path.is_empty() || roots.iter().any(|root| holds(path, root)) => {
            let child = |key: &Value| {
                let key = key.as_string().map(|key| key.to_string()).unwrap_or_default();
                if path.is_empty() { key } else { format!("{path}/{key}") }
            };
            object.iter().find_map(|(key, value)| find_outside(roots, &child(key), value))
        }
        _ => Some(path.to_owned()),
    }
}

/// Reports every two bundles with roots in common.
pub(crate) fn check_overlaps(bundles: &[BundleInfo], findings: &mut Findings) {
    for (place, one) in bundles.iter().enumerate() {
        for other in &bundles[place + 1..] {
            let shared = one.roots.iter().find_map(|a| other.roots.iter().find(|b| overlap(a, b)).map(|b| (a, b)));
            if let Some((a, b)) = shared {
                let shown = |root: &str| if root.is_empty() { "all of data".to_owned() } else { format!("\"{root}\"") };
                let message = format!("its root, {}, overlaps {} of {}", shown(b), shown(a), one.path);
                let finding = Diagnostic::file(&other.path, message);
                findings.error(finding.hint("give each bundle roots of its own in its manifest"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_hold_whole_keys() {
        assert!(holds("a/b", "a/b/c") && holds("a/b", "a/b") && holds("", "x") && !holds("a/b", "a/bc"));
        assert!(read(&["/a/b/", "a/c"]).is_ok() && read(&["a/b", "a"]).is_err() && read(&["", "a"]).is_err());
    }

    #[test]
    fn data_stays_below_the_roots() {
        let roots = ["a/b".to_owned(), "c".to_owned()];
        let outside = |json| outside(&roots, &Value::from_json_str(json).unwrap());
        assert_eq!(outside(r#"{"a": {"b": 1}, "c": {"d": 2}}"#), None);
        assert_eq!(outside(r#"{"a": {"b": 1, "x": 2}}"#).as_deref(), Some("a/x"));
        assert_eq!(outside(r#"{"a": 1}"#).as_deref(), Some("a"));
        assert_eq!(outside(r#"{"d": {}}"#).as_deref(), Some("d"));
    }
}
