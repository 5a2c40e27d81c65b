//! The policies built into the crate, from `policy/`.

use crate::load::parse::Text;

/// File names and contents, policies and tests alike.
const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/shipped.rs"));

fn texts(tests: bool) -> Vec<Text> {
    let wanted = FILES.iter().filter(|(file, _)| file.ends_with("_test.rego") == tests);
    wanted.map(|(file, text)| Text::new(*file, *text)).collect()
}

/// The policies.
pub(crate) fn shipped_policies() -> Vec<Text> {
    texts(false)
}

/// Their tests.
pub(crate) fn shipped_tests() -> Vec<Text> {
    texts(true)
}
