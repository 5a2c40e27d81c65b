//! Every scenario, one file per subject.

mod bench;
mod selftest;

use crate::harness::scenario::Scenario;

/// All scenarios, in the order they run.
pub fn all() -> Vec<Scenario> {
    let mut all = Vec::new();
    all.extend(selftest::all());
    all.extend(bench::all());
    all
}
