//! `demo`: what is refused in monitor mode and in enforce mode, as a table with the alerts below it.
//!
//! Invariant: every cell is the errno of a real act, every alert line is cut from a real alert, and a value that is not
//! what Sentinel promises fails the demo. How a row looks is in `demo_table`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::{
    demo_table::{Cell, Row, print},
    enforce_lab::{EPERM, Shown, alert_of, ensure_first_try, refused_at, stop, words},
};
use crate::harness::{
    listen::TcpSink,
    net::VethPair,
    scenario::{Ctx, Scenario, World},
    sentinel::Sentinel,
};

/// The scenarios of this file.
pub(super) fn all() -> Vec<Scenario> {
    vec![Scenario { name: "demo", world: World::OnRequest, run: demo }]
}

/// An address that the embedded country data puts into North Korea; the other end of the cable answers for it.
const EMBARGOED: &str = "175.45.176.1:443";

const STANDING: &str = r#"package sentinel.demo

block_countries contains {"id": "embargo-kp", "value": "KP", "severity": "critical"}
block_executables contains {"id": "forbidden-tool", "value": "{tool}", "severity": "high"}
block_paths contains {"id": "protected-file", "value": "{secret}", "severity": "high"}
"#;

/// The same three, as rules that look at the event: process, parent, arguments.
const EVENT: &str = r#"package sentinel.demo

deny contains {"id": "embargo-kp-event", "msg": "the agent connects to KP"} if {
	input.event.action == "connect"
	input.destination.geo.country_iso_code == "KP"
	by_agent
}

deny contains {"id": "forbidden-tool-event", "msg": "the agent runs the tool"} if {
	input.event.action == "exec"
	input.process.executable == "{tool}"
	input.process.parent.executable == "{agent}"
	"--dump" in input.process.args
}

deny contains {"id": "protected-file-event", "msg": "the agent reads the secret"} if {
	input.event.action == "open"
	input.file.path == "{secret}"
	by_agent
}

by_agent if {
	input.process.executable == "{agent}"
	input.process.parent.executable == "{tests}"
}
"#;

/// What the demonstration acts on, and who acts.
struct Stage {
    pair: VethPair,
    agent: PathBuf,
    other: PathBuf,
    tool: String,
    secret: String,
    _sink: TcpSink,
}

/// What is tried, and the ids of the rules against it.
struct Trial {
    title: &'static str,
    op: String,
    standing: &'static str,
    event: &'static str,
    scope: &'static str,
    hook: &'static str,
}

impl Stage {
    fn set(ctx: &Ctx) -> Result<Self> {
        let pair = ctx.veth_pair()?;
        pair.claim("175.45.176.0/22")?;
        Ok(Self {
            _sink: pair.far.tcp_sink("0.0.0.0:443")?,
            pair,
            agent: ctx.program("agent")?,
            other: ctx.program("browser")?,
            tool: ctx.tiny_program("forbidden-tool", 0)?.display().to_string(),
            secret: ctx.write("customers.db", "x")?.display().to_string(),
        })
    }

    fn policy(&self, ctx: &Ctx, name: &str, rego: &str) -> Result<PathBuf> {
        let text = rego
            .replace("{tool}", &self.tool)
            .replace("{secret}", &self.secret)
            .replace("{agent}", &self.agent.display().to_string())
            .replace("{tests}", &ctx.tests_bin.display().to_string());
        ctx.policy(name, &text)
    }

    fn trials(&self) -> [Trial; 3] {
        [
            Trial {
                title: "connect to an embargoed address",
                op: format!("connect {EMBARGOED}"),
                standing: "embargo-kp",
                event: "embargo-kp-event",
                scope: "destination+process",
                hook: "socket_connect",
            },
            Trial {
                title: "exec of a forbidden binary",
                op: format!("exec {} --dump", self.tool),
                standing: "forbidden-tool",
                event: "forbidden-tool-event",
                scope: "file+process",
                hook: "bprm_check_security",
            },
            Trial {
                title: "open of a protected file",
                op: format!("open {} read", self.secret),
                standing: "protected-file",
                event: "protected-file-event",
                scope: "file+process",
                hook: "file_open",
            },
        ]
    }

    /// The errno of one try.
    fn errno(&self, ctx: &Ctx, program: &Path, trial: &Trial) -> Result<i32> {
        let run = ctx.act_as(program, &words(&trial.op)).netns(&self.pair.near);
        run.errno().with_context(|| format!("{} by {}", trial.op, program.display()))
    }
}

fn demo(ctx: &Ctx) -> Result<()> {
    let stage = Stage::set(ctx)?;
    let standing = stage.policy(ctx, "standing", STANDING)?;
    let event = stage.policy(ctx, "event", EVENT)?;
    let trials = stage.trials();
    for trial in &trials {
        let errno = stage.errno(ctx, &stage.agent, trial)?;
        ensure!(errno == 0, "{} has to work without Sentinel, errno {errno}", trial.title);
    }
    let mut rows: Vec<Row> = trials.iter().map(|trial| Row::new(trial.title, &trial.op)).collect();
    let sentinel = ctx.sentinel().policy(&standing).start()?;
    for (trial, row) in trials.iter().zip(&mut rows) {
        monitored(ctx, &stage, &sentinel, trial, row)?;
    }
    stop(sentinel)?;
    let sentinel = ctx.sentinel().enforce_whole_host().policy(&standing).start()?;
    for (trial, row) in trials.iter().zip(&mut rows) {
        enforced(ctx, &stage, &sentinel, trial, row)?;
    }
    stop(sentinel)?;
    let sentinel = ctx.sentinel().enforce_whole_host().policy(&event).start()?;
    for (trial, row) in trials.iter().zip(&mut rows) {
        decided(ctx, &stage, &sentinel, trial, row)?;
    }
    stop(sentinel)?;
    print(&rows);
    rows.iter().try_for_each(Row::check)
}

/// Monitor mode: it works, and the alert says that it would have been refused.
fn monitored(ctx: &Ctx, stage: &Stage, sentinel: &Sentinel, trial: &Trial, row: &mut Row) -> Result<()> {
    let errno = stage.errno(ctx, &stage.agent, trial)?;
    let alert = alert_of(sentinel, trial.standing, 1, Shown::WouldBlockInKernel)?;
    row.add(Cell { column: "monitor", errno, expected: 0, alert: Some(alert) });
    Ok(())
}

/// A standing rule: refused on the first try.
fn enforced(ctx: &Ctx, stage: &Stage, sentinel: &Sentinel, trial: &Trial, row: &mut Row) -> Result<()> {
    let errno = stage.errno(ctx, &stage.agent, trial)?;
    let alert = alert_of(sentinel, trial.standing, 1, Shown::Refused)?;
    row.add(Cell { column: "standing rule, 1st try", errno, expected: EPERM, alert: Some(alert) });
    Ok(())
}

/// An event rule: the first try passes (or is caught on its way), the second is refused, another program goes on.
fn decided(ctx: &Ctx, stage: &Stage, sentinel: &Sentinel, trial: &Trial, row: &mut Row) -> Result<()> {
    let errno = stage.errno(ctx, &stage.agent, trial)?;
    ensure_first_try(&trial.op, errno)?;
    let alert = alert_of(sentinel, trial.event, 1, Shown::EntryWritten(trial.scope))?;
    row.add(Cell { column: "event rule, 1st try", errno, expected: errno, alert: Some(alert) });
    let errno = stage.errno(ctx, &stage.agent, trial)?;
    let alert = refused_at(sentinel, trial.event, trial.hook)?;
    row.add(Cell { column: "2nd try", errno, expected: EPERM, alert: Some(alert) });
    let errno = stage.errno(ctx, &stage.other, trial)?;
    row.add(Cell { column: "another program", errno, expected: 0, alert: None });
    let again = stage.errno(ctx, &stage.agent, trial)?;
    ensure!(again == EPERM, "{}: the entry was gone when the other program tried (errno {again})", trial.title);
    Ok(())
}
