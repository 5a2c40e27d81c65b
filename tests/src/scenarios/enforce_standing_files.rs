//! Standing rules about files and programs: refused on the first try, by identity as well as by path.
//!
//! Invariant: these need LSM programs, so they run in the VM; each refusal is compared with the same act without the rule.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};

use super::enforce_lab::{EPERM, Shown, alert_of, expect, reload, stop, words};
use crate::harness::scenario::{Ctx, Scenario, World};

/// The scenarios of this file.
pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario { name: "standing-paths-first-try", world: World::Vm, run: paths },
        Scenario { name: "standing-executables-first-try", world: World::Vm, run: executables },
        Scenario { name: "standing-limits-of-files", world: World::Vm, run: limits },
        Scenario { name: "standing-exemptions-of-files", world: World::Vm, run: exemptions },
    ]
}

const CALM: &str = "package sentinel.lab\n";

fn block(rule: &str, id: &str, value: &str, more: &str) -> String {
    format!("{rule} contains {{\"id\": \"{id}\", \"value\": \"{value}\"{more}}}\n")
}

/// An act by this test binary, with its errno checked.
fn act(ctx: &Ctx, op: &str, errno: i32) -> Result<()> {
    expect(op, ctx.act(&words(op)), errno)
}

fn paths(ctx: &Ctx) -> Result<()> {
    let [secret, ledger, linked, moved] =
        ["secret", "ledger", "linked", "moved"].map(|n| ctx.path(n).display().to_string());
    let vault = ctx.path("vault").display().to_string();
    for path in [&secret, &ledger] {
        fs::write(path, "x")?;
    }
    fs::hard_link(&secret, &linked)?;
    ctx.write("vault/deep/file", "x")?;
    ctx.write("vault2/file", "x")?;
    let rules = [
        CALM.to_owned(),
        block("block_paths", "lab-secret", &secret, ""),
        block("block_paths", "lab-ledger", &ledger, ", \"access\": [\"write\"]"),
        block("block_paths", "lab-vault", &format!("{vault}/"), ", \"access\": [\"read\"]"),
    ]
    .concat();
    let tries = |errno: i32| -> Result<()> {
        act(ctx, &format!("open {secret} read"), errno)?;
        act(ctx, &format!("open {secret} write"), errno)?;
        act(ctx, &format!("open {linked} read"), errno).context("another name of the file")?;
        act(ctx, &format!("open {ledger} write"), errno)?;
        act(ctx, &format!("open {ledger} read"), 0)?;
        act(ctx, &format!("open {vault}/deep/file read"), errno)?;
        act(ctx, &format!("open {vault}/deep/file write"), 0)?;
        act(ctx, &format!("open {vault}2/file read"), 0)
    };
    tries(0).context("without Sentinel")?;
    let policy = ctx.policy("lab", &rules)?;
    let sentinel = ctx.sentinel().enforce_whole_host().policy(&policy).start()?;
    tries(EPERM).context("from the start")?;
    for (id, count) in [("lab-secret", 3), ("lab-ledger", 1), ("lab-vault", 1)] {
        for number in 1..=count {
            alert_of(&sentinel, id, number, Shown::Refused)?;
        }
    }
    reload(&sentinel, &policy, CALM)?;
    tries(0).context("after a reload without the rules")?;
    reload(&sentinel, &policy, &rules)?;
    tries(EPERM).context("after a reload with the rules")?;
    // Neither is it freed by another name, nor its place taken.
    fs::write(ctx.path("fresh"), "y")?;
    let fresh = ctx.path("fresh").display().to_string();
    act(ctx, &format!("rename {secret} {moved}"), EPERM).context("renamed")?;
    act(ctx, &format!("rename {fresh} {secret}"), EPERM).context("another file at the path")?;
    reload(&sentinel, &policy, CALM)?;
    act(ctx, &format!("rename {secret} {moved}"), 0).context("renamed without the rules")?;
    act(ctx, &format!("rename {fresh} {secret}"), 0).context("another file at the path, without the rules")?;
    reload(&sentinel, &policy, &rules)?;
    act(ctx, &format!("open {secret} read"), EPERM).context("another file at the path")?;
    act(ctx, &format!("open {moved} read"), 0).context("renamed while there was no rule")?;
    stop(sentinel)?;
    act(ctx, &format!("open {moved} read"), 0)
}

fn executables(ctx: &Ctx) -> Result<()> {
    let forbidden = ctx.tiny_program("forbidden", 0)?.display().to_string();
    let beside = ctx.tiny_program("beside", 0)?.display().to_string();
    let below = ctx.path("tools");
    fs::create_dir(&below)?;
    let inside = ctx.tiny_program("tools/inside", 0)?.display().to_string();
    let linked = ctx.path("linked").display().to_string();
    fs::hard_link(&forbidden, &linked)?;
    let symlink = ctx.path("symlink").display().to_string();
    std::os::unix::fs::symlink(&forbidden, &symlink)?;
    let script = ctx.write("script", format!("#!{forbidden}\n"))?;
    make_executable(&script)?;
    let rules = [
        CALM.to_owned(),
        block("block_executables", "lab-exec", &forbidden, ""),
        block("block_executables", "lab-tools", &format!("{}/", below.display()), ""),
    ]
    .concat();
    let tries = |errno: i32| -> Result<()> {
        for path in [&forbidden, &linked, &symlink, &script.display().to_string(), &inside] {
            act(ctx, &format!("exec {path}"), errno)?;
        }
        act(ctx, &format!("exec {beside}"), 0)?;
        act(ctx, &format!("open {forbidden} read"), 0)
    };
    tries(0).context("without Sentinel")?;
    let policy = ctx.policy("lab", &rules)?;
    let sentinel = ctx.sentinel().enforce_whole_host().policy(&policy).start()?;
    tries(EPERM).context("from the start")?;
    for number in 1..=4 {
        alert_of(&sentinel, "lab-exec", number, Shown::Refused)?;
    }
    alert_of(&sentinel, "lab-tools", 1, Shown::Refused)?;
    reload(&sentinel, &policy, CALM)?;
    tries(0).context("after a reload without the rules")?;
    stop(sentinel)
}

fn make_executable(path: &std::path::Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).with_context(|| path.display().to_string())
}

/// A file that only some may not read, and a program that only some may not run.
fn limits(ctx: &Ctx) -> Result<()> {
    let (actor, other) = (ctx.program("actor")?, ctx.program("other")?);
    let names = ["only-program", "except-program", "only-user", "except-user"];
    let [only_program, except_program, only_user, except_user] = names.map(|name| ctx.path(name).display().to_string());
    for path in [&only_program, &except_program, &only_user, &except_user] {
        fs::write(path, "x")?;
    }
    let tool = ctx.tiny_program("tool", 0)?.display().to_string();
    let list = |key: &str, kind: &str, value: &str| format!(", \"{key}\": {{\"{kind}\": [{value}]}}");
    let quoted = |path: &PathBuf| format!("\"{}\"", path.display());
    let rules = [
        CALM.to_owned(),
        block("block_paths", "lab-0", &only_program, &list("only", "executables", &quoted(&actor))),
        block("block_paths", "lab-1", &except_program, &list("except", "executables", &quoted(&other))),
        block("block_paths", "lab-2", &only_user, &list("only", "uids", "65534")),
        block("block_paths", "lab-3", &except_user, &list("except", "uids", "0")),
        block("block_executables", "lab-4", &tool, &list("only", "executables", &quoted(&actor))),
    ]
    .concat();
    let policy = ctx.policy("lab", &rules)?;
    let sentinel = ctx.sentinel().enforce_whole_host().policy(&policy).start()?;
    let cases = [
        (&actor, 0, format!("open {only_program} read"), EPERM),
        (&other, 0, format!("open {only_program} read"), 0),
        (&actor, 0, format!("open {except_program} read"), EPERM),
        (&other, 0, format!("open {except_program} read"), 0),
        (&actor, 65534, format!("open {only_user} read"), EPERM),
        (&actor, 0, format!("open {only_user} read"), 0),
        (&actor, 65534, format!("open {except_user} read"), EPERM),
        (&actor, 0, format!("open {except_user} read"), 0),
        (&actor, 0, format!("exec {tool}"), EPERM),
        (&other, 0, format!("exec {tool}"), 0),
    ];
    for (program, uid, op, errno) in cases {
        let what = format!("{op} by {} as {uid}", program.display());
        expect(&what, ctx.act_as(program, &words(&op)).uid(uid), errno)?;
    }
    for number in 0..5 {
        alert_of(&sentinel, &format!("lab-{number}"), 1, Shown::Refused)?;
    }
    stop(sentinel)
}

/// Exempted paths and programs inside a protected directory.
fn exemptions(ctx: &Ctx) -> Result<()> {
    ctx.write("vault/open", "x")?;
    ctx.write("vault/shut", "x")?;
    ctx.tiny_program("vault/good", 0)?;
    ctx.tiny_program("vault/bad", 0)?;
    let vault = ctx.path("vault").display().to_string();
    let exempt = format!(
        "exemptions contains {{\"id\": \"lab-exempt\", \"type\": \"exception\", \"authority\": \"lab\", \"reference\": \"1\", \
         \"approver\": \"lab\", \"expires\": \"2099-12-31\", \"paths\": [\"{vault}/open\"], \"executables\": [\"{vault}/good\"]}}\n"
    );
    let rule = block("block_paths", "lab-vault", &format!("{vault}/"), "");
    let policy = ctx.policy("lab", &format!("{CALM}{rule}{exempt}"))?;
    let sentinel = ctx.sentinel().enforce_whole_host().policy(&policy).start()?;
    act(ctx, &format!("open {vault}/open write"), 0)?;
    act(ctx, &format!("open {vault}/shut write"), EPERM)?;
    act(ctx, &format!("exec {vault}/good"), 0)?;
    act(ctx, &format!("open {vault}/good read"), EPERM).context("exempt from exec alone")?;
    act(ctx, &format!("exec {vault}/bad"), EPERM)?;
    for number in 1..=2 {
        alert_of(&sentinel, "lab-exempt", number, Shown::Exempt("lab-exempt"))?;
    }
    reload(&sentinel, &policy, &format!("{CALM}{rule}"))?;
    act(ctx, &format!("open {vault}/open write"), EPERM).context("without the exemption")?;
    act(ctx, &format!("exec {vault}/good"), EPERM).context("without the exemption")?;
    stop(sentinel)
}
