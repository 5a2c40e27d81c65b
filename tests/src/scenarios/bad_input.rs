//! Bad input: each is refused with a non-zero exit and a message that names what, where and the next step, and nothing
//! of the attempt stays in the kernel.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Result, ensure};

use super::events::text;
use crate::harness::{
    cgroup,
    leftovers::Snapshot,
    scenario::{Ctx, Place, Scenario, World},
    sentinel::Launch,
};

/// Loading programs is slow in an emulated machine.
const LIMIT: Duration = Duration::from_secs(120);
const GOOD: &str = "package sentinel.good\n\nblock_cidrs contains \"203.0.113.0/24\"\n";

/// The scenarios of this file.
pub(super) fn all() -> Vec<Scenario> {
    vec![
        Scenario { name: "bad-input-policy", world: World::Both, run: policies },
        Scenario { name: "bad-input-config", world: World::Both, run: config },
        Scenario { name: "bad-input-geoip", world: World::Both, run: geoip },
        Scenario { name: "bad-input-kernel-without-btf", world: World::Both, run: btf },
        Scenario { name: "bad-input-not-root", world: World::Both, run: not_root },
        Scenario { name: "bad-input-second-instance", world: World::Both, run: second_instance },
        Scenario { name: "bad-input-scope", world: World::Both, run: scope },
        Scenario { name: "bad-input-sinks", world: World::Both, run: sinks },
        Scenario { name: "bad-input-require-full-degraded", world: World::Host, run: require_degraded },
        Scenario { name: "bad-input-require-full", world: World::Vm, run: require_whole },
    ]
}

/// Starts it, expects this exit code, all of these words on standard error, and an untouched kernel.
fn refused(ctx: &Ctx, launch: Launch, code: i32, words: &[&str]) -> Result<()> {
    let before = Snapshot::take(&ctx.cgroup_root)?;
    let ended = launch.expect_exit(LIMIT)?;
    ensure!(ended.code == Some(code), "exit code {code} expected: {ended:?}");
    let missing: Vec<&&str> = words.iter().filter(|word| !ended.stderr.contains(**word)).collect();
    ensure!(missing.is_empty(), "{missing:?} not in:\n{}", ended.stderr);
    ensure!(!ended.stderr.contains("panicked"), "it panicked:\n{}", ended.stderr);
    ensure!(ended.stderr.starts_with("sentinel: ") || ended.stderr.contains("\nsentinel: "), "{}", ended.stderr);
    before.check(ctx)
}

/// A launch that would start if nothing were wrong, in enforce mode, so that a partial attach would matter.
fn launch(ctx: &Ctx, scope: &cgroup::Cgroup) -> Result<Launch> {
    Ok(ctx.sentinel().enforce_in(scope).policy(&ctx.policy("good", GOOD)?))
}

fn policies(ctx: &Ctx) -> Result<()> {
    let scope = ctx.cgroup("bad")?;
    let start = || ctx.sentinel().enforce_in(&scope);
    let broken =
        ctx.policy("broken", "package sentinel.broken\n\ndeny contains \"x\" if {\n\tinput.event.action ==\n}\n")?;
    refused(ctx, start().policy(&broken), 1, &[&format!("{}:5", text(&broken)), "the policies are not usable"])?;
    let wrong = ctx.policy("wrong", "package sentinel.wrong\n\nblock_countries contains \"Iran\"\n")?;
    refused(ctx, start().policy(&wrong), 1, &[&format!("{}:3", text(&wrong)), "Iran", "ISO 3166"])?;
    // One bad file among good ones is enough.
    let beside = start().policy(&ctx.policy("good", GOOD)?).policy(&broken);
    refused(ctx, beside, 1, &[&format!("{}:5", text(&broken))])?;
    let missing = ctx.path("nowhere");
    refused(ctx, start().policy(&missing), 1, &[&text(&missing), "No such file"])?;
    let empty = ctx.path("empty");
    fs::create_dir(&empty)?;
    refused(ctx, start().policy(&empty), 1, &[&text(&empty), ".rego"])?;
    // Root reads whatever its permissions are: a link that leads nowhere and bytes that are no text cannot be read.
    let dangling = ctx.path("dangling");
    fs::create_dir(&dangling)?;
    std::os::unix::fs::symlink("/nonexistent/policy", dangling.join("link.rego"))?;
    refused(ctx, start().policy(&dangling), 1, &[&text(&dangling.join("link.rego"))])?;
    let binary = ctx.write("binary.rego", b"package sentinel.binary\n\n# \xff\xfe\n")?;
    refused(ctx, start().policy(&binary), 1, &[&text(&binary), "UTF-8"])?;
    let data = ctx.write("data.json", "{\"a\": ")?;
    let launch = launch(ctx, &scope)?.arg("--data").arg(&data);
    refused(ctx, launch, 1, &[&text(&data)])
}

fn config(ctx: &Ctx) -> Result<()> {
    let scope = ctx.cgroup("bad")?;
    for (name, body, words) in [
        ("unknown.toml", "mode = \"monitor\"\npolices = []\n", ["line 2", "unknown field `polices`"]),
        ("nested.toml", "[geo]\n\nunknwon = \"deny\"\n", ["line 3", "unknown field `unknwon`"]),
        ("list.toml", "mode = \"monitor\"\npolicies = []\n", ["line 2", "a section with keys"]),
        ("value.toml", "\n\nmode = \"guard\"\n", ["line 3", "`enforce`"]),
        ("syntax.toml", "mode = \n", ["line 1", "mode = "]),
    ] {
        let file = ctx.write(name, body)?;
        refused(ctx, launch(ctx, &scope)?.config(&file), 1, &[&text(&file), words[0], words[1]])?;
    }
    let missing = ctx.path("missing.toml");
    refused(ctx, launch(ctx, &scope)?.config(&missing), 1, &[&text(&missing), "No such file"])
}

fn geoip(ctx: &Ctx) -> Result<()> {
    let scope = ctx.cgroup("bad")?;
    let missing = ctx.path("missing.mmdb");
    refused(ctx, launch(ctx, &scope)?.geoip(&missing), 1, &[&text(&missing), "No such file"])?;
    let random: Vec<u8> = (0..8192_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let corrupt = [
        ctx.write("empty.mmdb", b"")?,
        ctx.write("random.mmdb", &random)?,
        // The marker of the metadata, and then nothing that it promises.
        ctx.write("cut.mmdb", [&random[..4096], b"\xab\xcd\xefMaxMind.com\xe9\x4bnode_count".as_slice()].concat())?,
        ctx.write("text.csv", "1.0.0.0,1.0.0.255,CU\nnot,a,line\n")?,
    ];
    for file in corrupt {
        refused(ctx, launch(ctx, &scope)?.geoip(&file), 1, &[&text(&file)])?;
    }
    Ok(())
}

fn btf(ctx: &Ctx) -> Result<()> {
    let scope = ctx.cgroup("bad")?;
    let without = launch(ctx, &scope)?.env("SENTINEL_BTF", "/nonexistent/vmlinux");
    refused(ctx, without, 1, &["/nonexistent/vmlinux", "CONFIG_DEBUG_INFO_BTF=y"])?;
    // Type information that lacks what Sentinel needs, or is damaged.
    let real = fs::read("/sys/kernel/btf/vmlinux")?;
    for (name, bytes) in [("empty", &real[..0]), ("cut", &real[..real.len() / 2]), ("header", &real[..24])] {
        let file = ctx.write(name, bytes)?;
        refused(ctx, launch(ctx, &scope)?.env("SENTINEL_BTF", &text(&file)), 1, &[&text(&file), "not supported"])?;
    }
    Ok(())
}

/// Another user, with directories that it may write, so that only the missing root is in the way.
fn not_root(ctx: &Ctx) -> Result<()> {
    let home = ctx.path("home");
    fs::create_dir(&home)?;
    std::os::unix::fs::chown(&home, Some(65534), Some(65534))?;
    let policy = ctx.policy("good", GOOD)?;
    let before = Snapshot::take(&ctx.cgroup_root)?;
    for (dirs, place) in [(true, &home), (false, &PathBuf::from("/"))] {
        let mut run = ctx.command(&ctx.sentinel_bin).args(["run", "--mode", "monitor", "--policy"]).arg(&policy);
        if dirs {
            run = run.arg("--run-dir").arg(place.join("run")).arg("--state-dir").arg(place.join("state"));
        }
        let ended = run.uid(65534).limit(LIMIT).outcome()?;
        ensure!(ended.code == Some(1), "{ended:?}");
        ensure!(ended.stderr.contains("root") && ended.stderr.contains("sudo"), "no word of root: {}", ended.stderr);
    }
    before.check(ctx)
}

fn second_instance(ctx: &Ctx) -> Result<()> {
    let (scope, other) = (ctx.cgroup("first")?, ctx.cgroup("second")?);
    let first = launch(ctx, &scope)?.start()?;
    let run_dir = text(&first.run_dir());
    let words = ["another Sentinel", &run_dir, "sentinel stop", "--run-dir"];
    refused(ctx, launch(ctx, &other)?.dirs_of(&first), 1, &words)?;
    // The first does not notice.
    ensure!(first.status_code()? == 3, "{}", first.stderr());
    let pid = first.status_json()?["pid"].clone();
    ensure!(pid == first.pid(), "{pid} answers instead of the first instance");
    // Directories of its own are all that a second one needs.
    let second = launch(ctx, &other)?.start()?;
    ensure!(second.stop()?.code == Some(0));
    ensure!(first.status_code()? == 3, "{}", first.stderr());
    let ended = first.stop()?;
    ensure!(ended.code == Some(0), "{ended:?}");
    Ok(())
}

/// Scopes that are missing or would harm. On the host refusal stays compiled out while this is tried.
fn scope(ctx: &Ctx) -> Result<()> {
    let policy = ctx.policy("good", GOOD)?;
    let mode = if ctx.place == Place::Vm { "enforce" } else { "monitor" };
    let enforce = ctx.sentinel().policy(&policy).args(["--mode", "enforce"]);
    refused(ctx, enforce, 2, &["--scope-cgroup", "--whole-host"])?;
    let config = ctx.write("enforce.toml", "mode = \"enforce\"\n")?;
    refused(ctx, ctx.sentinel().policy(&policy).config(&config), 2, &["--scope-cgroup", "--whole-host"])?;
    let scoped = |dir: &str| ctx.sentinel().policy(&policy).args(["--mode", mode, "--scope-cgroup", dir]);
    let mount = text(&cgroup::v2_mount()?);
    for root in [mount.clone(), format!("{mount}/"), format!("{}/../..", text(&ctx.cgroup_root.join("harness")))] {
        refused(ctx, scoped(&root), 1, &[&root, "root cgroup", "--whole-host"])?;
    }
    let own = text(&ctx.cgroup_root.join("harness"));
    for ancestor in [own.clone(), text(&ctx.cgroup_root), format!("{own}/../harness")] {
        refused(ctx, scoped(&ancestor), 1, &[&ancestor, "Sentinel itself", "start it in another"])?;
    }
    for elsewhere in ["/nonexistent/cgroup", "/tmp", "/proc"] {
        refused(ctx, scoped(elsewhere), 1, &[elsewhere, "cgroup v2", "mkdir"])?;
    }
    Ok(())
}

fn sinks(ctx: &Ctx) -> Result<()> {
    let scope = ctx.cgroup("bad")?;
    let directory = text(&ctx.dir);
    for (sink, words) in [
        ("file:/nonexistent/alerts.jsonl".to_owned(), ["/nonexistent/alerts.jsonl", "does not exist; create it"]),
        (format!("file:{directory}"), [directory.as_str(), "directory"]),
        ("file:/proc/alerts.jsonl".to_owned(), ["/proc/alerts.jsonl", "cannot"]),
        ("pigeon:coop".to_owned(), ["pigeon", "stdout"]),
        ("alerts.jsonl".to_owned(), ["alerts.jsonl", "file:"]),
        ("file:".to_owned(), ["file:", ""]),
    ] {
        refused(ctx, launch(ctx, &scope)?.arg("--alerts").arg(sink), 1, &words)?;
    }
    Ok(())
}

/// Where LSM programs are refused, `full` is not to be had and `partial` is.
fn require_degraded(ctx: &Ctx) -> Result<()> {
    let scope = ctx.cgroup("require")?;
    let full = launch(ctx, &scope)?.args(["--require", "full"]);
    refused(ctx, full, 1, &["--require", "partial", "bprm_check_security", "file_open"])?;
    let monitor = ctx.sentinel().policy(&ctx.policy("good", GOOD)?).monitor_in(&scope).args(["--require", "partial"]);
    refused(ctx, monitor, 1, &["--require", "none", "monitor"])?;
    let partial = launch(ctx, &scope)?.args(["--require", "partial"]).start()?;
    ensure!(partial.status_code()? == 3);
    ensure!(partial.stop()?.code == Some(0));
    Ok(())
}

/// Where every hook is there, `full` is reached, unless the policy asks for what cannot be had.
fn require_whole(ctx: &Ctx) -> Result<()> {
    let only_reads =
        "package sentinel.files\n\nblock_paths contains {\"value\": \"/etc/shadow\", \"access\": [\"read\"]}\n";
    let files = ctx.policy("files", only_reads)?;
    let full = ctx.sentinel().policy(&files).enforce_whole_host().args(["--require", "full"]).start()?;
    ensure!(full.status_code()? == 0, "{}", full.stderr());
    ensure!(full.stop()?.code == Some(0));
    let changes = ctx.policy("changes", "package sentinel.files\n\nblock_paths contains \"/etc/shadow\"\n")?;
    let changes = ctx.sentinel().policy(&changes).enforce_whole_host().args(["--require", "full"]).start()?;
    ensure!(changes.status_code()? == 0, "{}", changes.stderr());
    ensure!(changes.stop()?.code == Some(0));
    let good = ctx.policy("good", GOOD)?;
    let egress = || ctx.sentinel().policy(&good).enforce_whole_host().args(["--require", "full"]);
    let config = ctx.write("sentinel.toml", "[egress]\nbypass = \"allow\"\n")?;
    let open = egress().arg("--config").arg(config.as_os_str());
    refused(ctx, open, 1, &["--require", "partial", "af_packet"])?;
    let full = egress().start()?;
    ensure!(full.status_code()? == 0, "not full: {}", full.status_json()?);
    let ended = full.stop()?;
    ensure!(ended.code == Some(0), "{ended:?}");
    let monitor = ctx.sentinel().policy(&files).args(["--require", "full"]);
    refused(ctx, monitor, 1, &["--require", "none", "monitor"])
}
