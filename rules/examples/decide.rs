//! Prints nanoseconds per decision of the shipped policies: register machine and interpreter, in one run.
//!
//! A decision is every rule that can match the event's kind. Figures are medians of several rounds, so that one
//! interruption does not show. With `--rules`, the slowest rules of each event follow, each run by itself.

use std::hint::black_box;
use std::time::{Duration, Instant};

use rules::input::{Object, array, text};
use rules::{Evaluator, Kind, Limits, Policies, Value};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let policies = Policies::shipped()?.shared();
    let mut machine = Evaluator::new(policies.clone(), Limits::default());
    let mut interpreter = Evaluator::interpreted(policies.clone(), Limits::default());
    println!("{} rules of {} packages", policies.rules().len(), policies.packages().len());
    println!("{:<24} {:>6} {:>10} {:>14} {:>14}", "event", "rules", "decisions", "machine ns", "interpreter ns");
    for (name, kind, input) in events() {
        let rules = policies.rules().iter().filter(|rule| rule.kinds.contains(kind)).count();
        let decisions = machine.evaluate(kind, &input).decisions.len();
        let fast = median(&mut machine, kind, &input, Duration::from_millis(20));
        let slow = median(&mut interpreter, kind, &input, Duration::from_millis(60));
        println!("{name:<24} {rules:>6} {decisions:>10} {fast:>14} {slow:>14}");
        if std::env::args().any(|argument| argument == "--rules") {
            slowest(&mut machine, kind, &input);
        }
    }
    println!("{:<24} {:>6} {:>10} {:>14}", "building an input", "", "", build_time());
    Ok(())
}

/// Prints the slowest rules.
fn slowest(evaluator: &mut Evaluator, kind: Kind, input: &Value) {
    let mut times = evaluator.time_each(kind, input);
    times.sort_by_key(|(_, time)| std::cmp::Reverse(*time));
    for (rule, time) in times.into_iter().take(8) {
        println!("    {:<44} {:>8}", evaluator.policies().rules()[rule as usize].id, time.as_nanos());
    }
}

/// Median over rounds of the nanoseconds of one evaluation.
fn median(evaluator: &mut Evaluator, kind: Kind, input: &Value, round: Duration) -> u128 {
    let mut rounds: Vec<u128> = (0..9)
        .map(|_| {
            let (start, mut count) = (Instant::now(), 0u32);
            while start.elapsed() < round {
                black_box(evaluator.evaluate(kind, black_box(input)));
                count += 1;
            }
            start.elapsed().as_nanos() / u128::from(count.max(1))
        })
        .collect();
    rounds.sort_unstable();
    rounds[rounds.len() / 2]
}

fn build_time() -> u128 {
    let start = Instant::now();
    for _ in 0..10_000 {
        black_box(connect("/usr/bin/curl", "203.0.113.7", 443));
    }
    start.elapsed().as_nanos() / 10_000
}

fn events() -> Vec<(&'static str, Kind, Value)> {
    vec![
        ("exec, ordinary", Kind::Exec, exec("/usr/bin/bash", "/usr/bin/grep", &["grep", "-r", "needle", "/srv"])),
        ("exec, netcat to shell", Kind::Exec, exec("/usr/bin/ncat", "/usr/bin/dash", &["sh"])),
        ("open, ordinary", Kind::Open, open("/usr/bin/python3", "/usr/lib/python3/dist-packages/six.py", false)),
        ("open, shadow", Kind::Open, open("/usr/bin/cat", "/etc/shadow", false)),
        ("connect, ordinary", Kind::Connect, connect("/usr/bin/curl", "203.0.113.7", 443)),
        ("connect, shell", Kind::Connect, connect("/usr/bin/bash", "203.0.113.7", 4444)),
        (
            "unlink, ordinary",
            Kind::Unlink,
            event(Kind::Unlink, process("/usr/bin/rm"), Some(file("/srv/x", true)), None),
        ),
    ]
}

fn event(kind: Kind, process: Object, file: Option<Object>, destination: Option<Object>) -> Value {
    let mut action = Object::new();
    action.set_word("action", kind.as_str());
    let mut network = Object::new();
    network.set_word("transport", "tcp").set_word("type", "ipv4");
    let mut input = Object::new();
    input.set("event", action).set("process", process).set_some("file", file);
    if let Some(destination) = destination {
        input.set("destination", destination).set("network", network);
    }
    input.build()
}

fn process(executable: &str) -> Object {
    let mut user = Object::new();
    user.set_word("id", "1000");
    let mut parent = Object::new();
    parent.set("pid", 100u64).set("executable", text("/usr/bin/bash")).set_word("name", "bash");
    let mut process = Object::new();
    process.set("pid", 4242u64).set("executable", text(executable)).set("user", user);
    process.set("name", text(executable.rsplit('/').next().unwrap_or_default()));
    process.set("args", array([text(executable)])).set("parent", parent.clone());
    process.set("ancestors", array((0..4).map(|_| parent.clone().build())));
    process
}

fn exec(previous: &str, executable: &str, args: &[&str]) -> Value {
    let mut calling = Object::new();
    calling.set("executable", text(previous));
    let mut process = process(executable);
    process.set("previous", calling).set("args", array(args.iter().map(|arg| text(arg))));
    event(Kind::Exec, process, Some(file(executable, false)), None)
}

fn file(path: &str, write: bool) -> Object {
    let mut file = Object::new();
    file.set("path", text(path)).set("name", text(path.rsplit('/').next().unwrap_or_default()));
    file.set("inode", text("123456")).set("write", write);
    file
}

fn open(executable: &str, path: &str, write: bool) -> Value {
    event(Kind::Open, process(executable), Some(file(path, write)), None)
}

fn connect(executable: &str, ip: &str, port: u32) -> Value {
    let mut destination = Object::new();
    destination.set("ip", text(ip)).set("port", port);
    event(Kind::Connect, process(executable), None, Some(destination))
}
