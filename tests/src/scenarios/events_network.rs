//! Facts of connect and send events: addresses of both families, also wrapped, ports, who acted.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::events::{Watch, child_of_test, expect, only, text};
use crate::harness::scenario::{Ctx, Scenario, World};

/// The scenarios of this file.
pub(super) fn all() -> Vec<Scenario> {
    vec![Scenario { name: "events-destinations", world: World::Both, run: destinations }]
}

/// An operation, the destination it names, and what the alert must say of it: address, type, transport.
const CASES: [(&str, &str, &str, u16, &str, &str); 7] = [
    ("connect", "203.0.113.5:8080", "203.0.113.5", 8080, "ipv4", "tcp"),
    ("connect", "[2001:db8::7]:8080", "2001:db8::7", 8080, "ipv6", "tcp"),
    ("connect", "[::ffff:203.0.113.6]:8080", "203.0.113.6", 8080, "ipv4", "tcp"),
    ("udp-connect", "192.0.2.9:53", "192.0.2.9", 53, "ipv4", "udp"),
    ("sendto", "198.51.100.1:5353", "198.51.100.1", 5353, "ipv4", "udp"),
    ("sendto", "[2001:db8::9]:5353", "2001:db8::9", 5353, "ipv6", "udp"),
    ("sendmsg", "[::ffff:198.51.100.2]:5353", "198.51.100.2", 5353, "ipv4", "udp"),
];

fn destinations(ctx: &Ctx) -> Result<()> {
    let pair = ctx.veth_pair()?;
    let _tcp = pair.far.tcp_sink("[::]:8080")?;
    let _udp = pair.far.udp_sink("[::]:5353")?;
    let watch = Watch::start(ctx)?;
    let mut runs = Vec::new();
    for case in CASES {
        let (pid, ended) = watch.run(ctx.act_as(&watch.actor, &[case.0, case.1]).netns(&pair.near).uid(65534))?;
        ensure!(ended.errnos() == [0], "{case:?}: {ended:?}");
        runs.push((pid, case));
    }
    let alerts = watch.all()?;
    for (pid, (op, to, ip, port, kind, transport)) in runs {
        let action = if op.starts_with("send") { "send" } else { "connect" };
        let mut known = child_of_test(ctx, 65534)?;
        known.extend([
            ("/process/executable", json!(text(&watch.actor))),
            ("/process/args", json!([text(&watch.actor), "act", op, to])),
            ("/process/thread/id", json!(pid)),
            ("/destination/ip", json!(ip)),
            ("/destination/port", json!(port)),
            // Documentation prefixes belong to no country.
            ("/destination/geo", Value::Null),
            ("/network/type", json!(kind)),
            ("/network/transport", json!(transport)),
        ]);
        expect(only(&alerts, pid, action)?, &known).with_context(|| format!("{op} {to}"))?;
    }
    watch.end()
}
