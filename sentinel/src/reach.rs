//! What a policy set asks the kernel to refuse, so that status can say what of it is not held.

use rules::{Access, Kind, RuleInfo, StandingEntry, StandingValue, Verb};

use crate::kernel::hooks::Demand;

/// The ways to an effect that some rule refuses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reach {
    /// Sending.
    pub egress: bool,
    /// Changing files.
    pub changes: bool,
    /// Executing.
    pub execs: bool,
}

/// Events that change files, or can.
const CHANGES: [Kind; 8] =
    [Kind::Open, Kind::Create, Kind::Rename, Kind::Link, Kind::Unlink, Kind::Truncate, Kind::Setattr, Kind::Mount];

/// Reads the rules.
#[must_use]
pub fn of(rules: &[RuleInfo], standing: &[StandingEntry]) -> Reach {
    let standing = standing.iter().map(of_entry);
    let denies = rules.iter().filter(|rule| rule.verb == Verb::Deny);
    let event = denies.map(|rule| Reach {
        egress: [Kind::Connect, Kind::Send, Kind::Packet].iter().any(|kind| rule.kinds.contains(*kind)),
        changes: CHANGES.iter().any(|kind| rule.kinds.contains(*kind)),
        execs: [Kind::Exec, Kind::Mmap].iter().any(|kind| rule.kinds.contains(*kind)),
    });
    standing.chain(event).fold(Reach::default(), |all, one| Reach {
        egress: all.egress | one.egress,
        changes: all.changes | one.changes,
        execs: all.execs | one.execs,
    })
}

/// Whether a standing rule refuses destinations.
#[must_use]
pub fn blocks_destinations(standing: &[StandingEntry]) -> bool {
    standing.iter().any(|entry| of_entry(entry).egress)
}

/// The hooks that these rules need. What changes names or files has to be seen for a rule about it, and for every standing rule about
/// files: a name that moves away would take the file along, and one that comes would bring another.
#[must_use]
pub fn demand(rules: &[RuleInfo], standing: &[StandingEntry]) -> Demand {
    let reach = of(rules, standing);
    let seen = |kind: &Kind| rules.iter().any(|rule| rule.kinds.contains(*kind));
    let changes = CHANGES.iter().filter(|kind| **kind != Kind::Open);
    let on_files = |entry: &StandingEntry| {
        use StandingValue::{AllowExecutable, BlockExecutable, BlockPath};
        matches!(entry.value, BlockPath(_) | BlockExecutable(_) | AllowExecutable(_))
    };
    Demand {
        changes: reach.changes || standing.iter().any(on_files) || changes.into_iter().any(seen),
        mappings: reach.execs || seen(&Kind::Mmap),
        traces: seen(&Kind::Ptrace) || tells_programs_apart(standing),
    }
}

/// Whether a rule holds for some programs, users or control groups and not for others: who enters one of those is rid of it.
#[must_use]
pub fn tells_programs_apart(standing: &[StandingEntry]) -> bool {
    standing.iter().flat_map(|entry| [&entry.only, &entry.except]).any(|list| {
        !(list.executables.is_empty() && list.uids.is_empty() && list.cgroups.is_empty() && list.containers.is_empty())
    })
}

fn of_entry(entry: &StandingEntry) -> Reach {
    let changes = [Access::Write, Access::Create, Access::Delete].iter().any(|access| entry.access.contains(*access));
    match entry.value {
        StandingValue::BlockCountry(_)
        | StandingValue::AllowCountry(_)
        | StandingValue::BlockRegion(_)
        | StandingValue::BlockCidr(_) => Reach { egress: true, ..Reach::default() },
        StandingValue::BlockPath(_) => {
            Reach { changes, execs: entry.access.contains(Access::Exec), ..Reach::default() }
        }
        StandingValue::BlockExecutable(_) | StandingValue::BlockHash(_) | StandingValue::AllowExecutable(_) => {
            Reach { execs: true, ..Reach::default() }
        }
        StandingValue::Exemption(_) => Reach::default(),
    }
}

#[cfg(test)]
mod tests {
    use rules::Policies;

    use super::*;

    fn policies(rule: &str) -> Policies {
        Policies::from_texts(&[("t.rego", &format!("package sentinel.t\n{rule}\n"))], "").unwrap()
    }

    fn of_text(rule: &str) -> Reach {
        let policies = policies(rule);
        of(policies.rules(), policies.standing())
    }

    #[test]
    fn hooks_are_needed_by_what_looks_at_them_or_relies_on_them() {
        let none = Demand::default();
        let (changes, mappings) = (Demand { changes: true, ..none }, Demand { mappings: true, ..none });
        let (traces, files) = (Demand { traces: true, ..none }, Demand { traces: false, ..Demand::ALL });
        let event = |verb: &str, action: &str| format!("{verb} contains \"m\" if input.event.action == \"{action}\"");
        for (rule, needed) in [
            ("block_countries contains \"KP\"".to_owned(), none),
            ("block_paths contains {\"value\": \"/x\", \"access\": [\"read\"]}".to_owned(), changes),
            ("block_paths contains \"/x\"".to_owned(), files),
            ("block_executables contains \"/x\"".to_owned(), files),
            (event("deny", "connect"), none),
            (event("deny", "exec"), mappings),
            (event("deny", "open"), changes),
            (event("alert", "open"), none),
            (event("alert", "exec"), none),
            (event("alert", "rename"), changes),
            (event("alert", "mmap"), mappings),
            (event("alert", "ptrace"), traces),
            ("block_cidrs contains {\"value\": \"192.0.2.0/24\", \"except\": {\"uids\": [7]}}".to_owned(), traces),
            ("block_cidrs contains {\"value\": \"192.0.2.0/24\", \"except\": {\"ports\": [7]}}".to_owned(), none),
            ("alert contains \"m\" if input.process.name == \"nc\"".to_owned(), Demand::ALL),
        ] {
            let policies = policies(&rule);
            assert_eq!(demand(policies.rules(), policies.standing()), needed, "{rule}");
        }
    }

    #[test]
    fn each_rule_reaches_what_it_refuses() {
        let none = Reach::default();
        assert_eq!(of_text("block_cidrs contains \"192.0.2.0/24\""), Reach { egress: true, ..none });
        assert_eq!(of_text("block_executables contains \"/x\""), Reach { execs: true, ..none });
        assert_eq!(of_text("block_paths contains {\"value\": \"/x\", \"access\": [\"read\"]}"), none);
        assert_eq!(of_text("block_paths contains \"/x\""), Reach { changes: true, execs: true, ..none });
        let deny = "deny contains \"m\" if input.event.action == \"connect\"";
        assert_eq!(of_text(deny), Reach { egress: true, ..none });
        assert_eq!(of_text(&deny.replace("deny", "alert")), none);
    }
}
