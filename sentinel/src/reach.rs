//! What a policy set asks the kernel to refuse, so that status can say what of it is not held.

use rules::{Access, Kind, RuleInfo, StandingEntry, StandingValue, Verb};

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

    fn of_text(rule: &str) -> Reach {
        let policies = Policies::from_texts(&[("t.rego", &format!("package sentinel.t\n{rule}\n"))], "").unwrap();
        of(policies.rules(), policies.standing())
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
