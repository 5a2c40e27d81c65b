//! Regions: refused by name where no database tells them, on trial where an embargo programme asks only to report them.

use std::sync::Arc;

use geoip::{Database, VoteRule};
use rules::Policies;

use super::*;
use crate::embargo;

fn votes(name: &str, text: &str) -> Votes {
    let path = std::env::temp_dir().join(format!("sentinel-standing-{}-{name}.csv", std::process::id()));
    fs::write(&path, text).unwrap();
    let database = Database::open(&path).unwrap();
    fs::remove_file(path).unwrap();
    Votes::new(vec![Arc::new(database)], VoteRule::Primary).unwrap()
}

/// Crimea and Donetsk, by whatever country.
fn city(name: &str) -> Votes {
    votes(
        name,
        "203.0.113.0,203.0.113.127,RU,UA-43\n203.0.113.128,203.0.113.255,UA,UA-14\n198.51.100.0,198.51.100.255,FR\n",
    )
}

fn compiled(rules: &str, votes: &Votes) -> (Result<Compiled, String>, Numbers) {
    let (_, data) = &embargo::defaults().unwrap()[0];
    let text = format!("package sentinel.lab\n{rules}\n");
    let policies = Policies::from_texts(&[("lab.rego", &text)], data).unwrap();
    let programmes = Programmes::of(policies.data());
    let cgroups = Path::new("/sys/fs/cgroup");
    let (mode, unknown) = (Mode::Enforce, Unknown::Alert);
    let own = crate::guard::Own::default();
    let programmes = &programmes;
    let setting = Setting { mode, unknown, votes, programmes, cgroups, generation: 1, own: &own, force: false };
    let mut numbers = Numbers::default();
    let rulings: Vec<Ruling> =
        policies.standing().iter().map(|entry| Ruling { entry: entry.clone(), expires: 0 }).collect();
    let compiled = compile(&rulings, &setting, &mut numbers);
    (compiled.map_err(|errors| errors.iter().map(ToString::to_string).collect()), numbers)
}

fn modes(rules: &str, votes: &Votes) -> Vec<(String, bool, usize)> {
    let (compiled, _) = compiled(rules, votes);
    let compiled = compiled.unwrap();
    let shown = |(selection, entry): &(Selection, Entry)| {
        let regions: Vec<String> = selection.regions.iter().map(ToString::to_string).collect();
        (regions.join(" "), entry.flags & flag::MONITOR != 0, compiled.notices.len())
    };
    compiled.countries.block.iter().map(shown).collect()
}

#[test]
fn a_region_that_no_database_tells_is_refused_by_name() {
    let votes = city("untold");
    for rule in [
        "block_regions contains \"UA-40\"",
        "exemptions contains {\"id\": \"x\", \"type\": \"l\", \"authority\": \"a\", \"reference\": \"r\", \"approver\": \"p\",\n\
         \"expires\": \"2099-01-01\", \"regions\": [\"UA-40\"]}",
    ] {
        let error = compiled(rule, &votes).0.unwrap_err();
        assert!(error.contains("lab.rego:2") && error.contains("region UA-40") && error.contains("--geoip"), "{error}");
    }
    assert_eq!(modes("block_regions contains \"UA-43\"", &votes), [("UA-43".to_owned(), false, 0)]);
}

#[test]
fn a_region_can_be_exempt() {
    let rule = "exemptions contains {\"id\": \"x\", \"type\": \"l\", \"authority\": \"a\", \"reference\": \"r\", \"approver\": \"p\",\n\
                \"expires\": \"2099-01-01\", \"regions\": [\"UA-43\"], \"countries\": [\"FR\"]}";
    let (compiled, _) = compiled(rule, &city("exempt"));
    let compiled = compiled.unwrap();
    let (selection, entry) = &compiled.countries.exempt[0];
    assert_eq!((selection.regions.len(), selection.countries.len(), entry.expires > 0), (1, 1, true));
}

#[test]
fn what_a_programme_asks_to_report_is_on_trial_only_if_it_comes_from_there() {
    let votes = city("trial");
    let from_data =
        "block_regions contains region if some region in data.embargo[\"ofac-comprehensive\"].alert_regions\n";
    // The programme also names Luhansk, which this database does not tell.
    assert!(compiled(from_data, &votes).0.unwrap_err().contains("UA-09"));
    let told = "block_regions contains region if { some region in data.embargo[\"ofac-comprehensive\"].alert_regions\n\
                endswith(region, \"14\") }";
    assert_eq!(modes(told, &votes), [("UA-14".to_owned(), true, 1)]);
    assert_eq!(modes("block_regions contains \"UA-14\"", &votes), [("UA-14".to_owned(), false, 0)]);
    let asked = told.replacen("contains region", "contains {\"value\": region, \"mode\": \"enforce\"}", 1);
    assert_eq!(modes(&asked, &votes), [("UA-14".to_owned(), false, 0)]);
    let refused = told.replace("alert_regions", "regions").replace("14", "43");
    assert_eq!(modes(&refused, &votes), [("UA-43".to_owned(), false, 0)]);
}

#[test]
fn a_rule_that_a_programme_names_carries_its_list() {
    let (compiled, numbers) =
        compiled("block_countries contains \"SY\"\nblock_countries contains \"FR\"", &city("list"));
    let rules = compiled.unwrap().countries.block;
    let lists: Vec<Option<String>> =
        rules.iter().map(|(_, entry)| numbers.rule(entry.rule).unwrap().list.clone().map(|list| list.id)).collect();
    assert!(lists.contains(&Some("bis-e".to_owned())) && lists.contains(&None), "{lists:?}");
}

#[test]
fn hashes_and_lists_become_entries_and_slots() {
    let hash = "ab".repeat(32);
    let rules = format!(
        "block_hashes contains \"{hash}\"\nexemptions contains {{\"id\": \"x\", \"type\": \"l\", \"authority\": \"a\", \
         \"reference\": \"r\", \"approver\": \"p\", \"expires\": \"2099-01-01\", \"hashes\": [\"{hash}\"]}}\n\
         allow_executables contains {{\"value\": \"/usr/bin/\", \"only\": {{\"uids\": [1000]}}}}\n\
         allow_executables contains {{\"value\": \"/bin/sh\", \"only\": {{\"uids\": [1000]}}}}\n\
         allow_executables contains {{\"value\": \"/bin/sh\", \"only\": {{\"uids\": [1001]}}}}\n"
    );
    let compiled = compiled(&rules, &city("images")).0.unwrap();
    let tables: Vec<Table> = compiled
        .entries
        .iter()
        .filter(|(place, _)| place.target == Target::Hash([0xab; 32]))
        .map(|(place, _)| place.table)
        .collect();
    assert_eq!((tables.len(), tables.contains(&Table::Exempt)), (2, true));
    let lists = &compiled.allow.lists;
    assert_eq!((lists.len(), lists[0].trees.len(), lists[1].trees.len()), (2, 1, 0));
    assert!(lists.iter().all(|list| list.names.iter().any(|(.., name)| name == b"sh")), "{lists:?}");
    assert!(!compiled.allow.libraries.is_empty());
    assert_eq!(compiled.images.unknowns.hash, Some(::rules::OnError::Alert));
    assert_eq!((compiled.images.unknowns.path, compiled.images.fallbacks.hash.rule), (None, 0));
}

#[test]
fn on_error_deny_of_a_standing_rule_is_an_entry() {
    let text = "# METADATA\n# custom:\n#   on_error: deny\nblock_hashes contains \"sha256:".to_owned()
        + &"ab".repeat(32)
        + "\"";
    let compiled = compiled(&text, &city("on-error")).0.unwrap();
    assert_eq!(compiled.images.unknowns.hash, Some(::rules::OnError::Deny));
    assert_ne!(compiled.images.fallbacks.hash.rule, 0);
}

#[test]
fn a_list_for_the_whole_host_names_what_it_needs() {
    let error = compiled("allow_executables contains \"/usr/bin/true\"", &city("host")).0.unwrap_err();
    assert!(error.contains("whole host") && error.contains("/bin/sh"), "{error}");
    let mixed = "allow_executables contains {\"value\": \"/bin/sh\", \"only\": {\"uids\": [1]}}\n\
                 allow_executables contains {\"value\": \"/bin/ls\", \"only\": {\"uids\": [1]}, \"mode\": \"monitor\"}";
    assert!(compiled(mixed, &city("mixed")).0.unwrap_err().contains("one list"));
    let ports = "allow_executables contains {\"value\": \"/bin/sh\", \"only\": {\"ports\": [1]}}";
    assert!(compiled(ports, &city("ports")).0.unwrap_err().contains("no meaning"));
}
