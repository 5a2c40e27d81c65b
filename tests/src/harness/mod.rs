//! Everything a scenario stands on: where it runs, what it may touch, and the proof that it left nothing behind.
//!
//! Scenarios use [`scenario::Ctx`] and what it hands out; they perform system calls through [`act`] children, so that
//! the acting process, its cgroup and its network namespace are always a choice written in the scenario.

pub mod act;
pub mod act_context;
pub mod act_exec;
pub mod act_files;
pub mod act_kept;
pub mod act_link;
pub mod act_net;
pub mod act_ops;
pub mod act_peer;
pub mod act_race;
pub mod act_raw;
pub mod act_storm;
pub mod act_trace;
pub mod act_tun;
pub mod act_uring;
pub mod act_xdp;
pub mod cgroup;
pub mod command;
pub mod frames;
pub mod host;
pub mod init;
pub mod kept;
pub mod leftovers;
pub mod listen;
pub mod maps;
pub mod meter;
pub mod net;
pub mod objects;
pub mod process;
pub mod runner;
pub mod scenario;
pub mod sentinel;
pub mod sys;
