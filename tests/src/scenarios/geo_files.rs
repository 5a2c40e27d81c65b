//! Country databases that change while Sentinel runs: replaced, broken, shrunken, gone, old, fetched; and exemptions that end.
//!
//! Invariant: an address that both the old and the new database put under a rule is tried without pause, and not one frame of
//! it arrives; what is refused of a file leaves every verdict as it was.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::enforce_lab::{EPERM, Ground, PATIENCE, Shown, alert_of, is_rule, reload, stop, text, until};
use crate::harness::{
    scenario::{Ctx, Place, Scenario, World, eventually},
    sentinel::Sentinel,
};

/// The scenarios of this file.
pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario { name: "geo-file-replaced-without-a-gap", world: World::Both, run: replaced },
        Scenario { name: "geo-file-refused-keeps-the-old", world: World::Both, run: refused },
        Scenario { name: "geo-reload-builds-nothing-twice", world: World::Both, run: reloads },
        Scenario { name: "geo-regions-and-votes", world: World::Both, run: regions_and_votes },
        Scenario { name: "geo-old-data-is-told", world: World::Both, run: old_data },
        Scenario { name: "geo-updater-fetches", world: World::Host, run: updater },
        Scenario { name: "geo-exemption-ends", world: World::Both, run: exemption_ends },
    ]
}

const RULES: &str = "package sentinel.lab\nblock_countries contains {\"id\": \"lab-kp\", \"value\": \"KP\"}\n";

/// Three networks: one that is under the rule by the first database, one by the second, one by both.
const FIRST: &str = "198.51.100.0,198.51.100.255,US\n203.0.113.0,203.0.113.255,KP\n192.0.2.0,192.0.2.255,KP\n";
const SECOND: &str = "198.51.100.0,198.51.100.255,KP\n203.0.113.0,203.0.113.255,US\n192.0.2.0,192.0.2.255,KP\n";
const BY_FIRST: &str = "udp-connect 203.0.113.1:9";
const BY_SECOND: &str = "udp-connect 198.51.100.1:9";
const BY_BOTH: &str = "udp-connect 192.0.2.1:9";

/// How soon a new file has to be in force; the VM is emulated.
fn soon(ctx: &Ctx) -> Duration {
    match ctx.place {
        Place::Host => Duration::from_secs(1),
        Place::Vm => PATIENCE,
    }
}

/// Replaces a file as editors and downloads do.
fn put(path: &Path, text: &str) -> Result<()> {
    let aside = path.with_extension("new");
    fs::write(&aside, text).with_context(|| format!("writing {}", aside.display()))?;
    fs::rename(&aside, path).with_context(|| format!("replacing {}", path.display()))
}

/// Sets the time of the last change.
fn age(path: &Path, age: Duration) -> Result<()> {
    File::options().write(true).open(path)?.set_modified(SystemTime::now() - age)?;
    Ok(())
}

fn geo(sentinel: &Sentinel) -> Result<Value> {
    Ok(sentinel.status_json()?["geo"].take())
}

fn number(value: &Value, key: &str) -> Result<u64> {
    value[key].as_u64().with_context(|| format!("no number {key} in {value}"))
}

/// A laboratory with one database and an enforcing Sentinel.
struct Lab {
    ground: Ground,
    file: PathBuf,
    policy: PathBuf,
    sentinel: Sentinel,
}

impl Lab {
    fn start(ctx: &Ctx) -> Result<Self> {
        let ground = Ground::prepare(ctx)?;
        let (file, policy) = (ctx.write("db/geo.csv", FIRST)?, ctx.policy("lab", RULES)?);
        let sentinel = ground.enforce(ctx).policy(&policy).geoip(&file).start()?;
        let lab = Self { ground, file, policy, sentinel };
        lab.verdicts_of_first(ctx).context("at the start")?;
        Ok(lab)
    }

    fn verdicts_of_first(&self, ctx: &Ctx) -> Result<()> {
        self.ground.expect(ctx, BY_FIRST, EPERM)?;
        self.ground.expect(ctx, BY_BOTH, EPERM)?;
        self.ground.expect(ctx, BY_SECOND, 0)
    }

    fn act(&self, ctx: &Ctx, op: &str, errno: i32) -> Result<Instant> {
        until(op, errno, || self.ground.act(ctx, &ctx.tests_bin, op))
            .with_context(|| format!("sentinel said:\n{}", self.sentinel.stderr()))
    }
}

fn replaced(ctx: &Ctx) -> Result<()> {
    const SWAPS: usize = 6;
    let lab = Lab::start(ctx)?;
    let (_tcp, _udp) = (lab.ground.pair.far.tcp_sink("[::]:80")?, lab.ground.pair.far.udp_sink("[::]:53")?);
    let steps = "keep 198.51.100.2:80 -- wait -- send";
    let mut before = lab.ground.act(ctx, &ctx.tests_bin, steps).start()?;
    ensure!(before.next_errno()? == 0, "a connection to what the first database allows");
    let sniffer = lab.ground.pair.sniff("192.0.2.1")?;
    let trying = lab.ground.act(ctx, &ctx.tests_bin, "repeat 1000000000 sendto 192.0.2.1:53").start()?;
    for swap in 0..SWAPS {
        let (text, refused, allowed) =
            if swap % 2 == 0 { (SECOND, BY_SECOND, BY_FIRST) } else { (FIRST, BY_FIRST, BY_SECOND) };
        let tried = attempts(&lab.sentinel)?;
        put(&lab.file, text)?;
        let begin = Instant::now();
        let ended = lab.act(ctx, allowed, 0)?.max(lab.act(ctx, refused, EPERM)?);
        ensure!(ended - begin < soon(ctx), "swap {swap} took {:?}", ended - begin);
        ensure!(attempts(&lab.sentinel)? > tried, "nothing was tried during swap {swap}");
    }
    ensure!(sniffer.frames() == 0, "{} frames to what both databases put under the rule", sniffer.frames());
    drop(trying);
    before.say("send")?;
    let errno = before.next_errno()?;
    ensure!(errno == libc::ECONNABORTED, "a connection to what became forbidden: errno {errno}");
    let status = geo(&lab.sentinel)?;
    ensure!(number(&status, "tables")? == 1 + SWAPS as u64 && status["refused"].is_null(), "{status}");
    // The other world: what is not under a rule arrives where the sniffer listens.
    put(&lab.file, &FIRST.replace("192.0.2.0,192.0.2.255,KP", "192.0.2.0,192.0.2.255,US\n8.8.8.0,8.8.8.255,KP"))?;
    lab.act(ctx, BY_BOTH, 0)?;
    lab.ground.expect(ctx, "sendto 192.0.2.1:53", 0)?;
    eventually("a frame", PATIENCE, || Ok((sniffer.frames() > 0).then_some(())))?;
    stop(lab.sentinel)
}

/// How many sends were refused so far.
fn attempts(sentinel: &Sentinel) -> Result<u64> {
    let status = sentinel.status_json()?;
    let hooks = status["hooks"].as_array().context("the status has no hooks")?;
    Ok(hooks.iter().filter_map(|hook| hook["refused"].as_u64()).sum())
}

fn refused(ctx: &Ctx) -> Result<()> {
    let lab = Lab::start(ctx)?;
    let shrunken = FIRST.replace("203.0.113.255", "203.0.113.127");
    let steps = [("broken", "203.0.113.0,here", "line 1"), ("a fifth smaller", &shrunken, "KP shrinks from 512")];
    for (index, (what, text, said)) in steps.into_iter().enumerate() {
        put(&lab.file, text)?;
        kept(ctx, &lab, what, said, index + 1)?;
    }
    fs::remove_file(&lab.file)?;
    kept(ctx, &lab, "gone", "is gone", 3)?;
    // A reload does not fall for it either, and goes on.
    let calm = format!("{RULES}# changed\n");
    reload(&lab.sentinel, &lab.policy, &calm)?;
    ensure!(text(&geo(&lab.sentinel)?, "/refused").contains("is gone"), "the reload has forgotten the file");
    lab.verdicts_of_first(ctx).context("after a reload")?;
    put(&lab.file, SECOND)?;
    lab.act(ctx, BY_FIRST, 0)?;
    lab.ground.expect(ctx, BY_SECOND, EPERM)?;
    ensure!(geo(&lab.sentinel)?["refused"].is_null(), "{}", geo(&lab.sentinel)?);
    stop(lab.sentinel)
}

/// Waits until the file is refused and checks that it changed nothing.
fn kept(ctx: &Ctx, lab: &Lab, what: &str, said: &str, alerts: usize) -> Result<()> {
    eventually(&format!("{what}: the status says {said}"), PATIENCE, || {
        Ok(text(&geo(&lab.sentinel)?, "/refused").contains(said).then_some(()))
    })
    .with_context(|| format!("sentinel said:\n{}", lab.sentinel.stderr()))?;
    lab.verdicts_of_first(ctx).with_context(|| what.to_owned())?;
    let mut all = lab.sentinel.wait_alerts(alerts, PATIENCE, |alert| is_rule(alert, "geo-data-refused"))?;
    ensure!(all.len() == alerts, "{what}: told {} times", all.len());
    let alert = all.swap_remove(alerts - 1);
    ensure!(text(&alert, "/message").contains(said), "{alert}");
    ensure!(alert["event"]["action"] == "notice" && alert["sentinel"]["rules"][0]["severity"] == "high", "{alert}");
    ensure!(lab.sentinel.stderr().contains(said), "the log does not say it");
    ensure!(number(&geo(&lab.sentinel)?, "tables")? == 1, "{what}: a table was built");
    Ok(())
}

fn reloads(ctx: &Ctx) -> Result<()> {
    let lab = Lab::start(ctx)?;
    let before = geo(&lab.sentinel)?;
    ensure!((number(&before, "reads")?, number(&before, "tables")?) == (1, 1), "{before}");
    for round in 0..3 {
        reload(&lab.sentinel, &lab.policy, &format!("{RULES}# round {round}\n"))?;
    }
    let after = geo(&lab.sentinel)?;
    ensure!((number(&after, "reads")?, number(&after, "tables")?) == (1, 1), "{after}");
    lab.verdicts_of_first(ctx)?;
    // Written again with the same content: read, and nothing is built.
    put(&lab.file, FIRST)?;
    eventually("the file read again", PATIENCE, || Ok((number(&geo(&lab.sentinel)?, "reads")? == 2).then_some(())))?;
    ensure!(number(&geo(&lab.sentinel)?, "tables")? == 1, "the same content built another table");
    lab.verdicts_of_first(ctx)?;
    stop(lab.sentinel)
}

fn regions_and_votes(ctx: &Ctx) -> Result<()> {
    let ground = Ground::prepare(ctx)?;
    let one =
        ctx.geo_csv("one", &[("203.0.113.0", "203.0.113.127", "KP"), ("192.0.2.0", "192.0.2.255", "UA,UA-14")])?;
    let two =
        ctx.geo_csv("two", &[("203.0.113.64", "203.0.113.255", "KP"), ("198.51.100.0", "198.51.100.255", "RU,UA-43")])?;
    let rules = format!(
        "{RULES}block_regions contains {{\"id\": \"lab-crimea\", \"value\": \"UA-43\"}}\n\
         block_regions contains {{\"id\": \"lab-line\", \"value\": region}} if {{\n\
         some region in data.embargo[\"eu-territorial\"].alert_regions\nendswith(region, \"14\")\n}}\n"
    );
    let policy = ctx.policy("lab", &rules)?;
    let only = ["udp-connect 203.0.113.1:9", "udp-connect 203.0.113.65:9", "udp-connect 203.0.113.129:9"];
    for (rule, errnos) in [("any", [EPERM, EPERM, EPERM]), ("majority", [0, EPERM, 0])] {
        let config = ctx.write(format!("{rule}.toml"), format!("[geo]\nvote = \"{rule}\"\nunknown = \"allow\"\n"))?;
        let launch = ground.enforce(ctx).policy(&policy).config(&config).geoip(&one).geoip(&two);
        if rule == "majority" {
            // Each region is told by one of two: no majority for either, so the rules could never hold.
            let ended = launch.expect_exit(Duration::from_secs(120))?;
            ensure!(ended.code == Some(1) && ended.stderr.contains("tells the region UA-43"), "{ended:?}");
            continue;
        }
        let sentinel = launch.start()?;
        for (op, errno) in only.into_iter().zip(errnos) {
            ground.expect(ctx, op, errno).with_context(|| rule.to_owned())?;
        }
        ground.expect(ctx, "udp-connect 198.51.100.1:9", EPERM)?;
        let alert = alert_of(&sentinel, "lab-crimea", 1, Shown::Refused)?;
        ensure!(alert["destination"]["geo"]["region_iso_code"] == "UA-43", "{alert}");
        ensure!(alert["sentinel"]["list"]["id"] == "ofac-comprehensive", "{alert}");
        ensure!(alert["sentinel"]["geo"]["votes"].as_array().is_some_and(|votes| votes.len() == 2), "{alert}");
        ground.expect(ctx, "udp-connect 192.0.2.1:9", 0).context("a region of which a programme means a part")?;
        alert_of(&sentinel, "lab-line", 1, Shown::WouldBlockInKernel)?;
        stop(sentinel)?;
    }
    let policy = ctx.policy("lab", RULES)?;
    let config = ctx.path("majority.toml");
    let sentinel = ground.enforce(ctx).policy(&policy).config(&config).geoip(&one).geoip(&two).start()?;
    for (op, errno) in only.into_iter().zip([0, EPERM, 0]) {
        ground.expect(ctx, op, errno).context("majority")?;
    }
    stop(sentinel)
}

fn old_data(ctx: &Ctx) -> Result<()> {
    let ground = Ground::prepare(ctx)?;
    let policy = ctx.policy("lab", RULES)?;
    for (days, word, severity) in [(60, "warn", "medium"), (130, "error", "high"), (1, "fresh", "")] {
        let file = ctx.write(format!("{word}/geo.csv"), FIRST)?;
        age(&file, Duration::from_secs(days * 86_400 + 60))?;
        let sentinel = ground.enforce(ctx).policy(&policy).geoip(&file).start()?;
        let status = sentinel.status_json()?;
        ensure!(status["geo"]["freshness"] == word && status["geo"]["age_days"] == days, "{}", status["geo"]);
        let reason = status["reasons"].to_string().contains("geo_age");
        ensure!(reason == (word == "error"), "{word}: {}", status["reasons"]);
        ground.expect(ctx, BY_FIRST, EPERM).context("old data still holds")?;
        if severity.is_empty() {
            let alerts = sentinel.settle(Duration::from_millis(500))?;
            ensure!(!alerts.iter().any(|alert| is_rule(alert, "geo-data-age")), "fresh data is told of");
        } else {
            let alert = sentinel.wait_alert(PATIENCE, |alert| is_rule(alert, "geo-data-age"))?;
            ensure!(alert["sentinel"]["rules"][0]["severity"] == severity, "{alert}");
            ensure!(text(&alert, "/message").contains(&format!("{days} days old")), "{alert}");
        }
        stop(sentinel)?;
    }
    Ok(())
}

fn updater(ctx: &Ctx) -> Result<()> {
    let ground = Ground::prepare(ctx)?;
    let (file, next) = (ctx.write("db/geo.csv", FIRST)?, ctx.write("next.csv", SECOND)?);
    age(&file, Duration::from_secs(7200))?;
    let script = format!("echo fetching; cp {} {1}.new && mv {1}.new {1}", next.display(), file.display());
    let config = format!("[geo]\nupdater = [\"/bin/sh\", \"-c\", \"{script}\"]\nupdater-interval-hours = 1\n");
    let (config, policy) = (ctx.write("lab.toml", config)?, ctx.policy("lab", RULES)?);
    let sentinel = ground.enforce(ctx).policy(&policy).config(&config).geoip(&file).start()?;
    until(BY_SECOND, EPERM, || ground.act(ctx, &ctx.tests_bin, BY_SECOND))
        .with_context(|| format!("sentinel said:\n{}", sentinel.stderr()))?;
    ground.expect(ctx, BY_FIRST, 0)?;
    ensure!(sentinel.stderr().contains("geo updater: fetching"), "{}", sentinel.stderr());
    // One that fails is a warning.
    let config_text = fs::read_to_string(&config)?.replace("echo fetching;", "exit 3;");
    fs::write(&config, config_text)?;
    age(&file, Duration::from_secs(7200))?;
    reload(&sentinel, &policy, &format!("{RULES}# changed\n"))?;
    eventually("the warning", PATIENCE, || Ok(sentinel.stderr().contains("the geo updater failed").then_some(())))?;
    ground.expect(ctx, BY_SECOND, EPERM)?;
    stop(sentinel)
}

fn exemption_ends(ctx: &Ctx) -> Result<()> {
    // Long enough for the start of Sentinel.
    let seconds = if ctx.place == Place::Host { 12 } else { 60 };
    let ground = Ground::prepare(ctx)?;
    let file = ctx.write("db/geo.csv", FIRST)?;
    let rules = format!(
        "{RULES}exemptions contains {{\"id\": \"lab-licence\", \"type\": \"licence\", \"authority\": \"lab\", \"reference\": \"1\",\n\
         \"approver\": \"lab\", \"expires\": \"{}\", \"countries\": [\"KP\"]}}\n\
         exemptions contains {{\"id\": \"lab-later\", \"type\": \"licence\", \"authority\": \"lab\", \"reference\": \"2\",\n\
         \"approver\": \"lab\", \"expires\": \"2099-01-01\", \"countries\": [\"CU\"]}}\n",
        after(seconds)?
    );
    let policy = ctx.policy("lab", &rules)?;
    let sentinel = ground.enforce(ctx).policy(&policy).geoip(&file).start()?;
    ground.expect(ctx, BY_FIRST, 0).context("exempt")?;
    alert_of(&sentinel, "lab-licence", 1, Shown::Exempt("lab-licence"))?;
    let notice = sentinel.wait_alert(PATIENCE, |alert| is_rule(alert, "exemption-expiry"))?;
    ensure!(text(&notice, "/sentinel/exemption/id") == "lab-licence", "{notice}");
    ensure!(notice["sentinel"]["rules"][0]["severity"] == "high", "{notice}");
    let status = sentinel.status_json()?;
    let exemptions = &status["exemptions"];
    ensure!(exemptions[0]["id"] == "lab-licence" && exemptions[0]["days_left"] == 0, "{exemptions}");
    ensure!(exemptions[1]["days_left"].as_u64().is_some_and(|days| days > 10_000), "{exemptions}");
    eventually("the end of the exemption", Duration::from_secs(seconds) + PATIENCE, || {
        Ok((ground.act(ctx, &ctx.tests_bin, BY_FIRST).errno()? == EPERM).then_some(()))
    })?;
    alert_of(&sentinel, "lab-kp", 1, Shown::Refused)?;
    // Each threshold once, also over a reload.
    reload(&sentinel, &policy, &format!("{rules}# changed\n"))?;
    ground.expect(ctx, BY_FIRST, EPERM).context("after a reload")?;
    let notices = sentinel.alerts()?.iter().filter(|alert| is_rule(alert, "exemption-expiry")).count();
    ensure!(notices == 1, "told {notices} times");
    stop(sentinel)
}

/// The time in some seconds, as an exemption has it.
fn after(seconds: u64) -> Result<String> {
    let at = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() + seconds;
    let (days, rest) = (at / 86_400, at % 86_400);
    // Days since 1 March of the year 0, in years of 146,097 days every 400.
    let day = days + 719_468;
    let (era, of_era) = (day / 146_097, day % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let (month, of_month) = ((shifted + 2) % 12 + 1, of_year - (153 * shifted + 2) / 5 + 1);
    let year = year + era * 400 + u64::from(month <= 2);
    Ok(format!("{year:04}-{month:02}-{of_month:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60))
}
