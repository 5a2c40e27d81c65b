//! Reloads: a rule in both generations is never out of force, and a wrong policy changes nothing.
//!
//! Invariant: who tries, tries without pause from before the first reload to after the last.

use std::{
    net::{SocketAddr, UdpSocket},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, ensure};

use super::enforce_lab::{EPERM, Ground, PATIENCE, reload, stop};
use crate::harness::scenario::{Ctx, Scenario, World, eventually};

/// The scenarios of this file.
pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario { name: "standing-rules-hold-during-reloads", world: World::Vm, run: held_during_reloads },
        Scenario { name: "standing-refused-reload-changes-nothing", world: World::Both, run: refused_reload },
    ]
}

/// Threads that try something without pause and count what came of it.
struct Attempts {
    stop: Arc<AtomicBool>,
    counted: Vec<(&'static str, Arc<[AtomicU64; 3]>, JoinHandle<()>)>,
}

/// Indices of the counters.
const PASSED: usize = 0;
const REFUSED: usize = 1;
const OTHERWISE: usize = 2;

impl Attempts {
    fn new() -> Self {
        Self { stop: Arc::new(AtomicBool::new(false)), counted: Vec::new() }
    }

    fn add(&mut self, name: &'static str, mut attempt: impl FnMut() -> std::io::Result<()> + Send + 'static) {
        let counts: Arc<[AtomicU64; 3]> = Arc::default();
        let (stop, seen) = (Arc::clone(&self.stop), Arc::clone(&counts));
        let thread = std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let index = match attempt() {
                    Ok(()) => PASSED,
                    Err(error) if error.raw_os_error() == Some(EPERM) => REFUSED,
                    Err(_) => OTHERWISE,
                };
                seen[index].fetch_add(1, Ordering::Relaxed);
                // Leaves the emulated processors some time for the reload itself.
                std::thread::sleep(Duration::from_micros(200));
            }
        });
        self.counted.push((name, counts, thread));
    }

    /// Ends the threads and gives name, passed, refused and otherwise of each.
    fn end(self) -> Result<Vec<(&'static str, [u64; 3])>> {
        self.stop.store(true, Ordering::Relaxed);
        let mut counts = Vec::new();
        for (name, counted, thread) in self.counted {
            thread.join().map_err(|_| anyhow!("the thread `{name}` panicked"))?;
            counts.push((name, [PASSED, REFUSED, OTHERWISE].map(|index| counted[index].load(Ordering::Relaxed))));
        }
        Ok(counts)
    }
}

/// Attempts on everything that the rules below protect. Connecting a datagram socket sends nothing.
fn attempts(secret: PathBuf, below: PathBuf, shared: PathBuf) -> Attempts {
    let connect = |to: [u8; 4]| move || UdpSocket::bind("0.0.0.0:0")?.connect(SocketAddr::from((to, 9)));
    let open = |path: PathBuf| move || std::fs::File::open(&path).map(drop);
    let mut attempts = Attempts::new();
    attempts.add("path", open(secret));
    attempts.add("directory", open(below));
    attempts.add("limited path", open(shared));
    attempts.add("network", connect([203, 0, 113, 7]));
    attempts.add("country", connect([198, 51, 100, 7]));
    attempts
}

fn held_during_reloads(ctx: &Ctx) -> Result<()> {
    let [secret, below, shared] = ["secret", "vault/below", "shared"].map(|name| ctx.write(name, "x"));
    let (secret, below, shared) = (secret?, below?, shared?);
    let kept = format!(
        "package sentinel.lab\nblock_paths contains \"{}\"\nblock_paths contains \"{}/\"\n\
         block_paths contains {{\"value\": \"{}\", \"except\": {{\"uids\": [65534]}}}}\n\
         block_cidrs contains \"203.0.113.0/24\"\nblock_countries contains \"KP\"\n",
        secret.display(),
        ctx.path("vault").display(),
        shared.display(),
    );
    let geo = ctx.geo_csv("geo", &[("198.51.100.0", "198.51.100.255", "KP"), ("192.0.2.0", "192.0.2.255", "CU")])?;
    let policy = ctx.policy("lab", &kept)?;
    let sentinel = ctx.sentinel().enforce_whole_host().policy(&policy).geoip(&geo).start()?;
    let attempts = attempts(secret, below, shared);
    for round in 0..20 {
        // Every other generation has more rules, some of them around and inside the kept ones.
        let more = if round % 2 == 0 { MORE } else { "" };
        reload(&sentinel, &policy, &format!("{kept}{more}# round {round}\n"))?;
    }
    let generation = sentinel.status_json()?["generation"].as_u64();
    for (name, [passed, refused, otherwise]) in attempts.end()? {
        ensure!(refused >= 100, "{name}: only {refused} attempts in 20 reloads");
        ensure!(passed == 0 && otherwise == 0, "{name}: {passed} passed, {refused} refused, {otherwise} otherwise");
    }
    ensure!(generation == Some(21), "20 reloads gave generation {generation:?}");
    stop(sentinel)
}

const MORE: &str = "block_cidrs contains \"203.0.112.0/23\"\nblock_cidrs contains \"203.0.113.7/32\"\n\
                    block_countries contains \"CU\"\nblock_paths contains \"/srv/lab/\"\n\
                    deny contains \"never\" if input.process.executable == \"/nonexistent\"\n";

fn refused_reload(ctx: &Ctx) -> Result<()> {
    let ground = Ground::prepare(ctx)?;
    let _sink = ground.pair.far.tcp_sink("[::]:80")?;
    let good = "package sentinel.lab\nblock_cidrs contains \"203.0.113.0/24\"\n";
    let policy = ctx.policy("lab", good)?;
    let sentinel = ground.enforce(ctx).policy(&policy).start()?;
    for bad in [
        "package sentinel.lab\nblock_cidrs contains \"192.0.2.0/33\"\n",
        "package sentinel.lab\nblock_cidrs contains {\n",
    ] {
        std::fs::write(&policy, bad)?;
        sentinel.signal(libc::SIGHUP)?;
        eventually("the refused reload in the status", PATIENCE, || {
            Ok(sentinel.status_json()?["refused_reload"]
                .as_str()
                .is_some_and(|text| text.contains("lab.rego:2"))
                .then_some(()))
        })
        .with_context(|| format!("after {bad:?}, sentinel said:\n{}", sentinel.stderr()))?;
        ground.expect(ctx, "connect 203.0.113.1:80", EPERM)?;
        ground.expect(ctx, "connect 192.0.2.1:80", 0)?;
        reload(&sentinel, &policy, good)?;
        ensure!(sentinel.status_json()?["refused_reload"].is_null(), "a good reload must clear it");
    }
    stop(sentinel)
}
