//! The stage `formats`: alerts of the tests and of the scenarios, held to the schemas of others by the software of others.
//!
//! ECS by the npm package `@elastic/ecs`, OCSF by the PyPI package `ocsf-json-schema`, both at fixed versions and kept in
//! `.vm/formats` between runs. Invariant: a missing validator is an error, never a pass.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    project::{Project, find_program, run},
    stages::{Count, add, cargo_count, counted, scenario_count},
};

/// Validators at the versions that they are held at.
const ECS: &str = "@elastic/ecs@9.4.0";
const OCSF: &[&str] = &["ocsf-json-schema==1.2.0", "jsonschema==4.26.0"];

/// Runs the stage.
pub(crate) fn run_stage(project: &Project) -> Result<Count> {
    let folder = project.cache()?.join("formats");
    let (modules, python) = (ecs(project, &folder)?, ocsf(project, &folder)?);
    let mut total = written(project)?;
    let (ecs, ocsf) = (lines(project, "ecs")?, lines(project, "ocsf")?);
    let mut node = project.command("node");
    node.arg(project.root.join("tests/formats/ecs.cjs")).arg(modules).args(ecs);
    add(&mut total, Some(counted(&mut node, &mut scenario_count)?));
    let mut python = project.command(python);
    python.arg(project.root.join("tests/formats/ocsf.py")).args(ocsf);
    add(&mut total, Some(counted(&mut python, &mut scenario_count)?));
    Ok(total)
}

/// Has the unit tests write alerts of every kind in every format.
fn written(project: &Project) -> Result<Count> {
    let mut cargo = project.cargo();
    cargo.args(["test", "--package", "alerts", "--test", "formats"]);
    counted(&mut cargo, &mut cargo_count)
}

/// What the tests wrote, and what scenarios left in `.vm/alerts`.
fn lines(project: &Project, format: &str) -> Result<Vec<PathBuf>> {
    let tests = project.target.join("tmp/formats").join(format!("{format}.jsonl"));
    ensure!(tests.exists(), "{} is missing: the test that writes it did not run", tests.display());
    let scenarios = project.cache()?.join("alerts").join(format!("{format}.jsonl"));
    Ok([Some(tests), scenarios.exists().then_some(scenarios)].into_iter().flatten().collect())
}

/// The directory with the npm package in it.
fn ecs(project: &Project, folder: &Path) -> Result<PathBuf> {
    ensure!(find_program("npm").is_some(), "npm is missing; install Node.js 18 or later (Debian: nodejs npm)");
    let folder = folder.join("npm");
    let modules = folder.join("node_modules");
    if !modules.join("@elastic/ecs/package.json").exists() {
        fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        let mut npm = project.command("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"]).arg(&folder).arg(ECS);
        run(&mut npm).context("fetching the ECS validator from npm")?;
    }
    Ok(modules)
}

/// A Python with the PyPI packages.
fn ocsf(project: &Project, folder: &Path) -> Result<PathBuf> {
    let folder = folder.join("python");
    let python = folder.join("bin/python");
    let ready = folder.join("ready");
    if !ready.exists() {
        let by_hand = "install python3 with venv (Debian: python3-venv)";
        run(project.command("python3").args(["-m", "venv", "--clear"]).arg(&folder)).context(by_hand)?;
        run(project.command(&python).args(["-m", "pip", "install", "--quiet"]).args(OCSF))
            .context("fetching the OCSF validator from PyPI")?;
        fs::write(&ready, OCSF.join("\n"))?;
    }
    Ok(python)
}
