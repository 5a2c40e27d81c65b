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

/// Rules that no start accepts: the second line of the policy, and what the error has to say.
const REFUSED: [(&str, &[&str]); 13] = [
    ("block_hashes contains \"{hash}\"", &["block_hashes", "block_executables"]),
    ("block_regions contains \"UA-43\"", &["block_regions", "block_countries"]),
    ("allow_executables contains \"/usr/bin/true\"", &["allow_executables", "block_executables"]),
    ("block_cidrs contains \"0.0.0.0/0\"", &["0.0.0.0/0", "cut this host off"]),
    ("block_cidrs contains \"::/0\"", &["::/0", "cut this host off"]),
    ("block_cidrs contains \"::/64\"", &["::/64", "cut this host off"]),
    ("block_executables contains \"{loader}\"", &["{loader}", "needs to run"]),
    ("block_executables contains \"{init}\"", &["{init}", "needs to run"]),
    ("block_paths contains \"{loader}\"", &["{loader}", "needs to run"]),
    ("block_paths contains \"/\"", &["needs to run"]),
    ("block_paths contains {\"value\": \"{loader}\", \"except\": {\"uids\": [12345]}}", &["{loader}", "needs to run"]),
    ("block_paths contains {\"value\": \"{loader}\", \"only\": {\"uids\": [0]}}", &["{loader}", "needs to run"]),
    ("block_paths contains {\"value\": \"/srv/x\", \"only\": {\"ports\": [80]}}", &["ports", "no meaning"]),
];

fn refused_by_name(ctx: &Ctx) -> Result<()> {
    let ground = Ground::prepare(ctx)?;
    let loader = "/lib64/ld-linux-x86-64.so.2";
    let init = std::fs::read_link("/proc/1/exe").context("finding init")?.display().to_string();
    let fill =
        |text: &str| text.replace("{loader}", loader).replace("{init}", &init).replace("{hash}", &"ab".repeat(32));
    for (rule, said) in REFUSED {
        let policy = ctx.policy("refused", &format!("package sentinel.lab\n{}\n", fill(rule)))?;
        let ended = ground.enforce(ctx).policy(&policy).expect_exit(Duration::from_secs(60))?;
        ensure!(ended.code == Some(1), "{rule}: {ended:?}");
        for part in said.iter().map(|part| fill(part)).chain([format!("{}:2:", policy.display())]) {
            ensure!(ended.stderr.contains(&part), "{rule}: the error does not say `{part}`:\n{}", ended.stderr);
        }
    }
    // With a limit that spares the host it is accepted, and holds for that subject alone.
    let (actor, other) = (ctx.program("actor")?, ctx.program("other")?);
    let limited = format!(
        "package sentinel.lab\nblock_paths contains {{\"value\": \"{loader}\", \"only\": {{\"executables\": [\"{}\"]}}}}\n",
        actor.display()
    );
    let policy = ctx.policy("accepted", &limited)?;
    let sentinel = ground.enforce(ctx).policy(&policy).start()?;
    if ctx.place == Place::Vm {
        let op = format!("open {loader} read");
        expect("the limited rule", ctx.act_as(&actor, &words(&op)), EPERM)?;
        expect("the limited rule, another program", ctx.act_as(&other, &words(&op)), 0)?;
    }
    stop(sentinel)
}
