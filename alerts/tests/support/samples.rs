//! One alert of each kind that the contract tells apart, with fixed ids and times.
//!
//! Addresses are documentation prefixes, names and countries are examples.

use std::sync::Arc;

use alerts::{
    Action, Alert, AlertParts, DecidedIn, Decision, Effect, EntryWritten, Exemption, Geo, GeoDatabase, GeoVote,
    ListRef, Mode, RuleHit, Severity, Technique, Verb,
};
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// The samples by the name of their golden file.
pub(crate) fn all() -> Vec<(&'static str, Alert)> {
    let samples = [
        ("refused-connect", refused_connect()),
        ("would-block-exec", would_block_exec()),
        ("entry-written-open", entry_written_open()),
        ("exempt-connect", exempt_connect()),
        ("plain-alert", plain_alert()),
    ];
    samples.into_iter().zip(1..).map(|((name, parts), number)| (name, alert(number, parts))).collect()
}

/// An alert around the parts.
pub(crate) fn alert(number: u8, parts: AlertParts) -> Alert {
    let id = Uuid::from_u128(0x0193_52a0_4c00_7000_8000_0000_0000_0000 + u128::from(number));
    Alert::new(id, u64::from(number), Arc::from("7d3c5a52-0d52-4b3c-9f3f-2f1b8f0c6a11"), parts)
}

/// A plain alert by one rule; the samples change what is special about them.
pub(crate) fn parts(action: Action, event: Value, rule: RuleHit) -> AlertParts {
    AlertParts {
        action,
        event: object(event),
        message: None,
        mode: Mode::Enforce,
        effect: Effect::Passed,
        decided_in: DecidedIn::User,
        hook: "file_open".to_owned(),
        decision: Decision::Alert,
        rules: vec![rule],
        entry_written: None,
        exemption: None,
        geo: None,
        list: None,
        policy_sha256: Some("8f434346648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa4".to_owned()),
        suppressed: 0,
        lost_before: 0,
    }
}

/// The object that daemon and rules share: host, process with its ancestors, user, container, and what is special.
pub(crate) fn event(special: Value) -> Value {
    let mut event = object(json!({
        "@timestamp": "2026-11-22T10:15:30.123Z",
        "event": {"created": "2026-11-22T10:15:30.125Z"},
        "host": {"name": "web-3", "id": "4f2d8a6c0b9e47b1a53c7e1d2f3a4b5c", "os": {"type": "linux", "kernel": "6.12.48"}},
        "user": {"id": "33", "name": "www-data"},
        "container": {"id": "3f4e8c1d2a7b", "name": "shop", "image": {"name": "registry.example/shop"}},
        "process": process(4242, "/usr/bin/curl", &["curl", "-s", "https://downloads.example/install.sh"]),
    }));
    let (Some(Value::Object(process)), special) = (event.get_mut("process"), object(special)) else { unreachable!() };
    process.insert("parent".to_owned(), process_short(4200, "/usr/bin/dash"));
    let ancestors = [(4200, "/usr/bin/dash"), (4100, "/usr/sbin/nginx"), (901, "/usr/sbin/nginx"), (1, "/sbin/init")];
    let ancestors: Vec<Value> = ancestors.iter().map(|(pid, path)| process_short(*pid, path)).collect();
    process.insert("ancestors".to_owned(), Value::Array(ancestors));
    event.extend(special);
    Value::Object(event)
}

fn object(value: Value) -> Map<String, Value> {
    let Value::Object(map) = value else { unreachable!("samples are objects") };
    map
}

fn process(pid: u32, executable: &str, args: &[&str]) -> Value {
    let mut process = object(process_short(pid, executable));
    process.insert("args".to_owned(), json!(args));
    process.insert("args_truncated".to_owned(), json!(false));
    process.insert("user".to_owned(), json!({"id": "33"}));
    Value::Object(process)
}

fn process_short(pid: u32, executable: &str) -> Value {
    json!({"pid": pid, "executable": executable, "name": executable.rsplit('/').next()})
}

fn technique(id: &str, name: &str, tactic: &str) -> Technique {
    Technique { id: id.to_owned(), name: Some(name.to_owned()), tactic: Some(tactic.to_owned()) }
}

fn destination(country: &str) -> Value {
    json!({
        "destination": {"ip": "203.0.113.7", "port": 443, "geo": {"country_iso_code": country}},
        "network": {"transport": "tcp", "type": "ipv4"},
    })
}

fn embargo() -> RuleHit {
    RuleHit {
        name: Some("Egress to an embargoed country".to_owned()),
        category: Some("exfiltration".to_owned()),
        ruleset: Some("sentinel.embargo".to_owned()),
        reference: Some("https://rules.example/embargoed-egress".to_owned()),
        techniques: vec![technique("T1041", "Exfiltration Over C2 Channel", "Exfiltration")],
        ..RuleHit::new(
            "embargoed-egress",
            Verb::BlockCountries,
            Severity::High,
            "connection to an embargoed country (KP)",
        )
    }
}

fn located() -> Geo {
    let vote = |database: &str, country: Option<&str>| GeoVote {
        database: database.to_owned(),
        country: country.map(str::to_owned),
    };
    Geo {
        country: Some("KP".to_owned()),
        prefix: Some("203.0.113.0/24".to_owned()),
        database: GeoDatabase {
            kind: "ipfire-location".to_owned(),
            build: "2026-09-23".to_owned(),
            sha256: "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae".to_owned(),
        },
        votes: vec![vote("ipfire-location", Some("KP")), vote("dbip-country", None)],
    }
}

fn refused_connect() -> AlertParts {
    AlertParts {
        effect: Effect::Refused,
        decided_in: DecidedIn::Kernel,
        hook: "connect4".to_owned(),
        decision: Decision::Deny,
        geo: Some(located()),
        list: Some(ListRef { id: "ofac-comprehensive".to_owned(), version: "2026-10-01".to_owned() }),
        suppressed: 12,
        ..parts(Action::Connect, event(destination("KP")), embargo())
    }
}

fn exempt_connect() -> AlertParts {
    AlertParts {
        decided_in: DecidedIn::Kernel,
        hook: "connect4".to_owned(),
        decision: Decision::Exempt,
        geo: Some(located()),
        exemption: Some(Exemption {
            id: "ngo-relief-2026".to_owned(),
            kind: "general-licence".to_owned(),
            authority: Some("OFAC".to_owned()),
            reference: Some("31 CFR 510.512".to_owned()),
            approver: Some("compliance@shop.example".to_owned()),
            expires: "2026-12-31".to_owned(),
        }),
        ..parts(Action::Connect, event(destination("KP")), embargo())
    }
}

fn would_block_exec() -> AlertParts {
    let mut event = object(event(json!({"file": {"path": "/tmp/.x/run.sh", "inode": "1183745", "device": "254:1"}})));
    let mut script =
        object(process(4243, "/usr/bin/dash", &["/bin/sh", "/tmp/.x/run.sh", "\u{1b}[2J\nnew line \u{fffd}"]));
    script.insert(
        "hash".to_owned(),
        json!({"sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}),
    );
    script.insert("previous".to_owned(), json!({"executable": "/usr/bin/curl"}));
    event.insert("process".to_owned(), Value::Object(script));
    let rule = RuleHit {
        name: Some("Execution from a world-writable directory".to_owned()),
        description: Some("Programs are not installed below /tmp; what runs there was dropped there.".to_owned()),
        techniques: vec![
            technique("T1059.004", "Command and Scripting Interpreter: Unix Shell", "Execution"),
            technique("T1036.005", "Masquerading: Match Legitimate Resource Name or Location", "Defense Evasion"),
        ],
        ..RuleHit::new("exec-from-tmp", Verb::Deny, Severity::Medium, "/tmp/.x/run.sh executed by /usr/bin/curl")
    };
    AlertParts {
        mode: Mode::Monitor,
        effect: Effect::WouldBlock,
        decided_in: DecidedIn::Kernel,
        hook: "bprm_check_security".to_owned(),
        decision: Decision::Deny,
        ..parts(Action::Exec, Value::Object(event), rule)
    }
}

fn entry_written_open() -> AlertParts {
    let file =
        json!({"file": {"path": "/etc/shadow", "inode": "262188", "device": "254:1", "write": false, "create": false}});
    let shadow = RuleHit {
        name: Some("Read of password hashes".to_owned()),
        techniques: vec![technique(
            "T1003.008",
            "OS Credential Dumping: /etc/passwd and /etc/shadow",
            "Credential Access",
        )],
        ..RuleHit::new("shadow-read", Verb::Deny, Severity::Critical, "/etc/shadow opened by /usr/bin/curl")
    };
    let second =
        RuleHit::new("sentinel.web.alert", Verb::Alert, Severity::Low, "web server's child reads outside /srv");
    AlertParts {
        decision: Decision::Deny,
        rules: vec![shadow.clone(), second],
        entry_written: Some(EntryWritten {
            scope: "file+process".to_owned(),
            expires: Some("2026-11-22T11:15:30.1256Z".parse().unwrap()),
        }),
        lost_before: 3,
        ..parts(Action::Open, event(file), shadow)
    }
}

fn plain_alert() -> AlertParts {
    let file = json!({"file": {"path": "/root/.bash_history", "inode": "99", "device": "254:1", "write": true, "create": false}});
    let rule = RuleHit::new("history-tampering", Verb::Alert, Severity::Info, "shell history opened for writing");
    AlertParts {
        message: Some("shell history of root opened for writing by curl".to_owned()),
        policy_sha256: None,
        ..parts(Action::Open, event(file), rule)
    }
}
