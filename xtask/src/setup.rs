//! `setup`: what building and testing need, each thing with its reason, installed only where it is missing.
//!
//! Two ways to the kernel programs' toolchain. Where apt has a compiled `core` for the BPF target (Debian 12), a release
//! compiler from apt does it; elsewhere rustup's nightly with rust-src. Invariant: the LLVM of the compiler and the one in
//! bpf-linker are the same; a second run installs nothing.

mod apt;
mod toolchain;

pub(crate) use toolchain::{Kernel, kernel_toolchain};

use anyhow::Result;

use crate::project::{Project, find_program, output};

/// What is to be set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// What `cargo xtask build` needs.
    Build,
    /// What linting the kernel programs needs besides.
    Lint,
    /// What booting the VM needs besides.
    Vm,
    /// What the recorded hour needs besides.
    Hour,
    /// What holding alerts to the schemas of others needs besides.
    Formats,
}

/// Sets the parts up, with a line for each thing.
pub(crate) fn run(project: &Project, parts: &[Part]) -> Result<()> {
    if parts.contains(&Part::Build) {
        toolchain::set_up(project)?;
    }
    if parts.contains(&Part::Lint) {
        toolchain::set_up_lints(project)?;
    }
    if parts.contains(&Part::Vm) {
        apt::set_up(project, &VM_PACKAGES, "testing in a VM")?;
    }
    if parts.contains(&Part::Hour) {
        apt::set_up(project, &HOUR_PACKAGES, "recording an hour in a VM")?;
    }
    // Node.js and Python may also come from elsewhere than apt.
    if parts.contains(&Part::Formats) && find_program("npm").is_none() {
        apt::set_up(project, &NODE_PACKAGES, "holding alerts to the Elastic Common Schema")?;
    }
    if parts.contains(&Part::Formats) && !python_makes_environments(project) {
        apt::set_up(project, &PYTHON_PACKAGES, "holding alerts to OCSF")?;
    }
    Ok(())
}

/// A Debian package and why it is needed.
struct Package {
    name: &'static str,
    why: &'static str,
}

const VM_PACKAGES: [Package; 5] = [
    Package { name: "qemu-system-x86", why: "boots the test kernels" },
    Package { name: "iproute2", why: "ip sets up the test networks" },
    Package { name: "nftables", why: "nft rewrites destinations in a scenario" },
    Package { name: "btrfs-progs", why: "mkfs.btrfs makes a file system for scenarios" },
    Package { name: "binutils", why: "strip makes the boot image small" },
];

const HOUR_PACKAGES: [Package; 3] = [
    Package { name: "mmdebstrap", why: "makes the Debian that the hour runs on" },
    Package { name: "e2fsprogs", why: "mkfs.ext4 and debugfs: disks without mounting" },
    Package { name: "zstd", why: "makes the record small" },
];

const NODE_PACKAGES: [Package; 2] = [
    Package { name: "nodejs", why: "runs the validator of ECS" },
    Package { name: "npm", why: "fetches the validator of ECS" },
];

const PYTHON_PACKAGES: [Package; 1] =
    [Package { name: "python3-venv", why: "gives the validator of OCSF a place of its own" }];

/// Whether the Python there is can make an environment with pip in it.
fn python_makes_environments(project: &Project) -> bool {
    output(project.command("python3").args(["-c", "import ensurepip, venv"])).is_ok()
}

/// One line of progress.
fn report(thing: &str, why: &str, state: &str) {
    println!("setup: {thing:<28} {why:<52} {state}");
}
