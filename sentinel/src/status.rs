//! The state of enforcement, as a value.
//!
//! Invariant: `full` is said only when every hook is proved and no way out is known to be open; what is missing
//! is a reason, by name.

use serde::{Deserialize, Serialize};

use crate::{attendance::Gap, jurisdiction, record::Recording, sockets::Tally};

/// How much is enforced.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Enforcement {
    /// Everything that policies say, by every hook.
    Full,
    /// Something is missing; the reasons say what.
    Partial,
    /// Nothing.
    #[default]
    None,
}

impl Enforcement {
    /// Exit code of `sentinel status`.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Full => 0,
            Self::Partial => 3,
            Self::None => 4,
        }
    }

    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Partial => "partial",
            Self::None => "none",
        }
    }
}

/// A hook in the status.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HookStatus {
    /// Name of the hook.
    pub name: String,
    /// Whether its program is attached.
    pub attached: bool,
    /// Whether a canary proved it.
    pub proven: bool,
    /// Refusals by the kernel.
    pub refused: u64,
    /// Verdicts that would have refused.
    pub would_refuse: u64,
    /// Times it ran.
    pub runs: u64,
    /// Internal errors; each let the call pass.
    pub errors: u64,
    /// Why it is not attached or not proved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Country data in the status.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct GeoStatus {
    /// Type of the database.
    #[serde(rename = "type")]
    pub kind: String,
    /// Build date, RFC 3339.
    pub build: String,
    /// Days since.
    pub age_days: u64,
    /// `fresh`, `warn` (renew it) or `error` (too old to be relied on).
    pub freshness: String,
    /// Ranges of addresses that country rules block, both families.
    pub prefixes: usize,
    /// Kernel memory of the country table, bytes.
    pub kernel_bytes: usize,
    /// Ranges in the database.
    pub entries: usize,
    /// Of the file.
    pub sha256: String,
    /// Where it came from.
    pub source: String,
    /// What counts where databases differ.
    pub vote: String,
    /// All databases, the primary one, which is described above, first.
    pub databases: Vec<DatabaseStatus>,
    /// Files read since the start.
    pub reads: u64,
    /// Tables built for the kernel since the start.
    pub tables: u64,
    /// Why files as they are now are not in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// A country database in the status.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DatabaseStatus {
    /// Type of the database.
    #[serde(rename = "type")]
    pub kind: String,
    /// Build date, RFC 3339.
    pub build: String,
    /// Days since.
    pub age_days: u64,
    /// As for all.
    pub freshness: String,
    /// Ranges.
    pub entries: usize,
    /// Of the file.
    pub sha256: String,
    /// Where it came from.
    pub source: String,
}

/// An exemption in the status.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ExemptionStatus {
    /// Id.
    pub id: String,
    /// RFC 3339.
    pub expires: String,
    /// Whole days until then; negative when it has ended.
    pub days_left: i64,
}

/// A policy rule in the status.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RuleStatus {
    /// Id.
    pub id: String,
    /// `deny`, `alert`, `block_countries`, ...
    pub verb: String,
    /// Severity.
    pub severity: String,
    /// Effective mode.
    pub mode: String,
}

/// Which events are reported again, and when.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct RepeatStatus {
    /// After so many seconds the same event of a process is reported again; 0: each one is.
    pub seconds: u64,
    /// Whether opens are among them: the kernel has to tell where it counts renames.
    pub opens: bool,
}

/// All of it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Status {
    /// Version of the daemon.
    pub version: String,
    /// Process id of the daemon.
    pub pid: u32,
    /// Global mode.
    pub mode: String,
    /// How much is enforced.
    pub enforcement: Enforcement,
    /// What is missing.
    pub reasons: Vec<String>,
    /// How much is seen, in whatever mode: `full` when every hook is proved, else `partial`.
    pub coverage: Enforcement,
    /// `host`, or the scope cgroup.
    pub scope: String,
    /// All hooks.
    pub hooks: Vec<HookStatus>,
    /// By kind: seen, delivered, suppressed, lost by cause.
    pub counters: serde_json::Map<String, serde_json::Value>,
    /// Packages loaded.
    pub policies: Vec<String>,
    /// Rules loaded.
    pub rules: Vec<RuleStatus>,
    /// Policy generation.
    pub generation: u32,
    /// SHA-256 of the policies.
    pub policy_sha256: String,
    /// Country data.
    pub geo: GeoStatus,
    /// Exemptions, the next to end first.
    pub exemptions: Vec<ExemptionStatus>,
    /// Sinks.
    pub sinks: serde_json::Value,
    /// Times without a daemon, or without enforcement.
    pub gaps: Vec<Gap>,
    /// Connections that were there before their rule.
    pub sockets: Tally,
    /// What the kernel's country table answers.
    pub jurisdictions: jurisdiction::Tally,
    /// Block entries in force.
    pub entries: usize,
    /// Processes in the table.
    pub processes: usize,
    /// Network devices that are watched.
    #[serde(default)]
    pub devices: usize,
    /// Alerts made.
    pub alerts: u64,
    /// Which events are reported again, and when.
    #[serde(default)]
    pub repeats: RepeatStatus,
    /// Rules that failed on an event.
    pub rule_errors: u64,
    /// Tests of the policies in force that do not pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_tests: Option<String>,
    /// Blocks ordered by an operator.
    #[serde(default)]
    pub operator_blocks: usize,
    /// The recording of events, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recording: Option<Recording>,
    /// The audit trail: where it is, and what is wrong with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit: Option<serde_json::Value>,
    /// The last reload that was refused, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused_reload: Option<String>,
}

/// Facts that enforcement follows from.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Refusal is compiled in.
    pub enforce: bool,
    /// Hooks that cannot refuse what they should: `family: reason`.
    pub unproven: Vec<String>,
    /// Whether at least one refusing hook is proved.
    pub any_proven: bool,
    /// Whether a rule that refuses destinations is in force.
    pub egress_rules: bool,
    /// Whether a rule that refuses changes to files is in force.
    pub change_rules: bool,
    /// Whether a rule that refuses execution is in force.
    pub exec_rules: bool,
    /// Which ways of changing files are not refused, and why; `None`: all are.
    pub changes_open: Option<String>,
    /// The same for mapping a file to execute it.
    pub loader_open: Option<String>,
    /// Whether a rule holds for some programs, users or control groups and not for others.
    pub subject_rules: bool,
    /// Which ways of entering a process that such a rule spares are not refused.
    pub traces_open: Option<String>,
    /// Whether a rule is about hashes.
    pub hash_rules: bool,
    /// Why the kernel does not hash what it executes, if it does not.
    pub hashes_late: Option<String>,
    /// Whether the scope is one cgroup.
    pub scoped: bool,
    /// Whether the settings leave sockets and devices alone that send past every hook on destinations.
    pub bypass_allowed: bool,
    /// Whether the hooks that refuse these are proved.
    pub bypass_closed: bool,
    /// Why packets are not looked at on network devices, if they are not.
    pub devices_unwatched: Option<String>,
    /// Why sockets cannot be destroyed, if they cannot.
    pub socket_destroy: Option<String>,
    /// Country data in use that is too old to be relied on, if a rule is about countries.
    pub old_geo: Option<String>,
    /// Wrong answers of the kernel's country table.
    pub jurisdictions: Vec<String>,
    /// Why enforcement ends with the daemon, if it does so against what was asked for.
    pub no_pins: Option<String>,
}

/// Draws the conclusion.
#[must_use]
pub fn conclude(facts: &Facts) -> (Enforcement, Vec<String>) {
    if !facts.enforce {
        return (Enforcement::None, vec!["monitor".to_owned()]);
    }
    let mut reasons = [&facts.unproven[..], &facts.jurisdictions].concat();
    if !facts.any_proven {
        return (Enforcement::None, reasons);
    }
    if facts.egress_rules {
        if facts.bypass_allowed {
            reasons.push(
                "af_packet: the settings allow packet sockets, AF_XDP and tun devices, which pass every hook"
                    .to_owned(),
            );
        } else if !facts.bypass_closed {
            reasons.push(
                "af_packet: packet sockets, AF_XDP and tun devices cannot be refused without LSM hooks".to_owned(),
            );
        }
        if let Some(why) = &facts.devices_unwatched {
            reasons.push(format!("forwarding: what this host forwards, and its tunnels, are not looked at: {why}"));
        }
        if let Some(why) = &facts.socket_destroy {
            reasons
                .push(format!("socket_destroy: open connections cannot be ended, only their packets refused: {why}"));
        }
        if facts.scoped {
            reasons.push("kernel_replies: replies from kernel sockets belong to no scope".to_owned());
        }
    }
    if let Some(why) = &facts.no_pins {
        reasons.push(format!("no_bpffs: enforcement ends with the daemon: {why}"));
    }
    if let Some(old) = &facts.old_geo {
        reasons.push(format!("geo_age: {old}"));
    }
    if let Some(open) = facts.changes_open.as_ref().filter(|_| facts.change_rules) {
        reasons.push(format!("file_changes: changes of files are not refused at {open}"));
    }
    if let Some(open) = facts.loader_open.as_ref().filter(|_| facts.exec_rules) {
        reasons.push(format!("exec_by_loader: the dynamic loader can run a refused program as data, at {open}"));
    }
    if let Some(open) = facts.traces_open.as_ref().filter(|_| facts.subject_rules) {
        reasons.push(format!("entered_process: who enters a process that a rule spares is rid of the rule, at {open}"));
    }
    if let Some(why) = facts.hashes_late.as_ref().filter(|_| facts.hash_rules) {
        reasons.push(format!(
            "hashes: the kernel does not hash what it executes, so a new file is known only after it has run (on_error says \
             what becomes of it): {why}"
        ));
    }
    (if reasons.is_empty() { Enforcement::Full } else { Enforcement::Partial }, reasons)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn monitor_is_none() {
        assert_eq!(conclude(&Facts::default()), (Enforcement::None, vec!["monitor".to_owned()]));
    }

    #[test]
    fn full_only_without_any_reason() {
        let good = Facts { enforce: true, any_proven: true, ..Facts::default() };
        assert_eq!(conclude(&good).0, Enforcement::Full);
        for bad in
            [Facts { unproven: vec!["exec: no".into()], ..good.clone() }, Facts { egress_rules: true, ..good.clone() }]
        {
            assert_eq!(conclude(&bad).0, Enforcement::Partial);
        }
        assert_eq!(conclude(&Facts { any_proven: false, ..good }).0, Enforcement::None);
    }

    #[test]
    fn ways_around_rules_on_files_are_a_reason_where_there_is_such_a_rule() {
        let open = || Some("path_rename: no".to_owned());
        let facts = Facts { changes_open: open(), loader_open: open(), ..Facts::default() };
        let facts = Facts { enforce: true, any_proven: true, ..facts };
        assert_eq!(conclude(&facts).0, Enforcement::Full);
        let (_, reasons) = conclude(&Facts { change_rules: true, ..facts.clone() });
        assert!(matches!(&reasons[..], [one] if one.starts_with("file_changes: ")), "{reasons:?}");
        let (_, reasons) = conclude(&Facts { exec_rules: true, ..facts });
        assert!(matches!(&reasons[..], [one] if one.starts_with("exec_by_loader: ")), "{reasons:?}");
    }

    #[test]
    fn a_way_into_spared_processes_is_a_reason_where_a_rule_spares_some() {
        let facts = Facts { enforce: true, any_proven: true, traces_open: Some("no".into()), ..Facts::default() };
        assert_eq!(conclude(&facts).0, Enforcement::Full);
        let (_, reasons) = conclude(&Facts { subject_rules: true, ..facts });
        assert!(matches!(&reasons[..], [one] if one.starts_with("entered_process: ")), "{reasons:?}");
    }

    #[test]
    fn hashes_that_come_late_are_a_reason_where_a_rule_is_about_hashes() {
        let facts = Facts { enforce: true, any_proven: true, hashes_late: Some("no".into()), ..Facts::default() };
        assert_eq!(conclude(&facts).0, Enforcement::Full);
        let (_, reasons) = conclude(&Facts { hash_rules: true, ..facts });
        assert!(matches!(&reasons[..], [one] if one.starts_with("hashes: ")), "{reasons:?}");
    }

    #[test]
    fn old_country_data_is_a_reason() {
        let facts = Facts { enforce: true, any_proven: true, old_geo: Some("x: 130 days".into()), ..Facts::default() };
        assert_eq!(conclude(&facts), (Enforcement::Partial, vec!["geo_age: x: 130 days".to_owned()]));
    }

    #[test]
    fn a_wrong_country_table_is_a_reason() {
        let facts = Facts {
            enforce: true,
            any_proven: true,
            jurisdictions: vec!["jurisdiction: IR".into()],
            ..Facts::default()
        };
        assert_eq!(conclude(&facts), (Enforcement::Partial, vec!["jurisdiction: IR".to_owned()]));
    }

    #[test]
    fn sockets_that_stay_open_are_a_reason_while_destinations_are_refused() {
        let facts = Facts { enforce: true, any_proven: true, socket_destroy: Some("no".into()), ..Facts::default() };
        assert_eq!(conclude(&facts), (Enforcement::Full, Vec::new()));
        let (_, reasons) = conclude(&Facts { egress_rules: true, ..facts });
        assert!(reasons.iter().any(|reason| reason.starts_with("socket_destroy: ")), "{reasons:?}");
    }
}
