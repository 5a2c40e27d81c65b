//! Facts of open events and of names: forks, threads, users, very long paths, bytes that are no text.

use std::{
    ffi::OsStr,
    fs,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::events::{Watch, by, child_of_test, expect, only, only_open, printed, text};
use crate::harness::scenario::{Ctx, Scenario, World};

/// The scenarios of this file.
pub(super) fn all() -> Vec<Scenario> {
    vec![Scenario { name: "events-files", world: World::Both, run: files }]
}

/// One daemon for all of them: starting one is what takes time in the VM.
fn files(ctx: &Ctx) -> Result<()> {
    let watch = Watch::start(ctx)?;
    tasks(ctx, &watch).context("a fork and a thread")?;
    access(ctx, &watch).context("ways to open")?;
    long_paths(ctx, &watch).context("long paths")?;
    no_text(ctx, &watch).context("names that are no text")?;
    container(ctx, &watch).context("containers")?;
    watch.end()
}

/// A fork without exec, and a thread.
fn tasks(ctx: &Ctx, watch: &Watch) -> Result<()> {
    let data = text(&ctx.write("facts/data", "x")?);
    let (parent, forked) = watch.run(ctx.act_as(&watch.actor, &["fork", "open", &data, "read"]).uid(65534))?;
    let (threaded, ended) = watch.run(ctx.act_as(&watch.actor, &["thread", "open", &data, "read"]))?;
    ensure!(forked.errnos() == [0] && ended.errnos() == [0], "{forked:?} {ended:?}");
    let (child, tid) = (printed(&forked, "child=")?[0], printed(&ended, "thread=")?[0]);
    ensure!(child != parent && tid != threaded, "{child} {parent} {tid} {threaded}");
    let alerts = watch.all()?;
    expect(
        only_open(&alerts, child, &data)?,
        &[
            ("/process/executable", json!(text(&watch.actor))),
            ("/process/args", json!([text(&watch.actor), "act", "fork", "open", data, "read"])),
            ("/process/thread/id", json!(child)),
            ("/process/parent/pid", json!(parent)),
            ("/process/parent/executable", json!(text(&watch.actor))),
            ("/process/ancestors/1/pid", json!(std::process::id())),
            ("/user/id", json!("65534")),
        ],
    )?;
    let mut known = child_of_test(ctx, 0)?;
    known.extend([("/process/executable", json!(text(&watch.actor))), ("/process/thread/id", json!(tid))]);
    expect(only_open(&alerts, threaded, &data)?, &known)?;
    Ok(())
}

/// What an open may do to the file, and files whose name is gone.
fn access(ctx: &Ctx, watch: &Watch) -> Result<()> {
    let existing = text(&ctx.write("facts/existing", "x")?);
    let mut opens = Vec::new();
    for (how, write, create) in
        [("read", false, false), ("write", true, false), ("create", true, false), ("truncate", true, false)]
    {
        let (pid, ended) = watch.run(ctx.act_as(&watch.actor, &["open", &existing, how]))?;
        ensure!(ended.errnos() == [0], "{ended:?}");
        opens.push((pid, existing.clone(), write, create));
    }
    let fresh = text(&watch.dir.join("fresh.txt"));
    let (pid, ended) = watch.run(ctx.act_as(&watch.actor, &["open", &fresh, "create"]))?;
    ensure!(ended.errnos() == [0], "{ended:?}");
    opens.push((pid, fresh, true, true));
    let gone = text(&ctx.write("facts/gone", "x")?);
    let (deleter, ended) = watch.run(ctx.act_as(&watch.actor, &["open-unlinked", &gone]))?;
    ensure!(ended.errnos() == [0], "{ended:?}");
    let alerts = watch.all()?;
    for (pid, path, write, create) in opens {
        let (directory, name) = (text(&watch.dir), path.rsplit('/').next().unwrap_or_default());
        let known = [
            ("/file/write", json!(write)),
            ("/file/create", json!(create)),
            ("/file/name", json!(name)),
            ("/file/directory", json!(directory)),
            ("/file/inode", json!(inode(Path::new(&path))?)),
        ];
        expect(only_open(&alerts, pid, &path)?, &known)?;
    }
    only_open(&alerts, deleter, &gone)?;
    let known = [("/file/name", json!("gone")), ("/file/directory", json!(text(&watch.dir)))];
    expect(only_open(&alerts, deleter, &format!("{gone} (deleted)"))?, &known)?;
    Ok(())
}

/// A path of 4,000 characters is whole; one that no buffer holds is marked, and not taken for another.
fn long_paths(ctx: &Ctx, watch: &Watch) -> Result<()> {
    let deep = deep_directory(&watch.dir, 3900)?;
    let tiny = deep.join(name_of(4000 - 1 - text(&deep).len()));
    ensure!(text(&tiny).len() == 4000);
    crate::workload::write_tiny(&tiny, 5)?;
    let (reader, ended) = watch.run(ctx.act_as(&watch.actor, &["open", &text(&tiny), "read"]))?;
    ensure!(ended.errnos() == [0], "{ended:?}");
    let (runner, ended) = watch.run(ctx.command(&tiny).arg("argument"))?;
    ensure!(ended.code == Some(5), "{ended:?}");
    // Past what open(2) takes in one piece: the directory is entered first.
    let (outer, inner) = (name_of(250), name_of(251));
    let ops = ["mkdir", &outer, "--", "open", &format!("{outer}/{inner}"), "create"];
    let (beyond, ended) = watch.run(ctx.act_as(&watch.actor, &ops).current_dir(&deep))?;
    ensure!(ended.errnos() == [0, 0], "{ended:?}");
    let alerts = watch.all()?;
    only_open(&alerts, reader, &text(&tiny))?;
    let known = [
        ("/process/executable", json!(text(&tiny))),
        ("/file/path", json!(text(&tiny))),
        // The first argument is that same name: more than an event holds of arguments.
        ("/process/args_truncated", json!(true)),
    ];
    expect(only(&alerts, runner, "exec")?, &known)?;
    let tail = format!("/{outer}/{inner}");
    let long: Vec<&str> = by(&alerts, beyond, "open")
        .into_iter()
        .filter_map(|alert| alert["file"]["path"].as_str().filter(|path| path.ends_with(&tail)))
        .collect();
    ensure!(long.len() == 1, "{} opens end with the long name", long.len());
    let whole = format!("{}{tail}", text(&deep));
    let end = long[0].strip_prefix("...").unwrap_or_default();
    ensure!(end.len() > 3500 && whole.ends_with(end), "not marked as the end of a path: {}", long[0]);
    Ok(())
}

/// Names and arguments are bytes; what is no UTF-8 shows as replacement characters and loses nothing else.
fn no_text(ctx: &Ctx, watch: &Watch) -> Result<()> {
    let odd = watch.dir.join(OsStr::from_bytes(b"odd\xff\xfename\n\x01"));
    crate::workload::write_tiny(&odd, 5)?;
    let (runner, ended) = watch.run(ctx.command(&odd).arg(OsStr::from_bytes(b"a\x80b\"\\")))?;
    ensure!(ended.code == Some(5), "{ended:?}");
    let hex: String = odd.as_os_str().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let (reader, ended) = watch.run(ctx.act_as(&watch.actor, &["open", &format!("hex:{hex}"), "read"]))?;
    ensure!(ended.errnos() == [0], "{ended:?}");
    let alerts = watch.all()?;
    let shown = format!("{}/odd\u{fffd}\u{fffd}name\n\u{1}", text(&watch.dir));
    let known = [
        ("/process/executable", json!(shown)),
        ("/process/args", json!([shown, "a\u{fffd}b\"\\"])),
        ("/process/name", json!("odd\u{fffd}\u{fffd}name\n\u{1}")),
        ("/file/path", json!(shown)),
    ];
    expect(only(&alerts, runner, "exec")?, &known)?;
    expect(only_open(&alerts, reader, &shown)?, &[("/file/inode", json!(inode(&odd)?))])?;
    Ok(())
}

/// The container is the one that the cgroup is named after, also for cgroups further down.
fn container(ctx: &Ctx, watch: &Watch) -> Result<()> {
    let id = "0123456789abcdef".repeat(4);
    let container = watch.scope.child(&format!("docker-{id}.scope"))?;
    let below = container.child("init.scope")?;
    let data = text(&ctx.write("facts/data", "x")?);
    let mut runs = Vec::new();
    for (cgroup, expected) in [
        (&watch.scope, json!(null)),
        (&container, json!({"id": id, "runtime": "docker"})),
        (&below, json!({"id": id, "runtime": "docker"})),
    ] {
        let child = ctx.act_as(&watch.actor, &["open", &data, "read"]).cgroup(cgroup).start()?;
        runs.push((child.pid(), expected));
        ensure!(child.finish()?.errnos() == [0]);
    }
    let alerts = watch.all()?;
    for (pid, expected) in runs {
        expect(only_open(&alerts, pid, &data)?, &[("/container", expected.clone())])?;
        expect(only(&alerts, pid, "exec")?, &[("/container", expected)])?;
    }
    Ok(())
}

/// Makes directories below `base` until the path has at least `length` bytes.
fn deep_directory(base: &Path, length: usize) -> Result<PathBuf> {
    let mut path = base.to_owned();
    while text(&path).len() < length {
        path = path.join(name_of((length - text(&path).len()).clamp(2, 200)));
    }
    fs::create_dir_all(&path)?;
    Ok(path)
}

/// A name of this many letters.
fn name_of(length: usize) -> String {
    "abcdefghij".chars().cycle().take(length).collect()
}

/// The inode number as alerts have it.
fn inode(path: &Path) -> Result<String> {
    use std::os::unix::fs::MetadataExt as _;
    Ok(fs::metadata(path)?.ino().to_string())
}
