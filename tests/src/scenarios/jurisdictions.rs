//! Canaries of jurisdictions: a kernel table that does not say what the policy says is noticed, named, and told; and the
//! table says for every prefix of a database what the database says.
//!
//! Invariant: the table is broken past the daemon, through bpf(2), so that nothing but an answer of the kernel can show it;
//! what a connect then does is the ground truth that the daemon's words are compared with.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::enforce_lab::{EPERM, Ground, PATIENCE, reload, stop, text};
use crate::harness::{
    maps::Map,
    scenario::{Ctx, Scenario, World, eventually},
    sentinel::{Launch, Sentinel},
};

/// The scenarios of this file.
pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario { name: "jurisdiction-that-passes-is-partial-and-alerts", world: World::Both, run: passes },
        Scenario { name: "jurisdiction-control-that-is-refused", world: World::Both, run: refuses_everything },
        Scenario { name: "jurisdiction-table-that-is-not-whole", world: World::Both, run: not_whole },
        Scenario { name: "jurisdiction-canaries-in-monitor-mode", world: World::Both, run: monitor },
        Scenario { name: "jurisdiction-table-equals-embedded-data", world: World::Host, run: embedded },
        Scenario { name: "jurisdiction-table-that-differs-is-found", world: World::Host, run: differs },
        Scenario { name: "jurisdiction-table-equals-csv", world: World::Both, run: csv },
    ]
}

const RULES: &str = "package sentinel.lab\nblock_countries contains {\"id\": \"lab-ir\", \"value\": \"IR\"}\n\
                     block_countries contains {\"id\": \"lab-cu\", \"value\": \"CU\"}\n";
const RANGES: [(&str, &str, &str); 5] = [
    ("192.0.2.0", "192.0.2.255", "FR"),
    ("198.51.100.0", "198.51.100.255", "CU"),
    ("203.0.113.0", "203.0.113.255", "IR"),
    ("2001:db8:900d::", "2001:db8:900d:ffff:ffff:ffff:ffff:ffff", "FR"),
    ("2001:db8:bad::", "2001:db8:bad:ffff:ffff:ffff:ffff:ffff", "IR"),
];
/// What to connect to, to see how a country fares.
const IRAN: &str = "connect 203.0.113.1:80";
const CUBA: &str = "connect 198.51.100.1:80";
const FRANCE: &str = "connect 192.0.2.1:80";

/// Bytes of an entry, where its rule is, and where the blocks of a class start: `sentinel_common::geo::ClassRules`.
const ENTRY: usize = 24;
const RULE: usize = 8;
const BLOCKS: usize = 2 * ENTRY;

/// Sentinel with the laboratory's countries, which looks at them every second.
fn launch(ctx: &Ctx, launch: Launch) -> Result<Sentinel> {
    let policy = ctx.policy("lab", RULES)?;
    let config = ctx.write("sentinel.toml", "[geo]\ncanary_seconds = 1\n")?;
    launch.policy(&policy).geoip(&ctx.geo_csv("lab", &RANGES)?).config(&config).start()
}

fn enforce(ctx: &Ctx) -> Result<(Ground, Sentinel)> {
    let ground = Ground::prepare(ctx)?;
    let sentinel = launch(ctx, ground.enforce(ctx))?;
    Ok((ground, sentinel))
}

fn count(sentinel: &Sentinel, name: &str) -> Result<u64> {
    let status = sentinel.status_json()?;
    status["jurisdictions"][name].as_u64().with_context(|| format!("no jurisdictions.{name}: {status}"))
}

/// The reasons of the status about jurisdictions.
fn reasons(sentinel: &Sentinel) -> Result<Vec<String>> {
    let status = sentinel.status_json()?;
    let all = status["reasons"].as_array().context("the status has no reasons")?.iter().filter_map(Value::as_str);
    Ok(all.filter(|reason| reason.starts_with("jurisdiction: ")).map(str::to_owned).collect())
}

/// Waits for rounds that started after this call.
fn rounds(sentinel: &Sentinel) -> Result<()> {
    let before = count(sentinel, "checked")?;
    let each = 3 * 6 + 2;
    eventually("two rounds", PATIENCE, || Ok((count(sentinel, "checked")? >= before + 2 * each).then_some(())))
}

fn canaries(sentinel: &Sentinel) -> Result<Vec<Value>> {
    Ok(sentinel.alerts()?.into_iter().filter(|alert| alert["event"]["action"] == "canary").collect())
}

/// All is well: nothing failed, and asking left no trace in the counters of hooks.
fn well(sentinel: &Sentinel) -> Result<()> {
    rounds(sentinel)?;
    let status = sentinel.status_json()?;
    let tally = &status["jurisdictions"];
    ensure!(tally["listed"] == 2 && tally["failed"] == 0 && tally["last"].is_string(), "{tally}");
    ensure!(reasons(sentinel)?.is_empty() && canaries(sentinel)?.is_empty(), "{status}");
    untouched(&status)
}

/// No hook has counted a verdict or an error.
fn untouched(status: &Value) -> Result<()> {
    for hook in status["hooks"].as_array().context("the status has no hooks")? {
        let counters = ["refused", "would_refuse", "errors"].map(|name| hook[name].as_u64());
        ensure!(counters == [Some(0); 3], "the probe left a trace: {hook}");
    }
    ensure!(status["counters"]["packet"]["seen"] == 0, "{status}");
    Ok(())
}

/// With a table that is not whole, packets of the machine's own (neighbour discovery) are errors, one each; questions of the probe,
/// of which there were many, are none.
fn only_packets_counted(status: &Value) -> Result<()> {
    for hook in status["hooks"].as_array().context("the status has no hooks")? {
        let count = |name: &str| hook[name].as_u64().with_context(|| format!("no {name}: {hook}"));
        let refused = count("refused")? + count("would_refuse")?;
        ensure!(refused == 0 && count("errors")? <= count("runs")?, "the probe left a trace: {hook}");
    }
    Ok(())
}

/// A map's arrays with what they hold.
struct Saved(Vec<(Map, Vec<Vec<u8>>)>);

impl Saved {
    fn of(sentinel: &Sentinel, name: &str) -> Result<Self> {
        let arrays = Map::inner(sentinel.pid(), name)?.into_iter();
        Ok(Self(arrays.map(|map| map.all().map(|values| (map, values))).collect::<Result<_>>()?))
    }

    /// Changes every value.
    fn change(&self, change: impl Fn(&mut Vec<u8>)) -> Result<()> {
        self.write(change)
    }

    fn restore(&self) -> Result<()> {
        self.write(|_| ())
    }

    fn write(&self, change: impl Fn(&mut Vec<u8>)) -> Result<()> {
        for (map, values) in &self.0 {
            for (key, value) in values.iter().enumerate() {
                let mut value = value.clone();
                change(&mut value);
                map.set(u32::try_from(key)?, &value)?;
            }
        }
        Ok(())
    }

    /// A value that blocks, of any country.
    fn blocking(&self) -> Result<&Vec<u8>> {
        let all = || self.0.iter().flat_map(|(_, values)| values);
        all().find(|value| rule(value) != 0).context("no class of the country table has a rule")
    }
}

/// The rule that blocks a class.
fn rule(value: &[u8]) -> u32 {
    let at = BLOCKS + RULE;
    u32::from_ne_bytes([value[at], value[at + 1], value[at + 2], value[at + 3]])
}

/// Waits until reasons name this country, and checks that they name no other.
fn named(sentinel: &Sentinel, country: &str, words: &str) -> Result<()> {
    let found = eventually(&format!("a reason about {country}"), PATIENCE, || {
        let reasons = reasons(sentinel)?;
        Ok((!reasons.is_empty()).then_some(reasons))
    })?;
    let start = format!("jurisdiction: {country} (");
    ensure!(found.iter().all(|reason| reason.starts_with(&start) && reason.contains(words)), "{found:?}");
    Ok(())
}

/// Waits until no reason is left.
fn healed(sentinel: &Sentinel) -> Result<()> {
    eventually("no reason about jurisdictions", PATIENCE, || Ok(reasons(sentinel)?.is_empty().then_some(())))
}

fn passes(ctx: &Ctx) -> Result<()> {
    let (ground, sentinel) = enforce(ctx)?;
    let _sink = ground.pair.far.tcp_sink("[::]:80")?;
    well(&sentinel)?;
    [IRAN, CUBA].iter().try_for_each(|op| ground.expect(ctx, op, EPERM))?;

    let saved = Saved::of(&sentinel, "GEO_RULES")?;
    let one = rule(saved.blocking()?);
    saved.change(|value| {
        if rule(value) == one {
            value.fill(0);
        }
    })?;
    // Which of the two countries that rule is about, a connect tells.
    let iran = ground.act(ctx, &ctx.tests_bin, IRAN).errno()? == 0;
    let (broken, other) = if iran { ("IR", CUBA) } else { ("CU", IRAN) };
    ground.expect(ctx, if iran { IRAN } else { CUBA }, 0)?;
    ground.expect(ctx, other, EPERM)?;
    named(&sentinel, broken, "the kernel lets pass what rule lab-")?;
    let status = sentinel.status_json()?;
    ensure!(status["enforcement"] == "partial" && sentinel.status_code()? == 3, "{status}");
    ensure!(count(&sentinel, "failed")? > 0);
    let is_canary = |alert: &Value| alert["event"]["action"] == "canary";
    let alert = sentinel.wait_alert(PATIENCE, is_canary)?;
    let (about, country) = (&alert["sentinel"], text(&alert, "/destination/geo/country_iso_code"));
    ensure!(about["rules"][0]["id"] == "jurisdiction-canary" && about["rules"][0]["severity"] == "critical", "{alert}");
    ensure!(about["decision"] == "alert" && about["blocked"] == false && about["mode"] == "enforce", "{alert}");
    ensure!(country == broken && text(&alert, "/message").contains(&format!("{broken} (")), "{alert}");

    // It is told once, however long it lasts, and over when it is over.
    rounds(&sentinel)?;
    saved.restore()?;
    healed(&sentinel)?;
    ensure!(canaries(&sentinel)?.len() == 1, "{:?}", canaries(&sentinel)?);
    [IRAN, CUBA].iter().try_for_each(|op| ground.expect(ctx, op, EPERM))?;

    // A reload asks by itself: the next failure is a new one.
    let calm = "package sentinel.lab\nblock_countries contains {\"id\": \"lab-cu\", \"value\": \"CU\"}\n";
    reload(&sentinel, &ctx.path("lab.rego"), calm)?;
    ensure!(count(&sentinel, "listed")? == 1 && reasons(&sentinel)?.is_empty());
    ground.expect(ctx, IRAN, 0)?;
    stop(sentinel)
}

fn refuses_everything(ctx: &Ctx) -> Result<()> {
    let (ground, sentinel) = enforce(ctx)?;
    let _sink = ground.pair.far.tcp_sink("[::]:80")?;
    ground.expect(ctx, FRANCE, 0)?;
    let saved = Saved::of(&sentinel, "GEO_RULES")?;
    let blocking = saved.blocking()?.clone();
    saved.change(|value| {
        if rule(value) == 0 {
            value.clone_from(&blocking);
        }
    })?;
    ground.expect(ctx, FRANCE, EPERM)?;
    let found = eventually("a reason about France", PATIENCE, || {
        Ok(reasons(&sentinel)?.into_iter().find(|reason| reason.starts_with("jurisdiction: FR (IPv4): ")))
    })?;
    ensure!(found.contains("which is not about it"), "{found}");
    let all = reasons(&sentinel)?;
    ensure!(!all.iter().any(|reason| reason.contains(": IR (") || reason.contains(": CU (")), "{all:?}");
    saved.restore()?;
    healed(&sentinel)?;
    ground.expect(ctx, FRANCE, 0)?;
    stop(sentinel)
}

/// A table with roots that lead nowhere: every hook lets pass and counts, and nothing says so but the canaries.
fn not_whole(ctx: &Ctx) -> Result<()> {
    let (ground, sentinel) = enforce(ctx)?;
    let _sink = ground.pair.far.tcp_sink("[::]:80")?;
    let saved = Saved::of(&sentinel, "GEO_ROOTS")?;
    saved.change(|value| value.fill(0xff))?;
    let found = eventually("a reason", PATIENCE, || {
        let reasons = reasons(&sentinel)?;
        Ok((!reasons.is_empty()).then_some(reasons))
    })?;
    ensure!(found.len() > 8 && found.last().is_some_and(|last| last.contains("more answers")), "{found:?}");
    ensure!(found[0].contains("the country table in the kernel is not whole"), "{found:?}");
    only_packets_counted(&sentinel.status_json()?)?;
    ground.expect(ctx, IRAN, 0)?;
    saved.restore()?;
    healed(&sentinel)?;
    ground.expect(ctx, IRAN, EPERM)?;
    stop(sentinel)
}

fn monitor(ctx: &Ctx) -> Result<()> {
    let ground = Ground::prepare(ctx)?;
    let _sink = ground.pair.far.tcp_sink("[::]:80")?;
    let sentinel = launch(ctx, ctx.sentinel().monitor_in(&ground.cgroup))?;
    well(&sentinel)?;
    let saved = Saved::of(&sentinel, "GEO_RULES")?;
    saved.change(|value| value.fill(0))?;
    eventually("both countries", PATIENCE, || {
        let reasons = reasons(&sentinel)?;
        Ok(["IR", "CU"].iter().all(|country| reasons.iter().any(|r| r.contains(country))).then_some(()))
    })?;
    let status = sentinel.status_json()?;
    ensure!(status["coverage"] == "partial" && sentinel.status_code()? == 4, "{status}");
    let alert = sentinel.wait_alert(PATIENCE, |alert| alert["event"]["action"] == "canary")?;
    ensure!(alert["sentinel"]["mode"] == "monitor", "{alert}");
    saved.restore()?;
    healed(&sentinel)?;
    ground.expect(ctx, IRAN, 0)?;
    stop(sentinel)
}

/// Runs `sentinel geo check --kernel`; how many addresses of each family it asked about.
fn equal(ctx: &Ctx, file: Option<&std::path::Path>) -> Result<[u64; 2]> {
    let mut run = ctx.command(&ctx.sentinel_bin).args(["geo", "check", "--kernel"]).limit(Duration::from_secs(300));
    if let Some(file) = file {
        run = run.arg(file);
    }
    let said = run.success()?;
    let line = said.lines().find(|line| line.starts_with("kernel ")).with_context(|| said.clone())?;
    ensure!(line.contains(", 0 differences"), "{said}");
    let mut numbers = line.split_whitespace().filter_map(|word| word.parse().ok());
    let (v4, v6) = (numbers.next(), numbers.next());
    Ok([v4.context("no count of IPv4")?, v6.context("no count of IPv6")?])
}

fn embedded(ctx: &Ctx) -> Result<()> {
    let [v4, v6] = equal(ctx, None)?;
    ensure!(v4 > 2_000_000 && v6 > 2_000_000, "only {v4} and {v6} addresses were asked about");
    Ok(())
}

/// The comparison itself: what is broken while it runs has to be found.
fn differs(ctx: &Ctx) -> Result<()> {
    let check = ctx.command(&ctx.sentinel_bin).args(["geo", "check", "--kernel"]).limit(Duration::from_secs(300));
    let mut check = check.start()?;
    check.wait_line("table ")?;
    for rules in Map::inner(check.pid(), "GEO_RULES")? {
        let nothing = vec![0; rules.value_size];
        (0..rules.entries).try_for_each(|class| rules.set(class, &nothing))?;
    }
    let outcome = check.finish()?;
    let shown = outcome.stdout.lines().filter(|line| line.starts_with("difference ")).count();
    ensure!(outcome.code == Some(1) && shown == 10, "{outcome:?}");
    ensure!(outcome.stdout.lines().any(|line| line.starts_with("kernel ")), "{outcome:?}");
    ensure!(!outcome.stdout.contains(", 0 differences"), "{outcome:?}");
    Ok(())
}

/// Ranges that fit no prefix, single addresses, neighbours of what has no country, and both ends of both families.
fn csv(ctx: &Ctx) -> Result<()> {
    let ranges = [
        ("1.0.0.1", "1.0.0.1", "IR"),
        ("9.255.255.254", "9.255.255.255", "KP"),
        ("11.0.0.0", "11.0.3.200", "CU"),
        ("198.51.100.7", "203.0.113.9", "SY"),
        ("223.255.255.255", "223.255.255.255", "IR"),
        ("2001:1::", "2001:1::", "IR"),
        ("2001:db8::ffff:ffff:ffff:ffff", "2001:db8:0:1::1", "KP"),
        ("2003::", "2003::fffe", "CU"),
        ("3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "4000::", "SY"),
    ];
    let [v4, v6] = equal(ctx, Some(&ctx.geo_csv("odd", &ranges)?))?;
    ensure!(v4 + v6 > 1_000_000, "only {v4} and {v6} addresses were asked about");
    Ok(())
}
