//! Policies are hostile input: whatever a text holds, a load gives policies or errors, and evaluation an outcome.
//!
//! Mutates policies with a fixed seed. `HOSTILE_ROUNDS` and `HOSTILE_SEED` make the search longer and another one.

#![expect(clippy::unwrap_used, reason = "helpers of tests; a failure is the test's")]

use std::time::{Duration, Instant};

use rules::{Evaluator, Kind, Limits, Policies, Value};

const SEEDS: &[&str] = &[
    "# METADATA\n# title: a\n# custom:\n#   id: a\n#   severity: high\n#   mitre: [T1059.004]\npackage sentinel.a\n\nimport data.lib\n\nshells := {\"sh\", \"bash\"}\n\nname(p) := own if {\n\town := p.name\n\tnot own in shells\n} else := upper(p.name)\n\ndeny contains {\"msg\": sprintf(\"%s %v\", [input.s, x]), \"ttl\": 5, \"scope\": \"path+process\"} if {\n\tinput.event.action in {\"exec\", \"open\"}\n\tsome x in input.list\n\tname(input.process) in shells\n\tevery y in input.list { y > 0 }\n}\n",
    "package sentinel.b\n\nblock_countries contains \"IR\"\n\nblock_cidrs contains {\"value\": \"203.0.113.0/24\", \"only\": {\"ports\": [443]}}\n\nexemptions contains {\"id\": \"x\", \"type\": \"t\", \"authority\": \"a\", \"reference\": \"r\", \"approver\": \"p\", \"expires\": \"2030-01-01\", \"countries\": [\"IR\"]}\n\nallow contains \"y\" if regex.match(`^a+$`, input.s) with input as {\"s\": \"a\"}\n",
    "# rego: v0\npackage sentinel.c\n\ndefault p = 1\n\np = 2 { input.n > 2 }\n\ndeny[msg] { p == 2; msg := concat(\",\", [s | s := input.words[_]]) }\n\nalert[m] { m := {k: v | v := input.object[k]}[\"a\"] }\n",
];

const TOKENS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    "|",
    ":=",
    "=",
    "==",
    ":",
    ",",
    "\"",
    "`",
    "#",
    "\n",
    " if ",
    " in ",
    " some ",
    " every ",
    " not ",
    " with input as ",
    " else ",
    " contains ",
    "deny",
    "input",
    "data",
    "null",
    "1e999",
    "-",
    "0x",
    "_",
    ".",
    "\\u0000",
    "\u{0}",
    "\u{202e}",
    "é",
    "# METADATA\n",
    "package sentinel.z\n",
    "import data.x\n",
    "default ",
    "sentinel.a",
    "[[[[",
    "((((",
    "{{{{",
    "99999999999999999999",
    "\t",
    "\r\n",
    ";",
    "walk",
    "count",
    "p",
    "name",
    "sprintf(\"%s\", [x])",
    "data.sentinel",
];

/// A small generator of numbers; the sequence depends on the seed alone.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(limit.max(1)).unwrap()).unwrap()
    }

    fn boundary(&mut self, text: &str) -> usize {
        let mut at = self.below(text.len() + 1);
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    }
}

/// Inserts, removes, repeats or moves a piece of the text.
fn mutate(text: &mut String, random: &mut Random) {
    let (a, b) = (random.boundary(text), random.boundary(text));
    let (from, to) = (a.min(b), a.max(b).min(a.min(b) + 40));
    let to = (from..=to).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(from);
    match random.below(5) {
        0 | 1 => text.insert_str(from, TOKENS[random.below(TOKENS.len())]),
        2 => drop(text.drain(from..to)),
        3 => {
            let piece = text[from..to].to_owned();
            let at = random.boundary(text);
            text.insert_str(at, &piece);
        }
        _ => {
            let piece = text[from..to].repeat(1 + random.below(30));
            text.insert_str(from, &piece);
        }
    }
}

#[test]
fn mutated_policies_never_panic_or_hang() {
    let setting =
        |name: &str, default: u64| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let rounds = setting("HOSTILE_ROUNDS", 600);
    let mut random = Random(setting("HOSTILE_SEED", 0x5eed_5eed_5eed_5eed));
    let input = Value::from_json_str(
        r#"{"event":{"action":"exec"},"s":"aaa","n":3,"list":[1,2],"words":["a","b"],"object":{"a":"b"},"process":{"name":"sh"}}"#,
    )
    .unwrap();
    let (mut loaded, mut refused) = (0, 0);
    for round in 0..rounds {
        let mut texts: Vec<String> = SEEDS.iter().map(|text| (*text).to_owned()).collect();
        let chosen = random.below(texts.len());
        for _ in 0..=random.below(4) {
            mutate(&mut texts[chosen], &mut random);
        }
        let modules: Vec<(&str, &str)> = ["a", "b", "c"].into_iter().zip(texts.iter().map(String::as_str)).collect();
        let start = Instant::now();
        // The stricter load is for its analyses; what it finds does not matter.
        drop(Policies::from_texts_strict(&modules, r#"{"lib": {"x": [1]}}"#));
        match Policies::from_texts(&modules, r#"{"lib": {"x": [1]}}"#) {
            Ok(policies) => {
                loaded += 1;
                let mut evaluator = Evaluator::new(policies.shared(), Limits::default());
                let outcome = evaluator.evaluate(Kind::Exec, &input);
                drop(outcome);
            }
            Err(errors) => {
                refused += 1;
                assert!(!errors.errors.is_empty() && !errors.to_string().is_empty());
                let engine_failed =
                    errors.errors.iter().any(|error| error.message.contains("the policy engine failed"));
                assert!(!engine_failed, "round {round}:\n{}", texts[chosen]);
            }
        }
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "round {round} took {:?}:\n{}",
            start.elapsed(),
            texts[chosen]
        );
    }
    assert!(loaded > rounds / 50 && refused > rounds / 50, "{loaded} loaded, {refused} refused");
}

#[test]
fn policies_and_evaluators_move_between_threads() {
    fn shared<T: Send + Sync>() {}
    fn moved<T: Send>() {}
    shared::<Policies>();
    moved::<Evaluator>();
}
