//! Every kind of standing rule, the order in which they are looked at, and what limits and modes change.

use std::{fs, path::PathBuf, sync::Arc};

use geoip::{Database, VoteRule};
use rules::{LoadOptions, Policies};

use super::*;

/// Files of a test, removed with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("sentinel-geo-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn votes(&self, lines: &str) -> Votes {
        let file = self.0.join("geo.csv");
        fs::write(&file, lines).unwrap();
        Votes::new(vec![Arc::new(Database::open(&file).unwrap())], VoteRule::Primary).unwrap()
    }

    fn policies(&self, rules: &str) -> Policies {
        let file = self.0.join("lab.rego");
        fs::write(&file, format!("package sentinel.lab\n\n{rules}\n")).unwrap();
        let options = LoadOptions { paths: vec![file], data: Vec::new(), shipped: false };
        Policies::load(&options).unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const GEO: &str = "203.0.113.0,203.0.113.255,IR\n198.51.100.0,198.51.100.255,DE\n192.0.2.0,192.0.2.255,RU,UA-43\n";
const NOW: i64 = 1_800_000_000;

fn judge(name: &str, rules: &str, address: &str, unknown: Unknown) -> Judgement {
    let scratch = Scratch::new(name);
    let (votes, policies) = (scratch.votes(GEO), scratch.policies(rules));
    let address = address.parse().unwrap();
    let opinion = votes.lookup(address);
    let standing = policies.standing();
    Question { address, opinion: &opinion, votes: &votes, standing, mode: Mode::Enforce, unknown, now: NOW }.judge()
}

fn effect(name: &str, rules: &str, address: &str) -> (Effect, Option<String>) {
    let judgement = judge(name, rules, address, Unknown::Alert);
    (judgement.effect, judgement.deciding().map(|hit| hit.because.clone()))
}

const EXEMPTION: &str = r#"exemptions contains {
	"id": "lic-1", "type": "license", "authority": "OFAC", "reference": "IA-1", "approver": "legal",
	"expires": "2099-01-01", "cidrs": ["203.0.113.7/32"]
}"#;

#[test]
fn each_kind_of_rule_holds_for_what_it_names() {
    let because = |text: &str| Some(text.to_owned());
    let iran = "block_countries contains \"IR\"";
    assert_eq!(effect("country", iran, "203.0.113.7"), (Effect::Refuse, because("country IR")));
    assert_eq!(effect("country-other", iran, "198.51.100.7"), (Effect::Allow, None));
    let region = "block_regions contains \"UA-43\"";
    assert_eq!(effect("region", region, "192.0.2.7"), (Effect::Refuse, because("region UA-43")));
    let cidr = "block_cidrs contains \"198.51.100.0/25\"";
    assert_eq!(effect("cidr", cidr, "198.51.100.7"), (Effect::Refuse, because("network 198.51.100.0/25")));
    assert_eq!(effect("cidr-other", cidr, "198.51.100.200"), (Effect::Allow, None));
    let allow = "allow_countries contains \"DE\"";
    assert_eq!(effect("allow", allow, "198.51.100.7"), (Effect::Allow, None));
    let outside = because("country IR, which no allow_countries names");
    assert_eq!(effect("allow-other", allow, "203.0.113.7"), (Effect::Refuse, outside));
    // Private addresses have no country.
    assert_eq!(effect("allow-private", allow, "10.0.0.1"), (Effect::Allow, None));
}

#[test]
fn an_exemption_comes_first_and_ends() {
    let rules = format!("block_countries contains \"IR\"\n\n{EXEMPTION}");
    let (exempt, because) = effect("exempt", &rules, "203.0.113.7");
    assert_eq!(exempt, Effect::Exempt);
    let because = because.unwrap();
    assert!(because.contains("license IA-1 of OFAC") && because.contains("until 2099"), "{because}");
    assert_eq!(effect("exempt-other", &rules, "203.0.113.8").0, Effect::Refuse);
    let expired = rules.replace("2099", "2020");
    assert_eq!(effect("expired", &expired, "203.0.113.7").0, Effect::Refuse);
}

#[test]
fn limited_rules_are_shown_and_do_not_decide() {
    let rules =
        r#"block_countries contains {"value": "IR", "only": {"executables": ["/usr/bin/curl"], "ports": [443]}}"#;
    let judgement = judge("limited", rules, "203.0.113.7", Unknown::Alert);
    assert_eq!((judgement.effect, judgement.deciding()), (Effect::Allow, None));
    assert_eq!(judgement.hits[0].limits, "only executables /usr/bin/curl, ports 443");
}

#[test]
fn a_monitoring_rule_only_would_refuse() {
    let monitor = r#"block_countries contains {"value": "IR", "mode": "monitor"}"#;
    assert_eq!(effect("monitor", monitor, "203.0.113.7").0, Effect::WouldRefuse);
    let both = format!("{monitor}\n\nblock_countries contains {{\"value\": \"IR\", \"id\": \"strict\"}}");
    assert_eq!(effect("both", &both, "203.0.113.7").0, Effect::Refuse);
}

#[test]
fn unknown_countries_get_what_the_settings_say() {
    let rules = "block_countries contains \"IR\"";
    let effect = |unknown| judge("unknown", rules, "8.8.8.8", unknown).effect;
    assert_eq!(effect(Unknown::Alert), Effect::Alert);
    assert_eq!(effect(Unknown::Deny), Effect::Refuse);
    assert_eq!(effect(Unknown::Allow), Effect::Allow);
    // Without a rule on countries the setting has no effect.
    assert_eq!(
        judge("no-geo", "block_cidrs contains \"192.0.2.0/24\"", "8.8.8.8", Unknown::Deny).effect,
        Effect::Allow
    );
}

#[test]
fn a_region_that_no_database_tells_is_noted() {
    let judgement = judge("blind", "block_regions contains \"UA-40\"", "192.0.2.7", Unknown::Alert);
    assert_eq!(judgement.effect, Effect::Allow);
    assert!(judgement.notes[0].contains("has no effect on UA-40"), "{:?}", judgement.notes);
}

#[test]
fn the_shipped_policy_blocks_the_countries_of_the_shipped_programmes() {
    let policies = Policies::load(&LoadOptions { paths: Vec::new(), data: Vec::new(), shipped: true }).unwrap();
    let blocked = policies.standing().iter().filter_map(|entry| match &entry.value {
        StandingValue::BlockCountry(country) => Country::from_bytes(country.0),
        _ => None,
    });
    let programmes = geoip::embargo::shipped().unwrap();
    let day = super::super::today();
    let named = programmes.iter().flat_map(|programme| {
        let selection = programme.selection(day, geoip::embargo::Action::Block);
        selection.countries.iter().collect::<Vec<_>>()
    });
    assert_eq!(blocked.collect::<CountrySet>(), named.collect::<CountrySet>());
}

/// The kernel asks about countries for public addresses only; the tables must leave out the same ones.
#[test]
fn addresses_without_a_country_are_those_that_the_kernel_never_asks_about() {
    use sentinel_common::address::{Address, Class, class, normalise};
    let database = Database::embedded().unwrap();
    let edges4 = geoip::SPECIAL_V4.iter().flat_map(|block| [block.bounds().0, block.bounds().1]);
    let around4 = edges4.flat_map(|edge| [edge.wrapping_sub(1), edge, edge.wrapping_add(1)]);
    let edges6 = geoip::SPECIAL_V6.iter().flat_map(|block| [block.bounds().0, block.bounds().1]);
    let around6 = edges6.flat_map(|edge| [edge.wrapping_sub(1), edge, edge.wrapping_add(1)]);
    let given4 = around4.map(Address::from_v4);
    let given6 = around6.map(|bits| Address::from_octets(bits.to_be_bytes()));
    for given in given4.chain(given6) {
        let meant = normalise(given).0;
        let special = database.lookup(crate::input::ip(meant)).coverage == geoip::Coverage::Special;
        assert_eq!(special, class(meant) != Class::Public, "{}", crate::input::ip(meant));
    }
}
