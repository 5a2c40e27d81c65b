//! Names of destinations, from DNS answers that a server at the far end of a cable gives to an act inside the scope.
//!
//! Invariant: messages are put together here byte by byte and share nothing with what reads them.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, UdpSocket},
    path::Path,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::events::{EVERYTHING, Watch, by, expect};
use crate::harness::{
    command::Running,
    net::VethPair,
    scenario::{Ctx, Scenario, World, eventually},
};

/// The scenarios of this file.
pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario { name: "names-from-dns-answers", world: World::Both, run: from_answers },
        Scenario { name: "names-need-a-sound-answer", world: World::Both, run: unsound },
        Scenario { name: "names-in-a-flood-of-answers", world: World::Both, run: flood },
        Scenario { name: "names-in-enforce-mode", world: World::Both, run: enforcing },
        Scenario { name: "names-switched-off", world: World::Both, run: switched_off },
    ]
}

/// How long what must happen may take.
const LIMIT: Duration = Duration::from_secs(60);
/// Servers: by IPv4, and by IPv6 (an address of the far device itself, which a socket can be bound to).
const SERVER4: &str = "192.0.2.53:53";
const SERVER6: &str = "[fd00:200::2]:53";
/// A compression pointer to the name of the question.
const ASKED: &[u8] = &[0xc0, 12];
const A: u16 = 1;
const CNAME: u16 = 5;
const AAAA: u16 = 28;

/// Fires by name, in any spelling that the question had.
const BY_NAME: &str =
    "alert contains {\"id\": \"by-name\", \"msg\": \"named\"} if input.destination.domain == \"shop.example.com\"\n";

fn name(text: &str) -> Vec<u8> {
    let labels = text.split('.').flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat());
    labels.chain([0]).collect()
}

fn record(owner: &[u8], kind: u16, data: &[u8]) -> Vec<u8> {
    let [high, low] = kind.to_be_bytes();
    let [long, short] = (data.len() as u16).to_be_bytes();
    [owner, &[high, low, 0, 1, 0, 0, 1, 44, long, short], data].concat()
}

/// A response to a question for `asked`.
fn response(asked: &str, records: &[Vec<u8>]) -> Vec<u8> {
    let header = [0, 7, 0x81, 0x80, 0, 1, 0, records.len() as u8, 0, 0, 0, 0];
    [&header, name(asked).as_slice(), &[0, 1, 0, 1], &records.concat()].concat()
}

/// A daemon that watches the acts of a scope, and the cable that they use.
struct Lab {
    watch: Watch,
    pair: VethPair,
}

impl Lab {
    fn start(ctx: &Ctx, settings: &str, enforce: bool) -> Result<Self> {
        let pair = ctx.veth_pair()?;
        let (scope, actor) = (ctx.cgroup("names")?, ctx.program("actor")?);
        let policy = ctx.policy("names", &format!("{EVERYTHING}\n{BY_NAME}"))?;
        let launch = ctx.sentinel().policy(&policy).config(&ctx.write("sentinel.toml", settings)?);
        let launch = if enforce { launch.enforce_in(&scope) } else { launch.monitor_in(&scope) };
        let watch = Watch { sentinel: launch.start()?, scope, dir: ctx.dir.clone(), actor };
        Ok(Self { watch, pair })
    }

    /// Starts an act that asks a server and waits for a line before it goes on.
    fn ask(&self, ctx: &Ctx, how: &str, server: &str, then: &[&str]) -> Result<Running> {
        let steps = [&[how, server, "--", "send", "--", "wait"], then].concat();
        let run = ctx.act_as(Path::new(&self.watch.actor), &steps).netns(&self.pair.near).uid(65534);
        let mut running = run.cgroup(&self.watch.scope).start()?;
        for what in ["connecting to", "asking"] {
            ensure!(running.next_errno()? == 0, "{what} the server {server}");
        }
        Ok(running)
    }

    /// A UDP server at the far end: answers one question, whatever it was.
    fn udp(&self, server: &str) -> Result<UdpSocket> {
        let at: SocketAddr = server.parse()?;
        self.pair.far.enter(move || {
            let socket = UdpSocket::bind(at).with_context(|| format!("binding {at}"))?;
            socket.set_read_timeout(Some(LIMIT))?;
            Ok(socket)
        })
    }

    /// Asks by UDP, answers with this message, and lets the act go on when Sentinel has counted one more of `counter`.
    fn asked(&self, ctx: &Ctx, server: &str, answer: &[u8], counter: &str, then: &[&str]) -> Result<u32> {
        let socket = self.udp(server)?;
        let before = self.count(counter)?;
        let mut act = self.ask(ctx, "udp-connect", server, then)?;
        let (_, client) = socket.recv_from(&mut [0; 512])?;
        socket.send_to(answer, client)?;
        self.counted(counter, before + 1)?;
        finish(act_on(&mut act)?, act)
    }

    /// A counter of DNS answers, by JSON pointer.
    fn count(&self, counter: &str) -> Result<u64> {
        let status = self.watch.sentinel.status_json()?;
        let value = status.pointer(&format!("/counters/dns_answer{counter}")).and_then(Value::as_u64);
        value.with_context(|| format!("no counter {counter} in {status}"))
    }

    fn counted(&self, counter: &str, number: u64) -> Result<()> {
        eventually(&format!("dns_answer{counter} = {number}"), LIMIT, || {
            Ok((self.count(counter)? >= number).then_some(()))
        })
    }

    /// What the alert on the connect of a process to an address says of its name.
    fn domain(&self, pid: u32, ip: &str) -> Result<Value> {
        let alerts = self.watch.all()?;
        let to: Vec<&Value> =
            by(&alerts, pid, "connect").into_iter().filter(|a| a["destination"]["ip"] == ip).collect();
        ensure!(to.len() == 1, "{} connects of process {pid} to {ip} in {alerts:?}", to.len());
        Ok(to[0]["destination"]["domain"].clone())
    }
}

fn act_on(act: &mut Running) -> Result<u32> {
    act.say("go on")?;
    Ok(act.pid())
}

/// Waits for the end of an act all of whose operations worked.
fn finish(pid: u32, act: Running) -> Result<u32> {
    let ended = act.finish()?;
    ensure!(ended.code == Some(0) && ended.errnos().iter().all(|errno| *errno == 0), "{ended:?}");
    Ok(pid)
}

const DELIVERED: &str = "/delivered";
const MALFORMED: &str = "/lost/decode_error";

fn from_answers(ctx: &Ctx) -> Result<()> {
    let lab = Lab::start(ctx, "", false)?;
    let _sink = lab.pair.far.tcp_sink("[::]:8080")?;
    // Aliases lead back to the name that was asked for; an address that no answer gave has none.
    let shop = response(
        "Shop.Example.COM",
        &[record(ASKED, CNAME, &name("edge.cdn.example")), record(&name("edge.cdn.example"), A, &[203, 0, 113, 5])],
    );
    let then = ["--", "connect", "203.0.113.5:8080", "--", "connect", "203.0.113.6:8080"];
    let pid = lab.asked(ctx, SERVER4, &shop, DELIVERED, &then)?;
    ensure!(lab.domain(pid, "203.0.113.5")? == "shop.example.com");
    ensure!(lab.domain(pid, "203.0.113.6")?.is_null(), "an address without an answer has a name");
    let alert =
        lab.watch.sentinel.wait_alert(LIMIT, |a| a["rule"]["id"] == "by-name" || ids(a).contains(&"by-name"))?;
    expect(&alert, &[("/destination/ip", json!("203.0.113.5")), ("/process/pid", json!(pid))])?;
    // IPv6, and the same IPv4 destination in its other spelling.
    let six = std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7).octets();
    let six = response("six.example", &[record(ASKED, AAAA, &six)]);
    let then = ["--", "connect", "[2001:db8::7]:8080", "--", "connect", "[::ffff:203.0.113.5]:8080"];
    let pid = lab.asked(ctx, SERVER6, &six, DELIVERED, &then)?;
    ensure!(lab.domain(pid, "2001:db8::7")? == "six.example");
    ensure!(lab.domain(pid, "203.0.113.5")? == "shop.example.com", "the wrapped address lost its name");
    by_stream(ctx, &lab)?;
    let status = lab.watch.sentinel.status_json()?;
    let counters = &status["counters"]["dns_answer"];
    ensure!(counters["seen"] == 3 && counters["delivered"] == 3, "{counters}");
    lab.watch.end()
}

/// The same over TCP, where a length goes before the message.
fn by_stream(ctx: &Ctx, lab: &Lab) -> Result<()> {
    let at: SocketAddr = SERVER4.parse()?;
    let listener = lab.pair.far.enter(move || Ok(TcpListener::bind(at)?))?;
    let message = response("stream.example", &[record(ASKED, A, &[203, 0, 113, 8])]);
    let before = lab.count(DELIVERED)?;
    let mut act = lab.ask(ctx, "keep", SERVER4, &["--", "connect", "203.0.113.8:8080"])?;
    let (mut stream, _) = listener.accept()?;
    stream.read_exact(&mut [0; 1])?;
    stream.write_all(&[&(message.len() as u16).to_be_bytes(), message.as_slice()].concat())?;
    lab.counted(DELIVERED, before + 1)?;
    let pid = finish(act_on(&mut act)?, act)?;
    ensure!(lab.domain(pid, "203.0.113.8")? == "stream.example");
    Ok(())
}

/// The rules of an alert.
fn ids(alert: &Value) -> Vec<&str> {
    alert["sentinel"]["rules"]
        .as_array()
        .map_or_else(Vec::new, |all| all.iter().filter_map(|r| r["id"].as_str()).collect())
}

/// Malformed, no answer, or from another port: nothing changes, and what is malformed is counted.
fn unsound(ctx: &Ctx) -> Result<()> {
    let lab = Lab::start(ctx, "", false)?;
    let _sink = lab.pair.far.tcp_sink("[::]:8080")?;
    let good = response("good.example", &[record(ASKED, A, &[203, 0, 113, 5])]);
    lab.asked(ctx, SERVER4, &good, DELIVERED, &[])?;
    let then = ["--", "connect", "203.0.113.5:8080", "--", "connect", "203.0.113.9:8080"];
    let forged = |records: &[Vec<u8>]| response("evil.example", records);
    let both = [record(ASKED, A, &[203, 0, 113, 5]), record(ASKED, A, &[203, 0, 113, 9])];
    let loops = forged(&[both.as_slice(), &[record(&[0xc0, 62], A, &[203, 0, 113, 9])]].concat());
    let promised = [forged(&both).as_slice(), &[]].concat();
    let mut more = promised.clone();
    more[7] = 200;
    for (number, bad) in [loops, more, promised[..promised.len() - 1].to_vec()].iter().enumerate() {
        let pid = lab.asked(ctx, SERVER4, bad, MALFORMED, &then)?;
        ensure!(lab.count(MALFORMED)? == number as u64 + 1);
        ensure!(lab.domain(pid, "203.0.113.5")? == "good.example", "message {number} changed a name");
        ensure!(lab.domain(pid, "203.0.113.9")?.is_null(), "message {number} gave a name");
    }
    // Names of the local link are no DNS; a query and a refusal say nothing. The last message shows that all came by.
    let (mut query, mut refusal) = (forged(&both), forged(&both));
    query[2] &= 0x7f;
    refusal[3] |= 5;
    for (server, message) in [("192.0.2.53:5353", forged(&both)), (SERVER4, query), (SERVER4, refusal)] {
        let socket = lab.udp(server)?;
        let mut act = lab.ask(ctx, "udp-connect", server, &[])?;
        let (_, client) = socket.recv_from(&mut [0; 512])?;
        socket.send_to(&message, client)?;
        std::thread::sleep(Duration::from_millis(100));
        finish(act_on(&mut act)?, act)?;
    }
    let pid = lab.asked(ctx, SERVER4, &good, DELIVERED, &then)?;
    ensure!(lab.domain(pid, "203.0.113.5")? == "good.example");
    ensure!(lab.domain(pid, "203.0.113.9")?.is_null());
    ensure!((lab.count("/seen")?, lab.count(DELIVERED)?, lab.count(MALFORMED)?) == (5, 2, 3));
    // A stranger's bad messages are no lost events.
    let alerts = lab.watch.all()?;
    ensure!(alerts.iter().all(|alert| alert["sentinel"]["lost_before"] == 0), "events count as lost");
    lab.watch.end()
}

/// How many answers a flood has.
const FLOOD: u64 = 20_000;

/// A stranger's answers: every one that came is delivered or counted as lost, and no event goes missing for them.
fn flood(ctx: &Ctx) -> Result<()> {
    let lab = Lab::start(ctx, "[events]\nrepeat_seconds = 0\n", false)?;
    let _sink = lab.pair.far.tcp_sink("[::]:8080")?;
    let before = runs(&lab)?;
    let server = lab.udp(SERVER4)?;
    let mut act = lab.ask(ctx, "udp-connect", SERVER4, &["--", "repeat", "50", "connect", "203.0.113.5:8080"])?;
    let (_, client) = server.recv_from(&mut [0; 512])?;
    let records: Vec<Vec<u8>> = (0..80).map(|last| record(ASKED, A, &[198, 51, 100, last])).collect();
    let answer = response("flood.example", &records);
    for _ in 0..FLOOD / 2 {
        server.send_to(&answer, client)?;
    }
    act.say("connect")?;
    for _ in 0..FLOOD / 2 {
        server.send_to(&answer, client)?;
    }
    let pid = finish(act.pid(), act)?;
    let alerts = lab.watch.all()?;
    let connects = by(&alerts, pid, "connect");
    let to = |ip: &str| connects.iter().filter(|alert| alert["destination"]["ip"] == ip).count();
    ensure!(to("203.0.113.5") == 50, "{} of 50 connects were reported", to("203.0.113.5"));
    // The kernel drops datagrams of a full socket before any hook, so what came is what the hook itself counted.
    let came = runs(&lab)? - before;
    let (seen, delivered, lost) = (lab.count("/seen")?, lab.count(DELIVERED)?, lab.count("/lost/ring_full")?);
    println!("    {lost} of {came} answers did not fit into the ring");
    ensure!(came > 0 && seen == came && delivered + lost == came, "of {came}: {seen}, {delivered} + {lost}");
    ensure!(alerts.iter().all(|alert| alert["sentinel"]["lost_before"] == 0), "answers count as lost events");
    lab.watch.end()
}

/// How often the hook has looked at a packet from port 53 (the canary's is one of them).
fn runs(lab: &Lab) -> Result<u64> {
    let status = lab.watch.sentinel.status_json()?;
    hook(&status)?["runs"].as_u64().context("a hook without runs")
}

/// Enforcing changes nothing about it: the hook is proved, and an address that is refused is named as well.
fn enforcing(ctx: &Ctx) -> Result<()> {
    let lab = Lab::start(ctx, "", true)?;
    let _sink = lab.pair.far.tcp_sink("[::]:8080")?;
    let status = lab.watch.sentinel.status_json()?;
    let hook = hook(&status)?;
    ensure!(hook["attached"] == true && hook["proven"] == true, "{hook}");
    let answer = response("kept.example", &[record(ASKED, A, &[203, 0, 113, 5])]);
    let pid = lab.asked(ctx, SERVER4, &answer, DELIVERED, &["--", "connect", "203.0.113.5:8080"])?;
    ensure!(lab.domain(pid, "203.0.113.5")? == "kept.example");
    lab.watch.end()
}

fn switched_off(ctx: &Ctx) -> Result<()> {
    let lab = Lab::start(ctx, "[egress]\ndns_names = false\n", false)?;
    let _sink = lab.pair.far.tcp_sink("[::]:8080")?;
    let status = lab.watch.sentinel.status_json()?;
    let hook = hook(&status)?;
    ensure!(
        hook["attached"] == false && hook["reason"].as_str().is_some_and(|why| why.contains("dns_names")),
        "{hook}"
    );
    ensure!(!status["reasons"].to_string().contains("ingress"), "what is switched off is not missed: {status}");
    let server = lab.udp(SERVER4)?;
    let mut act = lab.ask(ctx, "udp-connect", SERVER4, &["--", "connect", "203.0.113.5:8080"])?;
    let (_, client) = server.recv_from(&mut [0; 512])?;
    server.send_to(&response("off.example", &[record(ASKED, A, &[203, 0, 113, 5])]), client)?;
    std::thread::sleep(Duration::from_millis(200));
    let pid = finish(act_on(&mut act)?, act)?;
    ensure!(lab.domain(pid, "203.0.113.5")?.is_null() && lab.count("/seen")? == 0);
    lab.watch.end()
}

fn hook(status: &Value) -> Result<&Value> {
    let hooks = status["hooks"].as_array().context("a status without hooks")?;
    hooks.iter().find(|hook| hook["name"] == "ingress").context("no hook `ingress`")
}
