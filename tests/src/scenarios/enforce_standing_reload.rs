//! Reloads: a rule in both generations is never out of force, and a wrong policy changes nothing.
//!
//! Invariant: who tries, tries without pause from before the first reload to after the last.

use std::{
    net::{SocketAddr, UdpSocket},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use super::enforce_lab::{EPERM, Ground, PATIENCE, reload, stop};
use crate::harness::scenario::{Ctx, Scenario, World, eventually};

/// The scenarios of this file.
pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario { name: "standing-rules-hold-during-reloads", world: World::Vm, run: held_during_reloads },
        Scenario { name: "standing-refused-reload-changes-nothing", world: World::Both, run: refused_reload },
    ]
}

/// A thread that tries everything in turn, without pause while it is told to, and counts what came of it.
struct Attempts {
    state: Arc<AtomicU8>,
    counts: Arc<[[AtomicU64; 3]; WHAT.len()]>,
    thread: Option<JoinHandle<()>>,
}

/// What is tried.
const WHAT: [&str; 5] = ["path", "directory", "limited path", "network", "country"];

/// What came of an attempt.
const PASSED: usize = 0;
const REFUSED: usize = 1;
const OTHERWISE: usize = 2;

/// States of the thread.
const RESTING: u8 = 0;
const TRYING: u8 = 1;
const ENDING: u8 = 2;

impl Attempts {
    fn start(files: [PathBuf; 3]) -> Self {
        let (state, counts) = (Arc::new(AtomicU8::new(RESTING)), Arc::<[[AtomicU64; 3]; WHAT.len()]>::default());
        let (seen, counted) = (Arc::clone(&state), Arc::clone(&counts));
        let thread = std::thread::spawn(move || {
            loop {
                match seen.load(Ordering::Relaxed) {
                    TRYING => (0..WHAT.len()).for_each(|what| {
                        counted[what][attempt(what, &files)].fetch_add(1, Ordering::Relaxed);
                    }),
                    RESTING => std::thread::sleep(Duration::from_millis(1)),
                    _ => return,
                }
            }
        });
        Self { state, counts, thread: Some(thread) }
    }

    fn set(&self, state: u8) {
        self.state.store(state, Ordering::Relaxed);
    }

    fn count(&self, what: usize, outcome: usize) -> u64 {
        self.counts[what][outcome].load(Ordering::Relaxed)
    }
}

impl Drop for Attempts {
    fn drop(&mut self) {
        self.set(ENDING);
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed; dropping must not panic again.
            let _ = thread.join();
        }
    }
}

/// One attempt. Connecting a datagram socket sends nothing.
fn attempt(what: usize, files: &[PathBuf; 3]) -> usize {
    let connect = |to: [u8; 4]| UdpSocket::bind("0.0.0.0:0")?.connect(SocketAddr::from((to, 9)));
    let tried = match what {
        3 => connect([203, 0, 113, 7]),
        4 => connect([198, 51, 100, 7]),
        file => std::fs::File::open(&files[file]).map(drop),
    };
    match tried {
        Ok(()) => PASSED,
        Err(error) if error.raw_os_error() == Some(EPERM) => REFUSED,
        Err(_) => OTHERWISE,
    }
}

fn held_during_reloads(ctx: &Ctx) -> Result<()> {
    const RELOADS: u64 = 20;
    let files = [ctx.write("secret", "x")?, ctx.write("vault/below", "x")?, ctx.write("shared", "x")?];
    let kept = format!(
        "package sentinel.lab\nblock_paths contains \"{}\"\nblock_paths contains \"{}/\"\n\
         block_paths contains {{\"value\": \"{}\", \"except\": {{\"uids\": [65534]}}}}\n\
         block_cidrs contains \"203.0.113.0/24\"\nblock_countries contains \"KP\"\n",
        files[0].display(),
        ctx.path("vault").display(),
        files[2].display(),
    );
    let geo = ctx.geo_csv("geo", &[("198.51.100.0", "198.51.100.255", "KP"), ("192.0.2.0", "192.0.2.255", "CU")])?;
    let policy = ctx.policy("lab", &kept)?;
    let sentinel = ctx.sentinel().enforce_whole_host().policy(&policy).geoip(&geo).start()?;
    let attempts = Attempts::start(files);
    for round in 1..=RELOADS {
        // Every other generation has more rules, some of them around and inside the kept ones.
        let more = if round % 2 == 0 { MORE } else { "" };
        std::fs::write(&policy, format!("{kept}{more}# round {round}\n"))?;
        let before = attempts.count(0, REFUSED);
        attempts.set(TRYING);
        eventually("attempts", PATIENCE, || Ok((attempts.count(0, REFUSED) > before).then_some(())))?;
        // Nobody asks for a reload: the change is noticed. To ask for the status would wait for all events; the log does not.
        let line = format!("reloaded: generation {}", round + 1);
        eventually(&line, PATIENCE, || Ok(sentinel.stderr().contains(&line).then_some(())))?;
        attempts.set(RESTING);
    }
    for (what, name) in WHAT.iter().enumerate() {
        let [passed, refused, otherwise] = [PASSED, REFUSED, OTHERWISE].map(|outcome| attempts.count(what, outcome));
        ensure!(refused >= 10 * RELOADS, "{name}: only {refused} attempts in {RELOADS} reloads");
        ensure!(passed == 0 && otherwise == 0, "{name}: {passed} passed, {refused} refused, {otherwise} otherwise");
    }
    drop(attempts);
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
                .is_some_and(|text| text.contains("lab.rego:"))
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
