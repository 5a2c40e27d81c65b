//! Lists the shipped policies, so that they and their tests are part of the crate.
//!
//! Writes one table of file names and contents; nothing is read or checked here.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=policy");
    let root = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?).join("policy");
    let mut files = Vec::new();
    if root.is_dir() {
        collect(&root, &mut files)?;
    }
    files.sort();
    let mut table = String::from("&[\n");
    for file in &files {
        let name = file.strip_prefix(&root)?.to_str().ok_or("a policy's file name is not UTF-8")?;
        writeln!(
            table,
            "    (\"shipped/{name}\", include_str!(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/policy/{name}\"))),"
        )?;
    }
    table.push(']');
    fs::write(PathBuf::from(std::env::var("OUT_DIR")?).join("shipped.rs"), table)?;
    Ok(())
}

/// Adds every `*.rego` below a directory.
fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rego") {
            files.push(path);
        }
    }
    Ok(())
}
