//! File name patterns of manifests and settings, as regular expressions.
//!
//! OPA matches the versions of a manifest with patterns whose `*` passes slashes, and the excluded files of a
//! verification with patterns whose `*` does not. What else patterns could have is refused rather than misread.

use regex::Regex;

/// Reads a pattern; `None` when it holds what is not understood here.
pub(super) fn read(pattern: &str, star_passes_slashes: bool) -> Option<Regex> {
    let (any, one) = if star_passes_slashes { (".*", ".") } else { ("[^/]*", "[^/]") };
    let mut text = String::from("(?s)^");
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '*' => text.push_str(any),
            '?' => text.push_str(one),
            '\\' => text.push_str(&regex::escape(&chars.next()?.to_string())),
            '[' | ']' | '{' | '}' => return None,
            _ => text.push_str(&regex::escape(&c.to_string())),
        }
    }
    text.push('$');
    Regex::new(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_slashes() {
        // The cases of OPA's own test of excluded files.
        for (pattern, name, wanted) in [
            ("data.json", "data.json", true),
            (".*", ".manifest", true),
            (".*", "data.json", false),
            ("/a/b/*", "/a/b/data.json", true),
            ("/a/b/*", "/a/b/c/data.json", false),
        ] {
            assert_eq!(read(pattern, false).unwrap().is_match(name), wanted, "{pattern} {name}");
        }
        assert!(read("/foo/*.rego", true).unwrap().is_match("/foo/bar/x.rego"));
        assert!(!read("a.b", true).unwrap().is_match("axb"));
        assert!(read("\\*a?", true).unwrap().is_match("*ab"));
        assert!(read("{a,b}", true).is_none() && read("[a]", false).is_none() && read("a\\", true).is_none());
    }
}
