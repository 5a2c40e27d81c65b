//! What the daemon puts into the audit trail beside decisions: its own life, what is in force, what each hook does.
//!
//! Invariants: every change of policies, lists, databases and exemptions is recorded with the hash before and after; the coverage
//! is recorded at least once a period while the daemon lives, so that a gap in it is a time about which nothing is known. Not
//! here: where it goes (`audit`).

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use alerts::audit::{Hash, Kind, canonical};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::Daemon;
use crate::{
    canary::Proof,
    clock,
    config::Mode,
    control::{Peer, Request},
    jurisdiction,
    kernel::hooks::NOT_NEEDED,
    notices::{self, Notice},
    policy::mode_word,
    status::Status,
};

/// A wall clock that is off by more than this, after a second, was set.
const JUMP_SECONDS: f64 = 1.0;
/// How often canaries that say the same are recorded.
const CANARIES: Duration = Duration::from_secs(3600);

/// What was recorded last.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    /// By kind and name: what is in force.
    in_force: BTreeMap<(Kind, String), Value>,
    /// By kind of event and cause.
    lost: BTreeMap<(String, String), u64>,
    /// Wall clock minus boot clock, seconds.
    offset: Option<f64>,
    /// What canaries say is wrong.
    failing: Vec<String>,
    /// When canaries were recorded last.
    canaries: Option<Instant>,
    /// The last signed record that sinks have heard of.
    signed: u64,
}

impl Daemon {
    /// Records something, if there is a trail.
    pub(super) fn note(&self, kind: Kind, data: Value) {
        if let Some(audit) = &self.pipeline.alerting.audit {
            audit.note(kind, data);
        }
    }

    /// The start, what is in force, what canaries have proved.
    pub(super) fn record_start(&mut self) {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let uname = rustix::system::uname();
        let start = json!({
            "boot_id": boot.trim(),
            "heartbeat_seconds": self.config.audit.heartbeat_seconds,
            "host": uname.nodename().to_string_lossy(),
            "kernel": uname.release().to_string_lossy(),
            "mode": mode_word(self.config.mode),
            "pid": std::process::id(),
            "version": env!("CARGO_PKG_VERSION"),
        });
        self.note(Kind::Start, start);
        self.record_in_force("start");
        let hooks: Map<String, Value> = self.kernel.hooks.iter().zip(&self.proofs).map(proof).collect();
        self.note(Kind::Canary, json!({ "of": "hooks", "hooks": hooks }));
        self.heartbeat();
    }

    /// Records what is in force where it is not what was recorded before.
    pub(super) fn record_in_force(&mut self, cause: &str) {
        let now = self.in_force_now();
        let before = std::mem::replace(&mut self.evidence.in_force, now);
        let after = &self.evidence.in_force;
        for ((kind, name), value) in after {
            let old = before.get(&(*kind, name.clone()));
            if old != Some(value) {
                self.note(*kind, change(name, cause, old, Some(value)));
            }
        }
        for ((kind, name), old) in before.iter().filter(|(key, _)| !after.contains_key(key)) {
            self.note(*kind, change(name, cause, Some(old), None));
        }
    }

    fn in_force_now(&self) -> BTreeMap<(Kind, String), Value> {
        let world = &self.pipeline.world;
        let mut all = BTreeMap::new();
        let modes: BTreeMap<&str, &str> =
            self.config.modes.iter().map(|(name, mode)| (name.as_str(), mode_word(*mode))).collect();
        let mode = json!({ "mode": mode_word(self.config.mode), "by_policy": modes });
        all.insert((Kind::Mode, "mode".to_owned()), mode);
        let policy = json!({ "sha256": world.policies.sha256(), "packages": world.policies.packages() });
        all.insert((Kind::Policy, "policies".to_owned()), policy);
        for (id, version, content) in world.programmes.contents() {
            let sha256 = Hash::of(&[canonical(&content).as_bytes()]).to_string();
            let list = json!({ "version": version, "sha256": sha256, "content": content });
            all.insert((Kind::List, id.to_owned()), list);
        }
        for database in world.geo.databases() {
            let info = database.info();
            let build = i64::try_from(info.build).ok().and_then(|at| Timestamp::from_second(at).ok());
            let value = json!({
                "type": info.database_type,
                "build": build.map(|build| build.to_string()),
                "sha256": info.sha256,
                "entries": info.v4_entries + info.v6_entries,
            });
            all.insert((Kind::Database, info.source.to_string()), value);
        }
        for exemption in notices::exemptions(&world.standing) {
            all.insert((Kind::Exemption, exemption.id.clone()), exemption_value(exemption));
        }
        all
    }

    /// The coverage, losses, canaries; the last signed head to the sinks.
    pub(super) fn heartbeat(&mut self) {
        if self.pipeline.alerting.audit.is_none() {
            return;
        }
        match self.status() {
            Ok(status) => {
                self.record_losses(&status);
                self.note(Kind::Coverage, coverage(&status));
            }
            Err(error) => tracing::error!("the coverage is not recorded: {error:#}"),
        }
        self.record_canaries();
        self.tell_head();
    }

    fn record_losses(&mut self, status: &Status) {
        let mut news = Map::new();
        for (kind, counter) in &status.counters {
            for (cause, count) in counter["lost"].as_object().into_iter().flatten() {
                let count = count.as_u64().unwrap_or_default();
                let known = self.evidence.lost.entry((kind.clone(), cause.clone())).or_default();
                if count > *known {
                    news.insert(format!("{kind}.{cause}"), (count - *known).into());
                }
                *known = count;
            }
        }
        if !news.is_empty() {
            let sum: u64 = news.values().filter_map(Value::as_u64).sum();
            self.note(Kind::Loss, json!({ "cause": "events", "events": sum, "by": news }));
        }
    }

    /// When what canaries say has changed, and once an hour.
    fn record_canaries(&mut self) {
        let jurisdiction::Tally { listed, checked, failed, failing, no_addresses, .. } =
            self.jurisdictions.tally.clone();
        let due = self.evidence.canaries.is_none_or(|last| last.elapsed() >= CANARIES);
        if failing != self.evidence.failing || due {
            self.evidence.canaries = Some(Instant::now());
            self.note(
                Kind::Canary,
                json!({ "of": "jurisdictions", "listed": listed, "checked": checked, "failed": failed,
                    "failing": failing, "no_addresses": no_addresses }),
            );
        }
        self.evidence.failing = failing;
    }

    /// Sends the last signed head through the sinks: kept there, it shows a trail that was cut.
    fn tell_head(&mut self) {
        let Some(health) = self.pipeline.alerting.audit.as_ref().map(crate::audit::Audit::health) else { return };
        let Some(signed) = health.signed.filter(|signed| signed.seq > self.evidence.signed) else { return };
        self.evidence.signed = signed.seq;
        self.pipeline.notice(&Notice::audit_head(&health.trail, signed.seq, &signed.hash.to_string()));
    }

    /// Looks whether somebody has set the wall clock; to be called often.
    pub(super) fn watch_clock(&mut self) {
        let boot = clock::boot_now() as f64 / 1e9;
        let wall = Timestamp::now().as_nanosecond() as f64 / 1e9;
        let offset = wall - boot;
        let jumped = self.evidence.offset.map(|before| offset - before).filter(|jump| jump.abs() > JUMP_SECONDS);
        self.evidence.offset = Some(offset);
        if let Some(jump) = jumped {
            let seconds = jump.round() as i64;
            tracing::warn!("the wall clock was set by {seconds} seconds");
            self.note(Kind::Clock, json!({ "jump_seconds": seconds }));
        }
    }

    /// What an operator asks for, before it takes effect.
    pub(super) fn record_request(&self, request: &Request, peer: &Peer) {
        match request {
            Request::Status | Request::BlockList => {}
            Request::Stop
            | Request::Disable
            | Request::Confirm
            | Request::BlockAdd { .. }
            | Request::BlockRemove { .. } => {
                let command = serde_json::to_value(request).unwrap_or_default();
                self.note(Kind::Operator, json!({ "by": peer.text(), "command": command }));
            }
        }
    }

    /// The end, with the last numbers.
    pub(super) fn record_stop(&mut self) {
        match self.status() {
            Ok(status) => {
                self.record_losses(&status);
                self.note(Kind::Stop, coverage(&status));
            }
            Err(error) => self.note(Kind::Stop, json!({ "error": format!("{error:#}") })),
        }
    }
}

fn change(name: &str, cause: &str, old: Option<&Value>, new: Option<&Value>) -> Value {
    let hash = |value: &Value| value.get("sha256").cloned().unwrap_or_else(|| value.clone());
    json!({ "name": name, "cause": cause, "before": old.map(hash), "after": new.map(hash), "now": new })
}

fn proof((state, proof): (&crate::kernel::HookState, &Option<Proof>)) -> (String, Value) {
    let word = match proof {
        Some(Proof::Proven) => json!("proven"),
        Some(Proof::Failed(why)) => json!(format!("failed: {why}")),
        None => json!(state.reason.clone().unwrap_or_else(|| "not attached".to_owned())),
    };
    (state.hook.name.to_owned(), word)
}

fn exemption_value(exemption: &rules::Exemption) -> Value {
    let countries: Vec<String> = exemption.countries.iter().map(ToString::to_string).collect();
    let cidrs: Vec<String> = exemption.cidrs.iter().map(ToString::to_string).collect();
    let expires = Timestamp::from_second(exemption.expires).unwrap_or(Timestamp::MAX).to_string();
    json!({
        "id": exemption.id, "type": exemption.kind, "authority": exemption.authority,
        "reference": exemption.reference, "approver": exemption.approver, "expires": expires,
        "covers": { "countries": countries, "regions": exemption.regions, "cidrs": cidrs,
            "paths": exemption.paths.len(), "executables": exemption.executables.len() },
    })
}

/// What each hook does, and how much was looked at since the start.
fn coverage(status: &Status) -> Value {
    let enforce = status.mode == mode_word(Mode::Enforce);
    let word = |hook: &crate::status::HookStatus| match (hook.attached, hook.proven) {
        (true, true) if enforce => "enforcing",
        (true, true) => "watching",
        (true, false) => "unproven",
        (false, _) if hook.reason.as_deref() == Some(NOT_NEEDED) => "not needed",
        (false, _) => "off",
    };
    let hooks: BTreeMap<&str, &str> = status.hooks.iter().map(|hook| (hook.name.as_str(), word(hook))).collect();
    let runs: BTreeMap<&str, u64> = status.hooks.iter().map(|hook| (hook.name.as_str(), hook.runs)).collect();
    let seen: BTreeMap<&str, u64> = status
        .counters
        .iter()
        .map(|(kind, counter)| (kind.as_str(), counter["seen"].as_u64().unwrap_or_default()))
        .collect();
    json!({
        "enforcement": status.enforcement.as_str(), "mode": status.mode, "reasons": status.reasons,
        "scope": status.scope, "hooks": hooks, "runs": runs, "seen": seen, "generation": status.generation,
        "policy": status.policy_sha256,
        "databases": status.geo.databases.iter().map(|database| json!({ "sha256": database.sha256,
            "age_days": database.age_days })).collect::<Vec<_>>(),
    })
}
