//! The generated pages of `docs/` are what their sources say.

use std::fs;

#[path = "../examples/docs/pages.rs"]
mod pages;

#[test]
fn the_generated_pages_are_current() {
    for (path, text) in pages::all().unwrap_or_else(|error| panic!("{error}")) {
        let there = fs::read_to_string(&path).unwrap_or_default();
        let line = there.lines().zip(text.lines()).position(|(there, text)| there != text);
        assert!(
            there == text,
            "{} is stale from line {:?}: run `cargo xtask docs`",
            path.display(),
            line.map(|n| n + 1)
        );
    }
}
