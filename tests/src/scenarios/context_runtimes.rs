//! Real container runtimes, runc and bubblewrap, as Debian has them: under the shipped policies in enforce mode they work
//! and nothing of what they do is refused; and what runs in them is known by its container.
//!
//! The VM's root is the kernel's own first mount, which pivot_root(2) does not leave; so each runtime starts in a mount
//! namespace whose root is a bind mount of it.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::events::{Watch, text};
use crate::harness::{
    cgroup::Cgroup,
    command::{Outcome, Run},
    scenario::{Ctx, Scenario, World},
};

/// Makes a bind mount of the root the root, in a new mount namespace, and becomes the command.
const REROOT: &str = "mount --make-rprivate / && mkdir -p /tmp/reroot && mount --rbind / /tmp/reroot && cd /tmp/reroot && \
                      mount --move . / && exec chroot . \"$@\"";
/// How long a runtime may take in the emulated machine.
const LIMIT: Duration = Duration::from_secs(120);

/// The scenarios of this file.
pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario { name: "context-runtimes-enforce", world: World::Vm, run: enforce },
        Scenario { name: "context-runtimes-known", world: World::Vm, run: known },
    ]
}

fn id() -> String {
    "feedc0de".repeat(8)
}

/// A command with another root.
fn rerooted(ctx: &Ctx, words: &[&str]) -> Run {
    ctx.command("/usr/bin/busybox").args(["unshare", "-m", "sh", "-c", REROOT, "reroot"]).args(words).limit(LIMIT)
}

/// A bundle for runc: a static busybox, and the cgroup as Podman names it.
fn bundle(ctx: &Ctx, cgroup: &str) -> Result<String> {
    let bundle = ctx.path("bundle");
    let rootfs = bundle.join("rootfs");
    for directory in ["bin", "proc", "dev", "sys", "tmp", "etc"] {
        fs::create_dir_all(rootfs.join(directory))?;
    }
    fs::copy("/usr/bin/busybox", rootfs.join("bin/busybox")).context("copying busybox")?;
    std::os::unix::fs::symlink("busybox", rootfs.join("bin/sh"))?;
    let capabilities = json!(["CAP_NET_BIND_SERVICE", "CAP_KILL"]);
    let config = json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": false, "user": {"uid": 0, "gid": 0}, "cwd": "/", "noNewPrivileges": true,
            "args": ["/bin/sh", "-c", "echo container=$(/bin/busybox id -u); /bin/busybox touch /tmp/x"],
            "env": ["PATH=/bin"],
            "capabilities": {"bounding": capabilities, "effective": capabilities, "permitted": capabilities},
        },
        "root": {"path": "rootfs", "readonly": false},
        "hostname": "inside",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=65536k"]},
            {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev"]},
        ],
        "linux": {
            "cgroupsPath": cgroup,
            "resources": {"devices": [{"allow": false, "access": "rwm"}], "pids": {"limit": 32}},
            "namespaces": [{"type": "pid"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"}, {"type": "network"}],
            "maskedPaths": ["/proc/kcore"], "readonlyPaths": ["/proc/sys"],
        },
    });
    fs::write(bundle.join("config.json"), config.to_string())?;
    Ok(text(&bundle))
}

fn runc(ctx: &Ctx, cgroup: &str) -> Result<Run> {
    let bundle = bundle(ctx, cgroup)?;
    let state = text(&ctx.path("runc"));
    Ok(rerooted(ctx, &["runc", "--root", &state, "run", "--bundle", &bundle, "sentinel-test"]))
}

fn bubblewrap(ctx: &Ctx) -> Run {
    let inside = ["/usr/bin/busybox", "sh", "-c", "echo container=$(/usr/bin/busybox id -u)"];
    let around =
        ["bwrap", "--ro-bind", "/usr", "/usr", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64"];
    let last = ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--unshare-all", "--die-with-parent", "--"];
    rerooted(ctx, &[&around[..], &last, &inside].concat())
}

fn ensure_ran(name: &str, ended: &Outcome) -> Result<()> {
    ensure!(ended.code == Some(0) && ended.stdout.contains("container=0"), "{name}: {ended:?}");
    Ok(())
}

/// The cgroup that runc makes, which it leaves behind empty where Podman would remove it.
fn remove(path: &Path) {
    for path in [path, path.parent().unwrap_or(path)] {
        // It is gone where runc has removed it.
        let _ = fs::remove_dir(path);
    }
}

fn enforce(ctx: &Ctx) -> Result<()> {
    let sentinel = ctx.sentinel().enforce_whole_host().start()?;
    let name = format!("/machine.slice/libpod-{}.scope", id());
    let group = ctx.cgroup("runtime")?;
    ensure_ran("bubblewrap", &bubblewrap(ctx).cgroup(&group).start()?.finish()?)?;
    ensure_ran("runc", &runc(ctx, &name)?.cgroup(&group).start()?.finish()?)?;
    remove(&Path::new("/sys/fs/cgroup").join(name.trim_start_matches('/')));
    let alerts = sentinel.settle(Duration::from_millis(500))?;
    let refused = |alert: &&Value| alert["sentinel"]["blocked"] == true || alert["sentinel"]["would_block"] == true;
    let refused: Vec<&Value> = alerts.iter().filter(refused).collect();
    ensure!(refused.is_empty(), "{refused:?}");
    let status = sentinel.status_json()?;
    let hooks = status["hooks"].as_array().context("a status without hooks")?;
    let counted: Vec<&Value> = hooks.iter().filter(|hook| hook["refused"].as_u64().unwrap_or_default() != 0).collect();
    ensure!(counted.is_empty(), "{counted:?}");
    let ended = sentinel.stop()?;
    ensure!(ended.code == Some(0), "{ended:?}");
    drop(group);
    Ok(())
}

/// What runs in a container of runc is known by it from its first program on.
fn known(ctx: &Ctx) -> Result<()> {
    let watch = Watch::start(ctx)?;
    let scope = watch.scope.path().strip_prefix("/sys/fs/cgroup").context("the VM has cgroups at /sys/fs/cgroup")?;
    let name = format!("/{}/libpod-{}.scope", scope.display(), id());
    let (_, ended) = watch.run(runc(ctx, &name)?)?;
    ensure_ran("runc", &ended)?;
    let (_, ended) = watch.run(bubblewrap(ctx))?;
    ensure_ran("bubblewrap", &ended)?;
    let alerts = watch.all()?;
    let execs: Vec<&Value> = alerts.iter().filter(|a| a["event"]["action"] == "exec").collect();
    let inside: Vec<&&Value> = execs.iter().filter(|a| a["process"]["executable"] == "/bin/busybox").collect();
    // The shell, id and touch.
    ensure!(inside.len() >= 3, "{inside:?} of {execs:?}");
    for alert in inside {
        ensure!(alert["container"]["id"] == json!(id()) && alert["container"]["runtime"] == "podman", "{alert}");
        let capabilities = &alert["process"]["thread"]["capabilities"]["effective"];
        ensure!(*capabilities == json!(["CAP_KILL", "CAP_NET_BIND_SERVICE"]), "{alert}");
    }
    let outside = execs.iter().filter(|a| a["process"]["executable"] == "/usr/bin/busybox");
    for alert in outside {
        ensure!(alert["container"].is_null(), "bubblewrap makes no cgroup, and runc's caller is in none: {alert}");
    }
    remove(&Cgroup::path(&watch.scope).join(format!("libpod-{}.scope", id())));
    watch.end()
}
