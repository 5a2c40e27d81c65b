//! What a decision costs, for benchmarks; what one rule costs is in `cost`. Nothing here is used to decide.

use regorus::Value;
use regorus::rvm::RegoVM;

use super::Evaluator;
use super::engines::execute;
use crate::decision::Cause;
use crate::kind::Kind;

impl Evaluator {
    /// Instructions of the register machine for a decision on an event like none before. What runs in the
    /// interpreter counts for nothing.
    pub fn instructions(&mut self, kind: Kind, input: &Value) -> usize {
        let (limit, mut fired) = (self.limits.instructions, Vec::new());
        let Some(mut shortcuts) = self.shortcuts.take() else {
            let groups = self.plans[kind as usize].groups.clone();
            let counts = groups.into_iter().map(|group| {
                let group = &mut self.groups[group];
                count(&mut group.vm, input, limit.saturating_mul(group.rules.len()))
            });
            return counts.sum();
        };
        let rules = shortcuts.batches(kind, input).into_iter().flat_map(|batch| batch.rules);
        let counts = rules.map(|rule| {
            self.run_single(rule, input, &mut fired);
            self.singles[rule].as_mut().map_or(0, |vm| count(vm, input, limit))
        });
        let total = counts.sum();
        self.shortcuts = Some(shortcuts);
        total
    }
}

/// The machine does not say how many instructions it executed, but it stops at a limit: the lowest at which it does
/// not stop is how many.
fn count(vm: &mut RegoVM, input: &Value, limit: usize) -> usize {
    let (mut enough, mut too_few) = (limit, 0);
    while enough - too_few > 1 {
        let tried = too_few + (enough - too_few) / 2;
        vm.set_max_instructions(tried);
        match execute(vm, input) {
            Err(Cause::InstructionLimit) => too_few = tried,
            Ok(_) | Err(_) => enough = tried,
        }
    }
    vm.set_max_instructions(limit);
    enough
}
