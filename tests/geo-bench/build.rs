//! Builds the benchmark's kernel programs; see `sentinel/build.rs`.

use std::process::Command;

use anyhow::Context as _;
use aya_build::{Package, Toolchain, build_ebpf};

/// The toolchain that has a precompiled `core` for BPF: Debian's own, linked under this name by
/// `cargo xtask setup`; elsewhere nightly, which builds `core` from its sources.
const DEBIAN: &str = "debian";

fn main() -> anyhow::Result<()> {
    let manifest = std::env::var("CARGO_MANIFEST_DIR").context("cargo sets CARGO_MANIFEST_DIR")?;
    let package =
        Package { name: "sentinel-ebpf", root_dir: &format!("{manifest}/../../sentinel-ebpf"), ..Package::default() };
    println!("cargo:rerun-if-changed={manifest}/../../sentinel-common/src");
    let toolchain = if has_debian_toolchain() { Toolchain::Custom(DEBIAN) } else { Toolchain::Nightly };
    build_ebpf([package], toolchain).context("building the kernel programs failed; run `cargo xtask setup` first")
}

fn has_debian_toolchain() -> bool {
    let listed = Command::new("rustup").args(["toolchain", "list"]).output();
    listed.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).lines().any(|line| line.starts_with(DEBIAN)))
}
