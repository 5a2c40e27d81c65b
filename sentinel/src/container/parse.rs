//! What a cgroup's path says: container, runtime, pod, service.
//!
//! Runtimes name the cgroup of a container after its id, 64 hexadecimal digits: Docker `docker-ID.scope` or `docker/ID`,
//! containerd `cri-containerd-ID.scope`, CRI-O `crio-ID.scope`, Podman `libpod-ID.scope`; under the cgroupfs driver the bare
//! id. The kubelet puts pods below `kubepods`, with their class of service and uid in the name; systemd names its units.
//!
//! Invariant: no file is read. The outermost name counts: what is further in was made by what runs in there.

use std::sync::Arc;

/// Digits of a container's id.
const DIGITS: usize = 64;
/// Most characters of a pod's uid or a unit's name.
const NAME: usize = 256;

/// Who made a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runtime {
    /// Docker.
    Docker,
    /// containerd, by its CRI plugin or nerdctl.
    Containerd,
    /// CRI-O.
    CriO,
    /// Podman.
    Podman,
}

impl Runtime {
    /// The word for it in ECS.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Containerd => "containerd",
            Self::CriO => "cri-o",
            Self::Podman => "podman",
        }
    }
}

/// A pod of Kubernetes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    /// Its uid.
    pub uid: Arc<str>,
    /// Its class of service: `guaranteed`, `burstable`, `besteffort`.
    pub qos: &'static str,
}

/// What a path says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// The container's id.
    pub container: Option<Arc<str>>,
    /// Who made it, where the path tells.
    pub runtime: Option<Runtime>,
    /// The pod.
    pub pod: Option<Pod>,
    /// The systemd service.
    pub service: Option<Arc<str>>,
    /// The user in whose slice it is.
    pub user: Option<u32>,
}

/// Reads a path from the root of the hierarchy.
#[must_use]
pub fn parse(path: &str) -> Place {
    let mut place = Place::default();
    let (mut above, mut in_kubernetes, mut qos) = ("", false, "guaranteed");
    for component in path.split('/').filter(|component| !component.is_empty()) {
        in_kubernetes |= component.split(['.', '-', ':']).any(|part| part == "kubepods");
        qos = ["burstable", "besteffort"]
            .into_iter()
            .find(|class| component.split(['.', '-']).any(|p| p == *class))
            .unwrap_or(qos);
        if let (true, None, Some(uid)) = (in_kubernetes, &place.pod, pod_uid(component)) {
            place.pod = Some(Pod { uid, qos });
        }
        if place.service.is_none() && component.ends_with(".service") && component.len() <= NAME {
            place.service = Some(component.into());
        }
        place.user = place.user.or_else(|| component.strip_prefix("user-")?.strip_suffix(".slice")?.parse().ok());
        if let Some(id) = container_id(component) {
            place.container = Some(id.into());
            place.runtime = runtime(component, above);
            return place;
        }
        above = component;
    }
    place
}

/// The id in the name of a container's own cgroup. The monitors of Podman and CRI-O are no containers.
fn container_id(component: &str) -> Option<&str> {
    let name = component.strip_suffix(".scope").unwrap_or(component);
    let at = name.len().checked_sub(DIGITS)?;
    let (before, id) = name.split_at_checked(at)?;
    let whole = before.is_empty() || before.ends_with(['-', ':']);
    let hexadecimal = id.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    (whole && hexadecimal && !before.ends_with("-conmon-")).then_some(id)
}

fn runtime(component: &str, above: &str) -> Option<Runtime> {
    let starts = |prefix: &str| component.starts_with(prefix) || component.contains(&format!(":{prefix}"));
    match () {
        () if starts("docker-") || above == "docker" => Some(Runtime::Docker),
        () if starts("cri-containerd") || starts("nerdctl-") => Some(Runtime::Containerd),
        () if starts("crio-") => Some(Runtime::CriO),
        () if starts("libpod-") || above == "libpod_parent" => Some(Runtime::Podman),
        () => None,
    }
}

/// The uid in the name of a pod's cgroup: `podUID`, or `kubepods-burstable-podUID.slice` with `_` for `-`.
fn pod_uid(component: &str) -> Option<Arc<str>> {
    // systemd's driver escapes the dashes; runc with the wrong driver appends `:cri-containerd:ID`.
    let name = component.split(':').next().unwrap_or_default();
    let name = name.strip_suffix(".slice").unwrap_or(name);
    let uid = match name.rsplit_once("-pod") {
        Some((_, uid)) => uid,
        None => name.strip_prefix("pod")?,
    };
    let right = uid.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-' || byte == b'_');
    (right && !uid.is_empty() && uid.len() <= NAME).then(|| uid.replace('_', "-").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const UID: &str = "1a2b3c4d-0000-4000-8000-0123456789ab";

    fn of(path: &str) -> (Option<String>, Option<Runtime>) {
        let place = parse(&path.replace("ID", ID));
        (place.container.map(|id| id.to_string()), place.runtime)
    }

    #[test]
    fn every_runtime() {
        use Runtime::{Containerd, CriO, Docker, Podman};
        for (path, runtime) in [
            ("/system.slice/docker-ID.scope", Some(Docker)),
            ("/docker/ID", Some(Docker)),
            ("/docker/ID/system.slice/inner.service", Some(Docker)),
            ("/user.slice/user-1000.slice/user@1000.service/user.slice/docker-ID.scope", Some(Docker)),
            ("/system.slice/nerdctl-ID.scope", Some(Containerd)),
            ("/default/ID", None),
            ("/kubepods.slice/kubepods-pod1.slice/cri-containerd-ID.scope", Some(Containerd)),
            ("/system.slice/containerd.service/kubepods-burstable-pod1.slice:cri-containerd:ID", Some(Containerd)),
            ("/kubepods/burstable/pod1/ID", None),
            ("/kubepods/pod1/crio-ID/inner", Some(CriO)),
            ("/kubepods.slice/kubepods-pod1.slice/crio-ID.scope/container", Some(CriO)),
            ("/machine.slice/libpod-ID.scope/container", Some(Podman)),
            ("/libpod_parent/libpod-ID", Some(Podman)),
            ("/system.slice/web.service/libpod-payload-ID", Some(Podman)),
            ("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-ID.scope/container", Some(Podman)),
        ] {
            assert_eq!(of(path), (Some(ID.to_owned()), runtime), "{path}");
        }
    }

    #[test]
    fn no_container() {
        let upper = ID.to_uppercase();
        for path in [
            "/",
            "",
            "/user.slice/user-0.slice/session-1.scope",
            "/system.slice/ssh.service",
            "/machine.slice/libpod-conmon-ID.scope",
            "/kubepods/pod1/crio-conmon-ID",
            "/system.slice/docker-ID0.scope",
            "/system.slice/xID",
            &upper,
            "/system.slice/docker-\u{e4}ID.scope",
        ] {
            assert_eq!(of(path).0, None, "{path}");
        }
    }

    #[test]
    fn what_is_further_in_does_not_count() {
        let other = "f".repeat(64);
        let place = parse(&format!("/system.slice/docker-{ID}.scope/docker-{other}.scope/evil.service"));
        assert_eq!((place.container.as_deref(), place.service), (Some(ID), None));
        let place = parse("/user.slice/user-1000.slice/user@1000.service/app.slice/evil.service");
        assert_eq!((place.service.as_deref(), place.user), (Some("user@1000.service"), Some(1000)));
    }

    #[test]
    fn pods() {
        let escaped = UID.replace('-', "_");
        for (path, qos) in [
            (format!("/kubepods/pod{UID}/{ID}"), "guaranteed"),
            (format!("/kubepods/burstable/pod{UID}/{ID}"), "burstable"),
            (format!("/kubepods.slice/kubepods-pod{escaped}.slice/crio-{ID}.scope"), "guaranteed"),
            (
                format!(
                    "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{escaped}.slice/cri-containerd-{ID}.scope"
                ),
                "besteffort",
            ),
            (
                format!(
                    "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-pod{escaped}.slice/cri-containerd-{ID}.scope"
                ),
                "burstable",
            ),
            (
                format!("/system.slice/containerd.service/kubepods-burstable-pod{escaped}.slice:cri-containerd:{ID}"),
                "burstable",
            ),
        ] {
            assert_eq!(parse(&path).pod, Some(Pod { uid: UID.into(), qos }), "{path}");
        }
        // A pod's own cgroup, without a container, and none at all.
        assert!(parse(&format!("/kubepods/pod{UID}")).pod.is_some());
        assert_eq!(parse("/podman/podx").pod, None);
    }
}
