//! The report as sections of text, tables and charts, in the order in which an auditor asks; renderers only draw it.

use std::collections::BTreeMap;

use super::{
    decisions::{Counts, Row},
    model::{Interval, Report, State},
};

/// What the control cannot do, whatever the figures say.
pub(super) const LIMITS: [&str; 8] = [
    "A destination is an address. What a proxy, VPN, relay or content network behind a permitted address does is not seen.",
    "Countries come from databases of addresses, which are wrong for some addresses and silent on others; see data quality.",
    "Whoever is root can stop Sentinel or load a kernel module. Stopping is recorded; what a kernel module does may not be.",
    "Records before the last checkpoint cannot be signed anew, because their keys are erased. Records after it, and a trail cut \
     off at its end, show only against a head that was kept elsewhere (--expect-head).",
    "Erasing a key is overwriting its file. Snapshots, backups and flash storage may keep what was overwritten.",
    "Times are those of the host's clock. Changes of the clock by more than a second are recorded.",
    "A crash or a power cut costs the records of the last few milliseconds, and the counts of the last heartbeat period.",
    "In monitoring nothing is refused. Only times called enforcing are times of full enforcement.",
];

/// Rows of decisions that a document shows; the CSV and JSON forms have all.
const SHOWN: usize = 200;

/// A part with a heading.
pub(super) struct Section {
    pub(super) title: &'static str,
    pub(super) blocks: Vec<Block>,
}

/// What a section is made of.
pub(super) enum Block {
    Text(String),
    /// Something that must not be overlooked.
    Statement(String),
    Items(Vec<String>),
    Table {
        caption: String,
        head: Vec<&'static str>,
        rows: Vec<Vec<String>>,
    },
    /// The timelines of all hosts.
    Timeline,
    /// The world.
    Map,
    /// Bars for the countries.
    Bars,
}

fn table(caption: impl Into<String>, head: &[&'static str], rows: Vec<Vec<String>>) -> Block {
    if rows.is_empty() {
        return Block::Text(format!("{}: none.", caption.into()));
    }
    Block::Table { caption: caption.into(), head: head.to_vec(), rows }
}

/// The whole report.
pub(super) fn sections(report: &Report) -> Vec<Section> {
    vec![
        Section { title: "Scope", blocks: scope(report) },
        Section { title: "Conclusion", blocks: vec![Block::Statement(report.statement.clone())] },
        Section { title: "Coverage", blocks: coverage(report) },
        Section { title: "Refusals and would-refusals", blocks: refusals(report) },
        Section { title: "Lists, policies and databases in force", blocks: in_force(report) },
        Section { title: "Register of exemptions", blocks: exemptions(report) },
        Section { title: "Canaries", blocks: canaries(report) },
        Section { title: "Data quality and losses", blocks: quality(report) },
        Section { title: "Traffic by country", blocks: flows(report) },
        Section { title: "Operators and irregularities", blocks: operators(report) },
        Section { title: "Integrity of the trail", blocks: integrity(report) },
        Section { title: "Limits of the control", blocks: limits(report) },
        Section { title: "Sampling pack", blocks: sample(report) },
        Section { title: "Decisions", blocks: decisions(report) },
    ]
}

/// The conclusion in words.
pub(super) fn statement(report: &Report) -> String {
    let Counts { refused, would_refuse, exempt, let_through, .. } = report.totals;
    let of = |kind: &str| report.examined.get(kind).copied().unwrap_or_default();
    let enforcing: i64 = report.hosts.iter().map(|host| host.milliseconds[State::Enforcing.as_str()]).sum();
    let whole = (report.period.to.as_millisecond() - report.period.from.as_millisecond()) * report.hosts.len() as i64;
    let what = if report.totals.acted() == 0 {
        "No event was refused, none would have been, none was let through by an exemption, and none was let through before a block."
            .to_owned()
    } else {
        format!(
            "{refused} events were refused, {would_refuse} would have been refused, {exempt} were let through by an exemption, and \
             {let_through} were let through before their block was in place."
        )
    };
    format!(
        "{what} Sentinel examined {} connects, {} sends and {} packets on {}. It was enforcing fully for {} % of the time; \
         of the rest, the coverage below says what was missing, and of times called unknown nothing is claimed.",
        of("connect"),
        of("send"),
        of("packet"),
        if report.hosts.len() == 1 { "one host".to_owned() } else { format!("{} hosts", report.hosts.len()) },
        super::coverage::percent(enforcing, whole)
    )
}

fn scope(report: &Report) -> Vec<Block> {
    let period = format!("Period: {} (inclusive) to {} (exclusive), UTC.", report.period.from, report.period.to);
    let rows = report.hosts.iter().map(|host| {
        let restarts = format!("{} / {} / {}", host.starts, host.stops, host.unclean_starts);
        vec![host.host.clone(), host.scope.clone(), host.versions.join(", "), restarts, host.trail.clone()]
    });
    let head = ["Host", "Scope", "Sentinel", "Starts / stops / starts after a crash", "Trail"];
    vec![Block::Text(period), table("Hosts", &head, rows.collect())]
}

fn coverage(report: &Report) -> Vec<Block> {
    let percents = report.hosts.iter().map(|host| {
        let of = |state: &State| format!("{} %", host.percent[state.as_str()]);
        [host.host.clone()].into_iter().chain(State::ALL.iter().map(of)).collect()
    });
    let head = ["Host", "Enforcing", "Partial", "Monitoring", "Off", "Unknown"];
    let spans = report.hosts.iter().flat_map(|host| {
        let lesser = host.timeline.iter().filter(|span| span.state != State::Enforcing);
        lesser.map(|span| {
            let state = span.state.as_str().to_owned();
            vec![host.host.clone(), span.from.to_string(), span.to.to_string(), state, span.reasons.join("; ")]
        })
    });
    let spans: Vec<Vec<String>> = spans.take(SHOWN).collect();
    vec![
        Block::Timeline,
        table("Share of the period", &head, percents.collect()),
        table("Times without full enforcement", &["Host", "From", "To", "State", "Why"], spans),
    ]
}

fn refusals(report: &Report) -> Vec<Block> {
    let mut blocks = vec![Block::Map, Block::Bars];
    for (group, title) in [
        ("programme", "By programme"),
        ("country", "By country"),
        ("process", "By process"),
        ("container", "By container"),
        ("user", "By user"),
        ("rule", "By rule"),
        ("host", "By host"),
    ] {
        blocks.push(counts(title, report.by.get(group)));
    }
    blocks
}

fn counts(title: &'static str, counts: Option<&BTreeMap<String, Counts>>) -> Block {
    let mut all: Vec<(&String, &Counts)> = counts.into_iter().flatten().collect();
    all.sort_by_key(|(name, counts)| (std::cmp::Reverse(counts.acted()), *name));
    let row = |(name, counts): (&String, &Counts)| {
        let Counts { refused, would_refuse, exempt, let_through, unknown_country } = counts;
        let numbers = [refused, would_refuse, exempt, let_through, unknown_country].map(ToString::to_string);
        [name.clone()].into_iter().chain(numbers).collect()
    };
    let head = ["What", "Refused", "Would be refused", "Exempt", "Let through first", "Unknown country"];
    table(title, &head, all.into_iter().take(SHOWN).map(row).collect())
}

fn in_force(report: &Report) -> Vec<Block> {
    let row = |interval: &Interval| {
        let hash = interval.hash.as_str().map(|hash| hash.chars().take(16).collect()).unwrap_or_default();
        let signed =
            |sign: &str, items: &[String]| items.iter().map(|item| format!("{sign}{item}")).collect::<Vec<_>>();
        let difference = [signed("+", &interval.added), signed("-", &interval.removed)].concat().join(" ");
        let (from, to) = (interval.from.to_string(), interval.to.to_string());
        vec![interval.host.clone(), interval.name.clone(), interval.version.clone(), from, to, hash, difference]
    };
    let of = |kind: &str| report.in_force.iter().filter(|interval| interval.kind == kind).map(row).collect();
    let head = ["Host", "Name", "Version", "From", "To", "SHA-256 (begin)", "Difference"];
    vec![
        table("Lists", &head, of("list")),
        table("Policies", &head, of("policy")),
        table("Country databases", &head, of("database")),
        table("Modes", &head, of("mode")),
    ]
}

fn exemptions(report: &Report) -> Vec<Block> {
    let row = |exemption: &super::Exemption| {
        let time = |at: Option<jiff::Timestamp>| at.map(|at| at.to_string()).unwrap_or_default();
        vec![
            exemption.id.clone(),
            format!("{} {} {}", exemption.kind, exemption.authority, exemption.reference),
            exemption.approver.clone(),
            exemption.expires.clone(),
            exemption.state.to_owned(),
            exemption.uses.to_string(),
            format!("{} {}", time(exemption.first_use), time(exemption.last_use)),
            exemption.tried_after_end.to_string(),
        ]
    };
    let head = ["Id", "Grant", "Approver", "Ends", "State", "Uses", "First and last use", "Tried after its end"];
    vec![table("Exemptions", &head, report.exemptions.iter().map(row).collect())]
}

fn canaries(report: &Report) -> Vec<Block> {
    let rows = report.canary_failures.iter().map(|(at, what)| vec![at.to_string(), what.clone()]);
    vec![
        Block::Text(format!("{} rounds of canaries are recorded in the period.", report.canary_rounds)),
        table("What canaries found wrong", &["When", "What"], rows.take(SHOWN).collect()),
    ]
}

fn quality(report: &Report) -> Vec<Block> {
    let losses = report.losses.iter().map(|(cause, count)| vec![cause.clone(), count.to_string()]);
    vec![
        Block::Items(vec![
            format!("The oldest country database in use was {} days old.", report.database_age_days),
            format!("{} decisions were about destinations without a known country.", report.unknown_destinations),
            format!("On {} decisions the databases did not agree.", report.disagreements),
        ]),
        table("Events and records lost", &["Cause", "Number"], losses.collect()),
    ]
}

fn flows(report: &Report) -> Vec<Block> {
    let rows = report.flows.iter().map(|(country, (bytes, packets, flows))| {
        vec![country.clone(), bytes.to_string(), packets.to_string(), flows.to_string()]
    });
    vec![table("Traffic that was accounted", &["Country", "Bytes", "Packets", "Flows"], rows.collect())]
}

fn operators(report: &Report) -> Vec<Block> {
    let orders = report.operator.iter().map(|(at, by, what)| vec![at.to_string(), by.clone(), what.clone()]);
    let jumps = report.clock_jumps.iter().map(|(at, jump)| vec![at.to_string(), jump.to_string()]);
    let damage = report.recoveries.iter().map(|(at, what)| vec![at.to_string(), what.clone()]);
    vec![
        table("Orders", &["When", "Who", "What"], orders.collect()),
        table("Changes of the clock", &["When", "Seconds"], jumps.collect()),
        table("Damage found at a start", &["When", "What"], damage.collect()),
    ]
}

fn integrity(report: &Report) -> Vec<Block> {
    let rows = report.trails.iter().map(|trail| {
        let (last, hash) = trail.head.clone().unwrap_or_default();
        let intact = match trail.integrity["intact"].as_bool() {
            Some(true) => "intact",
            Some(false) => "NOT INTACT",
            None => "not verified",
        };
        let faults = trail.integrity["faults_total"].as_u64().map(|faults| faults.to_string()).unwrap_or_default();
        let unsigned = trail.integrity["unsigned"].as_u64().map(|count| count.to_string()).unwrap_or_default();
        vec![trail.host.clone(), trail.trail.clone(), intact.to_owned(), faults, last.to_string(), hash, unsigned]
    });
    let head = ["Host", "Trail", "Result", "Faults", "Last record", "Its hash", "Not signed yet"];
    vec![table("Trails", &head, rows.collect())]
}

fn limits(report: &Report) -> Vec<Block> {
    vec![Block::Items(report.limits.iter().map(|limit| (*limit).to_owned()).collect())]
}

fn rows(caption: String, rows: &[Row]) -> Block {
    let row = |row: &Row| {
        let place =
            if row.destination.is_empty() { row.object.clone() } else { format!("{} {}", row.destination, row.port) };
        let who = format!("{} (user {})", row.process, row.user);
        let why = if row.exemption.is_empty() { row.rule.clone() } else { format!("{} / {}", row.rule, row.exemption) };
        let number = row.record.to_string();
        vec![number, row.at.to_string(), row.host.clone(), row.effect.clone(), place, row.country.clone(), who, why]
    };
    let head = ["Record", "When", "Host", "Effect", "To", "Country", "By", "Rule / exemption"];
    table(caption, &head, rows.iter().map(row).collect())
}

fn sample(report: &Report) -> Vec<Block> {
    let caption =
        format!("Sample of {} of {} decisions, seed {}", report.sample.len(), report.decisions.len(), report.seed);
    let how = "Chosen by the SHA-256 of the seed (8 bytes, big endian) and the record's own hash; the least come first. \
               `sentinel audit explain ID` works each of them out again.";
    vec![Block::Text(how.to_owned()), rows(caption, &report.sample)]
}

fn decisions(report: &Report) -> Vec<Block> {
    let shown = &report.decisions[..report.decisions.len().min(SHOWN)];
    let all = report.decisions.len();
    vec![rows(format!("The first {} of {all} decisions; the CSV form has all", shown.len()), shown)]
}
