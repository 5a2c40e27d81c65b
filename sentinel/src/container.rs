//! Container ids from cgroup paths.
//!
//! Runtimes name the cgroup of a container after its id: Docker `docker-ID.scope` or `/docker/ID`, containerd
//! `cri-containerd-ID.scope`, CRI-O `crio-ID.scope`, Podman `libpod-ID.scope`; the id is 64 hexadecimal digits.

use std::{collections::HashMap, sync::Arc};

use crate::kernel::cgroup::Cgroups;

/// Entries kept; runtimes make new cgroups all the time.
const LIMIT: usize = 16_384;
/// Digits of an id.
const DIGITS: usize = 64;

/// Container ids by cgroup id.
#[derive(Debug)]
pub struct Containers {
    cgroups: Option<Cgroups>,
    known: HashMap<u64, Option<Arc<str>>>,
}

impl Containers {
    /// Looks paths up in this hierarchy.
    #[must_use]
    pub fn new(cgroups: Cgroups) -> Self {
        Self { cgroups: Some(cgroups), known: HashMap::new() }
    }

    /// Knows no containers.
    #[cfg(test)]
    #[must_use]
    pub fn none() -> Self {
        Self { cgroups: None, known: HashMap::new() }
    }

    /// The container that a cgroup belongs to.
    pub fn of(&mut self, cgroup: u64) -> Option<Arc<str>> {
        if let Some(known) = self.known.get(&cgroup) {
            return known.clone();
        }
        // A cgroup that is gone already is asked for again: another one may not reuse its id.
        let path = self.cgroups.as_ref()?.path(cgroup)?;
        if self.known.len() >= LIMIT {
            self.known.clear();
        }
        let id = id_in(&path).map(Arc::from);
        self.known.insert(cgroup, id.clone());
        id
    }
}

/// The container id in a cgroup path: the deepest component that holds one.
fn id_in(path: &str) -> Option<&str> {
    path.rsplit('/').find_map(|component| {
        let component = component.strip_suffix(".scope").unwrap_or(component);
        let id = component.rsplit(['-', ':']).next().unwrap_or(component);
        (id.len() == DIGITS && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(id)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_runtime() {
        let id = "0123456789abcdef".repeat(4);
        for path in [
            format!("/system.slice/docker-{id}.scope"),
            format!("/docker/{id}"),
            format!("/kubepods.slice/kubepods-pod1.slice/cri-containerd-{id}.scope"),
            format!("/kubepods/burstable/pod1/{id}"),
            format!("/kubepods/pod1/crio-{id}/inner"),
            format!("/machine.slice/libpod-{id}.scope/container"),
            format!("/system.slice/containerd.service/kubepods-x:cri-containerd:{id}"),
        ] {
            assert_eq!(id_in(&path), Some(id.as_str()), "{path}");
        }
    }

    #[test]
    fn no_container() {
        for path in ["/", "/user.slice/user-0.slice/session-1.scope", "/system.slice/ssh.service"] {
            assert_eq!(id_in(path), None, "{path}");
        }
    }
}
