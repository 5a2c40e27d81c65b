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

/// Tells scenarios where alerts are kept.
pub(crate) const KEEP: &str = "SENTINEL_KEEP_ALERTS";
/// Room for them, bytes. The file is sparse.
const ROOM: u64 = 256 << 20;

/// The file that scenarios on a kernel, or on the host, keep alerts in: lines with zeros behind them, none yet.
pub(crate) fn kept(project: &Project, place: &str) -> Result<PathBuf> {
    let folder = project.cache()?.join("alerts");
    let path = folder.join(format!("{place}.kept"));
    let made = fs::create_dir_all(&folder).and_then(|()| fs::File::create(&path)?.set_len(ROOM));
    made.with_context(|| format!("making {}", path.display()))?;
    Ok(path)
}

/// Runs the stage.
pub(crate) fn run_stage(project: &Project) -> Result<Count> {
    let folder = project.cache()?.join("formats");
    let (modules, python) = (ecs(project, &folder)?, ocsf(project, &folder)?);
    let mut total = written(project)?;
    scenarios(project)?;
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

/// Makes what scenarios have kept one file for each format.
fn scenarios(project: &Project) -> Result<()> {
    let folder = project.cache()?.join("alerts");
    let mut all = Vec::new();
    for entry in fs::read_dir(&folder).into_iter().flatten() {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "kept") {
            let bytes = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
            all.extend(bytes.into_iter().take_while(|byte| *byte != 0));
        }
    }
    if all.is_empty() {
        println!("formats: no scenario has been run here, so only alerts of the tests are looked at");
        return Ok(());
    }
    let ecs = folder.join("ecs.jsonl");
    fs::write(&ecs, all).with_context(|| format!("writing {}", ecs.display()))?;
    let ocsf = fs::File::create(folder.join("ocsf.jsonl"))?;
    let mut cargo = project.cargo();
    cargo.args(["run", "--quiet", "--package", "alerts", "--example", "format", "ocsf"]).arg(ecs);
    run(cargo.stdout(ocsf)).context("writing the scenarios' alerts in OCSF")
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
