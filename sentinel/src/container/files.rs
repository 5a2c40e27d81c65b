//! Names of containers and pods, from the files that runtimes and the kubelet keep.
//!
//! Read are, below one root: Docker's `var/lib/docker/containers/ID/config.v2.json`; the bundles of containerd
//! (`run/containerd/io.containerd.runtime.v2.task/NAMESPACE/ID/config.json`), CRI-O and Podman
//! (`run/containers/storage/overlay-containers/ID/userdata/config.json`) with the annotations that their CRI side writes;
//! Podman's list of containers (`containers.json` in its storage, also in a user's home); and where these tell nothing of a
//! pod the kubelet's `var/log/pods/NAMESPACE_POD_UID`. Other places, by a runtime's own settings, are not looked at.
//!
//! Invariants: all of it is hostile: what is read is bounded, must be regular files, and no link leads out of the root, or
//! in a user's home anywhere. What does not parse says nothing.

use std::{collections::HashMap, fs::File, io::Read as _, os::fd::OwnedFd, path::Path, sync::Arc};

use rustix::fs::{Mode, OFlags, RawDir, ResolveFlags, open, openat2};
use serde::{Deserialize, de::DeserializeOwned};

use super::{Place, Runtime};

/// Most bytes of a file about one container.
const FILE: u64 = 1 << 20;
/// Most bytes of a list of all containers, and of the list of users.
const LIST: u64 = 8 << 20;
/// Most entries of a directory that are looked at.
const ENTRIES: usize = 8192;
/// Most characters of a name.
const NAME: usize = 512;
/// Namespaces of containerd, the kubelet's and nerdctl's.
const NAMESPACES: [&str; 2] = ["k8s.io", "default"];
/// Names of storage drivers, as the directories of their containers begin.
const DRIVERS: [&str; 4] = ["overlay", "vfs", "btrfs", "zfs"];

/// What the files say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// Who made the container, where its cgroup does not tell.
    pub runtime: Option<Runtime>,
    /// Name of the container.
    pub container: Option<Arc<str>>,
    /// Its image, without tag and digest.
    pub image: Option<Arc<str>>,
    /// The image's tag.
    pub tag: Option<Arc<str>>,
    /// Namespace of the pod.
    pub namespace: Option<Arc<str>>,
    /// Name of the pod.
    pub pod: Option<Arc<str>>,
}

/// A directory and how far names in it may lead.
struct Root {
    fd: OwnedFd,
    resolve: ResolveFlags,
}

/// Reads what there is about a container.
#[must_use]
pub fn read(root: &Path, place: &Place) -> Names {
    let (Some(id), Some(root)) = (&place.container, Root::open(root)) else { return Names::default() };
    let mut names = match place.runtime {
        Some(Runtime::Docker) => docker(&root, id),
        Some(Runtime::Containerd) => containerd(&root, id),
        Some(Runtime::CriO) => bundle(&root, id),
        Some(Runtime::Podman) => podman(&root, id, place.user),
        // A bare id in a pod or in nobody's directory: whoever has files about it.
        None => docker(&root, id).or_else(|| containerd(&root, id)).or_else(|| bundle(&root, id)),
    }
    .unwrap_or_default();
    if let (None, Some(pod)) = (&names.pod, &place.pod) {
        (names.namespace, names.pod) = kubelet(&root, &pod.uid).unzip();
    }
    names
}

fn docker(root: &Root, id: &str) -> Option<Names> {
    #[derive(Deserialize)]
    struct Container {
        #[serde(rename = "Name", default)]
        name: String,
        #[serde(rename = "Config")]
        config: Config,
    }
    #[derive(Deserialize)]
    struct Config {
        #[serde(rename = "Image", default)]
        image: String,
        #[serde(rename = "Labels", default)]
        labels: Option<HashMap<String, String>>,
    }
    let container: Container = root.json(&format!("var/lib/docker/containers/{id}/config.v2.json"), FILE)?;
    let labels = container.config.labels.unwrap_or_default();
    let mut names = kubernetes(&labels);
    names.container = names.container.or_else(|| word(container.name.trim_start_matches('/')));
    names.set_image(&container.config.image);
    names.runtime = Some(Runtime::Docker);
    Some(names)
}

/// Annotations of a bundle for a runtime of the OCI.
#[derive(Deserialize)]
struct Bundle {
    #[serde(default)]
    annotations: HashMap<String, String>,
}

fn containerd(root: &Root, id: &str) -> Option<Names> {
    let file = |namespace| format!("run/containerd/io.containerd.runtime.v2.task/{namespace}/{id}/config.json");
    let bundle = NAMESPACES.into_iter().find_map(|namespace| root.json::<Bundle>(&file(namespace), FILE))?;
    let mut names = kubernetes(&bundle.annotations);
    names.container = names.container.or_else(|| bundle.word("nerdctl/name"));
    names.set_image(bundle.annotations.get("io.kubernetes.cri.image-name").map_or("", String::as_str));
    names.runtime = Some(Runtime::Containerd);
    Some(names)
}

/// CRI-O; Podman has bundles at the same place, without annotations.
fn bundle(root: &Root, id: &str) -> Option<Names> {
    let file = |driver| format!("run/containers/storage/{driver}-containers/{id}/userdata/config.json");
    let bundle = DRIVERS.into_iter().find_map(|driver| root.json::<Bundle>(&file(driver), FILE))?;
    let mut names = kubernetes(&bundle.annotations);
    let image = ["io.kubernetes.cri-o.ImageName", "io.kubernetes.cri-o.Image"];
    names.set_image(image.into_iter().find_map(|key| bundle.annotations.get(key)).map_or("", String::as_str));
    names.runtime =
        bundle.annotations.keys().any(|key| key.starts_with("io.kubernetes.cri-o.")).then_some(Runtime::CriO);
    Some(names)
}

impl Bundle {
    fn word(&self, key: &str) -> Option<Arc<str>> {
        word(self.annotations.get(key)?)
    }
}

/// Pod and container, as the kubelet labels them and as the CRI sides of runtimes note them.
fn kubernetes(labels: &HashMap<String, String>) -> Names {
    let first = |keys: &[&str]| keys.iter().find_map(|key| word(labels.get(*key)?));
    Names {
        container: first(&["io.kubernetes.container.name", "io.kubernetes.cri.container-name"]),
        namespace: first(&["io.kubernetes.pod.namespace", "io.kubernetes.cri.sandbox-namespace"]),
        pod: first(&["io.kubernetes.pod.name", "io.kubernetes.cri.sandbox-name"]),
        ..Names::default()
    }
}

fn podman(root: &Root, id: &str, user: Option<u32>) -> Option<Names> {
    let list = |root: &Root, storage: &str| {
        DRIVERS
            .into_iter()
            .find_map(|driver| stored(root, &format!("{storage}/{driver}-containers/containers.json"), id))
    };
    match user.filter(|uid| *uid != 0) {
        None => list(root, "var/lib/containers/storage"),
        Some(uid) => list(&root.home(uid)?, ".local/share/containers/storage"),
    }
}

/// A container in the list of a storage.
fn stored(root: &Root, list: &str, id: &str) -> Option<Names> {
    #[derive(Deserialize)]
    struct Stored {
        id: String,
        #[serde(default)]
        names: Option<Vec<String>>,
        #[serde(default)]
        metadata: String,
    }
    #[derive(Deserialize)]
    struct Metadata {
        #[serde(rename = "image-name", default)]
        image: String,
    }
    let all: Vec<Stored> = root.json(list, LIST)?;
    let found = all.into_iter().find(|container| container.id == id)?;
    let first = found.names.unwrap_or_default().into_iter().next();
    let mut names = Names { container: first.and_then(|name| word(&name)), ..Names::default() };
    if let Ok(metadata) = serde_json::from_str::<Metadata>(&found.metadata) {
        names.set_image(&metadata.image);
    }
    names.runtime = Some(Runtime::Podman);
    Some(names)
}

/// Namespace and name of a pod, from the directory of its logs.
fn kubelet(root: &Root, uid: &str) -> Option<(Arc<str>, Arc<str>)> {
    let end = format!("_{uid}");
    root.entries("var/log/pods")?.iter().find_map(|entry| {
        let (namespace, pod) = entry.strip_suffix(&end)?.split_once('_')?;
        Some((word(namespace)?, word(pod)?))
    })
}

/// A name that is fit to be shown.
fn word(text: &str) -> Option<Arc<str>> {
    (!text.is_empty() && text.len() <= NAME).then(|| text.into())
}

impl Names {
    /// `registry:5000/name:tag@digest`; a digest alone names no image.
    fn set_image(&mut self, reference: &str) {
        let name = reference.split('@').next().unwrap_or_default();
        let (name, tag) = match name.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, word(tag)),
            _ => (name, None),
        };
        if name != "sha256" {
            (self.image, self.tag) = (word(name), tag);
        }
    }
}

impl Root {
    fn open(path: &Path) -> Option<Self> {
        let fd = open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).ok()?;
        Some(Self { fd, resolve: ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS })
    }

    /// A user's home, in which links and other file systems are not followed: they are the user's.
    fn home(&self, uid: u32) -> Option<Self> {
        let users = self.bytes("etc/passwd", LIST)?;
        let users = String::from_utf8_lossy(&users);
        let home = users.lines().find_map(|line| {
            let mut fields = line.split(':');
            (fields.nth(2)?.parse() == Ok(uid)).then(|| fields.nth(2)).flatten()
        })?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = openat2(&self.fd, home, flags, Mode::empty(), self.resolve).ok()?;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
        Some(Self { fd, resolve })
    }

    fn json<T: DeserializeOwned>(&self, path: &str, limit: u64) -> Option<T> {
        serde_json::from_slice(&self.bytes(path, limit)?).ok()
    }

    /// A regular file of at most `limit` bytes.
    fn bytes(&self, path: &str, limit: u64) -> Option<Vec<u8>> {
        // A pipe would be waited for.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = File::from(openat2(&self.fd, path, flags, Mode::empty(), self.resolve).ok()?);
        let meta = file.metadata().ok()?;
        if !meta.is_file() || meta.len() > limit {
            return None;
        }
        let mut bytes = Vec::new();
        file.take(limit).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    /// The first names in a directory.
    fn entries(&self, path: &str) -> Option<Vec<String>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = openat2(&self.fd, path, flags, Mode::empty(), self.resolve).ok()?;
        let mut found = Vec::new();
        let mut buffer = Vec::with_capacity(1 << 15);
        let mut entries = RawDir::new(fd, buffer.spare_capacity_mut());
        while let Some(Ok(entry)) = entries.next() {
            found.push(entry.file_name().to_string_lossy().into_owned());
            if found.len() >= ENTRIES {
                break;
            }
        }
        Some(found)
    }
}

#[cfg(test)]
mod tests;
