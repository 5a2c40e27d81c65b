//! Containers, pods and services by the paths of their cgroups, in the style of every runtime; the first event of a cgroup
//! that was made a moment before and is gone a moment later; names from the files that runtimes keep.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::events::{Watch, expect, only, text};
use crate::harness::{
    cgroup::Cgroup,
    scenario::{Ctx, Place, Scenario, World},
};

/// Containers that come and go.
const SHORT: u32 = 50;

/// The scenarios of this file.
pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario { name: "context-containers-paths", world: World::Both, run: paths },
        Scenario { name: "context-containers-names", world: World::Vm, run: names },
    ]
}

fn id(last: &str) -> String {
    format!("{}{last}", &"0123456789abcdef".repeat(4)[last.len()..])
}

/// Cgroups one in the other; each goes away before the one around it.
fn nested(top: &Cgroup, path: &str) -> Result<Vec<Cgroup>> {
    let mut made: Vec<Cgroup> = Vec::new();
    for name in path.split('/') {
        let next = made.last().unwrap_or(top).child(name)?;
        made.push(next);
    }
    Ok(made)
}

/// A path in the style of a runtime, and what alerts have to say about what is in it.
fn styles(id: &str) -> Vec<(String, Vec<(&'static str, Value)>)> {
    let uid = "1a2b3c4d-0000-4000-8000-0123456789ab";
    let escaped = uid.replace('-', "_");
    let container = |runtime: Value| vec![("/container/id", json!(id)), ("/container/runtime", runtime)];
    let pod = |runtime: Value, qos: &str| {
        let mut known = container(runtime);
        known.extend([
            ("/orchestrator/type", json!("kubernetes")),
            ("/orchestrator/resource/type", json!("pod")),
            ("/orchestrator/resource/id", json!(uid)),
            ("/orchestrator/resource/qos", json!(qos)),
        ]);
        known
    };
    let user = "user.slice/user-1000.slice/user@1000.service/user.slice";
    vec![
        (format!("system.slice/docker-{id}.scope"), container(json!("docker"))),
        (format!("docker/{id}"), container(json!("docker"))),
        (format!("machine.slice/libpod-{id}.scope/container"), container(json!("podman"))),
        (format!("{user}/libpod-{id}.scope/container"), container(json!("podman"))),
        (format!("kubepods/burstable/pod{uid}/{id}"), pod(Value::Null, "burstable")),
        (
            format!(
                "kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{escaped}.slice/cri-containerd-{id}.scope"
            ),
            pod(json!("containerd"), "besteffort"),
        ),
        (format!("kubepods.slice/kubepods-pod{escaped}.slice/crio-{id}.scope"), pod(json!("cri-o"), "guaranteed")),
        // The monitor of a container is outside of it.
        (format!("machine.slice/libpod-conmon-{id}.scope"), vec![("/container", Value::Null)]),
        (
            "system.slice/ssh.service".to_owned(),
            vec![("/container", Value::Null), ("/service/name", json!("ssh.service"))],
        ),
        // What is made inside a container does not count.
        (format!("system.slice/docker-{id}.scope/docker-{}.scope/x.service", "f".repeat(64)), {
            let mut known = container(json!("docker"));
            known.push(("/service", Value::Null));
            known
        }),
        ("user.slice/session-1.scope".to_owned(), vec![("/container", Value::Null), ("/service", Value::Null)]),
    ]
}

fn paths(ctx: &Ctx) -> Result<()> {
    let watch = Watch::start(ctx)?;
    let tiny = watch.dir.join("tiny");
    crate::workload::write_tiny(&tiny, 0)?;
    let mut runs = Vec::new();
    for (number, (path, known)) in styles(&id("")).into_iter().enumerate() {
        let top = watch.scope.child(&format!("style-{number}"))?;
        let mut made = nested(&top, &path)?;
        runs.push((run_in(ctx, made.last().context("a path has parts")?, &tiny)?, path, known));
        while made.pop().is_some() {}
    }
    for number in 0..SHORT {
        let last = format!("{number:04}");
        let group = watch.scope.child(&format!("crio-{}", id(&last)))?;
        let known = vec![("/container/id", json!(id(&last))), ("/container/runtime", json!("cri-o"))];
        runs.push((run_in(ctx, &group, &tiny)?, last, known));
    }
    let alerts = watch.all()?;
    for (pid, path, known) in runs {
        expect(only(&alerts, pid, "exec")?, &known).with_context(|| path)?;
    }
    watch.end()
}

fn run_in(ctx: &Ctx, group: &Cgroup, program: &Path) -> Result<u32> {
    let child = ctx.command(program).cgroup(group).start()?;
    let pid = child.pid();
    let ended = child.finish()?;
    ensure!(ended.code == Some(0), "{ended:?}");
    Ok(pid)
}

/// Files where runtimes have them, which go with the handle. The machine is thrown away; nothing of it may be overwritten.
struct Files(Vec<PathBuf>);

impl Files {
    fn write(&mut self, path: &str, content: &Value) -> Result<()> {
        let path = Path::new("/").join(path);
        ensure!(!path.exists(), "{} is there already", path.display());
        fs::create_dir_all(path.parent().context("a file is in a directory")?)?;
        fs::write(&path, content.to_string()).with_context(|| format!("writing {}", path.display()))?;
        self.0.push(path);
        Ok(())
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        for path in &self.0 {
            if let Err(error) = fs::remove_file(path) {
                eprintln!("sentinel-tests: removing {}: {error}", path.display());
            }
        }
    }
}

/// The very first event of a container has its names.
fn names(ctx: &Ctx) -> Result<()> {
    ensure!(ctx.place == Place::Vm, "the files of runtimes are the machine's");
    let mut files = Files(Vec::new());
    let [docker, podman, containerd, crio] = ["d1", "d2", "d3", "d4"].map(id);
    files.write(
        &format!("var/lib/docker/containers/{docker}/config.v2.json"),
        &json!({"Name": "/web", "Config": {"Image": "registry.example:5000/web:1.27"}}),
    )?;
    files.write(
        "var/lib/containers/storage/overlay-containers/containers.json",
        &json!([{"id": podman, "names": ["sleepy"], "metadata": json!({"image-name": "localhost/alpine:3"}).to_string()}]),
    )?;
    files.write(
        &format!("run/containerd/io.containerd.runtime.v2.task/k8s.io/{containerd}/config.json"),
        &json!({"annotations": {
            "io.kubernetes.cri.container-name": "app", "io.kubernetes.cri.image-name": "nginx:1",
            "io.kubernetes.cri.sandbox-name": "app-5f7c", "io.kubernetes.cri.sandbox-namespace": "shop"}}),
    )?;
    files.write(
        &format!("run/containers/storage/overlay-containers/{crio}/userdata/config.json"),
        &json!({"annotations": {
            "io.kubernetes.container.name": "db", "io.kubernetes.cri-o.ImageName": "quay.io/db:2",
            "io.kubernetes.pod.name": "db-0", "io.kubernetes.pod.namespace": "shop"}}),
    )?;
    let watch = Watch::start(ctx)?;
    let tiny = watch.dir.join("tiny");
    crate::workload::write_tiny(&tiny, 0)?;
    let mut runs = Vec::new();
    for (name, known) in [
        (format!("docker-{docker}.scope"), ["web", "registry.example:5000/web", "1.27", "", ""]),
        (format!("libpod-{podman}.scope"), ["sleepy", "localhost/alpine", "3", "", ""]),
        (format!("cri-containerd-{containerd}.scope"), ["app", "nginx", "1", "shop", "app-5f7c"]),
        (format!("crio-{crio}.scope"), ["db", "quay.io/db", "2", "shop", "db-0"]),
    ] {
        runs.push((run_in(ctx, &watch.scope.child(&name)?, &tiny)?, name, known));
    }
    let alerts = watch.all()?;
    for (pid, name, known) in runs {
        let [container, image, tag, namespace, pod] =
            known.map(|word| if word.is_empty() { Value::Null } else { json!(word) });
        let known = [
            ("/container/name", container),
            ("/container/image/name", image),
            ("/container/image/tag/0", tag),
            ("/orchestrator/namespace", namespace),
            ("/orchestrator/resource/name", pod),
            ("/process/executable", json!(text(&tiny))),
        ];
        expect(only(&alerts, pid, "exec")?, &known).with_context(|| name)?;
    }
    drop(files);
    watch.end()
}
