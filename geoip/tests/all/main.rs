//! Tests of the crate from outside, one binary for all.

#![expect(clippy::unwrap_used, reason = "helpers of tests stop a test that cannot go on")]

mod files;
mod open;
mod prefixes;
mod schemas;
mod support;
