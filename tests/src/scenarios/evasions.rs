//! Being taken for something else: names that change during the call, scripts, process ids used again, borrowed thread names.
//!
//! Invariant: as in `enforce_standing_files`: each refusal is compared with the same act without the rule.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};

use super::{
    enforce_lab::{EPERM, Shown, alert_of, ensure_first_try, reload, stop, text, words},
    files_ground::{Ground, On},
};
use crate::harness::{
    command::Running,
    scenario::{Ctx, Scenario, World},
};

/// The scenarios of this file.
pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario { name: "evasion-raced-names", world: World::Vm, run: raced },
        Scenario { name: "evasion-scripts", world: World::Vm, run: scripts },
        Scenario { name: "evasion-reused-process-id", world: World::Vm, run: reused },
        Scenario { name: "evasion-borrowed-thread-name", world: World::Vm, run: borrowed },
        Scenario { name: "evasion-entered-process", world: World::Vm, run: entered },
        Scenario { name: "evasion-entered-process-rules", world: World::Vm, run: entered_rules },
    ]
}

/// Opens in a race, of each outcome.
const RACES: &str = "40";

/// How often the forbidden file was opened, and how often that was refused.
fn race(ctx: &Ctx, good: &str, bad: &str) -> Result<(u32, u32)> {
    let outcome = ctx.act(&["race-open", good, bad, RACES]).outcome()?;
    let line =
        outcome.stdout.lines().find(|line| line.starts_with("raced ")).with_context(|| format!("{outcome:?}"))?;
    let count = |name: &str| -> Result<u32> {
        let word = line.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        Ok(word.with_context(|| line.to_owned())?.parse()?)
    };
    ensure!(count("other")? == 0, "{line}");
    ensure!(count("good")? > 0, "the name never stood for the harmless file: {line}");
    Ok((count("bad")?, count("refused")?))
}

/// Another thread changes the name while the kernel reads it: the file that is opened decides, whatever the name was.
fn raced(ctx: &Ctx) -> Result<()> {
    let (good, bad) = (ctx.write("race/file-a", "x")?, ctx.write("race/file-b", "x")?);
    let (good, bad) = (good.display().to_string(), bad.display().to_string());
    let (opened, refused) = race(ctx, &good, &bad).context("without a rule")?;
    ensure!(opened > 0 && refused == 0, "without a rule {opened} opened and {refused} refused");
    let rule = format!("package sentinel.lab\nblock_paths contains {{\"id\": \"lab-raced\", \"value\": \"{bad}\"}}\n");
    let policy = ctx.policy("lab", &rule)?;
    let sentinel = ctx.sentinel().enforce_whole_host().policy(&policy).start()?;
    let (opened, refused) = race(ctx, &good, &bad)?;
    ensure!(opened == 0, "{opened} opens of the forbidden file, {refused} refused");
    ensure!(refused > 0, "the name never stood for the forbidden file");
    let alert = alert_of(&sentinel, "lab-raced", 1, Shown::Refused)?;
    ensure!(text(&alert, "/file/path") == bad, "{alert}");
    reload(&sentinel, &policy, "package sentinel.lab\n")?;
    let (opened, refused) = race(ctx, &good, &bad).context("after the rule")?;
    ensure!(opened > 0 && refused == 0, "after the rule {opened} opened and {refused} refused");
    stop(sentinel)
}

/// A forbidden script is refused itself; what is only read by a shell is refused by a rule on reading it.
fn scripts(ctx: &Ctx) -> Result<()> {
    let ground = Ground::new(ctx, On::Ext4)?;
    let script = ground.path("script");
    fs::write(&script, "#!/bin/sh\nexit 7\n")?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    let from_input = format!("/bin/sh < {script}");
    let ways: [(&str, &[&str]); 4] = [
        ("by its name", &["exec", &script]),
        ("as an argument of a shell", &["exec", "/bin/sh", &script]),
        ("by its name in a shell", &["exec", "/bin/sh", "-c", &script]),
        ("on standard input of a shell", &["exec", "/bin/sh", "-c", &from_input]),
    ];
    let tried = |expected: [bool; 4]| -> Result<()> {
        for ((way, op), expected) in ways.iter().zip(expected) {
            let ran = ctx.act(op).outcome()?.stdout.contains("status=7");
            ensure!(ran == expected, "{way}: ran {ran}");
        }
        Ok(())
    };
    tried([true; 4]).context("without Sentinel")?;
    let rule = |set: &str| {
        format!("package sentinel.lab\n{set} contains {{\"id\": \"lab-{set}\", \"value\": \"{script}\"}}\n")
    };
    let policy = ctx.policy("lab", &rule("block_executables"))?;
    let sentinel = ctx.sentinel().enforce_whole_host().policy(&policy).start()?;
    tried([false, true, false, true]).context("a rule on executing")?;
    let alert = alert_of(&sentinel, "lab-block_executables", 1, Shown::Refused)?;
    ensure!(text(&alert, "/file/path") == script, "{alert}");
    reload(&sentinel, &policy, &rule("block_paths"))?;
    tried([false; 4]).context("a rule on reading, too")?;
    alert_of(&sentinel, "lab-block_paths", 4, Shown::Refused)?;
    reload(&sentinel, &policy, "package sentinel.lab\n")?;
    tried([true; 4]).context("without a rule")?;
    stop(sentinel)
}

/// Where the kernel keeps the last process id that it gave.
const LAST_ID: &str = "/proc/sys/kernel/ns_last_pid";
/// Others start processes too, so an id may be gone.
const TRIES: u32 = 200;

/// An entry for one process does not hold for the next one with its number.
fn reused(ctx: &Ctx) -> Result<()> {
    let actor = ctx.program("actor")?;
    let secret = ctx.write("secret", "x")?.display().to_string();
    let rule = format!(
        "package sentinel.lab\ndeny contains {{\"id\": \"lab-once\", \"msg\": \"x\", \"scope\": \"file+instance\"}} if {{\n\t\
         input.event.action == \"open\"\n\tinput.process.executable == \"{}\"\n\tinput.file.path == \"{secret}\"\n}}\n",
        actor.display()
    );
    let policy = ctx.policy("lab", &rule)?;
    let sentinel = ctx.sentinel().enforce_whole_host().policy(&policy).start()?;
    let open = format!("open {secret} read");
    let mut first = ctx.act_as(&actor, &words(&format!("{open} -- wait -- {open}"))).start()?;
    ensure_first_try(&open, first.next_errno()?)?;
    alert_of(&sentinel, "lab-once", 1, Shown::EntryWritten("file+instance"))?;
    first.say("again")?;
    ensure!(first.next_errno()? == EPERM, "the second try of the same process");
    let id = first.pid();
    first.finish()?;
    let again = (0..TRIES).find_map(|_| with_id(ctx, &actor, &format!("wait -- {open}"), id).transpose());
    let mut again = again.with_context(|| format!("no new process got the number {id}"))??;
    again.say("go")?;
    ensure_first_try(&open, again.next_errno()?).context("another process with the same number")?;
    again.finish()?;
    stop(sentinel)
}

/// Starts the program; nothing if it got another number.
fn with_id(ctx: &Ctx, actor: &Path, ops: &str, id: u32) -> Result<Option<Running>> {
    fs::write(LAST_ID, (id - 1).to_string()).context(LAST_ID)?;
    let mut process = ctx.act_as(actor, &words(ops)).start()?;
    if process.pid() == id {
        return Ok(Some(process));
    }
    process.say("go")?;
    process.finish()?;
    Ok(None)
}

/// An exception is for the program, whatever somebody else's thread is called.
fn borrowed(ctx: &Ctx) -> Result<()> {
    let (login, other) = (ctx.program("login")?, ctx.program("other")?);
    let secret = ctx.write("secret", "x")?.display().to_string();
    let rule = format!(
        "package sentinel.lab\nblock_paths contains {{\"id\": \"lab-login\", \"value\": \"{secret}\", \"except\": \
         {{\"executables\": [\"{}\"]}}}}\n",
        login.display()
    );
    let called = format!("call-self login -- open {secret} read");
    let expect = |what: &str, program: &Path, errno: i32| -> Result<()> {
        let outcome = ctx.act_as(program, &words(&called)).outcome()?;
        ensure!(outcome.errnos() == [0, errno], "{what}: {outcome:?}");
        Ok(())
    };
    expect("without a rule", &other, 0)?;
    let policy = ctx.policy("lab", &rule)?;
    let sentinel = ctx.sentinel().enforce_whole_host().policy(&policy).start()?;
    expect("the program itself", &login, 0)?;
    expect("one that calls itself so", &other, EPERM)?;
    let alert = alert_of(&sentinel, "lab-login", 1, Shown::Refused)?;
    ensure!(text(&alert, "/process/executable") == other.display().to_string(), "{alert}");
    reload(&sentinel, &policy, "package sentinel.lab\n")?;
    expect("after the rule", &other, 0)?;
    stop(sentinel)
}

/// Ways into the process `$` or, with a program, into one that is about to be it, and what a refusal gives.
const WAYS_IN: [(&str, i32); 5] = [
    ("seize $", EPERM),
    ("write-into $", EPERM),
    ("open-memory $", EACCES),
    ("take-descriptor $", EPERM),
    ("traced @", EPERM),
];
/// What opening `/proc/PID/mem` gives.
const EACCES: i32 = 13;

/// Programs that a rule tells apart, and a process of the first.
struct Programs {
    login: PathBuf,
    other: PathBuf,
    running: Running,
}

impl Programs {
    fn start(ctx: &Ctx) -> Result<Self> {
        let (login, other) = (ctx.program("login")?, ctx.program("other")?);
        let running = ctx.act_as(&login, &["wait"]).start()?;
        Ok(Self { login, other, running })
    }

    /// Tries every way in as a program; each has to be refused, or none.
    fn try_all(&self, ctx: &Ctx, what: &str, program: &Path, refused: bool) -> Result<()> {
        for (way, errno) in WAYS_IN {
            let (pid, login) = (self.running.pid().to_string(), self.login.display().to_string());
            let op = way.replace('$', &pid).replace('@', &format!("{login} act say hello"));
            let outcome = ctx.act_as(program, &words(&op)).outcome()?;
            ensure!(outcome.errnos() == [if refused { errno } else { 0 }], "{what}, {way}: {outcome:?}");
        }
        Ok(())
    }

    fn finish(mut self) -> Result<()> {
        self.running.say("end")?;
        self.running.finish().map(drop)
    }
}

/// What a rule lets one program do, another does not get by entering it.
fn entered(ctx: &Ctx) -> Result<()> {
    let programs = Programs::start(ctx)?;
    let (login, other) = (programs.login.clone(), programs.other.clone());
    let rule = format!(
        "package sentinel.lab\nblock_paths contains {{\"id\": \"lab-login\", \"value\": \"{}\", \"except\": \
         {{\"executables\": [\"{}\"]}}}}\n",
        ctx.write("secret", "x")?.display(),
        login.display()
    );
    programs.try_all(ctx, "without Sentinel", &other, false)?;
    let policy = ctx.policy("lab", &rule)?;
    let sentinel = ctx.sentinel().enforce_whole_host().policy(&policy).start()?;
    programs.try_all(ctx, "another program", &other, true)?;
    programs.try_all(ctx, "the same program", &login, false)?;
    for number in 1..=WAYS_IN.len() {
        let alert = alert_of(&sentinel, "lab-login", number, Shown::Refused)?;
        ensure!(text(&alert, "/event/action") == "ptrace", "{alert}");
        ensure!(text(&alert, "/process/executable") == other.display().to_string(), "{alert}");
        ensure!(text(&alert, "/file/path") == login.display().to_string(), "{alert}");
        let entered = alert["sentinel"]["facts"]["process"]["target"]["pid"].as_u64();
        ensure!(number == WAYS_IN.len() || entered == Some(programs.running.pid().into()), "{alert}");
    }
    reload(&sentinel, &policy, "package sentinel.lab\n")?;
    programs.try_all(ctx, "after the rule", &other, false)?;
    stop(sentinel)?;
    programs.finish()
}

/// The same for the other kinds of rule that tell programs apart; rules on trial only report.
fn entered_rules(ctx: &Ctx) -> Result<()> {
    let programs = Programs::start(ctx)?;
    let (login, other) = (programs.login.display().to_string(), programs.other.display().to_string());
    let policy = ctx.policy("lab", "package sentinel.lab\n")?;
    let sentinel = ctx.sentinel().enforce_whole_host().policy(&policy).start()?;
    let block = |id: &str, more: &str| {
        format!("block_cidrs contains {{\"id\": \"{id}\", \"value\": \"192.0.2.0/24\", {more}}}\n")
    };
    let exemption = format!(
        "exemptions contains {{\"id\": \"lab-licence\", \"type\": \"licence\", \"authority\": \"x\", \"reference\": \"x\", \
         \"approver\": \"x\", \"expires\": \"2099-12-31\", \"cidrs\": [\"192.0.2.0/28\"], \"only\": {{\"executables\": \
         [\"{login}\"]}}}}\n"
    );
    let only_other = block("lab-only", &format!("\"only\": {{\"executables\": [\"{other}\"]}}"));
    let only_login = block("lab-mine", &format!("\"only\": {{\"executables\": [\"{login}\"]}}"));
    let on_trial =
        block("lab-trial", &format!("\"mode\": \"monitor\", \"except\": {{\"executables\": [\"{login}\"]}}"));
    let ports = block("lab-ports", "\"except\": {\"ports\": [80]}");
    let refused = |id: &'static str| Some((id, Shown::Refused));
    let cases = [
        ("a rule for the one that enters", &only_other, true, refused("lab-only")),
        ("a rule for the one that is entered", &only_login, false, None),
        ("an exemption of the one that is entered", &exemption, true, refused("lab-licence")),
        ("a rule on trial", &on_trial, false, Some(("lab-trial", Shown::WouldBlockInKernel))),
        ("a rule that tells no programs apart", &ports, false, None),
    ];
    for (what, rule, is_refused, shown) in cases {
        reload(&sentinel, &policy, &format!("package sentinel.lab\n{rule}"))?;
        programs.try_all(ctx, what, &programs.other, is_refused)?;
        if let Some((id, shown)) = shown {
            alert_of(&sentinel, id, WAYS_IN.len(), shown).context(what)?;
        }
    }
    stop(sentinel)?;
    programs.finish()
}
