//! What one rule costs on one event, each rule by itself.

use std::sync::Arc;
use std::time::{Duration, Instant};

use regorus::Value;

use super::engines::{execute, machine};
use super::{Evaluator, Limits};
use crate::decision::Cause;
use crate::kind::Kind;

/// The cost of one evaluation of one rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Index of the definition in [`Policies::rules`](crate::Policies::rules).
    pub rule: u32,
    /// Instructions of the register machine; `None` when the interpreter runs the rule, which counts none, or when the rule
    /// ran into its limits.
    pub instructions: Option<usize>,
    /// Median of the time of several evaluations.
    pub time: Duration,
}

/// Evaluations that the time is the median of.
const ROUNDS: usize = 9;

impl Evaluator {
    /// Runs every rule that can match `kind` by itself, and says what each cost.
    pub fn cost_each(&mut self, kind: Kind, input: &Value) -> Vec<Cost> {
        let policies = Arc::clone(&self.policies);
        let matching = policies.rules().iter().filter(|rule| rule.kinds.contains(kind));
        matching
            .map(|rule| {
                let mut times: Vec<Duration> = (0..ROUNDS).map(|_| self.time_one(rule.index as usize, input)).collect();
                times.sort_unstable();
                let instructions = self.count(rule.index as usize, input);
                Cost { rule: rule.index, instructions, time: times[ROUNDS / 2] }
            })
            .collect()
    }

    fn time_one(&mut self, rule: usize, input: &Value) -> Duration {
        let mut fired = Vec::new();
        let start = Instant::now();
        self.run_single(rule, input, &mut fired);
        start.elapsed()
    }

    /// The machine keeps its count to itself, so the least limit under which the rule ends is looked for.
    fn count(&self, rule: usize, input: &Value) -> Option<usize> {
        let program = self.policies.code.entries[rule].program.as_ref()?;
        let ends = |limit: usize| {
            let limits = Limits { instructions: limit, ..self.limits };
            let result = execute(&mut machine(program, &self.data, &limits, 1), input);
            !matches!(result, Err(Cause::InstructionLimit))
        };
        let (mut least, mut most) = (0, 64);
        while !ends(most) {
            least = most;
            most = most.checked_mul(2).filter(|most| *most <= self.limits.instructions)?;
        }
        while least + 1 < most {
            let middle = least + (most - least) / 2;
            if ends(middle) {
                most = middle;
            } else {
                least = middle;
            }
        }
        Some(most).filter(|most| *most <= self.limits.instructions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policies::Policies;
    use crate::schema;

    #[test]
    fn a_rule_that_does_more_costs_more() {
        let policy = "package sentinel.a\n\ndeny contains \"a\" if input.process.pid == 1\n\ndeny contains \"b\" if {\n\tsome a in input.process.args\n\tsome b in input.process.args\n\tlower(a) == upper(b)\n}\n";
        let policies = Policies::from_texts(&[("p.rego", policy)], "").unwrap().shared();
        let mut evaluator = Evaluator::new(policies.clone(), Limits::default());
        let event = schema::sample(Kind::Exec);
        let costs = evaluator.cost_each(Kind::Exec, &event);
        let count = |index: usize| costs[index].instructions.unwrap();
        assert!(count(0) > 2 && count(1) > 2 * count(0), "{costs:?}");
        assert_eq!(
            costs,
            evaluator
                .cost_each(Kind::Exec, &event)
                .iter()
                .zip(&costs)
                .map(|(again, first)| {
                    // Time varies, the count does not.
                    Cost { time: first.time, ..*again }
                })
                .collect::<Vec<_>>()
        );
        let limited = Limits { instructions: count(0), ..Limits::default() };
        let outcome = Evaluator::new(policies, limited).cost_each(Kind::Exec, &event);
        assert_eq!(outcome[1].instructions, None, "over its limit");
    }
}
