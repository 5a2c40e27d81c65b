//! Standing rules: entries, exemptions, and what cannot be right.

#![expect(clippy::unwrap_used, reason = "helpers of tests; a failure is the test's")]

use rules::{
    Access, Country, Diagnostic, Mode, Policies, Protocol, Severity, StandingEntry, StandingRule, StandingValue,
};

fn load(policy: &str, data: &str) -> Policies {
    Policies::from_texts(&[("p.rego", policy)], data).unwrap_or_else(|errors| panic!("{errors}"))
}

fn entries(policy: &str) -> Vec<StandingEntry> {
    load(&format!("package sentinel.a\n\n{policy}\n"), "").standing().to_vec()
}

fn error(policy: &str) -> Diagnostic {
    let mut failure =
        Policies::from_texts(&[("p.rego", &format!("package sentinel.a\n\n{policy}\n"))], "").unwrap_err();
    assert_eq!(failure.errors.len(), 1, "{failure}");
    failure.errors.remove(0)
}

#[test]
fn every_rule_gives_typed_entries() {
    let policy = r#"
# METADATA
# title: Embargo
# custom: {id: embargo, severity: critical, mitre: [T1041]}
block_countries contains "IR"

block_countries contains c if some c in data.countries

allow_countries := {"DE"}

block_regions contains "UA-43"

block_cidrs contains {"value": "203.0.113.0/24", "mode": "monitor", "only": {"ports": [443], "protocols": ["tcp"], "uids": [0, 1000]}}

block_paths contains {"value": "/etc/cron.d/", "access": ["write", "create"], "except": {"executables": ["/usr/bin/dpkg"]}, "id": "cron", "severity": "low"}

block_executables := ["/usr/bin/nc"] if data.on

block_hashes contains "sha256:0000000000000000000000000000000000000000000000000000000000000001"

allow_executables := set() if not data.on
"#;
    let policies = load(&format!("package sentinel.a\n{policy}"), r#"{"countries": ["CU", "KP"], "on": true}"#);
    let entries = policies.standing();
    let values: Vec<&StandingValue> = entries.iter().map(|entry| &entry.value).collect();
    assert_eq!(entries.len(), 9, "{values:?}");
    assert_eq!(values[0], &StandingValue::BlockCountry(Country(*b"IR")));
    assert_eq!((entries[0].id.as_str(), entries[0].severity, entries[0].line), ("embargo", Severity::Critical, 6));
    assert_eq!(entries[0].techniques[0].name, "Exfiltration Over C2 Channel");
    assert_eq!(
        (entries[1].id.as_str(), entries[2].id.as_str()),
        ("sentinel.a.block_countries.2", "sentinel.a.block_countries.2")
    );
    assert_eq!(values[3], &StandingValue::AllowCountry(Country(*b"DE")));
    assert_eq!(values[4], &StandingValue::BlockRegion("UA-43".to_owned()));
    let cidr = &entries[5];
    assert_eq!(
        (cidr.mode, cidr.only.ports.as_slice(), cidr.only.uids.as_slice()),
        (Some(Mode::Monitor), &[443u16][..], &[0, 1000][..])
    );
    assert_eq!(cidr.only.protocols, [Protocol::Tcp]);
    let path = &entries[6];
    assert!(
        matches!(&path.value, StandingValue::BlockPath(pattern) if pattern.prefix && pattern.matches("/etc/cron.d/x"))
    );
    assert_eq!(path.access.iter().collect::<Vec<_>>(), [Access::Write, Access::Create]);
    assert_eq!((path.id.as_str(), path.severity, path.except.executables.len()), ("cron", Severity::Low, 1));
    assert_eq!(path.rule_name, StandingRule::BlockPaths);
    assert!(matches!(values[8], StandingValue::BlockHash(hash) if hash[31] == 1));
}

#[test]
fn exemptions_say_who_and_until_when() {
    let full = r#"exemptions contains {"id": "lic-1", "type": "license", "authority": "OFAC", "reference": "GL-8", "approver": "a@example.org", "expires": "2030-12-31", "countries": ["IR"], "only": {"cgroups": ["/system.slice/x.service"]}}"#;
    let entries = entries(full);
    let StandingValue::Exemption(exemption) = &entries[0].value else { panic!("{entries:?}") };
    assert_eq!(
        (exemption.id.as_str(), exemption.kind.as_str(), exemption.expires),
        ("lic-1", "license", 1_924_992_000)
    );
    assert_eq!(entries[0].only.cgroups, ["/system.slice/x.service"]);
    for key in ["id", "type", "authority", "reference", "approver", "expires", "countries"] {
        let without = full
            .replacen(&format!("\"{key}\""), "\"severity\"", 1)
            .replace("\"severity\": [\"IR\"]", "\"severity\": null");
        let broken = Policies::from_texts(&[("p.rego", &format!("package sentinel.a\n{without}\n"))], "");
        assert!(broken.is_err(), "{key}");
    }
    let endless = error(&full.replace("\"expires\": \"2030-12-31\", ", ""));
    assert!(endless.to_string().contains("an exemption must end"), "{endless}");
    assert!(error(&full.replace("2030-12-31", "next year")).message.contains("no date"));
}

#[test]
fn what_cannot_be_right_is_an_error_at_its_line() {
    for (policy, part) in [
        ("block_countries contains \"Iran\"", "\"IR\""),
        ("block_countries contains \"ZZ\"", "not an ISO 3166-1"),
        ("block_countries := {\"IR\": true}", "an object; a set is needed"),
        ("block_countries contains 7", "a number"),
        ("block_countries(x) := x", "a function"),
        ("default block_countries := {\"IR\"}", "given a default"),
        ("block_cidrs contains \"10.0.0.0/33\"", "0 to 32"),
        ("block_paths contains \"etc/shadow\"", "not an absolute path"),
        ("block_executables contains {\"value\": \"/bin/nc\", \"access\": [\"exec\"]}", "no meaning"),
        ("block_paths contains {\"value\": \"/x\", \"access\": []}", "would block nothing"),
        ("block_paths contains {\"value\": \"/x\", \"only\": {\"executables\": []}}", "is empty"),
        ("block_paths contains {\"value\": \"/x\", \"only\": {\"uids\": []}}", "is empty"),
        ("block_paths contains {\"value\": \"/x\", \"only\": {}}", "names nobody"),
        (
            "block_paths contains {\"value\": \"/x\", \"only\": {\"uids\": [1]}, \"except\": {\"uids\": [2]}}",
            "both given",
        ),
        ("block_paths contains {\"vale\": \"/x\"}", "did you mean \"value\"?"),
        ("block_paths contains {\"value\": \"/x\", \"only\": {\"ports\": [65536]}}", "0 to 65535"),
        ("block_regions contains \"Crimea\"", "UA-43"),
        ("block_hashes contains \"abc\"", "64 hexadecimal"),
        ("exemptions contains \"IR\"", "an exemption is a string"),
        ("block_countries contains x if x := input.country", "reads input (country)"),
        ("f(x) := input[x]\nblock_countries contains x if x := f(\"a\")", "reads input (*)"),
    ] {
        let error = error(policy);
        assert!(error.line >= 3, "{error}");
        assert!(error.to_string().contains(part), "wanted {part:?} in\n{error}");
    }
}

#[test]
fn the_place_is_the_members_own() {
    let error = error("block_countries := {\n\t\"DE\",\n\t\"Iran\",\n}");
    assert_eq!((error.line, error.column), (5, 2), "{error}");
}

#[test]
fn host_bits_are_noticed_and_dropped() {
    let policies = load("package sentinel.a\nblock_cidrs contains \"10.1.2.3/8\"\n", "");
    assert!(matches!(policies.standing()[0].value, StandingValue::BlockCidr(net) if net.to_string() == "10.0.0.0/8"));
    assert!(policies.notices()[0].to_string().contains("read as 10.0.0.0/8"), "{:?}", policies.notices());
}
