//! The storm: every technique again and again from several processes, while databases and policies are replaced.
//!
//! `SENTINEL_STORM` says how many attempts are made (5,000 if it is not set); the long form is
//! `SENTINEL_STORM=100000 SENTINEL_TESTS_LIMIT=3600 sentinel-tests host egress-storm`, in the VM with `env` before it.
//! Invariant: not one frame for a forbidden address, counted at the far end by a counter that would say if it had lost one.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, ensure};

use super::{
    egress_bypass::{PACKET, SCTP, enforced},
    egress_calls::{CARRIED, FAST_OPEN, IO_URING, MAPPED, MPTCP, RAW, UDP, UNSPEC},
    egress_devices::{TUN, forward},
    egress_lab::{Field, PROOF, QUIET, Side, Way},
    enforce_lab::{PATIENCE, stop},
};
use crate::harness::{
    command::Running,
    scenario::{Ctx, Scenario, World, eventually},
    sentinel::Sentinel,
};

/// The scenarios of this file.
pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario { name: "egress-storm", world: World::Both, run: storm },
        Scenario { name: "egress-storm-during-reloads", world: World::Both, run: storm_during_reloads },
    ]
}

/// Attempts when nothing else is said.
const SHORT: usize = 5_000;
/// Processes that try at the same time.
const PROCESSES: usize = 4;

const DATABASE_EVERY: Duration = Duration::from_secs(1);
const POLICY_EVERY: Duration = Duration::from_secs(5);

/// Everything that a socket of the Internet families can do: none of it is refused by type.
fn ways() -> Vec<Way> {
    [&IO_URING[..], &UDP, &FAST_OPEN, &UNSPEC, &MAPPED, &CARRIED, &RAW, &MPTCP].concat()
}

/// That, and where the kernel programs are there, what is refused by type.
fn forbidden_ways(ctx: &Ctx) -> Vec<Way> {
    let by_type = [&PACKET[..], &TUN, &SCTP].concat();
    [ways(), if enforced(ctx) { by_type } else { Vec::new() }].concat()
}

fn attempts() -> Result<usize> {
    match std::env::var("SENTINEL_STORM") {
        Ok(text) => text.parse().with_context(|| format!("SENTINEL_STORM is `{text}`: expected a number of attempts")),
        Err(_) => Ok(SHORT),
    }
}

fn storm(ctx: &Ctx) -> Result<()> {
    let field = Field::prepare(ctx)?;
    let sentinel = start(ctx, &field)?;
    blow(ctx, &field, attempts()?)?;
    allowed(ctx, &field)?;
    stop(sentinel)
}

fn storm_during_reloads(ctx: &Ctx) -> Result<()> {
    let field = Field::prepare(ctx)?;
    let sentinel = start(ctx, &field)?;
    let over = AtomicBool::new(false);
    let reloads = std::thread::scope(|scope| {
        let reloading = scope.spawn(|| reload_all_the_time(ctx, &sentinel, &over));
        let begin = Instant::now();
        let mut blown = attempts();
        // A fast machine is not through before something was replaced.
        while blown.is_ok() && begin.elapsed() < POLICY_EVERY * 2 {
            blown = blown.and_then(|attempts| blow(ctx, &field, attempts).map(|()| attempts));
        }
        over.store(true, Ordering::Relaxed);
        let reloads = reloading.join().map_err(|_| anyhow!("the reloading thread panicked"))??;
        blown.map(|_| reloads)
    })?;
    println!("  {reloads} reloads meanwhile");
    allowed(ctx, &field)?;
    stop(sentinel)
}

/// Not one of the same techniques is hindered on its way elsewhere.
fn allowed(ctx: &Ctx, field: &Field) -> Result<()> {
    field.arrive(ctx, &ways(), Side::Allowed, 2).context("to allowed destinations")
}

/// Two countries, one named by the policy: the IPv4 addresses are forbidden by country, the IPv6 ones by prefix. The
/// `version` changes something that has nothing to do with them.
fn database(ctx: &Ctx, version: u64) -> Result<PathBuf> {
    let (start, end) = (format!("192.0.2.{}", version % 200), format!("192.0.2.{}", version % 200 + 1));
    ctx.geo_csv("countries.new", &[(&start, &end, "FR"), ("203.0.113.0", "203.0.113.255", "KP")])
}

/// Puts a new version into the place of the old one, as an updater would.
fn renew(ctx: &Ctx, version: u64) -> Result<PathBuf> {
    let (new, place) = (database(ctx, version)?, ctx.path("countries.csv"));
    std::fs::rename(&new, &place).context("replacing the database")?;
    Ok(place)
}

/// The same rules with a remark.
fn policy(ctx: &Ctx, version: u64) -> Result<PathBuf> {
    ctx.policy(
        "lab",
        &format!(
            "package sentinel.lab\n# version {version}\nblock_countries contains {{\"id\": \"lab-country\", \"value\": \"KP\"}}\n\
             block_cidrs contains {{\"id\": \"lab-prefix\", \"value\": \"2001:db8:bad::/48\"}}\n\
             block_cidrs contains \"192.0.2.{}/32\"\n",
            version % 200 + 50
        ),
    )
}

/// The counter is proved with everything together, then Sentinel is started.
fn start(ctx: &Ctx, field: &Field) -> Result<Sentinel> {
    forward(field)?;
    let ways = forbidden_ways(ctx);
    let each = PROOF / u32::try_from(ways.len())? + 1;
    field.arrive(ctx, &ways, Side::Forbidden, each).context("without Sentinel")?;
    field.ground.enforce(ctx).policy(&policy(ctx, 0)?).geoip(&renew(ctx, 0)?).start()
}

/// Replaces the database every second and the policy every five, until it is over; every one must come into force.
fn reload_all_the_time(ctx: &Ctx, sentinel: &Sentinel, over: &AtomicBool) -> Result<u64> {
    let (mut version, mut policies) = (0, Instant::now());
    while !over.load(Ordering::Relaxed) {
        let begin = Instant::now();
        version += 1;
        renew(ctx, version)?;
        if policies.elapsed() >= POLICY_EVERY {
            policies = Instant::now();
            policy(ctx, version)?;
        }
        let before = generation(sentinel)?;
        sentinel.signal(libc::SIGHUP)?;
        eventually("a new generation", PATIENCE, || Ok((generation(sentinel)? > before).then_some(())))
            .with_context(|| format!("sentinel said:\n{}", sentinel.stderr()))?;
        std::thread::sleep(DATABASE_EVERY.saturating_sub(begin.elapsed()));
    }
    Ok(version)
}

fn generation(sentinel: &Sentinel) -> Result<u64> {
    sentinel.status_json()?["generation"].as_u64().context("the status shows no generation")
}

/// All ways to forbidden destinations in several processes: no success, no frame.
fn blow(ctx: &Ctx, field: &Field, attempts: usize) -> Result<()> {
    field.meter.settled(QUIET)?;
    let before = field.forbidden_frames();
    let file = list(ctx)?;
    let ways = forbidden_ways(ctx).len();
    let begin = Instant::now();
    let mut running = (0..PROCESSES)
        .map(|process| {
            let op =
                format!("storm {} {} {}", attempts.div_ceil(PROCESSES), process * ways / PROCESSES, file.display());
            field.act(ctx, &op).limit(Duration::from_secs(3600)).start()
        })
        .collect::<Result<Vec<Running>>>()?;
    progress(&mut running[0], attempts)?;
    let mut came: BTreeMap<i32, u64> = BTreeMap::new();
    let mut passed = Vec::new();
    for process in running {
        let outcome = process.finish()?;
        ensure!(outcome.code == Some(0), "{outcome:?}");
        for line in outcome.stdout.lines().filter_map(|line| line.strip_prefix("came errno=")) {
            let (errno, times) = counted(line).with_context(|| format!("`{line}` is no count"))?;
            *came.entry(errno).or_default() += times;
            // The kernel does not tell that one, where no LSM hook does; see the technique.
            if errno != libc::EPERM && !line.contains("ping-socket 2001:") {
                passed.push(line.to_owned());
            }
        }
    }
    println!("  {attempts} attempts in {:.1} s, by errno: {came:?}", begin.elapsed().as_secs_f64());
    ensure!(came.values().sum::<u64>() >= attempts as u64, "not all attempts were made: {came:?}");
    ensure!(passed.is_empty(), "not refused: {passed:#?}");
    field.meter.settled(QUIET)?;
    field.none_since(&before)
}

/// All operations, a line each, with an address of its own.
fn list(ctx: &Ctx) -> Result<PathBuf> {
    let lines: String =
        (1..).zip(forbidden_ways(ctx)).map(|(number, way)| way.once(Side::Forbidden, number) + "\n").collect();
    ctx.write("storm", lines)
}

/// Shows how far the first process is, until it is done.
fn progress(process: &mut Running, attempts: usize) -> Result<()> {
    let (begin, mut shown) = (Instant::now(), 0);
    loop {
        let line = process.next_line().context("a storming process")?;
        if line.starts_with("errno=") {
            return Ok(());
        }
        let Some(done) = line.strip_prefix("attempts=").and_then(|text| text.parse::<usize>().ok()) else { continue };
        let tenth = done * PROCESSES * 10 / attempts;
        if tenth > shown {
            shown = tenth;
            println!(
                "  about {} of {attempts} attempts after {:.0} s",
                done * PROCESSES,
                begin.elapsed().as_secs_f64()
            );
        }
    }
}

fn counted(line: &str) -> Option<(i32, u64)> {
    let mut words = line.split(' ');
    Some((words.next()?.parse().ok()?, words.next()?.strip_prefix("times=")?.parse().ok()?))
}
