//! ECS `threat.*`: the techniques and tactics of all rules that matched, as the parallel arrays that ECS asks for.
//!
//! Invariants: each entry occurs once; an array is written when all its entries are known and not at all otherwise,
//! because readers pair arrays by position; a sub-technique also names its technique.
//!
//! Not here: a table of techniques; ids and names come with the rules. ATT&CK is a trademark of The MITRE Corporation.

use serde::Serialize;

use crate::alert::{RuleHit, Technique};

/// The tactics of the Enterprise matrix.
const TACTICS: &[(&str, &str)] = &[
    ("TA0043", "Reconnaissance"),
    ("TA0042", "Resource Development"),
    ("TA0001", "Initial Access"),
    ("TA0002", "Execution"),
    ("TA0003", "Persistence"),
    ("TA0004", "Privilege Escalation"),
    ("TA0005", "Defense Evasion"),
    ("TA0006", "Credential Access"),
    ("TA0007", "Discovery"),
    ("TA0008", "Lateral Movement"),
    ("TA0009", "Collection"),
    ("TA0011", "Command and Control"),
    ("TA0010", "Exfiltration"),
    ("TA0040", "Impact"),
];

#[derive(Serialize)]
pub(super) struct ThreatFields<'a> {
    framework: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tactic: Option<TacticFields<'a>>,
    technique: TechniqueFields<'a>,
}

#[derive(Serialize)]
struct TacticFields<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Vec<&'static str>>,
    name: Vec<&'a str>,
}

#[derive(Serialize)]
struct TechniqueFields<'a> {
    #[serde(flatten)]
    listed: Listed<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subtechnique: Option<Listed<'a>>,
}

/// Ids and, where every one of them is known, names.
#[derive(Serialize)]
struct Listed<'a> {
    id: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<Vec<&'a str>>,
}

/// Entries in order of first sight: id and, once some rule has said it, name.
#[derive(Default)]
struct Collected<'a>(Vec<(&'a str, Option<&'a str>)>);

impl<'a> ThreatFields<'a> {
    /// `None` when no rule names a technique.
    pub(super) fn of(rules: &'a [RuleHit]) -> Option<Self> {
        let all = || rules.iter().flat_map(|rule| &rule.techniques);
        let technique = techniques(all())?;
        Some(Self { framework: "MITRE ATT&CK", tactic: tactics(all()), technique })
    }
}

fn tactics<'a>(all: impl Iterator<Item = &'a Technique>) -> Option<TacticFields<'a>> {
    let mut name: Vec<&str> = Vec::new();
    for tactic in all.filter_map(|technique| known(&technique.tactic)) {
        if !name.contains(&tactic) {
            name.push(tactic);
        }
    }
    let id_of = |name: &&str| TACTICS.iter().find(|(_, known)| known == name).map(|(id, _)| *id);
    let id = name.iter().map(id_of).collect();
    if name.is_empty() { None } else { Some(TacticFields { id, name }) }
}

/// Splits `T1059.004` (`Parent: Sub`) into technique `T1059` (`Parent`) and sub-technique `T1059.004` (`Sub`).
fn techniques<'a>(all: impl Iterator<Item = &'a Technique>) -> Option<TechniqueFields<'a>> {
    let (mut techniques, mut subtechniques) = (Collected::default(), Collected::default());
    for technique in all {
        let name = known(&technique.name);
        match technique.id.split_once('.') {
            None => techniques.add(&technique.id, name),
            Some((parent, _)) => {
                let (parent_name, own_name) = match name.and_then(|name| name.split_once(": ")) {
                    Some((parent_name, own_name)) => (Some(parent_name), Some(own_name)),
                    None => (None, name),
                };
                techniques.add(parent, parent_name);
                subtechniques.add(&technique.id, own_name);
            }
        }
    }
    techniques.list().map(|listed| TechniqueFields { listed, subtechnique: subtechniques.list() })
}

fn known(name: &Option<String>) -> Option<&str> {
    name.as_deref().filter(|name| !name.is_empty())
}

impl<'a> Collected<'a> {
    fn add(&mut self, id: &'a str, name: Option<&'a str>) {
        match self.0.iter_mut().find(|(known, _)| *known == id) {
            Some((_, known_name)) => *known_name = known_name.or(name),
            None => self.0.push((id, name)),
        }
    }

    fn list(self) -> Option<Listed<'a>> {
        if self.0.is_empty() {
            return None;
        }
        let name = self.0.iter().map(|(_, name)| *name).collect();
        Some(Listed { id: self.0.iter().map(|(id, _)| *id).collect(), name })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::terms::{Severity, Verb};

    fn rule(techniques: &[(&str, Option<&str>)]) -> RuleHit {
        let technique = |(id, name): &(&str, Option<&str>)| Technique {
            id: (*id).into(),
            name: name.map(Into::into),
            tactic: None,
        };
        let techniques = techniques.iter().map(technique).collect();
        RuleHit { techniques, ..RuleHit::new("r", Verb::Alert, Severity::Low, "m") }
    }

    fn rule_of_tactics(tactics: &[&str]) -> RuleHit {
        let technique = |tactic: &&str| Technique { id: "T1".into(), name: None, tactic: Some((*tactic).into()) };
        let techniques = tactics.iter().map(technique).collect();
        RuleHit { techniques, ..RuleHit::new("r", Verb::Alert, Severity::Low, "m") }
    }

    fn written(rules: &[RuleHit]) -> serde_json::Value {
        serde_json::to_value(ThreatFields::of(rules)).unwrap()
    }

    #[test]
    fn a_sub_technique_names_its_technique() {
        let rules = [rule(&[("T1059.004", Some("Command and Scripting Interpreter: Unix Shell"))])];
        let technique = json!({
            "id": ["T1059"], "name": ["Command and Scripting Interpreter"],
            "subtechnique": {"id": ["T1059.004"], "name": ["Unix Shell"]},
        });
        assert_eq!(written(&rules)["technique"], technique);
    }

    #[test]
    fn names_are_left_out_unless_all_are_known() {
        let rules = [rule(&[("T1059.004", Some("Unix Shell")), ("T1105", Some("Ingress Tool Transfer"))])];
        let technique = json!({
            "id": ["T1059", "T1105"],
            "subtechnique": {"id": ["T1059.004"], "name": ["Unix Shell"]},
        });
        assert_eq!(written(&rules)["technique"], technique);
    }

    #[test]
    fn rules_share_one_list_without_repeats() {
        let rules = [rule(&[("T1105", None)]), rule(&[("T1105", Some("Ingress Tool Transfer"))])];
        assert_eq!(written(&rules)["technique"], json!({"id": ["T1105"], "name": ["Ingress Tool Transfer"]}));
    }

    #[test]
    fn tactics_get_their_ids_unless_one_has_none() {
        let rules = [rule_of_tactics(&["Execution", "", "Impact", "Execution"])];
        assert_eq!(written(&rules)["tactic"], json!({"id": ["TA0002", "TA0040"], "name": ["Execution", "Impact"]}));
        let rules = [rule_of_tactics(&["Execution", "Stealth"])];
        assert_eq!(written(&rules)["tactic"], json!({"name": ["Execution", "Stealth"]}));
        assert_eq!(written(&[rule(&[("T1105", None)])]).get("tactic"), None);
    }

    #[test]
    fn nothing_named_writes_nothing() {
        assert_eq!(written(&[rule(&[])]), json!(null));
        assert_eq!(written(&[]), json!(null));
    }
}
