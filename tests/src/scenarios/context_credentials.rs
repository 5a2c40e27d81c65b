//! Who a process is to the kernel: real and saved user, capabilities, login, terminal; and programs that give more than
//! their caller had.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::events::{Watch, by, expect, only, printed, text};
use crate::harness::{
    scenario::{Ctx, Scenario, World},
    sys::{c_path, check},
};

const NOBODY: u32 = 65534;
/// CAP_NET_BIND_SERVICE.
const BIND: u32 = 1 << 10;

/// The scenarios of this file.
pub(super) fn all() -> Vec<Scenario> {
    vec![Scenario { name: "context-credentials", world: World::Both, run: credentials }]
}

fn credentials(ctx: &Ctx) -> Result<()> {
    let watch = Watch::start(ctx)?;
    fs::set_permissions(&ctx.dir, fs::Permissions::from_mode(0o755))?;
    let plain = program(&watch, "plain", 0o755)?;
    let set_user = program(&watch, "set-user", 0o4755)?;
    let set_group = program(&watch, "set-group", 0o2755)?;
    let capable = program(&watch, "capable", 0o755)?;
    give_capability(&capable)?;
    let mut pids = Vec::new();
    for path in [&plain, &set_user, &set_group, &capable] {
        let (pid, ended) = watch.run(ctx.command(path).uid(NOBODY))?;
        ensure!(ended.code == Some(0), "{}: {ended:?}", path.display());
        pids.push(pid);
    }
    let (root, _) = watch.run(ctx.command(&plain))?;
    let login = ctx.act_as(&watch.actor, &["login", "4321", "--", "become", &text(&plain)]);
    let (logged_in, login) = watch.run(login)?;
    let whole = watch.run(ctx.act_as(&watch.actor, &["terminal", "whole", &text(&plain)]))?.1;
    let half = watch.run(ctx.act_as(&watch.actor, &["terminal", "error-only", &text(&plain)]))?.1;
    let alerts = watch.all()?;
    for (pid, known) in pids.into_iter().zip(outcomes()) {
        expect(only(&alerts, pid, "exec")?, &known)?;
    }
    of_root(only(&alerts, root, "exec")?)?;
    let execs = by(&alerts, logged_in, "exec");
    expect(execs.last().context("no exec after the login")?, &[("/user/audit/id", login_of(&login.stdout))])?;
    for (outcome, interactive) in [(whole, true), (half, false)] {
        let child = printed(&outcome, "child=")?[0];
        let (major, minor) = device(&outcome.stdout)?;
        let known = [
            ("/process/interactive", json!(interactive)),
            ("/process/tty/char_device/major", json!(major)),
            ("/process/tty/char_device/minor", json!(minor)),
        ];
        expect(only(&alerts, child, "exec")?, &known)?;
    }
    watch.end()
}

/// What is known of somebody's run of each program: plain, set-user-id, set-group-id, with a capability.
fn outcomes() -> [Vec<(&'static str, Value)>; 4] {
    let of = |flags: [bool; 3], mode: &str, user: &str, group: &str, capabilities: Value| {
        let mut known = vec![
            ("/process/setuid", json!(flags[0])),
            ("/process/setgid", json!(flags[1])),
            ("/process/setcap", json!(flags[2])),
            ("/file/mode", json!(mode)),
            ("/process/user/id", json!(user)),
            ("/process/saved_user/id", json!(user)),
            ("/process/real_user/id", json!("65534")),
            ("/process/group/id", json!(group)),
            ("/process/interactive", json!(false)),
            ("/process/tty", Value::Null),
        ];
        if !capabilities.is_null() {
            known.push(("/process/thread/capabilities/effective", capabilities.clone()));
            known.push(("/process/thread/capabilities/permitted", capabilities));
        }
        known
    };
    [
        of([false; 3], "0755", "65534", "65534", json!([])),
        // Root's set depends on where this runs.
        of([true, false, false], "4755", "0", "65534", Value::Null),
        of([false, true, false], "2755", "65534", "0", json!([])),
        of([false, false, true], "0755", "65534", "65534", json!(["CAP_NET_BIND_SERVICE"])),
    ]
}

/// Root has many capabilities, which an alert does not list; no program gives it more.
fn of_root(alert: &Value) -> Result<()> {
    expect(
        alert,
        &[
            ("/process/real_user/id", json!("0")),
            ("/process/setuid", json!(false)),
            ("/process/setcap", json!(false)),
            ("/process/thread/capabilities/effective", Value::Null),
        ],
    )
}

fn program(watch: &Watch, name: &str, mode: u32) -> Result<std::path::PathBuf> {
    let path = watch.dir.join(name);
    crate::workload::write_tiny(&path, 0)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
    Ok(path)
}

/// Gives a file the capability to bind low ports, permitted and effective (struct vfs_cap_data, revision 2).
fn give_capability(path: &Path) -> Result<()> {
    let words = [0x0200_0001_u32, BIND, 0, 0, 0];
    let value: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let path = c_path(path)?;
    // SAFETY: NUL-terminated strings, and a value with its length; all live until the call returns.
    check(unsafe {
        libc::setxattr(path.as_ptr(), c"security.capability".as_ptr(), value.as_ptr().cast(), value.len(), 0)
    })
    .context("giving a file a capability")?;
    Ok(())
}

/// The login as an alert shows it: none is the kernel's -1, or a kernel without logins.
fn login_of(output: &str) -> Value {
    let login = output.lines().find_map(|line| line.strip_prefix("login="));
    login.filter(|login| *login != u32::MAX.to_string()).map_or(Value::Null, |login| json!(login))
}

fn device(output: &str) -> Result<(u64, u64)> {
    let line = output.lines().find_map(|line| line.strip_prefix("terminal=")).context("no terminal was printed")?;
    let (major, minor) = line.split_once(':').context("a device has two numbers")?;
    Ok((major.parse()?, minor.parse()?))
}
