//! The report on a scripted month says exactly what is true of it.
#![expect(clippy::unwrap_used, reason = "tests; clippy sees none in their helpers")]

#[path = "support/month.rs"]
mod month;

use std::{fs, path::PathBuf};

use alerts::audit::{
    self, Expect, Record,
    report::{Builder, Counts, Format, Period, Report, render},
};
use month::{Script, Truth, alpha, at, quiet};
use serde_json::{Value, json};

/// The report on a trail, and what is true of it.
fn report(name: &str, script: Script) -> (Report, Truth) {
    let directory = directory(name);
    let truth = script.write(&directory, name).unwrap();
    let report = read(&directory);
    fs::remove_dir_all(directory).unwrap();
    (report, truth)
}

fn directory(name: &str) -> PathBuf {
    let directory = std::env::temp_dir().join(format!("sentinel-month-{}-{name}", std::process::id()));
    drop(fs::remove_dir_all(&directory));
    directory
}

fn read(directory: &std::path::Path) -> Report {
    let files = audit::find(&[directory.to_owned()]).unwrap();
    let verdict = audit::verify(files.iter().map(|file| audit::open(file)), &Expect::default(), &mut |_| {}).unwrap();
    assert_eq!(verdict.faults, []);
    let period = Period { from: at("2026-03-01T00:00:00Z"), to: at("2026-04-01T00:00:00Z") };
    let mut builder = Builder::new(period, 7);
    for file in &files {
        for line in fs::read_to_string(file).unwrap().lines() {
            builder.record(&serde_json::from_str::<Record>(line).unwrap());
        }
    }
    builder.end_trail(
        json!({ "intact": verdict.holds(), "faults_total": verdict.faults_total, "unsigned": verdict.unsigned() }),
    );
    builder.finish()
}

fn sum(counts: &Counts) -> u64 {
    counts.acted() + counts.unknown_country
}

const HOUR: i64 = 3_600_000;

#[test]
fn every_figure_of_the_scripted_month_is_true() {
    let (report, truth) = report("alpha", alpha());
    let effect = |name| truth.effects[name];
    let Counts { refused, would_refuse, exempt, let_through, unknown_country } = report.totals;
    assert_eq!(
        [refused, would_refuse, exempt, let_through, unknown_country],
        [effect("refused"), effect("would_refuse"), effect("exempt"), 0, effect("unknown_country")]
    );
    // By hand: 31 days of 1 to 5 to Iran (1 + 31 + 62), one split vote; 5 Mondays; 3 in Crimea; Cuba 14 before and 17 after the end.
    assert_eq!((exempt, would_refuse, unknown_country), (15, 3, 2));
    for ((group, key), count) in &truth.by {
        assert_eq!(sum(&report.by[group][key]), *count, "{group} {key}");
    }
    for group in ["programme", "country", "process"] {
        let keys = truth.by.keys().filter(|(of, _)| *of == group).count();
        assert_eq!(report.by[group].len(), keys, "{group}");
    }
    assert_eq!(report.by["container"].keys().collect::<Vec<_>>(), ["c1"]);
    for (kind, count) in &truth.examined {
        assert_eq!(report.examined[*kind], *count, "{kind}");
    }
    assert_eq!(report.decisions.len() as u64, truth.effects.values().sum::<u64>());
}

#[test]
fn the_coverage_of_the_scripted_month_is_true() {
    let (report, _) = report("coverage", alpha());
    let host = &report.hosts[0];
    let of = |state| host.milliseconds[state];
    // The crash: ten minutes are still vouched for. The stop. Six hours of partial enforcement. A day of monitoring.
    assert_eq!(of("unknown"), 4 * HOUR - HOUR / 6);
    assert_eq!(of("off"), HOUR + HOUR / 2);
    assert_eq!(of("partial"), 6 * HOUR);
    assert_eq!(of("monitoring"), 24 * HOUR);
    assert_eq!(of("enforcing"), 31 * 24 * HOUR - 24 * HOUR - 6 * HOUR - 3 * HOUR / 2 - 4 * HOUR + HOUR / 6);
    assert_eq!((host.starts, host.stops, host.unclean_starts), (4, 3, 1));
    assert_eq!((host.percent["monitoring"].as_str(), host.percent["off"].as_str()), ("3.22", "0.20"));
    let joined = host.timeline.windows(2).all(|two| two[0].to == two[1].from);
    assert!(
        joined && host.timeline[0].from == report.period.from && host.timeline.last().unwrap().to == report.period.to
    );
    assert_eq!(host.timeline.len(), 9, "{:#?}", host.timeline);
}

#[test]
fn lists_exemptions_and_the_rest_are_true() {
    let (report, truth) = report("rest", alpha());
    let of = |kind: &str, name: &str| -> Vec<(String, String, String)> {
        let fits = report.in_force.iter().filter(|one| one.kind == kind && one.name == name);
        fits.map(|one| (one.version.clone(), one.from.to_string(), one.to.to_string())).collect()
    };
    let row =
        |version: &str, from: &str, to: &str| (version.to_owned(), format!("2026-{from}Z"), format!("2026-{to}Z"));
    let (begin, change, end) = ("03-01T00:00:00", "03-18T09:00:00", "04-01T00:00:00");
    assert_eq!(of("list", "ofac"), [row("1", begin, change), row("2", change, end)]);
    assert_eq!(of("list", "eu"), [row("1", begin, end)]);
    let built = |day: &str| format!("2026-{day}T00:00:00Z");
    let new = "03-28T00:00:00";
    assert_eq!(of("database", "embedded"), [row(&built("01-25"), begin, new), row(&built("03-27"), new, end)]);
    let changed = report.in_force.iter().find(|one| one.name == "ofac" && one.version == "2").unwrap();
    assert_eq!(
        (changed.added.as_slice(), changed.removed.as_slice()),
        (&["MM".to_owned()][..], &["SY".to_owned()][..])
    );
    assert_eq!(report.listed.iter().map(String::as_str).collect::<Vec<_>>(), ["CU", "IR", "KP", "MM", "SY", "UA-43"]);

    let register: Vec<(&str, &str, u64, u64)> =
        report.exemptions.iter().map(|one| (one.id.as_str(), one.state, one.uses, one.tried_after_end)).collect();
    assert_eq!(register, [("LIC-1", "expired", 14, 17), ("LIC-2", "expiring", 1, 0), ("LIC-3", "active", 0, 0)]);
    assert_eq!(report.exemptions[0].last_use, Some(at("2026-03-14T13:00:00Z")));

    // Built on 25 January, in use up to the last moment of 27 March.
    assert_eq!(report.database_age_days, 61);
    assert_eq!((report.disagreements, report.unknown_destinations), (1, truth.effects["unknown_country"]));
    let losses: Vec<(&str, u64)> = report.losses.iter().map(|(cause, count)| (cause.as_str(), *count)).collect();
    assert_eq!(losses, [("audit_queue_full", 2), ("connect.ring_full", 3), ("open.ring_full", 9)]);
    assert_eq!(report.clock_jumps, [(at("2026-03-29T01:00:00Z"), -3600)]);
    assert_eq!((report.operator.len(), report.canary_rounds, report.canary_failures.len()), (1, 2, 1));
    assert_eq!(report.flows["DE"], (1500, 4, 2));
    assert_eq!(report.trails[0].integrity["intact"], true);
    assert_eq!(report.sample.len(), 25);
}

#[test]
fn a_quiet_month_is_said_to_be_one() {
    let (report, truth) = report("quiet", quiet());
    assert!(report.statement.starts_with("No event was refused, none would have been"), "{}", report.statement);
    let connects = truth.examined["connect"];
    assert_eq!(connects, 31 * 144 * 7);
    assert!(report.statement.contains(&format!("examined {connects} connects")), "{}", report.statement);
    assert!(report.statement.contains("enforcing fully for 100.00 %"), "{}", report.statement);
}

#[test]
fn the_same_trail_gives_the_same_bytes_and_nobody_can_write_into_them() {
    let directory = directory("bytes");
    let mut script = alpha();
    let evil = json!({ "process": { "executable": "=cmd|<script>alert(1)</script>|\"'(\\" } });
    script.decide(at("2026-03-03T03:03:03Z"), "refused", ("ofac", "IR"), "192.0.2.9", &evil);
    script.write(&directory, "al<pha>").unwrap();
    let (one, other) = (read(&directory), read(&directory));
    fs::remove_dir_all(directory).unwrap();
    for format in [Format::Html, Format::Pdf, Format::Json, Format::Csv, Format::Markdown] {
        assert_eq!(render(&one, format), render(&other, format), "{format:?}");
    }
    let text = |format| String::from_utf8(render(&one, format)).unwrap();
    let html = text(Format::Html);
    assert!(!html.contains("<script") && html.contains("al&lt;pha&gt;"));
    for outside in ["http://", "https://", "src=", "url(", "@import"] {
        assert!(!html.contains(outside), "{outside}");
    }
    assert!(!text(Format::Markdown).contains("<script"));
    let csv = text(Format::Csv);
    assert_eq!(csv.lines().count(), one.decisions.len() + 1);
    assert!(csv.contains("\"'=cmd"), "no formula");
    let json: Value = serde_json::from_str(&text(Format::Json)).unwrap();
    assert_eq!(json["totals"]["refused"], one.totals.refused);
    let pdf = render(&one, Format::Pdf);
    assert!(pdf.starts_with(b"%PDF-1.4") && pdf.ends_with(b"%%EOF\n"));
}
