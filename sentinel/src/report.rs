//! The state of a running daemon, as a value and as text for people.

use std::fmt::Write as _;

use anyhow::Result;
use geoip::{DatabaseInfo, Freshness};
use jiff::Timestamp;
use sentinel_common::event::kind;
use serde_json::{Map, Value, json};

use crate::{
    attendance::Gap,
    audit::Audit,
    canary::Proof,
    config::{Bypass, Mode},
    daemon::Daemon,
    kernel::{
        HookState,
        attach::Scope,
        hooks::{Attach, FILE_TRUNCATE, Hook, NO_SUCH_HOOK, NOT_NEEDED},
    },
    notices,
    policy::mode_word,
    reach,
    record::{Recorder, Recording},
    standing::has_geo,
    status::{
        DatabaseStatus, Enforcement, ExemptionStatus, Facts, GeoStatus, HookStatus, RepeatStatus, RuleStatus, Status,
        conclude,
    },
    world::mode_of,
};

/// Kinds that are counted, with their names.
pub const KINDS: [(u16, &str); 20] = [
    (kind::EXEC, "exec"),
    (kind::OPEN, "open"),
    (kind::CREATE, "create"),
    (kind::RENAME, "rename"),
    (kind::LINK, "link"),
    (kind::UNLINK, "unlink"),
    (kind::TRUNCATE, "truncate"),
    (kind::SETATTR, "setattr"),
    (kind::MOUNT, "mount"),
    (kind::MMAP, "mmap"),
    (kind::PTRACE, "ptrace"),
    (kind::CONNECT, "connect"),
    (kind::SEND, "send"),
    (kind::PACKET, "packet"),
    (kind::SOCKET, "socket"),
    (kind::FORK, "fork"),
    (kind::EXIT, "exit"),
    (kind::BEFORE_EXEC, "exec_note"),
    (kind::GROUP, "cgroup"),
    (kind::ANSWER, "dns_answer"),
];

/// The hook that stands in for `file_open`, where that cannot be had.
const OPEN_EXITS: &str = "sys_exit_open";
/// The hook that names destinations, which can be switched off.
const INGRESS: &str = "ingress";
/// The hook that hashes executables, where it can.
const HASHES: &str = "bprm_hash";
/// The hook on network devices, which is on in enforce mode only.
const FORWARD: &str = "forward";

impl Daemon {
    /// The state now.
    ///
    /// # Errors
    ///
    /// If the kernel's counters cannot be read.
    pub fn status(&mut self) -> Result<Status> {
        self.drain();
        let hooks = self.hook_statuses()?;
        let (enforcement, reasons) = conclude(&self.facts(&hooks));
        let missing = hooks.iter().any(unseen) || !self.jurisdictions.tally.failing.is_empty();
        let reasons = if self.config.mode == Mode::Monitor { self.with_coverage(reasons, &hooks) } else { reasons };
        let world = &self.pipeline.world;
        Ok(Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            mode: mode_word(self.config.mode).to_owned(),
            enforcement,
            reasons,
            coverage: if missing { Enforcement::Partial } else { Enforcement::Full },
            scope: match &self.config.scope {
                Scope::Host => "host".to_owned(),
                Scope::Cgroup(path) => path.display().to_string(),
            },
            hooks,
            counters: counters(self)?,
            policies: world.policies.packages().to_vec(),
            rules: self.rules(),
            generation: world.generation,
            policy_sha256: world.policies.sha256().to_owned(),
            geo: self.geo_status(),
            exemptions: self.exemptions(),
            sinks: serde_json::to_value(self.pipeline.alerting.sinks.status())?,
            gaps: self.attendance.gaps.clone(),
            sockets: self.sockets.tally.clone(),
            jurisdictions: self.jurisdictions.tally.clone(),
            entries: self.pipeline.verdicts.iter().count(),
            processes: self.pipeline.processes.len(),
            devices: self.kernel.devices(),
            alerts: self.pipeline.alerting.sent,
            repeats: RepeatStatus { seconds: self.config.repeat_seconds, opens: self.kernel.knows_names },
            rule_errors: self.pipeline.counts.rule_errors,
            recording: self.pipeline.recorder.as_ref().map(Recorder::status),
            refused_reload: self.refused_reload.clone(),
            failing_tests: self.failing_tests.clone(),
            operator_blocks: world.operator.iter().count(),
            audit: self.pipeline.alerting.audit.as_ref().map(Audit::status),
        })
    }

    fn hook_statuses(&self) -> Result<Vec<HookStatus>> {
        self.kernel
            .hooks
            .iter()
            .zip(&self.proofs)
            .map(|(state, proof)| self.hook_status(state, proof.as_ref()))
            .collect()
    }

    fn hook_status(&self, state: &HookState, proof: Option<&Proof>) -> Result<HookStatus> {
        let stats = self.stats.hook(state.hook.id)?;
        let failed = match proof {
            Some(Proof::Failed(why)) => Some(why.clone()),
            Some(Proof::Proven) | None => None,
        };
        Ok(HookStatus {
            name: state.hook.name.to_owned(),
            attached: state.attached,
            proven: proof == Some(&Proof::Proven),
            refused: stats.refused,
            would_refuse: stats.would_refuse,
            runs: stats.runs,
            errors: stats.errors,
            reason: state.reason.clone().or(failed),
        })
    }

    fn facts(&self, hooks: &[HookStatus]) -> Facts {
        // The device hook is not everyone's: that it is missing is told where a rule needs it.
        let refusing = || {
            let all = self.kernel.hooks.iter().zip(hooks);
            all.filter(|(state, _)| state.hook.refuses && (state.attached || state.hook.attach != Attach::Devices))
        };
        let of_some_rules = |hook: &Hook| hook.on_changes() || hook.on_mappings() || hook.on_traces() || hook.hashes();
        let open = |which: fn(&Hook) -> bool| {
            let all = refusing().filter(|(state, status)| which(state.hook) && !status.proven && !unneeded(status));
            let all: Vec<String> = all.map(|(_, status)| format!("{}: {}", status.name, why(status))).collect();
            (!all.is_empty()).then(|| grouped(&all).join("; "))
        };
        let unproven = refusing().filter(|(state, status)| !status.proven && !of_some_rules(state.hook));
        let unproven =
            unproven.map(|(state, status)| format!("{}: {}: {}", state.hook.family.as_str(), status.name, why(status)));
        let proven = |name| hooks.iter().any(|hook| hook.name == name && hook.proven);
        let reach = reach::of(self.pipeline.world.policies.rules(), &self.pipeline.world.standing);
        Facts {
            enforce: self.config.mode == Mode::Enforce,
            unproven: unproven.collect(),
            any_proven: refusing().any(|(_, status)| status.proven),
            egress_rules: reach.egress,
            change_rules: reach.changes,
            exec_rules: reach.execs,
            changes_open: open(Hook::on_changes),
            loader_open: open(Hook::on_mappings),
            subject_rules: reach::tells_programs_apart(&self.pipeline.world.standing),
            traces_open: open(Hook::on_traces),
            hash_rules: self.pipeline.world.unknowns.hash.is_some(),
            hashes_late: open(Hook::hashes),
            scoped: self.kernel.scoped(),
            bypass_allowed: self.config.bypass == Bypass::Allow,
            bypass_closed: proven("socket_create") && proven("file_open"),
            devices_unwatched: hooks
                .iter()
                .find(|hook| hook.name == FORWARD && !hook.proven)
                .map(|hook| why(hook).to_owned())
                .or_else(|| self.kernel.devices_refused()),
            socket_destroy: self.sockets.unavailable.clone(),
            old_geo: self.old_geo(),
            jurisdictions: self.jurisdictions.reasons(),
            no_pins: self.kernel.no_pins.clone(),
        }
    }

    /// In monitor mode the reasons also say what is not seen, and what enforcing would get wrong.
    fn with_coverage(&self, mut reasons: Vec<String>, hooks: &[HookStatus]) -> Vec<String> {
        let missing = hooks.iter().filter(|hook| unseen(hook));
        reasons.extend(missing.map(|hook| format!("not seen by {}: {}", hook.name, why(hook))));
        reasons.extend(self.jurisdictions.reasons());
        reasons
    }

    fn rules(&self) -> Vec<RuleStatus> {
        let world = &self.pipeline.world;
        let numbers = &self.pipeline.numbers;
        let event = world.event_rules.iter().filter_map(|number| numbers.rule(*number)).map(|rule| RuleStatus {
            id: rule.id.clone(),
            verb: rule.verb.to_string(),
            severity: rule.severity.to_string(),
            mode: mode_word(rule.mode).to_owned(),
        });
        let standing = world.standing.iter().map(|entry| RuleStatus {
            id: entry.id.clone(),
            verb: entry.rule_name.to_string(),
            severity: entry.severity.to_string(),
            mode: mode_word(mode_of(entry, self.config.mode, &world.programmes)).to_owned(),
        });
        event.chain(standing).collect()
    }

    fn geo_status(&self) -> GeoStatus {
        let world = &self.pipeline.world;
        let verdicts = &self.pipeline.verdicts;
        let databases: Vec<DatabaseStatus> =
            world.geo.databases().iter().map(|database| database_status(database.info())).collect();
        let worst = world.geo.databases().iter().map(|database| database.info().freshness(now())).max();
        let DatabaseStatus { kind, build, age_days, entries, sha256, source, .. } = databases[0].clone();
        GeoStatus {
            kind,
            build,
            age_days,
            freshness: worst.unwrap_or(Freshness::Error).to_string(),
            prefixes: world.table.as_ref().map_or(0, |table| table.blocked_ranges(verdicts.classes())),
            kernel_bytes: verdicts.geo_bytes(),
            entries,
            sha256,
            source,
            vote: world.geo.rule().to_string(),
            databases,
            reads: self.geo.reads,
            tables: self.tables,
            refused: self.geo.refused(),
        }
    }

    /// Databases too old to be relied on, if a rule relies on them.
    fn old_geo(&self) -> Option<String> {
        let world = &self.pipeline.world;
        let infos = world.geo.databases().iter().map(|database| database.info());
        let old = infos.filter(|info| info.freshness(now()) == Freshness::Error);
        let old: Vec<String> = old
            .map(|info| format!("{} ({}) is {} days old", info.database_type, info.source, info.age_days(now())))
            .collect();
        (has_geo(&world.standing) && !old.is_empty()).then(|| old.join("; "))
    }

    fn exemptions(&self) -> Vec<ExemptionStatus> {
        let now = Timestamp::now().as_second();
        let mut all: Vec<&rules::Exemption> = notices::exemptions(&self.pipeline.world.standing).collect();
        all.sort_by_key(|exemption| exemption.expires);
        let status = |exemption: &rules::Exemption| ExemptionStatus {
            id: exemption.id.clone(),
            expires: Timestamp::from_second(exemption.expires).unwrap_or(Timestamp::MAX).to_string(),
            days_left: notices::days_left(now, exemption.expires),
        };
        all.into_iter().map(status).collect()
    }
}

/// Seconds since 1970.
fn now() -> u64 {
    u64::try_from(Timestamp::now().as_second()).unwrap_or_default()
}

fn database_status(info: &DatabaseInfo) -> DatabaseStatus {
    let build = Timestamp::from_second(info.build as i64).unwrap_or(Timestamp::UNIX_EPOCH);
    DatabaseStatus {
        kind: info.database_type.clone(),
        build: build.to_string(),
        age_days: info.age_days(now()),
        freshness: info.freshness(now()).to_string(),
        entries: info.v4_entries + info.v6_entries,
        sha256: info.sha256.clone(),
        source: info.source.to_string(),
    }
}

/// Why a hook is not proved.
fn why(hook: &HookStatus) -> &str {
    hook.reason.as_deref().unwrap_or("no canary has proved it")
}

/// Whether nothing is missed without a hook: no rule needs it, or this kernel does not.
fn unneeded(hook: &HookStatus) -> bool {
    idle(hook) || (hook.name == FILE_TRUNCATE && hook.reason.as_deref() == Some(NO_SUCH_HOOK))
}

/// Whether a hook is not attached because no rule needs it.
fn idle(hook: &HookStatus) -> bool {
    hook.reason.as_deref() == Some(NOT_NEEDED)
}

/// Whether something is not seen because this hook does not work. Those that stand in for another hook, or are switched
/// off, are not missed.
fn unseen(hook: &HookStatus) -> bool {
    let unneeded = unneeded(hook)
        || hook.name == HASHES
        || hook.name == OPEN_EXITS
        || ([INGRESS, FORWARD].contains(&hook.name.as_str()) && !hook.attached);
    !unneeded && !hook.proven
}

/// Reasons for people: hooks that fail for the same reason share a line.
fn grouped(reasons: &[String]) -> Vec<String> {
    let mut groups: Vec<(String, Vec<&str>)> = Vec::new();
    for reason in reasons {
        let (what, why) = reason.rsplit_once(": ").unwrap_or(("", reason));
        match groups.iter_mut().find(|(known, _)| !what.is_empty() && known == why) {
            Some((_, all)) => all.push(what),
            None => groups.push((why.to_owned(), vec![what])),
        }
    }
    groups
        .into_iter()
        .map(|(why, what)| format!("{}{}{why}", what.join(", "), if what == [""] { "" } else { ": " }))
        .collect()
}

/// For each kind: seen = delivered + suppressed + lost. What is still in a ring is not counted as seen yet.
fn counters(daemon: &Daemon) -> Result<Map<String, Value>> {
    let counts = &daemon.pipeline.counts;
    KINDS
        .iter()
        .map(|(kind, name)| {
            let kernel = daemon.stats.kind(*kind)?;
            let delivered = counts.delivered.get(kind).copied().unwrap_or(0);
            let malformed = counts.decode_error.get(kind).copied().unwrap_or(0);
            let lost = kernel.ring_full + kernel.no_scratch + malformed;
            let value = json!({
                "seen": delivered + kernel.suppressed + lost,
                "delivered": delivered,
                "suppressed": kernel.suppressed,
                "lost": {
                    "ring_full": kernel.ring_full,
                    "no_buffer": kernel.no_scratch,
                    "decode_error": malformed,
                    "queue_full": 0,
                },
                "in_ring": kernel.submitted.saturating_sub(delivered + malformed),
            });
            Ok(((*name).to_owned(), value))
        })
        .collect()
}

/// All events lost so far. DNS answers are none: a stranger who sends bad ones must not make it look as if events were.
///
/// # Errors
///
/// If the kernel's counters cannot be read.
pub fn lost(daemon: &Daemon) -> Result<u64> {
    let events = |kind: &u16| *kind != kind::ANSWER;
    let errors = daemon.pipeline.counts.decode_error.iter();
    let malformed: u64 = errors.filter(|(kind, _)| events(kind)).map(|(_, count)| count).sum();
    KINDS.iter().filter(|(kind, _)| events(kind)).try_fold(malformed, |sum, (kind, _)| {
        let kernel = daemon.stats.kind(*kind)?;
        Ok(sum + kernel.ring_full + kernel.no_scratch)
    })
}

/// The status block.
#[must_use]
pub fn text(status: &Status) -> String {
    let mut out = String::new();
    // Writing to a String does not fail.
    let _ = write_text(&mut out, status);
    out
}

fn write_text(out: &mut String, s: &Status) -> std::fmt::Result {
    let (enforcement, coverage) = (s.enforcement.as_str().to_uppercase(), s.coverage.as_str().to_uppercase());
    let process = if s.pid == 0 { "no daemon".to_owned() } else { format!("pid {}", s.pid) };
    writeln!(out, "Sentinel {}  {process}  mode {}  scope {}", s.version, s.mode, s.scope)?;
    writeln!(out, "enforcement  {enforcement}   coverage {coverage}")?;
    grouped(&s.reasons).iter().try_for_each(|reason| writeln!(out, "             - {reason}"))?;
    writeln!(
        out,
        "policies     {} rules in {} packages, generation {}",
        s.rules.len(),
        s.policies.len(),
        s.generation
    )?;
    write_geo(out, &s.geo)?;
    s.exemptions.iter().try_for_each(|exemption| write_exemption(out, exemption))?;
    writeln!(out, "{:<22} {:>8} {:>7} {:>12} {:>9} {:>9}", "hook", "attached", "proven", "runs", "refused", "would")?;
    for hook in s.hooks.iter().filter(|hook| !idle(hook)) {
        let mark = |yes| if yes { "yes" } else { "no" };
        let (attached, proven) = (mark(hook.attached), mark(hook.proven));
        writeln!(
            out,
            "{:<22} {attached:>8} {proven:>7} {:>12} {:>9} {:>9}",
            hook.name, hook.runs, hook.refused, hook.would_refuse
        )?;
    }
    let idle: Vec<&str> = s.hooks.iter().filter(|hook| idle(hook)).map(|hook| hook.name.as_str()).collect();
    if !idle.is_empty() {
        writeln!(out, "off, as {NOT_NEEDED}: {}", idle.join(", "))?;
    }
    write_counters(out, s)
}

fn write_geo(out: &mut String, geo: &GeoStatus) -> std::fmt::Result {
    let day = |build: &str| build.get(..10).unwrap_or(build).to_owned();
    for (index, database) in geo.databases.iter().enumerate() {
        let DatabaseStatus { kind, build, age_days, freshness, source, .. } = database;
        let old = if freshness == "fresh" { String::new() } else { format!(", {freshness}") };
        let held = if index == 0 { format!("{} blocked ranges, ", geo.prefixes) } else { String::new() };
        let label = if index == 0 { "geo" } else { "" };
        writeln!(out, "{label:<12} {kind} of {} ({age_days} days old{old}), {held}{source}", day(build))?;
    }
    if geo.databases.len() > 1 {
        writeln!(out, "{:<12} what counts: {}", "", geo.vote)?;
    }
    geo.refused.iter().try_for_each(|refused| writeln!(out, "geo refused  {refused}"))
}

fn write_exemption(out: &mut String, exemption: &ExemptionStatus) -> std::fmt::Result {
    let ExemptionStatus { id, expires, days_left } = exemption;
    let left = if *days_left < 0 { "ended".to_owned() } else { format!("{days_left} days left") };
    writeln!(out, "exemption    {id} until {expires} ({left})")
}

fn write_counters(out: &mut String, s: &Status) -> std::fmt::Result {
    writeln!(out, "{:<22} {:>12} {:>12} {:>12} {:>8}", "events", "seen", "delivered", "suppressed", "lost")?;
    for (kind, value) in &s.counters {
        let number = |key: &str| value[key].as_u64().unwrap_or(0);
        let lost: u64 = value["lost"].as_object().map_or(0, |all| all.values().filter_map(Value::as_u64).sum());
        let (seen, delivered, suppressed) = (number("seen"), number("delivered"), number("suppressed"));
        writeln!(out, "{kind:<22} {seen:>12} {delivered:>12} {suppressed:>12} {lost:>8}")?;
    }
    writeln!(
        out,
        "alerts       {}   block entries {}   processes {}   devices watched {}",
        s.alerts, s.entries, s.processes, s.devices
    )?;
    let connections = &s.sockets;
    writeln!(
        out,
        "connections  {} from before their rule looked at: {} destroyed, {} would be, {} undecided, {} failed",
        connections.looked_at,
        connections.destroyed,
        connections.would_destroy,
        connections.undecided + connections.no_cgroup,
        connections.failed
    )?;
    let canaries = &s.jurisdictions;
    if canaries.listed > 0 {
        writeln!(
            out,
            "countries    {} listed, {} answers of the kernel checked, {} wrong{}",
            canaries.listed,
            canaries.checked,
            canaries.failed,
            if canaries.no_addresses.is_empty() {
                String::new()
            } else {
                format!(", no address known of {}", canaries.no_addresses.join(", "))
            }
        )?;
    }
    s.recording.iter().try_for_each(|recording| write_recording(out, recording))?;
    if s.operator_blocks > 0 {
        writeln!(out, "ordered      {} blocks by operators, see sentinel block list", s.operator_blocks)?;
    }
    s.gaps.iter().try_for_each(|gap| write_gap(out, gap))?;
    if let Some(failing) = &s.failing_tests {
        writeln!(out, "tests of the policies do not pass: {failing}")?;
    }
    if let Some(refused) = &s.refused_reload {
        writeln!(out, "reload refused: {refused}")?;
    }
    Ok(())
}

fn write_gap(out: &mut String, gap: &Gap) -> std::fmt::Result {
    let until = gap.until.as_deref().unwrap_or("now");
    let number = |count: Option<u64>| count.map_or_else(|| "an unknown number".to_owned(), |count| count.to_string());
    let (refused, lost) = (number(gap.refused), number(gap.lost));
    writeln!(out, "gap          {} to {until}: {}; {refused} refused, {lost} of events not read", gap.from, gap.why)
}

fn write_recording(out: &mut String, recording: &Recording) -> std::fmt::Result {
    let Recording { path, bytes, events, lost, stopped, .. } = recording;
    let lost = lost.queue_full + lost.size_limit + lost.write_error;
    writeln!(out, "recording    {}: {events} events, {bytes} bytes, {lost} events lost", path.display())?;
    stopped.iter().try_for_each(|why| writeln!(out, "             stopped: {why}"))
}

/// What is said at the end.
#[must_use]
pub fn summary(status: &Status, sinks: &[alerts::SinkStatus], left: &[String], stays: bool) -> String {
    let mut out = String::from("\nSentinel has stopped; ");
    out += &match (stays, left.is_empty()) {
        (true, _) => "enforcement stays in the kernel until `sentinel stop --disable`".to_owned(),
        (false, true) => "nothing of it is left in the kernel".to_owned(),
        (false, false) => left.join("; "),
    };
    out += ".\n";
    let _ = write_counters(&mut out, status);
    for sink in sinks {
        let lost = sink.lost.queue_full + sink.lost.sink_error;
        let _ = writeln!(out, "sink {}: {} alerts delivered, {lost} lost", sink.name, sink.delivered);
    }
    out
}
