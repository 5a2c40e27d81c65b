//! The files of each runtime, as golden directories in `tests/data/containers`, and what an attacker may put there.

use std::{fs, os::unix::fs::symlink, path::PathBuf, process::Command};

use super::*;
use crate::container::parse;

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/containers")
}

/// Container, image, tag, namespace and pod of a container whose id has this as its last digits.
fn of(path: &str, last: &str) -> [Option<String>; 5] {
    let id = format!("{}{last}", &ID[..ID.len() - last.len()]);
    let names = read(&golden(), &parse(&path.replace("ID", &id)));
    [names.container, names.image, names.tag, names.namespace, names.pod].map(|name| name.map(|name| name.to_string()))
}

fn words<const N: usize>(words: [&str; N]) -> [Option<String>; N] {
    words.map(|word| (!word.is_empty()).then(|| word.to_owned()))
}

#[test]
fn every_runtime() {
    for (path, last, known) in [
        ("/system.slice/docker-ID.scope", "ef", ["web", "registry.example:5000/web", "1.27", "", ""]),
        ("/docker/ID", "ef", ["web", "registry.example:5000/web", "1.27", "", ""]),
        ("/kubepods/pod1/ID", "ef", ["web", "registry.example:5000/web", "1.27", "", ""]),
        (
            "/kubepods.slice/kubepods-pod1.slice/cri-containerd-ID.scope",
            "c1",
            ["app", "docker.io/library/nginx", "1.27", "shop", "app-5f7c"],
        ),
        ("/kubepods/burstable/pod1/ID", "c1", ["app", "docker.io/library/nginx", "1.27", "shop", "app-5f7c"]),
        ("/default/ID", "c2", ["nerd", "", "", "", ""]),
        ("/kubepods.slice/kubepods-pod1.slice/crio-ID.scope", "c3", ["db", "quay.io/example/db", "", "shop", "db-0"]),
        ("/machine.slice/libpod-ID.scope/container", "d1", ["sleepy", "docker.io/library/alpine", "latest", "", ""]),
        (
            "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-ID.scope/container",
            "d2",
            ["rootless", "localhost/tool", "", "", ""],
        ),
        // No file about the container, but the kubelet's about its pod.
        ("/kubepods/pod1a2b3c4d-0000-4000-8000-0123456789ab/ID", "e1", ["", "", "", "shop", "cache-0"]),
        ("/machine.slice/libpod-ID.scope", "e2", ["", "", "", "", ""]),
        ("/system.slice/ssh.service", "ef", ["", "", "", "", ""]),
    ] {
        assert_eq!(of(path, last), words(known), "{path} {last}");
    }
}

#[test]
fn images() {
    for (reference, image, tag) in [
        ("nginx", Some("nginx"), None),
        ("nginx:1", Some("nginx"), Some("1")),
        ("host:5000/nginx", Some("host:5000/nginx"), None),
        ("host:5000/nginx:1@sha256:00", Some("host:5000/nginx"), Some("1")),
        ("sha256:00", None, None),
        ("", None, None),
    ] {
        let mut names = Names::default();
        names.set_image(reference);
        assert_eq!((names.image.as_deref(), names.tag.as_deref()), (image, tag), "{reference}");
    }
}

/// A directory that goes away with its handle.
struct Temporary(PathBuf);

impl Temporary {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("sentinel-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, path: &str, content: &[u8]) {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn hostile_files_say_nothing() {
    let root = Temporary::new("hostile");
    let place = parse(&format!("/docker/{ID}"));
    let file = format!("var/lib/docker/containers/{ID}/config.v2.json");
    let deep = [b"{\"Config\":".to_vec(), vec![b'['; 100_000]].concat();
    let long = format!(r#"{{"Name":"{}","Config":{{"Image":"x"}}}}"#, "n".repeat(NAME + 1));
    let large = [b"{\"Name\":\"/x\",\"Config\":{}}".to_vec(), vec![b' '; FILE as usize]].concat();
    for content in [&b""[..], b"{", b"[]", b"\xff\xfe", br#"{"Name":7}"#, &deep, long.as_bytes(), &large] {
        root.write(&file, content);
        assert_eq!(read(&root.0, &place).container, None);
    }
    root.write(&file, br#"{"Name":"/x","Config":{"Image":"y"}}"#);
    assert_eq!(read(&root.0, &place).container.as_deref(), Some("x"));
    // A pipe is not waited for.
    fs::remove_file(root.0.join(&file)).unwrap();
    assert!(Command::new("mkfifo").arg(root.0.join(&file)).status().unwrap().success());
    assert_eq!(read(&root.0, &place), Names::default());
}

#[test]
fn links_lead_nowhere_else() {
    let (root, outside) = (Temporary::new("links"), Temporary::new("outside"));
    let list = format!(r#"[{{"id":"{ID}","names":["stolen"]}}]"#);
    outside.write("containers.json", list.as_bytes());
    // Out of the root, by an absolute link and by `..`.
    let storage = "var/lib/containers/storage";
    fs::create_dir_all(root.0.join(storage)).unwrap();
    symlink(&outside.0, root.0.join(storage).join("overlay-containers")).unwrap();
    let place = parse(&format!("/machine.slice/libpod-{ID}.scope"));
    assert_eq!(read(&root.0, &place), Names::default());
    // In a user's home not even to another place below the root.
    root.write("etc/passwd", b"u:x:1000:1000:u:/home/u:/bin/sh\n");
    root.write("srv/overlay-containers/containers.json", list.as_bytes());
    let place = parse(&format!("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope"));
    fs::create_dir_all(root.0.join("home/u/.local/share/containers")).unwrap();
    symlink("/srv", root.0.join("home/u/.local/share/containers/storage")).unwrap();
    assert_eq!(read(&root.0, &place), Names::default());
    fs::remove_file(root.0.join("home/u/.local/share/containers/storage")).unwrap();
    root.write("home/u/.local/share/containers/storage/overlay-containers/containers.json", list.as_bytes());
    assert_eq!(read(&root.0, &place).container.as_deref(), Some("stolen"));
}
