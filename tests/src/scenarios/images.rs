//! What runs: by its content, by lists of what may run, and files that are nowhere on a disk.
//!
//! Invariant: as in `enforce_standing_files`: each refusal is compared with the same act without the rule.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use sha2::{Digest as _, Sha256};

use super::{
    enforce_lab::{EPERM, PATIENCE, Shown, alert_of, expect, is_rule, reload, stop, text, until, words},
    files_ground::{Ground, On},
};
use crate::harness::{
    cgroup::{self, Cgroup},
    scenario::{Ctx, Scenario, World, eventually},
    sentinel::Sentinel,
};

/// The scenarios of this file.
pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario { name: "images-hash-copy-ext4", world: World::Vm, run: |ctx| copies(ctx, On::Ext4) },
        Scenario { name: "images-hash-copy-tmpfs", world: World::Vm, run: |ctx| copies(ctx, On::Tmpfs) },
        Scenario { name: "images-hash-copy-overlay", world: World::Vm, run: |ctx| copies(ctx, On::Overlay) },
        Scenario { name: "images-hash-loader", world: World::Vm, run: loader },
        Scenario { name: "images-hash-unknown", world: World::Vm, run: unknown },
        Scenario { name: "images-allow-list", world: World::Vm, run: allow_list },
        Scenario { name: "images-not-on-disk", world: World::Vm, run: not_on_disk },
        Scenario { name: "images-deep-path", world: World::Vm, run: deep_path },
    ]
}

/// The content of a file as `sha256sum` shows it.
fn sha256(path: &Path) -> Result<String> {
    let digest = Sha256::digest(fs::read(path).with_context(|| path.display().to_string())?);
    Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn exec(ctx: &Ctx, path: &Path, errno: i32) -> Result<()> {
    let op = format!("exec {}", path.display());
    expect(&op, ctx.act(&words(&op)), errno)
}

/// A hook that the kernel hashes by; scenarios about the first exec need it.
fn ensure_hashes(sentinel: &Sentinel) -> Result<()> {
    let status = sentinel.status_json()?;
    let hooks = status["hooks"].as_array().context("hooks")?;
    let hook = hooks.iter().find(|hook| hook["name"] == "bprm_hash").context("no hook bprm_hash")?;
    ensure!(hook["proven"] == true, "the kernel does not hash: {hook}");
    Ok(())
}

/// A copy of a forbidden program, whatever its name and however it came to be, on its first exec.
fn copies(ctx: &Ctx, on: On) -> Result<()> {
    let ground = Ground::new(ctx, on)?;
    let at = |name: &str| PathBuf::from(ground.path(name));
    let forbidden = ctx.tiny_program("forbidden", 41)?;
    let harmless = ctx.tiny_program("harmless", 42)?;
    let digest = sha256(&forbidden)?;
    let rule =
        format!("package sentinel.lab\nblock_hashes contains {{\"id\": \"lab-hash\", \"value\": \"{digest}\"}}\n");
    let copy = |from: &Path, name: &str| fs::copy(from, at(name)).map(|_| at(name)).context("copying");
    let (one, two, three) = (copy(&forbidden, "one")?, copy(&forbidden, "two")?, copy(&harmless, "three")?);
    exec(ctx, &one, 0).context("without Sentinel")?;
    let policy = ctx.policy("lab", &rule)?;
    let sentinel = ctx.sentinel().enforce_whole_host().policy(&policy).start()?;
    ensure_hashes(&sentinel)?;
    exec(ctx, &one, EPERM).context("a copy from before")?;
    exec(ctx, &two, EPERM).context("another copy, which nobody has run")?;
    exec(ctx, &copy(&forbidden, "new")?, EPERM).context("a new copy")?;
    exec(ctx, &three, 0).context("another content")?;
    let alert = alert_of(&sentinel, "lab-hash", 3, Shown::Refused)?;
    ensure!(text(&alert, "/process/hash/sha256") == digest, "{alert}");
    ensure!(text(&alert, "/file/path") == at("new").display().to_string(), "{alert}");
    // The content changes under a name that ran just now, and back, as quickly as it can be done.
    for _ in 0..20 {
        fs::write(&three, fs::read(&forbidden)?)?;
        exec(ctx, &three, EPERM).context("overwritten with it")?;
        fs::write(&three, fs::read(&harmless)?)?;
        exec(ctx, &three, 0).context("overwritten with something else")?;
    }
    let mut longer = fs::read(&forbidden)?;
    longer.push(0);
    fs::write(&two, longer)?;
    exec(ctx, &two, 0).context("one byte more is another content")?;
    let exempt = format!(
        "{rule}exemptions contains {{\"id\": \"lab-exempt\", \"type\": \"exception\", \"authority\": \"lab\", \"reference\": \
         \"1\", \"approver\": \"lab\", \"expires\": \"2099-12-31\", \"hashes\": [\"{digest}\"]}}\n"
    );
    reload(&sentinel, &policy, &exempt)?;
    exec(ctx, &one, 0).context("exempt")?;
    alert_of(&sentinel, "lab-exempt", 1, Shown::Exempt("lab-exempt"))?;
    reload(&sentinel, &policy, "package sentinel.lab\n")?;
    exec(ctx, &one, 0).context("without the rule")?;
    stop(sentinel)
}

/// The dynamic loader runs a copy as data: refused as soon as its hash is known.
fn loader(ctx: &Ctx) -> Result<()> {
    let ground = Ground::new(ctx, On::Ext4)?;
    let program = PathBuf::from(ground.path("bin/prog"));
    let policy = ctx.policy(
        "lab",
        &format!(
            "package sentinel.lab\nblock_hashes contains {{\"id\": \"lab-hash\", \"value\": \"{}\"}}\n",
            sha256(&program)?
        ),
    )?;
    let loader = ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"];
    let loader = loader.into_iter().find(|path| Path::new(path).exists()).context("no dynamic loader")?;
    let launched = || -> Result<bool> {
        let program = program.display().to_string();
        let outcome = ctx.act(&["exec", loader, &program, "-c", "exit 7"]).outcome()?;
        Ok(outcome.stdout.contains("status=7"))
    };
    ensure!(launched()?, "without a rule the loader does not run {}", program.display());
    let sentinel = ctx.sentinel().enforce_whole_host().policy(&policy).start()?;
    eventually("the loader is refused the copy", PATIENCE, || Ok((!launched()?).then_some(())))?;
    sentinel.wait_alert(PATIENCE, |alert| is_rule(alert, "lab-hash") && text(alert, "/event/action") == "mmap")?;
    stop(sentinel)
}

/// What is too large to be hashed: `on_error` says what becomes of it.
fn unknown(ctx: &Ctx) -> Result<()> {
    let small = ctx.tiny_program("small", 0)?;
    let large = ctx.path("large");
    let mut bytes = fs::read(&small)?;
    bytes.resize(100_000, 0);
    fs::write(&large, bytes)?;
    make_executable(&large)?;
    let config = ctx.write("hash.toml", "[hash]\nmax_bytes = 50000\n")?;
    let cgroup = ctx.cgroup("unknown")?;
    let rule = |word: &str| {
        format!(
            "# METADATA\n# custom:\n#   on_error: {word}\npackage sentinel.lab\nblock_hashes contains {{\"id\": \"lab-hash\", \
             \"value\": \"{}\", \"only\": {{\"cgroups\": [\"{}\"]}}}}\n",
            "ab".repeat(32),
            name_of(&cgroup).unwrap_or_default()
        )
    };
    let policy = ctx.policy("lab", &rule("allow"))?;
    let sentinel = ctx.sentinel().enforce_whole_host().config(&config).policy(&policy).start()?;
    ensure_hashes(&sentinel)?;
    // The harness starts this before it is a member: what acts is larger than the bound too.
    let mut actor = ctx
        .act(&words(&format!(
            "wait -- exec {0} -- exec {1} -- wait -- exec {0} -- exec {1} -- wait -- exec {0} \
                                             -- exec {1}",
            small.display(),
            large.display()
        )))
        .start()?;
    cgroup.add(actor.pid())?;
    for (word, errno, told) in [("allow", 0, 0), ("alert", 0, 1), ("deny", EPERM, 2)] {
        if word != "allow" {
            reload(&sentinel, &policy, &rule(word))?;
        }
        actor.say("")?;
        ensure!(actor.next_errno()? == 0, "{word}: the small one");
        let came = actor.next_errno()?;
        ensure!(came == errno, "{word}: the large one: errno {came}");
        let of_large = |alert: &serde_json::Value| {
            alert["sentinel"]["rules"].to_string().contains("hash-unknown")
                && text(alert, "/file/path") == large.display().to_string()
        };
        let all = sentinel.wait_alerts(told, PATIENCE, of_large)?;
        ensure!(all.len() == told, "{word}: {all:?}");
    }
    actor.finish()?;
    alert_of(&sentinel, "lab-hash", 1, Shown::Refused)?;
    stop(sentinel)
}

/// Path of a cgroup below the mount, as policies name it.
fn name_of(cgroup: &Cgroup) -> Result<String> {
    let mount = cgroup::v2_mount()?;
    Ok(format!("/{}", cgroup.path().strip_prefix(&mount)?.display()))
}

fn make_executable(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).with_context(|| path.display().to_string())
}

/// Only these programs in this control group: by whatever name, mount or door others are tried.
fn allow_list(ctx: &Ctx) -> Result<()> {
    let ground = Ground::new(ctx, On::Tmpfs)?;
    let cgroup = ctx.cgroup("allowed")?;
    let dir = &ground.dir;
    let put = |name: &str, from: &Path| fs::copy(from, dir.join(name)).map(|_| dir.join(name)).context("copying");
    let tiny = ctx.tiny_program("tiny", 0)?;
    let good = put("bin/good", &tiny)?;
    let evil = put("outside/evil", &tiny)?;
    let inside = put("vault/inside", &tiny)?;
    let script = dir.join("outside/script");
    fs::write(&script, format!("#!{}\n", good.display()))?;
    make_executable(&script)?;
    fs::hard_link(&good, dir.join("outside/linked"))?;
    std::os::unix::fs::symlink(&good, dir.join("outside/alias"))?;
    let member = |value: &str| {
        format!(
            "allow_executables contains {{\"id\": \"lab-list\", \"value\": \"{value}\", \"only\": {{\"cgroups\": [\"{}\"]}}}}\n",
            name_of(&cgroup).unwrap_or_default()
        )
    };
    let allowed =
        [good.display().to_string(), format!("{}/vault/", dir.display()), ctx.tests_bin.display().to_string()];
    let rules = format!("package sentinel.lab\n{}", allowed.iter().map(|value| member(value)).collect::<String>());
    let at = dir.display();
    let ways: Vec<(String, i32)> = vec![
        (format!("exec {}", good.display()), 0),
        (format!("exec {}", inside.display()), 0),
        (format!("exec {at}/outside/alias"), 0),
        (format!("exec {}", evil.display()), EPERM),
        (format!("exec {at}/outside/linked"), EPERM),
        (format!("exec {}", script.display()), EPERM),
        (format!("become-memfd x {}", good.display()), EPERM),
        (format!("own-mounts -- bind {0} {1} -- exec {1}", evil.display(), good.display()), EPERM),
        (format!("own-mounts -- bind {at}/outside {at}/vault -- exec {at}/vault/evil"), EPERM),
        (format!("own-mounts -- bind {at}/vault {at}/outside -- exec {at}/outside/inside"), 0),
        (format!("map-exec {}", evil.display()), EPERM),
        (format!("map-exec {}", good.display()), 0),
    ];
    let tries = |refuse: bool| -> Result<()> {
        for (op, errno) in &ways {
            let outcome = ctx.act(&words(op)).cgroup(&cgroup).outcome()?;
            let came = outcome.errnos().last().copied();
            let expected = if refuse || *errno != EPERM { *errno } else { 0 };
            // An act that becomes another program says nothing when that works.
            ensure!(
                came == Some(expected) || (came.is_none() && expected == 0),
                "{op}: {outcome:?}, expected {expected}"
            );
        }
        Ok(())
    };
    tries(false).context("without Sentinel")?;
    let policy = ctx.policy("lab", &rules)?;
    let sentinel = ctx.sentinel().enforce_whole_host().policy(&policy).start()?;
    tries(true)?;
    alert_of(&sentinel, "lab-list", 1, Shown::Refused)?;
    exec(ctx, &evil, 0).context("outside the control group")?;
    // Replaced at its place by who may: the name is allowed, not one inode.
    fs::copy(&tiny, dir.join("bin/newer"))?;
    fs::rename(dir.join("bin/newer"), &good)?;
    let op = format!("exec {}", good.display());
    until("a new version at its place", 0, || ctx.act(&words(&op)).cgroup(&cgroup))?;
    reload(&sentinel, &policy, &format!("{rules}{}", member(&evil.display().to_string())))?;
    let op = format!("exec {}", evil.display());
    expect("put on the list", ctx.act(&words(&op)).cgroup(&cgroup), 0)?;
    reload(&sentinel, &policy, &rules)?;
    expect("taken off the list", ctx.act(&words(&op)).cgroup(&cgroup), EPERM)?;
    reload(&sentinel, &policy, "package sentinel.lab\n")?;
    tries(false).context("without the list")?;
    stop(sentinel)
}

/// Events say what a rule needs to know of files without a name or a disk, and a rule can go by it.
fn not_on_disk(ctx: &Ctx) -> Result<()> {
    let ground = Ground::new(ctx, On::Ext4)?;
    let memory = Ground::new_at(ctx, On::Tmpfs, "memory")?;
    let tiny = ctx.tiny_program("tiny", 0)?;
    let put = |at: String| fs::copy(&tiny, &at).map(|_| at).context("copying");
    let (disk, gone, shm) = (put(ground.path("disk"))?, put(ground.path("gone"))?, put(memory.path("shm"))?);
    let policy = ctx.policy(
        "lab",
        "package sentinel.lab\nalert contains {\"msg\": \"x\", \"id\": \"lab-unlinked\"} if {\n\tinput.event.action == \"exec\"\n\t\
         input.file.unlinked == true\n}\nalert contains {\"msg\": \"x\", \"id\": \"lab-memory\"} if {\n\tinput.event.action == \
         \"exec\"\n\tinput.file.in_memory == true\n\tinput.file.unlinked == false\n}\n",
    )?;
    let sentinel = ctx.sentinel().enforce_whole_host().policy(&policy).start()?;
    let said = |id: &str, part: &str| -> Result<usize> {
        let all = sentinel.alerts()?;
        let about = |alert: &&serde_json::Value| is_rule(alert, id) && text(alert, "/file/path").contains(part);
        Ok(all.iter().filter(about).count())
    };
    for op in [
        format!("exec {disk}"),
        format!("become-unlinked {gone}"),
        format!("become-memfd lab {disk}"),
        format!("exec {shm}"),
    ] {
        ctx.act(&words(&op)).outcome()?;
    }
    for (id, part) in [("lab-unlinked", "/gone"), ("lab-unlinked", "memfd:lab"), ("lab-memory", "/shm")] {
        eventually(&format!("{id} for {part}"), PATIENCE, || Ok((said(id, part)? == 1).then_some(())))
            .with_context(|| format!("{:?}", sentinel.alerts().unwrap_or_default()))?;
    }
    ensure!(said("lab-unlinked", "/disk")? + said("lab-memory", "/disk")? == 0, "{:?}", sentinel.alerts()?);
    stop(sentinel)
}

/// A path that is too long to be told: `on_error` says what becomes of it, and identity holds whatever it says.
fn deep_path(ctx: &Ctx) -> Result<()> {
    let ground = Ground::new(ctx, On::Tmpfs)?;
    let name = "d".repeat(200);
    let mut script = format!("set -e; cd {}/vault; ", ground.dir.display());
    script.push_str(&format!("for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24; do mkdir {name}; cd {name}; done; echo x > file"));
    let enter = |vault: &str, then: &str| {
        format!(
            "cd {}/{vault}; for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24; do cd {name}; done; {then}",
            ground.dir.display()
        )
    };
    let shell = |text: &str| -> Result<bool> {
        // Its `cd` goes on by the name alone where the whole path is too long.
        let run = ctx.command(Path::new("/bin/bash")).args(["-c", text]);
        Ok(run.outcome()?.code == Some(0))
    };
    ensure!(shell(&script)?, "making the directories");
    ensure!(shell(&script.replace("/vault;", "/outside;"))?, "making the directories");
    let rule = |word: &str| {
        format!(
            "# METADATA\n# custom:\n#   on_error: {word}\npackage sentinel.lab\nblock_paths contains {{\"id\": \"lab-path\", \
             \"value\": \"{}\"}}\n",
            ground.path("vault/")
        )
    };
    let policy = ctx.policy("lab", &rule("alert").replace("vault//", "vault/"))?;
    let (read_vault, read_outside) = (enter("vault", "read x < file"), enter("outside", "read x < file"));
    ensure!(shell(&read_vault)? && shell(&read_outside)?, "without Sentinel");
    let sentinel = ctx.sentinel().enforce_whole_host().policy(&policy).start()?;
    ensure!(!shell(&read_vault)?, "the directory above is protected, however deep the file is");
    ensure!(shell(&read_outside)?, "on_error: alert refuses");
    sentinel.wait_alert(PATIENCE, |alert| alert["sentinel"]["rules"].to_string().contains("path-unknown"))?;
    reload(&sentinel, &policy, &rule("deny").replace("vault//", "vault/"))?;
    ensure!(!shell(&read_outside)?, "on_error: deny lets pass");
    reload(&sentinel, &policy, &rule("allow").replace("vault//", "vault/"))?;
    ensure!(shell(&read_outside)?, "on_error: allow refuses");
    stop(sentinel)
}
