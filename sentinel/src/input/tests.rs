//! What events carry is what the table of fields says, and the other way round: `rules::schema` is what policies are
//! checked against.

use std::{collections::BTreeSet, sync::Arc};

use rules::{
    KindSet,
    schema::{self, FIELDS, Field, Type},
};
use sentinel_common::{
    FileId,
    event::{Credentials, Task, Verdict},
};

use super::*;
use crate::{
    container::{Names, parse},
    kernel::hooks::HOOKS,
    process::{Ancestor, Image},
};

fn id(ino: u64) -> FileId {
    FileId { ino, dev: 1, generation: 0 }
}

fn common(flags: u32) -> Common {
    let task = Task {
        tgid: 7,
        tid: 8,
        parent: 6,
        uid: 1000,
        gid: 1000,
        comm: *b"name\0\0\0\0\0\0\0\0\0\0\0\0",
        ..Task::default()
    };
    let credentials = Some(Credentials {
        effective: 1 << 10,
        permitted: 1 << 10 | 1,
        real_uid: 1000,
        saved_uid: 1000,
        login_uid: 1000,
        tty: 136 << 20 | 3,
    });
    Common { time: 5, hook: &HOOKS[0], flags, verdict: Verdict::default(), task, credentials }
}

fn acting() -> Process {
    let image = |path: &str, ino| Image { path: path.into(), file: id(ino), hash: Some([7; 32]) };
    let args = Arc::new(["tool".to_owned(), "-x".to_owned()]);
    let ancestors = Arc::new([Ancestor { pid: 6, executable: "/sbin/init".into() }]);
    Process::known(image("/usr/bin/tool.sh", 1), image("/bin/sh", 2), args, ancestors)
}

fn context() -> Context {
    let id = "3f4e1b9a70c2".repeat(6);
    let place = parse(&format!("/kubepods/burstable/pod1a2b/x.service/crio-{}", &id[..64]));
    let some = |text: &str| Some(text.into());
    let names = Names {
        runtime: None,
        container: some("web"),
        image: some("registry.example/web"),
        tag: some("1"),
        namespace: some("default"),
        pod: some("web-5f7c"),
    };
    Context { place, names }
}

/// One event of every kind that is reported, with everything that it can carry.
fn events() -> Vec<Input> {
    let process = acting();
    let context = context();
    let actor = Actor { process: &process, parent: Some(&process), context: Some(&context) };
    let host = Host::read();
    let path = b"/etc/a.conf".to_vec();
    let exec_event = Exec {
        common: common(0),
        file: id(3),
        mode: 0o755,
        links: 1,
        path: path.clone(),
        directory: Vec::new(),
        args: Vec::new(),
        filename: Vec::new(),
        content: Content::default(),
    };
    let open_event = Open { common: common(0), file: id(3), fmode: 3, mode: 0, links: 1, path };
    let net = |kind| Network {
        common: common(flag::REWRITTEN),
        kind,
        given: Address::from_v4(0xcb00_7108),
        destination: Address::from_v4(0xcb00_7107),
        port: 443,
        family: 2,
        protocol: 6,
        socket_type: 1,
    };
    let packet = Network { common: Common { credentials: None, ..common(flag::REWRITTEN) }, ..net(kind::PACKET) };
    let known = Known { country: Some("DE"), region: Some("DE-BE"), domain: Some("a.example") };
    let family = Network { family: 17, ..net(kind::SOCKET) };
    let change_event = |number: u16| {
        let named = [kind::RENAME, kind::LINK].contains(&number);
        let target_path = if named { b"/etc/b.conf".to_vec() } else { Vec::new() };
        let path = b"/etc/a.conf".to_vec();
        Change { common: common(0), kind: number, file: id(3), target: id(4), path, target_path }
    };
    let changes =
        [kind::CREATE, kind::RENAME, kind::LINK, kind::UNLINK, kind::TRUNCATE, kind::SETATTR, kind::MOUNT, kind::MMAP];
    let changes = changes.into_iter().map(|number| change(&change_event(number), &actor, &host));
    let others = [
        exec(&exec_event, None, &actor, &host),
        refused_exec(&exec_event, Some([9; 32]), &actor, &host),
        open(&open_event, &actor, &host),
        network(&net(kind::CONNECT), &known, &actor, &host),
        network(&net(kind::SEND), &known, &actor, &host),
        network(&packet, &known, &actor, &host),
        socket(&family, &actor, &host),
    ];
    others.into_iter().chain(changes).collect()
}

/// Every leaf of an object with its path, as the table writes it.
fn leaves(path: &str, value: &Value, found: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(object) => object.iter().for_each(|(key, value)| {
            let key = key.as_string().unwrap();
            let path = if path.is_empty() { key.to_string() } else { format!("{path}.{key}") };
            leaves(&path, value, found);
        }),
        Value::Array(items) if items.iter().any(|item| item.as_object().is_ok()) => {
            items.iter().for_each(|item| leaves(&format!("{path}[]"), item, found));
        }
        other => found.push((path.to_owned(), other.clone())),
    }
}

fn fits(field: &Field, value: &Value) -> bool {
    match field.of {
        Type::Text => value.as_string().is_ok(),
        Type::Number => value.as_u64().is_ok(),
        Type::Boolean => value.as_bool().is_ok(),
        Type::Texts => value.as_array().is_ok_and(|items| items.iter().all(|item| item.as_string().is_ok())),
    }
}

#[test]
fn events_carry_what_the_table_of_fields_says() {
    let mut seen = BTreeSet::new();
    let mut reported = KindSet::EMPTY;
    for input in events() {
        reported = reported.with(input.kind);
        let mut found = Vec::new();
        leaves("", &input.value, &mut found);
        for (path, value) in found {
            let field = schema::find(&path).unwrap_or_else(|| panic!("{}: {path} is not in the table", input.kind));
            assert!(
                field.filled && field.kinds.contains(input.kind) && fits(field, &value),
                "{}: {field:?}",
                input.kind
            );
            seen.insert((field.path, input.kind));
        }
    }
    for field in FIELDS.iter().filter(|field| field.filled) {
        for kind in field.kinds.iter().filter(|kind| reported.contains(*kind)) {
            assert!(seen.contains(&(field.path, kind)), "{} says that {kind} carries it", field.path);
        }
    }
}
