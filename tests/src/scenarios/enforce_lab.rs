//! What the enforcement scenarios share: acts with an expected errno, and what the alert of each outcome has to say.
//!
//! Invariant: an expectation that is not met names the act, what came and what was expected.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::harness::{
    cgroup::Cgroup,
    command::Run,
    net::VethPair,
    scenario::{Ctx, Place, eventually},
    sentinel::{Launch, Sentinel},
};

/// How long an alert or a reload may take; the VM is emulated.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// What a refusal looks like to the caller.
pub(super) const EPERM: i32 = libc::EPERM;

/// How an event came out, as its alert has to show it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shown {
    /// Refused by the kernel.
    Refused,
    /// Decided after the event; an entry of this scope was written.
    EntryWritten(&'static str),
    /// Would have been refused by a verdict in the kernel.
    WouldBlockInKernel,
    /// Would have led to an entry.
    WouldBlockInUser,
    /// Let through by this exemption.
    Exempt(&'static str),
}

/// Whether a descriptor can hold a program to a network device on this kernel: since 6.6.
pub(super) fn has_tcx() -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split('.').map_while(|part| part.parse::<u32>().ok());
    (numbers.next(), numbers.next()) >= (Some(6), Some(6))
}

/// A string inside an alert; empty if it is not there.
pub(super) fn text<'a>(alert: &'a Value, pointer: &str) -> &'a str {
    alert.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Whether the alert's deciding rule is `id`.
pub(super) fn is_rule(alert: &Value, id: &str) -> bool {
    text(alert, "/sentinel/rules/0/id") == id
}

/// Whether the kernel refused the event of the alert.
pub(super) fn is_blocked(alert: &Value) -> bool {
    alert["sentinel"]["blocked"] == true
}

/// Checks everything in an alert that depends on how the event came out.
pub(super) fn ensure_shown(alert: &Value, id: &str, shown: Shown) -> Result<()> {
    let (blocked, would_block, decided_in, decision) = match shown {
        Shown::Refused => (true, true, "kernel", "deny"),
        Shown::EntryWritten(_) => (false, false, "user", "deny"),
        Shown::WouldBlockInKernel => (false, true, "kernel", "deny"),
        Shown::WouldBlockInUser => (false, true, "user", "deny"),
        Shown::Exempt(_) => (false, false, "kernel", "exempt"),
    };
    let about = &alert["sentinel"];
    ensure!(about["blocked"] == blocked && about["would_block"] == would_block, "{id}, {shown:?}: {alert}");
    ensure!(about["decided_in"] == decided_in && about["decision"] == decision, "{id}, {shown:?}: {alert}");
    ensure!(is_rule(alert, id), "{id}, {shown:?}: another rule decided: {alert}");
    let scope = text(alert, "/sentinel/entry_written/scope");
    let exemption = text(alert, "/sentinel/exemption/id");
    let expected = match shown {
        Shown::EntryWritten(scope) => (scope, ""),
        Shown::Exempt(exemption) => ("", exemption),
        Shown::Refused | Shown::WouldBlockInKernel | Shown::WouldBlockInUser => ("", ""),
    };
    ensure!((scope, exemption) == expected, "{id}, {shown:?}: {alert}");
    Ok(())
}

/// Waits for the `number`th alert (from 1) of the rule `id` and checks it. Gives it.
pub(super) fn alert_of(sentinel: &Sentinel, id: &str, number: usize, shown: Shown) -> Result<Value> {
    let mut all = sentinel.wait_alerts(number, PATIENCE, |alert| is_rule(alert, id)).with_context(|| {
        let all = sentinel.alerts().unwrap_or_default();
        format!("alert {number} of {id}; {} alerts came: {all:#?}; sentinel said:\n{}", all.len(), sentinel.stderr())
    })?;
    let alert = all.swap_remove(number - 1);
    ensure_shown(&alert, id, shown)?;
    Ok(alert)
}

/// Performs an act of one operation and checks its errno.
pub(super) fn expect(what: &str, run: Run, errno: i32) -> Result<()> {
    let came = run.errno().with_context(|| what.to_owned())?;
    ensure!(came == errno, "{what}: errno {came}, expected {errno}");
    Ok(())
}

/// Checks the errno of a first try that an event rule denies. It passes the hook that reports it. On the network further
/// hooks follow (the cgroup's, then the packet's), and a decision that is quick enough is refused there: at once, or by
/// dropping the first packets until the act gives up.
pub(super) fn ensure_first_try(op: &str, errno: i32) -> Result<()> {
    let one_hook = op.starts_with("open") || op.starts_with("exec");
    let fine = errno == 0 || (!one_hook && [EPERM, libc::EINPROGRESS].contains(&errno));
    ensure!(fine, "{op}: errno {errno} on the first try");
    Ok(())
}

/// Waits for the refusal of a later try: by the hook that reports, which let the first one pass.
pub(super) fn refused_at(sentinel: &Sentinel, id: &str, hook: &str) -> Result<Value> {
    let wanted = |alert: &Value| is_rule(alert, id) && is_blocked(alert) && alert["sentinel"]["hook"] == hook;
    let alert = sentinel.wait_alert(PATIENCE, wanted).with_context(|| format!("{id} refused at {hook}"))?;
    ensure_shown(&alert, id, Shown::Refused)?;
    Ok(alert)
}

/// How many alerts say that an entry was written for the rule: tries that passed its first hook.
pub(super) fn entries_written(sentinel: &Sentinel, id: &str) -> Result<usize> {
    let alerts = sentinel.alerts()?;
    Ok(alerts.iter().filter(|alert| is_rule(alert, id) && alert["sentinel"]["entry_written"].is_object()).count())
}

/// Words of an act, split at spaces.
pub(super) fn words(op: &str) -> Vec<&str> {
    op.split(' ').collect()
}

/// Where acts take place: in the VM anywhere, on the host in a cgroup of the scenario's own, always on the near end of
/// a cable of its own.
pub(super) struct Ground {
    pub(super) pair: VethPair,
    pub(super) cgroup: Cgroup,
}

impl Ground {
    pub(super) fn prepare(ctx: &Ctx) -> Result<Self> {
        Ok(Self { pair: ctx.veth_pair()?, cgroup: ctx.cgroup("scope")? })
    }

    /// An enforcing Sentinel: whole host in the VM, this cgroup on the host.
    pub(super) fn enforce(&self, ctx: &Ctx) -> Launch {
        match ctx.place {
            Place::Vm => ctx.sentinel().enforce_whole_host(),
            Place::Host => ctx.sentinel().enforce_in(&self.cgroup),
        }
    }

    /// An act by `program` on the near end.
    pub(super) fn act(&self, ctx: &Ctx, program: &Path, op: &str) -> Run {
        ctx.act_as(program, &words(op)).cgroup(&self.cgroup).netns(&self.pair.near)
    }

    /// The same, with its errno checked.
    pub(super) fn expect(&self, ctx: &Ctx, op: &str, errno: i32) -> Result<()> {
        expect(op, self.act(ctx, &ctx.tests_bin, op), errno)
    }
}

/// Writes another text into the policy file and reloads; returns when it is in force.
pub(super) fn reload(sentinel: &Sentinel, policy: &Path, rego: &str) -> Result<()> {
    let state = || -> Result<(u64, String)> {
        let status = sentinel.status_json()?;
        let generation = status["generation"].as_u64().context("the status shows no generation")?;
        Ok((generation, text(&status, "/policy_sha256").to_owned()))
    };
    let before = state()?;
    // After a refusal the text in force is not that of the file, and may be the new one already.
    let refused = !sentinel.status_json()?["refused_reload"].is_null();
    let same = refused || std::fs::read_to_string(policy).is_ok_and(|old| old == rego);
    std::fs::write(policy, rego).with_context(|| format!("writing {}", policy.display()))?;
    sentinel.signal(libc::SIGHUP)?;
    // The daemon looks by itself too, so a generation may come in between that is of the text before.
    let there = |now: (u64, String)| now.0 > before.0 && (same || now.1 != before.1);
    eventually("a new generation", PATIENCE, || Ok(there(state()?).then_some(())))
        .with_context(|| format!("sentinel said:\n{}", sentinel.stderr()))
}

/// Repeats an act until its errno is `errno`; gives when that was.
pub(super) fn until(what: &str, errno: i32, act: impl Fn() -> Run) -> Result<Instant> {
    eventually(&format!("{what}: errno {errno}"), PATIENCE, || Ok((act().errno()? == errno).then(Instant::now)))
}

/// Stops it and checks that it ended well.
pub(super) fn stop(sentinel: Sentinel) -> Result<()> {
    let ended = sentinel.stop()?;
    ensure!(ended.code == Some(0), "sentinel ended badly: {ended:?}");
    Ok(())
}
