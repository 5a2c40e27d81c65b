//! Repeats: what a process does again is counted and not reported, until something has changed; and no rule is missed by it.
//!
//! Invariant: the counts are compared with what the test made the process do.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::{
    enforce_lab::{EPERM, Ground, reload, stop, text},
    events::{EVERYTHING, by},
    events_own::{count, quiet},
};
use crate::harness::{
    command::Running,
    scenario::{Ctx, Scenario, World},
    sentinel::Sentinel,
};

/// The scenarios of this file.
pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario { name: "repeats-are-counted", world: World::Both, run: counted },
        Scenario { name: "repeats-after-a-change", world: World::Both, run: changed },
        Scenario { name: "repeats-refreshed", world: World::Both, run: refreshed },
        Scenario { name: "repeats-every-event", world: World::Both, run: every_event },
        Scenario { name: "repeats-hide-no-rule", world: World::Vm, run: hide_nothing },
    ]
}

/// How often everything is done.
const TIMES: u64 = 50;

struct Lab<'a> {
    ctx: &'a Ctx,
    ground: Ground,
    /// Directories and a file below.
    dir: PathBuf,
}

/// What a kind of event has grown by: seen, delivered, suppressed.
type Grown = (u64, u64, u64);

impl<'a> Lab<'a> {
    fn prepare(ctx: &'a Ctx) -> Result<Self> {
        let ground = Ground::prepare(ctx)?;
        ctx.write("repeats/one/file", "x")?;
        ctx.write("repeats/other/file", "x")?;
        Ok(Self { ctx, ground, dir: fs::canonicalize(&ctx.dir)?.join("repeats") })
    }

    fn path(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }

    /// Alerts on everything in the scope.
    fn watch(&self, policy: &Path, config: &str) -> Result<Sentinel> {
        let config = self.ctx.write("repeats.toml", config)?;
        self.ctx.sentinel().policy(policy).config(&config).monitor_in(&self.ground.cgroup).start()
    }

    /// A process in the scope that does the operations in turn, each when it is told to.
    fn process(&self, operations: &[String]) -> Result<Running> {
        let mut steps: Vec<String> = vec!["say".to_owned(), "ready".to_owned()];
        for operation in operations {
            steps.extend(["--", "wait", "--"].map(str::to_owned));
            steps.extend(operation.split(' ').map(str::to_owned));
        }
        steps.extend(["--", "wait"].map(str::to_owned));
        let act = self.ctx.act_as(&self.ctx.tests_bin, &steps).cgroup(&self.ground.cgroup);
        let mut child = act.netns(&self.ground.pair.near).start()?;
        child.wait_line("ready")?;
        Ok(child)
    }
}

/// Has the process do its next operation; its errno.
fn next(child: &mut Running) -> Result<i32> {
    child.say("go")?;
    child.next_errno()
}

/// The same, with what it did to the counters of a kind.
fn grown(child: &mut Running, sentinel: &Sentinel, kind: &str) -> Result<Grown> {
    let before = quiet(sentinel)?;
    let errno = next(child)?;
    ensure!(errno == 0, "{kind}: errno {errno}");
    let after = quiet(sentinel)?;
    let by = |field: &str| Ok::<u64, anyhow::Error>(count(&after, kind, field)? - count(&before, kind, field)?);
    Ok((by("seen")?, by("delivered")?, by("suppressed")?))
}

fn is(what: &str, grown: Grown, expected: Grown) -> Result<()> {
    ensure!(grown == expected, "{what}: seen, delivered and suppressed grew by {grown:?}, not {expected:?}");
    Ok(())
}

fn end(mut child: Running) -> Result<()> {
    child.say("end")?;
    ensure!(child.finish()?.code == Some(0));
    Ok(())
}

/// The paths that the alerts on opens by this process name, in their order.
fn opened(sentinel: &Sentinel, pid: u32) -> Result<Vec<String>> {
    let alerts: Vec<Value> = sentinel.settle(Duration::from_millis(300))?;
    Ok(by(&alerts, pid, "open").into_iter().map(|alert| text(alert, "/file/path").to_owned()).collect())
}

/// What an open that is done so often comes to, once reported: (TIMES, 1, TIMES - 1), unless this kernel does not tell where it counts
/// renames. That is proved by its own list of symbols, which has no such name or no addresses.
fn once(sentinel: &Sentinel) -> Result<Grown> {
    let known = sentinel.status_json()?["repeats"]["opens"].as_bool().context("the status does not tell of repeats")?;
    let symbols = fs::read_to_string("/proc/kallsyms").context("reading /proc/kallsyms")?;
    let told = |name: &str| {
        let mut lines = symbols.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        lines.any(|words| words.get(2) == Some(&name) && words[0].bytes().any(|digit| digit != b'0'))
    };
    let there = told("rename_lock") && told("mount_lock");
    ensure!(known == there, "repeats of opens are told: {known}; the kernel tells what that needs: {there}");
    if known {
        return Ok((TIMES, 1, TIMES - 1));
    }
    println!("    NOT TESTED HERE: repeats of opens; this kernel does not tell of rename_lock and mount_lock");
    Ok((TIMES, TIMES, 0))
}

/// The first is reported, the others are counted; another access, another object and another process are others.
fn counted(ctx: &Ctx) -> Result<()> {
    let lab = Lab::prepare(ctx)?;
    let sentinel = lab.watch(&ctx.policy("facts", EVERYTHING)?, "")?;
    let (file, other) = (lab.path("one/file"), lab.path("other/file"));
    let opens = once(&sentinel)?;
    let operations = [
        ("open", format!("repeat {TIMES} open {file} read")),
        ("open", format!("repeat {TIMES} open {file} write")),
        ("open", format!("repeat {TIMES} open {other} read")),
        ("connect", format!("repeat {TIMES} udp-connect 203.0.113.5:5353")),
        ("connect", format!("repeat {TIMES} udp-connect 203.0.113.5:5354")),
        ("send", format!("repeat {TIMES} sendto 203.0.113.6:5353")),
    ];
    for _ in 0..2 {
        let texts: Vec<String> = operations.iter().map(|(_, text)| text.clone()).collect();
        let mut child = lab.process(&texts)?;
        for (kind, operation) in &operations {
            let expected = if *kind == "open" { opens } else { (TIMES, 1, TIMES - 1) };
            is(operation, grown(&mut child, &sentinel, kind)?, expected)?;
        }
        let mut paths = opened(&sentinel, child.pid())?;
        paths.retain(|path| *path == file || *path == other);
        let each = usize::try_from(opens.1)?;
        let expected = [vec![file.clone(); 2 * each], vec![other.clone(); each]].concat();
        ensure!(paths == expected, "opens in alerts: {paths:?}");
        end(child)?;
    }
    stop(sentinel)
}

/// New policies make everything new, and so does another path of the same file; a rename elsewhere does not.
fn changed(ctx: &Ctx) -> Result<()> {
    let lab = Lab::prepare(ctx)?;
    let policy = ctx.policy("facts", EVERYTHING)?;
    let sentinel = lab.watch(&policy, "")?;
    if once(&sentinel)?.2 == 0 {
        return stop(sentinel);
    }
    let (file, moved) = (lab.path("one/file"), lab.path("moved/file"));
    let open = |path: &str| format!("repeat {TIMES} open {path} read");
    let mut child = lab.process(&[open(&file), open(&file), open(&file), open(&moved), open(&file)])?;
    is("first", grown(&mut child, &sentinel, "open")?, (TIMES, 1, TIMES - 1))?;
    reload(&sentinel, &policy, &format!("{EVERYTHING}\n# another text\n"))?;
    is("after a reload", grown(&mut child, &sentinel, "open")?, (TIMES, 1, TIMES - 1))?;
    fs::rename(lab.dir.join("other"), lab.dir.join("elsewhere"))?;
    is("after a rename elsewhere", grown(&mut child, &sentinel, "open")?, (TIMES, 0, TIMES))?;
    fs::rename(lab.dir.join("one"), lab.dir.join("moved"))?;
    is("by another path", grown(&mut child, &sentinel, "open")?, (TIMES, 1, TIMES - 1))?;
    fs::rename(lab.dir.join("moved"), lab.dir.join("one"))?;
    is("by the first path again", grown(&mut child, &sentinel, "open")?, (TIMES, 1, TIMES - 1))?;
    let paths = opened(&sentinel, child.pid())?;
    let about: Vec<&String> = paths.iter().filter(|path| path.ends_with("/file")).collect();
    ensure!(about == [&file, &file, &moved, &file], "opens in alerts: {about:?}");
    end(child)?;
    stop(sentinel)
}

/// After the interval it is reported again.
fn refreshed(ctx: &Ctx) -> Result<()> {
    let lab = Lab::prepare(ctx)?;
    let sentinel = lab.watch(&ctx.policy("facts", EVERYTHING)?, "[events]\nrepeat_seconds = 2\n")?;
    let mut child = lab.process(&["every 100 100 sendto 203.0.113.6:5353".to_owned()])?;
    let (seen, delivered, suppressed) = grown(&mut child, &sentinel, "send")?;
    ensure!(
        seen == 100 && delivered + suppressed == seen,
        "{seen} seen, {delivered} delivered, {suppressed} suppressed"
    );
    // Ten seconds or more, on a machine that can be slow.
    ensure!(delivered > 2 && suppressed > 50, "{delivered} of 100 were delivered, in intervals of two seconds");
    end(child)?;
    stop(sentinel)
}

/// A rule that asks for every event gets it, and so does one that reads the time; and nobody asks for those of other kinds.
fn every_event(ctx: &Ctx) -> Result<()> {
    let rule = |annotation: &str, condition: &str| {
        format!(
            "# METADATA\n# custom:\n#   severity: low\n{annotation}package sentinel.every\n\nalert contains \"opened\" if {{\n\t\
             input.event.action == \"open\"\n{condition}}}\n"
        )
    };
    let asked = rule("#   every_event: true\n", "");
    let by_time = rule("", "\ttime.clock(time.now_ns())[0] >= 0\n");
    let not_wanted = rule("#   every_event: false\n", "\ttime.clock(time.now_ns())[0] >= 0\n");
    let lab = Lab::prepare(ctx)?;
    let (all, one) = ((TIMES, TIMES, 0), (TIMES, 1, TIMES - 1));
    for (name, text, expected) in [("asked", asked, all), ("time", by_time, all), ("not-wanted", not_wanted, one)] {
        let sentinel = lab.watch(&ctx.policy(name, &text)?, "")?;
        let expected = if expected == one { once(&sentinel)? } else { expected };
        let open = format!("repeat {TIMES} open {} read", lab.path("one/file"));
        let mut child = lab.process(&[open, format!("repeat {TIMES} udp-connect 203.0.113.5:5353")])?;
        is(name, grown(&mut child, &sentinel, "open")?, expected)?;
        is(name, grown(&mut child, &sentinel, "connect")?, one)?;
        end(child)?;
        stop(sentinel)?;
    }
    Ok(())
}

/// What was let pass is refused at the first try when a rule has come, or the file has come to where one holds.
fn hide_nothing(ctx: &Ctx) -> Result<()> {
    let lab = Lab::prepare(ctx)?;
    fs::create_dir(lab.dir.join("kept"))?;
    let nothing = "package sentinel.lab\n";
    let policy = ctx.policy("lab", nothing)?;
    let sentinel = ctx.sentinel().enforce_in(&lab.ground.cgroup).policy(&policy).start()?;
    let (file, inside) = (lab.path("one/file"), lab.path("kept/one/file"));
    let by_prefix = format!("package sentinel.lab\nblock_paths contains \"{}/\"\n", lab.path("kept"));
    let by_path = format!("package sentinel.lab\nblock_paths contains \"{inside}\"\n");
    let by_file = format!("package sentinel.lab\nblock_paths contains \"{file}\"\n");
    let by_cidr = "package sentinel.lab\nblock_cidrs contains \"203.0.113.0/24\"\n".to_owned();
    let open = |path: &str| format!("repeat 5 open {path} read");
    let connect = || "repeat 5 udp-connect 203.0.113.5:5353".to_owned();
    // Each rule twice: a rename has to be seen while its rule is in force, a rule while what was let pass is known.
    for (what, rule, there, then) in [
        ("a rule on the file", &by_file, open(&file), open(&file)),
        ("a directory that comes to be protected", &by_prefix, open(&file), open(&inside)),
        ("a path that comes to be protected", &by_path, open(&file), open(&inside)),
        ("a rule on the destination", &by_cidr, connect(), connect()),
    ] {
        let moves = there != then;
        let mut child = lab.process(&[there.clone(), then.clone(), there])?;
        if moves {
            reload(&sentinel, &policy, rule)?;
        }
        ensure!(next(&mut child)? == 0, "{what}: before");
        if moves {
            fs::rename(lab.dir.join("one"), lab.dir.join("kept/one"))
                .context("into a protected place, by a free process")?;
        } else {
            reload(&sentinel, &policy, rule)?;
        }
        let errno = next(&mut child)?;
        ensure!(errno == EPERM, "{what}: errno {errno}");
        reload(&sentinel, &policy, nothing)?;
        if moves {
            fs::rename(lab.dir.join("kept/one"), lab.dir.join("one"))?;
        }
        match next(&mut child)? {
            0 => end(child)?,
            errno => bail!("{what}: errno {errno} without the rule"),
        }
    }
    stop(sentinel)
}
