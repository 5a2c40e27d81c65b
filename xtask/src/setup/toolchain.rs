//! The compiler and the linker for the kernel programs.
//!
//! Invariant: what is installed is what `sentinel/build.rs` looks for: a rustup toolchain named `debian`, or `nightly` with
//! rust-src; and `bpf-linker` on PATH.

use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{Package, apt, report};
use crate::project::{Project, find_program, output, run};

/// The apt way: Debian's rustc for the web browsers, which comes with a compiled `core` for BPF.
const DEBIAN_PACKAGES: [Package; 7] = [
    Package { name: "gcc", why: "links Rust programs" },
    Package { name: "libc6-dev", why: "the C library to link with" },
    Package { name: "make", why: "builds C parts of dependencies" },
    Package { name: "rustc-web", why: "compiles the kernel programs" },
    Package { name: "cargo-web", why: "drives that compiler" },
    Package { name: "libstd-rust-web-dev-bpf", why: "core library compiled for the BPF target" },
    Package { name: "llvm-22-dev", why: "the same LLVM as that compiler's, for bpf-linker" },
];

const OTHER_PACKAGES: [Package; 2] = [
    Package { name: "gcc", why: "links Rust programs" },
    Package { name: "libc6-dev", why: "the C library to link with" },
];

const DEBIAN_LINTS: [Package; 1] = [Package { name: "rust-web-clippy", why: "lints the kernel programs" }];

const LINKER_VERSION: &str = "0.13.0";
const LLVM: &str = "22";

/// Which compiler builds the kernel programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kernel {
    /// Debian's, a release with a compiled core library.
    Debian,
    /// Rustup's nightly, which compiles the core library from its source.
    Nightly,
}

/// The one this system offers.
pub(crate) fn kernel_toolchain(project: &Project) -> Kernel {
    let core = "libstd-rust-web-dev-bpf";
    let debian = apt::available() && (apt::is_installed(core) || apt::can_have(project, core));
    if debian { Kernel::Debian } else { Kernel::Nightly }
}

/// Sets up whichever way this system offers.
pub(crate) fn set_up(project: &Project) -> Result<()> {
    let rustup = find_program("rustup").context(
        "building needs rustup, which selects the compiler for the kernel programs: install it from https://rustup.rs",
    )?;
    if kernel_toolchain(project) == Kernel::Debian {
        apt::set_up(project, &DEBIAN_PACKAGES, "building")?;
        link_toolchain(project)?;
        return install_linker(project, Some(LLVM));
    }
    apt::set_up(project, &OTHER_PACKAGES, "building")?;
    let args = ["toolchain", "install", "nightly", "--profile", "minimal", "--component", "rust-src"];
    let mut install = project.command(&rustup);
    nightly_component("rust-src", "nightly compiler and library source", install.args(args))?;
    install_linker(project, None)
}

/// Sets up the lints for the kernel programs, behind [`set_up`].
pub(crate) fn set_up_lints(project: &Project) -> Result<()> {
    match kernel_toolchain(project) {
        Kernel::Debian => apt::set_up(project, &DEBIAN_LINTS, "linting"),
        Kernel::Nightly => {
            let mut add = project.command("rustup");
            add.args(["component", "add", "clippy", "--toolchain", "nightly"]);
            nightly_component("clippy", "lints the kernel programs", &mut add)
        }
    }
}

/// Runs `install` unless nightly has the component.
fn nightly_component(component: &str, why: &str, install: &mut Command) -> Result<()> {
    let list = output(Command::new("rustup").args(["component", "list", "--toolchain", "nightly", "--installed"]));
    let there = list.is_ok_and(|list| list.lines().any(|line| line.starts_with(component)));
    report(&format!("nightly, {component}"), why, if there { "already there" } else { "installing" });
    if there { Ok(()) } else { run(install).context("fetching from rustup's server") }
}

/// Makes apt's compiler a rustup toolchain named `debian`.
fn link_toolchain(project: &Project) -> Result<()> {
    let list = output(Command::new("rustup").args(["toolchain", "list"]))?;
    let there = list.lines().any(|line| line.split_whitespace().next() == Some("debian"));
    let why = "lets cargo choose apt's compiler";
    report("rustup toolchain `debian`", why, if there { "already there" } else { "linking to /usr" });
    if there { Ok(()) } else { run(project.command("rustup").args(["toolchain", "link", "debian", "/usr"])) }
}

/// Installs bpf-linker, for the given LLVM of the system or for the one that comes with rustup's compiler.
fn install_linker(project: &Project, llvm: Option<&str>) -> Result<()> {
    let there = linker_is_right(llvm);
    let state = if there { "already there" } else { "installing (a few minutes)" };
    report(&format!("bpf-linker {LINKER_VERSION}"), "links the kernel programs into one object", state);
    if there {
        return Ok(());
    }
    let mut cargo = project.cargo();
    cargo.args(["install", "bpf-linker", "--version", LINKER_VERSION, "--locked", "--force"]);
    // The checkout's settings and this build's directories are not the linker's.
    cargo.current_dir(std::env::temp_dir()).env_remove("CARGO_TARGET_DIR").env_remove("RUSTC_BOOTSTRAP");
    if let Some(llvm) = llvm {
        cargo.args(["--no-default-features", "--features", &format!("llvm-{llvm}")]);
        cargo.env("LLVM_PREFIX", format!("/usr/lib/llvm-{llvm}"));
    }
    run(&mut cargo).context("installing bpf-linker")?;
    if !linker_is_right(llvm) {
        bail!("bpf-linker is installed but not on PATH: add ~/.cargo/bin (or $CARGO_HOME/bin) to PATH");
    }
    Ok(())
}

/// Whether the linker on PATH has the right version, and the LLVM asked for where it is linked to one of the system's.
fn linker_is_right(llvm: Option<&str>) -> bool {
    let Some(path) = find_program("bpf-linker") else { return false };
    let version = output(Command::new(&path).arg("--version")).unwrap_or_default();
    if version.trim() != format!("bpf-linker {LINKER_VERSION}") {
        return false;
    }
    let Some(llvm) = llvm else { return true };
    let libraries = output(Command::new("ldd").arg(&path)).unwrap_or_default();
    libraries.contains(&format!("libLLVM.so.{llvm}")) || libraries.contains(&format!("libLLVM-{llvm}"))
}
