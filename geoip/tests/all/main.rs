//! Tests of the crate from outside, one binary for all.

#![expect(clippy::unwrap_used, reason = "helpers of tests stop a test that cannot go on")]

mod compare;
mod files;
mod lists;
mod open;
mod prefixes;
mod regions;
mod schemas;
mod support;
mod votes;
