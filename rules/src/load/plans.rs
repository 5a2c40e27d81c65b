//! For each event rule, what is known about when it need not be run.

use regorus::Value;

use crate::analysis::conditions::{Conditions, Formula};
use crate::analysis::corpus::Corpus;
use crate::analysis::needs::{Reads, stable_reads};
use crate::load::definitions::{Found, Role};

/// When a rule need not be run.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// It fires only on events for which this holds.
    pub(crate) condition: Formula,
    /// It gives the same for every event that agrees on these parts; nothing for a rule that gives the same for no
    /// two events.
    pub(crate) reads: Option<Reads>,
}

/// Plans for the event rules, in their order.
pub(super) fn build(corpus: &Corpus, found: &[Found], data: &Value) -> Vec<Plan> {
    let mut conditions = Conditions::new(corpus, data);
    let events = found.iter().filter(|found| matches!(found.role, Role::Event(_)));
    let plan =
        |found: &Found| Plan { condition: conditions.of_definition(found.at), reads: stable_reads(corpus, found.at) };
    events.map(plan).collect()
}
