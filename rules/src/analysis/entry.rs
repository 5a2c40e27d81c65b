//! What a rule asks and the block entry that it writes cannot hold.
//!
//! A `deny` is decided once; its entry then refuses every next event of the same object and subject, whatever else the
//! rule looked at. Which fields an entry of which scope holds is said here, and nowhere else.

use crate::kind::Kind;
use crate::policies::{RuleInfo, WrittenScope};
use crate::schema;
use crate::scope::{Object, Scope, Subject};
use crate::vocabulary::Verb;

/// The fields that the conditions of a `deny` depend on and that no entry of the rule holds, with the entry's scope;
/// `None` when there are none, or the scope is not known before the event.
pub fn beyond_entry(rule: &RuleInfo) -> Option<(Scope, Vec<&str>)> {
    if rule.verb != Verb::Deny || rule.kinds.is_empty() {
        return None;
    }
    rule.kinds.iter().find_map(|kind| {
        let scope = match rule.scope {
            WrittenScope::Is(scope) => scope,
            WrittenScope::Default => Scope::default_for(kind),
            WrittenScope::Computed => return None,
        };
        // A field that events of the kind do not have is no condition on them.
        let carried = |field: &str| schema::node(field).is_none_or(|node| node.kinds().contains(kind));
        let lost: Vec<&str> =
            rule.conditions.iter().filter(|field| carried(field) && !holds(scope, kind, field)).collect();
        (!lost.is_empty()).then_some((scope, lost))
    })
}

/// Whether an entry is about the same thing as a condition on the field.
fn holds(scope: Scope, kind: Kind, field: &str) -> bool {
    let (area, rest) = field.split_once('.').unwrap_or((field, ""));
    match area {
        // What is the same for every event of the host and kind.
        "event" | "host" => true,
        "file" => matches!(scope.object, Object::File | Object::Path),
        "destination" | "network" => holds_destination(scope, area, rest),
        "process" => holds_process(scope, kind == Kind::Exec, rest),
        "user" | "container" | "orchestrator" => scope.subject == Some(Subject::Instance),
        // The time, and what the schema may come to have.
        _ => false,
    }
}

fn holds_destination(scope: Scope, area: &str, rest: &str) -> bool {
    match (area, rest) {
        ("destination", "port") => scope.object == Object::DestinationPort,
        // The name is another rule's business: it is advisory, and said so at load.
        ("destination", _) | ("network", "type") => scope.is_network(),
        _ => false,
    }
}

fn holds_process(scope: Scope, exec: bool, rest: &str) -> bool {
    let image = |at: &str| rest.strip_prefix(at).is_some_and(|name| name == "executable" || name == "name");
    let subject = match (exec, scope.subject) {
        // On exec the new image is the object, and the calling one the subject.
        (true, None) => image(""),
        (true, Some(Subject::Process)) => image("") || image("previous."),
        (true, Some(Subject::Instance)) => !rest.starts_with("args"),
        (false, None) => false,
        (false, Some(Subject::Process)) => image(""),
        (false, Some(Subject::Instance)) => true,
    };
    subject && (!image("") || !exec || matches!(scope.object, Object::File | Object::Path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policies::Policies;

    fn lost(body: &str, member: &str) -> Vec<String> {
        let library = "package lib\n\nshell(process) if process.name == \"sh\"\n\nold(process) if process.parent.name == \"sh\"\n";
        let policy = format!(
            "package sentinel.a\n\nimport data.lib\n\ndeny contains {member} if {{\n{body}\n}}\n\nunused if lib.shell(input.process)\n"
        );
        let modules = [("p.rego", policy.as_str()), ("lib.rego", library)];
        let policies = Policies::from_texts_strict(&modules, "").unwrap_or_else(|errors| panic!("{errors}"));
        beyond_entry(&policies.rules()[0])
            .map(|(_, fields)| fields.iter().map(|field| (*field).to_owned()).collect())
            .unwrap_or_default()
    }

    #[test]
    fn what_an_entry_holds_is_not_named() {
        for body in [
            "input.event.action == \"exec\"; input.file.path == \"/x\"; input.process.previous.name == \"sh\"",
            "input.event.action == \"exec\"; lib.shell(input.process)",
            "input.event.action == \"open\"; input.file.name == \"x\"; input.file.write; lib.shell(input.process)",
            "input.event.action in {\"exec\", \"connect\"}; {input.file.path, input.destination.ip} != set()",
            "input.event.action == \"connect\"; input.destination.ip == \"192.0.2.1\"; input.process.executable == \"/x\"",
        ] {
            assert_eq!(lost(body, "\"m\""), [] as [&str; 0], "{body}");
        }
    }

    #[test]
    fn what_an_entry_cannot_hold_is_named() {
        let exec = "input.event.action == \"exec\"; ";
        for (body, field) in [
            ("\"-c\" in input.process.args", "process.args"),
            ("input.user.id == \"0\"", "user.id"),
            ("some a in input.process.ancestors; a.name == \"sshd\"", "process.ancestors[].name"),
            ("lib.old(input.process)", "process.parent.name"),
            ("not input.container", "container"),
        ] {
            assert!(lost(&format!("{exec}{body}"), "\"m\"").contains(&field.to_owned()), "{body}");
        }
        let connect = "input.event.action == \"connect\"; input.destination.port == 22";
        assert_eq!(lost(connect, "\"m\""), ["destination.port"]);
        assert_eq!(lost(connect, r#"{"msg": "m", "scope": "destination_port"}"#), [] as [&str; 0]);
        let subject = "input.event.action == \"open\"; input.process.name == \"x\"";
        assert_eq!(lost(subject, r#"{"msg": "m", "scope": "file"}"#), ["process.name"]);
        let instance = "input.event.action == \"open\"; input.user.id == \"0\"";
        assert_eq!(lost(instance, r#"{"msg": "m", "scope": "file+instance"}"#), [] as [&str; 0]);
    }

    #[test]
    fn what_only_a_message_shows_is_no_condition() {
        let body = "input.event.action == \"exec\"; msg := sprintf(\"%v\", [input.process.args])";
        assert_eq!(lost(body, "msg"), [] as [&str; 0]);
        assert_eq!(lost("input.event.action == \"exec\"", "sprintf(\"%v\", [input.user.id])"), [] as [&str; 0]);
    }
}
