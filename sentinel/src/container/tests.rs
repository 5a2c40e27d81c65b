//! The cache of cgroups, with paths as the kernel tells them and files of a root of the test's own.

use std::{fs, path::Path};

use super::*;

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn containers(root: &Path) -> Containers {
    Containers { cgroups: None, known: HashMap::new(), made: HashMap::new(), reader: Reader::start(root.to_owned()) }
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/containers")
}

#[test]
fn the_first_event_of_a_container_has_its_id_and_names() {
    let mut all = containers(&golden());
    all.made(7, format!("/system.slice/docker-{ID}.scope").as_bytes());
    let context = all.of(7).unwrap();
    assert_eq!(context.place.container.as_deref(), Some(ID));
    assert_eq!(context.names.container.as_deref(), Some("web"));
    // The next event finds what is known.
    assert!(Arc::ptr_eq(&all.of(7).unwrap(), &context));
}

#[test]
fn an_id_that_is_used_again_is_another_cgroup() {
    let mut all = containers(&golden());
    all.made(7, b"/system.slice/ssh.service");
    assert_eq!(all.of(7).unwrap().place.service.as_deref(), Some("ssh.service"));
    all.made(7, b"/system.slice/cron.service");
    assert_eq!(all.of(7).unwrap().place.service.as_deref(), Some("cron.service"));
    all.made(8, b"/init.scope");
    assert_eq!((all.of(8), all.of(9)), (None, None));
}

#[test]
fn files_that_come_later_are_found() {
    let root = std::env::temp_dir().join(format!("sentinel-containers-{}", std::process::id()));
    let mut all = containers(&root);
    all.made(7, format!("/docker/{ID}").as_bytes());
    assert_eq!(all.of(7).unwrap().names, Names::default());
    let directory = root.join(format!("var/lib/docker/containers/{ID}"));
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("config.v2.json"), r#"{"Name":"/late","Config":{"Image":"late:1"}}"#).unwrap();
    let end = Instant::now() + AGAIN * 5;
    let found = loop {
        let name = all.of(7).unwrap().names.container.clone();
        if name.is_some() || Instant::now() > end {
            break name;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    fs::remove_dir_all(&root).unwrap();
    assert_eq!(found.as_deref(), Some("late"));
}

#[test]
fn nothing_waits_for_a_thread_that_hangs() {
    let mut all = containers(&golden());
    // A thread that takes requests and never answers.
    let (requests, _wanted) = sync_channel(QUEUE);
    let (_answer, answers) = sync_channel(1);
    all.reader = Some(Reader { requests, answers, stuck: false });
    let start = Instant::now();
    for cgroup in 0..50 {
        all.made(cgroup, format!("/docker/{ID}").as_bytes());
        assert!(all.of(cgroup).unwrap().place.container.is_some());
    }
    assert!(start.elapsed() < PATIENCE * 10, "{:?}", start.elapsed());
}
