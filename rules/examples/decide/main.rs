//! Prints what a decision of the shipped policies costs, and what it would cost otherwise, in one run.
//!
//! A decision is every rule that can match the event's kind. Three evaluators: the one Sentinel uses; the register
//! machine without the shortcuts (every rule of the kind is run); the interpreter. Figures are medians of several
//! rounds, so that one interruption does not show. With `--rules`, the slowest rules of each event follow, each run
//! by itself, and with `--check` a target that is missed is an error. With `--events FILE`, a recording (`sentinel run --record`,
//! `cargo xtask hour`), the realistic mix is what was recorded.

mod events;
mod recorded;

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use events::{Event, connect, distinct, mix, named};
use rules::{Evaluator, Kind, Limits, Policies, Value};

type Failure = Box<dyn std::error::Error>;

/// Most that one evaluation may take in the interpreter on a slow machine.
const PATIENT: Limits = Limits { time: Duration::from_secs(5), instructions: 1_000_000, memory: 1 << 20 };

fn main() -> Result<(), Failure> {
    let policies = Policies::shipped()?.shared();
    println!("{} rules of {} packages", policies.rules().len(), policies.packages().len());
    let shortcuts: Vec<_> = policies.rules().iter().map(|rule| policies.shortcuts(rule)).collect();
    let filtered = shortcuts.iter().filter(|shortcuts| shortcuts.filtered).count();
    let cached = shortcuts.iter().filter(|shortcuts| shortcuts.cached).count();
    println!("{filtered} have a condition on single fields, the results of {cached} are kept\n");
    single_events(&policies);
    let realistic = Realistic::of_arguments()?;
    let missed = [streams(&policies, &realistic)?, threads(&policies, &realistic)?].concat();
    if missed.is_empty() || !flag("--check") { Ok(()) } else { Err(missed.join("; ").into()) }
}

fn flag(name: &str) -> bool {
    std::env::args().any(|argument| argument == name)
}

/// What a host does in an hour: made up here, or recorded.
struct Realistic(Option<String>);

impl Realistic {
    fn of_arguments() -> Result<Realistic, Failure> {
        let mut arguments = std::env::args().skip_while(|argument| argument != "--events");
        match (arguments.next(), arguments.next()) {
            (Some(_), None) => Err("--events needs the file of a recording".into()),
            (_, file) => Ok(Realistic(file)),
        }
    }

    const fn name(&self) -> &'static str {
        if self.0.is_some() { "recorded events" } else { "made-up mix" }
    }

    fn events(&self, count: u32) -> Result<Vec<Event>, Failure> {
        match &self.0 {
            Some(file) => recorded::read(file, count as usize),
            None => Ok(mix(count)),
        }
    }
}

fn single_events(policies: &Arc<Policies>) {
    let mut machine = Evaluator::plain(policies.clone(), PATIENT);
    let mut interpreter = Evaluator::interpreted(policies.clone(), PATIENT);
    println!(
        "nanoseconds   {:>16} {:>10} {:>10} {:>10} {:>10} {:>12}",
        "rules", "decisions", "first", "again", "machine", "interpreter"
    );
    for (name, (kind, input)) in named() {
        let rules = policies.rules().iter().filter(|rule| rule.kinds.contains(kind)).count();
        let decisions = machine.evaluate(kind, &input).decisions.len();
        let first = first_time(policies, kind, &input);
        let again = median(&mut Evaluator::new(policies.clone(), PATIENT), kind, &input, Duration::from_millis(10));
        let all = median(&mut machine, kind, &input, Duration::from_millis(20));
        let slow = median(&mut interpreter, kind, &input, Duration::from_millis(60));
        println!("{name:<24} {rules:>5} {decisions:>10} {first:>10} {again:>10} {all:>10} {slow:>12}");
        if flag("--rules") {
            slowest(&mut machine, kind, &input);
        }
    }
    println!("building an input {:>50}\n", build_time());
}

/// Nanoseconds of a decision that was not made before: the machines are there, the result is not.
fn first_time(policies: &Arc<Policies>, kind: Kind, input: &Value) -> u128 {
    let mut evaluator = Evaluator::new(policies.clone(), PATIENT);
    evaluator.evaluate(kind, input);
    let round = |evaluator: &mut Evaluator| {
        evaluator.forget();
        let start = Instant::now();
        black_box(evaluator.evaluate(kind, black_box(input)));
        start.elapsed().as_nanos()
    };
    let mut rounds: Vec<u128> = (0..99).map(|_| round(&mut evaluator)).collect();
    rounds.sort_unstable();
    rounds[rounds.len() / 2]
}

/// Prints the slowest rules.
fn slowest(evaluator: &mut Evaluator, kind: Kind, input: &Value) {
    let mut costs = evaluator.cost_each(kind, input);
    costs.sort_by_key(|cost| std::cmp::Reverse(cost.time));
    for cost in costs.into_iter().take(8) {
        println!("    {:<44} {:>8}", evaluator.policies().rules()[cost.rule as usize].id, cost.time.as_nanos());
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

/// Decisions a second on streams of events. Returns the targets that were missed.
fn streams(policies: &Arc<Policies>, realistic: &Realistic) -> Result<Vec<String>, Failure> {
    println!(
        "decisions/s   {:>16} {:>11} {:>12} {:>9} {:>7} {:>8} {:>13}",
        "sentinel", "machine", "interpreter", "ratio", "target", "known", "instructions"
    );
    let mut missed = Vec::new();
    let streams = [("distinct events", distinct(30_000), 3.0), (realistic.name(), realistic.events(200_000)?, 10.0)];
    for (name, events, target) in streams {
        let mut evaluator = Evaluator::new(policies.clone(), PATIENT);
        let fast = median_rate(&events, 3, |events| {
            evaluator.forget();
            run(&mut evaluator, events)
        });
        let counters = evaluator.counters();
        let known = 100 * counters.hits / (counters.hits + counters.misses + counters.uncached).max(1);
        let mut machine = Evaluator::plain(policies.clone(), PATIENT);
        let all = median_rate(&sample(&events, 8_000), 3, |events| run(&mut machine, events));
        let mut interpreter = Evaluator::interpreted(policies.clone(), PATIENT);
        let slow = median_rate(&sample(&events, 800), 3, |events| run(&mut interpreter, events));
        let ratio = fast / slow;
        let instructions = mean_instructions(policies, &sample(&events, 500));
        println!(
            "{name:<18} {fast:>11.0} {all:>11.0} {slow:>12.0} {ratio:>8.1}x {target:>6.0}x {known:>7}% {instructions:>13}"
        );
        if ratio < target {
            missed.push(format!("{name}: {ratio:.1} times the interpreter, {target} wanted"));
        }
    }
    println!();
    Ok(missed)
}

/// So many of the events, evenly spaced, so that every part of a recording is among them.
fn sample(events: &[Event], count: usize) -> Vec<Event> {
    let count = count.min(events.len());
    (0..count).map(|n| events[n * events.len() / count].clone()).collect()
}

/// Instructions of the machine for one decision: of the rules that can fire, and of all.
fn mean_instructions(policies: &Arc<Policies>, events: &[Event]) -> String {
    let mut evaluators = [Evaluator::new(policies.clone(), PATIENT), Evaluator::plain(policies.clone(), PATIENT)];
    let mean = |evaluator: &mut Evaluator| {
        let total: usize = events.iter().map(|(kind, input)| evaluator.instructions(*kind, input)).sum();
        total / events.len().max(1)
    };
    let [some, all] = evaluators.each_mut().map(mean);
    format!("{some} of {all}")
}

fn run(evaluator: &mut Evaluator, events: &[Event]) -> f64 {
    let start = Instant::now();
    for (kind, input) in events {
        black_box(evaluator.evaluate(*kind, black_box(input)));
    }
    u32::try_from(events.len()).map_or(0.0, f64::from) / start.elapsed().as_secs_f64()
}

fn median_rate(events: &[Event], rounds: usize, mut run: impl FnMut(&[Event]) -> f64) -> f64 {
    let mut rates: Vec<f64> = (0..rounds).map(|_| run(events)).collect();
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

/// Decisions a second from one thread and from two, each with its own evaluator and events: by the clock, and by the
/// time the threads had a processor, which other work on the machine does not change.
fn threads(policies: &Arc<Policies>, realistic: &Realistic) -> Result<Vec<String>, Failure> {
    let rates = |threads: usize| -> Result<(f64, f64), Failure> {
        // Each thread's events are its own: those of another would be counted references that both write to.
        let streams = (0..threads).map(|_| realistic.events(100_000)).collect::<Result<Vec<_>, _>>()?;
        let start = std::sync::Barrier::new(threads);
        let one = |events: &[Event]| {
            let mut evaluator = Evaluator::new(policies.clone(), PATIENT);
            run(&mut evaluator, events);
            start.wait();
            let before = processor_seconds();
            let rate = median_rate(events, 7, |events| run(&mut evaluator, events));
            let used = processor_seconds() - before;
            let decisions = 7.0 * u32::try_from(events.len()).map_or(0.0, f64::from);
            (rate, if used > 0.0 { decisions / used } else { 0.0 })
        };
        let rates = std::thread::scope(|scope| {
            let running: Vec<_> = streams.iter().map(|events| scope.spawn(|| one(events))).collect();
            let rates = running.into_iter().map(|thread| thread.join().unwrap_or_default());
            rates.fold((0.0, 0.0), |(clock, processor), rate| (clock + rate.0, processor + rate.1))
        });
        Ok(rates)
    };
    let (one, two) = (rates(1)?, rates(2)?);
    let (clock, processor) = (two.0 / one.0, two.1 / one.1);
    println!("one thread         {:>11.0} decisions/s, {:>9.0} a second of processor", one.0, one.1);
    println!("two threads        {:>11.0} decisions/s, {:>9.0} a second of processor", two.0, two.1);
    println!("scaling            {clock:>10.2}x by the clock, {processor:.2}x by processor time, target 1.8x");
    let missed = format!("two threads: {processor:.2} times one by processor time, 1.8 wanted");
    Ok(if processor < 1.8 { vec![missed] } else { Vec::new() })
}

/// Seconds this thread had a processor. Nothing where the kernel does not count them.
fn processor_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|nanoseconds| nanoseconds.parse::<f64>().ok()).unwrap_or(0.0) / 1e9
}
