//! Technique N13: somebody forbidden asks, and the kernel answers: SYN-ACK, RST, ICMP errors, echo replies.
//!
//! Invariant: the question comes from the far end, from an address that the rules name; what counts is what goes back there.
//! The kernel's own sockets belong to no scope: with one, the status says so; on the whole host they are silent.

use std::net::IpAddr;

use anyhow::{Context, Result, ensure};

use super::{
    egress_bypass,
    egress_lab::{self, Field, PROOF, QUIET, RULES, Side, alerted_for},
    enforce_lab::stop,
};
use crate::harness::{
    net::{NEAR_V4, NEAR_V6},
    scenario::{Ctx, Place, Scenario, World},
};

/// The scenarios of this file.
pub(super) fn all() -> Vec<Scenario> {
    vec![Scenario { name: "egress-n13-replies", world: World::Both, run: replies }]
}

/// A question from outside: the operation with `{near}` and `{from}`, and whether a process in the scope answers, not the
/// kernel by itself.
struct Question {
    name: &'static str,
    op: &'static str,
    by_listener: bool,
}

const QUESTIONS: [Question; 4] = [
    Question { name: "SYN-ACK", op: "syn {near}:8080 {ms} {from}:0", by_listener: true },
    Question { name: "RST", op: "syn {near}:8081 {ms} {from}:0", by_listener: false },
    Question { name: "port unreachable", op: "sendto {near}:8082 {from}:0", by_listener: false },
    Question { name: "echo reply", op: "ping {near} {from}", by_listener: false },
];

/// Who asks: the `number`th question has an address of its own.
fn asker(side: Side, number: usize, v6: bool) -> IpAddr {
    if v6 { egress_lab::v6(side, number).into() } else { egress_lab::v4(side, number).into() }
}

/// Asks so often, from the far end; gives how many answers went back.
fn ask(ctx: &Ctx, field: &Field, question: &Question, address: IpAddr, times: u32) -> Result<u64> {
    let (from, v6) = (address.to_string(), address.is_ipv6());
    let bracketed =
        |address: &str, op: &str| if v6 && op.contains(':') { format!("[{address}]") } else { address.to_owned() };
    let near = if v6 { NEAR_V6 } else { NEAR_V4 };
    let op = question
        .op
        .replace("{near}", &bracketed(near, question.op))
        .replace("{from}", &bracketed(&from, question.op))
        .replace("{ms}", if times == 1 { "200" } else { "1" });
    let before = field.meter.frames(address);
    // Errors are limited to a thousand a second for the whole machine.
    let pause = if question.op.starts_with("sendto") { 2 } else { 0 };
    let words = format!("every {pause} {times} {op}");
    let words: Vec<&str> = words.split(' ').collect();
    // What it is told does not matter: a refused answer looks like silence.
    ctx.act(&words).netns(&field.ground.pair.far).outcome()?;
    field.meter.settled(QUIET)?;
    Ok(field.meter.frames(address) - before)
}

fn replies(ctx: &Ctx) -> Result<()> {
    let field = Field::prepare(ctx)?;
    let near = &field.ground.pair.near;
    // Addresses that the far end only answers for can ask as well.
    field.ground.pair.far.sysctl("ipv6/ip_nonlocal_bind", "1")?;
    // Nor are they limited by who asks, in this namespace.
    near.sysctl("ipv4/icmp_ratelimit", "0")?;
    near.sysctl("ipv6/icmp/ratelimit", "0")?;
    near.sysctl("ipv4/tcp_max_syn_backlog", "4096")?;
    let mut listener = field.act(ctx, "listen [::]:8080 -- wait").start()?;
    ensure!(listener.next_errno()? == 0, "the listener cannot listen");
    let all = || QUESTIONS.iter().flat_map(|question| [(question, false), (question, true)]).enumerate();
    for (number, (question, v6)) in all() {
        let came = ask(ctx, &field, question, asker(Side::Forbidden, number + 1, v6), PROOF)?;
        // Several answers to one question are one each at least.
        ensure!(came >= u64::from(PROOF), "{}, IPv6 {v6}: {came} answers to {PROOF} without Sentinel", question.name);
    }
    let sentinel = field.ground.enforce(ctx).policy(&ctx.policy("lab", RULES)?).start()?;
    let status = sentinel.status_json()?;
    let reasons = status["reasons"].to_string();
    let scoped = ctx.place == Place::Host;
    ensure!(reasons.contains("kernel_replies") == scoped, "the status says: {reasons}");
    for (number, (question, v6)) in all() {
        let address = asker(Side::Forbidden, number + 21, v6);
        let came = ask(ctx, &field, question, address, 3)?;
        // The kernel's RST in IPv6 belongs to no socket at all: only a program on the device sees it.
        // On kernels before 6.6 the SYN-ACK in IPv6 passes no cgroup hook either (seen on 6.1).
        let of_kernel = question.name == "RST" && !egress_bypass::on_devices(ctx);
        let past_cgroups = v6 && of_kernel;
        let leaves = (scoped && !question.by_listener) || past_cgroups;
        ensure!((came > 0) == leaves, "{}, IPv6 {v6}: {came} answers", question.name);
        if !leaves {
            alerted_for(&sentinel, address).context(question.name)?;
        }
        let came = ask(ctx, &field, question, asker(Side::Allowed, number + 21, v6), 3)?;
        ensure!(came >= 3, "{}, IPv6 {v6}: {came} answers to 3 from an allowed address", question.name);
    }
    drop(listener);
    stop(sentinel)
}
