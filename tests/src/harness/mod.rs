//! Everything a scenario stands on: where it runs, what it may touch, and the proof that it left nothing behind.
//!
//! Scenarios use [`scenario::Ctx`] and what it hands out; they perform system calls through [`act`] children, so that
//! the acting process, its cgroup and its network namespace are always a choice written in the scenario.

pub mod act;
pub mod act_exec;
pub mod act_ops;
pub mod cgroup;
pub mod command;
pub mod host;
pub mod init;
pub mod leftovers;
pub mod listen;
pub mod maps;
pub mod net;
pub mod objects;
pub mod process;
pub mod runner;
pub mod scenario;
pub mod sentinel;
pub mod sys;
