use std::os::unix::fs::symlink;

use super::*;

struct Lab(PathBuf);

impl Lab {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("sentinel-reload-{}-{name}", std::process::id()));
        fs::create_dir_all(path.join("policy")).unwrap();
        fs::write(path.join("sentinel.toml"), format!("policy = [\"{}\"]\n", path.join("policy").display())).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.join("policy").join(name), text).unwrap();
    }

    fn start(&self) -> Reload {
        let flags = Flags { config: Some(self.0.join("sentinel.toml")), ..Flags::default() };
        let config = Config::load(&flags).unwrap();
        let seen = stamps(&flags, &config);
        Reload::start(flags, &config, seen).unwrap()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn policy(network: &str) -> String {
    format!("package sentinel.lab\n\nblock_cidrs contains \"{network}\"\n")
}

fn networks(attempt: Attempt) -> Vec<String> {
    let policies = attempt.result.map(|candidate| candidate.read.policies);
    policies.unwrap().standing().iter().map(|entry| format!("{:?}", entry.value)).collect()
}

async fn next(reload: &mut Reload) -> Attempt {
    tokio::time::timeout(Duration::from_secs(60), reload.next()).await.expect("no reading came")
}

#[tokio::test]
async fn whoever_replaces_a_file_is_noticed() {
    let lab = Lab::new("noticed");
    lab.write("lab.rego", &policy("192.0.2.0/24"));
    let mut reload = lab.start();
    // Written into.
    lab.write("lab.rego", &policy("198.51.100.0/24"));
    let attempt = next(&mut reload).await;
    assert_eq!(attempt.cause, Cause::Changed);
    assert!(networks(attempt)[0].contains("198.51.100.0"));
    // Renamed over.
    fs::write(lab.0.join("new"), policy("203.0.113.0/24")).unwrap();
    fs::rename(lab.0.join("new"), lab.0.join("policy/lab.rego")).unwrap();
    assert!(networks(next(&mut reload).await)[0].contains("203.0.113.0"));
    // Another file beside it.
    lab.write("second.rego", &policy("192.0.2.0/24").replace("lab", "second"));
    assert_eq!(networks(next(&mut reload).await).len(), 2);
    fs::remove_file(lab.0.join("policy/second.rego")).unwrap();
    assert_eq!(networks(next(&mut reload).await).len(), 1);
}

#[tokio::test]
async fn a_tree_of_links_changes_when_its_root_link_does() {
    let lab = Lab::new("links");
    for (version, network) in [("..1", "192.0.2.0/24"), ("..2", "203.0.113.0/24")] {
        fs::create_dir_all(lab.0.join("policy").join(version)).unwrap();
        lab.write(&format!("{version}/lab.rego"), &policy(network));
    }
    symlink("..1", lab.0.join("policy/..data")).unwrap();
    symlink("..data/lab.rego", lab.0.join("policy/lab.rego")).unwrap();
    let mut reload = lab.start();
    symlink("..2", lab.0.join("policy/..new")).unwrap();
    fs::rename(lab.0.join("policy/..new"), lab.0.join("policy/..data")).unwrap();
    assert!(networks(next(&mut reload).await)[0].contains("203.0.113.0"));
}

#[tokio::test]
async fn what_is_wrong_is_told_and_asking_reads_again() {
    let lab = Lab::new("wrong");
    lab.write("lab.rego", &policy("192.0.2.0/24"));
    let mut reload = lab.start();
    lab.write("lab.rego", &policy("192.0.2.0/33"));
    let error = format!("{:#}", next(&mut reload).await.result.err().unwrap());
    assert!(error.contains("lab.rego:3"), "{error}");
    lab.write("lab.rego", &policy("192.0.2.0/24"));
    assert!(next(&mut reload).await.result.is_ok());
    lab.write("lab_test.rego", "package sentinel.lab_test\n\ntest_never if { 1 == 2 }\n");
    let error = format!("{:#}", next(&mut reload).await.result.err().unwrap());
    assert!(error.contains("1 of 1 tests") && error.contains("test_never"), "{error}");
    fs::remove_file(lab.0.join("policy/lab_test.rego")).unwrap();
    assert!(next(&mut reload).await.result.is_ok());
    reload.ask();
    let asked = next(&mut reload).await;
    assert_eq!(asked.cause, Cause::Asked);
    assert!(asked.result.is_ok());
}

#[tokio::test]
async fn watching_can_be_switched_off() {
    let lab = Lab::new("off");
    lab.write("lab.rego", &policy("192.0.2.0/24"));
    let settings = fs::read_to_string(lab.0.join("sentinel.toml")).unwrap();
    fs::write(lab.0.join("sentinel.toml"), format!("{settings}[policies]\nwatch = false\n")).unwrap();
    let mut reload = lab.start();
    lab.write("lab.rego", &policy("203.0.113.0/24"));
    // Longer than files are left alone for.
    let quiet = tokio::time::timeout(POLL + DEBOUNCE * 5, reload.next()).await;
    assert!(quiet.is_err());
    reload.ask();
    assert!(networks(next(&mut reload).await)[0].contains("203.0.113.0"));
}
