//! Policies that change on disk come into force by themselves, whoever replaces the files and however; what is wrong does not.
//!
//! Invariant: each change is seen in what the kernel refuses, not in what the daemon says.

use std::{
    fs,
    net::{SocketAddr, UdpSocket},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use super::enforce_lab::{EPERM, Ground, PATIENCE, Shown, alert_of, is_rule, stop, text};
use crate::harness::{
    scenario::{Ctx, Place, Scenario, World, eventually},
    sentinel::Sentinel,
};

/// The scenarios of this file.
pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario { name: "hot-reload-of-every-kind", world: World::Both, run: every_kind },
        Scenario { name: "hot-reload-refuses-what-is-wrong", world: World::Both, run: refused },
        Scenario { name: "policy-modes-in-the-settings", world: World::Both, run: modes },
        Scenario { name: "policy-rule-that-explodes", world: World::Both, run: explodes },
        Scenario { name: "hot-reload-of-a-hundred-rules", world: World::Vm, run: hundred_rules },
        Scenario { name: "hot-reload-many-times", world: World::Both, run: many_times },
    ]
}

const FORBIDDEN: &str = "udp-connect 203.0.113.1:9";
const OTHER: &str = "udp-connect 198.51.100.1:9";

fn block(package: &str, network: &str) -> String {
    format!("package sentinel.{package}\n\nblock_cidrs contains \"{network}\"\n")
}

/// A daemon on a directory of policies, and the means to try.
struct Lab<'a> {
    ctx: &'a Ctx,
    ground: Ground,
    directory: PathBuf,
}

impl<'a> Lab<'a> {
    fn prepare(ctx: &'a Ctx) -> Result<Self> {
        let first =
            ctx.write("policy/first.rego", "package sentinel.first\n\nblock_cidrs contains \"192.0.2.128/25\"\n")?;
        let directory = first.parent().context("a file has a directory")?.to_path_buf();
        Ok(Self { ctx, ground: Ground::prepare(ctx)?, directory })
    }

    fn start(&self) -> Result<Sentinel> {
        self.ground.enforce(self.ctx).policy(&self.directory).start()
    }

    fn becomes(&self, what: &str, op: &str, errno: i32, sentinel: &Sentinel) -> Result<()> {
        let act = || Ok((self.ground.act(self.ctx, &self.ctx.tests_bin, op).errno()? == errno).then_some(()));
        eventually(&format!("{what}: {op} gives errno {errno}"), PATIENCE, act)
            .with_context(|| format!("sentinel said:\n{}", sentinel.stderr()))
    }
}

fn every_kind(ctx: &Ctx) -> Result<()> {
    let lab = Lab::prepare(ctx)?;
    let file = lab.directory.join("second.rego");
    lab.ground.expect(ctx, FORBIDDEN, 0)?;
    let sentinel = lab.start()?;
    lab.ground.expect(ctx, FORBIDDEN, 0)?;

    fs::write(&file, block("second", "203.0.113.0/24"))?;
    lab.becomes("a new file", FORBIDDEN, EPERM, &sentinel)?;

    fs::write(lab.directory.join(".second.swp"), block("second", "198.51.100.0/24"))?;
    fs::rename(lab.directory.join(".second.swp"), &file)?;
    lab.becomes("an editor that renames over", FORBIDDEN, 0, &sentinel)?;
    lab.becomes("an editor that renames over", OTHER, EPERM, &sentinel)?;

    fs::remove_file(&file)?;
    lab.becomes("a file that is removed", OTHER, 0, &sentinel)?;

    config_map(&lab, &sentinel)?;

    let deny = "package sentinel.third\n\ndeny contains \"no\" if {\n\tinput.event.action == \"connect\"\n\t\
                input.destination.ip == \"203.0.113.1\"\n}\n";
    fs::write(lab.directory.join("third.rego"), deny)?;
    lab.becomes("an event rule and its entry", FORBIDDEN, EPERM, &sentinel)?;
    fs::remove_file(lab.directory.join("third.rego"))?;
    lab.becomes("entries of a rule that is gone", FORBIDDEN, 0, &sentinel)?;

    let told = sentinel.wait_alerts(5, PATIENCE, |alert| is_rule(alert, "policy-replaced"))?;
    ensure!(told.iter().all(|alert| alert["event"]["action"] == "notice"), "{told:#?}");
    stop(sentinel)
}

/// Files that are links through a link to a directory, which is swapped: how Kubernetes mounts a ConfigMap.
fn config_map(lab: &Lab, sentinel: &Sentinel) -> Result<()> {
    for (version, network) in [("..one", "203.0.113.0/24"), ("..two", "198.51.100.0/24")] {
        fs::create_dir(lab.directory.join(version))?;
        fs::write(lab.directory.join(version).join("map.rego"), block("map", network))?;
    }
    let link = |to: &str, name: &str| symlink(to, lab.directory.join(name));
    link("..one", "..data")?;
    link("..data/map.rego", "map.rego")?;
    lab.becomes("a mounted map", FORBIDDEN, EPERM, sentinel)?;
    link("..two", "..new")?;
    fs::rename(lab.directory.join("..new"), lab.directory.join("..data"))?;
    lab.becomes("a swapped map", FORBIDDEN, 0, sentinel)?;
    lab.becomes("a swapped map", OTHER, EPERM, sentinel)?;
    fs::remove_file(lab.directory.join("map.rego"))?;
    lab.becomes("a map that is gone", OTHER, 0, sentinel)
}

fn refused(ctx: &Ctx) -> Result<()> {
    let lab = Lab::prepare(ctx)?;
    let file = lab.directory.join("second.rego");
    let good = block("second", "203.0.113.0/24");
    fs::write(&file, &good)?;
    let sentinel = lab.start()?;
    let bad = [
        ("second.rego", format!("{}deny contains {{\n", block("second", "198.51.100.0/24")), "second.rego:"),
        ("second.rego", block("second", "198.51.100.0/33"), "198.51.100.0/33"),
        ("second_test.rego", "package sentinel.second_test\n\ntest_it if { 1 == 2 }\n".to_owned(), "test_it"),
    ];
    for (number, (name, rego, why)) in bad.into_iter().enumerate() {
        fs::write(lab.directory.join(name), rego)?;
        let refused =
            |alert: &serde_json::Value| is_rule(alert, "policy-refused") && text(alert, "/message").contains(why);
        sentinel.wait_alert(PATIENCE, refused).with_context(|| format!("bad input {number}"))?;
        let status = sentinel.status_json()?;
        ensure!(text(&status, "/refused_reload").contains(why), "bad input {number}: {status}");
        lab.ground.expect(ctx, FORBIDDEN, EPERM)?;
        lab.ground.expect(ctx, OTHER, 0)?;
        // What was refused is mended: nobody asks for it.
        if name == "second.rego" {
            fs::write(&file, &good)?;
        } else {
            fs::remove_file(lab.directory.join(name))?;
        }
        let clear = || Ok(sentinel.status_json()?["refused_reload"].is_null().then_some(()));
        eventually("a mended policy", PATIENCE, clear)?;
    }
    stop(sentinel)
}

/// Modes that the settings give to a package and to a rule, changed while it runs.
fn modes(ctx: &Ctx) -> Result<()> {
    let lab = Lab::prepare(ctx)?;
    fs::write(lab.directory.join("second.rego"), block("second", "203.0.113.0/24"))?;
    let settings = |mode: &str| ctx.write("sentinel.toml", format!("[policies]\nmode = {{ {mode} }}\n"));
    let file = settings("\"sentinel.second\" = \"monitor\"")?;
    let sentinel = lab.ground.enforce(ctx).config(&file).policy(&lab.directory).start()?;
    lab.ground.expect(ctx, FORBIDDEN, 0)?;
    lab.ground.expect(ctx, "udp-connect 192.0.2.129:9", EPERM)?;
    alert_of(&sentinel, "sentinel.second.block_cidrs", 1, Shown::WouldBlockInKernel)?;
    // What is said of the rule itself goes before what is said of its package.
    settings("\"sentinel.second\" = \"monitor\", \"sentinel.second.block_cidrs\" = \"enforce\"")?;
    lab.becomes("a rule that is enforced again", FORBIDDEN, EPERM, &sentinel)?;
    settings("\"sentinel.secnd\" = \"monitor\"")?;
    let refused = |alert: &serde_json::Value| text(alert, "/message").contains("sentinel.secnd");
    sentinel.wait_alert(PATIENCE, refused)?;
    lab.ground.expect(ctx, FORBIDDEN, EPERM)?;
    stop(sentinel)
}

/// A rule without end is stopped, told with its place, and means what its `on_error` says; the others go on.
fn explodes(ctx: &Ctx) -> Result<()> {
    let rego = "package sentinel.boom\n\n# METADATA\n# custom:\n#   id: boom\n#   on_error: deny\ndeny contains \"no\" if {\n\t\
                input.event.action == \"connect\"\n\tinput.destination.ip == \"203.0.113.1\"\n\tsome x in numbers.range(1, 1000)\n\t\
                some y in numbers.range(1, 1000)\n\tsome z in numbers.range(1, 1000)\n\tx + y + z == -1\n}\n\nalert contains {\"id\": \
                \"calm\", \"msg\": \"connect\"} if input.event.action == \"connect\"\n";
    let lab = Lab::prepare(ctx)?;
    fs::write(lab.directory.join("boom.rego"), rego)?;
    let sentinel = lab.start()?;
    lab.ground.expect(ctx, OTHER, 0)?;
    sentinel.wait_alert(PATIENCE, |alert| is_rule(alert, "calm"))?;
    lab.becomes("a rule that is denied for want of an answer", FORBIDDEN, EPERM, &sentinel)?;
    let told = sentinel.wait_alert(PATIENCE, |alert| is_rule(alert, "rule-error"))?;
    let message = text(&told, "/message");
    ensure!(message.contains("boom.rego:") && message.contains("limit"), "{message}");
    let errors = sentinel.status_json()?["rule_errors"].as_u64();
    ensure!(errors >= Some(1), "{errors:?} errors in the status");
    lab.ground.expect(ctx, OTHER, 0)?;
    sentinel.wait_alerts(2, PATIENCE, |alert| is_rule(alert, "calm"))?;
    stop(sentinel)
}

/// Standing and event rules beside the one that is looked for.
const RULES: usize = 100;
/// Changes that are timed.
const ROUNDS: usize = 5;
/// A change takes less than the start, divided by this, with the same rules on the same machine.
const PART: u32 = 2;

/// Whether it is refused. Connecting a datagram socket sends nothing; without a route it fails in another way.
fn is_refused(address: [u8; 4]) -> Result<bool> {
    let connected = UdpSocket::bind("0.0.0.0:0")?.connect(SocketAddr::from((address, 9)));
    Ok(connected.is_err_and(|error| error.raw_os_error() == Some(EPERM)))
}

fn hundred_rules(ctx: &Ctx) -> Result<()> {
    let begun = Instant::now();
    let changes = Changes::start(ctx)?;
    let start = begun.elapsed();
    let times = changes.timed()?;
    println!("  from write to enforcement, {RULES} rules: {times:?}; a start: {start:?}");
    ensure!(times[ROUNDS / 2] < start / PART, "a change takes {:?}, a start {start:?}", times[ROUNDS / 2]);
    stop(changes.sentinel)
}

/// The median time from write to enforcement beside [`RULES`] rules, for the benchmark.
pub(super) fn median(ctx: &Ctx) -> Result<Duration> {
    let changes = Changes::start(ctx)?;
    let times = changes.timed()?;
    stop(changes.sentinel)?;
    Ok(times[ROUNDS / 2])
}

/// A daemon with many rules in a file that is changed.
struct Changes {
    rules: String,
    policy: PathBuf,
    sentinel: Sentinel,
}

impl Changes {
    fn start(ctx: &Ctx) -> Result<Self> {
        let mut rules = String::from("package sentinel.many\n\n");
        for rule in 0..RULES / 2 {
            rules += &format!("block_cidrs contains \"192.0.2.{rule}/32\"\n");
            rules += &format!(
                "deny contains \"{rule}\" if {{\n\tinput.event.action == \"connect\"\n\tinput.destination.port == {}\n}}\n",
                20_000 + rule
            );
        }
        let policy = ctx.policy("many", &rules)?;
        let sentinel = ctx.sentinel().enforce_whole_host().policy(&policy).start()?;
        Ok(Self { rules, policy, sentinel })
    }

    /// Times from write to enforcement, the shortest first.
    fn timed(&self) -> Result<Vec<Duration>> {
        let mut times = Vec::new();
        // The first makes sure that the rule is not there, and is not timed.
        for round in 0..=ROUNDS {
            let (line, wanted) =
                if round % 2 == 0 { ("", false) } else { ("block_cidrs contains \"203.0.113.0/24\"\n", true) };
            fs::write(&self.policy, format!("{}{line}", self.rules))?;
            let written = Instant::now();
            while is_refused([203, 0, 113, 7])? != wanted {
                ensure!(written.elapsed() < PATIENCE, "not in force: {}", self.sentinel.stderr());
                std::thread::sleep(Duration::from_millis(2));
            }
            if round > 0 {
                times.push(written.elapsed());
            }
        }
        times.sort();
        Ok(times)
    }
}

/// Reloads of the long form; `SENTINEL_RELOADS` asks for it.
fn reloads(place: Place) -> usize {
    let asked = std::env::var("SENTINEL_RELOADS").ok().and_then(|text| text.parse().ok());
    asked.unwrap_or(match place {
        Place::Host => 200,
        Place::Vm => 60,
    })
}

/// Reloads until memory has found its size, at most.
const WARM_UP: usize = 100;

fn many_times(ctx: &Ctx) -> Result<()> {
    let ground = Ground::prepare(ctx)?;
    let policy = ctx.policy("kept", &generation_of(0))?;
    let sentinel = ground.enforce(ctx).policy(&policy).start()?;
    let all = reloads(ctx.place);
    let (over, passed, refused) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let (warm, end) = std::thread::scope(|scope| {
        scope.spawn(|| hammer(ctx, &ground, &over, &passed, &refused));
        let result = reload_times(&sentinel, &policy, all);
        over.store(true, Ordering::Relaxed);
        result
    })?;
    let (passed, refused) = (passed.load(Ordering::Relaxed), refused.load(Ordering::Relaxed));
    println!(
        "  {all} reloads, {refused} attempts refused, {passed} passed; resident {warm} KiB warm, {end} KiB at the end"
    );
    ensure!(passed == 0 && refused >= all as u64 / 2, "{passed} of {} attempts passed", passed + refused);
    ensure!(end * 20 <= warm * 21, "memory grew from {warm} to {end} KiB");
    stop(sentinel)
}

/// A policy with one rule that stays and others that are new each time.
fn generation_of(round: usize) -> String {
    let mut rego = String::from("package sentinel.kept\n\nblock_cidrs contains \"203.0.113.0/24\"\n");
    for rule in 0..20 {
        rego += &format!("block_cidrs contains \"192.0.2.{}/32\"\n", (round + rule) % 200);
        rego +=
            &format!("deny contains \"{round} {rule}\" if input.process.executable == \"/nowhere/{round}/{rule}\"\n");
    }
    rego
}

/// Resident memory after the warm-up and at the end, in KiB.
fn reload_times(sentinel: &Sentinel, policy: &Path, all: usize) -> Result<(u64, u64)> {
    let mut warm = resident(sentinel.pid())?;
    for round in 1..=all {
        fs::write(policy, generation_of(round))?;
        sentinel.signal(libc::SIGHUP)?;
        let line = format!("generation {}", round + 1);
        eventually(&line, PATIENCE, || Ok(sentinel.stderr().contains(&line).then_some(())))?;
        if round == WARM_UP.min(all / 2) {
            warm = resident(sentinel.pid())?;
        }
    }
    Ok((warm, resident(sentinel.pid())?))
}

fn hammer(ctx: &Ctx, ground: &Ground, over: &AtomicBool, passed: &AtomicU64, refused: &AtomicU64) {
    while !over.load(Ordering::Relaxed) {
        match ground.act(ctx, &ctx.tests_bin, FORBIDDEN).errno() {
            Ok(EPERM) => refused.fetch_add(1, Ordering::Relaxed),
            // What cannot be tried counts as having passed: the scenario fails and says how many.
            Ok(_) | Err(_) => passed.fetch_add(1, Ordering::Relaxed),
        };
    }
}

fn resident(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("no VmRSS")?;
    Ok(line.split_whitespace().nth(1).context("no figure in VmRSS")?.parse()?)
}
