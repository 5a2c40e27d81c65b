//! The checks, one function each.

use std::{fs, io::Read as _, path::Path};

use flate2::read::GzDecoder;
use sentinel_common::hook;

use super::{Check, State};
use crate::kernel::{
    HookState,
    features::{self, Features},
    offsets::{self, VMLINUX},
    symbols,
};

const LSM_LIST: &str = "/sys/kernel/security/lsm";
const LOCKDOWN: &str = "/sys/kernel/security/lockdown";
const BPFFS: &str = "/sys/fs/bpf";
/// `BPF_FS_MAGIC`.
const BPF_FS_MAGIC: u64 = 0xcafe_4a11;

/// What is lost where LSM programs do not run.
const WITHOUT_LSM: &str = "exec and files are only reported, and what avoids the hooks on destinations is not refused";

fn check(name: &'static str, state: State, found: impl Into<String>, lost: &str, step: &str) -> Check {
    let (lost, step) = if state == State::Ok { ("", "") } else { (lost, step) };
    Check { name, state, found: found.into(), lost: lost.to_owned(), step: step.to_owned() }
}

/// `Ok` if it is so.
const fn needed(so: bool) -> State {
    if so { State::Ok } else { State::Missing }
}

/// Those that need no program.
pub(super) fn all(release: &str) -> Vec<Check> {
    let config = KernelConfig::read(release);
    let mut checks =
        vec![root_and_namespaces(), types(), lsm(&config), lockdown(), jit(), bpffs(), unprivileged(), renames()];
    checks.extend(config.checks());
    checks
}

fn root_and_namespaces() -> Check {
    match features::probe() {
        Ok(Features { cgroup2, .. }) => {
            check("place", State::Ok, format!("root, host namespaces, cgroup v2 at {}", cgroup2.display()), "", "")
        }
        // The error says what to do.
        Err(error) => check("place", State::Missing, error.to_string(), "everything", ""),
    }
}

fn types() -> Check {
    let step = "run a kernel built with CONFIG_DEBUG_INFO_BTF=y (Debian, Ubuntu, Fedora and RHEL kernels are), with /sys mounted";
    match offsets::resolve(Path::new(VMLINUX)) {
        Ok(_) => check("kernel types", State::Ok, format!("{VMLINUX} has every field that is read"), "", ""),
        Err(error) => check("kernel types", State::Missing, error.to_string(), "everything", step),
    }
}

fn lsm(config: &KernelConfig) -> Check {
    let Ok(list) = fs::read_to_string(LSM_LIST) else {
        let step = "mount -t securityfs none /sys/kernel/security";
        return check("lsm list", State::Unknown, format!("{LSM_LIST} cannot be read"), "", step);
    };
    let list = list.trim();
    let has = list.split(',').any(|module| module == "bpf");
    let boot = format!(
        "add lsm={list},bpf to the kernel's command line (Debian: GRUB_CMDLINE_LINUX in /etc/default/grub, then update-grub) and \
         reboot"
    );
    let step = match config.value("CONFIG_BPF_LSM") {
        Some("y") | None => boot.as_str(),
        Some(_) => "run a kernel built with CONFIG_BPF_LSM=y",
    };
    check("lsm list", needed(has), list, WITHOUT_LSM, step)
}

fn lockdown() -> Check {
    let Ok(text) = fs::read_to_string(LOCKDOWN) else {
        return check("lockdown", State::Unknown, format!("{LOCKDOWN} cannot be read"), "", "");
    };
    let current = text.split(['[', ']']).nth(1).unwrap_or("none").to_owned();
    let step = "boot without lockdown=confidentiality; integrity is no hindrance";
    check("lockdown", needed(current != "confidentiality"), current, "programs may not read the kernel's memory", step)
}

/// A number in /proc/sys.
fn sysctl(name: &str) -> Option<u64> {
    fs::read_to_string(Path::new("/proc/sys").join(name)).ok()?.trim().parse().ok()
}

fn jit() -> Check {
    let step = "sysctl -w net.core.bpf_jit_enable=1, and the same in /etc/sysctl.d";
    match sysctl("net/core/bpf_jit_enable") {
        Some(0) => check("jit", State::Advice, "off", "every hook costs several times as much", step),
        Some(_) => check("jit", State::Ok, "on", "", ""),
        None => check("jit", State::Unknown, "net.core.bpf_jit_enable cannot be read", "", ""),
    }
}

fn bpffs() -> Check {
    let there = rustix::fs::statfs(BPFFS).is_ok_and(|found| found.f_type as u64 == BPF_FS_MAGIC);
    let found = if there { format!("mounted at {BPFFS}") } else { format!("not mounted at {BPFFS}") };
    let state = if there { State::Ok } else { State::Advice };
    check("bpf file system", state, found, "enforcement ends with its daemon", "mount -t bpf bpf /sys/fs/bpf")
}

fn renames() -> Check {
    let lost = "every open is looked at and reported, however often a process repeats it; nothing else is lost";
    let step = "run a kernel with CONFIG_KALLSYMS_ALL=y, and sysctl -w kernel.kptr_restrict=1";
    match symbols::find_names() {
        Ok(_) => check("repeated opens", State::Ok, "renames and mounts are counted where one can see", "", ""),
        Err(why) => check("repeated opens", State::Advice, why, lost, step),
    }
}

fn unprivileged() -> Check {
    let (name, lost) = ("unprivileged bpf", "any user may load programs, whose verifier has had holes");
    let step = "sysctl -w kernel.unprivileged_bpf_disabled=1, and the same in /etc/sysctl.d";
    match sysctl("kernel/unprivileged_bpf_disabled") {
        Some(0) => check(name, State::Advice, "allowed", lost, step),
        Some(_) => check(name, State::Ok, "not allowed", "", ""),
        None => check(name, State::Unknown, "kernel.unprivileged_bpf_disabled cannot be read", "", ""),
    }
}

/// Those that programs showed, if they could be tried.
pub(super) fn of_programs(hooks: &[HookState]) -> Vec<Check> {
    let reason = |id: u32| hooks.iter().find(|state| state.hook.id == id).map(|state| state.reason.as_deref());
    let row = |name, id, lost, step| {
        reason(id).map(|reason| match reason {
            None => check(name, State::Ok, "the kernel takes the program", "", ""),
            Some(reason) => check(name, State::Missing, reason, lost, step),
        })
    };
    let refused = reason(hook::FILE_OPEN).flatten();
    let lsm = "run a kernel that lets root attach LSM programs: not locked down, CONFIG_BPF_LSM=y, bpf in its LSM list, and in a \
                    container CAP_SYS_ADMIN and CAP_BPF";
    let rows = [
        row("lsm programs", hook::FILE_OPEN, WITHOUT_LSM, lsm),
        row(
            "cgroup programs",
            hook::EGRESS,
            "egress is not refused",
            "run a kernel built with CONFIG_CGROUP_BPF=y, as root of the host",
        ),
        row(
            "hashes in the kernel",
            hook::BPRM_HASH,
            "block_hashes and allow lists by hash hold from the second exec of a file",
            "run a kernel of 5.18 or later, built with CONFIG_IMA=y",
        )
        // What refuses all LSM programs has been told.
        .filter(|check| refused != Some(check.found.as_str())),
        row(
            "network devices",
            hook::FORWARD,
            "what the host forwards and what leaves by raw devices is not looked at",
            "modprobe cls_bpf sch_ingress, or run a kernel of 6.6 or later with CONFIG_NET_XGRESS=y",
        ),
    ];
    rows.into_iter().flatten().collect()
}

/// How the kernel was built, where it says so.
struct KernelConfig(Option<String>);

/// Options that Sentinel uses: what is lost without one.
const OPTIONS: [(&str, &str); 6] = [
    ("CONFIG_BPF_SYSCALL", "everything"),
    ("CONFIG_DEBUG_INFO_BTF", "everything"),
    ("CONFIG_BPF_LSM", WITHOUT_LSM),
    ("CONFIG_CGROUP_BPF", "egress is not refused"),
    ("CONFIG_IMA", "executables are hashed behind their first exec"),
    ("CONFIG_INET_DIAG_DESTROY", "connections that become forbidden stay open, silent, instead of being ended"),
];

impl KernelConfig {
    fn read(release: &str) -> Self {
        let boot = [format!("/boot/config-{release}"), format!("/lib/modules/{release}/config")];
        let plain = boot.iter().find_map(|path| fs::read_to_string(path).ok());
        Self(plain.or_else(|| {
            let mut text = String::new();
            GzDecoder::new(fs::File::open("/proc/config.gz").ok()?).read_to_string(&mut text).ok()?;
            Some(text)
        }))
    }

    /// `y`, `m`, or `n` if it is not set; `None` if nothing is known.
    fn value(&self, option: &str) -> Option<&str> {
        let text = self.0.as_deref()?;
        Some(text.lines().find_map(|line| line.strip_prefix(option)?.strip_prefix('=')).unwrap_or("n"))
    }

    fn checks(&self) -> Vec<Check> {
        if self.0.is_none() {
            let found = "neither /boot/config-RELEASE nor /proc/config.gz is there";
            return vec![check("kernel options", State::Unknown, found, "", "")];
        }
        let row = |&(option, lost): &(&'static str, &str)| {
            let set = self.value(option).unwrap_or("n").to_owned();
            let step = format!("run a kernel built with {option}=y");
            check(option, needed(matches!(set.as_str(), "y" | "m")), set, lost, &step)
        };
        OPTIONS.iter().map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_as_a_kernel_writes_them() {
        let config =
            KernelConfig(Some("CONFIG_BPF_LSM=y\nCONFIG_IMA_X=y\n# CONFIG_CGROUP_BPF is not set\n".to_owned()));
        assert_eq!(config.value("CONFIG_BPF_LSM"), Some("y"));
        assert_eq!(config.value("CONFIG_IMA"), Some("n"));
        assert_eq!(config.value("CONFIG_CGROUP_BPF"), Some("n"));
        assert_eq!(KernelConfig(None).value("CONFIG_IMA"), None);
        let missing = config.checks().into_iter().filter(|check| check.state == State::Missing).count();
        assert_eq!(missing, OPTIONS.len() - 1);
    }

    #[test]
    fn what_is_missing_comes_with_a_step() {
        let lost = check("x", State::Missing, "off", "much", "do this");
        assert_eq!((lost.lost.as_str(), lost.step.as_str()), ("much", "do this"));
        assert!(check("x", State::Ok, "on", "much", "do this").step.is_empty());
    }
}
