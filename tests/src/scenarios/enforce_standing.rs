//! Standing rules about destinations: refused on the first try, in the VM and in a cgroup of the scenario's own.
//!
//! Invariant: each refusal is compared with the same act without the rule, before the start and after a reload. The far
//! end answers for the documentation prefixes; a lab database makes countries of them.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use super::enforce_lab::{EPERM, Ground, PATIENCE, Shown, alert_of, expect, is_rule, reload, stop, text, until};
use crate::harness::{
    scenario::{Ctx, Scenario, World},
    sentinel::Sentinel,
};

/// The scenarios of this file.
pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario { name: "standing-destinations-first-try", world: World::Both, run: destinations },
        Scenario { name: "standing-allow-countries", world: World::Both, run: allow_countries },
        Scenario { name: "standing-exemptions", world: World::Both, run: exemptions },
        Scenario { name: "standing-limits-of-destinations", world: World::Both, run: limits },
    ]
}

const CALM: &str = "package sentinel.lab\n";

const DESTINATIONS: &str = r#"package sentinel.lab
block_cidrs contains {"id": "lab-net", "value": "203.0.113.0/25"}
block_cidrs contains {"id": "lab-net6", "value": "2001:db8:bad::/48"}
block_countries contains {"id": "lab-kp", "value": "KP", "severity": "critical"}
block_cidrs contains {"id": "lab-watched", "value": "203.0.113.128/25", "mode": "monitor"}
"#;

/// Documentation prefixes as countries.
fn lab_geo(ctx: &Ctx) -> Result<PathBuf> {
    ctx.geo_csv(
        "geo",
        &[
            ("192.0.2.0", "192.0.2.127", "CU"),
            ("198.51.100.0", "198.51.100.255", "KP"),
            ("203.0.113.0", "203.0.113.255", "US"),
            ("2001:db8:4b50::", "2001:db8:4b50:ffff:ffff:ffff:ffff:ffff", "KP"),
            ("2001:db8:bad::", "2001:db8:bad:ffff:ffff:ffff:ffff:ffff", "US"),
        ],
    )
}

/// Rule, destination just inside it, destination just outside it.
const CASES: [(&str, &str, &str); 4] = [
    ("lab-net", "203.0.113.127:80", "203.0.113.128:80"),
    ("lab-net6", "[2001:db8:bad:ffff::1]:80", "[2001:db8:bae::1]:80"),
    ("lab-kp", "198.51.100.255:80", "192.0.2.1:80"),
    ("lab-kp", "[2001:db8:4b50::1]:80", "[2001:db8:4b51::1]:80"),
];

fn destinations(ctx: &Ctx) -> Result<()> {
    let ground = Ground::prepare(ctx)?;
    let _sinks = (ground.pair.far.tcp_sink("[::]:80")?, ground.pair.far.udp_sink("[::]:53")?);
    let everywhere = |errno: i32| -> Result<()> {
        for (_, inside, outside) in CASES {
            ground.expect(ctx, &format!("connect {inside}"), errno)?;
            ground.expect(ctx, &format!("sendto {}", inside.replace(":80", ":53")), errno)?;
            ground.expect(ctx, &format!("connect {outside}"), 0)?;
        }
        Ok(())
    };
    everywhere(0).context("without Sentinel")?;
    let policy = ctx.policy("lab", DESTINATIONS)?;
    let sentinel = ground.enforce(ctx).policy(&policy).geoip(&lab_geo(ctx)?).start()?;
    everywhere(EPERM).context("from the start")?;
    for (id, count) in [("lab-net", 2), ("lab-net6", 2), ("lab-kp", 4)] {
        for number in 1..=count {
            alert_of(&sentinel, id, number, Shown::Refused)?;
        }
    }
    country_is_shown(&sentinel)?;
    alert_of(&sentinel, "lab-watched", 1, Shown::WouldBlockInKernel)?;
    reload(&sentinel, &policy, CALM)?;
    everywhere(0).context("after a reload without the rules")?;
    reload(&sentinel, &policy, DESTINATIONS)?;
    everywhere(EPERM).context("after a reload with the rules")?;
    stop(sentinel)?;
    everywhere(0).context("after the stop")
}

/// The alert of a country refusal says which country, by which prefix of which database.
fn country_is_shown(sentinel: &Sentinel) -> Result<()> {
    let wanted = |a: &serde_json::Value| is_rule(a, "lab-kp") && text(a, "/destination/ip") == "198.51.100.255";
    let alert = sentinel.wait_alert(PATIENCE, wanted)?;
    let geo = &alert["sentinel"]["geo"];
    ensure!(geo["country"] == "KP" && geo["prefix"] == "198.51.100.0/24", "{alert}");
    ensure!(text(&alert, "/sentinel/geo/database/sha256").len() == 64, "{alert}");
    ensure!(text(&alert, "/destination/geo/country_iso_code") == "KP", "{alert}");
    Ok(())
}

fn allow_countries(ctx: &Ctx) -> Result<()> {
    let ground = Ground::prepare(ctx)?;
    let _sink = ground.pair.far.tcp_sink("[::]:80")?;
    let policy =
        ctx.policy("lab", "package sentinel.lab\nallow_countries contains {\"id\": \"us\", \"value\": \"US\"}\n")?;
    let sentinel = ground.enforce(ctx).policy(&policy).geoip(&lab_geo(ctx)?).start()?;
    for (op, errno) in [
        ("connect 203.0.113.1:80", 0),
        ("connect 198.51.100.1:80", EPERM),
        ("connect 192.0.2.1:80", EPERM),
        ("connect [2001:db8:4b50::1]:80", EPERM),
        ("connect [2001:db8:bad::1]:80", 0),
        // Neither a country nor public.
        ("connect 192.0.2.200:80", 0),
        ("connect 10.200.0.2:80", 0),
        ("connect [fd00:200::2]:80", 0),
    ] {
        ground.expect(ctx, op, errno)?;
    }
    for number in 1..=3 {
        alert_of(&sentinel, "us", number, Shown::Refused)?;
    }
    reload(&sentinel, &policy, CALM)?;
    ground.expect(ctx, "connect 198.51.100.1:80", 0)?;
    stop(sentinel)
}

/// An exemption of `what` with this end.
fn exemption(id: &str, expires: &str, what: &str) -> String {
    format!(
        "exemptions contains {{\"id\": \"{id}\", \"type\": \"general-license\", \"authority\": \"OFAC\", \"reference\": \"lab 1\", \
         \"approver\": \"lab@example.com\", \"expires\": \"{expires}\", {what}}}\n"
    )
}

fn exemptions(ctx: &Ctx) -> Result<()> {
    const SECONDS: u64 = 8;
    let ground = Ground::prepare(ctx)?;
    let _sink = ground.pair.far.tcp_sink("[::]:80")?;
    let rules =
        "block_countries contains \"KP\"\nblock_countries contains \"CU\"\nblock_cidrs contains \"203.0.113.0/24\"\n";
    let policy = ctx.policy("lab", &format!("{CALM}{rules}"))?;
    let sentinel = ground.enforce(ctx).policy(&policy).geoip(&lab_geo(ctx)?).start()?;
    let exempt = ["connect 203.0.113.70:80", "connect 192.0.2.1:80"];
    for op in exempt.iter().chain(&["connect 198.51.100.1:80", "connect 203.0.113.1:80"]) {
        ground.expect(ctx, op, EPERM).context("before the exemptions")?;
    }
    let begin = std::time::Instant::now();
    let text = [
        format!("{CALM}{rules}"),
        exemption("lab-net", &after(SECONDS)?, "\"cidrs\": [\"203.0.113.64/26\"]"),
        exemption("lab-cuba", "2099-12-31", "\"countries\": [\"CU\"]"),
        exemption("lab-over", "2020-12-31", "\"countries\": [\"KP\"]"),
    ];
    reload(&sentinel, &policy, &text.concat())?;
    for op in exempt {
        ground.expect(ctx, op, 0).context("exempt")?;
    }
    ensure!(begin.elapsed().as_secs() < SECONDS, "this machine is too slow for an exemption of {SECONDS} s");
    ground.expect(ctx, "connect 198.51.100.1:80", EPERM).context("an exemption that is over")?;
    ground.expect(ctx, "connect 203.0.113.1:80", EPERM).context("beside the exemption")?;
    let alert = alert_of(&sentinel, "lab-cuba", 1, Shown::Exempt("lab-cuba"))?;
    ensure!(alert["sentinel"]["exemption"]["approver"] == "lab@example.com", "{alert}");
    alert_of(&sentinel, "lab-net", 1, Shown::Exempt("lab-net"))?;
    let ended = until(exempt[0], EPERM, || ground.act(ctx, &ctx.tests_bin, exempt[0]))?;
    // `expires` is written in whole seconds.
    ensure!((ended - begin).as_secs() >= SECONDS - 2, "the exemption ended too early");
    ground.expect(ctx, exempt[1], 0).context("an exemption without a near end")?;
    stop(sentinel)
}

/// The time in some seconds, as an exemption has it.
fn after(seconds: u64) -> Result<String> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs();
    let (days, rest) = ((now + seconds) / 86_400, (now + seconds) % 86_400);
    let (year, month, day) = civil(days);
    Ok(format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60))
}

/// Year, month and day of a day since 1970.
fn civil(mut days: u64) -> (u64, u64, u64) {
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut year = 1970;
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 1;
    for length in lengths {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    (year, month, days + 1)
}

/// Rules that hold for some subjects, ports or protocols only: destination's last number, and the limit.
const LIMITS: [(u8, &str); 9] = [
    (10, r#""only": {"executables": ["{actor}"]}"#),
    (11, r#""except": {"executables": ["{other}"]}"#),
    (12, r#""only": {"uids": [65534]}"#),
    (13, r#""except": {"uids": [0]}"#),
    (14, r#""only": {"ports": [81]}"#),
    (15, r#""except": {"ports": [80]}"#),
    (16, r#""only": {"protocols": ["udp"]}"#),
    (17, r#""except": {"executables": ["{actor}"], "ports": [81]}"#),
    (18, r#""only": {"executables": ["{actor}"], "uids": [65534]}"#),
];

fn limits(ctx: &Ctx) -> Result<()> {
    let ground = Ground::prepare(ctx)?;
    let _sinks = [80, 81].map(|port| ground.pair.far.tcp_sink(&format!("0.0.0.0:{port}")));
    let _udp = ground.pair.far.udp_sink("0.0.0.0:80")?;
    let (actor, other) = (ctx.program("actor")?, ctx.program("other")?);
    let rule = |(last, limit): &(u8, &str)| {
        format!("block_cidrs contains {{\"id\": \"lab-{last}\", \"value\": \"203.0.113.{last}/32\", {limit}}}\n")
    };
    let rules: String = LIMITS.iter().map(rule).collect();
    let rules = rules.replace("{actor}", &actor.display().to_string()).replace("{other}", &other.display().to_string());
    let policy = ctx.policy("lab", &format!("{CALM}{rules}"))?;
    let sentinel = ground.enforce(ctx).policy(&policy).geoip(&lab_geo(ctx)?).start()?;
    // Program, user, operation, and whether it is refused.
    let (a, o) = (&actor, &other);
    let cases = [
        (a, 0, "connect 203.0.113.10:80", true),
        (o, 0, "connect 203.0.113.10:80", false),
        (a, 0, "connect 203.0.113.11:80", true),
        (o, 0, "connect 203.0.113.11:80", false),
        (a, 65534, "connect 203.0.113.12:80", true),
        (a, 0, "connect 203.0.113.12:80", false),
        (a, 65534, "connect 203.0.113.13:80", true),
        (a, 0, "connect 203.0.113.13:80", false),
        (a, 0, "connect 203.0.113.14:81", true),
        (a, 0, "connect 203.0.113.14:80", false),
        (a, 0, "connect 203.0.113.15:81", true),
        (a, 0, "connect 203.0.113.15:80", false),
        (a, 0, "sendto 203.0.113.16:80", true),
        (a, 0, "connect 203.0.113.16:80", false),
        (a, 0, "connect 203.0.113.17:80", true),
        (o, 0, "connect 203.0.113.17:81", true),
        (a, 0, "connect 203.0.113.17:81", false),
        (a, 65534, "connect 203.0.113.18:80", true),
        (a, 0, "connect 203.0.113.18:80", false),
        (o, 65534, "connect 203.0.113.18:80", false),
    ];
    for (program, uid, op, refused) in cases {
        let what = format!("{op} by {} as {uid}", program.display());
        expect(&what, ground.act(ctx, program, op).uid(uid), if refused { EPERM } else { 0 })?;
    }
    for (last, _) in LIMITS {
        alert_of(&sentinel, &format!("lab-{last}"), 1, Shown::Refused)?;
    }
    stop(sentinel)
}
