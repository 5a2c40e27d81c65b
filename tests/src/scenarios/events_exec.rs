//! Facts of exec events: static programs, scripts, threads, programs without a name, many short lives.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt as _, path::Path};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::events::{Watch, by, child_of_test, expect, only, printed, text};
use crate::harness::scenario::{Ctx, Scenario, World};

/// How many short lives; in the VM each takes some milliseconds.
const BURST: u32 = 400;

/// The scenarios of this file.
pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario { name: "events-exec", world: World::Both, run: exec },
        Scenario { name: "events-exec-short-lived", world: World::Both, run: short_lived },
    ]
}

/// One daemon for all of them: starting one is what takes time in the VM.
fn exec(ctx: &Ctx) -> Result<()> {
    let watch = Watch::start(ctx)?;
    static_program(ctx, &watch).context("a static program")?;
    script(ctx, &watch).context("a script")?;
    failed_script(ctx, &watch).context("a script after one that failed")?;
    thread(ctx, &watch).context("an exec by a thread")?;
    nameless(ctx, &watch).context("programs without a name")?;
    watch.end()
}

fn static_program(ctx: &Ctx, watch: &Watch) -> Result<()> {
    let tiny = watch.dir.join("tiny");
    crate::workload::write_tiny(&tiny, 5)?;
    let (direct, ended) = watch.run(ctx.command(&tiny).args(["one", "", "two words"]).uid(65534))?;
    ensure!(ended.code == Some(5), "{ended:?}");
    let (becomes, ended) = watch.run(ctx.act_as(&watch.actor, &["become", &text(&tiny)]))?;
    ensure!(ended.code == Some(5), "{ended:?}");
    let alerts = watch.all()?;
    let mut known = child_of_test(ctx, 65534)?;
    known.extend([
        ("/process/executable", json!(text(&tiny))),
        ("/process/name", json!("tiny")),
        ("/process/args", json!([text(&tiny), "one", "", "two words"])),
        ("/process/args_truncated", json!(false)),
        ("/process/group/id", json!("65534")),
        ("/process/thread/id", json!(direct)),
        ("/process/previous/executable", json!(text(&fs::canonicalize(&ctx.tests_bin)?))),
        ("/file/path", json!(text(&tiny))),
        ("/file/inode", json!(inode(&tiny)?)),
    ]);
    expect(only(&alerts, direct, "exec")?, &known)?;
    let execs = by(&alerts, becomes, "exec");
    ensure!(execs.len() == 2, "the actor and then the program, not {execs:?}");
    let mut known = child_of_test(ctx, 0)?;
    known.extend([
        ("/process/executable", json!(text(&tiny))),
        ("/process/args", json!([text(&tiny)])),
        ("/process/previous/executable", json!(text(&watch.actor))),
    ]);
    expect(execs[1], &known)?;
    Ok(())
}

fn script(ctx: &Ctx, watch: &Watch) -> Result<()> {
    let path = write_script(&watch.dir.join("task.sh"), "#!/bin/sh\nexit 6\n")?;
    let shell = text(&fs::canonicalize("/bin/sh")?);
    let mut runs = Vec::new();
    for name in [path.as_str(), "./task.sh", "../facts/task.sh", "../facts/.././facts//task.sh"] {
        let (pid, ended) = watch.run(ctx.command(name).arg("x y").current_dir(&watch.dir))?;
        ensure!(ended.code == Some(6), "{name}: {ended:?}");
        runs.push((name, pid));
    }
    let alerts = watch.all()?;
    for (name, pid) in runs {
        let mut known = child_of_test(ctx, 0)?;
        known.extend([
            ("/process/executable", json!(shell)),
            ("/process/args", json!(["/bin/sh", name, "x y"])),
            ("/file/path", json!(path)),
            ("/file/name", json!("task.sh")),
            ("/process/previous/executable", json!(text(&fs::canonicalize(&ctx.tests_bin)?))),
        ]);
        // One execve is one event, whatever it took to load the image.
        expect(only(&alerts, pid, "exec")?, &known).with_context(|| name.to_owned())?;
    }
    Ok(())
}

/// A script that could not be executed says nothing about the one that follows in the same process.
fn failed_script(ctx: &Ctx, watch: &Watch) -> Result<()> {
    let broken = write_script(&watch.dir.join("broken.sh"), "#!/nonexistent/interpreter\n")?;
    let path = write_script(&watch.dir.join("task.sh"), "#!/bin/sh\nexit 6\n")?;
    let (pid, ended) = watch.run(ctx.act_as(&watch.actor, &["become", &broken, "--", "become", &path]))?;
    ensure!(ended.errnos() == [libc::ENOENT] && ended.code == Some(6), "{ended:?}");
    let alerts = watch.all()?;
    let execs = by(&alerts, pid, "exec");
    ensure!(execs.len() == 2, "the actor and then the script, not {execs:?}");
    expect(
        execs[1],
        &[("/file/path", json!(path)), ("/process/executable", json!(text(&fs::canonicalize("/bin/sh")?)))],
    )?;
    Ok(())
}

fn thread(ctx: &Ctx, watch: &Watch) -> Result<()> {
    let tiny = watch.dir.join("tiny");
    crate::workload::write_tiny(&tiny, 5)?;
    let script = write_script(&watch.dir.join("task.sh"), "#!/bin/sh\nexit 5\n")?;
    let mut pids = Vec::new();
    for program in [text(&tiny), script.clone()] {
        let (pid, ended) = watch.run(ctx.act_as(&watch.actor, &["thread", "become", &program]))?;
        ensure!(ended.code == Some(5), "{ended:?}");
        ensure!(printed(&ended, "thread=")? != [pid], "the exec was not another thread's");
        pids.push((program, pid));
    }
    let alerts = watch.all()?;
    for (program, pid) in pids {
        let execs = by(&alerts, pid, "exec");
        ensure!(execs.len() == 2, "the actor and then {program}, not {execs:?}");
        // After execve the thread that called it is the process.
        let mut known = child_of_test(ctx, 0)?;
        known.extend([
            ("/process/thread/id", json!(pid)),
            ("/process/previous/executable", json!(text(&watch.actor))),
            ("/file/path", json!(program)),
        ]);
        expect(execs[1], &known)?;
    }
    Ok(())
}

/// Programs without a name: deleted, or never named.
fn nameless(ctx: &Ctx, watch: &Watch) -> Result<()> {
    let (doomed, data) = (watch.dir.join("doomed"), ctx.write("facts/data", "x")?);
    fs::copy(&watch.actor, &doomed)?;
    let (doomed_name, actor, data) = (text(&doomed), text(&watch.actor), text(&data));
    let mut pids = Vec::new();
    for program in [vec!["become-unlinked", &doomed_name], vec!["become-memfd", "facts", &actor]] {
        let ops = [&program, &["act", "open", &data, "read"][..]].concat();
        let (pid, ended) = watch.run(ctx.act_as(&watch.actor, &ops))?;
        ensure!(ended.errnos() == [0], "{ended:?}");
        pids.push(pid);
    }
    let alerts = watch.all()?;
    let names = [(format!("{doomed_name} (deleted)"), "doomed"), ("/memfd:facts (deleted)".to_owned(), "memfd:facts")];
    for (pid, (path, name)) in pids.into_iter().zip(names) {
        let execs = by(&alerts, pid, "exec");
        ensure!(execs.len() == 2, "the actor and then {path}, not {execs:?}");
        let known = [("/process/executable", json!(path)), ("/process/name", json!(name))];
        expect(execs[1], &known)?;
        expect(execs[1], &[("/file/path", json!(path)), ("/process/previous/executable", json!(text(&watch.actor)))])?;
        // What it does then is done by that program.
        expect(super::events::only_open(&alerts, pid, &data)?, &known)?;
    }
    Ok(())
}

/// Processes that have ended before user space can look them up; every one of them is right.
fn short_lived(ctx: &Ctx) -> Result<()> {
    let watch = Watch::start(ctx)?;
    let tiny = watch.dir.join("tiny");
    crate::workload::write_tiny(&tiny, 0)?;
    let data = text(&ctx.write("facts/data", "x")?);
    let burst = ["burst", &BURST.to_string(), &text(&tiny)].map(str::to_owned);
    let (parent, ended) = watch.run(ctx.act_as(&watch.actor, &burst))?;
    ensure!(ended.errnos() == [0], "{ended:?}");
    let (forker, forked) =
        watch.run(ctx.act_as(&watch.actor, &["repeat", &BURST.to_string(), "fork", "open", &data, "read"]))?;
    ensure!(forked.errnos() == [0], "{forked:?}");
    let alerts = watch.all()?;
    let mut spawned = BTreeMap::new();
    for line in ended.stdout.lines().filter_map(|line| line.strip_prefix("spawned ")) {
        let (number, pid) = line.split_once(' ').context("a spawned line has two numbers")?;
        spawned.insert(pid.parse::<u32>()?, number.to_owned());
    }
    ensure!(spawned.len() == BURST as usize, "{} children", spawned.len());
    for (pid, number) in spawned {
        let mut known = lineage(&watch, parent);
        known.push(("/process/executable", json!(text(&tiny))));
        known.push(("/process/args", json!([text(&tiny), number])));
        expect(only(&alerts, pid, "exec")?, &known)?;
    }
    let children = printed(&forked, "child=")?;
    ensure!(children.len() == BURST as usize, "{} forked children", children.len());
    for pid in children {
        let mut known = lineage(&watch, forker);
        known.push(("/process/executable", json!(text(&watch.actor))));
        expect(super::events::only_open(&alerts, pid, &data)?, &known)?;
    }
    watch.end()
}

/// What is known of a grandchild: the actor is its parent, this program its grandparent.
fn lineage(watch: &Watch, parent: u32) -> Vec<(&'static str, Value)> {
    vec![
        ("/process/parent/pid", json!(parent)),
        ("/process/parent/executable", json!(text(&watch.actor))),
        ("/process/ancestors/0/pid", json!(parent)),
        ("/process/ancestors/0/executable", json!(text(&watch.actor))),
        ("/process/ancestors/1/pid", json!(std::process::id())),
        ("/process/user/id", json!("0")),
    ]
}

fn write_script(path: &Path, body: &str) -> Result<String> {
    fs::write(path, body)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    Ok(text(path))
}

/// The inode number as alerts have it.
fn inode(path: &Path) -> Result<String> {
    use std::os::unix::fs::MetadataExt as _;
    Ok(fs::metadata(path)?.ino().to_string())
}
