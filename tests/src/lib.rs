//! The root-only test program: scenarios on this host and in a VM, where the same binary is `/init`.
//!
//! Invariant: whatever it starts, mounts, attaches or creates is gone when it ends, also when it is interrupted.
//! Not here: building, fetching kernels, booting QEMU; that is `cargo xtask`. A library only so that helpers which no
//! scenario happens to use yet are not dead code.

pub mod harness;
pub mod hour;
pub mod scenarios;
pub mod workload;
