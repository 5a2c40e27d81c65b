//! Standing rules on recorded events: order, limits, exemptions and what cannot be told.

use geoip::{Database, VoteRule};

use super::*;
use crate::cli::replay::event::{Line, parse};

/// Countries of documentation prefixes.
fn votes(name: &str) -> Arc<Votes> {
    let file = std::env::temp_dir().join(format!("sentinel-replay-{name}-{}.csv", std::process::id()));
    std::fs::write(&file, "203.0.113.0,203.0.113.255,IR\n198.51.100.0,198.51.100.255,DE\n").unwrap();
    let votes = Votes::new(vec![Arc::new(Database::open(&file).unwrap())], VoteRule::Primary).unwrap();
    std::fs::remove_file(&file).unwrap();
    Arc::new(votes)
}

fn standing(name: &str, rules: &str) -> Standing {
    let text = format!("package sentinel.lab\n\n{rules}\n");
    let policies = Policies::from_texts(&[("lab.rego", &text)], "").unwrap().shared();
    Standing::new(policies, votes(name), Mode::Enforce, Unknown::Alert)
}

fn event(text: &str) -> Event {
    match parse(text).unwrap() {
        Line::Event(event) => *event,
        other => panic!("{other:?}"),
    }
}

fn connect(ip: &str, more: &str) -> Event {
    event(&format!(
        r#"{{"@timestamp": "2026-11-22T10:00:00Z", "event": {{"action": "connect"}}, "network": {{"transport": "tcp"}},
        "destination": {{"ip": "{ip}", "port": 443}},
        "process": {{"executable": "/usr/bin/curl", "user": {{"id": "1000"}}}}{more}}}"#
    ))
}

fn open(path: &str, write: bool) -> Event {
    event(&format!(
        r#"{{"event": {{"action": "open"}}, "file": {{"path": "{path}", "write": {write}}}, "process": {{"executable": "/bin/a"}}}}"#
    ))
}

/// Place and effect of what decides.
fn decides(rules: &str, name: &str, event: &Event) -> Option<(usize, Effect)> {
    let standing = standing(name, rules);
    standing.judge().judge(event).decides.map(|(place, effect)| match place {
        Place::Entry(index) => (index, effect),
        Place::Unknown => (usize::MAX, effect),
    })
}

#[test]
fn countries_and_networks_and_what_monitors() {
    let rules = "block_countries contains {\"value\": \"IR\", \"mode\": \"monitor\"}\n\nblock_cidrs contains \"203.0.113.128/25\"";
    let cidr = 1;
    assert_eq!(decides(rules, "a", &connect("203.0.113.200", "")), Some((cidr, Effect::Refuse)));
    assert_eq!(decides(rules, "b", &connect("203.0.113.1", "")), Some((0, Effect::WouldRefuse)));
    assert_eq!(decides(rules, "c", &connect("198.51.100.1", "")), None);
    assert_eq!(decides(rules, "d", &connect("192.0.2.1", "")), Some((usize::MAX, Effect::Alert)));
    let packet = event(r#"{"event": {"action": "packet"}, "destination": {"ip": "192.0.2.1"}}"#);
    assert_eq!(decides(rules, "e", &packet), None);
}

#[test]
fn an_exemption_counts_while_it_lasted() {
    let rules = "block_countries contains \"IR\"\n\nexemptions contains {\"id\": \"lic\", \"type\": \"license\", \"authority\": \"A\", \
                 \"reference\": \"R\", \"approver\": \"B\", \"expires\": \"2026-11-22\", \"countries\": [\"IR\"]}";
    let standing = standing("exempt", rules);
    let mut judge = standing.judge();
    let then = connect("203.0.113.1", "");
    assert_eq!(judge.judge(&then).exempt, Some(Place::Entry(1)));
    let later = Event { time: Some(1_900_000_000_000_000), ..then };
    assert_eq!(judge.judge(&later).decides, Some((Place::Entry(0), Effect::Refuse)));
}

#[test]
fn paths_by_access_and_programs() {
    let rules = "block_paths contains {\"value\": \"/etc/lab/\", \"access\": [\"write\"]}\n\nblock_executables contains \"/usr/bin/nc\"";
    assert_eq!(decides(rules, "f", &open("/etc/lab/x", true)), Some((0, Effect::Refuse)));
    assert_eq!(decides(rules, "g", &open("/etc/lab/x", false)), None);
    let exec = |image: &str| {
        event(&format!(
            r#"{{"event": {{"action": "exec"}}, "file": {{"path": "/tmp/s"}}, "process": {{"executable": "{image}"}}}}"#
        ))
    };
    assert_eq!(decides(rules, "h", &exec("/usr/bin/nc")), Some((1, Effect::Refuse)));
    assert_eq!(decides(rules, "i", &exec("/usr/bin/ncat")), None);
    assert_eq!(decides(rules, "j", &open("/usr/bin/nc", false)), None);
}

#[test]
fn limits_hold_fail_or_cannot_be_told() {
    let rule = |limits: &str| format!("block_cidrs contains {{\"value\": \"203.0.113.0/24\", {limits}}}");
    for (limits, refused, undecided) in [
        ("\"only\": {\"executables\": [\"/usr/bin/curl\"], \"ports\": [443]}", true, false),
        ("\"only\": {\"uids\": [0]}", false, false),
        ("\"only\": {\"protocols\": [\"udp\"], \"cgroups\": [\"/a\"]}", false, false),
        ("\"only\": {\"cgroups\": [\"/a\"]}", false, true),
        ("\"except\": {\"executables\": [\"/usr/bin/curl\"]}", false, false),
        ("\"except\": {\"executables\": [\"/usr/bin/curl\"], \"ports\": [80]}", true, false),
        ("\"except\": {\"cgroups\": [\"/a\"]}", false, true),
    ] {
        let standing = standing("limits", &rule(limits));
        let ruling = standing.judge().judge(&connect("203.0.113.1", ""));
        assert_eq!((ruling.decides.is_some(), !ruling.undecided.is_empty()), (refused, undecided), "{limits}");
    }
}

fn exec(path: &str, image: &str, more: &str) -> Event {
    event(&format!(
        r#"{{"event": {{"action": "exec"}}, "file": {{"path": "{path}"}}, "process": {{"executable": "{image}"{more}}},
        "sentinel": {{"access": ["exec"], "cgroup": "/a"}}}}"#
    ))
}

#[test]
fn what_is_not_on_a_list_is_refused_where_the_list_holds() {
    let rule = "allow_executables contains {\"value\": v, \"only\": {\"cgroups\": [\"/a\"]}} if some v in [\"/bin/sh\", \"/opt/\"]";
    assert_eq!(decides(rule, "l1", &exec("/opt/x", "/bin/sh", "")), None);
    assert_eq!(decides(rule, "l2", &exec("/bin/ls", "/bin/ls", "")).map(|(_, effect)| effect), Some(Effect::Refuse));
    // A script needs itself and its interpreter.
    assert_eq!(decides(rule, "l3", &exec("/tmp/x", "/bin/sh", "")).map(|(_, effect)| effect), Some(Effect::Refuse));
    assert_eq!(decides(&rule.replace("/a", "/b"), "l4", &exec("/bin/ls", "/bin/ls", "")), None);
    let library = r#"{"event": {"action": "mmap"}, "file": {"path": "/usr/lib/x.so"}, "process": {"executable": "/bin/sh"},
        "sentinel": {"access": ["exec"], "cgroup": "/a"}}"#;
    assert_eq!(decides(rule, "l5", &event(library)), None);
    assert!(decides(rule, "l6", &event(&library.replace("/usr/lib", "/tmp"))).is_some());
    assert_eq!(decides(rule, "l7", &open("/bin/ls", false)), None);
}

#[test]
fn a_hash_decides_as_far_as_it_was_recorded() {
    let hash = "ab".repeat(32);
    let rule = format!("block_hashes contains \"{hash}\"");
    let known = format!(", \"hash\": {{\"sha256\": \"{hash}\"}}");
    assert_eq!(decides(&rule, "h1", &exec("/x", "/x", &known)), Some((0, Effect::Refuse)));
    assert_eq!(decides(&rule, "h2", &exec("/x", "/x", "")), None);
}
