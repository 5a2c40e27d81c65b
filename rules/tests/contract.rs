//! The contract of policies, sentence by sentence: what a module may say, and what it then means.
//!
//! Each case names the sentence it shows. A case either loads, and is looked at, or is refused with a certain word.
//! What only the kernel or the daemon can show (verdicts, expiry of entries) is tested there.

#![expect(clippy::unwrap_used, reason = "helpers of tests; a failure is the test's")]

use rules::{Action, Evaluator, Limits, Mode, Outcome, Policies, Severity, StandingEntry, StandingValue, Value};

const EXEC: &str = r#"{"event": {"action": "exec"}, "process": {"executable": "/tmp/x"}}"#;
const OPEN: &str = r#"{"event": {"action": "open"}, "file": {"path": "/etc/x"}}"#;
const CONNECT: &str = r#"{"event": {"action": "connect"}, "destination": {"ip": "203.0.113.7", "port": 443}}"#;

fn load(modules: &[(&str, &str)]) -> Result<Policies, String> {
    Policies::from_texts(modules, "").map_err(|errors| errors.to_string())
}

fn one(text: &str) -> Policies {
    load(&[("p.rego", text)]).unwrap_or_else(|error| panic!("{text}\n{error}"))
}

/// What the rules below `package sentinel.a` say of an event.
fn run(modules: &[(&str, &str)], event: &str) -> Outcome {
    let policies = load(modules).unwrap_or_else(|error| panic!("{modules:?}\n{error}"));
    let input = Value::from_json_str(event).unwrap();
    let action = input["event"]["action"].as_string().unwrap().to_string();
    Evaluator::new(policies.shared(), Limits::default()).evaluate(action.parse().unwrap(), &input)
}

/// A module of `package sentinel.a` with these rules.
fn module(rules: &str) -> String {
    format!("package sentinel.a\n\n{rules}\n")
}

fn decisions(rules: &str, event: &str) -> Outcome {
    run(&[("p.rego", &module(rules))], event)
}

fn ids(outcome: &Outcome) -> Vec<&str> {
    outcome.decisions.iter().map(|decision| decision.id.as_str()).collect()
}

/// Asserts that every rule text is refused with its part of the message.
fn refused(cases: &[(&str, &str)]) {
    for (rules, part) in cases {
        match load(&[("p.rego", &module(rules))]) {
            Ok(_) => panic!("loaded: {rules}"),
            Err(error) => assert!(error.contains(part), "wanted {part:?} for {rules}:\n{error}"),
        }
    }
}

/// "Any module `package sentinel.<name>`, Rego v1 (v0 where the module says so)."
#[test]
fn modules_and_their_language() {
    let v0 = "# rego: v0\npackage sentinel.old\n\ndeny[msg] { input.event.action == \"exec\"; msg := \"old\" }\n\n\
              alert[{\"msg\": \"object\", \"severity\": \"low\"}] { input.process.executable == \"/tmp/x\" }\n\n\
              block_countries = {\"IR\"}\n\nblock_cidrs[c] { c := \"203.0.113.0/24\" }\n";
    let v1 = "package sentinel.new.deep\n\ndeny contains \"new\" if input.event.action == \"exec\"\n";
    let library = "package lib.a\n\ndeny contains \"never\" if true\n";
    let modules = [("old.rego", v0), ("new.rego", v1), ("lib.rego", library)];
    assert_eq!(
        ids(&run(&modules, EXEC)),
        ["sentinel.new.deep.deny", "sentinel.old.deny", "sentinel.old.alert"],
        "a package outside of sentinel is a library"
    );
    let policies = load(&modules).unwrap();
    assert_eq!(policies.standing().len(), 2);
    assert_eq!(policies.packages(), ["sentinel.new.deep", "sentinel.old"]);
    assert!(load(&[("p.rego", &v0.replace("# rego: v0\n", ""))]).unwrap_err().contains("# rego: v0"));
    assert!(load(&[("p.rego", &format!("# rego: v0\n{v1}"))]).is_err(), "v1 words are not in v0");
}

/// "Event rules, partial sets: `deny`, `alert`, `allow`."
#[test]
fn event_rules_are_partial_sets() {
    refused(&[
        ("deny := {\"x\"}", "has to be a partial set"),
        ("deny if true", "has to be a partial set"),
        ("deny := true", "has to be a partial set"),
        ("alert[x] := 1 if x := \"a\"", "has to be a partial set"),
        ("allow if true", "has to be a partial set"),
        ("default allow := false", "given a default"),
        ("deny(x) := x", "a function"),
        ("deny.x contains \"y\" if true", "has to be a partial set"),
    ]);
}

/// "Members: a message string, or `{msg, id, severity, ttl, scope, action}`."
#[test]
fn members_of_event_rules() {
    let plain = &decisions("deny contains \"x\" if true", EXEC).decisions[0];
    assert_eq!((plain.message.as_str(), plain.id.as_str(), plain.severity), ("x", "sentinel.a.deny", Severity::Medium));
    assert_eq!((plain.ttl, plain.action), (3600, Action::Refuse), "`ttl` seconds, default 3600");
    let full = r#"deny contains {"msg": "x", "id": "i", "severity": "critical", "ttl": 0, "scope": "path", "action": "kill"} if true"#;
    let full = &decisions(full, EXEC).decisions[0];
    assert_eq!((full.id.as_str(), full.severity, full.ttl, full.action), ("i", Severity::Critical, 0, Action::Kill));
    assert_eq!(full.scope.to_string(), "path");
    refused(&[
        ("deny contains {\"id\": \"i\"} if true", "the member has no \"msg\""),
        ("deny contains {\"msg\": \"x\", \"serverity\": \"low\"} if true", "did you mean \"severity\""),
        ("deny contains {\"msg\": \"x\", \"severity\": \"bad\"} if true", "severity"),
        ("deny contains {\"msg\": \"x\", \"ttl\": \"1h\"} if true", "a number is needed"),
        ("deny contains {\"msg\": \"x\", \"ttl\": -1} if true", "whole number"),
        ("deny contains {\"msg\": \"x\", \"action\": \"drop\"} if true", "refuse, kill"),
        ("deny contains {\"msg\": \"x\", \"scope\": \"host\"} if true", "not something to block"),
        ("deny contains {\"msg\": \"x\", \"id\": \"a b\"} if true", "not an id"),
        ("deny contains 7 if true", "a member of `deny` is a number"),
        ("alert contains {\"msg\": \"x\", \"ttl\": 5} if true", "`alert` writes none"),
        ("alert contains {\"msg\": \"x\", \"action\": \"kill\"} if true", "`alert` writes none"),
        ("allow contains {\"msg\": \"x\", \"scope\": \"file\"} if true", "`allow` writes none"),
    ]);
}

/// "`allow` keeps the event rules of its own package from deciding on this event; it never overrides a standing rule or another
/// package."
#[test]
fn allow_is_about_its_own_package_and_this_event() {
    let own = "package sentinel.a\n\ndeny contains \"a\" if true\n\nalert contains \"a\" if true\n\n\
               allow contains \"tmp\" if input.process.executable == \"/tmp/x\"\n\nblock_paths contains \"/srv/x\"\n";
    let inner = "package sentinel.a.b\n\ndeny contains \"b\" if true\n";
    let outer = "package sentinel.ab\n\nalert contains \"outer\" if true\n";
    let modules = [("a.rego", own), ("b.rego", inner), ("outer.rego", outer)];
    let outcome = run(&modules, EXEC);
    assert_eq!(ids(&outcome), ["sentinel.a.b.deny", "sentinel.ab.alert"]);
    assert_eq!(outcome.allowed_by.len(), 1);
    assert_eq!(ids(&run(&modules, OPEN)).len(), 4, "another event is not allowed");
    assert_eq!(load(&modules).unwrap().standing().len(), 1);
    // In a module of its own the package is the same.
    let extra = "package sentinel.a.b\n\nallow contains {\"msg\": \"known\"} if true\n";
    assert_eq!(ids(&run(&[("a.rego", inner), ("b.rego", extra)], EXEC)), [""; 0]);
}

/// "Every definition of a rule is evaluated as its own entry point ...: id from the member, else `custom.id` of its METADATA
/// (package, document or rule scope), else `<package>.<rule>[.n]`."
#[test]
fn every_decision_names_its_rule() {
    let rules = |package: &str, document: &str, rule: &str, member: &str| {
        let block = |scope: &str, id: &str| match id {
            "" => String::new(),
            id => format!("# METADATA\n# scope: {scope}\n# custom:\n#   id: {id}\n\n"),
        };
        let member =
            if member.is_empty() { "\"x\"".to_owned() } else { format!("{{\"msg\": \"x\", \"id\": \"{member}\"}}") };
        let (package, document, rule) = (block("package", package), block("document", document), block("rule", rule));
        format!(
            "{package}package sentinel.a\n\nalert contains \"first\" if true\n\n{document}{rule}deny contains {member} if true\n\ndeny contains \"y\" if true\n"
        )
    };
    for (package, document, rule, member, wanted) in [
        ("", "", "", "", ["sentinel.a.alert", "sentinel.a.deny", "sentinel.a.deny.2"]),
        ("p", "", "", "", ["p", "p", "p"]),
        ("p", "d", "", "", ["p", "d", "d"]),
        ("p", "d", "r", "", ["p", "r", "d"]),
        ("p", "d", "r", "m", ["p", "m", "d"]),
        ("", "", "r", "m", ["sentinel.a.alert", "m", "sentinel.a.deny.2"]),
    ] {
        let text = rules(package, document, rule, member);
        assert_eq!(ids(&run(&[("p.rego", &text)], EXEC)), wanted, "{text}");
    }
    // Two definitions with the same message are two decisions.
    assert_eq!(decisions("deny contains \"x\" if true\n\ndeny contains \"x\" if 1 < 2", EXEC).decisions.len(), 2);
}

/// METADATA fills in from the inside out: rule, document, package, then the packages around it.
#[test]
fn annotations_fill_in_from_the_inside_out() {
    let around =
        "# METADATA\n# scope: subpackages\n# custom: {severity: low, mode: monitor, ttl: 1}\npackage sentinel\n";
    let near = "# METADATA\n# scope: subpackages\n# custom: {severity: high}\npackage sentinel.a\n";
    let own = "package sentinel.a.b\n\n# METADATA\n# scope: document\n# custom: {ttl: 2}\n\n# METADATA\n# title: first\n\
               deny contains \"x\" if true\n\ndeny contains \"y\" if true\n\nblock_paths contains \"/x\"\n";
    let policies = load(&[("around.rego", around), ("near.rego", near), ("own.rego", own)]).unwrap();
    for rule in policies.rules() {
        assert_eq!((rule.severity, rule.mode, rule.ttl), (Severity::High, Some(Mode::Monitor), Some(2)));
    }
    assert_eq!(policies.rules().iter().map(|rule| rule.title.as_str()).collect::<Vec<_>>(), ["first", ""]);
    let standing = &policies.standing()[0];
    assert_eq!((standing.severity, standing.mode), (Severity::High, Some(Mode::Monitor)));
    // A document is all definitions of a rule, in whichever module of the package.
    let one = "package sentinel.a\n\n# METADATA\n# scope: document\n# custom: {id: doc}\ndeny contains \"x\" if true\n";
    let other = "package sentinel.a\n\ndeny contains \"y\" if true\n";
    assert_eq!(ids(&run(&[("1.rego", one), ("2.rego", other)], EXEC)), ["doc", "doc"]);
}

/// "Scope of a block entry: default `destination+process` (connect, send), `file+process` (exec, open) ... Others: `destination`,
/// `destination_port`, `cidr:N.N.N.N/M`, `file`, `path`, each alone or with a subject."
#[test]
fn scopes_of_block_entries() {
    for (event, wanted) in [(EXEC, "file+process"), (OPEN, "file+process"), (CONNECT, "destination+process")] {
        assert_eq!(decisions("deny contains \"x\" if true", event).decisions[0].scope.to_string(), wanted);
    }
    let of = |scope: &str, event| {
        decisions(&format!("deny contains {{\"msg\": \"x\", \"scope\": \"{scope}\"}} if true"), event)
    };
    for object in ["destination", "destination_port", "cidr:203.0.113.0/24", "cidr:2001:db8::/32", "file", "path"] {
        for subject in ["", "+process", "+instance"] {
            let scope = format!("{object}{subject}");
            let (fits, not) = if ["file", "path"].contains(&object) { (OPEN, CONNECT) } else { (CONNECT, OPEN) };
            assert_eq!(of(&scope, fits).decisions[0].scope.to_string(), scope);
            if !object.starts_with("cidr") {
                let outcome = of(&scope, not);
                assert_eq!((outcome.decisions.len(), outcome.errors.len()), (0, 1), "{scope} has no object there");
            }
        }
    }
}

/// "Standing rules, evaluated without `input` at load."
#[test]
fn every_standing_rule_and_its_values() {
    let hash = "0000000000000000000000000000000000000000000000000000000000000001";
    let exemption = r#"{"id": "e", "type": "license", "authority": "OFAC", "reference": "GL-8", "approver": "a", "expires": "2030-12-31", "cidrs": ["203.0.113.0/24"]}"#;
    for (rule, value, is_it) in [
        ("block_countries", "\"IR\"", (|v| matches!(v, StandingValue::BlockCountry(_))) as fn(&StandingValue) -> bool),
        ("allow_countries", "\"DE\"", |v| matches!(v, StandingValue::AllowCountry(_))),
        ("block_regions", "\"UA-43\"", |v| matches!(v, StandingValue::BlockRegion(_))),
        ("block_cidrs", "\"203.0.113.0/24\"", |v| matches!(v, StandingValue::BlockCidr(_))),
        ("block_paths", "\"/etc/cron.d/\"", |v| matches!(v, StandingValue::BlockPath(path) if path.prefix)),
        ("block_paths", "\"/etc/shadow\"", |v| matches!(v, StandingValue::BlockPath(path) if !path.prefix)),
        ("block_executables", "\"/usr/bin/nc\"", |v| matches!(v, StandingValue::BlockExecutable(_))),
        ("allow_executables", "\"/usr/bin/\"", |v| matches!(v, StandingValue::AllowExecutable(_))),
        ("block_hashes", &format!("\"{hash}\""), |v| matches!(v, StandingValue::BlockHash(_))),
        ("exemptions", exemption, |v| matches!(v, StandingValue::Exemption(_))),
    ] {
        for form in
            [format!("{rule} contains {value}"), format!("{rule} := {{{value}}}"), format!("{rule} := [{value}]")]
        {
            let policies = one(&module(&form));
            assert!(policies.standing().len() == 1 && is_it(&policies.standing()[0].value), "{form}");
        }
        refused(&[(&format!("{rule} contains x if x := input.x"), "reads input")]);
    }
}

fn member(rule: &str, member: &str) -> StandingEntry {
    one(&module(&format!("{rule} contains {member}"))).standing()[0].clone()
}

/// "Members: the value, or `{value, access: [read, write, create, exec, delete], only|except: {executables, uids, cgroups,
/// containers, ports, protocols}, id, severity, mode}`."
#[test]
fn rich_members_of_standing_rules() {
    for key in ["only", "except"] {
        let subjects = r#"{"executables": ["/bin/a", "/opt/"], "uids": [0, 4294967294], "cgroups": ["/a.slice"], "containers": ["web"], "ports": [443], "protocols": ["tcp", "udp"]}"#;
        let text = format!(
            r#"{{"value": "203.0.113.0/24", "{key}": {subjects}, "id": "i", "severity": "low", "mode": "monitor"}}"#
        );
        let entry = member("block_cidrs", &text);
        let (given, other) = if key == "only" { (&entry.only, &entry.except) } else { (&entry.except, &entry.only) };
        assert!(other.is_empty());
        assert_eq!((given.executables.len(), given.uids.as_slice()), (2, &[0, 4_294_967_294][..]));
        assert_eq!(
            (given.cgroups.as_slice(), given.containers.as_slice()),
            (&["/a.slice".to_owned()][..], &["web".to_owned()][..])
        );
        assert_eq!((given.ports.as_slice(), given.protocols.len()), (&[443][..], 2));
        assert_eq!((entry.id.as_str(), entry.severity, entry.mode), ("i", Severity::Low, Some(Mode::Monitor)));
    }
    for access in ["read", "write", "create", "exec", "delete"] {
        let entry = member("block_paths", &format!("{{\"value\": \"/x\", \"access\": [\"{access}\"]}}"));
        assert_eq!(entry.access.iter().map(|access| access.as_str()).collect::<Vec<_>>(), [access]);
    }
    assert_eq!(member("block_paths", "\"/x\"").access.iter().count(), 5, "without access, all of it");
    for rule in ["block_countries", "allow_countries", "block_regions", "block_cidrs", "block_executables"] {
        let value = if rule.ends_with("countries") { "IR" } else { "UA-43" };
        let value = if rule == "block_cidrs" { "10.0.0.0/8" } else { value };
        let value = if rule == "block_executables" { "/x" } else { value };
        let entry = member(rule, &format!("{{\"value\": \"{value}\", \"only\": {{\"uids\": [1]}}, \"id\": \"i\"}}"));
        assert_eq!((entry.only.uids.as_slice(), entry.id.as_str()), (&[1][..], "i"), "{rule}");
        refused(&[(&format!("{rule} contains {{\"value\": \"{value}\", \"access\": [\"read\"]}}"), "no meaning")]);
    }
    refused(&[
        ("block_paths contains {\"value\": \"/x\", \"only\": {\"user\": [1]}}", "not a known key"),
        (
            "block_paths contains {\"value\": \"/x\", \"only\": {\"uids\": [1]}, \"except\": {\"uids\": [2]}}",
            "both given",
        ),
        ("block_paths contains {\"value\": \"/x\", \"access\": [\"reed\"]}", "read"),
        ("block_paths contains {\"value\": \"/x\", \"mode\": \"audit\"}", "monitor"),
        ("block_paths contains {\"value\": \"/x\", \"ttl\": 5}", "not a known key"),
        ("block_paths contains {\"only\": {\"uids\": [1]}}", "\"value\" is missing"),
        ("block_cidrs contains {\"value\": \"10.0.0.0/8\", \"only\": {\"protocols\": [\"http\"]}}", "tcp"),
    ]);
}

/// "an exemption: `{id, type, authority, reference, approver, expires, <what it covers>}`, expiry mandatory."
#[test]
fn exemptions_are_complete_and_end() {
    let full = r#"exemptions contains {"id": "e", "type": "t", "authority": "a", "reference": "r", "approver": "p", "expires": "2030-12-31", "paths": ["/x"]}"#;
    assert_eq!(one(&module(full)).standing()[0].id, "e");
    for key in ["id", "type", "authority", "reference", "approver", "expires"] {
        let start = full.find(&format!("\"{key}\"")).unwrap();
        let end = start + full[start..].find(", ").unwrap() + 2;
        refused(&[(&format!("{}{}", &full[..start], &full[end..]), key)]);
    }
    refused(&[
        (&full.replace(", \"paths\": [\"/x\"]", ""), "covers nothing"),
        (&full.replace("2030-12-31", "never"), "no date"),
        (&full.replace("\"/x\"", "\"x\""), "not an absolute path"),
    ]);
    for covered in [
        "\"countries\": [\"IR\"]",
        "\"regions\": [\"UA-43\"]",
        "\"cidrs\": [\"10.0.0.0/8\"]",
        "\"executables\": [\"/x\"]",
        "\"paths\": [\"/x\"], \"only\": {\"uids\": [0]}",
    ] {
        assert_eq!(one(&module(&full.replace("\"paths\": [\"/x\"]", covered))).standing().len(), 1, "{covered}");
    }
}

/// "A value that cannot be right is an error in `check`."
#[test]
fn values_that_cannot_be_right() {
    refused(&[
        ("block_countries contains \"Iran\"", "write \"IR\" for Iran"),
        ("block_countries contains \"ir\"", "IR"),
        ("block_cidrs contains \"10.0.0.0/33\"", "0 to 32"),
        ("block_paths contains \"etc/shadow\"", "not an absolute path"),
        ("block_paths contains \"\"", "path"),
        ("block_paths contains \"/a/../b\"", ".."),
        ("block_executables contains \"nc\"", "not an absolute path"),
        ("block_regions contains \"Crimea\"", "UA-43"),
        ("block_hashes contains \"abc\"", "64 hexadecimal"),
        ("block_countries := \"IR\"", "a set is needed"),
        ("block_countries contains 7", "a number"),
        ("deny := \"x\"", "partial set"),
    ]);
}

/// "An entry survives a reload when its rule is unchanged": the fingerprint of a rule is about its own text.
#[test]
fn a_rule_that_is_unchanged_is_the_same_rule() {
    let fingerprint = |text: &str| one(text).rules().last().unwrap().fingerprint.clone();
    let rule = "deny contains \"x\" if input.process.executable == \"/x\"";
    let moved = format!("package sentinel.a\n\n# a comment\nalert contains \"y\" if true\n\n{rule}\n");
    assert_eq!(fingerprint(&module(rule)), fingerprint(&moved));
    assert_ne!(fingerprint(&module(rule)), fingerprint(&module(&rule.replace("/x", "/y"))));
}

/// "A runtime rule that the RVM cannot compile runs in the interpreter, and `check` says so; what neither accepts, and what could
/// silently never fire here, is refused by name."
#[test]
fn what_cannot_run_is_refused_by_name_and_what_is_slow_is_said() {
    let with = one(&module("f contains x if x := input.a\n\ndeny contains x if some x in f with input.a as \"b\""));
    assert!(
        with.notices().iter().any(|notice| notice.message.contains("runs in the interpreter")),
        "{:?}",
        with.notices()
    );
    refused(&[
        ("deny contains x if x := http.send({}).body", "`http.send` cannot be used"),
        ("deny contains x if x := net.lookup_ip_addr(\"a\")", "`net.lookup_ip_addr` cannot be used"),
        ("deny contains \"x\" if rand.intn(\"a\", 5) == 1", "`rand.intn` cannot be used"),
        ("deny contains x if x := opa.runtime().env", "`opa.runtime` cannot be used"),
        ("deny contains x if x := crypto.sha256(\"a\")", "`crypto.sha256` cannot be used"),
        ("deny contains x if x := nothing.of_that_name(1)", "`nothing.of_that_name` is neither"),
        ("deny contains x if deny[x]", "recursion"),
    ]);
}
