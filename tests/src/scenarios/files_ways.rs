//! Every way to a protected file that is not a plain open of its path: each works without the rule, and is refused with it
//! and leaves nothing behind (F2, F4, F6, F9, F10).
//!
//! Invariant: the same acts on every file system; what the tree looks like is compared before and after.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use super::{
    enforce_lab::{EPERM, PATIENCE, is_blocked, is_rule, reload, stop, text, words},
    files_ground::{Ground, On, snapshot},
};
use crate::harness::scenario::{Ctx, Scenario, World};

/// The scenarios of this file.
pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario { name: "files-ways-tmpfs", world: World::Vm, run: |ctx| ways(ctx, On::Tmpfs) },
        Scenario { name: "files-ways-ext4", world: World::Vm, run: |ctx| ways(ctx, On::Ext4) },
        Scenario { name: "files-ways-btrfs", world: World::Vm, run: |ctx| ways(ctx, On::Btrfs) },
        Scenario { name: "files-ways-overlay", world: World::Vm, run: |ctx| ways(ctx, On::Overlay) },
        Scenario { name: "files-loader", world: World::Vm, run: loader },
        Scenario { name: "files-appear-later", world: World::Vm, run: later },
        Scenario { name: "files-unharmed", world: World::Vm, run: unharmed },
    ]
}

/// One way: acts of which the last is to be refused, by this rule, told as this action on this file; `@` is the tree.
struct Way {
    acts: &'static str,
    rule: &'static str,
    action: &'static str,
    file: &'static str,
}

const fn way(acts: &'static str, rule: &'static str, action: &'static str, file: &'static str) -> Way {
    Way { acts, rule, action, file }
}

const WAYS: &[Way] = &[
    // What makes a name in a forbidden directory.
    way("open @/vault/new create", "vault", "create", "@/vault/new"),
    way("mkdir @/vault/newdir", "vault", "create", "@/vault/newdir"),
    way("mknod @/vault/fifo", "vault", "create", "@/vault/fifo"),
    way("symlink /etc/passwd @/vault/symlink", "vault", "link", "@/vault/symlink"),
    way("link @/outside/mine @/vault/linked", "vault", "link", "@/outside/mine"),
    way("rename @/outside/mine @/vault/moved", "vault", "rename", "@/outside/mine"),
    way("mkdir @/vault/inner/newdir", "vault", "create", "@/vault/inner/newdir"),
    // What takes one away, or out.
    way("unlink @/vault/secret", "vault", "unlink", "@/vault/secret"),
    way("rmdir @/vault/empty", "vault", "unlink", "@/vault/empty"),
    way("rename @/vault/secret @/outside/freed", "vault", "rename", "@/vault/secret"),
    way("link @/vault/secret @/outside/freed", "vault", "link", "@/vault/secret"),
    way("rename @/outside/mine @/vault/secret", "vault", "rename", "@/outside/mine"),
    way("exchange @/vault/secret @/outside/mine", "vault", "rename", "@/vault/secret"),
    way("exchange @/outside/mine @/vault/secret", "vault", "rename", "@/outside/mine"),
    way("rename @/vault/inner @/outside/inner", "vault", "rename", "@/vault/inner"),
    // One file by its name.
    way("unlink @/etc/shadow", "shadow", "unlink", "@/etc/shadow"),
    way("rename @/etc/shadow @/etc/shadow-", "shadow", "rename", "@/etc/shadow"),
    way("rename @/outside/mine @/etc/shadow", "shadow", "rename", "@/outside/mine"),
    way("link @/etc/shadow @/outside/freed", "shadow", "link", "@/etc/shadow"),
    way("open @/etc/absent create", "absent", "create", "@/etc/absent"),
    way("symlink /etc/passwd @/etc/absent", "absent", "link", "@/etc/absent"),
    way("rename @/outside/mine @/etc/absent", "absent", "rename", "@/outside/mine"),
    way("symlink @/etc/shadow @/outside/alias -- open @/outside/alias read", "shadow", "open", "@/etc/shadow"),
    // Changes that are no opens.
    way("truncate @/etc/config", "config", "truncate", "@/etc/config"),
    way("chmod @/etc/config", "config", "setattr", "@/etc/config"),
    way("chown @/etc/config", "config", "setattr", "@/etc/config"),
    way("setxattr @/etc/config", "config", "setattr", ""),
    way("chmod @/vault/inner/deep", "vault", "setattr", "@/vault/inner/deep"),
    // Opens by other doors.
    way("reopen @/etc/shadow", "shadow", "open", "@/etc/shadow"),
    way("ring-open @/etc/shadow", "shadow", "open", "@/etc/shadow"),
    way("ring-rename @/vault/secret @/outside/freed", "vault", "rename", "@/vault/secret"),
    way("ring-unlink @/vault/secret", "vault", "unlink", "@/vault/secret"),
    // Other mounts, roots and namespaces: the names differ, the files do not.
    way("own-mounts -- bind @/vault @/outside -- open @/outside/secret read", "vault", "open", "@/outside/secret"),
    way("own-mounts -- bind @/vault/inner @/outside -- open @/outside/deep read", "vault", "open", "@/outside/deep"),
    way("own-mounts -- bind @/vault @/outside -- open @/outside/new create", "vault", "create", "@/outside/new"),
    way("own-mounts -- bind @/etc @/outside -- open @/outside/absent create", "absent", "create", "@/outside/absent"),
    way("own-mounts -- bind @/vault @/outside -- unlink @/outside/secret", "vault", "unlink", "@/outside/secret"),
    way("chroot @ -- open /vault/inner/deep read", "vault", "open", "@/vault/inner/deep"),
    way("chroot @/vault -- open /new create", "vault", "create", "@/vault/new"),
    way("own-mounts -- tmpfs @/vault", "vault", "mount", "@/vault"),
    way("own-mounts -- bind @/outside/mine @/etc/shadow", "shadow", "mount", "@/etc/shadow"),
    // Mapped to be executed.
    way("map-exec @/bin/prog", "prog", "mmap", "@/bin/prog"),
    way("protect-exec @/bin/prog", "prog", "mmap", "@/bin/prog"),
];

fn rules(ground: &Ground) -> String {
    let rule = |set: &str, id: &str, path: &str, more: &str| {
        format!("{set} contains {{\"id\": \"{id}\", \"value\": \"{}\"{more}}}\n", ground.path(path))
    };
    [
        "package sentinel.lab\n".to_owned(),
        rule("block_paths", "vault", "vault/", ""),
        rule("block_paths", "shadow", "etc/shadow", ""),
        rule("block_paths", "absent", "etc/absent", ""),
        rule("block_paths", "config", "etc/config", ", \"access\": [\"write\"]"),
        rule("block_executables", "prog", "bin/prog", ""),
    ]
    .concat()
}

/// Performs a way; the errno of its last act. Those before it must work.
fn perform(ctx: &Ctx, ground: &Ground, acts: &str) -> Result<i32> {
    let acts = acts.replace('@', &ground.dir.display().to_string());
    let outcome = ctx.act(&words(&acts)).outcome()?;
    let errnos = outcome.errnos();
    let (last, before) = errnos.split_last().with_context(|| format!("{acts}: {outcome:?}"))?;
    ensure!(before.iter().all(|errno| *errno == 0), "{acts}: {outcome:?}");
    Ok(*last)
}

fn ways(ctx: &Ctx, on: On) -> Result<()> {
    for way in WAYS {
        let ground = Ground::new(ctx, on)?;
        let errno = perform(ctx, &ground, way.acts)?;
        ensure!(errno == 0, "without a rule {} fails: errno {errno}", way.acts);
    }
    let ground = Ground::new(ctx, on)?;
    let policy = ctx.policy("lab", &rules(&ground))?;
    let before = snapshot(&ground.dir)?;
    let sentinel = ctx.sentinel().enforce_whole_host().policy(&policy).start()?;
    let mut wrong = Vec::new();
    for way in WAYS {
        let errno = perform(ctx, &ground, way.acts)?;
        if errno != EPERM {
            wrong.push(format!("{}: errno {errno}", way.acts));
        }
        let file = way.file.replace('@', &ground.dir.display().to_string());
        let told = sentinel.wait_alert(PATIENCE, |alert| {
            is_rule(alert, way.rule)
                && is_blocked(alert)
                && text(alert, "/event/action") == way.action
                && (file.is_empty() || text(alert, "/file/path") == file)
        });
        if let Err(error) = told {
            let error = format!("{error:#}");
            wrong.push(format!("{}: no alert of {} on {file}: {}", way.acts, way.action, tail(&error)));
        }
        // The link that one way leaves on purpose.
        let _ = std::fs::remove_file(ground.path("outside/alias"));
    }
    reload(&sentinel, &policy, "package sentinel.lab\n")?;
    stop(sentinel)?;
    let after = snapshot(&ground.dir)?;
    let differs: Vec<_> =
        after.iter().filter(|(path, what)| before.get(*path) != Some(what)).map(|(path, _)| path).collect();
    let gone: Vec<_> = before.keys().filter(|path| !after.contains_key(*path)).collect();
    ensure!(wrong.is_empty(), "{} of {} ways:\n{}", wrong.len(), WAYS.len(), wrong.join("\n"));
    ensure!(differs.is_empty() && gone.is_empty(), "left behind or changed: {differs:?}; gone: {gone:?}");
    Ok(())
}

/// The end of a long text.
fn tail(text: &str) -> String {
    let skip = text.chars().count().saturating_sub(1500);
    text.chars().skip(skip).collect()
}

/// The dynamic loader as a launcher, a file handle, and a descriptor from before.
fn loader(ctx: &Ctx) -> Result<()> {
    let ground = Ground::new(ctx, On::Tmpfs)?;
    let (program, secret, config) = (ground.path("bin/prog"), ground.path("etc/shadow"), ground.path("etc/config"));
    let loader = ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"];
    let loader = loader.into_iter().find(|path| Path::new(path).exists()).context("no dynamic loader")?;
    let launched = || -> Result<bool> {
        let outcome = ctx.act(&["exec", loader, &program, "-c", "exit 7"]).outcome()?;
        Ok(outcome.stdout.contains("status=7"))
    };
    let held = format!("hold-file {config} -- say held -- wait -- cut-held");
    let mut held = ctx.act(&words(&held)).start()?;
    held.wait_line("held")?;
    ensure!(launched()?, "without a rule the loader does not run {program}");
    ensure!(ctx.act(&["by-handle", &secret]).errno()? == 0, "without a rule the handle does not open");
    let policy = ctx.policy("lab", &rules(&ground))?;
    let sentinel = ctx.sentinel().enforce_whole_host().policy(&policy).start()?;
    ensure!(!launched()?, "the loader runs {program}");
    sentinel.wait_alert(PATIENCE, |alert| is_rule(alert, "prog") && text(alert, "/event/action") == "mmap")?;
    ensure!(ctx.act(&["by-handle", &secret]).errno()? == EPERM, "the handle opens");
    held.say("")?;
    let errno = held.next_errno()?;
    ensure!(errno == EPERM, "a descriptor from before: errno {errno}");
    held.finish()?;
    stop(sentinel)
}

/// Files and directories that appear, or are replaced by who may, are protected as what they are.
fn later(ctx: &Ctx) -> Result<()> {
    let ground = Ground::new(ctx, On::Tmpfs)?;
    let (file, directory) = (ground.path("etc/free"), ground.path("later"));
    let rules = format!(
        "package sentinel.lab\nblock_paths contains {{\"id\": \"free\", \"value\": \"{file}\", \"access\": [\"read\"]}}\n\
         block_paths contains {{\"id\": \"later\", \"value\": \"{directory}/\", \"access\": [\"read\"]}}\n"
    );
    let policy = ctx.policy("lab", &rules)?;
    let sentinel = ctx.sentinel().enforce_whole_host().policy(&policy).start()?;
    let act = |acts: &str| perform(ctx, &ground, acts);
    // The label follows the old file, and the new one gets its own.
    ensure!(act("rename @/etc/free @/etc/old")? == 0, "a rule on reading refuses a rename");
    ensure!(act("open @/etc/old read")? == EPERM, "the old file under another name");
    ensure!(act("rename @/outside/mine @/etc/free")? == 0, "a rule on reading refuses a rename onto it");
    ensure!(act("open @/etc/free read")? == EPERM, "the new file, at once, by its name");
    ensure!(act("mkdir @/later -- open @/later/x create")? == 0, "a rule on reading refuses to create");
    ensure!(act("open @/later/x read")? == EPERM, "a new directory, at once, by its path");
    let labelled =
        |acts: &str| crate::harness::scenario::eventually(acts, PATIENCE, || Ok((act(acts)? == EPERM).then_some(())));
    labelled("own-mounts -- bind @/later @/outside -- open @/outside/x read")?;
    labelled("link @/etc/free @/outside/name -- open @/outside/name read").or_else(|_| {
        let _ = std::fs::remove_file(ground.path("outside/name"));
        labelled("link @/etc/free @/outside/name -- open @/outside/name read")
    })?;
    stop(sentinel)
}

/// What no rule is about is left alone, beside what one is about and through every hook.
fn unharmed(ctx: &Ctx) -> Result<()> {
    let ground = Ground::new(ctx, On::Tmpfs)?;
    let policy = ctx.policy("lab", &rules(&ground))?;
    let sentinel = ctx.sentinel().enforce_whole_host().policy(&policy).start()?;
    for acts in [
        "open @/etc/new create -- rename @/etc/new @/etc/newer -- unlink @/etc/newer",
        "mkdir @/outside/dir -- rmdir @/outside/dir -- mknod @/outside/fifo -- symlink x @/outside/link",
        "link @/outside/mine @/outside/again -- truncate @/outside/mine -- chmod @/outside/mine -- chown @/outside/mine",
        "exchange @/outside/mine @/outside/other -- setxattr @/outside/mine -- open @/etc/config read",
        "own-mounts -- tmpfs @/outside -- open @/outside/x create -- map-exec /bin/bash -- protect-exec /bin/bash",
        "exec /bin/bash -c :",
    ] {
        let errno = perform(ctx, &ground, acts)?;
        ensure!(errno == 0, "{acts}: errno {errno}");
    }
    let status = sentinel.status_json()?;
    ensure!(
        status["enforcement"] == "full" || status["reasons"].as_array().is_some_and(|all| !all.is_empty()),
        "{status}"
    );
    let text = status["reasons"].to_string();
    ensure!(!text.contains("file_changes") && !text.contains("exec_by_loader"), "{text}");
    ensure!(sentinel.alerts()?.is_empty(), "{:?}", sentinel.alerts()?);
    stop(sentinel)
}
