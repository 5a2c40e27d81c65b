//! Standing rules that no start accepts, each refused by name with its file and line.
//!
//! Invariant: a rule that cannot be enforced, or that would take the host down, ends the start; it is never left out.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::enforce_lab::{EPERM, Ground, expect, stop, words};
use crate::harness::scenario::{Ctx, Place, Scenario, World};

/// The scenarios of this file.
pub(super) fn all() -> Vec<Scenario> {
    vec![Scenario { name: "standing-rules-refused-by-name", world: World::Both, run: refused_by_name }]
}

const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";

/// Rules that no start accepts, a line each, and what the error has to say.
const REFUSED: [(&str, &[&str]); 11] = [
    ("block_regions contains \"UA-43\"", &["block_regions", "block_countries"]),
    ("block_cidrs contains \"0.0.0.0/0\"", &["0.0.0.0/0", "cut this host off"]),
    ("block_cidrs contains \"::/0\"", &["::/0", "cut this host off"]),
    ("block_cidrs contains \"::/64\"", &["::/64", "cut this host off"]),
    ("block_executables contains \"{loader}\"", &["{loader}", "needs to run"]),
    ("block_executables contains \"{init}\"", &["{init}", "needs to run"]),
    ("block_paths contains \"{loader}\"", &["{loader}", "needs to run"]),
    ("block_paths contains \"/\"", &["every file of this host"]),
    ("block_paths contains {\"value\": \"{loader}\", \"except\": {\"uids\": [12345]}}", &["{loader}", "needs to run"]),
    ("block_paths contains {\"value\": \"{loader}\", \"only\": {\"uids\": [0]}}", &["{loader}", "needs to run"]),
    ("block_paths contains {\"value\": \"/srv/x\", \"only\": {\"ports\": [80]}}", &["ports", "no meaning"]),
];

fn refused_by_name(ctx: &Ctx) -> Result<()> {
    let ground = Ground::prepare(ctx)?;
    // Who may not look at init (a container's root) cannot name it; the shell is as vital.
    let init = std::fs::read_link("/proc/1/exe").unwrap_or_else(|_| "/bin/sh".into()).display().to_string();
    let fill = |text: &str| text.replace("{loader}", LOADER).replace("{init}", &init);
    let rules: String = REFUSED.iter().map(|(rule, _)| fill(rule) + "\n").collect();
    let policy = ctx.policy("refused", &format!("package sentinel.lab\n{rules}"))?;
    let ended = ground.enforce(ctx).policy(&policy).expect_exit(Duration::from_secs(120))?;
    ensure!(ended.code == Some(1), "{ended:?}");
    for (index, (rule, said)) in REFUSED.iter().enumerate() {
        let place = format!("{}:{}:", policy.display(), index + 2);
        let line = ended.stderr.lines().find(|line| line.contains(&place));
        let line = line.with_context(|| format!("{rule}: not refused at {place}\n{}", ended.stderr))?;
        for part in said.iter().map(|part| fill(part)) {
            ensure!(line.contains(&part), "{rule}: the error does not say `{part}`: {line}");
        }
    }
    limited(ctx, &ground)
}

/// With a limit that spares the host such a rule is accepted, and holds for that subject alone. Only reading, because the subject
/// would not come to life if it could not map its loader.
fn limited(ctx: &Ctx, ground: &Ground) -> Result<()> {
    let (actor, other) = (ctx.program("actor")?, ctx.program("other")?);
    let rule = format!(
        "package sentinel.lab\nblock_paths contains {{\"value\": \"{LOADER}\", \"access\": [\"read\"], \"only\": {{\"executables\": [\"{}\"]}}}}\n",
        actor.display()
    );
    let policy = ctx.policy("accepted", &rule)?;
    let sentinel = ground.enforce(ctx).policy(&policy).start()?;
    if ctx.place == Place::Vm {
        let op = format!("open {LOADER} read");
        expect("the limited rule", ctx.act_as(&actor, &words(&op)), EPERM)?;
        expect("the limited rule, another program", ctx.act_as(&other, &words(&op)), 0)?;
    }
    stop(sentinel)
}
