//! Sentinel's own events: counted, never alerted. And the counters: what the test itself counted.

use std::{collections::BTreeSet, fs, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::events::{EVERYTHING, Watch, text};
use crate::harness::{
    scenario::{Ctx, Place, Scenario, World, eventually},
    sentinel::Sentinel,
};

/// How many of each the test performs.
const TIMES: u64 = 150;
/// The causes a loss can have; each is in the status.
const CAUSES: [&str; 4] = ["ring_full", "no_buffer", "decode_error", "queue_full"];

/// The scenarios of this file.
pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario { name: "events-own-are-never-alerted", world: World::Both, run: own },
        Scenario { name: "events-are-counted", world: World::Both, run: counted },
    ]
}

/// On the host the rule is limited to what runs this very binary; elsewhere it fires on everything there is.
fn policy(ctx: &Ctx) -> Result<String> {
    if ctx.place == Place::Vm {
        return Ok(EVERYTHING.to_owned());
    }
    let binary = text(&fs::canonicalize(&ctx.sentinel_bin)?);
    Ok(format!(
        "package sentinel.own\n\nalert contains \"own\" if input.process.executable == \"{binary}\"\n\nalert contains \
         \"child\" if input.process.parent.executable == \"{binary}\"\n"
    ))
}

fn own(ctx: &Ctx) -> Result<()> {
    let policy = ctx.policy("own", &policy(ctx)?)?;
    let sentinel = ctx.sentinel().policy(&policy).start()?;
    let started = sentinel.status_json()?;
    // The canary's child: it was executed, and it opened libraries.
    ensure!(count(&started, "exec", "suppressed")? >= 1, "no exec of its own was counted: {started}");
    let before = count(&started, "open", "suppressed")?;
    for reload in 2..5 {
        sentinel.signal(libc::SIGHUP)?;
        eventually("a reload", Duration::from_secs(60), || {
            Ok((sentinel.status_json()?["generation"] == reload).then_some(()))
        })?;
    }
    // A reload opens the policy and the alert file at least.
    let after = count(&sentinel.status_json()?, "open", "suppressed")?;
    ensure!(after >= before + 6, "three reloads opened {} files", after - before);
    // The same binary under another process id is nobody's own: the rule does fire.
    let client = sentinel.verb("status").start()?;
    let pid = client.pid();
    ensure!(client.finish()?.code == Some(4));
    sentinel.wait_alert(Duration::from_secs(60), |alert| alert["process"]["pid"] == pid)?;
    let alerts = sentinel.settle(Duration::from_millis(300))?;
    let daemon = sentinel.pid();
    let bad: Vec<&Value> =
        alerts.iter().filter(|a| a["process"]["pid"] == daemon || a["process"]["parent"]["pid"] == daemon).collect();
    ensure!(bad.is_empty(), "{} alerts on its own events, the first: {}", bad.len(), bad[0]);
    check_sums(&sentinel.status_json()?)?;
    stop(sentinel)
}

/// Exactly what the test did, in a cgroup where nobody else does anything.
fn counted(ctx: &Ctx) -> Result<()> {
    let pair = ctx.veth_pair()?;
    let (tcp, udp) = (pair.far.tcp_sink("203.0.113.5:8080")?, pair.far.udp_sink("203.0.113.5:5353")?);
    let watch = Watch::start(ctx)?;
    let (data, times) = (text(&ctx.write("facts/marked", "x")?), TIMES.to_string());
    let mut steps = vec!["say", "ready", "--", "wait"];
    for op in [vec!["open", &data, "read"], vec!["connect", "203.0.113.5:8080"], vec!["sendto", "203.0.113.5:5353"]] {
        steps.extend(["--", "repeat", &times]);
        steps.extend(op);
        steps.extend(["--", "wait"]);
    }
    let mut child = ctx.act_as(&watch.actor, &steps).netns(&pair.near).cgroup(&watch.scope).start()?;
    child.wait_line("ready")?;
    for kind in ["open", "connect", "send"] {
        let before = quiet(&watch.sentinel)?;
        child.say("go")?;
        ensure!(child.next_errno()? == 0);
        let after = quiet(&watch.sentinel)?;
        for other in ["open", "connect", "send"] {
            let expected = if other == kind { TIMES } else { 0 };
            for field in ["seen", "delivered"] {
                let grown = count(&after, other, field)? - count(&before, other, field)?;
                ensure!(grown == expected, "{kind}: {other}.{field} grew by {grown}, not {expected}");
            }
            let field = "suppressed";
            ensure!(count(&after, other, field)? == count(&before, other, field)?, "{other}.{field} grew: {after}");
        }
        check_sums(&after)?;
    }
    child.say("end")?;
    ensure!(child.finish()?.code == Some(0));
    ensure!(tcp.accepted() == TIMES, "{} connections arrived", tcp.accepted());
    eventually("every datagram", Duration::from_secs(5), || Ok((udp.datagrams() == TIMES).then_some(())))?;
    watch.end()
}

/// The status once it says the same twice: everything has been handled.
pub(super) fn quiet(sentinel: &Sentinel) -> Result<Value> {
    let mut before = sentinel.status_json()?["counters"].take();
    eventually("counters that stand still", Duration::from_secs(120), || {
        std::thread::sleep(Duration::from_millis(200));
        let status = sentinel.status_json()?;
        let same = ["open", "connect", "send"].iter().all(|kind| before[kind] == status["counters"][kind]);
        before = status["counters"].clone();
        Ok(same.then_some(status))
    })
}

/// For every kind, seen = delivered + suppressed + the sum of losses by cause; and here nothing is lost.
fn check_sums(status: &Value) -> Result<()> {
    let counters = status["counters"].as_object().context("a status without counters")?;
    ensure!(counters.len() == 20, "kinds: {:?}", counters.keys());
    for (kind, values) in counters {
        let lost = values["lost"].as_object().with_context(|| format!("{kind} has no losses"))?;
        let causes: BTreeSet<&str> = lost.keys().map(String::as_str).collect();
        ensure!(causes == BTreeSet::from(CAUSES), "{kind}: {causes:?}");
        let lost: u64 = lost.values().filter_map(Value::as_u64).sum();
        let sum = count(status, kind, "delivered")? + count(status, kind, "suppressed")? + lost;
        ensure!(count(status, kind, "seen")? == sum, "{kind}: {values}");
        ensure!(lost == 0, "{kind}: {values}");
    }
    Ok(())
}

pub(super) fn count(status: &Value, kind: &str, field: &str) -> Result<u64> {
    status["counters"][kind][field].as_u64().with_context(|| format!("no counter {kind}.{field} in {status}"))
}

fn stop(sentinel: Sentinel) -> Result<()> {
    let ended = sentinel.stop()?;
    ensure!(ended.code == Some(0), "sentinel ended badly: {ended:?}");
    Ok(())
}
